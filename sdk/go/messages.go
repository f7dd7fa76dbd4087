package device

import "slices"

// Section 11: messages as bytes. There is one encoding of each value, and nothing may follow its end.

const (
	maxBody          = 1 << 20
	maxChallenge     = 255
	maxPlatformNonce = 64
	// AES-256-GCM's tag is part of the ciphertext.
	tagLength    = 16
	maxPlaintext = 16 << 20
	// ECDSA P-256 in DER has at most 72 bytes.
	maxSignature = 72
	maxText      = 255
	maxKeyName   = 512
)

// EnrollmentRequest is kind 1.
type EnrollmentRequest struct {
	Suite       Suite
	Tenant      string
	DeviceID    string
	DeviceNonce [32]byte
	DeviceShare []byte
	Attributes  Attributes
}

// Encode gives the message's bytes.
func (m *EnrollmentRequest) Encode() ([]byte, error) {
	if err := checkDevice(m.Tenant, m.DeviceID); err != nil {
		return nil, err
	}
	attributes, err := m.Attributes.Encode()
	out := frame(frame(u16([]byte{1}, uint16(m.Suite)), m.Tenant), m.DeviceID)
	return append(frame(append(out, m.DeviceNonce[:]...), m.DeviceShare), attributes...), err
}

// ParseEnrollmentRequest is the inverse of Encode.
func ParseEnrollmentRequest(data []byte) (*EnrollmentRequest, error) {
	r := newReader(data, 1)
	suite := r.suite()
	m := &EnrollmentRequest{Suite: suite, Tenant: r.tenant(), DeviceID: r.deviceID(), DeviceNonce: r.array("device nonce")}
	m.DeviceShare = r.framed("device share", suite.deviceShareLength(), suite.deviceShareLength())
	m.Attributes = r.attributes()
	return m, r.end("enrollment request")
}

// EnrollmentReply is kind 2.
type EnrollmentReply struct {
	Suite                 Suite
	AuthorityShare        []byte
	Generation            uint64
	Schedule              Schedule
	Signature             []byte
	AuthorityConfirmation [32]byte
}

// Encode gives the message's bytes.
func (m *EnrollmentReply) Encode() []byte {
	out := u64(frame(u16([]byte{2}, uint16(m.Suite)), m.AuthorityShare), m.Generation)
	out = u64(u64(u64(out, m.Schedule.Period), m.Schedule.MaxUses), m.Schedule.NotBefore)
	return append(frame(out, m.Signature), m.AuthorityConfirmation[:]...)
}

// ParseEnrollmentReply is the inverse of Encode.
func ParseEnrollmentReply(data []byte) (*EnrollmentReply, error) {
	r := newReader(data, 2)
	suite := r.suite()
	m := &EnrollmentReply{
		Suite:          suite,
		AuthorityShare: r.framed("authority share", suite.authorityShareLength(), suite.authorityShareLength()),
		Generation:     r.number("generation", 8, 1),
		Schedule:       r.schedule(),
		Signature:      r.framed("signature", 8, maxSignature),
	}
	m.AuthorityConfirmation = r.array("authority confirmation")
	return m, r.end("enrollment reply")
}

// Confirmation is kind 3.
type Confirmation struct {
	Tenant             string
	DeviceID           string
	DeviceConfirmation [32]byte
}

// Encode gives the message's bytes.
func (m *Confirmation) Encode() []byte {
	return append(frame(frame([]byte{3}, m.Tenant), m.DeviceID), m.DeviceConfirmation[:]...)
}

// ParseConfirmation is the inverse of Encode.
func ParseConfirmation(data []byte) (*Confirmation, error) {
	r := newReader(data, 3)
	m := &Confirmation{r.tenant(), r.deviceID(), r.array("device confirmation")}
	return m, r.end("confirmation")
}

// Challenge is kind 4.
type Challenge struct {
	Challenge []byte
	// ServerTime is in Unix seconds. Nothing authenticates it.
	ServerTime uint64
	// Recipe has the names of the attributes to measure.
	Recipe []string
}

// Encode gives the message's bytes.
func (m *Challenge) Encode() []byte {
	out := append(u64(frame([]byte{4}, m.Challenge), m.ServerTime), byte(len(m.Recipe)))
	for _, name := range m.Recipe {
		out = frame(out, name)
	}
	return out
}

// ParseChallenge is the inverse of Encode.
func ParseChallenge(data []byte) (*Challenge, error) {
	r := newReader(data, 4)
	m := &Challenge{Challenge: r.framed("challenge", 1, maxChallenge), ServerTime: r.number("server_time", 8, 0)}
	count := r.number("recipe", 1, 0)
	if count > maxAttributes {
		r.fail("recipe", "names more than %d attributes", maxAttributes)
	}
	for ; count > 0 && r.err == nil; count-- {
		name := r.text("recipe", 64, checkAttributeName)
		if slices.Contains(m.Recipe, name) {
			r.fail("recipe", "names an attribute twice")
		}
		m.Recipe = append(m.Recipe, name)
	}
	return m, r.end("challenge")
}

// Proof is kind 5. The body itself travels beside it.
type Proof struct {
	Tenant      string
	DeviceID    string
	Challenge   []byte
	DeviceNonce [32]byte
	Generation  uint64
	Epoch       uint32
	Number      uint64
	Action      string
	BodyDigest  [32]byte
	Mac         [32]byte
}

// transcript is T of section 5.
func (m *Proof) transcript() []byte {
	return transcript("proof", m.Tenant, m.DeviceID, m.Challenge, m.DeviceNonce[:],
		m.Generation, uint64(m.Epoch), m.Number, m.Action, m.BodyDigest[:])
}

// Encode gives the message's bytes.
func (m *Proof) Encode() []byte {
	out := frame(frame(frame([]byte{5}, m.Tenant), m.DeviceID), m.Challenge)
	out = u64(u32(u64(append(out, m.DeviceNonce[:]...), m.Generation), m.Epoch), m.Number)
	return append(append(frame(out, m.Action), m.BodyDigest[:]...), m.Mac[:]...)
}

// ParseProof is the inverse of Encode.
func ParseProof(data []byte) (*Proof, error) {
	r := newReader(data, 5)
	m := &Proof{
		Tenant: r.tenant(), DeviceID: r.deviceID(),
		Challenge: r.framed("challenge", 1, maxChallenge), DeviceNonce: r.array("device nonce"),
		Generation: r.number("generation", 8, 1), Epoch: uint32(r.number("epoch", 4, 0)), Number: r.keyNumber(),
		Action: r.text("action", 32, checkAction), BodyDigest: r.array("body digest"), Mac: r.array("mac"),
	}
	return m, r.end("proof")
}

// Reply is kind 6.
type Reply struct {
	// ServerTime is in Unix seconds.
	ServerTime uint64
	Ack        [32]byte
	Body       []byte
}

// Encode gives the message's bytes.
func (m *Reply) Encode() []byte {
	return frame(append(u64([]byte{6}, m.ServerTime), m.Ack[:]...), m.Body)
}

// ParseReply is the inverse of Encode.
func ParseReply(data []byte) (*Reply, error) {
	r := newReader(data, 6)
	m := &Reply{r.number("server_time", 8, 0), r.array("ack"), r.framed("body", 0, maxBody)}
	return m, r.end("reply")
}

// Token is kind 7.
type Token struct {
	Tenant        string
	DeviceID      string
	Generation    uint64
	Epoch         uint32
	Number        uint64
	Audience      string
	PlatformNonce []byte
	// IssuedAt is in Unix seconds.
	IssuedAt uint64
	Mac      [32]byte
}

// transcript is what its mac is over (section 7).
func (m *Token) transcript() []byte {
	return transcript("token", m.Tenant, m.DeviceID, m.Generation, uint64(m.Epoch), m.Number,
		m.Audience, m.PlatformNonce, m.IssuedAt)
}

// Encode gives the message's bytes.
func (m *Token) Encode() []byte {
	out := u64(u32(u64(frame(frame([]byte{7}, m.Tenant), m.DeviceID), m.Generation), m.Epoch), m.Number)
	return append(u64(frame(frame(out, m.Audience), m.PlatformNonce), m.IssuedAt), m.Mac[:]...)
}

// ParseToken is the inverse of Encode.
func ParseToken(data []byte) (*Token, error) {
	r := newReader(data, 7)
	m := &Token{
		Tenant: r.tenant(), DeviceID: r.deviceID(),
		Generation: r.number("generation", 8, 1), Epoch: uint32(r.number("epoch", 4, 0)), Number: r.keyNumber(),
		Audience:      r.text("audience", 255, checkAudience),
		PlatformNonce: r.framed("platform nonce", 0, maxPlatformNonce), IssuedAt: r.number("issued_at", 8, 0), Mac: r.array("mac"),
	}
	return m, r.end("token")
}

// SealedPayload is kind 8.
type SealedPayload struct {
	KeyName    KeyName
	Nonce      [12]byte
	Ciphertext []byte
}

// Encode gives the message's bytes.
func (m *SealedPayload) Encode() []byte {
	return frame(append(frame([]byte{8}, m.KeyName.String()), m.Nonce[:]...), m.Ciphertext)
}

// ParseSealedPayload is the inverse of Encode.
func ParseSealedPayload(data []byte) (*SealedPayload, error) {
	r := newReader(data, 8)
	var name KeyName
	r.text("key name", maxKeyName, func(text string) (err error) {
		if name, err = ParseKeyName(text); err == nil && name.Purpose != DataPurpose {
			err = malformed("key name", "is not of the purpose data")
		}
		return err
	})
	m := &SealedPayload{KeyName: name}
	copy(m.Nonce[:], r.take("nonce", len(m.Nonce)))
	m.Ciphertext = r.framed("ciphertext", tagLength, maxPlaintext+tagLength)
	return m, r.end("sealed payload")
}

func (r *reader) suite() Suite {
	suite := Suite(r.number("suite", 2, 0))
	if suite.check() != nil {
		r.fail("suite", "is neither 1 nor 2")
	}
	return suite
}

func (r *reader) tenant() string { return r.text("tenant", maxText, checkTenant) }

func (r *reader) deviceID() string { return r.text("device id", maxText, checkDeviceID) }

func (r *reader) array(field string) (array [32]byte) {
	copy(array[:], r.take(field, 32))
	return array
}

func (r *reader) schedule() Schedule {
	return Schedule{r.number("period", 8, 0), r.number("max_uses", 8, 0), r.number("not_before", 8, 0)}
}

// attributes go to the end: there is no count before them. Names are in byte order, each once.
func (r *reader) attributes() Attributes {
	found, last := Attributes{}, ""
	for len(r.rest) > 0 {
		name := r.text("attribute name", 64, checkAttributeName)
		value := r.framed("attribute value", 0, maxAttributeValue)
		if name <= last {
			r.fail("attributes", "are not in the order of their names, each once")
		}
		if len(found) == maxAttributes {
			r.fail("attributes", "are more than %d", maxAttributes)
		}
		found[name], last = value, name
	}
	return found
}

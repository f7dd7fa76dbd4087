package device

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// Section 4: enrollment, the device's part.

// IdentityKey is the authority's key that a device has pinned.
type IdentityKey struct {
	key *ecdsa.PublicKey
}

// What comes before an uncompressed point of P-256 in a SubjectPublicKeyInfo (RFC 5480).
var spkiOfP256, _ = hex.DecodeString("3059301306072a8648ce3d020106082a8648ce3d030107034200")

// ParseIdentityKey reads the authority's file `identity.pub`: 65 bytes in hex, or PEM.
func ParseIdentityKey(file []byte) (*IdentityKey, error) {
	var spki []byte
	if bytes.HasPrefix(file, []byte("-----")) {
		block, _ := pem.Decode(file)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, malformed("identity key", "is neither hex nor PEM")
		}
		spki = block.Bytes
	} else {
		point, err := hex.DecodeString(strings.TrimSpace(string(file)))
		if err != nil {
			return nil, malformed("identity key", "is neither hex nor PEM")
		}
		spki = append(slices.Clone(spkiOfP256), point...)
	}
	parsed, err := x509.ParsePKIXPublicKey(spki)
	key, is := parsed.(*ecdsa.PublicKey)
	if err != nil || !is || key.Curve != elliptic.P256() {
		return nil, malformed("identity key", "is not on P-256")
	}
	return &IdentityKey{key}, nil
}

// Enrolling is an enrollment whose reply has not come. It is in memory alone: after a crash, begin again with another request.
type Enrolling struct {
	request     *EnrollmentRequest
	encoded     []byte
	ephemeral   *ephemeral
	identityKey *IdentityKey
	purposes    []Purpose
}

// Identity is who a device is.
type Identity struct {
	Tenant   string
	DeviceID string
}

// Begin makes a request to enroll. The purposes are those that the device will use, ProofPurpose among them; it keeps no others.
func Begin(who Identity, attributes Attributes, key *IdentityKey, suite Suite, purposes ...Purpose) (*Enrolling, error) {
	if err := checkPurposes(purposes); err != nil {
		return nil, err
	}
	ephemeral, err := newEphemeral(suite)
	if err != nil {
		return nil, err
	}
	request := &EnrollmentRequest{
		Suite: suite, Tenant: who.Tenant, DeviceID: who.DeviceID, DeviceShare: ephemeral.share, Attributes: Attributes{},
	}
	for name, value := range attributes {
		request.Attributes[name] = bytes.Clone(value)
	}
	if _, err := rand.Read(request.DeviceNonce[:]); err != nil {
		return nil, err
	}
	encoded, err := request.Encode()
	if err != nil {
		return nil, err
	}
	return &Enrolling{request, encoded, ephemeral, key, slices.Clone(purposes)}, nil
}

// Request is kind 1, for the station. The same again gets the same reply.
func (e *Enrolling) Request() []byte { return bytes.Clone(e.encoded) }

// Finish checks the reply, kind 2, and saves the device. Send Device.Confirmation then. A false reply changes nothing; the true one may
// still come. Without a clock it takes the machine's.
func (e *Enrolling) Finish(reply []byte, save Save, clock Clock) (*Device, error) {
	parsed, err := ParseEnrollmentReply(reply)
	if err != nil {
		return nil, err
	}
	if parsed.Suite != e.request.Suite {
		return nil, malformed("suite", "is not the one that was asked for")
	}
	t := enrollmentTranscript(e.request, parsed)
	if !ecdsa.VerifyASN1(e.identityKey.key, digest(t), parsed.Signature) {
		return nil, fmt.Errorf("the signature over the enrollment is %w", ErrUntrusted)
	}
	ikm, err := e.ephemeral.agree(parsed.AuthorityShare)
	if err != nil {
		return nil, err
	}
	root, byAuthority, byDevice := agreed(ikm, t)
	if !equal(parsed.AuthorityConfirmation[:], byAuthority) {
		return nil, fmt.Errorf("the confirmation is %w", ErrUntrusted)
	}
	s := &state{
		tenant: e.request.Tenant, deviceID: e.request.DeviceID, suite: parsed.Suite,
		generation: parsed.Generation, schedule: parsed.Schedule, knownTime: parsed.Schedule.NotBefore,
		confirmation: byDevice, branches: branchesOf(root, e.purposes),
	}
	if err := save(s.encode()); err != nil {
		return nil, err
	}
	return newDevice(s, save, clock), nil
}

// Format shows no secret, with whatever verb.
func (e Enrolling) Format(out fmt.State, _ rune) {
	fmt.Fprintf(out, "enrolling %s/%s", e.request.Tenant, e.request.DeviceID)
}

// enrollmentTranscript is T.
func enrollmentTranscript(request *EnrollmentRequest, reply *EnrollmentReply) []byte {
	return transcript("enroll", uint64(request.Suite), request.Tenant, request.DeviceID, request.DeviceNonce[:], request.DeviceShare,
		request.Attributes.digest(), reply.AuthorityShare, reply.Generation,
		reply.Schedule.Period, reply.Schedule.MaxUses, reply.Schedule.NotBefore)
}

// agreed is what both ends derive: the root, and the two confirmations.
func agreed(ikm, t []byte) (root, byAuthority, byDevice []byte) {
	root = expand(extract(t, ikm), "root", t)
	return root, mac(expand(root, "confirm authority", t), t), mac(expand(root, "confirm device", t), t)
}

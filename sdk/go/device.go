package device

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
)

// Sections 5 and 6: an enrolled device. Bytes in, bytes out; nothing comes out before the state is saved.

// Save returns nil when the bytes are durable, and an error where they may not be. Store.Save is one.
type Save func([]byte) error

// Device is one device, for one goroutine at a time.
type Device struct {
	state     *state
	save      Save
	clock     Clock
	knownTime knownTime
	epochs    proofEpochs
	// The one open question, or the request that answered it.
	question *Question
	request  *Request
}

// Question is the right to answer one challenge: the one that comes in reply to this question (section 5).
type Question struct {
	// Two questions without a field could have one address.
	_ byte
}

// Request is a proved request on its way. To abandon it is safe; so is to ask again.
type Request struct {
	Proof *Proof
	// Body goes beside the proof.
	Body    []byte
	secrets *requestSecrets
}

type requestSecrets struct {
	ackKey []byte
	// For a rekey alone.
	epochSecret []byte
	ephemeral   *ephemeral
	named       *uint32
	// For a key that the authority makes.
	sealingKey []byte
}

// Message is kind 5.
func (r *Request) Message() []byte { return r.Proof.Encode() }

// Format shows no secret, with whatever verb.
func (r Request) Format(out fmt.State, _ rune) {
	fmt.Fprintf(out, "%s of %d.%d.%d", r.Proof.Action, r.Proof.Generation, r.Proof.Epoch, r.Proof.Number)
}

// Load is the device of the bytes that were saved last. Without a clock it takes the machine's.
func Load(saved []byte, save Save, clock Clock) (*Device, error) {
	state, err := parseState(saved)
	if err != nil {
		return nil, err
	}
	return newDevice(state, save, clock), nil
}

func newDevice(state *state, save Save, clock Clock) *Device {
	if clock == nil {
		clock = SystemClock{}
	}
	return &Device{state: state, save: save, clock: clock, knownTime: tell(clock, state.knownTime)}
}

// Identity is who the device is.
func (d *Device) Identity() Identity { return Identity{d.state.tenant, d.state.deviceID} }

// Suite is that of the present keys.
func (d *Device) Suite() Suite { return d.state.suite }

// Generation counts the key agreements.
func (d *Device) Generation() uint64 { return d.state.generation }

// KnownTime is in Unix seconds, by the authority's last ack.
func (d *Device) KnownTime() uint64 { return d.knownTime.now() }

// Format shows no secret, with whatever verb.
func (d Device) Format(out fmt.State, _ rune) {
	fmt.Fprintf(out, "device %s/%s, generation %d", d.state.tenant, d.state.deviceID, d.state.generation)
}

// Confirmation is kind 3, until the first ack, and nil from then on (section 4). The state that it confirms is saved already.
func (d *Device) Confirmation() []byte {
	if d.state.confirmation == nil {
		return nil
	}
	return (&Confirmation{d.state.tenant, d.state.deviceID, [32]byte(d.state.confirmation)}).Encode()
}

// Ask is to be called right before asking for a challenge. The reply to any earlier question or request is not taken any more.
func (d *Device) Ask() *Question {
	d.question, d.request = &Question{}, nil
	return d.question
}

// Prove takes kind 4, which came in reply to the question over TLS; measured has at least what its recipe names, measured now.
func (d *Device) Prove(question *Question, challenge []byte, action string, body []byte, measured Attributes) (*Request, error) {
	if action == actionRekey {
		return nil, malformed("action", "is rekey, which has a method of its own")
	}
	if action == actionMadeKey {
		if err := checkKind(body); err != nil {
			return nil, err
		}
	}
	return d.prove(question, challenge, action, body, measured, nil)
}

// Rekey asks for the next generation (section 6), with other purposes than before if some are named. An authority before revision 3
// refuses named purposes as `malformed`; then ask without.
func (d *Device) Rekey(question *Question, challenge []byte, suite Suite, measured Attributes, purposes ...Purpose) (*Request, error) {
	var named *uint32
	if len(purposes) > 0 {
		if err := checkPurposes(purposes); err != nil {
			return nil, err
		}
		set := setOf(purposes)
		named = &set
	}
	ephemeral, err := newEphemeral(suite)
	if err != nil {
		return nil, err
	}
	request, err := d.prove(question, challenge, actionRekey, rekeyBody(suite, ephemeral.share, named), measured, ephemeral)
	if err == nil {
		request.secrets.named = named
	}
	return request, err
}

func (d *Device) prove(
	question *Question, challenge []byte, action string, body []byte, measured Attributes, ephemeral *ephemeral,
) (*Request, error) {
	if question == nil || question != d.question {
		return nil, fmt.Errorf("the question was %w", ErrOvertaken)
	}
	d.question = nil
	offer, err := ParseChallenge(challenge)
	if err != nil {
		return nil, err
	}
	if err := checkAction(action); err != nil {
		return nil, err
	}
	bound, err := binding(offer.Challenge, offer.Recipe, measured)
	if err != nil {
		return nil, err
	}
	s, branch := d.state, d.state.branches[ProofPurpose]
	epoch := d.epochs.next(branch.tree.first(), branch.taken, s.schedule, offer.ServerTime)
	// The frontier stays: a false server_time must not carry the device away (section 3.1).
	epochSecret, err := branch.tree.epochSecret(epoch)
	if err != nil {
		return nil, err
	}
	number, err := branch.take()
	if err != nil {
		return nil, err
	}
	proof := &Proof{
		Tenant: s.tenant, DeviceID: s.deviceID, Challenge: bytes.Clone(offer.Challenge),
		Generation: s.generation, Epoch: uint32(epoch), Number: number, Action: action, BodyDigest: [32]byte(digest(body)),
	}
	if _, err := rand.Read(proof.DeviceNonce[:]); err != nil {
		return nil, err
	}
	key := numberKey(epochSecret, number)
	proof.Mac = [32]byte(deviceMac(key, bound, proof.transcript()))
	secrets := &requestSecrets{ackKey: ackKey(key, bound), ephemeral: ephemeral}
	if ephemeral != nil {
		secrets.epochSecret = epochSecret
	}
	if action == actionMadeKey {
		secrets.sealingKey = expand(key, "made key", bound)
	}
	if err := d.save(s.encode()); err != nil {
		return nil, err
	}
	d.request = &Request{Proof: proof, Body: body, secrets: secrets}
	return d.request, nil
}

// Acknowledge checks the ack of a reply, kind 6, adopts what it says, and gives its body. A false reply changes nothing.
func (d *Device) Acknowledge(request *Request, reply []byte) ([]byte, error) {
	if request == nil || request != d.request {
		return nil, fmt.Errorf("the request was %w", ErrOvertaken)
	}
	parsed, err := ParseReply(reply)
	if err != nil {
		return nil, err
	}
	expected := ack(request.secrets.ackKey, request.Proof.transcript(), parsed.ServerTime, parsed.Body)
	if !equal(parsed.Ack[:], expected) {
		return nil, fmt.Errorf("the reply, or its ack, is %w", ErrUntrusted)
	}
	if request.secrets.ephemeral != nil {
		if err := d.adopt(request, parsed.Body); err != nil {
			return nil, err
		}
	} else {
		branch := d.state.branches[ProofPurpose]
		branch.moveTo(uint64(request.Proof.Epoch))
		branch.taken++
		d.state.confirmation, d.state.isProven = nil, true
	}
	d.request = nil
	d.state.knownTime = parsed.ServerTime
	d.knownTime = tell(d.clock, parsed.ServerTime)
	d.epochs.forget()
	if err := d.save(d.state.encode()); err != nil {
		return nil, err
	}
	return parsed.Body, nil
}

// adopt is section 6: the next generation takes the place of this one, which is gone with the next save.
func (d *Device) adopt(request *Request, body []byte) error {
	secrets := request.secrets
	parsed, err := parseRekeyReply(secrets.ephemeral.suite, body, secrets.named)
	if err != nil {
		return err
	}
	if parsed.generation != request.Proof.Generation+1 {
		return malformed("generation", "is not the next one")
	}
	ikm, err := secrets.ephemeral.agree(parsed.authorityShare)
	if err != nil {
		return err
	}
	t := parsed.transcript(request.Proof.transcript(), secrets.ephemeral.suite, secrets.ephemeral.share)
	purposes := slices.Collect(maps.Keys(d.state.branches))
	if parsed.granted != nil {
		purposes = knownIn(*parsed.granted)
	}
	d.state.branches = branchesOf(nextRoot(secrets.epochSecret, ikm, t), purposes)
	d.state.suite, d.state.generation, d.state.schedule = secrets.ephemeral.suite, parsed.generation, parsed.schedule
	d.state.confirmation, d.state.isProven = nil, false
	return nil
}

// RefusedAsSpent is for `epoch-spent`, and the epoch that it names: the next attempt takes it (section 3.1).
func (d *Device) RefusedAsSpent(request *Request, nextEpoch uint64) {
	if request != nil && request == d.request {
		d.epochs.refusedAsSpent(uint64(request.Proof.Epoch), nextEpoch)
	}
}

// RefusedAsAhead is for `epoch-ahead`: what refusals said is forgotten.
func (d *Device) RefusedAsAhead(request *Request) {
	if request != nil && request == d.request {
		d.epochs.forget()
	}
}

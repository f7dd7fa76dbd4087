package device

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/mlkem"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// The authority's end, as far as a device's needs it: honest, of one device, and without a network. It shares primitives with the device;
// that those are right is shown by the vectors and by the served authority.

var measured = Attributes{"firmware": []byte("3.1.4 secret"), "board": []byte("rev-b secret")}

type testClock struct{ wall, elapsed uint64 }

func (c *testClock) Wall() uint64    { return c.wall }
func (c *testClock) Elapsed() uint64 { return c.elapsed }

type place struct {
	generation uint64
	epoch      uint32
	number     uint64
}

type fakeAuthority struct {
	t        *testing.T
	identity *ecdsa.PrivateKey
	schedule Schedule
	now      uint64
	bodies   map[string][]byte
	// What the next proofs are refused with, in order; nil lets one pass.
	refusals []*RefusedError
	// Changes a reply on its way.
	between func([]byte) []byte
	// What happened, in order.
	log          []string
	attributes   Attributes
	confirmation []byte
	trees        map[uint64]tree
	places       []place
	offered      []byte
	rekeyDue     bool
	renewal      *Window
	// The set of purposes that it grants of those that are named, instead of all of them.
	grants *uint32
	// Grants nothing where purposes are named, or something where none are.
	mute, answersUnasked bool
	// The key that it makes, PKCS#8, and the chain beside it, as `certificate` has it.
	made, chain []byte
}

func (a *fakeAuthority) identityKey() []byte {
	return must[*ecdh.PublicKey](a.t)(a.identity.PublicKey.ECDH()).Bytes()
}

func (a *fakeAuthority) enroll(message []byte) []byte {
	request := must[*EnrollmentRequest](a.t)(ParseEnrollmentRequest(message))
	a.attributes = request.Attributes
	share, ikm := a.agree(request.Suite, request.DeviceShare)
	reply := &EnrollmentReply{Suite: request.Suite, AuthorityShare: share, Generation: 1, Schedule: a.schedule}
	t := enrollmentTranscript(request, reply)
	root, byAuthority, byDevice := agreed(ikm, t)
	a.trees = map[uint64]tree{1: treeOf(purposeRoot(root, ProofPurpose))}
	a.confirmation = (&Confirmation{request.Tenant, request.DeviceID, [32]byte(byDevice)}).Encode()
	reply.Signature = must[[]byte](a.t)(ecdsa.SignASN1(rand.Reader, a.identity, digest(t)))
	reply.AuthorityConfirmation = [32]byte(byAuthority)
	return reply.Encode()
}

func (a *fakeAuthority) Challenge(context.Context, Identity) ([]byte, error) {
	a.log = append(a.log, "challenge")
	challenge := make([]byte, 25)
	_, _ = rand.Read(challenge)
	a.offered = (&Challenge{challenge, a.now, []string{"board", "firmware"}}).Encode()
	return a.offered, nil
}

func (a *fakeAuthority) Confirm(_ context.Context, confirmation []byte) error {
	a.log = append(a.log, "confirm")
	if !bytes.Equal(confirmation, a.confirmation) {
		a.t.Error("another confirmation than that of the enrollment")
	}
	return nil
}

func (a *fakeAuthority) Prove(_ context.Context, message, body []byte) (Answer, error) {
	proof := must[*Proof](a.t)(ParseProof(message))
	a.log = append(a.log, proof.Action)
	if len(a.refusals) > 0 {
		refused := a.refusals[0]
		a.refusals = a.refusals[1:]
		if refused != nil {
			return Answer{}, refused
		}
	}
	a.places = append(a.places, place{proof.Generation, proof.Epoch, proof.Number})
	offer := must[*Challenge](a.t)(ParseChallenge(a.offered))
	if !bytes.Equal(offer.Challenge, proof.Challenge) {
		a.t.Error("another challenge than the last")
	}
	secret := must[[]byte](a.t)(a.trees[proof.Generation].epochSecret(uint64(proof.Epoch)))
	key, t := numberKey(secret, proof.Number), proof.transcript()
	bound := must[[]byte](a.t)(binding(offer.Challenge, offer.Recipe, a.attributes))
	if !bytes.Equal(deviceMac(key, bound, t), proof.Mac[:]) {
		return Answer{}, Refused("mac-wrong", "UNAUTHENTICATED", "", 0, 0)
	}
	replyBody := a.bodies[proof.Action]
	if proof.Action == actionRekey {
		replyBody = a.rekey(proof, body, secret)
	}
	if proof.Action == actionMadeKey {
		nonce := make([]byte, nonceLength)
		_, _ = rand.Read(nonce)
		block := must[cipher.Block](a.t)(aes.NewCipher(expand(key, "made key", bound)))
		aead := must[cipher.AEAD](a.t)(cipher.NewGCM(block))
		replyBody = append(frame(nonce, aead.Seal(nil, nonce, a.made, t)), a.chain...)
	}
	reply := (&Reply{a.now, [32]byte(ack(ackKey(key, bound), t, a.now, replyBody)), replyBody}).Encode()
	if a.between != nil {
		reply = a.between(reply)
	}
	return Answer{reply, a.rekeyDue, a.renewal}, nil
}

func (a *fakeAuthority) rekey(proof *Proof, body, secret []byte) []byte {
	suite := Suite(body[1])
	share, rest := body[6:6+suite.deviceShareLength()], body[6+suite.deviceShareLength():]
	mine, ikm := a.agree(suite, share)
	reply := &rekeyReply{mine, proof.Generation + 1, Schedule{a.schedule.Period, a.schedule.MaxUses, a.now}, nil}
	if (len(rest) > 0 || a.answersUnasked) && !a.mute {
		reply.granted = a.grants
		if reply.granted == nil {
			named := binary.BigEndian.Uint32(rest)
			reply.granted = &named
		}
	}
	root := nextRoot(secret, ikm, reply.transcript(proof.transcript(), suite, share))
	a.trees[reply.generation] = treeOf(purposeRoot(root, ProofPurpose))
	out := u64(frame(nil, mine), reply.generation)
	out = u64(u64(u64(out, reply.schedule.Period), reply.schedule.MaxUses), reply.schedule.NotBefore)
	if reply.granted != nil {
		out = u32(out, *reply.granted)
	}
	return out
}

// agree gives the authority's share, and ikm.
func (a *fakeAuthority) agree(suite Suite, deviceShare []byte) ([]byte, []byte) {
	private := must[*ecdh.PrivateKey](a.t)(ecdh.P256().GenerateKey(rand.Reader))
	other := must[*ecdh.PublicKey](a.t)(ecdh.P256().NewPublicKey(deviceShare[:pointLength]))
	share, ikm := private.PublicKey().Bytes(), must[[]byte](a.t)(private.ECDH(other))
	if suite == Suite2 {
		kem := must[*mlkem.EncapsulationKey768](a.t)(mlkem.NewEncapsulationKey768(deviceShare[pointLength:]))
		shared, ciphertext := kem.Encapsulate()
		share, ikm = append(share, ciphertext...), append(ikm, shared...)
	}
	return share, ikm
}

// house is an enrolled device, its authority, and what was saved last.
type house struct {
	*fakeAuthority
	enrolling *Enrolling
	device    *Device
	session   *Session
	clock     testClock
	saved     [][]byte
}

func (h *house) save(data []byte) error {
	h.saved = append(h.saved, data)
	return nil
}

func (h *house) last() []byte { return h.saved[len(h.saved)-1] }

func found(t *testing.T, suite Suite, schedule Schedule) *house {
	t.Helper()
	identity := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	h := &house{fakeAuthority: &fakeAuthority{t: t, identity: identity, schedule: schedule, now: 1000}}
	pinned := must[*IdentityKey](t)(ParseIdentityKey([]byte(hex.EncodeToString(h.identityKey()))))
	h.enrolling = must[*Enrolling](t)(Begin(Identity{"klinik", "pump-1"}, measured, pinned, suite, AllPurposes...))
	h.device = must[*Device](t)(h.enrolling.Finish(h.enroll(h.enrolling.Request()), h.save, &h.clock))
	h.start()
	return h
}

var hourly = Schedule{3600, 0, 1000}

func (h *house) start() {
	h.session = &Session{Device: h.device, Transport: h.fakeAuthority, Measure: func([]string) (Attributes, error) { return measured, nil }}
}

// restart: what a crash leaves is what was saved last.
func (h *house) restart() {
	h.device = must[*Device](h.t)(Load(h.last(), h.save, &h.clock))
	h.start()
}

func (h *house) authenticate() {
	h.t.Helper()
	if err := h.session.Authenticate(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) challenge() []byte {
	return must[[]byte](h.t)(h.Challenge(context.Background(), Identity{}))
}

func (h *house) state() *state { return must[*state](h.t)(parseState(h.last())) }

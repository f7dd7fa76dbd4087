package device

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
)

// Sections 3 to 7: what a device does, and what it saves before it does.

func isMalformed(err error) bool {
	var malformed *MalformedError
	return errors.As(err, &malformed)
}

func TestEnrollsProvesAndRekeys(t *testing.T) {
	for suite, other := range map[Suite]Suite{Suite1: Suite2, Suite2: Suite1} {
		h := found(t, suite, hourly)
		confirmation := h.device.Confirmation()
		if !bytes.Equal(confirmation, h.confirmation) {
			t.Error("another confirmation than the authority's")
		}
		// After a crash it is the same, until the first ack.
		h.restart()
		if !bytes.Equal(h.device.Confirmation(), confirmation) {
			t.Error("the confirmation is gone")
		}
		h.now = 1000 + 3*3600
		h.authenticate()
		if h.device.Confirmation() != nil || h.device.KnownTime() != h.now {
			t.Error("the ack was not adopted")
		}
		if err := h.session.Rekey(context.Background(), other); err != nil {
			t.Fatal(err)
		}
		if h.device.Generation() != 2 || h.device.Suite() != other {
			t.Error("the next generation was not adopted")
		}
		h.restart()
		h.authenticate()
		// Epochs and numbers begin again with a generation.
		if !slices.Equal(h.places, []place{{1, 3, 0}, {1, 3, 1}, {2, 0, 0}, {2, 0, 1}}) {
			t.Errorf("%v", h.places)
		}
	}
}

func TestTheFormerGenerationIsGoneBeforeTheNextIsUsed(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.authenticate()
	request := must[*Request](t)(h.device.Rekey(h.device.Ask(), h.challenge(), Suite1, measured))
	answer := must[Answer](t)(h.Prove(context.Background(), request.Message(), request.Body))
	before := len(h.saved)
	former := h.state()
	must[[]byte](t)(h.device.Acknowledge(request, answer.Reply))
	state := h.state()
	if len(h.saved) != before+1 || state.generation != 2 || state.isProven {
		t.Error("the next generation is not saved at once")
	}
	for purpose, branch := range state.branches {
		if branch.tree[0].secret == former.branches[purpose].tree[0].secret {
			t.Errorf("the former %s keys are there", purpose)
		}
	}
}

func TestNothingLeavesBeforeItIsSaved(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.authenticate()
	number := h.state().branches[ProofPurpose].number
	full := errors.New("the disk is full")
	refuses := func([]byte) error { return full }
	device := must[*Device](t)(Load(h.last(), refuses, nil))
	request, err := device.Prove(device.Ask(), h.challenge(), actionAuthenticate, nil, measured)
	token, err1 := device.Token("iot", nil)
	sealed, err2 := device.Seal([]byte("x"), nil)
	stanza, err3 := device.Wrap(make([]byte, 16))
	for _, err := range []error{err, err1, err2, err3} {
		if !errors.Is(err, full) {
			t.Error(err)
		}
	}
	if request != nil || token != nil || sealed != nil || stanza != nil {
		t.Error("a message left")
	}
	pinned := h.enrolling.identityKey
	enrolling := must[*Enrolling](t)(Begin(Identity{"klinik", "pump-1"}, nil, pinned, Suite1, AllPurposes...))
	if device, err := enrolling.Finish(h.enroll(enrolling.Request()), refuses, nil); !errors.Is(err, full) || device != nil {
		t.Error(err)
	}
	// And what was saved is ahead of what left.
	request = must[*Request](t)(h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, measured))
	if request.Proof.Number != number || h.state().branches[ProofPurpose].number != number+1 {
		t.Error("the number was not saved")
	}
}

func TestAFalseAckChangesNothing(t *testing.T) {
	h := found(t, Suite1, hourly)
	request := must[*Request](t)(h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, measured))
	right := must[Answer](t)(h.Prove(context.Background(), request.Message(), nil)).Reply
	before, told := len(h.saved), must[*Reply](t)(ParseReply(right))
	for _, wrong := range []*Reply{{told.ServerTime, [32]byte{}, nil}, {told.ServerTime + 1, told.Ack, nil}, {told.ServerTime, told.Ack, []byte("x")}} {
		if _, err := h.device.Acknowledge(request, wrong.Encode()); !errors.Is(err, ErrUntrusted) {
			t.Error(err)
		}
	}
	for _, wrong := range [][]byte{nil, right[:len(right)-1], append(slices.Clone(right), 0)} {
		if _, err := h.device.Acknowledge(request, wrong); !isMalformed(err) {
			t.Error(err)
		}
	}
	if len(h.saved) != before || h.device.Confirmation() == nil {
		t.Error("something was changed")
	}
	must[[]byte](t)(h.device.Acknowledge(request, right))
	if _, err := h.device.Acknowledge(request, right); !errors.Is(err, ErrOvertaken) {
		t.Error(err)
	}
}

func TestAFalseRekeyReplyChangesNothing(t *testing.T) {
	h := found(t, Suite1, hourly)
	request := must[*Request](t)(h.device.Rekey(h.device.Ask(), h.challenge(), Suite1, measured))
	good := must[*Reply](t)(ParseReply(must[Answer](t)(h.Prove(context.Background(), request.Message(), request.Body)).Reply)).Body
	reply := func(body []byte) []byte {
		right := ack(request.secrets.ackKey, request.Proof.transcript(), 5, body)
		return (&Reply{5, [32]byte(right), body}).Encode()
	}
	// Even where the ack is right: another generation, a byte too many, one too few, a point off the curve.
	otherGeneration, offTheCurve := slices.Clone(good), slices.Clone(good)
	otherGeneration[76] = 9
	offTheCurve[68] ^= 1
	for _, wrong := range [][]byte{otherGeneration, append(slices.Clone(good), 0), good[:len(good)-1], offTheCurve} {
		if _, err := h.device.Acknowledge(request, reply(wrong)); !isMalformed(err) {
			t.Error(err)
		}
	}
	if h.device.Generation() != 1 {
		t.Error("a false generation was adopted")
	}
	must[[]byte](t)(h.device.Acknowledge(request, reply(good)))
}

func TestAFalseEnrollmentReplyChangesNothing(t *testing.T) {
	for at := range 2 {
		v := newVector(t, "", vectors["enrollment"].([]any)[at].(map[string]any))
		c := enrollmentOf(v)
		right, isSaved := c.reply.Encode(), false
		save := func([]byte) error { isSaved = true; return nil }
		// The last byte of the signature, and of the confirmation; one bit of not_before.
		for _, place := range []int{33, 1, 32 + len(c.reply.Signature) + 4 + 1} {
			wrong := slices.Clone(right)
			wrong[len(wrong)-place] ^= 1
			if _, err := c.enrolling.Finish(wrong, save, nil); !errors.Is(err, ErrUntrusted) {
				t.Error(err)
			}
		}
		other := *c.reply
		other.Suite, other.AuthorityShare = Suite1+Suite2-other.Suite, make([]byte, (Suite1+Suite2-other.Suite).authorityShareLength())
		if _, err := c.enrolling.Finish(other.Encode(), save, nil); !isMalformed(err) || isSaved {
			t.Error(err, isSaved)
		}
		must[*Device](t)(c.enrolling.Finish(right, save, nil))
	}
}

func TestOneQuestionIsOpenAndIsAnsweredOnce(t *testing.T) {
	h := found(t, Suite1, hourly)
	challenge, first := h.challenge(), h.device.Ask()
	second := h.device.Ask()
	prove := func(question *Question) (*Request, error) {
		return h.device.Prove(question, challenge, actionAuthenticate, nil, measured)
	}
	for _, wrong := range []*Question{first, nil, {}} {
		if _, err := prove(wrong); !errors.Is(err, ErrOvertaken) {
			t.Error(err)
		}
	}
	request := must[*Request](t)(prove(second))
	if _, err := prove(second); !errors.Is(err, ErrOvertaken) {
		t.Error(err)
	}
	answer := must[Answer](t)(h.Prove(context.Background(), request.Message(), nil))
	h.device.Ask()
	for _, wrong := range []*Request{request, nil} {
		if _, err := h.device.Acknowledge(wrong, answer.Reply); !errors.Is(err, ErrOvertaken) {
			t.Error(err)
		}
	}
}

func TestARekeyWhoseReplyIsLostCanBeAskedAgain(t *testing.T) {
	h := found(t, Suite1, hourly)
	request := must[*Request](t)(h.device.Rekey(h.device.Ask(), h.challenge(), Suite2, measured))
	must[Answer](t)(h.Prove(context.Background(), request.Message(), request.Body))
	h.restart()
	if err := h.session.Rekey(context.Background(), Suite2); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.places, []place{{1, 0, 0}, {1, 0, 1}, {2, 0, 0}}) {
		t.Errorf("%v", h.places)
	}
}

func TestAttributesAreMeasuredAndBound(t *testing.T) {
	h := found(t, Suite1, hourly)
	if _, err := h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, Attributes{"board": nil}); !errors.Is(err, ErrNotMeasured) {
		t.Error(err)
	}
	other := Attributes{"board": measured["board"], "firmware": []byte("3.1.5")}
	request := must[*Request](t)(h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, other))
	if _, err := h.Prove(context.Background(), request.Message(), nil); err == nil {
		t.Error("other attributes prove as well")
	}
}

func TestAFalseTimeOfAChallengeMovesNothing(t *testing.T) {
	h := found(t, Suite1, hourly)
	offer := (&Challenge{make([]byte, 25), 1 << 63, nil}).Encode()
	request := must[*Request](t)(h.device.Prove(h.device.Ask(), offer, actionAuthenticate, nil, nil))
	if request.Proof.Epoch != lastEpoch {
		t.Error(request.Proof.Epoch)
	}
	h.authenticate()
	if !slices.Equal(h.places, []place{{1, 0, 1}}) {
		t.Errorf("%v", h.places)
	}
}

func TestProofsTakeTheEpochThatSection31Says(t *testing.T) {
	twice, epochs := Schedule{10, 2, 100}, &proofEpochs{}
	is := func(got, expected uint64) {
		t.Helper()
		if got != expected {
			t.Errorf("%d, and not %d", got, expected)
		}
	}
	is(epochs.next(0, 0, twice, 125), 2)
	is(epochs.next(2, 1, twice, 0), 2)
	is(epochs.next(2, 2, twice, 0), 3)
	epochs.refusedAsSpent(3, 7)
	is(epochs.next(2, 2, twice, 0), 7)
	epochs.forget()
	is(epochs.next(2, 2, twice, 0), 3)
	for _, lead := range []uint64{0, 1, 3, 7, 15, 31, 31} {
		epoch := epochs.next(2, 0, twice, 0)
		epochs.refusedAsSpent(epoch, epoch+1)
		is(epochs.next(2, 0, twice, 0), epoch+1+lead)
	}
	// A false refusal cannot lead out of the tree.
	epochs.refusedAsSpent(lastEpoch, math.MaxUint64)
	is(epochs.next(0, 0, twice, 0), lastEpoch)
}

func TestTokensAndPayloadsTakeTheEpochThatSection31Says(t *testing.T) {
	h := found(t, Suite1, Schedule{3600, 2, 1000})
	if _, err := h.device.Token("iot", nil); !errors.Is(err, ErrProveFirst) {
		t.Error(err)
	}
	h.authenticate()
	token := func() *Token { return must[*Token](t)(ParseToken(must[[]byte](t)(h.device.Token("iot", nil)))) }
	sealed := func() KeyName {
		return must[*SealedPayload](t)(ParseSealedPayload(must[[]byte](t)(h.device.Seal([]byte("x"), nil)))).KeyName
	}
	for _, expected := range []place{{1, 0, 0}, {1, 0, 1}, {1, 1, 2}} {
		if got := token(); got.Epoch != expected.epoch || got.Number != expected.number {
			t.Errorf("%+v", got)
		}
	}
	// What was counted since the last ack moves it, the wall clock does not.
	h.clock = testClock{wall: 1e9, elapsed: 3 * 3600}
	if got := token(); got.Epoch != 3 || got.Number != 3 || got.IssuedAt != 1000+3*3600 {
		t.Errorf("%+v", got)
	}
	if got := sealed(); got.Epoch != 277777 {
		t.Errorf("%v", got)
	}
	// The clock goes back; the tree does not.
	h.clock.wall = 0
	if got := sealed(); got.Epoch != 277777 || got.Number != 1 {
		t.Errorf("%v", got)
	}
}

func TestTheLastNumberAndTheLastEpoch(t *testing.T) {
	h := found(t, Suite1, Schedule{0, 1, 1000})
	h.authenticate()
	state := h.state()
	state.branches[TokenPurpose].number = maxNumber
	state.branches[DataPurpose].moveTo(lastEpoch)
	device := must[*Device](t)(Load(state.encode(), h.save, &h.clock))
	must[[]byte](t)(device.Token("iot", nil))
	if _, err := device.Token("iot", nil); !errors.Is(err, ErrExhausted) {
		t.Error(err)
	}
	must[[]byte](t)(device.Seal(nil, nil))
	if _, err := device.Seal(nil, nil); !errors.Is(err, ErrExhausted) {
		t.Error(err)
	}
}

func TestWhatADeviceRefusesToMake(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.authenticate()
	before, challenge, pinned := len(h.saved), h.challenge(), h.enrolling.identityKey
	begin := func(who Identity, attributes Attributes, suite Suite, purposes ...Purpose) error {
		_, err := Begin(who, attributes, pinned, suite, purposes...)
		return err
	}
	prove := func(action string) error {
		_, err := h.device.Prove(h.device.Ask(), challenge, action, nil, measured)
		return err
	}
	_, noAudience := h.device.Token("", nil)
	_, longAudience := h.device.Token(string(make([]byte, 256)), nil)
	_, longNonce := h.device.Token("iot", make([]byte, 65))
	_, shortFileKey := h.device.Wrap(make([]byte, 15))
	_, longPlaintext := h.device.Seal(make([]byte, maxPlaintext+1), nil)
	_, noSuite := h.device.Rekey(h.device.Ask(), challenge, 3, measured)
	for at, err := range []error{
		noAudience, longAudience, longNonce, shortFileKey, longPlaintext, noSuite,
		prove(actionRekey), prove("Authenticate"), prove(""),
		begin(Identity{"Klinik", "pump-1"}, nil, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump/1"}, nil, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, Attributes{"a b": nil}, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, Attributes{"a": make([]byte, 4097)}, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, nil, 0, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, nil, Suite1),
		begin(Identity{"klinik", "pump-1"}, nil, Suite1, ProofPurpose, "other"),
	} {
		if !isMalformed(err) {
			t.Errorf("%d: %v", at, err)
		}
	}
	if len(h.saved) != before {
		t.Error("a number was taken for it")
	}
}

func TestADeviceKeepsNoTreesButThoseThatItUses(t *testing.T) {
	h := found(t, Suite1, hourly)
	enrolling := must[*Enrolling](t)(Begin(Identity{"klinik", "pump-1"}, nil, h.enrolling.identityKey, Suite1, ProofPurpose, DataPurpose))
	device := must[*Device](t)(enrolling.Finish(h.enroll(enrolling.Request()), h.save, &h.clock))
	if len(h.state().branches) != 2 {
		t.Error("it keeps others")
	}
	if _, err := device.Wrap(make([]byte, 16)); !isMalformed(err) {
		t.Error(err)
	}
}

func TestPurposesAreNamedAtARekey(t *testing.T) {
	h, ctx := found(t, Suite1, hourly), context.Background()
	kept := func(expected ...Purpose) {
		t.Helper()
		var purposes []Purpose
		for purpose := range h.state().branches {
			purposes = append(purposes, purpose)
		}
		if slices.Sort(purposes); !slices.Equal(purposes, expected) {
			t.Errorf("%v, and not %v", purposes, expected)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(h.session.Rekey(ctx, Suite1, ProofPurpose, DataPurpose))
	kept(DataPurpose, ProofPurpose)
	if _, err := h.device.Token("iot", nil); !isMalformed(err) {
		t.Error(err)
	}
	// One that names none leaves them as they are.
	check(h.session.Rekey(ctx, Suite1))
	kept(DataPurpose, ProofPurpose)
	granted := uint32(0b0011)
	h.grants = &granted
	check(h.session.Rekey(ctx, Suite1, ProofPurpose, TokenPurpose, FilePurpose))
	kept(ProofPurpose, TokenPurpose)
	// What was not named, no proof, or no answer, is not adopted; nor is an answer to a rekey that named none.
	generation := h.device.Generation()
	for _, granted = range []uint32{0b1011, 0b0010} {
		if err := h.session.Rekey(ctx, Suite1, ProofPurpose, TokenPurpose); !isMalformed(err) {
			t.Error(err)
		}
	}
	h.mute = true
	if err := h.session.Rekey(ctx, Suite1, ProofPurpose, TokenPurpose); !isMalformed(err) {
		t.Error(err)
	}
	h.mute, h.answersUnasked = false, true
	if err := h.session.Rekey(ctx, Suite1); !isMalformed(err) {
		t.Error(err)
	}
	if h.device.Generation() != generation {
		t.Error(h.device)
	}
	for _, wrong := range [][]Purpose{{TokenPurpose}, {ProofPurpose, "service"}} {
		if err := h.session.Rekey(ctx, Suite1, wrong...); !isMalformed(err) {
			t.Error(err)
		}
	}
}

func TestAnAuthorityOfBeforeLeavesThePurposesAsTheyAre(t *testing.T) {
	h, ctx := found(t, Suite1, hourly), context.Background()
	h.refusals = refusals("malformed")
	if err := h.session.Rekey(ctx, Suite1, ProofPurpose); err != nil || h.count("rekey") != 2 || len(h.state().branches) != 4 {
		t.Error(err, h.log)
	}
	h.refusals = refusals("malformed")
	h.refusedAs("malformed", Mend, h.session.Rekey(ctx, Suite1))
}

func TestTheIdentityKeyIsReadInBothForms(t *testing.T) {
	h := found(t, Suite1, hourly)
	inPEM := func(key *ecdsa.PrivateKey) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must[[]byte](t)(x509.MarshalPKIXPublicKey(&key.PublicKey))})
	}
	for _, right := range [][]byte{inPEM(h.identity), []byte(hex.EncodeToString(h.identityKey()) + "\n")} {
		if !must[*IdentityKey](t)(ParseIdentityKey(right)).key.Equal(&h.identity.PublicKey) {
			t.Error("another key")
		}
	}
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	offTheCurve := slices.Clone(h.identityKey())
	offTheCurve[64] ^= 1
	for _, wrong := range [][]byte{
		nil, []byte("zz"), []byte("04"), {0xff}, []byte("-----BEGIN PUBLIC KEY-----\n"), inPEM(p384),
		[]byte(hex.EncodeToString(offTheCurve)), []byte(hex.EncodeToString(h.identityKey()) + "00"),
	} {
		if _, err := ParseIdentityKey(wrong); !isMalformed(err) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// The file is of the Python package as well; it is never changed, only joined by others.
func TestAStateOfBeforeIsRead(t *testing.T) {
	s := must[*state](t)(parseState(golden(t)))
	if s.tenant != "klinik-nord" || s.deviceID != "pump-0001" || s.generation != 3 || s.suite != Suite2 || s.isProven {
		t.Errorf("%s %s %d %d", s.tenant, s.deviceID, s.generation, s.suite)
	}
	for purpose, expected := range map[Purpose][3]uint64{
		ProofPurpose: {5, 17, 2}, TokenPurpose: {4, 3, 1}, DataPurpose: {0, 0, 0}, FilePurpose: {lastEpoch, maxNumber + 1, math.MaxUint64},
	} {
		branch := s.branches[purpose]
		if got := [3]uint64{branch.tree.first(), branch.number, branch.taken}; got != expected {
			t.Errorf("%s: %v", purpose, got)
		}
	}
}

func golden(t *testing.T) []byte {
	return must[[]byte](t)(os.ReadFile("../testdata/state.json"))
}

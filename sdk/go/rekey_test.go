package device

import (
	"context"
	"slices"
	"testing"
)

// Section 6: the next generation, and its purposes.

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
	// It is asked for the same suite again, and nobody else is asked again without purposes.
	h = found(t, Suite1, hourly)
	h.refusals = refusals("malformed")
	if err := h.session.Rekey(ctx, Suite2, ProofPurpose); err != nil || h.device.Suite() != Suite2 {
		t.Error(err, h.device.Suite())
	}
	h = found(t, Suite1, hourly)
	h.refusals = refusals("suspended")
	h.refusedAs("suspended", actions["suspended"], h.session.Rekey(ctx, Suite1, ProofPurpose))
	if h.count("rekey") != 1 {
		t.Error(h.log)
	}
}

func TestAnAuthorityThatWantsARekeyAfterEachLetsGo(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.refusals = append([]*RefusedError{nil}, refusals("rekey-required")...)
	h.refusedAs("rekey-required", Rekey, h.session.Rekey(context.Background(), Suite1))
	if h.count("rekey") != 1 || h.device.Generation() != 2 {
		t.Error(h.log)
	}
}

package device

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
)

// Section 5: what a device does, and what it saves before it does.

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
	before, parsed := len(h.saved), must[*Reply](t)(ParseReply(right))
	for _, wrong := range []*Reply{{parsed.ServerTime, [32]byte{}, nil}, {parsed.ServerTime + 1, parsed.Ack, nil}, {parsed.ServerTime, parsed.Ack, []byte("x")}} {
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

package device

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// Section 3.1: which epochs and numbers a device takes.

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

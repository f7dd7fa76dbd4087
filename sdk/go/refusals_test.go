package device

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Section 13: the table is complete, and the session does what it says.

func TestTheTableIsThatOfTheSpecification(t *testing.T) {
	spec := string(must[[]byte](t)(os.ReadFile(repository + "crates/ddkg/SPEC.md")))
	_, section, is := strings.Cut(spec, "\n## 13. ")
	if !is {
		t.Fatal("there is no section 13")
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| \\*([^*]+)\\* \\| .+ \\|$").FindAllStringSubmatch(section, -1)
	if len(rows) < 50 || len(rows) != len(actions) {
		t.Errorf("the table has %d rows, and this one %d", len(rows), len(actions))
	}
	for _, row := range rows {
		if actions[row[1]] != Action(row[2]) {
			t.Errorf("%s: %s, and not %s", row[1], row[2], actions[row[1]])
		}
	}
	words := regexp.MustCompile(`(?m)^\| \*([^*]+)\* \| .+ \|$`).FindAllStringSubmatch(section, -1)
	for _, word := range words {
		if codes[Action(word[1])] == "" {
			t.Errorf("there is no action %q", word[1])
		}
	}
	if len(words) != len(codes) {
		t.Errorf("%d actions, and not %d", len(words), len(codes))
	}
}

func TestACodeThatIsNotKnown(t *testing.T) {
	const later = "of-a-later-release"
	for _, c := range []struct {
		code, status string
		action       Action
	}{
		{"suspended", "UNAVAILABLE", SeekHelp},
		{later, "UNAVAILABLE", Wait},
		{later, "RESOURCE_EXHAUSTED", Wait},
		{later, "INVALID_ARGUMENT", Mend},
		{later, "UNIMPLEMENTED", Mend},
		{later, "FAILED_PRECONDITION", SeekHelp},
		{later, "", SeekHelp},
		// Not the authority's: a proxy's, say.
		{"", "PERMISSION_DENIED", Wait},
		{"", "UNIMPLEMENTED", Wait},
	} {
		if got := ActionOf(c.code, c.status); got != c.action {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func refusals(codes ...string) (all []*RefusedError) {
	for _, code := range codes {
		if code == "" {
			all = append(all, nil)
		} else {
			all = append(all, Refused(code, "FAILED_PRECONDITION", "", 0, 0))
		}
	}
	return all
}

func (h *house) refusedAs(code string, action Action, err error) {
	h.t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != code || refused.Action != action {
		h.t.Errorf("%v, and not %s: %s", err, code, action)
	}
}

func (h *house) count(entry string) (count int) {
	for _, each := range h.log {
		if each == entry {
			count++
		}
	}
	return count
}

func TestAsksAgainAtMostSixTimes(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.refusals = refusals(slices.Repeat([]string{"replayed"}, 5)...)
	h.authenticate()
	h.refusals = refusals(slices.Repeat([]string{"replayed"}, 9)...)
	h.refusedAs("replayed", SeekHelp, h.session.Authenticate(context.Background()))
	// Each answered a challenge of its own.
	if h.count("authenticate") != 12 || h.count("challenge") != 12 {
		t.Error(h.log)
	}
}

func TestTakesTheEpochThatIsNamed(t *testing.T) {
	h := found(t, Suite1, Schedule{0, 0, 1000})
	spent := func(next uint64) *RefusedError { return Refused("epoch-spent", "FAILED_PRECONDITION", "", next, 0) }
	last := func(expected place) {
		t.Helper()
		h.authenticate()
		if got := h.places[len(h.places)-1]; got != expected {
			t.Errorf("%v, and not %v", got, expected)
		}
	}
	h.refusals = []*RefusedError{spent(70)}
	last(place{1, 70, 1})
	h.refusals = []*RefusedError{spent(1e9), Refused("epoch-ahead", "FAILED_PRECONDITION", "", 0, 0)}
	last(place{1, 70, 4})
	// None is named: the next.
	h.refusals = []*RefusedError{spent(0)}
	last(place{1, 71, 6})
}

func TestConfirmsAndAsksAgain(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.refusals = refusals("enrollment-pending")
	h.authenticate()
	if !slices.Equal(h.log, []string{"challenge", "authenticate", "confirm", "challenge", "authenticate"}) {
		t.Error(h.log)
	}
	h.refusals = refusals("pending")
	h.refusedAs("pending", SeekHelp, h.session.Authenticate(context.Background()))
}

func TestRekeysAndAsksAgain(t *testing.T) {
	h := found(t, Suite2, hourly)
	h.refusals = refusals("rekey-required")
	h.authenticate()
	if h.device.Generation() != 2 || h.device.Suite() != Suite2 || h.count("rekey") != 1 || h.count("authenticate") != 3 {
		t.Error(h.log)
	}
}

func TestAnAuthorityThatAlwaysWantsARekeyLetsGo(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.refusals = refusals(append([]string{"rekey-required", ""}, slices.Repeat([]string{"rekey-required"}, 50)...)...)
	h.refusedAs("rekey-required", Rekey, h.session.Authenticate(context.Background()))
	if h.device.Generation() != 2 {
		t.Error(h.device)
	}
}

func TestTakesTheHigherSuiteAndNeverALowerOne(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.refusals = refusals("suite-not-allowed")
	if err := h.session.Rekey(context.Background(), Suite1); err != nil || h.device.Suite() != Suite2 {
		t.Error(err)
	}
	h.refusals = refusals("suite-not-allowed")
	h.refusedAs("suite-not-allowed", TakeSuite, h.session.Rekey(context.Background(), Suite2))
	if h.device.Generation() != 2 {
		t.Error(h.device)
	}
}

func TestNothingElseIsSentTwiceAtOnce(t *testing.T) {
	for code, action := range actions {
		if slices.Contains([]Action{AskAgain, TakeEpoch, Confirm, Rekey}, action) {
			continue
		}
		h := found(t, Suite1, hourly)
		h.refusals = refusals(code)
		before := h.state().branches[ProofPurpose].tree.encode()
		h.refusedAs(code, action, h.session.Authenticate(context.Background()))
		// No refusal erases anything.
		if !slices.Equal(h.log, []string{"challenge", "authenticate"}) || !slices.Equal(h.state().branches[ProofPurpose].tree.encode(), before) {
			t.Error(code, h.log)
		}
		h.authenticate()
	}
}

func TestAFalseReplyIsAskedForAgain(t *testing.T) {
	h := found(t, Suite1, hourly)
	left := 2
	h.between = func(reply []byte) []byte {
		if left--; left >= 0 {
			reply[20] ^= 1
		}
		return reply
	}
	h.authenticate()
	left = 100
	if err := h.session.Authenticate(context.Background()); !errors.Is(err, ErrUntrusted) {
		t.Error(err)
	}
	if h.count("authenticate") != 3+6 {
		t.Error(h.log)
	}
}

func TestTheOtherActions(t *testing.T) {
	h, ctx := found(t, Suite1, hourly), context.Background()
	h.bodies = map[string][]byte{"certificate": frame(frame(nil, "leaf"), "ca"), "trust-bundle": []byte("PEM")}
	if chain := must[[][]byte](t)(h.session.Certificate(ctx, []byte("csr"))); len(chain) != 2 {
		t.Error(chain)
	}
	if bundle := must[[]byte](t)(h.session.TrustBundle(ctx)); string(bundle) != "PEM" {
		t.Error(bundle)
	}
	if err := h.session.Announce(ctx, Attributes{"a b": nil}); !isMalformed(err) {
		t.Error(err)
	}
	if err := h.session.Announce(ctx, Attributes{"board": []byte("x"), "firmware": []byte("4")}); err != nil {
		t.Error(err)
	}
	h.rekeyDue = true
	h.authenticate()
	if !h.session.RekeyDue {
		t.Error("a rekey is due")
	}
	h.rekeyDue = false
	if err := h.session.Rekey(ctx, Suite1); err != nil || h.session.RekeyDue {
		t.Error(err)
	}
}

func TestPauses(t *testing.T) {
	patience := &Patience{}
	between := func(refused *RefusedError, least, most time.Duration) {
		t.Helper()
		if pause, again := patience.After(refused); !again || pause < least || most < pause {
			t.Errorf("%v: %v, and not %v to %v", refused, pause, least, most)
		}
	}
	overloaded := Refused("overloaded", "UNAVAILABLE", "", 0, 0)
	for _, bound := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600} {
		between(overloaded, bound*time.Second/2, bound*time.Second)
	}
	patience.Answered()
	between(Refused("suspended", "PERMISSION_DENIED", "", 0, time.Hour), 2*time.Second, 5*time.Second)
	between(Refused("rate-limited", "RESOURCE_EXHAUSTED", "", 0, 30*time.Second), 30*time.Second, 30*time.Second)
	between(Refused("rate-limited", "RESOURCE_EXHAUSTED", "", 0, time.Second), time.Second, 20*time.Second)
	between(Refused("revoked", "PERMISSION_DENIED", "", 0, 0), day, day)
	if _, again := patience.After(Refused("malformed", "INVALID_ARGUMENT", "", 0, 0)); again {
		t.Error("what is malformed never succeeds")
	}
}

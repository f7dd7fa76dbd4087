package device

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Section 13: what the device does about a refusal. The table is complete; a test compares it with SPEC.md.

// Action is what the device does; its text is SPEC's word for it.
type Action string

const (
	// AskAgain: prove the request again, at once, at most six times in a row; then as SeekHelp.
	AskAgain Action = "ask again"
	// TakeEpoch: take the epoch named, and prove the request again.
	TakeEpoch Action = "take the epoch"
	// Confirm: send the confirmation of the enrollment, then the request again.
	Confirm Action = "confirm"
	// Rekey, then send the request again.
	Rekey Action = "rekey"
	// TakeSuite: ask for the rekey with suite 2, never with a lower one.
	TakeSuite Action = "take the suite"
	// Wait: the same again after a pause that doubles, or that the refusal names.
	Wait Action = "wait"
	// SeekHelp: say so where a person sees it, and try again in a pause that doubles up to an hour.
	SeekHelp Action = "seek help"
	// Stop: say so where a person sees it, and ask for nothing more but once a day.
	Stop Action = "stop"
	// Mend: say so where a person sees it; the same request never succeeds.
	Mend Action = "mend"
)

var codes = map[Action]string{
	AskAgain:  "challenge-expired challenge-from-the-future challenge-unknown replayed",
	TakeEpoch: "epoch-ahead epoch-spent",
	Confirm:   "enrollment-pending pending",
	Rekey:     "rekey-required",
	TakeSuite: "suite-not-allowed",
	Wait: `
		broken-off clock-held contended issuance-revoked made-key-quota overloaded rate-limited request-timeout
		signatures-exhausted signer-unavailable stopping store-unavailable
	`,
	SeekHelp: `
		already-enrolled attest-magic attest-nonce attest-signature attribute-dropped ca-missing certificate-name-unfit
		certificate-profile-beyond-ca clone-suspected confirmation-wrong csr-key-not-accepted device-unknown fault
		generation-pending generation-retired generation-unknown internal keeper-not-allowed key-policy-changed
		keys-after-backup line-unknown mac-wrong pcr-changed pcr-digest pcr-selection pcr-unknown pcr-value
		protocol-contradicts quarantined quote-missing quote-without-tpm receipt-contradicts receipt-replayed
		release-at-device-off release-needs-site release-state release-unknown repository-unknown retention-full
		signature-wrong suspended update-quota visit-closed visit-not-released visit-quota visit-unknown
	`,
	Stop: "retired revoked transferred",
	Mend: `
		action-needs-derived-keys action-unknown attest-scheme attest-type attribute-unknown body-wrong csr-key
		csr-key-of-another csr-malformed csr-rsa-exponent csr-rsa-modulus csr-rsa-roca csr-signature csr-signature-algorithm
		csr-too-long csr-trailing-bytes csr-version malformed method-unknown not-supported protocol-other-device
		protocol-other-visit protocol-window receipt-other-device receipt-other-release share-invalid too-large tpm-too-long
		tpm-trailing-bytes tpm-truncated tpm-unsupported tpm-value transfer-unknown wrong-device
	`,
}

var actions = func() map[string]Action {
	table := map[string]Action{}
	for action, all := range codes {
		for _, code := range strings.Fields(all) {
			table[code] = action
		}
	}
	return table
}()

// ActionOf takes the code, or "", and gRPC's name of the status, such as UNAVAILABLE. An answer without a code is not the
// authority's: the device waits.
func ActionOf(code, status string) Action {
	if code == "" {
		return Wait
	}
	if action, is := actions[code]; is {
		return action
	}
	// A later release's code.
	switch status {
	case "UNAVAILABLE", "RESOURCE_EXHAUSTED":
		return Wait
	case "INVALID_ARGUMENT", "UNIMPLEMENTED":
		return Mend
	}
	return SeekHelp
}

// RefusedError says that the request was refused, or not answered by the authority. Nothing authenticates that, so it erases nothing.
type RefusedError struct {
	// Code is the authority's, or "".
	Code string
	// Status is gRPC's name of it.
	Status string
	Words  string
	// NextEpoch is the one that `epoch-spent` names.
	NextEpoch uint64
	// Pause is the one that the refusal names for Wait.
	Pause time.Duration
	// Action is what the device does.
	Action Action
}

// Refused makes one of what came.
func Refused(code, status, words string, nextEpoch uint64, pause time.Duration) *RefusedError {
	return &RefusedError{code, status, words, nextEpoch, pause, ActionOf(code, status)}
}

func (e *RefusedError) Error() string {
	code := e.Code
	if code == "" {
		code = "no answer of the authority"
	}
	if e.Words == "" {
		return fmt.Sprintf("%s (%s)", code, e.Status)
	}
	return fmt.Sprintf("%s (%s): %s", code, e.Status, e.Words)
}

// Patience says how long to wait before the same again. It is a share of a bound, so that a fleet does not come back as one. Its zero
// value is ready.
type Patience struct {
	bound time.Duration
}

const (
	firstPause = 5 * time.Second
	lastPause  = time.Hour
	day        = 24 * time.Hour
)

// After gives the pause, or false where the same request never succeeds.
func (p *Patience) After(refused *RefusedError) (time.Duration, bool) {
	switch refused.Action {
	case Mend:
		return 0, false
	case Stop:
		return day, true
	}
	bound := max(p.bound, firstPause)
	p.bound = min(2*bound, lastPause)
	least := bound / 2
	if refused.Action == Wait && refused.Pause > 0 {
		least, bound = refused.Pause, max(bound, refused.Pause)
	}
	return least + rand.N(bound-least+1), true
}

// Answered is to be called when a request was acknowledged.
func (p *Patience) Answered() { p.bound = 0 }

package device

import "math/rand/v2"

// Section 11.3: when a certificate is to be renewed.

// Window is in Unix seconds, both within it.
type Window struct{ Start, End uint64 }

// Where the authority says nothing, in percent: two thirds, and some of them sooner or later.
const usualFrom, usualTo = 58, 74

// RenewAt is a moment at random in the window that the authority told beside the certificate, so that a fleet does not return at once; in
// the usual one where it told none, or none to go by. now is the known time when the certificate came.
func RenewAt(told *Window, now, notAfter uint64) uint64 {
	span := max(notAfter, now) - now
	window := Window{now + span/100*usualFrom, now + span/100*usualTo}
	// Nothing authenticates it: neither may it wear the device out, nor leave it without a certificate.
	if told != nil && now+span/10 <= told.Start && told.Start <= told.End && told.End <= notAfter {
		window = *told
	}
	return window.Start + rand.Uint64N(window.End-window.Start+1)
}

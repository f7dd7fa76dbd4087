package device

import (
	"errors"
	"fmt"
)

// No error carries a key, an attribute's value or the bytes of a message.
var (
	// ErrUntrusted: a signature, confirmation or ack is wrong. What came is not the authority's, and nothing was changed by it.
	ErrUntrusted = errors.New("not the authority's")
	// ErrOvertaken: the question or request was given up, because a later question was asked or it was answered already. Ask again.
	ErrOvertaken = errors.New("answered or given up; ask again")
	// ErrNotMeasured: the authority asks for an attribute that the device did not measure.
	ErrNotMeasured = errors.New("not measured")
	// ErrProveFirst: before its first token a generation needs one acknowledged proof (sections 4 and 6).
	ErrProveFirst = errors.New("no proof of this generation was acknowledged; authenticate first")
	// ErrExhausted: the purpose has no number or epoch left in this generation (section 5).
	ErrExhausted = errors.New("no number is left in this generation")
	// ErrState: the state cannot be read, is not of this format, or is in use by another process.
	ErrState = errors.New("state")
)

// MalformedError is about bytes that are no message of section 11, or a value out of its bounds.
type MalformedError struct {
	Field string
	Why   string
}

func (e *MalformedError) Error() string {
	return e.Field + " " + e.Why
}

func malformed(field, why string, arguments ...any) error {
	return &MalformedError{Field: field, Why: fmt.Sprintf(why, arguments...)}
}

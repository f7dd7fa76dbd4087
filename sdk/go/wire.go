package device

import "unicode/utf8"

// reader reads fields in order from bytes that came from outside: each is bounded, and read once. After a first error it reads zeros,
// and end gives that error.
type reader struct {
	rest []byte
	err  error
}

func newReader(data []byte, kind byte) *reader {
	r := &reader{rest: data}
	if r.number("kind", 1, 0) != uint64(kind) && r.err == nil {
		r.fail("kind", "is not %d", kind)
	}
	return r
}

func (r *reader) fail(field, why string, arguments ...any) {
	if r.err == nil {
		r.err = malformed(field, why, arguments...)
		r.rest = nil
	}
}

func (r *reader) take(field string, length int) []byte {
	if r.err != nil || len(r.rest) < length {
		r.fail(field, "is cut short")
		return nil
	}
	taken := r.rest[:length:length]
	r.rest = r.rest[length:]
	return taken
}

func (r *reader) number(field string, length int, least uint64) uint64 {
	var number uint64
	for _, each := range r.take(field, length) {
		number = number<<8 | uint64(each)
	}
	if number < least {
		r.fail(field, "is below %d", least)
	}
	return number
}

func (r *reader) keyNumber() uint64 {
	number := r.number("number", 8, 0)
	if number > maxNumber {
		r.fail("number", "is above the last that there is")
	}
	return number
}

func (r *reader) framed(field string, least, most int) []byte {
	length := r.number(field, 4, 0)
	// Judged before anything is taken.
	if length < uint64(least) || uint64(most) < length {
		r.fail(field, "has not %d to %d bytes", least, most)
	}
	return r.take(field, int(length))
}

func (r *reader) text(field string, most int, check func(string) error) string {
	text := r.framed(field, 0, most)
	if r.err != nil {
		return ""
	}
	if !utf8.Valid(text) {
		r.fail(field, "is not UTF-8")
	} else if err := check(string(text)); err != nil {
		r.fail(field, whyText)
	}
	return string(text)
}

func (r *reader) end(message string) error {
	if len(r.rest) > 0 {
		r.fail(message, "has bytes after its end")
	}
	return r.err
}

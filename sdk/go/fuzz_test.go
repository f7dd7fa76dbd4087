package device

import (
	"bytes"
	"os"
	"testing"
)

// No bytes bring a parser down, and no value has two encodings. `go test` takes the seeds; `go test -fuzz FuzzMessages` goes on.
func FuzzMessages(f *testing.F) {
	for _, message := range [][]byte{
		enrollment(1, 65, "k", "a", "b"), enrollment(2, 1249, "k"),
		(&EnrollmentReply{Suite1, make([]byte, 65), 1, times, make([]byte, 72), b32}).Encode(),
		(&Confirmation{someTenant, someDevice, b32}).Encode(), recipe("a", "b"),
		(&Proof{someTenant, someDevice, []byte("c"), b32, 1, 1, 1, "rekey", b32, b32}).Encode(),
		(&Reply{7, b32, []byte("body")}).Encode(), token("iot", 8, 1), sealed("ddkg1:k/d/1.data.0.0", 20),
	} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || kinds[data[0]] == nil {
			return
		}
		again, err := kinds[data[0]](data)
		if err == nil && !bytes.Equal(again, data) {
			t.Errorf("%x is encoded as %x", data, again)
		}
		if err != nil && !isMalformed(err) {
			t.Error(err)
		}
	})
}

func FuzzState(f *testing.F) {
	saved, err := os.ReadFile("../testdata/state.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved)
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseState(data); err == nil && !bytes.Equal(s.encode(), data) {
			t.Errorf("%q has two forms", data)
		}
	})
}

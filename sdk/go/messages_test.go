package device

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

// Section 11: one encoding of each value, no byte less, and none more.

var (
	b32   = [32]byte{1, 2, 3}
	times = Schedule{3600, 1000, 1_790_000_000}
)

const (
	someTenant = "klinik-nord"
	someDevice = "pump-0001"
)

// kinds parses each message and encodes it again.
var kinds = map[byte]func([]byte) ([]byte, error){
	1: func(data []byte) ([]byte, error) {
		m, err := ParseEnrollmentRequest(data)
		if err != nil {
			return nil, err
		}
		return m.Encode()
	},
	2: func(data []byte) ([]byte, error) { m, err := ParseEnrollmentReply(data); return m.Encode(), err },
	3: func(data []byte) ([]byte, error) { m, err := ParseConfirmation(data); return m.Encode(), err },
	4: func(data []byte) ([]byte, error) { m, err := ParseChallenge(data); return m.Encode(), err },
	5: func(data []byte) ([]byte, error) { m, err := ParseProof(data); return m.Encode(), err },
	6: func(data []byte) ([]byte, error) { m, err := ParseReply(data); return m.Encode(), err },
	7: func(data []byte) ([]byte, error) { m, err := ParseToken(data); return m.Encode(), err },
	8: func(data []byte) ([]byte, error) { m, err := ParseSealedPayload(data); return m.Encode(), err },
}

func TestAMessageIsReadBackAndNoOtherLengthIs(t *testing.T) {
	request := func(suite Suite, length int, attributes Attributes) []byte {
		return must[[]byte](t)((&EnrollmentRequest{suite, someTenant, someDevice, b32, make([]byte, length), attributes}).Encode())
	}
	for _, message := range []struct {
		encoded []byte
		// Attributes run to the end, so some beginnings of such a request are requests.
		beginnings int
	}{
		{request(Suite1, 65, Attributes{"a": nil, "b": []byte("x")}), 2},
		{request(Suite2, 1249, nil), 0},
		{(&EnrollmentReply{Suite1, make([]byte, 65), 1, times, make([]byte, 72), b32}).Encode(), 0},
		{(&EnrollmentReply{Suite2, make([]byte, 1153), math.MaxUint64, times, make([]byte, 8), b32}).Encode(), 0},
		{(&Confirmation{someTenant, someDevice, b32}).Encode(), 0},
		{(&Challenge{[]byte("x"), 7, nil}).Encode(), 0},
		{(&Challenge{make([]byte, 255), math.MaxUint64, []string{"firmware", "board"}}).Encode(), 0},
		{(&Proof{someTenant, someDevice, []byte("c"), b32, 1, math.MaxUint32, maxNumber, "trust-bundle", b32, b32}).Encode(), 0},
		{(&Reply{7, b32, nil}).Encode(), 0},
		{(&Reply{7, b32, make([]byte, 1<<20)}).Encode(), 0},
		{(&Token{someTenant, someDevice, 1, 0, 0, "a", nil, 0, b32}).Encode(), 0},
		{(&Token{someTenant, someDevice, 1, 0, 0, strings.Repeat("ä", 127), make([]byte, 64), math.MaxUint64, b32}).Encode(), 0},
		{(&SealedPayload{KeyName{someTenant, someDevice, 1, DataPurpose, 0, 0}, [12]byte{1}, make([]byte, 16)}).Encode(), 0},
	} {
		encoded := message.encoded
		parse := kinds[encoded[0]]
		if again := must[[]byte](t)(parse(encoded)); !bytes.Equal(again, encoded) {
			t.Errorf("kind %d is not read back", encoded[0])
		}
		taken := 0
		for length := range min(len(encoded), 3000) {
			if _, err := parse(encoded[:length:length]); err == nil {
				taken++
			} else if !isMalformed(err) {
				t.Error(err)
			}
		}
		if taken != message.beginnings {
			t.Errorf("kind %d: %d beginnings are taken", encoded[0], taken)
		}
		for _, more := range [][]byte{{0}, {0, 0, 0, 1, 'a'}, encoded} {
			if _, err := parse(append(bytes.Clone(encoded), more...)); !isMalformed(err) {
				t.Errorf("kind %d with bytes after its end: %v", encoded[0], err)
			}
		}
		for _, kind := range []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 255} {
			if other := append([]byte{kind}, encoded[1:]...); kind != encoded[0] {
				if _, err := parse(other); !isMalformed(err) {
					t.Errorf("kind %d as %d: %v", kind, encoded[0], err)
				}
			}
		}
	}
}

func head(kind byte, tenant, deviceID string) []byte {
	return frame(frame([]byte{kind}, tenant), deviceID)
}

func enrollment(suite uint16, share int, tenant string, attributes ...string) []byte {
	out := append(append(u16([]byte{1}, suite), head(1, tenant, "pump-1")[1:]...), b32[:]...)
	out = frame(out, make([]byte, share))
	for _, name := range attributes {
		out = frame(frame(out, name), "x")
	}
	return out
}

func recipe(names ...string) []byte { return (&Challenge{[]byte("c"), 0, names}).Encode() }

func sealed(name string, tag int) []byte {
	return frame(append(frame([]byte{8}, name), make([]byte, 12)...), make([]byte, tag))
}

func token(audience string, nonce int, generation uint64) []byte {
	out := append(u64(head(7, "klinik", "pump-1"), generation), make([]byte, 12)...)
	return append(u64(frame(frame(out, audience), make([]byte, nonce)), 0), b32[:]...)
}

func numbered(count int) (names []string) {
	for at := range count {
		names = append(names, fmt.Sprintf("%02d", at))
	}
	return names
}

func TestWhatIsOutOfBoundsIsRefused(t *testing.T) {
	reply := func(generation uint64, signature int) []byte {
		return (&EnrollmentReply{Suite1, make([]byte, 65), generation, times, make([]byte, signature), b32}).Encode()
	}
	confirmation := func(deviceID string) []byte { return append(head(3, "klinik", deviceID), b32[:]...) }
	value := func(length int) []byte { return frame(frame(enrollment(1, 65, "k"), "a"), make([]byte, length)) }
	const name = "ddkg1:k/d/1.data.0.0"
	cases := []struct {
		what         string
		right, wrong []byte
	}{
		{"suite 0", enrollment(1, 65, "k"), enrollment(0, 65, "k")},
		{"suite 3", enrollment(1, 65, "k"), enrollment(3, 65, "k")},
		{"a share of suite 2 in suite 1", enrollment(2, 1249, "k"), enrollment(1, 1249, "k")},
		{"a share of suite 1 in suite 2", enrollment(1, 65, "k"), enrollment(2, 65, "k")},
		{"a share one short", enrollment(1, 65, "k"), enrollment(1, 64, "k")},
		{"an empty tenant", enrollment(1, 65, "k"), enrollment(1, 65, "")},
		{"a tenant with a capital", enrollment(1, 65, "k"), enrollment(1, 65, "K")},
		{"a tenant that starts with -", enrollment(1, 65, "k-k"), enrollment(1, 65, "-k")},
		{"a tenant that ends with -", enrollment(1, 65, "k-k"), enrollment(1, 65, "k-")},
		{"a tenant of 64", enrollment(1, 65, strings.Repeat("k", 63)), enrollment(1, 65, strings.Repeat("k", 64))},
		{"a tenant with a line break", enrollment(1, 65, "k"), enrollment(1, 65, "k\n")},
		{"a tenant that is not UTF-8", enrollment(1, 65, "k"), enrollment(1, 65, "\xff")},
		{"attributes out of order", enrollment(1, 65, "k", "a", "b"), enrollment(1, 65, "k", "b", "a")},
		{"an attribute twice", enrollment(1, 65, "k", "a"), enrollment(1, 65, "k", "a", "a")},
		{"65 attributes", enrollment(1, 65, "k", numbered(64)...), enrollment(1, 65, "k", numbered(65)...)},
		{"an attribute with a space in its name", enrollment(1, 65, "k", "a"), enrollment(1, 65, "k", "a b")},
		{"an attribute's name of 65", enrollment(1, 65, "k", strings.Repeat("a", 64)), enrollment(1, 65, "k", strings.Repeat("a", 65))},
		{"an attribute's value of 4097", value(4096), value(4097)},
		{"generation 0", reply(1, 72), reply(0, 72)},
		{"a signature of 73", reply(1, 72), reply(1, 73)},
		{"a device id with a slash", confirmation("a"), confirmation("a/b")},
		{"a device id of 129", confirmation(strings.Repeat("a", 128)), confirmation(strings.Repeat("a", 129))},
		{"an empty challenge", (&Challenge{Challenge: []byte("c")}).Encode(), (&Challenge{}).Encode()},
		{"a challenge of 256", (&Challenge{Challenge: make([]byte, 255)}).Encode(), (&Challenge{Challenge: make([]byte, 256)}).Encode()},
		{"a recipe with a name twice", recipe("a", "b"), recipe("a", "a")},
		{"a recipe of 65", recipe(numbered(64)...), recipe(numbered(65)...)},
		{"an empty audience", token("iot", 0, 1), token("", 0, 1)},
		{"an audience of 256", token(strings.Repeat("a", 255), 0, 1), token(strings.Repeat("a", 256), 0, 1)},
		{"a platform nonce of 65", token("iot", 64, 1), token("iot", 65, 1)},
		{"a token of generation 0", token("iot", 0, 1), token("iot", 0, 0)},
		{
			"a token's number above the last",
			(&Token{"k", "d", 1, 0, maxNumber, "a", nil, 0, b32}).Encode(), (&Token{"k", "d", 1, 0, maxNumber + 1, "a", nil, 0, b32}).Encode(),
		},
		{
			"a proof's number above the last",
			(&Proof{"k", "d", []byte("c"), b32, 1, 0, maxNumber, "a", b32, b32}).Encode(),
			(&Proof{"k", "d", []byte("c"), b32, 1, 0, maxNumber + 1, "a", b32, b32}).Encode(),
		},
		{"a body above 1 MiB", (&Reply{0, b32, make([]byte, 1<<20)}).Encode(), (&Reply{0, b32, make([]byte, 1<<20+1)}).Encode()},
		{"a ciphertext without a tag", sealed(name, 16), sealed(name, 15)},
	}
	for _, wrong := range []string{
		"", "ddkg1:k/d/1.file.0.0", "ddkg1:k/d/0.data.0.0", "ddkg1:k/d/01.data.0.0", "ddkg1:k/d/1.data.00.0", "ddkg1:k/d/1.data.0.00",
		"ddkg1:k/d/+1.data.0.0", "ddkg1:k/d/1.data.4294967296.0", "ddkg1:k/d/1.data.0.18446744073709551616", "ddkg1:k/d/1.data.0.9223372036854775808",
		"ddkg1:k/d/18446744073709551616.data.0.0", "ddkg1:k/d/1.data.0", "ddkg1:k/d/e/1.data.0.0", "ddkg1:K/d/1.data.0.0",
		"ddkg2:k/d/1.data.0.0", "ddkg1:k/d/1.data.0.0\n", "ddkg1:k/d/1.data.0.\u0661",
	} {
		cases = append(cases, struct {
			what         string
			right, wrong []byte
		}{"the key name " + wrong, sealed(name, 16), sealed(wrong, 16)})
	}
	for _, each := range "\n\x00\x7f\u0085\u00ad\u200b\u202e\u2028\u2029\ufeff\U000e0041" {
		cases = append(cases, struct {
			what         string
			right, wrong []byte
		}{fmt.Sprintf("an audience with %U", each), token("a\u00a0b „1“", 0, 1), token(fmt.Sprintf("a%cb", each), 0, 1)})
	}
	for _, c := range cases {
		parse := kinds[c.right[0]]
		// The nearest that is within.
		if _, err := parse(c.right); err != nil {
			t.Errorf("%s: its control: %v", c.what, err)
		}
		if _, err := parse(c.wrong); !isMalformed(err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestKeyNamesAtTheirBounds(t *testing.T) {
	name := KeyName{strings.Repeat("k", 63), strings.Repeat("d", 128), math.MaxUint64, FilePurpose, math.MaxUint32, maxNumber}
	if got := must[KeyName](t)(ParseKeyName(name.String())); got != name {
		t.Error(got)
	}
}

func TestMessagesAsText(t *testing.T) {
	for _, data := range []string{"", "f", "fo", "foo", "\xfb\xff"} {
		if got := must[[]byte](t)(FromText(ToText([]byte(data)))); string(got) != data {
			t.Errorf("%q", got)
		}
	}
	if got := ToText([]byte{0xfb, 0xff}); got != "+/8=" {
		t.Error(got)
	}
	for _, wrong := range []string{"+/8", "-_8=", "+/9=", " +/8=", "+/8=\n", "+/8==", "+/8=+/8=", "ä", "="} {
		if _, err := FromText(wrong); !isMalformed(err) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// 6 and 7 are the hybrid forms of SEC 1, which some libraries take.
func TestAPointInAnotherFormIsRefused(t *testing.T) {
	own, other := must[*ephemeral](t)(newEphemeral(Suite1)), must[*ephemeral](t)(newEphemeral(Suite1)).share
	must[[]byte](t)(own.agree(other))
	for _, first := range []byte{0, 2, 3, 5, 6, 7} {
		if _, err := own.agree(append([]byte{first}, other[1:]...)); !isMalformed(err) {
			t.Errorf("%d: %v", first, err)
		}
	}
	for _, wrong := range [][]byte{append([]byte{2 + other[64]%2}, other[1:33]...), make([]byte, 65), nil} {
		if _, err := own.agree(wrong); !isMalformed(err) {
			t.Errorf("%d bytes: %v", len(wrong), err)
		}
	}
}

func TestReplyBodiesAreReadToTheirEnd(t *testing.T) {
	body := func(share int, generation uint64) []byte {
		out := u64(frame(nil, make([]byte, share)), generation)
		return u64(u64(u64(out, times.Period), times.MaxUses), times.NotBefore)
	}
	right := body(65, 2)
	if got := must[*rekeyReply](t)(parseRekeyReply(Suite1, right, nil)); got.schedule != times {
		t.Error(got)
	}
	for at, wrong := range [][]byte{append(bytes.Clone(right), 0), right[:len(right)-1], nil, body(65, 1), body(64, 2), body(1153, 2)} {
		if _, err := parseRekeyReply(Suite1, wrong, nil); !isMalformed(err) {
			t.Errorf("%d: %v", at, err)
		}
	}
	named := uint32(0b1101)
	if got := must[*rekeyReply](t)(parseRekeyReply(Suite1, u32(bytes.Clone(right), 5), &named)); *got.granted != 5 {
		t.Error(*got.granted)
	}
	for at, end := range [][]byte{nil, {0, 0, 5}, {0, 0, 0, 0, 5}, {0, 0, 0, 4}, {0, 0, 0, 3}, {0x80, 0, 0, 1}} {
		if _, err := parseRekeyReply(Suite1, append(bytes.Clone(right), end...), &named); !isMalformed(err) {
			t.Errorf("%d: %v", at, err)
		}
	}
	chain := frame(frame(nil, "leaf"), "ca")
	if got := must[[][]byte](t)(ParseCertificates(chain)); len(got) != 2 || string(got[0]) != "leaf" {
		t.Error(got)
	}
	for at, wrong := range [][]byte{nil, frame(nil, ""), append(bytes.Clone(chain), 0), chain[:len(chain)-1]} {
		if _, err := ParseCertificates(wrong); !isMalformed(err) {
			t.Errorf("%d: %v", at, err)
		}
	}
}

func TestCoversAreReadAsTheyAreWrittenAndNoOthers(t *testing.T) {
	frontier := must[tree](t)(treeOf(b32[:]).cover(5, lastEpoch)).encode()
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	wrong := [][]byte{
		nil, frontier[:len(frontier)-1], join(frontier, []byte{0}), join(frontier[37:74], frontier[:37]),
		join(frontier, frontier[len(frontier)-37:]),
	}
	for _, place := range [][5]byte{{33}, {255}, {0, 0, 0, 0, 1}, {1, 0, 0, 0, 2}} {
		wrong = append(wrong, join(place[:], b32[:]))
	}
	for at, data := range wrong {
		if _, err := parseTree(data); !isMalformed(err) {
			t.Errorf("%d: %v", at, err)
		}
	}
}

func TestWhatWasLeftBehindIsGone(t *testing.T) {
	whole := treeOf(b32[:])
	root := whole[0]
	moved := whole.advance(1000)
	for _, epoch := range []uint64{0, 999, lastEpoch + 1} {
		if _, err := moved.epochSecret(epoch); !isMalformed(err) {
			t.Errorf("%d: %v", epoch, err)
		}
	}
	if root.secret != [32]byte{} {
		t.Error("the root is in memory")
	}
	expected := must[[]byte](t)(treeOf(b32[:]).epochSecret(1000))
	if !bytes.Equal(must[[]byte](t)(moved.epochSecret(1000)), expected) || moved.advance(7).first() != 1000 {
		t.Error("the frontier")
	}
	if len(must[tree](t)(treeOf(b32[:]).cover(1, lastEpoch))) != 32 {
		t.Error("the cover is not the least")
	}
}

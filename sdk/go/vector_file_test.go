package device

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// Reads ddkg-1.vectors.json, and knows which of its values nobody has looked at.

const repository = "../../"

var vectors = func() map[string]any {
	// The variable is that of the Rust tests.
	path := os.Getenv("WARDEIN_DDKG_VECTORS")
	if path == "" {
		path = repository + "crates/ddkg/vectors/ddkg-1.vectors.json"
	}
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	decoder := json.NewDecoder(file)
	// A float would round what is above 2⁵³.
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		panic(err)
	}
	return all
}()

var (
	vectorTenant = vectors["tenant"].(string)
	vectorDevice = vectors["device_id"].(string)
)

func vectorAttributes() Attributes {
	attributes := Attributes{}
	for name, value := range vectors["attributes"].(map[string]any)["values"].(map[string]any) {
		attributes[name] = []byte(value.(string))
	}
	return attributes
}

// vector is an object of the file. It knows which of its values nobody has looked at.
type vector struct {
	t      *testing.T
	path   string
	fields map[string]any
	unread map[string]bool
	inner  []*vector
}

func newVector(t *testing.T, path string, fields map[string]any) *vector {
	v := &vector{t: t, path: path, fields: fields, unread: map[string]bool{}}
	for name := range fields {
		v.unread[name] = true
	}
	return v
}

func (v *vector) has(name string) bool { return v.fields[name] != nil }

func (v *vector) value(name string) any {
	v.t.Helper()
	if !v.has(name) {
		v.t.Fatalf("%s.%s is missing", v.path, name)
	}
	delete(v.unread, name)
	return v.fields[name]
}

func (v *vector) text(name string) string { v.t.Helper(); return v.value(name).(string) }

func (v *vector) hex(name string) []byte {
	v.t.Helper()
	data, err := hex.DecodeString(v.text(name))
	if err != nil {
		v.t.Fatalf("%s.%s: %v", v.path, name, err)
	}
	return data
}

func (v *vector) number(name string) uint64 {
	v.t.Helper()
	var number uint64
	if err := json.Unmarshal([]byte(v.value(name).(json.Number)), &number); err != nil {
		v.t.Fatalf("%s.%s: %v", v.path, name, err)
	}
	return number
}

// ofTheAuthority is what a device has nothing to compare with.
func (v *vector) ofTheAuthority(names ...string) {
	for _, name := range names {
		delete(v.unread, name)
	}
}

func (v *vector) texts(name string) (texts []string) {
	v.t.Helper()
	for _, each := range v.value(name).([]any) {
		texts = append(texts, each.(string))
	}
	return texts
}

func (v *vector) section(name string) *vector {
	v.t.Helper()
	inner := newVector(v.t, v.path+"."+name, v.value(name).(map[string]any))
	v.inner = append(v.inner, inner)
	return inner
}

func (v *vector) cases(name string) (cases []*vector) {
	v.t.Helper()
	for at, each := range v.value(name).([]any) {
		cases = append(cases, newVector(v.t, fmt.Sprintf("%s.%s.%d", v.path, name, at), each.(map[string]any)))
	}
	if len(cases) == 0 {
		v.t.Fatalf("%s.%s has nothing", v.path, name)
	}
	v.inner = append(v.inner, cases...)
	return cases
}

func (v *vector) allUnread() (paths []string) {
	for name := range v.unread {
		paths = append(paths, v.path+"."+name)
	}
	for _, inner := range v.inner {
		paths = append(paths, inner.allUnread()...)
	}
	slices.Sort(paths)
	return paths
}

// is compares with a value of the file.
func (v *vector) is(name string, got []byte) {
	v.t.Helper()
	if expected := v.hex(name); !bytes.Equal(got, expected) {
		v.t.Errorf("%s.%s is %x, and not %x", v.path, name, expected, got)
	}
}

func (v *vector) isNumber(name string, got uint64) {
	v.t.Helper()
	if expected := v.number(name); got != expected {
		v.t.Errorf("%s.%s is %d, and not %d", v.path, name, expected, got)
	}
}

func (v *vector) isText(name, got string) {
	v.t.Helper()
	if expected := v.text(name); got != expected {
		v.t.Errorf("%s.%s is %q, and not %q", v.path, name, expected, got)
	}
}

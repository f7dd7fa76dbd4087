package device

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// bundleFile has one that the authority's own code reads too, and the key that signed it.
func bundleFile(t *testing.T) (*IdentityKey, []byte) {
	text := string(must[[]byte](t)(os.ReadFile("../testdata/pin-bundle.txt")))
	lines := strings.Split(strings.TrimSpace(text), "\n")
	identity, _ := strings.CutPrefix(lines[0], "identity ")
	signed, _ := strings.CutPrefix(lines[1], "bundle ")
	return must[*IdentityKey](t)(ParseIdentityKey([]byte(identity))), must[[]byte](t)(hex.DecodeString(signed))
}

func repeated(each byte) (pin Pin) {
	copy(pin[:], bytes.Repeat([]byte{each}, 32))
	return pin
}

func TestABundleIsReadAndEveryChangedByteIsFound(t *testing.T) {
	identity, signed := bundleFile(t)
	b := must[*PinBundle](t)(OpenPinBundle(signed, identity))
	if b.Tenant != "klinik" || b.Epoch != 7 || b.NotBefore != 100 || b.NotAfter != 200 {
		t.Errorf("%+v", b)
	}
	if b.Current != repeated(1) || b.Next == nil || *b.Next != repeated(2) || b.Recovery != repeated(3) {
		t.Errorf("%+v", b)
	}
	if len(b.Roots) != 2 || string(b.Roots[0]) != "0\x00" || len(b.Roots[1]) != 300 {
		t.Errorf("%x", b.Roots)
	}
	for at := range signed {
		changed := bytes.Clone(signed)
		changed[at] ^= 1
		if _, err := OpenPinBundle(changed, identity); err == nil {
			t.Errorf("byte %d", at)
		}
		if _, err := OpenPinBundle(signed[:at], identity); !isMalformed(err) {
			t.Errorf("%d bytes: %v", at, err)
		}
	}
	if _, err := OpenPinBundle(append(bytes.Clone(signed), 0), identity); !isMalformed(err) {
		t.Error(err)
	}
}

// signedBundle is of the form that it is given, and signed whatever that is.
func signedBundle(t *testing.T, key *ecdsa.PrivateKey, context string, hasNext, count byte) []byte {
	out := append([]byte(context), 6)
	out = append(out, "klinik"...)
	out = u64(u64(u64(out, 7), 100), 200)
	out = append(out, bytes.Repeat([]byte{1}, 64)...)
	out = append(out, hasNext)
	if hasNext > 0 {
		out = append(out, bytes.Repeat([]byte{2}, 32)...)
	}
	out = append(out, count)
	for range count {
		out = append(u16(out, 2), "0\x00"...)
	}
	signature := must[[]byte](t)(ecdsa.SignASN1(rand.Reader, key, digest(out)))
	return append(append(out, byte(len(signature))), signature...)
}

func TestWhatIsNotOfItsFormIsRefusedWhoeverSignedIt(t *testing.T) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	identity, another := &IdentityKey{&key.PublicKey}, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	b := must[*PinBundle](t)(OpenPinBundle(signedBundle(t, key, bundleContext, 0, 4), identity))
	if b.Next != nil || len(b.Roots) != 4 {
		t.Errorf("%+v", b)
	}
	if _, err := OpenPinBundle(signedBundle(t, another, bundleContext, 0, 1), identity); !errorIs(err, ErrUntrusted) {
		t.Error(err)
	}
	for _, wrong := range [][]byte{
		signedBundle(t, key, "wardein trust bundle 3\x00", 0, 1),
		signedBundle(t, key, bundleContext, 2, 1),
		signedBundle(t, key, bundleContext, 0, 0),
		signedBundle(t, key, bundleContext, 0, 5),
		make([]byte, maxBundle+1),
	} {
		if _, err := OpenPinBundle(wrong, identity); !isMalformed(err) {
			t.Error(err)
		}
	}
}

func TestNoEpochFallsAndNoneHasTwoSetsOfPins(t *testing.T) {
	held := must[*PinBundle](t)(OpenPinBundle(swapped(bundleFile(t))))
	changed := func(change func(*PinBundle)) *PinBundle {
		other := *held
		change(&other)
		return &other
	}
	later := changed(func(b *PinBundle) { b.Epoch, b.Current = 8, repeated(0) })
	former := changed(func(b *PinBundle) { b.Tenant, b.Epoch = "other", 9 })
	for _, fine := range []error{held.Judge("klinik", nil), held.Judge("klinik", held), later.Judge("klinik", held), held.Judge("klinik", former)} {
		if fine != nil {
			t.Error(fine)
		}
	}
	for _, wrong := range []error{
		held.Judge("other", held),
		changed(func(b *PinBundle) { b.Epoch = 6 }).Judge("klinik", held),
		changed(func(b *PinBundle) { b.Current = repeated(0) }).Judge("klinik", held),
		changed(func(b *PinBundle) { b.Next = nil }).Judge("klinik", held),
	} {
		if !errorIs(wrong, ErrUntrusted) {
			t.Error(wrong)
		}
	}
	for _, pin := range []Pin{held.Current, *held.Next, held.Recovery} {
		if !held.Accepts(pin, 200) || held.Accepts(pin, 201) != (pin == held.Recovery) {
			t.Errorf("%x", pin)
		}
	}
	if held.Accepts(PinOf([]byte("another key")), 150) {
		t.Error("another key is the platform's")
	}
}

func swapped(identity *IdentityKey, signed []byte) ([]byte, *IdentityKey) { return signed, identity }

func TestADeviceGetsTheBundleByAProof(t *testing.T) {
	h := found(t, Suite1, hourly)
	if signed := must[[]byte](t)(h.session.SignedBundle(context.Background())); signed != nil {
		t.Errorf("%x", signed)
	}
	h.bodies = map[string][]byte{actionTrustBundle: signedBundle(t, h.identity, bundleContext, 0, 1)}
	signed := must[[]byte](t)(h.session.SignedBundle(context.Background()))
	if b := must[*PinBundle](t)(OpenPinBundle(signed, &IdentityKey{&h.identity.PublicKey})); b.Epoch != 7 {
		t.Errorf("%+v", b)
	}
}

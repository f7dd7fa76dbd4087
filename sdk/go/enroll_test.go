package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
)

// Section 4, and what a device refuses to make.

func TestAFalseEnrollmentReplyChangesNothing(t *testing.T) {
	for at := range 2 {
		v := newVector(t, "", vectors["enrollment"].([]any)[at].(map[string]any))
		c := enrollmentOf(v)
		right, isSaved := c.reply.Encode(), false
		save := func([]byte) error { isSaved = true; return nil }
		// The last byte of the signature, and of the confirmation; one bit of not_before.
		for _, place := range []int{33, 1, 32 + len(c.reply.Signature) + 4 + 1} {
			wrong := slices.Clone(right)
			wrong[len(wrong)-place] ^= 1
			if _, err := c.enrolling.Finish(wrong, save, nil); !errors.Is(err, ErrUntrusted) {
				t.Error(err)
			}
		}
		other := *c.reply
		other.Suite, other.AuthorityShare = Suite1+Suite2-other.Suite, make([]byte, (Suite1+Suite2-other.Suite).authorityShareLength())
		if _, err := c.enrolling.Finish(other.Encode(), save, nil); !isMalformed(err) || isSaved {
			t.Error(err, isSaved)
		}
		must[*Device](t)(c.enrolling.Finish(right, save, nil))
	}
}

func TestWhatADeviceRefusesToMake(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.authenticate()
	before, challenge, pinned := len(h.saved), h.challenge(), h.enrolling.identityKey
	begin := func(who Identity, attributes Attributes, suite Suite, purposes ...Purpose) error {
		_, err := Begin(who, attributes, pinned, suite, purposes...)
		return err
	}
	prove := func(action string) error {
		_, err := h.device.Prove(h.device.Ask(), challenge, action, nil, measured)
		return err
	}
	_, noAudience := h.device.Token("", nil)
	_, longAudience := h.device.Token(string(make([]byte, 256)), nil)
	_, longNonce := h.device.Token("iot", make([]byte, 65))
	_, shortFileKey := h.device.Wrap(make([]byte, 15))
	_, longPlaintext := h.device.Seal(make([]byte, maxPlaintext+1), nil)
	_, noSuite := h.device.Rekey(h.device.Ask(), challenge, 3, measured)
	for at, err := range []error{
		noAudience, longAudience, longNonce, shortFileKey, longPlaintext, noSuite,
		prove(actionRekey), prove("Authenticate"), prove(""),
		begin(Identity{"Klinik", "pump-1"}, nil, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump/1"}, nil, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, Attributes{"a b": nil}, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, Attributes{"a": make([]byte, 4097)}, Suite1, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, nil, 0, AllPurposes...),
		begin(Identity{"klinik", "pump-1"}, nil, Suite1),
		begin(Identity{"klinik", "pump-1"}, nil, Suite1, ProofPurpose, "other"),
	} {
		if !isMalformed(err) {
			t.Errorf("%d: %v", at, err)
		}
	}
	if len(h.saved) != before {
		t.Error("a number was taken for it")
	}
}

func TestADeviceKeepsNoTreesButThoseThatItUses(t *testing.T) {
	h := found(t, Suite1, hourly)
	enrolling := must[*Enrolling](t)(Begin(Identity{"klinik", "pump-1"}, nil, h.enrolling.identityKey, Suite1, ProofPurpose, DataPurpose))
	device := must[*Device](t)(enrolling.Finish(h.enroll(enrolling.Request()), h.save, &h.clock))
	if len(h.state().branches) != 2 {
		t.Error("it keeps others")
	}
	if _, err := device.Wrap(make([]byte, 16)); !isMalformed(err) {
		t.Error(err)
	}
}

func TestTheIdentityKeyIsReadInBothForms(t *testing.T) {
	h := found(t, Suite1, hourly)
	inPEM := func(key *ecdsa.PrivateKey) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must[[]byte](t)(x509.MarshalPKIXPublicKey(&key.PublicKey))})
	}
	for _, right := range [][]byte{inPEM(h.identity), []byte(hex.EncodeToString(h.identityKey()) + "\n")} {
		if !must[*IdentityKey](t)(ParseIdentityKey(right)).key.Equal(&h.identity.PublicKey) {
			t.Error("another key")
		}
	}
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	offTheCurve := slices.Clone(h.identityKey())
	offTheCurve[64] ^= 1
	for _, wrong := range [][]byte{
		nil, []byte("zz"), []byte("04"), {0xff}, []byte("-----BEGIN PUBLIC KEY-----\n"), inPEM(p384),
		[]byte(hex.EncodeToString(offTheCurve)), []byte(hex.EncodeToString(h.identityKey()) + "00"),
	} {
		if _, err := ParseIdentityKey(wrong); !isMalformed(err) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

package device

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"slices"
)

// The trust bundle's second version (section 8): by which keys a device knows the platform that it delivers to. The form is at the top of
// crates/pki/src/pin_bundle.rs.

const (
	bundleContext = "wardein trust bundle 2\x00"
	maxBundle     = 40 << 10
	maxRoots      = 4
	maxRoot       = 8 << 10
	// The year 9999, beyond which no certificate goes.
	lastSecond = 253_402_300_799
)

// The body of `trust-bundle` for its second version.
var pinBundle = []byte{2}

// Pin is the SHA-256 of a SubjectPublicKeyInfo (RFC 7469, 2.4).
type Pin [32]byte

// PinOf is that of a SubjectPublicKeyInfo, DER.
func PinOf(publicKey []byte) Pin { return sha256.Sum256(publicKey) }

// PinBundle is a bundle whose signature was verified.
type PinBundle struct {
	Tenant string
	// Epoch rises whenever the pins change.
	Epoch uint64
	// In Unix seconds, both within it.
	NotBefore, NotAfter uint64
	// Of the key that the platform has, of the one that it goes over to next, if there is one, and of one that is kept offline.
	Current  Pin
	Next     *Pin
	Recovery Pin
	// Roots are DER.
	Roots [][]byte
}

// SignedBundle gives the pins of the platform's keys, for OpenPinBundle; nil where it has none.
func (s *Session) SignedBundle(ctx context.Context) ([]byte, error) {
	body, err := s.prove(ctx, actionTrustBundle, pinBundle, true)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	return body, nil
}

// OpenPinBundle reads one that the identity key signed. Judge says whether it is to be taken.
func OpenPinBundle(signed []byte, identity *IdentityKey) (*PinBundle, error) {
	if len(signed) > maxBundle {
		return nil, malformed("trust bundle", "has more than %d bytes", maxBundle)
	}
	r := &reader{rest: signed}
	if string(r.take("context", len(bundleContext))) != bundleContext {
		r.fail("trust bundle", "is not one of version 2")
	}
	tenant := string(r.take("tenant", int(r.number("tenant", 1, 0))))
	if r.err == nil && checkTenant(tenant) != nil {
		r.fail("tenant", whyText)
	}
	b := &PinBundle{Tenant: tenant, Epoch: r.number("epoch", 8, 0), NotBefore: r.number("not before", 8, 0)}
	b.NotAfter = r.number("not after", 8, 0)
	if b.NotAfter <= b.NotBefore || b.NotAfter > lastSecond {
		r.fail("not after", "is not after the beginning, or beyond the year 9999")
	}
	copy(b.Current[:], r.take("pin", 32))
	copy(b.Recovery[:], r.take("pin", 32))
	switch r.number("has next", 1, 0) {
	case 0:
	case 1:
		b.Next = new(Pin)
		copy(b.Next[:], r.take("pin", 32))
	default:
		r.fail("has next", "is neither 0 nor 1")
	}
	count := r.number("roots", 1, 1)
	if count > maxRoots {
		r.fail("roots", "are more than %d", maxRoots)
	}
	for range count {
		length := r.number("root", 2, 1)
		if length > maxRoot {
			r.fail("root", "has more than %d bytes", maxRoot)
		}
		b.Roots = append(b.Roots, bytes.Clone(r.take("root", int(length))))
	}
	covered := signed[:len(signed)-len(r.rest)]
	signature := r.take("signature", int(r.number("signature", 1, 0)))
	if err := r.end("trust bundle"); err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(identity.key, digest(covered), signature) {
		return nil, fmt.Errorf("the trust bundle is %w", ErrUntrusted)
	}
	return b, nil
}

// Judge refuses one of another tenant, and one that is older than the one that the device holds, if it holds one.
func (b *PinBundle) Judge(tenant string, held *PinBundle) error {
	if b.Tenant != tenant {
		return fmt.Errorf("the trust bundle, of another tenant, is %w", ErrUntrusted)
	}
	// That of a former tenant holds nobody up.
	if held == nil || held.Tenant != tenant {
		return nil
	}
	if b.Epoch < held.Epoch {
		return fmt.Errorf("the trust bundle, of an epoch before that of the one that is held, is %w", ErrUntrusted)
	}
	if b.Epoch == held.Epoch && !slices.Equal(b.pins(), held.pins()) {
		return fmt.Errorf("the trust bundle, with other pins than the one of the same epoch that is held, is %w", ErrUntrusted)
	}
	return nil
}

// Accepts says whether a server whose key has that pin is the platform, at Unix second now. Once the bundle has expired, only the
// recovery key is.
func (b *PinBundle) Accepts(pin Pin, now uint64) bool {
	return pin == b.Recovery || (now <= b.NotAfter && slices.Contains(b.pins(), pin))
}

func (b *PinBundle) pins() []Pin {
	pins := []Pin{b.Current, b.Recovery}
	if b.Next != nil {
		pins = append(pins, *b.Next)
	}
	return pins
}

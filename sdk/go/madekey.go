package device

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
)

// Section 8.2: a key that the authority makes, for a device whose programs need one that it cannot make.

const (
	actionMadeKey = "made-key"
	maxPKCS8      = 4096
	nonceLength   = 12
)

var madeKinds = []string{"p256", "p384", "rsa-2048", "rsa-3072", "rsa-4096"}

// MadeKey is a key with its certificate. The authority keeps no copy.
type MadeKey struct {
	// PKCS8 is DER, and secret.
	PKCS8 []byte
	// Certificates are DER, leaf first.
	Certificates [][]byte
}

// Format shows no secret, with whatever verb.
func (m MadeKey) Format(out fmt.State, _ rune) {
	fmt.Fprintf(out, "a made key with %d certificates", len(m.Certificates))
}

// MadeKey opens the key in the reply to `made-key`, which was acknowledged.
func (r *Request) MadeKey(replyBody []byte) (*MadeKey, error) {
	if r.secrets.sealingKey == nil {
		return nil, malformed("action", "is not %s", actionMadeKey)
	}
	pkcs8, rest, err := unseal(r.secrets.sealingKey, r.Proof.transcript(), replyBody)
	if err != nil {
		return nil, err
	}
	chain, err := ParseCertificates(rest)
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(pkcs8, chain[0])
	if err != nil {
		return nil, err
	}
	if kind != string(r.Body) {
		return nil, fmt.Errorf("the key that came, of another kind than was asked for, is %w", ErrUntrusted)
	}
	return &MadeKey{pkcs8, chain}, nil
}

// MadeKey asks for a key that the authority makes, with its certificate: p256, p384, rsa-2048, rsa-3072 or rsa-4096. Where the reply is
// lost, asking again brings another key with another certificate.
func (s *Session) MadeKey(ctx context.Context, kind string) (*MadeKey, error) {
	// The request that is acknowledged at last has the key that opens it.
	var last *Request
	body, err := s.ask(ctx, true, func(question *Question, challenge []byte, measured Attributes) (*Request, error) {
		request, err := s.Device.Prove(question, challenge, actionMadeKey, []byte(kind), measured)
		last = request
		return request, err
	})
	if err != nil {
		return nil, err
	}
	return last.MadeKey(body)
}

// unseal gives the key, and what is behind it.
func unseal(sealingKey, proofTranscript, replyBody []byte) (pkcs8, rest []byte, err error) {
	r := &reader{rest: replyBody}
	nonce := r.take("nonce", nonceLength)
	ciphertext := r.framed("ciphertext", 1+tagLength, maxPKCS8+tagLength)
	if r.err != nil {
		return nil, nil, r.err
	}
	block, err := aes.NewCipher(sealingKey)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err = aead.Open(nil, nonce, ciphertext, proofTranscript)
	if err != nil {
		return nil, nil, fmt.Errorf("the key that came, sealed for another request, is %w", ErrUntrusted)
	}
	return pkcs8, r.rest, nil
}

// kindOf is the kind of a key, which the certificate must be for.
func kindOf(pkcs8, leaf []byte) (string, error) {
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return "", malformed("made key", "cannot be read")
	}
	certificate, err := x509.ParseCertificate(leaf)
	if err != nil {
		return "", malformed("certificate", "cannot be read")
	}
	var kind string
	var isSame bool
	switch key := key.(type) {
	case *rsa.PrivateKey:
		kind, isSame = fmt.Sprintf("rsa-%d", key.N.BitLen()), key.PublicKey.Equal(certificate.PublicKey)
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256():
			kind = "p256"
		case elliptic.P384():
			kind = "p384"
		}
		isSame = key.PublicKey.Equal(certificate.PublicKey)
	}
	if !isSame {
		return "", fmt.Errorf("the certificate that came, for another key, is %w", ErrUntrusted)
	}
	return kind, nil
}

func checkKind(kind []byte) error {
	if !slices.Contains(madeKinds, string(kind)) {
		return malformed("kind", "is none that is made")
	}
	return nil
}

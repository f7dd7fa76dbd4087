package device

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Section 7: tokens, sealed payloads and files.

// Token gives kind 7: it logs in to a platform, once.
func (d *Device) Token(audience string, platformNonce []byte) ([]byte, error) {
	if len(platformNonce) > maxPlatformNonce {
		return nil, malformed("platform nonce", "has more than %d bytes", maxPlatformNonce)
	}
	if err := checkAudience(audience); err != nil {
		return nil, err
	}
	if !d.state.isProven {
		return nil, ErrProveFirst
	}
	now := d.knownTime.now()
	name, key, err := d.takeKey(TokenPurpose, now)
	if err != nil {
		return nil, err
	}
	token := &Token{
		Tenant: name.Tenant, DeviceID: name.DeviceID, Generation: name.Generation, Epoch: name.Epoch, Number: name.Number,
		Audience: audience, PlatformNonce: bytes.Clone(platformNonce), IssuedAt: now,
	}
	token.Mac = [32]byte(mac(expand(key, "token", nil), token.transcript()))
	return token.Encode(), nil
}

// Seal gives kind 8: for the platforms that may open it, under a key that is used for nothing else.
func (d *Device) Seal(plaintext, additionalData []byte) ([]byte, error) {
	if max(len(plaintext), len(additionalData)) > maxPlaintext {
		return nil, malformed("plaintext", "or additional data has more than %d bytes", maxPlaintext)
	}
	name, key, err := d.takeKey(DataPurpose, d.knownTime.latest())
	if err != nil {
		return nil, err
	}
	sealed := &SealedPayload{KeyName: name}
	if _, err := rand.Read(sealed.Nonce[:]); err != nil {
		return nil, err
	}
	aead, err := payloadAEAD(key)
	if err != nil {
		return nil, err
	}
	sealed.Ciphertext = aead.Seal(nil, sealed.Nonce[:], plaintext, payloadData(name, additionalData))
	return sealed.Encode(), nil
}

// Stanza is of an age v1 file, and wraps its file key for the authority.
type Stanza struct {
	Arguments string
	Body      []byte
}

// Wrap takes the 16 bytes of a file key.
func (d *Device) Wrap(fileKey []byte) (*Stanza, error) {
	if len(fileKey) != 16 {
		return nil, malformed("file key", "has not 16 bytes")
	}
	name, key, err := d.takeKey(FilePurpose, d.knownTime.latest())
	if err != nil {
		return nil, err
	}
	body, err := wrapFileKey(key, fileKey)
	return &Stanza{"ddkg1 " + name.String(), body}, err
}

// takeKey returns after the state without the key is saved.
func (d *Device) takeKey(purpose Purpose, time uint64) (KeyName, []byte, error) {
	branch := d.state.branches[purpose]
	if branch == nil {
		return KeyName{}, nil, malformed("purpose", "%s was left out when the keys were agreed on", purpose)
	}
	epoch, number, key, err := branch.takeKey(d.state.schedule, time)
	if err != nil {
		return KeyName{}, nil, fmt.Errorf("%s: %w", purpose, err)
	}
	return KeyName{d.state.tenant, d.state.deviceID, d.state.generation, purpose, epoch, number}, key, d.save(d.state.encode())
}

func payloadAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func payloadData(name KeyName, additionalData []byte) []byte {
	return frame(frame(nil, name.String()), additionalData)
}

// wrapFileKey takes K[g,file,e,n]. It is used once, hence the constant nonce, as in age's own stanzas.
func wrapFileKey(key, fileKey []byte) ([]byte, error) {
	aead, err := chacha20poly1305.New(expand(key, "age", nil))
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, make([]byte, chacha20poly1305.NonceSize), fileKey, nil), nil
}

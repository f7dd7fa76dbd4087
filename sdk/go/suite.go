package device

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
)

// Sections 1 and 4: key agreement, the device's part.

// Suite is how keys are agreed on.
type Suite uint16

const (
	// Suite1 is ECDH on P-256.
	Suite1 Suite = 1
	// Suite2 is that and ML-KEM-768.
	Suite2 Suite = 2
)

const pointLength = 65

func (s Suite) check() error {
	if s != Suite1 && s != Suite2 {
		return malformed("suite", "is neither 1 nor 2")
	}
	return nil
}

func (s Suite) deviceShareLength() int {
	if s == Suite2 {
		return pointLength + mlkem.EncapsulationKeySize768
	}
	return pointLength
}

func (s Suite) authorityShareLength() int {
	if s == Suite2 {
		return pointLength + mlkem.CiphertextSize768
	}
	return pointLength
}

// ephemeral has the device's private keys of one agreement, and what it shows of them.
type ephemeral struct {
	suite Suite
	share []byte
	p256  *ecdh.PrivateKey
	mlkem *mlkem.DecapsulationKey768
}

func newEphemeral(suite Suite) (*ephemeral, error) {
	if err := suite.check(); err != nil {
		return nil, err
	}
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if suite == Suite1 {
		return ephemeralOf(p256, nil), nil
	}
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		return nil, err
	}
	return ephemeralOf(p256, kem), nil
}

func ephemeralOf(p256 *ecdh.PrivateKey, kem *mlkem.DecapsulationKey768) *ephemeral {
	e := &ephemeral{suite: Suite1, share: p256.PublicKey().Bytes(), p256: p256, mlkem: kem}
	if kem != nil {
		e.suite, e.share = Suite2, append(e.share, kem.EncapsulationKey().Bytes()...)
	}
	return e
}

// agree gives ecdh_x, in suite 2 ecdh_x ‖ mlkem_ss.
func (e *ephemeral) agree(share []byte) ([]byte, error) {
	if len(share) != e.suite.authorityShareLength() {
		return nil, malformed("authority share", "has another length than its suite's")
	}
	// It takes an uncompressed point alone, and only one on the curve.
	point, err := ecdh.P256().NewPublicKey(share[:pointLength])
	if err != nil {
		return nil, malformed("authority share", "is not an uncompressed point of P-256")
	}
	agreed, err := e.p256.ECDH(point)
	if err != nil || e.mlkem == nil {
		return agreed, err
	}
	shared, err := e.mlkem.Decapsulate(share[pointLength:])
	return append(agreed, shared...), err
}

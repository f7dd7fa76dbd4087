package device

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"
)

func errorIs(err, wanted error) bool { return errors.Is(err, wanted) }

// made is a key, PKCS#8, and a chain of one certificate for it by itself: what that leads to, the ack answers for.
func made(t *testing.T, key crypto.Signer) ([]byte, []byte) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key)), frame(nil, der)
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	return must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(curve, rand.Reader))
}

func TestAKeyThatWasMadeComesWithItsCertificate(t *testing.T) {
	h := found(t, Suite1, hourly)
	for kind, key := range map[string]crypto.Signer{
		"p256":     ecKey(t, elliptic.P256()),
		"p384":     ecKey(t, elliptic.P384()),
		"rsa-2048": must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048)),
	} {
		h.made, h.chain = made(t, key)
		got := must[*MadeKey](t)(h.session.MadeKey(context.Background(), kind))
		if !bytes.Equal(got.PKCS8, h.made) || !bytes.Equal(frame(nil, got.Certificates[0]), h.chain) {
			t.Errorf("%s: another key or certificate came", kind)
		}
		if said := fmt.Sprintf("%v %+v %#v", got, *got, got); bytes.Contains([]byte(said), []byte("0x")) {
			t.Error(said)
		}
	}
}

func TestWhatIsNotTheKeyThatWasAskedForIsNotTaken(t *testing.T) {
	h := found(t, Suite1, hourly)
	key, chain := made(t, ecKey(t, elliptic.P256()))
	_, another := made(t, ecKey(t, elliptic.P256()))
	for _, wrong := range []struct {
		key, chain []byte
		kind       string
	}{
		{key, another, "p256"},
		{key, chain, "p384"},
		{[]byte("none"), chain, "p256"},
		{key, nil, "p256"},
		{key, frame(nil, "none"), "p256"},
		{append(bytes.Clone(key), make([]byte, maxPKCS8)...), chain, "p256"},
	} {
		h.made, h.chain = wrong.key, wrong.chain
		if _, err := h.session.MadeKey(context.Background(), wrong.kind); !isMalformed(err) && !errorIs(err, ErrUntrusted) {
			t.Error(err)
		}
	}
	if _, err := h.session.MadeKey(context.Background(), "rsa-1024"); !isMalformed(err) {
		t.Error(err)
	}
}

func TestTheReplyOfAnotherRequestIsNotOpened(t *testing.T) {
	h, ctx := found(t, Suite1, hourly), context.Background()
	h.made, h.chain = made(t, ecKey(t, elliptic.P256()))
	var requests [2]*Request
	var bodies [2][]byte
	for at := range requests {
		request := must[*Request](t)(h.device.Prove(h.device.Ask(), h.challenge(), actionMadeKey, []byte("p256"), measured))
		answer := must[Answer](t)(h.Prove(ctx, request.Message(), request.Body))
		requests[at], bodies[at] = request, must[[]byte](t)(h.device.Acknowledge(request, answer.Reply))
	}
	for at := range requests {
		if got := must[*MadeKey](t)(requests[at].MadeKey(bodies[at])); !bytes.Equal(got.PKCS8, h.made) {
			t.Error("another key came")
		}
		if _, err := requests[at].MadeKey(bodies[1-at]); !errorIs(err, ErrUntrusted) {
			t.Error(err)
		}
	}
	request := must[*Request](t)(h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, measured))
	if _, err := request.MadeKey(bodies[0]); !isMalformed(err) {
		t.Error(err)
	}
}

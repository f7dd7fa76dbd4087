package device

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// No secret is in what is printed, with whatever verb, nor in an error.

// forms are the ways in which bytes are printed. A quarter of a secret is too much.
func forms(secret []byte) []string {
	part := secret[:max(8, len(secret)/4)]
	list := strings.Trim(fmt.Sprint(part), "[]")
	inGo := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}")
	return []string{string(part), hex.EncodeToString(part), base64.StdEncoding.EncodeToString(part)[:10], list, inGo}
}

func leaks(shown string, secrets [][]byte) bool {
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if strings.Contains(strings.ToLower(shown), strings.ToLower(form)) {
				return true
			}
		}
	}
	return false
}

func secretsOf(s *state) (secrets [][]byte) {
	for _, branch := range s.branches {
		for _, node := range branch.tree {
			secrets = append(secrets, node.secret[:])
		}
	}
	if s.confirmation != nil {
		secrets = append(secrets, s.confirmation)
	}
	return append(secrets, measured["firmware"], measured["board"])
}

func TestNothingThatIsPrintedHasASecret(t *testing.T) {
	for _, suite := range []Suite{Suite1, Suite2} {
		h := found(t, suite, hourly)
		secrets := secretsOf(h.state())
		request := must[*Request](t)(h.device.Rekey(h.device.Ask(), h.challenge(), suite, measured))
		secrets = append(secrets, request.secrets.ackKey, request.secrets.epochSecret, request.secrets.ephemeral.p256.Bytes())
		asked := must[*EnrollmentRequest](t)(ParseEnrollmentRequest(h.enrolling.Request()))
		session := &Session{Device: h.device, RekeyDue: true}
		for _, thing := range []any{h.device, *h.device, request, *request, h.enrolling, *h.enrolling, session, *session, asked, *asked, measured} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				if shown := fmt.Sprintf(verb, thing); leaks(shown, secrets) {
					t.Errorf("%T with %s shows a secret", thing, verb)
				}
			}
		}
		for _, thing := range []any{h.device, request, session} {
			if shown, _ := json.Marshal(thing); leaks(string(shown), secrets) {
				t.Errorf("%T as JSON shows a secret", thing)
			}
		}
	}
}

func TestNoErrorHasASecret(t *testing.T) {
	h := found(t, Suite1, hourly)
	secrets := secretsOf(h.state())
	request := must[*Request](t)(h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, measured))
	reply := must[Answer](t)(h.Prove(context.Background(), request.Message(), nil)).Reply
	reply[20] ^= 1
	var errs []error
	fails := func(_ any, err error) { errs = append(errs, err) }
	fails(h.device.Acknowledge(request, reply))
	fails(h.device.Acknowledge(request, reply[1:]))
	fails(h.enrolling.Finish(reply, h.save, nil))
	fails(h.device.Prove(h.device.Ask(), h.challenge(), actionAuthenticate, nil, Attributes{"board": measured["board"]}))
	fails(h.device.Token("iot", nil))
	fails(parseState(h.last()[1:]))
	fails(parseState([]byte(strings.Replace(string(h.last()), `"number": 1`, `"number": -1`, 1))))
	for at, err := range errs {
		if err == nil || leaks(fmt.Sprintf("%v %+v %#v", err, err, err), secrets) {
			t.Errorf("%d: %v", at, err)
		}
	}
}

func TestTheFormsAreFound(t *testing.T) {
	secret := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 250, 251, 252, 253, 254, 255}
	for _, verb := range []string{"%v", "%#v", "%x", "%s", "%X"} {
		if shown := fmt.Sprintf(verb, secret); !leaks(shown, [][]byte{secret}) {
			t.Errorf("%s is not found in %s", verb, shown)
		}
	}
	if shown := must[[]byte](t)(json.Marshal(secret)); !leaks(string(shown), [][]byte{secret}) {
		t.Errorf("%s", shown)
	}
}

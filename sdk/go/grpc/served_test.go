package devicegrpc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"wardein.example/device"
)

// Against a served authority. deploy/sdk.sh founds one, and says where it is.

type served struct {
	t              *testing.T
	house          string
	target, tenant string
	roots          []byte
}

// The authority is on this machine: no proxy.
var direct = grpc.WithNoProxy()

func theAuthority(t *testing.T) *served {
	house := os.Getenv("WARDEIN_HOUSE")
	if house == "" {
		t.Skip("no authority is served; deploy/sdk.sh runs this")
	}
	s := &served{t: t, house: house}
	var about struct{ Endpoint, Tenant string }
	if err := json.Unmarshal(s.read("station/operator.json"), &about); err != nil {
		t.Fatal(err)
	}
	s.target, s.tenant, s.roots = strings.TrimPrefix(about.Endpoint, "https://"), about.Tenant, s.read("station/infrastructure.pem")
	return s
}

func (s *served) read(name string) []byte {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.house, name))
	s.check(err)
	return data
}

func (s *served) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// wardein is the command line of the authority; the administrator's, unless an identity is named.
func (s *served) wardein(arguments ...string) string {
	s.t.Helper()
	out, err := exec.Command(os.Getenv("WARDEIN_BINARY"), arguments...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("wardein %v: %v: %s", arguments, err, out)
	}
	return string(out)
}

func measure([]string) (device.Attributes, error) {
	return device.Attributes{"firmware": []byte("3.1.4"), "board": []byte("rev-b")}, nil
}

func (s *served) enrolled(name string, suite device.Suite, save device.Save, isConfirmed bool) *device.Device {
	s.t.Helper()
	ctx := context.Background()
	pinned, err := device.ParseIdentityKey(s.read("station/identity.pub"))
	s.check(err)
	measured, _ := measure(nil)
	enrolling, err := device.Begin(device.Identity{Tenant: s.tenant, DeviceID: name}, measured, pinned, suite, device.AllPurposes...)
	s.check(err)
	station, err := DialStation(s.target, s.roots, s.read("station/operator.pem"), s.read("station/operator.key"), direct)
	s.check(err)
	defer station.Close()
	reply, err := station.Enroll(ctx, enrolling.Request(), About{Model: "SDK 1"})
	s.check(err)
	// The very same request is answered alike.
	again, err := station.Enroll(ctx, enrolling.Request(), About{Model: "SDK 1"})
	s.check(err)
	if !bytes.Equal(reply, again) {
		s.t.Error("the same request has another reply")
	}
	enrolled, err := enrolling.Finish(reply, save, nil)
	s.check(err)
	if isConfirmed {
		s.check(station.Confirm(ctx, enrolled.Confirmation()))
	}
	return enrolled
}

func (s *served) session(enrolled *device.Device) *device.Session {
	authority, err := Dial(s.target, s.roots, direct)
	s.check(err)
	s.t.Cleanup(func() { _ = authority.Close() })
	return &device.Session{Device: enrolled, Transport: authority, Measure: measure}
}

func (s *served) store() *device.Store {
	store, err := device.OpenStore(s.t.TempDir())
	s.check(err)
	s.t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestADeviceInService(t *testing.T) {
	for name, suite := range map[string]device.Suite{"go-1": device.Suite1, "go-2": device.Suite2} {
		t.Run(name, func(t *testing.T) { inService(theAuthority(t), name, suite) })
	}
}

func inService(s *served, name string, suite device.Suite) {
	ctx, store := context.Background(), s.store()
	enrolled := s.enrolled(name, suite, store.Save, true)
	session := s.session(enrolled)
	s.check(session.Authenticate(ctx))
	s.certificate(session)
	announced, _ := measure(nil)
	s.check(session.Announce(ctx, announced))
	other := device.Suite1 + device.Suite2 - suite
	s.check(session.Rekey(ctx, other))
	if enrolled.Generation() != 2 || enrolled.Suite() != other {
		s.t.Error(enrolled)
	}
	// As after a restart.
	saved, err := store.Load()
	s.check(err)
	session.Device, err = device.Load(saved, store.Save, nil)
	s.check(err)
	s.check(session.Authenticate(ctx))
	s.platform(session.Device, name)
}

func (s *served) certificate(session *device.Session) {
	ctx := context.Background()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	s.check(err)
	chain, err := session.Certificate(ctx, csr)
	s.check(err)
	leaf, err := x509.ParseCertificate(chain[0])
	s.check(err)
	issuer, err := x509.ParseCertificate(chain[1])
	s.check(err)
	s.check(leaf.CheckSignatureFrom(issuer))
	if !key.PublicKey.Equal(leaf.PublicKey) {
		s.t.Error("the certificate is for another key")
	}
	made, err := session.MadeKey(ctx, "p256")
	s.check(err)
	leaf, err = x509.ParseCertificate(made.Certificates[0])
	s.check(err)
	s.check(leaf.CheckSignatureFrom(issuer))
	pinned, err := session.SignedBundle(ctx)
	s.check(err)
	// Where somebody has set pins.
	if pinned != nil {
		identity, err := device.ParseIdentityKey(s.read("station/identity.pub"))
		s.check(err)
		_, err = device.OpenPinBundle(pinned, identity)
		s.check(err)
	}
	bundle, err := session.TrustBundle(ctx)
	s.check(err)
	isIn := false
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		isIn = isIn || bytes.Equal(block.Bytes, issuer.Raw)
	}
	if !isIn {
		s.t.Error("the issuer is not in the trust bundle")
	}
}

// platform takes a login and a payload of the device.
func (s *served) platform(enrolled *device.Device, name string) {
	folder := s.t.TempDir()
	save := func(name string, message []byte, err error) string {
		s.check(err)
		path := filepath.Join(folder, name)
		s.check(os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(message)+"\n"), 0o600))
		return path
	}
	identity := filepath.Join(s.house, "platform")
	token, err := enrolled.Token("iot", []byte{0, 0xff})
	tokenFile := save("token", token, err)
	if said := s.wardein("trust", "verify-token", "--identity", identity, "--token-file", tokenFile, "--nonce", "00ff"); !strings.Contains(said, "edge:"+name) {
		s.t.Error(said)
	}
	sealed, err := enrolled.Seal([]byte("72/min"), nil)
	opened := filepath.Join(folder, "opened")
	s.wardein("trust", "open", "--identity", identity, "--sealed", save("sealed", sealed, err), "--reason", "test", "--out", opened)
	if got, _ := os.ReadFile(opened); string(got) != "72/min" {
		s.t.Errorf("%s", got)
	}
}

func refusedAs(t *testing.T, err error, code string, action device.Action) {
	t.Helper()
	var refused *device.RefusedError
	if !errors.As(err, &refused) || refused.Code != code || refused.Action != action {
		t.Errorf("%v, and not %s: %s", err, code, action)
	}
}

func TestRefusals(t *testing.T) {
	s, ctx := theAuthority(t), context.Background()
	// The station's confirmation is lost: the device confirms by itself.
	enrolled := s.enrolled("go-refused", device.Suite2, s.store().Save, false)
	session := s.session(enrolled)
	s.check(session.Authenticate(ctx))

	challenge, err := session.Transport.Challenge(ctx, enrolled.Identity())
	s.check(err)
	measured, _ := measure(nil)
	request, err := enrolled.Prove(enrolled.Ask(), challenge, "authenticate", nil, measured)
	s.check(err)
	_, err = session.Transport.Prove(ctx, request.Message(), nil)
	s.check(err)
	_, err = session.Transport.Prove(ctx, request.Message(), nil)
	refusedAs(t, err, "replayed", device.AskAgain)

	s.wardein("key", "rotate", "--device", "go-refused", "--tenant", s.tenant, "--required", "--reason", "test", "--yes")
	// What is agreed in the second of a rotation counts as older, and is asked for again.
	generation := enrolled.Generation()
	for range 20 {
		if err = session.Authenticate(ctx); err == nil {
			break
		}
		refusedAs(t, err, "rekey-required", device.Rekey)
	}
	if err != nil || enrolled.Generation() == generation {
		t.Error(err, enrolled)
	}

	wrong := *session
	wrong.Measure = func([]string) (device.Attributes, error) {
		return device.Attributes{"firmware": []byte("other"), "board": []byte("other")}, nil
	}
	refusedAs(t, wrong.Authenticate(ctx), "mac-wrong", device.SeekHelp)
	_, err = session.Certificate(ctx, []byte("no csr"))
	refusedAs(t, err, "csr-malformed", device.Mend)

	s.wardein("device", "suspend", "go-refused", "--tenant", s.tenant, "--reason", "test", "--yes")
	refusedAs(t, session.Authenticate(ctx), "suspended", device.SeekHelp)
}

func TestAnAuthorityThatIsNotThereOrAnother(t *testing.T) {
	s := theAuthority(t)
	enrolled := s.enrolled("go-alone", device.Suite1, func([]byte) error { return nil }, true)
	// Nobody listens on port 1; and the other's root does not vouch for the server.
	for target, roots := range map[string][]byte{"127.0.0.1:1": s.roots, s.target: s.read("a/foreign.pem")} {
		authority, err := Dial(target, roots, direct)
		s.check(err)
		defer authority.Close()
		session := &device.Session{Device: enrolled, Transport: authority, Measure: measure}
		refusedAs(t, session.Authenticate(context.Background()), "", device.Wait)
	}
	if _, err := Dial(s.target, []byte("no PEM"), direct); err == nil {
		t.Error("roots without a certificate are taken")
	}
}

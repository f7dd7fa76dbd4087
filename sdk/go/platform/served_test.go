package platform

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"wardein.example/device"
	devicegrpc "wardein.example/device/grpc"
	"wardein.example/wardeinv1"
)

// Against a served authority, which a test founds, kills and starts again. deploy/platform-sdk.sh names the binary.

const tenant = "klinik"

// The authority is on this machine: no proxy.
var direct = grpc.WithNoProxy()

type served struct {
	t             *testing.T
	house, target string
	process       *exec.Cmd
}

// founded is an authority with a tenant, a station `line-1`, and a platform `iot` that may verify tokens.
func founded(t *testing.T, domain string, limits map[string]int) *served {
	if os.Getenv("WARDEIN_BINARY") == "" {
		t.Skip("no authority is served; deploy/platform-sdk.sh runs this")
	}
	ports := free(t)
	s := &served{t: t, house: t.TempDir(), target: ports[0]}
	s.wardein("init", "--dir", s.path("a"), "--key-file", s.path("root.key"), "--trust-domain", domain, "--listen", ports[0], "--http", ports[1])
	configuration, err := os.ReadFile(s.path("a/wardein.toml"))
	check(t, err)
	for name, value := range limits {
		line := regexp.MustCompile(`(?m)^` + name + ` = .*$`)
		hold(t, name, line.Match(configuration))
		configuration = line.ReplaceAll(configuration, fmt.Appendf(nil, "%s = %d", name, value))
	}
	check(t, os.WriteFile(s.path("a/wardein.toml"), configuration, 0o600))
	s.serve()
	t.Cleanup(func() { s.end(syscall.SIGTERM) })
	s.wardein("tenant", "create", tenant)
	s.issue("station", "line-1", "--quota", "100")
	s.issue("platform", "iot")
	s.wardein("grant", "add", "iot", "token", "--tenant", tenant, "--user-name", "edge:{device}")
	return s
}

// free are two places that nobody listens at, held together so that they differ.
func free(t *testing.T) (places [2]string) {
	for number := range places {
		held, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer held.Close()
		places[number] = held.Addr().String()
	}
	return places
}

func (s *served) path(name string) string { return filepath.Join(s.house, name) }

func (s *served) read(name string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(s.path(name))
	check(s.t, err)
	return content
}

// tried is the command line, as the administrator.
func (s *served) tried(arguments ...string) error {
	command := exec.Command(os.Getenv("WARDEIN_BINARY"), arguments...)
	command.Env = append(os.Environ(), "WARDEIN_DIR="+s.path("a"))
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("wardein %v: %w: %s", arguments, err, out)
	}
	return nil
}

func (s *served) wardein(arguments ...string) {
	s.t.Helper()
	check(s.t, s.tried(arguments...))
}

func (s *served) issue(role, name string, more ...string) {
	order := []string{"operator", "issue", "--role", role, "--tenant", tenant, "--name", name, "--validity", "1d", "--out", s.path(name)}
	s.wardein(append(order, more...)...)
}

// serve starts it, and waits until it answers.
func (s *served) serve() {
	s.t.Helper()
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(s.t, err)
	defer log.Close()
	s.process = exec.Command(os.Getenv("WARDEIN_BINARY"), "serve", "--config", s.path("a/wardein.toml"))
	s.process.Stdout, s.process.Stderr = log, log
	check(s.t, s.process.Start())
	until(s.t, "the authority answers", func() bool { return s.tried("tenant", "list") == nil })
}

// end ends it by that signal.
func (s *served) end(by syscall.Signal) {
	if s.process != nil {
		_ = s.process.Process.Signal(by)
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *served) suspend(deviceID string) {
	s.t.Helper()
	s.wardein("device", "suspend", deviceID, "--tenant", tenant, "--reason", "test", "--yes")
}

// client is the platform's.
func (s *served) client(timeout time.Duration) *Client {
	s.t.Helper()
	client, err := Open(s.path("iot"), Options{Timeout: timeout, Dial: []grpc.DialOption{direct}})
	check(s.t, err)
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// enrolled is a device in service. What it must remember is not kept.
func (s *served) enrolled(deviceID string) *device.Device {
	s.t.Helper()
	ctx := context.Background()
	pinned, err := device.ParseIdentityKey(s.read("line-1/identity.pub"))
	check(s.t, err)
	who := device.Identity{Tenant: tenant, DeviceID: deviceID}
	enrolling, err := device.Begin(who, measured, pinned, device.Suite2, device.AllPurposes...)
	check(s.t, err)
	roots := s.read("line-1/infrastructure.pem")
	station, err := devicegrpc.DialStation(s.target, roots, s.read("line-1/operator.pem"), s.read("line-1/operator.key"), direct)
	check(s.t, err)
	defer station.Close()
	reply, err := station.Enroll(ctx, enrolling.Request(), devicegrpc.About{Model: "SDK 1"})
	check(s.t, err)
	enrolled, err := enrolling.Finish(reply, func([]byte) error { return nil }, nil)
	check(s.t, err)
	check(s.t, station.Confirm(ctx, enrolled.Confirmation()))
	return enrolled
}

var measured = device.Attributes{"firmware": []byte("3.1.4")}

// certificate is one for the device.
func (s *served) certificate(enrolled *device.Device) *x509.Certificate {
	s.t.Helper()
	authority, err := devicegrpc.Dial(s.target, s.read("line-1/infrastructure.pem"), direct)
	check(s.t, err)
	defer authority.Close()
	session := &device.Session{Device: enrolled, Transport: authority, Measure: func([]string) (device.Attributes, error) { return measured, nil }}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(s.t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	check(s.t, err)
	check(s.t, session.Authenticate(context.Background()))
	chain, err := session.Certificate(context.Background(), csr)
	check(s.t, err)
	leaf, err := x509.ParseCertificate(chain[0])
	check(s.t, err)
	return leaf
}

// followed is a cache that is followed until the test ends.
func followed(t *testing.T, client *Client, options CacheOptions) (*TrustCache, <-chan error) {
	t.Helper()
	cache := NewTrustCache(client, options)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		ended <- cache.Follow(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return cache, ended
}

func ready(t *testing.T, cache *TrustCache) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return cache.Ready(ctx)
}

func coded(err error) string {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Code()
	}
	return fmt.Sprint(err)
}

func TestServed(t *testing.T) {
	s := founded(t, "sdk.example", nil)
	for name, test := range map[string]func(*testing.T, *served){
		"asked about by all that names it": s.isAskedAbout,
		"many on one stream":               s.manyOnOneStream,
		"a login is good once":             s.aLoginIsGoodOnce,
		"subjects":                         s.subjects,
		"identities":                       s.identities,
		"a cache":                          s.aCache,
	} {
		// Some stop the authority: one after the other.
		t.Run(name, func(t *testing.T) {
			of := *s
			of.t = t
			test(t, &of)
			s.process = of.process
		})
	}
}

func (*served) isAskedAbout(t *testing.T, s *served) {
	ctx, client := context.Background(), s.client(0)
	check(t, client.Ping(ctx))
	leaf := s.certificate(s.enrolled("asked-1"))
	serial := fmt.Sprintf("%032x", leaf.SerialNumber)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	fingerprint := fmt.Sprintf("%x", sha256.Sum256(leaf.Raw))
	for _, subject := range []Subject{
		ByID("asked-1"), ByCertificate(leaf), ByPEM(text), BySPIFFE(leaf.URIs[0].String()), BySerial(serial), ByFingerprint(fingerprint),
	} {
		answer, err := client.Check(ctx, subject)
		check(t, err)
		hold(t, "trusted", answer.GetVerdict() == wardeinv1.Verdict_VERDICT_TRUSTED && answer.GetDeviceId() == "asked-1" && answer.GetTenant() == tenant)
	}
	answer, err := client.Check(ctx, ByID("asked-1").WithReceipt("erp.example", []byte("12345678")))
	check(t, err)
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.GetReceipt(), ".")[1])
	hold(t, string(claims), err == nil && strings.Contains(string(claims), `"erp.example"`))
	s.suspend("asked-1")
	answer, err = client.Check(ctx, ByCertificate(leaf))
	hold(t, "suspended", err == nil && answer.GetVerdict() == suspended && answer.GetState() == wardeinv1.DeviceState_DEVICE_STATE_SUSPENDED)
	answer, err = client.Check(ctx, ByID("nobody"))
	hold(t, "unknown", err == nil && answer.GetVerdict() == wardeinv1.Verdict_VERDICT_UNKNOWN)
	_, err = client.Check(ctx, ByID("not an id"))
	var refused *RefusedError
	hold(t, "malformed", errors.As(err, &refused) && refused.Code() == "malformed" && refused.Fields[0].Name == "device_id" && refused.RequestID != "")
}

func (*served) manyOnOneStream(t *testing.T, s *served) {
	s.enrolled("many-1")
	checks := s.client(0).CheckStream()
	defer checks.Close()
	ids := make([]string, 10_000)
	for number := range ids {
		ids[number] = fmt.Sprintf("nobody-%d", number)
		if number%2 == 1 {
			ids[number] = "many-1"
		}
	}
	ids[6] = "not an id"
	results, err := checks.Check(context.Background(), ids)
	check(t, err)
	verdicts := map[wardeinv1.Verdict]int{}
	for number, each := range results {
		if each.Refused != nil {
			hold(t, "the bad one", number == 6 && each.Refused.Code() == "malformed" && each.Refused.Status == codes.InvalidArgument)
			continue
		}
		verdicts[each.Verdict.GetVerdict()]++
	}
	hold(t, fmt.Sprint(verdicts), verdicts[wardeinv1.Verdict_VERDICT_TRUSTED] == 5_000 && verdicts[wardeinv1.Verdict_VERDICT_UNKNOWN] == 4_999)
}

func (*served) aLoginIsGoodOnce(t *testing.T, s *served) {
	ctx, client, enrolled := context.Background(), s.client(0), s.enrolled("login-1")
	s.certificate(enrolled)
	token, err := enrolled.Token("iot", []byte("nonce"))
	check(t, err)
	login := Login{Token: token, Nonce: []byte("nonce"), IdempotencyKey: []byte("0123456789abcdef")}
	// The second time as after an answer that was lost.
	for range 2 {
		answer, err := client.VerifyToken(ctx, login)
		check(t, err)
		hold(t, "its name", answer.GetUserName() == "edge:login-1" && answer.GetTrust().GetVerdict() == wardeinv1.Verdict_VERDICT_TRUSTED)
	}
	_, err = client.VerifyToken(ctx, Login{Token: token, Nonce: []byte("nonce")})
	hold(t, coded(err), coded(err) == "token-spent")
}

func (*served) subjects(t *testing.T, s *served) {
	s.enrolled("listed-1")
	s.enrolled("listed-2")
	s.suspend("listed-2")
	listed := func(filter Filter) (ids []string) {
		for each, err := range s.client(0).ListSubjects(context.Background(), filter) {
			check(t, err)
			if strings.HasPrefix(each.GetDeviceId(), "listed") {
				ids = append(ids, each.GetDeviceId())
			}
		}
		return ids
	}
	all := fmt.Sprint(listed(Filter{Model: "SDK 1"}))
	hold(t, all, all == "[listed-1 listed-2]")
	some := fmt.Sprint(listed(Filter{State: wardeinv1.DeviceState_DEVICE_STATE_SUSPENDED}))
	hold(t, some, some == "[listed-2]" && len(listed(Filter{Model: "none such"})) == 0)
}

func (*served) aCache(t *testing.T, s *served) {
	s.enrolled("cached-1")
	s.enrolled("cached-2")
	s.wardein("trust", "policy", "set", "--tenant", tenant, "--no-rules", "--offline", "data:1m")
	var lock sync.Mutex
	fell := map[string]wardeinv1.Verdict{}
	told := func(id string, verdict wardeinv1.Verdict) func() bool {
		return func() bool {
			lock.Lock()
			defer lock.Unlock()
			return fell[id] == verdict
		}
	}
	client := s.client(0)
	cache, _ := followed(t, client, CacheOptions{MostSilence: 5500 * time.Millisecond, Changed: func(verdict *wardeinv1.DeviceVerdict) {
		lock.Lock()
		defer lock.Unlock()
		fell[verdict.GetDeviceId()] = verdict.GetVerdict()
	}})
	check(t, ready(t, cache))
	hold(t, "trusted", cache.Lookup("cached-1").IsTrusted() && cache.Lookup("nobody").Standing == Unknown)
	s.suspend("cached-1")
	until(t, "it is told", told("cached-1", suspended))
	hold(t, "it fell", !cache.Lookup("cached-1").IsTrusted())

	s.end(syscall.SIGKILL)
	took := until(t, "stale", func() bool { return cache.Lookup("cached-2").Standing == Stale })
	hold(t, "in time", took < 7*time.Second && cache.Lookup("nobody").Standing == Stale)
	hold(t, "for data", cache.LookupFor("cached-2", wardeinv1.OfflineUse_OFFLINE_USE_DATA).IsTrusted())
	hold(t, "and for nothing else", cache.LookupFor("cached-2", wardeinv1.OfflineUse_OFFLINE_USE_CONTROL).Standing == Stale)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := client.Check(ctx, ByID("cached-2"))
	var transport *TransportError
	hold(t, "it is not reached", errors.As(err, &transport))

	s.serve()
	until(t, "true again", func() bool { return cache.Lookup("cached-2").IsTrusted() })
	s.suspend("cached-2")
	until(t, "over the stream that went on", told("cached-2", suspended))

	// A change while the watcher was away.
	s.end(syscall.SIGTERM)
	s.serve()
	s.wardein("device", "resume", "cached-1", "--tenant", tenant, "--reason", "test")
	until(t, "it is told", told("cached-1", wardeinv1.Verdict_VERDICT_TRUSTED))
}

func (*served) identities(t *testing.T, s *served) {
	ctx, short := context.Background(), Options{Timeout: time.Second, Dial: []grpc.DialOption{direct}}
	other := founded(t, "other.example", map[string]int{"operator_per_second": 5, "operator_burst": 5})
	// The other's address, and this one's CA.
	short.Endpoint = "https://" + other.target
	client, err := Open(s.path("iot"), short)
	check(t, err)
	defer client.Close()
	var transport *TransportError
	hold(t, "another CA", errors.As(client.Ping(ctx), &transport))
	cache, _ := followed(t, client, CacheOptions{})
	waited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	hold(t, "nothing of it", errors.Is(cache.Ready(waited), context.DeadlineExceeded) && cache.Lookup("cached-1").Standing == Stale)

	// An identity of the other's, with this one's CA to verify the server.
	check(t, os.WriteFile(other.path("iot/infrastructure.pem"), s.read("iot/infrastructure.pem"), 0o600))
	short.Endpoint = "https://" + s.target
	forged, err := Open(other.path("iot"), short)
	check(t, err)
	defer forged.Close()
	_, err = forged.Check(ctx, ByID("asked-1"))
	hold(t, coded(err), coded(err) == "identity-unknown")
	check(t, os.WriteFile(other.path("iot/infrastructure.pem"), other.read("line-1/infrastructure.pem"), 0o600))

	// A rate that is used up is waited for; where there is no time left for a pause of a second, the refusal is given.
	at := func(timeout time.Duration) (refused int) {
		client, answers := other.client(timeout), make(chan error)
		for range 7 {
			go func() {
				_, err := client.Check(ctx, ByID("nobody"))
				answers <- err
			}()
		}
		for range 7 {
			if err := <-answers; err != nil {
				hold(t, coded(err), coded(err) == "rate-limited" || errors.Is(err, context.DeadlineExceeded))
				refused++
			}
		}
		return refused
	}
	hold(t, "answered", at(20*time.Second) == 0)
	hold(t, "refused", at(1800*time.Millisecond) > 0)

	// A watch goes on with the identity that its directory has by then, and ends with it.
	s.issue("platform", "two")
	client, err = Open(s.path("two"), Options{Dial: []grpc.DialOption{direct}})
	check(t, err)
	defer client.Close()
	cache, ended := followed(t, client, CacheOptions{})
	check(t, ready(t, cache))
	former := s.serial("two")
	s.issue("platform", "three")
	for _, name := range []string{keyFile, certificateFile, descriptionFile} {
		check(t, os.WriteFile(s.path("two/"+name), s.read("three/"+name), 0o600))
	}
	age, _ := cache.Age()
	s.revoke(former)
	until(t, "it goes on", func() bool {
		now, _ := cache.Age()
		return now < age
	})
	s.revoke(s.serial("two"))
	hold(t, "it ends", coded(<-ended) == "operator-revoked")
	// A station may not watch.
	client, err = Open(s.path("line-1"), Options{Dial: []grpc.DialOption{direct}})
	check(t, err)
	defer client.Close()
	cache, _ = followed(t, client, CacheOptions{})
	hold(t, "the role", coded(ready(t, cache)) == "role-denied")
}

func (s *served) serial(identity string) string {
	var about struct{ Serial string }
	check(s.t, json.Unmarshal(s.read(identity+"/operator.json"), &about))
	return about.Serial
}

func (s *served) revoke(serial string) {
	s.t.Helper()
	s.wardein("operator", "revoke", serial, "--reason", "test", "--yes")
}

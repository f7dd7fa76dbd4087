package platform

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"wardein.example/wardeinv1"
)

// A service of trust that says what a test wants, behind real TLS, and an identity to reach it with.

// ca certifies the server and the operator.
type ca struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pem         []byte
}

func newCA(t testing.TB) *ca {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := dated()
	template.Subject = pkix.Name{CommonName: "infrastructure"}
	template.IsCA, template.BasicConstraintsValid = true, true
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	certificate, err := x509.ParseCertificate(der)
	check(t, err)
	return &ca{key, certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issued gives key and certificate for 127.0.0.1.
func (c *ca) issued(t testing.TB) (key, certificate []byte) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := dated()
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, own.Public(), c.key)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// identity writes the directory of one.
func (c *ca) identity(t testing.TB, directory, target string) string {
	check(t, os.MkdirAll(directory, 0o700))
	key, certificate := c.issued(t)
	for name, content := range map[string][]byte{
		keyFile: key, certificateFile: append(certificate, c.pem...), infrastructureFile: c.pem,
		descriptionFile: fmt.Appendf(nil, `{"endpoint": "https://%s"}`, target),
	} {
		check(t, os.WriteFile(filepath.Join(directory, name), content, 0o600))
	}
	return directory
}

func dated() *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
}

type (
	checking func(context.Context) (*wardeinv1.CheckResponse, error)
	watching func(*wardeinv1.WatchRequest, grpc.ServerStream) error
)

// fake is the service. Its handlers may be replaced at any time.
type fake struct {
	// Guards what follows, and what handlers and tests share.
	lock   sync.Mutex
	calls  int
	check  checking
	watch  watching
	stream func(grpc.ServerStream) error

	ca       *ca
	identity string
	client   *Client
}

// faked serves one, with a client that is connected to it.
func faked(t testing.TB, timeout time.Duration) *fake {
	f := &fake{ca: newCA(t)}
	target := f.serve(t, f.ca)
	f.identity = f.ca.identity(t, filepath.Join(t.TempDir(), "identity"), target)
	client, err := Open(f.identity, Options{Timeout: timeout, Dial: []grpc.DialOption{grpc.WithNoProxy()}})
	check(t, err)
	f.client = client
	t.Cleanup(func() { _ = client.Close() })
	return f
}

// serve gives host:port of a server that that CA certified.
func (f *fake) serve(t testing.TB, by *ca) string {
	key, certificate := by.issued(t)
	own, err := tls.X509KeyPair(certificate, key)
	check(t, err)
	clients := x509.NewCertPool()
	clients.AddCert(f.ca.certificate)
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "wardein.v1.TrustService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Check", Handler: f.onCheck}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Watch", ServerStreams: true, Handler: f.onWatch},
			{StreamName: "CheckStream", ServerStreams: true, ClientStreams: true, Handler: f.onStream},
		},
	}, f)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// locked reads or writes what is shared.
func (f *fake) locked(do func()) {
	f.lock.Lock()
	defer f.lock.Unlock()
	do()
}

func (f *fake) onChecks(handler checking)  { f.locked(func() { f.check = handler }) }
func (f *fake) onWatches(handler watching) { f.locked(func() { f.watch = handler }) }

// counted is how many calls came.
func (f *fake) counted() (calls int) {
	f.locked(func() { calls = f.calls })
	return calls
}

func (f *fake) onCheck(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var handler checking
	f.locked(func() { f.calls, handler = f.calls+1, f.check })
	if err := decode(&wardeinv1.CheckRequest{}); err != nil {
		return nil, err
	}
	return handler(ctx)
}

func (f *fake) onWatch(_ any, stream grpc.ServerStream) error {
	var handler watching
	f.locked(func() { f.calls, handler = f.calls+1, f.watch })
	request := &wardeinv1.WatchRequest{}
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	return handler(request, stream)
}

func (f *fake) onStream(_ any, stream grpc.ServerStream) error {
	f.locked(func() { f.calls++ })
	return f.stream(stream)
}

// refusal is as the authority's.
func refusal(code codes.Code, reason string, more ...protoadapt.MessageV1) error {
	return refusalOf("wardein", code, reason, more...)
}

func refusalOf(domain string, code codes.Code, reason string, more ...protoadapt.MessageV1) error {
	details := append([]protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: map[string]string{"next_epoch": "7"}},
		&errdetails.RequestInfo{RequestId: "0a-1"},
	}, more...)
	said, err := status.New(code, "words").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return said.Err()
}

func retryIn(pause time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(pause)}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hold(t testing.TB, what string, is bool) {
	t.Helper()
	if !is {
		t.Fatalf("this does not hold: %s", what)
	}
}

// until waits until that holds.
func until(t testing.TB, what string, is func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("this does not hold in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

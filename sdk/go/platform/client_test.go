package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"wardein.example/wardeinv1"
)

var trusted = &wardeinv1.CheckResponse{Verdict: wardeinv1.Verdict_VERDICT_TRUSTED, DeviceId: "pump-1"}

// answering refuses so many times, then answers. It gives when calls came.
func (f *fake) answering(refusals int, refused error) func() []time.Time {
	var came []time.Time
	f.onChecks(func(context.Context) (*wardeinv1.CheckResponse, error) {
		f.lock.Lock()
		defer f.lock.Unlock()
		came = append(came, time.Now())
		if len(came) <= refusals {
			return nil, refused
		}
		return trusted, nil
	})
	return func() (copied []time.Time) {
		f.locked(func() { copied = slices.Clone(came) })
		return copied
	}
}

func TestARefusalWithRetryInfoIsRepeatedAfterAPauseThatGrows(t *testing.T) {
	f := faked(t, 5*time.Second)
	came := f.answering(3, refusal(codes.ResourceExhausted, "RATE_LIMITED", retryIn(100*time.Millisecond)))
	answer, err := f.client.Check(context.Background(), ByID("pump-1"))
	check(t, err)
	hold(t, "it is answered", answer.GetVerdict() == wardeinv1.Verdict_VERDICT_TRUSTED && len(came()) == 4)
	for number, least := range []time.Duration{100, 200, 400} {
		pause := came()[number+1].Sub(came()[number])
		hold(t, "a pause is never shorter than named, and longer each time", pause >= least*time.Millisecond)
	}
}

func TestARefusalWithoutItIsGivenAtOnce(t *testing.T) {
	f := faked(t, 5*time.Second)
	for _, refused := range []error{
		refusal(codes.Unavailable, "STOPPING"), refusal(codes.Internal, "INTERNAL"), refusal(codes.NotFound, "DEVICE_UNKNOWN"),
		// Not the authority's.
		refusalOf("proxy", codes.Unavailable, "RATE_LIMITED", retryIn(time.Millisecond)),
	} {
		came := f.answering(1, refused)
		_, err := f.client.Check(context.Background(), ByID("pump-1"))
		hold(t, "it is refused once", err != nil && len(came()) == 1)
	}
	f.answering(1, refusalOf("proxy", codes.Unavailable, "RATE_LIMITED"))
	_, err := f.client.Check(context.Background(), ByID("pump-1"))
	var transport *TransportError
	hold(t, "what is not the authority's is the transport's", errors.As(err, &transport))
}

func TestADeadlineIsObeyed(t *testing.T) {
	f := faked(t, 300*time.Millisecond)
	f.onChecks(func(ctx context.Context) (*wardeinv1.CheckResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	began := time.Now()
	_, err := f.client.Check(context.Background(), ByID("pump-1"))
	hold(t, "the client's own", errors.Is(err, context.DeadlineExceeded) && time.Since(began) < 2*time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began = time.Now()
	_, err = f.client.Check(ctx, ByID("pump-1"))
	hold(t, "an earlier one of the caller's", errors.Is(err, context.DeadlineExceeded) && time.Since(began) < 250*time.Millisecond)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = f.client.Check(canceled, ByID("pump-1"))
	hold(t, "a canceled call", errors.Is(err, context.Canceled))
	// A pause that would end after it is not begun.
	came := f.answering(1, refusal(codes.Unavailable, "STOPPING", retryIn(time.Hour)))
	began = time.Now()
	_, err = f.client.Check(context.Background(), ByID("pump-1"))
	var refused *RefusedError
	hold(t, "the refusal is given", errors.As(err, &refused) && refused.MayRetry && len(came()) == 1 && time.Since(began) < 250*time.Millisecond)
	hold(t, "a pause from the network is bounded", refused.RetryAfter == longestPause)
}

func TestARefusalHasItsDetails(t *testing.T) {
	f := faked(t, 5*time.Second)
	bad := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "device_id", Description: "is empty"}}}
	first := &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Description: "enroll it"}}}
	f.answering(1, refusal(codes.InvalidArgument, "MALFORMED", bad, first))
	_, err := f.client.Check(context.Background(), ByID("pump-1"))
	var refused *RefusedError
	hold(t, "it is a refusal", errors.As(err, &refused))
	expected := &RefusedError{
		Status: codes.InvalidArgument, Reason: "MALFORMED", Message: "words", RequestID: "0a-1", Fields: []Field{{"device_id", "is empty"}},
		Preconditions: []string{"enroll it"}, Metadata: map[string]string{"next_epoch": "7"},
	}
	hold(t, "all of it is read", reflect.DeepEqual(refused, expected))
	hold(t, "it says so", err.Error() == "malformed: words (request 0a-1)")
}

func TestWhatARefusalSaysIsBounded(t *testing.T) {
	f := faked(t, 5*time.Second)
	bad := &errdetails.BadRequest{}
	for range 50 {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: strings.Repeat("f", 500)})
	}
	f.answering(1, refusal(codes.InvalidArgument, strings.Repeat("R", 500), bad))
	_, err := f.client.Check(context.Background(), ByID("pump-1"))
	var refused *RefusedError
	hold(t, "it is a refusal", errors.As(err, &refused))
	hold(t, "cut", len(refused.Reason) == maxField && len(refused.Fields) == maxDetails && len(refused.Fields[0].Name) == maxField)
}

func TestAServerOfAnotherCAIsRefused(t *testing.T) {
	f := faked(t, 2*time.Second)
	f.answering(0, nil)
	target := f.serve(t, newCA(t))
	client, err := Open(f.identity, Options{Endpoint: "https://" + target, Timeout: time.Second, Dial: []grpc.DialOption{grpc.WithNoProxy()}})
	check(t, err)
	defer client.Close()
	var transport *TransportError
	hold(t, "by a ping", errors.As(client.Ping(context.Background()), &transport))
	_, err = client.Check(context.Background(), ByID("pump-1"))
	hold(t, "by a call", errors.As(err, &transport) && f.counted() == 0)
}

func TestACertificateInPEM(t *testing.T) {
	authority := newCA(t)
	subject := ByPEM(append([]byte("words\n"), authority.pem...))
	hold(t, "the first counts", subject.err == nil && string(subject.request.GetCertificate()) == string(authority.certificate.Raw))
	hold(t, "without one", ByPEM([]byte("no PEM")).err != nil)
	_, err := (&Client{}).Check(context.Background(), ByPEM(nil))
	hold(t, "nothing is asked", err != nil)
}

func TestAnIdentityThatWasRenewedIsGoneOverTo(t *testing.T) {
	f := faked(t, 5*time.Second)
	var shown []string
	f.onChecks(func(ctx context.Context) (*wardeinv1.CheckResponse, error) {
		from, _ := peer.FromContext(ctx)
		shown = append(shown, from.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].SerialNumber.String())
		return trusted, nil
	})
	ctx := context.Background()
	ask := func() {
		_, err := f.client.Check(ctx, ByID("pump-1"))
		check(t, err)
	}
	ask()
	isAnother, err := f.client.Reload(ctx)
	hold(t, "the same one", err == nil && !isAnother)
	f.ca.identity(t, f.identity, f.client.identity.target)
	isAnother, err = f.client.Reload(ctx)
	hold(t, "another one", err == nil && isAnother)
	ask()
	hold(t, "it is shown", len(shown) == 2 && shown[0] != shown[1])
	// Half of another is of no use, and the former goes on.
	key, _ := f.ca.issued(t)
	check(t, os.WriteFile(filepath.Join(f.identity, keyFile), key, 0o600))
	_, err = f.client.Reload(ctx)
	hold(t, "half of one", err != nil)
	// So is one that the server does not take.
	other := newCA(t)
	key, certificate := other.issued(t)
	check(t, os.WriteFile(filepath.Join(f.identity, keyFile), key, 0o600))
	check(t, os.WriteFile(filepath.Join(f.identity, certificateFile), certificate, 0o600))
	_, err = f.client.Reload(ctx)
	hold(t, "one that is refused", err != nil)
	ask()
}

func TestTheDirectoryOfAnIdentity(t *testing.T) {
	authority, directory := newCA(t), t.TempDir()
	authority.identity(t, directory, "127.0.0.1:7000")
	read, err := readIdentity(directory, "")
	hold(t, "it is read", err == nil && read.target == "127.0.0.1:7000")
	read, err = readIdentity(directory, "https://other.example")
	hold(t, "with another endpoint", err == nil && read.target == "other.example:7443")
	spoil := func(name, content string, mode os.FileMode) {
		t.Helper()
		authority.identity(t, directory, "127.0.0.1:7000")
		check(t, os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600))
		check(t, os.Chmod(filepath.Join(directory, name), mode))
		if _, err := readIdentity(directory, ""); err == nil {
			t.Errorf("%s is taken as %q with mode %o", name, content[:min(len(content), 40)], mode)
		}
		check(t, os.Remove(filepath.Join(directory, name)))
		if _, err := readIdentity(directory, ""); err == nil {
			t.Errorf("%s is not missed", name)
		}
	}
	key, _ := authority.issued(t)
	spoil(keyFile, string(key), 0o640)
	spoil(keyFile, string(key), 0o600)
	spoil(keyFile, "-----BEGIN ENCRYPTED PRIVATE KEY-----", 0o600)
	spoil(certificateFile, "", 0o600)
	spoil(infrastructureFile, "", 0o600)
	spoil(descriptionFile, "{}", 0o600)
	spoil(descriptionFile, "{", 0o600)
	spoil(descriptionFile, string(make([]byte, maxFile+1)), 0o600)
	for endpoint, expected := range map[string]string{
		"https://h": "h:7443", "https://h:1/": "h:1", "https://[::1]:7443": "[::1]:7443",
		"": "", "h": "", "http://h": "", "https://": "", "https://u@h": "", "https://h/p": "", "https://h?q": "", "https://h:0": "", "https://h:x": "",
	} {
		if got, err := target(endpoint); got != expected || (err == nil) != (expected != "") {
			t.Errorf("%q: %q, %v", endpoint, got, err)
		}
	}
}

func TestAnswersOnAStreamAreToTheirQuestions(t *testing.T) {
	f := faked(t, 2*time.Second)
	var sizes []int
	wasBusy, ends := false, make(chan struct{})
	f.stream = func(stream grpc.ServerStream) error {
		questions := make(chan *wardeinv1.CheckStreamRequest)
		go func() {
			defer close(questions)
			for {
				request := &wardeinv1.CheckStreamRequest{}
				if stream.RecvMsg(request) != nil {
					return
				}
				questions <- request
			}
		}()
		for {
			select {
			case <-ends:
				return refusal(codes.Unavailable, "STREAM_IDLE", retryIn(time.Hour))
			case request, is := <-questions:
				if !is {
					return nil
				}
				isBusy := false
				f.locked(func() {
					sizes = append(sizes, len(request.GetDeviceIds()))
					isBusy, wasBusy = !wasBusy, wasBusy || request.GetDeviceIds()[0] == "busy"
				})
				answer := &wardeinv1.CheckStreamResponse{}
				for _, id := range request.GetDeviceIds() {
					answer.Results = append(answer.Results, result(id))
				}
				switch request.GetDeviceIds()[0] {
				case "busy":
					if isBusy {
						return refusal(codes.Unavailable, "STOPPING", retryIn(time.Millisecond))
					}
				case "hang":
					<-stream.Context().Done()
					return nil
				case "short":
					answer.Results = nil
				}
				if err := stream.SendMsg(answer); err != nil {
					return err
				}
			}
		}
	}
	ctx, checks := context.Background(), f.client.CheckStream()
	defer checks.Close()
	ids := make([]string, 2500)
	for number := range ids {
		ids[number] = "pump-" + string(rune('a'+number%26))
	}
	results, err := checks.Check(ctx, ids)
	check(t, err)
	for number, each := range results {
		hold(t, "in order", each.Verdict.GetDeviceId() == ids[number])
	}
	hold(t, "in batches, on one stream", reflect.DeepEqual(sizes, []int{1024, 1024, 452}) && f.counted() == 1)
	results, err = checks.Check(ctx, nil)
	hold(t, "nothing", err == nil && len(results) == 0)
	results, err = checks.Check(ctx, []string{"busy"})
	hold(t, "repeated where the refusal says so", err == nil && results[0].Verdict != nil)
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = checks.Check(short, []string{"hang"})
	hold(t, "a deadline", errors.Is(err, context.DeadlineExceeded))
	_, err = checks.Check(ctx, []string{"short"})
	hold(t, "an answer to something else", err != nil)
	results, err = checks.Check(ctx, []string{"bad id"})
	hold(t, "a bad id stops nothing", err == nil && results[0].Refused.Code() == "malformed")
	// One that ended while nothing was asked is opened again, without a pause.
	ends <- struct{}{}
	until(t, "its end is seen", checks.opened.hasEnded)
	results, err = checks.Check(ctx, []string{"pump-1"})
	hold(t, "another one", err == nil && results[0].Verdict != nil)
	// Several take turns.
	done := make(chan error)
	for _, id := range []string{"pump-1", "pump-2"} {
		go func() {
			results, err := checks.Check(ctx, []string{id})
			if err == nil && results[0].Verdict.GetDeviceId() != id {
				err = errors.New("the answer is to another question")
			}
			done <- err
		}()
	}
	check(t, errors.Join(<-done, <-done))
}

func result(id string) *wardeinv1.CheckResult {
	if id == "bad id" {
		failure := &wardeinv1.Failure{Status: uint32(codes.InvalidArgument), Code: "malformed"}
		return &wardeinv1.CheckResult{Result: &wardeinv1.CheckResult_Failure{Failure: failure}}
	}
	verdict := &wardeinv1.DeviceVerdict{DeviceId: id, Verdict: wardeinv1.Verdict_VERDICT_TRUSTED}
	return &wardeinv1.CheckResult{Result: &wardeinv1.CheckResult_Verdict{Verdict: verdict}}
}

package devicegrpc

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"wardein.example/device"
	"wardein.example/wardeinv1"
)

// What an authority, or anybody who answers in its place, may send over gRPC.

// answering is a channel whose every call is answered so.
func answering(t *testing.T, trailers metadata.MD, answer proto.Message, refusal error) *grpc.ClientConn {
	listener := bufconn.Listen(4 << 20)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		stream.SetTrailer(trailers)
		if refusal != nil {
			return refusal
		}
		return stream.SendMsg(answer)
	}))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	channel, err := grpc.NewClient("passthrough:test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = channel.Close() })
	return channel
}

func isMalformed(t *testing.T, err error) {
	t.Helper()
	var malformed *device.MalformedError
	if !errors.As(err, &malformed) {
		t.Errorf("%v", err)
	}
}

var who = device.Identity{Tenant: "klinik", DeviceID: "pump-1"}

func TestAChallengeOutOfBounds(t *testing.T) {
	for _, response := range []*wardeinv1.GetChallengeResponse{
		{}, {Challenge: make([]byte, 256)}, {Challenge: make([]byte, 100_000)},
		{Challenge: []byte("c"), Recipe: make([]string, 300)}, {Challenge: []byte("c"), Recipe: []string{"a", "a"}},
		{Challenge: []byte("c"), Recipe: []string{"a b"}}, {Challenge: []byte("c"), Recipe: []string{strings.Repeat("a", 65)}},
	} {
		authority := &Authority{answering(t, nil, response, nil)}
		challenge, err := authority.Challenge(context.Background(), who)
		if err == nil {
			_, err = device.ParseChallenge(challenge)
		}
		isMalformed(t, err)
	}
}

func TestAReplyOutOfBounds(t *testing.T) {
	proof := (&device.Proof{Tenant: "klinik", DeviceID: "pump-1", Challenge: []byte("c"), Generation: 1, Action: "authenticate"}).Encode()
	for _, response := range []*wardeinv1.ProveResponse{
		{}, {Ack: make([]byte, 31)}, {Ack: make([]byte, 33)}, {Ack: make([]byte, 32), Body: make([]byte, 1<<20+1)},
	} {
		answer, err := (&Authority{answering(t, nil, response, nil)}).Prove(context.Background(), proof, nil)
		if err == nil {
			_, err = device.ParseReply(answer.Reply)
		}
		isMalformed(t, err)
	}
}

func TestAnEnrollmentReplyOutOfBounds(t *testing.T) {
	request, err := (&device.EnrollmentRequest{Suite: 1, Tenant: "klinik", DeviceID: "pump-1", DeviceShare: make([]byte, 65)}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	enroll := func(change func(*wardeinv1.EnrollResponse)) error {
		response := &wardeinv1.EnrollResponse{
			AuthorityShare: make([]byte, 65), Generation: 1, Signature: make([]byte, 72), AuthorityConfirmation: make([]byte, 32),
		}
		change(response)
		reply, err := (&Station{answering(t, nil, response, nil)}).Enroll(context.Background(), request, About{})
		if err == nil {
			_, err = device.ParseEnrollmentReply(reply)
		}
		return err
	}
	if err := enroll(func(*wardeinv1.EnrollResponse) {}); err != nil {
		t.Error(err)
	}
	isMalformed(t, enroll(func(response *wardeinv1.EnrollResponse) { response.AuthorityShare = response.AuthorityShare[1:] }))
	isMalformed(t, enroll(func(response *wardeinv1.EnrollResponse) { response.Generation = 0 }))
	isMalformed(t, enroll(func(response *wardeinv1.EnrollResponse) { response.Signature = make([]byte, 73) }))
	isMalformed(t, enroll(func(response *wardeinv1.EnrollResponse) { response.AuthorityConfirmation = make([]byte, 31) }))
}

func refusal(t *testing.T, trailers metadata.MD, said error) *device.RefusedError {
	t.Helper()
	var refused *device.RefusedError
	_, err := (&Authority{answering(t, trailers, nil, said)}).Challenge(context.Background(), who)
	if !errors.As(err, &refused) {
		t.Fatalf("%v", err)
	}
	return refused
}

func TestAnEpochThatIsNamed(t *testing.T) {
	for epoch, named := range map[string]uint64{"70": 70, "4294967295": 1<<32 - 1, "": 0, "-1": 0, "x": 0} {
		trailers := metadata.Pairs("wardein-code", "epoch-spent", "wardein-next-epoch", epoch)
		refused := refusal(t, trailers, status.Error(codes.FailedPrecondition, "words"))
		if refused.Code != "epoch-spent" || refused.NextEpoch != named || refused.Action != device.TakeEpoch {
			t.Errorf("%q: %+v", epoch, refused)
		}
	}
}

func TestAPauseThatIsNamed(t *testing.T) {
	for pause, expected := range map[time.Duration]time.Duration{
		30 * time.Second: 30 * time.Second, 1e6 * time.Second: time.Hour, -5 * time.Second: 0,
	} {
		said, err := status.New(codes.Unavailable, "words").WithDetails(
			&errdetails.ErrorInfo{Reason: "OVERLOADED"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(pause)})
		if err != nil {
			t.Fatal(err)
		}
		refused := refusal(t, metadata.Pairs("wardein-code", "overloaded"), said.Err())
		if refused.Action != device.Wait || refused.Status != "UNAVAILABLE" || refused.Pause != expected {
			t.Errorf("%v: %+v", pause, refused)
		}
		// Not the authority's.
		refused = refusal(t, nil, said.Err())
		if refused.Action != device.Wait || refused.Code != "" || refused.Pause != 0 {
			t.Errorf("%+v", refused)
		}
	}
}

func TestStatusesAndWords(t *testing.T) {
	for code, action := range map[codes.Code]device.Action{
		codes.Unavailable: device.Wait, codes.ResourceExhausted: device.Wait, codes.InvalidArgument: device.Mend,
		codes.Unimplemented: device.Mend, codes.FailedPrecondition: device.SeekHelp,
	} {
		refused := refusal(t, metadata.Pairs("wardein-code", "of-a-later-release"), status.Error(code, strings.Repeat("x", 5000)))
		if refused.Action != action || len(refused.Error()) > 600 {
			t.Errorf("%v: %v", code, refused.Action)
		}
	}
}

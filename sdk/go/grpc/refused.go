package devicegrpc

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"wardein.example/device"
)

// Nothing authenticates a refusal, so what it asks for is bounded.
const (
	longestPause = time.Hour
	maxWords     = 500
)

// refused calls, and gives a *device.RefusedError for whatever is no answer. Code and epoch are trailers; a pause is in RetryInfo.
func refused(channel *grpc.ClientConn, ctx context.Context, method string, asked, response proto.Message) error {
	var trailers metadata.MD
	err := channel.Invoke(ctx, method, asked, response, grpc.Trailer(&trailers))
	if err == nil {
		return nil
	}
	said := status.Convert(err)
	code := first(trailers, "wardein-code")
	if code == "" {
		// Not the authority's.
		return device.Refused("", statusName(said.Code()), "", 0, 0)
	}
	// An epoch that is none counts as 0: the next.
	epoch, _ := strconv.ParseUint(first(trailers, "wardein-next-epoch"), 10, 32)
	words := said.Message()
	return device.Refused(code, statusName(said.Code()), words[:min(len(words), maxWords)], epoch, pause(said))
}

func pause(said *status.Status) time.Duration {
	for _, detail := range said.Details() {
		if retry, is := detail.(*errdetails.RetryInfo); is {
			return min(max(0, retry.GetRetryDelay().AsDuration()), longestPause)
		}
	}
	return 0
}

func first(trailers metadata.MD, name string) string {
	if values := trailers.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// statusName is the name in the specification of gRPC; Go's own spells them otherwise.
func statusName(code codes.Code) string {
	switch code {
	case codes.Unavailable:
		return "UNAVAILABLE"
	case codes.ResourceExhausted:
		return "RESOURCE_EXHAUSTED"
	case codes.InvalidArgument:
		return "INVALID_ARGUMENT"
	case codes.Unimplemented:
		return "UNIMPLEMENTED"
	}
	return code.String()
}

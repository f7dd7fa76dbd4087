package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"wardein.example/wardeinv1"
)

// What comes from the network is bounded.
const (
	longestPause = 5 * time.Minute
	maxWords     = 1000
	maxField     = 128
	maxDetails   = 32
)

// RefusedError says that the authority refused.
type RefusedError struct {
	// Status is gRPC's.
	Status codes.Code
	// Reason is the stable code in AIP-193's spelling, such as TOKEN_SPENT.
	Reason string
	// Message says what was wrong, and what to do next.
	Message string
	// RequestID is the one under which the authority logged the call.
	RequestID string
	// MayRetry is whether the same call may succeed later, and RetryAfter the shortest pause until then.
	MayRetry   bool
	RetryAfter time.Duration
	// Fields of a malformed request, each with what is wrong.
	Fields []Field
	// Preconditions are what must happen first.
	Preconditions []string
	// Metadata is further data, such as oldest_revision.
	Metadata map[string]string
}

// Field is a field of a request that is wrong.
type Field struct {
	Name, Why string
}

// Code is the stable code as deploy/TROUBLESHOOTING.md lists it, such as token-spent.
func (e *RefusedError) Code() string {
	return strings.ReplaceAll(strings.ToLower(e.Reason), "_", "-")
}

func (e *RefusedError) Error() string {
	if e.RequestID == "" {
		return e.Code() + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s (request %s)", e.Code(), e.Message, e.RequestID)
}

// TransportError says that no answer of the authority's came: it was not reached, is another's, the connection broke, or the time was
// over. The call may have been carried out. It is context.DeadlineExceeded or context.Canceled where that is why.
type TransportError struct {
	Status  codes.Code
	Message string
	cause   error
}

func (e *TransportError) Error() string {
	return fmt.Sprintf("no answer of the authority (%s): %s", e.Status, e.Message)
}

func (e *TransportError) Unwrap() error { return e.cause }

// callError gives the error for what gRPC reports. What is not marked as the authority's counts as the transport's.
func callError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	said, is := status.FromError(err)
	if !is {
		said = status.FromContextError(err)
	}
	if refused := refusedBy(said); refused != nil {
		return refused
	}
	transport := &TransportError{Status: said.Code(), Message: short(said.Message(), maxWords), cause: ctx.Err()}
	if transport.cause == nil && said.Code() == codes.DeadlineExceeded {
		transport.cause = context.DeadlineExceeded
	}
	return transport
}

// faulty is for an answer that no authority would give.
func faulty(message string) error {
	return &TransportError{Status: codes.Internal, Message: message}
}

// refusedBy reads google.rpc.Status; nil where it is not the authority's.
func refusedBy(said *status.Status) *RefusedError {
	refused := &RefusedError{Status: said.Code(), Message: short(said.Message(), maxWords)}
	isOurs := false
	for _, detail := range first(said.Details()) {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() != "wardein" || detail.GetReason() == "" {
				return nil
			}
			isOurs = true
			refused.Reason = short(detail.GetReason(), maxField)
			refused.Metadata = map[string]string{}
			for name, value := range detail.GetMetadata() {
				if len(refused.Metadata) < maxDetails {
					refused.Metadata[short(name, maxField)] = short(value, maxField)
				}
			}
		case *errdetails.RequestInfo:
			refused.RequestID = short(detail.GetRequestId(), maxField)
		case *errdetails.RetryInfo:
			refused.MayRetry = true
			refused.RetryAfter = min(max(0, detail.GetRetryDelay().AsDuration()), longestPause)
		case *errdetails.BadRequest:
			for _, each := range first(detail.GetFieldViolations()) {
				refused.Fields = append(refused.Fields, Field{short(each.GetField(), maxField), short(each.GetDescription(), maxWords)})
			}
		case *errdetails.PreconditionFailure:
			for _, each := range first(detail.GetViolations()) {
				refused.Preconditions = append(refused.Preconditions, short(each.GetDescription(), maxWords))
			}
		}
	}
	if !isOurs {
		return nil
	}
	return refused
}

// refusedWithin is for a failure within a stream, which has status and code alone.
func refusedWithin(failure *wardeinv1.Failure) *RefusedError {
	return &RefusedError{
		Status:  codes.Code(failure.GetStatus()),
		Reason:  strings.ReplaceAll(strings.ToUpper(short(failure.GetCode(), maxField)), "-", "_"),
		Message: short(failure.GetMessage(), maxWords),
	}
}

func short(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

func first[T any](all []T) []T {
	return all[:min(len(all), maxDetails)]
}

// mayGoOn says whether another attempt at a watch may go better: also after a fault of the connection, or of the authority's own.
func mayGoOn(err error) bool {
	var refused *RefusedError
	return !errors.As(err, &refused) || refused.Status == codes.Unavailable || refused.Status == codes.ResourceExhausted ||
		refused.Status == codes.Internal
}

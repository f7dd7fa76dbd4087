package platform

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"wardein.example/wardeinv1"
)

// The most ids of one message.
const maxBatch = 1024

// CheckStream gives the verdicts on many devices at a time, as of now. The stream is opened with the first question, and again after it
// ended. It is safe for use by several goroutines, which take turns; Close ends it.
type CheckStream struct {
	client *Client
	// Held by whose turn it is.
	turn   chan struct{}
	opened *opened
}

// CheckResult is the answer to one question: a verdict, or why there is none, as for an id that is malformed.
type CheckResult struct {
	Verdict *wardeinv1.DeviceVerdict
	Refused *RefusedError
}

// opened is a stream that is read all the time, so that its end is seen also while nothing is asked.
type opened struct {
	stream  grpc.ClientStream
	cancel  context.CancelFunc
	answers chan *wardeinv1.CheckStreamResponse
	// Closed at the end, whose reason is in err by then.
	ended chan struct{}
	err   error
}

// CheckStream makes one.
func (c *Client) CheckStream() *CheckStream {
	return &CheckStream{client: c, turn: make(chan struct{}, 1)}
}

// Check gives one result for each id, in their order. More than 1,024 go in several messages.
func (s *CheckStream) Check(ctx context.Context, deviceIDs []string) ([]CheckResult, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.options.Timeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, callError(ctx, ctx.Err())
	}
	defer func() { <-s.turn }()
	var results []CheckResult
	err := retrying(ctx, func() (err error) {
		results, err = s.ask(ctx, deviceIDs)
		return err
	})
	return results, err
}

// Close ends the stream. It waits for a question that is being answered.
func (s *CheckStream) Close() {
	s.turn <- struct{}{}
	s.end()
	<-s.turn
}

func (s *CheckStream) ask(ctx context.Context, deviceIDs []string) (results []CheckResult, err error) {
	if len(deviceIDs) == 0 {
		return nil, nil
	}
	if s.opened != nil && s.opened.hasEnded() {
		s.end()
	}
	if s.opened == nil {
		if s.opened, err = s.client.openCheckStream(); err != nil {
			return nil, callError(ctx, err)
		}
	}
	o := s.opened
	// Beside the reading, since each waits where the other does not go on.
	written := make(chan struct{})
	go func() {
		defer close(written)
		write(o.stream, deviceIDs)
	}()
	defer func() {
		if err != nil {
			// What still comes is to this question, and not to the next.
			s.end()
		}
		<-written
	}()
	for rest := deviceIDs; len(rest) > 0; {
		count := min(len(rest), maxBatch)
		rest = rest[count:]
		var answer *wardeinv1.CheckStreamResponse
		select {
		case answer = <-o.answers:
		case <-o.ended:
			return nil, ended(ctx, o.err)
		case <-ctx.Done():
			return nil, callError(ctx, ctx.Err())
		}
		if len(answer.GetResults()) != count {
			return nil, faulty("the answer is not to the question")
		}
		for _, each := range answer.GetResults() {
			result := CheckResult{Verdict: each.GetVerdict()}
			if result.Verdict == nil {
				result.Refused = refusedWithin(each.GetFailure())
			}
			results = append(results, result)
		}
	}
	return results, nil
}

func (s *CheckStream) end() {
	if s.opened != nil {
		s.opened.cancel()
		s.opened = nil
	}
}

func (c *Client) openCheckStream() (*opened, error) {
	// It lasts longer than the question that it is opened for.
	ctx, cancel := context.WithCancel(context.Background())
	description := &grpc.StreamDesc{StreamName: "CheckStream", ServerStreams: true, ClientStreams: true}
	stream, err := c.connection().NewStream(ctx, description, trustService+"CheckStream")
	if err != nil {
		cancel()
		return nil, err
	}
	o := &opened{stream: stream, cancel: cancel, answers: make(chan *wardeinv1.CheckStreamResponse), ended: make(chan struct{})}
	go o.read(ctx)
	return o, nil
}

func (o *opened) read(ctx context.Context) {
	defer close(o.ended)
	// It is of no use any more, whichever side ended it.
	defer o.cancel()
	for {
		answer := &wardeinv1.CheckStreamResponse{}
		if o.err = o.stream.RecvMsg(answer); o.err != nil {
			return
		}
		select {
		case o.answers <- answer:
		case <-ctx.Done():
			o.err = ctx.Err()
			return
		}
	}
}

func (o *opened) hasEnded() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

func write(stream grpc.ClientStream, deviceIDs []string) {
	for len(deviceIDs) > 0 {
		count := min(len(deviceIDs), maxBatch)
		// The reader hears of an error.
		if stream.SendMsg(&wardeinv1.CheckStreamRequest{DeviceIds: deviceIDs[:count]}) != nil {
			return
		}
		deviceIDs = deviceIDs[count:]
	}
}

// ended is why a stream ended.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		return &TransportError{Status: codes.Unavailable, Message: "the stream ended"}
	}
	return callError(ctx, err)
}

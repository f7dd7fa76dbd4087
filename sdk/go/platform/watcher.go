package platform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"wardein.example/wardeinv1"
)

const (
	// How long a stream lasts. Steady clocks differ by less than a second in that time.
	longestStream = time.Hour
	// Pauses double, from the first to the last.
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Event is what a watcher hears: SnapshotBegin, Snapshot, SnapshotEnd, Change, Bookmark or Interrupted.
type Event interface{ isEvent() }

type (
	// SnapshotBegin says that all devices follow: what was known before is replaced once they are all there.
	SnapshotBegin struct{}
	// Snapshot has some of them.
	Snapshot struct{ Devices []*wardeinv1.DeviceVerdict }
	// SnapshotEnd says that those were all.
	SnapshotEnd struct{}
	// Change has devices with their present verdicts.
	Change struct{ Devices []*wardeinv1.DeviceVerdict }
	// Bookmark says that everything heard so far is as it was at that moment, or later.
	Bookmark struct {
		// Moment is by this machine's clocks. It was then or later, whatever was delayed on the way.
		Moment Moment
		// Time is the authority's: for people.
		Time time.Time
	}
	// Interrupted says that the stream broke, for this reason; another one is tried in a moment.
	Interrupted struct{ Err error }
)

func (SnapshotBegin) isEvent() {}
func (Snapshot) isEvent()      {}
func (SnapshotEnd) isEvent()   {}
func (Change) isEvent()        {}
func (Bookmark) isEvent()      {}
func (Interrupted) isEvent()   {}

// Watcher watches a platform's tenant without an end: where a stream breaks, another one goes on from its last revision. One goroutine
// uses it.
type Watcher struct {
	client   *Client
	revision []byte
	stream   grpc.ClientStream
	cancel   context.CancelFunc
	// Just before the request was sent.
	asked Moment
	pause time.Duration
	// Whether a snapshot is on its way, and how many of its devices have come.
	isComing bool
	coming   uint64
	// The longest that nothing comes. Bookmarks come every 5 seconds.
	silence time.Duration
}

// NewWatcher begins with a snapshot where revision is nil. Otherwise it goes on from the revision of an earlier watch, and with a
// snapshot where the authority has nothing from there on.
func NewWatcher(client *Client, revision []byte) *Watcher {
	return &Watcher{client: client, revision: revision, pause: firstPause, silence: 15 * time.Second}
}

// Revision is from where another watcher goes on after the last event; nil before the first snapshot is complete.
func (w *Watcher) Revision() []byte { return w.revision }

// Close ends its stream.
func (w *Watcher) Close() {
	if w.stream != nil {
		w.cancel()
		w.stream, w.cancel = nil, nil
	}
}

// Next waits for the next event. The error is the context's, or one that no other attempt changes: the identity was revoked or has ended,
// or may not watch. A wait that is canceled loses nothing.
func (w *Watcher) Next(ctx context.Context) (Event, error) {
	for {
		if w.stream == nil {
			begin, err := w.open(ctx)
			if err != nil {
				return w.interrupted(ctx, err)
			}
			if begin != nil {
				return begin, nil
			}
		}
		event, err := w.hear(ctx)
		if err != nil {
			return w.interrupted(ctx, err)
		}
		// One without a kind is of a later release.
		if event != nil {
			return event, nil
		}
	}
}

func (w *Watcher) open(ctx context.Context) (Event, error) {
	// An identity that was renewed in the meantime is taken; with the former one, while files are being replaced.
	_, _ = w.client.Reload(ctx)
	request := &wardeinv1.WatchRequest{From: &wardeinv1.WatchRequest_Revision{Revision: w.revision}}
	isSnapshot := w.revision == nil
	if isSnapshot {
		request.From = &wardeinv1.WatchRequest_Snapshot{Snapshot: &wardeinv1.FromSnapshot{}}
	}
	// It lasts longer than the wait that it is opened in.
	lasting, cancel := context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, cancel)()
	w.asked = now()
	stream, err := w.client.connection().NewStream(lasting, &grpc.StreamDesc{StreamName: "Watch", ServerStreams: true}, trustService+"Watch")
	if err == nil {
		err = stream.SendMsg(request)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	// What was sent to a stream that has ended is answered by why it did.
	if err != nil && !errors.Is(err, io.EOF) {
		cancel()
		return nil, callError(ctx, err)
	}
	w.stream, w.cancel = stream, cancel
	w.isComing, w.coming = isSnapshot, 0
	if isSnapshot {
		return SnapshotBegin{}, nil
	}
	return nil, nil
}

func (w *Watcher) hear(ctx context.Context) (Event, error) {
	stop := context.AfterFunc(ctx, w.cancel)
	silent := time.AfterFunc(w.silence, w.cancel)
	message := &wardeinv1.WatchResponse{}
	err := w.stream.RecvMsg(message)
	stop()
	if !silent.Stop() && err != nil && ctx.Err() == nil {
		return nil, &TransportError{Status: codes.Unavailable, Message: "nothing came for too long"}
	}
	if err != nil {
		return nil, ended(ctx, err)
	}
	w.pause = firstPause
	event, err := w.event(message)
	// Two clocks drift apart, and one may be set: each stream compares them once. A bookmark that looks old is of before that.
	if bookmark, is := event.(Bookmark); is && (bookmark.Moment.Age() > w.silence || w.asked.Age() > longestStream) {
		w.Close()
	}
	return event, err
}

// event says what a message says to who has that revision.
func (w *Watcher) event(message *wardeinv1.WatchResponse) (Event, error) {
	switch event := message.GetEvent().(type) {
	case *wardeinv1.WatchResponse_Snapshot:
		if !w.isComing {
			return nil, faulty("a snapshot came that was not asked for")
		}
		devices := event.Snapshot.GetDevices()
		w.coming += uint64(len(devices))
		return Snapshot{devices}, nil
	case *wardeinv1.WatchResponse_SnapshotEnd:
		if !w.isComing || w.coming != event.SnapshotEnd.GetDevices() {
			return nil, faulty("the snapshot is not whole")
		}
		w.isComing, w.revision = false, given(event.SnapshotEnd.GetRevision())
		return SnapshotEnd{}, nil
	case *wardeinv1.WatchResponse_Change:
		if w.revision == nil || !bytes.Equal(w.revision, event.Change.GetPrevious()) {
			return nil, faulty("a change was missed")
		}
		w.revision = given(event.Change.GetRevision())
		return Change{event.Change.GetDevices()}, nil
	case *wardeinv1.WatchResponse_Bookmark:
		if w.revision == nil {
			return nil, faulty("a bookmark came before the snapshot's end")
		}
		w.revision = given(event.Bookmark.GetRevision())
		return Bookmark{w.asked.later(span(event.Bookmark.GetElapsed())), event.Bookmark.GetTime().AsTime()}, nil
	}
	return nil, nil
}

// interrupted says whether and how to go on after a stream that ended so.
func (w *Watcher) interrupted(ctx context.Context, err error) (Event, error) {
	w.Close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var refused *RefusedError
	isRefused := errors.As(err, &refused)
	// What it goes on from is gone, or a message that it could not know was missed. Without a revision that is nobody's cause.
	if isRefused && refused.Status == codes.OutOfRange && w.revision != nil {
		w.revision = nil
		return Interrupted{err}, nil
	}
	if !mayGoOn(err) {
		if isAnother, _ := w.client.Reload(ctx); !isAnother {
			return nil, err
		}
	}
	least := time.Duration(0)
	if isRefused {
		least = refused.RetryAfter
	}
	pause := max(w.pause, least)
	w.pause = min(2*w.pause, lastPause)
	// Not all watchers of an authority at once.
	least = max(least, pause/2)
	if !sleep(ctx, least+rand.N(pause-least+1)) {
		return nil, ctx.Err()
	}
	return Interrupted{err}, nil
}

// given is a revision; an empty one is one, too.
func given(revision []byte) []byte {
	if revision == nil {
		return []byte{}
	}
	return revision
}

// span is 0 of one that is out of bounds: it claims nothing.
func span(wire *durationpb.Duration) time.Duration {
	if wire.GetSeconds() < 0 || wire.GetNanos() < 0 || wire.CheckValid() != nil {
		return 0
	}
	return wire.AsDuration()
}

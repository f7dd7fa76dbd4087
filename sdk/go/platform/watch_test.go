package platform

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"wardein.example/wardeinv1"
)

const suspended = wardeinv1.Verdict_VERDICT_NOT_TRUSTED

func verdictOn(id string, verdict wardeinv1.Verdict, lifetime time.Duration) *wardeinv1.DeviceVerdict {
	return &wardeinv1.DeviceVerdict{DeviceId: id, Verdict: verdict, Lifetime: durationpb.New(lifetime)}
}

func good(id string) *wardeinv1.DeviceVerdict {
	return verdictOn(id, wardeinv1.Verdict_VERDICT_TRUSTED, 5*time.Minute)
}

func snapshot(devices ...*wardeinv1.DeviceVerdict) *wardeinv1.WatchResponse {
	return &wardeinv1.WatchResponse{Event: &wardeinv1.WatchResponse_Snapshot{Snapshot: &wardeinv1.Snapshot{Devices: devices}}}
}

func end(revision string, devices uint64) *wardeinv1.WatchResponse {
	end := &wardeinv1.SnapshotEnd{Revision: []byte(revision), Devices: devices}
	return &wardeinv1.WatchResponse{Event: &wardeinv1.WatchResponse_SnapshotEnd{SnapshotEnd: end}}
}

func change(previous, revision string, devices ...*wardeinv1.DeviceVerdict) *wardeinv1.WatchResponse {
	change := &wardeinv1.Change{Previous: []byte(previous), Revision: []byte(revision), Devices: devices}
	return &wardeinv1.WatchResponse{Event: &wardeinv1.WatchResponse_Change{Change: change}}
}

func bookmark(revision string) *wardeinv1.WatchResponse {
	bookmark := &wardeinv1.Bookmark{Revision: []byte(revision), Elapsed: durationpb.New(0)}
	return &wardeinv1.WatchResponse{Event: &wardeinv1.WatchResponse_Bookmark{Bookmark: bookmark}}
}

// sent sends all, and waits until the reader is gone.
func sent(stream grpc.ServerStream, messages ...*wardeinv1.WatchResponse) error {
	for _, each := range messages {
		if err := stream.SendMsg(each); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

// heard are the kinds of so many events, and the last of them.
func heard(t *testing.T, watcher *Watcher, count int) (kinds string, last Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var all []string
	for range count {
		event, err := watcher.Next(ctx)
		check(t, err)
		all, last = append(all, strings.TrimPrefix(fmt.Sprintf("%T", event), "platform.")), event
	}
	return strings.Join(all, " "), last
}

func TestAWatchGoesOnFromItsRevisionAndSeesAGapByItself(t *testing.T) {
	f := faked(t, 5*time.Second)
	var asked []string
	f.onWatches(func(request *wardeinv1.WatchRequest, stream grpc.ServerStream) error {
		isFirst := false
		f.locked(func() {
			isFirst = len(asked) == 0
			asked = append(asked, string(request.GetRevision()))
		})
		if isFirst {
			// The change from 2 to 3 is missing.
			return sent(stream, snapshot(good("pump-1"), good("pump-2")), end("1", 2), bookmark("1"),
				change("1", "2", verdictOn("pump-1", suspended, 0)), change("3", "4", verdictOn("pump-2", suspended, 0)))
		}
		if err := stream.SendMsg(change("2", "3", verdictOn("pump-2", suspended, 0))); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "the connection broke")
	})
	watcher := NewWatcher(f.client, nil)
	defer watcher.Close()
	kinds, last := heard(t, watcher, 6)
	hold(t, kinds, kinds == "SnapshotBegin Snapshot SnapshotEnd Bookmark Change Interrupted")
	hold(t, "the gap is seen", strings.Contains(last.(Interrupted).Err.Error(), "a change was missed"))
	kinds, _ = heard(t, watcher, 2)
	hold(t, kinds, kinds == "Change Interrupted" && string(watcher.Revision()) == "3")
	hold(t, "it went on from its own revision", reflect.DeepEqual(asked[:2], []string{"", "2"}))
}

func TestARevisionThatIsGoneLeadsToASnapshot(t *testing.T) {
	f := faked(t, 5*time.Second)
	for _, reason := range []string{"REVISION_COMPACTED", "REVISION_FOREIGN", "REVISION_AHEAD"} {
		f.onWatches(func(request *wardeinv1.WatchRequest, stream grpc.ServerStream) error {
			if request.GetRevision() != nil {
				return refusal(codes.OutOfRange, reason)
			}
			return sent(stream, snapshot(good("pump-1")), end("9", 1))
		})
		watcher := NewWatcher(f.client, []byte("of an earlier life"))
		kinds, _ := heard(t, watcher, 4)
		hold(t, kinds, kinds == "Interrupted SnapshotBegin Snapshot SnapshotEnd" && string(watcher.Revision()) == "9")
		watcher.Close()
	}
}

func TestWhatNoAuthorityWouldSendIsNotTaken(t *testing.T) {
	f := faked(t, 5*time.Second)
	for what, messages := range map[string][]*wardeinv1.WatchResponse{
		"a snapshot that is not whole":       {snapshot(good("pump-1")), end("1", 2)},
		"a bookmark first":                   {bookmark("1")},
		"a change first":                     {change("", "1")},
		"a snapshot that was not asked for":  {snapshot(good("pump-1")), end("1", 1), snapshot(good("pump-2"))},
		"another end of the same snapshot":   {snapshot(good("pump-1")), end("1", 1), end("2", 1)},
		"a change from an empty revision on": {snapshot(), end("1", 0), change("", "1")},
	} {
		f.onWatches(func(_ *wardeinv1.WatchRequest, stream grpc.ServerStream) error { return sent(stream, messages...) })
		watcher := NewWatcher(f.client, nil)
		_, last := heard(t, watcher, len(messages)+1)
		interrupted, is := last.(Interrupted)
		var transport *TransportError
		hold(t, what, is && errors.As(interrupted.Err, &transport) && transport.Status == codes.Internal)
		watcher.Close()
	}
}

func TestSilenceBreaksAWatchAndARefusalEndsIt(t *testing.T) {
	f := faked(t, 5*time.Second)
	f.onWatches(func(_ *wardeinv1.WatchRequest, stream grpc.ServerStream) error {
		if f.counted() > 1 {
			return refusal(codes.PermissionDenied, "ROLE_DENIED")
		}
		return sent(stream)
	})
	watcher := NewWatcher(f.client, nil)
	defer watcher.Close()
	watcher.silence = 200 * time.Millisecond
	kinds, last := heard(t, watcher, 2)
	hold(t, kinds, kinds == "SnapshotBegin Interrupted" && strings.Contains(last.(Interrupted).Err.Error(), "too long"))
	heard(t, watcher, 1)
	_, err := watcher.Next(context.Background())
	var refused *RefusedError
	hold(t, "it ends", errors.As(err, &refused) && refused.Code() == "role-denied")
}

func TestAPauseThatARefusalNamesIsKept(t *testing.T) {
	f := faked(t, 5*time.Second)
	var came []time.Time
	f.onWatches(func(*wardeinv1.WatchRequest, grpc.ServerStream) error {
		f.locked(func() { came = append(came, time.Now()) })
		return refusal(codes.Unavailable, "STOPPING", retryIn(400*time.Millisecond))
	})
	watcher := NewWatcher(f.client, nil)
	defer watcher.Close()
	heard(t, watcher, 4)
	hold(t, "the pause", came[1].Sub(came[0]) >= 400*time.Millisecond)
}

func TestAWaitThatIsCanceledLosesNothing(t *testing.T) {
	f := faked(t, 5*time.Second)
	f.onWatches(func(request *wardeinv1.WatchRequest, stream grpc.ServerStream) error {
		if revision := request.GetRevision(); revision != nil {
			return sent(stream, change(string(revision), "2", verdictOn("pump-1", suspended, 0)))
		}
		return sent(stream, snapshot(good("pump-1")), end("1", 1))
	})
	watcher := NewWatcher(f.client, nil)
	defer watcher.Close()
	heard(t, watcher, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := watcher.Next(ctx)
	hold(t, "it was canceled", errors.Is(err, context.DeadlineExceeded))
	kinds, _ := heard(t, watcher, 1)
	hold(t, kinds, kinds == "Change" && string(watcher.Revision()) == "2")
}

func TestACacheIsToldAndComparesAfterItWasAway(t *testing.T) {
	f := faked(t, 5*time.Second)
	breaks := make(chan struct{})
	f.onWatches(func(request *wardeinv1.WatchRequest, stream grpc.ServerStream) error {
		if f.counted() == 1 {
			for _, each := range []*wardeinv1.WatchResponse{
				snapshot(good("pump-1"), good("pump-2"), good("pump-3")), end("1", 3), bookmark("1"),
				change("1", "2", verdictOn("pump-1", suspended, time.Minute)),
			} {
				if err := stream.SendMsg(each); err != nil {
					return err
				}
			}
			<-breaks
			return status.Error(codes.Unavailable, "the connection broke")
		}
		if request.GetRevision() != nil {
			return refusal(codes.OutOfRange, "REVISION_FOREIGN")
		}
		// As from a backup: the suspension is not known, another is, and a device is gone.
		return sent(stream, snapshot(good("pump-1"), verdictOn("pump-2", suspended, time.Minute)), end("7", 2), bookmark("7"))
	})
	var lock sync.Mutex
	fell := map[string]wardeinv1.Verdict{}
	cache := NewTrustCache(f.client, CacheOptions{Changed: func(verdict *wardeinv1.DeviceVerdict) {
		lock.Lock()
		defer lock.Unlock()
		fell[verdict.GetDeviceId()] = verdict.GetVerdict()
	}})
	told := func(expected map[string]wardeinv1.Verdict) func() bool {
		return func() bool {
			lock.Lock()
			defer lock.Unlock()
			return reflect.DeepEqual(fell, expected)
		}
	}
	_, hasAge := cache.Age()
	hold(t, "it knows nothing yet", cache.Lookup("pump-1").Standing == Stale && !hasAge)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- cache.Follow(ctx) }()
	check(t, cache.Ready(ctx))
	until(t, "the change", told(map[string]wardeinv1.Verdict{"pump-1": suspended}))
	hold(t, "it fell", !cache.Lookup("pump-1").IsTrusted() && cache.Lookup("pump-1").Standing == Known)
	hold(t, "the other", cache.Lookup("pump-2").IsTrusted() && cache.Lookup("pump-4").Standing == Unknown)
	close(breaks)
	until(t, "what is another one", told(map[string]wardeinv1.Verdict{
		"pump-1": wardeinv1.Verdict_VERDICT_TRUSTED, "pump-2": suspended, "pump-3": wardeinv1.Verdict_VERDICT_UNKNOWN,
	}))
	hold(t, "all of it", cache.Len() == 2)
	cancel()
	hold(t, "it ends with its context", errors.Is(<-ended, context.Canceled))
}

func TestACacheThatMayNotWatchSaysSo(t *testing.T) {
	f := faked(t, 5*time.Second)
	f.onWatches(func(*wardeinv1.WatchRequest, grpc.ServerStream) error {
		return refusal(codes.PermissionDenied, "ROLE_DENIED")
	})
	cache := NewTrustCache(f.client, CacheOptions{})
	ended := make(chan error, 1)
	go func() { ended <- cache.Follow(context.Background()) }()
	var refused *RefusedError
	hold(t, "a waiter hears of it", errors.As(cache.Ready(context.Background()), &refused) && errors.As(<-ended, &refused))
	hold(t, "it trusts nobody", cache.Lookup("pump-1").Standing == Stale)
}

// filled is a cache that heard of those devices, and of the authority so long ago: by the wall clock alone, as after a sleep of the machine.
func filled(mostSilence, ago time.Duration, devices ...*wardeinv1.DeviceVerdict) *TrustCache {
	cache := NewTrustCache(nil, CacheOptions{MostSilence: mostSilence})
	asOf := now()
	asOf.wall -= int64(ago)
	for _, each := range []Event{SnapshotBegin{}, Snapshot{devices}, SnapshotEnd{}, Bookmark{Moment: asOf}} {
		cache.apply(each)
	}
	return cache
}

func TestItAnswersForAsLongAsTheLastBookmarkAndTheVerdictAllow(t *testing.T) {
	short := verdictOn("short", wardeinv1.Verdict_VERDICT_TRUSTED, 2*time.Second)
	cache := filled(15*time.Second, 10*time.Second, good("long"), short)
	hold(t, "within both", cache.Lookup("long").IsTrusted())
	hold(t, "its lifetime is over", cache.Lookup("short").Standing == Stale)
	hold(t, "there is none", cache.Lookup("none").Standing == Unknown)
	cache = filled(5*time.Second, 10*time.Second, good("long"))
	hold(t, "silence", cache.Lookup("long").Standing == Stale && cache.Lookup("none").Standing == Stale)
}

func TestAVerdictThatTimeEndsIsNotUsedFromThatSecondOn(t *testing.T) {
	until := func(second int64) *wardeinv1.DeviceVerdict {
		verdict := good("pump-1")
		verdict.ValidUntil = &timestamppb.Timestamp{Seconds: second}
		return offline(verdict, wardeinv1.OfflineUse_OFFLINE_USE_DATA, time.Hour)
	}
	cache := filled(10*time.Minute, time.Minute, until(1_100), good("pump-2"))
	hold(t, "no time was told", cache.Lookup("pump-1").Standing == Stale && cache.Lookup("pump-2").IsTrusted())
	mark := func(ago time.Duration, second int64) {
		asOf := now()
		asOf.wall -= int64(ago)
		cache.apply(Bookmark{asOf, time.Unix(second, 0)})
	}
	mark(10*time.Second, 1_000)
	hold(t, "not yet", cache.Lookup("pump-1").IsTrusted())
	mark(5*time.Second, 1_094)
	hold(t, "it may be 1100 by now", cache.Lookup("pump-1").Standing == Stale)
	hold(t, "no policy makes it last", cache.LookupFor("pump-1", wardeinv1.OfflineUse_OFFLINE_USE_DATA).Standing == Stale)
	cache.apply(Change{[]*wardeinv1.DeviceVerdict{until(1_200)}})
	hold(t, "it was told in time", cache.Lookup("pump-1").IsTrusted())
	mark(0, 1_199)
	mark(time.Minute, 1_000)
	hold(t, "an earlier bookmark takes nothing back", cache.Lookup("pump-1").Standing == Stale)
}

func TestASnapshotCountsWhenItIsWholeAndTheAuthorityWasHeardOf(t *testing.T) {
	cache := NewTrustCache(nil, CacheOptions{})
	for _, each := range []Event{SnapshotBegin{}, Snapshot{[]*wardeinv1.DeviceVerdict{good("pump-1")}}, SnapshotEnd{}} {
		cache.apply(each)
		hold(t, "not yet", cache.Lookup("pump-1").Standing == Stale)
	}
	cache.apply(Bookmark{Moment: now()})
	hold(t, "now", cache.Lookup("pump-1").IsTrusted())
	for _, each := range []Event{SnapshotBegin{}, Snapshot{}, SnapshotBegin{}, Bookmark{}} {
		cache.apply(each)
	}
	hold(t, "what is broken off changes nothing, nor does an earlier bookmark", cache.Lookup("pump-1").IsTrusted())
}

func offline(verdict *wardeinv1.DeviceVerdict, use wardeinv1.OfflineUse, span time.Duration) *wardeinv1.DeviceVerdict {
	verdict.Offline = append(verdict.Offline, &wardeinv1.OfflineLimit{Use: use, Time: durationpb.New(span)})
	return verdict
}

// The clock jumps, as after a sleep of the machine.
func TestAStaleVerdictIsUsedForWhatItsPolicySaysAndNoLonger(t *testing.T) {
	const data, login = wardeinv1.OfflineUse_OFFLINE_USE_DATA, wardeinv1.OfflineUse_OFFLINE_USE_LOGIN
	const control = wardeinv1.OfflineUse_OFFLINE_USE_CONTROL
	for _, row := range []struct {
		ago  time.Duration
		good []wardeinv1.OfflineUse
	}{
		{10 * time.Second, []wardeinv1.OfflineUse{data, login, control, 77, -1}},
		{70 * time.Second, []wardeinv1.OfflineUse{data, login}},
		{80 * time.Second, []wardeinv1.OfflineUse{data}},
		{3_620 * time.Second, nil},
	} {
		// The last is of a later release.
		both := offline(offline(offline(good("pump-1"), data, time.Hour), login, time.Minute), 77, 1000*time.Hour)
		never := offline(verdictOn("never", wardeinv1.Verdict_VERDICT_TRUSTED, 0), data, time.Hour)
		fell := offline(verdictOn("fell", suspended, 5*time.Minute), data, time.Hour)
		cache := filled(15*time.Second, row.ago, both, good("none of it"), never, fell)
		for _, use := range []wardeinv1.OfflineUse{data, login, control, 77, -1} {
			hold(t, fmt.Sprint(row.ago, use), cache.LookupFor("pump-1", use).IsTrusted() == slices.Contains(row.good, use))
		}
		fresh := row.ago <= 15*time.Second
		hold(t, "for nothing that was said", cache.Lookup("pump-1").IsTrusted() == fresh)
		hold(t, "without a policy", cache.LookupFor("none of it", data).IsTrusted() == fresh)
		for _, id := range []string{"never", "fell", "nobody"} {
			hold(t, id, !cache.LookupFor(id, data).IsTrusted())
		}
	}
}

func TestAMomentIsNeverLaterThanNowAndItsAgeIsTheLonger(t *testing.T) {
	asked := now()
	hold(t, "later", asked.later(9*time.Second).Age() < 5*time.Second && asked.later(math.MaxInt64).Age() < 5*time.Second)
	slept := Moment{asked.at, asked.wall - int64(time.Minute)}
	hold(t, "the machine slept", slept.Age() >= time.Minute)
	hold(t, "time went on", (Moment{asked.at.Add(-time.Minute), asked.wall}).Age() >= time.Minute)
	hold(t, "the clock was set back", (Moment{asked.at, asked.wall + int64(time.Minute)}).Age() < 5*time.Second)
}

func TestAnElapsedTimeThatIsNoneClaimsNothing(t *testing.T) {
	for _, wire := range []*durationpb.Duration{nil, {Seconds: -1}, {Nanos: -1}, {Seconds: 1, Nanos: 1e9}} {
		hold(t, wire.String(), span(wire) == 0)
	}
	hold(t, "one that is", span(&durationpb.Duration{Seconds: 2, Nanos: 5}) == 2*time.Second+5)
}

// What a lookup costs among few and many devices, which are asked about in no order: go test -bench Lookup -benchtime 2000000x -run none
func BenchmarkLookup(b *testing.B) {
	for _, count := range []int{1_000, 1_000_000} {
		devices, asked := make([]*wardeinv1.DeviceVerdict, count), make([]string, count)
		for number := range count {
			devices[number] = verdictOn(fmt.Sprintf("pump-%07d", number), wardeinv1.Verdict_VERDICT_TRUSTED, 10*time.Minute)
			asked[number] = fmt.Sprintf("pump-%07d", number*7919%count)
		}
		cache := filled(10*time.Minute, 0, devices...)
		b.Run(fmt.Sprintf("Cache%d", count), func(b *testing.B) {
			for turn := range b.N {
				if !cache.Lookup(asked[turn%count]).IsTrusted() {
					b.Fatal("it is not trusted")
				}
			}
		})
		b.Run(fmt.Sprintf("CacheParallel%d", count), func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for turn := 0; p.Next(); turn++ {
					if !cache.Lookup(asked[turn%count]).IsTrusted() {
						b.Error("it is not trusted")
					}
				}
			})
		})
		b.Run(fmt.Sprintf("BareMap%d", count), func(b *testing.B) {
			for turn := range b.N {
				if cache.devices[asked[turn%count]].verdict.GetVerdict() != wardeinv1.Verdict_VERDICT_TRUSTED {
					b.Fatal("it is not trusted")
				}
			}
		})
	}
}

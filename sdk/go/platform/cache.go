package platform

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"wardein.example/wardeinv1"
)

// Standing says what a cache knows of a device.
type Standing int

const (
	// Stale: it is not known whether what was heard last is still so. Ask Client.Check, or do not trust the device.
	Stale Standing = iota
	// Known: there is a verdict.
	Known
	// Unknown: the authority has no such device in this tenant.
	Unknown
)

func (s Standing) String() string {
	switch s {
	case Known:
		return "known"
	case Unknown:
		return "unknown"
	}
	return "stale"
}

// Lookup is what a cache says of a device. Its zero value is stale.
type Lookup struct {
	Standing Standing
	// Verdict is there where Standing is Known. It is shared: change nothing in it.
	Verdict *wardeinv1.DeviceVerdict
}

// IsTrusted is whether the device is to be trusted now.
func (l Lookup) IsTrusted() bool {
	return l.Standing == Known && l.Verdict.GetVerdict() == wardeinv1.Verdict_VERDICT_TRUSTED
}

// CacheOptions say how a cache works. The zero value is ready.
type CacheOptions struct {
	// MostSilence is the longest that the cache answers without having heard of the authority, of which a bookmark comes every 5 s; 15 s
	// if it is 0.
	MostSilence time.Duration
	// Changed is called by Follow with each device whose verdict became another one, also where the authority was away in between: close
	// its sessions there. With a device that is gone it is called with UNKNOWN.
	Changed func(*wardeinv1.DeviceVerdict)
	// Log hears of each interruption; slog.Default() if it is nil.
	Log *slog.Logger
}

// TrustCache has the verdicts on all devices of a platform, kept true by Follow.
//
// It answers while the last bookmark of the authority is younger than MostSilence and than the verdict's lifetime, and while time alone has
// not ended the verdict, and says Stale otherwise: when it has not heard of the authority for too long, it trusts nobody, but for
// what the authority's trust policy has stale verdicts for. A lookup touches memory alone, takes a read lock for as long as a map is looked into, and may be made by any goroutine.
type TrustCache struct {
	client  *Client
	options CacheOptions

	lock    sync.RWMutex
	devices map[string]kept
	// The moment of the last bookmark, and the authority's time by then, in Unix seconds.
	asOf    Moment
	at      int64
	hasAsOf bool
	failure error

	// Closed once it can answer, or never will.
	ready     chan struct{}
	readyOnce sync.Once

	// The snapshot that is on its way, of Follow alone: it takes the place of what is there when it is whole.
	coming map[string]kept
}

type kept struct {
	verdict  *wardeinv1.DeviceVerdict
	lifetime time.Duration
	// The Unix second of the authority's time that ends it; 0 where time does not.
	validUntil int64
	// For how long after it became stale it may be used for what, by the number of the use.
	offline [uses]time.Duration
}

// More than the largest number of a use: one of a later release is none.
const uses = 4

// isOver is whether time has ended it, where the authority's time was that second, or a part of one more, so long ago at the most.
func (k kept) isOver(at int64, age time.Duration) bool {
	return k.validUntil != 0 && (age+time.Second).Seconds() >= float64(k.validUntil)-float64(at)
}

// NewTrustCache makes a cache that answers nothing before it follows.
func NewTrustCache(client *Client, options CacheOptions) *TrustCache {
	if options.MostSilence == 0 {
		options.MostSilence = 15 * time.Second
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	return &TrustCache{client: client, options: options, ready: make(chan struct{})}
}

// Follow keeps the cache true, over broken connections and restarts of the authority. It ends with its context, or with the reason where
// the platform may not watch any more: a goroutine of its own calls it, once.
func (c *TrustCache) Follow(ctx context.Context) error {
	watcher := NewWatcher(c.client, nil)
	defer watcher.Close()
	for {
		event, err := watcher.Next(ctx)
		if err != nil {
			c.lock.Lock()
			c.failure = err
			c.lock.Unlock()
			c.readyOnce.Do(func() { close(c.ready) })
			return err
		}
		c.apply(event)
	}
}

// Ready waits until the cache can answer. The error is the context's, or the reason why it never will.
func (c *TrustCache) Ready(ctx context.Context) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.lock.RLock()
	defer c.lock.RUnlock()
	if c.hasAsOf {
		return nil
	}
	return c.failure
}

// Lookup gives what is known of the device of that id now.
func (c *TrustCache) Lookup(deviceID string) Lookup {
	return c.LookupFor(deviceID, wardeinv1.OfflineUse_OFFLINE_USE_UNSPECIFIED)
}

// LookupFor gives the same for something that the platform does on the word of it: a stale verdict as well, for as long as the tenant's trust
// policy has it for that use. A device that fell in the meantime is then taken for good, which is what that policy weighs. A verdict that the
// profile lets nobody keep, or that time has ended, is never used longer.
func (c *TrustCache) LookupFor(deviceID string, use wardeinv1.OfflineUse) Lookup {
	c.lock.RLock()
	asOf, at, hasAsOf := c.asOf, c.at, c.hasAsOf
	known, has := c.devices[deviceID]
	c.lock.RUnlock()
	if !hasAsOf {
		return Lookup{}
	}
	age, fresh := asOf.Age(), c.options.MostSilence
	if !has {
		if age > fresh {
			return Lookup{}
		}
		return Lookup{Standing: Unknown}
	}
	if known.isOver(at, age) {
		return Lookup{}
	}
	fresh = min(fresh, known.lifetime)
	// Not by a sum, which may overflow.
	if age > fresh && (known.lifetime == 0 || age-fresh > known.offlineFor(use)) {
		return Lookup{}
	}
	return Lookup{Known, known.verdict}
}

// Age is how long ago it last heard that everything is as it has it; false if it never did.
func (c *TrustCache) Age() (time.Duration, bool) {
	c.lock.RLock()
	defer c.lock.RUnlock()
	return c.asOf.Age(), c.hasAsOf
}

// Len is how many devices it knows.
func (c *TrustCache) Len() int {
	c.lock.RLock()
	defer c.lock.RUnlock()
	return len(c.devices)
}

func (c *TrustCache) apply(event Event) {
	switch event := event.(type) {
	case SnapshotBegin:
		c.coming = map[string]kept{}
	case Snapshot:
		for _, each := range event.Devices {
			c.coming[each.GetDeviceId()] = keep(each)
		}
	case SnapshotEnd:
		c.lock.Lock()
		former, wasReady := c.devices, c.hasAsOf
		c.devices = c.coming
		c.lock.Unlock()
		c.coming = nil
		// Nobody was told of a device before the first snapshot.
		if wasReady && c.options.Changed != nil {
			c.compare(former)
		}
	case Change:
		before := make([]kept, len(event.Devices))
		c.lock.Lock()
		for number, each := range event.Devices {
			before[number] = c.devices[each.GetDeviceId()]
			c.devices[each.GetDeviceId()] = keep(each)
		}
		c.lock.Unlock()
		for number, each := range event.Devices {
			c.tell(before[number], each)
		}
	case Bookmark:
		at := event.Time.Unix()
		if at <= 0 {
			// Without a time nothing is known of what ends by it.
			at = math.MaxInt64
		}
		c.lock.Lock()
		// An earlier one takes nothing back.
		if !c.hasAsOf || event.Moment.Age() <= c.asOf.Age() {
			c.at = at
		}
		if c.hasAsOf {
			c.asOf = c.asOf.newest(event.Moment)
		} else {
			c.asOf, c.hasAsOf = event.Moment, true
		}
		c.lock.Unlock()
		c.readyOnce.Do(func() { close(c.ready) })
	case Interrupted:
		c.options.Log.Warn("the watch of trust was interrupted", "error", event.Err)
	}
}

// compare tells of each device whose verdict is another one than before. Only Follow changes the map, so it needs no lock to read it.
func (c *TrustCache) compare(former map[string]kept) {
	for id, each := range c.devices {
		c.tell(former[id], each.verdict)
	}
	for id := range former {
		if _, is := c.devices[id]; !is {
			c.tell(former[id], &wardeinv1.DeviceVerdict{
				DeviceId: id, Verdict: wardeinv1.Verdict_VERDICT_UNKNOWN, Reasons: []wardeinv1.Reason{wardeinv1.Reason_REASON_NO_SUCH_DEVICE},
			})
		}
	}
}

func (c *TrustCache) tell(before kept, verdict *wardeinv1.DeviceVerdict) {
	if c.options.Changed == nil || before.verdict.GetVerdict() == verdict.GetVerdict() {
		return
	}
	c.options.Changed(verdict)
}

func keep(verdict *wardeinv1.DeviceVerdict) kept {
	// Without one it is 0.
	made := kept{verdict: verdict, lifetime: span(verdict.GetLifetime()), validUntil: verdict.GetValidUntil().GetSeconds()}
	for _, limit := range verdict.GetOffline() {
		if use := limit.GetUse(); use > 0 && use < uses {
			made.offline[use] = span(limit.GetTime())
		}
	}
	return made
}

func (k kept) offlineFor(use wardeinv1.OfflineUse) time.Duration {
	if use < 0 || use >= uses {
		return 0
	}
	return k.offline[use]
}

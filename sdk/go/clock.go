package device

import "time"

// Clock has the device's clocks, of which none need be right (section 3.1). Both are in whole seconds.
type Clock interface {
	// Wall is Unix time, or 0 where there is no clock. It may be wrong by years.
	Wall() uint64
	// Elapsed counts from any moment; it never goes back while the process lives.
	Elapsed() uint64
}

// SystemClock is the machine's. It may stop counting while the machine sleeps.
type SystemClock struct{}

var start = time.Now()

// Wall is Unix time.
func (SystemClock) Wall() uint64 { return uint64(max(0, time.Now().Unix())) }

// Elapsed counts from the start of the process, by the monotonic clock.
func (SystemClock) Elapsed() uint64 { return uint64(max(0, time.Since(start)/time.Second)) }

// knownTime is the last acknowledged server_time, and what was counted since.
type knownTime struct {
	clock        Clock
	acked, since uint64
}

func tell(clock Clock, acked uint64) knownTime {
	return knownTime{clock, acked, clock.Elapsed()}
}

func (k knownTime) now() uint64 {
	counted := k.clock.Elapsed() - k.since
	if k.acked+counted < k.acked {
		return ^uint64(0)
	}
	return k.acked + counted
}

// latest, for data and files, is the later of known time and wall clock.
func (k knownTime) latest() uint64 { return max(k.now(), k.clock.Wall()) }

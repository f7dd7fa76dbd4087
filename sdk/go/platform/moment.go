package platform

import "time"

// Moment is a moment by the machine's steady and by its wall clock. Its zero value was very long ago.
type Moment struct {
	// With a reading of the steady clock.
	at time.Time
	// Nanoseconds of Unix time.
	wall int64
}

func now() Moment {
	at := time.Now()
	return Moment{at, at.UnixNano()}
}

// Age is how long ago it was, by the clock by which it is longer: the steady one may stand still while a machine sleeps, and the wall
// clock may be set back.
func (m Moment) Age() time.Duration {
	at := time.Now()
	return max(at.Sub(m.at), time.Duration(at.UnixNano()-m.wall))
}

// later is so much later, and now at the latest.
func (m Moment) later(by time.Duration) Moment {
	latest := now()
	later := Moment{m.at.Add(by), m.wall + int64(by)}
	if later.at.After(latest.at) {
		later.at = latest.at
	}
	// One that overflowed is before.
	if later.wall > latest.wall || later.wall < m.wall {
		later.wall = latest.wall
	}
	return later
}

// newest is the later of the two, by each clock.
func (m Moment) newest(other Moment) Moment {
	if other.at.After(m.at) {
		m.at = other.at
	}
	m.wall = max(m.wall, other.wall)
	return m
}

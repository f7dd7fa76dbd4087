package device

import (
	"context"
	"testing"
)

// moments are the first and the last that come.
func moments(told *Window) (first, last uint64) {
	first = RenewAt(told, 1000, 2000)
	last = first
	for range 2000 {
		at := RenewAt(told, 1000, 2000)
		first, last = min(first, at), max(last, at)
	}
	return first, last
}

func TestRenewalFallsAnywhereInTheWindowThatTheAuthorityTold(t *testing.T) {
	for _, told := range []Window{{1300, 1309}, {1100, 1100}} {
		if first, last := moments(&told); first != told.Start || last != told.End {
			t.Errorf("%v: %d to %d", told, first, last)
		}
	}
}

func TestNoWindowWearsTheDeviceOutOrLetsItsCertificateEnd(t *testing.T) {
	for _, told := range []*Window{nil, {1099, 1200}, {0, 10}, {1900, 2001}, {1500, 1499}} {
		if first, last := moments(told); first < 1580 || last > 1740 || last-first < 100 {
			t.Errorf("%v: %d to %d", told, first, last)
		}
	}
	if at := RenewAt(nil, 2000, 1000); at != 2000 {
		t.Error(at)
	}
}

func TestASessionHasWhatCameWithTheLastReply(t *testing.T) {
	h := found(t, Suite1, hourly)
	h.renewal = &Window{1300, 1400}
	h.authenticate()
	if h.session.Renewal == nil || *h.session.Renewal != *h.renewal {
		t.Error(h.session.Renewal)
	}
	h.renewal = nil
	if err := h.session.Authenticate(context.Background()); err != nil || h.session.Renewal != nil {
		t.Error(err, h.session.Renewal)
	}
}

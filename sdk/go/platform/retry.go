package platform

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The shortest pause, also where a refusal names less.
const leastPause = 20 * time.Millisecond

// retrying makes an attempt again after a refusal with RetryInfo, and after nothing else: after the pause that it names or twice the one
// before, whichever is longer, and up to half of that more, so that a fleet does not come back as one. Where that would be after the
// context's deadline, it gives the refusal at once.
func retrying(ctx context.Context, attempt func() error) error {
	var pause time.Duration
	for {
		err := attempt()
		var refused *RefusedError
		if !errors.As(err, &refused) || !refused.MayRetry {
			return err
		}
		pause = max(refused.RetryAfter, 2*pause, leastPause)
		wait := pause + rand.N(pause/2+1)
		if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= wait {
			return err
		}
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// sleep is whether it slept so long.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

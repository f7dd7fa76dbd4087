//! The sweep that the server does by itself, slowly, so that nobody has to think of it.

use crate::config::Limits;
use std::time::Duration;
use wardein_engine::{Engine, Error, SweepProgress};

/// Sweeps again and again, for ever.
pub(crate) async fn sweep_by_itself(engine: &Engine, limits: &Limits) {
    loop {
        tokio::time::sleep(limits.sweep_every).await;
        match sweep(engine, limits.sweep_per_second).await {
            Ok(SweepProgress { devices, erased, renewed, dropped, has_clock: true, .. }) => {
                tracing::info!(devices, erased, renewed, dropped, "swept");
            }
            Ok(SweepProgress { devices, .. }) => tracing::warn!(
                devices,
                "swept without erasing: the clock jumped since the last sweep; look at it, and if it is right run: \
                 wardein key sweep --clock-is-right"
            ),
            Err(error) => tracing::warn!(%error, "the sweep was cut short; it is tried again"),
        }
    }
}

async fn sweep(engine: &Engine, per_second: u32) -> Result<SweepProgress, Error> {
    let (step, pause) = pace(per_second);
    let mut sweep = engine.begin_sweep(None, None, false).await?;
    loop {
        tokio::time::sleep(pause).await;
        let progress = engine.sweep_some(&mut sweep, step).await?;
        if progress.is_done {
            return Ok(progress);
        }
    }
}

/// How many devices at a time, and the pause between, that come to `per_second`.
pub(crate) fn pace(per_second: u32) -> (usize, Duration) {
    let step = (per_second / STEPS).clamp(1, MAX_STEP);
    (step as usize, Duration::from_secs(1) * step / per_second.max(1))
}

/// Steps a second, where a step is of more than one device.
const STEPS: u32 = 20;

/// A step holds the thread of other calls for no longer than some of them.
const MAX_STEP: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_pauses_come_to_the_rate() {
        for rate in [1, 7, 20, 100, 1_000, 5_120, 100_000] {
            let (step, pause) = pace(rate);
            let seconds = pause.as_secs_f64() * f64::from(rate) / step as f64;
            assert!((0.99..1.01).contains(&seconds), "{rate}: {step} each {pause:?}");
        }
    }
}

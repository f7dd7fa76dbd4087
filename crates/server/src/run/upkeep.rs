//! The server's automatic upkeep, so that nobody has to think of it: its certificate, the sweep, slowly, the deeds in progress,
//! and the numbers of what came too often for a line each.

use super::tls::Shown;
use super::wait_for_stop;
use crate::config::{Config, Limits};
use crate::edge::Shared;
use crate::grpc::storage::deeds::stopping as stopping_error;
use futures_util::FutureExt;
use std::mem::discriminant;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wardein_domain::{Agreement, UnixMillis};
use wardein_engine::{ClockStatus, Engine, Error, SweepProgress, pace};

/// Has the server certified again when two thirds of its certificate's time are over, by the authority's clock: a sleep of weeks
/// would not notice that the machine was asleep. And whenever the clocks came to agree or ceased to: it is valid by both.
pub(crate) async fn renew(engine: &Engine, shown: &Shown, config: &Config, not_after: u64) {
    let renew_at = |now: u64, not_after: u64| now + not_after.saturating_sub(now) / 3 * 2;
    let mut due = renew_at(engine.now(), not_after);
    let standing = || {
        let ClockStatus { agreement, acceptances, .. } = engine.clock_status();
        (discriminant(&agreement), acceptances)
    };
    let mut certified_in = standing();
    loop {
        tokio::time::sleep(config.limits.renewal_check.min(Duration::from_secs(1))).await;
        let present = standing();
        if engine.now() < due && present == certified_in {
            continue;
        }
        match engine.issue_server_identity(&config.names).await {
            Ok(identity) => match shown.replace(&identity) {
                Ok(()) => {
                    (due, certified_in) = (renew_at(engine.now(), identity.not_after), present);
                    tracing::info!(until = identity.not_after, "the server has a new certificate");
                }
                Err(error) => tracing::error!(%error, "the server's new certificate cannot be used"),
            },
            Err(error) => {
                tracing::error!(%error, "the server's certificate could not be renewed; retrying");
                tokio::time::sleep(config.limits.renewal_check).await;
            }
        }
    }
}

/// Says once a second how many calls and handshakes were refused without a line of their own, and has the engine record how many
/// refusals had no entry of their own, forever.
pub(crate) async fn account(shared: &Shared) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut is_recording = true;
    loop {
        second.tick().await;
        shared.floods.tell();
        // They stay counted while the store cannot write.
        let recorded = shared.engine.record_further_refusals(false).await;
        if let Err(error) = &recorded
            && is_recording
        {
            tracing::error!(%error, "the number of further refusals could not be recorded; it will be retried");
        }
        is_recording = recorded.is_ok();
    }
}

/// Compares the authority's clock with the wall clock every second, forever, and says when that has changed.
pub(crate) async fn watch_clock(shared: &Shared) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut known = Agreement::Since(UnixMillis::default());
    let mut is_kept = true;
    loop {
        second.tick().await;
        let looked = shared.engine.look_at_clock().await;
        let status = shared.engine.clock_status();
        shared.metrics.clock(&status);
        let ClockStatus { now_ms, wall_ms, agreement, .. } = status;
        if discriminant(&known) != discriminant(&agreement) {
            match agreement {
                Agreement::Since(_) => {
                    tracing::info!(now_ms, wall_ms, "the clock agrees with the authority's time again")
                }
                Agreement::Apart => tracing::error!(
                    now_ms,
                    wall_ms,
                    "the machine's clock jumped; the authority's time goes on as before, and nothing is erased. Set the clock, or if it \
                     is correct run: wardein clock accept"
                ),
                Agreement::Held => tracing::error!(
                    now_ms,
                    wall_ms,
                    "the machine's clock cannot be believed; the authority's time goes on from what is on record, certificates wait, \
                     and nothing is erased. Set the clock, or if it is correct run: wardein clock accept"
                ),
            }
            known = agreement;
        }
        if let Err(error) = &looked
            && is_kept
        {
            tracing::error!(%error, "the authority's time could not be kept; it will be retried");
        }
        is_kept = looked.is_ok();
    }
}

/// Publishes the revocation lists every second in which something has changed, forever, and says when they cannot be made. It pauses
/// four times as long as it worked: long lists take a fifth of a core at most.
pub(crate) async fn publish_crls(shared: &Shared) {
    let (mut is_made, mut is_overdue) = (true, false);
    loop {
        let started = Instant::now();
        let published = shared.engine.publish_crls().await;
        let status = shared.engine.crl_status();
        shared.metrics.crls(&status);
        if let Err(error) = &published
            && is_made
        {
            tracing::error!(%error, "revocation lists could not be made; it will be retried, and the present ones are served");
        }
        is_made = published.is_ok();
        if status.is_overdue() && !is_overdue {
            tracing::error!(
                ends_in = status.ends_in,
                "a revocation list ends soon, and then its readers refuse every device; an error above says why it is not made again"
            );
        }
        is_overdue = status.is_overdue();
        tokio::time::sleep((started.elapsed() * 4).max(Duration::from_secs(1))).await;
    }
}

/// Sweeps again and again, forever.
pub(crate) async fn sweep_by_itself(engine: &Engine, limits: &Limits) {
    loop {
        tokio::time::sleep(limits.sweep_every).await;
        match sweep(engine, limits.sweep_per_second).await {
            Ok(SweepProgress { devices, erased, renewed, dropped, has_clock: true, .. }) => {
                tracing::info!(devices, erased, renewed, dropped, "swept");
            }
            Ok(SweepProgress { devices, .. }) => tracing::warn!(
                devices,
                "swept without erasing: the clock has not agreed with the authority's time for 24 hours; look at it with: \
                 wardein clock status"
            ),
            Err(error) => tracing::warn!(%error, "the sweep was cut short; it will be retried"),
        }
    }
}

async fn sweep(engine: &Engine, per_second: u32) -> Result<SweepProgress, Error> {
    let (step, pause) = pace(per_second);
    let mut sweep = engine.begin_sweep(None, None).await?;
    loop {
        tokio::time::sleep(pause).await;
        let progress = engine.sweep_some(&mut sweep, step).await?;
        if progress.is_done {
            return Ok(progress);
        }
    }
}

/// Performs the deeds, those that a crash cut short and those to come, until the server stops. A failed step is tried
/// again: a deed that is on record has no other way than to its end.
pub(crate) async fn work_off_deeds(engine: Arc<Engine>, stopping: watch::Receiver<bool>) {
    let mut failures = 0;
    while !*stopping.borrow() {
        let step = AssertUnwindSafe(engine.deed_step()).catch_unwind().await;
        let step = step.unwrap_or_else(|_| Err(Error::internal("a step of a deed panicked")));
        let wait = async {
            match step {
                Ok(Some(pause)) => {
                    failures = 0;
                    tokio::time::sleep(pause).await;
                }
                // One may be on record of which nobody heard, as after a store that failed.
                Ok(None) => drop(tokio::time::timeout(LOOK, engine.deed_begun()).await),
                Err(error) => {
                    let pause = LONGEST.min(Duration::from_secs(1 << failures.min(16)));
                    failures += 1;
                    tracing::error!(%error, again_in = ?pause, "a deed in progress failed; it will be retried");
                    // Or as soon as somebody asks for it, who may have fixed the fault.
                    drop(tokio::time::timeout(pause, engine.deed_begun()).await);
                }
            }
        };
        tokio::select! {
            () = wait => {}
            () = wait_for_stop(stopping.clone()) => {}
        }
    }
    engine.suspend_deeds(&stopping_error());
}

/// The longest pause before a step that failed is tried again.
const LONGEST: Duration = Duration::from_secs(300);

/// How often the server checks for deeds in progress.
const LOOK: Duration = Duration::from_secs(60);

//! The server's automatic upkeep, so that nobody has to think of it: its certificate, the sweep, slowly, the deeds in progress,
//! and the numbers of what came too often for a line each.

use super::tls::Shown;
use super::wait_for_stop;
use crate::config::{Config, Limits};
use crate::edge::Shared;
use crate::edge::metrics::Metrics;
use crate::grpc::storage::deeds::stopping as stopping_error;
use futures_util::FutureExt;
use std::collections::{HashMap, HashSet};
use std::mem::discriminant;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wardein_domain::{Agreement, UnixMillis};
use wardein_engine::{ClockStatus, Engine, Error, Expiry, Own, SweepProgress, pace};

/// Has the server certified again when two thirds of its certificate's time are over, by the authority's clock: a sleep of weeks
/// would not notice that the machine was asleep. And whenever the clocks came to agree or ceased to: it is valid by both.
pub(crate) async fn renew(shared: &Shared, shown: &Shown, config: &Config, not_after: u64) {
    let (engine, metrics) = (&*shared.engine, &*shared.metrics);
    metrics.certificate_ends(SERVER, Some(not_after));
    let mut not_after = not_after;
    let mut is_told = false;
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
                    (not_after, is_told) = (identity.not_after, false);
                    metrics.certificate_ends(SERVER, Some(not_after));
                    tracing::info!(until = identity.not_after, "the server has a new certificate");
                }
                Err(error) => tracing::error!(%error, "the server's new certificate cannot be used"),
            },
            Err(error) => {
                tracing::error!(%error, "the server's certificate could not be renewed; retrying");
                // It is renewed ten days before its end.
                if !is_told && not_after.saturating_sub(engine.now()) <= AHEAD[0] {
                    let days = not_after.saturating_sub(engine.now()) / DAY;
                    tracing::warn!(
                        certificate = "server",
                        days,
                        not_after,
                        "a certificate of the authority's own ends soon"
                    );
                    is_told = true;
                }
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

/// Counts devices, what they told of releases, and the proposals that wait, and looks when the last backup was taken, every ten seconds, and what of service access waits every
/// minute, forever.
pub(crate) async fn count(shared: &Shared) {
    let mut due = tokio::time::interval(Duration::from_secs(10));
    for round in 0_u64.. {
        due.tick().await;
        shared.metrics.devices(shared.engine.devices_by_state());
        shared.metrics.receipts(shared.engine.receipts_counted());
        // Where they cannot be read, the store says so in other ways.
        if let Ok(open) = shared.engine.count_proposals().await {
            shared.metrics.proposals(open);
        }
        if let Ok(taken) = shared.engine.last_backup().await {
            shared.metrics.last_backup(taken);
        }
        // All visits are read for it.
        if round.is_multiple_of(6)
            && let Ok(counts) = shared.engine.count_service().await
        {
            shared.metrics.service(counts);
        }
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

/// Does what is due with the keys that sign verdicts, forever.
pub(crate) async fn keep_verdict_keys(shared: &Shared) {
    let mut is_kept = true;
    loop {
        if !shared.engine.keeps() {
            tokio::time::sleep(KEEPER_EVERY).await;
            continue;
        }
        let kept = shared.engine.keep_verdict_keys().await;
        match &kept {
            Ok(true) => tracing::info!("the keys that sign verdicts changed"),
            Err(error) if is_kept => {
                tracing::error!(%error, "the keys that sign verdicts could not be kept; it will be retried");
            }
            Ok(false) | Err(_) => {}
        }
        is_kept = kept.is_ok();
        tokio::time::sleep(if is_kept { VERDICT_KEYS_EVERY } else { LOOK }).await;
    }
}

/// Makes the metadata of updates again before it ends, forever.
pub(crate) async fn keep_updates(shared: &Shared) {
    let mut is_kept = true;
    loop {
        if !shared.engine.keeps() {
            tokio::time::sleep(KEEPER_EVERY).await;
            continue;
        }
        let kept = shared.engine.keep_updates().await;
        match &kept {
            Ok(0) => {}
            Ok(repositories) => tracing::info!(repositories, "metadata of updates was made again"),
            Err(error) if is_kept => {
                tracing::error!(%error, "metadata of updates could not be made again; it will be retried");
            }
            Err(_) => {}
        }
        is_kept = kept.is_ok();
        tokio::time::sleep(if is_kept { VERDICT_KEYS_EVERY } else { LOOK }).await;
    }
}

/// Signs the status lists that changed, a quarter of a second later at most, forever. It pauses four times as long as it worked.
pub(crate) async fn publish_status_lists(shared: &Shared) {
    let mut is_made = true;
    loop {
        let started = Instant::now();
        let published = shared.engine.publish_status_lists().await;
        if let Err(error) = &published
            && is_made
        {
            tracing::error!(%error, "status lists could not be made; it will be retried, and the present ones are served");
        }
        is_made = published.is_ok();
        tokio::time::sleep((started.elapsed() * 4).max(STATUS_EVERY)).await;
    }
}

/// Does what is due with the CAs, and says 30 and 7 days ahead what of the authority's own will end, forever.
pub(crate) async fn keep_cas(shared: &Shared) {
    let mut ends = Ends::default();
    let mut is_kept = true;
    loop {
        let kept = match shared.engine.keeps() {
            true => shared.engine.keep_cas().await,
            false => Ok(Vec::new()),
        };
        match &kept {
            Ok(changed) => {
                for ca in changed {
                    tracing::info!(id = %ca.id, state = %ca.state, "a CA came into another state");
                }
            }
            Err(error) if is_kept => {
                tracing::error!(%error, "the authority's CAs could not be kept; it will be retried");
            }
            Err(_) => {}
        }
        is_kept = kept.is_ok();
        match shared.engine.expiries() {
            Ok(expiries) => ends.see(&expiries, shared.engine.now(), &shared.metrics),
            Err(error) => tracing::error!(%error, "the ends of the authority's certificates are unknown"),
        }
        tokio::time::sleep(CAS_EVERY).await;
    }
}

/// When the authority's certificates end, as metrics and the log were told.
#[derive(Default)]
struct Ends {
    known: HashSet<Own>,
    /// How far ahead it was said.
    told: HashMap<Own, u64>,
}

impl Ends {
    fn see(&mut self, expiries: &[Expiry], now: u64, metrics: &Metrics) {
        let present: HashSet<_> = expiries.iter().map(|expiry| expiry.of).collect();
        for gone in self.known.difference(&present) {
            let (certificate, id) = name(gone);
            metrics.certificate_ends((certificate, &id), None);
        }
        for Expiry { of, not_after } in expiries {
            let (certificate, id) = name(of);
            metrics.certificate_ends((certificate, &id), Some(*not_after));
            if let Some(days) = self.due(*of, not_after.saturating_sub(now)) {
                tracing::warn!(
                    certificate,
                    id,
                    days,
                    not_after,
                    "a certificate of the authority's own ends soon"
                );
            }
        }
        self.known = present;
    }

    /// In how many days it ends, where that is to be said: once within 30, and again within 7.
    fn due(&mut self, of: Own, left: u64) -> Option<u64> {
        let mark = AHEAD.into_iter().find(|mark| left <= *mark)?;
        (self.told.insert(of, mark) != Some(mark)).then_some(left / DAY)
    }
}

/// The name of a holder, and the id where there are several.
fn name(of: &Own) -> (&'static str, String) {
    match of {
        Own::Root => ("root", String::new()),
        Own::Infrastructure => ("infrastructure", String::new()),
        Own::Issuing(id) => ("issuing", id.to_string()),
        Own::Cross(id) => ("cross", id.to_string()),
        Own::RootCrl => ("root-crl", String::new()),
    }
}

/// Sweeps again and again, forever.
pub(crate) async fn sweep_by_itself(engine: &Engine, limits: &Limits) {
    loop {
        tokio::time::sleep(limits.sweep_every).await;
        if !engine.keeps() {
            continue;
        }
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

/// Reads again and again when devices were last heard of, where other nodes hear of them too, forever.
pub(crate) async fn hear_of_devices(engine: &Engine) {
    let mut is_heard = true;
    loop {
        tokio::time::sleep(SIGNS_EVERY).await;
        let heard = engine.look_at_signs_again().await;
        if let Err(error) = &heard
            && is_heard
        {
            tracing::warn!(%error, "when devices were last heard of by other nodes could not be read; it will be retried");
        }
        is_heard = heard.is_ok();
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

/// The server's certificate, as metrics have it.
const SERVER: (&str, &str) = ("server", "");

/// How often it is looked at what is due with the CAs.
const CAS_EVERY: Duration = Duration::from_secs(3_600);

/// How often it is looked at what is due with the keys that sign verdicts.
const VERDICT_KEYS_EVERY: Duration = Duration::from_secs(3_600);

/// How often it is looked at what changed of devices on status lists.
const STATUS_EVERY: Duration = Duration::from_millis(250);

/// Seconds before its end at which it is said that a certificate ends, the last first.
const AHEAD: [u64; 2] = [7 * DAY, 30 * DAY];

const DAY: u64 = 86_400;

/// How often the server checks for deeds in progress.
const LOOK: Duration = Duration::from_secs(60);

/// How often a node looks whether the upkeep has become its own.
const KEEPER_EVERY: Duration = Duration::from_secs(1);

/// How often it is read when devices spoke to other nodes.
const SIGNS_EVERY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_30_and_7_days_ahead_and_once_each() {
        let mut ends = Ends::default();
        let mut due = |days: u64| ends.due(Own::Root, days * DAY);
        assert_eq!([due(31), due(30), due(29), due(8)], [None, Some(30), None, None]);
        assert_eq!([due(7), due(6), due(0), due(40)], [Some(7), None, None, None]);
        assert_eq!(ends.due(Own::Infrastructure, 6 * DAY), Some(6), "each has its own");
    }
}

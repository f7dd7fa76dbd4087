//! Counters and histograms, in Prometheus's words. No label holds a tenant, a device or an operator: their number has no bound.
//! Audit sinks are 8 at most, and have their names.

use super::route::Route;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
use std::sync::OnceLock;
use std::time::Duration;
use wardein_domain::{Agreement, DeviceState, KeyKind, Method};
use wardein_engine::{ClockStatus, CrlStatus, ReceiptCounts, ServiceCounts};

/// All that is counted.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    /// Those two of each method's calls in which nothing was wrong, so that they need not be looked up by their labels.
    good: Vec<OnceLock<(IntCounter, Histogram)>>,
    commits: Histogram,
    commits_failed: IntCounter,
    enrolled: IntCounter,
    proofs: IntCounter,
    certificates: IntCounter,
    rejected: IntCounterVec,
    webhooks: IntCounterVec,
    sinks_failed: IntCounterVec,
    sinks_lag: IntGaugeVec,
    sinks_lag_seconds: IntGaugeVec,
    connections: IntGauge,
    log_lines_dropped: IntCounter,
    spans_lost: IntCounter,
    crl_ends_in: IntGauge,
    crl_entries: IntGauge,
    watchers: IntGauge,
    watch_lag: Histogram,
    keys_ready: IntGaugeVec,
    open_proposals: IntGauge,
    visits_without_protocol: IntGauge,
    emergency_reviews: IntGauge,
    devices: IntGaugeVec,
    release_devices: IntGaugeVec,
    clock_ahead: Gauge,
    clock_agrees: IntGauge,
    certificate_ends: IntGaugeVec,
    last_backup: IntGauge,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "wardein_requests_total",
                    "Calls by method and stable code; `ok` if nothing was wrong",
                ),
                &["method", "code"],
            )?,
            latency: HistogramVec::new(
                HistogramOpts::new("wardein_request_seconds", "Time from a call's headers to its answer")
                    .buckets(REQUEST_BUCKETS.to_vec()),
                &["method"],
            )?,
            good: Method::ALL.iter().map(|_| OnceLock::new()).collect(),
            commits: Histogram::with_opts(
                HistogramOpts::new("wardein_store_commit_seconds", "Time until a change was durable")
                    .buckets(REQUEST_BUCKETS.to_vec()),
            )?,
            commits_failed: counter("wardein_store_commits_failed_total", "Changes not applied")?,
            enrolled: counter("wardein_devices_enrolled_total", "Answered enrollments")?,
            proofs: counter("wardein_proofs_total", "Accepted proofs")?,
            certificates: counter("wardein_certificates_total", "Certificates issued to devices")?,
            webhooks: IntCounterVec::new(
                Opts::new("wardein_webhook_posts_total", "Posts to the receivers of webhooks"),
                &["outcome"],
            )?,
            sinks_failed: IntCounterVec::new(
                Opts::new("wardein_audit_sink_failures_total", "Attempts of an audit sink that took nothing"),
                &["sink", "reason"],
            )?,
            sinks_lag: IntGaugeVec::new(
                Opts::new(
                    "wardein_audit_sink_lag_entries",
                    "Entries of the audit log that a sink has not taken",
                ),
                &["sink"],
            )?,
            sinks_lag_seconds: IntGaugeVec::new(
                Opts::new(
                    "wardein_audit_sink_lag_seconds",
                    "For how long the oldest entry that a sink has not taken waits",
                ),
                &["sink"],
            )?,
            rejected: IntCounterVec::new(
                Opts::new("wardein_connections_rejected_total", "Connections closed before a call"),
                &["reason"],
            )?,
            connections: IntGauge::new("wardein_connections", "Open connections")?,
            crl_ends_in: IntGauge::new(
                "wardein_crl_ends_in_seconds",
                "Seconds until the first revocation list ends, at which its readers refuse every device",
            )?,
            crl_entries: IntGauge::new("wardein_crl_entries", "Certificates on the revocation lists")?,
            watchers: IntGauge::new("wardein_watchers", "Open streams of Watch")?,
            watch_lag: Histogram::with_opts(
                HistogramOpts::new(
                    "wardein_watch_lag_seconds",
                    "Time from a change being in memory to a watcher taking it",
                )
                .buckets(REQUEST_BUCKETS.to_vec()),
            )?,
            keys_ready: IntGaugeVec::new(
                Opts::new("wardein_keys_ready", "Keys that are made ahead for devices that cannot make one"),
                &["kind"],
            )?,
            devices: IntGaugeVec::new(
                Opts::new("wardein_devices", "Devices of all tenants on record"),
                &["state"],
            )?,
            open_proposals: IntGauge::new(
                "wardein_open_proposals",
                "Proposals that wait for a second person, or for who made them",
            )?,
            visits_without_protocol: IntGauge::new(
                "wardein_visits_without_protocol",
                "Visits that are over, where a device let the technician in and gave no protocol",
            )?,
            emergency_reviews: IntGauge::new(
                "wardein_emergency_reviews_open",
                "Uses of devices' codes for emergencies whose review is open",
            )?,
            release_devices: IntGaugeVec::new(
                Opts::new(
                    "wardein_release_devices",
                    "Devices by what they told last of a maker's release: that it runs, differs, or was rolled back",
                ),
                &["outcome"],
            )?,
            clock_ahead: Gauge::new(
                "wardein_clock_ahead_seconds",
                "The machine's clock less the authority's time",
            )?,
            clock_agrees: IntGauge::new(
                "wardein_clock_agrees",
                "1 if the machine's clock is within 5 minutes of the authority's time, else 0",
            )?,
            certificate_ends: IntGaugeVec::new(
                Opts::new(
                    "wardein_certificate_not_after_seconds",
                    "Until when the authority's own certificates are valid, in Unix seconds",
                ),
                &["certificate", "id"],
            )?,
            last_backup: IntGauge::new(
                "wardein_backup_last_success_timestamp_seconds",
                "When the last complete backup was taken, in Unix seconds; 0 if none was taken since the founding or a restore",
            )?,
            log_lines_dropped: counter(
                "wardein_log_lines_dropped_total",
                "Lines of the log that nobody read in time",
            )?,
            spans_lost: counter(
                "wardein_spans_lost_total",
                "Spans of traced calls that the collector did not take, or that had no room",
            )?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.latency.clone()))?;
        metrics.registry.register(Box::new(metrics.commits.clone()))?;
        metrics.registry.register(Box::new(metrics.rejected.clone()))?;
        metrics.registry.register(Box::new(metrics.webhooks.clone()))?;
        metrics.registry.register(Box::new(metrics.sinks_failed.clone()))?;
        metrics.registry.register(Box::new(metrics.sinks_lag.clone()))?;
        metrics.registry.register(Box::new(metrics.sinks_lag_seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.clone()))?;
        metrics.registry.register(Box::new(metrics.crl_ends_in.clone()))?;
        metrics.registry.register(Box::new(metrics.crl_entries.clone()))?;
        metrics.registry.register(Box::new(metrics.watchers.clone()))?;
        metrics.registry.register(Box::new(metrics.watch_lag.clone()))?;
        metrics.registry.register(Box::new(metrics.keys_ready.clone()))?;
        metrics.registry.register(Box::new(metrics.open_proposals.clone()))?;
        metrics.registry.register(Box::new(metrics.visits_without_protocol.clone()))?;
        metrics.registry.register(Box::new(metrics.emergency_reviews.clone()))?;
        metrics.registry.register(Box::new(metrics.devices.clone()))?;
        metrics.registry.register(Box::new(metrics.release_devices.clone()))?;
        metrics.registry.register(Box::new(metrics.clock_ahead.clone()))?;
        metrics.registry.register(Box::new(metrics.clock_agrees.clone()))?;
        metrics.registry.register(Box::new(metrics.certificate_ends.clone()))?;
        metrics.registry.register(Box::new(metrics.last_backup.clone()))?;
        for one in [
            &metrics.commits_failed,
            &metrics.enrolled,
            &metrics.proofs,
            &metrics.certificates,
            &metrics.log_lines_dropped,
            &metrics.spans_lost,
        ] {
            metrics.registry.register(Box::new(one.clone()))?;
        }
        Ok(metrics)
    }

    /// Everything in Prometheus's text form.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(out)
    }

    /// How many proposals wait.
    pub(crate) fn proposals(&self, open: u64) {
        self.open_proposals.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// What of service access waits for somebody.
    pub(crate) fn service(&self, counts: ServiceCounts) {
        let ServiceCounts { without_protocol, open_reviews } = counts;
        self.visits_without_protocol.set(i64::try_from(without_protocol).unwrap_or(i64::MAX));
        self.emergency_reviews.set(i64::try_from(open_reviews).unwrap_or(i64::MAX));
    }

    /// How many devices are in each state.
    pub(crate) fn devices(&self, by_state: impl IntoIterator<Item = (DeviceState, u64)>) {
        for (state, count) in by_state {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.devices.with_label_values(&[state.as_str()]).set(count);
        }
    }

    /// Of how many devices what is known of the releases that they run.
    pub(crate) fn receipts(&self, counts: ReceiptCounts) {
        let ReceiptCounts { running, differing, rolled_back } = counts;
        for (outcome, count) in [("running", running), ("differs", differing), ("rolled-back", rolled_back)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.release_devices.with_label_values(&[outcome]).set(count);
        }
    }

    /// How the clocks compare.
    pub(crate) fn clock(&self, status: &ClockStatus) {
        self.clock_ahead.set((status.wall_ms as f64 - status.now_ms as f64) / 1000.0);
        self.clock_agrees.set(i64::from(matches!(status.agreement, Agreement::Since(_))));
    }

    /// How the revocation lists are.
    pub(crate) fn crls(&self, status: &CrlStatus) {
        self.crl_ends_in.set(status.ends_in.unwrap_or_default());
        self.crl_entries.set(i64::try_from(status.entries).unwrap_or(i64::MAX));
    }

    /// Until which Unix second a certificate of the authority's own is valid; none of one that it has no more. Of issuing CAs there are
    /// several, each with its id.
    pub(crate) fn certificate_ends(&self, (certificate, id): (&str, &str), not_after: Option<u64>) {
        match not_after {
            Some(not_after) => {
                let second = i64::try_from(not_after).unwrap_or(i64::MAX);
                self.certificate_ends.with_label_values(&[certificate, id]).set(second);
            }
            // An error says that it was not there.
            None => drop(self.certificate_ends.remove_label_values(&[certificate, id])),
        }
    }

    /// In which Unix second the last complete backup was taken; `None` where there is none.
    pub(crate) fn last_backup(&self, taken: Option<u64>) {
        self.last_backup.set(taken.map_or(0, |second| i64::try_from(second).unwrap_or(i64::MAX)));
    }

    pub(crate) fn called(&self, route: Option<Route>, code: &str, took: Duration) {
        let path = route.map_or("unknown", Route::path);
        let found =
            || (self.requests.with_label_values(&[path, code]), self.latency.with_label_values(&[path]));
        let good = match route {
            Some(Route::Own(method)) if code == OK => self.good.get(method as usize),
            _ => None,
        };
        let count = |(requests, latency): &(IntCounter, Histogram)| {
            requests.inc();
            latency.observe(took.as_secs_f64());
        };
        match good {
            Some(good) => count(good.get_or_init(found)),
            None => count(&found()),
        }
    }

    /// A commit was answered.
    pub fn committed(&self, took: Duration, is_applied: bool) {
        self.commits.observe(took.as_secs_f64());
        if !is_applied {
            self.commits_failed.inc();
        }
    }

    /// Lines of the log were dropped.
    pub fn log_lines_dropped(&self, lines: u64) {
        self.log_lines_dropped.inc_by(lines);
    }

    /// Spans did not reach the collector.
    pub(crate) fn spans_lost(&self, spans: u64) {
        self.spans_lost.inc_by(spans);
    }

    pub(crate) fn enrolled(&self) {
        self.enrolled.inc();
    }

    pub(crate) fn proved(&self, is_certificate: bool) {
        self.proofs.inc();
        if is_certificate {
            self.certificates.inc();
        }
    }

    /// So many keys of that kind are ready.
    pub(crate) fn keys_ready(&self, kind: KeyKind, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.keys_ready.with_label_values(&[kind.as_str()]).set(count);
    }

    /// A device was certified without a proof.
    pub(crate) fn certified(&self) {
        self.certificates.inc();
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        self.rejected.with_label_values(&[reason]).inc();
    }

    pub(crate) fn webhook_taken(&self) {
        self.webhooks.with_label_values(&["taken"]).inc();
    }

    pub(crate) fn webhook_failed(&self) {
        self.webhooks.with_label_values(&["failed"]).inc();
    }

    /// An audit sink took nothing; the reason is one of a few words.
    pub(crate) fn sink_failed(&self, sink: &str, reason: &'static str) {
        self.sinks_failed.with_label_values(&[sink, reason]).inc();
    }

    /// So many entries wait for an audit sink, the oldest for so many seconds.
    pub(crate) fn sink_behind(&self, sink: &str, entries: u64, seconds: u64) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.sinks_lag.with_label_values(&[sink]).set(number(entries));
        self.sinks_lag_seconds.with_label_values(&[sink]).set(number(seconds));
    }

    /// Another node delivers to an audit sink, and has the numbers.
    pub(crate) fn sink_elsewhere(&self, sink: &str) {
        // Errors say that they were not there.
        drop(self.sinks_lag.remove_label_values(&[sink]));
        drop(self.sinks_lag_seconds.remove_label_values(&[sink]));
    }

    pub(crate) fn watching(&self) {
        self.watchers.inc();
    }

    pub(crate) fn watched(&self) {
        self.watchers.dec();
    }

    pub(crate) fn watch_lag(&self, lag: Duration) {
        self.watch_lag.observe(lag.as_secs_f64());
    }

    pub(crate) fn opened(&self) {
        self.connections.inc();
    }

    pub(crate) fn closed(&self) {
        self.connections.dec();
    }
}

/// The code of a call in which nothing was wrong.
pub(crate) const OK: &str = "ok";

// From a lookup in memory to a disk in trouble.
const REQUEST_BUCKETS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::new().unwrap();
        metrics.called(Some(Route::Own(Method::Prove)), OK, Duration::from_micros(70));
        metrics.called(Some(Route::Own(Method::Prove)), OK, Duration::from_micros(70));
        metrics.called(None, "method-unknown", Duration::from_micros(70));
        metrics.proved(true);
        metrics.committed(Duration::from_millis(1), false);
        metrics.sink_failed("siem", "late");
        metrics.sink_behind("siem", 3, 60);
        metrics.sink_behind("gone", 1, 1);
        metrics.sink_elsewhere("gone");
        metrics.service(ServiceCounts { without_protocol: 3, open_reviews: 4 });
        metrics.last_backup(Some(9));
        metrics.certificate_ends(("root", ""), Some(7));
        metrics.certificate_ends(("issuing", "c0ffee"), Some(8));
        metrics.certificate_ends(("issuing", "c0ffee"), None);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for line in [
            "wardein_requests_total{code=\"ok\",method=\"/wardein.v1.DeviceService/Prove\"} 2",
            "wardein_requests_total{code=\"method-unknown\",method=\"unknown\"} 1",
            "wardein_request_seconds_bucket{method=\"/wardein.v1.DeviceService/Prove\",le=\"0.0001\"} 2",
            "wardein_proofs_total 1",
            "wardein_certificates_total 1",
            "wardein_devices_enrolled_total 0",
            "wardein_store_commits_failed_total 1",
            "wardein_audit_sink_failures_total{reason=\"late\",sink=\"siem\"} 1",
            "wardein_audit_sink_lag_entries{sink=\"siem\"} 3",
            "wardein_audit_sink_lag_seconds{sink=\"siem\"} 60",
            "wardein_store_commit_seconds_count 1",
            "wardein_visits_without_protocol 3",
            "wardein_emergency_reviews_open 4",
            "wardein_backup_last_success_timestamp_seconds 9",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("wardein_certificate_not_after_seconds{certificate=\"root\",id=\"\"} 7"));
        assert!(!text.contains("c0ffee"), "a CA that is gone");
        assert!(!text.contains("\"gone\""), "a sink that another node delivers to");
    }
}

//! What the authority bears, beside an echo over the same transport in the same run.
//!
//! `cargo bench --bench load`
//!
//! Server, echo and clients are threads of one process and share its cores; the clients speak mutual TLS over loopback, on 4
//! connections with 512 calls in flight. The store is SQLite in a directory on disk, and the authority logs to a file as it does
//! by default. Rates alone say little on a machine that is shared, so each round measures the echo right beside what is compared
//! with it, a ratio is that of its round, and medians are printed.
//!
//! A bar that is missed is said, and is no failure of the run: it depends on the machine as well.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends there")]

mod authority;
mod clients;
mod echo;
mod fleet;

use authority::{Authority, operators};
use clients::{CONNECTIONS, Clients, IN_FLIGHT, cores, runtime};
use echo::Echo;
use fleet::Fleet;
use std::time::{Duration, Instant};
use wardein_client::{Settings, connect};
use wardein_domain::TenantId;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;
/// Devices are enrolled in so many batches of so many: 30,000 in all, whose keys the authority keeps at hand.
const BATCHES: usize = 5;
const BATCH: usize = 6_000;
const PROOFS: usize = 30_000;
/// The echo is too quick for one pass over the proofs to be a measurement.
const ECHO_PASSES: usize = 3;
const SPAN: Duration = Duration::from_millis(1_500);

fn main() {
    // `cargo test --all-targets` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let started = Instant::now();
    println!("one process on {} cores, load average before: {}", cores(), load_average());
    let ours = runtime();
    let authority = ours.block_on(Authority::start());
    let tenant: TenantId = "load".parse().unwrap();
    let [platform, station] = ours.block_on(async {
        let mut settings = Settings::new(format!("https://{}", authority.address), authority.roots());
        settings.identity = Some(authority.admin().identity());
        operators(&connect(&settings).await.unwrap(), &tenant).await
    });
    let stations = Clients::connect(&[authority.address], &authority.roots(), &station);
    let platforms = Clients::connect(&[authority.address], &authority.roots(), &platform);

    let mut fleet = Fleet::new(tenant, authority.identity_key());
    let enrolled: Vec<f64> = (0..BATCHES).map(|_| fleet.enroll(&stations, BATCH)).collect();
    drop(stations);
    let checks = fleet.checks();

    // The echo answers what the authority answers, so one of each is asked first.
    let proofs = fleet.prepare(&platforms, 0, BATCH);
    let (replies, _) = platforms.prove(&proofs.requests, 1);
    let proved = replies.first().unwrap().1.clone();
    fleet.acknowledge(proofs, replies);
    let (answers, _) = platforms.drive(1, |_, connection| {
        let check = checks.first().unwrap().clone();
        async move { connection.trust().check(check).await.unwrap().into_inner() }
    });
    let echo = Echo { checked: answers.into_iter().next().unwrap(), proved };
    let echoes = Clients::connect(&echo.start(&authority, cores()), &authority.roots(), &platform);

    let mut taken = Measured::default();
    let proofs = fleet.prepare(&platforms, BATCH, PROOFS - BATCH);
    let (replies, rate) = platforms.prove(&proofs.requests, 1);
    taken.first_prove.push(rate);
    fleet.acknowledge(proofs, replies);
    for _ in 0..ROUNDS {
        taken.echo_check.push(echoes.check(&checks, SPAN));
        taken.check.push(platforms.check(&checks, SPAN));
        let proofs = fleet.prepare(&platforms, 0, PROOFS);
        taken.challenge.push(proofs.challenges);
        taken.echo_prove.push(echoes.prove(&proofs.requests, ECHO_PASSES).1);
        let (replies, rate) = platforms.prove(&proofs.requests, 1);
        taken.prove.push(rate);
        fleet.acknowledge(proofs, replies);
    }
    taken.enroll = enrolled;
    taken.print(checks.len());
    let bytes = authority.directory().join(wardein_store::Kind::Sqlite.file_name());
    println!("store: {} KiB", bytes.metadata().map_or(0, |file| file.len() / 1024));
    // Open connections would be waited for.
    drop((platforms, echoes));
    authority.stop();
    println!("load average after: {}; took {:.0?}", load_average(), started.elapsed());
}

/// Rates, a second, by round.
#[derive(Default)]
struct Measured {
    echo_check: Vec<f64>,
    check: Vec<f64>,
    challenge: Vec<f64>,
    echo_prove: Vec<f64>,
    prove: Vec<f64>,
    first_prove: Vec<f64>,
    enroll: Vec<f64>,
}

impl Measured {
    fn print(&self, devices: usize) {
        println!(
            "{CONNECTIONS} connections, {} calls in flight, {devices} devices, {ROUNDS} rounds; medians, least and most",
            CONNECTIONS * IN_FLIGHT
        );
        rate("echo, as large as Check", &self.echo_check);
        rate("Check by device id", &self.check);
        rate("GetChallenge (beside, not in the proofs)", &self.challenge);
        rate("echo, as large as Prove", &self.echo_prove);
        rate("Prove `authenticate`, durable", &self.prove);
        rate("the same, each device's first one", &self.first_prove);
        rate("devices enrolled and confirmed, durable", &self.enroll);
        println!(
            "  (proofs: the authority has the devices' keys at hand from an earlier one, except for the first, for which it reads"
        );
        println!(
            "  them and walks down a whole epoch tree; enrollment: a stream a connection, without the devices' own work)"
        );
        bar("Check / echo", median(&ratios(&self.check, &self.echo_check)), 0.7);
        bar("Prove / echo", median(&ratios(&self.prove, &self.echo_prove)), 0.4);
        bar("devices enrolled a second", median(&self.enroll), 2_000.0);
    }
}

fn rate(what: &str, rates: &[f64]) {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    println!("{what:<42} {:>9.0}/s   {least:>9.0} {most:>9.0}", median(rates));
}

fn bar(what: &str, value: f64, bar: f64) {
    let verdict = if value >= bar { "PASS" } else { "FAIL" };
    let digits = if bar < 10.0 { 2 } else { 0 };
    println!("{verdict} {what}: {value:.digits$}, bar {bar:.digits$}");
}

fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What else the machine is doing; Linux says it.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match text.split(' ').take(3).collect::<Vec<_>>().join(" ") {
        words if words.is_empty() => "unknown".to_owned(),
        words => words,
    }
}

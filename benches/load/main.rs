//! The authority's throughput, beside that of an echo over the same transport in the same run.
//!
//! `cargo bench --bench load`; `WARDEIN_LOAD_ROUNDS=1` before it takes one round in place of nine, about a minute, and
//! `WARDEIN_LOAD_PART=trust` measures verdicts alone.
//!
//! Server, echo and clients are threads of one process and share its cores; the clients speak mutual TLS over loopback, on 4
//! connections with 512 calls in flight. The store is SQLite in a directory on disk, and the authority logs to a file as it does
//! by default. `WARDEIN_LOAD_STORE=postgresql` has PostgreSQL in its place, on the same cores, and `WARDEIN_LOAD_NODES=3` three nodes on it.
//! Rates alone say little on a machine that is shared, so each round measures the echo right beside what is compared
//! with it, a ratio is that of its round, and medians are printed.
//!
//! A missed bar is reported but does not fail the run: it depends on the machine as well.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends there")]

mod authority;
mod clients;
mod contended;
mod echo;
mod fleet;
mod issuing;
mod offers;
mod report;

use authority::{Authority, Operator, operators};
use clients::{CONNECTIONS, Clients, cores, runtime};
use echo::Echo;
use fleet::{Asked, Fleet};
use issuing::Renewals;
use report::Measured;
use std::time::{Duration, Instant};
use wardein_client::{Settings, connect, v1};
use wardein_domain::TenantId;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;
/// Devices are enrolled in so many batches of so many: 30,000 in all, whose keys the authority keeps at hand.
const BATCHES: usize = 5;
const BATCH: usize = 6_000;
const PROOFS: usize = 30_000;
/// A certificate takes longer than a proof, and stays in the store.
const CERTIFICATES: usize = 6_000;
/// Devices that renew by their certificates, on a connection each and one request at a time: so many that the store's groups are as full as
/// with proofs. Both ends of a connection are files of this process, which may have 1,024.
const HOLDERS: usize = 256;
/// The echo is too quick for one pass over the proofs to be a measurement.
const ECHO_PASSES: usize = 3;
const SPAN: Duration = Duration::from_millis(1_500);

fn main() {
    // `cargo test --all-targets` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    // As the binary does.
    nix::sys::prctl::set_thp_disable(true).unwrap();
    let started = Instant::now();
    println!("one process on {} cores, load average before: {}", cores(), load_average());
    let ours = runtime();
    let authority = ours.block_on(Authority::start());
    let tenant: TenantId = "load".parse().unwrap();
    let [platform, station] = ours.block_on(async {
        let mut settings = Settings::new(format!("https://{}", authority.addresses[0]), authority.roots());
        settings.identity = Some(authority.admin().identity());
        let admin = connect(&settings).await.unwrap();
        let operators = operators(&admin, &tenant).await;
        let as_site = async |site: Operator| {
            settings.identity = Some(site.identity());
            connect(&settings).await.unwrap()
        };
        offers::release(&admin, &tenant, as_site).await;
        operators
    });
    let stations = Clients::connect(&authority.addresses, &authority.roots(), &station);
    let platforms = Clients::connect(&authority.addresses, &authority.roots(), &platform);

    let mut fleet = Fleet::new(tenant, authority.identity_key());
    let enrolled: Vec<f64> = (0..BATCHES).map(|_| fleet.enroll(&stations, BATCH)).collect();
    let (checks, batches) = (fleet.checks(), fleet.batches());
    // Apart from those that are asked about: these calls may take them out of trust.
    fleet.enroll(&stations, contended::DEVICES);
    drop(stations);

    // The echo answers what the authority answers, so one of each is asked first.
    let (authenticate, (certificate, key)) = (Asked::authenticate(), Asked::certificate());
    let offer = Asked::offer(offers::ask());
    let mut first = |asked, count| {
        let proofs = fleet.prepare(&platforms, 0, count, asked);
        let (replies, _) = platforms.prove(&proofs.requests, 1);
        let reply = replies.first().unwrap().1.clone();
        fleet.acknowledge(proofs, replies);
        reply
    };
    let (proved, certified) = (first(&authenticate, BATCH), first(&certificate, 1));
    let signed: Vec<_> = checks.iter().map(fleet::signed).collect();
    let ask = |check: &v1::CheckRequest| {
        let check = check.clone();
        platforms
            .alone(|connection| async move { connection.trust().check(check).await.unwrap().into_inner() })
    };
    let (checked, receipt) = (ask(&checks[0]), ask(&signed[0]));
    let asked = tokio_stream::iter(batches.first().cloned());
    let batch = platforms.alone(|connection| async move {
        let mut answers = connection.trust().check_stream(asked).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap()
    });
    let echo = Echo::new(checked, receipt, batch, proved, certified);
    let echoes = Clients::connect(&echo.start(&authority, cores()), &authority.roots(), &platform);

    let proofs = fleet.prepare(&platforms, 0, HOLDERS, &certificate);
    let (replies, _) = platforms.prove(&proofs.requests, 1);
    let chains: Vec<_> = replies.iter().map(|(_, reply)| issuing::chain(&reply.body)).collect();
    fleet.acknowledge(proofs, replies);
    let renewals = Renewals::of(&authority, &chains, &key, &certificate.body);

    let mut taken = Measured::default();
    let proofs = fleet.prepare(&platforms, BATCH, PROOFS - BATCH, &authenticate);
    let (replies, rate) = platforms.prove(&proofs.requests, 1);
    taken.first_prove.push(rate);
    fleet.acknowledge(proofs, replies);
    let is_trust_alone = std::env::var_os("WARDEIN_LOAD_PART").is_some_and(|part| part == "trust");
    for _ in 0..rounds() {
        taken.echo_check.push(echoes.check(&checks, SPAN));
        taken.check.push(platforms.check(&checks, SPAN));
        taken.echo_batches.push(echoes.check_stream(&batches, SPAN));
        taken.batches.push(platforms.check_stream(&batches, SPAN));
        taken.echo_signed.push(echoes.check(&signed, SPAN));
        taken.signed.push(platforms.check(&signed, SPAN));
        if is_trust_alone {
            continue;
        }
        let proofs = fleet.prepare(&platforms, 0, PROOFS, &authenticate);
        taken.challenge.push(proofs.challenges);
        taken.echo_prove.push(echoes.prove(&proofs.requests, ECHO_PASSES).1);
        let before = authority.written_ahead();
        let (replies, rate) = platforms.prove(&proofs.requests, 1);
        taken.prove.push(rate);
        if let Some((before, after)) = before.zip(authority.written_ahead()) {
            taken.wal.push((after - before) as f64 / PROOFS as f64);
        }
        fleet.acknowledge(proofs, replies);
        let proofs = fleet.prepare(&platforms, 0, PROOFS, &offer);
        let (replies, rate) = platforms.prove(&proofs.requests, 1);
        assert!(replies.iter().all(|(_, reply)| offers::is_offered(&reply.body)));
        taken.offer.push(rate);
        fleet.acknowledge(proofs, replies);
        let proofs = fleet.prepare(&platforms, 0, CERTIFICATES, &certificate);
        taken.echo_certificate.push(echoes.prove(&proofs.requests, ECHO_PASSES).1);
        let (replies, rate) = platforms.prove(&proofs.requests, 1);
        taken.certificate.push(rate);
        fleet.acknowledge(proofs, replies);
        taken.signatures.push(issuing::signatures(&certificate.body, SPAN));
        taken.renewal.push(renewals.renew(CERTIFICATES));
        contended::round(&mut taken.races, &platforms, &mut fleet, checks.len());
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

/// How often everything is measured.
fn rounds() -> usize {
    match std::env::var("WARDEIN_LOAD_ROUNDS") {
        Ok(count) => {
            count.parse().ok().filter(|count| *count > 0).expect("WARDEIN_LOAD_ROUNDS is a number from 1")
        }
        Err(_) => ROUNDS,
    }
}

/// The machine's other load, from Linux.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match text.split(' ').take(3).collect::<Vec<_>>().join(" ") {
        words if words.is_empty() => "unknown".to_owned(),
        words => words,
    }
}

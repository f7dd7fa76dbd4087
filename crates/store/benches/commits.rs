//! Durable commits a second: each updates a row of 2.5 KB and adds an audit entry of 200 bytes.
//!
//! `cargo bench -p wardein-store` prints a line for each store and number of concurrent writers. Rows are picked at
//! random among 20,000. `WARDEIN_BENCH_DIR` is where the stores are made; its disk is what is measured.
#![allow(clippy::unwrap_used, reason = "it is run by hand")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use wardein_port::{Change, Store, Table};
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_store::{Kind, Options};
use wardein_testkit::{Postgres, commit, get};

fn main() {
    for kind in [Kind::Sqlite, Kind::Sled] {
        let place = match std::env::var_os("WARDEIN_BENCH_DIR") {
            Some(directory) => tempfile::tempdir_in(directory).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let path = place.path().join(kind.file_name());
        run(kind.name(), &wardein_store::open(kind, &path, &Options::default()).unwrap());
    }
    if let Some(server) = Postgres::start() {
        let address = Address::parse(&server.database(), None, None).unwrap();
        postgres::create(&address, None).unwrap();
        let store: Arc<dyn Store> =
            Arc::new(PostgresStore::open(&address, "bench", Sharing::Shared).unwrap());
        run("postgresql", &store);
    }
}

fn run(name: &str, store: &Arc<dyn Store>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begun = Instant::now();
    for first in (0..ROWS).step_by(500) {
        let mut change = Change::default();
        for n in first..first + 500 {
            change.insert(Table::DeviceKeys, key(n), vec![n as u8; 2500]);
        }
        runtime.block_on(async { commit(&**store, change).await }).unwrap();
    }
    let filled = f64::from(ROWS) / begun.elapsed().as_secs_f64();
    println!("{name:>10}: {filled:>8.0} rows/s inserted 500 at a time");
    for writers in [1, 32, 256] {
        let before = processor_time();
        let (done, seconds) = measure(&runtime, store, writers);
        let each = (processor_time() - before) * 1e6 / done;
        let per_second = done / seconds;
        println!(
            "{name:>10}: {per_second:>8.0} commits/s, {writers} at once; {each:.0} µs of this process's processor each"
        );
    }
    let begun = Instant::now();
    for n in 0..READS {
        runtime.block_on(version(&**store, &key(n.wrapping_mul(2_654_435_761) % ROWS)));
    }
    println!("{name:>10}: {:>8.0} reads/s, one at a time", f64::from(READS) / begun.elapsed().as_secs_f64());
}

fn measure(runtime: &tokio::runtime::Runtime, store: &Arc<dyn Store>, writers: u32) -> (f64, f64) {
    let begun = Instant::now();
    let end = begun + TIME;
    let share = ROWS / writers;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(store);
            runtime.spawn(async move {
                // The version is known, as a writer has its rows to itself; reading is measured apart.
                let mut versions = vec![0; share as usize];
                let (mut done, mut random) = (0_u64, writer + 1);
                while Instant::now() < end {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let at = (random >> 8) % share;
                    let key = key(writer * share + at);
                    let known = &mut versions[at as usize];
                    if *known == 0 {
                        *known = version(&*store, &key).await;
                    }
                    let mut change = Change::default();
                    change.update(Table::DeviceKeys, key, *known, vec![done as u8; 2500]);
                    change.audit.push(vec![7; 200]);
                    *known = commit(&*store, change).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    let done = runtime.block_on(async {
        let mut done = 0;
        for task in tasks {
            done += task.await.unwrap();
        }
        done
    });
    (done as f64, begun.elapsed().as_secs_f64())
}

async fn version(store: &dyn Store, key: &[u8]) -> u64 {
    get(store, Table::DeviceKeys, key).await.unwrap().unwrap().version
}

/// Seconds of processor that this process has used, all its threads together: on a machine that is shared this says more than
/// the rate does (proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms).
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    f64::from(ticks.sum::<u32>()) / 100.0
}

/// As the engine's keys of devices: a tenant, then an id without order.
fn key(n: u32) -> Vec<u8> {
    let spread = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("hospital-a\0device-{spread:016x}").into_bytes()
}

const ROWS: u32 = 20_480;
const READS: u32 = 50_000;
const TIME: Duration = Duration::from_secs(4);

//! A release of 1 GiB verified as `wardein-device update verify` does, beside plain SHA-256 of the same file.
//!
//! `cargo bench -p wardein-device --bench update`, about half a minute. Rates alone say little on a machine that is shared, so both are
//! measured in turn, and medians of the ratios are printed.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends there")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use wardein_crypto::{Digest, Sha256};
use wardein_tuf::{TargetCheck, TargetFile, TargetPath};

const LENGTH: u64 = 1 << 30;
const PIECE: usize = 256 << 10;
const ROUNDS: usize = 5;

fn main() {
    // `cargo test --all-targets` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("artifact");
    let mut file = File::create(&path).unwrap();
    let piece: Vec<u8> = (0..PIECE).map(|n| (n * 31) as u8).collect();
    (0..LENGTH / PIECE as u64).for_each(|_| file.write_all(&piece).unwrap());
    file.sync_all().unwrap();
    let (digest, _) = plain(&path);
    let signed = TargetFile { length: LENGTH, sha256: digest, custom: None };
    let mut rounds: Vec<(Duration, Duration)> =
        (0..ROUNDS).map(|_| (plain(&path).1, verified(&path, &signed))).collect();
    rounds.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
    let median = rounds.get(ROUNDS / 2).unwrap();
    println!(
        "SHA-256 alone {:.2?}, verified {:.2?}: {:.2} of its rate (median of {ROUNDS})",
        median.0,
        median.1,
        ratio(median)
    );
}

fn ratio((plain, verified): &(Duration, Duration)) -> f64 {
    plain.as_secs_f64() / verified.as_secs_f64()
}

fn each_piece(path: &Path, mut take: impl FnMut(&[u8])) {
    let (mut file, mut buffer) = (File::open(path).unwrap(), vec![0; PIECE]);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return,
            count => take(buffer.split_at(count).0),
        }
    }
}

fn plain(path: &Path) -> (Digest, Duration) {
    let started = Instant::now();
    let mut hash = Sha256::new();
    each_piece(path, |piece| hash.update(piece));
    (hash.finish(), started.elapsed())
}

fn verified(path: &Path, signed: &TargetFile) -> Duration {
    let started = Instant::now();
    let mut check = TargetCheck::new(&TargetPath::new("infusion/pump-3/1.img").unwrap(), signed);
    each_piece(path, |piece| check.update(piece).unwrap());
    check.finish().unwrap();
    started.elapsed()
}

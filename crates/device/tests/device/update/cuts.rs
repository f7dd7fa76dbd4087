//! The power is cut at any moment of a download, an installation and a first start: the old release is there or the new one, each
//! whole, and the authority hears of the new one's start once.
//!
//! The commands run under strace, which records what they do to their files; from that a state is laid out that a disk may have
//! after a cut, and the device goes on from there. `WARDEIN_UPDATE_CUTS` asks for more cuts than the usual ones.

use super::*;
use serde_json::Value;
use std::path::Path;
use wardein_testkit::power::{Kept, Random, Trace};

/// How many cuts are asked for.
pub(super) fn asked_for(usual: usize) -> usize {
    std::env::var("WARDEIN_UPDATE_CUTS").map_or(usual, |cuts| cuts.parse().unwrap())
}

/// The release that runs, and the one that is to.
const OLD: &[u8] = b"the second";

fn new() -> Vec<u8> {
    (0..600_000u32).map(|n| (n * 7) as u8).collect()
}

#[tokio::test]
async fn power_cuts_leave_the_old_or_the_new_and_one_receipt() {
    let (mut bench, shared) = (Bench::new(), Shared::new());
    bench.trust().await;
    bench.needs_offers_of(&shared);
    // By read and write alone: what the maker's command does with its slot is its own.
    bench.script(
        "install",
        "head -c 9999999 \"$1\" > \"${0%install}slot.new\"; mv \"${0%install}slot.new\" \"${0%install}slot\"",
    );
    bench.offered(&shared, 2, OLD, 7);
    bench.download(Pick::Version(2)).await.unwrap();
    bench.updater().await.install(Pick::Version(2)).await.unwrap();
    bench.updater().await.confirm().unwrap();
    // The authority has heard of that one.
    fs::write(bench.at("device/update/receipts.json"), "{\"installed\":7,\"kept\":[]}").unwrap();
    let new = new();
    bench.publish(&release(3, 3, &new), &new);
    bench.offered(&shared, 3, &new, 8);
    let steps = ["download", "install", "confirm"];
    let each = asked_for(12).div_ceil(steps.len());
    let (mut random, mut cuts) = (Random(0x9e37_79b9_7f4a_7c15), 0);
    for step in steps {
        let device = bench.at("device").canonicalize().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
        command.args(["update", step, "--dir"]).arg(&device);
        let Some(trace) = Trace::of(&device, &[], &command) else {
            eprintln!("SKIPPED: simulating power cuts needs strace, which is missing or refused here");
            return;
        };
        // The maker's command is the last that opens the artifact.
        let artifact = device.join("update/artifacts").join(hex::encode(&Digest::of(&new).0));
        let begun = trace.opened.iter().filter(|(_, path)| *path == artifact).map(|(at, _)| *at).max();
        for _ in 0..each {
            let moment = random.below(trace.moments as u64) as usize + 1;
            let kept = Kept::ALL[random.below(Kept::ALL.len() as u64) as usize];
            let after = tempfile::tempdir().unwrap();
            trace.lay_out(moment, kept, &mut random, after.path());
            close(after.path());
            let what = format!("{step}, moment {moment} of {}, {kept:?} kept", trace.moments);
            let may_have_run = step == "install" && begun.is_some_and(|begun| begun < moment);
            bench.go_on(after.path(), &new, may_have_run, &mut random, &what).await;
            cuts += 1;
        }
        // As it is without a cut; the slot is that of the trial.
        fs::write(bench.at("slot"), if step == "download" { OLD } else { new.as_slice() }).unwrap();
    }
    println!("{cuts} cuts of an update: the old or the new was there, and one receipt");
}

/// As the directory was before: nobody else may enter it.
fn close(path: &Path) {
    let is_directory = path.is_dir();
    let mode = if is_directory { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_directory {
        fs::read_dir(path).unwrap().for_each(|entry| close(&entry.unwrap().path()));
    }
}

impl Bench {
    fn offered(&self, shared: &Shared, version: u64, bytes: &[u8], issued: u64) {
        let (length, sha256) = (bytes.len() as u64, Digest::of(bytes));
        let offer = Offer { version, length, sha256, ..offers::offer(issued) };
        fs::write(self.at("device/update/offer"), offer.sign(&shared.0.borrow().identity).unwrap()).unwrap();
    }

    /// The device starts with the directory `path`, of which it finds what the cut left, and finishes the update.
    async fn go_on(&self, path: &Path, new: &[u8], may_have_run: bool, random: &mut Random, what: &str) {
        let updater = async || {
            let files = Files::open(path).unwrap();
            Updater::open(&files, None, self.home.path().to_owned()).await.unwrap()
        };
        let standing = updater().await.standing().unwrap();
        let runs = standing.running.as_ref().unwrap().version;
        // The floor rises with the first good start, of which there is a receipt by then.
        assert_eq!(standing.floor, runs, "{what}");
        assert!(runs == 2 || started(path) == 1, "{what}: the floor rose before there was a receipt");
        let phase = standing.pending.map(|(phase, _)| phase);
        assert!(!may_have_run || phase.is_some(), "{what}: the command ran, and nothing is on record");
        // What the maker's command has done of its slot by then.
        let is_new = match phase {
            None => runs == 3,
            Some(Phase::Installing) => random.below(2) == 1,
            Some(Phase::Installed) => true,
        };
        fs::write(self.at("slot"), if is_new { new } else { OLD }).unwrap();
        if runs == 2 && phase != Some(Phase::Installed) {
            updater()
                .await
                .download(Pick::Latest, &mut |_, _| ())
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(self.slot().unwrap() == if is_new { new } else { OLD }, "{what}");
            updater().await.install(Pick::Latest).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        if runs == 2 {
            updater().await.confirm().unwrap();
        }
        let standing = updater().await.standing().unwrap();
        let running = standing.running.unwrap().version;
        assert_eq!(
            (standing.floor, running, standing.pending, standing.last_offer),
            (3, 3, None, 8),
            "{what}"
        );
        assert!(self.slot().unwrap() == new, "{what}");
        assert_eq!(started(path), 1, "{what}");
    }
}

/// How many receipts of a first start are kept. There are no others.
fn started(path: &Path) -> usize {
    let receipts: Value =
        serde_json::from_slice(&fs::read(path.join("update/receipts.json")).unwrap()).unwrap();
    let kept = receipts["kept"].as_array().unwrap();
    for receipt in kept {
        assert_eq!(
            (&receipt["version"], &receipt["installed"], &receipt["outcome"]),
            (&3.into(), &8.into(), &"started".into())
        );
    }
    kept.len()
}

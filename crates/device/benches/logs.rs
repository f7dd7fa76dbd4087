//! What the log agent takes in: lines a second, and the most memory, of the example in deploy/LOGS.md's form, with batches of 1
//! MiB and of 4 MiB.
//!
//! `cargo bench -p wardein-device --bench logs`, about half a minute. Batches are filtered, compressed, sealed for the authority
//! and put into the spool, and delivered into directories. TLS and the session of a device are not in it; `deploy/logs.sh` says
//! what a whole agent takes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends there")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wardein_crypto::{Digest, Secret, hex};
use wardein_ddkg::message::FileStanza;
use wardein_files::{Authority, FileError, seal};
use wardein_logs::LogsConfig;
use wardein_logs::agent::{Intake, Now, Outbox, Sealer, Sealing, Sent, Step};
use wardein_logs::batch::FilterVersion;
use wardein_logs::deliver::DirectoryTarget;

const LINES: usize = 400_000;

fn main() {
    // `cargo test --all-targets` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = directory.path().join("app.log");
    let mut text = String::new();
    for number in 0..LINES {
        // A tenth of a line does not compress.
        let noise = hex::encode(&Digest::of(&number.to_be_bytes()).0);
        writeln!(
            text,
            "2026-11-30 12:00:01 ERROR E{number} patient=p{number} occlusion in line {}",
            &noise[..8]
        )
        .unwrap();
    }
    fs::write(&log, &text).unwrap();
    let bytes = text.len();
    drop(text);
    println!("{LINES} lines, {} MiB, a regex, two audiences", bytes >> 20);
    for batch in ["1MiB", "4MiB"] {
        // What the process had at most is counted from here (proc(5), clear_refs).
        let is_counted = fs::write("/proc/self/clear_refs", "5").is_ok();
        let home = directory.path().join(batch);
        for name in ["", "maker", "hospital"] {
            fs::create_dir(home.join(name)).unwrap();
        }
        let begun = Instant::now();
        let batches = work(&home, &log, batch);
        let seconds = begun.elapsed().as_secs_f64();
        let memory = if is_counted { most_memory() } else { "not known here".to_owned() };
        println!(
            "batches of {batch}: {:.0} lines and {:.1} MiB a second, {batches} batches, memory at most {memory}",
            LINES as f64 / seconds,
            bytes as f64 / seconds / f64::from(1 << 20)
        );
    }
}

fn work(home: &Path, log: &Path, batch: &str) -> usize {
    let (home, log) = (home.display(), log.display());
    let text = format!(
        r#"
[audience.maker]
readers = "authority"
to = "{home}/maker"
[audience.hospital]
readers = "authority"
to = "{home}/hospital"
patient-data = true
[spool]
directory = "{home}/spool"
batch-bytes = "{batch}"
[[source]]
name = "app"
file = "{log}"
parse = "regex"
pattern = '^(?<time>\S+ \S+) (?<level>\w+) (?<code>E\d+) patient=(?<patient>\S+) (?<text>(?s:.*))$'
[[source.for]]
audience = "maker"
keep = ["time", "level", "code"]
only = {{ level = "ERROR|WARN" }}
[[source.for]]
audience = "hospital"
keep = ["time", "level", "code", "patient", "text"]
"#
    );
    let config = LogsConfig::parse(&text).unwrap();
    let mut intake = done(Intake::start(&config, FilterVersion::of(text.as_bytes()), Seals)).unwrap();
    let begun = Instant::now();
    let mut outboxes = ["maker", "hospital"].map(|audience| {
        let target = DirectoryTarget::new(format!("{home}/{audience}"));
        Outbox::new(intake.spool(), audience.parse().unwrap(), target)
    });
    let mut batches = 0;
    loop {
        let now = Now { counted: begun.elapsed(), wall: 1_764_518_400 };
        let step = done(intake.step(now, true)).unwrap();
        for outbox in &mut outboxes {
            while done(outbox.step()) != Sent::Nothing {
                batches += 1;
            }
        }
        if step == Step::Idle {
            return batches;
        }
    }
}

/// Seals for the authority, as a device does, but for the signature.
struct Seals;

impl Sealer for Seals {
    type Error = FileError;

    async fn seal(&mut self, batches: &[Sealing<'_>]) -> Result<(), FileError> {
        for batch in batches {
            let mut wrap = |_: &Secret<16>| {
                FileStanza::parse("ddkg1 ddkg1:klinik/pump-1/1.file.0.6", &[7; 32]).map_err(FileError::Stanza)
            };
            let file = File::create(&batch.path).unwrap();
            let plaintext = batch.plaintext().unwrap();
            seal(plaintext, &file, &[], Authority::Opens(&mut wrap), &mut |_| {})?;
            file.sync_all().unwrap();
            fs::write(batch.path.with_extension("age.sig"), b"statement").unwrap();
        }
        Ok(())
    }

    async fn recover(&mut self) -> Result<(), FileError> {
        Ok(())
    }
}

fn most_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse().ok())
        .unwrap();
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// Nothing here waits for anybody.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

//! Directories with logs, configurations over them, and random choices that can be repeated.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wardein_logs::{Gap, LogsConfig, Polled, Positions, Sources};

/// A directory with a log, and an agent that reads it.
pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    source: String,
    /// The agent, while it runs.
    pub(crate) sources: Option<Sources>,
    positions: Positions,
    begun: Instant,
    seconds: u64,
    /// All lines that have left.
    pub(crate) lines: Vec<String>,
    /// All gaps.
    pub(crate) gaps: Vec<Gap>,
    pub(crate) read: u64,
}

impl Bench {
    /// `source` is what logs.toml says of the source; in it, `DIR` is the directory.
    pub(crate) fn new(source: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            source: source.to_owned(),
            sources: None,
            positions: Positions::default(),
            begun: Instant::now(),
            seconds: 0,
            lines: Vec::new(),
            gaps: Vec::new(),
            read: 0,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn config(&self) -> LogsConfig {
        let source = self.source.replace("DIR", self.directory.path().to_str().unwrap());
        let text = format!(
            "[audience.hospital]\nto = \"/x\"\npatient-data = true\n[spool]\ndirectory = \"/s\"\n[[source]]\nname = \"app\"\n{source}\n\
             [[source.for]]\naudience = \"hospital\"\nkeep = [\"line\"]\n"
        );
        LogsConfig::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Ends the agent, as a power cut does: what it knows then is what it had told.
    pub(crate) fn stop(&mut self) {
        self.sources = None;
    }

    /// Has the source read something else from its next start on.
    pub(crate) fn read_instead(&mut self, source: &str) {
        self.source = source.to_owned();
    }

    /// Lets time pass, by which the agent waits.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    /// One poll with that limit; the agent is started where it does not run.
    pub(crate) fn poll(&mut self, limit: usize) -> Polled {
        if self.sources.is_none() {
            // As it is stored.
            let text = serde_json::to_string(&self.positions).unwrap();
            let positions = serde_json::from_str(&text).unwrap();
            assert_eq!(positions, self.positions);
            self.sources = Some(Sources::open(&self.config(), positions).unwrap());
        }
        let now = self.begun + Duration::from_secs(self.seconds);
        let polled = self.sources.as_mut().unwrap().poll_at(now, limit);
        for outgoing in &polled.outgoing {
            let record: serde_json::Value = serde_json::from_str(&outgoing.record).unwrap();
            assert_eq!(record["source"], "app");
            self.lines.push(record["fields"]["line"].as_str().unwrap().to_owned());
        }
        self.read += polled.counts.read;
        self.gaps.extend(polled.gaps.iter().cloned());
        self.positions = polled.positions.clone();
        polled
    }

    /// Polls until nothing comes any more, for all that is waited for.
    pub(crate) fn drain(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "it never ends");
            let before = (self.lines.len(), self.gaps.len());
            let more = self.poll(64 << 10).more;
            if !more && before == (self.lines.len(), self.gaps.len()) {
                return;
            }
        }
    }

    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        use std::io::Write;
        let file = fs::OpenOptions::new().create(true).append(true).open(self.path(name));
        file.unwrap().write_all(text.as_ref()).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }
}

/// Random numbers by a linear congruential generator: the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

//! Progress of long work, for people.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// A line a second where a person looks.
#[derive(Default)]
pub(crate) struct Shown(Option<Instant>);

impl Shown {
    /// `at` of `length` bytes are done.
    pub(crate) fn show(&mut self, at: u64, length: u64) {
        if !stderr().is_terminal() {
            return;
        }
        if self.0.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            self.0 = Some(Instant::now());
            eprint!("\r{at} of {length} bytes");
        }
        if at == length {
            eprintln!("\r{at} of {length} bytes");
        }
    }
}

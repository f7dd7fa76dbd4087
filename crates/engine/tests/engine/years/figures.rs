//! What happened, counted, and what must not have happened, told.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) devices: usize,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) refusals: BTreeMap<&'static str, u64>,
    pub(crate) clones_made: u64,
    pub(crate) clones_found: u64,
    /// What must not be, each with whom and when; the first of each kind are kept.
    pub(crate) wrongs: Vec<String>,
    pub(crate) seconds: f64,
}

impl Figures {
    pub(crate) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &'static str, many: u64) {
        *self.counts.entry(what).or_default() += many;
    }

    pub(crate) fn refused(&mut self, code: &'static str) {
        *self.refusals.entry(code).or_default() += 1;
    }

    pub(crate) fn wrong(&mut self, what: String) {
        if self.wrongs.len() < 20 {
            self.wrongs.push(what);
        }
        self.count("WRONG");
    }

    /// Fails where anything was wrong, and where what was to be survived never came.
    pub(crate) fn judge(&self) {
        assert!(self.wrongs.is_empty(), "{}", self.wrongs.join("\n"));
        assert_eq!(self.clones_found, self.clones_made);
        for must in MUST_COME {
            assert!(self.counts.contains_key(must), "there was no {must}: the run shows too little");
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} devices, two simulated years, in {:.0} s", self.devices, self.seconds)?;
        for (what, count) in &self.counts {
            writeln!(f, "  {count:>10}  {what}")?;
        }
        writeln!(f, "  {:>10}  clones made, {} found", self.clones_made, self.clones_found)?;
        writeln!(f, "refusals that devices met on their way, by code:")?;
        for (code, count) in &self.refusals {
            writeln!(f, "  {count:>10}  {code}")?;
        }
        Ok(())
    }
}

/// Without these the run would prove nothing.
const MUST_COME: [&str; 21] = [
    "proofs accepted",
    "requests lost",
    "replies lost",
    "requests repeated by the network",
    "power cuts at a device",
    "crashes of the authority",
    "months switched off",
    "rekeys adopted",
    "rotations of a device",
    "rotations of a profile",
    "rotations of a tenant",
    "rotations of the root key",
    "rotations of the tenant's key",
    "sweeps",
    "schedules changed",
    "logins",
    "payloads opened",
    "transfers that nobody accepted at once",
    "transfers withdrawn",
    "transfers agreed on",
    "transfers carried out",
];

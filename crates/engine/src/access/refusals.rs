//! Refusals on record: of each caller the first ones of a minute have an entry each, and the others one entry with their number.
//! A caller that is refused as fast as it can call (a revoked identity, a device that is suspended) would otherwise fill the disk
//! and bury everybody else's entries.

use crate::kernel::record::{self, listed};
use crate::kernel::{Caller, Engine, Error, Tx};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, AuditEntry, Call, ErrorCode, Event, FieldName, Method, Origin, Outcome, Serial, Target,
};

/// The refusals of this minute, by caller.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<Who, Tally>>);

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// An operator, by the serial of its certificate.
    Operator(Serial),
    Device(DeviceName),
}

/// A refusal, as the entry about its like names it.
pub(crate) struct Refused<'a> {
    pub(crate) code: ErrorCode,
    /// What was called.
    pub(crate) called: Target,
    pub(crate) call: &'a Call,
}

struct Tally {
    begun_ms: u64,
    recorded: u32,
    further: Option<Further>,
}

/// Refusals without an entry of their own.
struct Further {
    actor: Actor,
    /// Of the last one.
    called: Target,
    code: ErrorCode,
    /// Of the first one.
    origin: Option<Origin>,
    number: u64,
    by_code: BTreeMap<&'static str, u64>,
}

impl Refusals {
    /// Whether this refusal has an entry of its own; otherwise it is counted.
    pub(crate) fn is_recorded(
        &self,
        who: &Who,
        actor: impl FnOnce() -> Actor,
        refused: Refused<'_>,
        now_ms: u64,
    ) -> bool {
        let Refused { code, called, call } = refused;
        let mut tallies = self.lock();
        // So many callers at once are no single one's flood.
        if tallies.len() >= CALLERS && !tallies.contains_key(who) {
            return true;
        }
        let begin = || Tally { begun_ms: now_ms, recorded: 0, further: None };
        let tally = tallies.entry(who.clone()).or_insert_with(begin);
        // Where nothing was counted, there is no number to wait for.
        if tally.further.is_none() && tally.is_over(now_ms) {
            *tally = begin();
        }
        if tally.recorded < RECORDED {
            tally.recorded += 1;
            return true;
        }
        let further = tally.further.get_or_insert_with(|| Further {
            actor: actor(),
            called: called.clone(),
            code,
            origin: call.origin,
            number: 0,
            by_code: BTreeMap::new(),
        });
        (further.called, further.code) = (called, code);
        further.number += 1;
        *further.by_code.entry(code.as_str()).or_default() += 1;
        false
    }

    /// Ends the minutes that are over, or all of them.
    fn close(&self, now_ms: u64, all: bool) -> Vec<(Who, Tally)> {
        self.lock().extract_if(|_, tally| all || tally.is_over(now_ms)).collect()
    }

    /// Takes back a minute whose number could not be recorded: it goes on.
    fn reopen(&self, who: Who, tally: Tally) {
        // One that began in the meantime has the smaller number.
        self.lock().insert(who, tally);
    }

    /// A poisoned map has whole tallies: each is changed by steps that do not panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Who, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Whether its minute is over. A clock that went back ends it too.
    fn is_over(&self, now_ms: u64) -> bool {
        !(self.begun_ms..self.begun_ms.saturating_add(WINDOW_MS)).contains(&now_ms)
    }
}

impl Further {
    fn entry(&self, now_ms: u64) -> AuditEntry {
        let call = Call { origin: self.origin, ..Call::default() };
        let (target, outcome) = (self.called.clone(), Outcome::refused(self.code));
        let codes: Vec<_> = self.by_code.iter().map(|(code, number)| format!("{code} {number}")).collect();
        record::entry(now_ms, self.actor.clone(), Event::CallsRefused, target, outcome, &call)
            .with(FieldName::Count, self.number)
            .with(FieldName::Codes, listed(&codes))
    }
}

impl Engine {
    /// Whether the refusal of an operator's call has an entry of its own. It is counted otherwise, and must not be recorded.
    pub fn records_refusal(&self, caller: &Caller, method: Method, code: ErrorCode) -> bool {
        let who = Who::Operator(caller.principal.serial);
        let refused = Refused { code, called: Target::Method(method), call: &caller.call };
        self.refusals.is_recorded(&who, || Actor::from(&caller.principal), refused, self.clock.now_ms())
    }

    /// The same for a device that proved who it is.
    pub(crate) fn records_refusal_of(
        &self,
        tx: &Tx<'_>,
        device: &DeviceName,
        called: Target,
        code: ErrorCode,
        call: &Call,
    ) -> bool {
        let actor = || Actor::Device(device.tenant.clone(), device.device.clone());
        let refused = Refused { code, called, call };
        // It is counted once.
        tx.is_final()
            && self.refusals.is_recorded(&Who::Device(device.clone()), actor, refused, self.clock.now_ms())
    }

    /// Records the numbers of refusals that had no entry of their own, of minutes that are over, or of all. It is called each
    /// second, and before the service stops. What cannot be recorded stays counted.
    pub async fn record_further_refusals(&self, all: bool) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        let mut outcome = Ok(());
        for (who, tally) in self.refusals.close(now_ms, all) {
            let Some(further) = &tally.further else { continue };
            if outcome.is_ok() {
                outcome = self.record(further.entry(now_ms)).await;
            }
            if outcome.is_err() {
                self.refusals.reopen(who, tally);
            }
        }
        outcome
    }
}

/// How many refusals of a caller have an entry of their own in a minute.
const RECORDED: u32 = 60;

const WINDOW_MS: u64 = 60_000;

/// The most callers that are counted at a time.
const CALLERS: usize = 65_536;

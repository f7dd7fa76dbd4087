//! The authority's clock: found at a start, compared with the wall clock, kept, and set by an administrator who accepts the wall
//! clock's word.
//!
//! Where the wall clock is behind, accepting it begins a new era, in one change: under another challenge key, so that no challenge of
//! before is good again when its time comes. What the former era left behind is not rewritten but read: DDKG-1 reads its times (§9.1),
//! its certificates count as revoked, its generations are due for a rekey, its rules and requirements count as made now.

use crate::access::operators::each_operator;
use crate::issue::authority::place;
use crate::kernel::record::{self, Recording, time_of};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Ports, Stop, Tx};
use crate::project::NodeClock;
use crate::rows::{self, AUTHORITY, AuthorityRow, CLOCK_KEY, CertificateRow, ClockRow, OperatorRow};
use std::sync::{Arc, Mutex, PoisonError};
use wardein_crypto::Secret;
use wardein_domain::{
    Agreement, AuthorityClock, ErrorCode, Event, FieldName, Outcome, Reading, Target, UnixMillis, UnixSeconds,
};
use wardein_pki::Validity;
use wardein_port::{Change, Clock, Store, Table};

/// How the authority's clock compares with the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStatus {
    /// The authority's time, in Unix milliseconds.
    pub now_ms: u64,
    /// The wall clock of the machine, in Unix milliseconds.
    pub wall_ms: u64,
    /// Whether and since when they agree.
    pub agreement: Agreement,
    /// Whether anything is erased because its time is over.
    pub may_erase: bool,
    /// How often a wall clock was accepted.
    pub acceptances: u32,
}

/// What accepting the wall clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// The authority's time before, in Unix milliseconds.
    pub from_ms: u64,
    /// The authority's time after.
    pub to_ms: u64,
    /// Whether a new era begins, because the time goes back.
    pub is_new_era: bool,
}

/// What a new era would leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftBehind {
    /// Devices that agreed on their keys later than the new time: they are due for a rekey.
    pub devices: u64,
    /// Certificates of devices that were issued later than the new time: they count as revoked.
    pub certificates: u64,
    /// Operators that were certified later: they cannot call before that time, unless they are issued again.
    pub operators: u64,
}

/// What is on record of the agreement.
#[derive(Default)]
pub(crate) struct ClockRecord(Mutex<Told>);

#[derive(Debug, Clone, Copy)]
struct Told {
    standing: Standing,
    written_at: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self { standing: Standing::Agrees, written_at: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Agrees,
    Apart,
    Held,
}

impl From<Agreement> for Standing {
    fn from(agreement: Agreement) -> Self {
        match agreement {
            Agreement::Since(_) => Self::Agrees,
            Agreement::Apart => Self::Apart,
            Agreement::Held => Self::Held,
        }
    }
}

/// The clock of the authority that is in a store, as a start finds it.
pub(crate) async fn stored_clock(ports: &Ports) -> Result<NodeClock, Error> {
    stored_clock_of(&*ports.store, ports.clock.clone()).await
}

/// The same of a store that is at hand otherwise.
pub(crate) async fn stored_clock_of(store: &dyn Store, clock: Arc<dyn Clock>) -> Result<NodeClock, Error> {
    let row: Option<(u64, ClockRow)> = rows::load(store, Table::Authority, CLOCK_KEY).await?;
    let last = store.head().await?.last_audit;
    let last = store.audit(last, 1).await?.first().map_or(Ok(0), |(_, entry)| time_of(entry))?;
    Ok(NodeClock::started(clock, row.map(|(_, row)| row), UnixMillis::new(last)))
}

/// The row of the clock of an authority that is founded at this reading.
pub(crate) fn founded_clock(now: Reading) -> ClockRow {
    let kept = AuthorityClock::founded(now).kept(now.boot_ms);
    ClockRow { at: kept.at, agreed_since: kept.agreed_since, ..ClockRow::default() }
}

impl ClockRecord {
    fn told(&self) -> Told {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: Told) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }
}

impl Engine {
    /// Compares the authority's clock with the wall clock, and puts on record what has changed; to be called every second.
    pub async fn look_at_clock(&self) -> Result<ClockStatus, Error> {
        self.clock.look();
        let status = self.clock_status();
        let (told, standing) = (self.clock_record.told(), Standing::from(status.agreement));
        let is_new = standing != told.standing;
        // Each node has a clock, and one of them keeps the record.
        if !self.keeps() {
            self.clock_record.tell(Told { standing, ..told });
            return Ok(status);
        }
        if is_new || status.now_ms.abs_diff(told.written_at) >= KEPT_EVERY_MS {
            self.transact(|tx| {
                let mut change = Change::default();
                let present = tx.get(Table::Authority, CLOCK_KEY)?.map(|row| row.version);
                change.put(Table::Authority, CLOCK_KEY.to_vec(), present, rows::encode(&self.clock.row())?);
                if is_new {
                    let event = match standing {
                        Standing::Agrees => Event::ClockAgrees,
                        Standing::Apart => Event::ClockApart,
                        Standing::Held => Event::ClockHeld,
                    };
                    let entry =
                        record::of_system(status.now_ms, event).with(FieldName::WallMs, status.wall_ms);
                    change.record(&entry)?;
                }
                Ok(Decision::new(change, ()))
            })
            .await?;
            self.clock_record.tell(Told { standing, written_at: status.now_ms });
        }
        Ok(status)
    }

    /// How the authority's clock compares with the wall clock.
    pub fn clock_status(&self) -> ClockStatus {
        let ClockRow { acceptances, .. } = self.clock.row();
        ClockStatus {
            now_ms: self.clock.now_ms(),
            wall_ms: self.clock.reading().wall.get(),
            agreement: self.clock.agreement(),
            may_erase: self.clock.may_erase(),
            acceptances,
        }
    }

    /// What accepting the wall clock would do now.
    pub fn would_accept(&self) -> Result<Acceptance, Error> {
        let (from_ms, wall_ms) = (self.clock.now_ms(), self.clock.reading().wall.get());
        let now = wall_ms / 1000;
        if !self.memory.infrastructure()?.certificate().validity().contains(now) {
            let message = format_args!(
                "the machine's clock says Unix second {now}, when the authority's CA is not valid; set it first"
            );
            return Err(Error::new(ErrorCode::ClockWrong, message));
        }
        let is_new_era = wall_ms.saturating_add(AuthorityClock::NEAR) < from_ms;
        // A little behind it is drawn to anyway.
        let to_ms = if is_new_era { wall_ms } else { wall_ms.max(from_ms) };
        Ok(Acceptance { from_ms, to_ms, is_new_era })
    }

    /// Takes the wall clock's word, where it is near `seen_ms`: what the administrator looked at.
    pub async fn accept_clock(&self, caller: &Caller, seen_ms: u64) -> Result<Acceptance, Error> {
        let accepted = self
            .transact_by(caller, |tx| {
                let accepted = self.would_accept()?;
                let wall_ms = self.clock.reading().wall.get();
                if wall_ms.abs_diff(seen_ms) > AuthorityClock::NEAR {
                    let message = format_args!(
                        "wall_ms: the machine's clock says {wall_ms}, not about {seen_ms}; look at it again"
                    );
                    return Err(Error::new(ErrorCode::ClockMoved, message).into());
                }
                stays_valid(tx, caller, UnixMillis::new(accepted.to_ms).seconds())?;
                let mut change = Change::default();
                let (version, mut row) = match tx.row::<ClockRow>(Table::Authority, CLOCK_KEY)? {
                    Some((version, row)) => (Some(version), row),
                    None => (None, self.clock.row()),
                };
                row.at = UnixMillis::new(accepted.to_ms);
                row.agreed_since = Some(UnixMillis::default());
                row.acceptances = row.acceptances.saturating_add(1);
                if accepted.is_new_era {
                    row.eras.push(row.at);
                    self.change_challenge_key(tx, &mut change)?;
                }
                change.put(Table::Authority, CLOCK_KEY.to_vec(), version, rows::encode(&row)?);
                let mut entry = self.entry(caller, Event::ClockAccepted, Target::Authority, Outcome::Done);
                entry.time_ms = accepted.to_ms;
                let entry = entry.changed(FieldName::TimeMs, accepted.from_ms, accepted.to_ms);
                change.record(&entry.with(FieldName::Era, row.eras.len()))?;
                Ok(Decision::new(change, accepted))
            })
            .await?;
        self.clock_record.tell(Told { standing: Standing::Agrees, written_at: accepted.to_ms });
        Ok(accepted)
    }

    /// Counts what a new era would leave behind that begins at `to`. It reads every device's keys.
    pub async fn left_behind(&self, to: UnixSeconds) -> Result<LeftBehind, Error> {
        let mut left = LeftBehind::default();
        each_operator(&*self.store, |_, row| {
            left.operators += u64::from(row.not_before > to && row.revoked.is_none());
        })
        .await?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::DeviceKeys, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, _) in &page {
                let name = rows::parse_device_key(key)?;
                let held = self.look(|tx| self.load_keys(tx, &name)).await?;
                let is_later = |Held { keys, .. }: Held| keys.record.schedule().not_before > to.get();
                left.devices += u64::from(held.is_some_and(is_later));
            }
        }
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::Certificate, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(left) };
            after = Some(last.clone());
            for (_, row) in &page {
                let row: CertificateRow = rows::decode(Table::Certificate, &row.value)?;
                left.certificates += u64::from(row.issued_at > to);
            }
        }
    }

    /// Refuses to certify while the time is held: a certificate under a wrong time is good for nobody, or for too long.
    pub(crate) fn may_certify(&self) -> Result<(), Error> {
        match self.clock.agreement() {
            Agreement::Held => Err(clock_held()),
            Agreement::Since(_) | Agreement::Apart => Ok(()),
        }
    }

    /// The validity of the server's own certificate: by the authority's time, and by the wall clock where the two do not agree, so that
    /// clients with either can call.
    pub(crate) fn server_validity(&self, lifetime: u64) -> Result<Validity, Error> {
        let now = self.now();
        let wall = match self.clock.agreement() {
            Agreement::Since(_) => now,
            Agreement::Apart | Agreement::Held => self.clock.reading().wall.seconds().get(),
        };
        let ca = self.memory.infrastructure()?.certificate().validity();
        // One at which the CA is not valid is no client's.
        let wall = if ca.contains(wall) { wall } else { now };
        Validity::starting(now.min(wall), now.abs_diff(wall).saturating_add(lifetime))
            .and_then(|validity| validity.within(ca))
            .map_err(Error::internal)
    }

    fn change_challenge_key(&self, tx: &mut Tx<'_>, change: &mut Change) -> Result<(), Stop> {
        let (version, mut row): (u64, AuthorityRow) =
            tx.row(Table::Authority, AUTHORITY)?.ok_or_else(Error::not_founded)?;
        let challenge: Secret<32> = tx.draw().hidden()?;
        row.challenge_key = self.root.ring().seal(tx.nonce()?, place("challenge"), challenge.expose())?;
        change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(&row)?);
        Ok(())
    }
}

/// Refuses an administrator who would be locked out by what it accepts.
fn stays_valid(tx: &Tx<'_>, caller: &Caller, to: UnixSeconds) -> Result<(), Stop> {
    let row: Option<(u64, OperatorRow)> = tx.row(Table::Operator, caller.principal.serial.as_bytes())?;
    if row.is_some_and(|(_, row)| (row.not_before..=row.not_after).contains(&to)) {
        return Ok(());
    }
    let message = format_args!(
        "your own certificate is not valid at Unix second {}; accept it with one that is, such as `wardein operator recover` makes",
        to.get()
    );
    Err(Error::new(ErrorCode::LastAdministrator, message).into())
}

/// A certificate at a time at which its CA is not valid.
pub(crate) fn ca_not_valid(now: u64) -> Error {
    let message = format_args!(
        "the authority's time is Unix second {now}, when its CA is not valid; look at it with `wardein clock status`"
    );
    Error::new(ErrorCode::ClockWrong, message)
}

fn clock_held() -> Error {
    let message = "the machine's clock could not be believed at the start, so certificates wait; look at it with `wardein clock status`";
    Error::new(ErrorCode::ClockHeld, message)
}

/// How often the time is kept: more often than [`AuthorityClock::NEAR`], so that a process that dies and is started again finds that
/// the clocks agreed until then.
const KEPT_EVERY_MS: u64 = 4 * 60 * 1000;

/// Rows read at a time.
const PAGE: usize = 256;

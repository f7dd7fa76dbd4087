//! The protocol of a visit: who was in, for which order, from when to when, and what was done, by category. It is begun before the technician
//! is let to anything, kept in a spool directory, and given to the authority by a proof with the next contact.
//!
//! A session runs under the technician's account, and the spool is that account's to write: what comes from there is read as from anybody. The
//! authority compares it with what was released, and a visit without a protocol stays open there.

use super::codes::Key;
use super::visit::{SessionEnd, Visit};
use crate::agent::Prover;
use crate::error::Error;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};
use wardein_client::unix_now;
use wardein_crypto::{Entropy, SystemEntropy, hex};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{Admitted, VisitEnd, VisitProtocol};
use wardein_domain::{ActionCategory, ErrorCode};

/// What is being written of a session. While it is there, the session is under way.
pub(super) struct Recorder {
    path: PathBuf,
    begin: Begin,
    since: Instant,
    /// Locked: who finds it free knows that the session is over.
    _running: File,
}

/// `begin.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// Empty where a code let somebody in, with technician and work order.
    visit: String,
    technician: String,
    work_order: String,
    scope: String,
    began: u64,
    /// The key of the code that answered a challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Key>,
    /// The key of the code for emergencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emergency: Option<Key>,
}

/// `end.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    ended: u64,
    end: String,
}

impl Recorder {
    /// Begins the protocol of a session, durably.
    pub(super) fn begin(spool: &Path, visit: &Visit, by: Option<&Admitted>) -> Result<Self, Error> {
        let session: [u8; 16] =
            SystemEntropy::default().array().map_err(|_| Error::Fault("the source of randomness"))?;
        let path = spool.join(hex::encode(&session));
        DirBuilder::new().mode(0o700).create(&path).map_err(Error::file("make", &path))?;
        let (code, emergency) = match by {
            Some(Admitted::Code(key)) => (Some((*key).into()), None),
            Some(Admitted::Emergency(key)) => (None, Some((*key).into())),
            Some(Admitted::Visit { .. }) | None => (None, None),
        };
        let is_of_code = code.is_some() || emergency.is_some();
        let begin = Begin {
            visit: if is_of_code { String::new() } else { visit.id.clone() },
            technician: visit.technician.clone(),
            work_order: visit.work_order.clone(),
            scope: visit.scope.clone(),
            began: unix_now(),
            code,
            emergency,
        };
        let file = path.join(BEGIN);
        write(&file, &begin)?;
        let running = File::open(&file).map_err(Error::file("open", &file))?;
        running.lock().map_err(Error::file("lock", &file))?;
        note(&path, LOGIN)?;
        Ok(Self { path, begin, since: Instant::now(), _running: running })
    }

    /// Where it is: what runs in the session adds to it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends it, durably. The time is counted from the beginning, so that a clock that is set meanwhile changes nothing.
    pub(super) fn end(self, end: SessionEnd) -> Result<(), Error> {
        let end = match end {
            SessionEnd::Exit(_) => VisitEnd::Left,
            SessionEnd::Over => VisitEnd::Over,
            SessionEnd::Ended => VisitEnd::Ended,
        };
        let ended = self.begin.began.saturating_add(self.since.elapsed().as_secs());
        write(&self.path.join(END), &End { ended, end: end.as_str().to_owned() })
    }
}

fn write(path: &Path, what: &impl Serialize) -> Result<(), Error> {
    let bytes = serde_json::to_vec(what).map_err(|_| Error::Fault("writing JSON"))?;
    wardein_durable::replace(path, &bytes, 0o600).map_err(Error::file("write", path))
}

/// Adds an action to the protocol in `path`.
pub fn note(path: &Path, category: &str) -> Result<(), Error> {
    let wrong =
        |error: wardein_domain::NameError| Error::Config { field: "category", why: error.to_string() };
    let category: ActionCategory = category.parse().map_err(wrong)?;
    let file = path.join(ACTIONS);
    let failed = || Error::file("write", &file);
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(NO_TRICKS);
    let mut open = options.open(&file).map_err(failed())?;
    // What is not counted any more was done often.
    if open.metadata().map_err(failed())?.len() < MAX_ACTIONS {
        open.write_all(format!("{category}\n").as_bytes()).map_err(failed())?;
    }
    Ok(())
}

/// Gives the protocols of sessions that are over to the authority; how many it has acknowledged. Each goes once it is; one that is refused
/// for good is kept aside, for a person to look at.
pub async fn give_protocols(
    spool: &Path,
    device: &DeviceName,
    prover: &mut impl Prover,
) -> Result<usize, Error> {
    let mut given = 0;
    for path in sessions(spool)? {
        let protocol = match read(&path, device) {
            Ok(Some(protocol)) => protocol,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "not the protocol of a visit; it is kept aside");
                set_aside(&path)?;
                continue;
            }
        };
        match prover.visit_protocol(&protocol.encode()).await {
            Ok(()) => {
                std::fs::remove_dir_all(&path).map_err(Error::file("remove", &path))?;
                given += 1;
            }
            // What an earlier authority does not know, and what waits for the use of a code to be reported, is given another time.
            Err(Error::Refused(refused)) if LATER.iter().any(|code| refused.is(*code)) => {
                tracing::warn!(%refused, path = %path.display(), "the authority does not take a protocol yet; it is kept");
            }
            Err(Error::Refused(refused)) if REFUSED.iter().any(|code| refused.is(*code)) => {
                tracing::warn!(%refused, path = %path.display(), "the authority does not take a protocol; it is kept aside");
                set_aside(&path)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(given)
}

/// The sessions of a spool, in order of their names; none where there is no spool.
pub(super) fn sessions(spool: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(spool) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::file("read", spool))?,
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_ENTRIES) {
        let entry = entry.map_err(Error::file("read", spool))?;
        let is_session = entry.file_name().to_str().is_some_and(|name| session_of(name).is_some());
        // Not by a link to elsewhere.
        if is_session && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn session_of(name: &str) -> Option<[u8; 16]> {
    hex::decode_array(name)
}

/// The protocol of a session; `None` while it is under way.
pub(super) fn read(path: &Path, device: &DeviceName) -> Result<Option<VisitProtocol>, Error> {
    let damaged = |why: &str| {
        let (path, why) = (path.to_owned(), why.to_owned());
        Error::Damaged { path, why, next: "look at it, and remove it" }
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let session = name.and_then(session_of).ok_or_else(|| damaged("it is not named as a session"))?;
    let file = path.join(BEGIN);
    let Some(mut running) = open(&file)? else {
        // The power was cut before there was anything, or it is being made.
        let age = std::fs::symlink_metadata(path).and_then(|of| of.modified()).ok();
        let is_new = age.is_some_and(|at| at.elapsed().is_ok_and(|age| age < FRESH));
        return if is_new { Ok(None) } else { Err(damaged("it has no beginning")) };
    };
    if running.try_lock().is_err() {
        return Ok(None);
    }
    let begin: Begin = parse(&mut running).ok_or_else(|| damaged("its beginning is damaged"))?;
    let (actions, last) = actions(&path.join(ACTIONS))?;
    let (ended, end) = match open(&path.join(END))? {
        None => (last.max(begin.began), VisitEnd::BrokeOff),
        Some(mut file) => {
            let End { ended, end } = parse(&mut file).ok_or_else(|| damaged("its end is damaged"))?;
            let end = VisitEnd::ALL.into_iter().find(|known| known.as_str() == end);
            (ended, end.ok_or_else(|| damaged("its end is damaged"))?)
        }
    };
    let wrong = |_| damaged("it names no technician, work order or scope");
    let by = match (begin.code, begin.emergency) {
        (Some(key), None) => Admitted::Code(key.into()),
        (None, Some(key)) => Admitted::Emergency(key.into()),
        (None, None) => Admitted::Visit {
            visit: hex::decode_array(&begin.visit).ok_or_else(|| damaged("it names no visit"))?,
            technician: begin.technician.parse().map_err(wrong)?,
            work_order: begin.work_order.parse().map_err(wrong)?,
        },
        (Some(_), Some(_)) => return Err(damaged("it names two codes")),
    };
    Ok(Some(VisitProtocol {
        device: device.clone(),
        by,
        session,
        scope: begin.scope.parse().map_err(wrong)?,
        began: begin.began,
        ended: ended.max(begin.began),
        end,
        actions,
    }))
}

/// What was done, and the Unix second of the last of it; 0 where nothing was.
fn actions(path: &Path) -> Result<(BTreeMap<ActionCategory, u32>, u64), Error> {
    let Some(mut file) = open(path)? else { return Ok((BTreeMap::new(), 0)) };
    let modified = file.metadata().and_then(|of| of.modified()).ok();
    let last = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs());
    let mut text = String::new();
    (&mut file).take(MAX_ACTIONS + 64).read_to_string(&mut text).map_err(Error::file("read", path))?;
    let mut actions: BTreeMap<ActionCategory, u32> = BTreeMap::new();
    // What is not a category is the technician's own doing, and counts for nothing.
    for category in text.lines().filter_map(|line| line.parse().ok()) {
        if actions.contains_key(&category) || actions.len() < VisitProtocol::MAX_CATEGORIES {
            let times = actions.entry(category).or_default();
            *times = times.saturating_add(1);
        }
    }
    Ok((actions, last))
}

/// A regular file, not by a link; `None` where there is none.
fn open(path: &Path) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    match options.read(true).custom_flags(NO_TRICKS).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("open", path)(error)),
        Ok(file) => {
            let is_file = file.metadata().map_err(Error::file("read", path))?.is_file();
            let odd = || Error::Damaged { path: path.into(), why: "is no file".into(), next: "remove it" };
            is_file.then_some(Some(file)).ok_or_else(odd)
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &mut File) -> Option<T> {
    let mut bytes = Vec::new();
    file.take(MAX_JSON + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MAX_JSON {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

fn set_aside(path: &Path) -> Result<(), Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let aside = path.with_file_name(format!("refused-{name}"));
    std::fs::rename(path, aside).map_err(Error::file("rename", path))
}

/// The refusals that stay.
const REFUSED: [ErrorCode; 6] = [
    ErrorCode::ProtocolOtherDevice,
    ErrorCode::ProtocolOtherVisit,
    ErrorCode::ProtocolWindow,
    ErrorCode::ProtocolContradicts,
    ErrorCode::VisitUnknown,
    ErrorCode::VisitNotReleased,
];

/// The refusals that another time may end.
const LATER: [ErrorCode; 2] = [ErrorCode::Malformed, ErrorCode::EmergencyUseUnknown];

/// A link is not followed, and a pipe is not waited for.
const NO_TRICKS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

const BEGIN: &str = "begin.json";
const END: &str = "end.json";
const ACTIONS: &str = "actions";
const LOGIN: &str = "login";
/// What a technician could fill the disk with; one more is read than is written.
const MAX_ACTIONS: u64 = 64 << 10;
const MAX_JSON: u64 = 4 << 10;
const MAX_ENTRIES: usize = 4_096;
/// For so long a session may have no beginning: until that is on the disk.
const FRESH: Duration = Duration::from_secs(60);

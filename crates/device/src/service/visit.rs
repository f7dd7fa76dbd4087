//! A technician's session: a command or a shell that ends with the visit. sshd runs it as the `force-command` of the certificate, so that
//! what it is told of the visit is what the authority signed.

use super::codes::Admission;
use super::moment::Moment;
use super::protocol::{Recorder, note};
use super::sync::ENDED;
use crate::error::Error;
use rustix::process::{Pid, Signal, getpid, getppid, getsid, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use wardein_client::unix_now;
use wardein_ddkg::message::Admitted;

/// A visit, as the certificate has it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Its id, in hex; where a code let somebody in, the name of the code's key.
    pub id: String,
    /// What it may do.
    pub scope: String,
    /// What it is for.
    pub work_order: String,
    /// Who comes.
    pub technician: String,
    /// Unix second at which it is over.
    pub until: u64,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// By itself, with that exit code.
    Exit(u8),
    /// With the window of the visit.
    Over,
    /// Because the visit was ended.
    Ended,
}

/// Runs `asked`, or a shell, until it ends, the visit is over, or it was ended by the authority's word in `directory` (`wardein-device service
/// sync`). Where `directory` has a folder `scopes`, the program that is named as the scope runs in the place of the shell, and a
/// scope without one is refused. The session has a protocol in `spool`; one that cannot be begun keeps nobody out, and is missing then.
pub fn attend(
    visit: &Visit,
    asked: Option<OsString>,
    directory: &Path,
    spool: &Path,
) -> Result<SessionEnd, Error> {
    let left = Duration::from_secs(visit.until.saturating_sub(unix_now()));
    run((visit, None), asked, (directory, spool), Watch::begin(visit, left, directory))
}

/// Runs a shell, or the program of the scope, for somebody who was let in by a code, until it ends or the code's time is over. Its
/// protocol names the code's key: the authority knows which visit it answered for.
pub fn attend_admitted(admission: &Admission, directory: &Path, spool: &Path) -> Result<SessionEnd, Error> {
    let visit = Visit {
        id: admission.id.clone(),
        scope: admission.scope.to_string(),
        work_order: String::new(),
        technician: String::new(),
        // No wall clock is asked.
        until: u64::MAX,
    };
    let watch =
        Watch { over: Some(admission.until.clone()), ..Watch::begin(&visit, Duration::MAX, directory) };
    run((&visit, Some(&admission.by)), None, (directory, spool), watch)
}

fn run(
    (visit, by): (&Visit, Option<&Admitted>),
    asked: Option<OsString>,
    (directory, spool): (&Path, &Path),
    watch: Watch,
) -> Result<SessionEnd, Error> {
    if let Some(end) = watch.is_over() {
        return Ok(end);
    }
    let program = program(visit, directory)?;
    let recorder = Recorder::begin(spool, visit, by);
    let warn = |error: &Error| tracing::warn!(%error, "this session has no protocol");
    let recorder = recorder.inspect_err(warn).ok();
    let is_command = asked.is_some();
    let mut command = match (&program, asked) {
        (Program::OfScope(path), asked) => {
            let mut command = Command::new(path);
            command.args(asked);
            command
        }
        (Program::Shell(shell), Some(asked)) => {
            let mut command = Command::new(shell);
            command.arg("-c").arg(asked);
            command
        }
        (Program::Shell(shell), None) => Command::new(shell),
    };
    command
        .env(MARK, &visit.id)
        .env("WARDEIN_SCOPE", &visit.scope)
        .env("WARDEIN_WORK_ORDER", &visit.work_order)
        .env("WARDEIN_TECHNICIAN", &visit.technician);
    if let Some(recorder) = &recorder {
        command.env(SESSION, recorder.path());
        if is_command && let Err(error) = note(recorder.path(), "command") {
            tracing::warn!(%error, "the command is not in the protocol");
        }
    }
    let path = program.path().to_owned();
    let wrong = |source| Error::File { doing: "run", path: path.clone(), source };
    let mut child = command.spawn().map_err(wrong)?;
    let end = loop {
        if let Some(status) = child.try_wait().map_err(wrong)? {
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
            break SessionEnd::Exit(code);
        }
        if let Some(end) = watch.is_over() {
            end_all(&mut child, &visit.id);
            break end;
        }
        std::thread::sleep(PAUSE);
    };
    if let Some(Err(error)) = recorder.map(|recorder| recorder.end(end)) {
        tracing::warn!(%error, "the end of this session is not in its protocol");
    }
    Ok(end)
}

enum Program {
    Shell(PathBuf),
    OfScope(PathBuf),
}

impl Program {
    fn path(&self) -> &Path {
        match self {
            Self::Shell(path) | Self::OfScope(path) => path,
        }
    }
}

fn program(visit: &Visit, directory: &Path) -> Result<Program, Error> {
    let scopes = directory.join("scopes");
    if !scopes.is_dir() {
        return Ok(Program::Shell(std::env::var_os("SHELL").map_or_else(|| "/bin/sh".into(), PathBuf::from)));
    }
    // A scope is a word without slashes and dots, or the certificate was not the authority's.
    let is_word = visit.scope.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let path = scopes.join(&visit.scope);
    if visit.scope.is_empty() || !is_word || !path.is_file() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "the device has no such scope");
        return Err(Error::File { doing: "run", path, source });
    }
    Ok(Program::OfScope(path))
}

/// When a visit is over: by the device's wall clock, as sshd judges it, and by the time that has passed since the session began, so that setting the clock back prolongs
/// nothing; or when it was ended.
struct Watch {
    until: u64,
    began: Instant,
    left: Duration,
    /// When what a code allows is over.
    over: Option<Moment>,
    id: String,
    ended: PathBuf,
}

impl Watch {
    fn begin(visit: &Visit, left: Duration, directory: &Path) -> Self {
        let ended = directory.join(ENDED);
        Self { until: visit.until, began: Instant::now(), left, over: None, id: visit.id.clone(), ended }
    }

    fn is_over(&self) -> Option<SessionEnd> {
        if unix_now() >= self.until || self.began.elapsed() >= self.left {
            return Some(SessionEnd::Over);
        }
        // Where the time cannot be read, it is over.
        let is_over = |over: &Moment| Moment::now().map_or(true, |now| over.is_over(&now));
        if self.over.as_ref().is_some_and(is_over) {
            return Some(SessionEnd::Over);
        }
        let ended = fs::read_to_string(&self.ended).unwrap_or_default();
        ended.lines().any(|id| id == self.id).then_some(SessionEnd::Ended)
    }
}

/// Ends the child and what came of it: what is in the session of the terminal, what descends from the child, what carries the visit's mark.
/// They are asked to hang up, and killed a moment later; what forks meanwhile is found in the next round.
fn end_all(child: &mut Child, id: &str) {
    for (round, signal) in [Signal::HUP, Signal::KILL, Signal::KILL, Signal::KILL].into_iter().enumerate() {
        for pid in belonging(child.id(), id) {
            let _ = kill_process(pid, signal);
        }
        std::thread::sleep(if round == 0 { GRACE } else { PAUSE / 10 });
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn belonging(child: u32, id: &str) -> Vec<Pid> {
    let own = getpid();
    // sshd gives each login a session that begins with its shell. Of another one nothing else is ended.
    let is_ours = |session: &Pid| *session == own || Some(*session) == getppid();
    let session = getsid(None).ok().filter(is_ours);
    let mark = format!("{MARK}={id}").into_bytes();
    let mut parents = BTreeMap::new();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // The name of the program, in parentheses, may have blanks and parentheses itself.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let fields: Vec<i32> =
            fields.split_ascii_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
        let [parent, _, sid, ..] = fields[..] else { continue };
        parents.insert(number, parent);
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_marked = environment.split(|byte| *byte == 0).any(|variable| variable == mark);
        let is_in_session = session.is_some_and(|session| session.as_raw_pid() == sid);
        if is_marked || is_in_session {
            found.push(number);
        }
    }
    let descends = |mut number: i32| {
        // A chain of parents ends at process 1; a number that was used again cannot make it endless.
        for _ in 0..MAX_DEPTH {
            if u32::try_from(number) == Ok(child) {
                return true;
            }
            match parents.get(&number) {
                Some(parent) => number = *parent,
                None => return false,
            }
        }
        false
    };
    found.extend(parents.keys().copied().filter(|number| descends(*number)));
    // Not this process, nor those that it descends from: sshd, and the shell that sshd began it with.
    let mut kept = vec![own.as_raw_pid()];
    while let Some(parent) = kept.last().and_then(|last| parents.get(last)).filter(|_| kept.len() < MAX_DEPTH)
    {
        kept.push(*parent);
    }
    found.retain(|number| *number > 1 && !kept.contains(number));
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// The variable that everything of a visit has in its environment, unless it takes it away.
const MARK: &str = "WARDEIN_VISIT";

/// Where the protocol of the session is: `wardein-device service note` adds to it.
pub(crate) const SESSION: &str = "WARDEIN_SESSION";

/// How often it is looked whether the visit is over.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a shell has to hang up.
const GRACE: Duration = Duration::from_millis(500);

const MAX_DEPTH: usize = 64;

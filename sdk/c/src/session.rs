//! The device of a state directory: the same session as `wardein-device` has, with a deadline, on a thread of its own.

use crate::failure::Failure;
use crate::status::{Advice, Status};
use nix::sys::signal::SigSet;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::{Builder, scope};
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use wardein_crypto::SystemEntropy;
use wardein_device::{Config, Directory, Error, Files, Refused, Remote, Session, is_platform};

/// A device that derives keys, in touch with its authority.
pub(crate) type Open = Session<Remote, SystemEntropy>;

/// What a `wardein_session` holds.
pub(crate) struct Inner {
    path: PathBuf,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// Kept from call to call, with its connection and the time that it was given. It rests meanwhile, so that others can work
    /// in the directory.
    open: Option<Open>,
    refused: Option<Refused>,
}

impl Inner {
    pub(crate) fn new(path: PathBuf) -> Result<Self, Failure> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Failure::fault(&format!("starting: {error}")))?;
        Ok(Self { path, runtime: Some(runtime), open: None, refused: None })
    }

    /// Runs `work` on the session, for at most `deadline_ms`.
    pub(crate) fn run<T: Send>(
        &mut self,
        deadline_ms: u32,
        work: impl AsyncFnMut(&mut Open) -> Result<T, Error> + Send,
    ) -> Result<T, Failure> {
        if !(1..=MAX_DEADLINE_MS).contains(&deadline_ms) {
            let why = format!("is {deadline_ms}; it takes 1 to {MAX_DEADLINE_MS}");
            return Err(Failure::argument("deadline_ms", why));
        }
        let deadline = Duration::from_millis(deadline_ms.into());
        self.refused = None;
        let Self { path, runtime, open, .. } = self;
        let runtime = runtime.as_ref().ok_or_else(|| Failure::fault("the runtime is gone"))?;
        let done =
            on_own_thread(|| runtime.block_on(async { timeout(deadline, attempt(path, open, work)).await }))?;
        if let Some(open) = &mut self.open {
            open.rest();
        }
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                if let Error::Refused(refused) = &error {
                    self.refused = Some(refused.clone());
                }
                Err(error.into())
            }
            Err(_) => {
                let why = format!("nothing came of it within {deadline_ms} ms; asking again is safe");
                Err(Failure::new(Status::WARDEIN_ERR_DEADLINE, why))
            }
        }
    }

    /// What the last call was refused with.
    pub(crate) fn refusal(&self) -> Result<(&str, Advice), Failure> {
        let refused = self.refused.as_ref().ok_or_else(|| Failure::order("the last call was not refused"))?;
        Ok((&refused.code, refused.action().into()))
    }

    /// The certificates that are stored, PEM, leaf first.
    pub(crate) fn certificate(&self) -> Result<String, Failure> {
        let certificate = Files::open(&self.path)?.certificate()?;
        certificate.ok_or_else(|| Failure::order("there is no certificate yet; call wardein_session_certify"))
    }

    /// Whether a server that shows this certificate is the platform, by the pins that are stored.
    pub(crate) fn is_platform(&self, certificate: &[u8]) -> Result<bool, Failure> {
        match is_platform(&Files::open(&self.path)?, certificate) {
            Err(Error::Config { field: "signs_with", .. }) => Err(SIGNS.into()),
            judged => Ok(judged?),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Its thread for looking names up ends at once where it is idle, and is waited for, so that nothing is left behind; a
        // resolver that takes its time keeps nobody for longer than that.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(LAST_WORDS);
        }
    }
}

/// On the session that there is, or else on a new one. The connection of one that rested for long may be dead without anyone
/// having been there to notice; so where the authority is out of reach by it, it is reached again, which is safe, as every
/// request is.
async fn attempt<T>(
    path: &Path,
    open: &mut Option<Open>,
    mut work: impl AsyncFnMut(&mut Open) -> Result<T, Error>,
) -> Result<T, Error> {
    if let Some(session) = open {
        if let Err(error) = session.wake().await {
            // Others may have changed the state, and this one has not read it: what it remembers must not be used.
            *open = None;
            return Err(error);
        }
        match work(session).await {
            Err(Error::Unreachable(_)) => *open = None,
            done => return done,
        }
    }
    work(open.insert(enter(path).await?)).await
}

async fn enter(path: &Path) -> Result<Open, Error> {
    let directory = Directory::open_when_free(path).await?;
    let config = match directory.files().config() {
        // Where no TPM is built in, the setting is refused for that; another build would not help.
        Err(Error::Config { field: "signs_with", .. }) => return Err(SIGNS),
        config => config?,
    };
    let config: Config = config.ok_or_else(|| directory.files().not_configured())?;
    if config.signs_with.is_some() {
        return Err(SIGNS);
    }
    let remote = Remote::new(&config.endpoint, &config.trust_roots);
    Session::new(directory, config, remote, SystemEntropy::default(), PathBuf::from("/"))
}

/// On a thread of the library's own, for the length of the call: the caller's may have a small stack, as firmware's threads do;
/// and it may not ignore SIGPIPE, which writing to a connection that the other end has left would raise. A signal that is
/// blocked here dies with the thread, and the program's handlers run on the program's own threads.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    scope(|scope| {
        let thread = Builder::new().name("wardein".into()).stack_size(STACK).spawn_scoped(scope, || {
            SigSet::all()
                .thread_block()
                .map_err(|error| Failure::fault(&format!("masking signals: {error}")))?;
            Ok(work())
        });
        let thread = thread.map_err(|error| Failure::fault(&format!("starting a thread: {error}")))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// It derives no keys, which most of a session's calls are about.
const SIGNS: Error = Error::Signs("this library");
/// Ten minutes.
pub(crate) const MAX_DEADLINE_MS: u32 = 600_000;
const LAST_WORDS: Duration = Duration::from_secs(1);
const STACK: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn no_signal_is_delivered_to_a_call() {
        let mask = || SigSet::thread_get_mask().unwrap();
        let before = mask();
        let within = on_own_thread(mask).unwrap();
        for signal in [Signal::SIGPIPE, Signal::SIGTERM, Signal::SIGALRM] {
            assert!(within.contains(signal), "{signal}");
        }
        assert_eq!(mask(), before, "the caller's own thread is as it was");
    }
}

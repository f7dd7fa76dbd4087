//! The commands of service access.

use crate::args::Service;
use crate::commands::print;
use crate::prover::{Either, prover, session};
use crate::releases::{pending, release};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::exit;
use wardein_ddkg::ServiceChallenge;
use wardein_device::{
    Error, Moment, SessionEnd, Visit, attend, attend_admitted, carry_protocols, give_protocols, note,
};

pub(crate) async fn service(path: &Path, order: Service) -> Result<(), Error> {
    match order {
        Service::Sync { out, output } => {
            let mut prover = prover(path).await?;
            let (access, device) = match &mut prover {
                Either::Derives(session) => (session.service_access().await?, session.name().clone()),
                Either::Signs(session) => (session.service_access().await?, session.name().clone()),
            };
            access.write(&device, &out)?;
            // What sshd needs is written first, whatever becomes of the rest.
            let mut given = give_protocols(&spool(), &device, &mut prover).await?;
            let has_code = match &mut prover {
                Either::Derives(session) => session.emergency_code().await?,
                Either::Signs(_) => false,
            };
            // Those of codes for emergencies are taken once their use is on record.
            given += give_protocols(&spool(), &device, &mut prover).await?;
            let shown = serde_json::json!({
                "ca": access.has_ca(), "ended": access.ended(), "directory": out, "protocols": given, "emergency_code": has_code,
            });
            print(output.json, &shown, || {
                let ca = if access.has_ca() { "has" } else { "has no" };
                format!(
                    "the tenant {ca} SSH CA; {} visits were ended; files in {}; protocols of {given} sessions were given",
                    access.ended(),
                    out.display()
                )
            });
            Ok(())
        }
        Service::Pending(output) => pending(path, output.json).await,
        Service::Release { visit, yes, output } => release(path, visit, yes, output.json).await,
        Service::Note { category } => {
            let missing = || Error::Config {
                field: "category",
                why: "is noted in a technician's session alone, which this is not, or which has no protocol"
                    .into(),
            };
            let session = std::env::var_os("WARDEIN_SESSION").ok_or_else(missing)?;
            note(Path::new(&session), &category)
        }
        Service::Protocol { out, output } => {
            let (text, count) = match &mut prover(path).await? {
                Either::Derives(session) => carry_protocols(&spool(), &mut **session)?,
                Either::Signs(session) => carry_protocols(&spool(), &mut **session)?,
            };
            let wrong = |source| Error::File { doing: "write", path: out.clone(), source };
            wardein_durable::replace(&out, text.as_bytes(), 0o644).map_err(wrong)?;
            print(output.json, &serde_json::json!({ "protocols": count, "file": out }), || {
                format!(
                    "protocols of {count} sessions in {}; have them taken by: wardein service protocol import FILE",
                    out.display()
                )
            });
            Ok(())
        }
        Service::Session { visit, scope, work_order, technician, until } => {
            let visit = Visit { id: visit, scope, work_order, technician, until };
            let directory = directory(Path::new(DIRECTORY), std::env::var_os("WARDEIN_SERVICE_DIR"));
            end(attend(&visit, std::env::var_os("SSH_ORIGINAL_COMMAND"), &directory, &spool())?)
        }
        Service::Challenge { scope, output } => {
            let mut session = session(path, "showing a challenge").await?;
            let challenge = session.service_challenge(&scope, Moment::now()?)?.to_string();
            let shown = serde_json::json!({
                "challenge": challenge, "scope": scope.to_string(), "lifetime": ServiceChallenge::LIFETIME,
            });
            print(output.json, &shown, || {
                format!(
                    "{challenge}\nfor scope {scope}; have it answered within 15 minutes (wardein service code), and type the code here: \
                     wardein-device service open"
                )
            });
            Ok(())
        }
        Service::Open => {
            let code = typed()?;
            let mut session = session(path, "letting a technician in").await?;
            let admission = session.admit(&code, &Moment::now()?)?;
            // Others work in the directory while the technician is in.
            drop(session);
            end(attend_admitted(&admission, &of_scopes(), &spool())?)
        }
        Service::BreakGlass => {
            let code = typed()?;
            let mut session = session(path, "letting somebody in").await?;
            let admission = session.break_glass(&code, &Moment::now()?)?;
            drop(session);
            end(attend_admitted(&admission, &of_scopes(), &spool())?)
        }
    }
}

/// Where protocols of sessions are until the authority has them, likewise.
pub(crate) fn spool() -> PathBuf {
    directory(Path::new(SPOOL), std::env::var_os("WARDEIN_SERVICE_SPOOL"))
}

/// What WARDEIN_SERVICE_DIR says, as with sessions of sshd.
fn of_scopes() -> PathBuf {
    directory(Path::new(DIRECTORY), std::env::var_os("WARDEIN_SERVICE_DIR"))
}

fn end(end: SessionEnd) -> ! {
    match end {
        // As a shell would: sshd hands it to the technician's ssh.
        SessionEnd::Exit(code) => exit(code.into()),
        SessionEnd::Over => eprintln!("wardein-device: the visit is over"),
        SessionEnd::Ended => eprintln!("wardein-device: the visit was ended"),
    }
    exit(OVER)
}

/// One line of standard input, byte by byte: what follows it is for the shell.
pub(crate) fn typed() -> Result<String, Error> {
    let wrong = |source| Error::File { doing: "read", path: "standard input".into(), source };
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(wrong)?);
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_TYPED && input.read(&mut byte).map_err(wrong)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}

/// Where the files of sync are: at the usual place if they are there, whatever the environment says, for sshd may take a variable from a
/// technician who would like to have other scopes.
fn directory(usual: &Path, elsewhere: Option<OsString>) -> PathBuf {
    match elsewhere {
        Some(elsewhere) if !usual.exists() => elsewhere.into(),
        _ => usual.to_owned(),
    }
}

/// The most bytes of a line with a code.
const MAX_TYPED: usize = 64;

/// Where sshd finds the files of sync.
const DIRECTORY: &str = "/etc/ssh/wardein";

/// Where sessions write, under the technician's account: root makes it with mode 1733.
const SPOOL: &str = "/var/lib/wardein-visits";

/// The exit code of a session that did not end by itself: `EX_NOPERM` of sysexits.h.
const OVER: i32 = 77;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_technicians_environment_does_not_choose_the_directory() {
        let usual = tempfile::tempdir().unwrap();
        let own = || Some(OsString::from("/home/eva/scopes"));
        assert_eq!(directory(usual.path(), own()), usual.path());
        let missing = usual.path().join("missing");
        assert_eq!(directory(&missing, own()), Path::new("/home/eva/scopes"));
        assert_eq!(directory(&missing, None), missing);
    }
}

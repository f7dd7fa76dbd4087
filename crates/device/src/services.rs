//! The commands of service access.

use crate::args::Service;
use crate::commands::print;
use crate::prover::{Either, prover};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::exit;
use wardein_device::{Error, SessionEnd, Visit, attend, give_protocols, note};

pub(crate) async fn service(path: &Path, order: Service) -> Result<(), Error> {
    match order {
        Service::Sync { out, output } => {
            let mut prover = prover(path).await?;
            let (access, device) = match &mut prover {
                Either::Derives(session) => (session.service_access().await?, session.name().clone()),
                Either::Signs(session) => (session.service_access().await?, session.name().clone()),
            };
            access.write(&device, &out)?;
            // What is revoked first, whatever becomes of the protocols.
            let given = give_protocols(&spool(), &device, &mut prover).await?;
            let shown = serde_json::json!({
                "ca": access.has_ca(), "ended": access.ended(), "directory": out, "protocols": given,
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
        Service::Note { category } => {
            let missing = || Error::Config {
                field: "category",
                why: "is noted in a technician's session alone, which this is not, or which has no protocol"
                    .into(),
            };
            let session = std::env::var_os("WARDEIN_SESSION").ok_or_else(missing)?;
            note(Path::new(&session), &category)
        }
        Service::Session { visit, scope, work_order, technician, until } => {
            let visit = Visit { id: visit, scope, work_order, technician, until };
            let directory = directory(Path::new(DIRECTORY), std::env::var_os("WARDEIN_SERVICE_DIR"));
            match attend(&visit, std::env::var_os("SSH_ORIGINAL_COMMAND"), &directory, &spool())? {
                // As a shell would: sshd hands it to the technician's ssh.
                SessionEnd::Exit(code) => exit(code.into()),
                SessionEnd::Over => eprintln!("wardein-device: the visit is over"),
                SessionEnd::Ended => eprintln!("wardein-device: the visit was ended"),
            }
            exit(OVER)
        }
    }
}

/// Where protocols of sessions are until the authority has them, likewise.
pub(crate) fn spool() -> PathBuf {
    directory(Path::new(SPOOL), std::env::var_os("WARDEIN_SERVICE_SPOOL"))
}

/// Where the files of sync are: at the usual place if they are there, whatever the environment says, for sshd may take a variable from a
/// technician who would like to have other scopes.
fn directory(usual: &Path, elsewhere: Option<OsString>) -> PathBuf {
    match elsewhere {
        Some(elsewhere) if !usual.exists() => elsewhere.into(),
        _ => usual.to_owned(),
    }
}

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

//! OpenSSH as a judge of certificates and revocation lists: `ssh-keygen`.

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Whether OpenSSH's server and tools are here (Debian: `openssh-server`).
///
/// # Panics
///
/// If they are not, although the environment says `WARDEIN_SSHD=required`.
pub fn has_openssh() -> bool {
    let missing = ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"]
        .into_iter()
        .find(|it| !Path::new(it).exists());
    let is_required = std::env::var_os("WARDEIN_SSHD").is_some_and(|value| value == "required");
    match missing {
        None => true,
        Some(program) => {
            assert!(!is_required, "{program} is not installed: apt-get install openssh-server");
            eprintln!("skipped: {program} is not installed");
            false
        }
    }
}

/// What `ssh-keygen -L` says of the line of a certificate.
///
/// # Panics
///
/// If it does not read it.
pub fn shown_certificate(line: &str) -> String {
    let (folder, file) = written("shown-cert.pub", line.as_bytes());
    let output = Command::new("ssh-keygen").env("TZ", "UTC").arg("-L").arg("-f").arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    drop(folder);
    String::from_utf8(output.stdout).unwrap()
}

/// Whether `ssh-keygen -Q` finds a certificate in a key revocation list.
///
/// # Panics
///
/// If it reads one of the two not.
pub fn is_revoked(list: &[u8], line: &str) -> bool {
    let (folder, of_list) = written("list", list);
    let file = folder.path().join("judged-cert.pub");
    fs::write(&file, line).unwrap();
    let output = Command::new("ssh-keygen").arg("-Q").arg("-f").arg(of_list).arg(file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("REVOKED") || said.contains(": ok"), "{said}");
    said.contains("REVOKED")
}

fn written(name: &str, bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, bytes).unwrap();
    (folder, file)
}

//! An authority whose root key is under the TPM of its machine: it starts without a person, refuses after the machine booted something
//! else and says what to do, and goes on by the recovery passphrase.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;
use wardein_testkit::Swtpm;

#[test]
fn the_authority_starts_by_its_tpm_and_after_a_change_by_the_recovery_passphrase_until_it_is_resealed() {
    let Some(tpm) = Swtpm::start() else { return };
    let place = Place::new();
    let made = place.init(&["--tpm", &tpm.tcti(), "--pcrs", "0,7,16"]);
    assert!(made.status.success(), "{made:?}");
    for _ in 0..2 {
        place.serves(&[]);
    }
    let status = place.run("status", &[]);
    assert!(
        status.contains("\"protection\":\"TPM\"") && status.contains("\"tpm_opens\":\"yes\""),
        "{status}"
    );

    // A copy of the directory on another machine.
    let other = Swtpm::start().unwrap();
    place.configure(&tpm.tcti(), &other.tcti());
    place.refuses(&[], "sealed by another TPM");
    place.configure(&other.tcti(), &tpm.tcti());

    // The machine boots something else.
    let extended = tpm.command("tpm2_pcrextend").arg(format!("16:sha256={}", "5a".repeat(32))).status();
    assert!(extended.unwrap().success());
    let words = place.refuses(&[], "registers sha256:0,7,16");
    assert!(words.contains("recovery passphrase") && words.contains("wardein custody reseal"), "{words}");
    assert!(place.run("status", &[]).contains("\"tpm_opens\":\"no: "));
    place.refuses(&["--passphrase-file", &place.file("wrong")], "passphrase is wrong");
    place.serves(&["--passphrase-file", &place.file("recovery")]);
    place.refuses(&[], "registers sha256:0,7,16");

    let wrong = place.custody("reseal", &["--passphrase-file", &place.file("wrong")]);
    assert!(!wrong.status.success());
    let resealed = place.run("reseal", &["--passphrase-file", &place.file("recovery")]);
    assert!(resealed.contains("\"tpm_opens\":\"yes\""), "{resealed}");
    place.serves(&[]);

    // To a passphrase, and back with fewer registers.
    let (new, old) = (place.file("wrong"), place.file("recovery"));
    place.run("change", &["--to", "passphrase", "--new-passphrase-file", &new, "--yes"]);
    place.serves(&["--passphrase-file", &new]);
    let refused = place.custody("reseal", &["--passphrase-file", &new]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("custody change --to tpm"), "{refused:?}");
    let to_tpm =
        ["--to", "tpm", "--pcrs", "7", "--passphrase-file", &new, "--new-passphrase-file", &old, "--yes"];
    assert!(place.run("change", &to_tpm).contains("\"registers\":\"sha256:7\""));
    place.serves(&[]);
}

#[test]
fn a_founding_without_its_tpm_makes_nothing() {
    let place = Place::new();
    for (arguments, word) in [
        (&["--tpm", "swtpm:host=127.0.0.1,port=1"][..], "no TPM answers"),
        (&["--tpm", "tpm0"], "no place of a TPM"),
        (&["--tpm", "device:/dev/tpmrm0", "--pcrs", "x"], "no registers"),
        (&["--pcrs", "7"], "--tpm"),
    ] {
        let refused = place.init(arguments);
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains(word), "{arguments:?}: {refused:?}");
        assert!(!place.home().exists());
    }
}

/// A directory for an authority, and its passphrases.
struct Place {
    directory: tempfile::TempDir,
    listen: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("recovery"), "correct horse\n").unwrap();
        fs::write(directory.path().join("wrong"), "battery staple\n").unwrap();
        Self { directory, listen: free_address() }
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("authority")
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn init(&self, arguments: &[&str]) -> Output {
        wardein(&self.home())
            .args(["init", "--trust-domain", "wardein.test", "--listen", &self.listen])
            .args(["--http", &free_address(), "--passphrase-file", &self.file("recovery")])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn custody(&self, verb: &str, arguments: &[&str]) -> Output {
        wardein(&self.home()).args(["--json", "custody", verb]).args(arguments).output().unwrap()
    }

    /// What it prints, without white space behind colons.
    fn run(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.custody(verb, arguments);
        assert!(output.status.success(), "{verb} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().replace("\": ", "\":")
    }

    fn configure(&self, from: &str, to: &str) {
        let path = self.home().join("wardein.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn serve(&self, arguments: &[&str]) -> Command {
        let mut command = wardein(&self.home());
        command.arg("serve").arg("--config").arg(self.home().join("wardein.toml")).args(arguments);
        command
    }

    /// It starts, and is killed.
    fn serves(&self, arguments: &[&str]) {
        let mut child = self.serve(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let came_up = (0..600).any(|_| {
            let is_up = TcpStream::connect(&self.listen).is_ok();
            if !is_up {
                sleep(Duration::from_millis(50));
            }
            is_up || child.try_wait().unwrap().is_some()
        });
        let is_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(came_up && is_running, "serve {arguments:?}");
    }

    /// It does not start; what it says.
    fn refuses(&self, arguments: &[&str], word: &str) -> String {
        let refused = self.serve(arguments).output().unwrap();
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains(word), "{words}");
        words
    }
}

fn wardein(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
    command.env("WARDEIN_DIR", home).env("TSS2_LOG", "all+none").stdin(Stdio::null());
    command
}

fn free_address() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("127.0.0.1:{port}")
}

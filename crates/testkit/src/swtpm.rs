//! A TPM 2.0 in software, from a vendor of its own: `swtpm`, driven by `tpm2-tools`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running TPM with endorsement keys of RSA-2048 (persistent 0x81010001, certificate at NV 0x01c00002) and P-384 (0x81010016,
/// NV 0x01c00016). It ends, and its directory goes, when this is dropped.
pub struct Swtpm {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Swtpm {
    /// A new one; `None` if the Debian packages `swtpm swtpm-tools tpm2-tools` are not here.
    ///
    /// # Panics
    ///
    /// If it does not start; and if it is not here although the environment says `WARDEIN_SWTPM=required`.
    pub fn start() -> Option<Self> {
        let missing = PROGRAMS.iter().find(|program| !is_installed(program));
        if let Some(program) = missing {
            let is_required = std::env::var_os("WARDEIN_SWTPM").is_some_and(|value| value == "required");
            assert!(!is_required, "{program} is not installed: apt-get install swtpm swtpm-tools tpm2-tools");
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        let folder = TempDir::new().unwrap();
        manufacture(folder.path());
        // Between the choice of a port and its use another process may take it.
        let (process, port) = (0..ATTEMPTS).find_map(|_| run(folder.path())).expect("swtpm starts");
        Some(Self { process, port, folder })
    }

    /// One of `tpm2-tools` for this TPM, to be run in its folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder()).env("TPM2TOOLS_TCTI", self.tcti()).env("TSS2_LOG", "all+none");
        command
    }

    /// Where it is, as libtss2 takes it.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Its power goes, without TPM2_Shutdown, and comes back. Where it is may be another place then.
    ///
    /// # Panics
    ///
    /// If it does not start again.
    pub fn cut_power(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let again = (0..ATTEMPTS).find_map(|_| run(self.folder.path()));
        (self.process, self.port) = again.expect("swtpm starts");
    }

    /// Where its files are: `ca/` with the vendor's certificates, `localca.conf` and `localca.options` for `swtpm_localca`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The vendor's certificates, PEM: root and intermediate.
    pub fn vendor(&self) -> [PathBuf; 2] {
        ["ca/swtpm-localca-rootca-cert.pem", "ca/issuercert.pem"].map(|name| self.folder().join(name))
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes keys and certificates, with a certificate authority that nobody else has.
fn manufacture(folder: &Path) {
    let at = folder.display();
    for (name, text) in [
        (
            "localca.conf",
            format!(
                "statedir = {at}/ca\nsigningkey = {at}/ca/signkey.pem\nissuercert = {at}/ca/issuercert.pem\n\
                 certserial = {at}/ca/certserial\n"
            ),
        ),
        (
            "localca.options",
            "--platform-manufacturer Wardein\n--platform-version 1\n--platform-model Test\n".to_owned(),
        ),
        (
            "setup.conf",
            format!(
                "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {at}/localca.conf\n\
                 create_certs_tool_options = {at}/localca.options\nactive_pcr_banks = sha256\n"
            ),
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::create_dir(folder.join("ca")).unwrap();
    fs::create_dir(folder.join("state")).unwrap();
    let made = Command::new("swtpm_setup")
        .args(["--tpm2", "--create-ek-cert", "--lock-nvram", "--tpm-state"])
        .arg(format!("dir://{at}/state"))
        .arg("--config")
        .arg(folder.join("setup.conf"))
        .output()
        .unwrap();
    assert!(made.status.success(), "swtpm_setup: {}", String::from_utf8_lossy(&made.stdout));
}

/// Runs it on two ports in a row, the first for commands. `None` if they are taken.
fn run(folder: &Path) -> Option<(Child, u16)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
    let control = port.checked_add(1)?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, control)).ok()?;
    let mut process = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
        .arg(format!("dir={}/state", folder.display()))
        .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
        .args(["--ctrl", &format!("type=tcp,port={control},bindaddr=127.0.0.1")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some((process, port));
        }
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

const PROGRAMS: [&str; 4] = ["swtpm", "swtpm_setup", "swtpm_localca", "tpm2_quote"];
const ATTEMPTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);

//! A token behind PKCS#11 in software: SoftHSM.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Tokens of SoftHSM in a directory of their own, which goes when this is dropped. A process sees them with [`SoftHsm::env`] in its
/// environment.
pub struct SoftHsm {
    folder: TempDir,
}

impl SoftHsm {
    /// The library.
    pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
    /// The label of the first token.
    pub const TOKEN: &str = "wardein test";
    /// Its PIN.
    pub const PIN: &str = "73319042";

    /// One with a token; `None` if the Debian package `softhsm2` is not here.
    ///
    /// # Panics
    ///
    /// If it cannot make the token; and if it is not here although the environment says `WARDEIN_SOFTHSM=required`.
    pub fn start() -> Option<Self> {
        if !Path::new(Self::MODULE).exists() {
            let is_required = std::env::var_os("WARDEIN_SOFTHSM").is_some_and(|value| value == "required");
            assert!(!is_required, "SoftHSM is not installed: apt-get install softhsm2");
            eprintln!("skipped: softhsm2 is not installed");
            return None;
        }
        let hsm = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(hsm.tokens()).unwrap();
        let tokens = hsm.tokens();
        let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        fs::write(hsm.file("softhsm2.conf"), text).unwrap();
        hsm.write_pin(Self::PIN);
        hsm.add(Self::TOKEN);
        Some(hsm)
    }

    /// The variable that leads a process to the tokens.
    pub fn env(&self) -> (&'static str, PathBuf) {
        ("SOFTHSM2_CONF", self.file("softhsm2.conf"))
    }

    /// Adds a token with the same PIN.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn add(&self, label: &str) {
        let pins = ["--pin", Self::PIN, "--so-pin", "88880000"];
        let made =
            self.util().args(["--init-token", "--free", "--label", label]).args(pins).output().unwrap();
        assert!(made.status.success(), "softhsm2-util: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// `softhsm2-util` for these tokens.
    pub fn util(&self) -> Command {
        let (name, value) = self.env();
        let mut command = Command::new("softhsm2-util");
        command.env(name, value);
        command
    }

    /// The file with the PIN, mode 600.
    pub fn pin_file(&self) -> PathBuf {
        self.file("pin")
    }

    /// Writes another PIN into the file.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write_pin(&self, pin: &str) {
        fs::write(self.pin_file(), format!("{pin}\n")).unwrap();
        fs::set_permissions(self.pin_file(), Permissions::from_mode(0o600)).unwrap();
    }

    /// The directory with the tokens' files.
    pub fn tokens(&self) -> PathBuf {
        self.file("tokens")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

//! `wardein init` that is cut short at any step: run again it finishes, or refuses and says what to do; what stands there then
//! serves. `WARDEIN_INIT_KILLS` sets how often the process is really killed.

use crate::common::Mount;
use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use wardein_crypto::VerifyingKey;
use wardein_domain::KeyKind;
use wardein_pki::{CaCertificate, Issuing, Root, SubjectKey, pem};

#[test]
fn killed_at_any_time_it_is_finished_by_the_same_command() {
    let kills: u32 = std::env::var("WARDEIN_INIT_KILLS").map_or(60, |kills| kills.parse().unwrap());
    let founding = |_| {
        let place = Place::new();
        let started = Instant::now();
        assert!(place.init().output().unwrap().status.success());
        started.elapsed()
    };
    // The quickest: one that others hold up would have most kills come too late.
    let whole = (0..5).map(founding).min().unwrap();
    let (mut cut_short, mut went_on_with_the_key, mut served) = (0, 0, 0);
    for kill in 0..kills {
        // Every other one into a directory that is there.
        let place = if kill % 2 == 0 { Place::new() } else { Place::there() };
        let mut child = place.init().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(whole * kill / kills);
        child.kill().unwrap();
        child.wait().unwrap();
        let key = fs::read(place.key_file()).ok();
        if !place.is_founded() {
            cut_short += 1;
            went_on_with_the_key += u32::from(key.is_some());
        }
        place.finish(&format!("killed after {kill}/{kills} of {whole:?}"));
        assert!(
            key.is_none_or(|key| key == fs::read(place.key_file()).unwrap()),
            "a key file was written over"
        );
        if kill % 10 < 2 {
            place.serve();
            served += 1;
        }
    }
    println!(
        "{kills} kills: {cut_short} foundings cut short, {went_on_with_the_key} of them after the key file was there; {served} served"
    );
    assert!(cut_short > kills / 4, "the kills came too late: {cut_short} of {kills}");
}

/// What is on the disk between any two steps, made from a whole founding: its files in the order in which they were begun, the last one
/// half written; and what is left while the next founding clears them away, in any order but the marker last.
#[test]
fn every_state_between_two_steps_is_finished_by_the_same_command() {
    let whole = Place::new();
    assert!(whole.init().output().unwrap().status.success());
    let files = whole.files();
    let names = BEGUN;

    let mut states = 0;
    for begun in 0..=files.len() {
        for (is_half, has_key) in [(false, false), (true, false), (false, true), (true, true)] {
            // The key file is made behind the marker and before all else.
            if (has_key && begun == 0) || (!has_key && begun > 1) || (is_half && begun == 0) {
                continue;
            }
            let place = Place::new();
            place.copy(&files[..begun], &whole);
            if is_half {
                place.halve(&files[begun - 1]);
            }
            if has_key {
                place.copy_key(&whole);
            }
            place.finish(&format!(
                "{begun} files begun of {names:?}, the last one half: {is_half}, key file: {has_key}"
            ));
            states += 1;
        }
    }
    for removed in 1..files.len() {
        let place = Place::new();
        place.copy(&files[..1], &whole);
        place.copy(&files[1 + removed..], &whole);
        place.copy_key(&whole);
        place.finish(&format!("cleared away up to {removed} files of {names:?}"));
        states += 1;
    }
    // Between linking the key file and removing its temporary name.
    let place = Place::new();
    place.copy(&files[..1], &whole);
    place.copy_key(&whole);
    let temporary = place.key_file().with_file_name("root.key.0123456789abcdef.tmp");
    fs::hard_link(place.key_file(), &temporary).unwrap();
    place.finish("the key file has two names");
    assert!(!temporary.exists(), "a second name of the key file is left");
    place.serve();
    println!("{states} states");
}

/// The same in a directory that is there: what is made in it is cleared or moves up, `wardein.toml` last, and until then nothing opens it.
#[test]
fn every_state_in_a_directory_that_is_there_is_finished_by_the_same_command() {
    let whole = Place::new();
    assert!(whole.init().output().unwrap().status.success());
    let files = whole.files();
    for begun in 0..=files.len() {
        let place = Place::there();
        place.copy(&files[..begun], &whole);
        if begun > 0 {
            place.copy_key(&whole);
        }
        place.finish(&format!("{begun} files begun of {BEGUN:?}"));
    }
    let staged = |place: &Place| place.home().join(".founding");
    for moved in 0..=files.len() {
        let place = Place::there();
        place.copy(&files, &whole);
        place.copy_key(&whole);
        fs::write(staged(&place).join("complete"), "1\n").unwrap();
        for file in &files[..moved] {
            fs::rename(staged(&place).join(file), place.home().join(file)).unwrap();
        }
        if moved < files.len() {
            let config = place.home().join("wardein.toml");
            let output =
                Command::new(env!("CARGO_BIN_EXE_wardein")).args(["serve", "--config"]).arg(config).output();
            let words = String::from_utf8(output.unwrap().stderr).unwrap();
            assert!(words.contains("was cut short; run the same"), "{words}");
        }
        assert!(place.is_founded());
        place.finish(&format!("{moved} files moved of {BEGUN:?}"));
        assert!(!staged(&place).exists() && place.home().join("lost+found").exists());
    }
}

/// A mount point, a directory beneath one of somebody else's, as `StateDirectory=` makes it, and a link.
#[test]
fn it_is_founded_and_restored_in_what_the_system_gives() {
    let source = Place::new();
    assert!(source.init().output().unwrap().status.success());
    source.serve_and(|dir| {
        let out = source.directory.path().join("backup");
        let backup = Command::new(env!("CARGO_BIN_EXE_wardein"))
            .args(["backup", "--dir"])
            .arg(dir)
            .arg("--out")
            .arg(out)
            .output()
            .unwrap();
        assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    });
    let restore = |place: &Place| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
        command.args(["restore", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--from"]);
        command.arg(source.directory.path().join("backup")).arg("--key-file").arg(source.key_file());
        command.arg("--dir").arg(place.home());
        command
    };
    for is_restored in [false, true] {
        let linked = Place::new();
        let real = linked.directory.path().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, linked.home()).unwrap();
        let mounted = Place::new();
        fs::create_dir(mounted.home()).unwrap();
        let _disk = Mount::tmpfs(&mounted.home(), "200m");
        for (place, is_link) in [(&linked, true), (&mounted, false), (&Place::there(), false)] {
            let mut command = if is_restored { restore(place) } else { place.init() };
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(place.home().is_symlink(), is_link);
            assert_eq!(fs::metadata(place.home()).unwrap().permissions().mode() & 0o777, 0o700);
            assert!(!place.home().join(".founding").exists());
            place.serve();
        }
    }
}

/// It needs root, to be another user.
#[test]
fn an_unprivileged_user_founds_in_a_directory_of_their_own_beneath_one_of_roots() {
    let place = Place::new();
    let setpriv = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
    };
    if !setpriv().arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: it needs setpriv and root");
        return;
    }
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The binary is where only root may look.
    let binary = place.directory.path().join("wardein");
    fs::copy(env!("CARGO_BIN_EXE_wardein"), &binary).unwrap();
    let [home, passphrase] = ["state", "passphrase"].map(|name| place.directory.path().join(name));
    fs::create_dir(&home).unwrap();
    fs::write(&passphrase, "a passphrase of some length\n").unwrap();
    for path in [&home, &passphrase] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let wardein = |args: &[&str]| {
        let output = setpriv().arg(&binary).args(args).arg("--dir").arg(&home).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let passphrase = passphrase.to_str().unwrap();
    let init = ["init", "--trust-domain", "wardein.test", "--passphrase-file", passphrase];
    let (is_founded, words) = wardein(&init);
    assert!(is_founded && home.join("wardein.toml").exists(), "{words}");
    let (is_founded, words) = wardein(&init);
    assert!(!is_founded && words.contains("is an authority already"), "{words}");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let place = Place::new();
    let foreign = place.directory.path().join("authority.founding");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis"), "mine").unwrap();
    place.refused("cannot make way for");
    fs::remove_dir_all(&foreign).unwrap();
    fs::write(place.key_file(), "a note, and no key").unwrap();
    fs::set_permissions(place.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    place.refused("is not a key file");
    assert_eq!(fs::read(place.key_file()).unwrap(), b"a note, and no key");
    assert!(!place.home().exists());
    for inside in ["", ".founding"] {
        let place = Place::there();
        fs::create_dir_all(place.home().join(inside)).unwrap();
        fs::write(place.home().join(inside).join("thesis"), "mine").unwrap();
        place.refused(if inside.is_empty() { "it has thesis" } else { "cannot make way for" });
        assert!(place.home().join(inside).join("thesis").exists());
    }
}

/// A relative path starts at the authority's directory, whichever command reads it and wherever that runs.
/// A root lives for twenty years, and is on P-384 unless another algorithm is chosen.
#[test]
fn the_root_and_the_ca_of_devices_have_the_algorithms_that_are_chosen() {
    for (options, root, issuing) in [
        (&[][..], KeyKind::P384, KeyKind::P256),
        (
            &["--root-algorithm", "rsa-4096", "--issuing-algorithm", "p384"][..],
            KeyKind::Rsa4096,
            KeyKind::P384,
        ),
    ] {
        let place = Place::new();
        let founded = place.init().args(options).output().unwrap();
        assert!(founded.status.success(), "{founded:?}");
        let trust = fs::read_to_string(place.home().join("trust.pem")).unwrap();
        let cas = pem::decode_certificates(&trust).unwrap();
        let kind = |key: &VerifyingKey| SubjectKey::from(key.clone()).kind();
        let made = (
            kind(CaCertificate::<Root>::parse(&cas[0]).unwrap().verifying_key()),
            kind(CaCertificate::<Issuing>::parse(&cas[1]).unwrap().verifying_key()),
        );
        assert_eq!(made, (root, issuing), "{options:?}");
        place.serve();
    }
}

#[test]
fn a_relative_key_file_is_found_from_the_directory() {
    let place = Place::new();
    assert!(place.init().output().unwrap().status.success());
    let config = place.home().join("wardein.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (absolute, relative) = (place.key_file().display().to_string(), "../root.key");
    assert!(text.contains(&absolute), "{text}");
    fs::write(&config, text.replace(&absolute, relative)).unwrap();
    place.doctor_finds(&[("root key", "ok")], "relative");
    place.serve();

    fs::rename(place.key_file(), place.directory.path().join("elsewhere")).unwrap();
    place.doctor_finds(&[("root key", "bad")], "the file is gone");
    fs::write(&config, text.replace(&absolute, "")).unwrap();
    place.doctor_finds(&[("root key", "bad")], "none is configured");
}

/// The files of a founding, in the order in which it begins them: its marker, what the root key needs, the store, what is read by people.
const BEGUN: [&str; 14] = [
    "wardein-authority",
    "custody.json",
    "store.db.lock",
    "store.db",
    "store.db-wal",
    "store.db-shm",
    "store.db.spare",
    "root-ca.pem",
    "trust.pem",
    "infrastructure.pem",
    "identity.pub",
    "admin.pem",
    "admin.key",
    "wardein.toml",
];

/// Where an authority is to be, with its key file beside it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Where the directory is there already, as a new file system has it.
    fn there() -> Self {
        let place = Self::new();
        fs::create_dir_all(place.home().join("lost+found")).unwrap();
        place
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("authority")
    }

    /// Whether all is made, if not yet in its place.
    fn is_founded(&self) -> bool {
        ["wardein.toml", ".founding/complete"].iter().any(|name| self.home().join(name).exists())
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("root.key")
    }

    fn init(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
        command.args([
            "init",
            "--trust-domain",
            "wardein.test",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ]);
        command.arg("--dir").arg(self.home()).arg("--key-file").arg(self.key_file());
        command
    }

    /// The same command again: it founds, or says that all is there already. Either way a third one says so.
    fn finish(&self, after: &str) {
        let was_there = self.is_founded();
        let Output { status, stderr, .. } = self.init().output().unwrap();
        let words = String::from_utf8(stderr).unwrap();
        assert_eq!(status.success(), !was_there, "{after}: {words}");
        assert!(!was_there || words.contains("is an authority already"), "{after}: {words}");
        assert!(!self.directory.path().join("authority.founding").exists(), "{after}");
        self.refused("start it: wardein serve");
        let whole = [("custody file", "ok"), ("root key", "ok"), ("store", "ok"), ("administrator", "ok")];
        self.doctor_finds(&whole, after);
    }

    fn doctor_finds(&self, expected: &[(&str, &str)], after: &str) {
        let opened = Command::new(env!("CARGO_BIN_EXE_wardein"))
            .args(["--json", "doctor", "--dir"])
            .arg(self.home())
            .current_dir("/")
            .output()
            .unwrap();
        let findings: serde_json::Value = serde_json::from_slice(&opened.stdout).unwrap();
        for (check, result) in expected {
            let found =
                findings["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == *check);
            assert_eq!(found.unwrap()["result"], *result, "{after}: {findings}");
        }
    }

    fn refused(&self, why: &str) {
        let Output { status, stderr, .. } = self.init().output().unwrap();
        let words = String::from_utf8(stderr).unwrap();
        assert!(status.code() == Some(1) && words.contains(why), "{words}");
    }

    /// `wardein serve` opens all of it and listens.
    fn serve(&self) {
        self.serve_and(|_| ());
    }

    /// The same, and meanwhile `then` is done with the directory.
    fn serve_and(&self, then: impl FnOnce(&Path)) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = self.home().join("wardein.toml");
        let text = fs::read_to_string(&config).unwrap();
        let listening = text
            .replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1)
            .replace("https://localhost:0", &format!("https://localhost:{port}"));
        assert_ne!(listening, text);
        fs::write(&config, listening).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wardein"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn();
        let mut child = Ended(child.unwrap());
        let came_up = (0..600).any(|_| {
            sleep(Duration::from_millis(20));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(came_up && child.0.try_wait().unwrap().is_none(), "the authority does not serve");
        then(&self.home());
    }

    /// [`BEGUN`], which are all that there is, and in this order by the file system's clock. It ticks every few milliseconds only: files
    /// of one tick are equal to it.
    fn files(&self) -> Vec<PathBuf> {
        let mut there = Vec::new();
        walk(&self.home(), &mut there);
        let begun = BEGUN.map(|name| self.home().join(name));
        assert_eq!(BTreeSet::from_iter(&there), BTreeSet::from_iter(&begun));
        let times = begun.each_ref().map(|path| fs::metadata(path).unwrap().created().unwrap());
        assert!(times.is_sorted(), "begun in another order: {times:?}");
        BEGUN.map(PathBuf::from).to_vec()
    }

    /// Puts `files` of a whole founding where an unfinished one has them.
    fn copy(&self, files: &[PathBuf], whole: &Self) {
        let staging = self.staging();
        for file in files {
            let to = staging.join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(whole.home().join(file), to).unwrap();
        }
        fs::create_dir_all(staging).unwrap();
    }

    fn staging(&self) -> PathBuf {
        match self.home().exists() {
            true => self.home().join(".founding"),
            false => self.directory.path().join("authority.founding"),
        }
    }

    fn halve(&self, file: &Path) {
        let path = self.staging().join(file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }

    fn copy_key(&self, whole: &Self) {
        fs::copy(whole.key_file(), self.key_file()).unwrap();
    }
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

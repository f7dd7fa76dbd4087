//! Whole files through the real binaries: sealed on a device, verified by anybody, opened by who may, and by nobody after a shredding.

use crate::backup::{Hospital, words};
use crate::common::wardein;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// Of age-keygen.
const READER_KEY: &str = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6\n";
const READER: &str = "age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn";

fn json(output: &[u8]) -> Value {
    serde_json::from_slice(output).unwrap()
}

impl Hospital {
    /// `wardein file open` by the platform.
    fn open_file(&self, sealed: &str, out: &str) -> Output {
        let (sealed, out, identity) = (self.file(sealed), self.file(out), self.file("platform"));
        let args =
            ["--json", "file", "open", &sealed, "--out", &out, "--reason", "test", "--identity", &identity];
        wardein(&args)
    }

    /// `wardein file verify` by anybody who has the root.
    fn verify_files(&self, names: &[&str]) -> Output {
        let root = self.served.home().join("root-ca.pem");
        let files: Vec<_> = names.iter().map(|name| self.file(name)).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        wardein(&[&["--json", "file", "verify", "--roots", root.to_str().unwrap()], &files[..]].concat())
    }
}

impl Hospital {
    /// Opened by Go's age, or by rage as pyrage has it, which find the plugin on their path.
    fn by_age(&self, tool: &Path, sealed: &str, out: &str) -> Output {
        let plugin = Path::new(env!("CARGO_BIN_EXE_age-plugin-wardein")).parent().unwrap();
        let mut command = Command::new(tool);
        match tool.ends_with("age") {
            true => command.args(["-d", "-i", &self.file("age-identity"), "-o", out, sealed]),
            false => command.args(["-c", PYRAGE, &self.file("age-identity"), sealed, out]),
        };
        let path = format!("{}:{}", plugin.display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).stdin(Stdio::null()).output().unwrap()
    }
}

/// One of the tools of deploy/test.sh; the tests of the crate `wardein-files` see to it that they are there where they must be.
fn cached(tool: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("wardein-tools").join(tool)).filter(|path| path.exists())
}

const PYRAGE: &str = "
import sys, pyrage
class Callbacks:
    def display_message(self, message): print(message, file=sys.stderr)
    def confirm(self, message, yes, no): return None
    def request_public_string(self, description): return None
    def request_passphrase(self, description): return None
identity = pyrage.plugin.Identity.from_str(open(sys.argv[1]).read().strip())
plugin = pyrage.plugin.IdentityPluginV1('wardein', [identity], Callbacks())
open(sys.argv[3], 'wb').write(pyrage.decrypt(open(sys.argv[2], 'rb').read(), [plugin]))
";

#[test]
fn a_file_is_sealed_verified_and_opened_and_after_a_shredding_opens_nowhere() {
    let hospital = Hospital::found(2);
    let log = hospital.file("log");
    fs::write(&log, vec![b'x'; 200_000]).unwrap();
    let seal = |number: u32, name: &str, more: &[&str]| {
        let out = hospital.file(name);
        hospital
            .of_device(number, &[&["file", "seal", &log, "--out", &out, "--json"], more].concat())
            .output()
            .unwrap()
    };
    let refused = seal(1, "a.age", &[]);
    assert!(refused.status.code() == Some(1) && words(&refused).contains("wardein-device certificate"));
    hospital.does(1, &["certificate"]);
    for (name, number) in [("a.age", 1), ("b.age", 2), ("c.age", 3), ("d.age", 4)] {
        let sealed = seal(1, name, &[]);
        assert!(sealed.status.success(), "{}", words(&sealed));
        let sealed = json(&sealed.stdout);
        assert_eq!((sealed["number"].as_u64(), sealed["bytes"].as_u64()), (Some(number), Some(200_000)));
    }
    let twice = seal(1, "a.age", &[]);
    assert!(twice.status.code() == Some(1) && words(&twice).contains("there already"), "{}", words(&twice));

    // What anybody sees.
    let seen = json(&wardein(&["--json", "file", "inspect", &hospital.file("a.age")]).stdout);
    assert_eq!(seen["device"], "klinik/pump-1");
    let all = ["a.age", "b.age", "c.age", "d.age"];
    let verified = hospital.verify_files(&all);
    assert!(verified.status.success(), "{}", words(&verified));
    assert_eq!(json(&verified.stdout)["devices"]["klinik/pump-1"]["last"], 4);
    let of_device = hospital.does(1, &["file", "verify", &hospital.file("a.age"), &hospital.file("b.age")]);
    assert!(String::from_utf8(of_device).unwrap().contains("numbers 1 to 2"));
    let missing = hospital.verify_files(&["a.age", "c.age"]);
    assert_eq!(missing.status.code(), Some(5));
    assert_eq!(json(&missing.stdout)["devices"]["klinik/pump-1"]["gaps"][0][0], 3);
    fs::copy(hospital.file("a.age"), hospital.file("swapped.age")).unwrap();
    fs::copy(hospital.file("b.age.sig"), hospital.file("swapped.age.sig")).unwrap();
    let swapped = hospital.verify_files(&["swapped.age"]);
    assert!(swapped.status.code() == Some(5) && words(&swapped).contains("not the one that was signed"));

    // Killed at any moment: what has its name is whole, no number is missing, and none is there twice.
    fs::write(hospital.file("big"), vec![b'y'; 3_000_000]).unwrap();
    let mut there: Vec<String> = all.iter().map(ToString::to_string).collect();
    let kills = std::env::var("WARDEIN_FILE_KILLS").map_or(12, |kills| kills.parse().unwrap());
    for round in 0..kills {
        let name = format!("big-{round}.age");
        let (big, out) = (hospital.file("big"), hospital.file(&name));
        let mut sealing = hospital.of_device(1, &["file", "seal", &big, "--out", &out]);
        let mut child = sealing.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(round * 37 % 440));
        child.kill().unwrap();
        child.wait().unwrap();
        there.push(name);
    }
    assert!(seal(1, "after.age", &[]).status.success());
    there.push("after.age".to_owned());
    there.retain(|name| fs::exists(hospital.file(name)).unwrap());
    let after = hospital.verify_files(&there.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(after.status.success(), "{}", words(&after));
    assert_eq!(json(&after.stdout)["devices"]["klinik/pump-1"]["last"], there.len());

    // The platform opens it once it may, and once.
    let refused = hospital.open_file("a.age", "opened");
    assert!(refused.status.code() == Some(3), "{}", words(&refused));
    assert!(!fs::exists(hospital.file("opened")).unwrap());
    hospital.told(&["grant", "add", "iot", "file", "--tenant", "klinik"]);
    let opened = hospital.open_file("a.age", "opened");
    assert!(opened.status.success(), "{}", words(&opened));
    assert_eq!(fs::read(hospital.file("opened")).unwrap(), fs::read(&log).unwrap());
    let again = hospital.open_file("a.age", "opened-again");
    assert!(again.status.code() == Some(3) && words(&again).contains("key-spent"), "{}", words(&again));
    // A stanza that was changed: the authority releases nothing for it. The rest of the header: whoever verifies first spends no key on it.
    let whole = fs::read(hospital.file("b.age")).unwrap();
    let stanza = whole.windows(5).position(|five| five == b"file.").unwrap();
    let body = stanza + whole[stanza..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mac = whole.windows(4).position(|four| four == b"--- ").unwrap() + 4;
    for (name, at) in [("stanza.age", body + 5), ("mac.age", mac + 5)] {
        let mut changed = whole.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        fs::write(hospital.file(name), changed).unwrap();
        fs::copy(hospital.file("b.age.sig"), hospital.file(&format!("{name}.sig"))).unwrap();
    }
    assert_eq!(hospital.open_file("stanza.age", "opened-changed").status.code(), Some(3));
    let root = hospital.served.home().join("root-ca.pem");
    let (mac, out, platform) =
        (hospital.file("mac.age"), hospital.file("opened-mac"), hospital.file("platform"));
    let verified = [
        "file",
        "open",
        &mac,
        "--out",
        &out,
        "--reason",
        "test",
        "--identity",
        &platform,
        "--verify-by",
        root.to_str().unwrap(),
    ];
    let refused = wardein(&verified);
    assert!(
        refused.status.code() == Some(5) && words(&refused).contains("not the one that was signed"),
        "{}",
        words(&refused)
    );
    // One cut short is not there under its name, not even in part.
    fs::write(hospital.file("cut.age"), &whole[..whole.len() - 5]).unwrap();
    let cut = hospital.open_file("cut.age", "opened-cut");
    assert!(cut.status.code() == Some(1), "{}", words(&cut));
    assert!(
        !fs::exists(hospital.file("opened-cut")).unwrap()
            && !fs::exists(hospital.file("opened-cut.part")).unwrap()
    );
    // The device itself, while it has the epoch's key; another one never.
    hospital.does(1, &["file", "open", &hospital.file("c.age"), "--out", &hospital.file("own")]);
    assert_eq!(fs::read(hospital.file("own")).unwrap(), fs::read(&log).unwrap());
    let other =
        hospital.of_device(2, &["file", "open", &hospital.file("c.age"), "--out", &hospital.file("x")]);
    assert!(!{ other }.status().unwrap().success());

    // Ordinary age and rage, through the plugin: once, as everybody.
    let identity = ["file", "identity", "--identity", &platform, "--reason", "by age"];
    fs::write(hospital.file("age-identity"), wardein(&identity).stdout).unwrap();
    for (number, tool) in [("e", "pyrage-1.4.0/bin/python"), ("f", "age-1.3.2/age")] {
        let Some(tool) = cached(tool) else { continue };
        let (sealed, out) = (format!("{number}.age"), hospital.file(number));
        assert!(seal(1, &sealed, &[]).status.success());
        let opened = || hospital.by_age(&tool, &hospital.file(&sealed), &out);
        let done = opened();
        assert!(done.status.success(), "{}: {}", tool.display(), words(&done));
        assert_eq!(fs::read(&out).unwrap(), fs::read(&log).unwrap());
        assert!(!opened().status.success(), "its key is spent");
    }

    // Many by one request: one entry, whose digest an auditor makes of the files. One of them was opened before.
    for name in ["m-1.age", "m-2.age"] {
        assert!(seal(1, name, &[]).status.success());
    }
    let [spent, first, second] = ["a.age", "m-1.age", "m-2.age"].map(|name| hospital.file(name));
    let into = hospital.file("many");
    fs::create_dir(&into).unwrap();
    let open =
        ["--json", "file", "open", &first, &spent, &second, "--out-dir", &into, "--reason", "ticket 8"];
    let many = wardein(&[&open[..], &["--identity", &platform]].concat());
    assert!(many.status.code() == Some(1) && words(&many).contains("1 of 3 files"), "{}", words(&many));
    let many = json(&many.stdout);
    let codes =
        many["files"].as_array().unwrap().iter().map(|file| file["code"].as_str()).collect::<Vec<_>>();
    assert_eq!(codes, [None, Some("key-spent"), None]);
    for name in ["m-1", "m-2"] {
        assert_eq!(fs::read(Path::new(&into).join(name)).unwrap(), fs::read(&log).unwrap());
    }
    let digest = json(&wardein(&["--json", "file", "digest", &first, &second]).stdout);
    assert_eq!(many["releases"], serde_json::json!([digest]));
    let entries = hospital.told(&["audit", "list", "--event", "key.release"]).to_string();
    assert_eq!(entries.matches(digest["keys_digest"].as_str().unwrap()).count(), 1, "{entries}");

    // End to end for a reader: the authority has no key of it.
    let sealed = seal(1, "reader.age", &["--reader", READER]);
    assert!(sealed.status.success() && json(&sealed.stdout)["key_name"].is_null(), "{}", words(&sealed));
    let none = hospital.open_file("reader.age", "by-platform");
    assert!(none.status.code() == Some(1) && words(&none).contains("no ddkg1 stanza"), "{}", words(&none));
    wardein_durable::create(hospital.file("reader.key").as_ref(), READER_KEY.as_bytes(), 0o600).unwrap();
    let (sealed, key, out) =
        (hospital.file("reader.age"), hospital.file("reader.key"), hospital.file("by-reader"));
    let opened = wardein(&["file", "open", &sealed, "--out", &out, "--reader-key", &key]);
    assert!(opened.status.success(), "{}", words(&opened));
    assert_eq!(fs::read(&out).unwrap(), fs::read(&log).unwrap());

    // Erasure: d.age was never opened, and is now to be by nobody.
    let retire =
        ["device", "retire", "pump-1", "--shred", "--tenant", "klinik", "--reason", "erasure", "--yes"];
    hospital.told(&retire);
    let gone = hospital.open_file("d.age", "opened-gone");
    assert!(gone.status.code() == Some(3) && words(&gone).contains("keys-gone"), "{}", words(&gone));
    assert!(hospital.verify_files(&all).status.success(), "where it comes from can be proved for good");
}

/// End to end: who is on the tenant's list opens it, with a key of their own; the authority and who was removed do not.
#[test]
fn files_are_sealed_for_the_readers_of_the_tenants_list() {
    let hospital = Hospital::found(1);
    hospital.does(1, &["certificate"]);
    let log = hospital.file("log");
    fs::write(&log, "17:04 occlusion\n").unwrap();
    let seal = |name: &str, more: &[&str]| {
        let out = hospital.file(name);
        hospital.of_device(1, &[&["file", "seal", &log, "--out", &out], more].concat()).output().unwrap()
    };
    let of = ["--profile", "default", "--tenant", "klinik"];
    let reader = |args: &[&str]| hospital.told(&[&["reader"], args, &of].concat());
    reader(&["add", "ward", READER, "--reason", "ticket 7"]);
    let list = reader(&["seal-for", "readers", "--reason", "ticket 7", "--yes"]);
    assert_eq!((&list["seal_for"], &list["readers"][0]["key"]), (&"readers".into(), &READER.into()));

    let taken = json(&hospital.does(1, &["file", "readers", "--json"]));
    assert_eq!(taken["number"], list["number"]);
    assert!(seal("a.age", &[]).status.success());
    fs::write(hospital.file("reader-key"), READER_KEY).unwrap();
    fs::set_permissions(hospital.file("reader-key"), fs::Permissions::from_mode(0o600)).unwrap();
    let open = |sealed: &str, out: &str| {
        let (sealed, out, key) = (hospital.file(sealed), hospital.file(out), hospital.file("reader-key"));
        wardein(&["file", "open", &sealed, "--out", &out, "--reader-key", &key])
    };
    let opened = open("a.age", "opened");
    assert!(opened.status.success(), "{}", words(&opened));
    assert_eq!(fs::read(hospital.file("opened")).unwrap(), fs::read(&log).unwrap());
    hospital.told(&["grant", "add", "iot", "file", "--tenant", "klinik"]);
    assert!(!hospital.open_file("a.age", "opened-by-platform").status.success());
    let stranger = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let other = seal("other.age", &["--reader", stranger]);
    assert!(
        other.status.code() == Some(2) && words(&other).contains("tenant's readers"),
        "{}",
        words(&other)
    );

    // A list with one byte changed is not one, and nothing is sealed by it.
    let held = Path::new(&hospital.file("devices")).join("pump-1").join("file.readers");
    let whole = fs::read(&held).unwrap();
    let mut changed = whole.clone();
    let at = changed.windows(4).position(|four| four == b"ward").unwrap();
    changed[at] = b'W';
    fs::write(&held, changed).unwrap();
    let refused = seal("changed.age", &[]);
    assert!(!refused.status.success() && words(&refused).contains("not signed"), "{}", words(&refused));
    fs::write(&held, whole).unwrap();

    reader(&["remove", "ward", "--reason", "left", "--yes"]);
    hospital.does(1, &["file", "readers"]);
    let refused = seal("b.age", &[]);
    assert!(
        !refused.status.success() && words(&refused).contains("wardein reader add"),
        "{}",
        words(&refused)
    );
    assert!(!fs::exists(hospital.file("b.age")).unwrap());
}

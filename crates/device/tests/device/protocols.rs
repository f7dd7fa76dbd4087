//! Protocols of visits: begun before the technician is let to anything, kept over a power cut, given once, and read as from anybody.

use crate::common::{Device, Fault, Shared};
use crate::rekey::session_for;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wardein_ddkg::Purposes;
use wardein_ddkg::message::{Admitted, CarriedProtocol, VisitEnd, VisitProtocol};
use wardein_device::{Agent, Files, carry_protocols, give_protocols};
use wardein_domain::Purpose;

const VISIT: &str = "0102030405060708";

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct Bench {
    home: tempfile::TempDir,
    shared: Shared,
    device: Device,
}

impl Bench {
    async fn new() -> Self {
        let (home, shared) = (tempfile::tempdir().unwrap(), Shared::new());
        let device = Device::new(&shared);
        device.enroll(false).await.unwrap();
        let bench = Self { home, shared, device };
        fs::create_dir(bench.spool()).unwrap();
        bench
    }

    fn spool(&self) -> PathBuf {
        self.home.path().join("visits")
    }

    /// A session as sshd begins it, in which that command runs.
    fn session(&self, command: &str) -> Child {
        let binary = Path::new(env!("CARGO_BIN_EXE_wardein-device"));
        let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let until = (now() + 600).to_string();
        Command::new(binary)
            .args(["service", "session", "--visit", VISIT, "--scope", "view", "--work-order", "WO-12"])
            .args(["--technician", "eva", "--until", &until])
            .env("PATH", path)
            .env("SHELL", "/bin/sh")
            .env("SSH_ORIGINAL_COMMAND", command)
            .env("WARDEIN_SERVICE_DIR", self.home.path())
            .env("WARDEIN_SERVICE_SPOOL", self.spool())
            .spawn()
            .unwrap()
    }

    async fn give(&self) -> Result<usize, wardein_device::Error> {
        let mut session = self.device.session().unwrap();
        let name = session.name().clone();
        give_protocols(&self.spool(), &name, &mut session).await
    }

    fn heard(&self) -> Vec<VisitProtocol> {
        let bodies = std::mem::take(&mut self.shared.0.borrow_mut().protocols);
        bodies.iter().map(|body| VisitProtocol::decode(body).unwrap()).collect()
    }

    /// The names in the spool.
    fn left(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(self.spool()).unwrap().map(name).collect()
    }
}

#[tokio::test]
async fn a_session_is_told_with_what_was_done_and_goes_once_it_is_acknowledged() {
    let bench = Bench::new().await;
    let before = now();
    let noted =
        "wardein-device service note calibration && wardein-device service note calibration && exit 3";
    assert_eq!(bench.session(noted).wait().unwrap().code(), Some(3));
    let wrong = bench.session("wardein-device service note 'Patient Meier'").wait().unwrap();
    assert_eq!(wrong.code(), Some(2), "no words of patients");
    bench.shared.0.borrow_mut().away = true;
    assert_eq!(bench.give().await.unwrap_err().exit_code(), 4);
    bench.shared.0.borrow_mut().away = false;
    // The answer is lost: it is given again.
    bench.shared.fault(&[Some(Fault::AnswerLost)]);
    bench.give().await.unwrap_err();
    assert_eq!(bench.left().len(), 2);
    let files = Files::open(&bench.device.path()).unwrap();
    let mut agent = Agent::new(bench.device.session().unwrap()).unwrap().telling(files, bench.spool());
    agent.round().await.unwrap();
    assert_eq!(bench.left(), Vec::<String>::new());
    let told = bench.heard();
    assert_eq!(told.len(), 3);
    assert_eq!(told.iter().filter(|of| **of == told[0]).count(), 2, "the same bytes again");
    let done = told.iter().find(|of| of.actions.len() == 3).unwrap();
    let expected = [("calibration", 2), ("command", 1), ("login", 1)];
    let expected = expected.map(|(word, times)| (word.parse().unwrap(), times));
    assert_eq!(done.actions, BTreeMap::from(expected));
    let by = Admitted::Visit {
        visit: [1, 2, 3, 4, 5, 6, 7, 8],
        technician: "eva".parse().unwrap(),
        work_order: "WO-12".parse().unwrap(),
    };
    assert_eq!((&done.by, done.end, done.scope.as_str()), (&by, VisitEnd::Left, "view"));
    assert!(before <= done.began && done.began <= done.ended && done.ended <= now());
}

#[tokio::test]
async fn a_session_under_way_waits_and_one_that_broke_off_is_told() {
    let bench = Bench::new().await;
    let mut session = bench.session("sleep 20");
    let begun = Instant::now();
    while bench.left().iter().all(|name| !bench.spool().join(name).join("actions").exists()) {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(bench.give().await.unwrap(), 0);
    session.kill().unwrap();
    session.wait().unwrap();
    assert_eq!(bench.give().await.unwrap(), 1);
    let told = bench.heard();
    assert_eq!((told.len(), told[0].end), (1, VisitEnd::BrokeOff));
    assert!(told[0].ended >= told[0].began);
}

#[tokio::test]
async fn what_a_technician_puts_in_the_spool_is_read_as_from_anybody() {
    let bench = Bench::new().await;
    let at = |number: u8| bench.spool().join(wardein_crypto::hex::encode(&[number; 16]));
    let begin = |text: &str, number: u8| {
        fs::create_dir(at(number)).unwrap();
        fs::write(at(number).join("begin.json"), text).unwrap();
    };
    let good = |technician: &str| {
        format!(
            "{{\"visit\":\"{VISIT}\",\"technician\":\"{technician}\",\"work_order\":\"WO-12\",\"scope\":\"view\",\"began\":7}}"
        )
    };
    begin("no JSON", 1);
    begin(&format!("{}{}", good("eva"), " ".repeat(5_000)), 2);
    begin(&good("../eva"), 3);
    fs::create_dir(at(4)).unwrap();
    assert!(Command::new("mkfifo").arg(at(4).join("begin.json")).status().unwrap().success());
    fs::create_dir(at(5)).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", at(5).join("begin.json")).unwrap();
    // One of a link to elsewhere is not a session at all.
    std::os::unix::fs::symlink(bench.home.path(), at(6)).unwrap();
    // Words that are none count for nothing, and more than sixteen are not told.
    begin(&good("eva"), 7);
    let words: String = (0..40).map(|n| format!("a{n:02}\nNo Word\n\u{e4}\n")).collect();
    fs::write(at(7).join("actions"), words).unwrap();
    fs::write(at(7).join("end.json"), "{\"ended\":3,\"end\":\"left\"}").unwrap();
    let given = tokio::time::timeout(Duration::from_secs(20), bench.give()).await.unwrap().unwrap();
    assert_eq!(given, 1);
    let told = bench.heard();
    assert_eq!((told[0].actions.len(), told[0].began, told[0].ended), (16, 7, 7));
    let mut left = bench.left();
    left.sort();
    assert_eq!(left.iter().filter(|name| name.starts_with("refused-")).count(), 5);
    assert_eq!(left.len(), 6);
    assert!(bench.home.path().exists());
}

#[tokio::test]
async fn what_waits_is_written_to_a_file_and_kept_and_a_use_that_the_state_does_not_know_is_left_out() {
    let bench = Bench::new().await;
    session_for(&bench.device, Purposes::of(Purpose::ALL)).rekey().await.unwrap();
    assert!(bench.session("true").wait().unwrap().success());
    // The technician's account writes the spool: a session by a code, and an emergency that never was.
    let begin = |number: u8, by: &str| {
        let at = bench.spool().join(wardein_crypto::hex::encode(&[number; 16]));
        fs::create_dir(&at).unwrap();
        let text = format!(
            "{{\"visit\":\"\",\"technician\":\"\",\"work_order\":\"\",\"scope\":\"view\",\"began\":7,{by}}}"
        );
        fs::write(at.join("begin.json"), text).unwrap();
    };
    let key = "{\"generation\":2,\"epoch\":0,\"number\":0}";
    begin(1, &format!("\"code\":{key}"));
    begin(2, &format!("\"emergency\":{key}"));
    begin(3, &format!("\"code\":{key},\"emergency\":{key}"));
    let write = || {
        let mut session = session_for(&bench.device, Purposes::of(Purpose::ALL));
        carry_protocols(&bench.spool(), &mut session).unwrap()
    };
    let (text, count) = write();
    let messages = CarriedProtocol::messages_of_file(&text).unwrap();
    assert_eq!((count, messages.len(), bench.left().len()), (2, 2, 4));
    let world = bench.shared.0.borrow();
    for message in &messages {
        let carried = CarriedProtocol::decode(message).unwrap();
        world.record.as_ref().unwrap().verify_protocol(&carried).unwrap();
        assert!(!matches!(carried.protocol().by, Admitted::Emergency(_)));
    }
    drop(world);
    // Each file takes keys of its own.
    let again = CarriedProtocol::messages_of_file(&write().0).unwrap();
    let names: std::collections::BTreeSet<_> = messages
        .iter()
        .chain(&again)
        .map(|message| CarriedProtocol::decode(message).unwrap().key_name().unwrap().to_string())
        .collect();
    assert_eq!(names.len(), 4);
}

#[tokio::test]
async fn a_protocol_that_the_authority_does_not_take_yet_keeps_no_other_back() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        assert!(bench.session("true").wait().unwrap().success());
    }
    for code in ["malformed", "emergency-use-unknown"] {
        bench.shared.fault(&[Some(Fault::Refused(code))]);
        assert_eq!(bench.give().await.unwrap(), usize::from(code == "malformed"));
    }
    assert!(bench.left().iter().all(|name| !name.starts_with("refused-")));
    assert_eq!(bench.give().await.unwrap(), 1);
}

#[tokio::test]
async fn a_protocol_that_the_authority_never_takes_is_kept_aside() {
    let bench = Bench::new().await;
    assert!(bench.session("true").wait().unwrap().success());
    bench.shared.fault(&[Some(Fault::Refused("quarantined"))]);
    bench.give().await.unwrap_err();
    assert!(!bench.left()[0].starts_with("refused-"), "it may be taken another time");
    bench.shared.fault(&[Some(Fault::Refused("protocol-other-visit"))]);
    assert_eq!(bench.give().await.unwrap(), 0);
    assert!(bench.left()[0].starts_with("refused-"));
    assert_eq!(bench.give().await.unwrap(), 0);
}

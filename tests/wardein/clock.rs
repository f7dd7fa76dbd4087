//! The service on a machine whose clock jumps: the real binary under libfaketime, which fakes the wall clock and leaves the boot-time
//! clock alone, as NTP and people do.
//!
//! `WARDEIN_CLOCK_JUMPS=1000` for longer runs.

use crate::common::{free_port, wardein};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use wardein_port::{Clock as _, SystemClock};

/// Where Debian has it; its architecture is in the path.
fn libfaketime() -> Option<String> {
    let found =
        fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    found.filter(|path| path.exists()).find_map(|path| path.to_str().map(str::to_owned))
}

struct Machine {
    place: tempfile::TempDir,
    library: String,
    http: u16,
    child: Option<Child>,
}

impl Machine {
    fn new(store: &str) -> Option<Self> {
        let Some(library) = libfaketime() else {
            assert!(
                std::env::var_os("WARDEIN_FAKETIME").is_none(),
                "the package libfaketime is not installed"
            );
            println!("SKIPPED: the package libfaketime is not installed");
            return None;
        };
        let (place, [listen, http]) = (tempfile::tempdir().unwrap(), [free_port(), free_port()]);
        let machine = Self { place, library, http, child: None };
        machine.set(0);
        let [listen, http] = [listen, http].map(|port| format!("127.0.0.1:{port}"));
        let (home, key) = (machine.home(), machine.path("root.key"));
        let init =
            ["init", "--trust-domain", "wardein.test", "--listen", &listen, "--http", &http, "--dir", &home];
        let made = wardein(&[&init[..], &["--key-file", &key, "--store", store]].concat());
        assert!(made.status.success(), "{made:?}");
        Some(machine)
    }

    fn path(&self, name: &str) -> String {
        self.place.path().join(name).to_str().unwrap().to_owned()
    }

    fn home(&self) -> String {
        self.path("authority")
    }

    /// Sets the wall clock of the service that far from the right one.
    fn set(&self, seconds: i64) {
        let next = self.path("next");
        fs::write(&next, format!("{seconds:+}s\n")).unwrap();
        fs::rename(next, self.path("faketime")).unwrap();
    }

    fn faked(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
        command.args(args).stdin(Stdio::null());
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", self.path("faketime"));
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }

    fn serve(&mut self) {
        let config = format!("{}/wardein.toml", self.home());
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut serve = self.faked(&["serve", "--config", &config]);
        self.child = Some(serve.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.until("it does not come up", |machine| {
            machine.http("/readyz").is_some_and(|text| text.contains("200 OK"))
        });
    }

    /// Kills it, or has it stop in order.
    fn stop(&mut self, is_killed: bool) {
        let Some(mut child) = self.child.take() else { return };
        let signal = if is_killed { "-KILL" } else { "-TERM" };
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert!(is_killed || status.success(), "{status}: {}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    fn http(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// What `wardein clock status` says, by a client whose own clock is right.
    fn clock(&self) -> Value {
        self.try_clock().unwrap_or_else(|| panic!("{}", self.log()))
    }

    fn try_clock(&self) -> Option<Value> {
        let output = wardein(&["--json", "clock", "status", "--dir", &self.home()]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    fn accept(&self) -> Value {
        let output = wardein(&["--json", "clock", "accept", "--yes", "--dir", &self.home()]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop(true);
    }
}

/// Seconds between the authority's time and the right one.
fn off(clock: &Value) -> u64 {
    clock["time_ms"].as_u64().unwrap().abs_diff(SystemClock.wall_ms()) / 1000
}

const DAY: i64 = 86_400;

#[test]
fn an_authority_is_not_founded_in_1970() {
    let Some(machine) = Machine::new("sqlite") else { return };
    let (home, key) = (machine.path("other"), machine.path("other.key"));
    for wrong in [-SystemClock.wall_ms().cast_signed() / 1000 + 7, -30 * 365 * DAY] {
        machine.set(wrong);
        let args = ["init", "--trust-domain", "wardein.test", "--dir", &home, "--key-file", &key];
        let refused = machine.faked(&args).output().unwrap();
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains("set it"), "{words}");
        assert!(!Path::new(&home).exists());
    }
}

/// However the clock jumps and whatever happens to the process, the authority's time is the right one, and a client with a right
/// clock can always call.
fn jumps(store: &str) {
    let Some(mut machine) = Machine::new(store) else { return };
    let jumps: u64 = std::env::var("WARDEIN_CLOCK_JUMPS").map_or(8, |text| text.parse().unwrap());
    machine.serve();
    let seed = SystemClock.boot_ms() | 1;
    let mut random = seed;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let (mut held, mut apart, mut kills) = (0, 0, 0);
    for jump in 0..jumps {
        // Far enough that no start believes it, or behind.
        let by = [-400, -DAY, -2 * 365 * DAY, -12 * 365 * DAY, 60 * DAY, 2 * 365 * DAY, 12 * 365 * DAY];
        let by = by[below(by.len() as u64) as usize];
        machine.set(by);
        let is_restarted = below(2) == 0;
        if is_restarted {
            kills += 1;
            machine.stop(below(2) == 0);
            machine.serve();
        }
        let word = if is_restarted { "held" } else { "apart" };
        machine.until("the jump is not noticed", |machine| machine.clock()["agreement"] == word);
        (held, apart) = (held + u64::from(is_restarted), apart + u64::from(!is_restarted));
        let clock = machine.clock();
        assert!(off(&clock) < 60, "seed {seed}, jump {jump} by {by}: {clock}");
        assert_eq!(clock["erases"], false);
        machine.set(0);
        machine.until("it is not believed again", |machine| machine.clock()["agreement"] == "agrees");
    }
    let log = machine.log();
    assert!(log.contains("cannot be believed") || held == 0, "{log}");
    assert!(log.contains("jumped") || apart == 0, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    println!("{store}: {jumps} jumps, {apart} while it ran, {held} before a start, {kills} stops and kills");
}

#[test]
fn jumps_move_nothing_on_sqlite() {
    jumps("sqlite");
}

#[test]
fn jumps_move_nothing_on_sled() {
    jumps("sled");
}

/// A clock that was a month ahead was believed at a start; it is set right, and an administrator accepts that.
#[test]
fn a_clock_that_is_behind_is_accepted() {
    let Some(mut machine) = Machine::new("sqlite") else { return };
    machine.set(30 * DAY);
    machine.serve();
    // A client whose clock is right cannot call, and hears how far off the two are.
    let far = wardein(&["--json", "clock", "status", "--dir", &machine.home()]);
    assert!(
        String::from_utf8_lossy(&far.stderr).contains("29 days behind the authority's certificate"),
        "{far:?}"
    );
    machine.set(0);
    // The service is certified by both clocks then.
    machine.until("it cannot be reached", |machine| {
        machine.try_clock().is_some_and(|clock| clock["agreement"] == "apart")
    });
    let dry = wardein(&["--json", "clock", "accept", "--dry-run", "--dir", &machine.home()]);
    let dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(
        (&dry["is_new_era"], &dry["devices_to_rekey"], &dry["done"]),
        (&true.into(), &0.into(), &false.into())
    );
    assert_eq!(machine.clock()["acceptances"], 0);
    let done = machine.accept();
    assert_eq!((&done["is_new_era"], &done["done"]), (&true.into(), &true.into()));
    let clock = machine.clock();
    assert_eq!((off(&clock), &clock["agreement"], &clock["erases"]), (0, &"agrees".into(), &true.into()));
    machine.stop(true);
    machine.serve();
    let clock = machine.clock();
    assert_eq!((off(&clock), &clock["agreement"], &clock["acceptances"]), (0, &"agrees".into(), &1.into()));
    let audit = wardein(&["--json", "audit", "list", "--dir", &machine.home()]);
    assert!(String::from_utf8_lossy(&audit.stdout).contains("clock.accept"));
}

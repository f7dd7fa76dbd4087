//! Real devices at their factory: the binary `wardein-device` at one end of a line, `wardein device relay` at the other, and an
//! authority behind it.

use crate::common::{Served, wardein, wardein_device};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use wardein_crypto::P256SigningKey;
use wardein_pki::pem;

const UDI: &str = "(01)09506000134352(21)4711";

#[test]
fn devices_on_two_lines_are_enrolled_as_the_list_says() {
    let mut factory = Factory::found();
    factory.make_keys();
    factory.pin();
    factory.list(&format!("id,model,udi\npump-1,Infuso 3,{UDI}\npump-2,Infuso 3,\nbad id,,\n"));
    let lines: Vec<_> = ["a", "b"].map(|name| factory.pipes(name)).into();
    let mut relay = factory.relay();
    for [from_device, to_device] in &lines {
        relay.arg("--line").arg(format!("{},{}", from_device.display(), to_device.display()));
    }
    let relay =
        relay.arg("--csv").arg(factory.file("list.csv")).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let devices: Vec<_> = lines
        .iter()
        .zip(["pump-1", "pump-2"])
        .map(|([from_device, to_device], id)| {
            // The shell opens the pipes, as an operator's would: each waits for the other end.
            let mut shell = Command::new("sh");
            shell
                .args(["-c", "exec \"$@\" <\"$READ\" >\"$WRITE\"", "sh"])
                .env("READ", to_device)
                .env("WRITE", from_device);
            let mut begin = factory.begin(id);
            // So that its first contact with the platform is pinned.
            begin.args((id == "pump-1").then_some("--pins"));
            begin.args((id == "pump-2").then_some("--made=p256"));
            shell.arg(begin.get_program()).args(begin.get_args()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut device in devices {
        assert!(device.wait().unwrap().success());
    }
    let ended = relay.unwrap().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "a line of the list is bad");
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (&report["enrolled"], &report["failed"], &report["bad_lines"][0]["line"]),
        (&2.into(), &0.into(), &4.into())
    );
    assert_eq!(report["missing"], Value::Array(vec![]));
    let shown = factory.show("pump-1");
    assert_eq!(
        (&shown["state"], &shown["udi"], &shown["model"]),
        (&"active".into(), &UDI.into(), &"Infuso 3".into())
    );
    assert_eq!(shown["attributes"], Value::from(vec!["board"]));
    assert_eq!(factory.show("pump-2")["udi"], "");
    let pins = ["pump-1", "pump-2"].map(|id| factory.file(id).join("platform.pins").exists());
    assert_eq!(pins, [true, false], "of the one that asked for them");
    let made =
        ["pump-1", "pump-2"].map(|id| ["device.key", "certificate.pem"].map(|of| factory.file(id).join(of)));
    assert_eq!(made.map(|files| files.map(|file| file.exists())), [[false; 2], [true; 2]], "likewise");
    let proved = Command::new(&factory.device)
        .arg("--dir")
        .arg(factory.file("pump-1"))
        .arg("authenticate")
        .output()
        .unwrap();
    assert!(proved.status.success(), "{}", String::from_utf8_lossy(&proved.stderr));
}

#[test]
fn one_line_brings_one_device_after_the_other_whatever_happens_between() {
    let mut factory = Factory::found();
    factory.list("id\npump-1\npump-2\npump-3\npump-4\n");
    let mut line = Line::open(&factory);

    assert_eq!(line.carry(&mut factory.start("pump-1")), Some(0));
    // What is not a message is skipped: the answer that is read is the next one's.
    for noise in ["\u{1b}[2J", "U-Boot 2024.01", "{\"ts\":1}", &"x".repeat(700 << 10)] {
        writeln!(line.input, "{noise}").unwrap();
    }
    // One that cannot be understood is answered, and spoils nothing.
    for odd in ["{\"type\":\"request\"}", "{\"type\":\"hello\"}"] {
        assert_eq!(line.ask(odd)["code"], "malformed");
    }
    // Not in the list; and of another tenant.
    assert_eq!(line.carry(&mut factory.start("pump-9")), Some(3));
    let request = "{\"type\":\"confirmation\",\"tenant\":\"klinik-sued\",\"device_id\":\"pump-2\",\"device_confirmation\":\"";
    assert_eq!(line.ask(&format!("{request}{}\"}}", "00".repeat(32)))["code"], "tenant-foreign");
    assert_eq!(line.ask(&format!("{request}00\"}}"))["code"], "malformed");

    // Cut off after the reply, it starts over; cut off after its confirmation, it only confirms again.
    let mut device = factory.start("pump-2");
    line.carry_once(&mut device);
    end(&mut device.child);
    assert_eq!(factory.show("pump-2")["state"], "pending");
    let mut device = factory.start("pump-2");
    line.carry_once(&mut device);
    let confirmation = device.hear().unwrap();
    assert_eq!(line.ask(&confirmation)["type"], "confirmed");
    end(&mut device.child);
    let mut device = factory.start("pump-2");
    let again = device.hear().unwrap();
    assert_eq!(again, confirmation);
    device.say(&line.ask(&again));
    assert_eq!(line.carry(&mut device), Some(0));

    // The authority restarts while a device waits.
    factory.served.kill();
    let mut device = factory.start("pump-3");
    std::thread::scope(|scope| {
        let carried = scope.spawn(|| line.carry(&mut device));
        factory.runtime.block_on(factory.served.start());
        assert_eq!(carried.join().unwrap(), Some(0));
    });
    // And stays away: the device is told so, and does not take it for a refusal.
    factory.served.kill();
    assert_eq!(line.carry(&mut factory.start("pump-4")), Some(4));
    factory.runtime.block_on(factory.served.start());
    assert_eq!(line.carry(&mut factory.start("pump-4")), Some(0));

    // All of the list are enrolled: the command has ended by itself.
    let (code, report) = line.end();
    assert_eq!(
        (code, &report["enrolled"], &report["missing"]),
        (1, &4.into(), &Value::Array(vec![])),
        "{report}"
    );
    let codes: Vec<_> =
        report["devices"].as_array().unwrap().iter().map(|fate| fate["code"].as_str().unwrap()).collect();
    let expected =
        ["", "malformed", "malformed", "device-not-listed", "malformed", "", "", "unreachable", ""];
    assert_eq!(codes, expected, "{report}");
}

/// An authority with a station of tenant `klinik`.
struct Factory {
    runtime: tokio::runtime::Runtime,
    served: Served,
    device: PathBuf,
}

impl Factory {
    fn found() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let factory = Self { served: runtime.block_on(Served::found()), runtime, device: wardein_device() };
        let (home, station) = (factory.served.home(), factory.file("station"));
        let (home, station) = (home.to_str().unwrap(), station.to_str().unwrap());
        let order = [
            "--role",
            "station",
            "--tenant",
            "klinik",
            "--name",
            "line-1",
            "--validity",
            "1d",
            "--quota",
            "9",
        ];
        let issued = wardein(&[&["operator", "issue", "--dir", home, "--out", station], &order[..]].concat());
        assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
        factory
    }

    /// Has the authority make keys for devices.
    fn make_keys(&mut self) {
        self.served.terminate();
        let file = self.served.home().join("wardein.toml");
        let toml = std::fs::read_to_string(&file).unwrap();
        assert!(toml.contains("made_keys = 0"), "{toml}");
        std::fs::write(file, toml.replace("made_keys = 0", "made_keys = 1")).unwrap();
        self.runtime.block_on(self.served.start());
    }

    /// Gives the tenant's platform pins.
    fn pin(&self) {
        let files = ["current", "recovery"].map(|name| {
            let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
            std::fs::write(self.file(name), pem::encode_public_key(&(*key.verifying_key()).into())).unwrap();
            self.file(name).to_str().unwrap().to_owned()
        });
        let (home, [current, recovery]) = (self.served.home(), &files);
        let set = ["platform-pin", "set", "--tenant", "klinik", "--dir", home.to_str().unwrap()];
        let set = wardein(&[&set[..], &["--current", current, "--recovery", recovery]].concat());
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.served.directory.path().join(name)
    }

    fn list(&self, csv: &str) {
        std::fs::write(self.file("list.csv"), csv).unwrap();
    }

    fn relay(&self) -> Command {
        let mut relay = Command::new(env!("CARGO_BIN_EXE_wardein"));
        relay.args(["--json", "device", "relay", "--identity"]).arg(self.file("station"));
        relay
    }

    /// `wardein-device enroll --begin` of one device.
    fn begin(&self, id: &str) -> Command {
        let mut begin = Command::new(&self.device);
        begin.args([
            "enroll",
            "--begin",
            "--tenant",
            "klinik",
            "--device-id",
            id,
            "--attribute",
            "board=text:rev-b",
        ]);
        begin.args(["--endpoint", &self.served.endpoint]).arg("--dir").arg(self.file(id));
        begin.arg("--identity-key").arg(self.served.home().join("identity.pub"));
        begin.arg("--trust-roots").arg(self.served.home().join("root-ca.pem"));
        begin
    }

    fn start(&self, id: &str) -> Device {
        spawn(self.begin(id))
    }

    /// Two named pipes: what a device writes, and what it reads.
    fn pipes(&self, name: &str) -> [PathBuf; 2] {
        let pipes = [self.file(&format!("{name}-from")), self.file(&format!("{name}-to"))];
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        pipes
    }

    fn show(&self, id: &str) -> Value {
        let home = self.served.home();
        let shown =
            wardein(&["--json", "device", "show", id, "--tenant", "klinik", "--dir", home.to_str().unwrap()]);
        serde_json::from_slice(&shown.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&shown.stderr)))
    }
}

fn spawn(mut begin: Command) -> Device {
    let mut child = begin.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    Device { input: child.stdin.take().unwrap(), output: BufReader::new(child.stdout.take().unwrap()), child }
}

/// A real device, with both ends of its line in the test's hands.
struct Device {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Device {
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.output.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    fn say(&mut self, answer: &Value) {
        writeln!(self.input, "{answer}").unwrap();
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The relay at the end of its standard input and output.
struct Line {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Line {
    fn open(factory: &Factory) -> Self {
        let mut relay = factory.relay();
        relay.arg("--csv").arg(Path::new(&factory.file("list.csv")));
        let mut child =
            relay.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    /// One line of the device, and its answer back.
    fn carry_once(&mut self, device: &mut Device) {
        let line = device.hear().unwrap();
        device.say(&self.ask(&line));
    }

    /// All that the device says until it ends; its exit code.
    fn carry(&mut self, device: &mut Device) -> Option<i32> {
        while let Some(line) = device.hear() {
            if line.contains("\"type\":\"done\"") || line.contains("\"type\":\"error\"") {
                writeln!(self.input, "{line}").unwrap();
            } else {
                device.say(&self.ask(&line));
            }
        }
        device.child.wait().unwrap().code()
    }

    /// Its exit code and what it told on standard error.
    fn end(mut self) -> (i32, Value) {
        let code = self.child.wait().unwrap().code().unwrap();
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        let report =
            told.lines().find(|line| line.contains("\"devices\"")).unwrap_or_else(|| panic!("{told}"));
        (code, serde_json::from_str(report).unwrap())
    }
}

//! The binary, enrolled in lines of JSON by a station that this test plays.

use crate::common::{Device, START, Shared};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use wardein_crypto::{P256SigningKey, hex};
use wardein_ddkg::message::{ChallengeAnswer, Confirmation, EnrollRequest, ProofAnswer, ProofAsk};
use wardein_ddkg::{Attributes, DeviceName, DeviceShare, Suite};
use wardein_device::Authority as _;
use wardein_pki::{Pin, PinBundle, Pins, Validity};

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(device: &Device) -> Self {
        Self::start_with(device, &[])
    }

    fn start_with(device: &Device, options: &[&str]) -> Self {
        let (config, home) = (device.authority.config(), device.root());
        let (key, roots) = (home.join("identity.pub"), home.join("roots.pem"));
        std::fs::write(&key, hex::encode(&config.identity_key.0)).unwrap();
        std::fs::write(&roots, &config.trust_roots).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wardein-device"))
            .args(["enroll", "--begin", "--tenant", "clinic", "--device-id", "pump-1"])
            .args(options)
            .args(["--endpoint", "https://localhost:1", "--attribute", "tag=text:x", "--attribute"])
            .arg(format!("firmware=file:{}", home.join("firmware").display()))
            .arg("--dir")
            .arg(device.path())
            .arg("--identity-key")
            .arg(key)
            .arg("--trust-roots")
            .arg(roots)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), output, child }
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn end(mut self) -> i32 {
        drop(self.input.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn name(line: &Value) -> DeviceName {
    DeviceName {
        tenant: line["tenant"].as_str().unwrap().parse().unwrap(),
        device: line["device_id"].as_str().unwrap().parse().unwrap(),
    }
}

/// What a station and the authority behind it make of a request line.
fn reply(authority: &Shared, line: &Value) -> Value {
    assert_eq!((&line["type"], &line["version"]), (&json!("request"), &json!(1)));
    let mut attributes = Attributes::new();
    for attribute in line["attributes"].as_array().unwrap() {
        attributes
            .insert(attribute["name"].as_str().unwrap().parse().unwrap(), &bytes(&attribute["value"]))
            .unwrap();
    }
    let suite = Suite::from_number(u16::try_from(line["suite"].as_u64().unwrap()).unwrap()).unwrap();
    let request = EnrollRequest {
        device: name(line),
        nonce: bytes(&line["device_nonce"]).try_into().unwrap(),
        share: DeviceShare::new(suite, &bytes(&line["device_share"])).unwrap(),
        attributes,
    };
    let reply = authority.0.borrow_mut().answer(&request).unwrap();
    json!({
        "type": "reply", "tenant": "clinic", "authority_share": hex::encode(reply.share.as_bytes()),
        "generation": reply.generation,
        "schedule": {
            "period": reply.schedule.period, "max_uses": reply.schedule.max_uses,
            "not_before": reply.schedule.not_before,
        },
        "signature": hex::encode(&reply.signature), "authority_confirmation": hex::encode(&reply.confirmation.0),
    })
}

fn confirm(authority: &Shared, line: &Value) {
    assert_eq!(line["type"], "confirmation");
    let tag = wardein_crypto::Tag(bytes(&line["device_confirmation"]).try_into().unwrap());
    authority.0.borrow_mut().confirmed(&Confirmation { device: name(line), tag }).unwrap();
}

#[test]
fn a_station_enrolls_the_process_line_by_line() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let mut process = Process::start(&device);
    let request = process.hear();
    process.say(&reply(&authority, &request));
    let confirmation = process.hear();
    assert!(device.path().join("state").exists(), "saved before it is said");
    confirm(&authority, &confirmation);
    process.say(&json!({"type": "confirmed"}));
    assert_eq!(process.hear(), json!({"type": "done", "generation": 1, "confirmed": true}));
    assert_eq!(process.end(), 0);
}

#[test]
fn a_station_that_leaves_before_the_end_finds_the_device_ready_to_go_on() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    // Gone before the reply: nothing is saved.
    let mut process = Process::start(&device);
    process.hear();
    assert_eq!(process.end(), 4);
    assert!(!device.path().join("state").exists());
    // Gone before the confirmation was taken.
    let mut process = Process::start(&device);
    let request = process.hear();
    process.say(&reply(&authority, &request));
    assert_eq!(process.hear()["type"], "confirmation");
    assert_eq!(process.end(), 0);
    // Back again: the confirmation comes first.
    let mut process = Process::start(&device);
    let confirmation = process.hear();
    confirm(&authority, &confirmation);
    process.say(&json!({"type": "confirmed"}));
    assert_eq!(process.hear()["confirmed"], true);
    assert_eq!(process.end(), 0);
    // Had the authority forgotten it, a request would follow.
    let mut process = Process::start(&device);
    process.hear();
    process.say(&json!({"type": "refused", "code": "device-unknown", "message": ""}));
    assert_eq!(process.hear()["type"], "request");
    process.say(&json!({"type": "refused", "code": "quota-exhausted", "message": "0 left"}));
    let error = process.hear();
    assert!(error["message"].as_str().unwrap().contains("quota-exhausted: 0 left"), "{error}");
    assert_eq!(process.end(), 3);
}

#[test]
fn pins_come_over_the_line_and_others_than_the_authoritys_end_it_before_the_enrollment() {
    let authority = Shared::new();
    let bundle = |signer: &P256SigningKey, tenant: &str| {
        let bundle = PinBundle {
            tenant: tenant.parse().unwrap(),
            epoch: 1,
            validity: Validity::new(START, START + 1_000).unwrap(),
            pins: Pins { current: Pin([1; 32]), next: None, recovery: Pin([9; 32]) },
            // As long as one can be.
            roots: vec![vec![7; 8_000]; PinBundle::MAX_ROOTS],
        };
        hex::encode(&bundle.sign(signer).unwrap())
    };
    let forger = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let (good, foreign) = {
        let world = authority.0.borrow();
        (bundle(&world.identity, "clinic"), bundle(&world.identity, "other"))
    };
    for wrong in [bundle(&forger, "clinic").as_str(), &foreign, "00", "zz"] {
        let device = Device::new(&authority);
        let mut process = Process::start_with(&device, &["--pins"]);
        let asked = process.hear();
        assert_eq!(
            asked,
            json!({"type": "trust_bundle", "version": 1, "tenant": "clinic", "device_id": "pump-1"})
        );
        process.say(&json!({"type": "trust_bundle", "bundle": wrong}));
        assert_eq!(process.hear()["type"], "error");
        assert_eq!(process.end(), 1);
        assert!(!device.path().join("platform.pins").exists() && !device.path().join("state").exists());
    }
    for (bundle, has_pins) in [(good.as_str(), true), ("", false)] {
        authority.0.borrow_mut().record = None;
        let device = Device::new(&authority);
        let mut process = Process::start_with(&device, &["--pins"]);
        process.hear();
        process.say(&json!({"type": "trust_bundle", "bundle": bundle}));
        let request = process.hear();
        process.say(&reply(&authority, &request));
        let confirmation = process.hear();
        confirm(&authority, &confirmation);
        process.say(&json!({"type": "confirmed"}));
        assert_eq!(process.hear()["confirmed"], true);
        assert_eq!(process.end(), 0);
        assert_eq!(device.path().join("platform.pins").exists(), has_pins);
    }
}

/// What a station and the authority behind it make of a device's question for a challenge, and of its proof.
fn relay(authority: &Shared, line: &Value) -> Value {
    assert_eq!(line["version"], 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut authority = authority.clone();
    if line["type"] == "challenge" {
        let offer = runtime.block_on(authority.challenge(&name(line))).unwrap();
        let answer = ChallengeAnswer { offer, quote: None };
        return json!({"type": "challenge", "answer": hex::encode(&answer.encode())});
    }
    assert_eq!(line["type"], "proof");
    let ProofAsk { request, body } = ProofAsk::decode(&bytes(&line["ask"])).unwrap();
    let reply = runtime.block_on(authority.prove(&request, &body)).unwrap();
    let answer = ProofAnswer { reply: reply.acked, rekey_due: reply.rekey_due };
    json!({"type": "proof", "answer": hex::encode(&answer.encode()), "renewal": "1800010000-1800020000"})
}

/// Enrolls the process up to its question for a challenge.
fn enroll_up_to_challenge(authority: &Shared, process: &mut Process) -> Value {
    let request = process.hear();
    process.say(&reply(authority, &request));
    let confirmation = process.hear();
    confirm(authority, &confirmation);
    process.say(&json!({"type": "confirmed"}));
    process.hear()
}

#[test]
fn a_made_key_comes_over_the_line_and_again_where_its_answer_was_not_heard() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let has_key = || device.path().join("device.key").exists();
    let mut process = Process::start_with(&device, &["--made", "p256"]);
    let asked = enroll_up_to_challenge(&authority, &mut process);
    process.say(&relay(&authority, &asked));
    // The station leaves with the answer: the enrollment is saved, and there is no key.
    let asked = process.hear();
    relay(&authority, &asked);
    assert_eq!(process.end(), 4);
    assert!(device.path().join("state").exists() && !has_key());
    // Another run confirms again, and gets another key.
    for run in 0..2 {
        let mut process = Process::start_with(&device, &["--made", "p256"]);
        let mut line = process.hear();
        if run == 0 {
            assert_eq!(line["type"], "confirmation");
            process.say(&json!({"type": "refused", "code": "already-enrolled", "message": ""}));
            line = process.hear();
        }
        process.say(&relay(&authority, &line));
        let asked = process.hear();
        process.say(&relay(&authority, &asked));
        assert_eq!(process.hear(), json!({"type": "done", "generation": 1, "confirmed": true}));
        assert_eq!(process.end(), 0);
        assert!(has_key() && device.path().join("certificate.pem").exists());
    }
}

/// Who holds the line can keep the key from the device, and can give it no other.
#[test]
fn an_answer_with_a_made_key_that_was_changed_on_the_line_is_not_taken() {
    type Change = fn(&mut Value);
    let changes: [(Change, i32); 5] = [
        (|line| *line = json!({"type": "refused", "code": "csr-key-not-accepted", "message": ""}), 3),
        (|line| line["type"] = json!("confirmed"), 1),
        (|line| line["answer"] = json!("0c"), 1),
        (|line| line["renewal"] = json!("2-1"), 1),
        (|line| line["answer"] = json!("00".repeat(40_000)), 1),
    ];
    for (change, code) in changes {
        let authority = Shared::new();
        let device = Device::new(&authority);
        let mut process = Process::start_with(&device, &["--made", "p256"]);
        let asked = enroll_up_to_challenge(&authority, &mut process);
        process.say(&relay(&authority, &asked));
        let asked = process.hear();
        let mut line = relay(&authority, &asked);
        change(&mut line);
        process.say(&line);
        let said = process.hear();
        assert_eq!(said["type"], "error", "{said}");
        assert_eq!(process.end(), code, "{said}");
        assert!(!device.path().join("device.key").exists(), "{said}");
    }
}

#[test]
fn lines_that_are_none_end_it_and_save_nothing() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let good = |process: &mut Process| {
        let request = process.hear();
        reply(&authority, &request)
    };
    let changes: [fn(&mut Value); 8] = [
        |line| line["extra"] = json!(1),
        |line| line["type"] = json!("confirmed"),
        |line| line["authority_share"] = json!("04ab"),
        |line| line["authority_share"] = json!("zz"),
        |line| line["generation"] = json!(0),
        |line| line["schedule"]["period"] = json!(line["schedule"]["period"].as_u64().unwrap() + 1),
        |line| line["authority_confirmation"] = json!("00".repeat(32)),
        |line| line["tenant"] = json!("x".repeat(20_000)),
    ];
    for change in changes {
        let mut process = Process::start(&device);
        let mut line = good(&mut process);
        change(&mut line);
        process.say(&line);
        assert_eq!(process.hear()["type"], "error", "{line}");
        assert_eq!(process.end(), 1, "{line}");
        assert!(!device.path().join("state").exists());
    }
}

#[test]
fn exit_codes_tell_what_kind_of_failure_it_was() {
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let dir = home.path().join("state");
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
        command
            .args(args)
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().unwrap().code()
    };
    assert_eq!(run(&["--help"]), Some(0));
    assert_eq!(run(&["enroll"]), Some(2));
    assert_eq!(run(&["enroll", "--station-cert", "x"]), Some(2));
    assert_eq!(run(&["status"]), Some(1), "there is no directory");
    assert_eq!(run(&["enroll", "--begin"]), Some(2), "there is no device.toml");
    assert_eq!(run(&["authenticate"]), Some(2));
}

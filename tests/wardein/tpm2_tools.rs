//! A device that has `tpm2-tools` and `openssl` and nothing of ours (`deploy/tpm2-tools.sh`), against the real authority and its station.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`, as `deploy/test.sh` says.

use crate::common::{Served, wardein};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use wardein_client::{Refusal, connect, v1};
use wardein_crypto::hex;
use wardein_testkit::{SoftTpm, Swtpm};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/tpm2-tools.sh");

#[tokio::test]
async fn it_enrolls_and_gets_its_certificate_and_what_is_forged_is_refused() {
    let (Some(swtpm), Some(other)) = (Swtpm::start(), Swtpm::start()) else { return };
    let served = Served::found().await;
    let home = served.home();
    let home = home.to_str().unwrap();
    let vendors = served.directory.path().join("vendors.pem");
    let issuers = [&swtpm, &other].map(|tpm| crate::common::read(&tpm.vendor()[1]));
    std::fs::write(&vendors, issuers.concat()).unwrap();
    let policy = ["--vendor-roots", vendors.to_str().unwrap(), "--tenant", "klinik", "--dir", home];
    assert!(wardein(&[&["attestation", "set"][..], &policy].concat()).status.success());
    let station = served.directory.path().join("station");
    let order =
        ["--role", "station", "--tenant", "klinik", "--name", "line-1", "--validity", "1d", "--quota", "9"];
    let place = ["--dir", home, "--out", station.to_str().unwrap()];
    assert!(wardein(&[&["operator", "issue"][..], &order, &place].concat()).status.success());

    let mut line = Line::relay(&station);
    let activated = refusals(&swtpm, &other, &mut line);
    let device = ["--tenant", "klinik", "--dir", home];
    let shown = wardein(&[&["--json", "device", "show", "pump-4"][..], &device].concat());
    assert_eq!(shown.status.code(), Some(3), "nothing was stored: {shown:?}");

    // The same TPM, with what it says of itself alone.
    let mut tools = Line::tools(&swtpm, &["enroll", "klinik", "pump-4"]);
    let evidence = tools.hear();
    tools.say(&line.ask(&evidence));
    let activation = tools.hear();
    // What it said before is of another nonce.
    let mut replayed = activation.clone();
    for field in ["attested", "signature"] {
        replayed[field] = activated[field].clone();
    }
    assert_eq!(line.ask(&replayed)["code"], "attest-nonce");
    let enrolled = line.ask(&activation);
    assert_eq!(enrolled["assurance"], "tpm-vendor", "{enrolled}");
    assert_eq!(line.ask(&activation), enrolled, "asked again after a lost reply, it is answered alike");
    tools.say(&enrolled);
    let end = tools.hear();
    assert_eq!(end["type"], "signs");
    line.say(&end);
    assert!(tools.child.wait().unwrap().success());
    let report = line.end();
    assert_eq!(report["enrolled"], 1, "{report}");
    assert_eq!(report["devices"].as_array().unwrap().last().unwrap()["assurance"], "tpm-vendor");

    requests(&swtpm, &served).await;
}

/// What another TPM, a program, or somebody between says; the last activation, which the authority never heard.
fn refusals(swtpm: &Swtpm, other: &Swtpm, line: &mut Line) -> Value {
    let soft = SoftTpm::new();
    let mut tools = Line::tools(swtpm, &["enroll", "klinik", "pump-4"]);
    let evidence = tools.hear();
    let of_other = Line::tools(other, &["enroll", "klinik", "pump-4"]).hear();
    let device_key = std::fs::read(swtpm.folder().join("key.pub")).unwrap();
    let without_certificate =
        [("ek_public", hex::encode(&soft.ek_public()).into()), ("ek_certificates", Value::Array(vec![]))];
    for (code, changes) in [
        ("ek-certificate-of-another", &[("ek_certificates", of_other["ek_certificates"].clone())][..]),
        ("ek-untrusted", &without_certificate),
        // It signs whatever its owner wants, a TPMS_ATTEST of his own making too.
        ("ak-attributes", &[("ak_public", hex::encode(&device_key).into())]),
        ("malformed", &[("ak_public", "zz".into())]),
    ] {
        assert_eq!(line.ask(&changed(&evidence, changes))["code"], code);
    }

    let challenge = line.ask(&evidence);
    tools.say(&challenge);
    let activation = tools.hear();
    let nonce: [u8; 32] = hex::decode_array(challenge["nonce"].as_str().unwrap()).unwrap();
    let (attested, signature) = soft.certify(&nonce);
    let forged = [("attested", hex::encode(&attested).into()), ("signature", hex::encode(&signature).into())];
    for (code, changes) in [
        ("credential-wrong", &[("secret", "00".repeat(32).into())][..]),
        ("attest-signature", &forged),
        ("certify-name", &[("device_key", hex::encode(&soft.device_public()).into())]),
        ("ticket-unknown", &[("device_id", "pump-5".into())]),
        ("ticket-unknown", &[("ticket", "00".repeat(64).into())]),
    ] {
        assert_eq!(line.ask(&changed(&activation, changes))["code"], code);
    }
    tools.child.kill().unwrap();
    tools.child.wait().unwrap();
    activation
}

/// Its certificate, by a signed request; what is said twice, or changed, is refused.
async fn requests(swtpm: &Swtpm, served: &Served) {
    run(swtpm, &["csr", "csr.der"]);
    let connection = connect(&served.settings()).await.unwrap();
    let (tenant, device_id) = ("klinik".to_owned(), "pump-4".to_owned());
    let ask = v1::GetChallengeRequest { tenant: tenant.clone(), device_id: device_id.clone() };
    let challenge = connection.device().get_challenge(ask).await.unwrap().into_inner().challenge;
    let told =
        run(swtpm, &["request", "klinik", "pump-4", "certificate", &hex::encode(&challenge), "csr.der"]);
    let [nonce, signature, transcript]: [&str; 3] =
        told.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
    let request = v1::ProveBySignatureRequest {
        tenant,
        device_id,
        challenge,
        device_nonce: hex::decode(nonce).unwrap(),
        action: "certificate".into(),
        body: std::fs::read(swtpm.folder().join("csr.der")).unwrap(),
        signature: hex::decode(signature).unwrap(),
        quote: None,
    };
    let code = async |request: &v1::ProveBySignatureRequest| {
        let refused = connection.device().prove_by_signature(request.clone()).await.unwrap_err();
        Refusal::from(refused).code
    };
    let other = v1::ProveBySignatureRequest { device_nonce: vec![0; 32], ..request.clone() };
    assert_eq!(code(&other).await, "signature-wrong");
    let reply = connection.device().prove_by_signature(request.clone()).await.unwrap().into_inner();
    assert_eq!(code(&request).await, "replayed");

    std::fs::write(swtpm.folder().join("reply"), &reply.body).unwrap();
    let identity = served.home().join("identity.pub");
    let accept = |server_time: u64| {
        let (time, signature) = (server_time.to_string(), hex::encode(&reply.signature));
        let accept = ["accept", transcript, &time, "reply", &signature, identity.to_str().unwrap()];
        command(swtpm, &accept).output().unwrap().status.success()
    };
    assert!(accept(reply.server_time_seconds));
    assert!(!accept(reply.server_time_seconds + 1), "what somebody changed is not believed");

    // Two framed certificates, the device's first.
    let split = |body: &[u8]| {
        let (length, rest) = body.split_first_chunk().unwrap();
        let (der, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        (der.to_vec(), rest.to_vec())
    };
    let (leaf, rest) = split(&reply.body);
    let (issuer, _) = split(&rest);
    let file = |name: &str| swtpm.folder().join(name);
    for (name, der) in [("leaf.pem", leaf), ("issuer.pem", issuer)] {
        let pem = wardein_pki::pem::encode_certificates([der.as_slice()]).unwrap();
        std::fs::write(file(name), pem).unwrap();
    }
    let verified = Command::new("openssl")
        .args(["verify", "-purpose", "sslclient", "-CAfile"])
        .args([
            &served.home().join("root-ca.pem"),
            Path::new("-untrusted"),
            &file("issuer.pem"),
            &file("leaf.pem"),
        ])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let of = |arguments: &[&str], name: &str| {
        Command::new("openssl").args(arguments).arg("-in").arg(file(name)).output().unwrap().stdout
    };
    let key = of(&["pkey", "-pubin", "-inform", "der"], "key.der");
    assert_eq!(of(&["x509", "-noout", "-pubkey"], "leaf.pem"), key, "it is for the key in the TPM");
}

fn changed(line: &Value, changes: &[(&str, Value)]) -> Value {
    let mut line = line.clone();
    for (field, value) in changes {
        line[*field] = value.clone();
    }
    line
}

fn command(swtpm: &Swtpm, arguments: &[&str]) -> Command {
    let mut command = swtpm.command("bash");
    command.arg(SCRIPT).args(arguments);
    command
}

fn run(swtpm: &Swtpm, arguments: &[&str]) -> String {
    let output = command(swtpm, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A process that speaks in lines of JSON.
struct Line {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Line {
    /// The station.
    fn relay(station: &Path) -> Self {
        let mut relay = Command::new(env!("CARGO_BIN_EXE_wardein"));
        relay.args(["--json", "device", "relay", "--identity"]).arg(station);
        Self::spawn(&mut relay)
    }

    /// The device.
    fn tools(swtpm: &Swtpm, arguments: &[&str]) -> Self {
        Self::spawn(&mut command(swtpm, arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| {
            let mut told = String::new();
            self.child.kill().unwrap();
            self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            panic!("{error}: {line:?}: {told}")
        })
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn ask(&mut self, line: &Value) -> Value {
        self.say(line);
        self.hear()
    }

    /// What the station reports once its line is closed.
    fn end(mut self) -> Value {
        drop(self.input);
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        self.child.wait().unwrap();
        let report =
            told.lines().find(|line| line.contains("\"devices\"")).unwrap_or_else(|| panic!("{told}"));
        serde_json::from_str(report).unwrap()
    }
}

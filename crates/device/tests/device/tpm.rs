//! A device whose key is in a TPM (`swtpm`), from its enrollment to its certificate.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`.

use crate::common::{Device, Shared};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use wardein_attest::{AkPublic, EkPublic, EkTrust, Evidence, TrustedAk, make_credential};
use wardein_crypto::{Digest, Secret, SecretBytes, SystemEntropy, hex};
use wardein_ddkg::DeviceName;
use wardein_device::{
    Agent, CallError, Directory, Error, Prover, Refused, Round, TpmActivation, TpmSettings, TpmStation,
    enroll_tpm, open_tpm,
};
use wardein_domain::{Assurance, Bank, EnrolledKey, PcrSelection, TpmChallenge, TpmEvidence};
use wardein_pki::VendorRoots;
use wardein_testkit::Swtpm;

const NONCE: [u8; 32] = [5; 32];
const SECRET: [u8; 32] = [6; 32];

/// A station, and the authority's judgment behind it.
struct Factory {
    trust: EkTrust,
    authority: Shared,
    tenant: &'static str,
    ak: Option<AkPublic>,
}

impl Factory {
    /// One that trusts the vendor of `swtpm`.
    fn new(swtpm: &Swtpm, authority: &Shared) -> Self {
        let [_, issuer] = swtpm.vendor();
        let issuer = std::fs::read_to_string(issuer).unwrap();
        let issuer = wardein_pki::pem::decode_certificates(&issuer).unwrap().remove(0);
        let trust = EkTrust::new(VendorRoots::new(&[&issuer]).unwrap(), false);
        Self { trust, authority: authority.clone(), tenant: "clinic", ak: None }
    }
}

fn refused(refusal: wardein_attest::Refusal) -> CallError {
    CallError::Refused(Refused { code: refusal.code().to_string(), ..Refused::default() })
}

impl TpmStation for Factory {
    async fn begin(&mut self, _: &DeviceName, evidence: &TpmEvidence) -> Result<TpmChallenge, CallError> {
        let certificates: Vec<&[u8]> = evidence.ek_certificates.iter().map(Vec::as_slice).collect();
        let ek = EkPublic::parse(&evidence.ek_public).map_err(refused)?;
        // 2100-01-01: behind the making of the certificates, whenever this runs.
        let endorsed = self.trust.judge(ek, &certificates, false, 4_102_444_800).map_err(refused)?;
        let ak = self.ak.insert(AkPublic::parse(&evidence.ak_public).map_err(refused)?);
        let secret = Secret::copied_from(&SECRET);
        let made = make_credential(&endorsed, ak, &secret, &mut SystemEntropy::default()).unwrap();
        let (id_object, encrypted_secret) = (made.id_object, made.encrypted_secret);
        let quote = self.authority.0.borrow().registers;
        Ok(TpmChallenge { ticket: b"ticket".to_vec(), id_object, encrypted_secret, nonce: NONCE, quote })
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        assert_eq!(activation.ticket, b"ticket");
        let ak = self.ak.take().unwrap();
        let ak = TrustedAk::activated(ak, &Secret::copied_from(&SECRET), activation.secret.expose())
            .map_err(refused)?;
        let evidence = Evidence { attested: &activation.attested, signature: &activation.signature };
        let key = ak.certified(evidence, &NONCE, &activation.device_key).map_err(refused)?;
        let mut world = self.authority.0.borrow_mut();
        assert_eq!(activation.quote.is_some(), world.registers.is_some());
        world.quoted = activation.quote.clone().map(|quote| (NONCE, quote));
        world.signs_with = Some(*key.public_key().verifying_key());
        let key_id = Digest::of(&key.public_key().spki()).0;
        Ok(EnrolledKey { tenant: self.tenant.parse().unwrap(), key_id, assurance: Assurance::TpmVendor })
    }
}

fn settings(swtpm: &Swtpm, endorsement_key: Option<&str>) -> TpmSettings {
    TpmSettings { tcti: swtpm.tcti(), endorsement_key: endorsement_key.map(str::to_owned) }
}

#[tokio::test]
async fn it_is_enrolled_by_its_tpm_and_certified_after_a_power_cut() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let authority = Shared::new();
    let device = Device::new(&authority);
    let mut factory = Factory::new(&swtpm, &authority);
    let (config, path) = (authority.config(), device.path());
    for kind in [None, Some("rsa2048"), Some("p384")] {
        let directory = Directory::create(&path).unwrap();
        let mut tpm = open_tpm(&settings(&swtpm, kind)).unwrap();
        let enrolled = enroll_tpm(&directory, &config, &mut tpm, &mut factory).await.unwrap();
        assert_eq!(enrolled.assurance, Assurance::TpmVendor);
        assert_eq!(
            directory.files().signing_key().unwrap().map(|key| key.key),
            authority.0.borrow().signs_with
        );
    }
    // Nobody certified this one.
    let directory = Directory::create(&path).unwrap();
    let mut tpm = open_tpm(&settings(&swtpm, Some("p256"))).unwrap();
    let refused = enroll_tpm(&directory, &config, &mut tpm, &mut factory).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused(refused) if refused.code == "ek-untrusted"), "{refused}");
    drop((directory, tpm));

    for _ in 0..3 {
        let signer = open_tpm(&settings(&swtpm, None)).unwrap();
        let mut session = device.signing_session(signer).unwrap();
        session.authenticate().await.unwrap();
        // The session is still there when the power goes, and says nothing to the TPM before.
        swtpm.cut_power();
    }
    let signer = open_tpm(&settings(&swtpm, None)).unwrap();
    let mut agent = Agent::new(device.signing_session(signer).unwrap()).unwrap();
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    drop(agent);

    // A copy of the directory beside another TPM.
    let Some(other) = Swtpm::start() else { return };
    let mut copied = device.signing_session(open_tpm(&settings(&other, None)).unwrap()).unwrap();
    let error = copied.authenticate().await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refused) if refused.code == "signature-wrong"), "{error}");
}

#[tokio::test]
async fn it_quotes_its_registers_where_it_is_asked_to() {
    let Some(swtpm) = Swtpm::start() else { return };
    let authority = Shared::new();
    let device = Device::new(&authority);
    let selection = PcrSelection::new(Bank::Sha256, &[0, 7, 16]).unwrap();
    authority.0.borrow_mut().registers = Some(selection);
    let mut factory = Factory::new(&swtpm, &authority);
    let directory = Directory::create(&device.path()).unwrap();
    let mut tpm = open_tpm(&settings(&swtpm, None)).unwrap();
    enroll_tpm(&directory, &authority.config(), &mut tpm, &mut factory).await.unwrap();
    drop((directory, tpm));
    let ak = Swtpm::command(&swtpm, "tpm2_readpublic").args(["-c", "0x81000010", "-o", "ak.pub"]).output();
    assert!(ak.unwrap().status.success());
    let ak = AkPublic::parse(&std::fs::read(swtpm.folder().join("ak.pub")).unwrap()).unwrap();
    let ak = TrustedAk::assertion(ak);
    let judge = || {
        let (nonce, quote) = authority.0.borrow_mut().quoted.take().unwrap();
        let evidence = Evidence { attested: &quote.attested, signature: &quote.signature };
        let state = ak.quoted(evidence, &nonce, selection).unwrap();
        let values: Vec<&[u8]> = quote.values.iter().map(Vec::as_slice).collect();
        assert!(state.values(&values).is_ok());
        state
    };
    let enrolled = judge();

    let mut session = device.signing_session(open_tpm(&settings(&swtpm, None)).unwrap()).unwrap();
    session.authenticate().await.unwrap();
    assert!(authority.0.borrow().quoted.is_none(), "only with a certificate");
    session.certificate().await.unwrap();
    assert!(judge().same_as(&enrolled).is_ok());
    let extend = format!("16:sha256={}", "5a".repeat(32));
    assert!(swtpm.command("tpm2_pcrextend").arg(extend).status().unwrap().success());
    session.certificate().await.unwrap();
    assert!(judge().same_as(&enrolled).is_err());
}

#[tokio::test]
async fn a_station_of_another_tenant_leaves_nothing_behind() {
    let Some(swtpm) = Swtpm::start() else { return };
    let authority = Shared::new();
    let device = Device::new(&authority);
    let mut factory = Factory { tenant: "other", ..Factory::new(&swtpm, &authority) };
    let directory = Directory::create(&device.path()).unwrap();
    let mut tpm = open_tpm(&settings(&swtpm, None)).unwrap();
    let refused = enroll_tpm(&directory, &authority.config(), &mut tpm, &mut factory).await;
    assert!(matches!(refused, Err(Error::OtherTenant { .. })));
    assert_eq!(directory.files().signing_key().unwrap(), None);
}

#[tokio::test]
async fn the_binary_speaks_with_its_station_in_lines() {
    let Some(swtpm) = Swtpm::start() else { return };
    let authority = Shared::new();
    let device = Device::new(&authority);
    let mut factory = Factory::new(&swtpm, &authority);
    let (config, home) = (authority.config(), device.root());
    let (key, roots) = (home.join("identity.pub"), home.join("roots.pem"));
    std::fs::write(&key, hex::encode(&config.identity_key.0)).unwrap();
    std::fs::write(&roots, &config.trust_roots).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wardein-device"))
        .args(["enroll", "--begin", "--tenant", "clinic", "--device-id", "pump-1"])
        .args(["--endpoint", "https://localhost:1", "--signs-with", &swtpm.tcti()])
        .args(["--dir".as_ref(), device.path().as_os_str(), "--identity-key".as_ref(), key.as_os_str()])
        .args(["--trust-roots".as_ref(), roots.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    let mut hear = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };

    let line = hear();
    assert_eq!((&line["type"], &line["version"]), (&json!("tpm_evidence"), &json!(1)));
    let evidence = TpmEvidence {
        ek_public: bytes(&line["ek_public"]),
        ek_certificates: line["ek_certificates"].as_array().unwrap().iter().map(bytes).collect(),
        ak_public: bytes(&line["ak_public"]),
    };
    let challenge = factory.begin(&config.device, &evidence).await.unwrap();
    writeln!(
        input,
        "{}",
        json!({
            "type": "tpm_challenge", "ticket": hex::encode(&challenge.ticket), "id_object": hex::encode(&challenge.id_object),
            "encrypted_secret": hex::encode(&challenge.encrypted_secret), "nonce": hex::encode(&challenge.nonce),
        })
    )
    .unwrap();
    let line = hear();
    assert_eq!(line["type"], "tpm_activation");
    let activation = TpmActivation {
        device: config.device.clone(),
        ticket: bytes(&line["ticket"]),
        secret: SecretBytes::from_vec(bytes(&line["secret"])),
        device_key: bytes(&line["device_key"]),
        attested: bytes(&line["attested"]),
        signature: bytes(&line["signature"]),
        quote: None,
    };
    let enrolled = factory.finish(&activation).await.unwrap();
    writeln!(
        input,
        "{}",
        json!({
            "type": "key_enrolled", "tenant": "clinic", "key_id": hex::encode(&enrolled.key_id),
            "assurance": "tpm-vendor",
        })
    )
    .unwrap();
    assert_eq!(hear(), json!({"type": "signs", "assurance": "tpm-vendor"}));
    assert!(child.wait().unwrap().success());

    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
        command.arg("--dir").arg(device.path()).args(arguments).output().unwrap()
    };
    let status: Value = serde_json::from_slice(&run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["signing"]["key_id"], hex::encode(&enrolled.key_id));
    assert_eq!(status["signing"]["tpm"], swtpm.tcti());
    for derives in [&["rekey"][..], &["token", "--audience", "iot"], &["attributes"]] {
        let output = run(derives);
        assert_eq!(output.status.code(), Some(2), "{derives:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("signs with the TPM"), "{output:?}");
    }
    drop(swtpm);
    let output = run(&["authenticate"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("(tpm-unavailable)"), "{output:?}");
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

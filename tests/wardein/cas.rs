//! `wardein ca`: a CA of a tenant's own, its rotation, and the day on which a CA's key leaked, as deploy/KEYS.md has it. With the real
//! binaries; OpenSSL judges the chains.

use crate::common::{Served, wardein};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, SystemEntropy};
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_device::{Authority, CallError, RemoteStation, Station, Vouched};
use wardein_pki::{Csr, pem};

pub(crate) struct Place {
    pub(crate) served: Served,
    factory: RemoteStation,
    home: String,
    platform: String,
}

/// A device that gets certificates.
pub(crate) struct Device {
    name: DeviceName,
    state: DeviceState,
    measured: AttributeDigests,
}

impl Place {
    async fn new() -> Self {
        Self::over(Served::found().await).await
    }

    pub(crate) async fn over(served: Served) -> Self {
        let home = served.home().to_str().unwrap().to_owned();
        let platform = served.directory.path().join("platform").to_str().unwrap().to_owned();
        let order = ["--role", "platform", "--tenant", "klinik", "--name", "iot", "--validity", "30d"];
        done(&wardein(&[&["operator", "issue", "--dir", &home, "--out", &platform][..], &order].concat()));
        let station = served.issue("station", 10).await;
        let factory = RemoteStation::new(served.remote(), station, Vouched::default());
        Self { served, factory, home, platform }
    }

    /// What `wardein ca` prints for scripts.
    pub(crate) fn ca(&self, args: &[&str]) -> Value {
        let output = wardein(&[&["--json", "ca"][..], args, &["--dir", &self.home]].concat());
        done(&output);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn states(&self) -> Vec<(String, String)> {
        let listed = self.ca(&["list"]);
        let text = |ca: &Value, field: &str| ca[field].as_str().unwrap().to_owned();
        let mut found: Vec<_> = listed["cas"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ca| (text(ca, "tenant"), text(ca, "state")))
            .collect();
        found.sort();
        found
    }

    /// Writes a chain, and has OpenSSL judge it by the root alone, with each certificate as strictly as it can.
    pub(crate) fn verify(&self, name: &str, chain: &[Vec<u8>]) -> String {
        let file = self.served.directory.path().join(name).to_str().unwrap().to_owned();
        fs::write(&file, pem::encode_certificates(chain.iter().map(Vec::as_slice)).unwrap()).unwrap();
        let root = format!("{}/root-ca.pem", self.home);
        let verify =
            ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", &root, "-untrusted", &file];
        done(&Command::new("openssl").args(verify).arg(&file).output().unwrap());
        file
    }

    /// The revocation lists, of which there are so many within seconds.
    async fn lists(&self, count: usize) -> String {
        for _ in 0..50 {
            let made = self.served.http_get("/crl/bundle.pem").await;
            if made.matches("BEGIN X509 CRL").count() == count {
                return made;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("there are not {count} lists");
    }

    /// The same with a revocation list of every CA of the chain, as the authority serves them.
    pub(crate) async fn verify_by_lists(&self, file: &str) {
        let lists = self.served.directory.path().join("lists.pem").to_str().unwrap().to_owned();
        fs::write(&lists, self.lists(2).await).unwrap();
        let root = format!("{}/root-ca.pem", self.home);
        let verify = ["verify", "-crl_check_all", "-CRLfile", &lists, "-CAfile", &root, "-untrusted", file];
        done(&Command::new("openssl").args(verify).arg(file).output().unwrap());
    }

    /// The verdict on a certificate: the same by itself, and by its fingerprint as openssl prints it.
    pub(crate) fn check(&self, certificate: &str) -> String {
        let verdict = |option: &str, value: &str| {
            let output = wardein(&["--json", "trust", "check", "--identity", &self.platform, option, value]);
            let answer: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
            answer["verdict"].as_str().unwrap().to_owned()
        };
        let by_itself = verdict("--certificate", certificate);
        let print = ["x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"];
        let printed = Command::new("openssl").args(print).output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        let (_, fingerprint) = printed.trim().split_once('=').unwrap();
        assert_eq!(verdict("--fingerprint", fingerprint), by_itself, "{fingerprint}");
        by_itself
    }

    pub(crate) async fn device(&mut self, id: &str) -> Device {
        let name = DeviceName { tenant: "klinik".parse().unwrap(), device: id.parse().unwrap() };
        let attributes = Attributes::new();
        let (measured, entropy) = (attributes.digests(), &mut SystemEntropy::default());
        let pinned = P256VerifyingKey(self.served.identity_key);
        let enrolling = Enrolling::begin(pinned, Suite::P256, name.clone(), attributes, entropy).unwrap();
        let (_, reply) = self.factory.enroll(enrolling.request()).await.unwrap();
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        self.factory.confirm(&confirmation).await.unwrap();
        Device { name, state, measured }
    }

    /// The chain of a fresh certificate, leaf first.
    pub(crate) async fn certify(&self, device: &mut Device) -> Vec<Vec<u8>> {
        self.try_to_certify(device).await.unwrap()
    }

    pub(crate) async fn try_to_certify(&self, device: &mut Device) -> Result<Vec<Vec<u8>>, CallError> {
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let (csr, entropy) = (Csr::create(&key).unwrap(), &mut SystemEntropy::default());
        let mut authority = self.served.remote();
        let Device { name, state, measured } = device;
        let ask = state.ask_challenge();
        let offer = authority.challenge(name).await.unwrap();
        let proof =
            state.prove(ask, &offer, measured, "certificate".parse().unwrap(), &csr, entropy).unwrap();
        let (request, in_flight) = proof.save(|_| Ok::<_, ()>(())).unwrap();
        let reply = authority.prove(&request, &csr).await?;
        let body = reply.acked.body.clone();
        state.acknowledge(in_flight, reply.acked).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        let (mut rest, mut chain) = (&body[..], Vec::new());
        while let Some((length, after)) = rest.split_first_chunk() {
            let (der, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            chain.push(der.to_vec());
            rest = after;
        }
        Ok(chain)
    }

    async fn bundle(&self) -> Vec<Vec<u8>> {
        pem::decode_certificates(&self.served.http_get("/trust-bundle").await).unwrap()
    }
}

pub(crate) fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn id(ca: &Value) -> &str {
    ca["id"].as_str().unwrap()
}

pub(crate) fn der(ca: &Value) -> Vec<u8> {
    pem::decode_certificates(ca["pem"].as_str().unwrap()).unwrap().remove(0)
}

#[tokio::test]
async fn a_tenants_ca_is_followed_by_another_and_the_one_that_leaked_by_a_third() {
    let mut place = Place::new().await;
    let (mut device, mut asleep) = (place.device("pump-1").await, place.device("pump-2").await);
    let shared = place.certify(&mut asleep).await;
    let shared = place.verify("shared.pem", &shared);

    // A CA of its own, of another algorithm than the root's.
    let own = place.ca(&["create", "--tenant", "klinik", "--algorithm", "rsa-3072"]);
    let first = place.certify(&mut device).await;
    assert_eq!(first[1], der(&own));
    let first = place.verify("first.pem", &first);

    // Rotation: published ahead, switched to; what the former one issued is good.
    let next = place.ca(&["next", "--tenant", "klinik", "--algorithm", "p384"]);
    assert!(place.bundle().await.contains(&der(&next)), "published ahead");
    let refused = wardein(&["ca", "switch", id(&next), "--dir", &place.home]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"), "{refused:?}");
    place.ca(&["switch", id(&next), "--yes"]);
    let second = place.certify(&mut device).await;
    assert_eq!(second[1], der(&next));
    let second = place.verify("second.pem", &second);
    for certificate in [&shared, &first, &second] {
        assert_eq!(place.check(certificate), "trusted");
    }
    let early = wardein(&["ca", "retire", id(&own), "--yes", "--dir", &place.home]);
    assert!(String::from_utf8_lossy(&early.stderr).contains("ca-state"), "{early:?}");

    // The runbook of the day on which its key leaked.
    let done_with = place.ca(&["distrust", id(&next), "--reason", "its key leaked", "--yes"]);
    assert_eq!(done_with["ca"]["state"], "distrusted");
    let successor = &done_with["successor"];
    for _ in 0..2 {
        assert_eq!(place.check(&second), "not-trusted");
        for certificate in [&shared, &first] {
            assert_eq!(place.check(certificate), "trusted", "of another key");
        }
        let bundle = place.bundle().await;
        assert!(!bundle.contains(&der(&next)) && bundle.contains(&der(successor)));
        let third = place.certify(&mut device).await;
        assert_eq!(third[1], der(successor));
        let third = place.verify("third.pem", &third);
        assert_eq!(place.check(&third), "trusted");
        place.served.kill();
        place.served.start().await;
    }
    // One that heard of nothing.
    let woken = place.certify(&mut asleep).await;
    let woken = place.verify("woken.pem", &woken);
    assert_eq!(place.check(&woken), "trusted");
    let expected = [("", "active"), ("klinik", "active"), ("klinik", "distrusted"), ("klinik", "retiring")];
    assert_eq!(place.states(), expected.map(|(tenant, state)| (tenant.to_owned(), state.to_owned())));
    let entries = wardein(&["--json", "audit", "list", "--tenant", "klinik", "--dir", &place.home]);
    let said = String::from_utf8_lossy(&entries.stdout);
    for event in ["ca.create", "ca.switch", "ca.distrust"] {
        assert!(said.contains(event), "{event}: {said}");
    }
}

#[tokio::test]
async fn the_roots_key_is_kept_offline_and_comes_back_to_make_a_ca() {
    let mut place = Place::new().await;
    let mut device = place.device("pump-1").await;
    let path = |name: &str| place.served.directory.path().join(name).to_str().unwrap().to_owned();
    let ([file, passphrase, wrong], home) =
        (["root.pem", "passphrase", "wrong"].map(path), place.home.clone());
    fs::write(&passphrase, "correct horse battery").unwrap();
    let new = ["--dir", &home, "--out", &file, "--new-passphrase-file", &passphrase];
    let export = || wardein(&[&["ca", "export-root"][..], &new].concat());
    let busy = export();
    assert!(
        !busy.status.success() && !std::path::Path::new(&file).exists(),
        "a service has the store: {busy:?}"
    );
    place.served.terminate();
    done(&export());
    let text = crate::common::read(std::path::Path::new(&file));
    assert!(text.contains("ENCRYPTED PRIVATE KEY"), "{text}");
    let again = export();
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");
    place.served.start().await;
    let chain = place.certify(&mut device).await;
    let offline = place.verify("without.pem", &chain);
    // What nginx and HAProxy ask for: a list of every CA of the chain.
    place.verify_by_lists(&offline).await;
    let create = ["ca", "create", "--tenant", "klinik", "--dir", &home];
    let refused = wardein(&create);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("root-unavailable"), "{refused:?}");

    place.served.terminate();
    let import = |passphrase: &str| {
        wardein(&["ca", "import-root", &file, "--dir", &home, "--key-passphrase-file", passphrase])
    };
    fs::write(&wrong, "correct horse batter").unwrap();
    assert!(!import(&wrong).status.success());
    done(&import(&passphrase));
    place.served.start().await;
    let own = place.ca(&["create", "--tenant", "klinik"]);
    let chain = place.certify(&mut device).await;
    assert_eq!(chain[1], der(&own));
    place.verify("with.pem", &chain);
}

/// A company's root, made by OpenSSL, and a CA under it.
fn company(directory: &std::path::Path) {
    let openssl = |line: &str| {
        done(&Command::new("openssl").current_dir(directory).args(line.split(' ')).output().unwrap());
    };
    openssl(
        "req -x509 -newkey rsa:3072 -nodes -keyout company.key -out company.pem -days 3650 -subj /O=Klinik/CN=Root -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout sub.key -out sub.csr -subj /O=Klinik/CN=Sub",
    );
    let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    fs::write(directory.join("extensions"), extensions).unwrap();
    openssl(
        "x509 -req -in sub.csr -CA company.pem -CAkey company.key -CAcreateserial -days 900 -extfile extensions -out sub.pem",
    );
    openssl(
        "x509 -req -in issuing.csr -CA sub.pem -CAkey sub.key -CAcreateserial -days 800 -copy_extensions copyall -out issuing.pem",
    );
}

#[tokio::test]
async fn what_devices_show_leads_to_the_root_of_a_company_as_well() {
    let mut place = Place::new().await;
    let mut device = place.device("pump-1").await;
    let directory = place.served.directory.path().to_owned();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let own = place.ca(&["create", "--tenant", "klinik", "--algorithm", "p384"]);
    place.ca(&["csr", id(&own), "--out", &path("issuing.csr")]);
    company(&directory);
    let cat =
        |names: &[&str]| names.iter().map(|name| fs::read_to_string(path(name)).unwrap()).collect::<String>();
    fs::write(path("short.pem"), cat(&["issuing.pem", "sub.pem"])).unwrap();
    let import = |name: &str| wardein(&["ca", "import", id(&own), &path(name), "--dir", &place.home]);
    let refused = import("short.pem");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("ca-chain") && words.contains("root"), "{words}");
    assert_eq!(place.certify(&mut device).await.len(), 2);

    fs::write(path("whole.pem"), cat(&["issuing.pem", "sub.pem", "company.pem"])).unwrap();
    done(&import("whole.pem"));
    for _ in 0..2 {
        let chain = place.certify(&mut device).await;
        let others = pem::decode_certificates(&cat(&["issuing.pem", "sub.pem"])).unwrap();
        assert_eq!(chain[1..3], others, "the company's, without the root");
        assert_eq!(chain[3..], [der(&own)]);
        let file = path("leaf.pem");
        fs::write(&file, pem::encode_certificates(chain.iter().map(Vec::as_slice)).unwrap()).unwrap();
        fs::write(path("bundle.pem"), place.served.http_get("/trust-bundle").await).unwrap();
        assert_eq!(place.check(&file), "trusted");
        for trusted in ["company.pem", "bundle.pem"].map(path) {
            let verify =
                ["verify", "-x509_strict", "-purpose", "sslclient", "-no-CApath", "-CAfile", &trusted];
            done(&Command::new("openssl").args(verify).args(["-untrusted", &file, &file]).output().unwrap());
        }
        place.served.kill();
        place.served.start().await;
    }
    let shown = wardein(&["ca", "show", id(&own), "--dir", &place.home]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout).matches("BEGIN CERTIFICATE").count(), 3);
}

#[tokio::test]
async fn a_root_is_followed_by_another_and_who_trusts_either_goes_on() {
    let mut place = Place::new().await;
    let mut device = place.device("pump-1").await;
    let directory = place.served.directory.path().to_owned();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let home = place.home.clone();
    let (both, old, new) = (path("both.pem"), path("old.pem"), path("new.pem"));
    let rotate =
        || wardein(&["ca", "rotate-root", "--algorithm", "p384", "--dir", &home, "--out", &both, "--yes"]);
    let busy = rotate();
    assert!(!busy.status.success() && !std::path::Path::new(&both).exists(), "a service has the store");
    place.served.terminate();
    // A file that cannot be written is known before anything changes: a second change would be refused.
    let nowhere = path("nowhere/both.pem");
    let refused = wardein(&["ca", "rotate-root", "--dir", &home, "--out", &nowhere, "--yes"]);
    assert!(!refused.status.success(), "{refused:?}");
    done(&rotate());
    let roots = pem::decode_certificates(&fs::read_to_string(&both).unwrap()).unwrap();
    for (file, der) in [(&new, &roots[0]), (&old, &roots[1])] {
        fs::write(file, pem::encode_certificates([der.as_slice()]).unwrap()).unwrap();
    }
    assert_eq!(fs::read_to_string(&old).unwrap(), fs::read_to_string(format!("{home}/root-ca.pem")).unwrap());
    place.served.start().await;

    // The device and the administrator trust the former root alone, and reach the server by the link in its chain.
    let mut chains = vec![place.certify(&mut device).await];
    let next = place.ca(&["next", "--shared"]);
    place.ca(&["switch", id(&next), "--yes"]);
    chains.push(place.certify(&mut device).await);
    assert_eq!(chains[1][1], der(&next));
    for (number, chain) in chains.iter().enumerate() {
        let file = path(&format!("chain-{number}.pem"));
        fs::write(&file, pem::encode_certificates(chain.iter().map(Vec::as_slice)).unwrap()).unwrap();
        assert_eq!(place.check(&file), "trusted");
        let lists = path("lists.pem");
        fs::write(&lists, place.lists(4).await).unwrap();
        for root in [&old, &new] {
            let verify =
                ["verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-CRLfile", &lists];
            let by = ["-no-CApath", "-CAfile", root, "-untrusted", &file, &file];
            done(&Command::new("openssl").args(verify).args(by).output().unwrap());
        }
    }
    // A device that is enrolled now trusts both.
    let bundle = pem::encode_certificates(place.bundle().await.iter().map(Vec::as_slice)).unwrap();
    let trusted = wardein_pki::roots_of(&bundle).unwrap();
    assert_eq!(pem::decode_certificates(&trusted).unwrap(), roots);
    place.served.terminate();
    let early = wardein(&["ca", "drop-former-root", "--dir", &home, "--yes"]);
    assert!(String::from_utf8_lossy(&early.stderr).contains("root-rotating"), "{early:?}");
}

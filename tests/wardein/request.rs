//! `wardein operator request`, `sign` and `install`: a key that stays where it is made, and what is carried to it and from it.

use crate::common::{Served, answered, read, wardein};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wardein_crypto::Secret;
use wardein_domain::{Call, Role};
use wardein_engine::{Caller, Engine, OperatorOrder, Ports, found};
use wardein_pki::pem;
use wardein_testkit::{MemoryCustody, MemoryStore, TestClock};

/// An authority, and a place where keys are made.
struct Place {
    served: Served,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        Self { served: Served::found().await, directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn home(&self) -> String {
        self.served.home().to_str().unwrap().to_owned()
    }

    /// A directory with a key, and the request for it.
    fn request(&self, name: &str) -> (String, String) {
        let directory = self.path(name);
        done(&wardein(&["operator", "request", "--out", &directory]));
        (directory.clone(), format!("{directory}/operator.csr"))
    }

    fn sign(&self, request: &str, name: &str, bundle: &str) -> Output {
        let home = self.home();
        let order = ["--role", "platform", "--tenant", "klinik", "--name", name, "--validity", "30d"];
        let sign = ["--json", "operator", "sign", request, "--out", bundle, "--dir", &home];
        wardein(&[&sign[..], &order].concat())
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// It failed here, and says so in these words.
fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(words), "{words}: {said}");
}

fn install(directory: &str, bundle: &str, more: &[&str]) -> Output {
    wardein(&[&["--json", "operator", "install", directory, bundle], more].concat())
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(Path::new(path))).unwrap()
}

fn openssl(args: &[&str]) {
    done(&Command::new("openssl").args(args).output().unwrap());
}

#[tokio::test]
async fn a_key_stays_where_it_is_made_and_its_identity_comes_to_it() {
    let place = Place::new().await;
    let (directory, request) = place.request("billing");
    let key = read(&PathBuf::from(&directory).join("operator.key"));
    let bundle = place.path("bundle");
    let signed = place.sign(&request, "billing", &bundle);
    done(&signed);
    let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
    let root = signed["root_sha256"].as_str().unwrap();
    assert!(!read(Path::new(&bundle)).contains("PRIVATE"));

    done(&install(&directory, &bundle, &["--infrastructure", root]));
    assert_eq!(read(&PathBuf::from(&directory).join("operator.key")), key);
    let described = json(&format!("{directory}/operator.json"));
    assert_eq!((&described["serial"], &described["name"]), (&signed["serial"], &"billing".into()));
    // The first of the identity's anchors is the root, by the digest that openssl gives.
    let anchors = format!("{directory}/infrastructure.pem");
    let digest = ["x509", "-in", &anchors, "-noout", "-fingerprint", "-sha256"];
    let digest = Command::new("openssl").args(digest).output().unwrap();
    let written = String::from_utf8(digest.stdout).unwrap();
    let (_, written) = written.trim().split_once('=').unwrap();
    assert_eq!(written.replace(':', "").to_lowercase(), root);
    answered(&wardein(&["trust", "check", "--identity", &directory, "--device", "pump-1"]));

    // What is there stays.
    let other = place.path("other");
    refused(&install(&directory, &bundle, &[]), "has an identity already");
    refused(&wardein(&["operator", "request", "--out", &directory]), "cannot make");
    refused(&place.sign(&request, "other", &bundle), "cannot write");
    let listed = wardein(&["--json", "operator", "list", "--dir", &place.home()]);
    assert!(
        !String::from_utf8_lossy(&listed.stdout).contains("\"other\""),
        "nobody is certified for nothing"
    );
    // The root may be given as openssl writes it, or as a file.
    let (third, request) = place.request("third");
    done(&place.sign(&request, "third", &other));
    done(&install(&third, &other, &["--infrastructure", written]));
    let (fourth, request) = place.request("fourth");
    let other = place.path("fourth.bundle");
    done(&place.sign(&request, "fourth", &other));
    done(&install(&fourth, &other, &["--infrastructure", &anchors]));
}

#[tokio::test]
async fn a_key_and_a_request_of_openssl_are_as_good() {
    let place = Place::new().await;
    let directory = place.path("identity");
    fs::create_dir(&directory).unwrap();
    let (key, request, bundle) =
        (format!("{directory}/operator.key"), place.path("csr"), place.path("bundle"));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key]);
    openssl(&["req", "-new", "-key", &key, "-subj", "/CN=billing", "-out", &request]);
    done(&place.sign(&request, "billing", &bundle));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&install(&directory, &bundle, &[]), "open to others");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    done(&install(&directory, &bundle, &[]));
    answered(&wardein(&["trust", "check", "--identity", &directory, "--device", "pump-1"]));
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let place = Place::new().await;
    let (one, request) = place.request("one");
    let (two, _) = place.request("two");
    let bundle = place.path("bundle");
    done(&place.sign(&request, "one", &bundle));
    refused(&install(&two, &bundle, &[]), "is for another key");
    assert!(!Path::new(&two).join("operator.json").exists());

    // Requests that are none.
    let file = place.path("file");
    for (content, words) in [
        ("a letter", "contains no CERTIFICATE REQUEST"),
        (&read(Path::new(&one).join("operator.key").as_path()), "contains no CERTIFICATE REQUEST"),
        (&read(Path::new(&request)).replace("MI", "MJ"), "request"),
        (&"x".repeat(20_000), "more than"),
    ] {
        fs::write(&file, content).unwrap();
        refused(&place.sign(&file, "none", &place.path("none")), words);
    }
    let (key, curve) = (place.path("p384.key"), place.path("p384.csr"));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", &key]);
    openssl(&["req", "-new", "-key", &key, "-sha256", "-subj", "/CN=x", "-out", &curve]);
    refused(&place.sign(&curve, "none", &place.path("none")), "P-256");
    assert!(!Path::new(&place.path("none")).exists());

    // Bundles that are none, or of two authorities.
    let spoiled = |spoil: &dyn Fn(&mut Value)| {
        let mut value = json(&bundle);
        spoil(&mut value);
        fs::write(&file, value.to_string()).unwrap();
        install(&one, &file, &[])
    };
    let csr = pem::read_request(read(Path::new(&request)).as_bytes()).unwrap();
    let (of_another, root) = another(csr.clone(), 0).await;
    for (spoil, words) in [
        (&|value: &mut Value| value["more"] = Value::from(1), "unknown field"),
        (&|value: &mut Value| value["wardein-bundle"] = 2.into(), "form 2"),
        (&|value: &mut Value| value["operator.pem"] = "".into(), "contains no CERTIFICATE"),
        (&|value: &mut Value| value["operator.pem"] = value["trust.pem"].take(), "invalid type"),
        (&|value: &mut Value| value["endpoint"] = "http://localhost".into(), "endpoint"),
        (&|value: &mut Value| value["identity.pub"] = "04".into(), "identity.pub"),
        (
            &|value: &mut Value| value["infrastructure.pem"] = of_another["infrastructure.pem"].clone(),
            "operator.pem",
        ),
        (&|value: &mut Value| value["trust.pem"] = of_another["trust.pem"].clone(), "trust.pem"),
        (&|value: &mut Value| value["operator.pem"] = of_another["operator.pem"].clone(), "operator.pem"),
    ] as [(&dyn Fn(&mut Value), &str); 9]
    {
        refused(&spoiled(spoil), words);
    }
    fs::write(&file, "\u{0}").unwrap();
    refused(&install(&one, &file, &[]), "cannot take for a bundle");

    // One of another authority, and one that has ended.
    fs::write(&file, of_another.to_string()).unwrap();
    let anchors = format!("{}/infrastructure.pem", place.home());
    refused(&install(&one, &file, &["--infrastructure", &anchors]), "another authority's");
    let (ended, _) = another(csr, 400).await;
    fs::write(&file, ended.to_string()).unwrap();
    refused(&install(&one, &file, &[]), "ended 20");
    assert!(!Path::new(&one).join("operator.json").exists());

    done(&install(&one, &bundle, &["--infrastructure", &anchors]));
    // Nothing that was refused has left anything behind, and who has no other word for the authority takes the file's.
    let (three, request) = place.request("three");
    let csr = pem::read_request(read(Path::new(&request)).as_bytes()).unwrap();
    let (of_another, other_root) = another(csr, 0).await;
    assert_ne!(root, other_root);
    fs::write(&file, of_another.to_string()).unwrap();
    let installed = install(&three, &file, &[]);
    done(&installed);
    assert!(String::from_utf8_lossy(&installed.stdout).contains(&other_root), "it is shown, to be compared");
}

/// The bundle for a request that another authority signed so many days ago, and the digest of its root.
async fn another(csr: Vec<u8>, days: u64) -> (Value, String) {
    let (store, clock) = (MemoryStore::new(), TestClock::at(crate::common::now() - days * 86_400));
    let ports = || Ports::new(std::sync::Arc::new(store.clone()), clock.clone());
    let founded =
        found(&ports(), Secret::copied_from(&[7; 32]), "wardein.test".parse().unwrap()).await.unwrap();
    let engine = Engine::open(ports(), MemoryCustody::of([7; 32]).root_keys()).await.unwrap();
    let admin = Caller { principal: founded.admin.clone(), call: Call::new("test") };
    let tenant: wardein_domain::TenantId = "klinik".parse().unwrap();
    engine.create_tenant(&admin, tenant.clone()).await.unwrap();
    let (role, tenant, name) = (Role::Platform, Some(tenant), "one".parse().unwrap());
    let order = OperatorOrder { role, tenant, name, csr, validity: 86_400, quota: 0 };
    let (certificate, _) = engine.issue_operator(&admin, order).await.unwrap();
    let root = pem::decode_certificates(&founded.root_pem).unwrap().remove(0);
    let identity_key = wardein_crypto::P256VerifyingKey(founded.identity_key);
    let bundle = serde_json::json!({
        "wardein-bundle": 1,
        "endpoint": "https://another.test:7443",
        "operator.pem": certificate,
        "infrastructure.pem": founded.infrastructure_pem,
        "trust.pem": founded.bundle_pem,
        "identity.pub": pem::encode_public_key(&identity_key.into()),
    });
    (bundle, wardein_crypto::hex::encode(&wardein_crypto::Digest::of(&root).0))
}

//! An authority whose CAs have their keys in a token behind PKCS#11: it certifies, and OpenSSL judges certificates, revocation lists and
//! OCSP answers; another CA follows in the token; and what is wrong with token, PIN or key is said.
//!
//! It runs where `softhsm2` is installed, and must run where `WARDEIN_SOFTHSM=required`.

use crate::cas::{Place, der, done, id};
use crate::common::{Served, wardein};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use wardein_crypto::VerifyingKey;
use wardein_pki::{CaCertificate, Issuing, Root, pem};
use wardein_testkit::SoftHsm;

/// The options of `wardein init` and `wardein restore`.
fn options(hsm: &SoftHsm) -> Vec<String> {
    let pin_file = hsm.pin_file().to_str().unwrap().to_owned();
    let options = ["--pkcs11-module", SoftHsm::MODULE, "--pkcs11-token", SoftHsm::TOKEN, "--pkcs11-pin-file"];
    options.into_iter().map(str::to_owned).chain([pin_file]).collect()
}

async fn founded(hsm: &SoftHsm, more: &[&str]) -> Place {
    let options = options(hsm);
    let options: Vec<_> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Place::over(Served::found_in(&options, Some(hsm.env())).await).await
}

/// `wardein` with the token at hand.
fn run(hsm: &SoftHsm, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
    command.args(args).envs([hsm.env()]).stdin(Stdio::null()).output().unwrap()
}

/// What a command says that must fail.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains(SoftHsm::PIN), "{said}");
    said
}

/// The files of the objects in the token.
fn objects(hsm: &SoftHsm) -> BTreeSet<PathBuf> {
    let files = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tokens = files(&hsm.tokens()).filter(|path| path.is_dir());
    let objects = tokens.flat_map(|token| files(&token).collect::<Vec<_>>());
    objects.filter(|path| path.to_string_lossy().ends_with(".object")).collect()
}

/// The objects but for the token's own.
fn keys(hsm: &SoftHsm) -> usize {
    objects(hsm).iter().filter(|path| !path.ends_with("token.object")).count()
}

impl Place {
    /// How OpenSSL reads what the responder says of a certificate.
    async fn ocsp(&self, leaf: &str) -> String {
        let chain = pem::decode_certificates(&fs::read_to_string(leaf).unwrap()).unwrap();
        let issuer = format!("{leaf}.issuer");
        fs::write(&issuer, pem::encode_certificates([&chain[1][..]]).unwrap()).unwrap();
        let root = format!("{}/root-ca.pem", self.served.home().display());
        let url = format!("http://{}/ocsp", self.served.http);
        for _ in 0..300 {
            let ask = ["ocsp", "-issuer", &issuer, "-cert", leaf, "-url", &url, "-CAfile", &root];
            let asked = Command::new("openssl").args(ask).args(["-verify_other", &issuer]).output().unwrap();
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&asked.stdout),
                String::from_utf8_lossy(&asked.stderr)
            );
            if said.contains("Response verify OK") {
                return said;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("there is no answer");
    }
}

#[tokio::test]
async fn cas_in_a_token_certify_and_sign_lists_and_answers() {
    let Some(hsm) = SoftHsm::start() else { return };
    // RSA at its longest, as companies have it in their HSMs.
    let mut place = founded(&hsm, &["--root-algorithm", "rsa-4096", "--issuing-algorithm", "rsa-4096"]).await;
    assert_eq!(keys(&hsm), 6, "both halves of three keys");
    let bundle = fs::read_to_string(place.served.home().join("trust.pem")).unwrap();
    let cas = pem::decode_certificates(&bundle).unwrap();
    let root = CaCertificate::<Root>::parse(&cas[0]).unwrap();
    let issuing = CaCertificate::<Issuing>::parse(&cas[1]).unwrap();
    for key in [root.verifying_key(), issuing.verifying_key()] {
        assert!(matches!(key, VerifyingKey::Rsa(key) if key.bits() == 4_096), "{key:?}");
    }
    let (mut device, mut other) = (place.device("pump-1").await, place.device("pump-2").await);
    let first = place.certify(&mut device).await;
    let first = place.verify("first.pem", &first);
    place.verify_by_lists(&first).await;
    assert!(place.ocsp(&first).await.contains(": good"));
    assert_eq!(place.check(&first), "trusted");

    place.served.terminate();
    place.served.start().await;
    let second = place.certify(&mut other).await;
    let second = place.verify("second.pem", &second);
    place.verify_by_lists(&second).await;

    // What is revoked is on the list, and the responder says so.
    let dir = place.served.home().to_str().unwrap().to_owned();
    let revoke =
        ["device", "revoke", "pump-2", "--tenant", "klinik", "--reason", "stolen", "--yes", "--dir", &dir];
    done(&wardein(&revoke));
    assert!(place.ocsp(&second).await.contains(": revoked"));
    assert!(place.ocsp(&first).await.contains(": good"));

    // Another one follows, of another algorithm, with its key in the token.
    let next = place.ca(&["next", "--shared", "--algorithm", "p384"]);
    assert_eq!(keys(&hsm), 8);
    place.ca(&["switch", id(&next), "--yes"]);
    let third = place.certify(&mut device).await;
    assert_eq!(third[1], der(&next));
    let third = place.verify("third.pem", &third);
    assert!(place.ocsp(&third).await.contains(": good"));

    // A backup has no key of these; with the token at hand it is restored, without it that is said.
    let folder = place.served.directory.path().to_owned();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    done(&wardein(&["backup", "--dir", &dir, "--out", &path("backup")]));
    place.served.terminate();
    let key_file = path("root.key");
    let (from, to) = (path("backup"), path("restored"));
    let restore = ["restore", "--from", &from, "--dir", &to, "--key-file", &key_file];
    let said = refused(&run(&hsm, &restore));
    assert!(said.contains("--pkcs11-module") && !Path::new(&to).exists(), "{said}");
    let options = options(&hsm);
    let with_token: Vec<_> = restore.into_iter().chain(options.iter().map(String::as_str)).collect();
    let restored = run(&hsm, &with_token);
    done(&restored);
    let said = String::from_utf8_lossy(&restored.stdout);
    assert!(said.contains("not in the backup") && said.contains(id(&next)), "{said}");
    let doctor = run(&hsm, &["--json", "doctor", "--dir", &to]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("4 keys of CAs"), "{doctor:?}");

    // The root's key does not leave the token; it is replaced by one that is made there, too.
    fs::write(path("passphrase"), "a long passphrase").unwrap();
    let (out, passphrase) = (path("root-key.pem"), path("passphrase"));
    let export = ["ca", "export-root", "--dir", &dir, "--out", &out, "--new-passphrase-file", &passphrase];
    let said = refused(&run(&hsm, &export));
    assert!(said.contains("never leaves it"), "{said}");
    let rotate = ["ca", "rotate-root", "--dir", &dir, "--yes", "--out"];
    let nowhere = path("nowhere/roots.pem");
    refused(&run(&hsm, &[&rotate[..], &[&nowhere]].concat()));
    assert_eq!(keys(&hsm), 8, "nothing was changed");
    let roots = path("roots.pem");
    done(&run(&hsm, &[&rotate[..], &[&roots]].concat()));
    assert_eq!(
        (keys(&hsm), pem::decode_certificates(&fs::read_to_string(&roots).unwrap()).unwrap().len()),
        (10, 2)
    );
    place.served.start().await;
    let after = place.certify(&mut device).await;
    place.verify("after.pem", &after);
}

#[tokio::test]
async fn what_is_wrong_with_a_token_its_pin_or_a_key_is_said() {
    let Some(hsm) = SoftHsm::start() else { return };
    // The CA of operators in the store: it is the key of another that goes.
    let mut place = founded(&hsm, &["--pkcs11-keys", "issuing"]).await;
    let mut device = place.device("pump-1").await;
    let dir = place.served.home().to_str().unwrap().to_owned();
    let before = objects(&hsm);
    let next = place.ca(&["next", "--shared"]);
    let made: Vec<_> = objects(&hsm).difference(&before).cloned().collect();
    assert_eq!(made.len(), 2);
    place.ca(&["switch", id(&next), "--yes"]);
    let first = place.certify(&mut device).await;
    let first = place.verify("first.pem", &first);
    place.served.terminate();

    let config = format!("{dir}/wardein.toml");
    let serve = ["serve", "--config", &config];
    hsm.write_pin("00000000");
    let said = refused(&run(&hsm, &serve));
    assert!(said.contains("refuses the PIN") && said.contains(hsm.pin_file().to_str().unwrap()), "{said}");
    hsm.write_pin(SoftHsm::PIN);
    let text = fs::read_to_string(&config).unwrap();
    let configured = |from: &str, to: &str| {
        assert!(text.contains(from));
        fs::write(&config, text.replace(from, to)).unwrap();
    };
    configured(&format!("token = \"{}\"", SoftHsm::TOKEN), "token = \"another\"");
    let said = refused(&run(&hsm, &serve));
    assert!(said.contains("\"another\"") && said.contains(SoftHsm::TOKEN), "{said}");
    configured(SoftHsm::MODULE, "");
    let said = refused(&run(&hsm, &serve));
    assert!(said.contains(id(&next)) && said.contains("set [pkcs11]"), "{said}");
    configured("sessions = 4", "sessions = 65");
    assert!(refused(&run(&hsm, &serve)).contains("1 to 64"));
    fs::write(&config, &text).unwrap();

    // The key is deleted in the token: all but its signatures goes on, until another CA follows.
    made.iter().for_each(|file| fs::remove_file(file).unwrap());
    let log = place.served.directory.path().join("log");
    place.served.start_with(fs::File::create(&log).unwrap().into()).await;
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains(id(&next)) && logged.contains("wardein ca distrust"), "{logged}");
    assert_eq!(place.check(&first), "trusted");
    let refused = place.try_to_certify(&mut device).await.unwrap_err();
    assert!(format!("{refused:?}").contains("signer-unavailable"), "{refused:?}");
    place.ca(&["distrust", id(&next), "--reason", "its key is gone", "--yes"]);
    let chain = place.certify(&mut device).await;
    place.verify("second.pem", &chain);
}

#[test]
fn a_founding_without_its_token_makes_nothing() {
    let Some(hsm) = SoftHsm::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (dir, key_file) = (path("authority"), path("root.key"));
    let init = ["init", "--dir", &dir, "--trust-domain", "wardein.test", "--key-file", &key_file];
    let options = options(&hsm);
    let mut wrong = options.clone();
    wrong[3] = "another".to_owned();
    for (options, word) in [(&wrong[..], "\"another\""), (&options[..2], "--pkcs11-token")] {
        let args: Vec<_> = init.into_iter().chain(options.iter().map(String::as_str)).collect();
        let said = refused(&run(&hsm, &args));
        assert!(said.contains(word), "{said}");
    }
    hsm.write_pin("00000000");
    let args: Vec<_> = init.into_iter().chain(options.iter().map(String::as_str)).collect();
    assert!(refused(&run(&hsm, &args)).contains("refuses the PIN"));
    hsm.write_pin(SoftHsm::PIN);
    // What fails after keys were made takes them back.
    let used = path("taken");
    fs::write(&used, "too short").unwrap();
    let taken = ["init", "--dir", &dir, "--trust-domain", "wardein.test", "--key-file", &used];
    let args: Vec<_> = taken.into_iter().chain(options.iter().map(String::as_str)).collect();
    refused(&run(&hsm, &args));
    assert_eq!(keys(&hsm), 0);
    assert!(!Path::new(&dir).exists());
}

//! The keys that records are sealed under, through the real binary: changed while devices prove themselves, and put under another
//! protection. `WARDEIN_ROTATIONS` sets how often the root key is changed.

use crate::common::{Served, wardein};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wardein_client::Identity;
use wardein_crypto::{P256VerifyingKey, SecretBytes, SystemEntropy};
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_device::{Authority, Remote, RemoteStation, Station, Vouched};

const DEVICES: usize = 8;

struct TestDevice {
    name: DeviceName,
    state: DeviceState,
    authority: Remote,
}

impl TestDevice {
    async fn enroll(served: &Served, station: &Identity, id: String) -> Self {
        let name = DeviceName { tenant: "klinik".parse().unwrap(), device: id.parse().unwrap() };
        let key = SecretBytes::from_vec(station.key.expose().to_vec());
        let identity = Identity { certificates: station.certificates.clone(), key };
        let mut factory = RemoteStation::new(served.remote(), identity, Vouched::default());
        let (pinned, entropy) = (P256VerifyingKey(served.identity_key), &mut SystemEntropy::default());
        let enrolling =
            Enrolling::begin(pinned, Suite::P256, name.clone(), Attributes::new(), entropy).unwrap();
        let (_, reply) = factory.enroll(enrolling.request()).await.unwrap();
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        factory.confirm(&confirmation).await.unwrap();
        Self { name, state, authority: served.remote() }
    }

    /// One proof, which must be taken at the first try.
    async fn prove(&mut self) {
        let ask = self.state.ask_challenge();
        let offer = self.authority.challenge(&self.name).await.unwrap();
        let (none, entropy) = (AttributeDigests::default(), &mut SystemEntropy::default());
        let proof =
            self.state.prove(ask, &offer, &none, "authenticate".parse().unwrap(), b"", entropy).unwrap();
        let (request, in_flight) = proof.save(|_| Ok::<_, ()>(())).unwrap();
        let reply = self.authority.prove(&request, b"").await.unwrap();
        self.state.acknowledge(in_flight, reply.acked).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
    }
}

/// `wardein` with `args` and `--dir`, beside whatever else this thread does; what it told.
async fn told(served: &Served, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
    command.arg("--json").args(args).arg("--dir").arg(served.home()).stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}

#[test]
fn keys_are_changed_under_load_without_a_failed_call() {
    let rotations: u64 = std::env::var("WARDEIN_ROTATIONS").map_or(3, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut served = Served::found().await;
        let station = served.issue("station", 1_000).await;
        let mut devices = Vec::new();
        for number in 0..DEVICES {
            devices.push(TestDevice::enroll(&served, &station, format!("pump-{number}")).await);
        }
        let (is_over, proofs) = (Cell::new(false), Cell::new(0));
        let load = join_all(devices.iter_mut().map(async |device| {
            while !is_over.get() {
                device.prove().await;
                proofs.set(proofs.get() + 1);
            }
        }));
        let administration = async {
            for rotation in 0..rotations {
                let root = told(&served, &["key", "rotate", "--root", "--yes"]).await;
                assert_eq!(root["version"], rotation + 2);
                let tenant = told(&served, &["key", "rotate", "--tenant", "klinik", "--yes"]).await;
                assert_eq!(
                    (&tenant["version"], &tenant["sweep"]["dropped"]),
                    (&(rotation + 2).into(), &1.into())
                );
                told(&served, &["tenant", "create", &format!("t-{rotation}")]).await;
            }
            is_over.set(true);
        };
        tokio::join!(load, administration);
        println!(
            "{} proofs during {rotations} changes of the root key and of a tenant's, and none failed",
            proofs.get()
        );
        assert!(proofs.get() > DEVICES as u64);
        let status = told(&served, &["custody", "status"]).await;
        assert_eq!(status["root_key_versions"], Value::from(vec![rotations + 1]));
        let one = json!({ "version": rotations + 1, "older": 0 });
        assert_eq!(told(&served, &["key", "status", "--root"]).await["root_key"], one);
        assert_eq!(told(&served, &["key", "status", "--tenant", "klinik"]).await["storage_key"], one);
        served.kill();
        served.start().await;
        for device in &mut devices {
            device.prove().await;
        }
    });
}

#[test]
fn the_root_key_is_put_under_another_protection_and_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut served = Served::found().await;
        let secrets = served.directory.path().to_owned();
        let file = |name: &str, text: &str| {
            fs::write(secrets.join(name), text).unwrap();
            secrets.join(name).to_str().unwrap().to_owned()
        };
        let (first, second) = (file("first", "correct horse\n"), file("second", "battery staple\n"));
        let home = served.home();
        let dir = home.to_str().unwrap();
        let change =
            |args: &[&str]| wardein(&[&["--json", "custody", "change", "--dir", dir], args].concat());
        assert_eq!(
            change(&["--to", "passphrase", "--new-passphrase-file", &first]).status.code(),
            Some(2),
            "without --yes"
        );

        let done = change(&["--to", "passphrase", "--new-passphrase-file", &first, "--yes"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(
            (&shown["protection"], &shown["argon2"]),
            (&"passphrase".into(), &"Argon2id, 64 MiB, 3 passes, 4 lanes".into())
        );
        // The service that runs would bring the old protection back: it says so, and changes nothing. What was asked for is on record.
        let refused = wardein(&["key", "rotate", "--root", "--yes", "--dir", dir]);
        assert_eq!(refused.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("restart the service"));

        let wrong = change(&[
            "--to",
            "passphrase",
            "--passphrase-file",
            &second,
            "--new-passphrase-file",
            &second,
            "--yes",
        ]);
        assert!(
            wrong.status.code() == Some(1)
                && String::from_utf8_lossy(&wrong.stderr).contains("passphrase is wrong")
        );
        let done = change(&[
            "--to",
            "passphrase",
            "--passphrase-file",
            &first,
            "--new-passphrase-file",
            &second,
            "--yes",
        ]);
        assert!(done.status.success());

        served.kill();
        let config = home.join("wardein.toml");
        let text = fs::read_to_string(&config).unwrap();
        let with = text.replace("passphrase_file = \"\"", &format!("passphrase_file = \"{second}\""));
        assert_ne!(with, text);
        fs::write(&config, with).unwrap();
        served.start().await;
        let begun = Instant::now();
        while told(&served, &["key", "deeds"]).await["deeds"] != json!([]) {
            assert!(begun.elapsed() < Duration::from_secs(60), "what was refused does not go on");
        }
        let rotated = told(&served, &["key", "rotate", "--root", "--yes"]).await;
        assert_eq!(rotated["version"], 3, "the refused one came to its end at the start");

        let back = change(&["--to", "key-file", "--passphrase-file", &second, "--yes"]);
        assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
        served.kill();
        served.start().await;
        let status = told(&served, &["custody", "status"]).await;
        assert_eq!(
            (&status["protection"], &status["root_key_versions"]),
            (&"key file".into(), &Value::from(vec![3]))
        );
    });
}

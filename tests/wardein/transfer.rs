//! A device given to another tenant, by the real binaries: both sides agree on the command line, and the device goes over by
//! itself, over gRPC and over HTTP, also where the authority is killed in between.

use crate::common::{Served, wardein, wardein_device};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// An authority with tenants `klinik` and `lab`, an administrator of each, and a station of the first.
struct World {
    runtime: tokio::runtime::Runtime,
    served: Served,
    device: PathBuf,
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl World {
    fn found() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = Self { served: runtime.block_on(Served::found()), runtime, device: wardein_device() };
        let home = world.served.home();
        let home = home.to_str().unwrap();
        let run = |args: &[&str]| {
            let done = wardein(args);
            assert!(done.status.success(), "{}", text(&done));
        };
        run(&["tenant", "create", "lab", "--dir", home]);
        for (role, tenant, name) in [
            ("tenant-admin", "klinik", "klinik"),
            ("tenant-admin", "lab", "lab"),
            ("station", "klinik", "station"),
        ] {
            let out = world.file(name);
            let mut args = vec!["operator", "issue", "--dir", home, "--out", out.to_str().unwrap()];
            args.extend(["--role", role, "--tenant", tenant, "--name", name, "--validity", "1d"]);
            if role == "station" {
                args.extend(["--quota", "9"]);
            }
            run(&args);
        }
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.served.directory.path().join(name)
    }

    /// `wardein device …` as the administrator of a tenant.
    fn ask(&self, tenant: &str, args: &[&str]) -> Output {
        let identity = self.file(tenant);
        wardein(&[&["--json", "device"], args, &["--identity", identity.to_str().unwrap()]].concat())
    }

    fn told(&self, tenant: &str, args: &[&str]) -> Value {
        let done = self.ask(tenant, args);
        assert!(done.status.success(), "{args:?}: {}", text(&done));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    fn enroll(&self, id: &str, transport: &str) {
        let mut enroll = Command::new(&self.device);
        enroll.args(["enroll", "--tenant", "klinik", "--device-id", id, "--attribute", "board=text:rev-b"]);
        enroll.args(["--endpoint", &self.served.endpoint, "--transport", transport]);
        enroll.arg("--dir").arg(self.file(id));
        enroll.arg("--station-cert").arg(self.file("station").join("operator.pem"));
        enroll.arg("--station-key").arg(self.file("station").join("operator.key"));
        enroll.arg("--identity-key").arg(self.served.home().join("identity.pub"));
        enroll.arg("--trust-roots").arg(self.served.home().join("root-ca.pem"));
        let done = enroll.output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
    }

    /// `wardein-device …` of one device.
    fn on(&self, id: &str, args: &[&str]) -> Output {
        Command::new(&self.device).arg("--dir").arg(self.file(id)).args(args).output().unwrap()
    }

    fn state(&self, tenant: &str, id: &str) -> Value {
        self.told(tenant, &["show", id])["state"].clone()
    }

    fn agree(&self, id: &str) {
        let offered = self.told("klinik", &["transfer", id, "--to", "lab", "--reason", "sold", "--yes"]);
        assert_eq!(offered["state"], "offered");
        let listed = self.told("lab", &["transfers"]);
        assert_eq!(listed["transfers"][0]["device_id"], id);
        let accepted = self.told("lab", &["accept", id, "--from", "klinik"]);
        assert_eq!((&accepted["state"], &accepted["new_device_id"]), (&"accepted".into(), &id.into()));
    }
}

#[test]
fn a_device_goes_over_by_itself_when_both_tenants_have_agreed() {
    let mut world = World::found();
    for (id, transport) in [("pump-1", "grpc"), ("pump-2", "http")] {
        world.enroll(id, transport);
        let first = world.on(id, &["run", "--once"]);
        assert!(first.status.success(), "{}", text(&first));
        let without_yes = world.ask("klinik", &["transfer", id, "--to", "lab", "--reason", "sold"]);
        assert!(!without_yes.status.success(), "it asks first");
        world.agree(id);
        let foreign = world.ask("lab", &["show", id]);
        assert!(!foreign.status.success(), "it is not the other's yet");
        // A process that ends in between leaves it to the next contact.
        world.served.kill();
        world.runtime.block_on(world.served.start());
        let over = world.on(id, &["run", "--once"]);
        assert!(over.status.success(), "{}", text(&over));
        assert_eq!(
            (world.state("klinik", id), world.state("lab", id)),
            ("transferred".into(), "active".into())
        );
        let status: Value = serde_json::from_slice(&world.on(id, &["status", "--json"]).stdout).unwrap();
        assert_eq!((&status["tenant"], &status["device_id"]), (&"lab".into(), &id.into()));
        assert!(status["certificate"]["serial"].is_string(), "{status}");
        let again = world.on(id, &["authenticate"]);
        assert!(again.status.success(), "{}", text(&again));
        assert_eq!(world.told("klinik", &["transfers"])["transfers"], Value::Array(vec![]));
        let history = world.told("lab", &["history", id]);
        let events: Vec<_> =
            history["entries"].as_array().unwrap().iter().map(|entry| entry["event"].clone()).collect();
        assert!(events.contains(&"device.transfer".into()), "{events:?}");
    }
}

#[test]
fn an_offer_is_withdrawn_by_either_side_and_the_device_stays() {
    let world = World::found();
    world.enroll("pump-1", "grpc");
    for by in ["klinik", "lab"] {
        world.agree("pump-1");
        let off = world.told(by, &["withdraw", "pump-1", "--from", "klinik", "--reason", "a mistake"]);
        assert_eq!(off["state"], "withdrawn");
        let contact = world.on("pump-1", &["authenticate"]);
        assert!(contact.status.success(), "{}", text(&contact));
        assert_eq!(world.state("klinik", "pump-1"), "active");
    }
}

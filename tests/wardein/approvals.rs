//! Two-person approval by the command line: two administrators, an administrator more, a device revoked for good, another shredded.

use crate::common::{Served, wardein};
use serde_json::Value;
use std::fs;
use std::process::Output;
use std::time::Duration;

struct Place {
    served: Served,
    directory: tempfile::TempDir,
}

impl Place {
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// As the first administrator, whose identity the authority's directory has.
    fn first(&self, args: &[&str]) -> Output {
        let home = self.served.home();
        wardein(&[&["--json"], args, &["--dir", home.to_str().unwrap()]].concat())
    }

    fn second(&self, args: &[&str]) -> Output {
        wardein(&[&["--json"], args, &["--identity", &self.path("berta")]].concat())
    }

    fn state(&self, device: &str) -> String {
        let shown = done(self.first(&["device", "show", device, "--tenant", "klinik"]));
        shown["state"].as_str().unwrap().to_owned()
    }
}

fn done(output: Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn refused(output: &Output, code: &str) -> Value {
    let said: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), said["error"]["code"].as_str()), (Some(3), Some(code)), "{said}");
    said["error"].clone()
}

/// The proposal that a refusal names.
fn proposed(output: &Output) -> String {
    refused(output, "approval-required")["proposal"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_people_decide() {
    let place = Place { served: Served::found().await, directory: tempfile::tempdir().unwrap() };
    let (berta, carla) = (place.path("berta"), place.path("carla"));
    let issue = |name: &'static str, out: &str| {
        let order = ["operator", "issue", "--role", "admin", "--name", name, "--validity", "30d", "--out"];
        place.first(&[&order[..], &[out]].concat())
    };
    let guard = ["approval", "policy", "set", "--require", "revoke-device"];
    refused(&place.first(&guard), "approvers-missing");
    done(issue("berta", &berta));
    // A station, and two devices that it enrolled.
    let (station, csv, out) = (place.path("station"), place.path("list.csv"), place.path("devices"));
    let order = ["operator", "issue", "--role", "station", "--tenant", "klinik", "--name", "line-1"];
    done(place.first(&[&order[..], &["--validity", "1d", "--quota", "9", "--out", &station]].concat()));
    fs::write(&csv, "id,attr.board\npump-1,a\npump-2,b\n").unwrap();
    done(wardein(&["device", "enroll", "--identity", &station, "--csv", &csv, "--out", &out]));

    // Who is issued in the second of a proposal counts as issued after it, and may not approve it.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let policy = done(place.first(&guard));
    let deeds = ["issue-administrator", "revoke-device", "shred-device", "loosen-approvals"];
    assert_eq!((&policy["require"], &policy["approvers"]), (&serde_json::json!(deeds), &2.into()));

    // A device is revoked for good.
    let revoke = ["device", "revoke", "pump-1", "--tenant", "klinik", "--reason", "stolen", "--yes"];
    let id = proposed(&place.first(&revoke));
    assert_eq!(proposed(&place.first(&revoke)), id);
    let listed = done(place.second(&["approval", "list"]));
    assert_eq!(
        (&listed["proposals"][0]["id"], listed["proposals"].as_array().unwrap().len()),
        (&id.clone().into(), 1)
    );
    refused(&place.first(&["approval", "approve", &id, "--yes"]), "approver-not-independent");
    // Without --yes it says what it would do, and does nothing.
    let looked = wardein(&["approval", "approve", &id, "--identity", &berta]);
    let said = String::from_utf8_lossy(&looked.stderr).into_owned();
    assert_eq!(looked.status.code(), Some(2), "{said}");
    for line in [
        "revoke-device in klinik",
        "device_id = pump-1",
        "state = revoked",
        "reason = stolen",
        "nothing was done",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(done(place.second(&["approval", "show", &id]))["state"], "open");
    assert_eq!(done(place.second(&["approval", "approve", &id, "--yes"]))["state"], "approved");
    assert_ne!(place.state("pump-1"), "revoked");
    done(place.first(&revoke));
    assert_eq!(place.state("pump-1"), "revoked");
    let shown = done(place.second(&["approval", "show", &id]));
    assert_eq!((&shown["state"], &shown["decided_by"]), (&"carried-out".into(), &"admin/berta".into()));

    // An administrator is issued: the key waits in its directory.
    let id = proposed(&issue("carla", &carla));
    assert!(fs::exists(format!("{carla}/operator.key")).unwrap(), "{:?}", fs::read_dir(&carla));
    assert_eq!(proposed(&issue("carla", &carla)), id);
    done(place.second(&["approval", "approve", &id, "--yes"]));
    done(issue("carla", &carla));
    done(wardein(&["--json", "tenant", "list", "--identity", &carla]));
    // By a key that was carried here.
    let (dora, bundle) = (place.path("dora"), place.path("dora.bundle"));
    done(wardein(&["operator", "request", "--out", &dora]));
    let sign = || {
        let request = format!("{dora}/operator.csr");
        let order = ["--role", "admin", "--name", "dora", "--validity", "30d", "--out", &bundle];
        place.first(&[&["operator", "sign", &request][..], &order].concat())
    };
    let id = proposed(&sign());
    done(place.second(&["approval", "approve", &id, "--yes"]));
    done(sign());

    // A device is shredded; a proposal that was rejected is not carried out.
    let shred = ["device", "retire", "pump-2", "--shred", "--tenant", "klinik", "--reason", "sold", "--yes"];
    let id = proposed(&place.first(&shred));
    done(place.second(&["approval", "reject", &id, "--reason", "not yet"]));
    refused(&place.second(&["approval", "approve", &id, "--yes"]), "proposal-closed");
    let next = proposed(&place.first(&shred));
    assert_ne!(next, id);
    done(place.second(&["approval", "approve", &next, "--yes"]));
    done(place.first(&shred));
    assert_eq!(place.state("pump-2"), "retired");

    // The policy is loosened by two.
    let loosen = ["approval", "policy", "set", "--require", "none"];
    let id = proposed(&place.second(&loosen));
    // They are counted every ten seconds.
    let mut counted = false;
    for _ in 0..30 {
        counted |= place.served.http_get("/metrics").await.contains("wardein_open_proposals 1");
        if counted {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(counted);
    let metrics = place.served.http_get("/metrics").await;
    assert!(metrics.contains("wardein_devices{state=\"retired\"} 1"), "{metrics}");
    done(place.first(&["approval", "approve", &id, "--yes"]));
    assert_eq!(done(place.second(&loosen))["guarded"], serde_json::json!([]));
    let log = place.first(&["audit", "list"]);
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    for event in
        ["proposal.make", "proposal.approve", "proposal.reject", "proposal.carry-out", "approval-policy.put"]
    {
        assert!(log.contains(event), "{event}");
    }
}

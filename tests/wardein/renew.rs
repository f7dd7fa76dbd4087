//! `wardein operator renew`, from the command line.

use crate::common::{Served, answered, read, wardein};
use std::process::{Command, Output};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `network.endpoint` of the authority's configuration.
fn configured(home: &str) -> String {
    let config = read(&std::path::Path::new(home).join("wardein.toml"));
    let line = config.lines().find_map(|line| line.strip_prefix("endpoint = ")).unwrap();
    line.trim_matches('"').to_owned()
}

/// `identity.pub` as openssl reads it: the point ends its DER.
fn is_public_key(directory: &std::path::Path, point: &[u8]) {
    let pkey = ["pkey", "-pubin", "-outform", "der", "-in"];
    let der = Command::new("openssl").args(pkey).arg(directory.join("identity.pub")).output().unwrap();
    assert!(der.status.success() && der.stdout.ends_with(point), "{}", words(&der));
}

#[tokio::test]
async fn an_identity_renews_itself_beside_the_former_and_ends_with_it() {
    let served = Served::found().await;
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (home, former, renewed) = (served.home(), place("former"), place("renewed"));
    let home = home.to_str().unwrap();
    let order = ["operator", "issue", "--role", "platform", "--tenant", "klinik", "--name", "iot"];
    // The administrator's own way there is in no identity.
    assert_ne!(served.endpoint, configured(home));
    let to = ["--validity", "30d", "--out", &former, "--dir", home, "--endpoint", &served.endpoint];
    let issued = wardein(&[&order[..], &to].concat());
    assert!(issued.status.success(), "{}", words(&issued));
    let renew = |out: &str| wardein(&["operator", "renew", "--identity", &former, "--out", out]);
    let done = renew(&renewed);
    assert!(done.status.success(), "{}", words(&done));

    let part = |directory: &str, name: &str| read(&std::path::Path::new(directory).join(name));
    assert_ne!(part(&former, "operator.key"), part(&renewed, "operator.key"));
    let described = |directory: &str| -> serde_json::Value {
        serde_json::from_str(&part(directory, "operator.json")).unwrap()
    };
    let (before, after) = (described(&former), described(&renewed));
    for identity in [&before, &after] {
        assert_eq!(identity["endpoint"], configured(home));
    }
    for directory in [home, &former, &renewed] {
        is_public_key(std::path::Path::new(directory), &served.identity_key);
    }
    assert_eq!((&before["name"], &before["tenant"]), (&after["name"], &after["tenant"]));
    assert_ne!(before["serial"], after["serial"]);
    let asks = |identity: &str| wardein(&["trust", "check", "--identity", identity, "--device", "pump-1"]);
    for identity in [&former, &renewed] {
        let asked = asks(identity);
        answered(&asked);
    }

    // What is there stays as it is.
    let again = renew(&renewed);
    assert_eq!(again.status.code(), Some(1), "{}", words(&again));
    assert_eq!(described(&renewed), after);

    let serial = before["serial"].as_str().unwrap();
    let revoke =
        ["operator", "revoke", serial, "--with-issued", "--reason", "stolen", "--yes", "--dir", home];
    let revoked = wardein(&revoke);
    assert!(revoked.status.success(), "{}", words(&revoked));
    for identity in [&former, &renewed] {
        let refused = asks(identity);
        assert!(refused.status.code() == Some(3) && words(&refused).contains("operator-revoked"));
    }
    // Nothing is left of a directory for which nothing was certified.
    let refused = renew(&place("third"));
    assert_eq!(refused.status.code(), Some(3), "{}", words(&refused));
    assert!(!std::path::Path::new(&place("third")).exists());
}

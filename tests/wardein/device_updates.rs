//! A release of the authority's, by the real binaries, from the maker's desk to a device that runs it.

use crate::common::{Served, wardein, wardein_device};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[tokio::test]
async fn a_device_installs_what_was_released_and_nothing_that_was_recalled() {
    let served = Served::found().await;
    let (home, place) = (served.home(), served.directory.path());
    let dir = home.to_str().unwrap();
    let at = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let output = wardein(args);
        assert!(output.status.success(), "{args:?}: {}", words(&output));
        words(&output)
    };
    run(&["update", "repository", "create", "acme", "--dir", dir]);
    run(&["update", "line", "create", "acme", "infusion", "--path", "infusion/*/*", "--dir", dir]);
    let share = place.join("share/infusion/pump-3");
    fs::create_dir_all(&share).unwrap();
    let release = |version: &str, bytes: &[u8]| {
        let file = share.join(format!("{version}.img"));
        fs::write(&file, bytes).unwrap();
        let (file, path) = (file.to_str().unwrap().to_owned(), format!("infusion/pump-3/{version}.img"));
        let of = ["--repository", "acme", "--line", "infusion", "--dir", dir];
        let label = format!("1.{version}");
        let what = [
            "--version",
            version,
            "--label",
            &label,
            "--model",
            "pump-3",
            "--path",
            &path,
            "--floor",
            version,
        ];
        run(&[&["update", "add", &file], &of[..], &what].concat());
        run(&[&["update", "release", version, "--reason", "tried", "--yes"], &of[..]].concat());
    };
    release("2", b"the second");

    // A device, as a station has it.
    let (station, devices, list) = (at("station"), at("devices"), at("batch.csv"));
    fs::write(&list, "id,model,profile\npump-1,pump-3,\n").unwrap();
    let order = ["operator", "issue", "--role", "station", "--tenant", "klinik", "--name", "line-1"];
    let to = ["--validity", "1d", "--quota", "1", "--out", &station, "--dir", dir];
    run(&[&order[..], &to, &["--endpoint", &served.endpoint]].concat());
    run(&["device", "enroll", "--identity", &station, "--csv", &list, "--out", &devices]);
    let device = Path::new(&devices).join("pump-1");
    let install = at("install");
    fs::write(&install, format!("#!/bin/sh\ncp \"$1\" '{}'\n", at("slot"))).unwrap();
    fs::set_permissions(&install, fs::Permissions::from_mode(0o700)).unwrap();
    let section = format!(
        "\n[update]\nline = \"infusion\"\nmodel = \"pump-3\"\nrepository = \"http://{}/tuf/acme\"\nartifacts = \"dir:{}\"\n\
         install = [\"{install}\"]\n",
        served.http,
        at("share")
    );
    let config = fs::read_to_string(device.join("device.toml")).unwrap();
    fs::write(device.join("device.toml"), config + &section).unwrap();
    let update = |args: &[&str]| {
        let mut command = Command::new(wardein_device());
        command.arg("--dir").arg(&device).arg("update").args(args).arg("--json").output().unwrap()
    };
    let done = |args: &[&str]| -> Value {
        let output = update(args);
        assert!(output.status.success(), "{args:?}: {}", words(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };

    let exported = at("exported");
    run(&["update", "export", "acme", &exported, "--dir", dir]);
    assert_eq!(done(&["trust", &format!("{exported}/1.root.json")])["root"], 1);
    // The hospital decides: nothing is offered before it consents, and nobody of the authority consents for it.
    assert_eq!(done(&["check"])["offer"]["why_not"], "the site has not consented to it");
    let consent =
        ["update", "consent", "--all", "--repository", "acme", "--line", "infusion", "--reason", "agreed"];
    let denied = wardein(&[&consent[..], &["--tenant", "klinik", "--yes", "--dir", dir]].concat());
    assert_eq!(denied.status.code(), Some(3), "{}", words(&denied));
    let site = at("site");
    run(&[
        "operator",
        "issue",
        "--role",
        "site",
        "--tenant",
        "klinik",
        "--name",
        "ada",
        "--validity",
        "1d",
        "--out",
        &site,
        "--dir",
        dir,
        "--endpoint",
        &served.endpoint,
    ]);
    let by_site = |args: &[&str]| wardein(&[&["update"], args, &["--identity", &site, "--json"]].concat());
    assert_eq!(by_site(&consent[1..]).status.code(), Some(2), "nothing is done without --yes");
    let consented = by_site(&[&consent[1..], &["--yes"]].concat());
    let consented: Value = serde_json::from_slice(&consented.stdout).unwrap();
    assert_eq!(consented["choices"][0]["decision"], "consent");
    let closed = ["window", "--until", "2020-01-01", "--reason", "none today", "--yes"];
    assert!(by_site(&closed).status.success());
    assert_eq!(done(&["check"])["offer"]["why_not"], "the site has its devices updated at other times");
    assert!(by_site(&["window", "--any-time", "--reason", "open", "--yes"]).status.success());
    let rules: Value = serde_json::from_slice(&by_site(&["rules"]).stdout).unwrap();
    assert_eq!((&rules["consent"], &rules["until"]), (&"needed".into(), &0.into()));
    let checked = done(&["check"]);
    assert_eq!((&checked["releases"][0]["version"], &checked["offer"]["version"]), (&2.into(), &2.into()));
    // Paused, or rolled out to others first: not offered, whatever the metadata has.
    let of = ["--repository", "acme", "--line", "infusion", "--dir", dir];
    run(&[&["update", "pause", "2", "--reason", "a doubt", "--yes"], &of[..]].concat());
    let refused = |args: &[&str], code: &str, why: &str| {
        let output = update(args);
        let words = words(&output);
        assert!(!output.status.success() && words.contains(code) && words.contains(why), "{args:?}: {words}");
    };
    done(&["check"]);
    run(&[&["update", "resume", "2", "--reason", "no doubt", "--yes"], &of[..]].concat());
    let rollout = ["update", "rollout", "2", "--tenant", "elsewhere", "--reason", "others first", "--yes"];
    let output = wardein(&[&rollout[..], &["--percent", "100"], &of[..]].concat());
    assert!(output.status.success(), "{}", words(&output));
    fs::remove_file(device.join("update/offer")).unwrap();
    refused(&["install"], "update-not-offered", "other devices");
    refused(&["download"], "update-not-offered", "other devices");
    let all = ["update", "rollout", "2", "--percent", "100", "--reason", "all of them"];
    let asked = wardein(&[&all[..], &of[..]].concat());
    assert_eq!(asked.status.code(), Some(2), "nothing is done without --yes");
    let shown = wardein(&[&all[..], &["--yes", "--json"], &of[..]].concat());
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["rollout"]["percent"], &shown["downgrade_from"]), (&100.into(), &0.into()));
    done(&["download"]);
    done(&["install"]);
    assert_eq!(fs::read(at("slot")).unwrap(), b"the second");
    let counted = |version: &str| -> Value {
        let shown = wardein(&[&["update", "show", version, "--json"], &of[..]].concat());
        serde_json::from_slice::<Value>(&shown.stdout).unwrap()["receipts"].clone()
    };
    let none = serde_json::json!({ "running": 0, "differing": 0, "rolled_back": 0 });
    assert_eq!(counted("2"), none);
    let confirmed = done(&["confirm"]);
    assert_eq!((&confirmed["running"]["floor"], &confirmed["receipt"]), (&2.into(), &"acknowledged".into()));
    assert_eq!(counted("2")["running"], 1);
    // It is not fetched again, and a site sees what is released for it.
    refused(&["download"], "update-not-offered", "no such release");
    let listed = by_site(&["list", "--repository", "acme", "--line", "infusion"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (&listed["releases"][0]["version"], &listed["releases"][0]["added_by"]),
        (&2.into(), &"".into())
    );

    // A release that is recalled before the device has it is not there any more.
    release("3", b"the third");
    assert_eq!(done(&["check"])["releases"][0]["version"], 3);
    let recall = ["update", "recall", "3", "--reason", "alarms are silent", "--yes"];
    run(&[&recall[..], &["--repository", "acme", "--line", "infusion", "--dir", dir]].concat());
    refused(&["download", "--version", "3"], "update-not-offered", "recalled");

    // A writer of the share has it installed nowhere.
    release("4", b"the fourth");
    fs::write(share.join("4.img"), b"the fourtH").unwrap();
    let refused = update(&["download"]);
    assert_eq!(refused.status.code(), Some(5), "{}", words(&refused));
    assert!(words(&refused).contains("update-altered"), "{}", words(&refused));
    assert_eq!(fs::read(at("slot")).unwrap(), b"the second");

    // Sealed: nobody reads it on the share, and the device installs the file in it.
    let (plain, plaintext, sealed) = (at("5.img"), b"the fifth, which nobody reads", share.join("5.img.age"));
    fs::write(&plain, plaintext).unwrap();
    let add = |version: &str| {
        let what = ["--version", version, "--label", "1.5", "--model", "pump-3", "--path"];
        let add = ["update", "add", &plain, "--sealed", sealed.to_str().unwrap()];
        wardein(&[&add[..], &of[..], &what[..], &["infusion/pump-3/5.img.age"]].concat())
    };
    // One that is refused leaves nothing, so that the command can be run again.
    let output = add("1");
    assert!(
        output.status.code() == Some(3) && words(&output).contains("release-not-newer"),
        "{}",
        words(&output)
    );
    assert!(!sealed.exists());
    let output = add("5");
    assert!(output.status.success(), "{}", words(&output));
    run(&[&["update", "release", "5", "--reason", "tried", "--yes"], &of[..]].concat());
    let file = fs::read(&sealed).unwrap();
    assert!(!file.windows(9).any(|part| part == &plaintext[..9]));
    let output = add("6");
    assert!(
        output.status.code() == Some(1) && words(&output).contains("is not written over"),
        "{}",
        words(&output)
    );
    assert_eq!(fs::read(&sealed).unwrap(), file);
    done(&["download"]);
    done(&["install"]);
    assert_eq!(fs::read(at("slot")).unwrap(), plaintext);
    assert!(!device.join("update/artifact-key").exists() && !device.join("update/opened").exists());
}

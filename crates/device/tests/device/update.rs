//! Updates from a share that its writer may change at will, over a disk that is full and a power that is cut.

#[path = "../../../tuf/tests/tuf/maker.rs"]
#[allow(dead_code, reason = "the judges of the metadata use all of it")]
mod maker;

mod cuts;
#[cfg(feature = "hawkbit")]
mod hawkbit;
mod offers;
mod receipts;
#[cfg(feature = "files")]
mod sealed;
mod web;

use crate::common::{Shared, World};
use maker::{INFUSION, Maker, name, now, path};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use wardein_crypto::{Digest, Entropy, P256SigningKey, SecretBytes, SystemEntropy, hex};
use wardein_ddkg::authority::Accepted;
use wardein_device::{Config, Directory, Error, Files, Phase, Pick, Updater};
use wardein_domain::UnixSeconds;
use wardein_tuf::{NotOffered, Offer, OfferReply, Release};

const DAY: u64 = 86_400;

/// What the authority answers to an ask for an offer (DDKG-1 §8.3).
pub(crate) fn offer_reply(world: &World, accepted: &Accepted) -> Vec<u8> {
    let reply = match world.offered.clone() {
        None => OfferReply::Not(NotOffered::Release),
        Some((offer, None)) => OfferReply::Offered(offer),
        Some((offer, Some(key))) => {
            let nonce = SystemEntropy::default().array().unwrap();
            let mut sealed = accepted.seal_key(nonce, SecretBytes::from_vec(key.to_vec())).unwrap();
            sealed.rest = offer;
            OfferReply::WithKey(sealed.encode())
        }
    };
    reply.encode()
}

struct Bench {
    home: tempfile::TempDir,
    maker: Maker,
}

fn release(version: u64, floor: u64, bytes: &[u8]) -> Release {
    Release {
        version,
        label: format!("1.{version}"),
        models: vec!["pump-3".into()],
        floor,
        downgrade_from: None,
        notes: String::new(),
        attributes: BTreeMap::from([("firmware".into(), hex::encode(&Digest::of(bytes).0))]),
        plaintext: None,
    }
}

impl Bench {
    /// A device whose maker has one release, version 2, on a share.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut bench = Self { home, maker: Maker::new(UnixSeconds::new(now().get() + 30 * DAY)) };
        let line = bench.maker.lines.get_mut(&name(INFUSION)).unwrap();
        line.targets.clear();
        bench.publish(&release(2, 2, b"the second"), b"the second");
        let share = bench.share();
        fs::write(bench.home.path().join("1.root.json"), bench.maker.files["1.root.json"].clone()).unwrap();
        bench.script("install", "cp \"$1\" \"${0%install}slot\"; echo \"$2\" >> \"${0%install}installs\"");
        bench.script("idle", "test ! -e \"${0%idle}patient\"");
        bench.configure(
            &format!("dir:{}/metadata", share.display()),
            &format!("dir:{}/targets", share.display()),
        );
        bench
    }

    fn share(&self) -> PathBuf {
        self.home.path().join("share")
    }

    fn at(&self, file: &str) -> PathBuf {
        self.home.path().join(file)
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.at(name), format!("#!/bin/sh\nset -e\n{text}\n")).unwrap();
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn configure(&self, repository: &str, artifacts: &str) {
        self.configure_with(&Shared::new(), repository, artifacts, "");
    }

    /// A device that installs by offers of the authority `shared` alone.
    fn needs_offers_of(&self, shared: &Shared) {
        let share = self.share();
        let (metadata, targets) =
            (format!("dir:{}/metadata", share.display()), format!("dir:{}/targets", share.display()));
        self.configure_with(shared, &metadata, &targets, "name = \"acme\"\noffers = true\n");
    }

    fn configure_with(&self, shared: &Shared, repository: &str, artifacts: &str, more: &str) {
        let home = self.home.path().display();
        let text = shared.config().to_text().unwrap();
        let section = format!(
            "\n[update]\nline = \"{INFUSION}\"\nmodel = \"pump-3\"\nrepository = \"{repository}\"\nartifacts = \"{artifacts}\"\n\
             install = [\"{home}/install\"]\nidle = [\"{home}/idle\"]\n{more}"
        );
        let config = Config::parse(&format!("{text}{section}")).unwrap();
        Directory::create(&self.at("device")).unwrap().save_config(&config).unwrap();
    }

    fn publish(&mut self, release: &Release, bytes: &[u8]) {
        let at = format!("{INFUSION}/pump-3/{}.img", release.version);
        self.maker.add(INFUSION, &at, bytes);
        let line = self.maker.lines.get_mut(&name(INFUSION)).unwrap();
        line.targets.get_mut(&path(&at)).unwrap().custom = Some(release.to_custom());
        self.write();
    }

    fn write(&mut self) {
        self.maker.publish();
        self.maker.write(&self.share());
    }

    async fn updater(&self) -> Updater {
        let files = Files::open(&self.at("device")).unwrap();
        Updater::open(&files, None, self.home.path().to_owned()).await.unwrap()
    }

    async fn trust(&self) {
        self.updater().await.trust(&fs::read(self.at("1.root.json")).unwrap()).unwrap();
    }

    async fn download(&self, pick: Pick) -> Result<PathBuf, Error> {
        Ok(self.updater().await.download(pick, &mut |_, _| ()).await?.1)
    }

    async fn update(&self) -> Result<u64, Error> {
        self.download(Pick::Latest).await?;
        Ok(self.updater().await.install(Pick::Latest).await?.version)
    }

    fn slot(&self) -> Option<Vec<u8>> {
        fs::read(self.at("slot")).ok()
    }

    fn artifact(&self, version: u64, bytes: &[u8]) -> PathBuf {
        let at = path(&format!("{INFUSION}/pump-3/{version}.img"));
        self.share().join("targets").join(at.consistent(&Digest::of(bytes)))
    }
}

fn code(result: Result<impl Sized, Error>) -> &'static str {
    match result {
        Ok(_) => "taken",
        Err(Error::Update(error)) => error.code(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_release_is_downloaded_installed_and_confirmed_and_then_its_floor_holds() {
    let mut bench = Bench::new();
    assert_eq!(code(bench.updater().await.check().await), "update-no-root");
    bench.trust().await;
    let root = fs::read(bench.at("1.root.json")).unwrap();
    assert_eq!(code(bench.updater().await.trust(&root)), "update-root-there");
    assert_eq!(bench.update().await.unwrap(), 2);
    let standing = bench.updater().await.standing().unwrap();
    assert_eq!(
        (standing.floor, standing.running, standing.pending.map(|of| of.0)),
        (0, None, Some(Phase::Installed))
    );
    assert_eq!(bench.slot().unwrap(), b"the second");
    // The same again installs nothing a second time.
    assert_eq!(bench.updater().await.install(Pick::Latest).await.unwrap().version, 2);
    assert_eq!(fs::read_to_string(bench.at("installs")).unwrap(), "2\n");
    assert_eq!(bench.updater().await.confirm().unwrap().version, 2);
    // What runs is not fetched again, unless it is asked for by its number.
    assert_eq!(code(bench.download(Pick::Latest).await), "update-runs-already");
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-runs-already");
    bench.download(Pick::Version(2)).await.unwrap();
    fs::remove_file(bench.at("device/update/artifacts").join(hex::encode(&Digest::of(b"the second").0)))
        .unwrap();
    assert_eq!(code(bench.updater().await.confirm()), "update-nothing-pending");
    assert_eq!(code(bench.updater().await.rolled_back()), "update-nothing-pending");
    assert_eq!(bench.updater().await.standing().unwrap().floor, 2);
    // The maker's keys may say so, and the floor says no.
    bench.publish(&release(1, 0, b"the first"), b"the first");
    assert_eq!(code(bench.download(Pick::Version(1)).await), "update-below-floor");
    let signed = Release { downgrade_from: Some(2), ..release(1, 0, b"the first") };
    bench.publish(&signed, b"the first");
    bench.download(Pick::Version(1)).await.unwrap();
    bench.updater().await.install(Pick::Version(1)).await.unwrap();
    assert_eq!(bench.updater().await.standing().unwrap().floor, 2, "it has not started yet");
    bench.updater().await.confirm().unwrap();
    assert_eq!(bench.updater().await.standing().unwrap().floor, 0);
    assert_eq!(
        fs::read_dir(bench.at("device/update/artifacts")).unwrap().count(),
        0,
        "the room is given back"
    );
}

#[tokio::test]
async fn a_release_that_does_not_start_leaves_floor_and_version_as_they_were() {
    let mut bench = Bench::new();
    bench.trust().await;
    bench.update().await.unwrap();
    bench.updater().await.confirm().unwrap();
    bench.publish(&release(3, 3, b"the third"), b"the third");
    bench.update().await.unwrap();
    bench.publish(&release(4, 4, b"the fourth"), b"the fourth");
    bench.download(Pick::Version(4)).await.unwrap();
    assert_eq!(code(bench.updater().await.install(Pick::Version(4)).await), "update-pending");
    let standing = bench.updater().await.rolled_back().unwrap();
    assert_eq!((standing.floor, standing.running.unwrap().version, standing.pending), (2, 2, None));
    bench.updater().await.install(Pick::Version(4)).await.unwrap();
}

#[tokio::test]
async fn nothing_is_installed_of_another_model_or_while_a_patient_depends_on_the_device() {
    let mut bench = Bench::new();
    bench.trust().await;
    let other = Release { models: vec!["monitor".into()], ..release(5, 0, b"a monitor's") };
    bench.publish(&other, b"a monitor's");
    assert_eq!(code(bench.download(Pick::Version(5)).await), "update-other-model");
    assert_eq!(code(bench.download(Pick::Version(9)).await), "update-no-release");
    bench.download(Pick::Latest).await.unwrap();
    fs::write(bench.at("patient"), "").unwrap();
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-in-use");
    assert_eq!((bench.slot(), bench.updater().await.standing().unwrap().pending), (None, None));
    fs::remove_file(bench.at("patient")).unwrap();
    bench.script("install", "exit 7");
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-install-failed");
    assert_eq!(bench.updater().await.standing().unwrap().pending, None);
}

/// Before it is fetched: there may be hours of it.
#[cfg(not(feature = "files"))]
#[tokio::test]
async fn a_build_that_opens_nothing_says_so_and_fetches_nothing() {
    let mut bench = Bench::new();
    bench.trust().await;
    let plaintext = wardein_tuf::Plaintext { length: 9, sha256: Digest::of(b"the third") };
    bench.publish(&Release { plaintext: Some(plaintext), ..release(3, 3, b"the third") }, b"sealed");
    fs::remove_file(bench.artifact(3, b"sealed")).unwrap();
    let refused = bench.download(Pick::Latest).await.unwrap_err();
    assert_eq!(refused.exit_code(), 1, "it is not to be distrusted: {refused}");
    assert_eq!(code(Err::<(), _>(refused)), "update-unopenable");
}

/// The code that is expected, and what is done to the share or the clock.
type Fault<'a> = (&'a str, &'a dyn Fn(&Bench));

/// Each is one of what a writer of the share can do without the maker's keys; the device stays as it was.
#[tokio::test]
async fn a_writer_of_the_share_has_nothing_installed() {
    let alter = |bench: &Bench| fs::write(bench.artifact(2, b"the second"), b"the secone").unwrap();
    let lengthen =
        |bench: &Bench| fs::write(bench.artifact(2, b"the second"), b"the second, and more").unwrap();
    let shorten = |bench: &Bench| fs::write(bench.artifact(2, b"the second"), b"the").unwrap();
    let remove = |bench: &Bench| fs::remove_file(bench.artifact(2, b"the second")).unwrap();
    let resign = |bench: &Bench| {
        // The digest in the metadata is made to fit, as it would be where checksums are all there is.
        let listed = bench.share().join("metadata/2.infusion.json");
        let text = fs::read_to_string(&listed).unwrap();
        let (old, new) = (Digest::of(b"the second"), Digest::of(b"the secone"));
        let changed = text.replace(&hex::encode(&old.0), &hex::encode(&new.0));
        assert_ne!(changed, text);
        fs::write(listed, changed).unwrap();
    };
    let expire = |bench: &Bench| {
        let kept = bench.at("device/contact.json");
        fs::write(
            kept,
            format!("{{\"server_time\":{},\"action\":\"authenticate\"}}", now().get() + 31 * DAY),
        )
        .unwrap();
    };
    let endless = |bench: &Bench| {
        fs::write(bench.share().join("metadata/timestamp.json"), vec![b' '; 17 << 10]).unwrap();
    };
    let twice = |bench: &Bench| {
        let file = bench.share().join("metadata/timestamp.json");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replacen('{', "{\"signatures\":[],", 1)).unwrap();
    };
    let cases: [Fault<'_>; 8] = [
        ("update-altered", &alter),
        ("update-too-long", &lengthen),
        ("update-altered", &shorten),
        ("update-missing", &remove),
        ("update-altered", &resign),
        ("update-expired", &expire),
        ("update-too-long", &endless),
        ("update-malformed", &twice),
    ];
    for (place, (expected, fault)) in cases.into_iter().enumerate() {
        let bench = Bench::new();
        bench.trust().await;
        fault(&bench);
        assert_eq!(code(bench.update().await), expected, "case {place}");
        assert_eq!(
            (bench.slot(), bench.updater().await.standing().unwrap().pending),
            (None, None),
            "case {place}"
        );
    }
}

#[tokio::test]
async fn an_older_share_is_refused_and_what_was_downloaded_ends_with_its_metadata() {
    let mut bench = Bench::new();
    bench.trust().await;
    bench.write();
    let earlier = bench.at("earlier");
    assert!(Command::new("cp").arg("-r").arg(bench.share()).arg(&earlier).status().unwrap().success());
    bench.write();
    bench.download(Pick::Latest).await.unwrap();
    fs::remove_dir_all(bench.share()).unwrap();
    fs::rename(earlier, bench.share()).unwrap();
    assert_eq!(code(bench.updater().await.check().await), "update-rolled-back");
    // By what was kept, until that ends.
    let contact = |days: u64| {
        let text = format!("{{\"server_time\":{},\"action\":\"authenticate\"}}", now().get() + days * DAY);
        fs::write(bench.at("device/contact.json"), text).unwrap();
    };
    contact(31);
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-expired");
    contact(29);
    bench.updater().await.install(Pick::Latest).await.unwrap();
}

#[tokio::test]
async fn what_was_downloaded_is_judged_again_before_it_is_installed() {
    let bench = Bench::new();
    bench.trust().await;
    let artifact = bench.download(Pick::Latest).await.unwrap();
    let file = bench.at("copy");
    fs::copy(&artifact, &file).unwrap();
    assert_eq!(bench.updater().await.verify(Pick::Latest, &file).await.unwrap().release.version, 2);
    for path in [&file, &artifact] {
        fs::write(path, b"the secone").unwrap();
        assert_eq!(code(bench.updater().await.verify(Pick::Latest, path).await), "update-altered");
    }
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-altered");
    assert_eq!(bench.slot(), None);
    // And it is fetched again.
    bench.update().await.unwrap();
    assert_eq!(bench.slot().unwrap(), b"the second");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let bench = Bench::new();
    bench.trust().await;
    let artifact = bench.artifact(2, b"the second");
    fs::remove_file(&artifact).unwrap();
    assert!(Command::new("mkfifo").arg(&artifact).status().unwrap().success());
    let refused = tokio::time::timeout(Duration::from_secs(20), bench.update()).await.unwrap();
    assert!(matches!(refused, Err(Error::File { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_runs_is_compared_with_what_was_approved() {
    let bench = Bench::new();
    bench.trust().await;
    assert_eq!(code(bench.updater().await.running()), "update-nothing-runs");
    bench.update().await.unwrap();
    bench.updater().await.confirm().unwrap();
    fs::copy(bench.at("slot"), bench.at("firmware")).unwrap();
    assert!(bench.updater().await.running().unwrap().is_approved());
    fs::write(bench.at("firmware"), b"the secone").unwrap();
    let running = bench.updater().await.running().unwrap();
    assert_eq!((running.is_approved(), running.differ), (false, vec!["firmware".to_owned()]));
}

/// A download that stopped goes on, and bytes that were never written as they are read cost one more try; the device is killed beneath the
/// maker's command. With `WARDEIN_UPDATE_CUTS` so many times.
#[tokio::test]
async fn what_is_cut_off_anywhere_leaves_the_old_or_the_new() {
    let mut bench = Bench::new();
    bench.trust().await;
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        // SplitMix64, so that a failure can be had again.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % below
    };
    let mut running = b"nothing".to_vec();
    fs::write(bench.at("slot"), &running).unwrap();
    let mut count = 0;
    for version in 3.. {
        let new: Vec<u8> = (0..300_000u32).map(|n| (u64::from(n) * version) as u8).collect();
        bench.publish(&release(version, version, &new), &new);
        // In the download: part of it, with the rest of the last pages in any state.
        for _ in 0..4 {
            let part = bench
                .at("device/update/artifacts")
                .join(format!("{}.part", hex::encode(&Digest::of(&new).0)));
            let mut bytes = new[..random(300_000) as usize].to_vec();
            if random(2) == 0 {
                let garbage = bytes.len().saturating_sub(random(9_000) as usize);
                bytes[garbage..].fill(0);
            }
            fs::write(&part, bytes).unwrap();
            count += 1;
            bench.download(Pick::Latest).await.unwrap();
            fs::remove_file(part.with_extension("")).unwrap();
        }
        bench.download(Pick::Latest).await.unwrap();
        // In the installation: the maker's command is cut off, before its slot is whole or after.
        for _ in 0..3 {
            let (written, home) = (random(300_000), bench.home.path().display());
            bench.script("install", &format!("head -c {written} \"$1\" > {home}/slot.new; kill -9 $PPID"));
            let mut device = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
            device.args(["update", "install", "--dir"]).arg(bench.at("device")).env_clear();
            assert_eq!(device.output().unwrap().status.code(), None, "it is killed");
            count += 1;
            assert_eq!(bench.slot().unwrap(), running, "the old one is there");
            assert_eq!(bench.updater().await.standing().unwrap().pending.unwrap().0, Phase::Installing);
        }
        bench.script(
            "install",
            "cp \"$1\" \"${0%install}slot.new\"; mv \"${0%install}slot.new\" \"${0%install}slot\"",
        );
        bench.updater().await.install(Pick::Latest).await.unwrap();
        running = bench.slot().unwrap();
        assert_eq!(running, new);
        // At the first start: what was to be on record is there in part, beside what is.
        let standing = bench.updater().await.standing().unwrap();
        let before = standing.floor;
        let record = fs::read(bench.at("device/update/progress.json")).unwrap();
        let cut = random(record.len() as u64) as usize;
        fs::write(bench.at("device/update/progress.json.new"), &record[..cut]).unwrap();
        let standing = bench.updater().await.standing().unwrap();
        assert_eq!((standing.floor, standing.pending.unwrap().0), (before, Phase::Installed));
        bench.updater().await.confirm().unwrap();
        assert_eq!(bench.updater().await.standing().unwrap().floor, version);
        count += 1;
        if count >= cuts::asked_for(8) {
            break;
        }
    }
}

#[tokio::test]
async fn a_disk_without_room_is_known_before_anything_is_fetched() {
    let mut bench = Bench::new();
    bench.trust().await;
    bench.publish(&release(3, 3, b"x"), b"x");
    // As signed as the rest: no disk has that much.
    let line = bench.maker.lines.get_mut(&name(INFUSION)).unwrap();
    let listed = line.targets.get_mut(&path(&format!("{INFUSION}/pump-3/3.img"))).unwrap();
    listed.length = (1 << 53) - 1;
    bench.write();
    assert_eq!(code(bench.download(Pick::Latest).await), "update-no-room");
}

#[test]
fn the_commands_print_what_a_program_reads() {
    let bench = Bench::new();
    let run = |arguments: &[&str], expected: i32| {
        let mut device = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
        device.arg("update").args(arguments).arg("--json").arg("--dir").arg(bench.at("device")).env_clear();
        let out = device.output().unwrap();
        assert_eq!(
            out.status.code(),
            Some(expected),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    };
    let root = bench.at("1.root.json").display().to_string();
    run(&["check"], 1);
    assert_eq!(run(&["trust", &root], 0).trim(), "{\"root\":1}");
    let checked: serde_json::Value = serde_json::from_str(&run(&["check"], 0)).unwrap();
    assert_eq!(
        (&checked["releases"][0]["version"], &checked["releases"][0]["installable"]),
        (&2.into(), &true.into())
    );
    let stick = bench.share().display().to_string();
    run(&["download", "--from", &stick], 0);
    run(&["install"], 0);
    run(&["confirm"], 0);
    let standing: serde_json::Value = serde_json::from_str(&run(&["status"], 0)).unwrap();
    assert_eq!(
        (&standing["standing"]["floor"], &standing["standing"]["running"]["label"]),
        (&2.into(), &"1.2".into())
    );
    // There is no /firmware on the machine of a test.
    run(&["verify-running"], 1);
    fs::write(bench.share().join("metadata/timestamp.json"), "{}").unwrap();
    assert_eq!(run(&["check"], 5), "");
}

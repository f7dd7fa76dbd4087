//! Sealed artifacts: the file in one is installed, by the key that comes with an offer, and by nothing else.

use super::*;
use crate::common::Device;
use crate::common::signing::SoftKey;
use wardein_device::Agent;
use wardein_files::{SealedArtifact, seal_artifact};
use wardein_tuf::Plaintext;

pub(super) const PLAIN: &[u8] = b"the third";

pub(super) struct Sealed {
    pub(super) file: Vec<u8>,
    pub(super) key: [u8; 16],
}

pub(super) fn sealed() -> Sealed {
    let mut file = Vec::new();
    let SealedArtifact { key, .. } = seal_artifact(PLAIN, &mut file, &mut |_| ()).unwrap();
    Sealed { file, key: *key.expose() }
}

impl Bench {
    /// Release 3 with that artifact, of which the maker says that `named` is in it.
    pub(super) fn publish_sealed(&mut self, file: &[u8], named: &[u8]) {
        let plaintext = Plaintext { length: named.len() as u64, sha256: Digest::of(named) };
        self.publish(&Release { plaintext: Some(plaintext), ..release(3, 3, named) }, file);
    }

    pub(super) fn keep_key(&self, file: &[u8], key: [u8; 16]) {
        let kept = [&Digest::of(file).0[..], &key].concat();
        fs::create_dir_all(self.at("device/update")).unwrap();
        fs::write(self.at("device/update/artifact-key"), kept).unwrap();
    }

    fn has(&self, file: &str) -> bool {
        self.at("device/update").join(file).exists()
    }
}

fn offer_of(shared: &Shared, file: &[u8], issued: u64) -> Vec<u8> {
    offer_until(shared, file, issued, offers::offer(issued).expires)
}

fn offer_until(shared: &Shared, file: &[u8], issued: u64, expires: UnixSeconds) -> Vec<u8> {
    let (length, sha256) = (file.len() as u64, Digest::of(file));
    let offer = Offer { version: 3, length, sha256, expires, ..offers::offer(issued) };
    offer.sign(&shared.0.borrow().identity).unwrap()
}

/// A device that installs by offers, of release 3 that is sealed.
struct Offered {
    bench: Bench,
    shared: Shared,
    device: Device,
    file: Vec<u8>,
    key: [u8; 16],
}

impl Offered {
    async fn new() -> Self {
        Self::with(Shared::new()).await
    }

    async fn with(shared: Shared) -> Self {
        let mut bench = Bench::new();
        let device = Device::new(&shared);
        device.enroll(false).await.unwrap();
        bench.trust().await;
        bench.needs_offers_of(&shared);
        let Sealed { file, key } = sealed();
        bench.publish_sealed(&file, PLAIN);
        Self { bench, shared, device, file, key }
    }

    /// Asks for an offer, where the authority answers that one with the key; or none.
    async fn ask(&self, offer: Option<Vec<u8>>) {
        self.shared.0.borrow_mut().offered = offer.map(|offer| (offer, Some(self.key)));
        let mut session = self.device.session().unwrap();
        drop(self.bench.updater().await.ask_offer(&mut session, Pick::Latest).await.unwrap());
    }

    async fn install(&self) -> &'static str {
        code(self.bench.updater().await.install(Pick::Latest).await)
    }
}

#[tokio::test]
async fn the_file_in_a_sealed_artifact_is_installed_and_nothing_of_it_stays() {
    let mut bench = Bench::new();
    bench.trust().await;
    let Sealed { file, key } = sealed();
    bench.publish_sealed(&file, PLAIN);
    bench.keep_key(&file, key);
    // While the command runs, others cannot read it.
    bench.script("install", "stat -c %a \"$1\" > \"${0%install}mode\"; cp \"$1\" \"${0%install}slot\"");
    assert_eq!(bench.update().await.unwrap(), 3);
    assert_eq!(bench.slot().unwrap(), PLAIN);
    assert_eq!(fs::read_to_string(bench.at("mode")).unwrap(), "600\n");
    assert!(!bench.has("opened") && !bench.has("artifact-key"));
    let standing = bench.updater().await.standing().unwrap();
    assert_eq!(standing.pending.unwrap().1.sha256, hex::encode(&Digest::of(&file).0));
    assert_eq!(bench.updater().await.confirm().unwrap().version, 3);
    // A command that fails keeps the key for another try, and not the file.
    let again = sealed();
    bench.publish_sealed(&again.file, PLAIN);
    bench.keep_key(&again.file, again.key);
    bench.script("install", "exit 1");
    assert_eq!(code(bench.update().await), "update-install-failed");
    assert!(!bench.has("opened") && bench.has("artifact-key"));
}

#[tokio::test]
async fn nothing_is_installed_that_does_not_open_to_what_was_signed() {
    /// The refusal; the sealed file, the file that the release names in it, the key that came with the offer.
    type Case<'a> = (&'a str, &'a [u8], &'a [u8], Option<[u8; 16]>);
    let Sealed { file, key } = sealed();
    let cut = &file[..file.len() - 1];
    let none = b"no age file at all".as_slice();
    let cases: [Case<'_>; 8] = [
        ("update-key-missing", &file, PLAIN, None),
        ("update-key-wrong", &file, PLAIN, Some([7; 16])),
        ("update-key-wrong", &file, PLAIN, Some(sealed().key)),
        ("update-altered", &file, b"the thirt", Some(key)),
        ("update-altered", &file, b"the third and more", Some(key)),
        ("update-too-long", &file, b"the", Some(key)),
        ("update-not-opened", cut, PLAIN, Some(key)),
        ("update-not-opened", none, PLAIN, Some(key)),
    ];
    for (place, (expected, file, named, key)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new();
        bench.trust().await;
        bench.publish_sealed(file, named);
        if let Some(key) = key {
            bench.keep_key(file, key);
        }
        assert_eq!(code(bench.update().await), expected, "case {place}");
        let pending = bench.updater().await.standing().unwrap().pending;
        assert_eq!((bench.slot(), pending, bench.has("opened")), (None, None, false), "case {place}");
    }
}

#[tokio::test]
async fn the_sealed_file_is_judged_before_it_is_opened() {
    let mut bench = Bench::new();
    bench.trust().await;
    let Sealed { file, key } = sealed();
    bench.publish_sealed(&file, PLAIN);
    bench.keep_key(&file, key);
    let mut altered = file.clone();
    altered[file.len() / 2] ^= 1;
    fs::write(bench.artifact(3, &file), &altered).unwrap();
    assert_eq!(code(bench.update().await), "update-altered");
    fs::write(bench.artifact(3, &file), &file).unwrap();
    let kept = bench.download(Pick::Latest).await.unwrap();
    fs::write(&kept, &altered).unwrap();
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-altered");
    // The key of another artifact is none.
    fs::write(&kept, &file).unwrap();
    bench.keep_key(&altered, key);
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-key-missing");
    fs::write(bench.at("device/update/artifact-key"), [0; 47]).unwrap();
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "update-key-missing");
    assert_eq!(bench.slot(), None);
    bench.keep_key(&file, key);
    assert_eq!(code(bench.updater().await.install(Pick::Latest).await), "taken");
}

#[tokio::test]
async fn an_installation_that_is_cut_is_made_again_from_the_sealed_file() {
    let mut bench = Bench::new();
    bench.trust().await;
    let Sealed { file, key } = sealed();
    bench.publish_sealed(&file, PLAIN);
    bench.keep_key(&file, key);
    bench.download(Pick::Latest).await.unwrap();
    let home = bench.home.path().display().to_string();
    bench.script("install", &format!("head -c 4 \"$1\" > {home}/slot.new; kill -9 $PPID"));
    let mut device = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
    device.args(["update", "install", "--dir"]).arg(bench.at("device")).env_clear();
    assert_eq!(device.output().unwrap().status.code(), None, "it is killed");
    assert!(bench.has("opened") && bench.has("artifact-key"), "as the cut left it");
    assert_eq!(bench.slot(), None, "the old one is there");
    // What is left of the file is not what is installed.
    fs::write(bench.at("device/update/opened"), b"others").unwrap();
    assert_eq!(bench.updater().await.standing().unwrap().pending.unwrap().0, Phase::Installing);
    assert!(!bench.has("opened"), "the next command removes it");
    bench.script("install", "cp \"$1\" \"${0%install}slot\"");
    assert_eq!(bench.updater().await.install(Pick::Latest).await.unwrap().version, 3);
    assert_eq!(bench.slot().unwrap(), PLAIN);
}

#[tokio::test]
async fn the_key_comes_with_the_offer_and_goes_with_another() {
    let offered = Offered::new().await;
    let Offered { bench, shared, file, .. } = &offered;
    offered.ask(Some(offer_of(shared, file, 7))).await;
    assert!(bench.has("artifact-key"));
    // An offer of something that is not sealed leaves no key behind.
    shared.0.borrow_mut().offered = Some((offer_of(shared, file, 8), None));
    let mut session = offered.device.session().unwrap();
    bench.updater().await.ask_offer(&mut session, Pick::Latest).await.unwrap().unwrap();
    drop(session);
    assert!(!bench.has("artifact-key"));
    assert_eq!(code(bench.update().await), "update-key-missing");
    offered.ask(Some(offer_of(shared, file, 9))).await;
    assert_eq!(bench.update().await.unwrap(), 3);
    assert_eq!(bench.slot().unwrap(), PLAIN);
    // After a rollback neither offer nor key is good again.
    bench.updater().await.rolled_back().unwrap();
    assert_eq!(offered.install().await, "offer-replayed");
}

#[tokio::test]
async fn the_key_goes_once_its_release_is_not_offered_any_more() {
    let offered = Offered::new().await;
    let Offered { bench, shared, file, .. } = &offered;
    offered.ask(Some(offer_of(shared, file, 7))).await;
    bench.download(Pick::Latest).await.unwrap();
    // With its offer, so that the next installation asks, and hears why there is none.
    offered.ask(None).await;
    assert!(!bench.has("artifact-key") && !bench.has("offer"));
    // One that was begun may be begun again.
    offered.ask(Some(offer_of(shared, file, 8))).await;
    bench.script("install", "kill -9 $PPID");
    let mut device = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
    device.args(["update", "install", "--dir"]).arg(bench.at("device")).env_clear();
    assert_eq!(device.output().unwrap().status.code(), None, "it is killed");
    offered.ask(None).await;
    assert!(bench.has("artifact-key") && bench.has("offer"));
    // An offer that is not of a sealed artifact has no key to lose, and stays for its hour.
    bench.updater().await.rolled_back().unwrap();
    fs::remove_file(bench.at("device/update/artifact-key")).unwrap();
    offered.ask(None).await;
    assert!(bench.has("offer"));
}

#[tokio::test]
async fn the_key_goes_with_the_hour_of_its_offer() {
    let offered = Offered::new().await;
    let Offered { bench, shared, device, file, .. } = &offered;
    offered.ask(Some(offer_of(shared, file, 7))).await;
    drop(bench.updater().await);
    assert!(bench.has("artifact-key"), "the offer is good");
    let ended = UnixSeconds::new(now().get() - 1);
    offered.ask(Some(offer_until(shared, file, 8, ended))).await;
    assert!(bench.has("artifact-key"));
    drop(bench.updater().await);
    assert!(!bench.has("artifact-key"), "the next command forgets it");
    // So does the agent, by the authority's time.
    let later = UnixSeconds::new(crate::common::START + 9_000);
    for (issued, expires, is_kept) in [(9, later, true), (10, ended, false)] {
        offered.ask(Some(offer_until(shared, file, issued, expires))).await;
        let files = Files::open(&bench.at("device")).unwrap();
        let mut agent = Agent::new(device.session().unwrap()).unwrap().telling(files, bench.at("visits"));
        agent.round().await.unwrap();
        assert_eq!(bench.has("artifact-key"), is_kept);
    }
}

#[tokio::test]
async fn an_installation_that_was_only_begun_is_rolled_back_and_begun_again_by_the_same_offer() {
    let offered = Offered::new().await;
    let Offered { bench, shared, file, .. } = &offered;
    offered.ask(Some(offer_of(shared, file, 7))).await;
    bench.download(Pick::Latest).await.unwrap();
    bench.script("install", "kill -9 $PPID");
    let mut device = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
    device.args(["update", "install", "--dir"]).arg(bench.at("device")).env_clear();
    assert_eq!(device.output().unwrap().status.code(), None, "it is killed");
    bench.updater().await.rolled_back().unwrap();
    assert!(bench.updater().await.holds_offer(Pick::Latest).unwrap());
    bench.script("install", "cp \"$1\" \"${0%install}slot\"");
    assert_eq!(offered.install().await, "taken");
    assert_eq!(bench.slot().unwrap(), PLAIN);
}

#[tokio::test]
async fn a_key_that_a_cut_left_goes_with_what_becomes_of_the_installation() {
    let offered = Offered::new().await;
    let Offered { bench, shared, file, key, .. } = &offered;
    for issued in [7, 8] {
        offered.ask(Some(offer_of(shared, file, issued))).await;
        bench.update().await.unwrap();
        // The power is cut after *installed* is on record.
        bench.keep_key(file, *key);
        match issued {
            7 => drop(bench.updater().await.rolled_back().unwrap()),
            _ => drop(bench.updater().await.confirm().unwrap()),
        }
        assert!(!bench.has("artifact-key"), "{issued}");
    }
}

#[tokio::test]
async fn a_disk_without_room_for_the_file_is_said_to_be_one() {
    let mut bench = Bench::new();
    bench.trust().await;
    let Sealed { file, key } = sealed();
    let plaintext = Plaintext { length: 1 << 52, sha256: Digest::of(PLAIN) };
    bench.publish(&Release { plaintext: Some(plaintext), ..release(3, 3, PLAIN) }, &file);
    bench.keep_key(&file, key);
    assert_eq!(code(bench.update().await), "update-no-room");
    assert_eq!((bench.slot(), bench.has("opened")), (None, false));
}

#[cfg(feature = "tpm")]
#[tokio::test]
async fn the_key_lies_sealed_where_the_state_does() {
    let Some(swtpm) = wardein_testkit::Swtpm::start() else { return };
    let shared = Shared::new();
    shared.0.borrow_mut().sealed_by = Some(swtpm.tcti());
    let offered = Offered::with(shared).await;
    let Offered { bench, shared, device, file, key } = &offered;
    fs::copy(device.path().join("state.key"), bench.at("device/state.key")).unwrap();
    offered.ask(Some(offer_of(shared, file, 7))).await;
    let kept = fs::read(bench.at("device/update/artifact-key")).unwrap();
    assert!(!kept.windows(16).any(|bytes| bytes == key));
    // One in the clear, or that was changed, is none.
    bench.keep_key(file, *key);
    assert_eq!(code(bench.update().await), "update-key-missing");
    let mut changed = kept.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(bench.at("device/update/artifact-key"), changed).unwrap();
    assert_eq!(offered.install().await, "update-key-missing");
    fs::write(bench.at("device/update/artifact-key"), kept).unwrap();
    assert_eq!(offered.install().await, "taken");
    assert_eq!(bench.slot().unwrap(), PLAIN);
}

#[tokio::test]
async fn a_device_that_signs_takes_no_key() {
    let (bench, shared) = (Bench::new(), Shared::new());
    let device = Device::new(&shared);
    let key = SoftKey::new();
    device.enroll_key(&key);
    bench.needs_offers_of(&shared);
    let mut session = device.signing_session(key).unwrap();
    let refused = bench.updater().await.ask_offer(&mut session, Pick::Latest).await;
    assert_eq!(code(refused), "offer-malformed");
    assert!(!bench.has("artifact-key") && !bench.has("offer"));
}

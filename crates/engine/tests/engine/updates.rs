//! Makers' repositories of updates, judged by the client that devices have.

use crate::world::{World, caller, facts, order};
use wardein_crypto::{Digest, P256SigningKey, P256VerifyingKey, Signer};
use wardein_domain::{ErrorCode, Event, Role, UnixSeconds};
use wardein_engine::{
    Caller, Error, LineOrder, Release, ReleaseDeed, ReleaseOrder, ReleasePcr, ReleaseState, UpdateFile,
    UpdateKeys, UpdateRole,
};
use wardein_port::{Store, Table};
use wardein_tuf::{
    Envelope, Kept, PathPattern, Role as Tuf, Root, Sought, TargetFile, TargetPath, Targets, TrustedSet,
};

const DAY: u64 = 86_400;
const PATH: &str = "pumps/2.img";

fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

fn offline(keys: &[P256SigningKey], threshold: u32) -> UpdateKeys {
    let keys: Vec<P256VerifyingKey> = keys.iter().map(|key| *key.verifying_key()).collect();
    UpdateKeys::offline(keys, threshold).unwrap()
}

fn line(name: &str, keys: UpdateKeys, managers: &[&str]) -> LineOrder {
    LineOrder {
        repository: "maker".parse().unwrap(),
        name: name.parse().unwrap(),
        paths: vec![PathPattern::new(&format!("{name}/*")).unwrap()],
        keys,
        managers: managers.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

pub(crate) fn release(version: u64, path: &str) -> ReleaseOrder {
    ReleaseOrder {
        repository: "maker".parse().unwrap(),
        line: "pumps".parse().unwrap(),
        version,
        label: "2.2".parse().unwrap(),
        models: vec!["pump-3".parse().unwrap()],
        path: path.into(),
        length: 8,
        sha256: Digest::of(b"firmware"),
        floor: 1,
        notes: Some("Fixes an alarm.".parse().unwrap()),
        attributes: vec![("firmware".parse().unwrap(), "2.2".parse().unwrap())],
        pcrs: vec![ReleasePcr { bank: wardein_domain::Bank::Sha256, number: 7, value: vec![7; 32] }],
        downgrade_from: None,
    }
}

/// A repository `maker` with a line `pumps`, all keys in custody.
pub(crate) async fn founded() -> World {
    let world = World::new().await;
    found(&world).await;
    world
}

pub(crate) async fn found(world: &World) {
    let engine = &world.engine;
    engine
        .create_update_repository(&world.admin, "maker".parse().unwrap(), UpdateKeys::InCustody)
        .await
        .unwrap();
    engine.create_product_line(&world.admin, line("pumps", UpdateKeys::InCustody, &["eva"])).await.unwrap();
}

pub(crate) async fn set(
    world: &World,
    by: &Caller,
    version: u64,
    deed: ReleaseDeed,
) -> Result<Release, Error> {
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let reason = "test".parse().unwrap();
    world.engine.set_release_state(by, (&name, &line, version), deed, reason).await
}

/// What a device keeps from one update to the next.
struct Device {
    root: Vec<u8>,
    timestamp: Option<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
}

impl Device {
    async fn new(world: &World) -> Self {
        Self { root: fetched(world, "1.root.json").await.unwrap(), timestamp: None, snapshot: None }
    }

    async fn update(&mut self, world: &World, path: &str) -> Result<Option<TargetFile>, wardein_tuf::Error> {
        let (root, timestamp, snapshot) = (self.root.clone(), self.timestamp.clone(), self.snapshot.clone());
        let kept = Kept { timestamp: timestamp.as_deref(), snapshot: snapshot.as_deref() };
        let mut set = TrustedSet::new(&root, kept, UnixSeconds::new(world.engine.now()))?;
        let path = TargetPath::new(path).unwrap();
        loop {
            while let Some(wanted) = set.wanted() {
                let Some(bytes) = fetched(world, &wanted.file).await else {
                    set.absent()?;
                    continue;
                };
                set.take(&bytes)?;
                match wanted.role {
                    Tuf::Root => self.root = bytes,
                    Tuf::Timestamp => self.timestamp = Some(bytes),
                    Tuf::Snapshot => self.snapshot = Some(bytes),
                    _ => {}
                }
            }
            match set.seek(&path)? {
                Sought::More => {}
                Sought::Found(file) => return Ok(Some(file)),
                Sought::None => return Ok(None),
            }
        }
    }
}

async fn fetched(world: &World, file: &str) -> Option<Vec<u8>> {
    world.engine.update_metadata(&"maker".parse().unwrap(), file).await.unwrap().map(|(bytes, _)| bytes)
}

/// Signs what waits with a key that is offline.
async fn sign(world: &World, role: &UpdateRole, key: &P256SigningKey) -> Result<UpdateFile, Error> {
    let name = "maker".parse().unwrap();
    let (_, draft) = world.engine.update_draft(&world.admin, &name, role).await?;
    let mut envelope = Envelope::parse(&draft, wardein_tuf::MAX_TARGETS_LEN).unwrap();
    envelope.sign(key as &dyn Signer).unwrap();
    let signature = envelope.signatures().last().unwrap().clone();
    world.engine.sign_update_draft(&world.admin, &name, role, &signature).await
}

#[tokio::test]
async fn a_release_is_found_while_it_is_released_and_no_longer() {
    let world = founded().await;
    let mut device = Device::new(&world).await;
    assert_eq!(device.update(&world, PATH).await, Ok(None));
    world.engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    assert_eq!(device.update(&world, PATH).await, Ok(None), "proposed");
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    let found = device.update(&world, PATH).await.unwrap().unwrap();
    assert_eq!((found.length, found.sha256), (8, Digest::of(b"firmware")));
    let said = wardein_tuf::Release::of(&found).unwrap();
    assert_eq!((said.version, said.label.as_str(), said.floor), (2, "2.2", 1));
    assert_eq!((said.judge("pump-3", 1), said.notes.as_str()), (Ok(()), "Fixes an alarm."));
    assert_eq!(said.attributes["firmware"], "2.2");
    let custom = String::from_utf8(found.custom.unwrap().to_json()).unwrap();
    let pcrs = format!("\"pcrs\":{{\"sha256\":{{\"7\":\"{}\"}}}}", "07".repeat(32));
    assert!(custom.contains(&pcrs), "{custom}");
    let paused = set(&world, &world.admin, 2, ReleaseDeed::Pause).await.unwrap();
    assert_eq!(paused.state, ReleaseState::Paused);
    assert!(device.update(&world, PATH).await.unwrap().is_some(), "who runs it finds it");
    set(&world, &world.admin, 2, ReleaseDeed::Resume).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Recall).await.unwrap();
    assert_eq!(device.update(&world, PATH).await, Ok(None), "recalled");
    let said: Vec<_> = world.entries(Event::ReleaseStateSet).await.iter().map(facts).collect();
    assert_eq!(said[0], "repository=maker, line=pumps, release=2, state: proposed → released, reason=test");
    assert_eq!(said.len(), 4);
}

#[tokio::test]
async fn a_deed_leads_from_some_states_and_twice_to_the_same() {
    use ReleaseDeed::{Pause, Recall, Release, Resume};
    let world = founded().await;
    let refused = async |deed| set(&world, &world.admin, 2, deed).await.map_err(|error| error.code);
    assert_eq!(refused(Release).await.unwrap_err(), ErrorCode::ReleaseUnknown);
    world.engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    for deed in [Pause, Resume] {
        assert_eq!(refused(deed).await.unwrap_err(), ErrorCode::ReleaseState);
    }
    refused(Release).await.unwrap();
    let version = fetched(&world, "timestamp.json").await;
    assert_eq!(refused(Release).await.unwrap().state, ReleaseState::Released);
    assert_eq!(fetched(&world, "timestamp.json").await, version, "nothing is made again");
    refused(Pause).await.unwrap();
    assert_eq!(refused(Release).await.unwrap_err(), ErrorCode::ReleaseState, "it is resumed, not released");
    refused(Recall).await.unwrap();
    for deed in [Release, Pause, Resume] {
        assert_eq!(refused(deed).await.unwrap_err(), ErrorCode::ReleaseState, "for good");
    }
    assert_eq!(refused(Recall).await.unwrap().state, ReleaseState::Recalled);
}

#[tokio::test]
async fn versions_rise_for_each_model_and_paths_are_the_lines() {
    let world = founded().await;
    let add = async |order: ReleaseOrder| world.engine.add_release(&world.admin, order).await;
    let code = async |order| add(order).await.unwrap_err().code;
    let first = add(release(5, PATH)).await.unwrap();
    assert_eq!(add(release(5, PATH)).await.unwrap(), first, "the same order again");
    assert_eq!(code(ReleaseOrder { length: 9, ..release(5, PATH) }).await, ErrorCode::ReleaseNotNewer);
    assert_eq!(code(release(4, "pumps/4.img")).await, ErrorCode::ReleaseNotNewer);
    let other = ReleaseOrder { models: vec!["pump-1".parse().unwrap()], ..release(4, "pumps/4.img") };
    add(other).await.expect("of another model");
    assert_eq!(code(release(6, PATH)).await, ErrorCode::PathNotOfLine, "taken");
    for path in ["monitors/6.img", "pumps/a/6.img", "6.img"] {
        assert_eq!(code(release(6, path)).await, ErrorCode::PathNotOfLine, "{path}");
    }
    for path in ["../6.img", "/pumps/6.img", "pumps/../6.img", ""] {
        assert_eq!(code(release(6, path)).await, ErrorCode::Malformed, "{path}");
    }
    assert_eq!(code(release(1 << 53, "pumps/6.img")).await, ErrorCode::Malformed);
    assert_eq!(code(release(0, "pumps/6.img")).await, ErrorCode::Malformed);
    assert_eq!(code(ReleaseOrder { floor: 7, ..release(6, "pumps/6.img") }).await, ErrorCode::Malformed);
    assert_eq!(code(ReleaseOrder { length: 0, ..release(6, "pumps/6.img") }).await, ErrorCode::Malformed);
    assert_eq!(
        code(ReleaseOrder { models: vec![], ..release(6, "pumps/6.img") }).await,
        ErrorCode::Malformed
    );
    let pcr =
        |number, length| ReleasePcr { bank: wardein_domain::Bank::Sha256, number, value: vec![1; length] };
    for pcrs in [vec![pcr(24, 32)], vec![pcr(1, 31)], vec![pcr(1, 32), pcr(1, 32)]] {
        assert_eq!(code(ReleaseOrder { pcrs, ..release(6, "pumps/6.img") }).await, ErrorCode::Malformed);
    }
    assert_eq!(world.entries(Event::ReleaseAdded).await.len(), 2);
}

/// Offline keys: nothing is served before enough have signed, and root moves by the former and the next ones.
#[tokio::test]
async fn what_offline_keys_sign_waits_for_them() {
    let world = World::new().await;
    let engine = &world.engine;
    let (mut keys, line_key) = ([key(), key(), key()], [key()]);
    let name = "maker".parse().unwrap();
    let made = engine.create_update_repository(&world.admin, name, offline(&keys, 2)).await.unwrap();
    assert_eq!((made.files[0].version, made.files[0].draft.as_ref().unwrap().missing), (0, 2));
    engine.create_product_line(&world.admin, line("pumps", offline(&line_key, 1), &[])).await.unwrap();
    let pumps = UpdateRole::Line("pumps".parse().unwrap());
    assert_eq!(engine.list_update_metadata(&"maker".parse().unwrap()).await.unwrap(), Vec::<String>::new());
    let code =
        async |role: &UpdateRole, key: &P256SigningKey| sign(&world, role, key).await.unwrap_err().code;
    assert_eq!(code(&UpdateRole::Root, &key()).await, ErrorCode::SignatureRefused, "a stranger's");
    assert_eq!(code(&UpdateRole::Targets, &line_key[0]).await, ErrorCode::SignatureRefused, "the line's");
    assert_eq!(code(&pumps, &keys[0]).await, ErrorCode::SignatureRefused, "the maker's, for a line");
    for key in &keys[..2] {
        sign(&world, &UpdateRole::Root, key).await.unwrap();
        sign(&world, &UpdateRole::Targets, key).await.unwrap();
    }
    assert_eq!(code(&UpdateRole::Root, &keys[2]).await, ErrorCode::DraftUnknown, "it is served");
    sign(&world, &pumps, &line_key[0]).await.unwrap();
    let mut device = Device::new(&world).await;
    engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    assert_eq!(device.update(&world, PATH).await, Ok(None), "not signed");
    assert_eq!(sign(&world, &pumps, &line_key[0]).await.unwrap().draft, None);
    assert!(device.update(&world, PATH).await.unwrap().is_some());
    let online = async |version: u64| {
        let bytes = fetched(&world, &format!("{version}.root.json")).await.unwrap();
        let root: Root = Envelope::parse(&bytes, wardein_tuf::MAX_ROOT_LEN).unwrap().read().unwrap();
        [root.snapshot.keys, root.timestamp.keys].map(|keys| keys.into_iter().collect::<Vec<_>>())
    };
    for rotated in 2..=4 {
        let next = [key(), key(), key()];
        let reason = "a key holder left".parse().unwrap();
        let name = "maker".parse().unwrap();
        engine.rotate_update_root(&world.admin, name, offline(&next, 2), reason).await.unwrap();
        for key in keys[1..].iter().chain(&next[..1]) {
            sign(&world, &UpdateRole::Root, key).await.unwrap();
        }
        let missing = sign(&world, &UpdateRole::Root, &next[1]).await.unwrap().draft.unwrap().missing;
        assert_eq!(missing, 0);
        assert_eq!(
            fetched(&world, &format!("{rotated}.root.json")).await,
            None,
            "the targets are not signed"
        );
        assert!(device.update(&world, PATH).await.unwrap().is_some(), "by the former keys until then");
        assert_eq!(code(&UpdateRole::Targets, &keys[1]).await, ErrorCode::SignatureRefused, "a former one's");
        for key in &next[1..] {
            sign(&world, &UpdateRole::Targets, key).await.unwrap();
        }
        assert!(fetched(&world, &format!("{rotated}.root.json")).await.is_some());
        // Custody's own keys are others, too, and there is one for each role still.
        let (before, now) = (online(rotated - 1).await.concat(), online(rotated).await.concat());
        assert!(now.len() == 2 && now.iter().all(|key| !before.contains(key)), "{before:?} {now:?}");
        keys = next;
        assert!(device.update(&world, PATH).await.unwrap().is_some());
    }
    let mut late = Device::new(&world).await;
    assert!(late.update(&world, PATH).await.unwrap().is_some(), "over three roots at one time");
    assert_eq!(late.root, device.root);
}

#[tokio::test]
async fn the_keys_of_a_line_are_replaced_and_devices_follow() {
    let world = founded().await;
    let engine = &world.engine;
    engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    let mut device = Device::new(&world).await;
    let rotate = async |line: &str, keys: UpdateKeys| {
        let (name, line) = ("maker".parse().unwrap(), line.parse().unwrap());
        engine.rotate_line_keys(&world.admin, name, line, keys, "a key holder left".parse().unwrap()).await
    };
    assert_eq!(rotate("none", UpdateKeys::InCustody).await.unwrap_err().code, ErrorCode::LineUnknown);
    let pumps = UpdateRole::Line("pumps".parse().unwrap());
    let signers = async || {
        let delegations = top_level(&world).await.delegations.unwrap();
        assert_eq!(delegations.roles.len(), 1);
        delegations.roles[0].holders.keys.iter().copied().collect::<Vec<_>>()
    };
    let first = signers().await;
    // From custody to custody: at once.
    assert!(
        rotate("pumps", UpdateKeys::InCustody).await.unwrap().files.iter().all(|file| file.draft.is_none())
    );
    let second = signers().await;
    assert!(first.len() == 1 && second.len() == 1 && first != second);
    assert!(device.update(&world, PATH).await.unwrap().is_some());
    // To keys that are offline: once they have signed, and by the former ones until then.
    let (own, other) = ([key(), key()], key());
    rotate("pumps", offline(&own, 2)).await.unwrap();
    assert_eq!(signers().await, second);
    assert!(device.update(&world, PATH).await.unwrap().is_some());
    sign(&world, &pumps, &own[0]).await.unwrap();
    let refused = sign(&world, &pumps, &other).await.unwrap_err().code;
    assert_eq!(refused, ErrorCode::SignatureRefused);
    assert_eq!(signers().await, second, "one of two");
    assert_eq!(sign(&world, &pumps, &own[1]).await.unwrap().draft, None);
    assert_eq!(signers().await.len(), 2);
    assert!(device.update(&world, PATH).await.unwrap().is_some());
    // The former keys sign nothing more.
    engine.add_release(&world.admin, release(3, "pumps/3.img")).await.unwrap();
    set(&world, &world.admin, 3, ReleaseDeed::Release).await.unwrap();
    assert_eq!(device.update(&world, "pumps/3.img").await, Ok(None), "it waits for the line's own keys");
    // With another root at the same time, what waits is served together.
    let (next, root) = ([key()], [key()]);
    rotate("pumps", offline(&next, 1)).await.unwrap();
    let reason = "a key holder left".parse().unwrap();
    engine
        .rotate_update_root(&world.admin, "maker".parse().unwrap(), offline(&root, 1), reason)
        .await
        .unwrap();
    sign(&world, &UpdateRole::Root, &root[0]).await.unwrap();
    sign(&world, &UpdateRole::Targets, &root[0]).await.unwrap();
    assert!(fetched(&world, "2.root.json").await.is_none(), "the line is not signed");
    assert!(device.update(&world, PATH).await.unwrap().is_some());
    assert_eq!(sign(&world, &pumps, &next[0]).await.unwrap().draft, None);
    assert!(fetched(&world, "2.root.json").await.is_some());
    assert!(device.update(&world, "pumps/3.img").await.unwrap().is_some());
    assert!(Device::new(&world).await.update(&world, "pumps/3.img").await.unwrap().is_some());
}

/// The top-level targets that are served.
async fn top_level(world: &World) -> Targets {
    let names = world.engine.list_update_metadata(&"maker".parse().unwrap()).await.unwrap();
    let of = |name: &&String| name.ends_with(".targets.json");
    let latest = names.iter().filter(of).max_by_key(|name| (name.len(), name.to_string())).unwrap();
    let bytes = fetched(world, latest).await.unwrap();
    Envelope::parse(&bytes, wardein_tuf::MAX_TARGETS_LEN).unwrap().read().unwrap()
}

#[tokio::test]
async fn a_release_manager_has_its_lines_and_no_others() {
    let world = founded().await;
    let engine = &world.engine;
    engine
        .create_product_line(&world.admin, line("monitors", UpdateKeys::InCustody, &["ida"]))
        .await
        .unwrap();
    let manager = async |name: &str| {
        let order = order(Role::ReleaseManager, None, name);
        caller(engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
    };
    let (eva, ida) = (manager("eva").await, manager("ida").await);
    let named = async |by: &Caller| -> Vec<String> {
        let lines = engine.list_product_lines(by, None).await.unwrap();
        lines.into_iter().map(|line| line.name.to_string()).collect()
    };
    assert_eq!(named(&eva).await, ["pumps"]);
    assert_eq!(named(&ida).await, ["monitors"]);
    assert_eq!(named(&world.admin).await, ["monitors", "pumps"]);
    engine.add_release(&eva, release(2, PATH)).await.unwrap();
    set(&world, &eva, 2, ReleaseDeed::Release).await.unwrap();
    let unseen = |error: Error| assert_eq!(error.code, ErrorCode::LineUnknown);
    unseen(engine.add_release(&ida, release(3, "pumps/3.img")).await.unwrap_err());
    unseen(set(&world, &ida, 2, ReleaseDeed::Recall).await.unwrap_err());
    let (name, pumps) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    unseen(engine.list_releases(&ida, &name, &pumps).await.unwrap_err());
    unseen(engine.update_draft(&ida, &name, &UpdateRole::Line(pumps)).await.unwrap_err());
    for role in [UpdateRole::Root, UpdateRole::Targets] {
        let refused = engine.update_draft(&eva, &name, &role).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::RepositoryUnknown);
    }
    assert_eq!(engine.list_update_repositories(&eva).await.unwrap(), []);
    // A tenant's own are of another world.
    assert_eq!(named(&world.platform).await, Vec::<String>::new());
}

/// A device that asks once a week for two years finds everything in time; versions rise, and old files go.
#[tokio::test]
async fn metadata_is_made_again_before_it_ends() {
    let world = founded().await;
    world.engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    let mut device = Device::new(&world).await;
    for day in 0..800 {
        world.clock.pass(DAY);
        world.engine.look_at_clock().await.unwrap();
        world.engine.keep_updates().await.unwrap();
        if day % 7 == 0 {
            assert!(device.update(&world, PATH).await.unwrap().is_some(), "day {day}");
        }
    }
    assert_eq!(world.engine.keep_updates().await.unwrap(), 0, "nothing is due");
    let files = world.engine.list_update_metadata(&"maker".parse().unwrap()).await.unwrap();
    let of = |stem: &str| files.iter().filter(|file| file.ends_with(&format!("{stem}.json"))).count();
    assert_eq!((of(".snapshot"), of(".targets"), of(".pumps"), of("timestamp")), (2, 2, 2, 1), "{files:?}");
    assert!(of(".root") > 1, "{files:?}");
    assert_eq!(files.len(), 7 + of(".root"));
    assert!(!world.entries(Event::UpdateRenewed).await.is_empty());
}

/// What an authority gave after the backup that it was restored from was seen by devices: versions are seconds, where these are above the
/// last, so that none is given twice and none goes back.
#[tokio::test]
async fn versions_are_above_what_was_given_before_a_restore() {
    let world = founded().await;
    world.clock.pass(60);
    world.engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    let seen = version_of(&fetched(&world, "timestamp.json").await.unwrap());
    assert!((world.engine.now() - 61..=world.engine.now()).contains(&seen), "{seen}");
}

fn version_of(file: &[u8]) -> u64 {
    let envelope = Envelope::parse(file, wardein_tuf::MAX_TIMESTAMP_LEN).unwrap();
    wardein_tuf::Document::version(&envelope.read::<wardein_tuf::Timestamp>().unwrap()).get()
}

#[tokio::test]
async fn the_same_order_again_changes_nothing_and_another_is_refused() {
    let world = founded().await;
    let engine = &world.engine;
    let rows = world.rows().await;
    found(&world).await;
    let count = world.rows().await.len();
    assert_eq!(count, rows.len());
    let name = "maker".parse().unwrap();
    let other = engine.create_update_repository(&world.admin, name, offline(&[key()], 1)).await;
    assert_eq!(other.unwrap_err().code, ErrorCode::RepositoryExists);
    let other = engine.create_product_line(&world.admin, line("pumps", offline(&[key()], 1), &["eva"])).await;
    assert_eq!(other.unwrap_err().code, ErrorCode::LineExists);
    let moved = line("pumps", UpdateKeys::InCustody, &["eva", "ida"]);
    let moved = engine.create_product_line(&world.admin, moved).await.unwrap();
    assert_eq!(moved.managers.len(), 2, "its release managers can change");
    for name in ["targets", "root", "snapshot", "timestamp", "mirrors"] {
        let refused = engine.create_product_line(&world.admin, line(name, UpdateKeys::InCustody, &[])).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Malformed, "{name}");
    }
    let own = key();
    let double = vec![*own.verifying_key(), *own.verifying_key()];
    for (keys, threshold) in
        [(vec![], 1), (double, 1), (vec![*own.verifying_key()], 0), (vec![*own.verifying_key()], 2)]
    {
        assert_eq!(UpdateKeys::offline(keys, threshold).unwrap_err().code, ErrorCode::Malformed);
    }
}

#[tokio::test]
async fn keys_outlive_the_root_key_that_sealed_them_and_are_nowhere_in_the_clear() {
    let (world, _custody) = World::with_custody().await;
    found(&world).await;
    let before = world.store.scan(Table::UpdateRepository, b"", None, 9).await.unwrap();
    world.engine.rotate_root_key(&world.admin).await.unwrap();
    let after = world.store.scan(Table::UpdateRepository, b"", None, 9).await.unwrap();
    assert_ne!(before[0].1.value, after[0].1.value, "they are sealed again");
    world.engine.add_release(&world.admin, release(2, PATH)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    assert!(Device::new(&world).await.update(&world, PATH).await.unwrap().is_some());
    // The beginning of a PKCS#8 document of a key on P-256.
    let begin = [0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13];
    for (_, row) in world.rows().await {
        assert!(!row.value.windows(begin.len()).any(|part| part == begin), "a private key is stored");
    }
}

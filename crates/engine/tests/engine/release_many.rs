//! The keys of many files by one request: each judged by itself, one change and one entry for all.

use crate::world::{CRASH_POINTS, ROOT_KEY, TestDevice, World, caller, facts, grant, order};
use std::sync::Arc;
use wardein_crypto::{Digest, hex};
use wardein_ddkg::message::FileStanza;
use wardein_domain::{DeviceState, Event, LoginNames, Outcome, ProfileFields, Purpose, Right, Role};
use wardein_engine::{
    Caller, Engine, Error, ErrorCode, FileKeys, FileKeysAsk, FileStanzas, Ports, ProfilePut, REPEAT_WINDOW,
    ReleaseAsk, Sealed,
};
use wardein_port::Store as _;
use wardein_testkit::{Chaos, ChaosStore, MemoryCustody};

fn ask(stanzas: &[FileStanza], attempt: &[u8]) -> FileKeysAsk {
    FileKeysAsk {
        stanzas: FileStanzas::new(stanzas.to_vec()).unwrap(),
        reason: "ticket 7".parse().unwrap(),
        idempotency: Digest::of(attempt),
    }
}

impl World {
    async fn release_files(&self, stanzas: &[FileStanza], attempt: &[u8]) -> Result<FileKeys, Error> {
        self.engine.release_file_keys(&self.platform, ask(stanzas, attempt)).await
    }

    async fn release_file(&self, stanza: &FileStanza, attempt: &[u8]) -> Result<(), Error> {
        let sealed = Sealed::File(stanza.clone());
        let (reason, idempotency) = ("ticket 7".parse().unwrap(), Digest::of(attempt));
        let ask = ReleaseAsk { sealed, reason, idempotency };
        self.engine.release_key(&self.platform, ask).await.map(|_| ())
    }

    /// A device, and the right to files.
    async fn with_files() -> (Self, TestDevice) {
        let world = Self::new().await;
        world.grant(Right::File).await;
        let device = world.proven("pump-1").await;
        (world, device)
    }
}

/// The code of each; nothing where the key was released.
fn codes(keys: &FileKeys) -> Vec<&'static str> {
    keys.results.iter().map(|came| came.as_ref().err().map_or("", |error| error.code.as_str())).collect()
}

/// What `sort | sha256sum` says of the names, a line each.
fn digest(stanzas: &[&FileStanza]) -> Digest {
    let mut lines: Vec<_> = stanzas.iter().map(|stanza| format!("{}\n", stanza.name())).collect();
    lines.sort();
    Digest::of(lines.concat().as_bytes())
}

/// The stanza with another name.
fn renamed(stanza: &FileStanza, from: &str, to: &str) -> FileStanza {
    FileStanza::parse(&stanza.arguments().replace(from, to), stanza.body()).unwrap()
}

fn changed(stanza: &FileStanza) -> FileStanza {
    let mut body = stanza.body().to_vec();
    body[0] ^= 1;
    FileStanza::parse(&stanza.arguments(), &body).unwrap()
}

#[tokio::test]
async fn each_file_is_judged_by_itself_with_one_change_and_one_entry_for_all() {
    let (world, mut device) = World::with_files().await;
    world.engine.create_tenant(&world.admin, "lab".parse().unwrap()).await.unwrap();
    let mut other = world.proven("pump-2").await;
    let (first, second, third) = (device.wrap([1; 16]), other.wrap([2; 16]), device.wrap([3; 16]));
    let (spent, kept) = (device.wrap([4; 16]), device.wrap([5; 16]));
    world.release_file(&spent, b"before").await.unwrap();
    let list = [
        third.clone(),
        renamed(&kept, "klinik", "lab"),
        renamed(&kept, "klinik", "nowhere"),
        second.clone(),
        renamed(&kept, "pump-1", "pump-9"),
        changed(&kept),
        renamed(&kept, "pump-1/1.", "pump-1/7."),
        spent.clone(),
        first.clone(),
    ];
    let commits = world.store.commits();
    let keys = world.release_files(&list, b"1").await.unwrap();
    assert_eq!(world.store.commits(), commits + 1);
    let expected = [
        "",
        "tenant-unknown",
        "tenant-unknown",
        "",
        "device-unknown",
        "open-failed",
        "message-generation-unknown",
        "key-spent",
        "",
    ];
    assert_eq!(codes(&keys), expected);
    for (place, stanza, key) in [(0, &third, [3; 16]), (3, &second, [2; 16]), (8, &first, [1; 16])] {
        let unsealed = keys.results[place].as_ref().ok().unwrap();
        assert_eq!((unsealed.secret.expose(), &unsealed.key_name), (&key[..], stanza.name()));
        assert_eq!(unsealed.state, DeviceState::Active);
    }
    assert_eq!(keys.digest, Some(digest(&[&first, &second, &third])));
    let entries = world.entries(Event::KeyReleased).await;
    assert_eq!(entries.len(), 2, "one for the file alone, one for all");
    let target = (entries[1].target.to_string(), entries[1].outcome.clone());
    assert_eq!(target, ("tenant/klinik".to_owned(), Outcome::Done));
    let refused = "device-unknown 1,key-spent 1,message-generation-unknown 1,open-failed 1,tenant-unknown 2";
    let digest = hex::encode(&digest(&[&first, &second, &third]).0);
    let fields = format!("keys=3, keys-digest={digest}, delivery=first 3, refused-keys={refused}");
    assert_eq!(facts(&entries[1]), format!("{fields}, reason=ticket 7"));
    // What was released is spent, what was refused is not, whichever way it is asked for.
    for stanza in [&first, &second, &third] {
        assert_eq!(world.release_file(stanza, b"again").await.unwrap_err().code.as_str(), "key-spent");
    }
    world.release_file(&kept, b"kept").await.unwrap();
}

#[tokio::test]
async fn without_the_right_nothing_is_released_and_a_flood_is_counted() {
    let (world, mut device) = World::with_files().await;
    let list = [device.wrap([1; 16]), device.wrap([2; 16])];
    let revoked = grant(Right::File, None);
    world.engine.remove_grant(&world.admin, revoked, "moved".parse().unwrap()).await.unwrap();
    for right in [Right::Token, Right::Open, Right::Data] {
        world.grant(right).await;
    }
    let other =
        world.engine.issue_operator(&world.admin, order(Role::Platform, Some("klinik"), "other")).await;
    let other = caller(other.unwrap().1.principal);
    let before = world.rows().await;
    for n in 0..100_u8 {
        let by: &Caller = if n == 0 { &other } else { &world.platform };
        let keys = world.engine.release_file_keys(by, ask(&list, &[n])).await.unwrap();
        assert_eq!((codes(&keys), keys.digest), (vec!["grant-missing"; 2], None));
    }
    assert!(world.rows().await == before);
    let entries = world.entries(Event::KeyReleased).await;
    assert_eq!(entries.len(), 1 + 60, "the others are counted");
    assert_eq!(entries[0].outcome, Outcome::refused(ErrorCode::GrantMissing));
    assert_eq!(facts(&entries[0]), "keys=0, refused-keys=grant-missing 2, reason=ticket 7");
    let admin = world.engine.release_file_keys(&world.admin, ask(&list, b"admin")).await.err().unwrap();
    assert_eq!(admin.code, ErrorCode::RoleInsufficient);
    // One for the devices' profile is enough.
    world
        .engine
        .add_grant(&world.admin, grant(Right::File, Some("default")), LoginNames::default())
        .await
        .unwrap();
    assert_eq!(codes(&world.release_files(&list, b"granted").await.unwrap()), ["", ""]);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_also_after_a_crash_and_not_for_long() {
    for point in CRASH_POINTS {
        let (mut world, mut device) = World::with_files().await;
        let list = [device.wrap([1; 16]), device.wrap([2; 16])];
        world.store.crash_at(0, point);
        let crashed = world.release_files(&list, b"1").await.err().unwrap();
        assert_eq!(crashed.code.as_str(), "store-unavailable");
        world.restart().await;
        for _ in 0..2 {
            let keys = world.release_files(&list, b"1").await.unwrap();
            let given: Vec<_> =
                keys.results.iter().map(|came| came.as_ref().ok().unwrap().secret.expose()[0]).collect();
            assert_eq!(given, [1, 2]);
        }
        let entries = world.entries(Event::KeyReleased).await;
        assert!(facts(entries.last().unwrap()).contains("delivery=again 2"));
        assert_eq!(codes(&world.release_files(&list, b"2").await.unwrap()), ["key-spent"; 2]);
        world.clock.pass(REPEAT_WINDOW + 1);
        assert_eq!(codes(&world.release_files(&list, b"1").await.unwrap()), ["key-spent"; 2]);
    }
}

#[tokio::test]
async fn an_idempotency_key_is_for_one_list() {
    let (world, mut device) = World::with_files().await;
    let [first, second, third] = [1, 2, 3].map(|n| device.wrap([n; 16]));
    world.release_files(std::slice::from_ref(&first), b"1").await.unwrap();
    let before = world.rows().await;
    let other = world.release_files(&[second.clone(), third.clone()], b"1").await.err().unwrap();
    assert_eq!(other.code.as_str(), "idempotency-key-used");
    let overlap = world.release_files(&[first.clone(), second.clone()], b"1").await.unwrap();
    assert_eq!(codes(&overlap), ["", "idempotency-key-used"]);
    let alone = world.release_file(&second, b"1").await.unwrap_err();
    assert_eq!(alone.code.as_str(), "idempotency-key-used");
    assert!(world.rows().await == before, "nothing was spent");
    assert_eq!(codes(&world.release_files(&[second, third], b"2").await.unwrap()), ["", ""]);
}

#[tokio::test]
async fn archived_keys_are_given_again_and_two_holders_of_one_key_are_found() {
    let (world, mut device) = World::with_files().await;
    let mut copy = device.copied();
    let (own, copied) = (device.wrap([1; 16]), copy.wrap([2; 16]));
    assert_eq!(own.name(), copied.name());
    let beside = device.wrap([3; 16]);
    world.release_files(std::slice::from_ref(&own), b"1").await.unwrap();
    let fields = ProfileFields { archive: Some(vec![Purpose::File]), ..ProfileFields::default() };
    let (name, tenant) = ("default".parse().unwrap(), world.tenant());
    world.engine.put_profile(&world.admin, tenant, name, ProfilePut::set(fields)).await.unwrap();
    let list = [own, beside.clone()];
    assert_eq!(codes(&world.release_files(&list, b"2").await.unwrap()), ["", ""]);
    let entries = world.entries(Event::KeyReleased).await;
    assert!(facts(&entries[1]).contains("keys=2, keys-digest="), "{}", facts(&entries[1]));
    assert!(facts(&entries[1]).contains("delivery=archive 1,first 1"), "{}", facts(&entries[1]));
    // One that was altered on its way is evidence of nothing.
    assert_eq!(
        codes(&world.release_files(&[changed(&copied), beside.clone()], b"3").await.unwrap())[0],
        "open-failed"
    );
    assert_eq!(world.entries(Event::CloneSuspected).await.len(), 0);
    let keys = world.release_files(&[copied, beside], b"4").await.unwrap();
    assert_eq!(codes(&keys), ["clone-suspected", ""]);
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state, DeviceState::Quarantined);
    assert_eq!(world.entries(Event::CloneSuspected).await.len(), 1);
}

#[test]
fn a_list_has_one_to_a_thousand_files_and_each_key_once() {
    let stanza = |number: usize| {
        FileStanza::parse(&format!("ddkg1 ddkg1:klinik/pump-1/1.file.0.{number}"), &[0; 32]).unwrap()
    };
    let list = |count| FileStanzas::new((0..count).map(stanza).collect());
    assert!(list(1).is_ok() && list(1_000).is_ok());
    for (count, words) in [(0, "files: has 0 stanzas"), (1_001, "files: has 1001 stanzas")] {
        let error = list(count).err().unwrap();
        assert!(error.code == ErrorCode::Malformed && error.message.starts_with(words), "{error}");
    }
    let twice = FileStanzas::new(vec![stanza(0), stanza(1), changed(&stanza(0))]).err().unwrap();
    assert!(twice.message.starts_with("files[2]: names the same key"), "{twice}");
}

/// Over a store whose rows must all be loaded, as with PostgreSQL.
#[tokio::test]
async fn a_thousand_files_are_one_decision_wherever_their_rows_are() {
    let (world, mut device) = World::with_files().await;
    let mut other = world.proven("pump-2").await;
    let far = ChaosStore::over(world.store.clone(), 1, Chaos { later: 1_000, ..Chaos::default() });
    let ports = Ports::new(Arc::new(far), world.clock.clone());
    let far = Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap();
    let mut list: Vec<_> = (0..999).map(|_| device.wrap([9; 16])).collect();
    list.push(other.wrap([8; 16]));
    let (commits, last) = (world.store.commits(), world.store.head().await.unwrap().last_audit);
    let keys = far.release_file_keys(&world.platform, ask(&list, b"1")).await.unwrap();
    assert!(keys.results.iter().all(Result::is_ok));
    assert_eq!(
        (world.store.commits(), world.store.head().await.unwrap().last_audit),
        (commits + 1, last + 1)
    );
    let entry = world.entries(Event::KeyReleased).await.pop().unwrap();
    let digest = hex::encode(&digest(&list.iter().collect::<Vec<_>>()).0);
    assert_eq!(
        facts(&entry),
        format!("keys=1000, keys-digest={digest}, delivery=first 1000, reason=ticket 7")
    );
    // A device's own proofs go on.
    for device in [&mut device, &mut other] {
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
}

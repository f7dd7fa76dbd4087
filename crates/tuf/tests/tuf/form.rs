//! What is not of the form is refused, wherever it departs from it.

use crate::maker::{INFUSION, Maker, key, listed, name};
use proptest::prelude::*;
use wardein_domain::UnixSeconds;
use wardein_tuf::{
    Document, Envelope, Error, FileMeta, Kept, Key, Malformed, Role, Root, Snapshot, Targets, Timestamp,
    TrustedSet, Value, Version,
};

const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);
const LATER: UnixSeconds = UnixSeconds::new(1_900_000_000);

/// The root that is trusted, and the client that has come to the timestamp.
fn at_timestamp(maker: &Maker) -> TrustedSet {
    let mut set = TrustedSet::new(&maker.files["1.root.json"], Kept::default(), NOW).unwrap();
    set.absent().unwrap();
    set
}

/// Every byte of a timestamp and of a root, changed, is noticed.
#[test]
fn no_byte_can_be_changed() {
    let maker = Maker::new(LATER);
    let timestamp = &maker.files["timestamp.json"];
    let root = &maker.files["1.root.json"];
    for (at, flip) in (0..timestamp.len()).flat_map(|at| [1, 0x20, 0x80].map(|flip| (at, flip))) {
        let mut altered = timestamp.clone();
        altered[at] ^= flip;
        assert!(
            at_timestamp(&maker).take(&altered).is_err(),
            "byte {at}: {}",
            String::from_utf8_lossy(&altered)
        );
    }
    for (at, flip) in (0..root.len()).flat_map(|at| [1, 0x20, 0x80].map(|flip| (at, flip))) {
        let mut altered = root.clone();
        altered[at] ^= flip;
        assert!(TrustedSet::new(&altered, Kept::default(), NOW).is_err(), "byte {at}");
    }
}

/// Every field of every role, left out or of another kind, is noticed by the reader, no matter who signed it.
#[test]
fn no_field_can_be_left_out_or_of_another_kind() {
    let maker = Maker::new(LATER);
    let optional =
        ["length", "hashes", "custom", "delegations", "infusion.json", "monitors.json", "version", "models"];
    let mut seen = 0;
    let mut each = |document: Value, read: &dyn Fn(&Value) -> Option<Malformed>| {
        assert_eq!(read(&document), None);
        for path in paths(&document) {
            let leaf = path.last().unwrap().clone();
            for other in [
                None,
                Some(Value::Null),
                Some(Value::text("?")),
                Some(Value::Integer(-1)),
                Some(Value::Array(vec![])),
            ] {
                let altered = with(&document, &path, other.clone());
                let is_free = path
                    .iter()
                    .any(|name| name == "custom" || optional.contains(&leaf.as_str()) && name == "meta")
                    || (other.is_none() && optional.contains(&leaf.as_str()))
                    || leaf.len() == 64
                    || leaf.ends_with(".img")
                    || (matches!(other, Some(Value::Text(_)))
                        && matches!(leaf.as_str(), "keytype" | "scheme"))
                    || (other == Some(Value::Array(vec![]))
                        && matches!(leaf.as_str(), "paths" | "roles" | "signatures"));
                if !is_free {
                    assert!(read(&altered).is_some(), "{path:?} {other:?}");
                    seen += 1;
                }
            }
        }
    };
    each(maker.root.to_value(), &|value| Root::read(value).err());
    each(maker.timestamp.to_value(), &|value| Timestamp::read(value).err());
    each(maker.snapshot.to_value(), &|value| Snapshot::read(value).err());
    each(maker.targets.to_value(), &|value| Targets::read(value).err());
    each(maker.lines[&name(INFUSION)].to_value(), &|value| Targets::read(value).err());
    assert!(seen > 200, "{seen}");
}

/// The ways to every field of an object.
fn paths(value: &Value) -> Vec<Vec<String>> {
    let Value::Object(fields) = value else { return Vec::new() };
    let mut all = Vec::new();
    for (name, value) in fields {
        all.push(vec![name.clone()]);
        all.extend(paths(value).into_iter().map(|path| [vec![name.clone()], path].concat()));
    }
    all
}

/// The object with another value at the end of that way, or none.
fn with(value: &Value, path: &[String], other: Option<Value>) -> Value {
    let Value::Object(fields) = value else { unreachable!("a way leads through objects") };
    let mut fields = fields.clone();
    match (path, other) {
        ([last], None) => drop(fields.remove(last)),
        ([last], Some(other)) => drop(fields.insert(last.clone(), other)),
        ([first, rest @ ..], other) => {
            let inner = with(&fields[first], rest, other);
            fields.insert(first.clone(), inner);
        }
        ([], _) => unreachable!("a way has a step"),
    }
    Value::Object(fields)
}

/// The key of one holder, listed under a second id by spelling it in another way, still is one key.
#[test]
fn one_key_under_two_ids_counts_once() {
    let signer = key();
    let first = Key::p256(signer.verifying_key());
    let mut maker = Maker::new(LATER);
    maker.root.keys.extend(listed(&[&signer]));
    let json = String::from_utf8(maker.root.to_value().to_json()).unwrap();
    // The older name of the same kind of key (before TUF 1.0.19) makes another id of it.
    let begin = json.find(&format!("\"{}\":", first.id())).unwrap() + 67;
    let last = "\"scheme\":\"ecdsa-sha2-nistp256\"}";
    let end = begin + json[begin..].find(last).unwrap() + last.len();
    let second = json[begin..end].replace("\"keytype\":\"ecdsa\"", "\"keytype\":\"ecdsa-sha2-nistp256\"");
    let second_id = wardein_crypto::Digest::of(&Value::parse(second.as_bytes()).unwrap().canonical());
    let second_id = wardein_crypto::hex::encode(&second_id.0);
    let json = json.replace("\"keys\":{", &format!("\"keys\":{{\"{second_id}\":{second},"));
    let root = Root::read(&Value::parse(json.as_bytes()).unwrap()).unwrap();
    let ids = [first.id(), wardein_tuf::KeyId::parse(&second_id).unwrap()];
    let holders = wardein_tuf::Keyholders { keys: ids.into_iter().collect(), threshold: 2 };
    let mut envelope = Envelope::new(&maker.timestamp);
    envelope.sign(&signer).unwrap();
    let signature = wardein_tuf::Signature { key: ids[1], bytes: envelope.signatures()[0].bytes.clone() };
    assert!(envelope.add(signature, &root.keys));
    assert_eq!(envelope.signatures().len(), 2);
    assert_eq!(envelope.count(&root.keys, &holders), 1);
    assert!(matches!(
        envelope.verify(&Role::Timestamp, &root.keys, &holders),
        Err(Error::Threshold { signed: 1, needed: 2, .. })
    ));
}

/// A signature that was made elsewhere is taken only if it is good, by a key that is listed.
#[test]
fn a_signature_from_elsewhere_is_checked() {
    let maker = Maker::new(LATER);
    let mut elsewhere = Envelope::new(&maker.root);
    elsewhere.sign(&maker.root_keys[0]).unwrap();
    elsewhere.sign(&key()).unwrap();
    let mut envelope = Envelope::new(&maker.root);
    let [good, unlisted] = elsewhere.signatures() else { panic!("two signatures") };
    assert!(envelope.add(good.clone(), &maker.root.keys));
    assert!(!envelope.add(unlisted.clone(), &maker.root.keys), "of a key that is not listed");
    let mut other = Envelope::new(&maker.timestamp);
    other.sign(&maker.root_keys[1]).unwrap();
    assert!(!envelope.add(other.signatures()[0].clone(), &maker.root.keys), "over another document");
    assert_eq!(envelope.count(&maker.root.keys, &maker.root.root), 1);
}

/// Fields that are unknown are part of what is signed.
#[test]
fn unknown_fields_are_kept() {
    let maker = Maker::new(LATER);
    let Value::Object(mut fields) = maker.timestamp.to_value() else { unreachable!() };
    fields
        .insert("x-later".into(), Value::Array(vec![Value::Null, Value::object([("b", Value::Bool(true))])]));
    struct Extended(Value);
    impl Document for Extended {
        fn read(signed: &Value) -> Result<Self, Malformed> {
            Ok(Self(signed.clone()))
        }
        fn to_value(&self) -> Value {
            self.0.clone()
        }
        fn version(&self) -> Version {
            Version::FIRST
        }
        fn expires(&self) -> UnixSeconds {
            LATER
        }
    }
    let mut envelope = Envelope::new(&Extended(Value::Object(fields)));
    envelope.sign(&maker.timestamp_key).unwrap();
    let bytes = envelope.to_bytes();
    assert!(at_timestamp(&maker).take(&bytes).is_ok());
    let without = String::from_utf8(bytes).unwrap().replace("\"b\":true", "\"b\":null");
    assert!(matches!(at_timestamp(&maker).take(without.as_bytes()), Err(Error::Threshold { .. })));
}

#[test]
fn a_name_twice_and_depth_are_refused() {
    let maker = Maker::new(LATER);
    let timestamp = String::from_utf8(maker.files["timestamp.json"].clone()).unwrap();
    let twice = timestamp.replace("\"signed\":{", "\"signed\":{\"version\":9,");
    let deep = timestamp
        .replace("\"signed\":{", &format!("\"signed\":{{\"x\":{}{},", "[".repeat(17), "]".repeat(17)));
    for (text, what) in [(twice, Malformed::Twice), (deep, Malformed::Depth)] {
        let result = at_timestamp(&maker).take(text.as_bytes());
        assert_eq!(result, Err(Error::Malformed { role: Role::Timestamp, what }));
    }
}

#[test]
fn versions_and_thresholds_are_bounded() {
    let maker = Maker::new(LATER);
    let altered = |from: &str, to: &str| {
        let json = String::from_utf8(maker.root.to_value().to_json()).unwrap();
        assert!(json.contains(from), "{from}");
        Value::parse(json.replacen(from, to, 1).as_bytes()).and_then(|value| Root::read(&value)).err()
    };
    assert_eq!(altered("\"version\":1", "\"version\":0"), Some(Malformed::Field("version")));
    assert_eq!(altered("\"version\":1", "\"version\":9007199254740991"), None);
    assert_eq!(altered("\"version\":1", "\"version\":9007199254740992"), Some(Malformed::Number));
    assert_eq!(altered("\"threshold\":2", "\"threshold\":0"), Some(Malformed::Threshold));
    assert_eq!(altered("\"threshold\":2", "\"threshold\":4"), Some(Malformed::Threshold));
    assert_eq!(
        altered("\"spec_version\":\"1.0.33\"", "\"spec_version\":\"2.0.0\""),
        Some(Malformed::SpecVersion)
    );
    assert_eq!(
        altered("\"spec_version\":\"1.0.33\"", "\"spec_version\":\"1.0.x\""),
        Some(Malformed::SpecVersion)
    );
    assert_eq!(altered("\"_type\":\"root\"", "\"_type\":\"snapshot\""), Some(Malformed::Type));
    let first = maker.root.keys.keys().next().unwrap().to_string();
    assert_eq!(
        altered(&format!("\"{first}\":{{"), &format!("\"{}\":{{", "0".repeat(64))),
        Some(Malformed::KeyId)
    );
}

/// A client whose time is before the end trusts it; at the end it does not.
#[test]
fn the_end_is_the_first_moment_that_is_not_trusted() {
    let maker = Maker::new(LATER);
    for (now, is_good) in [(LATER.get() - 1, true), (LATER.get(), false)] {
        let mut set =
            TrustedSet::new(&maker.files["1.root.json"], Kept::default(), UnixSeconds::new(now)).unwrap();
        assert_eq!(set.absent().is_ok(), is_good);
    }
}

/// The timestamp alone, or the snapshot alone, guards against an older snapshot: an update may have ended between them.
#[test]
fn each_file_that_was_kept_guards_alone() {
    let mut maker = Maker::new(LATER);
    maker.publish();
    let (timestamp, snapshot) =
        (maker.files["timestamp.json"].clone(), maker.files["2.snapshot.json"].clone());
    maker.timestamp.snapshot = FileMeta::of(Version::FIRST, &maker.files["1.snapshot.json"]);
    maker.write_timestamp();
    let kept = [
        Kept { timestamp: Some(&timestamp), snapshot: None },
        Kept { timestamp: None, snapshot: Some(&snapshot) },
    ];
    for kept in kept {
        let mut set = TrustedSet::new(&maker.files["1.root.json"], kept, NOW).unwrap();
        set.absent().unwrap();
        let result = set.take(&maker.files["timestamp.json"]);
        let result = result.and_then(|_| set.take(&maker.files["1.snapshot.json"]));
        let version = |number| Version::new(number).unwrap();
        let back = Error::Rollback { role: Role::Snapshot, trusted: version(2), offered: version(1) };
        assert_eq!(result, Err(back));
    }
}

/// Roots are followed to a bound.
#[test]
fn endless_roots_are_not_followed() {
    let mut maker = Maker::new(LATER);
    let mut set = TrustedSet::new(&maker.files["1.root.json"], Kept::default(), NOW).unwrap();
    for _ in 0..wardein_tuf::MAX_ROOTS {
        maker.rotate_root();
        let wanted = set.wanted().unwrap();
        set.take(&maker.files[&wanted.file]).unwrap();
    }
    maker.rotate_root();
    let wanted = set.wanted().unwrap();
    assert_eq!(
        set.take(&maker.files[&wanted.file]),
        Err(Error::TooManyRoots { limit: wardein_tuf::MAX_ROOTS })
    );
}

proptest! {
    /// Nothing that is read panics, and what is read is written again as it was.
    #[test]
    fn anything_is_read_or_refused(text in "[\\[\\]{}\":,0-9a-f\\\\u \u{e9}\u{1f600}-]{0,60}") {
        if let Ok(value) = Value::parse(text.as_bytes()) {
            prop_assert_eq!(Value::parse(&value.to_json()), Ok(value));
        }
    }

    /// A repository with a byte changed anywhere gives the artifact or an error, never another artifact.
    #[test]
    fn bytes_at_random(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let maker = Maker::new(LATER);
        let mut altered = maker.files["timestamp.json"].clone();
        let at = at.index(altered.len());
        let is_same = altered[at] == byte;
        altered[at] = byte;
        prop_assert_eq!(at_timestamp(&maker).take(&altered).is_ok(), is_same);
    }
}

//! What is good; and old, expired and mixed files, each rightly signed.

use super::*;

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        case("nothing-new", |_| {}, |result| matches!(result, Ok(Some(_)))),
        case("the-next-version", Maker::publish, |result| matches!(result, Ok(Some(_)))),
        case(
            "three-roots",
            |maker| {
                for _ in 0..3 {
                    maker.rotate_root();
                    maker.publish();
                }
            },
            |result| matches!(result, Ok(Some(_))),
        ),
        Case {
            has_updated: false,
            ..case(
                "three-roots-at-first",
                |maker| (0..3).for_each(|_| maker.rotate_root()),
                |result| matches!(result, Ok(Some(_))),
            )
        },
        case(
            "an-expired-root-between",
            |maker| {
                maker.root.expires = past();
                maker.rotate_root();
                maker.root.expires = later();
                maker.rotate_root();
            },
            |result| matches!(result, Ok(Some(_))),
        ),
        // A stolen key of the timestamp has signed far ahead; another key recovers (TUF §5.3.11).
        case(
            "recovery-from-fast-forward",
            |maker| {
                let new = (key(), key());
                maker.root.keys.extend(listed(&[&new.0, &new.1]));
                maker.root.timestamp = holders(&[&new.0], 1);
                maker.root.snapshot = holders(&[&new.1], 1);
                (maker.timestamp_key, maker.snapshot_key) = new;
                maker.timestamp.version = Version::FIRST;
                maker.snapshot.version = Version::FIRST;
                maker.rotate_root();
                maker.write_snapshot();
                maker.write_timestamp();
            },
            |result| matches!(result, Ok(Some(_))),
        ),
        // Rollback.
        case(
            "an-older-timestamp",
            |maker| {
                maker.timestamp.version = Version::FIRST;
                maker.write_timestamp();
            },
            refused!(Error::Rollback { role: Role::Timestamp, .. }),
        ),
        case(
            "an-older-snapshot",
            |maker| {
                maker.timestamp.snapshot = FileMeta::of(Version::FIRST, &maker.files["1.snapshot.json"]);
                maker.write_timestamp();
            },
            refused!(Error::Rollback { role: Role::Snapshot, .. }),
        ),
        case(
            "older-targets",
            |maker| {
                maker.snapshot.targets = FileMeta::of(Version::FIRST, &maker.files["1.targets.json"]);
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Rollback { role: Role::Targets, .. }),
        ),
        case(
            "an-older-line",
            |maker| {
                let meta = FileMeta::of(Version::FIRST, &maker.files["1.infusion.json"]);
                maker.snapshot.delegated.insert(name(INFUSION), meta);
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Rollback { role, .. } if *role == delegated(INFUSION)),
        ),
        case(
            "a-line-that-vanished",
            |maker| {
                maker.snapshot.delegated.remove(&name(MONITORS));
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Unlisted { role } if *role == delegated(MONITORS)),
        ),
        // Freeze.
        case(
            "an-expired-root",
            |maker| {
                maker.root.expires = past();
                maker.rotate_root();
            },
            refused!(Error::Expired { role: Role::Root, .. }),
        ),
        case(
            "an-expired-timestamp",
            |maker| {
                maker.timestamp.expires = past();
                maker.write_timestamp();
            },
            refused!(Error::Expired { role: Role::Timestamp, .. }),
        ),
        case(
            "an-expired-snapshot",
            |maker| {
                maker.snapshot.expires = past();
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Expired { role: Role::Snapshot, .. }),
        ),
        case(
            "expired-targets",
            |maker| {
                maker.targets.expires = past();
                maker.publish();
            },
            refused!(Error::Expired { role: Role::Targets, .. }),
        ),
        case(
            "an-expired-line",
            |maker| {
                maker.lines.get_mut(&name(INFUSION)).unwrap().expires = past();
                maker.publish();
            },
            refused!(Error::Expired { role, .. } if *role == delegated(INFUSION)),
        ),
        // Mix-and-match: files of different times, each rightly signed.
        case(
            "another-snapshot",
            |maker| {
                maker.timestamp.snapshot = FileMeta { version: version(3), length: None, sha256: None };
                maker.write_timestamp();
                maker.files.insert("3.snapshot.json".into(), maker.files["2.snapshot.json"].clone());
            },
            refused!(Error::Mixed { role: Role::Snapshot, .. }),
        ),
        case(
            "other-targets",
            |maker| {
                maker.snapshot.targets = FileMeta { version: version(3), length: None, sha256: None };
                maker.write_snapshot();
                maker.write_timestamp();
                maker.files.insert("3.targets.json".into(), maker.files["2.targets.json"].clone());
            },
            refused!(Error::Mixed { role: Role::Targets, .. }),
        ),
        case(
            "another-version-of-a-line",
            |maker| {
                let meta = FileMeta { version: version(3), length: None, sha256: None };
                maker.snapshot.delegated.insert(name(INFUSION), meta);
                maker.write_snapshot();
                maker.write_timestamp();
                maker.files.insert("3.infusion.json".into(), maker.files["2.infusion.json"].clone());
            },
            refused!(Error::Mixed { role, .. } if *role == delegated(INFUSION)),
        ),
    ]
}

//! Other lengths and checksums, too few signatures, keys of others, and artifacts that were changed.

use super::*;

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        // Lengths and checksums.
        case(
            "a-snapshot-that-is-longer",
            |maker| {
                maker.publish();
                alter(maker, "3.snapshot.json", |bytes| bytes.push(b' '));
            },
            refused!(Error::TooLong { role: Role::Snapshot, .. }),
        ),
        case(
            "a-snapshot-that-is-cut",
            |maker| {
                maker.write_snapshot();
                maker.write_timestamp();
                alter(maker, "3.snapshot.json", |bytes| bytes.truncate(100));
            },
            refused!(Error::Length { role: Role::Snapshot, .. }),
        ),
        case(
            "a-line-with-another-checksum",
            |maker| {
                maker.publish();
                alter(maker, "3.infusion.json", |bytes| {
                    let at = bytes.windows(8).position(|window| window == b"\"sig\":\"3").unwrap() + 20;
                    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
                });
            },
            refused!(Error::Hash { role } if *role == delegated(INFUSION)),
        ),
        case(
            "a-timestamp-without-end",
            |maker| alter(maker, "timestamp.json", |bytes| bytes.resize(2 << 20, b' ')),
            refused!(Error::TooLong { role: Role::Timestamp, .. }),
        ),
        case(
            "a-root-without-end",
            |maker| {
                maker.rotate_root();
                alter(maker, "2.root.json", |bytes| bytes.resize(2 << 20, b' '));
            },
            refused!(Error::TooLong { role: Role::Root, .. }),
        ),
        // Thresholds and keys.
        case(
            "a-root-by-one-key-of-two",
            |maker| {
                let old = maker.replace_root_keys();
                let root = signed(&maker.root, &[&old[0], &maker.root_keys[0], &maker.root_keys[1]]);
                maker.files.insert("2.root.json".into(), root);
            },
            refused!(Error::Threshold { role: Role::Root, signed: 1, needed: 2 }),
        ),
        case(
            "a-root-by-new-keys-alone",
            |maker| {
                maker.replace_root_keys();
                let root = signed(&maker.root, &maker.root_keys.iter().collect::<Vec<_>>());
                maker.files.insert("2.root.json".into(), root);
            },
            refused!(Error::Threshold { role: Role::Root, signed: 0, .. }),
        ),
        case(
            "a-root-by-old-keys-alone",
            |maker| {
                let old = maker.replace_root_keys();
                let root = signed(&maker.root, &old.iter().collect::<Vec<_>>());
                maker.files.insert("2.root.json".into(), root);
            },
            refused!(Error::Threshold { role: Role::Root, signed: 0, .. }),
        ),
        case(
            "a-root-left-out",
            |maker| {
                maker.rotate_root();
                maker.rotate_root();
                maker.files.insert("2.root.json".into(), maker.files["3.root.json"].clone());
            },
            refused!(Error::Threshold { role: Role::Root, .. }),
        ),
        case(
            "a-root-that-skips-a-version",
            |maker| {
                maker.root.version = version(3);
                let root = signed(&maker.root, &maker.root_keys[..2].iter().collect::<Vec<_>>());
                maker.files.insert("2.root.json".into(), root);
            },
            refused!(Error::RootChain { .. }),
        ),
        case(
            "a-timestamp-by-the-snapshot's-key",
            |maker| {
                maker.timestamp_key = std::mem::replace(&mut maker.snapshot_key, key());
                maker.write_timestamp();
            },
            refused!(Error::Threshold { role: Role::Timestamp, signed: 0, .. }),
        ),
        case(
            "a-snapshot-by-the-timestamp's-key",
            |maker| {
                let snapshot = signed(&maker.snapshot, &[&maker.timestamp_key]);
                maker.timestamp.snapshot = FileMeta::of(maker.snapshot.version, &snapshot);
                maker.files.insert(format!("{}.snapshot.json", maker.snapshot.version), snapshot);
                maker.write_timestamp();
            },
            refused!(Error::Threshold { role: Role::Snapshot, signed: 0, .. }),
        ),
        case(
            "targets-by-a-key-from-elsewhere",
            |maker| {
                maker.targets_key = key();
                maker.publish();
            },
            refused!(Error::Threshold { role: Role::Targets, signed: 0, .. }),
        ),
        case(
            "a-line-by-another-line's-key",
            |maker| {
                let other = maker.line_keys.remove(&name(MONITORS)).unwrap();
                maker.write_line_by(INFUSION, &[&other[0]]);
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Threshold { role, signed: 0, needed: 2 } if *role == delegated(INFUSION)),
        ),
        case(
            "a-line-by-one-key-of-two",
            |maker| {
                let keys = maker.line_keys.remove(&name(INFUSION)).unwrap();
                maker.write_line_by(INFUSION, &[&keys[0]]);
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Threshold { role, signed: 1, needed: 2 } if *role == delegated(INFUSION)),
        ),
        case(
            "one-signature-twice",
            |maker| {
                alter(maker, "timestamp.json", |bytes| {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    let (begin, end) = (text.find('[').unwrap(), text.find(']').unwrap());
                    let one = &text[begin + 1..end];
                    *bytes = [&text[..=begin], one, ",", one, &text[end..]].concat().into_bytes();
                });
            },
            refused!(Error::Malformed { role: Role::Timestamp, what: wardein_tuf::Malformed::SignedTwice }),
        ),
        case(
            "another-line's-path",
            |maker| {
                let wanted =
                    maker.lines.get_mut(&name(INFUSION)).unwrap().targets.remove(&path(WANTED)).unwrap();
                maker.lines.get_mut(&name(MONITORS)).unwrap().targets.insert(path(WANTED), wanted);
                // It is asked first, were it to be asked.
                maker.targets.delegations.as_mut().unwrap().roles.reverse();
                maker.publish();
            },
            |result| matches!(result, Ok(None)),
        ),
        // A line that is asked first, whose pattern takes the path, ends the search.
        case(
            "a-path-that-ends-elsewhere",
            |maker| {
                let roles = &mut maker.targets.delegations.as_mut().unwrap().roles;
                roles.reverse();
                roles[0].paths.push(PathPattern::new("infusion/*/*").unwrap());
                maker.publish();
            },
            |result| matches!(result, Ok(None)),
        ),
        // Altered, with every checksum recomputed, by one who has no key.
        case(
            "a-line-altered",
            |maker| {
                let firmware = b"firmware, the worst!";
                let line: &mut Targets = maker.lines.get_mut(&name(INFUSION)).unwrap();
                line.targets.get_mut(&path(WANTED)).unwrap().sha256 = Digest::of(firmware);
                maker.artifacts.insert(path(WANTED).consistent(&Digest::of(firmware)), firmware.to_vec());
                let own = (key(), key(), key());
                maker.write_line_by(INFUSION, &[&own.0]);
                (maker.snapshot_key, maker.timestamp_key) = (own.1, own.2);
                maker.write_snapshot();
                maker.write_timestamp();
            },
            refused!(Error::Threshold { role: Role::Timestamp, signed: 0, .. }),
        ),
        case(
            "an-artifact-altered",
            |maker| change_artifact(maker, |bytes| bytes[0] ^= 1),
            refused!(Error::Hash { role } if *role == artifact()),
        ),
        case(
            "an-artifact-that-grows",
            |maker| change_artifact(maker, |bytes| bytes.extend([0; 100_000])),
            refused!(Error::TooLong { role, limit: 20 } if *role == artifact()),
        ),
        case(
            "an-artifact-that-is-cut",
            |maker| change_artifact(maker, |bytes| bytes.truncate(19)),
            refused!(Error::Length { role, signed: 20, actual: 19 } if *role == artifact()),
        ),
        case(
            "an-artifact-swapped",
            |maker| {
                let monitor = maker.artifacts.values().find(|bytes| bytes.ends_with(b"monitor"));
                assert!(monitor.is_some_and(|bytes| bytes.starts_with(b"firmware of a monito")));
                change_artifact(maker, |bytes| *bytes = b"firmware of a monito".to_vec());
            },
            refused!(Error::Hash { role } if *role == artifact()),
        ),
        case(
            "a-snapshot-that-is-missing",
            |maker| {
                maker.publish();
                maker.files.remove("3.snapshot.json");
            },
            refused!(Error::Missing { role: Role::Snapshot }),
        ),
        case(
            "a-line-that-is-missing",
            |maker| {
                maker.publish();
                maker.files.remove("3.infusion.json");
            },
            refused!(Error::Missing { role } if *role == delegated(INFUSION)),
        ),
    ]
}

//! Golden rows: every format ever written, from the release that wrote it.
//!
//! Format 1 is that of the previous release (`tests/fixtures/0.1.0/rows`). Format 2 is in `crates/engine/tests/rows/2`; write it
//! again with `WARDEIN_BLESS=1 cargo test -p wardein-engine --lib rows`, and only before a release has written it.

use super::*;
use std::path::{Path, PathBuf};
use wardein_crypto::hex;

/// The tables whose rows become one row each, with the reader and writer of a row of the present format.
const TABLES: [(Table, &str, Again); 12] = [
    (Table::Authority, "1-authority", authority),
    (Table::Tenant, "2-tenant", again::<TenantRow>),
    (Table::Operator, "3-operator", again::<OperatorRow>),
    (Table::Profile, "4-profile", again::<ProfileRow>),
    (Table::Device, "5-device", again::<DeviceRow>),
    (Table::Certificate, "7-certificate", again::<CertificateRow>),
    (Table::Spent, "10-spent", again::<SpentRow>),
    (Table::Grant, "11-grant", again::<GrantRow>),
    (Table::SignatureKey, "16-signature-key", again::<SignatureKeyRow>),
    (Table::KeyPolicy, "17-key-policy", again::<KeyPolicyRow>),
    (Table::EndorsementKey, "18-endorsement-key", again::<EndorsementKeyRow>),
    (Table::PcrPolicy, "19-pcr-policy", again::<PcrPolicyRow>),
];

type Again = fn(Table, &[u8], &[u8]) -> Vec<u8>;

fn again<T: Serialize + DeserializeOwned>(table: Table, _: &[u8], value: &[u8]) -> Vec<u8> {
    encode(&decode::<T>(table, value).unwrap()).unwrap()
}

fn authority(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    match key {
        CLOCK_KEY => again::<ClockRow>(table, key, value),
        FORMAT_KEY => again::<FormatRow>(table, key, value),
        _ => again::<AuthorityRow>(table, key, value),
    }
}

/// The result of migrating a row of format 1.
fn renewed(table: Table, value: &[u8]) -> Vec<u8> {
    match table {
        Table::Device => {
            let (row, _) = v1::read::<v1::DeviceV1>(table, value).unwrap().renewed().unwrap();
            encode(&row).unwrap()
        }
        Table::Certificate => {
            let (row, _) = v1::read::<v1::CertificateV1>(table, value).unwrap().renewed().unwrap();
            encode(&row).unwrap()
        }
        Table::KeyPolicy => {
            let (row, _) = v1::read::<v1::KeyPolicyV1>(table, value).unwrap().renewed().unwrap();
            encode(&row).unwrap()
        }
        _ => v1::renewed(table, value).unwrap(),
    }
}

fn crate_path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Keys and values of a golden file.
fn rows(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let row = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        (hex::decode(key).unwrap(), hex::decode(value).unwrap())
    };
    text.lines().map(row).collect()
}

#[test]
fn each_format_is_read_as_it_was_written() {
    for (table, file, again) in TABLES {
        let old = crate_path("../../tests/fixtures/0.1.0/rows").join(format!("{file}.txt"));
        let mut old = rows(&std::fs::read_to_string(&old).unwrap());
        // That row is deleted.
        old.retain(|(key, _)| table != Table::Authority || key != v1::SWEEP_KEY);
        assert!(!old.is_empty(), "{file}");
        let now: Vec<_> = old.iter().map(|(key, value)| (key.clone(), renewed(table, value))).collect();
        let golden = crate_path("tests/rows/2").join(format!("{file}.txt"));
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            let lines =
                now.iter().map(|(key, value)| format!("{} {}\n", hex::encode(key), hex::encode(value)));
            std::fs::write(&golden, lines.collect::<String>()).unwrap();
        }
        assert_eq!(
            now,
            rows(&std::fs::read_to_string(&golden).unwrap()),
            "{file}: format 1 becomes format 2"
        );
        for (key, value) in now {
            assert_eq!(again(table, &key, &value), value, "{file}: what is read is written as it was");
        }
    }
}

#[test]
fn a_damaged_row_names_its_table_and_what_to_do() {
    let value = encode(&FormatRow { format: 7 }).unwrap();
    let refused = |value: &[u8]| decode::<FormatRow>(Table::Authority, value).err().unwrap().message;
    let longer = [&value[..], &[0]].concat();
    let newer = [&[FORMAT + 1], &value[1..]].concat();
    for damaged in [&[][..], &value[..1], &longer, &newer] {
        let words = refused(damaged);
        assert!(words.contains("Authority") && words.contains("restore"), "{words}");
    }
}

#[test]
fn rows_damaged_at_random_are_an_error_and_no_panic() {
    let mut refused = 0;
    for (table, file, again) in TABLES {
        let path = crate_path("tests/rows/2").join(format!("{file}.txt"));
        for (key, value) in rows(&std::fs::read_to_string(path).unwrap()) {
            let _ = again(table, &key, &value);
            for at in 0..value.len().min(200) {
                let mut damaged = value.clone();
                damaged[at] ^= 1 << (at % 8);
                refused += u32::from(reads(table, &damaged).is_err());
                refused += u32::from(reads(table, &value[..at]).is_err());
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

fn reads(table: Table, value: &[u8]) -> Result<(), Error> {
    match table {
        Table::Authority => decode::<AuthorityRow>(table, value).map(|_| ()),
        Table::Tenant => decode::<TenantRow>(table, value).map(|_| ()),
        Table::Operator => decode::<OperatorRow>(table, value).map(|_| ()),
        Table::Profile => decode::<ProfileRow>(table, value).map(|_| ()),
        Table::Device => decode::<DeviceRow>(table, value).map(|_| ()),
        Table::Certificate => decode::<CertificateRow>(table, value).map(|_| ()),
        Table::Spent => decode::<SpentRow>(table, value).map(|_| ()),
        Table::Grant => decode::<GrantRow>(table, value).map(|_| ()),
        Table::SignatureKey => decode::<SignatureKeyRow>(table, value).map(|_| ()),
        Table::KeyPolicy => decode::<KeyPolicyRow>(table, value).map(|_| ()),
        Table::EndorsementKey => decode::<EndorsementKeyRow>(table, value).map(|_| ()),
        _ => decode::<PcrPolicyRow>(table, value).map(|_| ()),
    }
}

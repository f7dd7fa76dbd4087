//! That each field is checked: a file in which one leaf is changed, missing or added is refused.
//!
//! Values that the committed file does not pin down are listed in [`FREE`], with the reason.

use super::{COMMITTED, check};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use serde_json::Value;

/// Leaves of the committed file that may have another value; a path that ends in `/` is a whole entry.
const FREE: &[&str] = &[
    // A note for the reader.
    "/seed_note",
    // Without a period nothing is ever due, whatever the time.
    "/schedule/0/time",
    "/schedule/0/not_before",
    // Before the schedule's start epoch 0 is due, whatever the period.
    "/schedule/1/period",
    // z enters only the answer to a forged ciphertext (FIPS 203 §6.3), and the file has none.
    "/enrollment/1/mlkem_keygen_z",
    // Without the feature the whole entry is skipped, and said to be.
    #[cfg(not(feature = "suite2"))]
    "/enrollment/1/",
];

fn walk(value: &Value, path: &str, leaf: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(value, &format!("{path}/{name}"), leaf))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| walk(value, &format!("{path}/{i}"), leaf));
        }
        _ => leaf(path, value),
    }
}

/// Other values for a leaf: a number's neighbors; a text with another character at its start, middle and end, a hex digit
/// where it was one.
fn others(path: &str, value: &Value) -> Vec<Value> {
    match value {
        // Many times have one due epoch: they are moved by a year, or a period to a second.
        Value::Number(_) if path.starts_with("/schedule/") && path.ends_with("/period") => vec![1.into()],
        Value::Number(number) if path.starts_with("/schedule/") && !path.ends_with("/due") => {
            let number = number.as_u64().unwrap();
            let moved = 400 * 86_400;
            vec![if path.ends_with("/time") { number + moved } else { number - moved }.into()]
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            [number.checked_add(1), number.checked_sub(1)].into_iter().flatten().map(Value::from).collect()
        }
        Value::String(text) if text.is_empty() => vec!["00".into()],
        Value::String(text) => {
            let characters: Vec<char> = text.chars().collect();
            [0, characters.len() / 2, characters.len() - 1]
                .map(|at| {
                    let mut changed = characters.clone();
                    // Flips the lowest bit; a character that would leave the digits 0 to 9 and letters a to z goes to '0'.
                    let flipped = char::from_u32(u32::from(changed[at]) ^ 1);
                    changed[at] = flipped.filter(|c| matches!(c, '0'..='9' | 'a'..='z')).unwrap_or('0');
                    Value::from(changed.into_iter().collect::<String>())
                })
                .to_vec()
        }
        // There is no epoch, and nothing was made.
        _ => vec![1.into(), "00".into()],
    }
}

/// The first file, which has nothing that was added.
fn first() -> Value {
    let mut file: Value = serde_json::from_str(COMMITTED).unwrap();
    ADDED.iter().for_each(|list| drop(file.as_object_mut().unwrap().remove(*list)));
    file
}

/// What was added: lists at the top, and those of the refusals.
const ADDED: [&str; 10] = [
    "messages",
    "bindings",
    "attribute_bodies",
    "rekeys",
    "transfers",
    "made_keys",
    "service_codes",
    "emergency_codes",
    "carried_protocols",
    "refusals",
];

/// The first file with one entry of each list that was added, and where that is.
fn with_one_added() -> Vec<(String, Value)> {
    let file: Value = serde_json::from_str(COMMITTED).unwrap();
    let lists = ADDED.iter().filter(|list| **list != "refusals").map(|list| format!("/{list}"));
    let refusals = file["refusals"].as_object().unwrap().keys().map(|list| format!("/refusals/{list}"));
    let mut files = Vec::new();
    for list in lists.chain(refusals) {
        for entry in file.pointer(&list).unwrap().as_array().unwrap() {
            let mut one = first();
            let (_, name) = list.rsplit_once('/').unwrap();
            let parent = if list.starts_with("/refusals/") { &mut one["refusals"] } else { &mut one };
            parent[name] = vec![entry.clone()].into();
            files.push((format!("{list}/0"), one));
        }
    }
    files
}

fn check_added(file: &Value) -> Result<(), String> {
    let file = serde_json::from_value(file.clone()).map_err(|error| error.to_string())?;
    super::added(&file, &mut Vec::new())
}

/// Without the feature, an entry that says to be of suite 2 is skipped, and neither right nor wrong.
fn has_become_suite_2(path: &str, value: &Value) -> bool {
    cfg!(not(feature = "suite2")) && path.ends_with("/suite") && *value == 2
}

#[test]
fn a_file_of_before_is_taken_and_one_that_lacks_some_of_what_was_added() {
    check(&first().to_string()).unwrap();
    for (at, file) in with_one_added() {
        assert_eq!(check_added(&file), Ok(()), "{at}");
    }
}

/// Without the feature, what is of suite 2 is skipped, and said to be.
fn is_skipped(entry: &Value) -> bool {
    cfg!(not(feature = "suite2")) && entry["name"].as_str().is_some_and(|name| name.contains("suite 2"))
}

/// Leaves of what was added that may have another value: names, and, of a refusal, what must only be wrong.
fn is_free(path: &str) -> bool {
    let (_, leaf) = path.rsplit_once('/').unwrap();
    let outcome = ["next_epoch", "highest_epoch", "reply", "plaintext"];
    let is_outcome = leaf == "expect" || outcome.contains(&leaf) && !path.contains("/acks/");
    leaf == "name" || path.starts_with("/refusals/") && !is_outcome
}

#[test]
fn a_changed_leaf_of_what_was_added_is_refused() {
    let mut refused = 0;
    for (at, file) in with_one_added() {
        if is_skipped(file.pointer(&at).unwrap()) {
            continue;
        }
        let mut changes = Vec::new();
        walk(file.pointer(&at).unwrap(), &at, &mut |path, value| {
            if !is_free(path) {
                changes.extend(others(path, value).into_iter().map(|other| (path.to_owned(), other)));
            }
        });
        for (path, other) in changes {
            let mut changed = file.clone();
            *changed.pointer_mut(&path).unwrap() = other.clone();
            if has_become_suite_2(&path, &other) {
                continue;
            }
            assert!(check_added(&changed).is_err(), "{path} as {other}");
            refused += 1;
        }
    }
    std::println!("{refused} changes of what was added refused");
    assert!(refused > 1000);
}

#[test]
fn a_missing_or_unknown_field_of_what_was_added_is_refused() {
    for (at, file) in with_one_added() {
        if is_skipped(file.pointer(&at).unwrap()) {
            continue;
        }
        let mut objects = Vec::new();
        collect(file.pointer(&at).unwrap(), &at, &mut objects);
        for (path, names) in objects {
            // Names of attributes are values, not fields.
            if path.ends_with("/attributes") || path.ends_with("/values") {
                continue;
            }
            let mut more = file.clone();
            more.pointer_mut(&path).unwrap()["unknown"] = Value::from("");
            assert!(check_added(&more).is_err(), "{path} takes an unknown field");
            for name in names {
                let mut less = file.clone();
                less.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&name);
                assert!(check_added(&less).is_err(), "{path}/{name} may be missing");
            }
        }
    }
}

#[test]
fn each_refusal_that_needs_no_more_than_a_record_has_a_vector() {
    let outcomes = "accepted ack-wrong attribute-dropped audience-wrong body-wrong challenge-expired
        challenge-from-the-future challenge-unknown clone-suspected confirmation-wrong enrollment-pending epoch-ahead epoch-gone
        epoch-spent generation-pending generation-retired generation-unknown mac-wrong malformed nonce-wrong open-failed
        replayed share-invalid signature-wrong token-spent wrong-device";
    let file: Value = serde_json::from_str(COMMITTED).unwrap();
    let mut found = alloc::collections::BTreeSet::new();
    walk(&file["refusals"], "", &mut |path, value| {
        if path.ends_with("/expect") {
            found.insert(value.as_str().unwrap().to_owned());
        }
    });
    assert!(found.iter().eq(outcomes.split_whitespace()), "{found:?}");
}

#[test]
fn a_changed_leaf_is_refused() {
    let file = first();
    let mut changes = Vec::new();
    walk(&file, "", &mut |path, value| {
        changes.extend(others(path, value).into_iter().map(|other| (path.to_owned(), other)));
    });
    let (mut refused, mut free) = (0, 0);
    for (path, other) in changes {
        let mut changed = file.clone();
        *changed.pointer_mut(&path).unwrap() = other.clone();
        let verdict = check(&changed.to_string());
        let is_skipped = FREE.iter().any(|free| free.ends_with('/') && path.starts_with(free));
        if !is_skipped {
            assert_eq!(verdict.is_ok(), FREE.contains(&path.as_str()), "{path} as {other}: {verdict:?}");
        }
        *if verdict.is_ok() { &mut free } else { &mut refused } += 1;
    }
    std::println!("{refused} changes refused, {free} of leaves that are free");
    assert!(refused > 400);
}

#[test]
fn a_missing_or_unknown_field_is_refused() {
    let file = first();
    let mut objects = Vec::new();
    collect(&file, "", &mut objects);
    for (path, names) in objects {
        let mut more = file.clone();
        more.pointer_mut(&path).unwrap()["unknown"] = Value::from("");
        assert!(check(&more.to_string()).is_err(), "{path} takes an unknown field");
        for name in names {
            let at = format!("{path}/{name}");
            let mut less = file.clone();
            less.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&name);
            let is_skipped = cfg!(not(feature = "suite2")) && name.starts_with("mlkem");
            assert!(is_skipped || check(&less.to_string()).is_err(), "{at} may be missing");
        }
    }
}

fn collect(value: &Value, path: &str, objects: &mut Vec<(String, Vec<String>)>) {
    match value {
        Value::Object(fields) => {
            objects.push((path.to_owned(), fields.keys().cloned().collect()));
            fields.iter().for_each(|(name, value)| collect(value, &format!("{path}/{name}"), objects));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| collect(value, &format!("{path}/{i}"), objects));
        }
        _ => {}
    }
}

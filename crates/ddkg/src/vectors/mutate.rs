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
        Value::String(text) => [0, text.len() / 2, text.len() - 1]
            .map(|at| {
                let mut bytes = text.clone().into_bytes();
                // Flips the lowest bit; a character that would leave the digits 0 to 9 and letters a to z goes to '0'.
                bytes[at] = match bytes[at] ^ 1 {
                    flipped @ (b'0'..=b'9' | b'a'..=b'z') => flipped,
                    _ => b'0',
                };
                Value::from(String::from_utf8(bytes).unwrap())
            })
            .to_vec(),
        _ => vec![Value::Null],
    }
}

#[test]
fn a_changed_leaf_is_refused() {
    let file: Value = serde_json::from_str(COMMITTED).unwrap();
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
    let file: Value = serde_json::from_str(COMMITTED).unwrap();
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

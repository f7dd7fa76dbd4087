//! The bounds of a change, checked before it is queued.

use std::collections::HashSet;

use wardein_port::{Change, CommitError, Indexed, MAX_KEY, MAX_VALUE, Numbered};

/// Refuses a change that is out of the port's bounds.
pub(crate) fn check(change: &Change) -> Result<(), CommitError> {
    for write in &change.writes {
        if write.key.is_empty() || write.key.len() > MAX_KEY {
            return Err(CommitError::TooLarge("a key has 1 to 512 bytes"));
        }
        if write.value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
            return Err(CommitError::TooLarge("a value has at most 131072 bytes"));
        }
    }
    if change.audit.iter().any(|entry| entry.len() > MAX_VALUE) {
        return Err(CommitError::TooLarge("an audit entry has at most 131072 bytes"));
    }
    for Indexed { key, entry } in &change.index {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(CommitError::TooLarge("a key has 1 to 512 bytes"));
        }
        if matches!(entry, Numbered::Here(at) if *at >= change.audit.len()) {
            return Err(CommitError::TooLarge("an index names an entry that is not there"));
        }
    }
    if has_duplicates(change) {
        return Err(CommitError::TooLarge("a key is written twice"));
    }
    Ok(())
}

/// The approximate size of a change in memory.
pub(crate) fn weight(change: &Change) -> usize {
    let writes = change.writes.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len));
    let index = change.index.iter().map(|indexed| indexed.key.len());
    writes.chain(change.audit.iter().map(Vec::len)).chain(index).sum()
}

fn has_duplicates(change: &Change) -> bool {
    if change.writes.len() < FEW {
        let mut rest = change.writes.as_slice();
        while let Some((first, others)) = rest.split_first() {
            if others.iter().any(|other| (other.table, &other.key) == (first.table, &first.key)) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    let mut seen = HashSet::with_capacity(change.writes.len());
    !change.writes.iter().all(|write| seen.insert((write.table, &write.key)))
}

/// Up to here comparing all pairs is cheaper than a set.
const FEW: usize = 16;

// The messages above state these numbers.
const _: () = assert!(MAX_KEY == 512 && MAX_VALUE == 131_072);

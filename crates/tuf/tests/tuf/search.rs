//! A search for a target comes to an end, whatever delegates to whom.

use crate::maker::{Maker, WANTED, file, holders, key, listed, name, path, signed};
use wardein_crypto::P256SigningKey;
use wardein_domain::UnixSeconds;
use wardein_tuf::{
    Delegation, Delegations, Error, FileMeta, Kept, MAX_DELEGATIONS, PathPattern, Sought, Targets,
    TrustedSet, Version,
};

const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);
const LATER: UnixSeconds = UnixSeconds::new(1_900_000_000);

/// A role whose name begins with `last` ends the search.
fn delegations(to: &[&str], signer: &P256SigningKey) -> Option<Delegations> {
    let roles = to.iter().map(|role| Delegation {
        name: name(role),
        holders: holders(&[signer], 1),
        paths: vec![PathPattern::new("infusion/*/*").unwrap()],
        terminating: role.starts_with("last"),
    });
    Some(Delegations { keys: listed(&[signer]), roles: roles.collect() })
}

/// What becomes of a search where the top level delegates to `top`, and these roles to others. One that is called `has` has the target.
fn search(top: &[&str], below: &[(&str, &[&str])]) -> Result<Sought, Error> {
    let signer = key();
    let mut maker = Maker::new(LATER);
    maker.targets.delegations = delegations(top, &signer);
    maker.snapshot.delegated.clear();
    for (role, to) in below {
        let delegations = delegations(to, &signer).filter(|_| !to.is_empty());
        let targets = (*role == "has").then(|| (path(WANTED), file(b"firmware")));
        let targets = targets.into_iter().collect();
        let document = Targets { version: Version::FIRST, expires: LATER, targets, delegations };
        let bytes = signed(&document, &[&signer]);
        maker.snapshot.delegated.insert(name(role), FileMeta::of(Version::FIRST, &bytes));
        maker.files.insert(format!("1.{role}.json"), bytes);
    }
    maker.write_targets();
    maker.write_snapshot();
    maker.write_timestamp();
    let mut set = TrustedSet::new(&maker.files["1.root.json"], Kept::default(), NOW)?;
    set.absent()?;
    loop {
        while let Some(wanted) = set.wanted() {
            set.take(&maker.files[&wanted.file])?;
        }
        match set.seek(&path(WANTED))? {
            Sought::More => {}
            found => return Ok(found),
        }
    }
}

#[test]
fn roles_that_delegate_to_each_other_are_asked_once() {
    assert_eq!(search(&["a", "b"], &[("a", &["b"]), ("b", &["a", "c"]), ("c", &["a"])]), Ok(Sought::None));
    assert_eq!(search(&["a"], &[("a", &["a"])]), Ok(Sought::None));
}

/// A role that ends the search ends it for the roles beside the one that delegates to it, too (TUF §5.6.7.2).
#[test]
fn a_terminating_delegation_ends_the_search_at_every_level() {
    let found = |result| matches!(result, Ok(Sought::Found(_)));
    assert!(found(search(&["a", "has"], &[("a", &["b"]), ("b", &[]), ("has", &[])])));
    assert_eq!(search(&["a", "has"], &[("a", &["last"]), ("last", &[]), ("has", &[])]), Ok(Sought::None));
    assert!(found(search(&["a"], &[("a", &["last"]), ("last", &["has"]), ("has", &[])])));
}

#[test]
fn so_many_roles_are_asked_and_no_more() {
    let names: Vec<String> = (0..=MAX_DELEGATIONS).map(|number| format!("line-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let below: Vec<(&str, &[&str])> = names.iter().map(|name| (*name, &[][..])).collect();
    assert_eq!(search(&names[1..], &below), Ok(Sought::None));
    assert_eq!(search(&names, &below), Err(Error::TooManyDelegations { limit: MAX_DELEGATIONS }));
}

#[test]
fn a_role_that_the_snapshot_does_not_list_is_missed() {
    assert!(matches!(search(&["a"], &[]), Err(Error::Unlisted { .. })));
}

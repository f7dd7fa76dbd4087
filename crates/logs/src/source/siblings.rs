//! The files beside a log that it was rotated to: `app.log.1`, `app.log-20261130`, `app-20261130.log`.

use super::opened::{NotOpened, Opened};
use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::Path;

/// A file beside a log.
pub(super) struct Sibling {
    pub(super) file: Opened,
    age: Age,
}

/// Sorts rotated files, oldest first: those with dates by date, then those with numbers, of which the highest is the oldest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Dated(String),
    Numbered(Reverse<u32>),
}

/// The files that the log at `path` was rotated to, oldest first. Compressed ones are left out: what they hold cannot be read from
/// where reading ended. So is what is no regular file, or cannot be opened.
pub(super) fn of(path: &Path) -> io::Result<Vec<Sibling>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut siblings = Vec::new();
    for entry in fs::read_dir(wardein_durable::directory_of(path))?.take(MAX_ENTRIES) {
        let entry = entry?;
        let Some(age) = entry.file_name().to_str().and_then(|other| age(name, other)) else { continue };
        match Opened::open(&entry.path()) {
            Ok(file) => siblings.push(Sibling { file, age }),
            Err(NotOpened::Missing | NotOpened::Other | NotOpened::Unreadable) => {}
        }
        if siblings.len() == MAX_SIBLINGS {
            break;
        }
    }
    siblings.sort_by(|one, other| one.age.cmp(&other.age));
    Ok(siblings)
}

/// What the name of a file that `log` was rotated to says of its age; `None` for other files.
fn age(log: &str, other: &str) -> Option<Age> {
    if COMPRESSED.iter().any(|ending| other.ends_with(ending)) {
        return None;
    }
    let between = other.strip_prefix(log).filter(|rest| !rest.is_empty()).or_else(|| {
        let (stem, extension) = log.rsplit_once('.')?;
        other.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.').filter(|rest| !rest.is_empty())
    })?;
    let rest = between.strip_prefix(['.', '-', '_'])?;
    let number = || rest.parse::<u32>().ok().filter(|_| rest.len() <= 4);
    match number() {
        Some(number) => Some(Age::Numbered(Reverse(number))),
        None => Some(Age::Dated(rest.to_owned())),
    }
}

const COMPRESSED: &[&str] = &[".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip"];
/// How many names of a directory are looked at, and how many files are taken of them.
const MAX_ENTRIES: usize = 10_000;
const MAX_SIBLINGS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_told_from_others_and_sorted_by_age() {
        let log = "app.log";
        for name in [
            "app.log",
            "app.log.1.gz",
            "app.logs",
            "other.log.1",
            "app.txt",
            "app2.log",
            "apple-1.log",
            "app.log1",
        ] {
            assert_eq!(age(log, name), None, "{name}");
        }
        let mut names = [
            "app.log.1",
            "app.log.10",
            "app.log.2",
            "app.log-20261130",
            "app.log-20261129",
            "app-20261128.log",
        ];
        names.sort_by_key(|name| age(log, name).unwrap());
        assert_eq!(
            names,
            [
                "app-20261128.log",
                "app.log-20261129",
                "app.log-20261130",
                "app.log.10",
                "app.log.2",
                "app.log.1"
            ]
        );
        assert_eq!(age("messages", "messages.1"), Some(Age::Numbered(Reverse(1))));
        // A year is a date.
        assert!(age(log, "app.log.20261").is_some_and(|age| matches!(age, Age::Dated(_))));
    }

    #[test]
    fn links_and_directories_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("app.log.2"), "x").unwrap();
        std::os::unix::fs::symlink(at("app.log.2"), at("app.log.1")).unwrap();
        fs::create_dir(at("app.log.3")).unwrap();
        assert_eq!(of(&at("app.log")).unwrap().len(), 1);
    }
}

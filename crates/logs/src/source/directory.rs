//! The files of a directory, such as one a day with the date in its name.
//!
//! Each is followed on its own, by its inode and its contents, whatever its name becomes. Files are opened one at a time, so that a
//! directory of many costs no descriptors; what is removed before it was read to its end is a gap.

use super::join::Behind;
use super::opened::{NotOpened, Opened};
use super::poll::Poll;
use super::position::{Beginning, FilePosition, SourcePosition, is_copy};
use super::tracked::{Reached, Reader, Tracked};
use crate::polled::{GapReason, WarningKind};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A directory whose files are followed.
pub(super) struct DirectorySource {
    path: PathBuf,
    matching: String,
    followed: Vec<Tracked>,
    /// Whether it could not be listed at the last look, and it was said.
    is_reported: bool,
    /// Whether it had too many files at the last look, and it was said.
    is_full: bool,
    /// Names that should be files and are links, devices or pipes, of which it was said.
    reported: BTreeSet<OsString>,
}

/// A regular file of the directory.
struct Entry {
    path: PathBuf,
    inode: u64,
    matches: bool,
    /// Whether a position was found for it, or it was seen to need none.
    is_taken: bool,
}

impl DirectorySource {
    pub(super) fn new(path: PathBuf, matching: String, position: SourcePosition) -> Self {
        let followed = position.files.into_iter().map(Tracked::new).collect();
        Self { path, matching, followed, is_reported: false, is_full: false, reported: BTreeSet::new() }
    }

    pub(super) fn position(&self) -> SourcePosition {
        SourcePosition {
            path: self.path.to_string_lossy().into_owned(),
            files: self.followed.iter().map(|tracked| tracked.position.clone()).collect(),
            ..SourcePosition::default()
        }
    }

    pub(super) fn poll(&mut self, reader: &mut Reader, poll: &mut Poll) {
        let (mut entries, others) = match list(&self.path, &self.matching) {
            Ok(listed) => listed,
            Err(error) => {
                if !std::mem::replace(&mut self.is_reported, true) {
                    match error.kind() {
                        io::ErrorKind::NotFound => poll.warn(&reader.source, WarningKind::NotThere),
                        _ => poll.gap(&reader.source, GapReason::Unreadable, None, 0),
                    }
                }
                return;
            }
        };
        self.is_reported = false;
        for _ in others.difference(&self.reported) {
            poll.gap(&reader.source, GapReason::ReplacedByLink, None, 0);
        }
        self.reported = others;
        let followed = self.recognize(&mut entries, reader, poll);
        let mut followed = self.discover(&entries, followed, reader, poll);
        // By name, so that dated files are read in their order.
        followed.sort_by(|one, other| one.1.cmp(&other.1));
        for (tracked, path) in &mut followed {
            if !Self::read(tracked, path, reader, poll) {
                break;
            }
        }
        self.followed = followed.into_iter().map(|(tracked, _)| tracked).collect();
    }

    /// Finds each file that is followed again: itself, or where it was cut or removed, its copy.
    fn recognize(
        &mut self,
        entries: &mut [Entry],
        reader: &Reader,
        poll: &mut Poll,
    ) -> Vec<(Tracked, PathBuf)> {
        let mut found = Vec::with_capacity(self.followed.len());
        let mut lost: Vec<(Tracked, GapReason)> = Vec::new();
        for mut tracked in std::mem::take(&mut self.followed) {
            let own = entries
                .iter_mut()
                .find(|entry| !entry.is_taken && entry.inode == tracked.position.identity.inode);
            let Some(entry) = own else {
                lost.push((tracked, GapReason::LostByRotation));
                continue;
            };
            match entry.open().and_then(|file| {
                let goes_on = tracked.position.goes_on_in(&file)?;
                if goes_on {
                    tracked.notice_cut(&file, reader, poll)?;
                }
                Ok(goes_on)
            }) {
                Ok(true) => {
                    entry.is_taken = true;
                    found.push((tracked, entry.path.clone()));
                }
                // Its other contents are found as those of a new file. Under another name, it is one that has got the inode of a
                // removed one.
                Ok(false) if entry.name() == tracked.position.name => {
                    lost.push((tracked, GapReason::Truncated))
                }
                Ok(false) => lost.push((tracked, GapReason::LostByRotation)),
                Err(NotOpened::Unreadable) => {
                    entry.is_taken = true;
                    tracked.tell_unreadable(reader, poll);
                    found.push((tracked, entry.path.clone()));
                }
                Err(NotOpened::Missing | NotOpened::Other) => lost.push((tracked, GapReason::LostByRotation)),
            }
        }
        for (tracked, why) in lost {
            let is_copy = |entry: &Entry| {
                !entry.is_taken && tracked.position.identity.has_content() && entry.goes_on(&tracked.position)
            };
            match entries.iter_mut().find(|entry| is_copy(entry)) {
                Some(entry) => {
                    entry.is_taken = true;
                    found.push((tracked, entry.path.clone()));
                }
                // Of a file that was read to its end and removed, nothing is missing. In one that was cut, something may be.
                None if tracked.position.unread() > 0
                    || (why == GapReason::Truncated && tracked.position.seen > 0) =>
                {
                    poll.gap(&reader.source, why, None, tracked.position.unread());
                }
                None => {}
            }
        }
        found
    }

    /// Adds the files that are new. A copy of one that is followed is not: it is looked at when the other is cut.
    fn discover(
        &mut self,
        entries: &[Entry],
        mut followed: Vec<(Tracked, PathBuf)>,
        reader: &Reader,
        poll: &mut Poll,
    ) -> Vec<(Tracked, PathBuf)> {
        let mut is_full = false;
        for entry in entries.iter().filter(|entry| entry.matches && !entry.is_taken) {
            // One that cannot be opened is tried again with the next poll.
            let Ok((file, mut position)) = entry.open().and_then(|file| {
                let position = FilePosition::start(&file)?;
                Ok((file, position))
            }) else {
                continue;
            };
            if is_copy_of_any(&file, &followed) {
                continue;
            }
            if followed.len() == MAX_FILES {
                is_full = true;
                break;
            }
            position.name = entry.name().into_owned();
            followed.push((Tracked::new(position), entry.path.clone()));
        }
        if is_full && !self.is_full {
            poll.warn(&reader.source, WarningKind::TooManyFiles { followed: MAX_FILES });
        }
        self.is_full = is_full;
        followed
    }

    /// Reads on in one file; `false` where the poll has no room for more.
    fn read(tracked: &mut Tracked, path: &Path, reader: &mut Reader, poll: &mut Poll) -> bool {
        let Ok(file) = Opened::open(path) else { return true };
        // It may have been replaced since it was looked at; then it is looked at again.
        if !matches!(tracked.position.goes_on_in(&file), Ok(true)) {
            return true;
        }
        tracked.position.identity.inode = file.inode;
        tracked.position.name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let behind = match tracked.pause(&file, poll) {
            // Nobody says when a file is done; half a line at its end is taken for a line after a while.
            Behind::Idle if tracked.is_still_for(poll.now, END) => Behind::Nothing,
            behind => behind,
        };
        tracked.read(&file, behind, reader, poll) == Reached::End
    }
}

impl Entry {
    fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    fn open(&self) -> Result<Opened, NotOpened> {
        Opened::open(&self.path)
    }

    /// Whether what was read of a file is in this one, too.
    fn goes_on(&self, position: &FilePosition) -> bool {
        self.open().is_ok_and(|file| position.goes_on_in(&file).unwrap_or(false))
    }
}

/// Whether a file is a copy of one that is followed, and goes on.
fn is_copy_of_any(file: &Opened, followed: &[(Tracked, PathBuf)]) -> bool {
    let Ok(mut beginning) = Beginning::of(file) else { return false };
    let is_copy_at =
        |path: &Path| Opened::open(path).is_ok_and(|whole| is_copy(file, &whole).unwrap_or(false));
    followed.iter().any(|(tracked, path)| beginning.may_be_of(&tracked.position.identity) && is_copy_at(path))
}

/// The regular files of a directory, by name; and the names that match of what is neither a file nor a directory.
fn list(directory: &Path, matching: &str) -> io::Result<(Vec<Entry>, BTreeSet<OsString>)> {
    let (mut entries, mut others) = (Vec::new(), BTreeSet::new());
    for entry in fs::read_dir(directory)?.take(MAX_ENTRIES) {
        let entry = entry?;
        // Facts of the name itself: a link is not followed.
        let Ok(facts) = entry.metadata() else { continue };
        let matches = is_match(matching.as_bytes(), entry.file_name().as_bytes());
        if facts.is_file() {
            entries.push(Entry { path: entry.path(), inode: facts.ino(), matches, is_taken: false });
        } else if matches && !facts.is_dir() {
            others.insert(entry.file_name());
        }
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((entries, others))
}

/// Whether a name is of a form in which `*` is any characters. It takes time linear in the product of both lengths, which are
/// bounded.
fn is_match(form: &[u8], name: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    // Where the last `*` was, and where what it stands for ends so far.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match form.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(byte) if *byte == name[at] => {
                of += 1;
                at += 1;
            }
            _ => match &mut star {
                Some((star, end)) => {
                    *end += 1;
                    (of, at) = (*star + 1, *end);
                }
                None => return false,
            },
        }
    }
    form[of..].iter().all(|byte| *byte == b'*')
}

/// How many files of a directory are followed.
const MAX_FILES: usize = 1_024;
/// How many names of a directory are looked at.
const MAX_ENTRIES: usize = 10_000;
/// After which time without change half a line at the end of a file is taken for a line.
const END: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_with_stars() {
        for (form, name) in [
            ("*.log", "a.log"),
            ("*.log", ".log"),
            ("app-*-x*", "app--x"),
            ("*", "x"),
            ("a*b*c", "aXbXbXc"),
            ("a", "a"),
        ] {
            assert!(is_match(form.as_bytes(), name.as_bytes()), "{form} {name}");
        }
        for (form, name) in
            [("*.log", "a.log.1"), ("a*b", "ab1"), ("a", "b"), ("a", "ab"), ("ab", "a"), ("", "a")]
        {
            assert!(!is_match(form.as_bytes(), name.as_bytes()), "{form} {name}");
        }
        // What explodes where each star tries all lengths of those before it.
        assert!(!is_match("*a*a*a*a*a*a*a*ab".as_bytes(), "a".repeat(255).as_bytes()));
    }
}

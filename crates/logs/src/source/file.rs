//! A file and what it is rotated to.
//!
//! Rotation by rename: what has the name now is another file; the one before is read to its end, then the next. Rotation by copy
//! and truncate: the file has the same inode and other contents; what was not read of them is looked for in the copy. Where several
//! rotations happened between two looks, the files between are found beside it by their names: what was not there at the last
//! rotation is new.

use super::join::Behind;
use super::opened::{NotOpened, Opened};
use super::poll::Poll;
use super::position::{FilePosition, Identity, SourcePosition, is_copy};
use super::siblings::{self, Sibling};
use super::tracked::{Reached, Reader, Tracked};
use crate::polled::{GapReason, WarningKind};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

/// A file that is followed by its name.
pub(super) struct FileSource {
    path: PathBuf,
    /// Files that were rotated and may have more, oldest first, open where they have been found.
    rotated: VecDeque<(Tracked, Option<Opened>)>,
    /// The file that has the name, or had it last.
    current: Option<(Tracked, Option<Opened>)>,
    known: Vec<Identity>,
    /// Whether it was seen which rotated files there were before the first look. They are not read; all that come later are.
    is_begun: bool,
    /// Whether there was nothing readable at the name at the last look, and it was said.
    is_reported: bool,
}

impl FileSource {
    pub(super) fn new(path: PathBuf, position: SourcePosition) -> Self {
        let found_later = |position| (Tracked::new(position), None);
        Self {
            path,
            rotated: position.files.into_iter().map(found_later).collect(),
            current: position.current.map(found_later),
            known: position.known,
            is_begun: !position.path.is_empty(),
            is_reported: false,
        }
    }

    pub(super) fn position(&self) -> SourcePosition {
        SourcePosition {
            path: if self.is_begun { self.path.to_string_lossy().into_owned() } else { String::new() },
            files: self.rotated.iter().map(|(tracked, _)| tracked.position.clone()).collect(),
            current: self.current.as_ref().map(|(tracked, _)| tracked.position.clone()),
            known: self.known.clone(),
        }
    }

    pub(super) fn poll(&mut self, reader: &mut Reader, poll: &mut Poll) {
        match self.look(reader, poll) {
            Ok(()) => self.is_reported = false,
            Err(why) => {
                if !std::mem::replace(&mut self.is_reported, true) {
                    match why {
                        // Between two steps of a rotation it is so for a moment.
                        NotOpened::Missing => poll.warn(&reader.source, WarningKind::NotThere),
                        NotOpened::Other => poll.gap(&reader.source, GapReason::ReplacedByLink, None, 0),
                        NotOpened::Unreadable => poll.gap(&reader.source, GapReason::Unreadable, None, 0),
                    }
                }
            }
        }
        self.read(reader, poll);
    }

    /// What has the name now, and what became of what had it.
    fn look(&mut self, reader: &mut Reader, poll: &mut Poll) -> Result<(), NotOpened> {
        if !self.is_begun {
            self.known = self.identities(Opened::open(&self.path).ok().as_ref())?;
            self.is_begun = true;
        }
        // After a restart, before anything else: what has not been found since.
        self.find_rotated(reader, poll)?;
        let there = Opened::open(&self.path)?;
        let Some((mut tracked, held)) = self.current.take() else {
            // Nothing had the name yet. It may have been rotated since the last look all the same.
            let none = FilePosition::default();
            self.rotate(&none, None, false, &there, reader, poll).map_err(|(error, _)| error)?;
            self.current = Some((Tracked::new(FilePosition::start(&there)?), Some(there)));
            return Ok(());
        };
        let is_same = match &held {
            Some(held) => held.is_same(&there),
            None => tracked.position.identity.inode == there.inode,
        };
        let is_going_on = match self.is_going_on(&tracked.position, held.as_ref(), is_same, &there) {
            Ok(is_going_on) => is_going_on,
            Err(error) => {
                self.current = Some((tracked, held));
                return Err(error.into());
            }
        };
        if is_going_on {
            let noticed = tracked.notice_cut(&there, reader, poll);
            self.current = Some((tracked, Some(held.unwrap_or(there))));
            return Ok(noticed?);
        }
        match self.rotate(&tracked.position, held, is_same, &there, reader, poll) {
            Ok(()) => {
                self.current = Some((Tracked::new(FilePosition::start(&there)?), Some(there)));
                Ok(())
            }
            Err((error, held)) => {
                // It is looked at again with the next poll.
                self.current = Some((tracked, held));
                Err(error.into())
            }
        }
    }

    /// Whether the file with the name is the one that had it, with what was read of it. Of a file that was empty or short when it
    /// was seen, that is said for certain only where no file came beside it in which it could go on.
    fn is_going_on(
        &self,
        old: &FilePosition,
        held: Option<&Opened>,
        is_same: bool,
        there: &Opened,
    ) -> io::Result<bool> {
        let is_same = is_same && old.goes_on_in(there)?;
        Ok(is_same
            && !(old.identity.is_weak() && self.sort_out(old, held, is_same, there)?.going_on.is_some()))
    }

    /// Puts what had the name, and all that had it since, behind the files that were rotated before.
    fn rotate(
        &mut self,
        old: &FilePosition,
        held: Option<Opened>,
        is_same: bool,
        there: &Opened,
        reader: &Reader,
        poll: &mut Poll,
    ) -> Result<(), (io::Error, Option<Opened>)> {
        let sorted = match self.sort_out(old, held.as_ref(), is_same, there) {
            Ok(sorted) => sorted,
            Err(error) => return Err((error, held)),
        };
        let going_on = match held {
            // A file that was renamed is still open, also where it was removed since.
            Some(held) if !is_same => Some(held),
            _ => sorted.going_on,
        };
        match going_on {
            Some(file) => {
                let mut position = old.clone();
                // By which it is known again after a restart, also where nothing was seen of it before.
                if let Err(error) = position.note(&file) {
                    return Err((error, Some(file)));
                }
                self.rotated.push_back((Tracked::new(position), Some(file)));
            }
            // Where all was read that was ever seen, it is not known whether there was more: that is a gap, too.
            None if old.seen > 0 => {
                let why = if is_same { GapReason::Truncated } else { GapReason::LostByRotation };
                poll.gap(&reader.source, why, None, old.unread());
            }
            None => {}
        }
        for (position, file) in sorted.missed {
            self.rotated.push_back((Tracked::new(position), Some(file)));
        }
        self.known = sorted.known;
        Ok(())
    }

    /// Looks through the files beside it.
    fn sort_out(
        &self,
        old: &FilePosition,
        held: Option<&Opened>,
        is_same: bool,
        there: &Opened,
    ) -> io::Result<Sorted> {
        let mut sorted = Sorted { going_on: None, missed: Vec::new(), known: Vec::new() };
        // What was renamed is open, and goes on there.
        let renamed = held.filter(|_| !is_same);
        for Sibling { file, .. } in siblings::of(&self.path)? {
            let is_held = renamed.is_some_and(|renamed| renamed.is_same(&file));
            // A tool that copies and cuts has copied, and not cut yet.
            let is_being_copied = !is_held && is_copy(&file, there)?;
            if file.is_same(there) || is_being_copied {
                continue;
            }
            let identity = Identity::of(&file)?;
            let is_needless =
                is_held || !identity.has_content() || self.is_known(&file)? || self.is_tracked(&file);
            sorted.known.push(identity);
            if is_needless {
                continue;
            }
            // Another copy of the same. A short file is rather read twice than not at all.
            let is_same_again = match renamed.or(sorted.going_on.as_ref()) {
                Some(held) => !sorted.known.last().is_some_and(Identity::is_weak) && is_copy(&file, held)?,
                None => false,
            };
            match &sorted.going_on {
                _ if is_same_again => {}
                None if renamed.is_none() && old.goes_on_in(&file)? => sorted.going_on = Some(file),
                _ => sorted.missed.push((FilePosition::start(&file)?, file)),
            }
        }
        Ok(sorted)
    }

    fn is_known(&self, file: &Opened) -> io::Result<bool> {
        for known in &self.known {
            if known.is(file)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_tracked(&self, file: &Opened) -> bool {
        self.rotated.iter().filter_map(|(_, other)| other.as_ref()).any(|other| other.is_same(file))
    }

    /// Opens what was rotated before a restart.
    fn find_rotated(&mut self, reader: &Reader, poll: &mut Poll) -> Result<(), NotOpened> {
        if self.rotated.iter().all(|(_, file)| file.is_some()) {
            return Ok(());
        }
        let mut siblings: Vec<Option<Opened>> =
            siblings::of(&self.path)?.into_iter().map(|sibling| Some(sibling.file)).collect();
        for (tracked, held) in self.rotated.iter_mut().filter(|(_, held)| held.is_none()) {
            // The file itself, or else a copy of it.
            let mut found = None;
            for (index, sibling) in siblings.iter().enumerate() {
                let Some(sibling) = sibling else { continue };
                if tracked.position.goes_on_in(sibling)? {
                    let is_itself = tracked.position.identity.inode == sibling.inode;
                    found = if is_itself { Some(index) } else { found.or(Some(index)) };
                    if is_itself {
                        break;
                    }
                }
            }
            *held = found.and_then(|index| siblings.get_mut(index)?.take());
            if held.is_none() {
                poll.gap(&reader.source, GapReason::LostByRotation, None, tracked.position.unread());
            }
        }
        self.rotated.retain(|(_, file)| file.is_some());
        Ok(())
    }

    /// The files beside it, at the start. A copy of what is there is not among them: it may be the one in which it goes on.
    fn identities(&self, there: Option<&Opened>) -> io::Result<Vec<Identity>> {
        let mut identities = Vec::new();
        for Sibling { file, .. } in siblings::of(&self.path)? {
            let is_copy = match there {
                Some(there) => file.is_same(there) || is_copy(&file, there)?,
                None => false,
            };
            if !is_copy {
                identities.push(Identity::of(&file)?);
            }
        }
        Ok(identities)
    }

    /// Reads on, oldest first.
    fn read(&mut self, reader: &mut Reader, poll: &mut Poll) {
        while let Some((mut tracked, file)) = self.rotated.pop_front() {
            let Some(file) = file else { continue };
            // A program goes on writing to the file that it has open until it opens another. Judged before the last look at the
            // file.
            let is_over = self.has_successor();
            let behind = if is_over { Behind::Nothing } else { tracked.pause(&file, poll) };
            let reached = tracked.read(&file, behind, reader, poll);
            if !is_over || reached == Reached::Limit {
                self.rotated.push_front((tracked, Some(file)));
                return;
            }
            // It may have been empty, or shorter, when it was noted.
            let identity = tracked.position.identity;
            self.known.retain(|known| known.inode != identity.inode);
            self.known.push(identity);
        }
        if let Some((tracked, Some(file))) = &mut self.current {
            let behind = tracked.pause(file, poll);
            tracked.read(file, behind, reader, poll);
        }
    }

    /// Whether anything was written to a file that came later than the first of those that are rotated.
    fn has_successor(&self) -> bool {
        let later =
            self.rotated.iter().map(|(_, file)| file).chain(self.current.iter().map(|(_, file)| file));
        later.flatten().any(|file| file.length().is_ok_and(|length| length > 0))
    }
}

/// What the files beside it are.
struct Sorted {
    /// The one in which what had the name goes on.
    going_on: Option<Opened>,
    /// Those that had the name in the meantime, oldest first.
    missed: Vec<(FilePosition, Opened)>,
    /// All of them, for the next time.
    known: Vec<Identity>,
}

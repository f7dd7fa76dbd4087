//! A file that is followed: where it is, and reading on from there.

use super::join::{Behind, Joiner, Step};
use super::opened::Opened;
use super::poll::Poll;
use super::position::FilePosition;
use crate::filter::Filter;
use crate::name::SourceName;
use crate::polled::GapReason;
use std::io;
use std::time::{Duration, Instant};

/// What reading a source takes.
pub(super) struct Reader {
    pub(super) source: SourceName,
    pub(super) joiner: Joiner,
    pub(super) filter: Filter,
    /// The bytes that are looked at, which all files of all sources share in turn.
    pub(super) window: Vec<u8>,
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) position: FilePosition,
    /// Since when it has had its length.
    still: Option<(u64, Instant)>,
    /// Whether it was said already that it cannot be read.
    is_reported: bool,
}

/// How far reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// All that can be read now.
    End,
    /// The limit of the poll.
    Limit,
}

impl Tracked {
    pub(super) fn new(position: FilePosition) -> Self {
        Self { position, still: None, is_reported: false }
    }

    /// What may come behind what is there: whole lines wait a while for others of their entry.
    pub(super) fn pause(&mut self, file: &Opened, poll: &Poll) -> Behind {
        let Ok(length) = file.length() else { return Behind::Growing };
        if self.still.is_none_or(|(same, _)| same != length) {
            self.still = Some((length, poll.now));
        }
        if self.is_still_for(poll.now, PAUSE) { Behind::Idle } else { Behind::Growing }
    }

    /// Whether the file has had its length for that long, as far as [`Self::pause`] knows.
    pub(super) fn is_still_for(&self, now: Instant, time: Duration) -> bool {
        self.still.is_some_and(|(_, since)| now.saturating_duration_since(since) >= time)
    }

    /// Reads on in `file`, which goes on from the position. What cannot be read now is a gap, once, and tried again.
    pub(super) fn read(
        &mut self,
        file: &Opened,
        behind: Behind,
        reader: &mut Reader,
        poll: &mut Poll,
    ) -> Reached {
        let read = self.read_on(file, behind, reader, poll).and_then(|reached| {
            self.position.note(file)?;
            Ok(reached)
        });
        match read {
            Ok(reached) => {
                self.is_reported = false;
                reached
            }
            Err(_) => {
                self.tell_unreadable(reader, poll);
                Reached::End
            }
        }
    }

    /// Says once that it cannot be read.
    pub(super) fn tell_unreadable(&mut self, reader: &Reader, poll: &mut Poll) {
        if !std::mem::replace(&mut self.is_reported, true) {
            poll.gap(&reader.source, GapReason::Unreadable, None, self.position.unread());
        }
    }

    /// Notes what is missing where the file has become shorter behind the position.
    pub(super) fn notice_cut(&mut self, file: &Opened, reader: &Reader, poll: &mut Poll) -> io::Result<()> {
        let length = file.length()?;
        if length < self.position.seen {
            poll.gap(&reader.source, GapReason::Truncated, None, self.position.seen - length);
            self.position.seen = length;
        }
        Ok(())
    }

    fn read_on(
        &mut self,
        file: &Opened,
        behind: Behind,
        reader: &mut Reader,
        poll: &mut Poll,
    ) -> io::Result<Reached> {
        let Reader { source, joiner, filter, window } = reader;
        window.resize(joiner.window(), 0);
        let position = &mut self.position;
        loop {
            let filled = file.fill(position.offset, window)?;
            let behind = if filled == window.len() { Behind::More } else { behind };
            let mut bytes = &window[..filled];
            let before = position.offset;
            loop {
                if !bytes.is_empty() && !poll.has_room() {
                    return Ok(Reached::Limit);
                }
                let taken = match joiner.step(bytes, position.is_skipping, behind) {
                    Step::Wait => break,
                    Step::Skip { length, is_first, goes_on } => {
                        position.is_skipping = goes_on;
                        poll.skip(source, length, is_first);
                        length
                    }
                    Step::Entry { length, text, is_replaced } => {
                        if !poll.take(source, filter, &text, length, is_replaced) {
                            return Ok(Reached::Limit);
                        }
                        length
                    }
                };
                position.offset += taken as u64;
                bytes = &bytes[taken..];
            }
            // A window that is full always gives something; the second condition ends the loop all the same.
            if behind != Behind::More || position.offset == before {
                return Ok(Reached::End);
            }
        }
    }
}

/// How long an entry of several lines waits for another line.
const PAUSE: Duration = Duration::from_secs(5);

//! A file of lines of JSON, which are durable before the log counts as taken up to there.
//!
//! A batch is in it whole or not at all: what a full disk cut short is cut off at once, and what a crash did when the file is
//! opened.

use super::{Failure, Line};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The file, open.
pub(super) struct FileSink {
    file: File,
    /// Bytes that stay free on its file system.
    keep_free: u64,
}

impl FileSink {
    /// Opens the file, or makes it, readable for its owner alone. On the file system of `home`, the authority's directory, it
    /// leaves room for the store.
    pub(super) fn open(path: &Path, home: &Path) -> Result<Self, Failure> {
        // Opening a pipe would wait for its reader.
        if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
            return Err(Failure::File(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")));
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let is_beside = file.metadata()?.dev() == fs::metadata(home)?.dev();
        let mut sink = Self { file, keep_free: if is_beside { KEEP_FREE } else { 0 } };
        sink.require_ours()?;
        sink.cut_unfinished_line()?;
        Ok(sink)
    }

    /// Appends the lines, durably.
    pub(super) fn write(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.json);
            text.push('\n');
        }
        let free = rustix::fs::fstatvfs(&self.file).map_err(io::Error::from)?;
        let available = free.f_bavail.saturating_mul(free.f_frsize);
        if available < self.keep_free.saturating_add(text.len() as u64) {
            return Err(Failure::DiskFull(format!(
                "{} MiB are free, of which {} are left to the store",
                available >> 20,
                self.keep_free >> 20
            )));
        }
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // Where that fails, too, it is cut when the file is opened again.
            let _ = self.file.set_len(before);
            Failure::from(error)
        })
    }

    /// Refuses a file of something else, such as a key that is named by mistake: nothing is cut off it, and nothing appended.
    fn require_ours(&mut self) -> io::Result<()> {
        let mut begin = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        Read::by_ref(&mut self.file).take(BEGIN.len() as u64).read_to_end(&mut begin)?;
        // A crash may have left less than that of the first line.
        match BEGIN.as_bytes().starts_with(&begin) {
            true => Ok(()),
            false => {
                Err(io::Error::new(ErrorKind::InvalidData, "it is there, and is not a file of audit entries"))
            }
        }
    }

    /// Cuts off the line that a crash left unfinished: its entry is not taken, and comes again.
    fn cut_unfinished_line(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let from = length.saturating_sub(LONGEST_LINE);
        self.file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        Read::by_ref(&mut self.file).take(LONGEST_LINE).read_to_end(&mut end)?;
        let whole = match end.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => from + at as u64 + 1,
            None if from == 0 => 0,
            None => return Err(io::Error::new(ErrorKind::InvalidData, "it does not end with lines of JSON")),
        };
        if whole < length {
            tracing::warn!(
                bytes = length - whole,
                "an unfinished line at the end of an audit sink's file was cut off"
            );
            self.file.set_len(whole)?;
        }
        Ok(())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull(error.to_string())
            }
            _ => Self::File(error),
        }
    }
}

/// Twice what the store keeps for itself: the file is full before the store is.
const KEEP_FREE: u64 = 128 << 20;

/// How each line begins, and so the file.
const BEGIN: &str = "{\"sequence\":";

/// More than an entry comes to, whose values are bounded.
const LONGEST_LINE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        let (time, event) = (String::new(), String::new());
        Line { number, json: format!("{{\"sequence\":{number}}}"), time, event, is_refused: false }
    }

    fn opened(path: &Path) -> FileSink {
        // The machine of a test may have less free than a store is left.
        FileSink { keep_free: 0, ..FileSink::open(path, Path::new("/proc")).unwrap() }
    }

    #[test]
    fn lines_follow_each_other_over_openings_and_an_unfinished_one_is_cut() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit.jsonl");
        opened(&path).write(&[line(1), line(2)]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"sequ").unwrap();
        opened(&path).write(&[line(3)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"sequence\":1}\n{\"sequence\":2}\n{\"sequence\":3}\n");
        fs::write(&path, "{\"seq").unwrap();
        opened(&path).write(&[line(1)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"sequence\":1}\n");
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("root.key");
        let endless = [BEGIN.as_bytes(), &vec![b'7'; LONGEST_LINE as usize]].concat();
        for other in [vec![7; 32], b"{\n}\n".to_vec(), b"{\"sequence\" ".to_vec(), endless] {
            fs::write(&path, &other).unwrap();
            assert!(FileSink::open(&path, place.path()).is_err());
            assert!(fs::read(&path).unwrap() == other, "nothing was cut off, and nothing appended");
        }
        assert!(FileSink::open(Path::new("/dev/null"), place.path()).is_err());
    }

    #[test]
    fn on_a_full_disk_nothing_is_half_written_and_it_goes_on_when_there_is_room() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit.jsonl");
        let mut sink = FileSink { keep_free: u64::MAX, ..opened(&path) };
        assert!(matches!(sink.write(&[line(1)]), Err(Failure::DiskFull(_))));
        sink.keep_free = 0;
        sink.write(&[line(1)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"sequence\":1}\n");
        // A device on which every write finds the disk full (full(4)).
        let full = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
        let mut sink = FileSink { file: full, keep_free: 0 };
        assert!(matches!(sink.write(&[line(2)]), Err(Failure::DiskFull(_))));
    }

    #[test]
    fn beside_the_store_it_leaves_room_for_it() {
        let place = tempfile::tempdir().unwrap();
        let sink = FileSink::open(&place.path().join("a"), place.path()).unwrap();
        assert_eq!(sink.keep_free, KEEP_FREE);
        // Another file system.
        assert_eq!(FileSink::open(&place.path().join("b"), Path::new("/proc")).unwrap().keep_free, 0);
    }
}

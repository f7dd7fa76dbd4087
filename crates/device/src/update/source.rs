//! Where files come from: a directory, such as a share or a USB stick, a web server, or what the device has kept.

use super::error::UpdateError;
use super::settings::Place;
use crate::error::Error;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wardein_client::{Fetched, Fetcher, Settings};
use wardein_tuf::Wanted;

/// Where files come from.
pub(super) enum Source {
    Directory(PathBuf),
    Web(Box<Fetcher>),
}

/// A file that comes in pieces.
pub(super) enum Coming {
    File { path: PathBuf, file: File },
    Web(Box<Fetched>),
}

impl Source {
    pub(super) fn of(place: &Place, settings: &Settings) -> Result<Self, Error> {
        match place {
            Place::Directory(path) => Ok(Self::Directory(path.clone())),
            Place::Web(base) => {
                let fetcher = Fetcher::new(base, settings).map_err(UpdateError::Unreachable)?;
                Ok(Self::Web(Box::new(fetcher)))
            }
        }
    }

    /// Metadata, one byte more than may be read of it where it is too long; `None` where there is none.
    pub(super) async fn metadata(&self, wanted: &Wanted) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Directory(path) => {
                let path = path.join(&wanted.file);
                let Some(file) = open(&path)? else { return Ok(None) };
                let mut bytes = Vec::new();
                let read = file.take(wanted.limit + 1).read_to_end(&mut bytes);
                read.map_err(Error::file("read", path))?;
                Ok(Some(bytes))
            }
            Self::Web(fetcher) => {
                let fetched = fetcher.whole(&wanted.file, wanted.limit).await;
                Ok(fetched.map_err(UpdateError::Unreachable)?)
            }
        }
    }

    /// The file `name` from byte `from` on, and from which byte it comes; `None` where there is none.
    pub(super) async fn open(&self, name: &str, from: u64) -> Result<Option<(u64, Coming)>, Error> {
        match self {
            Self::Directory(path) => {
                let path = path.join(name);
                let Some(mut file) = open(&path)? else { return Ok(None) };
                file.seek(SeekFrom::Start(from)).map_err(Error::file("read", &path))?;
                Ok(Some((from, Coming::File { path, file })))
            }
            Self::Web(fetcher) => {
                let fetched = fetcher.fetch(name, from).await.map_err(UpdateError::Unreachable)?;
                Ok(fetched.map(|fetched| (fetched.from, Coming::Web(Box::new(fetched)))))
            }
        }
    }
}

impl Coming {
    /// Reads the next piece into `buffer`, which it replaces; an empty one is the end.
    pub(super) async fn next(&mut self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        buffer.clear();
        match self {
            Self::File { path, file } => {
                let read = file.take(PIECE).read_to_end(buffer);
                read.map_err(Error::file("read", path.as_path()))?;
            }
            Self::Web(fetched) => {
                if let Some(piece) = fetched.next().await.map_err(UpdateError::Unreachable)? {
                    buffer.extend_from_slice(&piece);
                }
            }
        }
        Ok(())
    }
}

/// A regular file; `None` where there is none. A share can have a pipe in its place, whose other end would be waited for.
fn open(path: &Path) -> Result<Option<File>, Error> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("open", path)(error)),
    };
    let facts = file.metadata().map_err(Error::file("open", path))?;
    if !facts.is_file() {
        return Err(Error::file("open", path)(std::io::Error::other("it is not a regular file")));
    }
    Ok(Some(file))
}

/// Bytes that are read of a file at a time.
const PIECE: u64 = 256 << 10;

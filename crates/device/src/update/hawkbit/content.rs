//! The body of an answer: a text, or the artifact, judged once more while it is handed out.

use super::action::Artifact;
use super::server::Desk;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wardein_tuf::TargetCheck;

/// The body of an answer.
pub(super) enum Content {
    Text(Bytes),
    Artifact(Box<HandedOut>),
}

/// The artifact. SWUpdate writes to flash what it gets, as it comes; so the last piece is held back until all of it is what was
/// signed.
pub(super) struct HandedOut {
    desk: Arc<Desk>,
    file: File,
    /// `None` once it was asked.
    check: Option<TargetCheck>,
    held: Vec<u8>,
    left: u64,
}

impl HandedOut {
    pub(super) fn open(desk: &Arc<Desk>, artifact: &Artifact) -> io::Result<Self> {
        let (path, signed) = &artifact.target;
        Ok(Self {
            desk: desk.clone(),
            file: File::open(&artifact.path)?,
            check: Some(TargetCheck::new(path, signed)),
            held: Vec::new(),
            left: signed.length,
        })
    }

    /// The next piece; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(check) = &mut self.check else { return Ok(None) };
            let mut piece = Vec::new();
            match self.file.by_ref().take(PIECE).read_to_end(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
                Ok(0) => {
                    let check = self.check.take();
                    check.map_or(Ok(()), TargetCheck::finish).map_err(io::Error::other)?;
                    self.desk.was_handed_out();
                    let last = std::mem::take(&mut self.held);
                    return Ok((!last.is_empty()).then(|| self.given(last)));
                }
                Ok(_) => check.update(&piece).map_err(io::Error::other)?,
            }
            let before = std::mem::replace(&mut self.held, piece);
            if !before.is_empty() {
                return Ok(Some(self.given(before)));
            }
        }
    }

    fn given(&mut self, piece: Vec<u8>) -> Bytes {
        self.desk.is_asked();
        self.left = self.left.saturating_sub(piece.len() as u64);
        piece.into()
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.get_mut() {
            Self::Text(text) if text.is_empty() => Ok(None),
            Self::Text(text) => Ok(Some(std::mem::take(text))),
            Self::Artifact(file) => file.next(),
        };
        if let Err(error) = &piece {
            tracing::warn!(%error, "the artifact is not handed out to its end");
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)).transpose())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.len() as u64,
            Self::Artifact(file) => file.left,
        })
    }
}

/// Bytes that are read of the file at a time.
const PIECE: u64 = 256 << 10;

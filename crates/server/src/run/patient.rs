//! A stream that does not wait for ever for a peer that takes nothing, whose answers would stay in memory, and that lets others
//! have their turn when a peer never stops sending, such as pings, for which HTTP/2 has no window.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The stream.
pub(crate) struct Patient<S> {
    stream: S,
    most: Duration,
    /// What was read since others had their turn.
    read: usize,
    /// Set while the peer takes nothing.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, most: Duration) -> Self {
        Self { stream, most, read: 0, patience: None }
    }

    fn judged<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let most = self.most;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(most)));
        patience.as_mut().poll(cx).map(|()| Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.read >= TURN {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read = if polled.is_ready() { self.read + buf.filled().len() - before } else { 0 };
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judged(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judged(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(cx);
        self.judged(cx, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judged(cx, written)
    }
}

/// Less than what many calls bring at one time, so that it costs them nothing.
const TURN: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_not_waited_for() {
        let (ours, mut peers) = duplex(8);
        let mut patient = Patient::new(ours, Duration::from_millis(50));
        let error = patient.write_all(&[7; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // One that takes something is.
        assert_eq!(peers.read(&mut [0; 8]).await.unwrap(), 8);
        patient.write_all(&[7; 8]).await.unwrap();
    }

    #[test]
    fn a_peer_that_never_stops_lets_others_have_their_turn() {
        let mut patient = Patient::new(tokio::io::repeat(7), Duration::ZERO);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut read = 0;
            let mut bytes = [0; 1024];
            let mut buf = ReadBuf::new(&mut bytes);
            while Pin::new(&mut patient).poll_read(&mut cx, &mut buf).is_ready() {
                read += buf.filled().len();
                assert!(read <= TURN);
                buf.clear();
            }
            assert_eq!(read, TURN);
        }
    }
}

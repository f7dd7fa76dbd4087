//! An answer on its way out. Its call is in hand until the last of it was taken, and a stream that needs no certificate ends.

use super::hand::InHand;
use super::line::Waiting;
use bytes::Bytes;
use futures_util::future::Shared;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;

/// The body of a response.
pub(crate) struct Answer {
    body: Body,
    /// None for a refusal that has no body, and for a call that had no place.
    call: Option<InHand>,
    /// Set while the peer is to take something; not while it waits for us.
    waiting: Option<Waiting>,
    end: Option<End>,
}

/// Done when the stream is to end, with why. A stream's requests and its answer share one: if each waited for itself, the answer
/// of a stream whose requests are ended first would end as one that went well.
pub(super) type End = Shared<Pin<Box<dyn Future<Output = Status> + Send>>>;

impl Answer {
    pub(super) fn new(body: Body, call: Option<InHand>, end: Option<End>) -> Self {
        let waiting = call.as_ref().map(|call| call.line().begin_waiting());
        Self { body, call, waiting, end }
    }

    /// Notes whose turn it is: the peer's, which is to take a frame, or ours.
    fn turn(&mut self, is_peers: bool) {
        let Some(line) = self.call.as_ref().map(InHand::line) else { return };
        match (&mut self.waiting, is_peers) {
            (Some(waiting), true) => line.go_on_waiting(waiting),
            (None, true) => self.waiting = Some(line.begin_waiting()),
            (waiting, false) => {
                if let Some(waiting) = waiting.take() {
                    line.end_waiting(waiting);
                }
            }
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let me = &mut *self;
        let polled = http_body::Body::poll_frame(Pin::new(&mut me.body), cx);
        // What is there is sent first. A stream that ended because its requests did, at the same time, has the same reason.
        let has_data = matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data());
        if let (false, Some(end)) = (has_data, &mut me.end)
            && let Poll::Ready(status) = Pin::new(end).poll(cx)
        {
            let mut trailers = HeaderMap::new();
            // Its message is a constant of ours.
            let _ = status.add_header(&mut trailers);
            (me.body, me.end) = (Body::empty(), None);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        me.turn(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body) && self.end.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.turn(false);
    }
}

//! The messages of a request on their way in: bounded by their method before a byte of them is kept, and handed on whole.
//!
//! tonic reserves what the header of a message announces before any of it is there (`tonic::codec::Streaming`). Handed a message
//! that is whole, it reserves no more than has come.

use super::answer::End;
use super::hand::InHand;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::{Code, Status};
use wardein_engine::{Error, ErrorCode};

/// The one message of a unary call, with its header, once all of it is there.
pub(super) async fn whole(mut body: Incoming, limit: usize, call: &mut InHand) -> Result<Bytes, Error> {
    let mut held = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers mean nothing here.
        let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else { continue };
        call.hold(held.len() + data.len())?;
        if held.is_empty() && body.is_end_stream() {
            return one(data, limit);
        }
        // Copied: what came would keep the whole buffer alive in which it came.
        held.extend_from_slice(&data);
        let end = end(&held, limit)?;
        if end.is_some_and(|end| held.len() > end) {
            return Err(malformed("more than one message came"));
        }
    }
    one(held.freeze(), limit)
}

/// The body of a POST, once all of it is there. One that says ahead that it is too large is refused by that alone.
pub(super) async fn octets(mut body: Incoming, limit: usize, call: &mut InHand) -> Result<Bytes, Error> {
    let within = |length: u64| match length <= limit as u64 {
        true => Ok(()),
        false => {
            let message =
                format_args!("the body has {length} bytes or more; the method takes at most {limit}");
            Err(Error::new(ErrorCode::TooLarge, message))
        }
    };
    within(body.size_hint().lower())?;
    let mut held = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers mean nothing here.
        let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else { continue };
        let length = held.len() + data.len();
        within(length as u64)?;
        call.hold(length)?;
        if held.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        // Copied: what came would keep the whole buffer alive in which it came.
        held.extend_from_slice(&data);
    }
    Ok(held.freeze())
}

fn one(bytes: Bytes, limit: usize) -> Result<Bytes, Error> {
    match end(&bytes, limit)? {
        Some(end) if end == bytes.len() => Ok(bytes),
        Some(end) if end < bytes.len() => Err(malformed("more than one message came")),
        _ if bytes.is_empty() => Err(malformed("no message came")),
        _ => Err(malformed("the message is cut off")),
    }
}

/// The messages of a stream: each is withheld until it is whole.
pub(super) struct Messages {
    body: Incoming,
    limit: usize,
    held: BytesMut,
    end: Option<End>,
}

impl Messages {
    pub(super) fn new(body: Incoming, limit: usize, end: Option<End>) -> Self {
        Self { body, limit, held: BytesMut::new(), end }
    }
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let me = &mut *self;
        loop {
            let polled = Pin::new(&mut me.body).poll_frame(cx);
            if let (Poll::Pending, Some(end)) = (&polled, &mut me.end)
                && let Poll::Ready(status) = Pin::new(end).poll(cx)
            {
                me.end = None;
                return Poll::Ready(Some(Err(status)));
            }
            let data = match ready!(polled) {
                None if me.held.is_empty() => return Poll::Ready(None),
                None => {
                    me.held.clear();
                    return failed(malformed("the message is cut off"));
                }
                Some(Err(_)) => return failed(broken_off()),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    // Trailers mean nothing here.
                    Err(_) => continue,
                },
            };
            let whole = if me.held.is_empty() { all(&data, me.limit) } else { Ok(0) };
            match whole {
                Err(error) => return failed(error),
                Ok(length) if length == data.len() => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(_) => me.held.extend_from_slice(&data),
            }
            match all(&me.held, me.limit) {
                Err(error) => return failed(error),
                Ok(0) => {}
                Ok(length) => {
                    return Poll::Ready(Some(Ok(Frame::data(me.held.split_to(length).freeze()))));
                }
            }
        }
    }
}

/// tonic hands on the code and the words of a body's error, and nothing else; the edge reads them as it reads tonic's own
/// (`grpc::status::carried`).
fn failed(error: Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    let code = match error.code {
        ErrorCode::TooLarge => Code::OutOfRange,
        ErrorCode::Malformed => Code::InvalidArgument,
        _ => Code::Unavailable,
    };
    Poll::Ready(Some(Err(Status::new(code, error.message))))
}

/// How many of the bytes are whole messages.
fn all(bytes: &[u8], limit: usize) -> Result<usize, Error> {
    let mut length = 0;
    while let Some(end) = end(&bytes[length..], limit)? {
        if bytes.len() - length < end {
            break;
        }
        length += end;
    }
    Ok(length)
}

/// Where the first message ends, once its header is there: a flag, and the length of what follows (gRPC over HTTP/2,
/// Length-Prefixed-Message).
fn end(bytes: &[u8], limit: usize) -> Result<Option<usize>, Error> {
    let Some([flag, length @ ..]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    if *flag != 0 {
        return Err(malformed("a message is marked as compressed, and no compression was named"));
    }
    let length = u32::from_be_bytes(*length) as usize;
    if length > limit {
        let message = format_args!("the message has {length} bytes; the method takes at most {limit}");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Ok(Some(HEADER + length))
}

fn malformed(message: &'static str) -> Error {
    Error::new(ErrorCode::Malformed, message)
}

fn broken_off() -> Error {
    Error::new(ErrorCode::BrokenOff, "the call broke off before its message was whole")
}

const HEADER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        bytes.resize(HEADER + length, 7);
        bytes
    }

    #[test]
    fn a_message_is_judged_by_its_header_alone() {
        assert_eq!(end(&message(8)[..4], 8).unwrap(), None);
        assert_eq!(end(&message(8)[..5], 8).unwrap(), Some(13));
        assert_eq!(end(&message(9)[..5], 8).unwrap_err().code, ErrorCode::TooLarge);
        assert_eq!(end(&[1, 0, 0, 0, 1], 8).unwrap_err().code, ErrorCode::Malformed);
    }

    #[test]
    fn only_whole_messages_are_handed_on() {
        let two = [message(3), message(4)].concat();
        assert_eq!(all(&two, 8).unwrap(), two.len());
        assert_eq!(all(&two[..two.len() - 1], 8).unwrap(), 8);
        assert_eq!(all(&two[..7], 8).unwrap(), 0);
        assert_eq!(all(&[message(3), message(9)].concat(), 8).unwrap_err().code, ErrorCode::TooLarge);
    }

    #[test]
    fn a_unary_call_has_one_message() {
        let refused = |bytes: Vec<u8>| one(bytes.into(), 8).unwrap_err();
        assert_eq!(one(message(8).into(), 8).unwrap(), message(8));
        assert_eq!(refused(vec![]).message, "no message came");
        assert_eq!(refused(message(8)[..9].to_vec()).message, "the message is cut off");
        assert_eq!(refused([message(3), message(3)].concat()).message, "more than one message came");
    }
}

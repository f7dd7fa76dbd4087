//! Replies that hold a secret: a released key, an opened plaintext. The message holds it in memory that is wiped, and the frame that
//! tonic encodes it into becomes such memory before it goes to HTTP/2.
//!
//! What it does not do: requests, such as one with the key of a sealed artifact, are decoded out of memory that is not wiped.
//! HTTP/2 copies frames of less than 256 bytes into its own buffer, and TLS encrypts out of one; these are overwritten by what is
//! sent next, and not wiped.

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;
use wardein_crypto::SecretBytes;

/// A secret as bytes of a message, wiped when the last of them is dropped.
pub(crate) fn wiped(secret: SecretBytes) -> Bytes {
    Bytes::from_owner(Owner(secret))
}

struct Owner(SecretBytes);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A service whose answers to the calls of `paths`, each of one message, are wiped.
#[derive(Clone)]
pub(crate) struct Wiping<S> {
    pub(crate) service: S,
    pub(crate) paths: &'static [&'static str],
}

impl<S: NamedService> NamedService for Wiping<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Wiping<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_secret = self.paths.contains(&request.uri().path());
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(if is_secret { answer.map(|body| Body::new(WipedBody::new(body))) } else { answer })
        })
    }
}

/// The frames of a body of one message. They are held until the encoder is gone, which shares their memory until then.
struct WipedBody {
    inner: Option<Body>,
    frames: VecDeque<Frame<Bytes>>,
}

impl WipedBody {
    fn new(inner: Body) -> Self {
        Self { inner: Some(inner), frames: VecDeque::new() }
    }

    /// Takes all frames, and ends the encoder.
    fn gather(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        while let Some(inner) = &mut self.inner {
            match ready!(http_body::Body::poll_frame(Pin::new(inner), context)) {
                Some(Ok(frame)) => self.frames.push_back(frame),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => self.inner = None,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl http_body::Body for WipedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Err(error) = ready!(self.gather(context)) {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(self.frames.pop_front().map(|frame| Ok(frame.map_data(owned))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The same memory, wiped when it is dropped; as it is where others hold it too.
fn owned(data: Bytes) -> Bytes {
    match data.try_into_mut() {
        Ok(data) => wiped(SecretBytes::from_vec(data.into())),
        Err(data) => data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tonic::codec::{Codec, EncodeBody, SingleMessageCompressionOverride};
    use tonic_prost::ProstCodec;
    use wardein_proto::v1::{
        FileKeyResult, OpenResponse, ReleaseFileKeysResponse, SealedBy, file_key_result,
    };

    /// A reply as tonic encodes it.
    fn reply(length: usize) -> WipedBody {
        let plaintext = wiped(SecretBytes::from_vec(vec![7; length]));
        body_of(OpenResponse { plaintext, sealed_by: None })
    }

    fn body_of<M: prost::Message + Default + Send + 'static>(message: M) -> WipedBody {
        let encoder = ProstCodec::<M, M>::default().encoder();
        let (source, as_it_is) =
            (tokio_stream::once(Ok(message)), SingleMessageCompressionOverride::default());
        WipedBody::new(Body::new(EncodeBody::new_server(encoder, source, None, as_it_is, None)))
    }

    #[tokio::test]
    async fn nobody_else_holds_the_memory_that_a_reply_is_encoded_into() {
        for length in [0, 32, 8_100, 8 * 1024] {
            let mut body = reply(length);
            poll_fn(|context| body.gather(context)).await.unwrap();
            let data = body.frames.pop_front().unwrap().into_data().unwrap();
            assert_eq!(data.iter().filter(|byte| **byte == 7).count(), length);
            // What is shared would stay as it is, and not be wiped.
            assert!(data.try_into_mut().is_ok(), "{length}");
        }
    }

    /// However much comes before the keys, they are copied once, into memory that is wiped.
    #[tokio::test]
    async fn nobody_else_holds_the_memory_of_a_thousand_keys() {
        let sealed_by = SealedBy { key_name: "n".repeat(200), ..Default::default() };
        let result = FileKeyResult { result: Some(file_key_result::Result::Released(sealed_by)) };
        let keys = wiped(SecretBytes::from_vec(vec![7; 16_000]));
        let mut body =
            body_of(ReleaseFileKeysResponse { results: vec![result; 1_000], digest: vec![], keys });
        poll_fn(|context| body.gather(context)).await.unwrap();
        let frames: Vec<_> = body.frames.drain(..).filter_map(|frame| frame.into_data().ok()).collect();
        assert_eq!(frames.iter().flatten().filter(|byte| **byte == 7).count(), 16_000);
        assert!(frames.into_iter().all(|data| data.try_into_mut().is_ok()));
    }

    #[tokio::test]
    async fn a_reply_is_handed_on_as_it_was_with_its_trailers() {
        let mut body = reply(32);
        let mut next =
            async || poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context)).await;
        let data = next().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((data.len(), data[5..7].to_vec()), (5 + 2 + 32, vec![0x12, 32]));
        // Bytes that have an owner never become mutable: it is the wiping one.
        assert!(data.try_into_mut().is_err());
        assert!(next().await.unwrap().unwrap().is_trailers());
        assert!(next().await.is_none());
    }

    #[test]
    fn the_bytes_of_a_message_are_the_secrets_own_memory() {
        let secret = SecretBytes::from_vec(b"plaintext".to_vec());
        let place = secret.expose().as_ptr();
        let bytes = wiped(secret);
        assert_eq!((&bytes[..], bytes.clone().as_ptr()), (&b"plaintext"[..], place));
    }
}

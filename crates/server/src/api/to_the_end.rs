//! Work that does not end with its caller's patience.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;

/// A future that is driven by whoever waits for it, and by a task of its own from when nobody does any more. A task from the start
/// would do too, and cost each call one.
pub(crate) struct ToTheEnd<T: Send + 'static>(pub(crate) Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Polled once more after its end it never wakes, as the contract of `Future` allows.
        let Some(work) = self.0.as_mut() else { return Poll::Pending };
        let done = ready!(work.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(done)
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        // Without a runtime the process is past its end, and a restart reads what is durable.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_was_begun_is_finished_though_nobody_waits() {
        let (go, gone) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = ToTheEnd(Some(Box::pin(async move {
            gone.await.unwrap();
            tell.send(7).unwrap();
        })));
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), work);
        assert!(waiting.await.is_err());
        go.send(()).unwrap();
        assert_eq!(told.await, Ok(7));
    }
}

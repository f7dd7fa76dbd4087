//! Work that takes its time: on a thread of its own, while this one serves others.

use crate::kernel::Error;
use tokio::sync::oneshot;

/// What `work` comes to. It is done even if nobody waits for it any more.
pub(crate) async fn apart<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (tell, told) = oneshot::channel();
    let begin = move || drop(tell.send(work()));
    std::thread::Builder::new().name(name.into()).spawn(begin).map_err(Error::internal)?;
    told.await.map_err(|_| Error::internal(format_args!("the thread {name} ended without a result")))
}

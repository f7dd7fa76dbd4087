//! How a test asks a store.

use std::future::Future;

use wardein_port::{Change, CommitError, Outcome, Peek, Row, RowKey, Store, StoreError, Table};

/// Hands in a change at once; resolves with the outcome. Dropping the future does not take the change back.
pub fn commit(store: &dyn Store, change: Change) -> impl Future<Output = Outcome> + Send + use<> {
    let (told, outcome) = tokio::sync::oneshot::channel();
    // A test that dropped the future does not want to know.
    store.commit(change, Box::new(move |outcome| drop(told.send(outcome))));
    async { outcome.await.unwrap_or_else(|_| Err(CommitError::Unknown("nobody said".into()))) }
}

/// The row at `key`, at hand or loaded.
pub async fn get(store: &dyn Store, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
    match store.peek(table, key)? {
        Peek::Found(row) => Ok(row),
        Peek::Later => {
            let name = RowKey { table, key: key.to_vec() };
            Ok(store.load(&[name]).await?.pop().flatten())
        }
    }
}

/// Runs `future` on a runtime of this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

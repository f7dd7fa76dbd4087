//! What is between a node and its database. It can be cut as a network is: nothing arrives at either end, and nobody is told.

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// A folder with a socket that leads to that of a server.
pub(super) struct Wire {
    folder: TempDir,
    is_cut: watch::Sender<bool>,
}

impl Wire {
    /// To the server whose socket is in `folder`.
    pub(super) fn to(folder: &Path) -> Self {
        let own = tempfile::tempdir().unwrap();
        let (from, to) = (socket(own.path()), socket(folder));
        let (is_cut, cut) = watch::channel(false);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = UnixListener::bind(from).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let Ok(server) = UnixStream::connect(&to).await else { continue };
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(passed(from_client, to_server, cut.clone()));
                    tokio::spawn(passed(from_server, to_client, cut.clone()));
                }
            });
        });
        while !socket(own.path()).exists() {
            std::thread::yield_now();
        }
        Self { folder: own, is_cut }
    }

    /// Where the socket is.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is on its way while it is cut arrives once it is not.
    pub(super) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

async fn passed(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        // The wire itself is gone with the test.
        let is_whole = cut.wait_for(|is_cut| !is_cut).await.is_ok();
        if !is_whole || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // That an end was closed does not arrive either.
    drop(cut.wait_for(|is_cut| !is_cut).await);
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

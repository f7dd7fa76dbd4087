//! When a station stops in order: devices that wait for an answer begin again, and what is done is told.

use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits until this process is told to stop: by Ctrl-C, by SIGTERM, or by SIGHUP, as where its window was closed.
pub async fn told_to_stop() {
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut hang_up = signal(SignalKind::hangup()).ok();
    tokio::select! {
        () = heard(&mut interrupt) => {}
        () = heard(&mut terminate) => {}
        () = heard(&mut hang_up) => {}
    }
}

/// A signal that cannot be heard ends the process by itself.
async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

//! Bytes and round trips of `authenticate`, over gRPC and by POST, on a new connection and on one that is kept: what passes a TCP
//! relay that counts, and that is as far away as a network of 400 ms is.
//!
//! `cargo run --release -p wardein-device --example wire -- DIR`: DIR is the directory of an enrolled device whose authority
//! answers on this machine. `deploy/proxy.sh` runs it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use wardein_crypto::SystemEntropy;
use wardein_device::{Config, Directory, Link, Session, Transport};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let path = PathBuf::from(std::env::args().nth(1).ok_or("usage: wire DIR")?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(path))
}

async fn measure(path: PathBuf) -> Outcome<()> {
    println!("| `authenticate` | bytes to the authority | bytes from it | in all | round trips |");
    println!("| --- | --- | --- | --- | --- |");
    for (transport, name) in [(Transport::Grpc, "gRPC"), (Transport::Http, "POST, HTTP/1.1")] {
        let directory = Directory::open_when_free(&path).await?;
        let config = directory.files().config()?.ok_or("there is no device.toml")?;
        let (host, port) = config.endpoint.rsplit_once(':').ok_or("the endpoint names no port")?;
        let counted = Arc::<Counted>::default();
        let relay = relay(format!("localhost:{port}"), counted.clone()).await?;
        let config = Config { transport, proxy: None, endpoint: format!("{host}:{relay}"), ..config.clone() };
        let link = Link::of(&config);
        let mut session = Session::new(directory, config, link, SystemEntropy::default(), "/".into())?;
        // TCP's own round trip is not the relay's.
        for (when, more) in [("a new connection", 1), ("a kept one", 0)] {
            counted.begin();
            let began = Instant::now();
            session.authenticate().await?;
            let trips = began.elapsed().as_millis() / (2 * AWAY.as_millis()) + more;
            // What follows the answer, such as HTTP/2's acknowledgments, is part of it.
            sleep(4 * AWAY).await;
            let [up, down] = counted.end();
            println!("| {name}, {when} | {up} | {down} | {} | {trips} |", up + down);
        }
    }
    Ok(())
}

/// What passed in each direction.
#[derive(Default)]
struct Counted([AtomicU64; 2]);

impl Counted {
    fn begin(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }

    fn end(&self) -> [u64; 2] {
        [0, 1].map(|way| self.0[way].load(Ordering::Relaxed))
    }
}

/// A relay to `authority`; its port.
async fn relay(authority: String, counted: Arc<Counted>) -> Outcome<u16> {
    let listener = TcpListener::bind("localhost:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((device, _)) = listener.accept().await {
            let Ok(authority) = TcpStream::connect(&authority).await else { return };
            let both = [device.set_nodelay(true), authority.set_nodelay(true)];
            assert!(both.iter().all(Result::is_ok), "a socket takes options");
            let ((from_device, to_device), (from_authority, to_authority)) =
                (device.into_split(), authority.into_split());
            tokio::spawn(pass(from_device, to_authority, counted.clone(), 0));
            tokio::spawn(pass(from_authority, to_device, counted.clone(), 1));
        }
    });
    Ok(port)
}

/// Passes on what comes, later.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counted: Arc<Counted>, way: usize) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = queued.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        counted.0[way].fetch_add(length as u64, Ordering::Relaxed);
        if queue.send((Instant::now() + AWAY, bytes[..length].to_vec())).is_err() {
            return;
        }
    }
}

/// One way.
const AWAY: Duration = Duration::from_millis(200);

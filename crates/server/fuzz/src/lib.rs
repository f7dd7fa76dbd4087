//! What the fuzz targets do, apart from the engine, so that `tests/server/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`backup`] | a backup's file | its front, and all that its seals let through |
//! | [`calls`] | a method, a caller, a message | the whole way of every method: from protobuf over domain types to a decision |

#[path = "../../tests/server/common/mod.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "the tests of the server use more of it")]
mod common;

use common::{ROOT_KEY, Served};
use http::uri::PathAndQuery;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};
use wardein_client::v1::BackupRequest;
use wardein_client::{Channel, Connection, Refusal};
use wardein_domain::{ErrorCode, Method, Role};
use wardein_engine::{Ports, Restoring};
use wardein_server::{Limits, Rate};
use wardein_testkit::{MemoryCustody, MemoryStore, TestClock, block_on};

/// Calls the method that the first byte names, as one of those who may that the second names, with the rest as the message.
pub fn calls(data: &[u8]) {
    static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
    let Some((&[method, caller], message)) = data.split_first_chunk::<2>() else { return };
    let method = Method::ALL[usize::from(method) % Method::ALL.len()];
    let world = WORLD.get_or_init(|| Mutex::new(World::begin()));
    world.lock().unwrap_or_else(PoisonError::into_inner).call(method, caller.into(), message);
}

/// Restores from `data` into an empty store, with the root key of these tests.
pub fn backup(data: &[u8]) {
    let restoring = match Restoring::begin(data) {
        Ok(restoring) => restoring,
        Err(error) => {
            assert_ne!(error.code, ErrorCode::Internal, "{}", error.message);
            return;
        }
    };
    assert!(restoring.custody().len() <= data.len());
    let ports = Ports::new(Arc::new(MemoryStore::new()), TestClock::at(NOW));
    let root_keys = MemoryCustody::of(ROOT_KEY).root_keys();
    let restored = block_on(restoring.apply(&ports, root_keys, |_, _| {}));
    if let Err(error) = restored {
        assert_ne!(error.code, ErrorCode::Internal, "{}", error.message);
    }
}

/// A backup of an authority that was just founded, under the root key of these tests: where fuzzing [`backup`] starts.
pub fn a_backup() -> Vec<u8> {
    let with_custody = |ports| Ports { custody: Some(Arc::new(MemoryCustody::of(ROOT_KEY))), ..ports };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let served = Served::serve(Limits::default(), common::now(), 0, with_custody).await;
        let admin = served.connect(Some(served.admin())).await.expect("it is served");
        let mut parts = admin.operator().backup(BackupRequest {}).await.expect("it has a root key");
        let mut all = Vec::new();
        while let Some(part) = parts.next().await.expect("it is whole") {
            all.extend(part.part);
        }
        all
    })
}

/// An authority over real TLS, with a caller of each kind.
struct World {
    runtime: Runtime,
    callers: Vec<(Option<Role>, Connection)>,
    _served: Served,
}

impl World {
    fn begin() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // The rates are tested elsewhere, and would refuse most of it here.
        let unbounded = Rate { per_second: 0, burst: 1 };
        let limits = Limits { open: unbounded, operator: unbounded, ..Limits::default() };
        let (served, callers) = runtime.block_on(async {
            let served = Served::with(limits, 0).await;
            let operators = served.operators().await.into_iter().map(|(role, caller)| (Some(role), caller));
            let mut callers: Vec<_> = operators.collect();
            callers.push((None, served.connect(None).await.expect("it is served")));
            (served, callers)
        });
        Self { runtime, callers, _served: served }
    }

    fn call(&self, method: Method, caller: usize, message: &[u8]) {
        let may: Vec<_> = self.callers.iter().filter(|(role, _)| method.allows(*role)).collect();
        let (_, caller) = may[caller % may.len()];
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, send(caller, method, message.to_vec())).await });
        match answer.unwrap_or_else(|_| panic!("{} does not answer", method.path())) {
            Ok(()) => {}
            Err(refusal) => {
                assert!(
                    refusal.request_id.is_some() && refusal.known().is_some(),
                    "{}: {refusal}",
                    method.path()
                );
                assert_ne!(refusal.code, "internal", "{}: {refusal}", method.path());
            }
        }
    }
}

/// The first part of an answer is enough.
async fn send(by: &Connection, method: Method, message: Vec<u8>) -> Result<(), Refusal> {
    let mut grpc = tonic::client::Grpc::<Channel>::new(by.channel());
    grpc.ready().await.expect("it is connected");
    let request = Request::new(tokio_stream::iter([message]));
    let mut answers =
        grpc.streaming(request, PathAndQuery::from_static(method.path()), Bytes).await?.into_inner();
    answers.message().await?;
    Ok(())
}

/// Messages as they are, whether or not they are protobuf.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(into, &message);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        let length = prost::bytes::Buf::remaining(from);
        prost::bytes::Buf::advance(from, length);
        Ok(Some(()))
    }
}

/// In Unix seconds.
const NOW: u64 = 1_800_000_000;
const PATIENCE: Duration = Duration::from_secs(15);

//! Changes of many devices.

use super::convert::settable_state;
use crate::grpc::convert::{bytes32, parse, wrong};
use wardein_engine::{BatchChange, BatchOrder, Caller, Error};
use wardein_proto::v1;
use wardein_proto::v1::begin_batch_request::Change;

pub(crate) fn batch_order(asked: &v1::BeginBatchRequest) -> Result<BatchOrder, Error> {
    let change = match asked.change {
        Some(Change::State(state)) => BatchChange::State(settable_state(state)?),
        Some(Change::Rotation(v1::BatchRotation { required })) => {
            BatchChange::Rotation { is_required: required }
        }
        None => return Err(wrong("change", "is missing; it takes state or rotation")),
    };
    Ok(BatchOrder {
        tenant: parse("tenant", &asked.tenant)?,
        change,
        selector: parse("selector", &asked.selector)?,
        devices: asked.devices,
        digest: bytes32("digest", &asked.digest)?,
        reason: parse("reason", &asked.reason)?,
    })
}

/// The caller, with the batch that the call belongs to, if it belongs to one.
pub(crate) fn in_batch(caller: &Caller, batch: &[u8]) -> Result<Caller, Error> {
    let digest = (!batch.is_empty()).then(|| bytes32("batch", batch)).transpose()?;
    Ok(caller.in_batch(digest))
}

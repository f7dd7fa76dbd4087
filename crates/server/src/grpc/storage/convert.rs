//! Deeds, their progress, and how fast and how far they are to go.

use crate::grpc::words::Answered;
use wardein_engine::{Deed, DeedOf, DeedProgress, Error, SweepProgress};
use wardein_proto::{time, v1};

pub(super) fn deed(deed: Deed) -> v1::Deed {
    let Deed { of, progress: now, actor, request_id, begun_at } = deed;
    let (kind, tenant, device_id) = match of {
        DeedOf::Shred(name) => (v1::DeedKind::Shred, name.tenant.to_string(), name.device.to_string()),
        DeedOf::RootKey => (v1::DeedKind::RootKey, String::new(), String::new()),
    };
    v1::Deed {
        kind: kind.into(),
        tenant,
        device_id,
        progress: Some(progress(now)),
        actor,
        request_id,
        begun_at: time::at(begun_at),
    }
}

pub(super) fn progress(now: DeedProgress) -> v1::DeedProgress {
    let DeedProgress { step, devices, tenant_key, root_key, failure: _ } = now;
    v1::DeedProgress { step: step.wire(), devices, tenant_key, root_key }
}

pub(super) fn swept(progress: SweepProgress) -> v1::SweepResponse {
    let SweepProgress { devices, erased, renewed, dropped, has_clock, is_done } = progress;
    v1::SweepResponse { devices, erased, renewed, dropped, has_clock, is_done }
}

pub(super) fn no_scope(takes: &str) -> Error {
    Error::wrong("scope", format_args!("is missing; it takes {takes}"))
}

/// Devices a second.
pub(super) fn rate(per_second: u32) -> Result<u32, Error> {
    match per_second {
        0 => Ok(DEFAULT_RATE),
        1..=MAX_RATE => Ok(per_second),
        _ => Err(Error::wrong("per_second", format_args!("is {per_second}; it takes 0 to {MAX_RATE}"))),
    }
}

const DEFAULT_RATE: u32 = 1_000;
const MAX_RATE: u32 = 100_000;

//! Transfers of devices between tenants.

use crate::grpc::convert::{parse, parse_optional, span_optional, text};
use crate::grpc::words::Answered;
use wardein_ddkg::DeviceName;
use wardein_domain::{ProfileName, Reason};
use wardein_engine::{AcceptOrder, Accepted, Error, Transfer, TransferOrder};
use wardein_proto::{time, v1};

pub(super) fn transfer_order(
    device: DeviceName,
    asked: &v1::TransferDeviceRequest,
) -> Result<TransferOrder, Error> {
    Ok(TransferOrder {
        device,
        to: parse("to_tenant", &asked.to_tenant)?,
        lifetime: span_optional("lifetime", asked.lifetime.as_ref())?.unwrap_or(DEFAULT_LIFETIME),
        reason: parse("reason", &asked.reason)?,
    })
}

pub(super) fn accept_order(asked: &v1::AcceptTransferRequest) -> Result<AcceptOrder, Error> {
    let profile: Option<ProfileName> = parse_optional("profile", &asked.profile)?;
    Ok(AcceptOrder {
        tenant: parse("tenant", &asked.tenant)?,
        from: from(&asked.from_tenant, &asked.device_id)?,
        device: parse_optional("new_device_id", &asked.new_device_id)?,
        profile: profile.map_or_else(|| parse("profile", DEFAULT_PROFILE), Ok)?,
    })
}

pub(super) fn withdrawal(asked: &v1::WithdrawTransferRequest) -> Result<(DeviceName, Reason), Error> {
    Ok((from(&asked.from_tenant, &asked.device_id)?, parse("reason", &asked.reason)?))
}

pub(super) fn transfer(transfer: Transfer) -> v1::Transfer {
    let Transfer { from, to, state, reason, offered_at, expires_at, accepted } = transfer;
    let (new_device, profile, accepted_at) = match accepted {
        Some(Accepted { device, profile, at }) => (Some(device), Some(profile), time::at(at)),
        None => (None, None, None),
    };
    v1::Transfer {
        from_tenant: from.tenant.to_string(),
        device_id: from.device.to_string(),
        to_tenant: to.to_string(),
        state: state.wire(),
        reason: reason.to_string(),
        offered_at: time::at(offered_at),
        expires_at: time::at(expires_at),
        accepted_at,
        new_device_id: text(new_device.as_ref()),
        profile: text(profile.as_ref()),
    }
}

/// The device as the giving tenant has it.
fn from(tenant: &str, device: &str) -> Result<DeviceName, Error> {
    let tenant = parse("from_tenant", tenant)?;
    Ok(DeviceName { tenant, device: parse("device_id", device)? })
}

/// Seconds for which an offer may be accepted where none are given: a week.
const DEFAULT_LIFETIME: u64 = 7 * 24 * 60 * 60;
const DEFAULT_PROFILE: &str = "default";

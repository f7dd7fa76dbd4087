//! Vouchers of devices for EST.

use crate::grpc::convert::{parse, parse_optional, span_optional, wrong};
use crate::grpc::wiped::wiped;
use wardein_crypto::SecretBytes;
use wardein_domain::ProfileName;
use wardein_engine::{Error, Voucher, VoucherOrder};
use wardein_proto::{time, v1};

pub(super) fn order(request: &v1::MakeVoucherRequest) -> Result<VoucherOrder, Error> {
    let v1::MakeVoucherRequest { tenant, device_id, profile, model, udi, lifetime } = request;
    let profile = if profile.is_empty() { ProfileName::DEFAULT } else { profile };
    let lifetime = span_optional("lifetime", lifetime.as_ref())?;
    Ok(VoucherOrder {
        tenant: parse_optional("tenant", tenant)?,
        device: parse("device_id", device_id)?,
        profile: parse("profile", profile)?,
        model: parse_optional("model", model)?,
        udi: parse_optional("udi", udi)?,
        lifetime: lifetime.ok_or_else(|| wrong("lifetime", "is missing"))?,
    })
}

pub(super) fn made(voucher: Voucher) -> v1::MakeVoucherResponse {
    let mut secret = SecretBytes::with_capacity(32);
    secret.extend(voucher.secret.expose());
    v1::MakeVoucherResponse {
        tenant: voucher.device.tenant.to_string(),
        secret: wiped(secret),
        expires_at: time::at(voucher.expires_at),
    }
}

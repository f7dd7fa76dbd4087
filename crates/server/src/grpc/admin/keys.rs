//! Rotations, and when keys change.

use crate::grpc::convert::{parse, parse_optional, wrong};
use crate::grpc::words::Answered;
use wardein_domain::{DeviceId, ProfileName};
use wardein_engine::{DeviceKeys, Error, KeyStatus, RotationScope, StorageKey};
use wardein_proto::v1::rotate_keys_request::Scope;
use wardein_proto::{time, v1};

/// Whose keys are to be rotated: who leaves it out does not ask for all.
pub(crate) fn scope(asked: Option<&v1::rotate_keys_request::Scope>) -> Result<RotationScope, Error> {
    match asked {
        Some(Scope::AllDevices(v1::AllDevices {})) => Ok(RotationScope::Tenant),
        Some(Scope::Profile(profile)) => Ok(RotationScope::Profile(parse("profile", profile)?)),
        Some(Scope::DeviceId(device)) => Ok(RotationScope::Device(parse("device_id", device)?)),
        None => Err(wrong("scope", "is missing; it takes profile, device_id or all_devices")),
    }
}

/// Of which profile or device; neither for the profile `default`.
pub(crate) fn subject(
    asked: &v1::GetKeyStatusRequest,
) -> Result<(Option<ProfileName>, Option<DeviceId>), Error> {
    let profile = parse_optional("profile", &asked.profile)?;
    let device = parse_optional("device_id", &asked.device_id)?;
    if profile.is_some() && device.is_some() {
        return Err(wrong("device_id", "excludes profile; name one of them"));
    }
    Ok((profile, device))
}

pub(crate) fn status(status: KeyStatus) -> v1::GetKeyStatusResponse {
    let schedule = status.effective.schedule(0);
    v1::GetKeyStatusResponse {
        profile: status.profile.to_string(),
        period: time::span(schedule.period),
        max_uses: schedule.max_uses,
        rekey_after: time::span(status.effective.rekey_after().unwrap_or(0)),
        suites: status.effective.suites().collect(),
        rotated_at: time::at_unless_0(status.rotation.asked_at),
        required_at: time::at_unless_0(status.rotation.required_at),
        device: status.device.map(device_keys),
        storage_key: Some(storage_key(status.storage)),
    }
}

pub(crate) fn storage_key(StorageKey { version, older }: StorageKey) -> v1::StorageKey {
    v1::StorageKey { version, older }
}

fn device_keys(keys: DeviceKeys) -> v1::DeviceKeys {
    v1::DeviceKeys {
        generation: keys.generation,
        pending_generation: keys.pending_generation.unwrap_or(0),
        suite: keys.suite.into(),
        agreed_at: time::at(keys.agreed_at),
        due_at: keys.due_at.and_then(time::at),
        rekey: keys.gate.wire(),
        proof_epoch: keys.proof_epoch,
        period: time::span(keys.schedule.period),
        max_uses: keys.schedule.max_uses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_or_a_device_or_all_and_never_by_leaving_it_out() {
        let of = |asked: Scope| scope(Some(&asked));
        assert_eq!(of(Scope::AllDevices(v1::AllDevices {})).unwrap(), RotationScope::Tenant);
        assert_eq!(of(Scope::Profile("p".into())).unwrap(), RotationScope::Profile("p".parse().unwrap()));
        assert_eq!(of(Scope::DeviceId("d".into())).unwrap(), RotationScope::Device("d".parse().unwrap()));
        for (asked, field) in [
            (None, "scope: "),
            (Some(Scope::Profile("P".into())), "profile: "),
            (Some(Scope::Profile(String::new())), "profile: "),
            (Some(Scope::DeviceId("d/e".into())), "device_id: "),
            (Some(Scope::DeviceId(String::new())), "device_id: "),
        ] {
            let error = scope(asked.as_ref()).unwrap_err();
            assert!(error.message.starts_with(field), "{error}");
        }
    }
}

//! Rotations, and when keys change.

use crate::grpc::convert::{parse_optional, wrong};
use wardein_domain::{DeviceId, ProfileName};
use wardein_engine::{DeviceKeys, Error, KeyStatus, RotationScope, StorageKey};
use wardein_proto::v1;

/// Whose keys, by the names that are given.
pub(crate) fn scope(profile: &str, device: &str) -> Result<RotationScope, Error> {
    let (profile, device) = (parse_optional("profile", profile)?, parse_optional("device_id", device)?);
    match (profile, device) {
        (None, None) => Ok(RotationScope::Tenant),
        (Some(profile), None) => Ok(RotationScope::Profile(profile)),
        (None, Some(device)) => Ok(RotationScope::Device(device)),
        (Some(_), Some(_)) => Err(wrong("device_id", "excludes profile; name one of them")),
    }
}

/// Of which profile or device; neither for the profile `default`.
pub(crate) fn subject(
    asked: &v1::GetKeyStatusRequest,
) -> Result<(Option<ProfileName>, Option<DeviceId>), Error> {
    match scope(&asked.profile, &asked.device_id)? {
        RotationScope::Tenant => Ok((None, None)),
        RotationScope::Profile(profile) => Ok((Some(profile), None)),
        RotationScope::Device(device) => Ok((None, Some(device))),
    }
}

pub(crate) fn status(status: KeyStatus) -> v1::GetKeyStatusResponse {
    let schedule = status.effective.schedule(0);
    v1::GetKeyStatusResponse {
        profile: status.profile.to_string(),
        period: schedule.period,
        max_uses: schedule.max_uses,
        rekey_after: status.effective.rekey_after().unwrap_or(0),
        suites: status.effective.suites().collect(),
        rotated_at: status.rotation.asked_at,
        required_at: status.rotation.required_at,
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
        agreed_at: keys.agreed_at,
        due_at: keys.due_at.unwrap_or(0),
        rekey: keys.gate.as_str().to_owned(),
        proof_epoch: keys.proof_epoch,
        period: keys.schedule.period,
        max_uses: keys.schedule.max_uses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_or_a_device_or_the_tenant() {
        assert_eq!(scope("", "").unwrap(), RotationScope::Tenant);
        assert_eq!(scope("p", "").unwrap(), RotationScope::Profile("p".parse().unwrap()));
        assert_eq!(scope("", "d").unwrap(), RotationScope::Device("d".parse().unwrap()));
        for (profile, device, field) in
            [("p", "d", "device_id: "), ("P", "", "profile: "), ("", "d/e", "device_id: ")]
        {
            let error = scope(profile, device).unwrap_err();
            assert!(error.message.starts_with(field), "{error}");
        }
    }
}

//! Operators that do everything that operators do, until the server dies.

use super::devices::{TestDevice, act};
use super::gifts::give_a_device;
use super::witness::Witness;
use super::world::{World, grant, issue};
use wardein_client::{Refusal, number, v1};

pub(crate) const STREAMS: usize = 4;

/// What operators have made besides devices, and may be there.
#[derive(Default)]
pub(crate) struct Made {
    /// Serials, and whether each is revoked; none while that is under way.
    pub(crate) operators: Vec<(String, Option<bool>)>,
    /// The uses that a key of the profile may have, zero without a profile: one number, or two while a change is under way.
    pub(crate) max_uses: Vec<u64>,
    /// Whether a right is granted.
    pub(crate) is_granted: Vec<bool>,
    /// The version of the tenant's key that was acknowledged last.
    pub(crate) tenant_key: u32,
}

pub(crate) async fn work(world: &World, witness: &Witness, stream: usize) {
    for number in 0.. {
        let done = match stream {
            0 => govern_a_device(world, witness, number).await,
            1 => govern(world, witness, number).await,
            2 => give_a_device(world, witness, number).await,
            _ => keep(world, witness).await,
        };
        if done.is_none() {
            return;
        }
    }
}

/// From its enrollment to its end, through every state.
async fn govern_a_device(world: &World, witness: &Witness, number: usize) -> Option<()> {
    let id = format!("o-{}-{number}", world.kill);
    let at = TestDevice::enroll(world, witness, &id).await?;
    let (mut authority, operator) = (world.authority(), world.admin.operator());
    let (tenant, target) = (world.tenant.clone(), world.devices.borrow()[at].target());
    act(world, witness, at, &mut authority, "certificate").await?;
    let request = v1::ListCertificatesRequest {
        tenant: tenant.clone(),
        device_id: id.clone(),
        page_size: 10,
        ..Default::default()
    };
    let serial = answer(operator.list_certificates(request).await)?.certificates[0].serial.clone();
    let revoke = v1::RevokeCertificateRequest {
        tenant: tenant.clone(),
        serial: serial.clone(),
        reason: reason(),
        code: 1,
    };
    witness.ask("certificate.revoke", &target, operator.revoke_certificate(revoke)).await?;
    world.devices.borrow_mut()[at].revoked.push(serial);
    for state in ["suspended", "active", "quarantined"] {
        set(world, witness, at, state).await?;
    }
    let readmit = v1::ReadmitDeviceRequest {
        tenant: tenant.clone(),
        device_id: id.clone(),
        enroll_anew: false,
        reason: reason(),
    };
    allow(world, at, "active");
    witness.ask("device.readmit", &target, operator.readmit_device(readmit)).await?;
    world.devices.borrow_mut()[at].states = vec!["active"];
    act(world, witness, at, &mut authority, "rekey").await?;
    let rotate = v1::RotateKeysRequest {
        tenant: tenant.clone(),
        scope: Some(v1::rotate_keys_request::Scope::DeviceId(id.clone())),
        required: true,
        reason: reason(),
        ..Default::default()
    };
    witness.ask("key.rotate", &target, operator.rotate_keys(rotate)).await?;
    act(world, witness, at, &mut authority, "rekey").await?;
    // What ends with another root key needs a node that is alone.
    if number.is_multiple_of(2) || world.has_nodes {
        return set(world, witness, at, "retired").await;
    }
    allow(world, at, "retired");
    let shred = v1::ShredDeviceRequest { tenant, device_id: id, reason: reason(), per_second: 1000 };
    let shredding = async {
        let mut parts = operator.shred_device(shred).await?;
        while parts.next().await?.is_some_and(|part| !part.is_done) {}
        Ok::<_, Refusal>(())
    };
    // Its begin and its end.
    witness.ask_for("device.shred", &target, 2, shredding).await?;
    let device = &mut world.devices.borrow_mut()[at];
    (device.states, device.is_shredded) = (vec!["retired"], true);
    Some(())
}

async fn set(world: &World, witness: &Witness, at: usize, state: &'static str) -> Option<()> {
    allow(world, at, state);
    let (device_id, target) = {
        let device = &world.devices.borrow()[at];
        (device.name.device.to_string(), device.target())
    };
    let tenant = world.tenant.clone();
    let to = number::<v1::DeviceState>(state);
    let request =
        v1::SetDeviceStateRequest { tenant, device_id, state: to, reason: reason(), ..Default::default() };
    witness.ask("device.set-state", &target, world.admin.operator().set_device_state(request)).await?;
    world.devices.borrow_mut()[at].states = vec![state];
    Some(())
}

/// From now on it may have that state.
fn allow(world: &World, at: usize, state: &'static str) {
    world.devices.borrow_mut()[at].states.push(state);
}

/// Operators, profiles and grants.
async fn govern(world: &World, witness: &Witness, number: usize) -> Option<()> {
    let (tenant, operator) = (&world.tenant, world.admin.operator());
    let (_, serial) =
        issue(&world.admin, witness, tenant, "auditor", &format!("a-{}-{number}", world.kill)).await?;
    let at = world.made.borrow().operators.len();
    world.made.borrow_mut().operators.push((serial.clone(), None));
    let request = v1::RevokeOperatorRequest { serial: serial.clone(), reason: reason(), with_issued: false };
    witness.ask("operator.revoke", &format!("operator/{serial}"), operator.revoke_operator(request)).await?;
    world.made.borrow_mut().operators[at].1 = Some(true);

    let max_uses = 1000 + number as u64 + 100 * world.kill as u64;
    match &mut world.made.borrow_mut().max_uses {
        none if none.is_empty() => *none = vec![0, max_uses],
        one => one.push(max_uses),
    }
    let profile = v1::Profile {
        tenant: tenant.clone(),
        name: "lab".into(),
        max_uses: Some(max_uses),
        ..Default::default()
    };
    let request = v1::PutProfileRequest { profile: Some(profile), update_mask: None, ..Default::default() };
    witness.ask("profile.put", &format!("profile/{tenant}/lab"), operator.put_profile(request)).await?;
    world.made.borrow_mut().max_uses = vec![max_uses];

    let target = format!("platform/{tenant}/iot");
    if world.made.borrow().is_granted != [true] {
        world.made.borrow_mut().is_granted = vec![false, true];
        let request = v1::AddGrantRequest { grant: Some(grant(tenant, "data", "lab")) };
        witness.ask("grant.add", &target, operator.add_grant(request)).await?;
        world.made.borrow_mut().is_granted = vec![true];
    }
    world.made.borrow_mut().is_granted = vec![true, false];
    let v1::Grant { tenant, platform, right, profile, .. } = grant(tenant, "data", "lab");
    let request = v1::RemoveGrantRequest { tenant, platform, right, profile, reason: reason() };
    witness.ask("grant.remove", &target, operator.remove_grant(request)).await?;
    world.made.borrow_mut().is_granted = vec![false];
    Some(())
}

/// The keys that seal, the sweep, the backup.
async fn keep(world: &World, witness: &Witness) -> Option<()> {
    use v1::rotate_storage_key_request::Scope as Rotate;
    use v1::sweep_request::Scope as Sweep;
    let (tenant, operator) = (&world.tenant, world.admin.operator());
    let sweep = v1::SweepRequest { scope: Some(Sweep::Tenant(tenant.clone())), per_second: 1000 };
    let sweeping = async {
        let mut parts = operator.sweep(sweep).await?;
        while parts.next().await?.is_some_and(|part| !part.is_done) {}
        Ok::<_, Refusal>(())
    };
    witness.ask("key.sweep", "authority", sweeping).await?;
    let request = v1::RotateStorageKeyRequest { scope: Some(Rotate::Tenant(tenant.clone())) };
    let target = format!("tenant/{tenant}");
    let rotated = witness.ask("key.rotate-storage", &target, operator.rotate_storage_key(request)).await?;
    world.made.borrow_mut().tenant_key = rotated.version;
    if !world.has_nodes {
        let request = v1::RotateStorageKeyRequest { scope: Some(Rotate::RootKey(v1::RootKey {})) };
        witness.ask("key.rotate-storage", "authority", operator.rotate_storage_key(request)).await?;
    }
    if world.has_snapshots {
        let backup = async {
            let mut parts = operator.backup(v1::BackupRequest {}).await?;
            while parts.next().await?.is_some_and(|part| !part.is_last) {}
            Ok::<_, Refusal>(())
        };
        // Its begin and its end.
        witness.ask_for("authority.backup", "authority", 2, backup).await?;
    }
    Some(())
}

/// None where the server died.
fn answer<T>(answer: Result<T, Refusal>) -> Option<T> {
    use super::witness::Failed;
    if let Err(Some(code)) = answer.as_ref().map_err(Failed::refused) {
        unreachable!("reading was refused: {code}");
    }
    answer.ok()
}

pub(crate) fn reason() -> String {
    "a test".into()
}

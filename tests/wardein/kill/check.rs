//! What was acknowledged is there, once.

use super::devices::{TestDevice, verify};
use super::gifts;
use super::operators::Made;
use super::witness::{Failed, Witness};
use super::world::{World, all};
use std::time::{Duration, Instant};
use wardein_client::{v1, word};
use wardein_device::{Authority, CallError};

/// The devices that lived since the last kill, what operators made, and the audit log.
pub(crate) async fn after_a_kill(world: &World, witness: &Witness) {
    deeds_go_on(world).await;
    let mut devices = world.devices.take();
    for device in &mut devices {
        is_whole(world, witness, device).await;
    }
    *world.devices.borrow_mut() = devices;
    made(world).await;
    audit(world, witness).await;
}

/// All devices of the tenant.
pub(crate) async fn everything(world: &World, witness: &Witness) {
    let mut devices = world.earlier.take();
    for device in &mut devices {
        is_whole(world, witness, device).await;
    }
    *world.earlier.borrow_mut() = devices;
    after_a_kill(world, witness).await;
}

/// What was cut short is finished by the server itself.
async fn deeds_go_on(world: &World) {
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        let request = v1::ListDeedsRequest { page_size: 10, page_token: Vec::new() };
        let deeds = world.admin.operator().list_deeds(request).await.unwrap().deeds;
        if deeds.is_empty() {
            return;
        }
        assert!(Instant::now() < patience, "{deeds:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is_whole(world: &World, witness: &Witness, device: &mut TestDevice) {
    let mut authority = world.authority();
    let is_gift = device.is_given || !device.left.is_empty();
    if is_gift {
        gifts::go_on(world, witness, device, &mut authority).await;
    }
    let (tenant, device_id) = (device.name.tenant.to_string(), device.name.device.to_string());
    let request = v1::GetDeviceRequest { tenant, device_id };
    let found = world.admin.operator().get_device(request).await.unwrap().device.unwrap();
    let state = word::<v1::DeviceState>(found.state);
    assert!(device.states.contains(&&*state), "{}: {state} and not {:?}", device.target(), device.states);
    if state == "active" || state == "pending" && !device.is_confirmed {
        for (spent, body) in &device.spent {
            let Err(CallError::Refused(refused)) = authority.prove(spent, body).await else {
                unreachable!("a proof of {} was taken twice", device.target());
            };
            // A proof that was already judged old is not looked for; where a kill costs ten seconds, its challenge has ended by now.
            assert!(
                ["replayed", "rekey-required", "challenge-expired"].contains(&&*refused.code),
                "{}: {refused:?}",
                device.target()
            );
        }
        for token in &device.tokens {
            let again = world.platform.platform().verify_token(verify(token)).await;
            let code = again.as_ref().map_err(Failed::refused);
            assert!(
                matches!(code, Err(Some("token-spent" | "rekey-required"))),
                "{}: {again:?}",
                device.target()
            );
        }
    }
    if state == "active" {
        agree_again(witness, device, &mut authority).await;
        device.states = vec!["active"];
    }
    certificates(world, device).await;
    gifts::has_left(world, device, &mut authority).await;
}

/// What the device saved carries on, and what is asked of it, it does.
async fn agree_again(witness: &Witness, device: &mut TestDevice, authority: &mut wardein_device::Remote) {
    let mut action = "authenticate";
    for tries in 0..10 {
        match device.try_prove(witness, authority, action).await {
            Ok(()) if action == "authenticate" => return,
            Ok(()) => action = "authenticate",
            Err(CallError::Refused(refused)) if refused.code == "rekey-required" => {
                action = "rekey";
                // Keys that were agreed on in the second of the demand may be from before it.
                tokio::time::sleep(Duration::from_millis(if tries == 0 { 0 } else { 300 })).await;
            }
            Err(error) => unreachable!("{}: {error:?}", device.target()),
        }
    }
    unreachable!("{} does not agree", device.target());
}

async fn certificates(world: &World, device: &TestDevice) {
    let (operator, device_id) = (world.admin.operator(), device.name.device.to_string());
    let listed = all(async |page_size, page_token| {
        let (tenant, device_id) = (device.name.tenant.to_string(), device_id.clone());
        let request = v1::ListCertificatesRequest { tenant, device_id, page_size, page_token };
        operator.list_certificates(request).await.map(|page| (page.certificates, page.next_page_token))
    });
    let listed = listed.await;
    for reply in &device.certificates {
        let holds = |certificate: &&v1::Certificate| {
            reply.windows(certificate.der.len()).any(|window| window == certificate.der)
        };
        assert_eq!(
            listed.iter().filter(holds).count(),
            1,
            "{}: a certificate is not there once",
            device.target()
        );
    }
    for serial in &device.revoked {
        let is_revoked =
            |certificate: &v1::Certificate| certificate.serial == *serial && certificate.revoked_at.is_some();
        assert!(listed.iter().any(is_revoked), "{}: {serial} is not revoked", device.target());
    }
}

async fn made(world: &World) {
    let operator = world.admin.operator();
    let tenant = || world.tenant.clone();
    let operators = all(async |page_size, page_token| {
        let request = v1::ListOperatorsRequest { tenant: tenant(), page_size, page_token };
        operator.list_operators(request).await.map(|page| (page.operators, page.next_page_token))
    });
    let operators = operators.await;
    let profiles =
        operator.list_profiles(v1::ListProfilesRequest { tenant: tenant() }).await.unwrap().profiles;
    let grants = all(async |page_size, page_token| {
        let request = v1::ListGrantsRequest { tenant: tenant(), page_size, page_token };
        operator.list_grants(request).await.map(|page| (page.grants, page.next_page_token))
    });
    let grants = grants.await;
    let request = v1::GetKeyStatusRequest { tenant: tenant(), ..Default::default() };
    let status = operator.get_key_status(request).await.unwrap();

    let Made { operators: issued, max_uses, is_granted, tenant_key } = &mut *world.made.borrow_mut();
    for (serial, is_revoked) in issued {
        let found = operators.iter().find(|operator| operator.serial == *serial).unwrap();
        let is_there = *is_revoked.get_or_insert(found.revoked_at.is_some());
        assert_eq!(is_there, found.revoked_at.is_some(), "operator {serial}");
    }
    let found = profiles.iter().find(|profile| profile.name == "lab").and_then(|profile| profile.max_uses);
    let found = found.unwrap_or(0);
    assert!(max_uses.is_empty() || max_uses.contains(&found), "{found} and not {max_uses:?}");
    *max_uses = vec![found];
    let found = grants.iter().any(|grant| grant.right() == v1::Right::Data);
    assert!(is_granted.is_empty() || is_granted.contains(&found), "the right is granted: {found}");
    *is_granted = vec![found];
    let found = status.storage_key.unwrap().version;
    assert!(found >= *tenant_key, "{found} and not {tenant_key}");
}

async fn audit(world: &World, witness: &Witness) {
    loop {
        let request =
            v1::ListEntriesRequest { first: witness.next().max(1), page_size: 1000, ..Default::default() };
        let page = world.admin.operator().list_entries(request).await.unwrap();
        for entry in &page.entries {
            witness.read(entry);
        }
        // Reading is on record too: the log ends with the reading itself.
        if page.entries.len() < 100 {
            break;
        }
    }
    witness.compare();
}

//! Devices that go from one tenant to another and back: whatever a kill leaves, one tenant trusts the device, and nothing that it had
//! in the other is worth anything there.

use super::devices::{Spent, TestDevice, act, verify};
use super::operators::reason;
use super::witness::{Failed, Witness};
use super::world::{World, all};
use wardein_client::{v1, word};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::Token;
use wardein_device::{Authority, CallError, Remote};

/// What a device had in a tenant that it left.
#[derive(Clone)]
pub(crate) struct Left {
    pub(crate) name: DeviceName,
    pub(crate) spent: Vec<Spent>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// The device in the other tenant: each has one that it gives its devices to.
pub(crate) fn other(name: &DeviceName) -> DeviceName {
    let tenant = match name.tenant.as_str().strip_suffix(LAB) {
        Some(tenant) => tenant.to_owned(),
        None => lab(name.tenant.as_str()),
    };
    DeviceName { tenant: tenant.parse().unwrap(), device: name.device.clone() }
}

pub(crate) fn lab(tenant: &str) -> String {
    format!("{tenant}{LAB}")
}

pub(crate) fn target(name: &DeviceName) -> String {
    format!("device/{}/{}", name.tenant, name.device)
}

/// A device from its enrollment to the other tenant, and some of them back; others are offered and kept.
pub(crate) async fn give_a_device(world: &World, witness: &Witness, number: usize) -> Option<()> {
    // A kill may come before the third: so each begins with another.
    let course = (world.kill + number) % 3;
    let at = TestDevice::enroll(world, witness, &format!("g-{}-{number}", world.kill)).await?;
    let mut authority = world.authority();
    for action in ["certificate", "token"] {
        act(world, witness, at, &mut authority, action).await?;
    }
    agree(world, witness, at).await?;
    if course == 2 {
        withdraw(world, witness, at).await?;
        return act(world, witness, at, &mut authority, "authenticate").await;
    }
    for _ in 0..=course {
        for action in ["transfer", "authenticate", "certificate"] {
            act(world, witness, at, &mut authority, action).await?;
        }
        if course == 1 && world.devices.borrow()[at].left.len() == 1 {
            agree(world, witness, at).await?;
        }
    }
    Some(())
}

/// One tenant offers, the other accepts.
async fn agree(world: &World, witness: &Witness, at: usize) -> Option<()> {
    let (operator, from) = (world.admin.operator(), world.devices.borrow()[at].name.clone());
    let to = other(&from);
    let offer = v1::TransferDeviceRequest {
        tenant: from.tenant.to_string(),
        device_id: from.device.to_string(),
        to_tenant: to.tenant.to_string(),
        reason: reason(),
        ..Default::default()
    };
    let targets = [target(&from), format!("tenant/{}", to.tenant)];
    witness.ask_all("device.offer-transfer", &targets, operator.transfer_device(offer)).await?;
    let accept = v1::AcceptTransferRequest {
        tenant: to.tenant.to_string(),
        from_tenant: from.tenant.to_string(),
        device_id: from.device.to_string(),
        ..Default::default()
    };
    let targets = [&from, &to].map(target);
    witness.ask_all("device.accept-transfer", &targets, operator.accept_transfer(accept)).await?;
    world.devices.borrow_mut()[at].is_given = true;
    Some(())
}

async fn withdraw(world: &World, witness: &Witness, at: usize) -> Option<()> {
    let from = world.devices.borrow()[at].name.clone();
    world.devices.borrow_mut()[at].is_given = false;
    let request = v1::WithdrawTransferRequest {
        from_tenant: from.tenant.to_string(),
        device_id: from.device.to_string(),
        reason: reason(),
    };
    let targets = [target(&from), target(&other(&from))];
    let call = world.admin.operator();
    witness.ask_all("device.withdraw-transfer", &targets, call.withdraw_transfer(request)).await?;
    Some(())
}

/// What was agreed before the kill is carried out after it, and the device ends in one tenant.
pub(crate) async fn go_on(world: &World, witness: &Witness, device: &mut TestDevice, authority: &mut Remote) {
    is_trusted_once(world, device).await;
    if device.is_given {
        device.try_prove(witness, authority, "transfer").await.unwrap();
        is_trusted_once(world, device).await;
    }
    if !device.has_arrived {
        device.try_prove(witness, authority, "authenticate").await.unwrap();
        is_trusted_once(world, device).await;
    }
}

async fn is_trusted_once(world: &World, device: &TestDevice) {
    let mut trusting = Vec::new();
    for name in [device.name.clone(), other(&device.name)] {
        let (tenant, device_id) = (name.tenant.to_string(), name.device.to_string());
        let found = world.admin.operator().get_device(v1::GetDeviceRequest { tenant, device_id }).await;
        match found.as_ref().map_err(Failed::refused) {
            Ok(found) => {
                let state = word::<v1::DeviceState>(found.device.as_ref().unwrap().state);
                if state == "active" {
                    trusting.push(name);
                } else {
                    assert!(["pending", "transferred"].contains(&&*state), "{}: {state}", target(&name));
                }
            }
            Err(code) => assert_eq!(code, Some("device-unknown"), "{}", target(&name)),
        }
    }
    let home = if device.has_arrived { device.name.clone() } else { other(&device.name) };
    // One whose proof arrived and was not acknowledged is there already.
    let may_be = [vec![home], vec![device.name.clone()]];
    assert!(may_be.contains(&trusting), "{} is trusted by {trusting:?}", device.target());
}

/// Nothing that it had where it was is worth anything there.
pub(crate) async fn has_left(world: &World, device: &TestDevice, authority: &mut Remote) {
    for left in &device.left {
        for (spent, body) in &left.spent {
            let Err(CallError::Refused(refused)) = authority.prove(spent, body).await else {
                unreachable!("{} was accepted where it had left", target(&left.name));
            };
            assert!(
                ["replayed", "generation-retired", "epoch-spent", "challenge-expired"]
                    .contains(&&*refused.code),
                "{}: {refused:?}",
                target(&left.name)
            );
        }
        for token in &left.tokens {
            let again = world.platform.platform().verify_token(verify(token)).await;
            let code = again.as_ref().map_err(Failed::refused);
            // Its state says it, or, where it has come back, its keys do.
            assert!(
                matches!(code, Err(Some("transferred" | "message-generation-retired" | "token-spent"))),
                "{}: {again:?}",
                target(&left.name)
            );
        }
        let (operator, DeviceName { tenant, device }) = (world.admin.operator(), &left.name);
        let listed = all(async |page_size, page_token| {
            let (tenant, device_id) = (tenant.to_string(), device.to_string());
            let request = v1::ListCertificatesRequest { tenant, device_id, page_size, page_token };
            operator.list_certificates(request).await.map(|page| (page.certificates, page.next_page_token))
        });
        let listed = listed.await;
        for reply in &left.certificates {
            let holds = |certificate: &&v1::Certificate| {
                reply.windows(certificate.der.len()).any(|window| window == certificate.der)
            };
            let found: Vec<_> = listed.iter().filter(holds).collect();
            assert!(
                matches!(found[..], [one] if one.revoked_at.is_some()),
                "{}: its certificate is not there once, and revoked",
                target(&left.name)
            );
        }
    }
}

const LAB: &str = "-lab";

//! Challenges for technicians, the codes that answer them, codes for emergencies, and protocols that go by a file.

use super::added::device;
use super::check::{Checked, epoch_secret, same, wrong};
use super::form::{CarriedOf, CodeOf, EmergencyCodeOf, File};
use crate::code::{EmergencyCode, ServiceChallenge, ServiceCode};
use crate::key::KeyName;
use crate::message::{CarriedProtocol, VisitProtocol};
use alloc::format;
use alloc::string::ToString;
use wardein_domain::{Purpose, ServiceScope};

pub(super) fn check(file: &File) -> Checked {
    for (i, entry) in file.service_codes.iter().enumerate() {
        code(entry).map_err(|error| format!("service_codes[{i}] ({}): {error}", entry.name))?;
    }
    for (i, entry) in file.emergency_codes.iter().enumerate() {
        emergency(entry).map_err(|error| format!("emergency_codes[{i}] ({}): {error}", entry.name))?;
    }
    for (i, entry) in file.carried_protocols.iter().enumerate() {
        carried(entry).map_err(|error| format!("carried_protocols[{i}] ({}): {error}", entry.name))?;
    }
    Ok(())
}

fn carried(given: &CarriedOf) -> Checked {
    let owner = device(&given.tenant, &given.device_id)?;
    let secret = epoch_secret("generation_root", &given.generation_root, Purpose::Service, given.epoch)?;
    let (key, purpose) = (secret.key(given.number), Purpose::Service);
    let &CarriedOf { generation, epoch, number, .. } = given;
    let name = KeyName { owner: owner.clone(), generation, purpose, epoch, number };
    let protocol = VisitProtocol::decode(&given.body.0).map_err(wrong("body"))?;
    same("device of the body", &protocol.device, &owner)?;
    same("body", &protocol.encode(), &given.body.0)?;
    let carried = CarriedProtocol::new(&name, &key, protocol);
    same("message", &carried.encode(), &given.message.0)?;
    let read = CarriedProtocol::decode(&given.message.0).map_err(wrong("message"))?;
    same("key of the message", &read.key_name(), &Some(name.clone()))?;
    read.verify(&name, &key).map_err(|_| "message: its mac is wrong")?;
    Ok(())
}

fn emergency(given: &EmergencyCodeOf) -> Checked {
    let secret = epoch_secret("generation_root", &given.generation_root, Purpose::Service, given.epoch)?;
    let code = EmergencyCode::of(&secret.key(given.number));
    same("code", code.to_text().expose(), given.code.as_bytes())?;
    let read = EmergencyCode::parse(given.code.as_bytes()).map_err(wrong("code"))?;
    same("code", read.expose(), code.expose())
}

fn code(given: &CodeOf) -> Checked {
    let owner = device(&given.tenant, &given.device_id)?;
    let scope: ServiceScope = given.scope.parse().map_err(wrong("scope"))?;
    let secret = epoch_secret("generation_root", &given.generation_root, Purpose::Service, given.epoch)?;
    let key = secret.key(given.number);
    let name = KeyName {
        owner: owner.clone(),
        generation: given.generation,
        purpose: Purpose::Service,
        epoch: given.epoch,
        number: given.number,
    };
    let challenge = ServiceChallenge::new(&name, &key, &scope);
    same("challenge", &challenge.to_string(), &given.challenge)?;
    let read: ServiceChallenge = given.challenge.parse().map_err(wrong("challenge"))?;
    same("challenge", &read, &challenge)?;
    read.verify(&owner, &key, &scope).map_err(|_| "challenge: its mac is wrong")?;
    let code = read.answer(&owner, &key, &scope, given.units);
    same("code", &code.to_text(), &given.code)?;
    let shown: ServiceCode = given.code.parse().map_err(wrong("code"))?;
    shown.verify(&read, &owner, &key, &scope).map_err(|_| "code: its mac is wrong")?;
    Ok(())
}

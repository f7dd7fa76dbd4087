//! Challenges for technicians, the codes that answer them, and codes for emergencies.

use super::added::device;
use super::check::{Checked, epoch_secret, same, wrong};
use super::form::{CodeOf, EmergencyCodeOf, File};
use crate::code::{EmergencyCode, ServiceChallenge, ServiceCode};
use crate::key::KeyName;
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

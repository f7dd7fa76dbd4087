//! Policies for the PCRs of devices' TPMs.

use crate::grpc::convert::{parse, parse_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use std::collections::BTreeMap;
use wardein_attest::{GoldenPcrs, pcr_value};
use wardein_crypto::tpm::HashValue;
use wardein_domain::{Bank, PCRS, PcrSelection, ProfileName, TenantId};
use wardein_engine::{Error, Etag, PcrPolicy, SetPcrPolicy};
use wardein_proto::v1;
use wardein_proto::v1::PcrRule;

/// Tenant and profile, the setting (`None` if it is inherited), and the version that it replaces.
pub(crate) fn policy(
    given: Option<v1::PcrPolicy>,
) -> Result<(TenantId, ProfileName, Option<PcrPolicy>, Option<Etag>), Error> {
    let given = given.ok_or_else(|| wrong("policy", "is missing"))?;
    let (tenant, profile) =
        (parse("policy.tenant", &given.tenant)?, parse("policy.profile", &given.profile)?);
    let etag = parse_optional("policy.etag", &given.etag)?;
    let policy = match PcrRule::try_from(given.rule) {
        Ok(rule @ (PcrRule::Any | PcrRule::Inherited)) if given.bank != 0 || !given.registers.is_empty() => {
            let name = rule.as_str_name();
            return Err(wrong("policy.registers", format_args!("are of no use with the rule {name}")));
        }
        Ok(PcrRule::Inherited) => None,
        Ok(PcrRule::Any) => Some(PcrPolicy::Any),
        Ok(PcrRule::Golden) => Some(PcrPolicy::Golden(golden(given)?)),
        Ok(PcrRule::AsEnrolled) => Some(PcrPolicy::AsEnrolled(selection(given)?)),
        Ok(PcrRule::Unspecified) | Err(_) => {
            return Err(wrong("policy.rule", "takes ANY, GOLDEN, AS_ENROLLED or INHERITED"));
        }
    };
    Ok((tenant, profile, policy, etag))
}

fn golden(given: v1::PcrPolicy) -> Result<GoldenPcrs, Error> {
    let (bank, registers) = parts(given)?;
    let mut allowed = BTreeMap::new();
    for (number, values) in registers {
        let field = format!("policy.registers of number {number}");
        let value = |bytes: Vec<u8>| {
            let why = || {
                wrong(
                    &field,
                    format_args!("has a value of {} bytes; {bank} takes {}", bytes.len(), bank.value_len()),
                )
            };
            pcr_value(bank, &bytes).ok_or_else(why)
        };
        allowed.insert(number, values.into_iter().map(value).collect::<Result<_, _>>()?);
    }
    GoldenPcrs::new(bank, allowed).map_err(|error| wrong("policy.registers", error))
}

fn selection(given: v1::PcrPolicy) -> Result<PcrSelection, Error> {
    let (bank, registers) = parts(given)?;
    if registers.values().any(|values| !values.is_empty()) {
        return Err(wrong("policy.registers", "take no values with the rule AS_ENROLLED"));
    }
    let numbers: Vec<u8> = registers.into_keys().collect();
    PcrSelection::new(bank, &numbers).map_err(|error| wrong("policy.registers", error))
}

type Registers = BTreeMap<u8, Vec<Vec<u8>>>;

/// The bank, and what is given for each register, which is given once.
fn parts(given: v1::PcrPolicy) -> Result<(Bank, Registers), Error> {
    let bank = Bank::asked("policy.bank", given.bank)?;
    let mut registers = Registers::new();
    for register in given.registers {
        let number = u8::try_from(register.number).ok().filter(|number| *number < PCRS);
        let number = number.ok_or_else(|| {
            let last = PCRS - 1;
            wrong("policy.registers", format_args!("has number {}; it takes 0 to {last}", register.number))
        })?;
        if registers.insert(number, register.allowed).is_some() {
            return Err(wrong("policy.registers", format_args!("has number {number} twice")));
        }
    }
    Ok((bank, registers))
}

pub(crate) fn set_policy(tenant: &TenantId, set: SetPcrPolicy) -> v1::PcrPolicy {
    let (rule, registers) = match &set.policy {
        PcrPolicy::Any => (PcrRule::Any, Vec::new()),
        PcrPolicy::Golden(golden) => {
            let values =
                |values: &Vec<HashValue>| values.iter().map(|value| value.as_ref().to_vec()).collect();
            let register = |(number, given): (&u8, &Vec<HashValue>)| register(*number, values(given));
            (PcrRule::Golden, golden.allowed().iter().map(register).collect())
        }
        PcrPolicy::AsEnrolled(selection) => {
            (PcrRule::AsEnrolled, selection.numbers().map(|number| register(number, Vec::new())).collect())
        }
    };
    let bank = set.policy.selection().map(|selection| selection.bank()).wire();
    let (tenant, profile) = (tenant.to_string(), set.profile.to_string());
    v1::PcrPolicy { tenant, profile, rule: rule.into(), bank, registers, etag: set.etag.to_string() }
}

fn register(number: u8, allowed: Vec<Vec<u8>>) -> v1::PcrRegister {
    v1::PcrRegister { number: number.into(), allowed }
}

//! `wardein pcr-policy`: what is asked of the registers of devices' TPMs.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, files};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use wardein_client::{v1, word};
use wardein_crypto::hex;
use wardein_domain::{Bank, PcrSelection, ProfileName};

#[derive(Debug, Subcommand)]
pub(crate) enum PcrPolicyCommand {
    /// Set what is asked of the devices of a profile, from their next certificate on
    Set(SetArgs),
    /// List what is set for the profiles of a tenant
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The profile; others inherit what is set for `default`
    #[arg(long, default_value = ProfileName::DEFAULT)]
    profile: ProfileName,
    #[command(flatten)]
    rule: RuleArgs,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RuleArgs {
    /// Each register must have one of the values in this file, a line each: number and value in hex, as tpm2_pcrread prints
    /// them. A register may have several lines. Behind '#' is a comment
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
    /// These registers must be as they were when the device was enrolled, or as was approved since, such as sha256:0,2,4,7
    #[arg(long, value_name = "BANK:N,N")]
    as_enrolled: Option<PcrSelection>,
    /// No quote is asked for
    #[arg(long)]
    any: bool,
    /// What is set for the profile `default` holds
    #[arg(long)]
    inherited: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Policy {
    tenant: String,
    profile: String,
    rule: String,
    bank: String,
    /// Of each register the values that it may have, in lower-case hex.
    registers: BTreeMap<u32, Vec<String>>,
}

impl From<v1::PcrPolicy> for Policy {
    fn from(policy: v1::PcrPolicy) -> Self {
        let v1::PcrPolicy { tenant, profile, rule, bank, registers, etag: _ } = policy;
        let (rule, bank) = (word::<v1::PcrRule>(rule), word::<v1::PcrBank>(bank));
        let values = |register: v1::PcrRegister| {
            (register.number, register.allowed.iter().map(|value| hex::encode(value)).collect())
        };
        Self { tenant, profile, rule, bank, registers: registers.into_iter().map(values).collect() }
    }
}

impl Record for Policy {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |policy| policy.tenant.clone()),
        ("profile", |policy| policy.profile.clone()),
        ("rule", |policy| policy.rule.clone()),
        ("bank", |policy| policy.bank.clone()),
        ("registers", |policy| {
            let register = |(number, values): (&u32, &Vec<String>)| match values.len() {
                0 | 1 => number.to_string(),
                count => format!("{number} ({count} values)"),
            };
            policy.registers.iter().map(register).collect::<Vec<_>>().join(", ")
        }),
    ];
}

impl PcrPolicyCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Set(args) => {
                // The rule is judged before anything is asked.
                let policy = args.rule.policy()?;
                let session = args.connect.open().await?;
                let (tenant, profile) = (session.tenant(args.tenant).await?, args.profile.to_string());
                let policy = v1::PcrPolicy { tenant: tenant.clone(), profile, ..policy };
                let request = v1::PutPcrPolicyRequest { policy: Some(policy) };
                session.operator().put_pcr_policy(request).await?;
                list(&session, tenant, out).await
            }
            Self::List(args) => {
                let session = args.connect.open().await?;
                let tenant = session.tenant(args.tenant).await?;
                list(&session, tenant, out).await
            }
        }
    }
}

async fn list(session: &Session, tenant: String, out: Output) -> Result<(), Failure> {
    let request = v1::ListPcrPoliciesRequest { tenant };
    let answer = session.operator().list_pcr_policies(request).await?;
    let policies: Vec<_> = answer.policies.into_iter().map(Policy::from).collect();
    out.list("policies", &policies)
}

impl RuleArgs {
    /// The policy, without tenant and profile.
    fn policy(&self) -> Result<v1::PcrPolicy, Failure> {
        if let Some(path) = &self.golden {
            let text = files::read(path)?;
            return golden(&text).map_err(|reason| Failure::file("read", path, reason));
        }
        if let Some(selection) = self.as_enrolled {
            return Ok(as_enrolled(selection));
        }
        let rule = if self.any { v1::PcrRule::Any } else { v1::PcrRule::Inherited };
        Ok(v1::PcrPolicy { rule: rule.into(), ..Default::default() })
    }
}

/// Values as `tpm2_pcrread` prints them: `  7 : 0xC0DE…`; also without the colon and `0x`.
fn golden(text: &str) -> Result<v1::PcrPolicy, String> {
    let mut registers: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    let mut bank = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        // The line above the values.
        if line.is_empty() || line.strip_suffix(':').is_some_and(|word| word.parse::<Bank>().is_ok()) {
            continue;
        }
        let wrong = || format!("line {number}: takes the number of a register and its value in hex");
        let mut words = line.split([' ', '\t', ':']).filter(|word| !word.is_empty());
        let (register, value) = (words.next().ok_or_else(wrong)?, words.next().ok_or_else(wrong)?);
        if words.next().is_some() {
            return Err(wrong());
        }
        let value = hex::decode_any_case(value.strip_prefix("0x").unwrap_or(value));
        let value = value.filter(|bytes| !bytes.is_empty()).ok_or_else(wrong)?;
        let found = Bank::ALL.into_iter().find(|bank| bank.value_len() == value.len());
        let found = found.ok_or_else(|| {
            let length = value.len();
            format!("line {number}: has a value of {length} bytes; it takes 32 (sha256) or 48 (sha384)")
        })?;
        if *bank.get_or_insert(found) != found {
            return Err(format!("line {number}: is of another bank than the lines above; a policy has one"));
        }
        let values = registers.entry(register.parse().map_err(|_| wrong())?).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let bank = number(bank.ok_or("it has no value")?);
    let register = |(number, allowed)| v1::PcrRegister { number, allowed };
    let registers = registers.into_iter().map(register).collect();
    Ok(v1::PcrPolicy { rule: v1::PcrRule::Golden.into(), bank, registers, ..Default::default() })
}

fn as_enrolled(selection: PcrSelection) -> v1::PcrPolicy {
    let register = |number: u8| v1::PcrRegister { number: number.into(), allowed: Vec::new() };
    let registers = selection.numbers().map(register).collect();
    let (rule, bank) = (v1::PcrRule::AsEnrolled.into(), number(selection.bank()));
    v1::PcrPolicy { rule, bank, registers, ..Default::default() }
}

/// The bank as the API has it.
fn number(bank: Bank) -> i32 {
    match bank {
        Bank::Sha256 => v1::PcrBank::Sha256.into(),
        Bank::Sha384 => v1::PcrBank::Sha384.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tpm2_pcrread_prints_is_a_policy() {
        let (first, second) = ("01".repeat(32), "AB".repeat(32));
        let text =
            format!("  sha256:\n    0 : 0x{first}\n    16: 0x{second}\n16 {first} # after the update\n");
        let policy = golden(&text).unwrap();
        assert_eq!((policy.rule(), policy.bank()), (v1::PcrRule::Golden, v1::PcrBank::Sha256));
        let found: Vec<_> =
            policy.registers.into_iter().map(|register| (register.number, register.allowed)).collect();
        assert_eq!(found, [(0, vec![vec![1; 32]]), (16, vec![vec![0xab; 32], vec![1; 32]])]);
        for (text, word) in [
            ("", "no value"),
            ("0", "line 1: takes"),
            ("0 xyz", "line 1: takes"),
            ("0 0102", "2 bytes"),
            (&format!("-1 {first}"), "line 1: takes"),
            (&format!("0 {first} {first}"), "line 1: takes"),
            (&format!("0 {first}\n1 {}", "02".repeat(48)), "line 2: is of another bank"),
        ] {
            let wrong = golden(text).unwrap_err();
            assert!(wrong.contains(word), "{text}: {wrong}");
        }
    }

    #[test]
    fn a_selection_is_written_as_tpm2_tools_have_it() {
        let policy = as_enrolled("sha256:0,2,7".parse().unwrap());
        let numbers: Vec<_> = policy.registers.iter().map(|register| register.number).collect();
        assert_eq!((policy.bank(), numbers), (v1::PcrBank::Sha256, vec![0, 2, 7]));
    }
}

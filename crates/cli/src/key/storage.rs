//! The keys that records are sealed under.

use super::RotateArgs;
use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, progress};
use clap::Args;
use serde::Serialize;
use wardein_client::v1::rotate_storage_key_request::Scope as RotateScope;
use wardein_client::v1::sweep_request::Scope as SweepScope;
use wardein_client::{Operator, v1};

/// `wardein key sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// One tenant only
    #[arg(long)]
    tenant: Option<String>,
    /// Devices a second, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// The version that is sealed under, and how many older ones are kept until nothing is under them any more.
#[derive(Debug, Serialize)]
pub(super) struct StorageKey {
    version: u32,
    older: u32,
}

impl StorageKey {
    pub(super) fn words(&self) -> String {
        match self.older {
            0 => format!("version {}", self.version),
            older => format!("version {}, and {older} older", self.version),
        }
    }
}

impl From<Option<v1::StorageKey>> for StorageKey {
    fn from(key: Option<v1::StorageKey>) -> Self {
        let v1::StorageKey { version, older } = key.unwrap_or_default();
        Self { version, older }
    }
}

#[derive(Debug, Serialize)]
struct RootKey {
    root_key: StorageKey,
}

impl Record for RootKey {
    const COLUMNS: &'static [Column<Self>] = &[("root key", |status| status.root_key.words())];
}

pub(super) async fn show_root(session: &Session, out: Output) -> Result<(), Failure> {
    let status = session.operator().get_status(v1::GetStatusRequest {}).await?;
    let root_key = status.root_key.ok_or_else(|| {
        Failure::failed("the root key is shown to operators of the authority alone; use such an identity")
    })?;
    out.one(&RootKey { root_key: Some(root_key).into() })
}

#[derive(Debug, Serialize)]
struct Rotated {
    key: String,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<Swept>,
}

impl Rotated {
    /// A number of the sweep; nothing where none was made.
    fn swept(&self, number: fn(&Swept) -> u64) -> String {
        self.sweep.as_ref().map_or_else(String::new, |swept| number(swept).to_string())
    }
}

impl Record for Rotated {
    const COLUMNS: &'static [Column<Self>] = &[
        ("key", |rotated| rotated.key.clone()),
        ("version", |rotated| rotated.version.to_string()),
        ("sealed again", |rotated| rotated.swept(|swept| swept.renewed)),
        ("old keys dropped", |rotated| rotated.swept(|swept| swept.dropped)),
    ];
}

#[derive(Debug, Serialize)]
struct Swept {
    devices: u64,
    erased: u64,
    renewed: u64,
    dropped: u64,
    clock_believed: bool,
}

impl Record for Swept {
    const COLUMNS: &'static [Column<Self>] = &[
        ("devices", |swept| swept.devices.to_string()),
        ("something erased", |swept| swept.erased.to_string()),
        ("sealed again", |swept| swept.renewed.to_string()),
        ("old keys dropped", |swept| swept.dropped.to_string()),
        ("clock believed", |swept| {
            let clock = if swept.clock_believed { "yes" } else { "no: see `wardein clock status`" };
            clock.to_owned()
        }),
    ];
}

pub(super) async fn go_over(args: SweepArgs, out: Output) -> Result<(), Failure> {
    let SweepArgs { tenant, per_second, connect } = args;
    let session = connect.open().await?;
    let scope = tenant.map_or(SweepScope::AllTenants(v1::AllTenants {}), SweepScope::Tenant);
    let request = v1::SweepRequest { scope: Some(scope), per_second };
    out.one(&sweep(&session.operator(), request).await?)
}

pub(super) async fn rotate(args: RotateArgs, out: Output) -> Result<(), Failure> {
    let key = args.tenant.as_ref().map_or_else(|| "root".to_owned(), |tenant| format!("tenant/{tenant}"));
    args.confirm.ask(&format!("change the key {key}"))?;
    let session = args.connect.open().await?;
    let operator = session.operator();
    let scope = args.tenant.clone().map_or(RotateScope::RootKey(v1::RootKey {}), RotateScope::Tenant);
    let request = v1::RotateStorageKeyRequest { scope: Some(scope) };
    let version = operator.rotate_storage_key(request).await?.version;
    let swept = match args.tenant {
        None => None,
        Some(tenant) => {
            let (scope, per_second) = (Some(SweepScope::Tenant(tenant)), args.per_second);
            let request = v1::SweepRequest { scope, per_second };
            Some(sweep(&operator, request).await?)
        }
    };
    out.one(&Rotated { key, version, sweep: swept })
}

async fn sweep(operator: &Operator, request: v1::SweepRequest) -> Result<Swept, Failure> {
    let mut steps = operator.sweep(request).await?;
    let bar = progress("{spinner} {pos} devices, {per_sec}; {msg}", None);
    while let Some(step) = steps.next().await? {
        bar.set_position(step.devices);
        bar.set_message(format!("{} sealed again", step.renewed));
        if step.is_done {
            bar.finish_and_clear();
            let v1::SweepResponse { devices, erased, renewed, dropped, has_clock, .. } = step;
            return Ok(Swept { devices, erased, renewed, dropped, clock_believed: has_clock });
        }
    }
    Err(Failure::Unreachable("the sweep was cut short; the same command starts it again".to_owned()))
}

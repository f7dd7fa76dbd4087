//! `wardein custody`, and custody as the engine has it.

use crate::home::{self, Home, failed};
use serde::Serialize;
use std::sync::Arc;
use wardein_cli::config::Config;
use wardein_cli::{
    Column, CustodyChangeArgs, CustodyCommand, CustodyResealArgs, CustodyStatusArgs, Failure, Output,
    PassphraseArgs, ProtectionKind, Record,
};
use wardein_crypto::{Secret, SystemEntropy};
use wardein_custody::{
    Kind, KmsProtection, Opened, Passphrase, Protection, TpmProtection, TpmTarget, open_by_tpm,
};
use wardein_domain::with_causes;
use wardein_port::{Custody, CustodyError, Pending, RootKey};

/// The custody file, opened, while the authority serves.
#[derive(Clone)]
pub(crate) struct Custodian(Arc<Opened>);

impl Custodian {
    pub(crate) fn new(opened: Opened) -> Self {
        Self(Arc::new(opened))
    }

    /// The versions of the root key.
    pub(crate) fn root_keys(&self) -> Vec<RootKey> {
        let copied = |(version, secret): (u32, &Secret<32>)| RootKey { version, secret: secret.duplicate() };
        self.0.keys().map(copied).collect()
    }

    /// Does it on a thread that serves nobody: file locks and syncs take their time, and a TPM more.
    fn apart<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Opened) -> Result<T, wardein_custody::CustodyError> + Send + 'static,
    ) -> Pending<'static, Result<T, CustodyError>> {
        let opened = self.0.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || {
                act(&opened).map_err(|error| CustodyError(with_causes(&error)))
            })
            .await;
            done.unwrap_or_else(|_| Err(CustodyError("custody panicked".to_owned())))
        })
    }
}

impl Custody for Custodian {
    fn keep(&self, key: RootKey) -> Pending<'_, Result<(), CustodyError>> {
        self.apart(move |opened| opened.keep(key.version, &key.secret, &mut SystemEntropy::default()))
    }

    fn keep_only(&self, version: u32) -> Pending<'_, Result<(), CustodyError>> {
        self.apart(move |opened| opened.keep_only(version))
    }

    fn wrapped(&self) -> Pending<'_, Result<Vec<u8>, CustodyError>> {
        self.apart(|opened| wardein_custody::copy(opened.path()))
    }
}

#[derive(Serialize)]
struct Shown {
    protection: String,
    /// The cost of a guess of the passphrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    argon2: Option<String>,
    /// The PCRs to whose values a TPM sealed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    registers: Option<String>,
    /// Whether the TPM gives it now: `yes`, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm_opens: Option<String>,
    /// The key of AWS KMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key: Option<String>,
    /// Whether KMS gives it now: `yes`, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_opens: Option<String>,
    root_key_versions: Vec<u32>,
}

impl Shown {
    fn versions(&self) -> String {
        let versions: Vec<_> = self.root_key_versions.iter().map(u32::to_string).collect();
        let unfinished =
            if versions.len() > 1 { " (a change is in progress; the next start finishes it)" } else { "" };
        format!("{}{unfinished}", versions.join(", "))
    }
}

impl Record for Shown {
    const COLUMNS: &'static [Column<Self>] = &[
        ("root key under", |shown| shown.protection.clone()),
        ("a guess costs", |shown| shown.argon2.clone().unwrap_or_default()),
        ("registers", |shown| shown.registers.clone().unwrap_or_default()),
        ("TPM gives it now", |shown| shown.tpm_opens.clone().unwrap_or_default()),
        ("KMS key", |shown| shown.kms_key.clone().unwrap_or_default()),
        ("KMS gives it now", |shown| shown.kms_opens.clone().unwrap_or_default()),
        ("versions", |shown| shown.versions()),
    ];
}

pub(crate) fn run(command: CustodyCommand, out: Output) -> Result<(), Failure> {
    match command {
        CustodyCommand::Status(CustodyStatusArgs { dir }) => show(&home_of(&dir)?, out),
        CustodyCommand::Change(args) => change(args, out),
        CustodyCommand::Reseal(args) => reseal(args, out),
    }
}

fn home_of(directory: &std::path::Path) -> Result<Home, Failure> {
    Home::of_config(&directory.join(Config::FILE))
}

fn show(home: &Home, out: Output) -> Result<(), Failure> {
    let status = wardein_custody::status(&home.custody()).map_err(failed)?;
    let argon2 = status.cost.map(|cost| {
        format!("Argon2id, {} MiB, {} passes, {} lanes", cost.memory_kib / 1024, cost.passes, cost.lanes)
    });
    let told = |opened: Result<Opened, Failure>| match opened {
        Ok(_) => "yes".to_owned(),
        Err(error) => format!("no: {error}"),
    };
    let by_tpm = || told(home.tpm().and_then(|tpm| open_by_tpm(&home.custody(), tpm).map_err(failed)));
    let by_kms = || told(home.open_by_kms().map_err(failed));
    out.one(&Shown {
        protection: status.kind.to_string(),
        argon2,
        tpm_opens: (status.kind == Kind::Tpm).then(by_tpm),
        kms_key: status.kms_key,
        kms_opens: (status.kind == Kind::AwsKms).then(by_kms),
        registers: status.registers,
        root_key_versions: status.versions,
    })
}

fn change(args: CustodyChangeArgs, out: Output) -> Result<(), Failure> {
    let home = home_of(&args.dir)?;
    let to = match args.to {
        ProtectionKind::Passphrase => "a new passphrase".to_owned(),
        ProtectionKind::Tpm => TpmTarget::parse(home.tpm()?, &args.pcrs).map_err(failed)?.to_string(),
        ProtectionKind::AwsKms => home.kms()?.to_string(),
        ProtectionKind::KeyFile => format!("key file {}", home.key_file()?.display()),
    };
    args.confirm.ask(&format!("put the root key under {to}"))?;
    let opened = home.open_custody(&args.passphrase)?;
    let new =
        PassphraseArgs { passphrase_file: args.new_passphrase_file, passphrase_fd: args.new_passphrase_fd };
    let new_passphrase = || home::source(&new).read_new().map_err(failed);
    let protection = match args.to {
        ProtectionKind::KeyFile => Protection::KeyFile(home.key_file()?),
        ProtectionKind::Passphrase => Protection::Passphrase(new_passphrase()?),
        ProtectionKind::Tpm => {
            let target = TpmTarget::parse(home.tpm()?, &args.pcrs).map_err(failed)?;
            Protection::Tpm(TpmProtection { target, recovery: new_passphrase()? })
        }
        ProtectionKind::AwsKms => {
            Protection::AwsKms(KmsProtection { target: home.kms()?, recovery: home::recovery(&new)? })
        }
    };
    opened.change(&protection, &mut SystemEntropy::default()).map_err(failed)?;
    show(&home, out)
}

fn reseal(args: CustodyResealArgs, out: Output) -> Result<(), Failure> {
    let home = home_of(&args.dir)?;
    let status = wardein_custody::status(&home.custody()).map_err(failed)?;
    let Some(registers) = args.pcrs.or(status.registers) else {
        let words = format!(
            "the root key is under a {}; wardein custody change --to tpm puts it under a TPM",
            status.kind
        );
        return Err(Failure::Usage(words));
    };
    let target = TpmTarget::parse(home.tpm()?, &registers).map_err(failed)?;
    let recovery: Passphrase = home::source(&args.passphrase).read().map_err(failed)?;
    let recovery = Protection::Passphrase(recovery);
    let opened = wardein_custody::open(&home.custody(), &recovery).map_err(failed)?;
    if let Protection::Passphrase(recovery) = recovery {
        let anew = Protection::Tpm(TpmProtection { target, recovery });
        opened.change(&anew, &mut SystemEntropy::default()).map_err(failed)?;
    }
    show(&home, out)
}

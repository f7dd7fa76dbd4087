//! `wardein init`: founds an authority, whole or not at all.
//!
//! It is made as [`Founding`] says.

use crate::founding::{Founding, usage};
use crate::home::{self, Home, failed};
use crate::tokens;
use serde::Serialize;
use std::path::Path;
use wardein_cli::config::{Config, StoreKind};
use wardein_cli::files::{PRIVATE, PUBLIC, write_new};
use wardein_cli::{CaName, Failure, InitArgs, NewDatabaseArgs, Output, PlaceArgs, TokenArgs, identity};
use wardein_crypto::{Entropy, P256VerifyingKey, SystemEntropy, VerifyingKey};
use wardein_custody::{Environment, KmsProtection, KmsTarget, Protection, TpmProtection, TpmTarget};
use wardein_domain::{ErrorCode, TrustDomain};
use wardein_engine::{CaKeySource, CaKeys, Founded, Ports};
use wardein_pki::{ServerName, pem};
use wardein_port::{Clock as _, Signers, SystemClock};

/// The result of a founding, for scripts.
#[derive(Serialize)]
struct Made<'a> {
    directory: &'a Path,
    trust_domain: String,
    endpoint: &'a str,
    administrator_serial: String,
}

pub(crate) fn run(args: InitArgs, out: Output) -> Result<(), Failure> {
    let trust_domain: TrustDomain = args.trust_domain.parse().map_err(usage)?;
    require_clock(SystemClock.wall_ms() / 1000)?;
    let mut config = configuration(&args.place, args.key_file.as_deref())?;
    config.custody.tpm = args.tpm.clone().unwrap_or_default();
    config.custody.aws_kms_key = args.aws_kms_key.clone().unwrap_or_default();
    let founding = Founding::begin(&args.dir)?;
    let home = Home::new(founding.staging().to_owned(), config);
    // As with a TPM: whether it is there is known before a person is asked for anything.
    let signers = tokens::open_for_command(&home)?;
    let protection = protection(&args, &trust_domain)?;
    let (ca_keys, made) = ca_keys(&args, &*signers)?;
    let founded = found(&home, &protection, trust_domain.clone(), ca_keys)
        .inspect_err(|_| made.iter().for_each(|key| signers.discard(key)))?;
    write_files(&home, &founded)?;
    founding.finish()?;

    let directory = args.dir.display();
    let made = Made {
        directory: &args.dir,
        trust_domain: trust_domain.to_string(),
        endpoint: &home.config.network.endpoint,
        administrator_serial: founded.admin.serial.to_string(),
    };
    let words = format!(
        "Founded the authority of trust domain {trust_domain} in {directory}.\n\
         \n\
         \x20 custody.json        how the root key is wrapped; without it and its {protected} the store opens nothing\n\
         \x20 {store:<19} records; every secret in it is sealed\n\
         \x20 admin.pem, .key     the first administrator, for a year: issue personal ones, and keep this one locked away\n\
         \x20 root-ca.pem         the root; trust.pem and infrastructure.pem verify devices and servers\n\
         \x20 identity.pub        the key that devices pin\n\
         \n\
         Next: back up the directory, then start it:\n\
         \x20 wardein serve --config {directory}/{file}\n\
         and create a tenant: wardein tenant create --dir {directory} NAME",
        protected = match protection {
            Protection::Passphrase(_) => "passphrase",
            Protection::KeyFile(_) => "key file",
            Protection::Tpm(_) => "TPM, or its recovery passphrase,",
            Protection::AwsKms(_) => "key of AWS KMS",
        },
        store = home::embedded(&home.config).map_or("the database", |kind| kind.file_name()),
        file = Config::FILE,
    );
    out.say(&words, &made)
}

/// The keys of the CAs, with those that were made in the token.
fn ca_keys(args: &InitArgs, signers: &dyn Signers) -> Result<(CaKeys, Vec<VerifyingKey>), Failure> {
    let made_here = |name| CaKeySource::Made(args.algorithm(name));
    let mut keys = CaKeys {
        root: made_here(CaName::Root),
        issuing: made_here(CaName::Issuing),
        infrastructure: made_here(CaName::Infrastructure),
        devices_serve: args.devices_serve,
    };
    let mut made = Vec::new();
    if args.place.token.pkcs11_module.is_none() {
        return Ok((keys, made));
    }
    let names = [CaName::Root, CaName::Issuing, CaName::Infrastructure];
    for name in names.into_iter().filter(|name| args.pkcs11_keys.contains(name)) {
        let key = signers.make(args.algorithm(name)).map_err(|error| {
            made.iter().for_each(|key| signers.discard(key));
            failed(error)
        })?;
        made.push(key.verifying_key());
        let place = match name {
            CaName::Root => &mut keys.root,
            CaName::Issuing => &mut keys.issuing,
            CaName::Infrastructure => &mut keys.infrastructure,
        };
        *place = CaKeySource::Elsewhere(key);
    }
    Ok((keys, made))
}

/// The contents of `wardein.toml`.
pub(crate) fn configuration(place: &PlaceArgs, key_file: Option<&Path>) -> Result<Config, Failure> {
    let mut config = Config::default();
    config.network.listen = place.listen;
    config.network.http = place.http;
    config.store = place.store;
    let NewDatabaseArgs { postgresql_url, postgresql_password_file, postgresql_ca_file } = &place.database;
    config.postgresql.url = postgresql_url.clone().unwrap_or_default();
    for (file, configured) in [
        (postgresql_password_file, &mut config.postgresql.password_file),
        (postgresql_ca_file, &mut config.postgresql.ca_file),
    ] {
        if let Some(file) = file {
            *configured = std::path::absolute(file).map_err(failed)?;
        }
    }
    let TokenArgs { pkcs11_module, pkcs11_token, pkcs11_pin_file } = &place.token;
    config.pkcs11.token = pkcs11_token.clone().unwrap_or_default();
    for (file, configured) in
        [(pkcs11_module, &mut config.pkcs11.module), (pkcs11_pin_file, &mut config.pkcs11.pin_file)]
    {
        if let Some(file) = file {
            *configured = std::path::absolute(file).map_err(failed)?;
        }
    }
    let mut names = place.server_names.clone();
    for name in config.network.server_names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in &names {
        name.parse::<ServerName>().map_err(|error| usage(format_args!("--server-name {name}: {error}")))?;
    }
    let first = names.first().map_or("localhost", String::as_str);
    // An IPv6 address is in brackets in a URI.
    let host = if first.contains(':') { format!("[{first}]") } else { first.to_owned() };
    config.network.endpoint = format!("https://{host}:{}", place.listen.port());
    config.network.server_names = names;
    if let Some(key_file) = key_file {
        config.custody.key_file = std::path::absolute(key_file).map_err(failed)?;
    }
    Ok(config)
}

fn protection(args: &InitArgs, trust_domain: &TrustDomain) -> Result<Protection, Failure> {
    if let Some(path) = &args.key_file {
        return Ok(Protection::KeyFile(path.clone()));
    }
    if let Some(key) = &args.aws_kms_key {
        let target =
            KmsTarget::parse(key, &trust_domain.to_string(), Environment::of_process()).map_err(failed)?;
        let recovery = home::recovery(&args.passphrase)?;
        return Ok(Protection::AwsKms(KmsProtection { target, recovery }));
    }
    // Whether the TPM is available is checked before a person is asked for anything.
    let target =
        args.tpm.as_ref().map(|tpm| TpmTarget::parse(tpm, &args.pcrs)).transpose().map_err(failed)?;
    let passphrase = home::source(&args.passphrase).read_new().map_err(failed)?;
    Ok(match target {
        Some(target) => Protection::Tpm(TpmProtection { target, recovery: passphrase }),
        None => Protection::Passphrase(passphrase),
    })
}

/// Refuses a clock that is plainly wrong: the root's certificate is valid for twenty years from it.
fn require_clock(now: u64) -> Result<(), Failure> {
    // Until then a root is valid before the year 10000 (RFC 5280 §4.1.2.5).
    const LAST: u64 = 252_000_000_000;
    match now {
        crate::WRITTEN..=LAST => Ok(()),
        _ => Err(Failure::failed(format!(
            "the clock of this machine says {}, which cannot be; set it, then run this again",
            wardein_cli::time::at(now)
        ))),
    }
}

/// Makes keys and records. When this returns, the store is closed and durable.
pub(crate) fn found(
    home: &Home,
    protection: &Protection,
    trust_domain: TrustDomain,
    ca_keys: CaKeys,
) -> Result<Founded, Failure> {
    let mut entropy = SystemEntropy::default();
    let no_entropy = |_| Failure::failed("the operating system gave no random bytes");
    let root_key = entropy.secret().map_err(no_entropy)?;
    wardein_custody::create(&home.custody(), protection, &root_key, &mut entropy).map_err(failed)?;
    let ports = Ports::new(home.open_store()?, SystemClock);
    wardein_cli::block_on(async {
        let founded = wardein_engine::found_with(&ports, root_key, trust_domain, ca_keys).await;
        founded.map_err(|error| match (error.code, home.config.store) {
            // One that was cut short leaves no directory, and in a database what it had made.
            (ErrorCode::FoundedAlready, StoreKind::Postgresql) => Failure::Failed(format!(
                "{error}; name another database, or, where that is what an unfinished init left there, empty it with \
                 DROP SCHEMA wardein CASCADE, and run `wardein db init` again"
            )),
            _ => failed(error),
        })
    })
}

/// The files in the directory beside custody and store.
pub(crate) fn write_files(home: &Home, founded: &Founded) -> Result<(), Failure> {
    let write = |name: &str, text: &str| write_new(&home.file(name), text.as_bytes(), PUBLIC);
    write("root-ca.pem", &founded.root_pem)?;
    write(identity::TRUST, &founded.bundle_pem)?;
    write(identity::INFRASTRUCTURE, &founded.infrastructure_pem)?;
    write(identity::IDENTITY_KEY, &pem::encode_public_key(&P256VerifyingKey(founded.identity_key).into()))?;
    write(identity::ADMIN_CERTIFICATE, &founded.admin_certificate_pem)?;
    let key = pem::encode_private_key(founded.admin_key.expose()).map_err(failed)?;
    write_new(&home.file(identity::ADMIN_KEY), key.expose(), PRIVATE)?;
    write(Config::FILE, &home.config.to_documented_toml())
}

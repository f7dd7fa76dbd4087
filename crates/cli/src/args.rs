//! Every command, as clap knows it.

use crate::ca::Algorithm;
use crate::failure::EXIT_CODES;
use crate::passphrase::PassphraseArgs;
use crate::{
    approval, attestation, audit, backup, ca, cert, clock, completions, config::StoreKind,
    connection::ConnectArgs, context, custody, db, dev, device, file, grant, key, operator, pcr_policy,
    platform_cert, platform_pin, profile, reader, service, store, tenant, trust, update, webhook,
};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use wardein_crypto::KeyAlgorithm;

/// Wardein, a key authority for connected medical devices: registers devices at the factory, lets each prove itself with keys
/// that are never sent, certifies them for hours, and tells the platform whom to trust.
#[derive(Debug, Parser)]
#[command(name = "wardein", version, after_help = EXIT_CODES, max_term_width = 110, propagate_version = true)]
pub(crate) struct Cli {
    /// Print one JSON document for scripts; field names are stable, times are Unix seconds
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Found an authority: its keys, its certificates, its first administrator
    ///
    /// It is made in DIR.founding, which takes the name DIR last; where DIR is there, in DIR/.founding, whose files move up last. What a crash
    /// leaves is not an authority, and the same command again starts over.
    Init(InitArgs),
    /// Run an authority that was founded
    Serve(ServeArgs),
    /// Try it out: found a trial authority on this machine, with a tenant, a station and a platform, and serve it until Ctrl-C
    ///
    /// For trials only: its root key is in a file beside it. It listens on the loopback interface alone.
    Dev(dev::DevArgs),
    /// Take a consistent, sealed copy of all that is stored, while the authority serves
    ///
    /// It is of one moment, sealed under the root key, and has the custody file in it: `wardein restore` opens it with the passphrase or key file
    /// of now, and with nothing else. Neither a key file, nor wardein.toml, nor operators' keys are in it.
    Backup(backup::BackupArgs),
    /// Make an authority of a backup
    ///
    /// It works without a service. The authority that comes of it knows nothing of what was done after the backup; it takes nothing of keys that
    /// devices agreed on before but a rekey, which they do by themselves. It has an administrator of its own, whose key is admin.key.
    Restore(backup::RestoreArgs),
    /// Owners of devices, separate from each other to the key
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Who may call the authority: administrators, stations, platforms, auditors
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// What holds for a group of devices
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Devices' keys, and those that records are sealed under: schedules, rotations, the sweep
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Devices: enrolling a batch, looking, suspending, revoking
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// How the root key is protected: by a passphrase, a key file, a TPM or AWS KMS
    #[command(subcommand)]
    Custody(custody::CustodyCommand),
    /// The PostgreSQL database of an authority, where its records live in one
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Where an authority's records live, while its service is stopped
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// The nodes that serve from one database
    #[command(subcommand)]
    Node(db::NodeCommand),
    /// The CAs that certify devices: a tenant's own, rotation, and the day on which a key leaked
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Certificates that were issued, to devices and platforms
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Certificates of platforms: of their servers, and of what signs their firmware
    #[command(subcommand)]
    PlatformCert(platform_cert::PlatformCertCommand),
    /// The keys by which devices know the platform that they deliver to
    #[command(subcommand)]
    PlatformPin(platform_pin::PlatformPinCommand),
    /// What platforms may have of devices: logins, payloads, keys
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// Makers' updates: repositories, product lines, and what is released in them
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// What two people decide: proposals that wait, and which deeds need a second person
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Service access: technicians are in a device only while they are invited
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Who opens the files of a profile's devices with keys of their own, end to end
    #[command(subcommand)]
    Reader(reader::ReaderCommand),
    /// Where verdicts that change are posted, for platforms that cannot watch
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// The platform's questions: is this device to be trusted, is its token good, what did it seal?
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// Files that devices sealed: opening, looking, verifying where they come from
    #[command(subcommand)]
    File(file::FileCommand),
    /// What may keep the keys that devices sign with: TPMs of which vendors, and what else
    #[command(subcommand)]
    Attestation(attestation::AttestationCommand),
    /// The TPMs that a tenant trusts by a factory's list
    #[command(subcommand)]
    EndorsementKey(attestation::EndorsementKeyCommand),
    /// In which state of their TPM's registers devices are certified: as they booted when they were made, or as is listed
    #[command(subcommand)]
    PcrPolicy(pcr_policy::PcrPolicyCommand),
    /// Who did what on whom, with which result
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// The authority's time: whether the clock of its machine is believed, and vouching for it
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Look for what is wrong with an authority on this machine, and say what to do
    Doctor(DoctorArgs),
    /// Names for as whom, where and about which tenant to call, of which one is in use
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Completions for a shell
    Completions(completions::CompletionsArgs),
}

/// `wardein init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory to make, or one that is empty but for lost+found: a mount point, a link to one
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The name that stands in every certificate, such as devices.example.org; it cannot be changed later
    #[arg(long, value_name = "NAME")]
    pub trust_domain: String,
    /// Let devices be servers, too, as the certificate profiles dicom-tls, hl7-fhir-tls, sdc-provider and sdc-consumer have it, and
    /// certify platforms (`wardein platform-cert`): the issuing CA's certificate says so. Without this it says that all are clients,
    /// and verifiers hold it to that
    #[arg(long)]
    pub devices_serve: bool,
    /// What the root key is under: a passphrase, which is asked for where neither file nor descriptor is given
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Put the root key under a key in this file, for starts without a person. It is made where there is none, and never
    /// written over. Keep it on another disk than DIR
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub key_file: Option<PathBuf>,
    /// Put the root key under the TPM of this machine, for starts without a person. The passphrase is then for the day on which
    /// the TPM does not give the key, as after an update of the firmware: lock it away
    #[arg(long, value_name = "TCTI", conflicts_with = "key_file")]
    pub tpm: Option<String>,
    /// The TPM gives the key while these registers are as they are now
    #[arg(long, value_name = "N,N", default_value = DEFAULT_PCRS, requires = "tpm")]
    pub pcrs: String,
    /// Put the root key under a key of AWS KMS, for starts without a person, by the credentials that AWS's own tools would find. A
    /// passphrase, if a file or descriptor gives one, opens it on the day on which KMS does not: lock it away
    #[arg(long, value_name = "ARN", conflicts_with_all = ["key_file", "tpm"])]
    pub aws_kms_key: Option<String>,
    /// The algorithm of the root's key; RSA takes seconds to make
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value_t = Algorithm::P384)]
    root_algorithm: Algorithm,
    /// The same for the CA that certifies devices. Another one that follows it may have another (`wardein ca next`)
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value_t = Algorithm::P256)]
    issuing_algorithm: Algorithm,
    /// Which CAs' keys are made in the token, and never leave it
    #[arg(
        long,
        value_enum,
        value_name = "CA,CA",
        value_delimiter = ',',
        default_value = "root,issuing,infrastructure",
        requires = "pkcs11_module"
    )]
    pub pkcs11_keys: Vec<CaName>,
    /// Where it is to be found
    #[command(flatten)]
    pub place: PlaceArgs,
}

impl InitArgs {
    /// The algorithm of a CA's key. That of operators and servers is on P-256.
    pub fn algorithm(&self, name: CaName) -> KeyAlgorithm {
        match name {
            CaName::Root => self.root_algorithm.into(),
            CaName::Issuing => self.issuing_algorithm.into(),
            CaName::Infrastructure => KeyAlgorithm::P256,
        }
    }
}

/// What `wardein.toml` is to say at first.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Where records live
    #[arg(long, value_enum, default_value = "sqlite")]
    pub store: StoreKind,
    /// Its database
    #[command(flatten)]
    pub database: NewDatabaseArgs,
    /// Its token
    #[command(flatten)]
    pub token: TokenArgs,
    /// Where gRPC is to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// Where HTTP is to listen: health and metrics
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7480")]
    pub http: SocketAddr,
    /// A name or address for the server's certificate, besides localhost; may be repeated. Clients use the first one
    #[arg(long = "server-name", value_name = "NAME")]
    pub server_names: Vec<String>,
}

/// The database of a new authority.
#[derive(Debug, Default, Args)]
pub struct NewDatabaseArgs {
    /// Where the database of --store postgresql is, such as postgresql://wardein@db.example/wardein, without a password. `wardein db
    /// init` makes the tables in it
    #[arg(long, value_name = "URL", required_if_eq("store", "postgresql"))]
    pub postgresql_url: Option<String>,
    /// A file with the password; the service reads it at each start
    #[arg(long, value_name = "FILE", requires = "postgresql_url")]
    pub postgresql_password_file: Option<PathBuf>,
    /// PEM of the CAs that certify the database's server
    #[arg(long, value_name = "FILE", requires = "postgresql_url")]
    pub postgresql_ca_file: Option<PathBuf>,
}

/// The token of an authority whose CAs have keys in one.
#[derive(Debug, Default, Args)]
pub struct TokenArgs {
    /// Have keys of CAs in a token behind PKCS#11, an HSM, whose library this is
    #[arg(long, value_name = "FILE", requires_all = ["pkcs11_token", "pkcs11_pin_file"])]
    pub pkcs11_module: Option<PathBuf>,
    /// The token's label
    #[arg(long, value_name = "LABEL", requires = "pkcs11_module")]
    pub pkcs11_token: Option<String>,
    /// A file with the token's PIN, mode 600; the service reads it at each start
    #[arg(long, value_name = "FILE", requires = "pkcs11_module")]
    pub pkcs11_pin_file: Option<PathBuf>,
}

/// A CA of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CaName {
    /// The root, which certifies the others
    Root,
    /// The one that certifies devices
    Issuing,
    /// The one that certifies operators and servers
    Infrastructure,
}

/// Firmware, its extensions, the boot loader, and the state of Secure Boot (TCG PC Client Platform Firmware Profile, §3.3.4).
pub(crate) const DEFAULT_PCRS: &str = "0,2,4,7";

/// `wardein serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration, in the authority's directory
    #[arg(long, value_name = "DIR/wardein.toml")]
    pub config: PathBuf,
    /// Where the passphrase comes from, if the root key is under one. Of a root key under a TPM or AWS KMS it is the recovery
    /// passphrase, and they are then not asked
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `wardein doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where and as whom to ask the service; --dir is what is looked into
    #[command(flatten)]
    pub connect: ConnectArgs,
}

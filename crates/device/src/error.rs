//! Why a command fails, and with which exit code.

use crate::attribute::SourceError;
use crate::authority::{CallError, Refused};
use crate::certificate::CertificateError;
use crate::service::CodeRefused;
use crate::update::UpdateError;
use std::path::PathBuf;
use wardein_ddkg::device::DeviceError;
use wardein_domain::ErrorCode;
#[cfg(feature = "files")]
use wardein_files::FileError;
#[cfg(feature = "logs")]
use wardein_logs::agent::AgentError;
use wardein_pki::PinBundleError;

/// Why a command fails. Each says what to do next where it is not plain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The directory can be read or entered by others.
    #[error("{} is open to others (mode {mode:o}); run: chmod 700 {}", .path.display(), .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another process has been at work in the directory for too long.
    #[error(
        "another wardein-device is at work in {}, and two at a time would look like a clone; try again when it has ended",
        .0.display()
    )]
    Locked(PathBuf),
    /// A file is damaged.
    #[error("{} is damaged: {why}; {next}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
        /// What to do.
        next: &'static str,
    },
    /// A field of device.toml, or the option that would set it, is wrong.
    #[error("device.toml: {field}: {why}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no device.toml and no options to make one of.
    #[error("there is no {}; give --tenant, --device-id, --endpoint, --identity-key and --trust-roots", .0.display())]
    NotConfigured(PathBuf),
    /// An option and device.toml disagree.
    #[error("device.toml is there already and has another {0}; edit it, or leave the option out")]
    ConfigDiffers(&'static str),
    /// There is no state.
    #[error("the device is not enrolled: there is no {}; run: wardein-device enroll", .0.display())]
    NotEnrolled(PathBuf),
    /// There is a state whose enrollment is known to the authority.
    #[error(
        "the device is enrolled already; once an administrator has let it enroll again, run enroll with --again"
    )]
    AlreadyEnrolled,
    /// An attribute cannot be measured.
    #[error("{0}")]
    Attribute(SourceError),
    /// The protocol refuses what came, or what was asked.
    #[error("{0}")]
    Protocol(DeviceError),
    /// The certificate that came is not acceptable.
    #[error("the certificate that came is not stored: {0}")]
    Certificate(CertificateError),
    /// The station works for another tenant.
    #[error("tenant: the station enrolls for {found}, device.toml has {expected}; use that tenant's station")]
    OtherTenant {
        /// The station's.
        found: String,
        /// The device's.
        expected: String,
    },
    /// The authority, or the station in its name, refuses.
    #[error("the authority refuses: {0}")]
    Refused(Refused),
    /// The authority's answer is malformed.
    #[error("the answer is malformed: {0}")]
    Answer(String),
    /// Nobody answers.
    #[error("the authority cannot be reached: {0}")]
    Unreachable(String),
    /// One answers in the authority's place.
    #[error(
        "TLS to {endpoint} is opened by \"{issuer}\", which is not the infrastructure CA: have the network's administrator leave the \
         endpoint out of TLS inspection; if that is the authority's own CA, correct trust_roots ({code})", code = ErrorCode::TlsIntercepted
    )]
    Intercepted {
        /// Where the authority was looked for.
        endpoint: String,
        /// Who issued the certificate that was shown, as it says.
        issuer: String,
    },
    /// The trust bundle that came is not one to go by.
    #[error("the trust bundle that came is not taken: {0}")]
    Pins(PinBundleError),
    /// There is no trust bundle.
    #[error("there is no {}: the platform's pins are not known; run: wardein-device pins", .0.display())]
    NoPins(PathBuf),
    /// Another server answers in the platform's place.
    #[error(
        "the server at {address} is not the platform: its key has the pin {pin}, which the trust bundle does not have; nothing was sent"
    )]
    NotPinned {
        /// Where.
        address: String,
        /// The pin of the key that it showed.
        pin: String,
    },
    /// The platform does not answer, or does not speak TLS 1.3.
    #[error("the platform at {address} cannot be reached: {why}")]
    PlatformUnreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The TPM did not do it.
    #[cfg(feature = "tpm")]
    #[error("{0} ({code})", code = .0.code())]
    Tpm(wardein_tpm::TpmError),
    /// The key of the state is not this TPM's to open.
    #[cfg(feature = "tpm")]
    #[error(
        "the TPM does not open {}: another TPM sealed it, or this one before it was cleared, or it is damaged; put the directory back \
         on its device, or have an administrator let the device enroll again, remove state and state.key, and run: wardein-device \
         enroll (tpm-sealed-elsewhere)", .0.display()
    )]
    SealedElsewhere(PathBuf),
    /// An update is not taken.
    #[error("{0} ({code})", code = .0.code())]
    Update(Box<UpdateError>),
    /// Something else runs than what was approved.
    #[error(
        "what runs is not the version {version} that was confirmed; have it looked at before it is used (firmware-unapproved)"
    )]
    OtherSoftware {
        /// The version that was confirmed.
        version: u64,
    },
    /// A file is not sealed, opened or believed.
    #[cfg(feature = "files")]
    #[error("{}: {why}", .path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: FileError,
    },
    /// A list of readers is not taken.
    #[cfg(feature = "files")]
    #[error("{0}; the one before stays in force")]
    Readers(FileError),
    /// Nobody could open what would be sealed.
    #[error(
        "files are sealed for the tenant's readers alone, and none is in force now; have one added (wardein reader add), then run: \
         wardein-device file readers"
    )]
    NoReaders,
    /// Files are missing, or in each other's place.
    #[error("files are missing, or in each other's place")]
    FilesMissing,
    /// A visit would be released, and there is nobody to ask.
    #[error("would release visit {0}; nothing was done. Add --yes to do it")]
    NobodyToAsk(String),
    /// The person at the device was asked, and did not say yes.
    #[error("visit {0} is not released; nothing was done")]
    NotConfirmed(String),
    /// There is no key to sign a file with.
    #[error("the device cannot sign what it seals: {0}")]
    NoSigner(&'static str),
    /// logs.toml is wrong.
    #[cfg(feature = "logs")]
    #[error("{}: {why}", .path.display())]
    LogsConfig {
        /// The file.
        path: PathBuf,
        /// Which line, and what is wrong there.
        why: String,
    },
    /// Nobody who may has approved logs.toml.
    #[cfg(feature = "logs")]
    #[error("{}: {why}; nothing is read until it is approved", .path.display())]
    NotApproved {
        /// The file that is wrong, or not approved.
        path: PathBuf,
        /// Why.
        why: wardein_logs::approval::ApprovalError,
    },
    /// A setting of logs.toml is of no use here.
    #[cfg(feature = "logs")]
    #[error("logs.toml: {field}: {why}")]
    LogSetting {
        /// Which.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// The log agent cannot go on.
    #[cfg(feature = "logs")]
    #[error("{0}")]
    Logs(Box<AgentError<Error>>),
    /// Batches of logs wait.
    #[cfg(feature = "logs")]
    #[error("batches for {audience} are not delivered, and wait in the spool: {why}")]
    Undelivered {
        /// For whom.
        audience: String,
        /// Why.
        why: String,
    },
    /// A batch of logs is never taken.
    #[cfg(feature = "logs")]
    #[error(
        "batch {0} was refused for good: it is in the spool's quarantine, with the reason beside it; remove it there once that is settled"
    )]
    Quarantined(String),
    /// There is no room for logs.
    #[cfg(feature = "logs")]
    #[error("the spool is full: nothing is read until batches are delivered, or taken out of its quarantine")]
    SpoolFull,
    /// What only a device that derives keys can do was asked of one that signs.
    #[error(
        "{0} is for devices that derive keys; this one signs with the TPM that device.toml names in signs_with"
    )]
    Signs(&'static str),
    /// No technician is let in.
    #[error("{0}")]
    Code(CodeRefused),
    /// The source of randomness, or the device's own key, failed.
    #[error("{0} failed")]
    Fault(&'static str),
}

impl Error {
    /// The exit code: 1 for a failure here, 2 for a wrong option or setting, 3 for a refusal by the authority, 4 where it, the
    /// platform, or the place of updates cannot be reached, 5 for an update or a file that is not to be trusted, 6 where no technician is let in.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. }
            | Self::NotConfigured(_)
            | Self::ConfigDiffers(_)
            | Self::Signs(_)
            | Self::NobodyToAsk(_) => 2,
            #[cfg(feature = "tpm")]
            Self::Tpm(_) | Self::SealedElsewhere(_) => 1,
            Self::Refused(_) => 3,
            Self::Code(_) => 6,
            Self::Unreachable(_) | Self::Intercepted { .. } | Self::PlatformUnreachable { .. } => 4,
            Self::Update(error) if matches!(**error, UpdateError::Unreachable(_)) => 4,
            Self::Update(error) if error.is_distrust() => 5,
            #[cfg(feature = "files")]
            Self::Sealed { why, .. } if why.is_distrust() => 5,
            #[cfg(feature = "files")]
            Self::Sealed { .. } => 1,
            #[cfg(feature = "files")]
            Self::Readers(_) => 5,
            Self::OtherSoftware { .. } | Self::FilesMissing => 5,
            #[cfg(feature = "logs")]
            Self::LogSetting { .. } | Self::LogsConfig { .. } => 2,
            #[cfg(feature = "logs")]
            Self::NotApproved { .. } => 5,
            #[cfg(feature = "logs")]
            Self::Undelivered { .. } => 4,
            #[cfg(feature = "logs")]
            Self::Logs(_) | Self::Quarantined(_) | Self::SpoolFull => 1,
            Self::File { .. }
            | Self::Open { .. }
            | Self::Locked(_)
            | Self::Damaged { .. }
            | Self::NotEnrolled(_)
            | Self::AlreadyEnrolled
            | Self::Attribute(_)
            | Self::Protocol(_)
            | Self::Certificate(_)
            | Self::Pins(_)
            | Self::NoPins(_)
            | Self::NotPinned { .. }
            | Self::OtherTenant { .. }
            | Self::Answer(_)
            | Self::Update(_)
            | Self::NoSigner(_)
            | Self::NotConfirmed(_)
            | Self::NoReaders
            | Self::Fault(_) => 1,
        }
    }

    /// The error of a sealed file.
    #[cfg(feature = "files")]
    pub(crate) fn sealed(path: &std::path::Path, why: FileError) -> Self {
        Self::Sealed { path: path.into(), why }
    }

    /// The error of a file operation.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

#[cfg(feature = "tpm")]
impl From<wardein_tpm::TpmError> for Error {
    fn from(error: wardein_tpm::TpmError) -> Self {
        Self::Tpm(error)
    }
}

impl From<CodeRefused> for Error {
    fn from(refused: CodeRefused) -> Self {
        Self::Code(refused)
    }
}

impl From<UpdateError> for Error {
    fn from(error: UpdateError) -> Self {
        Self::Update(Box::new(error))
    }
}

impl From<wardein_pki::PkiError> for Error {
    fn from(_: wardein_pki::PkiError) -> Self {
        Self::Fault("writing the certificate request")
    }
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Self::Protocol(error)
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Self::Attribute(error)
    }
}

impl From<CertificateError> for Error {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refused) => Self::Refused(refused),
            CallError::Unreachable(why) => Self::Unreachable(why),
            CallError::Intercepted { endpoint, issuer } => Self::Intercepted { endpoint, issuer },
            CallError::Malformed(why) => Self::Answer(why),
            CallError::Setting(field, why) => Self::Config { field, why },
        }
    }
}

//! Why an update is not taken, each with a stable code.

use std::path::PathBuf;
use wardein_domain::with_causes;
use wardein_tuf::{Malformed, NotFor, NotOffered, OfferError};

/// Why an update is not taken. Nothing was installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The metadata or the artifact is not what its maker signed, or is older than what was seen.
    #[error("{0}")]
    NotTrusted(wardein_tuf::Error),
    /// The maker says too little of a release, or contradicts itself.
    #[error("the release at {path} says nothing to go by: {what}")]
    Unclear {
        /// Where the release is.
        path: String,
        /// What is missing.
        what: Malformed,
    },
    /// The device has no root of its maker's yet.
    #[error("there is no {}: run: wardein-device update trust ROOT.json, with the maker's root", .0.display())]
    NoRoot(PathBuf),
    /// It has one already.
    #[error("the device trusts a root of version {trusted} already; what follows it comes with the metadata")]
    RootThere {
        /// Its version.
        trusted: u64,
    },
    /// There is no release of that version, or none at all.
    #[error("the line {line} has no release {version}; run: wardein-device update check")]
    NoRelease {
        /// The product line.
        line: String,
        /// The version that was asked for, or what else.
        version: String,
    },
    /// It runs already.
    #[error("version {version} runs already; there is nothing to do")]
    RunsAlready {
        /// The release's version.
        version: u64,
    },
    /// The release is not for this device.
    #[error("version {version} is not for this device: {why}")]
    NotForThis {
        /// The release's version.
        version: u64,
        /// Why.
        why: NotFor,
    },
    /// The authority offers nothing of that to this device.
    #[error("the authority does not offer {version} to this device: {why}")]
    NotOffered {
        /// The version that was asked for, or what else.
        version: String,
        /// Why.
        why: NotOffered,
    },
    /// The device has no offer, and installs nothing without one.
    #[error(
        "the device has no offer of version {version}; run, where it reaches the authority: wardein-device update install"
    )]
    NoOffer {
        /// The release's version.
        version: u64,
    },
    /// The release's artifact is sealed, and the device does not have its key.
    #[error(
        "the artifact of version {version} is sealed, and the device has no key for it: that comes with an offer alone. Run, where it \
         reaches the authority: wardein-device update download. A device with `offers = false` in device.toml asks for none"
    )]
    NoKey {
        /// The release's version.
        version: u64,
    },
    /// The key that came with the offer is another artifact's.
    #[error(
        "the key of version {version} does not open its artifact; ask the maker, who gave it to the authority"
    )]
    WrongKey {
        /// The release's version.
        version: u64,
    },
    /// The artifact is not of a form that is opened.
    #[error("the sealed artifact of version {version} does not open: {why}")]
    NotOpened {
        /// The release's version.
        version: u64,
        /// Why.
        why: String,
    },
    /// This build has nothing to open it with.
    #[error(
        "the artifact of version {version} is sealed, and this build of wardein-device opens none; install one with the feature `files`"
    )]
    Unopenable {
        /// The release's version.
        version: u64,
    },
    /// The offer is none to install by.
    #[error("{0}")]
    Offer(OfferError),
    /// The file is not on the share.
    #[error("there is no {path} at {place}; have the maker's share completed")]
    NoArtifact {
        /// The artifact's path.
        path: String,
        /// Where it was looked for.
        place: String,
    },
    /// The device says that it is in use.
    #[error("the device is in use, says {command}; install when it is not")]
    InUse {
        /// The command that said so.
        command: String,
    },
    /// The maker's command failed.
    #[error("{command} failed: {how}; the device runs what it ran before")]
    Install {
        /// The command.
        command: String,
        /// How.
        how: String,
    },
    /// No client of hawkBit's asks for the installation.
    #[error(
        "nobody has asked at {address} for a while; start SWUpdate with this address and the token, and run it again"
    )]
    NobodyInstalls {
        /// Where it was served.
        address: std::net::SocketAddr,
    },
    /// Nothing was installed that could be confirmed or was rolled back.
    #[error("no installation waits for its first start; nothing is changed")]
    NothingPending,
    /// Another installation waits for its first start.
    #[error(
        "version {version} is installed and waits for its first start; start it and run: wardein-device update confirm, or: \
         wardein-device update rolled-back"
    )]
    Pending {
        /// Its version.
        version: u64,
    },
    /// It is not known what runs.
    #[error("no release was confirmed on this device, so there is nothing to compare with")]
    NothingRuns,
    /// The disk has no room for it.
    #[error("there is no room for {needed} bytes in {}; make room and run it again: it goes on where it stopped", .path.display())]
    NoRoom {
        /// How many bytes are needed.
        needed: u64,
        /// Where.
        path: PathBuf,
    },
    /// Nothing could be had from the share.
    #[error("{}", with_causes(.0))]
    Unreachable(wardein_client::ConnectError),
}

impl UpdateError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        use wardein_tuf::Error as Tuf;
        match self {
            Self::NotTrusted(Tuf::TooLong { .. }) => "update-too-long",
            Self::NotTrusted(Tuf::Malformed { .. }) | Self::Unclear { .. } => "update-malformed",
            Self::NotTrusted(Tuf::Threshold { .. }) => "update-not-signed",
            Self::NotTrusted(Tuf::Rollback { .. }) => "update-rolled-back",
            Self::NotTrusted(Tuf::RootChain { .. } | Tuf::TooManyRoots { .. }) => "update-root-chain",
            Self::NotTrusted(Tuf::Expired { .. }) => "update-expired",
            Self::NotTrusted(Tuf::Length { .. } | Tuf::Hash { .. }) => "update-altered",
            Self::NotTrusted(Tuf::Mixed { .. } | Tuf::Unlisted { .. }) => "update-mixed",
            Self::NotTrusted(Tuf::TooManyDelegations { .. }) => "update-delegations",
            Self::NotTrusted(Tuf::Missing { .. }) | Self::NoArtifact { .. } => "update-missing",
            Self::NoRoot(_) => "update-no-root",
            Self::RootThere { .. } => "update-root-there",
            Self::NoRelease { .. } => "update-no-release",
            Self::RunsAlready { .. } => "update-runs-already",
            Self::NotForThis { why: NotFor::Model, .. } => "update-other-model",
            Self::NotForThis { why: NotFor::Floor { .. }, .. } => "update-below-floor",
            Self::NotOffered { .. } => "update-not-offered",
            Self::NoOffer { .. } => "offer-missing",
            Self::NoKey { .. } => "update-key-missing",
            Self::WrongKey { .. } => "update-key-wrong",
            Self::NotOpened { .. } => "update-not-opened",
            Self::Unopenable { .. } => "update-unopenable",
            Self::Offer(OfferError::Malformed) => "offer-malformed",
            Self::Offer(OfferError::Signature) => "offer-not-signed",
            Self::Offer(OfferError::Device) => "offer-other-device",
            Self::Offer(OfferError::Release) => "offer-other-release",
            Self::Offer(OfferError::Expired) => "offer-expired",
            Self::Offer(OfferError::Replayed) => "offer-replayed",
            // A kind of a later library, which is in the same build.
            Self::Offer(_) => "offer-refused",
            Self::InUse { .. } => "update-in-use",
            Self::Install { .. } => "update-install-failed",
            Self::NobodyInstalls { .. } => "update-nobody-asks",
            Self::NothingPending => "update-nothing-pending",
            Self::Pending { .. } => "update-pending",
            Self::NothingRuns => "update-nothing-runs",
            Self::NoRoom { .. } => "update-no-room",
            Self::Unreachable(_) => "update-unreachable",
        }
    }

    /// Whether what was offered is not to be trusted, rather than missing or not for now.
    pub(crate) fn is_distrust(&self) -> bool {
        use wardein_tuf::Error as Tuf;
        match self {
            Self::NotTrusted(Tuf::Missing { .. }) => false,
            Self::Offer(OfferError::Expired | OfferError::Replayed) => false,
            Self::NotTrusted(_) | Self::Unclear { .. } | Self::Offer(_) => true,
            Self::WrongKey { .. } | Self::NotOpened { .. } => true,
            _ => false,
        }
    }
}

impl From<wardein_tuf::Error> for UpdateError {
    fn from(error: wardein_tuf::Error) -> Self {
        Self::NotTrusted(error)
    }
}

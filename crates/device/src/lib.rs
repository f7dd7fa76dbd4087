//! The device's side of Wardein: what it keeps on flash, what it measures of itself, and the agent that keeps it certified.
//!
//! What: the state directory, enrollment through a station, proved requests, the certificate of the device's own key, and
//! the loop that renews it. Why a library: a maker can build the same into its own firmware; the binary `wardein-device` is a
//! thin shell over it. What it does not do: the protocol itself (`wardein-ddkg`), X.509 (`wardein-pki`), the wire
//! (`wardein-client`).

mod agent;
mod at_rest;
mod attribute;
mod authority;
mod backoff;
mod certificate;
mod config;
mod directory;
mod enroll;
mod error;
#[cfg(feature = "files")]
mod file;
mod frames;
mod given;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod keys;
mod line;
mod line_device;
mod lines;
mod lock;
#[cfg(feature = "logs")]
mod log;
mod platform;
mod service;
mod session;
mod signing;
mod status;
mod transport;
mod update;
#[cfg(feature = "grpc")]
mod wire;

pub use agent::{Agent, Prover, Round, When};
pub use attribute::{Source, SourceError, measure};
pub use authority::{
    Authority, CallError, PinStation, ProofStation, Refused, Reply, SignedReply, SignedRequest,
    SigningAuthority, Station,
};
pub use certificate::{Certificate, CertificateError};
pub use config::Config;
pub use directory::{Contact, Directory, Files, StoredKey};
pub use enroll::{Enrolled, enroll};
pub use error::Error;
#[cfg(feature = "files")]
pub use file::{FileOrder, FileSealed, Plaintext};
pub use given::Given;
#[cfg(feature = "grpc")]
pub use grpc::{Remote, RemoteStation};
pub use http::Posting;
pub use keys::Nonce;
pub use line_device::{Answer, LineDevice, Said, Unheard};
pub use lines::LineStation;
pub use lock::PATIENCE;
#[cfg(feature = "logs")]
pub use log::{LogAgent, LogStatus};
pub use platform::{PlatformStream, connect_platform, is_platform};
pub use service::{
    Admission, Carrier, CodeRefused, Moment, ServiceAccess, SessionEnd, Visit, attend, attend_admitted,
    carry_protocols, give_protocols, note, pending_visits, release_visit,
};
pub use session::{Rekeyed, Session, Transferred};
pub use signing::{Signer, SigningKey, SigningSession, TpmActivation, TpmSettings, TpmStation};
#[cfg(feature = "tpm")]
pub use signing::{TpmSigner, enroll_tpm, open_tpm};
pub use status::{Status, utc};
pub use transport::{Link, Transport};
#[cfg(feature = "hawkbit")]
pub use update::{HawkbitEnd, HawkbitToken, HawkbitTokenError, Loopback, LoopbackAddress, NotLoopback};
pub use update::{
    Installed, Listed, OfferAnswer, Offered, Phase, Pick, Place, Running, Standing, Told, UpdateError,
    UpdateSettings, Updater,
};
#[cfg(feature = "grpc")]
pub use wire::{ConnectedStation, Vouched, confirm, enrolled};

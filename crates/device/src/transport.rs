//! How a device's requests travel: by gRPC, or as bytes that are posted; straight, or through a proxy.

use crate::authority::{Authority, CallError, Reply, SignedReply, SignedRequest, SigningAuthority};
use crate::config::Config;
#[cfg(feature = "grpc")]
use crate::grpc::Remote;
use crate::http::Posting;
use std::fmt;
use std::str::FromStr;
use wardein_client::{ConnectError, Settings};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeOffer, Confirmation, ProofRequest};
use wardein_domain::{PcrSelection, with_causes};

/// The form of a device's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// gRPC, over HTTP/2.
    #[cfg(feature = "grpc")]
    #[default]
    Grpc,
    /// DDKG-1's own bytes, posted over HTTP/1.1.
    #[cfg_attr(not(feature = "grpc"), default)]
    Http,
}

impl FromStr for Transport {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            #[cfg(feature = "grpc")]
            "grpc" => Ok(Self::Grpc),
            #[cfg(not(feature = "grpc"))]
            "grpc" => Err("is grpc, and this build has none (feature grpc); http does the same"),
            "http" => Ok(Self::Http),
            _ => Err("is neither grpc nor http"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "grpc")]
            Self::Grpc => "grpc",
            Self::Http => "http",
        })
    }
}

/// The authority, as device.toml says that it is reached.
pub enum Link {
    /// By gRPC.
    #[cfg(feature = "grpc")]
    Grpc(Remote),
    /// By POST.
    Http(Box<Posting>),
}

impl Link {
    /// The way of `config`.
    pub fn of(config: &Config) -> Self {
        match config.transport {
            #[cfg(feature = "grpc")]
            Transport::Grpc => Self::Grpc(Remote::of(config)),
            Transport::Http => Self::Http(Box::new(Posting::of(config))),
        }
    }
}

/// The settings of a connection of `config`.
pub(crate) fn settings(config: &Config) -> Settings {
    let roots = config.trust_roots.as_bytes().to_vec();
    let proxy = config.proxy.clone();
    Settings { has_clock: false, proxy, ..Settings::new(&config.endpoint, roots) }
}

/// What it means that the authority was not reached.
pub(crate) fn unreached(error: ConnectError) -> CallError {
    match error {
        ConnectError::Endpoint(_) => CallError::Setting("endpoint", error.to_string()),
        ConnectError::Material(_) => {
            CallError::Setting("trust_roots or station identity", with_causes(&error))
        }
        ConnectError::Intercepted { endpoint, certificate } => {
            let issuer = wardein_pki::issuer_name(&certificate);
            CallError::Intercepted { endpoint, issuer: issuer.unwrap_or_else(|| "an unnamed CA".to_owned()) }
        }
        error => CallError::Unreachable(with_causes(&error)),
    }
}

macro_rules! through {
    ($self:ident, $link:ident => $call:expr) => {
        match $self {
            #[cfg(feature = "grpc")]
            Self::Grpc($link) => $call.await,
            Self::Http($link) => $call.await,
        }
    };
}

impl Authority for Link {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        through!(self, link => link.challenge(device))
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        through!(self, link => link.prove(request, body))
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        through!(self, link => link.confirm(confirmation))
    }

    fn trust(&mut self, roots: &str) {
        match self {
            #[cfg(feature = "grpc")]
            Self::Grpc(link) => link.trust(roots),
            Self::Http(link) => link.trust(roots),
        }
    }
}

impl SigningAuthority for Link {
    async fn challenge_to_sign(
        &mut self,
        device: &DeviceName,
    ) -> Result<(ChallengeOffer, Option<PcrSelection>), CallError> {
        through!(self, link => link.challenge_to_sign(device))
    }

    async fn prove_by_signature(
        &mut self,
        request: &SignedRequest,
        body: &[u8],
    ) -> Result<SignedReply, CallError> {
        through!(self, link => link.prove_by_signature(request, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_is_one_that_is_built_in() {
        assert_eq!("http".parse(), Ok(Transport::Http));
        assert_eq!("grpc".parse::<Transport>().is_ok(), cfg!(feature = "grpc"));
        assert!("mqtt".parse::<Transport>().is_err());
        assert_eq!(Transport::default().to_string().parse(), Ok(Transport::default()));
    }
}

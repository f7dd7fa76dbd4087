//! The seam between what the device decides and how it calls: the authority, and the station at the factory.

use std::fmt;
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::device::DeviceState;
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest, SignatureClaim,
};
use wardein_domain::{DeviceAction, ErrorCode, PcrSelection, Quote, RenewalWindow, TenantId};

/// What a device asks of the authority. Over the wire it is [`crate::Link`]; tests script it.
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait Authority {
    /// A challenge for `device`.
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError>;
    /// A proved request with its body.
    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError>;
    /// The confirmation of an enrollment, from the device itself.
    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError>;
    /// From the next connection on, trusts these roots (PEM) in the place of those before. One that is not reached over TLS has none.
    fn trust(&mut self, _roots: &str) {}
}

impl<A: Authority> Authority for &mut A {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        (**self).challenge(device).await
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        (**self).prove(request, body).await
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        (**self).confirm(confirmation).await
    }

    fn trust(&mut self, roots: &str) {
        (**self).trust(roots);
    }
}

/// What a device that signs asks of the authority besides (DDKG-1 §5.1).
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait SigningAuthority: Authority {
    /// A challenge for `device`, and the registers that its TPM is to quote with the action `certificate`, if any.
    async fn challenge_to_sign(
        &mut self,
        device: &DeviceName,
    ) -> Result<(ChallengeOffer, Option<PcrSelection>), CallError>;
    /// A signed request with its body.
    async fn prove_by_signature(
        &mut self,
        request: &SignedRequest,
        body: &[u8],
    ) -> Result<SignedReply, CallError>;
}

/// A request that is signed.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// What is signed; its body travels beside it.
    pub claim: SignatureClaim,
    /// ECDSA with SHA-256 over the transcript, DER.
    pub signature: Vec<u8>,
    /// What was to be quoted; its qualifying data is the transcript.
    pub quote: Option<Quote>,
}

/// The reply to a signed request.
#[derive(Debug, Clone)]
pub struct SignedReply {
    /// Unix seconds.
    pub server_time: u64,
    /// The action's reply body.
    pub body: Vec<u8>,
    /// By the authority's identity key, DER. The device believes nothing without it.
    pub signature: Vec<u8>,
    /// As in [`Reply`].
    pub renewal: Option<RenewalWindow>,
}

/// The reply to a proved request, with what its ack does not cover.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What the device believes, once it has checked the ack.
    pub acked: AckedReply,
    /// The authority says that keys are to be agreed again soon. Where somebody between said so, it costs one rekey.
    pub rekey_due: bool,
    /// The authority says that the device is to go over to another tenant. Where somebody between said so, it costs one refused
    /// request.
    pub transfer_due: bool,
    /// The authority says when the certificate in it is to be renewed. Where somebody between said so, it is within bounds all the same.
    pub renewal: Option<RenewalWindow>,
}

/// What a device asks of the station that relays its enrollment.
#[allow(
    async_fn_in_trait,
    reason = "an enrollment runs on one thread; no caller needs the futures to be Send"
)]
pub trait Station {
    /// Relays the request; the reply comes with the tenant that the station works for.
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError>;
    /// Relays the confirmation.
    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError>;
}

/// What a device asks of a station so that its first contact with the platform is pinned.
#[allow(
    async_fn_in_trait,
    reason = "an enrollment runs on one thread; no caller needs the futures to be Send"
)]
pub trait PinStation {
    /// The trust bundle of the platform of the device's tenant, signed by the authority, as somebody says who need not be it; `None`
    /// where it has no pins.
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError>;
}

/// What an enrolled device asks of a station that has the only way to the authority.
#[allow(
    async_fn_in_trait,
    reason = "an enrollment runs on one thread; no caller needs the futures to be Send"
)]
pub trait ProofStation {
    /// Relays the question for a challenge.
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError>;
    /// Relays a proved request with its body.
    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError>;
}

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The authority answered, and refuses.
    Refused(Refused),
    /// The authority did not answer, or could not now; asking again later may help.
    Unreachable(String),
    /// One answers in the authority's place: where, and who issued its certificate.
    Intercepted {
        /// Where the authority was looked for.
        endpoint: String,
        /// The issuer, as the certificate names it; nobody has judged it.
        issuer: String,
    },
    /// The answer is none of its kind.
    Malformed(String),
    /// A setting is of no use: which one, and why.
    Setting(&'static str, String),
}

/// A refusal, as it comes over the wire. Nothing authenticates it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refused {
    /// The stable code.
    pub code: String,
    /// What was wrong, in words.
    pub message: String,
    /// The id under which the authority logged the request; empty where it gave none.
    pub request_id: String,
    /// With `epoch-spent`: an epoch that would do.
    pub next_epoch: Option<u32>,
    /// With `epoch-ahead`: the last epoch that would do.
    pub highest_epoch: Option<u32>,
}

impl Refused {
    /// A refusal by this side, with a code of the authority's.
    pub fn new(code: ErrorCode, message: String) -> Self {
        Self { code: code.to_string(), message, ..Self::default() }
    }

    /// Whether it is of this code.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == code.as_str()
    }

    /// Tells the state why its proof was refused, where that concerns the epoch. Whether it did.
    pub(crate) fn teach(&self, state: &mut DeviceState, request: &ProofRequest) -> bool {
        let refusal = match ErrorCode::from_text(&self.code) {
            // Without the number, the device still goes on by one epoch (DDKG-1 §3.1).
            Some(ErrorCode::EpochSpent) => Refusal::EpochSpent { next: self.next_epoch.unwrap_or_default() },
            Some(ErrorCode::EpochAhead) => {
                Refusal::EpochAhead { highest: self.highest_epoch.unwrap_or_default() }
            }
            _ => return false,
        };
        state.refused(request, &refusal);
        true
    }

    /// What this device does about it (DDKG-1 §13). A code of a later release is left to an administrator.
    pub fn action(&self) -> DeviceAction {
        ErrorCode::from_text(&self.code).map_or(DeviceAction::SeekHelp, ErrorCode::on_device)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match self.request_id.as_str() {
            "" => Ok(()),
            id => write!(f, " (request {id})"),
        }
    }
}

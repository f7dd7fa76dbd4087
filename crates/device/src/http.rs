//! The authority by POSTs of bytes (DDKG-1 §11.1).

use crate::authority::{Authority, CallError, Refused, Reply, SignedReply, SignedRequest, SigningAuthority};
use crate::config::Config;
use crate::transport::{settings, unreached};
use wardein_client::{Posted, Poster, Settings};
use wardein_ddkg::message::{
    ChallengeAnswer, ChallengeAsk, ChallengeOffer, Confirmation, Confirmed, NamedEpoch, ProofAnswer,
    ProofAsk, ProofRequest, Refused as RefusedMessage, SignedAnswer, SignedAsk,
};
use wardein_ddkg::{DecodeError, DeviceName};
use wardein_domain::{PcrSelection, RenewalWindow};

/// The authority at an endpoint. It is reached when it is first needed, and again after it was lost.
pub struct Posting {
    settings: Settings,
    poster: Option<Poster>,
}

/// What the header of an answer says, for which its bytes have no place (DDKG-1 §11.2, §11.3).
struct Hints {
    transfer_due: bool,
    renewal: Option<RenewalWindow>,
}

impl Posting {
    /// The authority that `config` names.
    pub fn of(config: &Config) -> Self {
        Self { settings: settings(config), poster: None }
    }

    /// Posts `message`; the answer, if it is none that refuses.
    async fn post<T>(
        &mut self,
        path: &'static str,
        message: Vec<u8>,
        decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, CallError> {
        Ok(self.post_hinted(path, message, decode).await?.0)
    }

    /// The same, with what its header says.
    async fn post_hinted<T>(
        &mut self,
        path: &'static str,
        message: Vec<u8>,
        decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<(T, Hints), CallError> {
        let poster = match &mut self.poster {
            Some(poster) => poster,
            None => self.poster.insert(Poster::new(&self.settings).map_err(unreached)?),
        };
        let posted = poster.post(path, message).await.map_err(unreached)?;
        let Posted { status, transfer_due, renewal, body } = posted;
        if status == OK {
            let answer = decode(&body).map_err(|error| CallError::Malformed(error.to_string()))?;
            return Ok((answer, Hints { transfer_due, renewal }));
        }
        Err(refused(status, &body))
    }
}

/// What an answer of another status means: one that asking later may change is no refusal.
fn refused(status: u16, body: &[u8]) -> CallError {
    let Ok(message) = RefusedMessage::decode(body) else {
        // A proxy's or a portal's.
        return CallError::Unreachable(format!("the answer is not the authority's, with status {status}"));
    };
    let RefusedMessage { code, message, request_id, epoch, retry_after_ms: _ } = message;
    let (next_epoch, highest_epoch) = match epoch {
        None => (None, None),
        Some(NamedEpoch::Next(epoch)) => (Some(epoch), None),
        Some(NamedEpoch::Highest(epoch)) => (None, Some(epoch)),
    };
    let refused = Refused { code, message, request_id, next_epoch, highest_epoch };
    // DDKG-1 §13.
    match status {
        429 | 503 => CallError::Unreachable(refused.to_string()),
        _ => CallError::Refused(refused),
    }
}

impl Authority for Posting {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        Ok(self.challenge_to_sign(device).await?.0)
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        let ask = ProofAsk { request: request.clone(), body: body.to_vec() };
        let answered = self.post_hinted("/v1/device/prove", ask.encode(), ProofAnswer::decode).await?;
        let (ProofAnswer { reply: acked, rekey_due }, Hints { transfer_due, renewal }) = answered;
        Ok(Reply { acked, rekey_due, transfer_due, renewal })
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let Confirmed = self.post("/v1/device/confirm", confirmation.encode(), Confirmed::decode).await?;
        Ok(())
    }

    fn trust(&mut self, roots: &str) {
        self.settings.roots = roots.as_bytes().to_vec();
        self.poster = None;
    }
}

impl SigningAuthority for Posting {
    async fn challenge_to_sign(
        &mut self,
        device: &DeviceName,
    ) -> Result<(ChallengeOffer, Option<PcrSelection>), CallError> {
        let ask = ChallengeAsk { device: device.clone() };
        let answer = self.post("/v1/device/challenge", ask.encode(), ChallengeAnswer::decode).await?;
        let ChallengeAnswer { offer, quote } = answer;
        Ok((offer, quote))
    }

    async fn prove_by_signature(
        &mut self,
        request: &SignedRequest,
        body: &[u8],
    ) -> Result<SignedReply, CallError> {
        let SignedRequest { claim, signature, quote } = request.clone();
        let ask = SignedAsk {
            device: claim.device,
            challenge: claim.challenge,
            nonce: claim.nonce,
            action: claim.action,
            body: body.to_vec(),
            signature,
            quote,
        };
        let path = "/v1/device/prove-by-signature";
        let answered = self.post_hinted(path, ask.encode(), SignedAnswer::decode).await?;
        let (SignedAnswer { server_time, body, signature }, Hints { renewal, .. }) = answered;
        Ok(SignedReply { server_time, body, signature, renewal })
    }
}

const OK: u16 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(code: &str, epoch: Option<NamedEpoch>) -> Vec<u8> {
        let (code, message, request_id) = (code.to_owned(), "words".to_owned(), "id-1".to_owned());
        RefusedMessage { code, message, request_id, epoch, retry_after_ms: 0 }.encode()
    }

    #[test]
    fn a_refusal_is_one_that_asking_later_does_not_change() {
        let CallError::Refused(spent) = refused(409, &message("epoch-spent", Some(NamedEpoch::Next(7))))
        else {
            panic!("it is a refusal");
        };
        assert_eq!(
            (spent.code.as_str(), spent.next_epoch, spent.highest_epoch),
            ("epoch-spent", Some(7), None)
        );
        let ahead = refused(409, &message("epoch-ahead", Some(NamedEpoch::Highest(8))));
        assert!(matches!(ahead, CallError::Refused(Refused { highest_epoch: Some(8), .. })));
        for (status, code) in [(429, "rate-limited"), (503, "store-unavailable"), (503, "of-a-later-release")]
        {
            let CallError::Unreachable(said) = refused(status, &message(code, None)) else {
                panic!("{code} passes");
            };
            assert!(said.contains(code) && said.contains("id-1"), "{said}");
        }
    }

    #[test]
    fn what_a_proxy_says_is_no_refusal() {
        for (status, body) in [(403, &b"<html>blocked</html>"[..]), (502, b""), (301, b"moved"), (204, b"")] {
            let said = refused(status, body);
            assert!(
                matches!(&said, CallError::Unreachable(said) if said.contains(&status.to_string())),
                "{said:?}"
            );
        }
    }
}

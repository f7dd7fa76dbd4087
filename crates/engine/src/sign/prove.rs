//! Requests of devices that sign (DDKG-1 §5.1): a challenge, then an action that is signed, committed, and only then answered.

use crate::derive::actions::{Ask, Body, Certifying, Done};
use crate::kernel::record::{self, Recording, device_text, target};
use crate::kernel::{Decision, Engine, Error, Stop, Tx};
use crate::release::readers::Sealing;
use crate::rows::{self, SignatureKeyRow, key_id};
use crate::update::offers::Offering;
use std::sync::Arc;
use wardein_crypto::Digest;
use wardein_ddkg::message::{SignatureClaim, VisitRelease, ack_transcript};
use wardein_ddkg::{Challenge, DeviceName};
use wardein_domain::{
    Action, Actor, Call, ErrorCode, ErrorKind, Event, FieldName, Fields, Method, Outcome, ProfileName, Quote,
    RenewalWindow, Target, UnixSeconds,
};
use wardein_pki::{DeviceCsr, SubjectKey};
use wardein_port::{Change, Table};

/// A request that a device signed. Its body travels beside it.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// The device.
    pub device: DeviceName,
    /// The challenge that it answers.
    pub challenge: Challenge,
    /// 32 random bytes of the device.
    pub nonce: [u8; 32],
    /// The requested action.
    pub action: Action,
    /// Of the transcript, DER.
    pub signature: Vec<u8>,
    /// Its TPM's statement on its PCRs, with the transcript as qualifying data: it belongs to this request and no other.
    pub quote: Option<Quote>,
}

/// The answer to a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReply {
    /// Unix seconds.
    pub server_time: u64,
    /// The action's reply body.
    pub body: Vec<u8>,
    /// By the identity key, DER.
    pub signature: Vec<u8>,
    /// When the certificate in it is to be renewed.
    pub renewal: Option<RenewalWindow>,
}

/// An answer whose change is durable, but for its reply body.
struct Answering {
    transcript: Digest,
    /// Unix seconds.
    now: u64,
    body: Body,
    renewal: Option<RenewalWindow>,
}

impl Engine {
    /// Verifies a signed request, performs its action, and answers when all of it is durable.
    pub async fn prove_by_signature(
        &self,
        call: &Call,
        request: &SignedRequest,
        body: &[u8],
    ) -> Result<SignedReply, Error> {
        if matches!(
            request.action.as_str(),
            "rekey" | "transfer" | "attributes" | "emergency-code" | Action::MADE_KEY
        ) {
            let message = format_args!("action: {} is for devices that derive their keys", request.action);
            return Err(Error::new(ErrorCode::ActionNeedsDerivedKeys, message));
        }
        let ask = Ask::parse(&request.action, body)?;
        let judge = |tx: &mut Tx<'_>| {
            let (_, row) = self.signature_key(tx, &request.device)?.ok_or_else(signature_wrong)?;
            verify(request, body, &row)?;
            Ok(())
        };
        let decide = |tx: &mut Tx<'_>| self.decide_signed(tx, call, request, body, &ask);
        let Answering { transcript, now, body, renewal } =
            self.transact_on(&request.device, judge, decide).await?;
        let body = self.body(call, body).await?;
        let ack = ack_transcript(&transcript, now, &body);
        let signature = self.authority.identity.sign(ack.as_ref());
        let signature = signature.map_err(|_| Error::internal("a reply could not be signed"))?;
        Ok(SignedReply { server_time: now, body, signature, renewal })
    }

    fn decide_signed(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        request: &SignedRequest,
        body: &[u8],
        ask: &Ask<'_>,
    ) -> Result<Decision<Answering>, Stop> {
        let name = &request.device;
        let now_ms = self.clock.now_ms();
        let now = now_ms / 1000;
        let known = self.memory.device(name);
        let recipe = known.as_ref().map_or_else(Arc::default, |known| known.recipe.clone());
        let checked =
            self.memory.challenges()?.check(&request.challenge, name, &recipe, now_ms, &self.policy)?;
        // A device that is not there, or has no such key, looks like one whose signature is wrong.
        let (Some(known), Some((version, mut row))) = (known, self.signature_key(tx, name)?) else {
            return Err(signature_wrong().into());
        };
        let transcript = verify(request, body, &row)?;
        row.seen.spend(&request.challenge, &checked, self.authority_time(now_ms), &self.policy)?;

        let mut change = Change::default();
        let done = match known.state.refusal() {
            None => self
                .judge_quote(tx, (name, &known.profile), (ask, request.quote.as_ref()), &row, &transcript)
                .and_then(|quoted| {
                    let mut done = self.act(tx, ask, (name, &known.profile), now, &row, &mut change)?;
                    if let Ask::UpdateReceipt(receipt) = ask
                        && done.event == Event::UpdateStarted
                    {
                        let admitted = self.admit_pcrs(tx, (name, &known.profile), receipt, &mut row)?;
                        done.fields = admitted
                            .into_iter()
                            .fold(done.fields, |fields, (name, text)| fields.with(name, text));
                    }
                    if let Some(standing) = quoted {
                        row.quoted = Some((UnixSeconds::new(now), standing));
                    }
                    Ok(done)
                }),
            Some(code) => {
                let message = format_args!("the device is {}; an administrator must decide", known.state);
                Err(Error::new(code, message).into())
            }
        };
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let (entry, answer) = match done {
            Ok(Done { event, fields, body, renewal }) => {
                row.last_seen = Some(UnixSeconds::new(now));
                let entry = record::entry(now_ms, actor, event, target(name), Outcome::Done, call);
                (entry.with_all(fields), Ok(Answering { transcript, now, body, renewal }))
            }
            Err(Stop::Need(keys)) => return Err(Stop::Need(keys)),
            Err(Stop::Refuse(fault)) if fault.kind() == ErrorKind::Internal => return Err(fault.into()),
            // It proved who it is, and may not. Its challenge is spent all the same.
            Err(Stop::Refuse(error)) => {
                let (method, outcome) = (prove_by_signature(), Outcome::refused(error.code));
                change = Change::default();
                let entry = record::entry(now_ms, actor, Event::CallRefused, method, outcome, call);
                let named = device_text(&name.tenant, &name.device);
                (entry.with(FieldName::Device, named).with(FieldName::Message, &error.message), Err(error))
            }
        };
        change.update(Table::SignatureKey, rows::device_key(name), version, rows::encode(&row)?);
        match &answer {
            Ok(_) => change.record(&entry)?,
            Err(error) if self.records_refusal_of(tx, name, prove_by_signature(), error.code, call) => {
                change.record(&entry)?;
            }
            Err(_) => {}
        }
        Ok(Decision { change, answer, keys: None })
    }

    /// The result of the action.
    fn act(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask<'_>,
        (name, profile): (&DeviceName, &ProfileName),
        now: u64,
        row: &SignatureKeyRow,
        change: &mut Change,
    ) -> Result<Done, Stop> {
        let answered = |event, body| Done::new(event, Fields::default(), body);
        match ask {
            Ask::Authenticate => Ok(answered(Event::DeviceAuthenticated, Vec::new())),
            Ask::TrustBundle => {
                Ok(answered(Event::TrustBundleServed, self.device_bundle(&name.tenant).into_bytes()))
            }
            Ask::PinBundle => {
                let bundle = self.bundle_in(tx, &name.tenant)?.unwrap_or_default();
                Ok(answered(Event::TrustBundleServed, bundle))
            }
            Ask::UpdateOffer(ask) => {
                let now_ms = self.clock.now_ms();
                let Offering { event, fields, body, .. } =
                    self.offer(tx, (name, profile), ask, now_ms, None, change)?;
                Ok(Done::new(event, fields, body))
            }
            Ask::UpdateReceipt(receipt) => {
                let (event, fields) = self.update_receipt(tx, name, receipt, change)?;
                Ok(Done::new(event, fields, Vec::new()))
            }
            Ask::VisitProtocol(protocol) => {
                let (event, fields) = self.visit_protocol(tx, name, protocol, change)?;
                Ok(Done::new(event, fields, Vec::new()))
            }
            Ask::ServiceAccess => Ok(answered(Event::ServiceAccessServed, self.service_bundle(tx, name)?)),
            Ask::PendingVisits => Ok(answered(Event::PendingVisitsServed, self.pending_visits(tx, name)?)),
            Ask::VisitRelease(VisitRelease(id)) => {
                let (event, fields) = self.release_at_device(tx, name, *id, change)?;
                Ok(Done::new(event, fields, Vec::new()))
            }
            Ask::Readers => {
                let body = self.signed_readers(tx, Sealing { tenant: &name.tenant, profile })?;
                Ok(answered(Event::ReadersServed, body))
            }
            Ask::Certificate(der) => {
                let rules = self.memory.rules(&name.tenant, profile).unwrap_or_default();
                let enrolled = SubjectKey::from(&row.key());
                // The proof's signature by the enrolled key is over the request, too.
                let accepted = rules.profile.certificate_keys();
                let csr = DeviceCsr::parse_of_holder(der, &enrolled, accepted)
                    .map_err(|error| Error::new(error.code(), format_args!("body: {error}")))?;
                let assurance = Some(row.assurance);
                let certifying = Certifying { name, profile, rules: &rules, now, assurance, change };
                Ok(self.issue_certificate(tx, &csr, certifying)?)
            }
            Ask::EmergencyCode(_)
            | Ask::MadeKey(_)
            | Ask::Rekey(_)
            | Ask::Transfer(_)
            | Ask::Attributes(_) => Err(Error::internal("an action was not refused before").into()),
        }
    }
}

/// The transcript that was signed.
fn verify(request: &SignedRequest, body: &[u8], row: &SignatureKeyRow) -> Result<Digest, Error> {
    let key = row.key();
    let claim = SignatureClaim {
        device: request.device.clone(),
        challenge: request.challenge.clone(),
        nonce: request.nonce,
        key_id: key_id(&key),
        action: request.action.clone(),
        body_digest: Digest::of(body),
    };
    let transcript = claim.transcript();
    key.verifying_key().verify(transcript.as_ref(), &request.signature).map_err(|_| signature_wrong())?;
    Ok(transcript)
}

fn prove_by_signature() -> Target {
    Target::Method(Method::ProveBySignature)
}

fn signature_wrong() -> Error {
    let message = "the signature is not one of this request by the device's enrolled key";
    Error::new(ErrorCode::SignatureWrong, message)
}

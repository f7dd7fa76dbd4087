//! What the authority makes of messages in their order: each list of steps begins with a record, and each step has its outcome.

use super::check::{Checked, measured, owner, parse, same, secret};
use super::form::{Agreement as Given, File, Nullable, ProofStep, Proofs, SealedStep, TokenStep};
use super::given::Counting;
use crate::attribute::{Attributes, Recipe};
use crate::authority::{Agreement, Expected, Record, Refusal, of_agreements};
use crate::challenge::ChallengeKey;
use crate::key::KeyName;
use crate::message::{ProofRequest, RekeyAsk, SealedPayload, Token};
use crate::policy::Policy;
use crate::time::AuthorityTime;
use crate::tree::GenerationRoot;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use wardein_crypto::Digest;
use wardein_domain::{Action, ErrorCode, Schedule};

pub(super) fn check(file: &File) -> Checked {
    for proofs in &file.refusals.proofs {
        let at = |step: &str| format!("refusals.proofs ({}: {step})", proofs.name);
        let attributes = measured("attributes", &proofs.attributes)?;
        let recipe = attributes.digests().names();
        let mut record = record(file, &attributes, proofs.confirmed, &proofs.generations)?;
        for step in &proofs.steps {
            let outcome = proof(&mut record, proofs, &recipe, step)?;
            outcome.is(&at(&step.name), &step.expect, &step.next_epoch, &step.highest_epoch)?;
            let reply = step.reply.0.as_ref().map(|reply| &reply.0);
            same(&at(&step.name), &outcome.made.as_ref(), &reply)?;
        }
    }
    for tokens in &file.refusals.tokens {
        let mut record = record(file, &Attributes::new(), true, &tokens.generations)?;
        let mut spent = BTreeMap::new();
        for step in &tokens.steps {
            let at = format!("refusals.tokens ({}: {})", tokens.name, step.name);
            let outcome = token(&mut record, &mut spent, step)?;
            outcome.is(&at, &step.expect, &step.next_epoch, &step.highest_epoch)?;
        }
    }
    for payloads in &file.refusals.sealed {
        let mut record = record(file, &Attributes::new(), true, &payloads.generations)?;
        for step in &payloads.steps {
            let at = format!("refusals.sealed ({}: {})", payloads.name, step.name);
            let outcome = sealed(&mut record, step)?;
            same(&at, &outcome.word, &step.expect)?;
            same(&at, &outcome.made.as_ref(), &step.plaintext.0.as_ref().map(|plaintext| &plaintext.0))?;
        }
    }
    Ok(())
}

fn record(file: &File, attributes: &Attributes, confirmed: bool, given: &[Given]) -> Checked<Record> {
    let agreements = given.iter().map(|given| {
        let Given { generation, period, max_uses, not_before, .. } = *given;
        let root = GenerationRoot::new(secret("generation_root", &given.generation_root)?);
        let (state, schedule) = (given.state.clone(), Schedule { period, max_uses, not_before });
        Ok(Agreement { number: generation, state, root, schedule })
    });
    let agreements = agreements.collect::<Checked<Vec<_>>>()?;
    of_agreements(owner(file)?, attributes.digests(), confirmed, agreements)
        .ok_or_else(|| "generations: none is active, or one has no state that there is".into())
}

/// What came of a step, in the words of the file.
struct Outcome {
    word: String,
    next: Option<u32>,
    highest: Option<u32>,
    /// What was made where it was accepted.
    made: Option<Vec<u8>>,
}

impl Outcome {
    fn accepted(made: Option<Vec<u8>>) -> Self {
        Self { word: "accepted".to_string(), next: None, highest: None, made }
    }

    fn refused(code: ErrorCode) -> Self {
        Self { word: code.as_str().to_string(), next: None, highest: None, made: None }
    }

    fn is(&self, at: &str, word: &str, next: &Nullable<u32>, highest: &Nullable<u32>) -> Checked {
        same(at, self.word.as_str(), word)?;
        same(&format!("{at}.next_epoch"), &self.next, &next.0)?;
        same(&format!("{at}.highest_epoch"), &self.highest, &highest.0)
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        let of_code = Self::refused(refusal.code());
        match refusal {
            Refusal::EpochSpent { next } => Self { next: Some(next), ..of_code },
            Refusal::EpochAhead { highest } => Self { highest: Some(highest), ..of_code },
            _ => of_code,
        }
    }
}

fn time(now_ms: u64) -> AuthorityTime {
    AuthorityTime { now_ms, era_ms: 0, may_erase: true }
}

fn proof(record: &mut Record, given: &Proofs, recipe: &Recipe, step: &ProofStep) -> Checked<Outcome> {
    let (policy, time, body) = (Policy::default(), time(step.now_ms), &step.body.0);
    let Ok(request) = ProofRequest::decode(&step.proof.0) else {
        return Ok(Outcome::refused(ErrorCode::Malformed));
    };
    let key = ChallengeKey::new(secret("challenge_key", &given.challenge_key)?);
    let checked = match key.check(&request.challenge, &request.device, recipe, step.now_ms, &policy) {
        Ok(checked) => checked,
        Err(error) => return Ok(Outcome::refused(error.code())),
    };
    let accepted = match record.verify(&request, checked, recipe, body, time, &policy) {
        Ok(accepted) => accepted,
        Err(refusal) => return Ok(refusal.into()),
    };
    let done = match request.action.as_str() {
        Action::ATTRIBUTES => match Attributes::decode(body) {
            Ok(attributes) => record.announce(&accepted, attributes.digests()),
            Err(_) => return Ok(Outcome::refused(ErrorCode::Malformed)),
        },
        Action::REKEY => match RekeyAsk::decode(body) {
            Ok(ask) => {
                let schedule = *record.schedule();
                record.rekey(&accepted, &ask, schedule, &mut Counting::default()).map(|_| ())
            }
            Err(_) => return Ok(Outcome::refused(ErrorCode::Malformed)),
        },
        _ => Ok(()),
    };
    Ok(match done {
        Ok(()) => Outcome::accepted(Some(accepted.reply(time.now(), Vec::new()).encode())),
        Err(refusal) => refusal.into(),
    })
}

/// As the authority's store does it: which key is spent on which token.
fn token(record: &mut Record, spent: &mut BTreeMap<KeyName, Digest>, step: &TokenStep) -> Checked<Outcome> {
    let Ok(token) = Token::decode(&step.token.0) else {
        return Ok(Outcome::refused(ErrorCode::Malformed));
    };
    let (message, known) = (Digest::of(&step.token.0), spent.get(&token.key_name()).copied());
    if known == Some(message) {
        return Ok(Outcome::refused(ErrorCode::TokenSpent));
    }
    let audience = parse("audience", &step.audience)?;
    let expected = Expected { audience: &audience, platform_nonce: &step.platform_nonce.0 };
    let (time, policy) = (time(step.now_ms), Policy::default());
    if known.is_some() {
        let judged = record.judge_token(&token, expected, time, &policy);
        return Ok(judged.map_or_else(Outcome::from, |_| Outcome::refused(ErrorCode::CloneSuspected)));
    }
    Ok(match record.verify_token(&token, expected, time, &policy) {
        Ok(spend) => {
            spent.insert(spend.0, message);
            Outcome::accepted(None)
        }
        Err(refusal) => refusal.into(),
    })
}

fn sealed(record: &mut Record, step: &SealedStep) -> Checked<Outcome> {
    let Ok(payload) = SealedPayload::decode(&step.sealed.0) else {
        return Ok(Outcome::refused(ErrorCode::Malformed));
    };
    let now = step.now_ms / 1_000;
    Ok(match record.open(&payload, &step.additional_data.0, now, &Policy::default()) {
        Ok((plaintext, _)) => Outcome::accepted(Some(plaintext.expose().to_vec())),
        Err(refusal) => refusal.into(),
    })
}

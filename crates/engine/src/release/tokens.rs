//! Logins: a platform has a device's token verified, which spends it.

use crate::derive::rotation::rekey_required;
use crate::derive::spent::{self, Spending, Standing};
use crate::kernel::record::{Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Kept, Stop, Tx};
use crate::release::keys::{of_platform, spent_error};
use crate::rows;
use crate::trust::check::Answer;
use wardein_crypto::Digest;
use wardein_ddkg::authority::{Expected, Refusal};
use wardein_ddkg::message::Token;
use wardein_domain::{
    Audience, ErrorCode, Event, FieldName, GroupTemplate, LoginNames, LoginTemplate, Outcome, RekeyGate,
    Right, UnixSeconds, Verdict, VerdictReason,
};
use wardein_port::{Change, Table};

/// A token that a device logs in with.
#[derive(Debug, Clone)]
pub struct TokenAsk {
    /// The token.
    pub token: Token,
    /// The nonce that the platform gave for this login, or nothing.
    pub platform_nonce: Vec<u8>,
    /// The SHA-256 that distinguishes this login from every other.
    pub idempotency: Digest,
}

/// A login that the platform may let pass.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The verdict, and on whom.
    pub answer: Answer,
    /// As whom the platform takes the device.
    pub user_name: String,
    /// In which organization; empty where the grant names none.
    pub organization: String,
    /// In which groups.
    pub groups: Vec<String>,
    /// Unix seconds: when the device made the token, as far as it knows the time.
    pub issued_at: u64,
}

impl Engine {
    /// Verifies a token and spends it. Its audience is the caller's name; the device is active.
    pub async fn verify_token(&self, caller: &Caller, ask: TokenAsk) -> Result<LoggedIn, Error> {
        let name = ask.token.device.clone();
        self.require_tenant(caller, &name.tenant)?;
        let judge = |tx: &mut Tx<'_>| self.decide_token(tx, caller, &ask).map(|_| ());
        self.transact_on_by(caller, &name, judge, |tx| self.decide_token(tx, caller, &ask)).await
    }

    fn decide_token(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        ask: &TokenAsk,
    ) -> Result<Decision<LoggedIn>, Stop> {
        let TokenAsk { token, platform_nonce, idempotency } = ask;
        let (name, key_name) = (&token.device, token.key_name());
        let now_ms = self.clock.now_ms();
        let now = now_ms / 1000;
        let known = self.memory.device(name).ok_or_else(|| Error::no_device(name))?;
        let rules = self.memory.rules(&name.tenant, &known.profile).unwrap_or_default();
        let grant = self.require_grant(tx, caller, &name.tenant, Right::Token, &known.profile)?;
        let message = Digest::of(&token.encode());
        let spending = Spending { caller, idempotency: *idempotency, message: Some(message) };
        let present = self.spent(tx, &key_name)?;
        let spent = present.as_ref().map(|(_, row)| row);
        let is_of_caller = self.is_spent_by(tx, spent, caller)?;
        let standing = spending.standing(spent, is_of_caller, UnixSeconds::new(now));
        let Held { cold, version, mut keys } =
            self.open_keys(tx, name)?.ok_or_else(|| Error::no_keys(name))?;
        let mut kept = None;
        let mut change = Change::default();
        // A device that was suspended in the meantime logs in nowhere, whatever the memory of this node says.
        change.check(Table::Device, rows::device_key(name), known.version);
        // The token on record was verified; its mac covers the platform, but not that it answers this nonce.
        if standing == Standing::Repeated && token.platform_nonce != *platform_nonce {
            return Err(of_platform(Refusal::NonceWrong.into()).into());
        }
        if matches!(standing, Standing::First | Standing::OtherMessage) {
            let audience: Audience = rows::word("audience", caller.principal.name.as_str())?;
            let (expected, policy) =
                (Expected { audience: &audience, platform_nonce }, self.policy_of(&rules.profile));
            let time = self.authority_time(now_ms);
            if standing == Standing::OtherMessage {
                let judged = keys.record.judge_token(token, expected, time, &policy);
                judged.map_err(|refusal| of_platform(self.refusal(refusal, &keys, token.generation)))?;
                return self.decide_key_twice(tx, caller, &key_name, now_ms);
            }
            let verified = keys.record.verify_token(token, expected, time, &policy);
            let spend =
                verified.map_err(|refusal| of_platform(self.refusal(refusal, &keys, token.generation)))?;
            spent::spend(&mut change, &spend.0, &spending.row(UnixSeconds::new(now)))?;
            kept = Some(self.put_keys(tx, &mut change, name, (cold, version), &mut keys)?);
        }
        // Judged now, also on a retry: a login whose reply was lost did not happen.
        if let Some(code) = known.state.refusal() {
            let message = format_args!("the device is {}; an administrator must decide", known.state);
            return Err(Error::new(code, message).into());
        }
        let rotation = rules.rotation.and(known.rotation);
        if self.gate(&keys, &rules.profile, rotation, now) == RekeyGate::Required {
            return Err(rekey_required().into());
        }
        let judgment = self.judge_device(&name.tenant, Some(&known), now);
        if judgment.verdict == Verdict::NotTrusted {
            return Err(refused_by_policy(&judgment.reasons).into());
        }
        if standing == Standing::Spent {
            return Err(spent_error(&key_name).into());
        }
        if standing == Standing::First {
            self.use_idempotency_key(tx, &mut change, &spending, UnixSeconds::new(now))?;
        }
        let LoginNames { user_name, organization, groups } = grant.names;
        let filled = |template: &LoginTemplate| template.filled(&name.tenant, &name.device, &known.profile);
        let user_name = filled(&user_name.unwrap_or_default());
        let organization = organization.as_ref().map(filled).unwrap_or_default();
        let group = |group: &GroupTemplate| group.filled(&name.tenant, &name.device, &known.profile);
        let groups: Vec<_> = groups.iter().map(group).collect();
        let delivery = if standing == Standing::Repeated { "again" } else { "first" };
        let entry = self.entry(caller, Event::TokenVerified, target(name), Outcome::Done);
        let entry = entry.with(FieldName::Key, key_name.to_string()).with(FieldName::UserName, &user_name);
        let entry = match (organization.is_empty(), groups.is_empty()) {
            (true, true) => entry,
            _ => entry.with(FieldName::Organization, &organization).with(FieldName::Groups, groups.join(",")),
        };
        let entry = entry.with(FieldName::Delivery, delivery);
        change.record(&entry)?;
        let answer = self.answer_on(tx, name, now)?;
        let logged_in = LoggedIn { answer, user_name, organization, groups, issued_at: token.issued_at };
        Ok(Decision { keys: kept.map(|cold| Kept { keys, cold }), ..Decision::new(change, logged_in) })
    }
}

fn refused_by_policy(reasons: &[VerdictReason]) -> Error {
    let reasons: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
    let message =
        format_args!("the device is not trusted by the policy of its profile: {}", reasons.join(", "));
    Error::new(ErrorCode::TrustPolicyRefuses, message)
}

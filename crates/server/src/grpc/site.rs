//! `SiteService`.

use crate::edge::context::Context;
use crate::grpc::convert::{parse, parse_optional, second_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use crate::grpc::{Api, reply, update};
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::{UnixSeconds, UpdateWindow};
use wardein_engine::{Error, UpdateChoice, UpdateDecision, UpdateRules};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::site_service_server::SiteService for Api {
    async fn get_update_rules(
        &self,
        request: Request<v1::GetUpdateRulesRequest>,
    ) -> Result<Response<v1::GetUpdateRulesResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let tenant = parse_optional("tenant", &request.get_ref().tenant)?;
            let (rules, choices) = self.shared.engine.get_update_rules(context.caller()?, tenant).await?;
            let choices = choices.into_iter().map(choice).collect();
            Ok(v1::GetUpdateRulesResponse { rules: Some(answered(rules)), choices })
        };
        reply(get.await)
    }

    async fn put_update_rules(
        &self,
        request: Request<v1::PutUpdateRulesRequest>,
    ) -> Result<Response<v1::PutUpdateRulesResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let (rules, reason) = (given(asked.rules.as_ref())?, parse("reason", &asked.reason)?);
            let rules = self.shared.engine.put_update_rules(context.caller()?, tenant, rules, reason).await?;
            Ok(v1::PutUpdateRulesResponse { rules: Some(answered(rules)) })
        };
        reply(put.await)
    }

    async fn decide_update(
        &self,
        request: Request<v1::DecideUpdateRequest>,
    ) -> Result<Response<v1::DecideUpdateResponse>, Status> {
        use v1::decide_update_request::Scope;
        let decide = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let (name, line) = update::place(&asked.repository, &asked.line)?;
            let version = match &asked.scope {
                Some(Scope::Version(version)) => Some(*version),
                Some(Scope::EveryRelease(_)) => None,
                None => return Err(wrong("scope", "is missing: version or every_release").into()),
            };
            let decision = UpdateDecision::asked("decision", asked.decision)?;
            let (reason, what) = (parse("reason", &asked.reason)?, (&name, &line, version));
            let engine = &self.shared.engine;
            let decided = engine.decide_update(context.caller()?, tenant, what, decision, reason).await?;
            let release = decided.map(update::release_for_site);
            Ok(v1::DecideUpdateResponse { release })
        };
        reply(decide.await)
    }
}

fn given(asked: Option<&v1::UpdateRules>) -> Result<UpdateRules, Error> {
    use v1::update_rules::Time;
    let asked = asked.ok_or_else(|| wrong("rules", "is missing"))?;
    let consent = v1::ConsentRule::try_from(asked.consent).ok();
    let needs_consent = match consent {
        Some(v1::ConsentRule::Needed) => true,
        Some(v1::ConsentRule::NotNeeded) => false,
        Some(v1::ConsentRule::Unspecified) | None => {
            return Err(wrong("rules.consent", "is none of the words for it"));
        }
    };
    let window = match &asked.time {
        None => return Err(wrong("rules.time", "is missing: any_time or window")),
        Some(Time::AnyTime(_)) => None,
        Some(Time::Window(window)) => {
            let second = |field, at: &Option<_>| {
                Ok::<_, Error>(second_optional(field, at.as_ref())?.map(UnixSeconds::new))
            };
            let minute = |minute: u32| u16::try_from(minute).unwrap_or(u16::MAX);
            let daily = window.daily.map(|daily| (minute(daily.from_minute), minute(daily.until_minute)));
            let made = UpdateWindow::new(
                second("rules.window.not_before", &window.not_before)?,
                second("rules.window.until", &window.until)?,
                daily,
            );
            Some(made.map_err(|error| wrong("rules.window", error))?)
        }
    };
    Ok(UpdateRules { needs_consent, window })
}

fn answered(rules: UpdateRules) -> v1::UpdateRules {
    use v1::update_rules::Time;
    let consent = match rules.needs_consent {
        true => v1::ConsentRule::Needed,
        false => v1::ConsentRule::NotNeeded,
    };
    let time = match rules.window {
        None => Time::AnyTime(v1::AnyTime {}),
        Some(window) => Time::Window(v1::UpdateWindow {
            not_before: window.not_before().and_then(|at| time::at(at.get())),
            until: window.until().and_then(|at| time::at(at.get())),
            daily: window
                .daily()
                .map(|(from, until)| v1::DailyHours { from_minute: from.into(), until_minute: until.into() }),
        }),
    };
    v1::UpdateRules { consent: consent.into(), time: Some(time) }
}

fn choice(from: UpdateChoice) -> v1::UpdateChoice {
    let decision = if from.consents { UpdateDecision::Consent } else { UpdateDecision::Refuse };
    v1::UpdateChoice {
        repository: from.repository.to_string(),
        line: from.line.to_string(),
        version: from.version.unwrap_or_default(),
        decision: decision.wire(),
        decided_at: time::at(from.at),
        decided_by: from.by.name,
    }
}

//! `wardein update consent`, `refuse`, `withdraw`, `rules` and `window`: what a tenant decides itself.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::Args;
use serde::Serialize;
use wardein_client::v1::decide_update_request::Scope;
use wardein_client::v1::update_rules::Time;
use wardein_client::{time as wire, v1, word};

/// What is decided on a release, or on all of a line.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The release's number
    #[arg(required_unless_present = "all")]
    number: Option<u64>,
    /// All releases of the line, now and later, but those that are decided on by number
    #[arg(long, conflicts_with = "number")]
    all: bool,
    #[command(flatten)]
    of: super::release::OfArgs,
    /// The tenant; your own where it is not given
    #[arg(long, value_name = "TENANT", default_value = "")]
    tenant: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein update rules`.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    /// The tenant; your own where it is not given
    #[arg(long, value_name = "TENANT", default_value = "")]
    tenant: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein update window`.
#[derive(Debug, Args)]
pub(crate) struct WindowArgs {
    /// Offer releases at any time
    #[arg(long, required_unless_present_any = ["not_before", "until", "daily", "consent"], conflicts_with_all = ["not_before", "until", "daily"])]
    any_time: bool,
    /// Not before that time, such as 2027-01-31T22:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    not_before: Option<u64>,
    /// Not from that time on
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<u64>,
    /// Within these hours of each day in UTC, also over midnight
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = daily)]
    daily: Option<v1::DailyHours>,
    /// Whether a release needs consent; as it is where it is not given
    #[arg(long, value_parser = ["needed", "not-needed"])]
    consent: Option<String>,
    /// The tenant; your own where it is not given
    #[arg(long, value_name = "TENANT", default_value = "")]
    tenant: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

fn daily(text: &str) -> Result<v1::DailyHours, String> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let both = text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
    let (from_minute, until_minute) = both.ok_or("is not HH:MM-HH:MM")?;
    Ok(v1::DailyHours { from_minute, until_minute })
}

#[derive(Debug, Serialize)]
struct Choice {
    repository: String,
    line: String,
    /// 0 for all of the line.
    version: u64,
    decision: String,
    decided_at: u64,
    decided_by: String,
}

impl Record for Choice {
    const COLUMNS: &'static [Column<Self>] = &[
        ("repository", |choice| choice.repository.clone()),
        ("line", |choice| choice.line.clone()),
        ("release", |choice| match choice.version {
            0 => "all".to_owned(),
            version => version.to_string(),
        }),
        ("decision", |choice| choice.decision.clone()),
        ("at", |choice| time::at(choice.decided_at)),
        ("by", |choice| choice.decided_by.clone()),
    ];
}

#[derive(Debug, Serialize)]
struct Rules {
    consent: String,
    not_before: u64,
    until: u64,
    daily: String,
    choices: Vec<Choice>,
}

impl Rules {
    fn of(rules: Option<v1::UpdateRules>, choices: Vec<v1::UpdateChoice>) -> Self {
        let rules = rules.unwrap_or_default();
        let window = match rules.time {
            Some(Time::Window(window)) => window,
            Some(Time::AnyTime(_)) | None => v1::UpdateWindow::default(),
        };
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours = |of: v1::DailyHours| format!("{}-{}", clock(of.from_minute), clock(of.until_minute));
        let choice = |of: v1::UpdateChoice| Choice {
            repository: of.repository,
            line: of.line,
            version: of.version,
            decision: word::<v1::UpdateDecision>(of.decision),
            decided_at: wire::seconds(of.decided_at),
            decided_by: of.decided_by,
        };
        Self {
            consent: word::<v1::ConsentRule>(rules.consent),
            not_before: wire::seconds(window.not_before),
            until: wire::seconds(window.until),
            daily: window.daily.map(hours).unwrap_or_default(),
            choices: choices.into_iter().map(choice).collect(),
        }
    }
}

impl Record for Rules {
    const COLUMNS: &'static [Column<Self>] = &[
        ("consent", |rules| rules.consent.clone()),
        ("not before", |rules| bound(rules.not_before)),
        ("until", |rules| bound(rules.until)),
        ("daily (UTC)", |rules| rules.daily.clone()),
        ("decided", |rules| {
            let said = |choice: &Choice| {
                let release = if choice.version == 0 { "all".to_owned() } else { choice.version.to_string() };
                format!("{} {}/{} {release}", choice.decision, choice.repository, choice.line)
            };
            rules.choices.iter().map(said).collect::<Vec<_>>().join("; ")
        }),
    ];
}

fn bound(second: u64) -> String {
    if second == 0 { String::new() } else { time::at(second) }
}

async fn present(session: &Session, tenant: &str) -> Result<v1::GetUpdateRulesResponse, Failure> {
    let request = v1::GetUpdateRulesRequest { tenant: tenant.to_owned() };
    Ok(session.operator().get_update_rules(request).await?)
}

pub(super) async fn rules(args: RulesArgs, out: Output) -> Result<(), Failure> {
    let found = present(&args.connect.open().await?, &args.tenant).await?;
    out.one(&Rules::of(found.rules, found.choices))
}

pub(super) async fn window(args: WindowArgs, out: Output) -> Result<(), Failure> {
    let WindowArgs { any_time, not_before, until, daily, consent, tenant, reason, confirm, connect } = args;
    confirm.ask("set when devices are updated, and whether that needs consent")?;
    let session = connect.open().await?;
    let mut rules = present(&session, &tenant).await?.rules.unwrap_or_default();
    if any_time {
        rules.time = Some(Time::AnyTime(v1::AnyTime {}));
    } else if not_before.is_some() || until.is_some() || daily.is_some() {
        let at = |second: Option<u64>| second.and_then(wire::at);
        let window = v1::UpdateWindow { not_before: at(not_before), until: at(until), daily };
        rules.time = Some(Time::Window(window));
    }
    if let Some(consent) = consent {
        rules.consent = wardein_client::number::<v1::ConsentRule>(&consent);
    }
    let request = v1::PutUpdateRulesRequest { tenant: tenant.clone(), rules: Some(rules), reason };
    session.operator().put_update_rules(request).await?;
    let found = present(&session, &tenant).await?;
    out.one(&Rules::of(found.rules, found.choices))
}

pub(super) async fn decide(
    args: DecideArgs,
    decision: v1::UpdateDecision,
    verb: &str,
    out: Output,
) -> Result<(), Failure> {
    let DecideArgs { number, all: _, of, tenant, reason, confirm, connect } = args;
    let what = number.map_or_else(|| "all releases".to_owned(), |number| format!("release {number}"));
    confirm.ask(&format!("{verb} {what} of {}/{}", of.repository, of.line))?;
    let session = connect.open().await?;
    let request = v1::DecideUpdateRequest {
        tenant: tenant.clone(),
        repository: of.repository,
        line: of.line,
        scope: Some(number.map_or(Scope::EveryRelease(v1::EveryRelease {}), Scope::Version)),
        decision: decision.into(),
        reason,
    };
    session.operator().decide_update(request).await?;
    let found = present(&session, &tenant).await?;
    out.one(&Rules::of(found.rules, found.choices))
}

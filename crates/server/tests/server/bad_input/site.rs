//! `SiteService`.

use super::updates::{NO_LINE, NO_REPOSITORY, denied, world};
use super::world::{NO_TENANT, malformed};
use tonic::Code;
use wardein_client::v1;
use wardein_client::v1::decide_update_request::Scope;
use wardein_client::v1::update_rules::Time;
use wardein_domain::Method;

fn rules() -> v1::UpdateRules {
    v1::UpdateRules { consent: v1::ConsentRule::Needed.into(), time: Some(Time::AnyTime(v1::AnyTime {})) }
}

fn put(rules: v1::UpdateRules) -> v1::PutUpdateRulesRequest {
    v1::PutUpdateRulesRequest { tenant: String::new(), rules: Some(rules), reason: "x".into() }
}

#[tokio::test]
async fn get_update_rules() {
    let world = world().await;
    let of = |tenant: &str| v1::GetUpdateRulesRequest { tenant: tenant.into() };
    let rows = [
        ("no tenant", &world.admin, of(""), malformed("tenant")),
        ("a bad name", &world.admin, of("A B"), malformed("tenant")),
        ("one that is not there", &world.admin, of("nowhere"), NO_TENANT),
        ("another's", &world.site, of("other"), NO_TENANT),
        ("a release manager", &world.release_manager, of(""), denied("GetUpdateRules")),
        ("a station", &world.station, of(""), denied("GetUpdateRules")),
    ];
    world.refuses(Method::GetUpdateRules, rows).await;
    let found = world.site.sites().get_update_rules(of("")).await.unwrap().into_inner();
    assert_eq!((found.rules, found.choices), (Some(rules()), Vec::new()), "consent is needed");
}

#[tokio::test]
async fn put_update_rules() {
    let world = world().await;
    let site = &world.site;
    let window =
        |window: v1::UpdateWindow| put(v1::UpdateRules { time: Some(Time::Window(window)), ..rules() });
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let daily = |from_minute, until_minute| {
        let daily = Some(v1::DailyHours { from_minute, until_minute });
        window(v1::UpdateWindow { daily, ..Default::default() })
    };
    let bounds = |not_before, until| window(v1::UpdateWindow { not_before, until, daily: None });
    let rows = [
        ("nothing", site, v1::PutUpdateRulesRequest::default(), malformed("rules")),
        (
            "no reason",
            site,
            v1::PutUpdateRulesRequest { reason: String::new(), ..put(rules()) },
            malformed("reason"),
        ),
        ("unsaid consent", site, put(v1::UpdateRules { consent: 0, ..rules() }), malformed("rules.consent")),
        ("an unheard one", site, put(v1::UpdateRules { consent: 9, ..rules() }), malformed("rules.consent")),
        ("an unsaid time", site, put(v1::UpdateRules { time: None, ..rules() }), malformed("rules.time")),
        ("a window that bounds nothing", site, bounds(None, None), malformed("rules.window")),
        ("one that ends before it begins", site, bounds(at(60), at(60)), malformed("rules.window")),
        ("one before 1970", site, bounds(at(-1), None), malformed("rules.window.not_before")),
        ("a day's last minute and more", site, daily(0, 1440), malformed("rules.window")),
        ("far more", site, daily(1 << 16, 5), malformed("rules.window")),
        ("no time at all", site, daily(7, 7), malformed("rules.window")),
        ("another's", site, v1::PutUpdateRulesRequest { tenant: "other".into(), ..put(rules()) }, NO_TENANT),
        ("an administrator of all", &world.admin, put(rules()), denied("PutUpdateRules")),
        ("an auditor", &world.auditor, put(rules()), denied("PutUpdateRules")),
    ];
    world.refuses(Method::PutUpdateRules, rows).await;
}

#[tokio::test]
async fn decide_update() {
    let world = world().await;
    let site = &world.site;
    let good = || v1::DecideUpdateRequest {
        tenant: String::new(),
        repository: "maker".into(),
        line: "pumps".into(),
        scope: Some(Scope::EveryRelease(v1::EveryRelease {})),
        decision: v1::UpdateDecision::Consent.into(),
        reason: "x".into(),
    };
    let unknown = (Code::NotFound, "release-unknown", "no release");
    let rows = [
        ("nothing", site, v1::DecideUpdateRequest::default(), malformed("repository")),
        ("no line", site, v1::DecideUpdateRequest { line: String::new(), ..good() }, malformed("line")),
        ("an unsaid scope", site, v1::DecideUpdateRequest { scope: None, ..good() }, malformed("scope")),
        ("no decision", site, v1::DecideUpdateRequest { decision: 0, ..good() }, malformed("decision")),
        ("an unheard one", site, v1::DecideUpdateRequest { decision: 9, ..good() }, malformed("decision")),
        ("no reason", site, v1::DecideUpdateRequest { reason: String::new(), ..good() }, malformed("reason")),
        (
            "another repository",
            site,
            v1::DecideUpdateRequest { repository: "x".into(), ..good() },
            NO_REPOSITORY,
        ),
        ("another line", site, v1::DecideUpdateRequest { line: "x".into(), ..good() }, NO_LINE),
        (
            "another release",
            site,
            v1::DecideUpdateRequest { scope: Some(Scope::Version(4)), ..good() },
            unknown,
        ),
        ("another's", site, v1::DecideUpdateRequest { tenant: "other".into(), ..good() }, NO_TENANT),
        ("an administrator of all", &world.admin, good(), denied("DecideUpdate")),
        ("a release manager", &world.release_manager, good(), denied("DecideUpdate")),
    ];
    world.refuses(Method::DecideUpdate, rows).await;
}

//! Orders of the stand-in, which become visits, and their protocols, which go back.

use crate::authority::{Place, now};
use crate::stand_in::{AUDIENCE, CLIENT, StandIn, USER, other_key, salesforce_time};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use wardein_client::v1::VisitState;
use wardein_workorders::{Config, Desk, Error};

const ID: &str = "a0B000000000001AAA";

pub(crate) fn config(place: &Place, stand_in: &StandIn, report: &str) -> Config {
    let text = format!(
        "{}[salesforce]\nlogin_url = \"https://localhost:{}\"\naudience = {AUDIENCE:?}\nclient_id = {CLIENT:?}\nusername = {USER:?}\n\
         key_file = {:?}\nroots = {:?}\napi_version = \"62.0\"\nobject = \"Work__c\"\n{report}\n\
         [salesforce.fields]\nnumber = \"Name\"\nstatus = \"Status__c\"\ndevice = \"Device__r.Serial__c\"\ntechnician = \"Technician__r.Name\"\n\
         starts = \"Starts__c\"\nends = \"Ends__c\"\nscope = \"Scope__c\"\n\
         [salesforce.status]\ndispatched = [\"Dispatched\", \"In Progress\"]\nclosed = [\"Closed\"]\ncanceled = [\"Canceled\"]\n",
        place.general(),
        stand_in.address.port(),
        place.path("salesforce.key"),
        place.path("ca.pem"),
    );
    Config::parse(&text).unwrap()
}

const FIELD: &str = "report_field = \"Report__c\"";

struct World {
    place: Place,
    stand_in: StandIn,
}

impl World {
    async fn new() -> Self {
        let place = Place::new().await;
        let stand_in = StandIn::start(place.directory.path()).await;
        Self { place, stand_in }
    }

    /// A round of an adapter that was just started: nothing is in its memory.
    async fn round(&self) -> Result<(), Error> {
        Desk::open(config(&self.place, &self.stand_in, FIELD)).await?.round().await
    }

    /// What is on record of the one order that there is.
    fn record(&self) -> Value {
        let mut files = fs::read_dir(self.place.path("state/orders")).unwrap();
        let path = files.next().unwrap().unwrap().path();
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// As a crash left it, which came after the deed and before its record.
    fn set_back(&self, change: impl FnOnce(&mut Value)) {
        let mut files = fs::read_dir(self.place.path("state/orders")).unwrap();
        let path = files.next().unwrap().unwrap().path();
        let mut record = self.record();
        change(&mut record["jobs"][0]);
        fs::write(path, record.to_string()).unwrap();
    }
}

/// The stand-in for programs outside of the tests, as `deploy/service.sh` runs it. In the directory that `WARDEIN_STAND_IN` names,
/// `port` says where it is, `order.json` is what somebody does to the order, and `report` and `written` are what was written to it,
/// and how often.
#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_serves_programs_outside_of_the_tests() {
    let Some(directory) = std::env::var_os("WARDEIN_STAND_IN").map(PathBuf::from) else { return };
    let stand_in = StandIn::start(&directory).await;
    let say = |name: &str, text: String| {
        fs::write(directory.join("next"), text).unwrap();
        fs::rename(directory.join("next"), directory.join(name)).unwrap();
    };
    say("port", stand_in.address.port().to_string());
    while !directory.join("stop").exists() {
        let order = directory.join("order.json");
        if let Ok(text) = fs::read(&order) {
            stand_in.put(ID, serde_json::from_slice(&text).unwrap());
            fs::remove_file(order).unwrap();
        }
        if stand_in.written(ID) != 0 {
            say("report", stand_in.report(ID));
            say("written", stand_in.written(ID).to_string());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_becomes_one_visit_and_its_protocol_goes_back_once_over_restarts_at_each_step() {
    let mut world = World::new().await;
    world.stand_in.dispatch(ID, "WO-00012");
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    let visit = world.place.visit().await;
    assert!(visit.work_order.starts_with("WO-00012/"), "{}", visit.work_order);
    assert_eq!((visit.technician.as_str(), &visit.device_ids[..]), ("eva", &["pump-1".to_owned()][..]));
    assert_eq!((visit.state(), visit.scope.as_str()), (VisitState::Requested, "maintenance"));
    // The authority made the visit, and the adapter crashed before it heard so.
    world.set_back(|job| job["state"] = json!("inviting"));
    world.round().await.unwrap();
    assert_eq!(world.place.visit().await.id, visit.id);
    // Its whole state is lost; the order is read again.
    fs::remove_dir_all(world.place.path("state")).unwrap();
    world.round().await.unwrap();
    assert_eq!(world.place.visit().await.id, visit.id);
    world.place.release(&visit.id).await;
    world.place.certify(&visit.id).await;
    world.round().await.unwrap();
    assert_eq!(world.stand_in.written(ID), 0, "the visit goes on");
    // The order is closed, and the protocol has not come.
    world.stand_in.put(ID, json!({ "Status__c": "Closed" }));
    for _ in 0..2 {
        world.round().await.unwrap();
    }
    let ended = world.place.visit().await;
    assert_eq!((ended.state(), ended.end_reason.as_str()), (VisitState::Ended, "the work order is closed"));
    assert_eq!((world.stand_in.written(ID), ended.awaited_protocols.len()), (0, 1));
    world.place.give_protocol(&visit, 1).await;
    // It is written, and the answer is lost on its way.
    world.stand_in.instead("PATCH", 0, "");
    let failed = world.round().await;
    assert!(matches!(failed, Err(Error::Unreached { .. })), "{failed:?}");
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    assert_eq!(world.stand_in.written(ID), 1);
    let report = world.stand_in.report(ID);
    for part in [
        &visit.id,
        "by eva",
        "released by site/t/sina",
        "left, calibration 2, login 1",
        "the work order is closed",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    // It was written, and the adapter crashed before it noted so.
    world.set_back(|job| job["report"]["delivery"] = json!("begun"));
    world.round().await.unwrap();
    assert_eq!(
        (world.stand_in.written(ID), world.record()["jobs"][0]["report"]["delivery"].as_str()),
        (1, Some("done"))
    );
    // Writing changed the order, which was read again: it makes no second visit.
    assert_eq!(world.place.visits().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_canceled_deleted_or_changed_ends_its_visit() {
    let world = World::new().await;
    let states = async || {
        let visits = world.place.visits().await;
        visits.iter().map(|visit| (visit.state(), visit.end_reason.clone())).collect::<Vec<_>>()
    };
    let open = || (VisitState::Requested, String::new());
    let ended = |reason: &str| (VisitState::Ended, reason.to_owned());
    world.stand_in.dispatch(ID, "WO-1");
    world.round().await.unwrap();
    world.place.clock.pass(1);
    // Saved again without a change that matters.
    world.stand_in.put(ID, json!({ "Status__c": "In Progress", "Other__c": 1 }));
    world.round().await.unwrap();
    assert_eq!(states().await, [open()]);
    world.stand_in.put(ID, json!({ "Ends__c": salesforce_time(now() + 7_200) }));
    world.round().await.unwrap();
    assert_eq!(states().await, [ended("the work order was changed"), open()]);
    world.place.clock.pass(1);
    world.stand_in.put(ID, json!({ "Status__c": "Canceled" }));
    world.round().await.unwrap();
    assert_eq!(states().await[1], ended("the work order is canceled"));
    world.stand_in.put(ID, json!({ "Status__c": "Dispatched" }));
    world.round().await.unwrap();
    world.place.clock.pass(1);
    assert_eq!(states().await[2], open());
    world.stand_in.put(ID, json!({ "IsDeleted": true }));
    world.round().await.unwrap();
    assert_eq!(states().await[2], ended("the work order is canceled"));
    world.round().await.unwrap();
    assert_eq!((states().await.len(), world.stand_in.written(ID)), (3, 0), "nobody came, and nobody is to");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_makes_no_visit_says_so_once_and_lets_nobody_in() {
    let world = World::new().await;
    let past = (salesforce_time(now() - 7_200), salesforce_time(now() - 3_600));
    for (number, fields, code) in [
        ("1", json!({ "Device__r": null }), "order-incomplete"),
        ("2", json!({ "Technician__r": { "Name": "Mallory" } }), "technician-unknown"),
        ("3", json!({ "Name": "WO; reboot" }), "order-malformed"),
        ("4", json!({ "Device__r": { "Serial__c": "pump-9" } }), "device-unknown"),
        ("5", json!({ "Starts__c": past.0, "Ends__c": past.1 }), "visit-window-past"),
        ("6", json!({ "Ends__c": salesforce_time(now() + 40 * 86_400) }), "visit-window-bounds"),
        ("7", json!({ "Scope__c": "everything" }), "service-scope-unknown"),
    ] {
        let id = format!("a0B00000000000{number}AAA");
        world.stand_in.dispatch(&id, number);
        world.stand_in.put(&id, fields);
        for _ in 0..2 {
            world.round().await.unwrap();
        }
        let report = world.stand_in.report(&id);
        assert!(report.contains(&format!("no visit was made: {code}: ")), "{code}: {report}");
        assert_eq!(world.stand_in.written(&id), 1, "{code}");
    }
    assert_eq!(world.place.visits().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_read_and_what_another_person_decides_stays() {
    let world = World::new().await;
    for at in 0..5_u64 {
        let id = format!("a0B00000000000{at}AAA");
        world.stand_in.dispatch(&id, &format!("WO-{at}"));
        let (from, until) = (now() + 10_000 * at + 60, now() + 10_000 * at + 3_660);
        world
            .stand_in
            .put(&id, json!({ "Starts__c": salesforce_time(from), "Ends__c": salesforce_time(until) }));
    }
    world.round().await.unwrap();
    let visits = world.place.visits().await;
    let pages =
        |start: &str| world.stand_in.lock().calls.iter().filter(|call| call.starts_with(start)).count();
    assert_eq!((visits.len(), pages("GET /services/data/v62.0/query/")), (5, 2));
    assert!(visits.iter().all(|visit| visit.state() == VisitState::Requested), "the adapter releases none");
    // The hospital sends the technician away: the order says so, and makes no other visit.
    let end = wardein_client::v1::EndVisitRequest {
        tenant: String::new(),
        id: visits[0].id.clone(),
        reason: "the ward is closed".into(),
    };
    world.place.site.operator().end_visit(end).await.unwrap();
    for _ in 0..3 {
        world.round().await.unwrap();
    }
    let reports = (0..5).map(|at| world.stand_in.report(&format!("a0B00000000000{at}AAA")));
    let reports: Vec<_> = reports.filter(|report| !report.is_empty()).collect();
    assert!(
        reports.len() == 1
            && reports[0].contains("ended by site/t/sina: the ward is closed\nNobody was let in."),
        "{reports:?}"
    );
    assert_eq!(world.place.visits().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_is_replaced_and_no_failure_loses_an_order() {
    let world = World::new().await;
    let desk = Desk::open(config(&world.place, &world.stand_in, FIELD)).await.unwrap();
    desk.round().await.unwrap();
    assert_eq!(world.stand_in.lock().logins, 1);
    world.stand_in.end_sessions();
    world.stand_in.dispatch(ID, "WO-1");
    let busy = r#"[{"message":"Server unavailable","errorCode":"SERVER_UNAVAILABLE"}]"#;
    world.stand_in.instead("GET", 503, busy);
    let failed = desk.round().await.unwrap_err().to_string();
    assert!(failed.contains("503: SERVER_UNAVAILABLE: Server unavailable"), "{failed}");
    desk.round().await.unwrap();
    let logins = world.stand_in.lock().logins;
    assert_eq!((logins, world.place.visits().await.len()), (2, 1));
    desk.round().await.unwrap();
    assert_eq!(world.stand_in.lock().logins, 2);
    // More than is read, a page that leads nowhere, and what is no page.
    world.stand_in.instead("GET", 200, format!("\"{}\"", "x".repeat(8 << 20)));
    assert!(desk.round().await.unwrap_err().to_string().contains("with more than 8388608 bytes"));
    for page in [
        r#"{"done":false,"records":[]}"#,
        r#"{"done":false,"records":[],"nextRecordsUrl":"https://other/x"}"#,
        "[]",
    ] {
        world.stand_in.instead("GET", 200, page);
        assert!(matches!(desk.round().await, Err(Error::Answered { status: 200, .. })), "{page}");
    }
    // An order that is locked is written to later; the round goes on.
    world.stand_in.put(ID, json!({ "Status__c": "Closed" }));
    world.stand_in.instead("PATCH", 400, r#"[{"message":"locked","errorCode":"UNABLE_TO_LOCK_ROW"}]"#);
    desk.round().await.unwrap();
    assert_eq!(
        (world.record()["jobs"][0]["report"]["failures"].as_u64(), world.stand_in.report(ID)),
        (Some(1), String::new())
    );
    drop(desk);
    world.set_back(|job| job["report"]["next"] = json!(0));
    world.round().await.unwrap();
    assert!(world.stand_in.report(ID).contains("it was never released"), "{}", world.stand_in.report(ID));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_refused_by_name_and_nothing_that_is_secret_is_said() {
    let world = World::new().await;
    for body in [
        r#"{"access_token":"s3cr3t"}"#,
        r#"{"access_token":"s3cr3t\n","instance_url":"https://localhost"}"#,
        r#"{"access_token":"s3cr3t","instance_url":"http://localhost"}"#,
        r#"{"access_token":"s3cr3t","instance_url":"https://localhost/path"}"#,
    ] {
        world.stand_in.instead("POST /services/oauth2/token", 200, body);
        let refused = world.round().await.unwrap_err();
        assert!(matches!(refused, Error::Login { status: 200, .. }), "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("s3cr3t"), "{refused}");
    }
    // Another key than the app's; and a server whose certificate is of another CA.
    world.place.write("salesforce.key", other_key().expose());
    let refused = world.round().await.unwrap_err().to_string();
    assert!(refused.contains("400: invalid_grant: invalid assertion"), "{refused}");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    world.place.write("ca.pem", other.cert.pem().as_bytes());
    let refused = world.round().await.unwrap_err().to_string();
    assert!(refused.contains("TLS failed"), "{refused}");
    assert_eq!(world.stand_in.lock().logins, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_as_a_note_is_one_record_however_often_it_is_written() {
    let world = World::new().await;
    let note = "[salesforce.note]\nobject = \"Note__c\"\nkey = \"Key__c\"\norder = \"Order__c\"\ntext = \"Text__c\"\n";
    let round = async || Desk::open(config(&world.place, &world.stand_in, note)).await.unwrap().round().await;
    world.stand_in.dispatch(ID, "WO-1");
    world.stand_in.put(ID, json!({ "Device__r": null }));
    world.stand_in.instead("PATCH", 0, "");
    assert!(round().await.is_err());
    for _ in 0..2 {
        round().await.unwrap();
    }
    let known = world.stand_in.lock();
    let (key, written) = known.notes.first_key_value().unwrap();
    assert_eq!((known.notes.len(), key.len(), written["Order__c"].as_str()), (1, 12, Some(ID)));
    assert!(written["Text__c"].as_str().unwrap().contains("order-incomplete"), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_do_not_share_a_state() {
    let world = World::new().await;
    let first = Desk::open(config(&world.place, &world.stand_in, FIELD)).await.unwrap();
    assert!(matches!(Desk::open(config(&world.place, &world.stand_in, FIELD)).await, Err(Error::Locked(_))));
    drop(first);
    world.round().await.unwrap();
}

/// A client library of others, which deploy/workorders.sh installs, makes its own calls of the stand-in.
#[tokio::test(flavor = "multi_thread")]
async fn a_clients_library_of_others_is_answered() {
    let Some(script) = std::env::var_os("WARDEIN_SALESFORCE_CLIENT") else { return };
    let world = World::new().await;
    for at in 1..=5 {
        world.stand_in.dispatch(&format!("a0B00000000000{at}AAA"), &format!("WO-{at}"));
    }
    let python = std::env::var_os("WARDEIN_PYTHON").unwrap_or_else(|| "python3".into());
    let port = world.stand_in.address.port().to_string();
    let (key, ca) = (world.place.path("salesforce.key"), world.place.path("ca.pem"));
    let done = tokio::process::Command::new(python)
        .arg(script)
        .args([&port, CLIENT, USER])
        .args([key, ca])
        .output()
        .await;
    let done = done.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    println!("{said}");
    assert_eq!(world.stand_in.report("a0B000000000001AAA"), "written by simple-salesforce");
}

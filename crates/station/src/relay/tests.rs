use super::*;
use crate::testing::{
    DONE, PATIENCE, Scripted, activation, evidence, name, proof, runtime, said, says_confirmation,
    says_request,
};
use wardein_device::Authority as _;

/// All that comes of a line on which `said` is said; with what the authority was asked, what was answered, and how much was noise.
fn relayed(said: &[u8]) -> (Vec<Relayed>, Vec<String>, Vec<String>, u64) {
    let (mut authority, mut answers) = (Scripted::default(), Vec::new());
    let mut relay = Relay::new(said, &mut answers, Deadline::default(), PATIENCE);
    let mut ends = Vec::new();
    runtime().block_on(async {
        while let Some(relayed) = relay.next(&mut authority).await.unwrap() {
            ends.push(relayed);
        }
    });
    let noise = relay.noise();
    let answers = String::from_utf8(answers).unwrap();
    (ends, authority.asked(), answers.lines().map(str::to_owned).collect(), noise)
}

fn ends(said: &str) -> Vec<(Option<String>, String)> {
    let (ends, ..) = relayed(said.as_bytes());
    let ends = ends.into_iter().map(|Relayed { device, end, note }| {
        let end = match end {
            End::Done { is_confirmed, .. } => format!("done {is_confirmed}"),
            End::Signs { assurance } => assurance.to_string(),
            End::Failed { code, .. } => code,
        };
        let note = if note.is_empty() { "" } else { ", noted" };
        (device.map(|name| name.device.to_string()), format!("{end}{note}"))
    });
    ends.collect()
}

#[test]
fn noise_before_between_and_within_lines_is_skipped_and_nobody_answers_it() {
    let noise: Vec<Vec<u8>> = vec![
        b"\r\n\r\nU-Boot 2024.01 (Jan 08 2024)\r\n".to_vec(),
        b"Hit any key to stop autoboot:  3 \x08\x08\x08 2\r\n".to_vec(),
        b"\x1b[2J\0\0\xff\xfe\n".to_vec(),
        b"{\"ts\":1,\"msg\":\"boot\"}\n[1,2]\n7\n\"type\"\n{}\n".to_vec(),
        // Cut off in mid-message.
        b"{\"type\":\"request\",\"version\":1,\"ten\r\n".to_vec(),
        b"{\"type\":7}\n".to_vec(),
        [b"{".repeat(20_000), b"\n".to_vec()].concat(),
        [b"x".repeat(700 << 10), b"\n".to_vec()].concat(),
    ];
    let noise = noise.concat();
    let before = b"pump login: {\"type\":\"re".to_vec();
    let line = [
        noise.clone(),
        before,
        says_request("p-1").into_bytes(),
        noise.clone(),
        says_confirmation("p-1").into_bytes(),
        noise,
        DONE.as_bytes().to_vec(),
    ];
    let (ends, asked, answers, skipped) = relayed(&line.concat());
    assert_eq!(asked, ["enroll p-1", "confirm p-1"]);
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0].end, End::Done { generation: 1, is_confirmed: true });
    assert_eq!(answers.len(), 2, "a boot loader takes an answer for a key that was pressed: {answers:?}");
    assert!(skipped > 3 * (640 << 10), "{skipped}");
    let (ends, _, answers, _) = relayed(b"U-Boot\n{\"ts\":1}\n");
    assert!(ends.is_empty() && answers.is_empty());
}

#[test]
fn a_message_that_is_one_and_not_understood_is_answered_and_told() {
    let long = format!("{{\"type\":\"request\",\"version\":1,\"x\":\"{}\"}}", "y".repeat(700 << 10));
    for odd in
        ["{\"type\":\"hello\"}", "{\"type\":\"request\"}", " {\"type\": \"request\", \"version\": 2}", &long]
    {
        let line = format!("{odd}\n{}{}{DONE}", says_request("p-1"), says_confirmation("p-1"));
        let (ends, _, answers, _) = relayed(line.as_bytes());
        assert!(matches!(&ends[0].end, End::Failed { code, .. } if code == "malformed"), "{ends:?}");
        assert_eq!((ends.len(), answers.len()), (2, 3), "{odd:.40}");
        assert!(answers[0].contains("\"malformed\"") && answers[0].len() < 1000);
    }
}

#[test]
fn a_device_is_enrolled_where_the_authority_says_so_and_nowhere_else() {
    let (asks, confirms) = (says_request("p-1"), says_confirmation("p-1"));
    let unconfirmed = "{\"type\":\"done\",\"generation\":1,\"confirmed\":false}\n";
    let signs = "{\"type\":\"signs\",\"assurance\":\"tpm-vendor\"}\n";
    let failed = "{\"type\":\"error\",\"message\":\"flash\"}\n";
    let one = |end: &str| vec![(Some("p-1".to_owned()), end.to_owned())];
    let nobody = vec![(None, "malformed".to_owned())];
    assert_eq!(ends(DONE), nobody);
    assert_eq!(ends(unconfirmed), nobody);
    assert_eq!(ends(signs), nobody);
    assert_eq!(ends(&format!("{asks}{DONE}")), one("malformed"));
    assert_eq!(ends(&format!("{asks}{signs}")), one("malformed"));
    assert_eq!(ends(&format!("{asks}{unconfirmed}")), one("done false"));
    assert_eq!(ends(&format!("{asks}{confirms}{DONE}")), one("done true"));
    assert_eq!(ends(&format!("{confirms}{unconfirmed}")), one("done true"));
    // It went, or failed, when the authority had it: it is enrolled, and what it said is told.
    assert_eq!(ends(&format!("{asks}{confirms}")), one("done true, noted"));
    assert_eq!(ends(&format!("{asks}{confirms}{failed}")), one("done true, noted"));
    assert_eq!(ends(&format!("{asks}{failed}")), one("device-failed"));
    // A second one is no further than itself.
    let two = format!("{asks}{confirms}{DONE}{}{DONE}", says_request("p-2"));
    assert_eq!(ends(&two)[1], (Some("p-2".to_owned()), "malformed".to_owned()));

    let begins = said(async |station| drop(station.begin(&name("p-1"), &evidence()).await));
    let finishes = said(async |station| drop(station.finish(&activation("p-1")).await));
    assert_eq!(ends(&format!("{begins}{signs}")), one("malformed"));
    assert_eq!(ends(&format!("{begins}{finishes}{signs}")), one("tpm-vendor"));
    assert_eq!(ends(&format!("{begins}{finishes}")), one("tpm-vendor, noted"));
}

#[test]
fn a_device_proves_itself_over_the_line_and_is_enrolled_where_the_authority_takes_its_proof() {
    let asks = said(async |station| drop(station.challenge(&name("p-1")).await));
    let proves = said(async |station| drop(station.prove(&proof("p-1"), b"p256").await));
    let (begins, confirms) = (says_request("p-1"), says_confirmation("p-1"));
    let line = [begins.as_str(), &confirms, &asks, &proves, DONE].concat();
    let (told, asked, answers, _) = relayed(line.as_bytes());
    assert_eq!(asked, ["enroll p-1", "confirm p-1", "challenge p-1", "prove p-1"]);
    assert_eq!(told[0].end, End::Done { generation: 1, is_confirmed: true });
    assert!(answers[2].starts_with("{\"type\":\"challenge\",\"answer\":\""), "{}", answers[2]);
    assert!(answers[3].starts_with("{\"type\":\"proof\",\"answer\":\""), "{}", answers[3]);
    let one = |end: &str| vec![(Some("p-1".to_owned()), end.to_owned())];
    // One that came back for its key, whose confirmation the authority does not need any more.
    let (mut authority, mut answers) = (Scripted::default(), Vec::new());
    runtime().block_on(async {
        Station::confirm(&mut authority, &crate::testing::confirmation("p-1")).await.unwrap();
        let line = [asks.as_str(), &proves, DONE].concat();
        let mut relay = Relay::new(line.as_bytes(), &mut answers, Deadline::default(), PATIENCE);
        let told = relay.next(&mut authority).await.unwrap().unwrap();
        assert_eq!(told.end, End::Done { generation: 1, is_confirmed: true });
    });
    // A refused proof makes nobody enrolled, whatever the device says; nor does a challenge, which anybody gets.
    assert_eq!(ends(&format!("{asks}{proves}{DONE}")), one("mac-wrong"));
    assert_eq!(ends(&format!("{asks}{DONE}")), one("malformed"));
    assert_eq!(ends(&format!("{asks}{proves}")), one("mac-wrong"));
    // Another device's proof is the end of the one that speaks.
    let other = said(async |station| drop(station.prove(&proof("p-2"), b"p256").await));
    assert_eq!(ends(&format!("{begins}{other}"))[0], (Some("p-1".to_owned()), "device-gone".to_owned()));
    for odd in [
        "{\"type\":\"proof\",\"version\":1,\"ask\":\"00\"}",
        "{\"type\":\"proof\",\"version\":2,\"ask\":\"\"}",
    ] {
        assert_eq!(ends(&format!("{odd}\n")), [(None, "malformed".to_owned())]);
    }
}

#[test]
fn a_device_that_gives_way_to_another_is_told_of() {
    let two =
        [says_request("p-1"), says_confirmation("p-1"), says_request("p-2"), says_request("p-3")].concat();
    let ends = ends(&two);
    let of = |id: &str, end: &str| (Some(id.to_owned()), end.to_owned());
    assert_eq!(ends, [of("p-1", "done true, noted"), of("p-2", "device-gone"), of("p-3", "device-gone")]);
}

use super::*;
use wardein_crypto::Secret;

const ENTRY: &str = "12:00 ERROR E17 patient=4711 Erika Mustermann, occlusion";
const PATTERN: &str = r"^(?<time>\S+) (?<level>\w+) (?<code>E\d+) patient=(?<patient>\S+) (?<text>.*)$";

fn keep(field: &str, how: How) -> Keep {
    Keep { field: field.to_owned(), how }
}

fn when(field: &str, pattern: &str) -> Condition {
    Condition { field: field.to_owned(), pattern: Regex::new(pattern).unwrap() }
}

fn rule(audience: &str, keep: Vec<Keep>) -> Rule {
    let audience = audience.parse().unwrap();
    Rule { audience, keep, only: Vec::new(), drop: Vec::new(), patient_data: false }
}

fn filter(rules: Vec<Rule>) -> Filter {
    let key = Arc::new(PseudonymKey::new(Secret::copied_from(&[7; 32])));
    Filter::new("app".parse().unwrap(), Parse::Regex(Regex::new(PATTERN).unwrap()), rules, Some(key))
}

fn outcome(rule: Rule, entry: &str) -> Outcome {
    filter(vec![rule]).judge(entry).verdicts.remove(0).outcome
}

fn record(rule: Rule) -> String {
    match outcome(rule, ENTRY) {
        Outcome::Leaves { record, .. } => record,
        Outcome::Withheld(why) => panic!("{why}"),
    }
}

#[test]
fn nothing_leaves_by_default() {
    assert_eq!(filter(Vec::new()).judge(ENTRY), Judged { not_parsed: None, verdicts: Vec::new() });
    assert_eq!(outcome(rule("maker", Vec::new()), ENTRY), Outcome::Withheld(Why::NothingKept));
    let none = rule("maker", vec![keep("serial", How::Plain)]);
    assert_eq!(outcome(none, ENTRY), Outcome::Withheld(Why::NoField));
    let kept = rule("maker", vec![keep("time", How::Plain)]);
    assert_eq!(outcome(kept, "Erika Mustermann"), Outcome::Withheld(Why::NotParsed(NotParsed::NoMatch)));
}

#[test]
fn a_record_has_what_is_kept_and_nothing_of_the_rest() {
    let technical = record(rule("maker", vec![keep("code", How::Plain), keep("level", How::Plain)]));
    assert_eq!(technical, r#"{"source":"app","fields":{"code":"E17","level":"ERROR"}}"#);
    for marker in ["4711", "Erika", "Mustermann", "patient"] {
        assert!(!technical.contains(marker), "{marker}");
    }
}

#[test]
fn what_is_masked_or_a_pseudonym_does_not_show_its_value() {
    let masked = record(rule("maker", vec![keep("text", How::Mask), keep("level", How::Mask)]));
    assert_eq!(masked, r#"{"source":"app","fields":{"text":"********","level":"*****"}}"#);
    let pseudonym = record(rule("maker", vec![keep("patient", How::Pseudonym)]));
    assert_eq!(pseudonym, r#"{"source":"app","fields":{"patient":"p1-8b5f8982ca2f219b0e80559e72f4e7ca"}}"#);
    // Without the key, a field that is to be a pseudonym is not there; it is never in the clear.
    let keyless = Filter { key: None, ..filter(vec![rule("maker", vec![keep("patient", How::Pseudonym)])]) };
    assert_eq!(keyless.judge(ENTRY).verdicts[0].outcome, Outcome::Withheld(Why::NoField));
}

#[test]
fn conditions_hold_entries_back() {
    let with = |only: Vec<Condition>, drop: Vec<Condition>| {
        let rule = Rule { only, drop, ..rule("maker", vec![keep("code", How::Plain)]) };
        match outcome(rule, ENTRY) {
            Outcome::Leaves { .. } => None,
            Outcome::Withheld(why) => Some(why),
        }
    };
    assert_eq!(with(vec![when("level", "ERROR|WARN")], vec![when("text", "^self-test")]), None);
    assert_eq!(
        with(vec![when("level", "ERROR"), when("code", "E9")], vec![]),
        Some(Why::Only("code".into()))
    );
    assert_eq!(
        with(vec![when("serial", "")], vec![]),
        Some(Why::Only("serial".into())),
        "a field that is not there"
    );
    assert_eq!(with(vec![], vec![when("text", "Erika")]), Some(Why::Dropped("text".into())));
}

#[test]
fn one_entry_is_another_record_for_another_audience() {
    let everything =
        ["time", "level", "code", "patient", "text"].map(|field| keep(field, How::Plain)).to_vec();
    let hospital = Rule { patient_data: true, ..rule("hospital", everything.clone()) };
    let judged =
        filter(vec![rule("maker", vec![keep("code", How::Plain)]), hospital, rule("third", everything)])
            .judge(ENTRY);
    let likes: Vec<usize> = judged
        .verdicts
        .iter()
        .map(|verdict| match &verdict.outcome {
            Outcome::Leaves { record, looks_like } => {
                assert_eq!(record.contains("Erika"), verdict.audience.as_str() != "maker");
                looks_like.len()
            }
            Outcome::Withheld(why) => panic!("{why}"),
        })
        .collect();
    assert_eq!(likes, [0, 0, 1], "the field patient, and nobody is warned of the hospital's own");
}

#[test]
fn a_record_is_bounded_and_one_line() {
    let line = |entry: &str| {
        let rules = vec![rule("hospital", vec![keep("line", How::Plain)])];
        Filter::new("app".parse().unwrap(), Parse::None, rules, None).judge(entry).verdicts.remove(0).outcome
    };
    let frame = r#"{"source":"app","fields":{"line":""}}"#.len();
    let fits = "x".repeat(Outgoing::MAX_RECORD - frame);
    assert!(matches!(line(&fits), Outcome::Leaves { record, .. } if record.len() == Outgoing::MAX_RECORD));
    assert_eq!(line(&format!("{fits}x")), Outcome::Withheld(Why::TooLong));
    // What JSON escapes counts as it is written.
    assert_eq!(line(&"\u{1}".repeat(20_000)), Outcome::Withheld(Why::TooLong));
    let Outcome::Leaves { record, .. } = line("a\nb\u{2028}\"}\r") else { panic!() };
    assert!(!record.contains(['\n', '\r']));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&record).unwrap()["fields"]["line"],
        "a\nb\u{2028}\"}\r"
    );
}

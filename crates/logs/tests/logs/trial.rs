//! What `logs test` shows, and that it is what leaves.

use std::fs;
use std::path::Path;
use wardein_logs::{LogsConfig, Outcome, Part, Sources, Trial, TrialError, Tried, WarningKind};

const LOG: &str = "2026-11-30 12:00:00 INFO E1 patient=4711 started by Erika Mustermann\n\
                   2026-11-30 12:00:01 ERROR E17 patient=4711 occlusion\n  at the line of Erika Mustermann\n\
                   2026-11-30 12:00:02 ERROR E18 no patient here, mrn: 4712\n\
                   2026-11-30 12:00:03 WARN E2 patient=- battery\n";
const MARKERS: [&str; 5] = ["4711", "4712", "Erika", "Mustermann", "battery"];

/// The configuration of the example, with its files in `directory`.
fn config(directory: &Path) -> LogsConfig {
    let key = directory.join("pseudonym.key");
    fs::write(&key, "07".repeat(32)).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = include_str!("../../src/config/example.toml")
        .replace("/etc/wardein-device/pseudonym.key", key.to_str().unwrap())
        .replace("/var/log/pump/app.log", directory.join("app.log").to_str().unwrap())
        .replace("/var/log/pump/service", directory.join("service").to_str().unwrap())
        .replace("/run/wardein/log", directory.join("socket").to_str().unwrap());
    LogsConfig::parse(&text).unwrap()
}

fn tried(config: &LogsConfig, source: &str, log: &[u8]) -> Vec<Tried> {
    let trial = Trial::new(config, Some(&source.parse().unwrap()), Path::new("/x")).unwrap();
    let mut tried = Vec::new();
    let counts = trial.run(log, &mut |part| {
        tried.push(part);
        Ok(())
    });
    assert_eq!(
        counts.unwrap().read as usize,
        tried.iter().filter(|tried| matches!(tried.part, Part::Entry { .. })).count()
    );
    tried
}

/// Nothing that marks a patient is in what the maker gets, and the hospital gets pseudonyms.
#[test]
fn patients_are_not_in_the_makers_records() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("app.log"), LOG).unwrap();
    let mut sources = Sources::open(&config(directory.path()), Default::default()).unwrap();
    let begun = std::time::Instant::now();
    let mut polled = sources.poll_at(begun, 1 << 20);
    let later = sources.poll_at(begun + std::time::Duration::from_secs(60), 1 << 20);
    polled.outgoing.extend(later.outgoing);
    polled.counts.add(&later.counts);
    let of = |audience: &str| -> Vec<String> {
        polled
            .outgoing
            .iter()
            .filter(|out| out.audience.as_str() == audience)
            .map(|out| out.record.clone())
            .collect()
    };
    let maker = of("maker");
    assert_eq!(
        maker,
        [
            r#"{"source":"app","fields":{"time":"2026-11-30 12:00:01","level":"ERROR","code":"E17"}}"#,
            r#"{"source":"app","fields":{"time":"2026-11-30 12:00:03","level":"WARN","code":"E2"}}"#,
        ]
    );
    let hospital = of("hospital");
    assert_eq!(hospital.len(), 3, "the line that does not parse leaves for nobody");
    for marker in MARKERS {
        assert!(!maker.concat().contains(marker) && !hospital.concat().contains(marker), "{marker}");
    }
    assert!(hospital[0].contains("p1-8b5f8982ca2f219b0e80559e72f4e7ca") && hospital[0].contains("********"));
    assert_eq!((polled.counts.read, polled.counts.for_nobody), (4, 1));
    let maker = "maker".parse().unwrap();
    assert_eq!((polled.counts.left[&maker], polled.counts.withheld[&maker]), (2, 2));
}

#[test]
fn a_trial_shows_what_leaves_and_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let parts = tried(&config, "app", LOG.as_bytes());
    let lines: Vec<u64> = parts.iter().map(|tried| tried.line).collect();
    assert_eq!(lines, [1, 2, 4, 5]);
    let outcome = |entry: usize, verdict: usize| match &parts[entry].part {
        Part::Entry { judged, .. } => match &judged.verdicts[verdict].outcome {
            Outcome::Leaves { record, .. } => record.clone(),
            Outcome::Withheld(why) => why.to_string(),
        },
        Part::TooLong { .. } => panic!(),
    };
    assert_eq!(outcome(0, 0), "level does not match `only`");
    assert!(outcome(1, 0).contains("E17"));
    assert_eq!(outcome(2, 0), "it does not match `pattern`");
    assert_eq!(outcome(2, 1), "it does not match `pattern`");
}

#[test]
fn a_trial_is_bounded_and_says_what_is_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let mut log = b"{\"event\":\"one\"}\n".to_vec();
    log.extend(vec![b'x'; 1 << 20]);
    log.extend(b"\n{\"event\":\"two\"}\n");
    log.extend(vec![b'y'; 1 << 20]);
    let parts = tried(&config, "service", &log);
    let long: Vec<u64> = parts
        .iter()
        .filter_map(|tried| match tried.part {
            Part::TooLong { bytes } => Some(bytes),
            Part::Entry { .. } => None,
        })
        .collect();
    assert_eq!((parts.len(), long), (4, vec![(1 << 20) + 1, 1 << 20]));
    assert_eq!(parts.iter().map(|tried| tried.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(tried(&config, "service", b"").is_empty());
}

#[test]
fn a_trial_finds_the_source_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let of = |path: &str| {
        Trial::new(&config, None, &directory.path().join(path)).map(|trial| trial.source().name.to_string())
    };
    assert_eq!(of("app.log").unwrap(), "app");
    assert_eq!(of("service/1.log").unwrap(), "service");
    assert!(matches!(of("other.log"), Err(TrialError::Which(there)) if there == "app, service, system"));
    let none = "none".parse().unwrap();
    assert!(matches!(Trial::new(&config, Some(&none), Path::new("/x")), Err(TrialError::NoSource { .. })));
}

/// Without its key, a rule with pseudonyms opens nothing: values do not leave in the clear for want of it.
#[test]
fn without_the_key_nothing_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    fs::remove_file(directory.path().join("pseudonym.key")).unwrap();
    assert!(Sources::open(&config, Default::default()).is_err());
    assert!(Trial::new(&config, None, &directory.path().join("app.log")).is_err());
}

#[test]
fn an_agent_warns_of_what_looks_like_patient_data_without_its_value() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    fs::create_dir(directory.path().join("service")).unwrap();
    let line = "{\"event\":\"patient: Erika Mustermann\",\"at\":\"12:00\"}\n";
    fs::write(directory.path().join("service/1.log"), line.repeat(3)).unwrap();
    let warnings = Sources::open(&config, Default::default()).unwrap().poll(1 << 20).warnings;
    let found = warnings
        .iter()
        .find(|warning| matches!(warning.what, WarningKind::LooksLikePatientData { .. }))
        .unwrap();
    assert!(
        matches!(&found.what, WarningKind::LooksLikePatientData { field, records: 3, .. } if field == "event")
    );
    assert!(!warnings.iter().any(|warning| warning.to_string().contains("Erika")));
}

use super::*;
use crate::{Fate, Origin};
use std::fs::{read_to_string, write};
use wardein_domain::ErrorCode;

impl Report {
    /// As on a disk that is full, or gone.
    pub(crate) fn that_cannot_be_written(path: &Path) -> Self {
        let report = Self::open(path).unwrap();
        Self { file: File::open(path).unwrap(), ..report }
    }
}

fn outcome(id: &str, fate: Fate, code: &str) -> Outcome {
    Outcome { code: code.to_owned(), ..Outcome::new(Origin::Line("/dev/ttyUSB0".to_owned()), id, fate) }
}

#[test]
fn a_device_is_enrolled_in_one_row_over_all_runs() {
    let place = tempfile::tempdir().unwrap();
    for name in ["r.csv", "r.jsonl"] {
        let path = place.path().join(name);
        for run in 0..2 {
            let mut report = Report::open(&path).unwrap();
            assert_eq!(report.enrolled().len(), 3 * run, "what an earlier run has enrolled");
            for (id, fate) in
                [("p-1", Fate::Enrolled), ("p-2", Fate::AlreadyEnrolled), ("p-3", Fate::Unconfirmed)]
            {
                report.enter(&outcome(id, Fate::Failed, "device-gone")).unwrap();
                report.enter(&outcome(id, fate, "")).unwrap();
                report.enter(&outcome(id, Fate::Enrolled, "")).unwrap();
                report.enter(&outcome(id, Fate::Failed, "device-gone")).unwrap();
            }
            for code in ["quota-exhausted", "quota-exhausted", "unreachable"] {
                report.enter(&outcome("p-4", Fate::Failed, code)).unwrap();
            }
        }
        let text = read_to_string(&path).unwrap();
        assert_eq!(
            text.matches("quota-exhausted").count(),
            2,
            "a device that fails alike is told of once a run"
        );
        assert_eq!(text.matches("device-gone").count(), 3, "{text}");
        assert_eq!(["p-1", "p-2", "p-3"].map(|id| text.matches(id).count()), [2, 2, 2], "{text}");
    }
}

#[test]
fn a_row_has_what_a_label_needs_and_no_formula() {
    let place = tempfile::tempdir().unwrap();
    let (csv, jsonl) = (place.path().join("r.csv"), place.path().join("r.jsonl"));
    let odd = Outcome {
        udi: "+A999123450/$$3271231LOT7/S47115".to_owned(),
        model: "@SUM(A1);=cmd|'/c calc'!A1".to_owned(),
        key_id: "ab".repeat(32),
        time: 1_800_000_000,
        message: "\u{1b}]0;x\u{7}\t=1\n\"two\", \u{202e}lines".to_owned(),
        ..outcome("p-1", Fate::Enrolled, "")
    };
    for path in [&csv, &jsonl] {
        Report::open(path).unwrap().enter(&odd).unwrap();
    }
    let text = read_to_string(&csv).unwrap();
    let key = "ab".repeat(32);
    assert_eq!(
        text,
        format!(
            "id,udi,model,key_id,time,line,result,code,why\n\
             p-1,'+A999123450/$$3271231LOT7/S47115,'@SUM(A1);'=cmd|'/c calc'!A1,{key},2027-01-15T08:00:00Z,/dev/ttyUSB0,enrolled,,\
             \"\u{fffd}]0;x\u{fffd}\u{fffd}=1\u{fffd}\"\"two\"\", \u{fffd}lines\"\n"
        )
    );
    let row: serde_json::Value = serde_json::from_str(&read_to_string(&jsonl).unwrap()).unwrap();
    assert_eq!(
        (&row["udi"], &row["key_id"], &row["time"]),
        (&odd.udi.clone().into(), &key.into(), &"2027-01-15T08:00:00Z".into())
    );
    assert!(!row["why"].as_str().unwrap().contains(char::is_control));
    assert!(Report::open(&csv).unwrap().enrolled().contains("p-1"));
}

#[test]
fn a_row_that_a_power_cut_tore_is_taken_away_and_its_device_comes_again() {
    let place = tempfile::tempdir().unwrap();
    for name in ["r.csv", "r.jsonl"] {
        let path = place.path().join(name);
        let mut report = Report::open(&path).unwrap();
        report.enter(&outcome("p-1", Fate::Enrolled, "")).unwrap();
        let whole = read_to_string(&path).unwrap();
        report.enter(&outcome("p-2", Fate::Enrolled, "")).unwrap();
        drop(report);
        let all = std::fs::read(&path).unwrap();
        for length in [whole.len() + 1, all.len() - 1] {
            for torn in
                [all[..length].to_vec(), [whole.as_bytes(), &vec![0; length - whole.len()][..]].concat()]
            {
                write(&path, torn).unwrap();
                let mut report = Report::open(&path).unwrap();
                assert_eq!(report.enrolled().iter().collect::<Vec<_>>(), ["p-1"]);
                assert_eq!(read_to_string(&path).unwrap(), whole);
                report.enter(&outcome("p-2", Fate::Enrolled, "")).unwrap();
            }
        }
    }
}

#[test]
fn nothing_but_a_report_is_written_to_and_by_one_run_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let refused = |name: &str, text: &[u8], why: &str| {
        write(path(name), text).unwrap();
        let error = Report::open(&path(name)).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(name), "{error}");
        assert_eq!(std::fs::read(path(name)).unwrap(), text, "it is as it was");
    };
    refused("batch.csv", b"id,model\np-1,x\n", "line 1 is not a row of a report");
    refused("odd.csv", format!("{}\np-1,,,,,,won,,\n", HEADS.join(",")).as_bytes(), "line 2 is not");
    refused("odd.jsonl", b"{\"id\":\"p-1\"}\n", "line 1 is not");
    refused("long.jsonl", &vec![b'x'; 100_000], "line 1 is not");
    refused("report.txt", b"", "neither with .csv nor with .jsonl");
    let mut report = Report::open(&path("r.csv")).unwrap();
    let other = Report::open(&path("r.csv")).unwrap_err().to_string();
    assert!(other.contains("another run writes to it"), "{other}");
    report.enter(&outcome("p-1", Fate::Failed, ErrorCode::DeviceGone.as_str())).unwrap();

    let mut broken = Report::that_cannot_be_written(&path("b.csv"));
    for _ in 0..2 {
        assert!(broken.enter(&outcome("p-1", Fate::Enrolled, "")).is_err());
        assert!(broken.enrolled().is_empty(), "what is not written is not so");
    }
}

#[test]
fn what_has_a_row_has_its_label_and_what_failed_has_none() {
    let place = tempfile::tempdir().unwrap();
    let (path, labels) = (place.path().join("r.csv"), place.path().join("labels"));
    let mut report = Report::open(&path).unwrap().labeling(&labels).unwrap();
    report.enter(&outcome("p-1", Fate::Failed, "device-gone")).unwrap();
    assert!(!labels.join("p-1.svg").exists());
    report.enter(&outcome("p-1", Fate::Enrolled, "")).unwrap();
    assert!(labels.join("p-1.svg").exists());
    let before = read_to_string(&path).unwrap();
    std::fs::remove_dir_all(&labels).unwrap();
    for _ in 0..2 {
        assert!(report.enter(&outcome("p-2", Fate::Enrolled, "")).is_err());
        assert_eq!(read_to_string(&path).unwrap(), before, "no row without its label");
        assert!(!report.enrolled().contains("p-2"));
    }
}

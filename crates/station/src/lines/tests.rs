use super::*;
use crate::testing::{Cable, DONE, PATIENCE, Scripted, confirmation, request, runtime};
use crate::{Batch, Expected, HeadMap, Report};
use rustix::termios::{QueueSelector, tcflush};
use std::future::pending;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use wardein_device::{CallError, Station, Vouched};

mod factory_of_many;

/// A device's place at a line: the cable is there, whatever device is on it.
struct Place<'a> {
    link: &'a Path,
    cable: Cable,
}

impl<'a> Place<'a> {
    fn new(link: &'a Path) -> Self {
        Self { link, cable: Cable::plugged(link) }
    }

    /// As where a USB device is taken away: the line is gone, and another one has its name.
    fn pull(&mut self) {
        self.cable = Cable::plugged(self.link);
    }

    fn write(&self, bytes: &[u8]) {
        // Where nobody reads it, it is lost, as on a real line.
        drop((&self.cable.master).write_all(bytes));
    }

    /// One message and its answer; `Ok` where the device has what it wants. What was answered before it spoke is not for it.
    fn ask(&self, id: &str, is_answered: bool) -> Result<(), CallError> {
        let _ = tcflush(&self.cable.master, QueueSelector::IFlush);
        let (mut station, _) = self.cable.device(Duration::from_millis(600));
        match is_answered {
            true => runtime().block_on(station.confirm(&confirmation(id))),
            false => runtime().block_on(station.enroll(&request(id))).map(drop),
        }
    }

    /// A device that tries until it is enrolled, as its script does: cut off in between, it goes on where it was. Before each
    /// step `happens` what may happen to it, given whether its request was answered.
    fn enroll(&mut self, id: &str, noise: &[u8], mut happens: impl FnMut(&mut Self, bool)) {
        let (mut is_answered, begun, mut heard) = (false, Instant::now(), Instant::now());
        loop {
            assert!(begun.elapsed() < Duration::from_secs(120), "{id} is not enrolled");
            happens(self, is_answered);
            self.write(noise);
            match (self.ask(id, is_answered), is_answered) {
                (Ok(()), true) => break,
                (Ok(()), false) => is_answered = true,
                // The station was not there yet, or is no more; or the answer was to the question before.
                (Err(CallError::Unreachable(_) | CallError::Malformed(_)), _) => {
                    // Where no process has the other end, that is known at once.
                    thread::sleep(Duration::from_millis(20));
                    if heard.elapsed() > Duration::from_secs(5) {
                        // A killed station leaves a pseudo-terminal exclusive, which a serial line is not.
                        self.pull();
                        heard = Instant::now();
                    }
                    continue;
                }
                (Err(other), _) => panic!("{id}: {other:?}"),
            }
            heard = Instant::now();
        }
        self.write(DONE.as_bytes());
    }
}

fn listed(text: &str) -> Batch {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("batch.csv");
    std::fs::write(&path, text).unwrap();
    Batch::read(&path, &HeadMap::default()).unwrap()
}

fn lines(names: &[&Path]) -> Lines {
    let names = names.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    Lines { names, baud: 115_200, patience: PATIENCE }
}

#[test]
fn a_line_is_opened_when_it_is_there_and_again_when_it_is_back() {
    let place = tempfile::tempdir().unwrap();
    let link = place.path().join("tty");
    let authority = Scripted::default();
    let batch = listed(&format!("id,model,udi\np-1,Infuso 3,{UDI}\np-2,Infuso 3,\n"));
    let factory = Factory::for_batch(authority.clone(), None, &batch);
    let (mut states, mut device) = (Vec::new(), None);
    let there = link.clone();
    let work = runtime().block_on(factory.relay(&lines(&[&link]), pending(), |event| {
        let Event::Line(0, status) = event else { return };
        // It is plugged in once the station has seen that it is not there.
        device.get_or_insert_with(|| {
            let link = there.clone();
            thread::spawn(move || {
                let mut place = Place::new(&link);
                place.enroll("p-1", b"U-Boot\r\nlogin: ", |_, _| {});
                let mut is_pulled = false;
                place.enroll("p-2", b"\0\0boot {\"ts\":1}\n", |place, is_answered| {
                    if is_answered && !is_pulled {
                        is_pulled = true;
                        place.pull();
                    }
                });
            })
        });
        if states.last() != Some(&status.state) {
            states.push(status.state.clone());
        }
    }));
    device.unwrap().join().unwrap();
    let work = work.unwrap();
    let enrolled: Vec<_> = work.outcomes.iter().filter(|one| !one.has_failed()).collect();
    let ids: Vec<_> =
        enrolled.iter().map(|one| (one.device_id.as_str(), one.model.as_str(), one.udi.as_str())).collect();
    assert_eq!(ids, [("p-1", "Infuso 3", UDI), ("p-2", "Infuso 3", "")]);
    let failed: Vec<_> =
        work.outcomes.iter().filter(|one| one.has_failed()).map(|one| one.code.as_str()).collect();
    assert_eq!(failed, ["device-gone"], "p-2, as it was pulled out");
    let line = &work.lines[0];
    assert_eq!((line.enrolled, line.failed), (2, 1));
    assert!(line.returned >= 1 && line.noise >= 20, "{line:?}");
    assert!(matches!(&states[0], LineState::Absent { why } if why.contains("No such file")), "{states:?}");
    for state in [LineState::Waiting, LineState::Speaking { device: "p-2".to_owned() }] {
        assert!(states.contains(&state), "{states:?}");
    }
    let json = serde_json::to_value(line).unwrap();
    assert_eq!((&json["state"], &json["enrolled"]), (&"waiting".into(), &2.into()));
}

#[test]
fn who_is_not_expected_is_refused_before_the_authority_hears_of_it() {
    let place = tempfile::tempdir().unwrap();
    let (link, report) = (place.path().join("tty"), place.path().join("report.jsonl"));
    let order = place.path().join("order.txt");
    std::fs::write(&order, "p-1\n").unwrap();
    let expected = Expected::read(&order, &HeadMap::default()).unwrap();
    let authority = Scripted::default();
    let factory = Factory::for_all(authority.clone(), None, Vouched::default())
        .expecting(Some(expected))
        .reporting(Some(Report::open(&report).unwrap()));
    let devices = thread::spawn({
        let link = link.clone();
        move || {
            let mut place = Place::new(&link);
            let mut codes = Vec::new();
            while codes.len() < 2 {
                match place.ask("p-9", codes.len() == 1) {
                    Err(CallError::Refused(refused)) => codes.push(refused.code),
                    // A line echoes until the station has set it up: the device hears itself.
                    Err(CallError::Unreachable(_) | CallError::Malformed(_)) => {}
                    other => panic!("{other:?}"),
                }
                place.write(b"{\"type\":\"error\",\"message\":\"\\u001b]0;x\\u0007=cmd\"}\n");
            }
            place.enroll("p-1", b"", |_, _| {});
            codes
        }
    });
    let work = runtime().block_on(factory.relay(&lines(&[&link]), pending(), |_| {})).unwrap();
    assert_eq!(devices.join().unwrap(), ["device-not-listed", "device-not-listed"]);
    assert!(authority.asked().iter().all(|asked| asked.ends_with(" p-1")), "{:?}", authority.asked());
    assert!(work.outcomes.iter().any(|one| one.device_id == "p-9" && one.code == "device-not-listed"));
    let rows = std::fs::read_to_string(report).unwrap();
    assert_eq!(rows.matches("p-9").count(), 2, "one row, with its id and its reason: {rows}");
    assert_eq!(rows.matches("\"enrolled\"").count(), 1);
}

#[test]
fn no_device_hears_that_it_is_enrolled_where_the_report_cannot_say_so() {
    let place = tempfile::tempdir().unwrap();
    let (link, report) = (place.path().join("tty"), place.path().join("report.csv"));
    let factory = Factory::for_all(Scripted::default(), None, Vouched::default());
    let factory = factory.reporting(Some(Report::that_cannot_be_written(&report)));
    let device = thread::spawn({
        let link = link.clone();
        move || {
            let place = Place::new(&link);
            while place.ask("p-1", false).is_err() {}
            let told = place.ask("p-1", true);
            // What was answered twice is not the answer to this.
            if matches!(told, Err(CallError::Malformed(_))) { place.ask("p-1", true) } else { told }
        }
    });
    let error = runtime().block_on(factory.relay(&lines(&[&link]), pending(), |_| {})).unwrap_err();
    assert!(error.to_string().contains("report.csv"), "{error}");
    let told = device.join().unwrap();
    assert!(matches!(&told, Err(CallError::Unreachable(why)) if why.contains("report.csv")), "{told:?}");
}

#[test]
fn a_line_that_is_none_is_lost_and_said_so() {
    let factory = Factory::for_all(Scripted::default(), None, Vouched::default());
    let work =
        runtime().block_on(factory.relay(&lines(&[Path::new("/dev/null")]), pending(), |_| {})).unwrap();
    assert_eq!((work.outcomes.len(), work.outcomes[0].code.as_str()), (1, "line-lost"));
    assert!(matches!(&work.lines[0].state, LineState::Lost { why } if why.contains("not a serial line")));
}

const UDI: &str = "(01)09506000134352(21)4711";

//! A factory with four lines, whose station is a process that is told to stop and killed in mid-work.
//!
//! `WARDEIN_FACTORY_DEVICES=2000` makes as many devices; 40 without it.

use super::{Place, lines, listed};
use crate::testing::{Scripted, runtime};
use crate::{Factory, Report, told_to_stop};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LINES: usize = 4;
const CHILD: &str = "WARDEIN_FACTORY_CHILD";

#[test]
fn every_device_is_in_the_report_once_whatever_happens_to_cables_and_station() {
    let count = std::env::var("WARDEIN_FACTORY_DEVICES").map_or(40, |count| count.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..count).map(|n| format!("pump-{n:04}")).collect();
    std::fs::write(place.path().join("batch.csv"), format!("id\n{}\n", ids.join("\n"))).unwrap();
    let links: Vec<_> = (0..LINES).map(|line| link(place.path(), line)).collect();

    // Killed four times in all, whenever some more devices are enrolled; told to stop in between.
    let begun = Instant::now();
    let (mut stops, mut kills) = (0, 0);
    thread::scope(|scope| {
        for (line, link) in links.iter().enumerate() {
            let ids = &ids;
            scope.spawn(move || {
                let mut place = Place::new(link);
                let mut chance = Chance(line as u64 + 1);
                for id in ids.iter().skip(line).step_by(LINES) {
                    // One device is taken away, and the next one is put there.
                    thread::sleep(Duration::from_millis(10));
                    let noise = NOISE[chance.of(NOISE.len() as u64) as usize];
                    place.enroll(id, noise, |place, _| {
                        if chance.of(25) == 0 {
                            place.pull();
                        }
                    });
                }
            });
        }
        for part in 1..=4 {
            let mut station = Station::start(place.path());
            station.until_rows(count * part / 6);
            if part % 2 == 1 {
                assert!(station.end(Signal::HUP).success(), "it stops in order");
                stops += 1;
            } else {
                assert!(!station.end(Signal::KILL).success());
                kills += 1;
            }
        }
        assert!(Station::start(place.path()).wait().success(), "it ends by itself when all are enrolled");
    });

    let report = read_to_string(place.path().join("report.csv")).unwrap();
    // The reader fails where a row has not as many cells as the first.
    let rows = csv::Reader::from_reader(report.as_bytes()).into_records().map(Result::unwrap);
    let rows: Vec<_> = rows.filter(|row| &row[6] == "enrolled").collect();
    let reported: BTreeSet<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!((rows.len(), reported.len()), (count, count), "nothing is missing and nothing is there twice");
    assert!(reported.into_iter().eq(ids.clone()));
    let record = read_to_string(place.path().join("authority")).unwrap();
    assert_eq!(record.lines().count(), count);
    println!("{count} devices over {LINES} lines, {stops} stops, {kills} kills: {:?}", begun.elapsed());

    // One more run has nothing to do.
    assert!(Station::start(place.path()).wait().success());
    assert_eq!(read_to_string(place.path().join("report.csv")).unwrap(), report);
}

/// The station's process; as a test it does nothing.
#[test]
fn station() {
    let Some(place) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let batch = listed(&read_to_string(place.join("batch.csv")).unwrap());
    let report = Report::open(&place.join("report.csv")).unwrap();
    let authority = Scripted::in_file(&place.join("authority"));
    let factory = Factory::for_batch(authority, None, &batch).reporting(Some(report));
    let links: Vec<_> = (0..LINES).map(|line| link(&place, line)).collect();
    let lines = lines(&links.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    runtime().block_on(factory.relay(&lines, told_to_stop(), |_| {})).unwrap();
}

fn link(place: &Path, line: usize) -> PathBuf {
    place.join(format!("tty{line}"))
}

struct Station {
    child: Child,
    report: PathBuf,
}

impl Station {
    fn start(place: &Path) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut station = Command::new(this);
        station.args(["--exact", "lines::tests::factory_of_many::station", "--nocapture"]).env(CHILD, place);
        let child = station.stdout(Stdio::null()).spawn().unwrap();
        Self { child, report: place.join("report.csv") }
    }

    fn until_rows(&mut self, rows: usize) {
        while read_to_string(&self.report).unwrap_or_default().matches(",enrolled,").count() < rows {
            assert!(self.child.try_wait().unwrap().is_none(), "the station ended by itself");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // It has ended where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The same at each run.
struct Chance(u64);

impl Chance {
    fn of(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX; its high bits are good enough for cables.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const NOISE: [&[u8]; 5] = [
    b"",
    b"\r\n\r\nU-Boot 2024.01\r\nHit any key to stop autoboot:  3\r\n",
    b"pump login: ",
    b"\0\0\xff\x1b[2J{\"ts\":1,\"msg\":\"boot\"}\n",
    b"{\"type\":\"request\",\"version\":1,\"ten\r\n[    0.0] Linux version 6.6\r\n",
];

//! From sources into the spool, and out of it: exactly once in whatever is cut short, at least once to the target.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wardein_crypto::{Digest, hex};
use wardein_logs::LogsConfig;
use wardein_logs::agent::{AgentError, Intake, Now, Outbox, Sealer, Sealing, Sent, Step};
use wardein_logs::batch::{self, Batch, FilterVersion};
use wardein_logs::deliver::{
    Answer, Connection, Content, DirectoryTarget, Parcel, PutTarget, Request, Target, Transport, Undelivered,
};
use wardein_logs::spool::{BatchName, Held, Spool, SpoolError};

/// Nothing here waits for anybody.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

/// Where a sealing is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Before the files have their numbers.
    Before,
    /// Once so many of them have their names.
    Placed(usize),
    /// Once all of them have, and the disk takes no state any more.
    StateFails,
}

/// What a device has on its disk of the last sealing.
type Noted = Rc<RefCell<Vec<(PathBuf, Vec<u8>)>>>;

/// Seals as a device does: the files are noted together, then each takes its name.
struct Device {
    noted: Noted,
    cut: Rc<Cell<Option<Cut>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("power cut")]
struct PowerCut;

fn place(path: &Path, sealed: &[u8]) {
    fs::write(path.with_extension("age.sig"), b"statement").unwrap();
    fs::write(path, sealed).unwrap();
}

impl Sealer for Device {
    type Error = PowerCut;

    async fn seal(&mut self, batches: &[Sealing<'_>]) -> Result<(), PowerCut> {
        let cut = self.cut.take();
        for Sealing { path, .. } in batches {
            assert!(!path.exists(), "{} has another batch", path.display());
            fs::write(path.with_extension("age.part"), b"half").unwrap();
        }
        if cut == Some(Cut::Before) {
            return Err(PowerCut);
        }
        let noted = batches.iter().map(|batch| {
            let mut plaintext = Vec::new();
            batch.plaintext().unwrap().read_to_end(&mut plaintext).unwrap();
            (batch.path.clone(), plaintext)
        });
        *self.noted.borrow_mut() = noted.collect();
        for (placed, (path, sealed)) in self.noted.borrow().iter().enumerate() {
            if cut == Some(Cut::Placed(placed)) {
                return Err(PowerCut);
            }
            place(path, sealed);
        }
        match cut {
            Some(Cut::Placed(_)) => Err(PowerCut),
            Some(Cut::StateFails) => {
                fs::create_dir(batches[0].path.with_file_name("state.json.new")).unwrap();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn recover(&mut self) -> Result<(), PowerCut> {
        for (path, sealed) in self.noted.borrow_mut().drain(..) {
            if !path.exists() {
                place(&path, &sealed);
            }
        }
        Ok(())
    }
}

/// A log with two audiences, and where its batches go.
struct Bench {
    home: tempfile::TempDir,
    noted: Noted,
    cut: Rc<Cell<Option<Cut>>>,
    max: String,
    second: Cell<u64>,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for directory in ["log", "maker", "hospital"] {
            fs::create_dir(home.path().join(directory)).unwrap();
        }
        fs::write(home.path().join("log/app.log"), b"").unwrap();
        let (noted, cut) = (Noted::default(), Rc::default());
        Self { home, noted, cut, max: "256MiB".to_owned(), second: Cell::new(0) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn config(&self) -> LogsConfig {
        let home = self.home.path().display();
        let max = &self.max;
        let text = format!(
            r#"
[audience.maker]
readers = "authority"
to = "{home}/maker"
[audience.hospital]
to = "{home}/hospital"
[spool]
directory = "{home}/spool"
max-bytes = "{max}"
batch-bytes = "64KiB"
batch-age = "60s"
[[source]]
name = "app"
file = "{home}/log/app.log"
parse = "regex"
pattern = '^(?<code>E\d+) patient=(?<patient>\S+) (?<noise>\S+)$'
[[source.for]]
audience = "maker"
keep = ["code", "noise"]
[[source.for]]
audience = "hospital"
keep = ["code", "patient", "noise"]
"#
        );
        LogsConfig::parse(&text).unwrap()
    }

    fn log(&self, numbers: std::ops::Range<u32>) {
        let mut file = fs::OpenOptions::new().append(true).open(self.at("log/app.log")).unwrap();
        for number in numbers {
            // Something that does not compress to nothing.
            let part = |part: u8| hex::encode(&Digest::of(&[&number.to_be_bytes()[..], &[part]].concat()).0);
            let noise: String = (0..3).map(part).collect();
            writeln!(file, "E{number} patient=p{number} {noise}").unwrap();
        }
    }

    fn start(&self) -> Intake<Device> {
        let device = Device { noted: self.noted.clone(), cut: self.cut.clone() };
        done(Intake::start(&self.config(), FilterVersion::of(b"7"), device)).unwrap()
    }

    /// A second later.
    fn now(&self) -> Now {
        self.second.set(self.second.get() + 1);
        Now { counted: Duration::from_secs(self.second.get()), wall: 1_764_518_400 }
    }

    /// All that there is, into the spool.
    fn take_in(&self, intake: &mut Intake<Device>) -> Result<Step, AgentError<PowerCut>> {
        loop {
            match done(intake.step(self.now(), true))? {
                Step::More => {}
                step => return Ok(step),
            }
        }
    }

    fn opened(&self, directory: &str) -> BTreeMap<BatchName, Batch> {
        let names = fs::read_dir(self.at(directory)).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().parse::<BatchName>().ok()?;
            assert!(path.with_extension("age.sig").exists());
            Some((name, batch::read(&*fs::read(path).unwrap()).unwrap()))
        });
        names.collect()
    }

    /// That each audience has each line once, in order, in batches without a gap, wherever they are.
    fn holds(&self, directories: &[&str], lines: u32, what: &str) {
        for audience in ["maker", "hospital"] {
            let all: BTreeMap<_, _> =
                directories.iter().flat_map(|directory| self.opened(directory)).collect();
            let own: Vec<_> =
                all.into_iter().filter(|(name, _)| name.audience.as_str() == audience).collect();
            let numbers: Vec<u64> = own.iter().map(|(name, _)| name.number).collect();
            assert_eq!(numbers, (1..=own.len() as u64).collect::<Vec<_>>(), "{what}");
            assert!(own.iter().all(|(name, batch)| batch.header.batch == name.number), "{what}");
            let records: Vec<_> = own.into_iter().flat_map(|(_, batch)| batch.records).collect();
            let codes = records.iter().map(|record| {
                let record: serde_json::Value = serde_json::from_str(record).unwrap();
                assert_eq!(record["fields"]["patient"].is_null(), audience == "maker", "{record}");
                record["fields"]["code"].as_str().unwrap().to_owned()
            });
            let codes: Vec<_> = codes.collect();
            let expected: Vec<_> = (0..lines).map(|number| format!("E{number}")).collect();
            assert_eq!(codes, expected, "{what}: {audience}");
        }
    }

    fn look(&self) -> Held {
        Spool::look(&self.at("spool")).unwrap()
    }
}

const CUTS: [Cut; 5] = [Cut::Before, Cut::Placed(0), Cut::Placed(1), Cut::Placed(2), Cut::StateFails];

#[test]
fn a_power_cut_at_any_step_leaves_each_line_once_in_the_spool() {
    for cut in CUTS {
        // With and without batches before it.
        for before in [0, 5] {
            let bench = Bench::new();
            let mut intake = bench.start();
            bench.log(0..before);
            bench.take_in(&mut intake).unwrap();
            bench.log(before..before + 300);
            bench.cut.set(Some(cut));
            let what = format!("{cut:?} behind {before}");
            assert!(bench.take_in(&mut intake).is_err(), "{what}");
            drop(intake);
            let _ = fs::remove_dir(bench.at("spool/state.json.new"));
            bench.log(before + 300..before + 310);
            let mut intake = bench.start();
            bench.take_in(&mut intake).unwrap();
            bench.holds(&["spool"], before + 310, &what);
        }
    }
}

#[test]
fn an_error_that_passes_loses_nothing_either() {
    for cut in CUTS {
        let bench = Bench::new();
        let mut intake = bench.start();
        bench.log(0..300);
        bench.cut.set(Some(cut));
        assert!(bench.take_in(&mut intake).is_err(), "{cut:?}");
        let _ = fs::remove_dir(bench.at("spool/state.json.new"));
        bench.log(300..310);
        bench.take_in(&mut intake).unwrap();
        bench.holds(&["spool"], 310, &format!("{cut:?}"));
    }
    // Where not even the intent can be written, nothing is sealed, and nothing is read on.
    let bench = Bench::new();
    let mut intake = bench.start();
    bench.log(0..10);
    fs::create_dir(bench.at("spool/state.json.new")).unwrap();
    for _ in 0..3 {
        assert!(matches!(bench.take_in(&mut intake), Err(AgentError::Spool(SpoolError::File { .. }))));
    }
    assert!(bench.opened("spool").is_empty());
    fs::remove_dir(bench.at("spool/state.json.new")).unwrap();
    bench.take_in(&mut intake).unwrap();
    bench.holds(&["spool"], 10, "after the disk took the state again");
}

#[test]
fn batches_are_closed_by_size_and_by_age() {
    let bench = Bench::new();
    let mut intake = bench.start();
    let step = |intake: &mut Intake<Device>| done(intake.step(bench.now(), false)).unwrap();
    bench.log(0..3);
    for second in 0..60 {
        assert_eq!(step(&mut intake), Step::Idle);
        assert!(bench.opened("spool").is_empty(), "{second}");
    }
    step(&mut intake);
    let first: BatchName = "maker-000000000001.age".parse().unwrap();
    let header = bench.opened("spool").remove(&first).unwrap().header;
    assert_eq!((header.records, header.batch, header.withheld), (3, 1, 0));
    // 64 KiB of records, whatever their age.
    bench.log(3..600);
    while step(&mut intake) == Step::More {}
    let batches = bench.opened("spool");
    assert!(batches.len() > 2);
    for Batch { header, records } in batches.values() {
        let bytes: usize = records.iter().map(|record| record.len() + 1).sum();
        assert!(bytes <= (64 << 10) + 1024, "{bytes} bytes in batch {}", header.batch);
    }
    // What is withheld is told of with the next batch, across a restart.
    bench.take_in(&mut intake).unwrap();
    fs::OpenOptions::new().append(true).open(bench.at("log/app.log")).unwrap().write_all(b"other\n").unwrap();
    bench.take_in(&mut intake).unwrap();
    drop(intake);
    let mut intake = bench.start();
    bench.log(600..601);
    bench.take_in(&mut intake).unwrap();
    let (_, last) = bench.opened("spool").pop_last().unwrap();
    assert_eq!((last.header.audience.as_str(), last.header.withheld), ("maker", 1));
    bench.holds(&["spool"], 601, "in the end");
}

#[test]
fn a_full_spool_stops_reading_and_loses_nothing() {
    let mut bench = Bench::new();
    bench.max = "1MiB".to_owned();
    let mut intake = bench.start();
    bench.log(0..4_000);
    assert_eq!(bench.take_in(&mut intake).unwrap(), Step::Full);
    let waiting = bench.look().waiting;
    assert!(waiting.values().all(|numbers| !numbers.is_empty()));
    assert_eq!(bench.take_in(&mut intake).unwrap(), Step::Full, "it stays so");
    assert_eq!(bench.look().waiting, waiting);
    let mut rounds = 0;
    while bench.take_in(&mut intake).unwrap() == Step::Full {
        rounds += 1;
        for audience in ["maker", "hospital"] {
            let target = DirectoryTarget::new(bench.at(audience));
            let mut outbox = Outbox::new(intake.spool(), audience.parse().unwrap(), target);
            while done(outbox.step()) != Sent::Nothing {}
        }
        assert!(bench.look().waiting.values().all(BTreeMap::is_empty));
        assert!(rounds < 100);
    }
    bench.holds(&["spool", "maker", "hospital"], 4_000, "after it was full");

    drop(intake);
    let mut config = bench.config();
    config.spool.max_bytes = 256 << 10;
    let device = Device { noted: bench.noted.clone(), cut: bench.cut.clone() };
    let refused = done(Intake::start(&config, FilterVersion::of(b"7"), device)).err().unwrap();
    assert!(matches!(refused, AgentError::Spool(SpoolError::TooSmall { .. })), "{refused}");
}

#[test]
fn one_agent_works_in_a_spool_and_one_that_was_changed_is_not_gone_by() {
    let bench = Bench::new();
    let mut intake = bench.start();
    bench.log(0..5);
    bench.take_in(&mut intake).unwrap();
    assert!(matches!(Spool::open(&bench.at("spool"), 1), Err(SpoolError::Locked(_))));
    drop(intake);
    let path = bench.at("spool/state.json");
    let state = fs::read_to_string(&path).unwrap();
    let intent = state.replacen('{', r#"{"intent":{"positions":{},"sealed":{"maker":9},"counts":{},"gaps":{"gaps":0,"bytes":0},"withheld":{}},"#, 1);
    for damaged in ["", "{}", "nonsense", &state.replace("\"sealed\"", "\"sealt\"")] {
        fs::write(&path, damaged).unwrap();
        assert!(matches!(Spool::open(&bench.at("spool"), 1), Err(SpoolError::Damaged { .. })), "{damaged}");
    }
    fs::write(&path, intent).unwrap();
    let mut spool = Spool::open(&bench.at("spool"), 1).unwrap();
    assert!(matches!(spool.settle(), Err(SpoolError::Damaged { .. })), "an intent of another time");
    drop(spool);
    // Without the state the numbers go on, and lines leave twice rather than not at all.
    fs::remove_file(&path).unwrap();
    let mut intake = bench.start();
    bench.log(5..6);
    bench.take_in(&mut intake).unwrap();
    let numbers = bench.opened("spool").into_keys().map(|name| name.number).collect::<Vec<_>>();
    assert_eq!(numbers, [1, 2, 1, 2]);
}

/// A target that a test has answer, and what came to it.
#[derive(Clone, Default)]
struct Scripted(Rc<RefCell<Script>>);

/// What it answers, the last first, and what came.
type Script = (Vec<Result<(), Undelivered>>, Vec<BatchName>);

impl Target for Scripted {
    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Undelivered> {
        let mut script = self.0.borrow_mut();
        script.1.push(parcel.name.clone());
        script.0.pop().unwrap_or(Ok(()))
    }
}

#[test]
fn batches_go_in_order_the_same_again_after_a_lost_answer_and_around_a_refused_one() {
    let bench = Bench::new();
    let mut intake = bench.start();
    for round in 0..4 {
        bench.log(round..round + 1);
        bench.take_in(&mut intake).unwrap();
    }
    let again = || Err(Undelivered::Again("no answer".to_owned()));
    let script = vec![Ok(()), Err(Undelivered::Refused("taken".to_owned())), Ok(()), again(), again()];
    let target = Scripted::default();
    target.0.borrow_mut().0 = script;
    let mut outbox = Outbox::new(intake.spool(), "maker".parse().unwrap(), target.clone());
    let name = |number| BatchName { audience: "maker".parse().unwrap(), number };
    let failed = |failures| Sent::Failed { failures, why: "no answer".to_owned() };
    for expected in [
        failed(1),
        failed(2),
        Sent::Delivered(name(1)),
        Sent::Quarantined(name(2)),
        Sent::Delivered(name(3)),
        Sent::Delivered(name(4)),
        Sent::Nothing,
    ] {
        assert_eq!(done(outbox.step()), expected);
    }
    let came: Vec<u64> = target.0.borrow().1.iter().map(|name| name.number).collect();
    assert_eq!(came, [1, 1, 1, 2, 3, 4]);
    // The hospital's are not touched, and the refused one is kept with the reason.
    let held = bench.look();
    assert_eq!(held.waiting.get(&"hospital".parse().unwrap()).map(BTreeMap::len), Some(4));
    assert_eq!(held.quarantined.values().sum::<u64>(), 1);
    assert!(held.quarantined_bytes > 0 && held.oldest.is_some());
    assert!(bench.at("spool/quarantine/maker-000000000002.age.sig").exists());
    assert!(batch::read(&*fs::read(bench.at("spool/quarantine/maker-000000000002.age")).unwrap()).is_ok());
    let reason = fs::read_to_string(bench.at("spool/quarantine/maker-000000000002.json")).unwrap();
    assert_eq!(reason, r#"{"refused":"taken"}"#);
    // A batch without its statement holds nobody up.
    fs::remove_file(bench.at("spool/hospital-000000000001.age.sig")).unwrap();
    let mut outbox = Outbox::new(intake.spool(), "hospital".parse().unwrap(), Scripted::default());
    assert!(matches!(done(outbox.step()), Sent::Quarantined(_)));
    assert!(matches!(done(outbox.step()), Sent::Delivered(_)));
}

#[test]
fn a_crash_after_half_of_a_removal_leaves_nothing_behind() {
    let bench = Bench::new();
    let mut intake = bench.start();
    for round in 0..2 {
        bench.log(round..round + 1);
        bench.take_in(&mut intake).unwrap();
    }
    drop(intake);
    // Delivered, and set aside: each between its two files.
    fs::remove_file(bench.at("spool/maker-000000000001.age")).unwrap();
    let set_aside = "hospital-000000000001.age";
    fs::rename(bench.at("spool").join(set_aside), bench.at("spool/quarantine").join(set_aside)).unwrap();
    let intake = bench.start();
    assert!(!bench.at("spool/maker-000000000001.age.sig").exists());
    assert!(bench.at("spool/quarantine/hospital-000000000001.age.sig").exists());
    let spool = intake.spool();
    let next = |audience: &str| spool.borrow().next(&audience.parse().unwrap()).unwrap().number;
    assert_eq!((next("maker"), next("hospital")), (2, 2));
}

#[test]
fn a_directory_takes_a_batch_once_and_no_other_of_its_name() {
    let bench = Bench::new();
    let mut intake = bench.start();
    bench.log(0..1);
    bench.take_in(&mut intake).unwrap();
    let name = BatchName { audience: "maker".parse().unwrap(), number: 1 };
    let parcel = intake.spool().borrow().read(&name).unwrap().unwrap();
    let mut target = DirectoryTarget::new(bench.at("maker"));
    for _ in 0..2 {
        done(target.deliver(&parcel)).unwrap();
        assert_eq!(
            fs::read(bench.at("maker/maker-000000000001.age")).unwrap(),
            parcel.sealed.bytes().unwrap()
        );
        assert_eq!(
            fs::read(bench.at("maker/maker-000000000001.age.sig")).unwrap(),
            parcel.statement.bytes().unwrap()
        );
    }
    let sealed = parcel.sealed.bytes().unwrap();
    let other = Parcel { sealed: content(b"other"), ..parcel };
    assert!(matches!(done(target.deliver(&other)), Err(Undelivered::Refused(_))));
    assert_eq!(fs::read(bench.at("maker/maker-000000000001.age")).unwrap(), sealed);
    // One that is not there, such as a stick that was taken out, is waited for and not made.
    let mut target = DirectoryTarget::new(bench.at("away"));
    assert!(matches!(done(target.deliver(&other)), Err(Undelivered::Again(_))));
    assert!(!bench.at("away").exists());
}

/// What a test delivers.
fn content(bytes: &[u8]) -> Content {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Content::of(file, 100).unwrap().unwrap()
}

/// A server that a test has answer, the last answer first, and what came to it.
#[derive(Clone, Default)]
struct Server(Rc<RefCell<(Vec<Answer>, Vec<String>)>>);

impl Transport for Server {
    type Connection = Self;

    async fn connect(&mut self) -> Result<Self, String> {
        if self.0.borrow().0.is_empty() { Err("no connection".to_owned()) } else { Ok(self.clone()) }
    }
}

impl Connection for Server {
    async fn send(&mut self, request: Request<'_>) -> Result<Answer, String> {
        let mut script = self.0.borrow_mut();
        script.1.push(format!("{} {}", request.method, request.path));
        Ok(script.0.pop().unwrap())
    }
}

#[test]
fn an_acknowledgement_of_another_file_is_none() {
    let name = BatchName { audience: "maker".parse().unwrap(), number: 1 };
    let parcel = Parcel { name, sealed: content(b"sealed"), statement: content(b"statement") };
    let server = Server::default();
    let deliver = |answers: Vec<Answer>| {
        server.0.borrow_mut().0 = answers;
        done(PutTarget::new(server.clone(), "/v1/pump-1".to_owned()).deliver(&parcel))
    };
    let answer = |status, body: String| Answer { status, body: body.into_bytes(), ..Answer::default() };
    let of = |status, body| deliver(vec![answer(status, body), answer(202, String::new())]);
    let digest = hex::encode(&Digest::of(b"sealed").0);
    let taken = |digest: &str| format!(r#"{{"number":7,"sha256":"{digest}","batch":1}}"#);
    assert_eq!(of(200, taken(&digest)), Ok(()));
    assert_eq!(of(201, String::new()), Ok(()), "a server that says nothing of it");
    assert!(matches!(of(200, taken(&"0".repeat(64))), Err(Undelivered::Again(_))));
    assert!(matches!(of(202, String::new()), Err(Undelivered::Again(_))), "it has half of the batch");
    assert!(matches!(of(422, String::new()), Err(Undelivered::Refused(_))));
    assert_eq!(deliver(Vec::new()), Err(Undelivered::Again("no connection".to_owned())));
    // The statement is refused, and the batch does not follow it.
    server.0.borrow_mut().1.clear();
    assert!(matches!(deliver(vec![answer(409, String::new())]), Err(Undelivered::Refused(_))));
    assert_eq!(server.0.borrow().1, ["PUT /v1/pump-1/maker-000000000001.age.sig"]);
}

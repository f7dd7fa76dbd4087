//! The log agent over a real session: what it seals, who opens it, and to whom it is delivered.

use crate::common::{Device, Shared};
use std::fs;
use std::io::{Cursor, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wardein_crypto::SystemEntropy;
use wardein_device::{Directory, Error, FileOrder, Files, LogAgent, LogStatus, Plaintext, Session};
use wardein_files::{Opening, ReaderKey, SealedFile, check};
use wardein_logs::LogsConfig;
use wardein_logs::batch::{self, Batch, FilterVersion};
use wardein_pki::pem;

type Opened = Session<Shared, SystemEntropy>;

const READER_KEY: &str = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6\n";
const READER: &str = "age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn";
const MARKER: &str = "Erika-Mustermann-4711";

/// A certified device with a log, and directories that take batches.
struct Bench {
    authority: Shared,
    device: Device,
    to_maker: String,
    more: &'static str,
}

impl Bench {
    async fn new() -> Self {
        let authority = Shared::new();
        let device = Device::new(&authority);
        device.enroll(false).await.unwrap();
        Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();
        device.session().unwrap().certificate().await.unwrap();
        for directory in ["maker", "hospital"] {
            fs::create_dir(device.root().join(directory)).unwrap();
        }
        let to_maker = device.root().join("maker").display().to_string();
        let bench = Self { authority, device, to_maker, more: "" };
        bench.log(0..10);
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.device.root().join(name)
    }

    fn log(&self, numbers: std::ops::Range<u32>) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.at("app.log")).unwrap();
        for number in numbers {
            writeln!(file, "E{number} patient={MARKER}").unwrap();
        }
    }

    fn config(&self) -> LogsConfig {
        let (home, to_maker, more) = (self.device.root().display(), &self.to_maker, self.more);
        let text = format!(
            r#"
[audience.maker]
readers = "authority"
to = "{to_maker}"
{more}
[audience.hospital]
readers = ["{READER}"]
to = "{home}/hospital"
patient-data = true
[spool]
directory = "{home}/state/logs"
[[source]]
name = "app"
file = "{home}/app.log"
parse = "regex"
pattern = '^(?<code>E\d+) patient=(?<patient>\S+)$'
[[source.for]]
audience = "maker"
keep = ["code"]
[[source.for]]
audience = "hospital"
keep = ["code", "patient"]
"#
        );
        LogsConfig::parse(&text).unwrap()
    }

    async fn agent(&self) -> LogAgent<impl AsyncFnMut() -> Result<Opened, Error>> {
        let files = Files::open(&self.device.path()).unwrap();
        let open = async || self.device.beside().await;
        LogAgent::start(&self.config(), FilterVersion::of(b"7"), &files, open).await.unwrap()
    }

    fn sealed(&self, directory: &str) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.at(directory)).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|is| is == "age")).collect();
        paths.sort();
        paths
    }

    fn opened_by_hospital(&self, path: &Path) -> Batch {
        let sealed = SealedFile::read(Cursor::new(fs::read(path).unwrap())).unwrap();
        let (key, mut plaintext) = (ReaderKey::parse(READER_KEY).unwrap(), Vec::new());
        sealed.open(&Opening::Reader(&key), &mut plaintext, &mut |_| {}).unwrap();
        batch::read(&*plaintext).unwrap()
    }

    fn opened_by_device(&self, path: &Path) -> Batch {
        let out = self.at("opened");
        self.device.session().unwrap().open_file(path, &out, &mut |_| {}).unwrap();
        let plaintext = fs::read(&out).unwrap();
        fs::remove_file(out).unwrap();
        batch::read(&*plaintext).unwrap()
    }

    /// Whether the marker is in any file below `directory`.
    fn shows(&self, directory: &Path) -> bool {
        fs::read_dir(directory).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => self.shows(&path),
                false => fs::read(path).unwrap().windows(MARKER.len()).any(|seen| seen == MARKER.as_bytes()),
            }
        })
    }
}

#[tokio::test]
async fn what_leaves_is_sealed_signed_in_order_and_says_no_more_than_the_filter() {
    let mut bench = Bench::new().await;
    // Held in the spool first, and then delivered.
    let away = bench.at("away").display().to_string();
    let maker = std::mem::replace(&mut bench.to_maker, away);
    let held = bench.agent().await.once().await.unwrap_err();
    assert!(matches!(held, Error::Undelivered { .. }) && held.exit_code() == 4, "{held}");
    assert_eq!(bench.sealed("state/logs").len(), 1, "the hospital's is delivered all the same");
    assert!(!bench.shows(&bench.device.path()));
    let status = LogStatus::read(&bench.config()).unwrap();
    let maker_is = &status.audiences[&"maker".parse().unwrap()];
    assert_eq!((status.read, maker_is.left, maker_is.sealed, maker_is.waiting), (10, 10, 1, 1));
    assert!(status.oldest_undelivered.is_some() && status.spool_bytes > 0);
    assert!(serde_json::to_string(&status).unwrap().contains("\"delivered\":1"), "the hospital's");
    bench.to_maker = maker;
    bench.log(10..20);
    bench.agent().await.once().await.unwrap();
    assert!(bench.sealed("state/logs").is_empty());

    let all: Vec<_> = ["maker", "hospital"].into_iter().flat_map(|name| bench.sealed(name)).collect();
    assert_eq!(all.len(), 4);
    let roots = pem::decode_certificates(&bench.authority.0.borrow().root_pem).unwrap();
    let roots: Vec<&[u8]> = roots.iter().map(Vec::as_slice).collect();
    let checked = check(&all, &roots, &mut |_| {}).unwrap();
    let numbers = &checked.devices["clinic/pump-1"];
    assert!(checked.is_complete() && (numbers.first, numbers.last) == (1, 4), "{checked}");

    for directory in ["maker", "hospital"] {
        assert!(!bench.shows(&bench.at(directory)));
        let mut codes = Vec::new();
        for (number, path) in (1..).zip(bench.sealed(directory)) {
            let Batch { header, records } = match directory {
                "maker" => bench.opened_by_device(&path),
                _ => bench.opened_by_hospital(&path),
            };
            assert_eq!((header.batch, header.records, header.gaps.len()), (number, 10, 0));
            assert_eq!((header.audience.as_str(), header.filter), (directory, FilterVersion::of(b"7")));
            for record in records {
                assert_eq!(record.contains(MARKER), directory == "hospital", "{record}");
                let record: serde_json::Value = serde_json::from_str(&record).unwrap();
                codes.push(record["fields"]["code"].as_str().unwrap().to_owned());
            }
        }
        let expected: Vec<_> = (0..20).map(|number| format!("E{number}")).collect();
        assert_eq!(codes, expected);
    }
}

#[tokio::test]
async fn what_waits_is_delivered_though_the_disk_takes_no_more() {
    let mut bench = Bench::new().await;
    let away = bench.at("away").display().to_string();
    let maker = std::mem::replace(&mut bench.to_maker, away);
    bench.agent().await.once().await.unwrap_err();
    bench.to_maker = maker;
    bench.log(10..20);
    let taken = bench.at("state/logs/state.json.new");
    let mut agent = bench.agent().await;
    fs::create_dir(&taken).unwrap();
    let failed = agent.once().await.unwrap_err();
    assert!(matches!(failed, Error::Logs(_)), "{failed}");
    assert_eq!(bench.sealed("maker").len(), 1, "it makes room");
    fs::remove_dir(taken).unwrap();
    agent.once().await.unwrap();
    assert_eq!((bench.sealed("maker").len(), bench.sealed("hospital").len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_told_to_end_seals_what_it_has_polled() {
    let bench = Bench::new().await;
    let agent = bench.agent().await;
    // Beside it, others work in the directory.
    bench.device.beside().await.unwrap().authenticate().await.unwrap();
    agent.run(tokio::time::sleep(Duration::from_millis(2_500))).await.unwrap();
    assert_eq!(
        bench.sealed("state/logs").len() + bench.sealed("maker").len() + bench.sealed("hospital").len(),
        2
    );
    bench.agent().await.once().await.unwrap();
    let [batch] = &bench.sealed("maker")[..] else { panic!("one batch") };
    assert_eq!(bench.opened_by_device(batch).records.len(), 10);
    // By age, and delivered while it runs.
    bench.log(10..12);
    bench.agent().await.run(tokio::time::sleep(Duration::from_secs(70))).await.unwrap();
    assert_eq!((bench.sealed("maker").len(), bench.sealed("hospital").len()), (2, 2));
}

#[tokio::test]
async fn a_server_without_pins_is_not_called() {
    let mut bench = Bench::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    bench.to_maker = format!("https://{}/v1", listener.local_addr().unwrap());
    let refused = bench.agent().await.once().await.unwrap_err();
    assert!(
        matches!(&refused, Error::Undelivered { why, .. } if why.contains("wardein-device pins")),
        "{refused}"
    );
    assert!(listener.accept().is_err(), "nobody called");
    assert_eq!(bench.sealed("state/logs").len(), 1, "it waits");
}

#[tokio::test]
async fn files_are_sealed_together_or_not_at_all() {
    let bench = Bench::new().await;
    let mut session = bench.device.session().unwrap();
    let [first, second] = ["a.age", "b.age"].map(|name| bench.at(name));
    let mut seal = |outs: &[&PathBuf]| {
        let input = Plaintext::Bytes(b"x");
        let orders: Vec<_> = outs.iter().map(|out| FileOrder { input, out, readers: &[] }).collect();
        session.seal_files(&orders, &mut |_| {})
    };
    // The name of the second is taken: by another file, by a statement, or by the first.
    for taken in [second.clone(), bench.at("b.age.sig")] {
        fs::write(&taken, b"there").unwrap();
        assert!(matches!(seal(&[&first, &second]), Err(Error::File { .. })));
        fs::remove_file(taken).unwrap();
    }
    assert!(matches!(seal(&[&first, &first]), Err(Error::File { .. })));
    assert!(seal(&[]).is_err() && seal(&[&first; 9]).is_err());
    let left = fs::read_dir(bench.device.root()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(".age")).collect();
    assert!(left.is_empty(), "{left:?}");
    let numbers: Vec<_> =
        seal(&[&first, &second]).unwrap().iter().map(|sealed| sealed.statement.number).collect();
    assert_eq!(numbers, [1, 2], "nothing of before took one");
}

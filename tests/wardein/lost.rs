//! `wardein operator issue` and `renew` whose answer is lost: the key stays, and the same command again completes. And `update add
//! --sealed`: the sealed file stays.

use crate::common::{Served, answered, read, wardein};
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wardein_client::v1;

/// A way to the authority whose answers take a while, so that it can be cut before one of them arrives.
struct Slow {
    endpoint: String,
    connections: JoinSet<()>,
}

const ANSWERS_AFTER: Duration = Duration::from_millis(700);

impl Slow {
    async fn to(served: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let to = served.endpoint.trim_start_matches("https://").to_owned();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut within = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(&to).await.unwrap();
                within.spawn(async move {
                    let (mut from_near, mut to_near) = near.split();
                    let (mut from_far, mut to_far) = far.split();
                    let there = tokio::io::copy(&mut from_near, &mut to_far);
                    let back = async {
                        let mut bytes = vec![0; 16 << 10];
                        loop {
                            use tokio::io::{AsyncReadExt, AsyncWriteExt};
                            let length = from_far.read(&mut bytes).await.unwrap_or(0);
                            sleep(ANSWERS_AFTER).await;
                            if length == 0 || to_near.write_all(&bytes[..length]).await.is_err() {
                                return;
                            }
                        }
                    };
                    tokio::select! { _ = there => {}, () = back => {} }
                });
            }
        });
        Self { endpoint, connections }
    }

    async fn cut(mut self) {
        self.connections.shutdown().await;
    }
}

/// How many certificates there are of that name.
async fn certified(served: &Served, name: &str) -> usize {
    let asked = v1::ListOperatorsRequest { page_size: 1000, ..Default::default() };
    let listed = served.admin().await.admin().list_operators(asked).await.unwrap().into_inner().operators;
    listed.iter().filter(|operator| operator.name == name).count()
}

/// Runs a command over a way that is cut once `name` has `count` certificates, before the command hears of it.
async fn lost(served: &Served, args: &[&str], name: &str, count: usize) -> Output {
    cut_once(served, args, async || certified(served, name).await >= count).await
}

/// Runs a command over a way that is cut once it is done, before the command hears of it.
async fn cut_once(served: &Served, args: &[&str], is_done: impl AsyncFn() -> bool) -> Output {
    let way = Slow::to(served).await;
    let args: Vec<String> =
        args.iter().chain(&["--endpoint", &way.endpoint]).map(ToString::to_string).collect();
    let running =
        tokio::task::spawn_blocking(move || wardein(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    let happened = async {
        while !is_done().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), happened).await.unwrap();
    way.cut().await;
    running.await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn works(identity: &str) {
    answered(&wardein(&["trust", "check", "--identity", identity, "--device", "pump-1"]));
}

fn key(identity: &str) -> String {
    read(&Path::new(identity).join("operator.key"))
}

/// The key is there, the identity is not, and the words say what to do.
fn is_kept(output: &Output, out: &str) {
    assert!(!output.status.success());
    assert!(said(output).contains("the same command again"), "{}", said(output));
    assert!(Path::new(out).join("operator.key").exists() && !Path::new(out).join("operator.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_whose_answer_was_lost_is_completed_by_the_same_command() {
    let served = Served::found().await;
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let home = served.home();
    let home = home.to_str().unwrap();

    let out = place("iot");
    let order = ["operator", "issue", "--role", "platform", "--tenant", "klinik", "--name", "iot"];
    let issue = [&order[..], &["--validity", "30d", "--out", &out, "--dir", home]].concat();
    is_kept(&lost(&served, &issue, "iot", 1).await, &out);
    let made = key(&out);
    let at = [&issue[..], &["--endpoint", &served.endpoint]].concat();
    done(&wardein(&at));
    works(&out);
    assert_eq!(key(&out), made);
    assert_eq!(certified(&served, "iot").await, 1);
    let again = wardein(&at);
    assert!(
        again.status.code() == Some(1) && said(&again).contains("has an identity already"),
        "{}",
        said(&again)
    );

    let renewed = place("renewed");
    let renew = ["operator", "renew", "--identity", &out, "--out", &renewed];
    is_kept(&lost(&served, &renew, "iot", 2).await, &renewed);
    let made = key(&renewed);
    done(&wardein(&[&renew[..], &["--endpoint", &served.endpoint]].concat()));
    works(&renewed);
    assert_eq!(key(&renewed), made);
    assert_eq!(certified(&served, "iot").await, 2);

    // A key that is under a passphrase is read again with it.
    std::fs::write(place("passphrase"), "correct horse battery").unwrap();
    let out = place("second");
    let order = ["operator", "issue", "--role", "auditor", "--tenant", "klinik", "--name", "second"];
    let under = ["--encrypt-key", "--new-passphrase-file", &place("passphrase")];
    let issue = [&order[..], &["--validity", "30d", "--out", &out, "--dir", home]].concat();
    is_kept(&lost(&served, &[&issue[..], &under].concat(), "second", 1).await, &out);
    let bare = wardein(&[&issue[..], &["--endpoint", &served.endpoint]].concat());
    assert!(said(&bare).contains("add --encrypt-key again"), "{}", said(&bare));
    done(&wardein(&[&issue[..], &under, &["--endpoint", &served.endpoint]].concat()));
    assert!(key(&out).contains("ENCRYPTED"));
    assert_eq!(certified(&served, "second").await, 1);

    // What the authority refuses leaves nothing.
    let out = place("third");
    let taken = [
        "operator",
        "issue",
        "--role",
        "platform",
        "--tenant",
        "klinik",
        "--name",
        "iot",
        "--validity",
        "30d",
    ];
    let refused =
        wardein(&[&taken[..], &["--out", &out, "--dir", home, "--endpoint", &served.endpoint]].concat());
    assert!(
        refused.status.code() == Some(3) && said(&refused).contains("operator-exists"),
        "{}",
        said(&refused)
    );
    assert!(!Path::new(&out).exists() && !said(&refused).contains("again"), "{}", said(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_artifact_stays_where_the_answer_to_its_release_was_lost() {
    let served = Served::found().await;
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let home = served.home();
    let dir = ["--dir", home.to_str().unwrap()];
    done(&wardein(&[&["update", "repository", "create", "acme"][..], &dir].concat()));
    done(&wardein(&[&["update", "line", "create", "acme", "pumps", "--path", "pumps/*"][..], &dir].concat()));
    let (artifact, sealed) = (place("pump.img"), place("pump.img.age"));
    std::fs::write(&artifact, b"firmware").unwrap();
    let add = ["update", "add", &artifact, "--sealed", &sealed, "--repository", "acme", "--line", "pumps"];
    let what = ["--version", "2", "--label", "1.2", "--model", "pump-3", "--path", "pumps/2.img"];
    let add = [&add[..], &what, &dir].concat();
    let asked = || v1::ListReleasesRequest { repository: "acme".into(), line: "pumps".into() };
    let is_on_record = async || {
        let listed = served.admin().await.operator().list_releases(asked()).await.unwrap();
        !listed.releases.is_empty()
    };
    let output = cut_once(&served, &add, is_on_record).await;
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("is kept: the release may be on record"), "{}", said(&output));
    // It is the one file that the key opens which the authority has.
    let file = std::fs::read(&sealed).unwrap();
    let show = ["update", "show", "2", "--repository", "acme", "--line", "pumps", "--json"];
    let shown = wardein(&[&show[..], &dir].concat());
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let digest = wardein_crypto::hex::encode(&wardein_crypto::Digest::of(&file).0);
    assert_eq!((&shown["sha256"], &shown["state"]), (&digest.into(), &"proposed".into()));
    let again = wardein(&add);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert_eq!(std::fs::read(&sealed).unwrap(), file);
}

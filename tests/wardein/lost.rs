//! `wardein operator issue` and `renew` whose answer is lost: the key stays, and the same command again completes.

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
    let way = Slow::to(served).await;
    let args: Vec<String> =
        args.iter().chain(&["--endpoint", &way.endpoint]).map(ToString::to_string).collect();
    let running =
        tokio::task::spawn_blocking(move || wardein(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    let happened = async {
        while certified(served, name).await < count {
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

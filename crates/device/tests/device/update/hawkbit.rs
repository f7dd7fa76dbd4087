//! SWUpdate's part is played by hand, over real connections: what it asks for, and what it says.

use super::*;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wardein_crypto::SecretBytes;
use wardein_device::{HawkbitEnd, HawkbitToken, Loopback};

const ROOT: &str = "/clinic/controller/v1/pump-1";
const TOKEN: &str = "a-token-of-the-updater";

/// What SWUpdate says once all is written, and once it has started, well or not.
const WRITTEN: &str = r#"{"id":7,"status":{"execution":"proceeding","result":{"finished":"none","progress":{"cnt":1,"of":1}}}}"#;
const SUCCESS: &str = r#"{"id":7,"status":{"execution":"closed","result":{"finished":"success"}}}"#;
const FAILURE: &str = r#"{"id":7,"status":{"execution":"closed","result":{"finished":"failure"}}}"#;

fn token() -> HawkbitToken {
    let mut bytes = SecretBytes::with_capacity(TOKEN.len());
    bytes.extend(TOKEN.as_bytes());
    HawkbitToken::new(&bytes).unwrap()
}

/// Who asks, at an address.
#[derive(Clone, Copy)]
struct Client(SocketAddr);

impl Client {
    /// The status, 0 where none came, and the body, as much as came of it.
    async fn send(self, head: &str, token: &str, body: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: device\r\nauthorization: TargetToken {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // Who is refused before the body was read may find the connection closed.
        drop(stream.write_all(request.as_bytes()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let Some(end) = answer.windows(4).position(|part| part == b"\r\n\r\n") else { return (0, vec![]) };
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    async fn get(self, path: &str) -> (u16, Vec<u8>) {
        self.send(&format!("GET {path}"), TOKEN, "").await
    }

    async fn json(self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&body).unwrap()
    }

    /// Where the deployment is, by the link of the poll.
    async fn deployment(self) -> String {
        let polled = self.json(ROOT).await;
        self.path(&polled["_links"]["deploymentBase"]["href"])
    }

    fn path(self, href: &Value) -> String {
        href.as_str().unwrap().strip_prefix(&format!("http://{}", self.0)).unwrap().to_owned()
    }

    async fn say(self, deployment: &str, body: &str) -> u16 {
        self.send(&format!("POST {deployment}/feedback"), TOKEN, body).await.0
    }

    /// Fetches the artifact, and how much of it came.
    async fn fetch(self, deployment: &str) -> Vec<u8> {
        let found = self.json(deployment).await;
        let artifact = &found["deployment"]["chunks"][0]["artifacts"][0];
        self.get(&self.path(&artifact["_links"]["download-http"]["href"])).await.1
    }
}

impl Bench {
    /// Serves release 2, or whatever waits, to a client.
    async fn served(&self, client: impl AsyncFnOnce(Client)) -> Result<HawkbitEnd, Error> {
        let listener = Loopback::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let client = client(Client(listener.address()));
        let (updater, token) = (self.updater().await, token());
        tokio::join!(updater.hawkbit(Pick::Latest, listener, &token), client).0
    }

    async fn phase(&self) -> Option<Phase> {
        self.updater().await.standing().unwrap().pending.map(|(phase, _)| phase)
    }

    async fn ready() -> Self {
        let bench = Self::new();
        bench.trust().await;
        bench.download(Pick::Latest).await.unwrap();
        bench
    }
}

#[tokio::test]
async fn an_updater_installs_what_was_judged_and_says_how_its_first_start_went() {
    let bench = Bench::ready().await;
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        let found = client.json(&deployment).await;
        let artifact = &found["deployment"]["chunks"][0]["artifacts"][0];
        assert_eq!((&artifact["size"], &artifact["filename"]), (&10.into(), &"2.swu".into()));
        assert_eq!(artifact["hashes"]["sha256"], hex::encode(&Digest::of(b"the second").0));
        assert_eq!(
            artifact["hashes"]["sha1"],
            hex::encode(&wardein_crypto::danger_sha1_to_name(b"the second"))
        );
        // What it never fetched it cannot have installed.
        assert_eq!(client.say(&deployment, WRITTEN).await, 409);
        assert_eq!(client.say(&deployment, SUCCESS).await, 409);
        assert_eq!(bench.phase_unlocked(), Some("installing".into()));
        assert_eq!(client.fetch(&deployment).await, b"the second");
        assert_eq!(client.say(&deployment, WRITTEN).await, 200);
        // On record before the answer; what it says of the same later changes nothing.
        assert_eq!(bench.phase_unlocked(), Some("installed".into()));
        assert_eq!(client.say(&deployment, FAILURE).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Installed(installed) if installed.version == 2));
    assert_eq!(bench.updater().await.standing().unwrap().floor, 0, "it has not started yet");
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        let found = client.json(&deployment).await;
        assert_eq!(found["deployment"]["chunks"], Value::Null, "nothing is installed a second time");
        let file = deployment.replace("deploymentBase", "softwaremodules") + "/artifacts/2.swu";
        assert_eq!(client.get(&file).await.0, 404);
        assert_eq!(client.say(&deployment, WRITTEN).await, 200);
        assert_eq!(bench.phase_unlocked(), Some("installed".into()));
        assert_eq!(client.say(&deployment, SUCCESS).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Confirmed(installed) if installed.version == 2));
    let standing = bench.updater().await.standing().unwrap();
    assert_eq!((standing.floor, standing.running.unwrap().version, standing.pending), (2, 2, None));
}

/// It gets the file in the artifact, and the action that closes is the same one.
#[cfg(feature = "files")]
#[tokio::test]
async fn an_updater_gets_the_file_in_a_sealed_artifact() {
    let mut bench = Bench::new();
    bench.trust().await;
    let sealed::Sealed { file, key } = sealed::sealed();
    bench.publish_sealed(&file, sealed::PLAIN);
    bench.keep_key(&file, key);
    bench.download(Pick::Latest).await.unwrap();
    let mut first = String::new();
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        let found = client.json(&deployment).await;
        let artifact = &found["deployment"]["chunks"][0]["artifacts"][0];
        assert_eq!(artifact["size"], sealed::PLAIN.len());
        assert_eq!(artifact["hashes"]["sha256"], hex::encode(&Digest::of(sealed::PLAIN).0));
        assert_eq!(
            artifact["hashes"]["sha1"],
            hex::encode(&wardein_crypto::danger_sha1_to_name(sealed::PLAIN))
        );
        assert_eq!(client.fetch(&deployment).await, sealed::PLAIN);
        assert_eq!(client.say(&deployment, WRITTEN).await, 200);
        first = deployment;
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Installed(installed) if installed.version == 3));
    assert!(!bench.at("device/update/opened").exists());
    let end = bench.served(async |client| {
        assert_eq!(client.deployment().await, first);
        assert_eq!(client.say(&first, SUCCESS).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Confirmed(_)));
}

#[tokio::test]
async fn an_updater_that_fails_leaves_what_ran() {
    let bench = Bench::ready().await;
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        client.fetch(&deployment).await;
        assert_eq!(client.say(&deployment, FAILURE).await, 200);
    });
    assert_eq!(code(end.await), "update-install-failed");
    assert_eq!(bench.phase().await, None);
    // Closed at once, as other clients do: it is installed, and has not started.
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        client.fetch(&deployment).await;
        assert_eq!(client.say(&deployment, SUCCESS).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Installed(_)));
    assert_eq!(bench.phase().await, Some(Phase::Installed));
    let end = bench.served(async |client| {
        assert_eq!(client.say(&client.deployment().await, FAILURE).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::RolledBack(standing) if standing.pending.is_none()));
}

/// The power is cut after it was written and before anybody heard so; it starts, and the updater says that it did.
#[tokio::test]
async fn what_was_written_before_a_power_cut_may_have_started() {
    let bench = Bench::ready().await;
    let cut = tokio::time::timeout(Duration::from_millis(200), bench.served(async |_| ()));
    assert!(cut.await.is_err());
    assert_eq!(bench.phase().await, Some(Phase::Installing));
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        assert_eq!(client.say(&deployment, WRITTEN).await, 409);
        assert_eq!(client.say(&deployment, SUCCESS).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Confirmed(_)));
    assert_eq!(bench.updater().await.standing().unwrap().floor, 2);
}

/// SWUpdate writes to flash as it reads: it must not get the end of a file that is not the one that was judged.
#[tokio::test]
async fn a_file_that_is_changed_while_it_is_handed_out_is_not_handed_out_to_its_end() {
    let mut bench = Bench::ready().await;
    let big = vec![7; 600_000];
    bench.publish(&release(3, 3, &big), &big);
    let path = bench.download(Pick::Latest).await.unwrap();
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        for (altered, at_most) in
            [([big[..599_999].to_vec(), vec![8]].concat(), 599_999), (big[1..].to_vec(), 599_998)]
        {
            fs::write(&path, altered).unwrap();
            let came = client.fetch(&deployment).await;
            assert!((1..=at_most).contains(&came.len()), "{}", came.len());
            assert_eq!(client.say(&deployment, WRITTEN).await, 409);
        }
        fs::write(&path, &big).unwrap();
        assert!(client.fetch(&deployment).await == big);
        assert_eq!(client.say(&deployment, WRITTEN).await, 200);
    });
    assert!(matches!(end.await.unwrap(), HawkbitEnd::Installed(installed) if installed.version == 3));
}

#[tokio::test]
async fn another_program_of_the_device_neither_reads_nor_says_anything() {
    let bench = Bench::ready().await;
    let end = bench.served(async |client| {
        let deployment = client.deployment().await;
        let file = deployment.replace("deploymentBase", "softwaremodules") + "/artifacts/2.swu";
        for token in ["", "another-token-of-it", &TOKEN[1..], &format!("{TOKEN}x")] {
            for head in [format!("GET {ROOT}"), format!("GET {deployment}"), format!("GET {file}")] {
                assert_eq!(client.send(&head, token, "").await, (401, vec![]), "{head}");
            }
            let head = format!("POST {deployment}/feedback");
            assert_eq!(client.send(&head, token, FAILURE).await.0, 401);
        }
        // Of another device, another action, another way, or not at all.
        let other = ROOT.replace("pump-1", "pump-2");
        let next = format!("{ROOT}/deploymentBase/1");
        for path in [
            other.as_str(),
            "/",
            &next,
            &format!("{ROOT}/configData"),
            &format!("{file}/../3.swu"),
            &format!("{deployment}1"),
        ] {
            assert_eq!(client.get(path).await.0, 404, "{path}");
        }
        assert_eq!(client.say(&next, FAILURE).await, 404);
        assert_eq!(client.send(&format!("POST {ROOT}"), TOKEN, "{}").await.0, 405);
        for bad in ["", "{}", "[", &format!("{{\"a\":\"{}\"}}", "x".repeat(300 << 10))] {
            assert_eq!(client.say(&deployment, bad).await, 400);
        }
        let long = format!("GET {ROOT}?{}", "x".repeat(100 << 10));
        assert_ne!(client.send(&long, TOKEN, "").await.0, 200);
        assert_eq!(bench.phase_unlocked(), Some("installing".into()));
        client.say(&deployment, FAILURE).await;
    });
    assert_eq!(code(end.await), "update-install-failed");
}

#[tokio::test]
async fn more_connections_than_there_are_seats_are_hung_up_on() {
    let bench = Bench::ready().await;
    let end = bench.served(async |client| {
        let mut idle = Vec::new();
        for _ in 0..8 {
            idle.push(TcpStream::connect(client.0).await.unwrap());
        }
        let mut more = TcpStream::connect(client.0).await.unwrap();
        let mut byte = [0];
        assert_eq!(more.read(&mut byte).await.unwrap_or(0), 0);
        drop(idle);
        // Those who went make room.
        let deployment = loop {
            let mut stream = TcpStream::connect(client.0).await.unwrap();
            let request = format!("GET {ROOT} HTTP/1.1\r\nhost: device\r\nauthorization: TargetToken {TOKEN}\r\nconnection: close\r\n\r\n");
            let (mut answer, written) = (Vec::new(), stream.write_all(request.as_bytes()).await);
            if written.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && !answer.is_empty() {
                break client.deployment().await;
            }
        };
        client.say(&deployment, FAILURE).await;
    });
    assert_eq!(code(end.await), "update-install-failed");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_asks_it_ends_and_may_be_begun_again() {
    let bench = Bench::ready().await;
    assert_eq!(code(bench.served(async |_| ()).await), "update-nobody-asks");
    assert_eq!(bench.phase().await, Some(Phase::Installing));
    fs::write(bench.at("patient"), "").unwrap();
    assert_eq!(code(bench.served(async |_| ()).await), "update-in-use");
}

impl Bench {
    /// What is on record while another process has the directory.
    fn phase_unlocked(&self) -> Option<String> {
        let text = fs::read(self.at("device/update/progress.json")).unwrap();
        let standing: Value = serde_json::from_slice(&text).unwrap();
        standing["pending"][0].as_str().map(str::to_owned)
    }
}

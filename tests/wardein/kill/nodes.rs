//! Three nodes on one database behind one address, while nodes are killed, stand still for longer than they may or are cut off from the
//! database, and the database itself dies: nothing that was acknowledged is lost, nothing is done twice, and a suspension holds on all of them.
//!
//! `WARDEIN_NODE_ROUNDS` sets another number of rounds than the usual one.

use super::wire::Wire;
use super::world::World;
use super::{DEVICES, Witness, check, devices, operators};
use crate::common::Served;
use crate::postgresql::{another, options};
use futures_util::future::{join, join_all};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use wardein_client::{Connection, Identity, Refusal, Settings, connect, v1};
use wardein_crypto::{Entropy, P256VerifyingKey, SecretBytes, SystemEntropy};
use wardein_ddkg::device::Enrolling;
use wardein_ddkg::{Attributes, DeviceName, Suite};
use wardein_device::{Remote, RemoteStation, Station, Vouched};
use wardein_testkit::Postgres;

/// A node, with the port on which it is spoken to.
struct Node {
    home: PathBuf,
    port: u16,
    /// To the database.
    wire: Wire,
    child: Option<Child>,
}

impl Node {
    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.home.with_extension("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wardein"))
            .args(["serve", "--config"])
            .arg(self.home.join("wardein.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again if it has ended, as a supervisor does.
    fn supervise(&mut self) {
        if self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some()) {
            self.start();
        }
    }

    /// The node alone, not by way of the common address.
    fn settings(&self, served: &Served) -> Settings {
        Settings::new(format!("https://127.0.0.1:{}", self.port), served.roots().into_bytes())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.with_extension("log")).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Connections of a node, and whether it gets new ones.
#[derive(Default)]
struct Backend {
    port: u16,
    is_out: bool,
    connections: Vec<AbortHandle>,
}

/// What gives each connection to the next node, on a thread of its own.
struct Balancer(Arc<Mutex<Vec<Backend>>>);

impl Balancer {
    fn start(at: SocketAddr, ports: &[u16]) -> Self {
        let backends = ports.iter().map(|port| Backend { port: *port, ..Backend::default() });
        let shared = Arc::new(Mutex::new(backends.collect::<Vec<_>>()));
        let backends = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(at).await.unwrap();
                for turn in 0.. {
                    let (mut client, _) = listener.accept().await.unwrap();
                    let mut backends = backends.lock().unwrap();
                    let mut in_turn: Vec<_> = backends.iter_mut().filter(|backend| !backend.is_out).collect();
                    if in_turn.is_empty() {
                        continue;
                    }
                    let chosen = turn % in_turn.len();
                    let chosen = &mut in_turn[chosen];
                    let port = chosen.port;
                    let passing = tokio::spawn(async move {
                        if let Ok(mut node) = TcpStream::connect(("127.0.0.1", port)).await {
                            let _ = copy_bidirectional(&mut client, &mut node).await;
                        }
                    });
                    chosen.connections.push(passing.abort_handle());
                }
            });
        });
        Self(shared)
    }

    /// Takes a node out, as one does that looks at its readiness, or puts it back.
    fn set_out(&self, node: usize, is_out: bool) {
        let backend = &mut self.0.lock().unwrap()[node];
        backend.is_out = is_out;
        if is_out {
            backend.connections.drain(..).for_each(|connection| connection.abort());
        }
    }
}

/// An authority on a database, served by several nodes.
struct Nodes {
    served: Served,
    nodes: Vec<Node>,
    balancer: Balancer,
}

impl Nodes {
    async fn found(server: &Postgres, count: usize) -> Self {
        let options = options(server);
        let mut served = Served::found_with(&options.each_ref().map(String::as_str)).await;
        served.kill();
        let address: SocketAddr = served.endpoint.strip_prefix("https://").unwrap().parse().unwrap();
        let node = |number| {
            let (home, port) = another(&served, &format!("node-{number}"));
            let file = home.join("wardein.toml");
            let text = fs::read_to_string(&file).unwrap();
            let (_, folder) = options[3].split_once('@').unwrap();
            let (folder, _) = folder.split_once(':').unwrap();
            let wire = Wire::to(Path::new(&folder.replace("%2F", "/")));
            let by_wire = wire.folder().to_str().unwrap().replace('/', "%2F");
            assert!(text.contains(folder));
            fs::write(file, text.replace(folder, &by_wire)).unwrap();
            Node { home, port, wire, child: None }
        };
        let mut nodes: Vec<Node> = (0..count).map(node).collect();
        nodes.iter_mut().for_each(Node::start);
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let nodes = Self { balancer: Balancer::start(address, &ports), served, nodes };
        nodes.are_ready().await;
        nodes
    }

    /// All take calls that need to know everything.
    async fn are_ready(&self) {
        for node in &self.nodes {
            let patience = Instant::now() + Duration::from_secs(60);
            loop {
                let reads = async {
                    let admin = self.admin_of(node).await?;
                    let asked = v1::ListDeedsRequest { page_size: 1, page_token: Vec::new() };
                    admin.operator().list_deeds(asked).await.map_err(|refusal| refusal.to_string())
                };
                match timeout(Duration::from_secs(5), reads).await {
                    Ok(Ok(_)) => break,
                    other => assert!(Instant::now() < patience, "{other:?}: {}", node.log()),
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn admin_of(&self, node: &Node) -> Result<Connection, String> {
        let settings =
            Settings { identity: Some(self.served.admin_identity()), ..node.settings(&self.served) };
        connect(&settings).await.map_err(|error| error.to_string())
    }
}

/// A station that is good for five devices, and asks two nodes at once for more.
#[test]
fn a_quota_is_exact_over_nodes() {
    let Some(server) = Postgres::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let nodes = Nodes::found(&server, 2).await;
        let station = nodes.served.issue("station", 5).await;
        let enroll = |number: usize| {
            let (node, station) = (&nodes.nodes[number % 2], &station);
            let remote = Remote::new(&format!("https://127.0.0.1:{}", node.port), &nodes.served.roots());
            let key = SecretBytes::from_vec(station.key.expose().to_vec());
            let identity = Identity { certificates: station.certificates.clone(), key };
            async move {
                let mut factory = RemoteStation::new(remote, identity, Vouched::default());
                let name = DeviceName {
                    tenant: "klinik".parse().unwrap(),
                    device: format!("pump-{number}").parse().unwrap(),
                };
                let (pinned, entropy) =
                    (P256VerifyingKey(nodes.served.identity_key), &mut SystemEntropy::default());
                let enrolling =
                    Enrolling::begin(pinned, Suite::P256, name, Attributes::new(), entropy).unwrap();
                factory.enroll(&enrolling.request().clone()).await.map(|_| ())
            }
        };
        let outcomes = join_all((0..16).map(enroll)).await;
        let enrolled = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(enrolled, 5, "{outcomes:?}");
    });
}

fn random(below: u64) -> u64 {
    u64::from(u32::from_be_bytes(SystemEntropy::default().array().unwrap())) % below
}

#[test]
fn several_nodes_lose_nothing_and_do_nothing_twice() {
    let Some(mut server) = Postgres::start() else { return };
    let rounds = std::env::var("WARDEIN_NODE_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut nodes = Nodes::found(&server, 3).await;
        let witness = Witness::default();
        witness.ask("tenant.create", "tenant/klinik", async { Ok::<_, Refusal>(()) }).await;
        let mut world = World::found(&nodes.served, &witness, "nodes", 0).await;
        let mut events = [0; 4];
        for round in 0..rounds {
            if round > 0 && round % 10 == 0 {
                check::everything(&world, &witness).await;
                world = World::found(&nodes.served, &witness, "nodes", round).await;
            }
            world.begin(round);
            let devices = join_all((0..DEVICES).map(|stream| devices::live(&world, &witness, stream)));
            let operators =
                join_all((0..operators::STREAMS).map(|stream| operators::work(&world, &witness, stream)));
            let (event, victim) = (round % 4, random(3) as usize);
            let happening = async {
                sleep(Duration::from_millis(300 + random(1_500))).await;
                match event {
                    0 => nodes.nodes[victim].kill(),
                    1 => nodes.nodes[victim].signal("-STOP"),
                    2 => server.crash(),
                    _ => nodes.nodes[victim].wire.cut(true),
                }
                // Until it is noticed, calls still go there.
                sleep(Duration::from_millis(200)).await;
                if event != 2 {
                    nodes.balancer.set_out(victim, true);
                }
                sleep(Duration::from_millis(500 + random(1_000))).await;
                match event {
                    1 => {
                        sleep(Duration::from_secs(6)).await;
                        nodes.nodes[victim].signal("-CONT");
                    }
                    3 => {
                        sleep(Duration::from_secs(6)).await;
                        nodes.nodes[victim].wire.cut(false);
                    }
                    _ => {}
                }
            };
            events[event] += 1;
            drop(timeout(Duration::from_secs(20), join(happening, async {
                // They end by themselves where a call found nobody.
                timeout(Duration::from_secs(4), join(devices, operators)).await
            })).await);
            nodes.nodes.iter_mut().for_each(Node::supervise);
            nodes.are_ready().await;
            nodes.balancer.set_out(victim, false);
            world.reconnect(&nodes.served).await;
            check::after_a_kill(&world, &witness).await;
        }
        check::everything(&world, &witness).await;
        let [kills, stops, crashes, cuts] = events;
        println!("3 nodes, {rounds} rounds: {kills} nodes killed, {stops} stopped, {cuts} cut off, {crashes} crashes of the database; {}", witness.summary());
        assert!(witness.acknowledged() as usize > 10 * rounds, "too little was under way");
    });
}

/// Each node answers for itself: once the bound has passed since a suspension was acknowledged, none calls the device trusted, also not the
/// one that stood still.
#[test]
fn a_suspension_on_one_node_holds_on_all() {
    let Some(server) = Postgres::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let nodes = Nodes::found(&server, 2).await;
        let witness = Witness::default();
        let world = World::found(&nodes.served, &witness, "nodes", 0).await;
        let at = devices::TestDevice::enroll(&world, &witness, "pump-1").await.unwrap();
        let [first, second] = &nodes.nodes[..] else { unreachable!() };
        let admin = nodes.admin_of(first).await.unwrap();
        let platform = world.platform_at(second.settings(&nodes.served)).await;
        let check = async || {
            let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
            let asked = v1::CheckRequest { subject, ..Default::default() };
            platform.platform().check(asked).await.map(|answer| answer.verdict())
        };
        let set = async |state: v1::DeviceState| {
            let request = v1::SetDeviceStateRequest {
                tenant: world.tenant.clone(),
                device_id: "pump-1".into(),
                state: state.into(),
                reason: "a test".into(),
                ..Default::default()
            };
            admin.operator().set_device_state(request).await.unwrap();
        };
        let until = async |verdict: v1::Verdict| {
            let begun = Instant::now();
            while check().await.unwrap() != verdict {
                assert!(begun.elapsed() < Duration::from_secs(5), "the other node does not hear of it");
                sleep(Duration::from_millis(2)).await;
            }
            begun.elapsed()
        };
        let mut lags = Vec::new();
        for _ in 0..10 {
            set(v1::DeviceState::Suspended).await;
            lags.push(until(v1::Verdict::NotTrusted).await);
            set(v1::DeviceState::Active).await;
            until(v1::Verdict::Trusted).await;
        }
        lags.sort();
        println!("heard on the other node after {:?} (median), {:?} (most)", lags[5], lags[9]);

        second.signal("-STOP");
        set(v1::DeviceState::Suspended).await;
        sleep(Duration::from_secs(6)).await;
        second.signal("-CONT");
        let mut refused = 0;
        loop {
            match check().await {
                Ok(v1::Verdict::Trusted) => unreachable!("a suspended device is trusted"),
                Ok(_) => break,
                Err(_) => refused += 1,
            }
            assert!(refused < 10_000, "it never answers");
            sleep(Duration::from_millis(1)).await;
        }
        println!("{refused} calls were refused before it knew");

        // Cut off from the database it goes on for as long as it may not know, and then answers nobody.
        set(v1::DeviceState::Active).await;
        until(v1::Verdict::Trusted).await;
        second.wire.cut(true);
        let cut_at = Instant::now();
        let answered_for = loop {
            match check().await {
                Ok(v1::Verdict::Trusted) => sleep(Duration::from_millis(5)).await,
                Ok(other) => unreachable!("it heard of nothing: {other:?}"),
                Err(refusal) => {
                    assert_eq!(refusal.code, "store-unavailable", "{refusal}");
                    break cut_at.elapsed();
                }
            }
        };
        println!("cut off, it answered for {answered_for:?}");
        // The bound is five seconds from the last thing that it heard.
        assert!(answered_for < Duration::from_millis(5_500), "{answered_for:?}");
        set(v1::DeviceState::Suspended).await;
        sleep(Duration::from_secs(1)).await;
        assert!(check().await.is_err(), "it knows nothing of that");
        second.wire.cut(false);
        let healed = Instant::now();
        loop {
            match check().await {
                Ok(v1::Verdict::Trusted) => unreachable!("a suspended device is trusted"),
                Ok(_) => break,
                Err(_) => assert!(healed.elapsed() < Duration::from_secs(30), "it never answers"),
            }
            sleep(Duration::from_millis(5)).await;
        }
        world.devices.borrow_mut()[at].states = vec!["suspended"];

        // Another root key would have to reach both.
        use v1::rotate_storage_key_request::Scope;
        let request = v1::RotateStorageKeyRequest { scope: Some(Scope::RootKey(v1::RootKey {})) };
        let refusal = admin.operator().rotate_storage_key(request).await.unwrap_err();
        assert_eq!(refusal.code, "nodes-running");
        let shred = v1::ShredDeviceRequest {
            tenant: world.tenant.clone(),
            device_id: "pump-1".into(),
            reason: "a test".into(),
            per_second: 1000,
        };
        let shredding = async { admin.operator().shred_device(shred).await?.next().await.map(|_| ()) };
        assert_eq!(shredding.await.unwrap_err().code, "nodes-running");
    });
}

//! Messages of other devices over TLS (RFC 5425), from clients as devices have them.

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wardein_crypto::{Digest, hex};
use wardein_logs::{GapReason, LogsConfig, Sources};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate that its holder made, and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    /// As logs.toml names it.
    fn pin(&self) -> String {
        format!("tls:sha256:{}", hex::encode(&Digest::of(&self.certificate).0))
    }
}

/// A collector, and what came of its sources.
struct Bench {
    directory: TempDir,
    address: SocketAddr,
    server: Identity,
    clients: Vec<(String, String)>,
    sources: Option<Sources>,
    /// Source and line of each record.
    lines: Vec<(String, String)>,
    gaps: Vec<(String, GapReason, Option<u64>, u64)>,
}

impl Bench {
    /// The name of each source, and whose messages `syslog` says that it has.
    fn new(clients: &[(&str, &str)]) -> Self {
        let mut bench = Self::stopped(clients);
        bench.sources = Some(Sources::open(&bench.config(), Default::default()).unwrap());
        bench
    }

    fn stopped(clients: &[(&str, &str)]) -> Self {
        let bench = Self {
            directory: tempfile::tempdir().unwrap(),
            address: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
            server: Identity::new(),
            clients: clients
                .iter()
                .map(|(name, client)| ((*name).to_owned(), (*client).to_owned()))
                .collect(),
            sources: None,
            lines: Vec::new(),
            gaps: Vec::new(),
        };
        bench.write("pem", &bench.server.pem);
        bench.write("key", &bench.server.key.serialize_pem());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn config(&self) -> LogsConfig {
        let (directory, address) = (self.directory.path().display(), self.address);
        let mut text = format!(
            "[audience.hospital]\nto = \"/x\"\npatient-data = true\n[spool]\ndirectory = \"/s\"\n[collector]\nlisten = \"{address}\"\n\
             certificate = \"{directory}/pem\"\nkey = \"{directory}/key\"\n"
        );
        for (name, client) in &self.clients {
            text += &format!(
                "[[source]]\nname = \"{name}\"\ndevice = \"Device-{name}\"\nsyslog = \"{client}\"\n\
                 [[source.for]]\naudience = \"hospital\"\nkeep = [\"line\"]\n"
            );
        }
        LogsConfig::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn poll(&mut self) {
        let polled = self.sources.as_mut().unwrap().poll(1 << 20);
        for outgoing in polled.outgoing {
            let record: serde_json::Value = serde_json::from_str(&outgoing.record).unwrap();
            let of = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            self.lines.push((of(&record["source"]), of(&record["fields"]["line"])));
        }
        let of = |gap: wardein_logs::Gap| (gap.source.to_string(), gap.why, gap.lines, gap.bytes);
        self.gaps.extend(polled.gaps.into_iter().map(of));
    }

    /// Polls until it is so; a thread takes messages in its own time.
    fn poll_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {:?} {:?}", self.lines, self.gaps);
            self.poll();
            std::thread::yield_now();
        }
    }

    /// The lines of a source, in their order.
    fn lines(&self, source: &str) -> Vec<&str> {
        let of_it = self.lines.iter().filter(|(of, _)| of == source);
        of_it.map(|(_, line)| line.as_str()).collect()
    }

    /// What a client has for TLS.
    fn tls(
        &self,
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.certificate.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key, .. }) => builder
                .with_client_auth_cert(
                    vec![certificate.clone()],
                    PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
                )
                .unwrap(),
        };
        Arc::new(config)
    }

    /// A client's connection, before its handshake.
    fn connect(&self, config: Arc<ClientConfig>) -> io::Result<Stream> {
        let name = ServerName::try_from("localhost").unwrap();
        let socket = TcpStream::connect(self.address)?;
        // Far more than it takes, so that a fault ends the test.
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket))
    }

    fn client(
        &self,
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> io::Result<Stream> {
        self.connect(self.tls(identity, version))
    }

    /// A client with an identity that is known.
    fn known(&self, identity: &Identity) -> Stream {
        let mut stream = self.client(Some(identity), &TLS13).unwrap();
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        stream
    }
}

/// `MSG-LEN SP SYSLOG-MSG`.
fn frame(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

fn say(stream: &mut Stream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    stream.flush().unwrap();
}

/// Ends in order: says so, and waits until the other side has ended, too.
fn bye(mut stream: Stream) {
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    drop(stream.read(&mut [0]));
}

/// Whether the collector ended a connection, and took nothing of it.
fn is_refused(stream: io::Result<Stream>) -> bool {
    let Ok(mut stream) = stream else { return true };
    // With TLS 1.3 a client hears of it after its own handshake.
    let written = stream.write_all(&frame("<30>1 - - - a stranger's")).and_then(|()| stream.flush());
    written.is_err() || stream.read(&mut [0]).is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
}

#[test]
fn each_client_is_the_source_that_pins_it_and_no_other_is_heard() {
    let (one, two, stranger) = (Identity::new(), Identity::new(), Identity::new());
    let mut bench = Bench::new(&[("one", &one.pin()), ("two", &two.pin())]);
    for version in [&TLS13, &TLS12] {
        for (identity, name) in [(&one, "one"), (&two, "two")] {
            let mut stream = bench.client(Some(identity), version).unwrap();
            // It names another device, and is believed in nothing.
            let message =
                format!("<30>1 2026-11-30T12:00:00Z Device-two app - - - {name} by {version:?}\nline");
            say(&mut stream, &[frame(&message), frame("<30>two")].concat());
            bye(stream);
        }
        assert!(is_refused(bench.client(Some(&stranger), version)), "{version:?}");
        assert!(is_refused(bench.client(None, version)), "{version:?}");
    }
    bench.poll_until("both are heard", |bench| bench.lines.len() >= 8);
    for name in ["one", "two"] {
        let lines = bench.lines(name);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(
            lines
                .iter()
                .step_by(2)
                .all(|line| line.contains(&format!("{name} by")) && line.ends_with("\nline"))
        );
        assert!(lines.iter().skip(1).step_by(2).all(|line| *line == "<30>two"));
    }
    assert!(bench.gaps.is_empty(), "{:?}", bench.gaps);
}

#[test]
fn the_key_of_a_pinned_certificate_is_needed_as_well() {
    let one = Identity::new();
    let mut bench = Bench::new(&[("one", &one.pin())]);
    for version in [&TLS13, &TLS12] {
        let stolen = Identity {
            certificate: one.certificate.clone(),
            pem: String::new(),
            key: KeyPair::generate().unwrap(),
        };
        let provider = default_provider();
        let key = provider
            .key_provider
            .load_private_key(PrivatePkcs8KeyDer::from(stolen.key.serialize_der()).into());
        let shown = rustls::sign::CertifiedKey::new(vec![stolen.certificate], key.unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(bench.server.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
        assert!(is_refused(bench.connect(Arc::new(config))), "{version:?}");
    }
    let mut stream = bench.known(&one);
    say(&mut stream, &frame("mine"));
    bench.poll_until("the right one is heard", |bench| !bench.lines.is_empty());
    assert_eq!(bench.lines("one"), ["mine"]);
}

#[test]
fn each_connection_shows_its_certificate_and_none_is_resumed() {
    let one = Identity::new();
    let mut bench = Bench::new(&[("one", &one.pin())]);
    for version in [&TLS13, &TLS12] {
        let config = bench.tls(Some(&one), version);
        for _ in 0..2 {
            let mut stream = bench.connect(config.clone()).unwrap();
            say(&mut stream, &frame("heard"));
            assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Full), "{version:?}");
            // It reads what would be a ticket, too.
            bye(stream);
        }
    }
    bench.poll_until("all are heard", |bench| bench.lines.len() == 4);
}

#[test]
fn an_address_counts_where_no_certificate_is_shown_and_no_other_address_does() {
    let (one, stranger) = (Identity::new(), Identity::new());
    let mut bench = Bench::new(&[("one", &one.pin()), ("old", "tls:127.0.0.1")]);
    let mut old = bench.client(None, &TLS12).unwrap();
    say(&mut old, &frame("from the address"));
    let mut known = bench.known(&one);
    say(&mut known, &frame("from the same, with a certificate"));
    assert!(is_refused(bench.client(Some(&stranger), &TLS13)));
    bench.poll_until("both are heard", |bench| bench.lines.len() >= 2);
    assert_eq!(bench.lines("old"), ["from the address"]);
    assert_eq!(bench.lines("one"), ["from the same, with a certificate"]);

    let mut other = Bench::new(&[("old", "tls:127.0.0.2")]);
    assert!(is_refused(other.client(None, &TLS13)));
    other.poll();
    assert!(other.lines.is_empty() && other.gaps.is_empty());
}

#[test]
fn messages_that_nobody_polls_wait_at_their_sender() {
    let one = Identity::new();
    let mut bench = Bench::new(&[("one", &one.pin())]);
    let stream = bench.known(&one);
    // Four times what waits of one source.
    let messages: Vec<String> =
        (0..4_000).map(|number| format!("{number:06} {}", "x".repeat(1_000))).collect();
    let sent = messages.clone();
    let sender = std::thread::spawn(move || {
        let mut stream = stream;
        for message in sent {
            stream.write_all(&frame(&message)).unwrap();
        }
        bye(stream);
    });
    bench.poll_until("all are heard", |bench| bench.lines.len() >= messages.len());
    sender.join().unwrap();
    assert_eq!(bench.lines("one"), messages);
    assert!(bench.gaps.is_empty(), "{:?}", bench.gaps);
}

#[test]
fn what_is_cut_or_not_of_the_form_is_a_gap_and_what_is_too_long_another() {
    let one = Identity::new();
    let mut bench = Bench::new(&[("one", &one.pin())]);
    let broken = |lines, bytes| ("one".to_owned(), GapReason::ConnectionBroken, lines, bytes);
    // In order, and in the middle of a message.
    let mut stream = bench.known(&one);
    say(&mut stream, &[&frame("whole")[..], b"10 half"].concat());
    bye(stream);
    bench.poll_until("half a message is a gap", |bench| !bench.gaps.is_empty());
    assert_eq!(std::mem::take(&mut bench.gaps), [broken(Some(1), 4)]);
    // Without a word: on the way somebody may have cut off what followed (RFC 5425 section 4.4).
    let mut stream = bench.known(&one);
    say(&mut stream, &frame("whole, too"));
    stream.sock.shutdown(Shutdown::Write).unwrap();
    bench.poll_until("an end without a word is a gap", |bench| !bench.gaps.is_empty());
    assert_eq!(std::mem::take(&mut bench.gaps), [broken(None, 0)]);
    // Framed by newlines.
    let mut stream = bench.known(&one);
    say(&mut stream, b"<30>1 - a message\n");
    bench.poll_until("another form is a gap", |bench| !bench.gaps.is_empty());
    assert_eq!(std::mem::take(&mut bench.gaps), [broken(None, 0)]);
    assert_eq!(
        stream.read(&mut [0]).map_err(|error| error.kind()),
        Err(ErrorKind::UnexpectedEof),
        "it was ended"
    );
    // Too long, and followed by another.
    let mut stream = bench.known(&one);
    say(&mut stream, &[frame(&"x".repeat(70_000)), frame("behind it")].concat());
    bench.poll_until("what follows is heard", |bench| bench.lines.len() >= 3);
    bench.poll_until("what is too long is counted", |bench| !bench.gaps.is_empty());
    assert_eq!(bench.gaps, [("one".to_owned(), GapReason::TooLong, Some(1), 70_000)]);
    assert_eq!(bench.lines("one"), ["whole", "whole, too", "behind it"]);
}

#[test]
fn a_stranger_takes_no_place_of_a_known_one_and_what_is_silent_makes_room() {
    let (one, two) = (Identity::new(), Identity::new());
    let mut bench = Bench::new(&[("one", &one.pin()), ("two", &two.pin())]);
    let mut known = bench.known(&two);
    say(&mut known, &frame("before"));
    bench.poll_until("it is heard", |bench| bench.lines.len() == 1);
    let strangers: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(bench.address).unwrap()).collect();
    say(&mut known, &frame("beside them"));
    bench.poll_until("a known one is heard", |bench| bench.lines.len() == 2);
    drop(strangers);

    // A device that lost its power four times, and begins again.
    let mut silent = Vec::new();
    for _ in 0..6 {
        let mut stream = loop {
            // Until the strangers' places are free.
            let mut stream = bench.client(Some(&one), &TLS13).unwrap();
            if stream.conn.complete_io(&mut stream.sock).is_ok() && !stream.conn.is_handshaking() {
                break stream;
            }
        };
        say(&mut stream, &frame("again"));
        let heard = 1 + bench.lines("one").len();
        bench.poll_until("it is heard each time", |bench| bench.lines("one").len() == heard);
        silent.push(stream);
    }
    bench.poll_until("two were ended", |bench| !bench.gaps.is_empty());
    assert!(bench.gaps.iter().all(|(of, why, ..)| of == "one" && *why == GapReason::ConnectionBroken));
    let mut last = silent.pop().unwrap();
    say(&mut last, &frame("and goes on"));
    bench.poll_until("the last is there", |bench| bench.lines("one").len() == 7);
    assert_eq!(silent[0].read(&mut [0]).ok(), Some(0), "the first was ended in order");
}

#[test]
fn a_key_that_others_can_read_and_one_that_is_not_the_certificates_are_refused() {
    let refused = |change: &dyn Fn(&Bench)| {
        let bench = Bench::stopped(&[("one", "tls:127.0.0.1")]);
        change(&bench);
        Sources::open(&bench.config(), Default::default())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    assert_eq!(refused(&|_| {}), "");
    assert!(refused(&|bench| mode(&bench.path("key"), 0o640)).contains("chmod 600"));
    assert!(
        refused(&|bench| bench.write("key", &KeyPair::generate().unwrap().serialize_pem()))
            .contains("together")
    );
    assert!(refused(&|bench| bench.write("key", "")).contains("no private key"));
    assert!(refused(&|bench| bench.write("pem", "")).contains("no certificate"));
    assert!(refused(&|bench| fs::remove_file(bench.path("pem")).unwrap()).contains("cannot read"));
    let taken = refused(&|bench| std::mem::forget(TcpListener::bind(bench.address).unwrap()));
    assert!(taken.contains("cannot listen"), "{taken}");
}

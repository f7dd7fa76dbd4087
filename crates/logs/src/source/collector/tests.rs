//! What takes time, with a clock of the test's own; and who is who.

use super::*;
use rcgen::{CertificateParams, KeyPair};
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

/// A listener with one connection, whose client has sent a byte, and the client's end.
fn work(now: Instant) -> (Work, TcpStream) {
    let directory = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (certificate, key) = (write("pem", certificate.pem()), write("key", key.serialize_pem()));
    let senders = Senders::default();
    let tls = tls::configuration(&certificate, &key, &senders).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(b"\x16").unwrap();
    let (socket, address) = listener.accept().unwrap();
    listener.set_nonblocking(true).unwrap();
    let connection = Connection::new(socket, address.ip(), tls.clone(), now).unwrap();
    let (connections, refusals) = (vec![connection], Refusals::default());
    (Work { listener, tls, senders, connections, refusals }, client)
}

#[test]
fn a_handshake_that_takes_too_long_is_over() {
    let now = Instant::now();
    let (mut work, _client) = work(now);
    work.step(&[false], now + Duration::from_secs(10));
    assert_eq!((work.connections.len(), work.refusals.count), (1, 0));
    work.step(&[false], now + Duration::from_secs(11));
    assert_eq!((work.connections.len(), work.refusals.count), (0, 1));
}

#[test]
fn handshakes_are_so_many_and_from_one_address_so_many_and_known_ones_take_no_place() {
    let now = Instant::now();
    let (mut work, client) = work(now);
    let address = work.listener.local_addr().unwrap();
    let mut clients = vec![client];
    let mut connect = |work: &mut Work, count: usize| {
        let came = |work: &Work| work.connections.len() + work.refusals.count as usize;
        let all = came(work) + count;
        clients.extend((0..count).map(|_| TcpStream::connect(address).unwrap()));
        while came(work) < all {
            work.accept(now);
        }
    };
    // There is one already.
    connect(&mut work, 5);
    assert_eq!((work.connections.len(), work.refusals.count), (4, 2), "of one address there are four");
    for number in 0..12 {
        work.connections.iter_mut().for_each(|one| one.peer = IpAddr::from([192, 0, 2, 1]));
        connect(&mut work, 1);
        assert_eq!(work.connections.len(), 5 + number);
    }
    connect(&mut work, 1);
    assert_eq!((work.connections.len(), work.refusals.count), (16, 3), "in all there are sixteen");
    let known = work.connections.pop().unwrap().opened(Arc::new(Queue::new(100)));
    work.connections.push(known);
    work.connections.iter_mut().for_each(|one| one.peer = IpAddr::from([192, 0, 2, 1]));
    connect(&mut work, 1);
    assert_eq!((work.connections.len(), work.refusals.count), (17, 3));
}

#[test]
fn where_messages_wait_their_connection_is_not_read() {
    let (mut work, _client) = work(Instant::now());
    let queue = Arc::new(Queue::new(100));
    let connection = work.connections.pop().unwrap().opened(Arc::clone(&queue));
    work.connections.push(connection);
    // It has a byte; the listener has nothing.
    assert_eq!(work.wait().unwrap(), [true]);
    queue.push(vec![0; 100]);
    assert_eq!(work.wait().unwrap(), [false]);
}

#[test]
fn refusals_are_told_once_in_a_while() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    for _ in 0..1_000 {
        refusals.note(None, "why".to_owned());
    }
    refusals.tell(now);
    assert_eq!((refusals.count, refusals.told), (0, Some(now)));
    refusals.note(None, "why".to_owned());
    refusals.tell(now + Duration::from_secs(9));
    assert_eq!((refusals.count, refusals.told), (1, Some(now)));
    refusals.tell(now + Duration::from_secs(10));
    assert_eq!((refusals.count, refusals.told), (0, Some(now + Duration::from_secs(10))));
}

#[test]
fn a_certificate_counts_before_an_address_and_what_waits_is_bounded_in_all() {
    let client = |number: u8| Client::Certificate(Digest([number; 32]));
    let mut text = "[spool]\ndirectory = \"/s\"\n[collector]\nlisten = \"[::]:6514\"\ncertificate = \"/c\"\nkey = \"/k\"\n".to_owned();
    for number in 0..32 {
        let digest = wardein_crypto::hex::encode(&[number; 32]);
        text +=
            &format!("[[source]]\nname = \"s{number}\"\ndevice = \"d\"\nsyslog = \"tls:sha256:{digest}\"\n");
    }
    let senders = Senders::of_all(&LogsConfig::parse(&text).unwrap());
    let address = IpAddr::from([192, 0, 2, 1]);
    assert!(senders.of(None, address).is_none());
    assert!(senders.of(Some(Digest([99; 32])), address).is_none());
    let (index, sender) = senders.of(Some(Digest([7; 32])), address).unwrap();
    assert!(index == 7 && Arc::ptr_eq(&sender.queue, &senders.queue(&client(7)).unwrap()));
    assert!(senders.queue(&client(99)).is_none() && senders.queue(&Client::Address(address)).is_none());
    let mut room = 0;
    while sender.queue.has_room() {
        sender.queue.push(vec![0; 64 << 10]);
        room += 64 << 10;
    }
    assert!((WAITING / 32..WAITING / 16).contains(&room), "{room}");
}

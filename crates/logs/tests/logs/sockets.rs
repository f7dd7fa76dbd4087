//! Messages of syslog by a socket.

use crate::testkit::Bench;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use wardein_logs::{GapReason, Sources};

/// Polls until so many messages were read, counted as lost or skipped; a thread takes them in its own time.
fn poll_for(bench: &mut Bench, messages: u64) {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "messages are neither read nor counted");
        bench.poll(1 << 20);
        let lost: u64 = bench.gaps.iter().filter_map(|gap| gap.lines).sum();
        if bench.read + lost >= messages {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn messages_come_by_a_unix_socket() {
    let mut bench = Bench::new("syslog = \"unix:DIR/log\"");
    bench.poll(1);
    let program = UnixDatagram::unbound().unwrap();
    let path = bench.path("log");
    for message in ["<30>Nov 30 12:00:00 pump[7]: started\n", "two\nlines", "with a zero\0", "", "in\0side"] {
        program.send_to(message.as_bytes(), &path).unwrap();
    }
    program.send_to(&[b'x'; 70_000], &path).unwrap();
    poll_for(&mut bench, 5);
    assert_eq!(
        bench.lines,
        ["<30>Nov 30 12:00:00 pump[7]: started", "two\nlines", "with a zero", "in\u{fffd}side"]
    );
    assert_eq!(bench.gaps.iter().map(|gap| gap.why).collect::<Vec<_>>(), [GapReason::TooLong]);
    // The agent leaves no socket behind, and takes the place of one that a killed process left.
    bench.stop();
    assert!(!path.exists());
    drop(UnixDatagram::bind(&path).unwrap());
    bench.poll(1);
    program.send_to(b"again", &path).unwrap();
    poll_for(&mut bench, 6);
    assert_eq!(bench.lines.last().unwrap(), "again");
    // Of something else than a socket it takes nothing.
    bench.stop();
    bench.append("log", "a file");
    assert!(Sources::open(&bench.config(), Default::default()).is_err());
}

#[test]
fn messages_that_nobody_polls_are_counted() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut bench = Bench::new(&format!("syslog = \"udp:{address}\""));
    bench.poll(1);
    let program = UdpSocket::bind("127.0.0.1:0").unwrap();
    let message = [b'x'; 1_000];
    for _ in 0..3_000 {
        program.send_to(&message, address).unwrap();
    }
    poll_for(&mut bench, 3_000);
    let lost: u64 = bench.gaps.iter().map(|gap| gap.lines.unwrap()).sum();
    assert!(bench.gaps.iter().all(|gap| gap.why == GapReason::SocketOverrun));
    // A megabyte waits; the rest is counted, by the agent or by the kernel.
    assert!(bench.read > 0 && lost > 0, "{} read, {lost} lost", bench.read);
    assert_eq!(bench.read + lost, 3_000);
}

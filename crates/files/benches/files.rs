//! How fast a file is sealed: `cargo bench -p wardein-files --bench files`. One thread, 1 GiB, beside age's own stream (ChaCha20-Poly1305) over the
//! same bytes in this process, and beside the digest that the statement names. In turns, so that a machine that slows down slows all of them.

use std::hint::black_box;
use std::io::{Read, Write, repeat, sink};
use std::time::Instant;
use wardein_crypto::{Secret, Sha256};
use wardein_ddkg::message::FileStanza;
use wardein_files::{Authority, FileError, Reader, seal};

const LENGTH: u64 = 1 << 30;
const ROUNDS: usize = 5;

fn main() {
    let identity = age::x25519::Identity::generate();
    let ways: [(&str, &dyn Fn()); 3] = [
        ("age's stream", &|| age_stream(&identity.to_public())),
        ("sealed and digested, as `file seal` does", &sealed),
        ("SHA-256 alone", &digested),
    ];
    let mut best = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        for (way, best) in ways.iter().zip(&mut best) {
            let start = Instant::now();
            (way.1)();
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    for ((name, _), seconds) in ways.iter().zip(best) {
        println!("{name}: {:.0} MiB/s", (LENGTH >> 20) as f64 / seconds);
    }
    let bound = best[0] + best[2];
    println!(
        "sealed at {:.2} of age's stream alone, {:.2} of it with the digest",
        best[0] / best[1],
        bound / best[1]
    );
    let reader: Result<Reader, _> = identity.to_public().to_string().parse();
    black_box(reader).expect("a recipient of age's is a reader");
}

fn sealed() {
    let mut wrap = |_: &Secret<16>| {
        FileStanza::parse("ddkg1 ddkg1:klinik/pump-1/1.file.0.6", &[7; 32]).map_err(FileError::Stanza)
    };
    let done = seal(repeat(7).take(LENGTH), sink(), &[], Authority::Opens(&mut wrap), &mut |_| {});
    black_box(done).expect("a sink takes everything");
}

fn age_stream(to: &age::x25519::Recipient) {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(to as _)).expect("there is a recipient");
    let mut stream = encryptor.wrap_output(sink()).expect("a sink takes everything");
    in_chunks(|chunk| stream.write_all(chunk).expect("a sink takes everything"));
    black_box(stream.finish()).expect("a sink takes everything");
}

fn digested() {
    let mut sha256 = Sha256::new();
    in_chunks(|chunk| sha256.update(chunk));
    black_box(sha256.finish());
}

fn in_chunks(mut take: impl FnMut(&[u8])) {
    let (mut input, mut chunk) = (repeat(7).take(LENGTH), vec![0; 64 << 10]);
    loop {
        match input.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(length) => take(&chunk[..length]),
        }
    }
}

//! The authority's end of DDKG-1 over standard input and output, for the C programs beside this one. It stands for whatever
//! carries messages in a real device: a station at enrollment, the network afterwards.
//!
//! Each message either way is `u32(length) ‖ bytes`, big-endian. A question begins with a byte that says what it is:
//!
//! | byte | question | answer |
//! | --- | --- | --- |
//! | `K` | | the identity key, 65 bytes |
//! | `E` | enrollment request | enrollment reply |
//! | `C` | confirmation | |
//! | `A` | | challenge |
//! | `P` | `u32(length) ‖ proof ‖ body` | reply |
//! | `T` | token for the audience `platform`, nonce `nonce` | |
//! | `S` | sealed payload with the additional data `ward 3` | what it holds |
//! | `W` | `u32(seconds)` to let pass | |
//!
//! An answer begins with the byte 1, or else with 0: then a refusal follows, `u32(epoch) ‖ code`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test program sends is right, or the test fails here"
)]

#[path = "../tests/c/authority.rs"]
mod authority;

use authority::{Authority, Refused};
use std::io::{ErrorKind, Read, Write, stdin, stdout};

fn main() {
    let mut authority = Authority::new();
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return,
            read => read.unwrap(),
        }
        let mut question = vec![0; u32::from_be_bytes(length) as usize];
        input.read_exact(&mut question).unwrap();
        let (what, rest) = question.split_first().unwrap();
        let answer = match answer(&mut authority, *what, rest) {
            Ok(answer) => [&[1][..], &answer].concat(),
            Err(refused) => [&[0][..], &refused.epoch.to_be_bytes(), refused.code.as_bytes()].concat(),
        };
        output.write_all(&(answer.len() as u32).to_be_bytes()).unwrap();
        output.write_all(&answer).unwrap();
        output.flush().unwrap();
    }
}

fn answer(authority: &mut Authority, what: u8, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let none = |()| Vec::new();
    match what {
        b'K' => Ok(authority.identity_key().to_vec()),
        b'E' => authority.enroll(bytes),
        b'C' => authority.confirm(bytes).map(none),
        b'A' => Ok(authority.offer()),
        b'P' => {
            let (length, rest) = bytes.split_first_chunk().unwrap();
            let (proof, body) = rest.split_at(u32::from_be_bytes(*length) as usize);
            authority.prove(proof, body)
        }
        b'T' => authority.verify_token(bytes, "platform", b"nonce").map(none),
        b'S' => authority.open(bytes, b"ward 3"),
        b'W' => {
            authority.now += u64::from(u32::from_be_bytes(bytes.try_into().unwrap()));
            Ok(Vec::new())
        }
        other => panic!("there is no question {other}"),
    }
}

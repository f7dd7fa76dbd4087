//! Writes valid inputs for every target into `corpus/`: where fuzzing starts when there is no corpus yet, or when a
//! message gets another form. `cargo run --example seeds` in `crates/ddkg/fuzz`, then `cargo fuzz cmin`.

use std::fs;
use std::path::{Path, PathBuf};
use wardein_crypto::Secret;
use wardein_ddkg::authority::Record;
use wardein_ddkg::device::{Clock, DeviceState};
use wardein_ddkg::{AuthorityTime, Cover, Purposes};
use wardein_ddkg_fuzz::world::{self, Counter, START};
use wardein_domain::{Purpose, Schedule};

fn main() {
    for suite in world::suites() {
        let mut seeds = Seeds { name: format!("suite{}", suite.number()), count: 0 };
        let entropy = &mut Counter(1);
        let schedule = Schedule { period: 3_600, max_uses: 3, not_before: START };
        let (enrolling, reply, record) = world::enroll(None, suite, schedule, entropy).expect("the first");
        let mut record = record.expect("it is new");
        seeds.record(&record);
        seeds.message(&enrolling.request().encode());
        seeds.message(&world::attributes().encode());
        seeds.message(&reply.encode());

        let mut device = enrolling.finish(&reply, Purposes::ENROLLED).expect("the reply is right");
        let mut saved = Vec::new();
        let confirmation = world::save(device.confirmation().expect("unconfirmed"), &mut saved);
        seeds.state(&saved);
        seeds.message(&confirmation.encode());
        record.confirm(&confirmation).expect("it is right");
        seeds.record(&record);

        let mut now = START + 40_000;
        for _ in 0..2 {
            prove(&mut record, &mut device, now, &mut saved, &mut seeds, entropy);
            rekey(&mut record, &mut device, now, &mut saved, &mut seeds, entropy);
            now += 4_000;
            prove(&mut record, &mut device, now, &mut saved, &mut seeds, entropy);
            keys(&mut record, &mut device, now, &mut saved, &mut seeds, entropy);
        }
        covers(&record, &mut seeds);
    }
    orders();
}

/// Where each seed goes; equal ones fall together when the corpus is minimized.
struct Seeds {
    name: String,
    count: usize,
}

impl Seeds {
    fn message(&mut self, bytes: &[u8]) {
        self.write("decode", bytes);
    }

    fn state(&mut self, saved: &[u8]) {
        let (body, _checksum) = saved.split_at(saved.len() - 16);
        self.write("device_state", body);
    }

    fn record(&mut self, record: &Record) {
        self.write("record", &[&(START + 50_000).to_be_bytes()[..], &world::bytes(record)].concat());
    }

    fn write(&mut self, target: &str, bytes: &[u8]) {
        self.count += 1;
        write(target, &format!("{}-{:02}", self.name, self.count), bytes);
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the folder can be made");
    fs::write(folder.join(name), bytes).expect("the seed can be written");
}

fn prove(
    record: &mut Record,
    device: &mut DeviceState,
    now: u64,
    saved: &mut Vec<u8>,
    seeds: &mut Seeds,
    entropy: &mut Counter,
) {
    let (offer, checked) = world::offer(record, record.attributes().names(), now, entropy);
    seeds.message(offer.challenge.as_bytes());
    seeds.message(&offer.encode());
    let (ask, measured) = (device.ask_challenge(), world::attributes().digests());
    let action = "authenticate".parse().expect("an action");
    let unsaved = device.prove(ask, &offer, &measured, action, b"", entropy).expect("a good challenge");
    let (request, in_flight) = world::save(unsaved, saved);
    seeds.message(&request.encode());
    let accepted =
        record.verify(&request, checked, &offer.recipe, b"", AuthorityTime::sure(now), &world::policy()).expect("an honest proof");
    let reply = accepted.reply(now, Vec::new());
    seeds.message(&reply.encode());
    world::save(device.acknowledge(in_flight, reply).expect("an honest reply"), saved);
    seeds.state(saved);
    seeds.record(record);
}

fn rekey(
    record: &mut Record,
    device: &mut DeviceState,
    now: u64,
    saved: &mut Vec<u8>,
    seeds: &mut Seeds,
    entropy: &mut Counter,
) {
    // Twice: the second one replaces what the first one agreed.
    for _ in 0..2 {
        let (offer, checked) = world::offer(record, record.attributes().names(), now, entropy);
        let (ask, suite, measured) = (device.ask_challenge(), device.suite(), world::attributes().digests());
        let unsaved = device.rekey(ask, &offer, &measured, suite, entropy).expect("a good challenge");
        let (request, rekey, in_flight) = world::save(unsaved, saved);
        seeds.message(&rekey.encode());
        let accepted = record
            .verify(&request, checked, &offer.recipe, &rekey.encode(), AuthorityTime::sure(now), &world::policy())
            .expect("an honest proof");
        let schedule = Schedule { not_before: now, ..*record.schedule() };
        let answer = record.rekey(&accepted, &rekey, schedule, entropy).expect("an honest rekey");
        seeds.message(&answer.encode());
        seeds.record(record);
        if record.pending_generation() == Some(device.generation() + 1) && seeds.count % 2 == 0 {
            continue;
        }
        let reply = accepted.reply(now, answer.encode());
        world::save(device.acknowledge(in_flight, reply).expect("an honest reply"), saved);
        seeds.state(saved);
        return;
    }
}

fn keys(
    record: &mut Record,
    device: &mut DeviceState,
    now: u64,
    saved: &mut Vec<u8>,
    seeds: &mut Seeds,
    entropy: &mut Counter,
) {
    let clock = Clock { elapsed: 10, wall: Some(now) };
    let audience = "platform.example".parse().expect("an audience");
    let token = world::save(device.token(clock, audience, b"nonce").expect("it is proven"), saved);
    seeds.message(&token.encode());
    let sealed = world::save(device.seal(clock, b"", b"37.2", entropy).expect("there are keys"), saved);
    seeds.message(&sealed.encode());
    seeds.message(sealed.name().to_string().as_bytes());
    let file_key = Secret::copied_from(&[5; 16]);
    let stanza = world::save(device.wrap_file_key(clock, &file_key).expect("there are keys"), saved);
    seeds.message(&[stanza.arguments().as_bytes(), b"\n", stanza.body()].concat());
    seeds.state(saved);
    let _ = record.open(&sealed, b"", AuthorityTime::sure(now), &world::policy()).expect("it was sealed just now");
    seeds.record(record);
}

fn covers(record: &Record, seeds: &mut Seeds) {
    let first = 20;
    for (first, last) in [(first, first), (first, first + 9), (first, u32::MAX), (first + 1, u32::MAX - 1)] {
        let delegation = record.delegate(Purpose::Data, first, last).expect("within the tree").encode();
        seeds.message(delegation.expose());
        let cover = &delegation.expose()[4 + 11 + 4 + 9 + 8 + 4 + 4..];
        assert!(Cover::decode(cover).is_ok());
        seeds.message(cover);
    }
}

/// For the target of both ends: a few lives, as orders.
fn orders() {
    const ROUND: &[u8] = &[1, 3, 0, 0, 0, 0, 5, 0, 0, 7, 0, 0, 1, 0];
    const REKEY: &[u8] = &[1, 4, 0, 0, 1, 5, 1, 0, 7, 1, 1, 1, 0];
    // The order to rekey with its highest bit set, and a proof under the new name.
    const TRANSFER: &[u8] = &[1, 0x84, 0, 0, 0, 5, 1, 0, 7, 1, 1, 1, 0, 1, 3, 0, 0, 0, 0, 5, 2, 0, 7, 2, 2, 1, 0];
    const BACK: &[u8] = &[1, 0x84, 0, 0, 0, 5, 3, 0, 7, 3, 3, 1, 0, 9, 1, 3, 0, 0, 0, 0, 5, 4, 0, 7, 4, 4, 1, 0];
    let lives: [(&str, Vec<u8>); 7] = [
        ("confirm-and-prove", [&[10, 0][..], ROUND, &[0, 200, 20], ROUND].concat()),
        ("rekey", [&[10, 0][..], ROUND, REKEY, &[1, 3, 0, 0, 0, 0, 5, 2, 0, 7, 2, 2, 1, 0]].concat()),
        ("keys", [&[10, 0][..], ROUND, &[12, 0, 1, 0, 0, 13, 0, 1, 0, 0, 14, 0, 1, 0, 15]].concat()),
        ("repeated-and-changed", [&[10, 0][..], ROUND, &[5, 0, 0, 5, 0, 3, 0, 9, 1, 9, 1, 3, 0]].concat()),
        ("enroll-again", [&[11, 0, 11, 3, 0, 9, 1, 10, 0][..], ROUND, &[11, 0, 9]].concat()),
        ("transfer", [&[10, 0][..], ROUND, &[12, 0, 0, 0, 0], TRANSFER, &[12, 0, 1, 0, 0, 13, 0, 1, 0, 0]].concat()),
        ("loan", [&[10, 0][..], ROUND, TRANSFER, BACK, &[15, 13, 0, 1, 0, 0]].concat()),
    ];
    for (index, (name, life)) in lives.into_iter().enumerate() {
        for schedule in [0, 1, 6, 10] {
            let bytes = [&[schedule, index as u8][..], &life].concat();
            write("both_ends", &format!("{name}-{schedule}"), &bytes);
        }
    }
}

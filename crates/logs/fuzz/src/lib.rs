//! What the fuzz targets do, apart from the engine, so that `tests/logs/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`approval`] | a signature of ssh-keygen, and lines of approvers | whether a logs.toml is approved |
//! | [`batch`] | a batch, compressed or as its plaintext | the header, the records, and the bounds of both |
//! | [`config`] | a logs.toml | every value in it |
//! | [`frames`] | a stream of syslog, as a client of the collector sends it | the messages that are taken out of it |

use wardein_logs::approval::{ApprovalError, Approvers};
use wardein_logs::batch::{Batch, BatchError, FilterVersion, Header, read, source_of, write};
use wardein_logs::config::{Destination, Input};
use wardein_logs::{Frame, Frames, LogsConfig};

/// Reads `data` as approvers and as a signature over [`FILE`].
pub fn approval(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(approvers) = Approvers::parse(&text) {
        assert_eq!(approvers.verify(FILE, ""), Err(ApprovalError::Form), "nothing is no signature");
    }
    let approvers = Approvers::parse(APPROVERS).expect("approvers");
    if let Ok(version) = approvers.verify(FILE, &text) {
        assert_eq!(version, FilterVersion::of(FILE));
        assert!(approvers.verify(b"another file\n", &text).is_err(), "a signature is of one file");
    }
}

/// Reads `data` as a batch, and as what a batch is once it is decompressed.
pub fn batch(data: &[u8]) {
    one_batch(data);
    one_batch(&zstd::encode_all(data, 1).expect("it is compressed in memory"));
}

fn one_batch(data: &[u8]) {
    let Ok(Batch { header, records }) = read(data) else { return };
    assert!(header.gaps.len() <= Header::MAX_GAPS && header.observed.len() <= Header::MAX_OBSERVED);
    assert!(records.iter().all(|record| source_of(record).is_some()), "a record has a source");
    match write(&header, &records) {
        // What the reader let be left out takes a few bytes more.
        Err(BatchError::TooLong) => {}
        again => {
            let again = read(&*again.expect("what is read is written")).expect("what is written is read");
            assert_eq!((again.header, again.records), (header, records), "a batch has one meaning");
        }
    }
}

/// Reads `data` as a logs.toml.
pub fn config(data: &[u8]) {
    match LogsConfig::parse(&String::from_utf8_lossy(data)) {
        Err(error) => assert!(!error.why.is_empty(), "an error says why"),
        Ok(config) => {
            for audience in config.audiences.values() {
                if let Destination::Https(url) = &audience.to {
                    assert!(url.starts_with("https://"), "nothing travels without TLS");
                }
                if let Destination::Directory(path) = &audience.to {
                    assert!(path.is_absolute());
                }
            }
            for source in &config.sources {
                assert!(source.rules.iter().all(|rule| config.audiences.contains_key(&rule.audience)));
                if matches!(source.input, Input::SyslogTls(_)) {
                    assert!(
                        source.device.is_some() && config.collector.is_some(),
                        "what comes from a network is marked"
                    );
                }
            }
        }
    }
}

/// Takes `data` apart as a stream that comes at once, and as one that comes in pieces of a length that is its first byte.
pub fn frames(data: &[u8]) {
    let in_pieces = |piece: usize| {
        let (mut frames, mut given, mut taken) = (Frames::new(MAX_MESSAGE), Vec::new(), Ok(()));
        for bytes in data.chunks(piece) {
            taken = frames.take(bytes, &mut |frame| given.push(frame));
        }
        (given, taken, frames.unfinished())
    };
    let (given, taken, unfinished) = in_pieces(data.len().max(1));
    let length = |frame: &Frame| match frame {
        Frame::Message(message) => {
            assert!((1..=MAX_MESSAGE).contains(&message.len()));
            message.len() as u64
        }
        Frame::TooLong(length) => {
            assert!(*length > MAX_MESSAGE as u64);
            *length
        }
    };
    let all: u64 = given.iter().map(length).sum::<u64>() + unfinished.unwrap_or_default();
    assert!(all <= data.len() as u64, "nothing is made up");
    let piece = usize::from(data.first().copied().unwrap_or_default()).max(1);
    assert_eq!(in_pieces(piece), (given, taken, unfinished), "where a stream is cut changes nothing");
}

/// What the signatures of the corpus are of.
pub const FILE: &[u8] = b"the text of a logs.toml\n";

/// Keys that are nowhere any more.
pub const APPROVERS: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAldHbu924K6A6Su7AIlY0xLZGg12hvhlZdLk6HujJhx\n\
    ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPdYr1avSn+ytdk+WJv7wDdrzlyD0vKj/qpQU1tAfU204rz+fR1AEDatc2tAA7UqRpPiLiodSCR5JtffIhpaDqM=\n";

const MAX_MESSAGE: usize = 1_024;

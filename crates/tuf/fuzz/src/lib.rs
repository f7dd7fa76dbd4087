//! What the fuzz targets do, apart from the engine, so that `tests/tuf/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`metadata`] | a file of metadata, as a share has it | every role, the client's workflow, what a maker says of an artifact |
//! | [`offer`] | what a device asks for an offer, and what it is answered | the forms of both, and the signature |

use wardein_crypto::P256VerifyingKey;
use wardein_domain::UnixSeconds;
use wardein_tuf::{
    Document, Envelope, Kept, MAX_TARGETS_LEN, Offer, OfferAsk, OfferReply, Release, Root, Snapshot, Targets,
    Timestamp, TrustedSet,
};

/// Reads `data` as metadata of each role, and offers it to a client that trusts it, where it is a root, for all others.
pub fn metadata(data: &[u8]) {
    if let Ok(envelope) = Envelope::parse(data, MAX_TARGETS_LEN) {
        same::<Root>(&envelope);
        same::<Timestamp>(&envelope);
        same::<Snapshot>(&envelope);
        if let Some(targets) = same::<Targets>(&envelope) {
            targets.targets.values().for_each(|file| drop(Release::of(file)));
        }
        let bytes = envelope.to_bytes();
        let again = Envelope::parse(&bytes, MAX_TARGETS_LEN).expect("what is written is read");
        assert_eq!(again.canonical(), envelope.canonical(), "nothing that is signed is lost");
    }
    let kept = Kept { timestamp: Some(data), snapshot: Some(data) };
    for now in [UnixSeconds::new(0), UnixSeconds::new(u64::MAX)] {
        let Ok(mut set) = TrustedSet::new(data, kept, now) else { continue };
        for _ in 0..4 {
            let Some(wanted) = set.wanted() else { break };
            assert!(!wanted.file.contains('/'), "a file's name stays in its directory");
            if set.take(data).is_err() && set.absent().is_err() {
                break;
            }
        }
    }
}

/// What was read is the same when it is written and read again.
fn same<D: Document + PartialEq>(envelope: &Envelope) -> Option<D> {
    let document: D = envelope.read().ok()?;
    let written = Envelope::new(&document).read::<D>();
    assert!(written.is_ok_and(|written| written == document), "a document has one meaning");
    Some(document)
}

/// Reads `data` as an ask, a reply and an offer. Nobody here has the key that would have signed it.
pub fn offer(data: &[u8]) {
    if let Some(ask) = OfferAsk::decode(data) {
        assert_eq!(ask.encode(), data, "an ask has one form");
    }
    if let Some(OfferReply::Offered(bytes)) = OfferReply::decode(data) {
        assert!(Offer::open(&bytes, &P256VerifyingKey(GENERATOR)).is_err(), "nobody signed it");
    }
    assert!(Offer::open(data, &P256VerifyingKey(GENERATOR)).is_err(), "nobody signed it");
}

/// A point of the curve whose key nobody here has: its generator (SEC 2 §2.4.2).
pub const GENERATOR: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

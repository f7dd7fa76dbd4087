//! What the fuzz target does, apart from the engine, so that `tests/device/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`lines`] | lines of JSON, as over a serial line | the station that hears a device, and the device that hears a station |

use wardein_crypto::{Entropy, EntropyError, P256VerifyingKey};
use wardein_ddkg::device::Enrolling;
use wardein_ddkg::{Attributes, DeviceName, Purposes, Suite};
use wardein_device::{CallError, LineDevice, LineStation, Station, Unheard};
use wardein_testkit::block_on;

/// Hears `data` as what a device says to a station, and as what a station answers a device.
pub fn lines(data: &[u8]) {
    let mut device = LineDevice::new(data, std::io::sink());
    for _ in 0..=data.len() {
        match device.hear() {
            Ok(_) => {}
            Err(Unheard::Malformed(reason)) => assert!(!reason.is_empty()),
            Err(Unheard::Closed | Unheard::Io(_)) => break,
        }
    }
    let name = DeviceName {
        tenant: "klinik".parse().expect("a tenant"),
        device: "pump-1".parse().expect("a device"),
    };
    // Nobody here has the key of the pinned one, so that no reply is believed.
    let enrolling =
        Enrolling::begin(P256VerifyingKey(GENERATOR), Suite::P256, name, Attributes::new(), &mut Counter(1));
    let enrolling = enrolling.expect("there is entropy");
    let mut station = LineStation::new(data, std::io::sink());
    match block_on(station.enroll(enrolling.request())) {
        Ok((_, reply)) => assert!(enrolling.finish(&reply, Purposes::ENROLLED).is_err(), "nobody signed it"),
        Err(CallError::Refused(refused)) => {
            assert!(refused.code.len() + refused.message.len() <= data.len() + 64)
        }
        Err(_) => {}
    }
}

struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill_with(|| {
            self.0 = self.0.wrapping_add(1);
            self.0
        });
        Ok(())
    }
}

/// A point of the curve whose key nobody here has: its generator (SEC 2 §2.4.2).
pub const GENERATOR: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

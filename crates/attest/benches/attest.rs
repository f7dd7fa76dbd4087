//! What it costs to verify a TPM's evidence, and how many enrollments that makes on one core.
//!
//! `cargo bench -p wardein-attest`
//!
//! The evidence is a real TPM's, of `tests/vectors`. Each figure is a mean over [`RUN`] operations; other work on the machine only ever
//! adds to it, so that it is measured in several rounds, and the least counts.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use wardein_attest::{AkPublic, EkPublic, EkTrust, Evidence, TrustedAk, make_credential};
use wardein_crypto::{Secret, SystemEntropy};
use wardein_domain::{Bank, PcrSelection};
use wardein_pki::VendorRoots;

fn main() {
    // `cargo test --benches` runs this too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for ek in ["rsa2048", "p256", "p384"] {
        for ak in ["p256", "rsassa"] {
            let device = Device::read(ek, ak);
            let [first, second] = [mean(|| device.first_step()), mean(|| device.second_step())];
            let rate = 1.0 / (first + second).as_secs_f64();
            println!(
                "EK {ek:<8} AK {ak:<7} first step {first:>9.1?}, second step {second:>9.1?}: {rate:>6.0} enrollments a second and core"
            );
        }
    }
    for ak in ["p256", "rsassa", "rsapss", "p384"] {
        let device = Device::read("p256", ak);
        println!("AK {ak:<7} a quote with its values {:>9.1?}", mean(|| device.quote()));
    }
}

/// What a device sends.
struct Device {
    trust: EkTrust,
    ek: Vec<u8>,
    chain: [Vec<u8>; 2],
    ak: Vec<u8>,
    key: Vec<u8>,
    certify: [Vec<u8>; 2],
    quote: [Vec<u8>; 2],
    registers: Vec<u8>,
    selection: PcrSelection,
}

impl Device {
    fn read(ek: &str, ak: &str) -> Self {
        let statement = |kind| ["attest", "sig"].map(|end| read(&format!("{kind}-{ak}.{end}")));
        Self {
            trust: EkTrust::new(VendorRoots::new(&[&read("vendor-root.der")]).expect("a root"), false),
            ek: read(&format!("ek-{ek}.pub")),
            chain: [read(&format!("ek-{ek}.der")), read("vendor-issuer.der")],
            ak: read(&format!("ak-{ak}.pub")),
            key: read("device.pub"),
            certify: statement("certify"),
            quote: statement("quote"),
            registers: read("pcrs"),
            selection: PcrSelection::new(Bank::Sha256, &[0, 7, 16]).expect("registers"),
        }
    }

    /// The certificate's chain of two CAs' signatures by RSA-3072, both keys, and the credential.
    fn first_step(&self) {
        let ek = EkPublic::parse(&self.ek).expect("an endorsement key");
        let chain = [&self.chain[0][..], &self.chain[1]];
        let endorsed = self.trust.judge(ek, &chain, false, NOW).expect("it is endorsed");
        let ak = AkPublic::parse(&self.ak).expect("an attestation key");
        let secret = Secret::copied_from(&[7; 32]);
        let made = make_credential(&endorsed, &ak, &secret, &mut SystemEntropy::default());
        black_box(made.expect("a credential"));
    }

    /// The secret, the device's key with its certify, and a quote.
    fn second_step(&self) {
        let ak = AkPublic::parse(&self.ak).expect("an attestation key");
        let secret = Secret::copied_from(&[7; 32]);
        let ak = TrustedAk::activated(ak, &secret, &[7; 32]).expect("the secret");
        let evidence = Evidence { attested: &self.certify[0], signature: &self.certify[1] };
        black_box(ak.certified(evidence, NONCE, &self.key).expect("it is certified"));
        self.quoted(&ak);
    }

    /// What a renewal takes: the key is on record.
    fn quote(&self) {
        self.quoted(&TrustedAk::assertion(AkPublic::parse(&self.ak).expect("an attestation key")));
    }

    fn quoted(&self, ak: &TrustedAk) {
        let evidence = Evidence { attested: &self.quote[0], signature: &self.quote[1] };
        let state = ak.quoted(evidence, NONCE, self.selection).expect("it is quoted");
        let values: Vec<&[u8]> = self.registers.chunks(32).collect();
        black_box(state.values(&values).expect("the values"));
    }
}

fn mean(operation: impl Fn()) -> Duration {
    let round = || {
        let begin = Instant::now();
        (0..RUN).for_each(|_| operation());
        begin.elapsed() / RUN
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    fs::read(path).expect("the vectors are committed")
}

const RUN: u32 = 200;
const ROUNDS: usize = 10;
const NOW: u64 = 4_102_444_800;
const NONCE: &[u8; 32] = b"a nonce of thirty-two bytes, yes";

//! Evidence of a real TPM 2.0 (`swtpm`, driven by `tpm2-tools`) is accepted, and a credential made here is opened by it.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`, as `deploy/test.sh` says.
//! `WARDEIN_BLESS=1 cargo test -p wardein-attest --test attest swtpm::` writes what the TPM gave to `tests/vectors`, from where the tests that need
//! no TPM take it.

mod tools;

use tools::{Ek, Tpm};
use wardein_attest::{AkPublic, EkPublic, EkTrust, Endorsed, Evidence, Refusal, TrustedAk, make_credential};
use wardein_crypto::{Entropy, EntropyError, Secret};
use wardein_domain::{Assurance, Bank, PcrSelection};
use wardein_pki::VendorRoots;

#[test]
fn evidence_of_a_real_tpm_is_accepted() {
    let Some(tpm) = Tpm::start() else { return };
    let [root, issuer] = tpm.vendor();
    let roots = VendorRoots::new(&[&root]).unwrap();
    tpm.keep("vendor-root.der", &root);
    tpm.keep("vendor-issuer.der", &issuer);
    let trust = EkTrust::new(roots, false);
    tpm.make_device_key();
    let device_key = tpm.read("device.pub");
    tpm.keep("device.pub", &device_key);

    let endorsed = Ek::ALL.map(|ek| {
        let (public, certificate) = tpm.ek(ek);
        tpm.keep(&format!("ek-{}.pub", ek.name()), &public);
        tpm.keep(&format!("ek-{}.der", ek.name()), &certificate);
        let parsed = EkPublic::parse(&public).unwrap();
        let endorsed = trust.judge(parsed, &[&certificate, &issuer], false, NOW).unwrap();
        assert_eq!(endorsed.assurance(), Assurance::TpmVendor, "{}", ek.name());
        (ek, endorsed)
    });
    let selection = PcrSelection::new(Bank::Sha256, &[0, 7, 16]).unwrap();
    let values = tpm.registers();
    tpm.keep("pcrs", &values);
    let values: Vec<&[u8]> = values.chunks(32).collect();

    for (name, kind, name_hash) in AKS {
        tpm.make_ak(kind, name_hash);
        let public = tpm.read("ak.pub");
        tpm.keep(&format!("ak-{name}.pub"), &public);
        for (ek, endorsed) in &endorsed {
            activate(&tpm, *ek, endorsed, &public);
        }
        let ak = TrustedAk::assertion(AkPublic::parse(&public).unwrap());

        let (attested, signature) = tpm.certify(&NONCE);
        tpm.keep(&format!("certify-{name}.attest"), &attested);
        tpm.keep(&format!("certify-{name}.sig"), &signature);
        let evidence = Evidence { attested: &attested, signature: &signature };
        let key = ak.certified(evidence, &NONCE, &device_key).unwrap();
        assert_eq!(key.public_key().spki().to_vec(), tpm.device_spki(), "{name}");

        let (attested, signature) = tpm.quote(kind, &NONCE);
        tpm.keep(&format!("quote-{name}.attest"), &attested);
        tpm.keep(&format!("quote-{name}.sig"), &signature);
        let evidence = Evidence { attested: &attested, signature: &signature };
        let state = ak.quoted(evidence, &NONCE, selection).unwrap();
        assert!(state.values(&values).is_ok(), "{name}");
    }

    // Another selection, and another value of a register, are seen.
    let ak = TrustedAk::assertion(AkPublic::parse(&tpm.read("ak.pub")).unwrap());
    let quote = |tpm: &Tpm, selection| {
        let (attested, signature) = tpm.quote(AKS[3].1, &NONCE);
        ak.quoted(Evidence { attested: &attested, signature: &signature }, &NONCE, selection)
    };
    let before = quote(&tpm, selection).unwrap();
    let other = PcrSelection::new(Bank::Sha256, &[0, 7]).unwrap();
    assert_eq!(quote(&tpm, other), Err(Refusal::PcrSelection));
    assert_eq!(quote(&tpm, selection).unwrap().same_as(&before), Ok(()));
    tpm.extend(16);
    let after = quote(&tpm, selection).unwrap();
    assert_eq!(after.same_as(&before), Err(Refusal::PcrChanged));
    assert_eq!(after.values(&values), Err(Refusal::PcrDigest));
}

/// The TPM opens a credential for its attestation key, and does not open one for another key.
fn activate(tpm: &Tpm, ek: Ek, endorsed: &Endorsed, ak: &[u8]) {
    let secret = Secret::copied_from(&SECRET);
    let public = AkPublic::parse(ak).unwrap();
    let credential = make_credential(endorsed, &public, &secret, &mut Counter(1)).unwrap();
    let shown = tpm.activate(ek, &credential).unwrap();
    assert!(TrustedAk::activated(public, &secret, &shown).is_ok());
    let mut of_another = credential.clone();
    *of_another.id_object.last_mut().unwrap() ^= 1;
    assert_eq!(tpm.activate(ek, &of_another), None);
    tpm.keep(&format!("credential-{}.id", ek.name()), &credential.id_object);
    tpm.keep(&format!("credential-{}.secret", ek.name()), &credential.encrypted_secret);
}

/// Bytes that count up: not random, so that what is made with them can be compared.
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

/// Name, `tpm2_create`'s kind, and hash of the name. The last one's credentials stay as vectors.
const AKS: [(&str, &str, &str); 4] = [
    ("rsassa", "rsa2048:rsassa-sha256:null", "sha256"),
    ("rsapss", "rsa2048:rsapss-sha256:null", "sha256"),
    ("p384", "ecc384:ecdsa-sha384:null", "sha384"),
    ("p256", "ecc256:ecdsa-sha256:null", "sha256"),
];

/// 2100-01-01: after the certificates were made, whenever this runs. They are valid until 9999.
const NOW: u64 = 4_102_444_800;
const NONCE: [u8; 32] = *b"a nonce of thirty-two bytes, yes";
const SECRET: [u8; 32] = *b"a secret that only a TPM returns";

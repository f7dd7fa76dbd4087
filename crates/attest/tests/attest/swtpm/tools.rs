//! What a device does, by `tpm2-tools` alone.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use wardein_attest::Credential;
use wardein_crypto::hex;
use wardein_testkit::Swtpm;

/// A TPM as a device has it.
pub(crate) struct Tpm(Swtpm);

/// Which endorsement key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ek {
    Rsa2048,
    P256,
    P384,
}

impl Ek {
    pub(crate) const ALL: [Self; 3] = [Self::Rsa2048, Self::P256, Self::P384];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::P256 => "p256",
            Self::P384 => "p384",
        }
    }

    fn handle(self) -> &'static str {
        match self {
            Self::Rsa2048 => "0x81010001",
            Self::P256 => "0x81010002",
            Self::P384 => "0x81010016",
        }
    }
}

impl Tpm {
    pub(crate) fn start() -> Option<Self> {
        let tpm = Self(Swtpm::start()?);
        tpm.run("tpm2_createek", &["-G", "ecc", "-c", Ek::P256.handle()]);
        tpm.run("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", "srk.ctx"]);
        tpm.flush();
        Some(tpm)
    }

    /// The certificates of its vendor, DER: root and intermediate.
    pub(crate) fn vendor(&self) -> [Vec<u8>; 2] {
        self.0.vendor().map(|path| {
            let text = fs::read_to_string(path).unwrap();
            wardein_pki::pem::decode_certificates(&text).unwrap().remove(0)
        })
    }

    /// The public area of an endorsement key, and its certificate.
    pub(crate) fn ek(&self, ek: Ek) -> (Vec<u8>, Vec<u8>) {
        self.run("tpm2_readpublic", &["-c", ek.handle(), "-o", "ek.pub"]);
        let public = self.read("ek.pub");
        let certificate = match ek {
            Ek::Rsa2048 => self.run("tpm2_nvread", &["0x01c00002"]).stdout,
            Ek::P384 => self.run("tpm2_nvread", &["0x01c00016"]).stdout,
            Ek::P256 => self.certify_p256(&public),
        };
        (public, certificate)
    }

    /// Its vendor made no certificate for P-256; it does now.
    fn certify_p256(&self, public: &[u8]) -> Vec<u8> {
        // TPM2B_PUBLIC ends with both coordinates, each after its length.
        let (x, y) = (&public[public.len() - 66..public.len() - 34], &public[public.len() - 32..]);
        let key = format!("x={},y={},id=secp256r1", hex::encode(x), hex::encode(y));
        let made = Command::new("swtpm_localca")
            .current_dir(self.0.folder())
            .args(["--type", "ek", "--ek", &key, "--dir", ".", "--vmid", "test", "--tpm2"])
            .args(["--tpm-spec-family", "2.0", "--tpm-spec-level", "0", "--tpm-spec-revision", "164"])
            .args(["--tpm-manufacturer", "id:00001014", "--tpm-model", "swtpm"])
            .args(["--tpm-version", "id:20191023"])
            .args(["--configfile", "localca.conf", "--optsfile", "localca.options"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self.read("ek.cert")
    }

    /// A restricted key that signs, in `ak.pub` and at [`AK`].
    pub(crate) fn make_ak(&self, kind: &str, name_hash: &str) {
        self.make("ak", kind, name_hash, "restricted|sign|noda", AK);
    }

    /// A key that signs what the device wants, in `device.pub` and at [`DEVICE`].
    pub(crate) fn make_device_key(&self) {
        self.make("device", "ecc256:ecdsa-sha256:null", "sha256", "sign|noda", DEVICE);
        self.run("tpm2_readpublic", &["-c", DEVICE, "-f", "der", "-o", "device.der"]);
    }

    /// What the TPM's own tool makes of the device's key as SubjectPublicKeyInfo.
    pub(crate) fn device_spki(&self) -> Vec<u8> {
        self.read("device.der")
    }

    fn make(&self, name: &str, kind: &str, name_hash: &str, attributes: &str, handle: &str) {
        let [public, private, context] = ["pub", "priv", "ctx"].map(|end| format!("{name}.{end}"));
        let attributes = format!("fixedtpm|fixedparent|sensitivedataorigin|userwithauth|{attributes}");
        let create = ["-C", "srk.ctx", "-G", kind, "-g", name_hash, "-a", &attributes];
        self.run("tpm2_create", &[&create[..], &["-u", &public, "-r", &private]].concat());
        self.flush();
        self.run("tpm2_load", &["-C", "srk.ctx", "-u", &public, "-r", &private, "-c", &context]);
        self.try_run("tpm2_evictcontrol", &["-C", "o", "-c", handle]);
        self.run("tpm2_evictcontrol", &["-C", "o", "-c", &context, handle]);
        self.flush();
    }

    /// TPM2_ActivateCredential. `None` if the TPM refuses.
    pub(crate) fn activate(&self, ek: Ek, credential: &Credential) -> Option<Vec<u8>> {
        // The file of tpm2-tools: magic, version, and both structures with their lengths.
        let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let header = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
        let file =
            [&header[..], &sized(&credential.id_object), &sized(&credential.encrypted_secret)].concat();
        fs::write(self.path("credential"), file).unwrap();
        let hash = if ek == Ek::P384 { "sha384" } else { "sha256" };
        self.run("tpm2_startauthsession", &["--policy-session", "-g", hash, "-S", "session"]);
        self.run("tpm2_policysecret", &["-S", "session", "-c", "e"]);
        if ek == Ek::P384 {
            fs::write(self.path("policy-a"), POLICY_A_SHA384).unwrap();
            fs::write(self.path("policy-c"), POLICY_C_SHA384).unwrap();
            self.run("tpm2_policyor", &["-S", "session", "sha384:policy-a,policy-c"]);
        }
        let ends = ["-i", "credential", "-o", "shown", "-P", "session:session"];
        let keys = ["-c", AK, "-C", ek.handle()];
        let activated = self.try_run("tpm2_activatecredential", &[&keys[..], &ends].concat());
        self.run("tpm2_flushcontext", &["session"]);
        activated.status.success().then(|| self.read("shown"))
    }

    /// TPM2_Certify of the device's key by the attestation key: TPMS_ATTEST and TPMT_SIGNATURE.
    ///
    /// `tpm2_certify` of tpm2-tools 5.4 has no option for qualifying data, so the command is sent as bytes (TPM 2.0 Library, part 3, §18.2).
    pub(crate) fn certify(&self, nonce: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
        const SESSIONS: [u8; 2] = [0x80, 0x02];
        const CERTIFY: [u8; 4] = [0, 0, 1, 0x48];
        // TPM_RS_PW with no nonce, an empty password and no attribute but continueSession; once for each key.
        const PASSWORD: [u8; 9] = [0x40, 0, 0, 9, 0, 0, 1, 0, 0];
        const NULL: [u8; 2] = [0, 0x10];
        let handle = |text: &str| u32::from_str_radix(&text[2..], 16).unwrap().to_be_bytes();
        let body = [
            &CERTIFY[..],
            &handle(DEVICE),
            &handle(AK),
            &18_u32.to_be_bytes(),
            &PASSWORD,
            &PASSWORD,
            &32_u16.to_be_bytes(),
            nonce,
            &NULL,
        ]
        .concat();
        let command = [&SESSIONS[..], &(body.len() as u32 + 6).to_be_bytes(), &body].concat();
        fs::write(self.path("command"), command).unwrap();
        let answer = self.run("tpm2_send", &["command"]).stdout;
        // Tag, size, code, size of the parameters; behind them both authorizations of 5 bytes.
        assert_eq!(answer[6..10], [0; 4], "TPM2_Certify");
        let parameters = &answer[14..answer.len() - 10];
        let (length, rest) = parameters.split_at(2);
        let (attested, signature) = rest.split_at(u16::from_be_bytes([length[0], length[1]]).into());
        (attested.to_vec(), signature.to_vec())
    }

    /// TPM2_Quote of registers 0, 7 and 16 by the attestation key, which is of this kind: TPMS_ATTEST and TPMT_SIGNATURE.
    pub(crate) fn quote(&self, kind: &str, nonce: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
        // The tool does not ask the key for its scheme.
        let (scheme, hash) = kind.split(':').nth(1).unwrap().split_once('-').unwrap();
        let nonce = hex::encode(nonce);
        let files = ["-m", "quoted", "-s", "signature", "-f", "tss"];
        self.run(
            "tpm2_quote",
            &[&["-c", AK, "-l", REGISTERS, "-q", &nonce, "-g", hash, "--scheme", scheme][..], &files]
                .concat(),
        );
        (self.read("quoted"), self.read("signature"))
    }

    /// The values of these registers, one after the other.
    pub(crate) fn registers(&self) -> Vec<u8> {
        self.run("tpm2_pcrread", &["-o", "values", REGISTERS]);
        self.read("values")
    }

    pub(crate) fn extend(&self, register: u8) {
        self.run("tpm2_pcrextend", &[&format!("{register}:sha256={}", "5a".repeat(32))]);
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Writes a vector, if asked to.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) {
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
            fs::write(vectors.join(name), bytes).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.folder().join(name)
    }

    /// There is no resource manager, and three places for loaded keys.
    fn flush(&self) {
        self.run("tpm2_flushcontext", &["-t"]);
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.try_run(program, arguments);
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        output
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> Output {
        self.0.command(program).args(arguments).output().unwrap()
    }
}

const AK: &str = "0x81000010";
const DEVICE: &str = "0x81000011";
const REGISTERS: &str = "sha256:0,7,16";

/// PolicySecret of the endorsement hierarchy by SHA-384 (TCG EK Credential Profile, annex B).
const POLICY_A_SHA384: [u8; 48] = [
    0x8b, 0xbf, 0x22, 0x66, 0x53, 0x7c, 0x17, 0x1c, 0xb5, 0x6e, 0x40, 0x3c, 0x4d, 0xc1, 0xd4, 0xb6, 0x4f,
    0x43, 0x26, 0x11, 0xdc, 0x38, 0x6e, 0x6f, 0x53, 0x20, 0x50, 0xc3, 0x27, 0x8c, 0x93, 0x0e, 0x14, 0x3e,
    0x8b, 0xb1, 0x13, 0x38, 0x24, 0xcc, 0xb4, 0x31, 0x05, 0x38, 0x71, 0xc6, 0xdb, 0x53,
];

/// PolicyAuthorizeNV, the other half of the policy of such a key.
const POLICY_C_SHA384: [u8; 48] = [
    0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6, 0xa3, 0x32, 0x37, 0xef, 0x2b,
    0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4, 0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5, 0xb4, 0x94,
    0x7c, 0x2d, 0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65,
];

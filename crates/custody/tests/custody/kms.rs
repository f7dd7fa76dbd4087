//! The root key under a key of AWS KMS, beside a stand-in that wraps as KMS does: bound to a key and an encryption context.
//! Signatures are judged by `deploy/kms.sh`, beside moto.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use wardein_crypto::{Secret, SecretBytes, SystemEntropy};
use wardein_custody::{
    CustodyError, Environment, Kind, KmsProtection, KmsTarget, Opened, Passphrase, Protection,
    copied_keys_by_kms, copy, create, open, open_by_kms, status,
};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd";
const REPLICA: &str = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd";
const OTHER: &str = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abce";

/// KMS, as far as two calls go. A refusal that is set is the answer to all.
struct StandIn {
    environment: Environment,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    refusal: Option<(u16, String)>,
    /// The key that it says to have used, if that is not the one that was asked for.
    answers_of: Option<String>,
    /// Names of keys and targets of calls.
    heard: Vec<(String, String)>,
}

impl StandIn {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let said = Arc::new(Mutex::new(Said::default()));
        let shared = said.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut length, mut target, mut line) = (0, String::new(), String::new());
                while stream.read_line(&mut line).is_ok() && line.trim() != "" {
                    let header = line.to_ascii_lowercase();
                    if let Some(count) = header.strip_prefix("content-length: ") {
                        length = count.trim().parse().unwrap();
                    }
                    if header.starts_with("x-amz-target: trentservice.") {
                        target = line.trim().rsplit('.').next().unwrap().to_owned();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let (status, answer) = shared.lock().unwrap().answer(&target, &body);
                let count = answer.len();
                let _ = write!(
                    stream.get_mut(),
                    "HTTP/1.1 {status} Said\r\ncontent-length: {count}\r\n\r\n{answer}"
                );
            }
        });
        let environment = Environment::of([
            ("AWS_ENDPOINT_URL_KMS", address.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "sesame"),
        ]);
        Self { environment, said }
    }

    fn refuse(&self, status: u16, kind: &str) {
        let body = json!({ "__type": kind, "message": "words of KMS" }).to_string();
        self.said.lock().unwrap().refusal = Some((status, body));
    }

    fn target(&self, key: &str, authority: &str) -> KmsTarget {
        KmsTarget::parse(key, authority, self.environment.clone()).unwrap()
    }

    fn protection(&self, recovery: Option<&str>) -> Protection {
        let recovery = recovery.map(passphrase);
        Protection::AwsKms(KmsProtection { target: self.target(KEY, "devices.example"), recovery })
    }

    fn create(&self, path: &Path, recovery: Option<&str>) -> Result<(), CustodyError> {
        let root = Secret::copied_from(&[0xa5; 32]);
        create(path, &self.protection(recovery), &root, &mut SystemEntropy::default())
    }

    fn open(&self, path: &Path, replica: Option<&str>) -> Result<Vec<[u8; 32]>, &'static str> {
        keys(open_by_kms(path, replica, &self.environment))
    }
}

impl Said {
    fn answer(&mut self, target: &str, body: &[u8]) -> (u16, String) {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
        let key = text("KeyId");
        self.heard.push((key.clone(), target.to_owned()));
        if let Some(refusal) = &self.refusal {
            return refusal.clone();
        }
        let context = asked["EncryptionContext"].to_string();
        let id = key.rsplit('/').next().unwrap();
        let bound = hex(format!("{id} {context} ").as_bytes());
        let used = self.answers_of.clone().unwrap_or(key.clone());
        match target {
            // In the clear, as base64 of base64: what it says is not looked at by those who are to keep it.
            "Encrypt" => {
                let sealed = base64(format!("{bound}{}", text("Plaintext")).as_bytes());
                (200, json!({ "KeyId": used, "CiphertextBlob": sealed }).to_string())
            }
            "Decrypt" => {
                let sealed = String::from_utf8(unbase64(&text("CiphertextBlob"))).unwrap_or_default();
                match sealed.strip_prefix(&bound) {
                    Some(plain) => (200, json!({ "KeyId": used, "Plaintext": plain }).to_string()),
                    None => (400, json!({ "__type": "InvalidCiphertextException" }).to_string()),
                }
            }
            _ => (400, json!({ "__type": "UnknownOperationException" }).to_string()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    wardein_crypto::hex::encode(bytes)
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let number =
            part.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for at in 0..4 {
            let digit = ALPHABET[(number >> (18 - 6 * at)) as usize & 63] as char;
            text.push(if at <= part.len() { digit } else { '=' });
        }
    }
    text
}

fn unbase64(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(|byte| ALPHABET.iter().position(|digit| *digit == byte).unwrap() as u32)
        .collect();
    let bytes = digits.chunks(4).flat_map(|part| {
        let number = part.iter().fold(0, |number, digit| number << 6 | digit) << (6 * (4 - part.len()));
        number.to_be_bytes()[1..part.len()].to_vec()
    });
    bytes.collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(SecretBytes::from_vec(text.into())).unwrap()
}

fn keys(opened: Result<Opened, CustodyError>) -> Result<Vec<[u8; 32]>, &'static str> {
    let opened = opened.map_err(|error| error.code().as_str())?;
    Ok(opened.keys().map(|(_, key)| *key.expose()).collect())
}

#[test]
fn the_root_key_is_had_by_kms_and_by_the_recovery_passphrase() {
    let kms = StandIn::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    kms.create(&path, Some("correct horse")).unwrap();
    let had = || Ok(vec![[0xa5; 32]]);
    assert_eq!(kms.open(&path, None), had());
    assert_eq!(kms.open(&path, Some(REPLICA)), had(), "by the same key in another region");
    assert_eq!(kms.open(&path, Some(OTHER)), had(), "another key is not a replica, and is not asked");
    let asked: Vec<_> = kms.said.lock().unwrap().heard.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(asked, [KEY, KEY, REPLICA, KEY]);
    let said = status(&path).unwrap();
    assert_eq!(
        (said.kind, said.kms_key.as_deref(), said.authority.as_deref()),
        (Kind::AwsKms, Some(KEY), Some("devices.example"))
    );
    assert!(said.cost.is_some(), "what a guess of the recovery passphrase costs");
    let copied = copied_keys_by_kms(&path, &copy(&path).unwrap(), &kms.environment).unwrap();
    assert_eq!(
        copied.iter().map(|(version, key)| (*version, *key.expose())).collect::<Vec<_>>(),
        [(1, [0xa5; 32])]
    );

    // Without KMS: a change of the root key needs it no more than the recovery passphrase does.
    let opened = open_by_kms(&path, None, &kms.environment).unwrap();
    kms.refuse(400, "DisabledException");
    let entropy = &mut SystemEntropy::default();
    opened.keep(2, &Secret::copied_from(&[0xb6; 32]), entropy).unwrap();
    opened.keep_only(2).unwrap();
    let by = |words: &str| keys(open(&path, &Protection::Passphrase(passphrase(words))));
    assert_eq!(by("correct horse"), Ok(vec![[0xb6; 32]]));
    assert_eq!(by("battery staple"), Err("custody-wrong-passphrase"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains(&"a5".repeat(8)) && !text.contains(&"b6".repeat(8)),
        "the root key is not in the clear"
    );
}

#[test]
fn without_a_recovery_passphrase_kms_alone_opens_it_and_the_protection_changes_both_ways() {
    let kms = StandIn::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    kms.create(&path, None).unwrap();
    let entropy = &mut SystemEntropy::default();
    let words = || Protection::Passphrase(passphrase("correct horse"));
    assert_eq!(keys(open(&path, &words())), Err("custody-kind"));
    assert!(status(&path).unwrap().cost.is_none());

    open_by_kms(&path, None, &kms.environment).unwrap().change(&words(), entropy).unwrap();
    assert_eq!(kms.open(&path, None), Err("custody-kind"));
    // A key that is refused leaves the protection as it is.
    kms.refuse(400, "AccessDeniedException");
    let refused = open(&path, &words()).unwrap().change(&kms.protection(None), entropy).unwrap_err();
    assert_eq!(refused.code().as_str(), "kms-denied");
    assert!(refused.to_string().contains("kms:Encrypt"), "{refused}");
    assert_eq!(keys(open(&path, &words())), Ok(vec![[0xa5; 32]]));
    kms.said.lock().unwrap().refusal = None;
    open(&path, &words()).unwrap().change(&kms.protection(None), entropy).unwrap();
    assert_eq!(kms.open(&path, None), Ok(vec![[0xa5; 32]]));
}

#[test]
fn what_was_wrapped_for_another_authority_or_file_does_not_open() {
    let kms = StandIn::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    kms.create(&path, Some("correct horse")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let field = |text: &str, name: &str| {
        let start = text.find(&format!("\"{name}\": \"")).unwrap() + name.len() + 5;
        text[start..start + text[start..].find('"').unwrap()].to_owned()
    };
    let second = folder.path().join("second.json");
    kms.create(&second, None).unwrap();
    let other = fs::read_to_string(&second).unwrap();
    let (salt, wrapped) = (field(&text, "salt"), field(&text, "wrapped"));
    for (from, to, code) in [
        ("devices.example", "devices.examplf", "kms-mismatch"),
        (KEY, OTHER, "kms-mismatch"),
        (KEY, "arn:aws:kms:eu-central-1:123456789012:alias/mine", "kms-key-name"),
        (salt.as_str(), &field(&other, "salt"), "kms-mismatch"),
        (wrapped.as_str(), &field(&other, "wrapped"), "kms-mismatch"),
        (wrapped.as_str(), "", "kms-mismatch"),
        (wrapped.as_str(), &"00".repeat(1025), "kms-mismatch"),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        assert_eq!(kms.open(&path, None), Err(code), "{from} {to}");
    }
    // KMS gives the key by another's name for it; the file's own binding refuses.
    for (from, to) in [(KEY, REPLICA), ("\"passes\": 3", "\"passes\": 2")] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        fs::write(&path, changed).unwrap();
        assert_eq!(kms.open(&path, None), Err("custody-wrapped"), "{to}");
    }
    fs::write(&path, text).unwrap();
    assert_eq!(kms.open(&path, None), Ok(vec![[0xa5; 32]]));
}

#[test]
fn an_answer_of_another_key_is_refused() {
    let kms = StandIn::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    kms.create(&path, None).unwrap();
    kms.said.lock().unwrap().answers_of = Some(OTHER.to_owned());
    assert_eq!(kms.open(&path, None), Err("kms-mismatch"));
    let refused = kms.create(&folder.path().join("second.json"), None).unwrap_err();
    assert_eq!(refused.code().as_str(), "kms-mismatch");
    assert!(!folder.path().join("second.json").exists());
}

#[test]
fn what_passes_by_itself_is_told_from_what_does_not() {
    let kms = StandIn::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    kms.create(&path, None).unwrap();
    for (status, kind, code, passes, words) in [
        (400, "AccessDeniedException", "kms-denied", false, "kms:Decrypt"),
        (400, "com.amazonaws.kms#DisabledException", "kms-key-unusable", false, "Enable"),
        (400, "KMSInvalidStateException", "kms-key-unusable", false, "deletion"),
        (400, "NotFoundException", "kms-key-unusable", false, "words of KMS"),
        (400, "IncorrectKeyException", "kms-mismatch", false, "another key"),
        (400, "UnrecognizedClientException", "kms-credentials", false, "credentials"),
        (400, "InvalidSignatureException", "kms-credentials", false, "clock"),
        (403, "", "kms-refused", false, "403"),
        (400, "ThrottlingException", "kms-unavailable", true, "words of KMS"),
        (400, "KeyUnavailableException", "kms-unavailable", true, "127.0.0.1"),
        (500, "KMSInternalException", "kms-unavailable", true, "127.0.0.1"),
        (503, "", "kms-unavailable", true, "503"),
    ] {
        kms.refuse(status, kind);
        let refused = open_by_kms(&path, None, &kms.environment).err().unwrap();
        let shown = format!("{refused} {refused:?}");
        assert_eq!((refused.code().as_str(), refused.is_passing()), (code, passes), "{kind}: {shown}");
        assert!(shown.contains(words) && !shown.contains("sesame"), "{shown}");
    }
    for garbage in ["", "{", "[]", "{\"KeyId\": 7}", "<html>"] {
        kms.said.lock().unwrap().refusal = Some((200, garbage.to_owned()));
        assert!(open_by_kms(&path, None, &kms.environment).is_err(), "{garbage}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Environment::of([
        ("AWS_ENDPOINT_URL", format!("http://{nobody}").as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "sesame"),
    ]);
    let refused = open_by_kms(&path, None, &nobody).err().unwrap();
    assert!(refused.is_passing() && refused.to_string().contains("cannot be reached"), "{refused}");
    let without = Environment::of([("AWS_EC2_METADATA_DISABLED", "true")]);
    let refused = open_by_kms(&path, None, &without).err().unwrap();
    assert_eq!((refused.code().as_str(), refused.is_passing()), ("kms-credentials", false));
}

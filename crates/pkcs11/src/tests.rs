//! With SoftHSM, where it is installed; required where `WARDEIN_SOFTHSM=required`.

use crate::keys::{self, LABEL};
use crate::sessions::Sessions;
use crate::{Pkcs11Error, Token, TokenOptions};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::UserType;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use wardein_crypto::{KeyAlgorithm, Signer, VerifyingKey, danger_sha1_to_name};
use wardein_port::Signers;
use wardein_testkit::SoftHsm;

/// Runs a test of this module with a token, in a process of its own: SoftHSM learns from the environment where its tokens are, once.
fn in_a_process(test: &str, body: impl FnOnce(&Place)) {
    if let Some(pin_file) = std::env::var_os(INSIDE) {
        return body(&Place { pin_file: pin_file.into() });
    }
    let Some(hsm) = SoftHsm::start() else { return };
    let (name, value) = hsm.env();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([&format!("tests::{test}"), "--exact", "--nocapture"]).env(name, value);
    let done = again.env(INSIDE, hsm.pin_file()).output().unwrap();
    let words = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && words.contains("1 passed"), "{words}");
}

struct Place {
    pin_file: PathBuf,
}

type Faults = Arc<Mutex<Vec<String>>>;

impl Place {
    fn options(&self) -> TokenOptions {
        TokenOptions {
            module: SoftHsm::MODULE.into(),
            token: SoftHsm::TOKEN.to_owned(),
            pin_file: self.pin_file.clone(),
            sessions: 2,
            makes_keys: true,
        }
    }

    fn open(&self) -> (Token, Faults) {
        let faults = Faults::default();
        let heard = faults.clone();
        let token = Token::open(&self.options(), move |error| heard.lock().unwrap().push(error.to_string()));
        (token.unwrap(), faults)
    }

    fn refused(&self, change: impl FnOnce(&mut TokenOptions)) -> String {
        let mut options = self.options();
        change(&mut options);
        Token::open(&options, |_| {}).err().unwrap().to_string()
    }

    fn sessions(&self) -> Sessions {
        Sessions::open(Path::new(SoftHsm::MODULE), SoftHsm::TOKEN, &self.pin_file, 2).unwrap()
    }
}

fn verify(key: &dyn Signer, message: &[u8], signature: &[u8]) {
    key.verifying_key().verify(key.algorithm(), message, signature).unwrap();
}

#[test]
fn keys_of_each_algorithm_are_made_and_found_again_and_sign() {
    in_a_process("keys_of_each_algorithm_are_made_and_found_again_and_sign", |place| {
        let (token, faults) = place.open();
        let message = [0x5a; 100_000];
        let made: Vec<_> =
            KeyAlgorithm::ALL.map(|algorithm| (algorithm, token.make(algorithm).unwrap())).into();
        for (algorithm, key) in &made {
            assert_eq!(key.algorithm(), algorithm.signature());
            assert!(key.is_external());
            // The length of R and S in DER differs from one to the next.
            for _ in 0..20 {
                verify(&**key, &message, &key.sign(&message).unwrap());
            }
        }
        let (again, _) = place.open();
        assert_eq!(again.keys(), made.len());
        // What another node makes is not known, and found when it is looked for.
        let late = token.make(KeyAlgorithm::P256).unwrap();
        assert!(again.find(&late.verifying_key()).is_none());
        let found = again.look(&late.verifying_key()).unwrap();
        verify(&*late, b"late", &found.sign(b"late").unwrap());
        assert!(again.find(&late.verifying_key()).is_some());
        token.discard(&late.verifying_key());
        for (_, key) in &made {
            let found = again.find(&key.verifying_key()).unwrap();
            verify(&**key, b"again", &found.sign(b"again").unwrap());
        }
        let other = Place { pin_file: place.pin_file.clone() };
        let sessions = other.sessions();
        for (_, key) in &made {
            let id = danger_sha1_to_name(key.verifying_key().as_bytes());
            let facts = sessions.with(|open| {
                let handle = keys::private(&open.session, &id)?;
                let wanted = [
                    AttributeType::Label,
                    AttributeType::Sensitive,
                    AttributeType::Extractable,
                    AttributeType::NeverExtractable,
                    AttributeType::Local,
                    AttributeType::Private,
                ];
                Ok(open.session.get_attributes(handle, &wanted)?)
            });
            let facts = facts.unwrap();
            for wanted in [
                Attribute::Label(LABEL.to_vec()),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::NeverExtractable(true),
                Attribute::Local(true),
                Attribute::Private(true),
            ] {
                assert!(facts.contains(&wanted), "{wanted:?} of {facts:?}");
            }
        }
        // One that is discarded is gone, with both halves; the others are not.
        let gone = made[0].1.verifying_key();
        token.discard(&gone);
        assert!(token.find(&gone).is_none());
        assert_eq!((place.open().0.keys(), faults.lock().unwrap().len()), (made.len() - 1, 0));
    });
}

#[test]
fn sessions_that_ended_are_replaced() {
    in_a_process("sessions_that_ended_are_replaced", |place| {
        let (token, faults) = place.open();
        let key = token.make(KeyAlgorithm::P256).unwrap();
        let sign = || verify(&*key, b"message", &key.sign(b"message").unwrap());
        let sessions = place.sessions();
        // Somebody logged out, which is so for the whole process: before the key was looked for in a session, and after.
        for _ in 0..2 {
            sessions.with(|open| Ok(open.session.logout()?)).unwrap();
            sign();
        }
        // The library lost everything, as after a fork or a restart of the token's own service.
        sessions.context().clone().finalize().unwrap();
        sign();
        assert!(faults.lock().unwrap().is_empty());
    });
}

#[test]
fn callers_share_few_sessions_and_wait_for_one() {
    in_a_process("callers_share_few_sessions_and_wait_for_one", |place| {
        let (token, _) = place.open();
        let key = token.make(KeyAlgorithm::P256).unwrap();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        verify(&*key, b"message", &key.sign(b"message").unwrap());
                    }
                });
            }
        });
        let mut sessions = place.sessions();
        sessions.be_patient_for(Duration::from_millis(50));
        let facts = sessions.context().get_slots_with_initialized_token().unwrap();
        let count = sessions.context().get_token_info(facts[0]).unwrap().session_count();
        // Two of the token, and one of this here.
        assert!(count.is_none_or(|count| count <= 3), "{count:?}");
        let busy =
            sessions.with(|_| sessions.with(|_| Ok(sessions.with(|_| Ok(())).unwrap_err().to_string())));
        assert!(busy.unwrap().contains("no session"));
        sessions.with(|_| Ok(())).unwrap();
    });
}

#[test]
fn a_token_that_cannot_be_used_says_what_to_do() {
    in_a_process("a_token_that_cannot_be_used_says_what_to_do", |place| {
        let refused = place.refused(|options| options.module = "/nowhere/lib.so".into());
        assert!(refused.contains("/nowhere/lib.so") && refused.contains("pkcs11.module"), "{refused}");
        let refused = place.refused(|options| options.token = "another".to_owned());
        assert!(refused.contains("\"another\"") && refused.contains(SoftHsm::TOKEN), "{refused}");
        let folder = place.pin_file.parent().unwrap();
        let file = |name: &str, content: &[u8], mode| {
            let path = folder.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        };
        for (pin_file, word) in [
            (folder.join("none"), "No such file"),
            (folder.to_owned(), "not a file"),
            (file("open", SoftHsm::PIN.as_bytes(), 0o640), "chmod 600"),
            (file("empty", b"\n", 0o600), "the PIN alone"),
            (file("two", b"1234\n5678\n", 0o600), "the PIN alone"),
            (file("long", &[b'1'; 256], 0o600), "the PIN alone"),
            (file("wrong", b"00000000\n", 0o600), "refuses the PIN"),
        ] {
            let refused = place.refused(|options| options.pin_file = pin_file.clone());
            let named = format!("{}", pin_file.display());
            assert!(refused.contains(word) && refused.contains(&named), "{refused}");
            assert!(!refused.contains("1234") && !refused.contains(SoftHsm::PIN), "{refused}");
        }
        place.open();
    });
}

#[test]
fn a_pin_that_was_refused_is_not_tried_again() {
    in_a_process("a_pin_that_was_refused_is_not_tried_again", |place| {
        let (token, faults) = place.open();
        let key = token.make(KeyAlgorithm::P256).unwrap();
        let sessions = place.sessions();
        let set_pin = |old: &str, new: &str| {
            let (old, new): (cryptoki::types::AuthPin, _) = (old.to_owned().into(), new.to_owned().into());
            let slot = sessions.context().get_slots_with_initialized_token().unwrap()[0];
            let session = sessions.context().open_rw_session(slot).unwrap();
            let _ = session.logout();
            session.login(UserType::User, Some(&old)).unwrap();
            session.set_pin(&old, &new).unwrap();
            session.logout().unwrap();
        };
        set_pin(SoftHsm::PIN, "11112222");
        assert!(key.sign(b"message").is_err());
        set_pin("11112222", SoftHsm::PIN);
        assert!(key.sign(b"message").is_err());
        let faults = faults.lock().unwrap();
        assert!(
            faults.len() == 2 && faults.iter().all(|fault| fault.contains("refuses the PIN")),
            "{faults:?}"
        );
    });
}

#[test]
fn a_key_that_is_gone_or_could_leave_is_not_used() {
    in_a_process("a_key_that_is_gone_or_could_leave_is_not_used", |place| {
        let (token, faults) = place.open();
        let key = token.make(KeyAlgorithm::P256).unwrap();
        let id = danger_sha1_to_name(key.verifying_key().as_bytes());
        let sessions = place.sessions();
        sessions.with_writing(|session| keys::destroy(session, &id)).unwrap();
        assert!(key.sign(b"message").is_err());
        let heard = faults.lock().unwrap().concat();
        assert!(
            heard.contains("0 private keys") && heard.contains(&wardein_crypto::hex::encode(&id)),
            "{heard}"
        );

        for (sensitive, extractable) in [(true, true), (false, false)] {
            let id = vec![u8::from(sensitive); 8];
            let both = [Attribute::Token(true), Attribute::Label(LABEL.to_vec()), Attribute::Id(id.clone())];
            let mut public = vec![Attribute::EcParams(crate::encoding::P256.to_vec())];
            public.extend(both.clone());
            let mut private = vec![Attribute::Sensitive(sensitive), Attribute::Extractable(extractable)];
            private.extend(both);
            sessions
                .with_writing(|session| {
                    Ok(session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?)
                })
                .unwrap();
            let (token, faults) = place.open();
            assert_eq!(token.keys(), 0);
            assert!(faults.lock().unwrap().concat().contains("can leave the token"));
            sessions.with_writing(|session| keys::destroy(session, &id)).unwrap();
        }

        // One whose public half alone is left is not there; one that is there twice cannot be told apart.
        let key = token.make(KeyAlgorithm::P384).unwrap();
        let id = danger_sha1_to_name(key.verifying_key().as_bytes());
        sessions
            .with_writing(|session| {
                let class = Attribute::Class(ObjectClass::PRIVATE_KEY);
                for handle in session.find_objects(&[class, Attribute::Id(id.to_vec())])? {
                    session.destroy_object(handle)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(place.open().0.keys(), 0);
        assert!(matches!(key.verifying_key(), VerifyingKey::P384(_)));
        assert!(matches!(
            sessions.with(|open| keys::private(&open.session, &id)),
            Err(Pkcs11Error::Key { count: 0, .. })
        ));
    });
}

const INSIDE: &str = "WARDEIN_SOFTHSM_PIN_FILE";

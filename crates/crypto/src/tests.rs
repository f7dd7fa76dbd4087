//! Both libraries against published answers, and against each other.

use crate::hex::{decode, decode_array};
#[cfg(feature = "rustcrypto")]
use crate::{Entropy, EntropyError};
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that differ from draw to draw and from run to run in nothing.
#[cfg(feature = "rustcrypto")]
struct Counted(u8);

#[cfg(feature = "rustcrypto")]
impl Entropy for Counted {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(197).wrapping_add(99);
            *byte = self.0;
        }
        Ok(())
    }
}

fn hex(digits: &str) -> Vec<u8> {
    decode(digits).unwrap()
}

fn array<const N: usize>(digits: &str) -> [u8; N] {
    decode_array(digits).unwrap()
}

/// RFC 6979 §A.2.5: the key, and the signature of "sample" with SHA-256.
const PUBLIC: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                      7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const R: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
const S: &str = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

/// SEQUENCE of two INTEGERs, contents as given.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[2, bytes.len() as u8], bytes].concat();
    let both = [integer(r), integer(s)].concat();
    [&[0x30, both.len() as u8], &both[..]].concat()
}

fn positive(digits: &str) -> Vec<u8> {
    [&[0], &hex(digits)[..]].concat()
}

macro_rules! answers {
    ($backend:ident, $entropy:expr, $pkcs8:expr) => {
        mod $backend {
            use super::*;
            use crate::$backend::{aead::Aead, agreement::PrivateKey, digest, ecdsa, hkdf::Prk, hmac};
            use crate::{InvalidPoint, InvalidSignature, MacMismatch, OpenError, TooLong};

            #[test]
            fn sha_256() {
                // FIPS 180-2 §B.1 and §B.2.
                for (message, wanted) in [
                    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
                    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                    (
                        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                    ),
                ] {
                    for cut in 0..=message.len() {
                        let (first, second) = message.as_bytes().split_at(cut);
                        let mut hash = digest::Sha256::new();
                        hash.update(first);
                        hash.update(second);
                        assert_eq!(hash.finish(), array(wanted), "{message:?} cut at {cut}");
                    }
                }
            }

            #[test]
            fn hmac_sha_256() {
                // RFC 4231 §4.2 and §4.3; a shorter key and the same with zeros behind it are one key (RFC 2104 §2).
                for (key, message, wanted) in [
                    (
                        &[0x0b; 20][..],
                        &b"Hi There"[..],
                        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                    ),
                    (
                        b"Jefe",
                        b"what do ya want for nothing?",
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                    ),
                ] {
                    let mut padded = [0; 32];
                    padded[..key.len()].copy_from_slice(key);
                    let tag = hmac::tag(&padded, message);
                    assert_eq!(tag, array(wanted));
                    assert_eq!(hmac::verify(&padded, message, &tag), Ok(()));
                    for bit in 0..256 {
                        let mut changed = tag;
                        changed[bit / 8] ^= 1 << (bit % 8);
                        assert_eq!(hmac::verify(&padded, message, &changed), Err(MacMismatch), "bit {bit}");
                    }
                }
            }

            #[test]
            fn hkdf_sha_256() {
                // RFC 5869 §A.1.
                let salt = hex("000102030405060708090a0b0c");
                let info = hex("f0f1f2f3f4f5f6f7f8f9");
                let wanted = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                                  34007208d5b887185865");
                let key = array("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
                for prk in [Prk::extract(&salt, &[0x0b; 22]), Prk::uniform(&key)] {
                    for cut in 0..=info.len() {
                        let (first, second) = info.split_at(cut);
                        let mut out = [0; 42];
                        assert_eq!(prk.expand_into(&[first, second], &mut out), Ok(()));
                        assert_eq!(out[..], wanted[..]);
                    }
                    assert_eq!(prk.expand_into(&[], &mut []), Ok(()));
                    assert_eq!(prk.expand_into(&[], &mut vec![0; 255 * 32]), Ok(()));
                    assert_eq!(prk.expand_into(&[], &mut vec![0; 255 * 32 + 1]), Err(TooLong));
                }
            }

            #[test]
            fn aes_256_gcm() {
                // The GCM specification (McGrew, Viega), test case 16.
                let key = Aead::aes_256_gcm(&array(
                    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
                ));
                let plain = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                                 1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
                let sealed = hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                                  8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
                                  76fc6ece0f4e1768cddf8853bb2d551b");
                let additional = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
                aead(&key, &array("cafebabefacedbaddecaf888"), &additional, &plain, &sealed);
            }

            #[test]
            fn chacha20_poly1305() {
                // RFC 8439 §2.8.2.
                let key = Aead::chacha20_poly1305(&core::array::from_fn(|i| 0x80 + i as u8));
                let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
                              future, sunscreen would be it.";
                let sealed = hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
                                  3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
                                  92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
                                  3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
                let additional = hex("50515253c0c1c2c3c4c5c6c7");
                aead(&key, &array("070000004041424344454647"), &additional, plain, &sealed);
            }

            fn aead(key: &Aead, nonce: &[u8; 12], additional: &[u8], plain: &[u8], sealed: &[u8]) {
                let mut text = plain.to_vec();
                let tag = key.seal(nonce, additional, &mut text).unwrap();
                assert_eq!([&text[..], &tag].concat(), sealed);
                let mut opened = sealed.to_vec();
                assert_eq!(key.open(nonce, additional, &mut opened), Ok(plain.len()));
                assert_eq!(&opened[..plain.len()], plain);
                for at in 0..sealed.len() {
                    let mut changed = sealed.to_vec();
                    changed[at] ^= 1;
                    assert_eq!(key.open(nonce, additional, &mut changed), Err(OpenError), "byte {at}");
                    assert_eq!(key.open(nonce, additional, &mut sealed[..at].to_vec()), Err(OpenError));
                }
                assert_eq!(key.open(nonce, &additional[1..], &mut sealed.to_vec()), Err(OpenError));
                assert_eq!(key.open(&[0; 12], additional, &mut sealed.to_vec()), Err(OpenError));
            }

            #[test]
            fn both_ends_agree_and_a_point_off_the_curve_is_refused() {
                let entropy = &mut $entropy;
                let ((a, a_point), (b, b_point)) =
                    (PrivateKey::generate(entropy).unwrap(), PrivateKey::generate(entropy).unwrap());
                let (mut at_a, mut at_b) = ([0; 32], [1; 32]);
                assert_eq!((a.agree(&b_point, &mut at_a), b.agree(&a_point, &mut at_b)), (Ok(()), Ok(())));
                assert_eq!(at_a, at_b);
                let changed = |at: usize, byte: u8| {
                    let mut point = a_point;
                    point[at] = byte;
                    point
                };
                // Off the curve, the zero point, the forms of SEC 1 §2.3.3 that are shorter, and X9.62's hybrid one.
                let bad = [changed(64, a_point[64] ^ 1), [0; 65]];
                for point in bad.into_iter().chain([0, 2, 3, 5, 6, 7].map(|form| changed(0, form))) {
                    let (key, _) = PrivateKey::generate(entropy).unwrap();
                    assert_eq!(key.agree(&point, &mut [0; 32]), Err(InvalidPoint), "{point:02x?}");
                }
            }

            #[test]
            fn ecdsa_with_sha_256() {
                let (key, signature) = (array(PUBLIC), der(&positive(R), &positive(S)));
                assert_eq!(ecdsa::verify(&key, b"sample", &signature), Ok(()));
                assert_eq!(ecdsa::verify(&key, b"simple", &signature), Err(InvalidSignature));
                for at in 0..signature.len() {
                    let mut changed = signature.clone();
                    changed[at] ^= 1;
                    assert_eq!(ecdsa::verify(&key, b"sample", &changed), Err(InvalidSignature), "byte {at}");
                    assert!(ecdsa::verify(&key, b"sample", &signature[..at]).is_err());
                }
                // The other signature of the same two numbers: n − s in the place of s. It is good by FIPS 186-5.
                let other = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
                assert_eq!(ecdsa::verify(&key, b"sample", &der(&positive(R), &hex(other))), Ok(()));
                // Zero, the order itself, a sign, zeros in front, bytes behind, a long form of the length.
                let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
                let mut behind = signature.clone();
                behind.push(0);
                let long = [&[0x30, 0x81], &signature[1..]].concat();
                for bad in [
                    der(&[0], &positive(S)),
                    der(&positive(R), &[0]),
                    der(&[], &positive(S)),
                    der(&positive(order), &positive(S)),
                    der(&positive(R), &positive(order)),
                    der(&hex(R), &positive(S)),
                    der(&[&[0], &positive(R)[..]].concat(), &positive(S)),
                    behind,
                    long,
                    vec![],
                ] {
                    assert_eq!(ecdsa::verify(&key, b"sample", &bad), Err(InvalidSignature), "{bad:02x?}");
                }
                let mut off = key;
                off[64] ^= 1;
                for key in [off, [0; 65]] {
                    assert_eq!(ecdsa::verify(&key, b"sample", &signature), Err(InvalidSignature));
                }
            }

            #[test]
            fn a_key_comes_back_from_its_document_and_from_no_other() {
                let document = $pkcs8;
                let (key, public) = ecdsa::SigningKey::from_pkcs8(document.expose()).unwrap();
                let signature = key.sign(b"message").unwrap();
                assert!(signature.len() <= crate::P256_SIGNATURE_MAX);
                assert_eq!(ecdsa::verify(&public, b"message", &signature), Ok(()));
                assert_eq!(ecdsa::verify(&array(PUBLIC), b"message", &signature), Err(InvalidSignature));
                let document = document.expose();
                for length in 0..document.len() {
                    assert!(ecdsa::SigningKey::from_pkcs8(&document[..length]).is_err(), "{length} bytes");
                }
                assert!(ecdsa::SigningKey::from_pkcs8(&[document, &[0]].concat()).is_err());
                // The public key is the last thing in it, and the private one before that.
                for at in [document.len() - 1, document.len() - 65 - 10] {
                    let mut changed = document.to_vec();
                    changed[at] ^= 1;
                    assert!(ecdsa::SigningKey::from_pkcs8(&changed).is_err(), "byte {at}");
                }
            }
        }
    };
}

#[cfg(feature = "ring")]
answers!(on_ring, crate::SystemEntropy::default(), ecdsa::SigningKey::generate_pkcs8().unwrap());
#[cfg(feature = "rustcrypto")]
answers!(on_rustcrypto, Counted(1), ecdsa::SigningKey::generate_pkcs8(&mut Counted(1)).unwrap());

#[cfg(feature = "rustcrypto")]
#[test]
fn a_key_is_made_of_the_bytes_that_were_handed_in_or_not_at_all() {
    use crate::on_rustcrypto::{agreement::PrivateKey, ecdsa::SigningKey};

    struct Same(Result<u8, EntropyError>, u8);
    impl Entropy for Same {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.fill(self.0?);
            self.1 += 1;
            Ok(())
        }
    }
    // Zero and whatever is not below the order are no keys; a source that gives nothing else is not asked for ever.
    for byte in [0, 0xff] {
        let entropy = &mut Same(Ok(byte), 0);
        assert!(PrivateKey::generate(entropy).is_err());
        assert_eq!(entropy.1, 4);
        assert!(SigningKey::generate_pkcs8(entropy).is_err());
    }
    assert!(PrivateKey::generate(&mut Same(Err(EntropyError), 0)).is_err());
    let point = |byte| PrivateKey::generate(&mut Same(Ok(byte), 0)).unwrap().1;
    assert!(point(7) == point(7) && point(7) != point(8));

    // RFC 6979 §A.2.5: a signature is a function of key and message.
    struct Given;
    impl Entropy for Given {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.copy_from_slice(&hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"));
            Ok(())
        }
    }
    let document = SigningKey::generate_pkcs8(&mut Given).unwrap();
    let (key, public) = SigningKey::from_pkcs8(document.expose()).unwrap();
    assert_eq!(public, array(PUBLIC));
    assert_eq!(key.sign(b"sample").unwrap(), der(&positive(R), &positive(S)));
}

#[cfg(all(feature = "ring", feature = "rustcrypto"))]
mod across {
    use super::*;
    use crate::SystemEntropy;
    use crate::{on_ring, on_rustcrypto};

    #[test]
    fn signatures_and_documents_of_each_are_good_in_the_other() {
        for _ in 0..16 {
            let entropy = &mut SystemEntropy::default();
            for document in [
                on_ring::ecdsa::SigningKey::generate_pkcs8().unwrap(),
                on_rustcrypto::ecdsa::SigningKey::generate_pkcs8(entropy).unwrap(),
            ] {
                let (ring, public) = on_ring::ecdsa::SigningKey::from_pkcs8(document.expose()).unwrap();
                let (other, same) = on_rustcrypto::ecdsa::SigningKey::from_pkcs8(document.expose()).unwrap();
                assert_eq!(public, same);
                for signature in [ring.sign(b"message").unwrap(), other.sign(b"message").unwrap()] {
                    assert_eq!(on_ring::ecdsa::verify(&public, b"message", &signature), Ok(()));
                    assert_eq!(on_rustcrypto::ecdsa::verify(&public, b"message", &signature), Ok(()));
                }
            }
        }
    }

    #[test]
    fn an_end_on_each_agrees_with_the_other() {
        for _ in 0..16 {
            let entropy = &mut SystemEntropy::default();
            let (ring, ring_point) = on_ring::agreement::PrivateKey::generate(entropy).unwrap();
            let (other, other_point) = on_rustcrypto::agreement::PrivateKey::generate(entropy).unwrap();
            let (mut at_ring, mut at_other) = ([0; 32], [1; 32]);
            ring.agree(&other_point, &mut at_ring).unwrap();
            other.agree(&ring_point, &mut at_other).unwrap();
            assert_eq!(at_ring, at_other);
        }
    }

    #[test]
    fn what_has_one_answer_has_it_in_both() {
        let entropy = &mut SystemEntropy::default();
        let mut bytes = vec![0; 700];
        entropy.fill(&mut bytes).unwrap();
        let key: [u8; 32] = entropy.array().unwrap();
        let nonce: [u8; 12] = entropy.array().unwrap();
        for length in (0..200).chain([255, 256, 257, 511, 512, 513, 700]) {
            let message = &bytes[..length];
            let digest = |message| {
                let (mut ring, mut other) =
                    (on_ring::digest::Sha256::new(), on_rustcrypto::digest::Sha256::new());
                ring.update(message);
                other.update(message);
                (ring.finish(), other.finish())
            };
            let (ring, other) = digest(message);
            assert_eq!(ring, other);
            let tag = on_ring::hmac::tag(&key, message);
            assert_eq!(tag, on_rustcrypto::hmac::tag(&key, message));
            assert_eq!(on_rustcrypto::hmac::verify(&key, message, &tag), Ok(()));
            let (mut ring, mut other) = (vec![0; length], vec![1; length]);
            on_ring::hkdf::Prk::extract(message, &key).expand_into(&[message], &mut ring).unwrap();
            on_rustcrypto::hkdf::Prk::extract(message, &key).expand_into(&[message], &mut other).unwrap();
            assert_eq!(ring, other);

            let sealed = |by_ring: &on_ring::aead::Aead, by_other: &on_rustcrypto::aead::Aead| {
                let (mut ring, mut other) = (message.to_vec(), message.to_vec());
                let tag = by_ring.seal(&nonce, message, &mut ring).unwrap();
                assert_eq!(by_other.seal(&nonce, message, &mut other), Ok(tag));
                assert_eq!(ring, other);
                ring.extend(tag);
                assert_eq!(by_other.open(&nonce, message, &mut ring), Ok(length));
                assert_eq!(&ring[..length], message);
            };
            sealed(&on_ring::aead::Aead::aes_256_gcm(&key), &on_rustcrypto::aead::Aead::aes_256_gcm(&key));
            sealed(
                &on_ring::aead::Aead::chacha20_poly1305(&key),
                &on_rustcrypto::aead::Aead::chacha20_poly1305(&key),
            );
        }
    }
}

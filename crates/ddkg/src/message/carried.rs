//! The protocol of a visit that goes by a file, where a device has no network (specification, section 7.3).

use super::{Kind, ServiceKey, VisitProtocol, from_text, to_text};
use crate::derive::Transcript;
use crate::key::{KeyName, NumberKey};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use wardein_crypto::{Digest, MacMismatch, P256_SIGNATURE_MAX, Tag};

/// A protocol with what vouches for it. Anyone may carry and read it; only the device makes one.
#[derive(Debug, Clone)]
pub struct CarriedProtocol {
    protocol: VisitProtocol,
    voucher: Voucher,
}

#[derive(Debug, Clone)]
enum Voucher {
    /// The mac of a device that derives keys, and which key it is by.
    Mac(ServiceKey, Tag),
    /// The signature of a device that signs (section 5.1): ECDSA P-256 with SHA-256, DER.
    Signature(Vec<u8>),
}

impl CarriedProtocol {
    /// The most bytes of the message.
    pub const MAX_LEN: usize = 96 + MAX_BODY;

    pub(crate) fn new(name: &KeyName, key: &NumberKey, protocol: VisitProtocol) -> Self {
        let mac = key.visit_protocol().tag(&transcript(name, &protocol));
        Self { protocol, voucher: Voucher::Mac(name.into(), mac) }
    }

    /// One of a device that signs; `signature` is of [`CarriedProtocol::to_sign`].
    pub fn signed(protocol: VisitProtocol, signature: Vec<u8>) -> Self {
        Self { protocol, voucher: Voucher::Signature(signature) }
    }

    /// What a device that signs signs of a protocol, by the key of that id (section 5.1).
    pub fn to_sign(protocol: &VisitProtocol, key_id: &Digest) -> Digest {
        Transcript::new("visit protocol signature")
            .field(protocol.device.tenant.as_str())
            .field(protocol.device.device.as_str())
            .field(key_id)
            .field(Digest::of(&protocol.encode()))
            .finish()
    }

    /// What the device says. It is worth something once it is verified.
    pub fn protocol(&self) -> &VisitProtocol {
        &self.protocol
    }

    /// The name of the key that it takes; none where it is signed.
    pub fn key_name(&self) -> Option<KeyName> {
        match &self.voucher {
            Voucher::Mac(key, _) => Some(key.name(self.protocol.device.clone())),
            Voucher::Signature(_) => None,
        }
    }

    /// The signature, where it is signed.
    pub fn signature(&self) -> Option<&[u8]> {
        match &self.voucher {
            Voucher::Mac(..) => None,
            Voucher::Signature(signature) => Some(signature),
        }
    }

    pub(crate) fn verify(&self, name: &KeyName, key: &NumberKey) -> Result<(), MacMismatch> {
        match &self.voucher {
            Voucher::Mac(_, mac) => key.visit_protocol().verify(&transcript(name, &self.protocol), mac),
            Voucher::Signature(_) => Err(MacMismatch),
        }
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.voucher {
            Voucher::Mac(key, mac) => {
                Kind::CarriedProtocol.put(&mut out);
                key.put(&mut out);
                out.frame(&self.protocol.encode());
                out.put(&mac.0);
            }
            Voucher::Signature(signature) => {
                Kind::SignedProtocol.put(&mut out);
                out.frame(&self.protocol.encode());
                out.frame(signature);
            }
        }
        out
    }

    /// The inverse of [`CarriedProtocol::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let carried = if bytes.first() == Some(&(Kind::SignedProtocol as u8)) {
            Kind::SignedProtocol.read(&mut reader)?;
            let protocol = VisitProtocol::decode(reader.frame("protocol", 1, MAX_BODY)?)?;
            Self::signed(protocol, reader.frame("signature", 1, P256_SIGNATURE_MAX)?.to_vec())
        } else {
            Kind::CarriedProtocol.read(&mut reader)?;
            let key = ServiceKey::read(&mut reader)?;
            let protocol = VisitProtocol::decode(reader.frame("protocol", 1, MAX_BODY)?)?;
            Self { protocol, voucher: Voucher::Mac(key, Tag(reader.array("mac")?)) }
        };
        reader.finish("carried protocol")?;
        Ok(carried)
    }

    /// The text of a file with protocols: how many there are, and a line each, so that one that was cut shows.
    pub fn to_file(protocols: &[Self]) -> String {
        let mut text = String::from(HEAD);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", protocols.len());
        for protocol in protocols {
            text.push_str(&to_text(&protocol.encode()));
            text.push('\n');
        }
        text
    }

    /// The messages of such a file; they are neither read nor verified yet.
    pub fn messages_of_file(text: &str) -> Result<Vec<Vec<u8>>, DecodeError> {
        let wrong = |why| Problem::NotCanonical(why).of("file of protocols");
        let rest = text.strip_prefix(HEAD).ok_or_else(|| wrong("does not begin as one"))?;
        let rest = rest.strip_suffix('\n').ok_or_else(|| wrong("is cut, or has more behind its end"))?;
        let mut lines = rest.split('\n');
        let count: usize = lines
            .next()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| wrong("does not say how many protocols it has"))?;
        let messages = lines.map(|line| from_text(line, Self::MAX_LEN)).collect::<Result<Vec<_>, _>>()?;
        if messages.len() == count {
            return Ok(messages);
        }
        Err(wrong("has not as many protocols as it says"))
    }
}

/// There is one encoding of a protocol, so its digest is that of what was read.
fn transcript(name: &KeyName, protocol: &VisitProtocol) -> Digest {
    Transcript::new("visit protocol")
        .field(name.owner.tenant.as_str())
        .field(name.owner.device.as_str())
        .integer(name.generation)
        .integer(name.epoch)
        .integer(name.number)
        .field(Digest::of(&protocol.encode()))
        .finish()
}

/// How a file begins.
const HEAD: &str = "wardein-visit-protocols 1 ";

/// The most bytes of a protocol: all of its names are bounded, and there are at most 16 categories.
const MAX_BODY: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::EpochSecret;
    use crate::message::VisitEnd;
    use crate::message::visit::tests::protocol as of;
    use wardein_crypto::Secret;

    fn protocol() -> VisitProtocol {
        of(VisitEnd::Left)
    }

    fn name(number: u64) -> KeyName {
        ServiceKey { generation: 3, epoch: 5, number }.name(protocol().device)
    }

    #[test]
    fn a_protocol_is_read_back_and_no_other_key_or_word_gives_its_mac() {
        let secret = EpochSecret(Secret::copied_from(&[7; 32]));
        let carried = CarriedProtocol::new(&name(1), &secret.key(1), protocol());
        let bytes = carried.encode();
        assert!(bytes.len() <= CarriedProtocol::MAX_LEN);
        let read = CarriedProtocol::decode(&bytes).unwrap();
        assert_eq!((read.protocol(), read.key_name(), read.signature()), (&protocol(), Some(name(1)), None));
        assert!(read.verify(&name(1), &secret.key(1)).is_ok());
        assert!(read.verify(&name(1), &secret.key(2)).is_err(), "the key of another number");
        for at in 0..bytes.len() {
            assert!(CarriedProtocol::decode(&bytes[..at]).is_err(), "{at} bytes");
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let is_taken = CarriedProtocol::decode(&altered).is_ok_and(|read| {
                read.key_name().is_some_and(|name| read.verify(&name, &secret.key(name.number)).is_ok())
            });
            assert!(!is_taken, "byte {at}");
        }
        assert!(CarriedProtocol::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_signed_protocol_is_read_back_and_no_mac_stands_for_its_signature() {
        let signed = CarriedProtocol::signed(protocol(), alloc::vec![7; P256_SIGNATURE_MAX]);
        let bytes = signed.encode();
        let read = CarriedProtocol::decode(&bytes).unwrap();
        assert_eq!((read.protocol(), read.key_name()), (&protocol(), None));
        assert_eq!(read.signature(), Some(&[7; P256_SIGNATURE_MAX][..]));
        let secret = EpochSecret(Secret::copied_from(&[7; 32]));
        assert!(read.verify(&name(1), &secret.key(1)).is_err());
        for at in 0..bytes.len() {
            assert!(CarriedProtocol::decode(&bytes[..at]).is_err(), "{at} bytes");
        }
        for signature in [alloc::vec![], alloc::vec![7; P256_SIGNATURE_MAX + 1]] {
            assert!(
                CarriedProtocol::decode(&CarriedProtocol::signed(protocol(), signature).encode()).is_err()
            );
        }
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_ne!(
            CarriedProtocol::to_sign(&protocol(), &one).0,
            CarriedProtocol::to_sign(&protocol(), &other).0
        );
    }

    #[test]
    fn a_file_that_is_cut_longer_or_none_is_refused() {
        let secret = EpochSecret(Secret::copied_from(&[7; 32]));
        let two = [1, 2].map(|number| CarriedProtocol::new(&name(number), &secret.key(number), protocol()));
        let text = CarriedProtocol::to_file(&two);
        assert_eq!(CarriedProtocol::messages_of_file(&text).unwrap(), two.map(|of| of.encode()));
        for end in 0..text.len() {
            assert!(CarriedProtocol::messages_of_file(&text[..end]).is_err(), "{end}");
        }
        let lines: Vec<_> = text.lines().collect();
        let less = alloc::format!("{}\n{}\n", lines[0], lines[1]);
        for wrong in [
            &less,
            &(text.clone() + lines[1] + "\n"),
            &(text.clone() + "\n"),
            &text.replace("s 1 2", "s 2 2"),
        ] {
            assert!(CarriedProtocol::messages_of_file(wrong).is_err(), "{wrong}");
        }
        let none = CarriedProtocol::to_file(&[]);
        assert_eq!(CarriedProtocol::messages_of_file(&none).unwrap(), Vec::<Vec<u8>>::new());
    }
}

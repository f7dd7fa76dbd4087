//! Keys in a token: those of CAs, by their label, and new ones.

use crate::Pkcs11Error;
use crate::encoding::{P256, P384, ec_key, trimmed};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use wardein_crypto::{
    Entropy, KeyAlgorithm, RsaVerifyingKey, SystemEntropy, VerifyingKey, danger_sha1_to_name, hex,
};

/// A key pair in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenKey {
    /// CKA_ID of both halves.
    pub(crate) id: Vec<u8>,
    pub(crate) public: VerifyingKey,
}

/// The key pairs of CAs. One that is not whole, or could leave the token, is left out, and `fault` hears why.
pub(crate) fn all(session: &Session, fault: &dyn Fn(&Pkcs11Error)) -> Result<Vec<TokenKey>, Pkcs11Error> {
    let template =
        [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Token(true), Attribute::Label(LABEL.to_vec())];
    let mut found = Vec::new();
    for handle in session.find_objects(&template)? {
        // Of another kind, it is not of ours.
        let Some(key) = read(session, handle)? else { continue };
        match private(session, &key.id).and_then(|handle| require_kept(session, handle, &key.id)) {
            Ok(()) => found.push(key),
            Err(error @ (Pkcs11Error::Key { .. } | Pkcs11Error::Exportable { .. })) => fault(&error),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Makes a pair that stays in the token. Its CKA_ID is the key identifier of the CA's certificate, if the token lets it be set.
pub(crate) fn make(session: &Session, algorithm: KeyAlgorithm) -> Result<TokenKey, Pkcs11Error> {
    let id = SystemEntropy::default().array::<16>().map_err(|_| Pkcs11Error::NoEntropy)?;
    let (mechanism, kind) = match algorithm {
        KeyAlgorithm::P256 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P256.to_vec())]),
        KeyAlgorithm::P384 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P384.to_vec())]),
        KeyAlgorithm::Rsa3072 => (Mechanism::RsaPkcsKeyPairGen, rsa(3_072)),
        KeyAlgorithm::Rsa4096 => (Mechanism::RsaPkcsKeyPairGen, rsa(4_096)),
    };
    let both = [Attribute::Token(true), Attribute::Label(LABEL.to_vec()), Attribute::Id(id.to_vec())];
    let mut public = vec![Attribute::Private(false), Attribute::Verify(true)];
    public.extend(both.iter().chain(&kind).cloned());
    let mut secret = vec![
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    secret.extend(both);
    let (public, secret) = session.generate_key_pair(&mechanism, &public, &secret)?;
    let made = finish(session, (public, secret), &id, algorithm);
    if made.is_err() {
        // What is left of it is of no use, and in nobody's way.
        let _ = session.destroy_object(secret);
        let _ = session.destroy_object(public);
    }
    made
}

fn finish(
    session: &Session,
    (public, secret): (ObjectHandle, ObjectHandle),
    id: &[u8],
    algorithm: KeyAlgorithm,
) -> Result<TokenKey, Pkcs11Error> {
    // What the token made, and not what it was asked for.
    require_kept(session, secret, id)?;
    let key = read(session, public)?.ok_or(Pkcs11Error::Unfit)?;
    let is_fit = match (&key.public, algorithm) {
        (VerifyingKey::P256(_), KeyAlgorithm::P256) | (VerifyingKey::P384(_), KeyAlgorithm::P384) => true,
        (VerifyingKey::Rsa(key), KeyAlgorithm::Rsa3072) => key.bits() == 3_072,
        (VerifyingKey::Rsa(key), KeyAlgorithm::Rsa4096) => key.bits() == 4_096,
        _ => false,
    };
    is_fit.then_some(()).ok_or(Pkcs11Error::Unfit)?;
    let name = danger_sha1_to_name(key.public.as_bytes()).to_vec();
    let rename = |to: &[u8]| {
        let to = [Attribute::Id(to.to_vec())];
        session.update_attributes(secret, &to).and_then(|()| session.update_attributes(public, &to))
    };
    let id = match rename(&name) {
        Ok(()) => name,
        // Both halves must have one.
        Err(_) => {
            let _ = rename(id);
            id.to_vec()
        }
    };
    private(session, &id)?;
    Ok(TokenKey { id, public: key.public })
}

/// Removes both halves.
pub(crate) fn destroy(session: &Session, id: &[u8]) -> Result<(), Pkcs11Error> {
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let template = [
            Attribute::Class(class),
            Attribute::Token(true),
            Attribute::Label(LABEL.to_vec()),
            Attribute::Id(id.to_vec()),
        ];
        for handle in session.find_objects(&template)? {
            session.destroy_object(handle)?;
        }
    }
    Ok(())
}

/// The private half.
pub(crate) fn private(session: &Session, id: &[u8]) -> Result<ObjectHandle, Pkcs11Error> {
    let template =
        [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true), Attribute::Id(id.to_vec())];
    match &session.find_objects(&template)?[..] {
        [handle] => Ok(*handle),
        handles => Err(Pkcs11Error::Key { id: hex::encode(id), count: handles.len() }),
    }
}

/// Refuses a key that could leave the token.
pub(crate) fn require_kept(session: &Session, key: ObjectHandle, id: &[u8]) -> Result<(), Pkcs11Error> {
    let facts = session.get_attributes(key, &[AttributeType::Sensitive, AttributeType::Extractable])?;
    // What a token does not say is not so.
    let is_kept =
        facts.contains(&Attribute::Sensitive(true)) && facts.contains(&Attribute::Extractable(false));
    is_kept.then_some(()).ok_or_else(|| Pkcs11Error::Exportable { id: hex::encode(id) })
}

/// The public half; none of a kind that no CA has.
fn read(session: &Session, handle: ObjectHandle) -> Result<Option<TokenKey>, Pkcs11Error> {
    let wanted = [
        AttributeType::KeyType,
        AttributeType::Id,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let (mut kind, mut id) = (None, Vec::new());
    let [mut params, mut point, mut modulus, mut exponent] = [const { Vec::new() }; 4];
    for attribute in session.get_attributes(handle, &wanted)? {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::Id(found) => id = found,
            Attribute::EcParams(found) => params = found,
            Attribute::EcPoint(found) => point = found,
            Attribute::Modulus(found) => modulus = found,
            Attribute::PublicExponent(found) => exponent = found,
            _ => {}
        }
    }
    let public = match kind {
        Some(KeyType::EC) => ec_key(&params, &point),
        Some(KeyType::RSA) if trimmed(&exponent) == EXPONENT => {
            let key = RsaVerifyingKey::new(trimmed(&modulus)).ok();
            key.filter(|key| key.weakness().is_none()).map(VerifyingKey::from)
        }
        _ => None,
    };
    Ok(public.filter(|_| !id.is_empty()).map(|public| TokenKey { id, public }))
}

fn rsa(bits: u64) -> Vec<Attribute> {
    vec![Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(EXPONENT.to_vec())]
}

/// CKA_LABEL of both halves, by which they are found.
pub(crate) const LABEL: &[u8] = b"wardein CA";

/// 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

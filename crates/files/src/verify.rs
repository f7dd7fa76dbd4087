//! A signed statement: the text, its signature, and the certificates from the device's to the root's.
//!
//! It is verified offline, with nothing but the roots: `deploy/FILES.md` has the same in commands of openssl.

use crate::error::FileError;
use crate::seal::Chunk;
use crate::statement::{FIRST, Statement};
use serde::Serialize;
use std::io::Read;
use wardein_crypto::{Digest, P256_SIGNATURE_MAX, P256SigningKey, Sha256, VerifyingKey};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{from_text, to_text};
use wardein_domain::Serial;
use wardein_pki::{pem, verify_device_chain};

/// The most bytes of a signed statement: the certificates take most of them.
pub const MAX_SIGNED: usize = pem::MAX_LEN + 4096;

/// A statement with its signature and certificates, as it came: nothing of it is believed until [`SignedStatement::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    statement: Statement,
    signature: Vec<u8>,
    certificates: String,
}

/// A statement that was signed by a device's key under a certificate of the authority, valid when the file was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was signed.
    pub statement: Statement,
    /// The serial of the certificate. Whether it was revoked before the file was sealed, the authority's CRL says.
    pub serial: Serial,
}

/// What the numbers of a device's files tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The first number that is there.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Each number that follows a gap, with how many are missing before it.
    pub gaps: Vec<(u64, u64)>,
    /// Numbers that are there more than once, with different statements, or whose predecessor is another than the one that is there: some
    /// file was put in the place of another, or two holders of the device's key speak.
    pub broken: Vec<u64>,
}

impl SignedStatement {
    /// Signs `statement` by `key`, which `certificates` (PEM, leaf first) certify.
    pub fn sign(statement: Statement, key: &P256SigningKey, certificates: String) -> Result<Self, FileError> {
        let signature = key.sign(statement.text().as_bytes()).map_err(|_| FileError::Signature)?;
        Ok(Self { statement, signature, certificates })
    }

    /// What it says; not believed yet.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// As it is written beside a file.
    pub fn text(&self) -> String {
        format!("{}{SIGNATURE}{}\n{}", self.statement.text(), to_text(&self.signature), self.certificates)
    }

    /// The inverse.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > MAX_SIGNED {
            return Err(FileError::Statement("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FileError::Statement("it is not UTF-8"))?;
        let at = text.find(SIGNATURE).ok_or(FileError::Statement("signature"))?;
        let (statement, rest) = text.split_at(at);
        let (signature, certificates) =
            rest[SIGNATURE.len()..].split_once('\n').ok_or(FileError::Statement("signature"))?;
        let signature = from_text(signature, P256_SIGNATURE_MAX).map_err(|_| FileError::Signature)?;
        Ok(Self { statement: Statement::parse(statement)?, signature, certificates: certificates.to_owned() })
    }

    /// Judges it: the certificates lead to a root of `roots` (DER), are of the device that the statement names, and were valid when the
    /// file was sealed; and their key has signed.
    pub fn verify(&self, roots: &[&[u8]]) -> Result<Verified, FileError> {
        let chain = pem::decode_certificates(&self.certificates).map_err(FileError::Pem)?;
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let (identity, key) = verify_device_chain(&chain, roots).map_err(FileError::Certificate)?;
        let statement = self.statement.clone();
        let certified = DeviceName { tenant: identity.tenant, device: identity.device };
        if certified != statement.device {
            let words = |name: &DeviceName| format!("{}/{}", name.tenant, name.device);
            let (stated, certified) = (words(&statement.device), words(&certified));
            return Err(FileError::OtherDevice { stated, certified });
        }
        let VerifyingKey::P256(key) = key.verifying_key() else { return Err(FileError::Signature) };
        key.verify(statement.text().as_bytes(), &self.signature).map_err(|_| FileError::Signature)?;
        let (validity, at) = (identity.validity, statement.sealed_at);
        if !validity.contains(at) {
            let (from, until) = (validity.not_before(), validity.not_after());
            return Err(FileError::NotValidThen { at, from, until });
        }
        Ok(Verified { statement, serial: identity.serial })
    }
}

impl Verified {
    /// Whether `found`, the digest and length of a file, are those that were signed.
    pub fn is_of(&self, found: (Digest, u64)) -> Result<(), FileError> {
        let Statement { sha256, length, .. } = self.statement;
        if (sha256, length) == found { Ok(()) } else { Err(FileError::OtherFile) }
    }
}

/// The digest and the length of a file, read once.
pub fn digest(mut input: impl Read, progress: &mut dyn FnMut(u64)) -> Result<(Digest, u64), FileError> {
    let (mut sha256, mut length, mut chunk) = (Sha256::new(), 0, Chunk::new());
    loop {
        let read = chunk.fill(&mut input)?;
        if read.is_empty() {
            return Ok((sha256.finish(), length));
        }
        sha256.update(read);
        length += read.len() as u64;
        progress(length);
    }
}

/// What the numbers of one device's statements tell; none where there are no statements. What was lost behind the last one cannot be seen.
pub fn in_order<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Option<Order> {
    let mut sorted: Vec<_> = statements.into_iter().collect();
    sorted.sort_by_key(|statement| statement.number);
    let (first, last) = (sorted.first()?, sorted.last()?);
    let mut order = Order { first: first.number, last: last.number, gaps: Vec::new(), broken: Vec::new() };
    if first.number > 1 {
        order.gaps.push((first.number, first.number - 1));
    } else if first.previous != FIRST {
        order.broken.push(first.number);
    }
    for (before, after) in sorted.iter().zip(sorted.iter().skip(1)) {
        match after.number - before.number {
            0 if before == after => {}
            0 => order.broken.push(after.number),
            1 if after.previous == before.digest() => {}
            1 => order.broken.push(after.number),
            distance => order.gaps.push((after.number, distance - 1)),
        }
    }
    Some(order)
}

const SIGNATURE: &str = "signature: ";

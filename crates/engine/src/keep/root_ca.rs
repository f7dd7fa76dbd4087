//! The root's key, taken out of an authority while nobody serves it, to be kept offline; and put back for the hour in which a CA is
//! made.
//!
//! Taking it out has two steps, as making an administrator has: the file is the caller's to make durable before the key is erased here.

use crate::issue::authority::place;
use crate::keep::clock::stored_clock;
use crate::keep::found::commit;
use crate::keep::migrate::require_format;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Draw, Error, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow};
use std::sync::Arc;
use wardein_crypto::{SecretBytes, SigningKey};
use wardein_domain::{Actor, Call, ErrorCode, Event, Outcome, Target};
use wardein_pki::{CaCertificate, Root, RootCa, pem};
use wardein_port::{Change, CommitError, RootKey, Table};

/// The root's key on its way out.
pub struct RootExport {
    /// The key, PKCS#8 DER.
    pub key: SecretBytes,
    /// The root's certificate, PEM.
    pub certificate_pem: String,
    change: Change,
}

impl RootExport {
    /// Reads the root's key. Nothing changes yet.
    pub async fn begin(ports: &Ports, root_keys: impl IntoIterator<Item = RootKey>) -> Result<Self, Error> {
        let (ring, version, mut row) = opened(ports, root_keys).await?;
        if row.root_key.is_empty() {
            let message = "the root's key is not in this authority";
            return Err(Error::new(ErrorCode::RootUnavailable, message));
        }
        let key = ring.open(place("root"), &row.root_key)?;
        let certificate_pem = pem::encode_certificates([&row.root_der[..]]).map_err(Error::internal)?;
        row.root_key = Vec::new();
        let change = changed(ports, version, &row, Event::RootExported).await?;
        Ok(Self { key, certificate_pem, change })
    }

    /// Erases the key in the store, with an audit entry: from then on no CA can be made.
    pub async fn finish(self, ports: &Ports) -> Result<(), CommitError> {
        commit(&*ports.store, self.change).await.map(|_| ())
    }
}

/// Puts the root's key back, PKCS#8 DER, which must be the one of the root's certificate. The same again changes nothing.
pub async fn import_root(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
    key: &SecretBytes,
) -> Result<(), Error> {
    let (ring, version, mut row) = opened(ports, root_keys).await?;
    let other = || Error::wrong("key", "is not the key of this authority's root");
    let certificate = CaCertificate::<Root>::parse(&row.root_der).map_err(Error::internal)?;
    let algorithm = certificate.verifying_key().algorithm();
    let signer = SigningKey::from_pkcs8(algorithm, key).map_err(|_| other())?;
    RootCa::load(Arc::new(signer), &row.root_der).map_err(|_| other())?;
    if !row.root_key.is_empty() {
        return Ok(());
    }
    let nonce = Draw::new(&*ports.entropy).nonce()?;
    row.root_key = ring.seal(nonce, place("root"), key.expose())?;
    let change = changed(ports, version, &row, Event::RootImported).await?;
    Ok(commit(&*ports.store, change).await.map(|_| ())?)
}

async fn opened(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
) -> Result<(Keyring, u64, AuthorityRow), Error> {
    require_format(ports).await?;
    let ring = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
    let (version, row) =
        rows::load(&*ports.store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
    Ok((ring, version, row))
}

async fn changed(ports: &Ports, version: u64, row: &AuthorityRow, event: Event) -> Result<Change, Error> {
    let mut change = Change::default();
    change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(row)?);
    let (now_ms, call) = (stored_clock(ports).await?.now_ms(), Call::default());
    change.record(&record::entry(now_ms, Actor::Owner, event, Target::Authority, Outcome::Done, &call))?;
    Ok(change)
}

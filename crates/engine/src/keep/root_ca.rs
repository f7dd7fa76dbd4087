//! The root's key, taken out of an authority while nobody serves it, to be kept offline; and put back for the hour in which a CA is
//! made.
//!
//! Taking it out has two steps, as making an administrator has: the file is the caller's to make durable before the key is erased here.
//!
//! The last that it does here is to sign a revocation list that is good for long: verifiers that ask for a list of every CA of a chain
//! (`openssl verify -crl_check_all`, nginx, HAProxy) refuse every device where the root has none.

use crate::issue::authority::place;
use crate::issue::cas::distrusted;
use crate::issue::crl::{CRL_LIFETIME, crl_number};
use crate::keep::clock::stored_clock;
use crate::keep::found::commit;
use crate::keep::migrate::require_format;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Draw, Error, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow, CRL_KEY, CrlRow, ROOT_CRL_KEY, RootCrlRow};
use std::sync::Arc;
use wardein_crypto::{SecretBytes, SigningKey};
use wardein_domain::{Actor, Call, ErrorCode, Event, FieldName, Outcome, Target, UnixSeconds};
use wardein_pki::{CLOCK_SKEW, CaCertificate, Crl, CrlOrder, Root, RootCa, pem};
use wardein_port::{Change, CommitError, RootKey, Table};

/// The root's key on its way out.
pub struct RootExport {
    /// The key, PKCS#8 DER.
    pub key: SecretBytes,
    /// The root's certificate, PEM.
    pub certificate_pem: String,
    /// Unix seconds until which the root's revocation list is good: by then the key is put back and taken out again.
    pub crl_until: u64,
    change: Change,
}

impl RootExport {
    /// Reads the root's key, and signs the root's revocation list, good for `crl_validity` seconds: at least [`CRL_LIFETIME`], and no longer
    /// than the root. Nothing changes yet.
    pub async fn begin(
        ports: &Ports,
        root_keys: impl IntoIterator<Item = RootKey>,
        crl_validity: u64,
    ) -> Result<Self, Error> {
        if crl_validity < CRL_LIFETIME {
            return Err(Error::wrong("crl_validity", "is less than seven days"));
        }
        let (ring, version, mut row) = opened(ports, root_keys).await?;
        if row.root_key.is_empty() {
            let certificate = CaCertificate::<Root>::parse(&row.root_der).map_err(Error::internal)?;
            let message = match ports.signers.find(certificate.verifying_key()) {
                Some(_) => "the root's key is in another process, and never leaves it",
                None => "the root's key is not in this authority",
            };
            return Err(Error::new(ErrorCode::RootUnavailable, message));
        }
        let key = ring.open(place("root"), &row.root_key)?;
        let certificate_pem = pem::encode_certificates([&row.root_der[..]]).map_err(Error::internal)?;
        let (root, mut listed) = (row.open_root(&ring, &*ports.signers)?, Change::default());
        let until = (stored_clock(ports).await?.now_ms() / 1000).saturating_add(crl_validity);
        let list = sign_last_list(ports, &root, row.restored_at, until, &mut listed).await?;
        let before: Option<(u64, RootCrlRow)> =
            rows::load(&*ports.store, Table::Authority, ROOT_CRL_KEY).await?;
        let (before, kept) =
            (before.map(|(version, _)| version), rows::encode(&RootCrlRow { der: list.der })?);
        listed.put(Table::Authority, ROOT_CRL_KEY.to_vec(), before, kept);
        let crl_until = list.next_update;
        row.root_key = Vec::new();
        let until = Some((FieldName::NotAfter, crl_until));
        let mut change = changed(ports, version, &row, Event::RootExported, until).await?;
        change.writes.append(&mut listed.writes);
        Ok(Self { key, certificate_pem, crl_until, change })
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
    let change = changed(ports, version, &row, Event::RootImported, None).await?;
    Ok(commit(&*ports.store, change).await.map(|_| ())?)
}

/// The last revocation list that a root signs here, good until the Unix second `until` or as long as the root; `change` takes its number.
pub(crate) async fn sign_last_list(
    ports: &Ports,
    root: &RootCa,
    restored_at: UnixSeconds,
    until: u64,
    change: &mut Change,
) -> Result<Crl, Error> {
    let now_ms = stored_clock(ports).await?.now_ms();
    let now = now_ms / 1000;
    let numbers: Option<(u64, CrlRow)> = rows::load(&*ports.store, Table::Authority, CRL_KEY).await?;
    let last = numbers.as_ref().map_or(0, |(_, row)| row.limit);
    let limit = now_ms.saturating_mul(1_000_000).max(last.saturating_add(1));
    let order = CrlOrder {
        number: crl_number(restored_at, limit),
        this_update: now.saturating_sub(CLOCK_SKEW),
        next_update: until.min(root.certificate().validity().not_after()),
        revoked: distrusted(&*ports.store, now).await?,
    };
    let numbered = rows::encode(&CrlRow { limit })?;
    change.put(Table::Authority, CRL_KEY.to_vec(), numbers.map(|(version, _)| version), numbered);
    root.sign_crl(&order).map_err(Error::internal)
}

pub(crate) async fn opened(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
) -> Result<(Keyring, u64, AuthorityRow), Error> {
    require_format(ports).await?;
    let ring = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
    let (version, row) =
        rows::load(&*ports.store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
    Ok((ring, version, row))
}

async fn changed(
    ports: &Ports,
    version: u64,
    row: &AuthorityRow,
    event: Event,
    with: Option<(FieldName, u64)>,
) -> Result<Change, Error> {
    let mut change = Change::default();
    change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(row)?);
    let (now_ms, call) = (stored_clock(ports).await?.now_ms(), Call::default());
    let entry = record::entry(now_ms, Actor::Owner, event, Target::Authority, Outcome::Done, &call);
    change.record(&with.into_iter().fold(entry, |entry, (field, value)| entry.with(field, value)))?;
    Ok(change)
}

//! The root replaced by another one while nobody serves the authority, and the former one dropped in the end.
//!
//! Each certifies the other (RFC 4210 §4.4: NewWithOld and OldWithNew), so that who trusts one of them verifies what is under either. The
//! former key's last deeds are that certificate and a revocation list that is good as long as the former root; then it is erased.

use crate::issue::authority::{place, roots_changed, roots_sequence};
use crate::issue::ca_keys::NewCaKey;
use crate::issue::cas::issuing;
use crate::issue::serial::new_serial;
use crate::keep::clock::stored_clock;
use crate::keep::found::{Offline, commit};
use crate::keep::root_ca::{opened, sign_last_list};
use crate::kernel::record::{self, Recording};
use crate::kernel::{Draw, Error, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow, FORMER_ROOT_KEY, FormerRootRow, Link, ROOTS_KEY, RootsRow};
use wardein_crypto::KeyAlgorithm;
use wardein_domain::{Actor, Call, ErrorCode, Event, Outcome, Serial, Target};
use wardein_pki::{
    CaCertificate, CaKey, CertificateOrder, INTERMEDIATE_LIFETIME, PkiError, ROOT_LIFETIME, Root, RootCa,
    Validity, issuer_key_id, pem,
};
use wardein_port::{Change, RootKey, Table};

/// Replaces the root by one with a key of `algorithm`; the certificates of the new and of the former one, PEM. The infrastructure CA is
/// certified again by the new one; issuing CAs go on under the former one until they are followed. In one change, but for what keys in another
/// process are to sign, which is on record before.
///
/// Fails with `root-unavailable` where the root's key is not here, and with `root-rotating` where there is a former root already.
pub async fn rotate_root(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
    algorithm: KeyAlgorithm,
) -> Result<String, Error> {
    let (ring, version, row) = opened(ports, root_keys).await?;
    let root = CaCertificate::<Root>::parse(&row.root_der).map_err(Error::internal)?;
    if row.root_key.is_empty() && ports.signers.find(root.verifying_key()).is_none() {
        return Err(Error::new(ErrorCode::RootUnavailable, "the root's key is not in this authority"));
    }
    if former(ports).await?.is_some() {
        let message = "a former root is still trusted; drop it first";
        return Err(Error::new(ErrorCode::RootRotating, message));
    }
    let key = NewCaKey::make(&*ports.signers, algorithm)?;
    let replaced = replace_root(ports, &ring, (version, row), &key).await;
    replaced.inspect_err(|error| key.discard(&*ports.signers, error))
}

async fn replace_root(
    ports: &Ports,
    ring: &Keyring,
    (version, mut row): (u64, AuthorityRow),
    key: &NewCaKey,
) -> Result<String, Error> {
    let old = row.open_root(ring, &*ports.signers)?;
    let now_ms = stored_clock(ports).await?.now_ms();
    let now = now_ms / 1000;
    let (offline, draw) = (Offline::new(&*ports.store, now, now), Draw::new(&*ports.entropy));
    let mut signing = Signing { draw, offline, change: Change::default() };

    let whole = Validity::starting(now, ROOT_LIFETIME).map_err(Error::internal)?;
    let serial = signing.serial()?;
    let itself = RootCa::prepare_itself(&row.trust_domain, &key.signer, serial, whole);
    let itself = signing.offline.sign_itself(&key.signer, itself.map_err(Error::internal)?).await?;
    let new = RootCa::load(key.signer.clone(), itself.der()).map_err(Error::internal)?;
    let both = whole.within(old.certificate().validity()).map_err(Error::internal)?;
    let new_with_old = signing.sign(&old, |serial| old.link_order(new.certificate(), serial, both)).await?;
    let old_with_new = signing.sign(&new, |serial| new.link_order(old.certificate(), serial, both)).await?;
    let below = Validity::starting(now, INTERMEDIATE_LIFETIME).map_err(Error::internal)?;
    let infrastructure = row.open_infrastructure(ring, &*ports.signers)?;
    let infrastructure_key = infrastructure.certificate().verifying_key();
    row.infrastructure_der =
        signing.sign(&new, |serial| new.infrastructure_order(infrastructure_key, serial, below)).await?;

    let Signing { draw, offline, mut change } = signing;
    offline.end(&mut change);
    let until = old.certificate().validity().not_after();
    let list = sign_last_list(ports, &old, row.restored_at, until, &mut change).await?;
    let former = FormerRootRow {
        der: std::mem::replace(&mut row.root_der, new.certificate().der().to_vec()),
        old_with_new,
        new_with_old,
        crl: list.der,
    };
    change.insert(Table::Authority, FORMER_ROOT_KEY.to_vec(), rows::encode(&former)?);
    row.root_key = match &key.document {
        Some(document) => ring.seal(draw.nonce()?, place("root"), document.expose())?,
        None => Vec::new(),
    };
    end(ports, change, (version, &row), Event::RootRotated, now_ms).await?;
    pem::encode_certificates([&row.root_der[..], &former.der]).map_err(Error::internal)
}

/// Drops the former root: who trusts it alone verifies nothing any more. Nothing is done where there is none; whether there was one.
///
/// Fails with `root-rotating` where a CA that is published is still under it.
pub async fn drop_former_root(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
) -> Result<bool, Error> {
    let (_, version, row) = opened(ports, root_keys).await?;
    let Some((former_version, former)) = former(ports).await? else { return Ok(false) };
    let root = CaCertificate::<Root>::parse(&former.der).map_err(Error::internal)?;
    for der in issuing(&*ports.store, &row).await? {
        if issuer_key_id(&der).ok().as_ref() == Some(root.key_id()) {
            let message = "a CA that certifies devices is under the former root; have another one follow it, and retire it first";
            return Err(Error::new(ErrorCode::RootRotating, message));
        }
    }
    let mut change = Change::default();
    change.delete(Table::Authority, FORMER_ROOT_KEY.to_vec(), former_version);
    let now_ms = stored_clock(ports).await?.now_ms();
    end(ports, change, (version, &row), Event::FormerRootDropped, now_ms).await?;
    Ok(true)
}

async fn former(ports: &Ports) -> Result<Option<(u64, FormerRootRow)>, Error> {
    rows::load(&*ports.store, Table::Authority, FORMER_ROOT_KEY).await
}

async fn end(
    ports: &Ports,
    mut change: Change,
    (version, row): (u64, &AuthorityRow),
    event: Event,
    now_ms: u64,
) -> Result<(), Error> {
    let (changed_version, changed) = roots_changed(&*ports.store).await?;
    let root = CaCertificate::<Root>::parse(&row.root_der).map_err(Error::internal)?;
    let sequence = roots_sequence(&root, row.restored_at, changed).saturating_add(1).max(now_ms / 1000);
    let sequence = rows::encode(&RootsRow { sequence })?;
    change.put(Table::Authority, ROOTS_KEY.to_vec(), changed_version, sequence);
    change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(row)?);
    let call = Call::default();
    change.record(&record::entry(now_ms, Actor::Owner, event, Target::Authority, Outcome::Done, &call))?;
    Ok(commit(&*ports.store, change).await.map(|_| ())?)
}

/// Certificates whose serials go on record in the one change.
struct Signing<'a> {
    draw: Draw<'a>,
    offline: Offline<'a>,
    change: Change,
}

impl Signing<'_> {
    fn serial(&mut self) -> Result<Serial, Error> {
        let serial = new_serial(&mut self.draw)?;
        self.change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(b"ca"));
        Ok(serial)
    }

    async fn sign(
        &mut self,
        ca: &CaKey<Root>,
        order: impl FnOnce(Serial) -> Result<CertificateOrder<Root>, PkiError>,
    ) -> Result<Vec<u8>, Error> {
        let order = order(self.serial()?).map_err(Error::internal)?;
        Ok(self.offline.sign(ca, &order).await?.into_der())
    }
}

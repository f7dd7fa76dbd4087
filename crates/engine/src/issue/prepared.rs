//! From an order to a certificate. A key in this process signs within the decision, and what lost a conflict never leaves. A key in
//! another process signs only what is on record: the decision records the bytes, the signer signs them, and a second change puts
//! the certificate on record. What was prepared and is not completed is abandoned: its serial is revoked, for a signature that
//! nobody has seen may exist.

use crate::issue::apart::apart;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, OperatorRow, PreparedRow, RevokedRow};
use wardein_domain::{ErrorCode, Event, FieldName, Reason, RevocationReason, Serial, UnixSeconds};
use wardein_pki::{CaKey, CaRole, CertificateOrder, Issued, IssuedBy, PkiError, ToBeSigned};
use wardein_port::{Change, Table};

/// A certificate as a decision leaves it.
pub(crate) enum Certified<R> {
    /// Complete: nothing but its record is missing.
    Signed(Issued),
    /// On record with the decision, to be signed by [`Engine::complete`].
    Prepared(ToBeSigned<R>),
}

impl Engine {
    /// Builds and lints a certificate; a key in this process signs it, of one in another process the record goes into `change`.
    pub(crate) fn certify<R: CaRole>(
        &self,
        ca: &CaKey<R>,
        order: &CertificateOrder<R>,
        change: &mut Change,
    ) -> Result<Certified<R>, Error> {
        let tbs = ca.prepare(order).map_err(refused)?;
        if !ca.is_external() {
            return tbs.sign(ca).map(Certified::Signed).map_err(refused);
        }
        let row = PreparedRow { at: self.time(), tbs: tbs.bytes().to_vec() };
        change.insert(Table::Prepared, tbs.serial().as_bytes().to_vec(), rows::encode(&row)?);
        Ok(Certified::Prepared(tbs))
    }

    /// Has a certificate signed whose record is durable, and puts it on record with what `record` adds.
    pub(crate) async fn complete<R: CaRole>(
        &self,
        ca: &CaKey<R>,
        tbs: ToBeSigned<R>,
        mut record: impl FnMut(&Tx<'_>, &Issued, &mut Change) -> Result<(), Stop> + Send,
    ) -> Result<Issued, Error> {
        let serial = tbs.serial();
        let issued = match sign_elsewhere(ca.clone(), tbs).await {
            Ok(issued) => issued,
            Err(error) => {
                self.abandon(serial).await?;
                return Err(error);
            }
        };
        self.transact(|tx| {
            let (version, _) = prepared(tx, &serial)?.ok_or_else(unavailable)?;
            let mut change = Change::default();
            change.delete(Table::Prepared, serial.as_bytes().to_vec(), version);
            record(tx, &issued, &mut change)?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        Ok(issued)
    }

    /// Gives up certificates that were prepared [`GIVEN_UP_AFTER`] ago: the process that had them signed died, or its caller left.
    pub(crate) async fn abandon_prepared(&self) -> Result<(), Error> {
        let before = UnixSeconds::new(self.now().saturating_sub(GIVEN_UP_AFTER));
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::Prepared, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, row) in &page {
                let row: PreparedRow = rows::decode(Table::Prepared, &row.value)?;
                if row.at < before {
                    self.abandon(Serial::from_bytes(key).map_err(Error::internal)?).await?;
                }
            }
        }
    }

    /// Revokes the serial of a certificate that was prepared, and the operator that has it.
    async fn abandon(&self, serial: Serial) -> Result<(), Error> {
        let (at, reason) = (self.time(), reason());
        self.transact(|tx| {
            let mut change = Change::default();
            let Some((version, row)) = prepared(tx, &serial)? else { return Ok(Decision::new(change, ())) };
            let key = serial.as_bytes().to_vec();
            change.delete(Table::Prepared, key.clone(), version);
            let IssuedBy { ca, not_after } = IssuedBy::of_tbs(&row.tbs)
                .ok_or_else(|| rows::damaged(Table::Prepared, "holds no certificate of this authority"))?;
            let (code, not_after) = (RevocationReason::Unspecified, UnixSeconds::new(not_after));
            let revoked = RevokedRow { at, reason: reason.clone(), code, ca, not_after, is_released: false };
            let revoked = rows::encode(&revoked)?;
            let present = tx.get(Table::Revocation, &rows::revoked_key(&serial))?;
            change.put(
                Table::Revocation,
                rows::revoked_key(&serial),
                present.map(|row| row.version),
                revoked,
            );
            if let Some((version, mut row)) = tx.row::<OperatorRow>(Table::Operator, &key)? {
                row.revoked.get_or_insert_with(|| (at, reason.clone()));
                change.update(Table::Operator, key, version, rows::encode(&row)?);
            }
            let entry = record::of_system(self.clock.now_ms(), Event::CertificateAbandoned);
            change.record(&entry.with(FieldName::Serial, serial).with(FieldName::Reason, &reason))?;
            Ok(Decision::new(change, ()))
        })
        .await
    }
}

/// Signs on a thread of its own: a signer elsewhere takes its time.
async fn sign_elsewhere<R: CaRole>(ca: CaKey<R>, tbs: ToBeSigned<R>) -> Result<Issued, Error> {
    apart("wardein-sign", move || tbs.recorded_assertion().sign(&ca)).await?.map_err(refused)
}

fn prepared(tx: &Tx<'_>, serial: &Serial) -> Result<Option<(u64, PreparedRow)>, Stop> {
    tx.row(Table::Prepared, serial.as_bytes())
}

pub(crate) fn refused(error: PkiError) -> Error {
    match error {
        PkiError::Signing => unavailable(),
        error => Error::new(error.code(), error),
    }
}

fn unavailable() -> Error {
    Error::new(ErrorCode::SignerUnavailable, "the store of the CA's key does not sign; try again")
}

fn reason() -> Reason {
    "it was prepared and not completed".parse().expect("the constant is a reason")
}

/// Seconds: ten minutes, longer than any call.
const GIVEN_UP_AFTER: u64 = 600;

const PAGE: usize = 256;

//! Operators' certificates whose answer was lost: who orders the same one again, for the same key, gets it again and not a second.
//!
//! Without that the name would be taken by a certificate that nobody holds.

use super::operators::Operator;
use crate::issue::prepared::Certified;
use crate::kernel::{Caller, Engine, Error, Stop, Tx};
use crate::rows::{self, AnswerRow, OperatorRow};
use wardein_crypto::Digest;
use wardein_domain::Serial;
use wardein_pki::{Csr, Infrastructure, Issued};
use wardein_port::{Change, Table};

/// What becomes of an order.
pub(super) enum Answer {
    Now(Certified<Infrastructure>, Operator),
    /// The certificate of the first time, DER.
    Again(Vec<u8>, Operator),
}

/// What was asked for, to the byte and by whom: SHA-256.
pub(super) struct OrderKey([u8; 32]);

/// How an operator is ordered.
#[derive(Clone, Copy)]
pub(super) enum Ordered {
    Issued = 1,
    Renewed = 2,
}

impl OrderKey {
    /// Of an order by a caller: how, for which key, for how many seconds, with which quota, under which name.
    pub(super) fn new(
        caller: &Caller,
        how: Ordered,
        csr: &Csr,
        (validity, quota): (u64, u64),
        name_key: &[u8],
    ) -> Self {
        // Each part but the last has a fixed length, so that no two orders have the same bytes.
        let parts = [
            &[how as u8],
            caller.principal.serial.as_bytes().as_slice(),
            &Digest::of(&csr.public_key().spki()).0,
            &validity.to_be_bytes(),
            &quota.to_be_bytes(),
            name_key,
        ];
        Self(Digest::of(&parts.concat()).0)
    }
}

impl Engine {
    /// The answer to the same order of a short time ago, while the operator that it made is valid.
    pub(super) fn answered(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        order: &OrderKey,
    ) -> Result<Option<Answer>, Stop> {
        let row: Option<(u64, AnswerRow)> = tx.row(Table::OperatorAnswer, &order.0)?;
        let Some((_, AnswerRow { serial, certificate, .. })) = row else { return Ok(None) };
        let operator: Option<(u64, OperatorRow)> = tx.row(Table::Operator, serial.as_bytes())?;
        let Some((_, operator)) = operator.filter(|(_, operator)| operator.is_valid(self.time())) else {
            return Ok(None);
        };
        // There is no commit that would check the caller.
        self.operator_version(tx, &caller.principal)?;
        let used = self.memory.enrolled_by(&serial);
        Ok(Some(Answer::Again(certificate, operator.operator(serial, used))))
    }

    /// Keeps what is handed out. What a signer in another process has yet to sign is kept when that has happened.
    pub(super) fn keep_answer(
        &self,
        tx: &Tx<'_>,
        order: &OrderKey,
        serial: Serial,
        certified: &Certified<Infrastructure>,
        change: &mut Change,
    ) -> Result<(), Stop> {
        match certified {
            Certified::Signed(issued) => self.keep_issued(tx, order, serial, issued, change),
            Certified::Prepared(_) => Ok(()),
        }
    }

    fn keep_issued(
        &self,
        tx: &Tx<'_>,
        order: &OrderKey,
        serial: Serial,
        issued: &Issued,
        change: &mut Change,
    ) -> Result<(), Stop> {
        let present = tx.get(Table::OperatorAnswer, &order.0)?.map(|row| row.version);
        let row = AnswerRow { at: self.time(), serial, certificate: issued.der().to_vec() };
        change.put(Table::OperatorAnswer, order.0.to_vec(), present, rows::encode(&row)?);
        Ok(())
    }

    /// The certificate of an operator that is on record, followed by the infrastructure CA's, PEM.
    pub(super) async fn hand_over(
        &self,
        answer: Answer,
        order: &OrderKey,
    ) -> Result<(String, Operator), Error> {
        let serial = match &answer {
            Answer::Now(_, operator) | Answer::Again(_, operator) => operator.principal.serial,
        };
        self.hand_over_with(answer, |tx, issued, change| self.keep_issued(tx, order, serial, issued, change))
            .await
    }

    /// The same; with a certificate that is signed only now, what `record` makes of it goes on record.
    pub(super) async fn hand_over_with(
        &self,
        answer: Answer,
        record: impl FnMut(&Tx<'_>, &Issued, &mut Change) -> Result<(), Stop> + Send,
    ) -> Result<(String, Operator), Error> {
        let infrastructure = self.memory.infrastructure()?;
        let (der, operator) = match answer {
            Answer::Again(der, operator) => (der, operator),
            Answer::Now(Certified::Signed(issued), operator) => (issued.der().to_vec(), operator),
            Answer::Now(Certified::Prepared(tbs), operator) => {
                (self.complete(&infrastructure, tbs, record).await?.der().to_vec(), operator)
            }
        };
        Ok((self.operator_chain(&der)?, operator))
    }

    /// Forgets answers that nobody waits for any more.
    pub(crate) async fn forget_answers(&self) -> Result<(), Error> {
        let before = self.now().saturating_sub(KEPT);
        self.forget_rows(Table::OperatorAnswer, |value| {
            let row: AnswerRow = rows::decode(Table::OperatorAnswer, value)?;
            Ok(row.at.get() < before)
        })
        .await
    }
}

/// Seconds for which an answer is kept: a day.
const KEPT: u64 = 86_400;

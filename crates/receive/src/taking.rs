//! Taking a batch: who sealed it, whether it is the one that was signed, its key, its contents, its segment.

use crate::authority::{Authority, KeyError};
use crate::name::{BatchName, Part};
use crate::opening;
use crate::receiver::{Inner, Receipt, blocking};
use crate::refusal::{Code, Refused};
use crate::segment::{Content, Last};
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use wardein_crypto::{Secret, hex};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::FileStanza;
use wardein_domain::DeviceId;
use wardein_files::{FileError, MAX_SIGNED, Opening, SignedStatement, Statement, Verified, digest};
use wardein_logs::batch::Batch;

/// A batch that is its device's, as it was signed.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
enum Judged {
    /// It was taken before.
    Repeated(Receipt, Last),
    /// It was not.
    Fresh { signed: SignedStatement, stanza: Option<Asked>, last: Last },
}

/// A statement that was judged.
pub(crate) struct Announced {
    signed: SignedStatement,
    verified: Verified,
    /// What is known of the device.
    pub(crate) last: Last,
    /// Whether its batch was taken before.
    is_taken: bool,
}

/// The stanza whose key the authority is asked for, and the number under which it is.
type Asked = (FileStanza, [u8; 32]);

impl<A: Authority> Inner<A> {
    /// Takes a batch of which both files are here. `known` is what is known of the device.
    pub(crate) async fn take(
        self: Arc<Self>,
        device: &DeviceId,
        name: &BatchName,
        known: &mut Option<Last>,
    ) -> Result<Receipt, Refused> {
        // Loaded again where this does not come to its end.
        let (this, of, named, before) = (self.clone(), device.clone(), name.clone(), known.take());
        let judged = blocking(move || this.judge(&of, &named, before)).await?;
        let (signed, stanza, last) = match judged {
            Judged::Repeated(receipt, last) => {
                *known = Some(last);
                return Ok(receipt);
            }
            Judged::Fresh { signed, stanza, last } => (signed, stanza, last),
        };
        let key = match &stanza {
            Some(asked) => Some(self.release(device, name, asked).await?),
            None => None,
        };
        let (this, of, named) = (self, device.clone(), name.clone());
        let (receipt, after) =
            blocking(move || this.store(&of, &named, &signed, key.as_ref(), &last)).await?;
        *known = Some(after);
        Ok(receipt)
    }

    /// The statement, as it came: signed by the device that delivers it, of a batch that may still be taken. Nothing is read for
    /// who has no certificate, and no body is waited for that would be refused.
    pub(crate) fn judge_statement(
        &self,
        device: &DeviceId,
        name: &BatchName,
        known: Option<Last>,
    ) -> Result<Announced, Refused> {
        let storage = |error: io::Error| Refused::storage(&error);
        let mut bytes = Vec::new();
        let statement = File::open(self.incoming.path(device, name, Part::Statement)).map_err(storage)?;
        statement.take(MAX_SIGNED as u64 + 1).read_to_end(&mut bytes).map_err(storage)?;
        let refused = |error: FileError| Refused::new(Code::StatementRefused, error);
        let signed = SignedStatement::parse(&bytes).map_err(refused)?;
        let roots: Vec<&[u8]> = self.roots.iter().map(Vec::as_slice).collect();
        let verified = signed.verify(&roots).map_err(refused)?;
        if verified.statement.device != (DeviceName { tenant: self.tenant.clone(), device: device.clone() }) {
            let DeviceName { tenant, device: other } = &verified.statement.device;
            let message =
                format!("the statement is of {tenant}/{other}, and {}/{device} delivers it", self.tenant);
            return Err(Refused::new(Code::StatementOfOther, message));
        }
        let last = match known {
            Some(last) => last,
            None => self.segments.load(device).map_err(storage)?,
        };
        let taken = self.segments.statement(device, name).map_err(storage)?;
        match &taken {
            Some(taken) if *taken != verified.statement => {
                let number = taken.number;
                let message =
                    format!("{name} was taken before, under statement {number}, with other contents");
                return Err(Refused::new(Code::BatchTaken, message));
            }
            None if last.is_behind(name) => {
                let message =
                    "it is so far behind the last batch that nobody knows any more whether it was taken";
                return Err(Refused::new(Code::OutsideWindow, message));
            }
            _ => {}
        }
        Ok(Announced { signed, verified, last, is_taken: taken.is_some() })
    }

    /// The sealed batch by its statement: nothing is opened that is not as it was signed.
    fn judge(&self, device: &DeviceId, name: &BatchName, known: Option<Last>) -> Result<Judged, Refused> {
        let storage = |error: io::Error| Refused::storage(&error);
        let Announced { signed, verified, last, is_taken } = self.judge_statement(device, name, known)?;
        let sealed = self.incoming.path(device, name, Part::Sealed);
        let found = digest(File::open(&sealed).map_err(storage)?, &mut |_| {});
        let found = found.map_err(|error| Refused::storage(&io::Error::other(error)))?;
        verified.is_of(found).map_err(|error| Refused::new(Code::OtherFile, error))?;
        if is_taken {
            return Ok(Judged::Repeated(receipt(&verified.statement, name, true), last));
        }
        let stanza = opening::stanza(&sealed)?;
        // The key that opens it is the one that was signed, and so this device's.
        if stanza.as_ref().map(FileStanza::name) != verified.statement.key.as_ref() {
            return Err(Refused::new(Code::OtherFile, "the statement names another key than the file"));
        }
        let sha256 = hex::encode(&verified.statement.sha256.0);
        let asked = |stanza| -> Result<Asked, Refused> {
            Ok((stanza, self.incoming.ask(device, name, &sha256).map_err(storage)?))
        };
        Ok(Judged::Fresh { signed, stanza: stanza.map(asked).transpose()?, last })
    }

    async fn release(
        &self,
        device: &DeviceId,
        name: &BatchName,
        (stanza, number): &Asked,
    ) -> Result<Secret<16>, Refused> {
        let released = self.authority.release(stanza, number).await;
        released.map_err(|error| {
            tracing::warn!(%device, %name, %error, "the authority releases no key");
            match error {
                KeyError::Spent(words) => Refused::new(Code::KeySpent, words),
                KeyError::Refused(words) => Refused::new(Code::KeyRefused, words),
                KeyError::Unreachable(words) => Refused::new(Code::AuthorityUnreachable, words),
            }
        })
    }

    fn store(
        &self,
        device: &DeviceId,
        name: &BatchName,
        signed: &SignedStatement,
        key: Option<&Secret<16>>,
        last: &Last,
    ) -> Result<(Receipt, Last), Refused> {
        let by = match key {
            Some(key) => Opening::FileKey(key),
            None => opening::of_reader(self.reader_key.as_ref())?,
        };
        let batch = opening::open(&self.incoming.path(device, name, Part::Sealed), &by)?;
        is_named(&batch, name)?;
        let content = Content { device, name, signed, batch: &batch };
        let placed = self.segments.place(&content, last, &mut |_| Ok(()));
        let after = placed.map_err(|error| Refused::storage(&error))?;
        Ok((receipt(signed.statement(), name, false), after))
    }
}

/// Whether what is sealed is the batch that the name says: the name is not signed, the batch is.
fn is_named(batch: &Batch, name: &BatchName) -> Result<(), Refused> {
    let header = &batch.header;
    if header.audience == name.audience && header.batch == name.batch {
        return Ok(());
    }
    let found = BatchName { audience: header.audience.clone(), batch: header.batch };
    Err(Refused::new(Code::OtherBatch, format!("the batch in {name} is {found}")))
}

fn receipt(statement: &Statement, name: &BatchName, is_repeated: bool) -> Receipt {
    let sha256 = hex::encode(&statement.sha256.0);
    Receipt { number: statement.number, sha256, batch: name.batch, is_repeated }
}

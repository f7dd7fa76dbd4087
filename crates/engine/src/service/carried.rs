//! Protocols that come as files, from devices without network (DDKG-1 §7.3): judged as those that come by a proof.

use super::protocols::{Came, Taken};
use super::visits::{VisitId, visible};
use crate::kernel::record::{Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows;
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::message::CarriedProtocol;
use wardein_domain::{ErrorCode, Outcome};
use wardein_port::{Change, Table};

/// What became of a protocol that came as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedProtocol {
    /// The device.
    pub device: DeviceName,
    /// The visit; none where a code for emergencies let somebody in.
    pub visit: Option<VisitId>,
    /// Which session.
    pub session: [u8; 16],
    /// Whether it was on record already, in the same words.
    pub is_repeated: bool,
}

impl Engine {
    /// Takes a protocol that was carried in. The device's mac vouches for it, and not the caller, whose name is on record with it.
    pub async fn import_protocol(
        &self,
        caller: &Caller,
        carried: CarriedProtocol,
    ) -> Result<ImportedProtocol, Error> {
        let name = carried.protocol().device.clone();
        self.require_tenant(caller, &name.tenant)?;
        let judge = |tx: &mut Tx<'_>| self.decide_import(tx, caller, &name, &carried).map(|_| ());
        self.transact_on_by(caller, &name, judge, |tx| self.decide_import(tx, caller, &name, &carried)).await
    }

    fn decide_import(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        carried: &CarriedProtocol,
    ) -> Result<Decision<ImportedProtocol>, Stop> {
        let (device_version, record) = self.device_row(tx, name)?;
        if let Some(code) = record.state.refusal() {
            let message =
                format_args!("device {} is {}: its protocols are not taken", name.device, record.state);
            return Err(Error::new(code, message).into());
        }
        self.verify_carried(tx, name, carried)?;
        let mut change = Change::default();
        // One that was revoked at the same time says nothing.
        change.check(Table::Device, rows::device_key(name), device_version);
        let protocol = carried.protocol();
        let Taken { visit, is_news, event, fields } =
            self.take_protocol(tx, protocol, Came::Carried(&caller.call), &mut change)?;
        if let Some(id) = &visit {
            // A technician carries in what is of its own visits.
            visible(tx, caller, &name.tenant, id)?;
        }
        let entry = self.entry(caller, event, target(name), Outcome::Done).in_tenant(&name.tenant);
        change.record(&entry.with_all(fields))?;
        let imported = ImportedProtocol {
            device: name.clone(),
            visit,
            session: protocol.session,
            is_repeated: !is_news,
        };
        Ok(Decision::new(change, imported))
    }
}

impl Engine {
    /// Refuses what the device did not write.
    fn verify_carried(
        &self,
        tx: &mut Tx<'_>,
        name: &DeviceName,
        carried: &CarriedProtocol,
    ) -> Result<(), Stop> {
        let Some(signature) = carried.signature() else {
            let held = self.open_keys(tx, name)?.ok_or_else(|| refused(&Refusal::EnrollmentPending, name))?;
            let verified = held.keys.record.verify_protocol(carried);
            return Ok(verified.map_err(|refusal| refused(&refusal, name))?);
        };
        let forged = || refused(&Refusal::MacWrong, name);
        let (_, row) = self.signature_key(tx, name)?.ok_or_else(forged)?;
        let key = row.key();
        let signed = CarriedProtocol::to_sign(carried.protocol(), &rows::key_id(&key));
        Ok(key.verifying_key().verify(signed.as_ref(), signature).map_err(|_| forged())?)
    }
}

fn refused(refusal: &Refusal, name: &DeviceName) -> Error {
    let device = &name.device;
    match refusal {
        Refusal::PurposeNotKept(_) | Refusal::EnrollmentPending => {
            let message =
                format_args!("device {device} has agreed on no keys for codes and protocols as files");
            Error::new(ErrorCode::ServiceCodesNotAgreed, message)
        }
        Refusal::GenerationUnknown { .. } | Refusal::EpochGone(_) => {
            let message = format_args!("device {device} has agreed on other keys since, or was in contact");
            Error::new(ErrorCode::ProtocolKeysGone, message)
        }
        _ => Error::new(ErrorCode::ProtocolForged, format_args!("device {device} did not write this")),
    }
}

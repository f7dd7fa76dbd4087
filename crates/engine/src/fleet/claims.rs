//! What one device of a tenant has to itself: its id whatever the case, its TPM, its key, its UDI.

use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{self, Claim, ClaimRow, DeviceRow, key_id, serial_key};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, DeviceState, ErrorCode, Udi};
use wardein_port::{Change, Table};

/// The most devices that one TPM or key may be.
const MAX_HOLDERS: usize = 64;

impl Engine {
    /// Whether a device may be made under this id: a file's name and a segment of a SPIFFE id, and no other one's but for its case.
    /// An id that is on record stays as it is.
    pub(crate) fn claim_id(&self, tx: &Tx<'_>, change: &mut Change, name: &DeviceName) -> Result<(), Stop> {
        let key = Claim::Id(&name.device).row_key(&name.tenant);
        let (version, claim) = read(tx, &key)?;
        if let Some(other) = claim.holders.iter().find(|holder| **holder != name.device) {
            let message = format_args!(
                "device_id: {} differs from device {other} only by its case; choose another",
                name.device
            );
            return Err(Error::new(ErrorCode::IdSimilar, message)
                .about("wardein.v1.Device", format_args!("{}/{other}", name.tenant))
                .into());
        }
        let claim = ClaimRow { holders: vec![name.device.clone()] };
        change.put(Table::DeviceClaim, key, version, rows::encode(&claim)?);
        Ok(())
    }

    /// Files a device under its UDI and the serial number in it. A UDI that another device has is refused, unless that is retired,
    /// revoked or transferred. One without a serial number is that of many devices, and is not filed.
    pub(crate) fn claim_udi(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        udi: Option<&Udi>,
    ) -> Result<(), Stop> {
        self.file_udi(tx, change, name, udi, false)
    }

    /// The same of a device that comes from another tenant, where it is too late to refuse it: both are found then.
    pub(crate) fn claim_arriving_udi(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        udi: Option<&Udi>,
    ) -> Result<(), Stop> {
        self.file_udi(tx, change, name, udi, true)
    }

    fn file_udi(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        udi: Option<&Udi>,
        may_share: bool,
    ) -> Result<(), Stop> {
        let Some((device, serial)) = udi.and_then(Udi::numbered) else { return Ok(()) };
        let claim = Claim::Udi(device, serial);
        let key = claim.row_key(&name.tenant);
        let (version, mut row) = read(tx, &key)?;
        let others = self.others(tx, name, claim, &row)?;
        if let Some((other, state)) = others.first().filter(|_| !may_share) {
            let message = format_args!(
                "the UDI is that of device {other}, which is {state}: correct it, or retire or revoke that one"
            );
            return Err(Error::new(ErrorCode::UdiOfAnother, message)
                .about("wardein.v1.Device", format_args!("{}/{other}", name.tenant))
                .into());
        }
        row.holders = others.into_iter().map(|(other, _)| other).chain([name.device.clone()]).collect();
        change.put(Table::DeviceClaim, key, version, rows::encode(&row)?);
        let key = serial_key(&name.tenant, serial, &name.device);
        let version = tx.get(Table::DeviceClaim, &key)?.map(|row| row.version);
        let row = ClaimRow { holders: vec![name.device.clone()] };
        change.put(Table::DeviceClaim, key, version, rows::encode(&row)?);
        Ok(())
    }

    /// Claims a TPM and a key for a device, and gives the other devices that have one of them. There are none unless they may be
    /// shared; otherwise it is refused.
    pub(crate) fn claim_hardware(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        claims: &[Claim<'_>],
        may_share: bool,
    ) -> Result<Vec<DeviceId>, Stop> {
        let mut all: Vec<DeviceId> = Vec::new();
        for claim in claims {
            let key = claim.row_key(&name.tenant);
            let (version, mut row) = read(tx, &key)?;
            let others = self.others(tx, name, *claim, &row)?;
            judge(name, *claim, &others, may_share)?;
            row.holders =
                others.iter().map(|(other, _)| other.clone()).chain([name.device.clone()]).collect();
            change.put(Table::DeviceClaim, key, version, rows::encode(&row)?);
            all.extend(others.into_iter().map(|(other, _)| other));
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// The same judgment before there is a change.
    pub(crate) fn judge_claim(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        claim: Claim<'_>,
        may_share: bool,
    ) -> Result<(), Stop> {
        let (_, row) = read(tx, &claim.row_key(&name.tenant))?;
        Ok(judge(name, claim, &self.others(tx, name, claim, &row)?, may_share)?)
    }

    /// Marks devices as ones that share their hardware.
    pub(crate) fn mark_shared(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        others: &[DeviceId],
    ) -> Result<(), Stop> {
        for other in others {
            let name = DeviceName { tenant: name.tenant.clone(), device: other.clone() };
            let (version, mut row) = self.device_row(tx, &name)?;
            if !row.is_shared {
                row.is_shared = true;
                change.update(Table::Device, rows::device_key(&name), version, rows::encode(&row)?);
            }
        }
        Ok(())
    }

    /// The other holders that have it still: those of another key by now do not, and those that are retired or revoked set it free.
    fn others(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        claim: Claim<'_>,
        row: &ClaimRow,
    ) -> Result<Vec<(DeviceId, DeviceState)>, Stop> {
        let mut others = Vec::new();
        for holder in row.holders.iter().filter(|holder| **holder != name.device) {
            let other = DeviceName { tenant: name.tenant.clone(), device: holder.clone() };
            let device: Option<(u64, DeviceRow)> = tx.row(Table::Device, &rows::device_key(&other))?;
            let Some((_, device)) = device else { continue };
            let signing = || Ok::<_, Stop>(self.signature_key(tx, &other)?.map(|(_, row)| row));
            let has_it = match claim {
                Claim::Tpm(digest) => signing()?.is_some_and(|signing| signing.ek.as_ref() == Some(digest)),
                Claim::Key(id) => signing()?.is_some_and(|signing| key_id(&signing.key()).0 == *id),
                Claim::Udi(of, serial) => device.udi.as_ref().and_then(Udi::numbered) == Some((of, serial)),
                Claim::Id(_) => true,
            };
            if has_it && !device.state.is_final() {
                others.push((holder.clone(), device.state));
            }
        }
        Ok(others)
    }
}

fn judge(
    name: &DeviceName,
    claim: Claim<'_>,
    others: &[(DeviceId, DeviceState)],
    may_share: bool,
) -> Result<(), Error> {
    let Some((other, state)) = others.first() else { return Ok(()) };
    if may_share && others.len() < MAX_HOLDERS {
        return Ok(());
    }
    let what = if matches!(claim, Claim::Tpm(_)) { "TPM" } else { "key" };
    let count = others.len();
    let message = match may_share {
        false => format!(
            "the {what} of {} is that of device {other}, which is {state}: retire or revoke that one, or let the tenant's key policy \
             share hardware (`wardein attestation set --shared-tpms`)",
            name.device
        ),
        true => {
            format!("the {what} of {} is that of {count} devices, and no more may share one", name.device)
        }
    };
    Err(Error::new(ErrorCode::KeyOfAnother, message))
}

fn read(tx: &Tx<'_>, key: &[u8]) -> Result<(Option<u64>, ClaimRow), Stop> {
    let row: Option<(u64, ClaimRow)> = tx.row(Table::DeviceClaim, key)?;
    Ok(row.map_or_else(|| (None, ClaimRow::default()), |(version, row)| (Some(version), row)))
}

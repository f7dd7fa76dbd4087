//! An administrator approves the PCR values of a device, after an update of its firmware.

use super::pcr_policy::PcrPolicy;
use crate::fleet::devices::Device;
use crate::kernel::record::{Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, BaselineRow, PcrColumn, SignatureKeyRow};
use wardein_attest::PcrState;
use wardein_crypto::tpm::HashValue;
use wardein_ddkg::DeviceName;
use wardein_domain::{ErrorCode, Event, FieldName, Outcome, ProfileName};
use wardein_port::{Change, Table};
use wardein_tuf::Receipt;

impl Engine {
    /// From now on a device's PCRs are compared with `digest`, by the hash of its attestation key, and with no earlier one. It
    /// is in the refusal of the quote, which is in the audit log. Asking twice is fine.
    pub async fn approve_pcrs(
        &self,
        caller: &Caller,
        name: DeviceName,
        digest: &[u8],
    ) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let decide = |tx: &mut Tx<'_>| self.decide_approval(tx, caller, &name, digest);
        self.transact_on_by(caller, &name, |_| Ok(()), decide).await?;
        self.get_device(caller, name).await
    }

    /// With the first good start of a release: where the policy of the device's profile compares its PCRs with its own, and the release names
    /// all of them, it is compared with those from now on. What is new, for the audit entry.
    pub(super) fn admit_pcrs(
        &self,
        tx: &Tx<'_>,
        (name, profile): (&DeviceName, &ProfileName),
        receipt: &Receipt,
        row: &mut SignatureKeyRow,
    ) -> Result<Vec<(FieldName, String)>, Stop> {
        let PcrPolicy::AsEnrolled(selection) = self.pcr_policy(tx, &name.tenant, profile)? else {
            return Ok(Vec::new());
        };
        let Some(ak) = row.ak()? else { return Ok(Vec::new()) };
        let line = (&receipt.repository, &receipt.line);
        let release = self.release_started(tx, line, receipt.version)?;
        let value = |number: u8| {
            let is_it = |pcr: &&PcrColumn| (pcr.bank, pcr.number) == (selection.bank(), number);
            release.pcrs.iter().find(is_it).map(|pcr| pcr.value.as_slice())
        };
        let Some(values) = selection.numbers().map(value).collect::<Option<Vec<_>>>() else {
            return Ok(Vec::new());
        };
        let state = PcrState::assertion(selection, ak.hash().digest(&values));
        row.baseline = Some(BaselineRow::new(&state, true));
        let digest = hex(state.digest().as_ref());
        Ok(Vec::from([(FieldName::Pcrs, selection.to_string()), (FieldName::PcrDigest, digest)]))
    }

    fn decide_approval(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        digest: &[u8],
    ) -> Result<Decision<()>, Stop> {
        let (_, device) = self.device_row(tx, name)?;
        let no_tpm = || Error::new(ErrorCode::QuoteWithoutTpm, "the device's key is not in a TPM");
        let (version, mut row) = self.signature_key(tx, name)?.ok_or_else(no_tpm)?;
        let ak = row.ak()?.ok_or_else(no_tpm)?;
        let PcrPolicy::AsEnrolled(selection) = self.pcr_policy(tx, &name.tenant, &device.profile)? else {
            let message =
                "the policy of the device's profile does not compare its PCRs with its own earlier values";
            return Err(Error::new(ErrorCode::PcrPolicyOther, message).into());
        };
        let digest = HashValue::from_bytes(ak.hash(), digest).ok_or_else(|| {
            let (length, takes) = (digest.len(), ak.hash().len());
            Error::wrong("digest", format_args!("has {length} bytes; this device's have {takes}"))
        })?;
        let state = PcrState::assertion(selection, digest);
        let mut change = Change::default();
        if let Some(baseline) = &row.baseline
            && baseline.state(&ak)? == state
        {
            return Ok(Decision::unchanged(()));
        }
        let before = row.baseline.as_ref().map(|baseline| baseline.state(&ak)).transpose()?;
        row.baseline = Some(BaselineRow::new(&state, true));
        change.update(Table::SignatureKey, rows::device_key(name), version, rows::encode(&row)?);
        let entry = self.entry(caller, Event::PcrsApproved, target(name), Outcome::Done);
        let text = |state: &PcrState| (state.selection().to_string(), hex(state.digest().as_ref()));
        let (pcrs, digest) = text(&state);
        let entry =
            match before.as_ref().map(text) {
                Some((pcrs_before, digest_before)) => entry
                    .changed(FieldName::Pcrs, pcrs_before, pcrs)
                    .changed(FieldName::PcrDigest, digest_before, digest),
                None => entry.with(FieldName::Pcrs, pcrs).with(FieldName::PcrDigest, digest),
            };
        change.record(&entry.in_tenant(&name.tenant))?;
        Ok(Decision::new(change, ()))
    }
}

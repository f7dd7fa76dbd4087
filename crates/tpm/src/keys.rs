//! Keys that are made once, and found again.

use crate::Tpm;
use crate::ecdsa;
use crate::error::{Doing, TpmError};
use crate::template::{Slot, public_bytes};
use tss_esapi::Context;
use tss_esapi::constants::CapabilityType;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{CapabilityData, Digest, HashcheckTicket, Public, Signature, SignatureScheme};
use tss_esapi::tss2_esys::TPMT_TK_HASHCHECK;

/// The public half of the device's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    /// TPM2B_PUBLIC.
    pub public: Vec<u8>,
    /// The uncompressed point on P-256 (SEC 1, §2.3.3).
    pub point: [u8; 65],
}

impl Tpm {
    /// TPM2B_PUBLIC of the attestation key, which is made if it is not there.
    pub fn attestation_key(&mut self) -> Result<Vec<u8>, TpmError> {
        let public = with_key(&mut self.context, Slot::Attestation, read_public)?;
        public_bytes(&public)
    }

    /// The device's key, which is made if it is not there.
    pub fn device_key(&mut self) -> Result<DeviceKey, TpmError> {
        let public = with_key(&mut self.context, Slot::Device, read_public)?;
        let mut point = [0; 65];
        point[0] = 4;
        if let Public::Ecc { unique, .. } = &public {
            for (to, from) in [(1, unique.x()), (33, unique.y())] {
                let from = from.value();
                // A coordinate may come without its leading zeros.
                let to = &mut point[to..to + 32][32_usize.saturating_sub(from.len())..];
                to.copy_from_slice(&from[from.len() - to.len()..]);
            }
        }
        Ok(DeviceKey { public: public_bytes(&public)?, point })
    }

    /// Signs a SHA-256 by the device's key: an ECDSA-Sig-Value in DER (RFC 3279 §2.2.3).
    pub fn sign(&mut self, digest: &[u8; 32]) -> Result<Vec<u8>, TpmError> {
        let signing = "sign by the device's key";
        let digest = Digest::try_from(digest.as_slice()).doing(signing)?;
        // The null ticket (part 2, §10.7.2): the key is not restricted and signs any digest.
        let ticket =
            TPMT_TK_HASHCHECK { tag: TPM2_ST_HASHCHECK, hierarchy: TPM2_RH_NULL, digest: Default::default() };
        let ticket = HashcheckTicket::try_from(ticket).doing(signing)?;
        let signature = with_key(&mut self.context, Slot::Device, |context, key| {
            let sign = |context: &mut Context| context.sign(key, digest, SignatureScheme::Null, ticket);
            context.execute_with_session(Some(AuthSession::Password), sign).doing(signing)
        })?;
        match signature {
            Signature::EcDsa(pair) => {
                Ok(ecdsa::to_der(pair.signature_r().value(), pair.signature_s().value()))
            }
            _ => Err(TpmError::HandleTaken { handle: Slot::Device.handle(), wanted: Slot::Device.name() }),
        }
    }
}

/// Does `work` with the key of `slot`, which is made if it is not there.
pub(crate) fn with_key<T>(
    context: &mut Context,
    slot: Slot,
    work: impl FnOnce(&mut Context, KeyHandle) -> Result<T, TpmError>,
) -> Result<T, TpmError> {
    let handle = place(context, slot)?;
    with_persistent(context, handle, work)
}

/// The handle at which the key of `slot` is, made if need be. An unfit key of another program is left alone where there is a second
/// handle: BitLocker and FAPI keep storage roots at the TCG's that some power cuts would lock.
fn place(context: &mut Context, slot: Slot) -> Result<u32, TpmError> {
    let first = slot.handle();
    // Once there is one of ours, what was sealed under it stays under it.
    if let Some(second) = slot.second_handle()
        && is_present(context, second)?
        && is_fit(context, slot, second)?
    {
        return Ok(second);
    }
    if !is_present(context, first)? {
        make(context, slot, first)?;
        return Ok(first);
    }
    if is_fit(context, slot, first)? {
        return Ok(first);
    }
    match slot.second_handle() {
        Some(second) if !is_present(context, second)? => {
            make(context, slot, second)?;
            Ok(second)
        }
        second => Err(TpmError::HandleTaken { handle: second.unwrap_or(first), wanted: slot.name() }),
    }
}

fn is_fit(context: &mut Context, slot: Slot, handle: u32) -> Result<bool, TpmError> {
    with_persistent(context, handle, |context, key| slot.fits(&read_public(context, key)?))
}

/// Does `work` with whatever is at `handle`.
pub(crate) fn with_persistent<T>(
    context: &mut Context,
    handle: u32,
    work: impl FnOnce(&mut Context, KeyHandle) -> Result<T, TpmError>,
) -> Result<T, TpmError> {
    let finding = "find a persistent key";
    let handle = TpmHandle::Persistent(PersistentTpmHandle::new(handle).doing(finding)?);
    let mut object =
        context.execute_without_session(|context| context.tr_from_tpm_public(handle)).doing(finding)?;
    let done = work(context, object.into());
    let _ = context.tr_close(&mut object);
    done
}

/// Does `work` with a key that is loaded, and flushes it.
pub(crate) fn with_transient<T>(
    context: &mut Context,
    object: ObjectHandle,
    work: impl FnOnce(&mut Context) -> Result<T, TpmError>,
) -> Result<T, TpmError> {
    let done = work(context);
    let flushed = context.flush_context(object).doing("flush a loaded object");
    let done = done?;
    flushed.map(|()| done)
}

pub(crate) fn read_public(context: &mut Context, key: KeyHandle) -> Result<Public, TpmError> {
    let read = context.execute_without_session(|context| context.read_public(key));
    read.map(|(public, ..)| public).doing("read a key's public area")
}

/// Whether something is at `handle`, of persistent keys or of NV indices. Asking so is no error that libtss2 would log.
pub(crate) fn is_present(context: &mut Context, handle: u32) -> Result<bool, TpmError> {
    let list = |context: &mut Context| context.get_capability(CapabilityType::Handles, handle, 1);
    let (data, _) = context.execute_without_session(list).doing("list what the TPM holds")?;
    let CapabilityData::Handles(handles) = data else { return Ok(false) };
    Ok(handles.into_inner().first().is_some_and(|&found| u32::from(found) == handle))
}

fn make(context: &mut Context, slot: Slot, handle: u32) -> Result<(), TpmError> {
    let template = slot.template()?;
    let making = || format!("make {}", slot.name());
    let key = if slot == Slot::StorageRoot {
        let create = |context: &mut Context| {
            context.create_primary(Hierarchy::Owner, template, None, None, None, None)
        };
        context.execute_with_session(Some(AuthSession::Password), create).doing(making())?.key_handle
    } else {
        with_key(context, Slot::StorageRoot, |context, root| {
            let create_and_load = |context: &mut Context| {
                let made = context.create(root, template, None, None, None, None)?;
                context.load(root, made.out_private, made.out_public)
            };
            context.execute_with_session(Some(AuthSession::Password), create_and_load).doing(making())
        })?
    };
    with_transient(context, key.into(), |context| {
        let handle = Persistent::Persistent(PersistentTpmHandle::new(handle).doing(making())?);
        let persist = |context: &mut Context| context.evict_control(Provision::Owner, key.into(), handle);
        let mut kept = context.execute_with_session(Some(AuthSession::Password), persist).doing(making())?;
        let _ = context.tr_close(&mut kept);
        Ok(())
    })
}

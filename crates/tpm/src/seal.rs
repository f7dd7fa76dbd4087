//! Sealing: a secret leaves this process, and comes back only from this TPM, in the state that it was bound to.

use crate::Tpm;
use crate::error::{Cause, Doing, TpmError};
use crate::keys::{with_key, with_transient};
use crate::pcr::{PcrValues, selection_list};
use crate::sealed::Sealed;
use crate::session::{flushed, hiding_session, policy_session};
use crate::template::{self, Slot, public_bytes};
use tss_esapi::Context;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Digest, Private, Public, SensitiveData};
use tss_esapi::traits::UnMarshall;
use wardein_crypto::SecretBytes;

/// The most bytes that a TPM seals (MAX_SYM_DATA; part 2, §11.1.14).
pub const MAX_SECRET: usize = 128;

impl Tpm {
    /// Seals 1 to [`MAX_SECRET`] bytes under the owner hierarchy: with `registers`, to a machine in which they have these values
    /// ([`Tpm::read_pcrs`] gives those of now); without, to the TPM alone.
    ///
    /// # Errors
    ///
    /// [`TpmError::SecretLength`] for another length.
    pub fn seal(&mut self, secret: &SecretBytes, registers: Option<&PcrValues>) -> Result<Sealed, TpmError> {
        let sealing = "seal a secret";
        let length = secret.expose().len();
        if !(1..=MAX_SECRET).contains(&length) {
            return Err(TpmError::SecretLength { length });
        }
        let policy = registers.map(|values| Digest::try_from(values.policy_digest().0.as_slice()));
        let template = template::sealed(policy.transpose().doing(sealing)?)?;
        let sensitive = SensitiveData::try_from(secret.expose()).doing(sealing)?;
        with_key(&mut self.context, Slot::StorageRoot, |context, root| {
            let parent = name(context, root)?;
            let session = hiding_session(context, root)?;
            let create =
                |context: &mut Context| context.create(root, template, None, Some(sensitive), None, None);
            let made = flushed(context, session, |context| {
                context.execute_with_session(Some(session), create).doing(sealing)
            })?;
            let (public, private) = (public_bytes(&made.out_public)?, made.out_private.value().to_vec());
            Ok(Sealed { parent, selection: registers.map(PcrValues::selection), public, private })
        })
    }

    /// Opens what this TPM sealed.
    ///
    /// # Errors
    ///
    /// [`TpmError::PcrChanged`] if the machine is in another state; [`TpmError::SealedElsewhere`] if another TPM sealed it, or this one
    /// before it was cleared, or somebody changed it.
    pub fn unseal(&mut self, sealed: &Sealed) -> Result<SecretBytes, TpmError> {
        let opening = "open a sealed secret";
        let area = sealed.public.get(2..).unwrap_or_default();
        let public = Public::unmarshall(area).map_err(|_| TpmError::SealedElsewhere)?;
        let private = Private::try_from(sealed.private.as_slice()).map_err(|_| TpmError::SealedElsewhere)?;
        with_key(&mut self.context, Slot::StorageRoot, |context, root| {
            // Also what keeps somebody on the bus from answering with a key of his own, for which the secret would then be encrypted.
            if name(context, root)? != sealed.parent {
                return Err(TpmError::SealedElsewhere);
            }
            let load = |context: &mut Context| context.load(root, private, public);
            let object =
                context.execute_with_session(Some(AuthSession::Password), load).map_err(elsewhere)?;
            with_transient(context, object.into(), |context| {
                let session = match sealed.selection {
                    Some(_) => policy_session(context, Some(root), HashingAlgorithm::Sha256)?,
                    None => hiding_session(context, root)?,
                };
                flushed(context, session, |context| {
                    if let Some(selection) = sealed.selection {
                        let list = selection_list(selection)?;
                        let session = session.try_into().doing(opening)?;
                        let bind =
                            |context: &mut Context| context.policy_pcr(session, Digest::default(), list);
                        context.execute_without_session(bind).doing(opening)?;
                    }
                    let unseal = |context: &mut Context| context.unseal(object.into());
                    let secret = context.execute_with_session(Some(session), unseal);
                    let secret = secret.map_err(|error| match (Cause(error).kind(), sealed.selection) {
                        (Some(Kind::PolicyFail), Some(selection)) => TpmError::PcrChanged { selection },
                        // Somebody changed what is stored beside it: it is bound to other registers, or to none.
                        (Some(Kind::PolicyFail | Kind::AuthUnavailable), None) => TpmError::SealedElsewhere,
                        _ => TpmError::new(opening, error),
                    })?;
                    Ok(SecretBytes::from_vec(secret.value().to_vec()))
                })
            })
        })
    }
}

/// What a key is called by (part 1, §16).
fn name(context: &mut Context, key: KeyHandle) -> Result<Vec<u8>, TpmError> {
    let read = context.execute_without_session(|context| context.read_public(key));
    read.map(|(_, name, _)| name.value().to_vec()).doing("read a key's name")
}

/// What another key sealed does not load: its integrity or its structure is wrong.
fn elsewhere(error: tss_esapi::Error) -> TpmError {
    match Cause(error).kind() {
        Some(Kind::Integrity | Kind::Size | Kind::Binding | Kind::Attributes | Kind::Value | Kind::Type) => {
            TpmError::SealedElsewhere
        }
        _ => TpmError::new("load a sealed secret", error),
    }
}

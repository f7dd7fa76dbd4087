//! What the TPM says of itself.

use crate::Tpm;
use crate::error::{Doing, TpmError};
use crate::keys::with_key;
use crate::pcr::selection_list;
use crate::template::Slot;
use tss_esapi::Context;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Attest, Data, Signature, SignatureScheme};
use tss_esapi::traits::Marshall;
use wardein_domain::PcrSelection;

/// What the TPM says, signed by its attestation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// TPMS_ATTEST.
    pub attested: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
}

impl Tpm {
    /// Says that the device's key is in this TPM (TPM2_Certify, part 3, §18.2). `nonce` is in the statement.
    pub fn certify(&mut self, nonce: &[u8; 32]) -> Result<Statement, TpmError> {
        let certifying = "certify the device's key";
        let nonce = Data::try_from(nonce.as_slice()).doing(certifying)?;
        with_key(&mut self.context, Slot::Device, |context, device| {
            with_key(context, Slot::Attestation, |context, attestation| {
                let password = Some(AuthSession::Password);
                let certify = |context: &mut Context| {
                    context.certify(device.into(), attestation, nonce, SignatureScheme::Null)
                };
                let said = context.execute_with_sessions((password, password, None), certify);
                statement(said, certifying)
            })
        })
    }

    /// Says which values the registers have (TPM2_Quote, part 3, §18.4). `nonce` is in the statement.
    pub fn quote(&mut self, nonce: &[u8; 32], selection: PcrSelection) -> Result<Statement, TpmError> {
        let quoting = "quote the registers";
        let nonce = Data::try_from(nonce.as_slice()).doing(quoting)?;
        let selection = selection_list(selection)?;
        with_key(&mut self.context, Slot::Attestation, |context, attestation| {
            let quote =
                |context: &mut Context| context.quote(attestation, nonce, SignatureScheme::Null, selection);
            let said = context.execute_with_session(Some(AuthSession::Password), quote);
            statement(said, quoting)
        })
    }
}

fn statement(
    said: tss_esapi::Result<(Attest, Signature)>,
    doing: &'static str,
) -> Result<Statement, TpmError> {
    let (attested, signature) = said.doing(doing)?;
    let (attested, signature) = (attested.marshall().doing(doing)?, signature.marshall().doing(doing)?);
    Ok(Statement { attested, signature })
}

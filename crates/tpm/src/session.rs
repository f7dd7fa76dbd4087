//! Sessions: what authorizes a use of an object, and hides what goes to the TPM from anyone who listens on its bus.

use crate::error::{Doing, TpmError};
use tss_esapi::Context;
use tss_esapi::attributes::SessionAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{KeyHandle, SessionHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::SymmetricDefinition;

/// A session that is to satisfy a policy. With `salt`, a key of the TPM, it hides what the TPM answers.
pub(crate) fn policy_session(
    context: &mut Context,
    salt: Option<KeyHandle>,
    hash: HashingAlgorithm,
) -> Result<AuthSession, TpmError> {
    start(context, salt, SessionType::Policy, hash)
}

/// A session for objects with an empty password that hides what goes to the TPM and what it answers: only the TPM of the key `salt` can
/// follow (part 1, §19.6.13).
pub(crate) fn hiding_session(context: &mut Context, salt: KeyHandle) -> Result<AuthSession, TpmError> {
    start(context, Some(salt), SessionType::Hmac, HashingAlgorithm::Sha256)
}

/// Does `work`, and flushes `session`.
pub(crate) fn flushed<T>(
    context: &mut Context,
    session: AuthSession,
    work: impl FnOnce(&mut Context) -> Result<T, TpmError>,
) -> Result<T, TpmError> {
    let done = work(context);
    let flushed = context.flush_context(SessionHandle::from(session).into()).doing("end a session");
    let done = done?;
    flushed.map(|()| done)
}

fn start(
    context: &mut Context,
    salt: Option<KeyHandle>,
    kind: SessionType,
    hash: HashingAlgorithm,
) -> Result<AuthSession, TpmError> {
    let starting = "start a session";
    let cipher = SymmetricDefinition::AES_128_CFB;
    let begin = |context: &mut Context| context.start_auth_session(salt, None, None, kind, cipher, hash);
    let session = context.execute_without_session(begin).doing(starting)?;
    let none = tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm);
    let session = session.ok_or(none).doing(starting)?;
    if salt.is_some() {
        // A policy session encrypts only what comes back: unsealing sends no secret.
        let is_hmac = kind == SessionType::Hmac;
        let (attributes, mask) =
            SessionAttributesBuilder::new().with_decrypt(is_hmac).with_encrypt(true).build();
        if let Err(error) = context.tr_sess_set_attributes(session, attributes, mask).doing(starting) {
            let _ = context.flush_context(SessionHandle::from(session).into());
            return Err(error);
        }
    }
    Ok(session)
}

//! The action `made-key`: a key that the authority makes, sealed for the device alone, with its certificate (DDKG-1 §8.2).

use super::{Certifying, Done, Performing};
use crate::issue::renewal::require_accepted;
use crate::kernel::{Engine, Error, Tx};
use wardein_crypto::SecretBytes;
use wardein_domain::{FieldName, KeyKind};
use wardein_pki::DeviceCsr;

impl Engine {
    /// Certifies a key that was made for the device. The key is in the reply alone: neither the change nor its entry has it.
    pub(super) fn certify_made_key(
        &self,
        tx: &mut Tx<'_>,
        kind: KeyKind,
        performing: Performing<'_>,
    ) -> Result<Done, Error> {
        let Performing { name, profile, rules, now, accepted, made, change, .. } = performing;
        require_accepted(kind, rules.profile.certificate_keys())?;
        // It was refused a moment ago, and is not now.
        let made = made.ok_or_else(Error::contended)?;
        let mut pkcs8 = SecretBytes::with_capacity(made.pkcs8.expose().len());
        pkcs8.extend(made.pkcs8.expose());
        let sealed = accepted.seal_key(tx.draw().public()?, pkcs8).map_err(Error::internal)?;
        let csr = DeviceCsr::of_made(&made.key);
        let certifying = Certifying { name, profile, rules, now, assurance: None, change };
        let done = self.issue_certificate(tx, &csr, certifying)?;
        let fields = done.fields.with(FieldName::KeyMade, kind.as_str());
        Ok(Done { fields, body: done.body.behind(sealed.encode()), ..done })
    }
}

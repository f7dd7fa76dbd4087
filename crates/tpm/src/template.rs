//! What is asked of the TPM when it makes a key, and what is expected of one that is there.

use crate::error::{Doing, TpmError};
use tss_esapi::attributes::{ObjectAttributes, ObjectAttributesBuilder};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::structures::{
    Digest, EccParameter, EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, KeyedHashScheme,
    Public, PublicBuilder, PublicEccParametersBuilder, PublicKeyedHashParameters, SymmetricDefinitionObject,
};
use tss_esapi::traits::Marshall;

/// A key of ours that stays in the TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The parent of the others, and of what is sealed.
    StorageRoot,
    /// Signs what the TPM says, and nothing else.
    Attestation,
    /// Signs what the device wants.
    Device,
}

impl Slot {
    /// The persistent handle. Of the storage root it is the place that the TCG gives it (TPM v2.0 Provisioning Guidance, §7.8).
    pub(crate) fn handle(self) -> u32 {
        match self {
            Self::StorageRoot => 0x8100_0001,
            Self::Attestation => 0x8100_0010,
            Self::Device => 0x8100_0011,
        }
    }

    /// Where it is if another program's key, which does not fit, has the place that the TCG gives it.
    pub(crate) fn second_handle(self) -> Option<u32> {
        match self {
            Self::StorageRoot => Some(0x8100_0012),
            Self::Attestation | Self::Device => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StorageRoot => "a storage root key by the TCG's template",
            Self::Attestation => "an attestation key of Wardein",
            Self::Device => "a device's key of Wardein",
        }
    }

    pub(crate) fn template(self) -> Result<Public, TpmError> {
        let making = "state what the key is to be";
        let ecc = PublicEccParametersBuilder::new()
            .with_curve(EccCurve::NistP256)
            .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null);
        let (ecc, unique) = match self {
            Self::StorageRoot => {
                let zeros = || EccParameter::try_from(vec![0; 32]).doing(making);
                let ecc = ecc
                    .with_ecc_scheme(EccScheme::Null)
                    .with_symmetric(SymmetricDefinitionObject::AES_128_CFB)
                    .with_is_signing_key(false)
                    .with_is_decryption_key(true)
                    .with_restricted(true);
                (ecc, EccPoint::new(zeros()?, zeros()?))
            }
            Self::Attestation | Self::Device => {
                let ecc = ecc
                    .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
                    .with_symmetric(SymmetricDefinitionObject::Null)
                    .with_is_signing_key(true)
                    .with_is_decryption_key(false)
                    .with_restricted(self == Self::Attestation);
                (ecc, EccPoint::default())
            }
        };
        PublicBuilder::new()
            .with_public_algorithm(PublicAlgorithm::Ecc)
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(self.attributes()?)
            .with_ecc_parameters(ecc.build().doing(making)?)
            .with_ecc_unique_identifier(unique)
            .build()
            .doing(making)
    }

    fn attributes(self) -> Result<ObjectAttributes, TpmError> {
        let is_parent = self == Self::StorageRoot;
        bound()
            .with_sensitive_data_origin(true)
            .with_user_with_auth(true)
            .with_restricted(self != Self::Device)
            .with_decrypt(is_parent)
            .with_sign_encrypt(!is_parent)
            .build()
            .doing("state what the key may do")
    }

    /// Whether a key that is at the handle is this one. The storage root may have been made by another program, of RSA too.
    pub(crate) fn fits(self, found: &Public) -> Result<bool, TpmError> {
        if self != Self::StorageRoot {
            return Ok(is_of(found, &self.template()?));
        }
        let wanted = self.attributes()?;
        Ok(match found {
            Public::Rsa { object_attributes, auth_policy, .. }
            | Public::Ecc { object_attributes, auth_policy, .. } => {
                *object_attributes == wanted && auth_policy.is_empty()
            }
            _ => false,
        })
    }
}

/// What a sealed secret is to the TPM: opened by a policy, or without one by anyone who may use the TPM.
pub(crate) fn sealed(policy: Option<Digest>) -> Result<Public, TpmError> {
    let making = "state what is to be sealed";
    let attributes = bound().with_user_with_auth(policy.is_none()).build().doing(making)?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy.unwrap_or_default())
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
        .doing(making)
}

/// Stays in this TPM, and does not count failed tries.
fn bound() -> ObjectAttributesBuilder {
    ObjectAttributesBuilder::new().with_fixed_tpm(true).with_fixed_parent(true).with_no_da(true)
}

/// Whether a key was made from `template`: all is equal but the key itself.
pub(crate) fn is_of(found: &Public, template: &Public) -> bool {
    let mut found = found.clone();
    match (&mut found, template) {
        (Public::Ecc { unique, .. }, Public::Ecc { unique: of_template, .. }) => {
            *unique = of_template.clone()
        }
        (Public::Rsa { unique, .. }, Public::Rsa { unique: of_template, .. }) => {
            *unique = of_template.clone()
        }
        _ => return false,
    }
    found == *template
}

/// TPM2B_PUBLIC.
pub(crate) fn public_bytes(public: &Public) -> Result<Vec<u8>, TpmError> {
    let area = public.marshall().doing("write a public area")?;
    // A TPMT_PUBLIC has a few hundred bytes.
    let length = u16::try_from(area.len()).unwrap_or(u16::MAX);
    Ok([&length.to_be_bytes(), area.as_slice()].concat())
}

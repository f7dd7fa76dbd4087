//! All of an identity but its key: what the authority answers, as one file that can be carried to where the key is.

use crate::identity::{self, Description};
use crate::{Failure, files, time};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use wardein_client::v1;
use wardein_crypto::{Digest, P256SigningKey, P256VerifyingKey, hex};
use wardein_pki::{CaCertificate, OperatorIdentity, PublicKey, Root, pem, verify_operator_chain};

/// The parts under the names of the files that are made of them, as JSON. None is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bundle {
    /// The version of this form.
    #[serde(rename = "wardein-bundle")]
    form: u32,
    endpoint: String,
    #[serde(rename = "operator.pem")]
    certificate: String,
    #[serde(rename = "infrastructure.pem")]
    infrastructure: String,
    #[serde(rename = "trust.pem")]
    trust: String,
    #[serde(rename = "identity.pub")]
    identity_key: String,
}

/// A bundle whose parts belong together: the root vouches for all of them.
#[derive(Debug)]
pub(crate) struct Judged {
    bundle: Bundle,
    operator: OperatorIdentity,
    key: PublicKey,
    root: RootDigest,
}

/// The SHA-256 of a root's certificate: how people name an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootDigest(Digest);

/// Which authority is meant.
#[derive(Debug)]
pub(crate) enum Anchor {
    /// The one whose root has this digest.
    Digest(RootDigest),
    /// The one with this root, DER.
    Root(Vec<u8>),
}

impl Bundle {
    /// What the authority answered. It has its root and issuing CA in `answer`, and its infrastructure CA behind the certificate.
    pub(crate) fn of(
        certificate_pem: String,
        answer: v1::GetTrustBundleResponse,
        endpoint: &str,
    ) -> Result<Self, Failure> {
        let incomplete =
            || Failure::failed("the authority's answer is incomplete; is it of another release?");
        let (trust, chain) = (certificates(&answer.pem)?, certificates(&certificate_pem)?);
        let ([root, ..], [_, infrastructure, ..]) = (&trust[..], &chain[..]) else {
            return Err(incomplete());
        };
        let point = answer.identity_key.as_slice().try_into().map_err(|_| incomplete())?;
        // The caller's may be another way to it; an older authority says none.
        let endpoint = if answer.endpoint.is_empty() { endpoint.to_owned() } else { answer.endpoint };
        let infrastructure = pem::encode_certificates([root.as_slice(), infrastructure]);
        Ok(Self {
            form: FORM,
            endpoint,
            certificate: certificate_pem,
            infrastructure: infrastructure.map_err(Failure::failed)?,
            trust: answer.pem,
            identity_key: pem::encode_public_key(&P256VerifyingKey(point).into()),
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = files::read_bounded(path, MAX_LEN)?;
        let bundle: Self =
            serde_json::from_slice(&text).map_err(|error| Failure::file("take for a bundle", path, error))?;
        match bundle.form {
            FORM => Ok(bundle),
            form => Err(Failure::file(
                "read",
                path,
                format_args!("it has form {form}; this release reads {FORM}"),
            )),
        }
    }

    pub(crate) fn to_text(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string_pretty(self).map_err(Failure::failed)? + "\n")
    }

    /// Judges whether it is whole, of one authority, and not over at Unix second `now`.
    pub(crate) fn judge(self, now: u64) -> Result<Judged, Failure> {
        let wrong =
            |file: &str, why: &dyn fmt::Display| Failure::Failed(format!("the bundle's {file}: {why}"));
        let (chain, anchors) = (certificates(&self.certificate)?, certificates(&self.infrastructure)?);
        let (Some(leaf), [root, infrastructure]) = (chain.first(), &anchors[..]) else {
            return Err(wrong(
                identity::INFRASTRUCTURE,
                &"takes the root's and the infrastructure CA's certificate",
            ));
        };
        let (operator, key) = verify_operator_chain(leaf, root, infrastructure)
            .map_err(|error| wrong(identity::CERTIFICATE, &error))?;
        if chain.get(1) != Some(infrastructure) {
            return Err(wrong(identity::CERTIFICATE, &"its CA is not the one of infrastructure.pem"));
        }
        if certificates(&self.trust)?.first() != Some(root) {
            return Err(wrong(identity::TRUST, &"begins with another root than infrastructure.pem"));
        }
        pem::read_public_key(&self.identity_key).map_err(|error| wrong(identity::IDENTITY_KEY, &error))?;
        if !self.endpoint.starts_with("https://") {
            return Err(wrong("endpoint", &"is not https://HOST:PORT"));
        }
        if operator.validity.not_after() < now {
            let ended = time::at(operator.validity.not_after());
            return Err(Failure::Failed(format!(
                "the certificate of {} ended {ended}; have another one issued",
                operator.principal
            )));
        }
        let root = RootDigest(Digest::of(root));
        Ok(Judged { bundle: self, operator, key, root })
    }
}

impl Judged {
    /// Refuses it where it certifies another key.
    pub(crate) fn require_key(&self, key: &P256SigningKey) -> Result<(), Failure> {
        if self.key.verifying_key() == key.verifying_key() {
            return Ok(());
        }
        let words = format!(
            "the certificate of {} is for another key (SHA-256 {}) than the one here (SHA-256 {})",
            self.operator.principal,
            key_digest(&self.key),
            key_digest(&(*key.verifying_key()).into()),
        );
        Err(Failure::Failed(words))
    }

    /// Refuses it where it is another authority's.
    pub(crate) fn require_root(&self, root: RootDigest) -> Result<(), Failure> {
        if self.root == root {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "the bundle is another authority's: its root has SHA-256 {}, not {root}",
            self.root
        )))
    }

    /// The authority's root.
    pub(crate) fn root(&self) -> RootDigest {
        self.root
    }

    pub(crate) fn description(&self) -> Description {
        let OperatorIdentity { principal, validity } = &self.operator;
        Description {
            role: principal.role.to_string(),
            tenant: principal.tenant.as_ref().map(ToString::to_string),
            name: principal.name.to_string(),
            serial: principal.serial.to_string(),
            not_after: validity.not_after(),
            endpoint: self.bundle.endpoint.clone(),
        }
    }

    /// Puts the files beside the key, durably.
    pub(crate) fn install(&self, directory: &Path) -> Result<(), Failure> {
        let Bundle { certificate, infrastructure, trust, identity_key, .. } = &self.bundle;
        let description = &self.description();
        identity::write_contents(
            directory,
            &identity::Contents { description, certificate, infrastructure, trust, identity_key },
        )
    }

    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}

impl RootDigest {
    pub(crate) fn of(root: &[u8]) -> Self {
        Self(Digest::of(root))
    }

    /// That of the first certificate in PEM.
    pub(crate) fn of_first(text: &str) -> Result<Self, Failure> {
        let found = certificates(text)?;
        let root = found.first().map(Vec::as_slice).unwrap_or_default();
        CaCertificate::<Root>::parse(root)
            .map_err(|error| Failure::Failed(format!("the first certificate is no root's: {error}")))?;
        Ok(Self::of(root))
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.0
    }
}

impl Anchor {
    /// The digest that was written, as openssl and browsers write it too (`AB:CD:…`), or the root with which a file of certificates
    /// begins.
    pub(crate) fn given(text: &str) -> Result<Self, Failure> {
        let digits = text.replace(':', "");
        if let Some(digest) = hex::decode_any_case(&digits).and_then(|bytes| bytes.try_into().ok()) {
            return Ok(Self::Digest(RootDigest(Digest(digest))));
        }
        let path = Path::new(text);
        let text = files::read(path)?;
        let wrong = |error: Failure| Failure::file("take the root of", path, error);
        RootDigest::of_first(&text).map_err(wrong)?;
        let first = certificates(&text).map_err(wrong)?.into_iter().next();
        Ok(Self::Root(first.unwrap_or_default()))
    }

    pub(crate) fn digest(&self) -> RootDigest {
        match self {
            Self::Digest(digest) => *digest,
            Self::Root(der) => RootDigest::of(der),
        }
    }
}

impl fmt::Display for RootDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0.0))
    }
}

/// How two people compare a key: the SHA-256 of its SubjectPublicKeyInfo.
pub(crate) fn key_digest(key: &PublicKey) -> String {
    hex::encode(&Digest::of(&key.spki()).0)
}

fn certificates(text: &str) -> Result<Vec<Vec<u8>>, Failure> {
    pem::decode_certificates(text).map_err(Failure::failed)
}

const FORM: u32 = 1;

/// More than any: four files of some certificates each.
const MAX_LEN: u64 = 256 << 10;

//! An operator's identity as a directory, which can be carried to the machine that it is for.

use crate::secret::{self, KeyPassphraseArgs, Passphrase, PrivateKey};
use crate::{Failure, files, time};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_durable::directory_of;
use wardein_pki::{CaCertificate, Root, Validity, pem};

/// Where the parts of an identity are.
#[derive(Debug)]
pub(crate) struct IdentityFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) roots: PathBuf,
    pub(crate) endpoint: String,
    pub(crate) tenant: Option<String>,
}

/// What an identity's directory says of it, in `operator.json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What it may be.
    pub role: String,
    /// Its tenant; none for those who see all.
    pub tenant: Option<String>,
    /// Its name.
    pub name: String,
    /// The serial of its certificate.
    pub serial: String,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// Where the authority answers.
    pub endpoint: String,
}

pub use wardein_client::{CERTIFICATE, INFRASTRUCTURE, KEY};

/// The request for its certificate, PKCS#10 in PEM, where another signs it.
pub(crate) const REQUEST: &str = "operator.csr";
/// What is said of it.
pub const DESCRIPTION: &str = "operator.json";
/// Root and issuing CA, PEM: what devices' certificates are verified with.
pub const TRUST: &str = "trust.pem";
/// The identity key that devices pin: SubjectPublicKeyInfo in PEM.
pub const IDENTITY_KEY: &str = "identity.pub";
/// The first administrator's certificate, PEM.
pub const ADMIN_CERTIFICATE: &str = "admin.pem";
/// The first administrator's key, PKCS#8 in PEM.
pub const ADMIN_KEY: &str = "admin.key";

impl IdentityFiles {
    /// The identity that `wardein operator issue` put into `directory`.
    pub(crate) fn of_operator(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(DESCRIPTION);
        let description: Description = serde_json::from_str(&files::read(&path)?)
            .map_err(|error| Failure::file("read", &path, error))?;
        Ok(Self {
            certificate: directory.join(CERTIFICATE),
            key: directory.join(KEY),
            roots: directory.join(INFRASTRUCTURE),
            endpoint: description.endpoint,
            tenant: description.tenant,
        })
    }

    /// The first administrator's, in the authority's own directory.
    pub(crate) fn of_administrator(directory: &Path, endpoint: String) -> Self {
        Self {
            certificate: directory.join(ADMIN_CERTIFICATE),
            key: directory.join(ADMIN_KEY),
            roots: directory.join(INFRASTRUCTURE),
            endpoint,
            tenant: None,
        }
    }
}

/// What a certificate says of whom it names.
pub(crate) struct Named {
    /// Such as `station/TENANT/NAME`, for people; `of this certificate` if it does not say.
    pub(crate) name: String,
    /// Its tenant, if it has one.
    pub(crate) tenant: Option<String>,
    validity: Option<Validity>,
}

impl Named {
    /// That of the first certificate of a chain in PEM, under the domain of the first root in PEM.
    pub(crate) fn of(certificate: &str, roots: &str) -> Self {
        let first = |text| pem::decode_certificates(text).ok().and_then(|chain| chain.into_iter().next());
        let found = first(roots).zip(first(certificate)).and_then(|(root, leaf)| {
            let root = CaCertificate::<Root>::parse(&root).ok()?;
            wardein_pki::parse_operator(root.trust_domain(), &leaf).ok()
        });
        match found {
            Some(found) => Self {
                name: found.principal.to_string(),
                tenant: found.principal.tenant.as_ref().map(ToString::to_string),
                validity: Some(found.validity),
            },
            None => Self { name: "of this certificate".to_owned(), tenant: None, validity: None },
        }
    }

    /// What to say at Unix second `now` of an identity that ends soon: within 30 days, and more plainly within 7. One that was
    /// issued for a short time ends soon in the last third of it: it would otherwise be said from its first day on.
    pub(crate) fn ends_soon(&self, now: u64) -> Option<String> {
        let validity = self.validity?;
        let left = validity.not_after().checked_sub(now)?;
        let third = validity.not_after().saturating_sub(validity.not_before()) / 3;
        if left > third.min(SOON) {
            return None;
        }
        let (name, until) = (&self.name, time::at(validity.not_after()));
        let left = match left / DAY {
            0 => "in less than a day".to_owned(),
            1 => "in a day".to_owned(),
            days => format!("in {days} days"),
        };
        Some(match validity.not_after() - now > VERY_SOON {
            true => format!("the identity {name} ends {left} ({until}); renew it: wardein operator renew"),
            false => format!(
                "the identity {name} ends {left} ({until}), and every call is refused from then on; renew it now: wardein operator renew"
            ),
        })
    }
}

const DAY: u64 = 86_400;

/// From when on an end is said.
const SOON: u64 = 30 * DAY;

/// From when on it is said more plainly.
const VERY_SOON: u64 = 7 * DAY;

/// What belongs to an identity beside its key.
#[derive(Debug)]
pub struct Contents<'a> {
    /// What is said of it.
    pub description: &'a Description,
    /// See [`CERTIFICATE`].
    pub certificate: &'a str,
    /// See [`INFRASTRUCTURE`].
    pub infrastructure: &'a str,
    /// See [`TRUST`].
    pub trust: &'a str,
    /// See [`IDENTITY_KEY`].
    pub identity_key: &'a str,
}

/// Writes the key of an identity into its directory, durably. It comes first: a certificate without its key would only block the
/// name.
pub fn write_key(directory: &Path, pkcs8: &[u8]) -> Result<(), Failure> {
    write_key_under(directory, pkcs8, None)
}

fn write_key_under(directory: &Path, pkcs8: &[u8], passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let text = secret::encoded(pkcs8, passphrase)?;
    files::write_new(&directory.join(KEY), text.expose(), files::PRIVATE)
}

/// Makes a key in a directory, durably, and puts it under a passphrase if there is one.
pub(crate) fn make_key(directory: &Path, passphrase: Option<&Passphrase>) -> Result<P256SigningKey, Failure> {
    let pkcs8 =
        P256SigningKey::generate_pkcs8().map_err(|_| Failure::failed("the source of randomness failed"))?;
    let key = P256SigningKey::from_pkcs8(&pkcs8).map_err(|_| Failure::failed("the new key is of no use"))?;
    write_key_under(directory, pkcs8.expose(), passphrase)?;
    Ok(key)
}

/// The key in a directory.
pub(crate) fn read_key(directory: &Path, args: &KeyPassphraseArgs) -> Result<P256SigningKey, Failure> {
    let path = directory.join(KEY);
    parsed(&path, &PrivateKey::read(&path, args)?.pem)
}

/// The key that [`make_key`] left in a directory with the same passphrase.
pub(crate) fn read_key_again(
    directory: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<P256SigningKey, Failure> {
    let path = directory.join(KEY);
    parsed(&path, &PrivateKey::read_again(&path, passphrase)?)
}

fn parsed(path: &Path, pem: &SecretBytes) -> Result<P256SigningKey, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::file("take for a key", path, why);
    let pkcs8 = pem::decode_private_key(pem.expose()).map_err(|error| wrong(&error))?;
    P256SigningKey::from_pkcs8(&pkcs8).map_err(|_| wrong(&"it is no P-256 key in PKCS#8"))
}

/// Writes everything else of an identity into its directory, durably. The description comes last: with it, the identity is whole.
pub fn write_contents(directory: &Path, contents: &Contents<'_>) -> Result<(), Failure> {
    let description = serde_json::to_string_pretty(contents.description).map_err(Failure::failed)? + "\n";
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        wardein_durable::replace(&path, text.as_bytes(), files::PUBLIC)
            .map_err(|error| Failure::file("write", &path, error))
    };
    write(CERTIFICATE, contents.certificate)?;
    write(INFRASTRUCTURE, contents.infrastructure)?;
    write(TRUST, contents.trust)?;
    write(IDENTITY_KEY, contents.identity_key)?;
    write(DESCRIPTION, &description)?;
    files::sync_directory(directory)?;
    files::sync_directory(directory_of(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(days: u64) -> Named {
        let validity = Validity::new(1_000 * DAY, (1_000 + days) * DAY).unwrap();
        Named { name: "station/klinik/line-1".to_owned(), tenant: None, validity: Some(validity) }
    }

    #[test]
    fn the_end_of_an_identity_is_said_30_and_7_days_before_it() {
        let year = of(365);
        let left = |days: u64| year.ends_soon((1_365 - days) * DAY);
        assert_eq!(left(31), None);
        let soon = left(30).unwrap();
        assert!(soon.contains("station/klinik/line-1 ends in 30 days") && !soon.contains("now"), "{soon}");
        assert!(!left(8).unwrap().contains("refused"));
        assert!(left(7).unwrap().contains("in 7 days") && left(7).unwrap().contains("renew it now"));
        assert!(left(0).unwrap().contains("in less than a day"));
        assert_eq!(year.ends_soon(1_365 * DAY + 1), None, "what has ended is refused, and says so itself");
    }

    #[test]
    fn of_an_identity_for_a_short_time_it_is_said_in_its_last_third() {
        let month = of(30);
        assert_eq!(month.ends_soon(1_000 * DAY), None);
        assert_eq!(month.ends_soon(1_019 * DAY), None);
        assert!(month.ends_soon(1_020 * DAY).is_some());
        let unknown = Named { name: String::new(), tenant: None, validity: None };
        assert_eq!(unknown.ends_soon(0), None);
    }
}

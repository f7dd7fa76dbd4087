//! device.toml: who the device is, whom it trusts, and what it measures. It holds no secret.

use crate::attribute::Source;
use crate::error::Error;
use crate::signing::{TpmSettings, check_tcti};
use crate::transport::Transport;
use crate::update::{UpdateFields, UpdateSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use wardein_client::Proxy;
use wardein_crypto::{P256VerifyingKey, hex};
use wardein_ddkg::{DeviceName, MAX_ATTRIBUTES, Purposes, Suite};
use wardein_domain::{AttributeName, KeyKind, Purpose};
use wardein_pki::pem;

/// What device.toml says, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Who this is.
    pub device: DeviceName,
    /// Where the authority answers: `https://host:port`.
    pub endpoint: String,
    /// How requests travel.
    pub transport: Transport,
    /// The proxy to go through, and the file with its login.
    pub proxy: Option<Proxy>,
    /// The authority's identity key, which signs enrollments.
    pub identity_key: P256VerifyingKey,
    /// The certificates that the authority's server and this device's own certificate must lead to, PEM.
    pub trust_roots: String,
    /// The suite to agree on keys with, at enrollment and at each rekey.
    pub suite: Suite,
    /// The purposes for which the device keeps keys.
    pub purposes: Purposes,
    /// Seconds between two signs of life.
    pub authenticate_every: u64,
    /// Seconds after which the device agrees on keys again by itself; 0 for only when the authority asks.
    ///
    /// The device's own setting, not the authority's: it holds even where nothing that the authority says comes through unspoiled.
    /// The authority keeps a time of its own, and asks in its replies when that is shorter.
    pub rekey_after: u64,
    /// The TPM whose key signs the device's requests; without one, they are proved by keys that the device derives.
    pub signs_with: Option<TpmSettings>,
    /// The TPM that seals the DDKG state and the certificate's key, as a TCTI; without one, they are stored in the clear.
    pub sealed_by: Option<String>,
    /// The kind of key that the authority makes for the device's certificates; without one, the device makes a key on P-256 itself.
    pub made_key: Option<KeyKind>,
    /// What is measured, and where.
    pub attributes: BTreeMap<AttributeName, Source>,
    /// Where updates come from, and how they are installed; none where the device is not updated this way.
    pub update: Option<UpdateSettings>,
}

/// The fields of device.toml as they are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    pub(crate) tenant: String,
    pub(crate) device_id: String,
    pub(crate) endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transport: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy_login: Option<PathBuf>,
    pub(crate) identity_key: String,
    #[serde(default = "default_suite")]
    pub(crate) suite: u16,
    #[serde(default = "default_purposes")]
    pub(crate) purposes: Vec<String>,
    #[serde(default = "default_interval")]
    pub(crate) authenticate_every: u64,
    #[serde(default = "default_rekey_after")]
    pub(crate) rekey_after: u64,
    pub(crate) trust_roots: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signs_with: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endorsement_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_key: Option<String>,
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) update: Option<UpdateFields>,
}

impl Config {
    /// The configuration in the text of device.toml.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // The parser's message shows place and field; it is cut from the file's own line, which holds no secret.
        let fields: Fields = toml::from_str(text).map_err(|error| wrong("syntax", error))?;
        Self::judge(&fields)
    }

    pub(crate) fn judge(fields: &Fields) -> Result<Self, Error> {
        let identity_key =
            pem::read_public_key(&fields.identity_key).map_err(|error| wrong("identity_key", error))?;
        let host = fields.endpoint.strip_prefix("https://").unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(is_plain) {
            return Err(wrong("endpoint", format_args!("{:?} is not https://HOST:PORT", fields.endpoint)));
        }
        if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&fields.authenticate_every) {
            let why = format_args!(
                "is {}; it takes {MIN_INTERVAL} to {MAX_INTERVAL} seconds",
                fields.authenticate_every
            );
            return Err(wrong("authenticate_every", why));
        }
        if fields.rekey_after != 0 && !(MIN_REKEY..=MAX_REKEY).contains(&fields.rekey_after) {
            let why = format_args!(
                "is {}; it takes {MIN_REKEY} to {MAX_REKEY} seconds, or 0 for only when the authority asks",
                fields.rekey_after
            );
            return Err(wrong("rekey_after", why));
        }
        if !fields.trust_roots.contains("-----BEGIN CERTIFICATE-----") {
            return Err(wrong("trust_roots", "has no certificate in PEM"));
        }
        if fields.attributes.len() > MAX_ATTRIBUTES {
            let why = format_args!("are {}; at most {MAX_ATTRIBUTES}", fields.attributes.len());
            return Err(wrong("attributes", why));
        }
        let attribute = |(name, source): (&String, &String)| {
            let parsed = name.parse().map_err(|error| wrong("attributes", error))?;
            let source =
                source.parse().map_err(|error| wrong("attributes", format_args!("{name}: {error}")))?;
            Ok((parsed, source))
        };
        let purposes: Result<Vec<Purpose>, Error> = fields
            .purposes
            .iter()
            .map(|purpose| purpose.parse().map_err(|error| wrong("purposes", error)))
            .collect();
        let signs_with = TpmSettings::judge(fields.signs_with.as_deref(), fields.endorsement_key.as_deref())?;
        if let Some(tcti) = &fields.sealed_by {
            if signs_with.is_some() {
                return Err(wrong(
                    "sealed_by",
                    "a device with signs_with derives no keys; leave one of them out",
                ));
            }
            check_tcti("sealed_by", tcti)?;
        }
        let made_key = fields.made_key.as_deref().map(str::parse::<KeyKind>).transpose();
        let made_key = made_key.map_err(|error| wrong("made_key", error))?;
        if made_key.is_some() && signs_with.is_some() {
            return Err(wrong(
                "made_key",
                "a device with signs_with is certified for that key; leave one of them out",
            ));
        }
        let transport = fields.transport.as_deref().map(str::parse::<Transport>).transpose();
        Ok(Self {
            device: DeviceName {
                tenant: fields.tenant.parse().map_err(|error| wrong("tenant", error))?,
                device: fields.device_id.parse().map_err(|error| wrong("device_id", error))?,
            },
            endpoint: fields.endpoint.clone(),
            transport: transport.map_err(|why| wrong("transport", why))?.unwrap_or_default(),
            proxy: proxy(fields)?,
            identity_key: *identity_key.verifying_key(),
            trust_roots: fields.trust_roots.clone(),
            suite: Suite::from_number(fields.suite).map_err(|error| wrong("suite", error.problem))?,
            purposes: Purposes::of(purposes?),
            authenticate_every: fields.authenticate_every,
            rekey_after: fields.rekey_after,
            signs_with,
            sealed_by: fields.sealed_by.clone(),
            made_key,
            attributes: fields.attributes.iter().map(attribute).collect::<Result<_, Error>>()?,
            update: fields.update.as_ref().map(UpdateSettings::judge).transpose()?,
        })
    }

    /// The text of device.toml.
    pub fn to_text(&self) -> Result<String, Error> {
        let body = toml::to_string_pretty(&self.fields()).map_err(|error| wrong("syntax", error))?;
        Ok(format!("{HEADER}{body}"))
    }

    pub(crate) fn fields(&self) -> Fields {
        Fields {
            tenant: self.device.tenant.to_string(),
            device_id: self.device.device.to_string(),
            endpoint: self.endpoint.clone(),
            transport: (self.transport != Transport::default()).then(|| self.transport.to_string()),
            proxy: self.proxy.as_ref().map(Proxy::to_string),
            proxy_login: self.proxy.as_ref().and_then(|proxy| proxy.login.clone()),
            identity_key: hex::encode(&self.identity_key.0),
            suite: self.suite.number(),
            purposes: self.purposes.iter().map(|purpose| purpose.to_string()).collect(),
            authenticate_every: self.authenticate_every,
            rekey_after: self.rekey_after,
            trust_roots: self.trust_roots.clone(),
            signs_with: self.signs_with.as_ref().map(|tpm| tpm.tcti.clone()),
            endorsement_key: self.signs_with.as_ref().and_then(|tpm| tpm.endorsement_key.clone()),
            sealed_by: self.sealed_by.clone(),
            made_key: self.made_key.map(|kind| kind.to_string()),
            attributes: self
                .attributes
                .iter()
                .map(|(name, source)| (name.to_string(), source.to_string()))
                .collect(),
            update: self.update.as_ref().map(UpdateSettings::fields),
        }
    }

    /// Which field of `other` differs, if any.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            ("tenant", self.device.tenant == other.device.tenant),
            ("device_id", self.device.device == other.device.device),
            ("endpoint", self.endpoint == other.endpoint),
            ("transport", self.transport == other.transport),
            ("proxy or proxy_login", self.proxy == other.proxy),
            ("identity_key", self.identity_key == other.identity_key),
            ("trust_roots", self.trust_roots == other.trust_roots),
            ("suite", self.suite == other.suite),
            ("purposes", self.purposes == other.purposes),
            ("authenticate_every", self.authenticate_every == other.authenticate_every),
            ("rekey_after", self.rekey_after == other.rekey_after),
            ("signs_with or endorsement_key", self.signs_with == other.signs_with),
            ("sealed_by", self.sealed_by == other.sealed_by),
            ("made_key", self.made_key == other.made_key),
            ("attributes", self.attributes == other.attributes),
            ("update", self.update == other.update),
        ]
        .into_iter()
        .find_map(|(field, is_same)| (!is_same).then_some(field))
    }
}

fn proxy(fields: &Fields) -> Result<Option<Proxy>, Error> {
    let Some(text) = &fields.proxy else {
        let is_alone = fields.proxy_login.is_some();
        return if is_alone { Err(wrong("proxy_login", "is there without proxy")) } else { Ok(None) };
    };
    let mut proxy: Proxy = text.parse().map_err(|why| wrong("proxy", why))?;
    match &fields.proxy_login {
        Some(path) if !path.is_absolute() => Err(wrong("proxy_login", "is not an absolute path")),
        login => {
            proxy.login.clone_from(login);
            Ok(Some(proxy))
        }
    }
}

fn wrong(field: &'static str, why: impl fmt::Display) -> Error {
    Error::Config { field, why: why.to_string() }
}

fn default_suite() -> u16 {
    1
}

pub(crate) fn default_purposes() -> Vec<String> {
    Purposes::ENROLLED.iter().map(|purpose| purpose.to_string()).collect()
}

pub(crate) fn default_interval() -> u64 {
    3600
}

/// 30 days.
pub(crate) fn default_rekey_after() -> u64 {
    30 * 86_400
}

const MAX_HOST: usize = 261;
const MIN_INTERVAL: u64 = 10;
const MAX_INTERVAL: u64 = 30 * 86_400;
const MIN_REKEY: u64 = 3_600;
const MAX_REKEY: u64 = 10 * 366 * 86_400;
const HEADER: &str = "\
# Who this device is, whom it trusts, and what it measures of itself. Unknown fields are refused.
# [update]: line, model, repository, artifacts, install and idle; where they are missing, the device is not updated by wardein-device.
# attributes: NAME = \"SOURCE\", a source being file:/PATH (its SHA-256), machine-id, mac:INTERFACE, dmi:FIELD or text:CONSTANT.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        format!(
            "tenant = \"t\"\ndevice_id = \"d\"\nendpoint = \"https://localhost:7443\"\nidentity_key = \"04{}\"\n\
             trust_roots = \"\"\"\n-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n\"\"\"\n\
             [attributes]\nfirmware = \"file:/boot/image\"\n\"a.b\" = \"text:x\"\n",
            "ab".repeat(64)
        )
    }

    #[test]
    fn defaults_are_filled_in_and_what_is_written_is_read_back() {
        let config = Config::parse(&text()).unwrap();
        assert_eq!(
            (config.suite, config.purposes, config.authenticate_every, config.rekey_after),
            (Suite::P256, Purposes::ENROLLED, 3600, 2_592_000)
        );
        assert_eq!(config.attributes.len(), 2);
        let again = Config::parse(&config.to_text().unwrap()).unwrap();
        assert_eq!(again.difference(&config), None);
        assert_eq!(again, config);
    }

    #[test]
    fn the_identity_key_is_taken_in_pem_too() {
        let config = Config::parse(&text()).unwrap();
        let pem = pem::encode_public_key(&config.identity_key.into());
        let hex = format!("identity_key = \"04{}\"", "ab".repeat(64));
        let text = text().replace(&hex, &format!("identity_key = \"\"\"\n{pem}\"\"\""));
        assert!(text.contains("PUBLIC KEY"));
        assert_eq!(Config::parse(&text).unwrap(), config);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let cases = [
            ("tenant = \"t\"", "tenant = \"T\"", "tenant"),
            ("device_id = \"d\"", "device_id = \"a/b\"", "device_id"),
            ("https://localhost:7443", "http://localhost:7443", "endpoint"),
            ("https://localhost:7443", "https://user@localhost", "endpoint"),
            ("identity_key = \"04", "identity_key = \"05", "identity_key"),
            ("CERTIFICATE", "NOTHING", "trust_roots"),
            ("tenant =", "suite = 9\ntenant =", "suite"),
            ("tenant =", "authenticate_every = 9\ntenant =", "authenticate_every"),
            ("tenant =", "rekey_after = 3599\ntenant =", "rekey_after"),
            ("tenant =", "purposes = [\"log\"]\ntenant =", "purposes"),
            ("tenant =", "tenants = \"x\"\ntenant =", "syntax"),
            ("tenant =", "transport = \"mqtt\"\ntenant =", "transport"),
            ("tenant =", "proxy = \"proxy:3128\"\ntenant =", "proxy"),
            ("tenant =", "proxy = \"http://a:b@proxy:3128\"\ntenant =", "proxy"),
            ("tenant =", "proxy_login = \"/etc/login\"\ntenant =", "proxy_login"),
            ("tenant =", "proxy = \"http://p:1\"\nproxy_login = \"login\"\ntenant =", "proxy_login"),
            ("file:/boot/image", "tpm:ek", "attributes"),
            ("tenant =", "signs_with = \"device\"\ntenant =", "signs_with"),
            ("tenant =", "sealed_by = \"device\"\ntenant =", "sealed_by"),
            ("tenant =", "made_key = \"rsa-1024\"\ntenant =", "made_key"),
            ("tenant =", "endorsement_key = \"p256\"\ntenant =", "endorsement_key"),
        ];
        for (from, to, expected) in cases {
            let changed = text().replace(from, to);
            assert_ne!(changed, text());
            match Config::parse(&changed) {
                Err(Error::Config { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_way_to_the_authority_is_written_and_read_back() {
        let more =
            "transport = \"http\"\nproxy = \"http://proxy:3128\"\nproxy_login = \"/etc/login\"\ntenant =";
        let config = Config::parse(&text().replace("tenant =", more)).unwrap();
        let proxy = config.proxy.clone().unwrap();
        assert_eq!((config.transport, proxy.to_string().as_str()), (Transport::Http, "http://proxy:3128"));
        assert_eq!(proxy.login.unwrap().to_str(), Some("/etc/login"));
        let again = Config::parse(&config.to_text().unwrap()).unwrap();
        assert_eq!(again.difference(&config), None);
        let straight = Config { proxy: None, ..config.clone() };
        assert_eq!(straight.difference(&config), Some("proxy or proxy_login"));
        let other = Config::parse(&text()).unwrap();
        assert_eq!(other.transport, Transport::default());
    }

    #[cfg(not(feature = "tpm"))]
    #[test]
    fn a_build_without_a_tpm_says_so() {
        for field in ["signs_with", "sealed_by"] {
            let text = text().replace("tenant =", &format!("{field} = \"device:/dev/tpmrm0\"\ntenant ="));
            let refused = Config::parse(&text).unwrap_err().to_string();
            assert!(refused.contains(field) && refused.contains("--features tpm"), "{refused}");
        }
    }

    #[test]
    fn a_difference_is_named() {
        let config = Config::parse(&text()).unwrap();
        let other = Config::parse(&text().replace("7443", "7444")).unwrap();
        assert_eq!(config.difference(&other), Some("endpoint"));
    }
}

//! Settings given as options: what device.toml is made of where there is none, and what it must agree with where there is.

use crate::config::{Config, Fields, default_interval, default_purposes, default_rekey_after};
use crate::directory::Directory;
use crate::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Settings as they were given; nothing is judged yet.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The tenant.
    pub tenant: Option<String>,
    /// The device's id.
    pub device_id: Option<String>,
    /// The authority's address.
    pub endpoint: Option<String>,
    /// How requests travel.
    pub transport: Option<String>,
    /// The proxy to go through.
    pub proxy: Option<String>,
    /// A file with its login.
    pub proxy_login: Option<PathBuf>,
    /// A file with the identity key.
    pub identity_key: Option<PathBuf>,
    /// A file with the trust roots.
    pub trust_roots: Option<PathBuf>,
    /// The suite's number.
    pub suite: Option<u16>,
    /// Seconds between two signs of life.
    pub authenticate_every: Option<u64>,
    /// Seconds after which the device rekeys by itself.
    pub rekey_after: Option<u64>,
    /// The TPM whose key is to sign.
    pub signs_with: Option<String>,
    /// Which endorsement key of it.
    pub endorsement_key: Option<String>,
    /// The TPM that is to seal the DDKG state.
    pub sealed_by: Option<String>,
    /// Names and sources.
    pub attributes: Vec<(String, String)>,
}

impl Given {
    /// The configuration of `directory`, made of these where it has none. A setting that disagrees with device.toml is an
    /// error; the same command twice is not.
    pub fn settle(self, directory: &Directory) -> Result<Config, Error> {
        if let Some(config) = directory.files().config()? {
            self.agrees_with(&config)?;
            return Ok(config);
        }
        let Self {
            tenant,
            device_id,
            endpoint,
            transport,
            proxy,
            proxy_login,
            identity_key,
            trust_roots,
            suite,
            authenticate_every,
            rekey_after,
            signs_with,
            endorsement_key,
            sealed_by,
            attributes: given,
        } = self;
        let (Some(tenant), Some(device_id), Some(endpoint), Some(identity_key), Some(trust_roots)) =
            (tenant, device_id, endpoint, identity_key, trust_roots)
        else {
            return Err(directory.files().not_configured());
        };
        let mut attributes = std::collections::BTreeMap::new();
        for (name, source) in given {
            if attributes.insert(name.clone(), source).is_some() {
                return Err(Error::Config { field: "attributes", why: format!("{name} is given twice") });
            }
        }
        let config = Config::judge(&Fields {
            tenant,
            device_id,
            endpoint,
            transport,
            proxy,
            proxy_login,
            identity_key: read(&identity_key)?.trim().to_owned(),
            suite: suite.unwrap_or(1),
            purposes: default_purposes(),
            authenticate_every: authenticate_every.unwrap_or_else(default_interval),
            rekey_after: rekey_after.unwrap_or_else(default_rekey_after),
            trust_roots: read(&trust_roots)?,
            signs_with,
            endorsement_key,
            sealed_by,
            made_key: None,
            attributes,
            update: None,
        })?;
        directory.save_config(&config)?;
        Ok(config)
    }

    /// Judged together with what device.toml says of the rest, so that both are compared in one form.
    fn agrees_with(self, config: &Config) -> Result<(), Error> {
        let mut fields = config.fields();
        let put = |to: &mut String, from: Option<String>| from.map_or((), |from| *to = from);
        put(&mut fields.tenant, self.tenant);
        put(&mut fields.device_id, self.device_id);
        put(&mut fields.endpoint, self.endpoint);
        fields.transport = self.transport.or(fields.transport);
        fields.proxy = self.proxy.or(fields.proxy);
        fields.proxy_login = self.proxy_login.or(fields.proxy_login);
        if let Some(path) = self.identity_key {
            fields.identity_key = read(&path)?.trim().to_owned();
        }
        if let Some(path) = self.trust_roots {
            fields.trust_roots = read(&path)?;
        }
        fields.suite = self.suite.unwrap_or(fields.suite);
        fields.authenticate_every = self.authenticate_every.unwrap_or(fields.authenticate_every);
        fields.rekey_after = self.rekey_after.unwrap_or(fields.rekey_after);
        fields.signs_with = self.signs_with.or(fields.signs_with);
        fields.endorsement_key = self.endorsement_key.or(fields.endorsement_key);
        fields.sealed_by = self.sealed_by.or(fields.sealed_by);
        if !self.attributes.is_empty() {
            fields.attributes = self.attributes.into_iter().collect();
        }
        match config.difference(&Config::judge(&fields)?) {
            Some(field) => Err(Error::ConfigDiffers(field)),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(Error::file("read", path))?;
    file.take(MAX_GIVEN).read_to_string(&mut text).map_err(Error::file("read", path))?;
    Ok(text)
}

/// More than any key or bundle; what is cut off there is refused as malformed.
const MAX_GIVEN: u64 = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::write;

    fn given(parent: &Path) -> Given {
        let (key, roots) = (parent.join("identity.pub"), parent.join("root.pem"));
        write(&key, format!("04{}\n", "ab".repeat(64))).unwrap();
        write(&roots, "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n").unwrap();
        Given {
            tenant: Some("t".into()),
            device_id: Some("d".into()),
            endpoint: Some("https://localhost:7443".into()),
            identity_key: Some(key),
            trust_roots: Some(roots),
            attributes: vec![("tag".into(), "text:a".into())],
            ..Given::default()
        }
    }

    #[test]
    fn settings_make_device_toml_once_and_must_agree_with_it_later() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::create(&parent.path().join("device")).unwrap();
        let nothing = Given::default().settle(&directory).unwrap_err();
        assert!(matches!(nothing, Error::NotConfigured(_)) && nothing.exit_code() == 2);
        let config = given(parent.path()).settle(&directory).unwrap();
        assert_eq!(directory.files().config().unwrap(), Some(config.clone()));
        assert_eq!(given(parent.path()).settle(&directory).unwrap(), config, "the same again is fine");
        assert_eq!(Given::default().settle(&directory).unwrap(), config);
        let other = Given { device_id: Some("e".into()), ..Given::default() };
        assert!(matches!(other.settle(&directory), Err(Error::ConfigDiffers("device_id"))));
        let other = Given { attributes: vec![("tag".into(), "text:b".into())], ..Given::default() };
        assert!(matches!(other.settle(&directory), Err(Error::ConfigDiffers("attributes"))));
    }

    #[test]
    fn the_identity_key_is_the_same_in_pem_and_in_hex() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::create(&parent.path().join("device")).unwrap();
        let config = given(parent.path()).settle(&directory).unwrap();
        let in_pem = || {
            let given = given(parent.path());
            let pem = wardein_pki::pem::encode_public_key(&config.identity_key.into());
            write(given.identity_key.as_ref().unwrap(), pem).unwrap();
            given
        };
        assert_eq!(in_pem().settle(&directory).unwrap(), config);
        let other = Directory::create(&parent.path().join("other")).unwrap();
        assert_eq!(in_pem().settle(&other).unwrap(), config);
    }

    #[test]
    fn an_attribute_is_given_once() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::create(&parent.path().join("device")).unwrap();
        let mut twice = given(parent.path());
        twice.attributes.push(("tag".into(), "text:b".into()));
        assert!(matches!(twice.settle(&directory), Err(Error::Config { field: "attributes", .. })));
    }
}

//! A plugin of age (C2SP age-plugin): ordinary `age` and `rage` open files that the authority opens, through a platform's identity.
//!
//! What: the identity, which says where the platform's own identity is and why it asks, and the state machine `identity-v1`. There is no
//! `recipient-v1`: a stanza is made on a device, by a key that nobody else derives.

use crate::error::FileError;
use age_core::format::{FileKey, Stanza};
use age_plugin::identity::{Error, IdentityPluginV1};
use age_plugin::{Callbacks, PluginHandler, run_state_machine};
use bech32::{FromBase32, ToBase32, Variant};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use wardein_crypto::Secret;
use wardein_ddkg::message::FileStanza;

/// What an identity file of age's says, `AGE-PLUGIN-WARDEIN-1...`. It holds no secret: the platform's key is in its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginIdentity {
    /// The directory of the platform's identity, absolute.
    pub directory: PathBuf,
    /// Why files are opened, for the audit log; 1 to 256 bytes.
    pub reason: String,
}

impl PluginIdentity {
    /// The line of an identity file.
    pub fn text(&self) -> Result<String, FileError> {
        let directory = self.directory.to_str().ok_or(FileError::PluginIdentity)?;
        let bytes = format!("{directory}\n{}", self.reason).into_bytes();
        if Self::parse(&bytes).as_ref() != Some(self) {
            return Err(FileError::PluginIdentity);
        }
        let text = bech32::encode(PREFIX, bytes.to_base32(), Variant::Bech32);
        Ok(text.map_err(|_| FileError::PluginIdentity)?.to_uppercase())
    }

    /// The inverse.
    pub fn from_text(text: &str) -> Result<Self, FileError> {
        let decoded = bech32::decode(text)
            .ok()
            .filter(|(prefix, _, variant)| prefix.to_lowercase() == PREFIX && *variant == Variant::Bech32);
        let bytes = decoded.and_then(|(_, data, _)| Vec::<u8>::from_base32(&data).ok());
        bytes.and_then(|bytes| Self::parse(&bytes)).ok_or(FileError::PluginIdentity)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (directory, reason) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let directory = PathBuf::from(directory);
        let is_good =
            directory.is_absolute() && (1..=MAX_REASON).contains(&reason.len()) && bytes.len() <= MAX_LEN;
        is_good.then(|| Self { directory, reason: reason.to_owned() })
    }
}

/// Serves `state_machine`, which age names in its argument `--age-plugin=...`, over standard input and output, until age is done. `release`
/// has the key of the file released that has this stanza; its error is for the person who opens it.
pub fn serve(
    state_machine: &str,
    release: impl FnMut(&PluginIdentity, &FileStanza) -> Result<Secret<16>, String>,
) -> io::Result<()> {
    run_state_machine(state_machine, Plugin { release, identities: Vec::new() })
}

struct Plugin<R> {
    release: R,
    /// With their places among those that age has named.
    identities: Vec<(usize, PluginIdentity)>,
}

impl<R> PluginHandler for Plugin<R>
where
    R: FnMut(&PluginIdentity, &FileStanza) -> Result<Secret<16>, String>,
{
    type RecipientV1 = Infallible;
    type IdentityV1 = Self;

    fn identity_v1(self) -> io::Result<Self> {
        Ok(self)
    }
}

impl<R> IdentityPluginV1 for Plugin<R>
where
    R: FnMut(&PluginIdentity, &FileStanza) -> Result<Secret<16>, String>,
{
    fn add_identity(&mut self, index: usize, plugin_name: &str, bytes: &[u8]) -> Result<(), Error> {
        let wrong = |message: &str| Error::Identity { index, message: message.to_owned() };
        if plugin_name != NAME {
            return Err(wrong("is another plugin's"));
        }
        let identity = PluginIdentity::parse(bytes);
        let identity = identity.ok_or_else(|| wrong("is malformed; make it with: wardein file identity"))?;
        self.identities.push((index, identity));
        Ok(())
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        mut callbacks: impl Callbacks<Error>,
    ) -> io::Result<HashMap<usize, Result<FileKey, Vec<Error>>>> {
        let mut found = HashMap::new();
        for (file_index, stanzas) in files.into_iter().enumerate() {
            let failed = |stanza_index, message: String| Error::Stanza { file_index, stanza_index, message };
            // As everywhere, one stanza of a device, and judged before any key is asked for.
            let mut of_devices = stanzas.iter().enumerate().filter(|(_, stanza)| stanza.tag == DDKG);
            let Some((stanza_index, stanza)) = of_devices.next() else { continue };
            let stanza = match of_devices.next() {
                Some(_) => Err(FileError::ManyStanzas),
                None => crate::open::parse_stanza(stanza),
            };
            let stanza = match stanza {
                Ok(stanza) => stanza,
                Err(error) => {
                    found.insert(file_index, Err(vec![failed(stanza_index, error.to_string())]));
                    continue;
                }
            };
            // Each is tried until one is given the key.
            let (mut given, mut errors) = (None, Vec::new());
            for (index, identity) in &self.identities {
                match (self.release)(identity, &stanza) {
                    Ok(key) => {
                        given = Some(FileKey::init_with_mut(|to| to.copy_from_slice(key.expose())));
                        break;
                    }
                    Err(message) => {
                        // age shows of an error that there was one; the reason is what a person needs.
                        let _unheard = callbacks.message(&message)?;
                        errors.push(Error::Identity { index: *index, message });
                    }
                }
            }
            found.insert(file_index, given.ok_or(errors));
        }
        Ok(found)
    }
}

const NAME: &str = "wardein";
const PREFIX: &str = "age-plugin-wardein-";
const DDKG: &str = "ddkg1";
const MAX_REASON: usize = 256;
/// A path of Linux, and a reason.
const MAX_LEN: usize = 4096 + 1 + MAX_REASON;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_one_line_and_bounded() {
        let identity =
            PluginIdentity { directory: "/etc/wardein/platform".into(), reason: "ticket 7".into() };
        let text = identity.text().unwrap();
        assert!(text.starts_with("AGE-PLUGIN-WARDEIN-1"), "{text}");
        assert_eq!(PluginIdentity::from_text(&text).unwrap(), identity);
        for (directory, reason) in [
            ("platform", "relative"),
            ("/platform", ""),
            ("/plat\nform", "a line more is a part of the reason"),
            ("/platform", &"r".repeat(257)),
            (&format!("/{}", "p".repeat(5_000)), "long"),
        ] {
            let identity = PluginIdentity { directory: directory.into(), reason: reason.to_owned() };
            assert!(identity.text().is_err(), "{directory}");
        }
        let (cut, last) = text.split_at(text.len() - 1);
        let changed = format!("{cut}{}", if last == "Q" { "P" } else { "Q" });
        for bad in ["", "AGE-PLUGIN-OTHER-1QQQ", cut, &changed] {
            assert!(PluginIdentity::from_text(bad).is_err(), "{bad}");
        }
    }
}

//! The readers of a profile's files: a text of fixed lines, signed by the authority's identity key, so that a device seals for nobody else.
//!
//! ```text
//! wardein-readers 1
//! tenant: klinik-nord
//! profile: pumps
//! number: 1796040000
//! seal-for: readers
//! reader: hospital age1... 1796040000 -
//! signature: ...
//! ```
//!
//! A line `reader` has a name, a key, and the Unix seconds from which and until which files are sealed for it; `-` where there is no end. The
//! signature is ECDSA P-256 with SHA-256 of all lines before it, DER, as DDKG-1 writes bytes as text (§13).

use crate::error::FileError;
use crate::header::MAX_STANZAS;
use crate::reader::Reader;
use std::fmt;
use std::str::FromStr;
use wardein_crypto::{P256_SIGNATURE_MAX, P256SigningKey, P256VerifyingKey};
use wardein_ddkg::message::{from_text, to_text};
use wardein_domain::{ProfileName, ReaderName, TenantId};

/// The readers of the files of a profile's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderList {
    /// The tenant.
    pub tenant: TenantId,
    /// The profile.
    pub profile: ProfileName,
    /// It rises whenever the list changes, and never falls. 0 where nothing was ever set.
    pub number: u64,
    /// For whom files are sealed.
    pub seal_for: SealFor,
    /// The readers by name, each once.
    pub readers: Vec<ListedReader>,
}

/// For whom the devices of a profile seal their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealFor {
    /// For the authority, which has their keys released to platforms.
    Authority,
    /// For the readers of the list alone, end to end.
    Readers,
}

/// A reader on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedReader {
    /// Its name.
    pub name: ReaderName,
    /// Its key.
    pub key: Reader,
    /// Unix second from which files are sealed for it.
    pub from: u64,
    /// Unix second from which they are not any more.
    pub until: Option<u64>,
}

impl SealFor {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Readers => "readers",
        }
    }
}

impl fmt::Display for SealFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SealFor {
    type Err = FileError;

    fn from_str(word: &str) -> Result<Self, FileError> {
        [Self::Authority, Self::Readers]
            .into_iter()
            .find(|of| of.as_str() == word)
            .ok_or(FileError::Readers("seal-for"))
    }
}

impl ListedReader {
    /// Whether files are sealed for it at Unix second `now`.
    pub fn is_current(&self, now: u64) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

impl ReaderList {
    /// The most readers of a list: as many as one file has stanzas for.
    pub const MAX_READERS: usize = MAX_STANZAS - 2;
    /// The most bytes of one.
    pub const MAX_LEN: usize = 16 << 10;

    /// The list as it is sent, signed.
    pub fn sign(&self, identity: &P256SigningKey) -> Result<String, FileError> {
        let text = self.text();
        let signature = identity.sign(text.as_bytes()).map_err(|_| FileError::ReadersSignature)?;
        Ok(format!("{text}{SIGNATURE}{}\n", to_text(&signature)))
    }

    /// Reads one that `identity` signed. Whose it is, and whether it is newer than another, [`ReaderList::judge`] says.
    pub fn open(bytes: &[u8], identity: &P256VerifyingKey) -> Result<Self, FileError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(FileError::Readers("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FileError::Readers("it is not UTF-8"))?;
        let at = text.find(SIGNATURE).ok_or(FileError::Readers("signature"))?;
        let (signed, rest) = text.split_at(at);
        let signature = rest[SIGNATURE.len()..].strip_suffix('\n').ok_or(FileError::Readers("signature"))?;
        let signature = from_text(signature, P256_SIGNATURE_MAX).map_err(|_| FileError::ReadersSignature)?;
        // Nothing of it is read before it is known to be the authority's.
        identity.verify(signed.as_bytes(), &signature).map_err(|_| FileError::ReadersSignature)?;
        Self::parse(signed)
    }

    /// Refuses one that a device of that tenant and profile may not go over to from the one that it holds, if it holds one.
    pub fn judge(&self, tenant: &TenantId, held: Option<&Self>) -> Result<(), FileError> {
        if self.tenant != *tenant {
            return Err(FileError::ReadersOfAnother);
        }
        // That of a former tenant, or of a former profile, holds nobody up.
        let is_same = |held: &&Self| held.tenant == self.tenant && held.profile == self.profile;
        let Some(held) = held.filter(is_same) else { return Ok(()) };
        if self.number < held.number {
            return Err(FileError::ReadersRollback { number: self.number, held: held.number });
        }
        if self.number == held.number && self != held {
            return Err(FileError::ReadersFork);
        }
        Ok(())
    }

    fn text(&self) -> String {
        let Self { tenant, profile, number, seal_for, readers } = self;
        let mut text =
            format!("{FORM}\ntenant: {tenant}\nprofile: {profile}\nnumber: {number}\nseal-for: {seal_for}\n");
        for ListedReader { name, key, from, until } in readers {
            let until = until.map_or_else(|| "-".to_owned(), |until| until.to_string());
            text += &format!("reader: {name} {key} {from} {until}\n");
        }
        text
    }

    /// The inverse: there is one text of each list.
    fn parse(text: &str) -> Result<Self, FileError> {
        let mut lines = text.lines();
        if lines.next() != Some(FORM) {
            return Err(FileError::Readers("its first line is another"));
        }
        let mut field = |name: &'static str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.ok_or(FileError::Readers(name))
        };
        let tenant = field("tenant")?.parse().map_err(|_| FileError::Readers("tenant"))?;
        let profile = field("profile")?.parse().map_err(|_| FileError::Readers("profile"))?;
        let number = field("number")?.parse().map_err(|_| FileError::Readers("number"))?;
        let seal_for = field("seal-for")?.parse()?;
        let readers = lines.map(|line| parse_reader(line).ok_or(FileError::Readers("reader")));
        let readers = readers.take(Self::MAX_READERS + 1).collect::<Result<Vec<_>, _>>()?;
        let is_sorted = readers.is_sorted_by(|one, next| one.name < next.name);
        if readers.len() > Self::MAX_READERS || !is_sorted {
            return Err(FileError::Readers("reader"));
        }
        let list = Self { tenant, profile, number, seal_for, readers };
        if list.text() == text { Ok(list) } else { Err(FileError::Readers("it is not as it is written")) }
    }
}

fn parse_reader(line: &str) -> Option<ListedReader> {
    let mut words = line.strip_prefix("reader: ")?.split(' ');
    let mut word = || words.next();
    let (name, key) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let from = word()?.parse().ok()?;
    let until = match word()? {
        "-" => None,
        until => Some(until.parse().ok()?),
    };
    words.next().is_none().then_some(ListedReader { name, key, from, until })
}

const FORM: &str = "wardein-readers 1";
const SIGNATURE: &str = "signature: ";

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> P256SigningKey {
        P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    fn list(number: u64) -> ReaderList {
        let reader = |name: &str, key: &str, until| ListedReader {
            name: name.parse().unwrap(),
            key: key.parse().unwrap(),
            from: 100,
            until,
        };
        ReaderList {
            tenant: "klinik".parse().unwrap(),
            profile: "pumps".parse().unwrap(),
            number,
            seal_for: SealFor::Readers,
            readers: vec![reader("hospital", ONE, None), reader("maker", OTHER, Some(200))],
        }
    }

    /// The recipients of age's own documentation.
    const ONE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    const OTHER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

    #[test]
    fn a_list_is_read_as_it_was_signed_and_every_changed_byte_is_found() {
        let identity = key();
        let empty = ReaderList { readers: Vec::new(), seal_for: SealFor::Authority, ..list(0) };
        for made in [list(7), empty] {
            let signed = made.sign(&identity).unwrap().into_bytes();
            assert_eq!(ReaderList::open(&signed, identity.verifying_key()).unwrap(), made);
            let others = ReaderList::open(&signed, key().verifying_key());
            assert!(matches!(others, Err(FileError::ReadersSignature)));
            for at in 0..signed.len() {
                let mut changed = signed.clone();
                changed[at] ^= 1;
                assert!(ReaderList::open(&changed, identity.verifying_key()).is_err(), "byte {at}");
                assert!(ReaderList::open(&signed[..at], identity.verifying_key()).is_err(), "{at} bytes");
            }
            let longer = [&signed[..], b"\n"].concat();
            assert!(ReaderList::open(&longer, identity.verifying_key()).is_err());
        }
        let huge = vec![b'a'; ReaderList::MAX_LEN + 1];
        assert!(matches!(ReaderList::open(&huge, identity.verifying_key()), Err(FileError::Readers(_))));
    }

    /// What nobody would write, though the key had signed it.
    #[test]
    fn there_is_one_text_of_a_list() {
        let text = list(7).text();
        assert_eq!(ReaderList::parse(&text).unwrap(), list(7));
        for (from, to) in [
            ("wardein-readers 1", "wardein-readers 2"),
            ("number: 7", "number: 07"),
            ("number: 7", "number: -7"),
            ("seal-for: readers", "seal-for: everybody"),
            ("reader: hospital", "reader: zoo"),
            ("reader: hospital", "reader: maker"),
            (" 100 -", " 100"),
            (" 100 -", " 100 - -"),
            ("\n", "\r\n"),
        ] {
            assert!(ReaderList::parse(&text.replacen(from, to, 1)).is_err(), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn no_number_falls_and_none_has_two_lists() {
        let (tenant, other) = ("klinik".parse().unwrap(), "lab".parse().unwrap());
        assert!(list(7).judge(&tenant, None).is_ok());
        assert!(matches!(list(7).judge(&other, None), Err(FileError::ReadersOfAnother)));
        assert!(list(7).judge(&tenant, Some(&list(7))).is_ok());
        assert!(list(8).judge(&tenant, Some(&list(7))).is_ok());
        let older = list(6).judge(&tenant, Some(&list(7)));
        assert!(matches!(older, Err(FileError::ReadersRollback { number: 6, held: 7 })));
        let fork = ReaderList { readers: Vec::new(), ..list(7) };
        assert!(matches!(fork.judge(&tenant, Some(&list(7))), Err(FileError::ReadersFork)));
        let former = ReaderList { profile: "monitors".parse().unwrap(), ..list(9) };
        assert!(list(7).judge(&tenant, Some(&former)).is_ok());
    }

    #[test]
    fn a_reader_is_one_from_its_first_second_until_its_last() {
        let [hospital, maker] = &list(7).readers[..] else { panic!("two readers") };
        assert!(!hospital.is_current(99) && hospital.is_current(100) && hospital.is_current(u64::MAX));
        assert!(maker.is_current(199) && !maker.is_current(200));
    }
}

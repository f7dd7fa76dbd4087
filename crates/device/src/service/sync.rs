//! What sshd needs to let technicians in while they are invited: the tenant's CA, this device's principal, what is revoked.

use crate::error::Error;
use std::path::Path;
use wardein_ddkg::DeviceName;

/// What the authority says of service access, by the action `service-access` (DDKG-1 §8.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccess {
    /// The line of the tenant's SSH CA; empty before the first visit was released.
    ca: String,
    /// The revocation list, as sshd reads it; empty likewise.
    list: Vec<u8>,
    /// The ids of visits that were ended.
    ended: Vec<[u8; 8]>,
}

impl ServiceAccess {
    /// Reads the reply's body; `None` where it is damaged.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut rest = body.strip_prefix(&[1])?;
        let mut frame = |most: usize| {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length =
                usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= most)?;
            let (part, after) = after.split_at_checked(length)?;
            rest = after;
            Some(part)
        };
        let (ca, list, ended) = (frame(MAX_LINE)?, frame(MAX_LIST)?, frame(MAX_LIST)?);
        let ca = std::str::from_utf8(ca).ok()?;
        // One line of a key, and no option before it: it is written to a file that says who may come in.
        let is_key = ca.is_empty() || ca.starts_with("ecdsa-sha2-nistp256 ");
        let (ended, odd) = ended.as_chunks::<8>();
        let is_plain = ca.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        (is_key && is_plain && odd.is_empty() && rest.is_empty()).then(|| Self {
            ca: ca.to_owned(),
            list: list.to_vec(),
            ended: ended.to_vec(),
        })
    }

    /// Writes the files for sshd, each whole or not at all, in an order in which nobody is let in by half of it: what is revoked first.
    pub fn write(&self, device: &DeviceName, directory: &Path) -> Result<(), Error> {
        let ended: String =
            self.ended.iter().map(|id| format!("{}\n", wardein_crypto::hex::encode(id))).collect();
        let principal = format!("dev:{}/{}\n", device.tenant, device.device);
        let ca = if self.ca.is_empty() { String::new() } else { format!("{}\n", self.ca) };
        let files = [
            (ENDED, ended.as_bytes()),
            ("revoked", &self.list[..]),
            ("principals", principal.as_bytes()),
            ("ca.pub", ca.as_bytes()),
        ];
        for (name, bytes) in files {
            let path = directory.join(name);
            let wrong = |source| Error::File { doing: "write", path: path.clone(), source };
            wardein_durable::replace(&path, bytes, 0o644).map_err(wrong)?;
        }
        Ok(())
    }

    /// How many visits were ended.
    pub fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Whether the tenant has an SSH CA.
    pub fn has_ca(&self) -> bool {
        !self.ca.is_empty()
    }
}

/// The file with the ids of visits that were ended, a line each.
pub(super) const ENDED: &str = "ended";

const MAX_LINE: usize = 1_024;
const MAX_LIST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: [&[u8]; 3]) -> Vec<u8> {
        let mut out = vec![1];
        for part in parts {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend(part);
        }
        out
    }

    #[test]
    fn what_is_cut_lengthened_or_more_than_a_key_is_refused() {
        let good = body([b"ecdsa-sha2-nistp256 AAAA", b"list", &[7; 16]]);
        let read = ServiceAccess::decode(&good).unwrap();
        assert_eq!((read.ended(), read.has_ca()), (2, true));
        for end in 0..good.len() {
            assert_eq!(ServiceAccess::decode(&good[..end]), None, "{end}");
        }
        assert_eq!(ServiceAccess::decode(&[&good[..], &[0]].concat()), None);
        assert!(!ServiceAccess::decode(&body([b"", b"", b""])).unwrap().has_ca());
        let long = [&b"ecdsa-sha2-nistp256 "[..], &[b'A'; MAX_LINE]].concat();
        for (ca, ended) in [
            (&b"ssh-rsa AAAA"[..], &[][..]),
            (b"cert-authority ecdsa-sha2-nistp256 AAAA", &[]),
            (b"ecdsa-sha2-nistp256 AAAA\nssh-rsa AAAA", &[]),
            (&long, &[]),
            (b"ecdsa-sha2-nistp256 AAAA", &[7; 9]),
        ] {
            assert_eq!(ServiceAccess::decode(&body([ca, b"", ended])), None);
        }
    }

    #[test]
    fn the_files_are_as_sshd_reads_them() {
        let directory = tempfile::tempdir().unwrap();
        let device = DeviceName { tenant: "klinik".parse().unwrap(), device: "pump-1".parse().unwrap() };
        let access = ServiceAccess::decode(&body([b"ecdsa-sha2-nistp256 AAAA", b"list", &[7; 8]])).unwrap();
        access.write(&device, directory.path()).unwrap();
        let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("principals"), "dev:klinik/pump-1\n");
        assert_eq!(
            (read("ca.pub").as_str(), read("revoked").as_str()),
            ("ecdsa-sha2-nistp256 AAAA\n", "list")
        );
        assert_eq!(read("ended"), "0707070707070707\n");
    }
}

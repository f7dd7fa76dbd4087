//! Key revocation lists (OpenSSH, PROTOCOL.krl): certificates of one CA by their key ids.

use super::certificate::SshCa;
use super::wire::put_string;

/// The list of certificates that are good no more, in binary form. sshd that cannot read its list refuses every key.
pub fn revocation_list<'a>(
    ca: &SshCa,
    number: u64,
    made_at: u64,
    key_ids: impl IntoIterator<Item = &'a str>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend(MAGIC);
    out.extend(1_u32.to_be_bytes());
    out.extend(number.to_be_bytes());
    out.extend(made_at.to_be_bytes());
    // Flags: there are none.
    out.extend(0_u64.to_be_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, b"wardein");
    let mut ids = Vec::new();
    for id in key_ids {
        put_string(&mut ids, id.as_bytes());
    }
    if !ids.is_empty() {
        let mut section = Vec::new();
        put_string(&mut section, ca.blob());
        put_string(&mut section, b"");
        section.push(CERT_KEY_ID);
        put_string(&mut section, &ids);
        out.push(CERTIFICATES);
        put_string(&mut out, &section);
    }
    out
}

/// `KRL_MAGIC`: "SSHKRL\n\0".
const MAGIC: &[u8; 8] = b"SSHKRL\n\0";

/// `KRL_SECTION_CERTIFICATES`.
const CERTIFICATES: u8 = 1;

/// `KRL_SECTION_CERT_KEY_ID`.
const CERT_KEY_ID: u8 = 0x23;

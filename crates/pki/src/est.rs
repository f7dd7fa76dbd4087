//! What EST carries (RFC 7030, RFC 8951): requests, which are taken in every form that clients send, and answers in the one form that all
//! of them read.

use crate::der::{INTEGER, SEQUENCE, write};
use crate::pem;
use wardein_crypto::SecretBytes;

/// The most bytes of a request's body: some ten times a request in base64, for those who pad it with whitespace and text.
pub const MAX_BODY_LEN: usize = pem::MAX_LEN;

/// The request in a body, DER: base64 with or without lines (RFC 8951 §3.1), PEM, or DER; `None` if it is none of them. Its header
/// `Content-Transfer-Encoding` says nothing: some send it, and some with another value.
pub fn read_request(body: &[u8]) -> Option<Vec<u8>> {
    // A SEQUENCE; in base64 that begins with `M`.
    if body.first() == Some(&0x30) || body.windows(PEM.len()).any(|part| part == PEM) {
        return pem::read_request(body).ok();
    }
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_BODY_LEN)?;
    decode_base64(text).filter(|der| !der.is_empty())
}

/// The bytes of a text in base64 (RFC 4648 §4), with whitespace anywhere in it.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    pem::decode_base64(text).ok()
}

/// Certificates as PKCS#7 has them where nothing is signed, `certs-only` (RFC 5272 §4.1, RFC 5652 §5.1).
pub fn certs_only<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut certificates: Vec<&[u8]> = certificates.into_iter().collect();
    // The elements of a set are in order (X.690 §11.6).
    certificates.sort_unstable();
    let signed_data = || {
        let fields = [
            write(INTEGER, &[&[1]])?,
            write(SET, &[])?,
            write(SEQUENCE, &[&DATA])?,
            write(CONTEXT_0, &certificates)?,
            write(SET, &[])?,
        ];
        let fields = write(SEQUENCE, &fields.each_ref().map(Vec::as_slice))?;
        write(SEQUENCE, &[&SIGNED_DATA, &write(CONTEXT_0, &[&fields])?])
    };
    signed_data().expect("a few certificates have less than 4 GiB")
}

/// A private key, PKCS#8, and its certificate as `serverkeygen` answers them (RFC 7030 §4.4.2), in memory that is wiped. libest reads no
/// part that has not both headers, spelled so.
pub fn key_and_certificate(pkcs8: &SecretBytes, leaf: &[u8], lines: Lines) -> SecretBytes {
    let (key, certificate) = (encode(pkcs8.expose(), lines), encode(&certs_only([leaf]), lines));
    let parts = [
        &b"--"[..],
        BOUNDARY.as_bytes(),
        b"\r\nContent-Type: application/pkcs8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        key.expose(),
        b"\r\n--",
        BOUNDARY.as_bytes(),
        b"\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        certificate.expose(),
        b"\r\n--",
        BOUNDARY.as_bytes(),
        b"--\r\n",
    ];
    let mut whole = SecretBytes::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| whole.extend(part));
    whole
}

/// Between the parts of that answer: base64 has no hyphen.
pub const BOUNDARY: &str = "wardein-est";

/// How an answer's base64 is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lines {
    /// Into 64 columns, each ended by LF: `openssl base64 -d` and libest read no others.
    #[default]
    Of64,
    /// Not at all: strongSwan before 5.9.11 reads no others.
    One,
}

/// The base64 of an answer, in memory that is wiped: it may be of a key.
pub fn encode(bytes: &[u8], lines: Lines) -> SecretBytes {
    let broken = pem::encode_base64(bytes).expect("an answer has less than 2 GiB");
    match lines {
        Lines::Of64 => broken,
        Lines::One => {
            let mut whole = SecretBytes::with_capacity(broken.expose().len());
            broken.expose().split(|byte| *byte == b'\n').for_each(|line| whole.extend(line));
            whole
        }
    }
}

const PEM: &[u8] = b"-----BEGIN ";
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// id-data, 1.2.840.113549.1.7.1, DER.
const DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// id-signedData, 1.2.840.113549.1.7.2, DER.
const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    /// A SEQUENCE as long as a request.
    fn request() -> Vec<u8> {
        let mut der = vec![0x30, 0x81, 200];
        der.extend((0..200).map(|byte| byte as u8));
        der
    }

    fn base64(lines: Lines) -> String {
        String::from_utf8(encode(&request(), lines).expose().to_vec()).unwrap()
    }

    #[test]
    fn a_request_is_read_in_every_form_that_clients_send() {
        let (broken, whole) = (base64(Lines::Of64), base64(Lines::One));
        let pem = pem::encode_request(&request()).unwrap();
        for body in [
            broken.clone(),
            whole.clone(),
            broken.replace('\n', "\r\n"),
            format!(" \t{whole}\r\n\r\n"),
            pem.clone(),
            // As `curl --data @file` sends it.
            pem.replace('\n', ""),
            pem.replace("CERTIFICATE", "NEW CERTIFICATE"),
            format!("Certificate Request:\n    Data:\n{pem}"),
        ] {
            assert_eq!(read_request(body.as_bytes()), Some(request()), "{body}");
        }
        assert_eq!(read_request(&request()), Some(request()));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        let whole = base64(Lines::One);
        for body in [
            "".to_owned(),
            "!".to_owned(),
            whole.replace('/', "_").replace('M', "-"),
            whole.trim_end_matches('=').to_owned() + "=====",
            whole[..whole.len() - 1].to_owned(),
            format!("{whole}{whole}"),
            format!("{whole}\u{e4}"),
            " ".repeat(MAX_BODY_LEN + 1),
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_owned(),
        ] {
            let read = read_request(body.as_bytes());
            assert!(read.is_none(), "{read:?} {}", &body[..body.len().min(80)]);
        }
        assert!(read_request(&[0xff; 40]).is_none());
    }

    #[test]
    fn lines_have_64_columns_and_end_with_lf() {
        let (broken, whole) = (base64(Lines::Of64), base64(Lines::One));
        assert!(broken.ends_with('\n') && !whole.contains('\n'));
        assert_eq!(broken.replace('\n', ""), whole);
        let lines: Vec<_> = broken.lines().map(str::len).collect();
        assert_eq!(lines, [64, 64, 64, 64, 16]);
    }

    #[test]
    fn a_key_and_its_certificate_are_two_parts_with_both_headers() {
        let answer = key_and_certificate(&SecretBytes::from_vec(request()), &[0x30, 0], Lines::Of64);
        let text = std::str::from_utf8(answer.expose()).unwrap();
        let parts: Vec<_> = text.split("--wardein-est").collect();
        assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
        for (part, kind) in
            [(parts[1], "application/pkcs8"), (parts[2], "application/pkcs7-mime; smime-type=certs-only")]
        {
            let (head, _) = part.split_once("\r\n\r\n").unwrap();
            assert_eq!(head, format!("\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64"));
        }
        let key = parts[1].split_once("\r\n\r\n").unwrap().1;
        assert_eq!(decode_base64(key), Some(request()));
    }

    #[test]
    fn certs_only_is_der() {
        // As `openssl crl2pkcs7 -nocrl` writes it but for its CRLs, which are an empty set there.
        let one = [0x30, 0x03, 0x02, 0x01, 0x05];
        let wanted = [
            &[0x30, 0x2a][..],
            &SIGNED_DATA,
            &[0xa0, 0x1d, 0x30, 0x1b, 0x02, 0x01, 0x01, 0x31, 0x00, 0x30, 0x0b],
            &DATA,
            &[0xa0, 0x05],
            &one,
            &[0x31, 0x00],
        ]
        .concat();
        assert_eq!(certs_only([&one[..]]), wanted);
        let other = [0x30, 0x03, 0x02, 0x01, 0x04];
        assert_eq!(certs_only([&one[..], &other]), certs_only([&other[..], &one]));
    }
}

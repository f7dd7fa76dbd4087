//! A device's voucher as HTTP Basic carries it (RFC 7030 §3.2.3, RFC 7617): the user is `TENANT/DEVICE`, the password a mark and the hex
//! digits of the secret.

use http::{HeaderMap, header};
use wardein_crypto::{Secret, SecretBytes, hex};
use wardein_ddkg::DeviceName;
use wardein_domain::VOUCHER_MARK;
use wardein_pki::est;

/// A voucher, by whatever it is judged.
pub(super) struct Shown {
    pub(super) device: DeviceName,
    pub(super) secret: Secret<32>,
}

/// The credentials of a request; `None` where it has none of this scheme, an error for those that are no voucher.
pub(super) fn shown(headers: &HeaderMap) -> Option<Result<Shown, NoVoucher>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, credentials) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| read(credentials).ok_or(NoVoucher))
}

/// The credentials are of this scheme, and no voucher of any device.
pub(super) struct NoVoucher;

fn read(credentials: &[u8]) -> Option<Shown> {
    let pair = SecretBytes::from_vec(est::decode_base64(std::str::from_utf8(credentials).ok()?)?);
    let pair = std::str::from_utf8(pair.expose()).ok()?;
    // A device's id may have colons, which a secret has not.
    let (user, password) = pair.rsplit_once(':')?;
    let (tenant, device) = user.split_once('/')?;
    let secret: SecretBytes = hex::decode(password.strip_prefix(VOUCHER_MARK)?).map(SecretBytes::from_vec)?;
    let secret = Secret::copied_from(secret.expose().try_into().ok()?);
    Some(Shown { device: DeviceName { tenant: tenant.parse().ok()?, device: device.parse().ok()? }, secret })
}

const SCHEME: &[u8] = b"Basic ";

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use wardein_pki::est::Lines;

    fn basic(pair: &str) -> HeaderMap {
        let base64 = est::encode(pair.as_bytes(), Lines::One);
        let value = [SCHEME, base64.expose()].concat();
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_bytes(&value).unwrap())])
    }

    #[test]
    fn a_voucher_is_a_name_and_a_secret() {
        let secret = hex::encode(&[7; 32]);
        let shown = |pair: &str| shown(&basic(pair)).unwrap().ok();
        let read = shown(&format!("klinik/pump:1:wardein-voucher-{secret}")).unwrap();
        assert_eq!((read.device.tenant.as_str(), read.device.device.as_str()), ("klinik", "pump:1"));
        assert_eq!(read.secret.expose(), &[7; 32]);
        for bad in [
            "",
            ":",
            "klinik/pump",
            "klinik/pump:",
            &format!("klinik/pump:{secret}"),
            &format!("klinik:wardein-voucher-{secret}"),
            &format!("klinik/:wardein-voucher-{secret}"),
            &format!("klinik/pump:wardein-voucher-{secret}00"),
            &format!("klinik/pump:wardein-voucher-{}", &secret[2..]),
            &format!("klinik/pump:wardein-voucher-{secret}:"),
            &format!("KLINIK/pu mp:wardein-voucher-{secret}"),
        ] {
            assert!(shown(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn another_scheme_is_none() {
        for value in ["Bearer abc", "Basic", "", "Digest x"] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert!(shown(&headers).is_none(), "{value}");
        }
        assert!(shown(&HeaderMap::new()).is_none());
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("basic !"))]);
        assert!(shown(&headers).is_some_and(|read| read.is_err()), "the name of a scheme is of any case");
    }
}

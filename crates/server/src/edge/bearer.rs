//! The bearer token in the head of a request (RFC 6750 §2.1). A client that can say no more than a user and a password has it as the password
//! (RFC 7617), no matter which user it names.

use http::{HeaderMap, header};
use wardein_crypto::{SecretBytes, hex};
use wardein_ddkg::message::from_text;

/// The token of a request. None where there is no such header; nothing within where there is one that is no token.
pub(super) fn token(headers: &HeaderMap) -> Option<Option<SecretBytes>> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let first = all.next()?;
    // Of two it is not said which counts.
    let only = all.next().is_none().then_some(first);
    Some(only.and_then(|value| value.to_str().ok()).and_then(read))
}

fn read(value: &str) -> Option<SecretBytes> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return parse(rest);
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let login = SecretBytes::from_vec(from_text(rest, MAX_LOGIN).ok()?);
        let (_, password) = std::str::from_utf8(login.expose()).ok()?.split_once(':')?;
        return parse(password);
    }
    None
}

fn parse(text: &str) -> Option<SecretBytes> {
    hex::decode(text.strip_prefix(MARK)?).map(SecretBytes::from_vec)
}

/// A mark by which people, and programs that look for secrets, know one.
const MARK: &str = "wardein-bearer-";

/// A user's name and a token.
const MAX_LOGIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use wardein_ddkg::message::to_text;

    fn of(values: &[&str]) -> Option<Option<Vec<u8>>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        token(&headers).map(|found| found.map(|token| token.expose().to_vec()))
    }

    #[test]
    fn a_token_is_read_by_either_scheme_and_nothing_else_is_one() {
        let text = format!("{MARK}{}", "07".repeat(40));
        let is_token = Some(Some(vec![7; 40]));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&format!("Bearer {text}")]), is_token);
        assert_eq!(of(&[&format!("bearer {text}")]), is_token);
        for user in ["", "wardein", "any"] {
            assert_eq!(of(&[&format!("Basic {}", to_text(format!("{user}:{text}").as_bytes()))]), is_token);
        }
        let long = to_text(format!("{}:{text}", "u".repeat(300)).as_bytes());
        for bad in [
            "".to_owned(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            text.clone(),
            format!("Bearer  {text}"),
            format!("Bearer {text} "),
            format!("Bearer {}", &text[1..]),
            format!("Bearer {}", text.to_uppercase()),
            format!("Digest {text}"),
            format!("Basic {text}"),
            format!("Basic {}", to_text(text.as_bytes())),
            format!("Basic {long}"),
        ] {
            assert_eq!(of(&[&bad]), Some(None), "{bad}");
        }
        let good = format!("Bearer {text}");
        assert_eq!(of(&[&good, &good]), Some(None), "one of two");
    }
}

//! Single values of logs.toml: sizes, times, places and patterns.

use super::Destination;
use super::raw::Size;
use regex::{Regex, RegexBuilder};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is wrong with a value.
pub(super) type Wrong = String;

/// A number of bytes between two bounds.
pub(super) fn size(size: &Size, min: u64, max: u64) -> Result<u64, Wrong> {
    let bytes = match size {
        Size::Bytes(bytes) => Some(*bytes),
        Size::Text(text) => {
            let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (number, unit) = text.split_at(at);
            let factor = match unit {
                "" | "B" => Some(1),
                "KiB" => Some(1 << 10),
                "MiB" => Some(1 << 20),
                "GiB" => Some(1 << 30),
                _ => None,
            };
            number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor))
        }
    };
    bytes
        .filter(|bytes| (min..=max).contains(bytes))
        .ok_or_else(|| format!("takes {min} to {max} bytes, such as \"64KiB\", \"1MiB\" or \"2GiB\""))
}

/// One second to a day.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "s" => Some(1),
        "min" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    seconds
        .filter(|seconds| (1..=86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "takes one second to a day, such as \"60s\", \"5min\" or \"1h\"".to_owned())
}

/// An absolute path without `.` and `..`.
pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    let is_plain = text.split('/').all(|part| part != "." && part != "..");
    match text {
        text if !text.starts_with('/') || !is_plain || text.contains('\0') => {
            Err("is not an absolute path without `.` and `..`".to_owned())
        }
        text if text.len() > MAX_PATH => Err(format!("has more than {MAX_PATH} bytes")),
        text => Ok(PathBuf::from(text)),
    }
}

/// Where batches go.
pub(super) fn destination(text: &str) -> Result<Destination, Wrong> {
    let Some(rest) = text.strip_prefix("https://") else {
        return path(text).map(Destination::Directory).map_err(|_| {
            "takes https://HOST[:PORT][/PATH] or the absolute path of a directory; nothing travels without TLS".to_owned()
        });
    };
    let host = rest.split('/').next().unwrap_or_default();
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~');
    let path = &rest[host.len()..];
    let climbs = path.split('/').any(|part| part == "." || part == "..");
    if host.is_empty()
        || !host.chars().all(is_host)
        || !path.chars().all(is_path)
        || climbs
        || text.len() > MAX_PATH
    {
        return Err(
            "is not https://HOST[:PORT][/PATH], without a login, a query or escaped characters".to_owned()
        );
    }
    Ok(Destination::Https(text.trim_end_matches('/').to_owned()))
}

/// The region of a store of objects, which signatures name; a store that has none mostly takes `us-east-1`.
pub(super) fn region(text: &str) -> Result<String, Wrong> {
    let is_region = (1..=64).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    is_region.then(|| text.to_owned()).ok_or_else(|| "is not a region, such as \"eu-central-1\"".to_owned())
}

/// `unix:/PATH`, `udp:ADDRESS:PORT` on the loopback interface, or `tls:` and who sends.
pub(super) fn syslog(text: &str) -> Result<super::Input, Wrong> {
    match text.split_once(':') {
        // The longest name of a socket (unix(7)), with the zero at its end.
        Some(("unix", socket)) if socket.len() < 108 => path(socket).map(super::Input::SyslogUnix),
        Some(("udp", address)) => match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(super::Input::SyslogUdp(address)),
            Ok(_) => {
                Err("is not on the loopback interface: what comes from a network is not this device's"
                    .to_owned())
            }
            Err(_) => Err("is not udp:ADDRESS:PORT, such as udp:127.0.0.1:5514".to_owned()),
        },
        Some(("tls", client)) => super::collector::client(client).map(super::Input::SyslogTls),
        _ => Err(
            "takes unix:/PATH, udp:127.0.0.1:PORT, or of another device tls:sha256:FINGERPRINT or tls:ADDRESS".to_owned()
        ),
    }
}

/// A pattern. Matching takes time linear in the text; its size has a limit, so that the factor has one, too.
pub(super) fn pattern(text: &str) -> Result<Regex, Wrong> {
    if text.len() > MAX_PATTERN {
        return Err(format!("has more than {MAX_PATTERN} bytes"));
    }
    let built =
        RegexBuilder::new(text).size_limit(COMPILED).dfa_size_limit(COMPILED).nest_limit(NESTED).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "grows too large: repeat less, or less often".to_owned(),
        // The library's text has several lines; the last says what is wrong.
        other => {
            let text = other.to_string();
            let why = text.lines().last().unwrap_or_default();
            format!("is not a pattern: {}", why.trim().trim_start_matches("error: "))
        }
    })
}

/// The public key of a reader, as `age-keygen` writes it. Whether it is one is for the device to say, which seals.
pub(super) fn reader(text: &str) -> Result<String, Wrong> {
    let is_key = text.len() == 62
        && text.starts_with("age1")
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    is_key
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} is not a public key of age-keygen, age1..."))
}

const MAX_PATH: usize = 1_024;
const MAX_PATTERN: usize = 4_096;
/// Bytes of a compiled pattern, and of what matching caches for it.
const COMPILED: usize = 512 << 10;
const NESTED: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units_and_bounds() {
        let of = |text: &str| size(&Size::Text(text.to_owned()), 1, 1 << 40);
        assert_eq!(
            (of("7"), of("64KiB"), of("1MiB"), of("2GiB")),
            (Ok(7), Ok(65_536), Ok(1 << 20), Ok(2 << 30))
        );
        for wrong in [
            "",
            "MiB",
            "1MB",
            "-1",
            "1 MiB",
            "0",
            "99999999999999999999",
            "18446744073709551615GiB",
            "2000GiB",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration("5min"), Ok(Duration::from_secs(300)));
        for wrong in ["", "0s", "60", "25h", "1d", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_are_absolute_and_reached_by_tls_alone() {
        assert_eq!(destination("/mnt/export"), Ok(Destination::Directory("/mnt/export".into())));
        for url in ["https://logs.example/v1", "https://10.0.0.1:8443", "https://[::1]:1/a/b"] {
            assert_eq!(destination(&format!("{url}/")), Ok(Destination::Https(url.to_owned())));
        }
        for wrong in [
            "http://logs.example",
            "https://",
            "https://a:b@c/",
            "https://a/?q",
            "https://a/%2e",
            "https://a/../b",
            "logs",
            "/a/../b",
        ] {
            assert!(destination(wrong).is_err(), "{wrong}");
        }
        assert!(syslog("unix:/run/wardein/log").is_ok() && syslog("udp:[::1]:5514").is_ok());
        for wrong in [
            "udp:0.0.0.0:514",
            "udp:10.1.2.3:514",
            "udp:localhost:514",
            "tcp:127.0.0.1:514",
            "unix:log",
            "/dev/log",
        ] {
            assert!(syslog(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_that_explodes_is_refused_or_stays_linear() {
        for wrong in ["(", "(?<a>x", r"(\w{1,1000}){100}", &"(".repeat(100), &"x".repeat(MAX_PATTERN + 1)] {
            assert!(pattern(wrong).is_err(), "{wrong:.20}");
        }
        // Backtracking engines take two to the power of the length here.
        let text = "x".repeat(60_000);
        for exploding in [r"^(x+x+)+y$", r"^(x|x)*y", r"(x*)*y"] {
            assert!(!pattern(exploding).unwrap().is_match(&text));
        }
    }
}

//! What a sink is set to.

use http::Uri;
use http::uri::Authority;
use std::path::{Path, PathBuf};
use wardein_domain::{NameError, SinkName};

/// A place to which the audit log is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Its name, under which the store has how far it took the log.
    pub name: SinkName,
    /// Where to.
    pub to: SinkTo,
    /// What TLS takes, for a sink behind it.
    pub tls: SinkTls,
    /// A file with the value of the header `Authorization`.
    pub authorization: Option<PathBuf>,
    /// The authority's directory: a file of a sink on its file system leaves room for the store.
    pub home: PathBuf,
}

/// Files for TLS, in PEM. They are read for each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkTls {
    /// The CAs that certify the receiver.
    pub ca: Option<PathBuf>,
    /// The certificate chain to show, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Where to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTo {
    /// A file of lines of JSON.
    File(PathBuf),
    /// Syslog to a datagram socket of this machine.
    Unix(PathBuf),
    /// Syslog by UDP (RFC 5426), to `HOST:PORT`.
    Udp(String),
    /// Syslog over TLS (RFC 5425).
    Tls {
        /// The receiver's name or address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Lines of JSON by POST.
    Https(Uri),
}

/// The texts of a configuration.
#[derive(Debug, Clone)]
pub struct SinkTexts<'a> {
    /// See [`SinkConfig::name`].
    pub name: &'a str,
    /// `file:PATH`, `unix:PATH`, `udp:HOST:PORT`, `tls:HOST:PORT` or `https://HOST/PATH`.
    pub to: &'a str,
    /// See [`SinkTls::ca`]; empty for none, as the others.
    pub ca_file: &'a Path,
    /// See [`SinkTls::client`].
    pub certificate_file: &'a Path,
    /// Its key.
    pub key_file: &'a Path,
    /// See [`SinkConfig::authorization`].
    pub authorization_file: &'a Path,
}

/// Why a sink cannot be set so.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkError {
    /// It has no name, or one that is none.
    #[error("name: {0}")]
    Name(NameError),
    /// Where to is none of the forms. It is not repeated: a password may be in it.
    #[error("to: it is none of file:PATH, unix:PATH, udp:HOST:PORT, tls:HOST:PORT and https://HOST/PATH")]
    To,
    /// A receiver behind TLS that cannot be verified.
    #[error("ca_file: name the CAs that certify the receiver")]
    NoCa,
    /// A setting that has no effect here.
    #[error("{0} has no effect on a sink of this kind; leave it out")]
    WithoutEffect(&'static str),
    /// One of two that go together.
    #[error("certificate_file and key_file go together")]
    Half,
    /// There are too many.
    #[error("there are {0} audit sinks; {MAX_SINKS} is the most")]
    TooMany(usize),
    /// Two have one name.
    #[error("two audit sinks are named {0}")]
    Twice(SinkName),
}

impl SinkConfig {
    /// Reads the texts of one. Relative paths start at `home`, the authority's directory.
    pub fn parse(texts: &SinkTexts<'_>, home: &Path) -> Result<Self, SinkError> {
        let file = |path: &Path| (!path.as_os_str().is_empty()).then(|| home.join(path));
        let to = SinkTo::parse(texts.to, home).ok_or(SinkError::To)?;
        let client = match (file(texts.certificate_file), file(texts.key_file)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(SinkError::Half),
        };
        let tls = SinkTls { ca: file(texts.ca_file), client };
        let authorization = file(texts.authorization_file);
        match &to {
            SinkTo::Tls { .. } | SinkTo::Https(_) if tls.ca.is_none() => return Err(SinkError::NoCa),
            SinkTo::Tls { .. } | SinkTo::Https(_) => {}
            _ if tls.ca.is_some() => return Err(SinkError::WithoutEffect("ca_file")),
            _ if tls.client.is_some() => return Err(SinkError::WithoutEffect("certificate_file")),
            _ => {}
        }
        if authorization.is_some() && !matches!(to, SinkTo::Https(_)) {
            return Err(SinkError::WithoutEffect("authorization_file"));
        }
        let name = texts.name.parse().map_err(SinkError::Name)?;
        Ok(Self { name, to, tls, authorization, home: home.to_owned() })
    }

    /// Refuses too many of them, and two of one name: each would take from the other what it has not delivered.
    pub fn check(sinks: &[Self]) -> Result<(), SinkError> {
        if sinks.len() > MAX_SINKS {
            return Err(SinkError::TooMany(sinks.len()));
        }
        for (at, sink) in sinks.iter().enumerate() {
            if sinks.iter().take(at).any(|other| other.name == sink.name) {
                return Err(SinkError::Twice(sink.name.clone()));
            }
        }
        Ok(())
    }
}

impl SinkTo {
    fn parse(text: &str, home: &Path) -> Option<Self> {
        let path = |text: &str| (!text.is_empty()).then(|| home.join(text));
        if text.starts_with("https://") {
            let uri: Uri = text.parse().ok()?;
            let authority = uri.authority()?;
            // What would be in the place of a name and password is in a file.
            let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty();
            return is_plain.then_some(Self::Https(uri));
        }
        match text.split_once(':')? {
            ("file", rest) => path(rest).map(Self::File),
            ("unix", rest) => path(rest).map(Self::Unix),
            ("udp", rest) => host_and_port(rest).map(|_| Self::Udp(rest.to_owned())),
            ("tls", rest) => host_and_port(rest).map(|(host, port)| Self::Tls { host, port }),
            _ => None,
        }
    }
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let authority: Authority = text.parse().ok()?;
    let port = authority.port_u16().filter(|port| *port != 0)?;
    let host = authority.host();
    (!text.contains('@') && !host.is_empty()).then(|| (bare(host).to_owned(), port))
}

/// A host without the brackets that are around an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The most sinks: each has a thread.
const MAX_SINKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(to: &str) -> SinkTexts<'_> {
        SinkTexts {
            name: "siem",
            to,
            ca_file: Path::new(""),
            certificate_file: Path::new(""),
            key_file: Path::new(""),
            authorization_file: Path::new(""),
        }
    }

    fn parse(texts: &SinkTexts<'_>) -> Result<SinkConfig, SinkError> {
        SinkConfig::parse(texts, Path::new("/home"))
    }

    #[test]
    fn each_form_is_read_and_no_other() {
        let to = |text| parse(&SinkTexts { ca_file: Path::new("ca.pem"), ..texts(text) });
        let local = |text| parse(&texts(text)).unwrap().to;
        assert_eq!(local("file:audit.jsonl"), SinkTo::File("/home/audit.jsonl".into()));
        assert_eq!(local("unix:/dev/log"), SinkTo::Unix("/dev/log".into()));
        assert_eq!(local("udp:[::1]:514"), SinkTo::Udp("[::1]:514".to_owned()));
        let tls = to("tls:[2001:db8::7]:6514").unwrap();
        assert_eq!(tls.to, SinkTo::Tls { host: "2001:db8::7".to_owned(), port: 6514 });
        assert_eq!(tls.tls.ca, Some("/home/ca.pem".into()));
        assert!(matches!(to("https://siem.example/audit?index=w").unwrap().to, SinkTo::Https(_)));
        for wrong in [
            "",
            "file:",
            "/var/log/audit",
            "tcp:siem:514",
            "http://siem.example/",
            "https://",
            "https://user:secret@siem.example/",
            "tls:siem.example",
            "tls:siem.example:0",
            "tls:user@siem.example:6514",
            "udp::514",
        ] {
            assert!(matches!(to(wrong), Err(SinkError::To)), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_effect_or_would_verify_nobody_is_refused() {
        assert_eq!(parse(&texts("tls:siem.example:6514")), Err(SinkError::NoCa));
        assert_eq!(parse(&texts("https://siem.example/")), Err(SinkError::NoCa));
        let (ca, key, token) = (Path::new("ca"), Path::new("key"), Path::new("token"));
        let with_ca = SinkTexts { ca_file: ca, ..texts("file:a") };
        assert_eq!(parse(&with_ca), Err(SinkError::WithoutEffect("ca_file")));
        let tls = SinkTexts { ca_file: ca, ..texts("tls:siem.example:6514") };
        assert_eq!(parse(&SinkTexts { key_file: key, ..tls.clone() }), Err(SinkError::Half));
        let authorized = SinkTexts { authorization_file: token, ..tls };
        assert_eq!(parse(&authorized), Err(SinkError::WithoutEffect("authorization_file")));
        assert!(matches!(parse(&SinkTexts { name: "", ..texts("file:a") }), Err(SinkError::Name(_))));
    }

    #[test]
    fn names_are_one_sinks_each_and_sinks_are_few() {
        let one = parse(&texts("file:a")).unwrap();
        SinkConfig::check(std::slice::from_ref(&one)).unwrap();
        let twice = SinkConfig::check(&[one.clone(), one.clone()]);
        assert_eq!(twice, Err(SinkError::Twice(one.name.clone())));
        let many: Vec<_> = (0..=MAX_SINKS)
            .map(|n| SinkConfig { name: format!("s{n}").parse().unwrap(), ..one.clone() })
            .collect();
        SinkConfig::check(&many[1..]).unwrap();
        assert_eq!(SinkConfig::check(&many), Err(SinkError::TooMany(MAX_SINKS + 1)));
    }
}

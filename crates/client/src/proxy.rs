//! A proxy that connects through to the authority by CONNECT (RFC 9110 §9.3.6). It sees where to, and nothing of what passes.

use crate::private;
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokio::net::TcpStream;
use wardein_crypto::SecretBytes;

/// A proxy, as `http://HOST:PORT` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// A file with the login, `NAME:PASSWORD` on one line, that its owner alone may read. It is read again for each connection.
    pub login: Option<PathBuf>,
}

/// Why a text is no proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not http://HOST:PORT; a login is in a file of its own")]
pub struct NoProxy;

/// Why a proxy let nothing through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Nobody answers there.
    #[error("the proxy {proxy} is not reached: {source}; check `proxy` and the network")]
    Unreached {
        /// The proxy.
        proxy: String,
        /// Why.
        source: io::Error,
    },
    /// The file with the login is of no use.
    #[error("the login for the proxy, {}: {why}", .path.display())]
    Login {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It asks for a login, and there is none.
    #[error(
        "the proxy {proxy} asks for a login (407{offers}); put NAME:PASSWORD into a file of mode 600 and name it in `proxy_login`"
    )]
    LoginMissing {
        /// The proxy.
        proxy: String,
        /// The schemes that it offers.
        offers: String,
    },
    /// It does not take the login.
    #[error(
        "the proxy {proxy} does not take the login of `proxy_login` (407{offers}); correct it, or have the proxy take Basic \
         from this device"
    )]
    LoginRefused {
        /// The proxy.
        proxy: String,
        /// The schemes that it offers.
        offers: String,
    },
    /// It may not connect there.
    #[error(
        "the proxy {proxy} does not let this device through to {to} (403); have its administrator allow CONNECT to it"
    )]
    Forbidden {
        /// The proxy.
        proxy: String,
        /// Where to.
        to: String,
    },
    /// It does not reach the authority.
    #[error(
        "the proxy {proxy} does not reach {to} ({status}); check that the authority answers there, and the name by which the proxy knows it"
    )]
    Beyond {
        /// The proxy.
        proxy: String,
        /// Where to.
        to: String,
        /// Its answer.
        status: u16,
    },
    /// It answers something else.
    #[error("the proxy {proxy} answers CONNECT {to} with {status}; ask its administrator")]
    Other {
        /// The proxy.
        proxy: String,
        /// Where to.
        to: String,
        /// Its answer.
        status: u16,
    },
    /// What is there speaks no HTTP, or broke off.
    #[error("what answers at {proxy} is not an HTTP proxy: {why}; check `proxy`")]
    NoProxy {
        /// Where.
        proxy: String,
        /// How it shows.
        why: String,
    },
}

impl Proxy {
    /// A connection to `to`, which is `HOST:PORT`.
    pub(crate) async fn tunnel(&self, to: &str) -> Result<TcpStream, ProxyError> {
        let proxy = self.to_string();
        let login = self.login.as_deref().map(authorization).transpose()?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|source| ProxyError::Unreached { proxy: proxy.clone(), source })?;
        let other = |why: String| ProxyError::NoProxy { proxy: proxy.clone(), why };
        let spoken = |error: hyper::Error| other(wardein_domain::with_causes(&error));

        let mut client = http1::Builder::new();
        client.max_buf_size(MAX_HEAD);
        let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(spoken)?;
        // Ends when the connection is handed over below, or dropped with the answer.
        drop(tokio::spawn(connection.with_upgrades()));
        let uri: Uri = to.parse().map_err(|_| other(format!("{to} is nowhere")))?;
        let mut request = Request::connect(uri).header(HOST, to);
        if let Some(login) = &login {
            request = request.header(PROXY_AUTHORIZATION, login);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| other(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(spoken)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refused(to, status, answer.headers()));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(spoken)?;
        let parts = upgraded.downcast::<TokioIo<TcpStream>>();
        let parts = parts.map_err(|_| other("the connection is not handed over".to_owned()))?;
        // TLS has the client speak first.
        match parts.read_buf.is_empty() {
            true => Ok(parts.io.into_inner()),
            false => Err(other("it speaks before it is spoken to".to_owned())),
        }
    }

    fn refused(&self, to: &str, status: StatusCode, headers: &HeaderMap) -> ProxyError {
        let (proxy, to) = (self.to_string(), to.to_owned());
        match status.as_u16() {
            407 if self.login.is_none() => ProxyError::LoginMissing { proxy, offers: offers(headers) },
            407 => ProxyError::LoginRefused { proxy, offers: offers(headers) },
            403 => ProxyError::Forbidden { proxy, to },
            status @ (502..=504) => ProxyError::Beyond { proxy, to, status },
            status => ProxyError::Other { proxy, to, status },
        }
    }
}

/// The schemes of `Proxy-Authenticate`, as words behind the status.
fn offers(headers: &HeaderMap) -> String {
    let values = headers.get_all(PROXY_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let schemes = values.filter_map(|value| value.split([' ', ',']).next());
    let schemes: Vec<_> = schemes
        .filter(|scheme| scheme.len() <= 32 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .take(8)
        .collect();
    if schemes.is_empty() { String::new() } else { format!("; it offers {}", schemes.join(", ")) }
}

/// `Basic`, with the login that `path` has (RFC 7617 §2).
fn authorization(path: &Path) -> Result<HeaderValue, ProxyError> {
    let wrong = |why: String| ProxyError::Login { path: path.into(), why };
    let login = private::read(path, MAX_LOGIN).map_err(|error| wrong(error.to_string()))?;
    let line = login.expose().strip_suffix(b"\n").unwrap_or(login.expose());
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.contains(&b':') || line.starts_with(b":") || line.iter().any(u8::is_ascii_control) {
        return Err(wrong("is not NAME:PASSWORD on one line".to_owned()));
    }
    // Wiped; the header that is made of it is not: HTTP has its own copies.
    let text = SecretBytes::try_filled(SCHEME.len() + Base64::encoded_len(line), |text| {
        let (scheme, encoded) = text.split_at_mut(SCHEME.len());
        scheme.copy_from_slice(SCHEME);
        Base64::encode(line, encoded).map(|encoded| SCHEME.len() + encoded.len())
    });
    let text = text.map_err(|error| wrong(error.to_string()))?;
    let mut value = HeaderValue::from_bytes(text.expose()).map_err(|error| wrong(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl FromStr for Proxy {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let authority = text.strip_prefix("http://").ok_or(NoProxy)?;
        let uri: Uri = authority.strip_suffix('/').unwrap_or(authority).parse().map_err(|_| NoProxy)?;
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(NoProxy)?;
        let is_all = uri.scheme().is_none() && uri.path_and_query().is_none();
        let port = authority.port_u16().filter(|port| *port != 0 && is_all).ok_or(NoProxy)?;
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(NoProxy);
        }
        Ok(Self { host: host.to_owned(), port, login: None })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "http://[{}]:{}", self.host, self.port),
            false => write!(f, "http://{}:{}", self.host, self.port),
        }
    }
}

/// The head of a proxy's answer.
const MAX_HEAD: usize = 16 * 1024;
const MAX_LOGIN: usize = 512;
const SCHEME: &[u8] = b"Basic ";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn a_proxy_is_a_host_and_a_port_without_a_login() {
        for text in ["http://proxy.hospital:3128", "http://[::1]:3128", "http://192.0.2.1:80"] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), text);
        }
        assert!("http://proxy:3128/".parse::<Proxy>().is_ok());
        for text in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://proxy:0",
            "http://:3128",
            "http://name:word@proxy:3128",
            "http://proxy:3128/path",
            "http://proxy:99999",
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(NoProxy), "{text}");
        }
    }

    fn login(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("login");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_login_is_one_line_of_a_file_that_is_nobody_elses() {
        for text in ["Aladdin:open sesame", "Aladdin:open sesame\n", "Aladdin:open sesame\r\n"] {
            let (_directory, path) = login(text, 0o600);
            let value = authorization(&path).unwrap();
            // RFC 7617 §2.
            assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
            assert!(value.is_sensitive());
        }
        let long = format!("a:{}", "x".repeat(MAX_LOGIN));
        for (text, mode, why) in [
            ("a:secret", 0o640, "chmod 600"),
            ("secret", 0o600, "NAME:PASSWORD"),
            (":secret", 0o600, "NAME:PASSWORD"),
            ("a:secret\nb:secret\n", 0o600, "NAME:PASSWORD"),
            (&long, 0o600, "more than 512"),
        ] {
            let (_directory, path) = login(text, mode);
            let error = authorization(&path).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(why) && !said.contains("secret") && !said.contains("xxx"), "{said}");
        }
    }

    /// A proxy that gives `answer` to what it is asked; that comes with the result.
    async fn asked(answer: &'static [u8], login: Option<PathBuf>) -> (Result<TcpStream, ProxyError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Proxy { login, ..proxy.parse().unwrap() };
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer).await.unwrap();
            (stream, String::from_utf8(asked).unwrap())
        };
        let (tunnel, (_stream, asked)) = tokio::join!(proxy.tunnel("authority.example:443"), answering);
        (tunnel, asked)
    }

    #[tokio::test]
    async fn what_a_proxy_answers_is_named_with_what_to_do() {
        let (_directory, path) = login("device:word", 0o600);
        let (tunnel, said) = asked(b"HTTP/1.1 200 Connection established\r\n\r\n", Some(path.clone())).await;
        tunnel.unwrap();
        assert!(said.starts_with("CONNECT authority.example:443 HTTP/1.1\r\n"), "{said}");
        assert!(said.contains("host: authority.example:443\r\n"), "{said}");
        assert!(said.contains("proxy-authorization: Basic ZGV2aWNlOndvcmQ=\r\n"), "{said}");
        let auth = b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\
                     Content-Length: 0\r\n\r\n";
        let (_, without) = asked(auth, None).await;
        assert!(!without.contains("authorization"), "{without}");
        for (answer, login, words) in [
            (&auth[..], None, "asks for a login (407; it offers Negotiate, Basic); put NAME:PASSWORD"),
            (
                auth,
                Some(path.clone()),
                "does not take the login of `proxy_login` (407; it offers Negotiate, Basic)",
            ),
            (
                b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
                None,
                "(403); have its administrator allow CONNECT",
            ),
            (
                b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n",
                None,
                "does not reach authority.example:443 (502)",
            ),
            (
                b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
                None,
                "does not reach authority.example:443 (503)",
            ),
            (b"HTTP/1.1 302 No\r\nLocation: x\r\n\r\n", None, "with 302"),
            (b"SSH-2.0-OpenSSH\r\n", None, "is not an HTTP proxy"),
            (b"HTTP/1.1 200 OK\r\n\r\nearly", None, "before it is spoken to"),
        ] {
            let error = asked(answer, login).await.0.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("word=") && !error.contains("device:word"), "{error}");
        }
        let nobody = "http://127.0.0.1:1".parse::<Proxy>().unwrap().tunnel("authority.example:443").await;
        assert!(matches!(nobody, Err(ProxyError::Unreached { .. })), "{nobody:?}");
    }
}

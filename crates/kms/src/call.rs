//! `Encrypt` and `Decrypt` of KMS, as JSON 1.1 (docs.aws.amazon.com/kms/latest/APIReference).

use crate::credentials::Credentials;
use crate::error::said;
use crate::http::{Address, Answer, TIME};
use crate::{Environment, KeyArn, KmsError};
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wardein_crypto::{Digest, Secret, SecretBytes};
use wardein_sigv4::{Scope, authorization, date};

/// What a wrapping is bound to: names and values that are not secret, and that `Decrypt` must be given again. AWS writes them into
/// CloudTrail, and policies can ask for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<&'static str, String>);

impl Context {
    /// These.
    pub fn of<const N: usize>(pairs: [(&'static str, String); N]) -> Self {
        Self(pairs.into())
    }
}

/// A key of KMS, and how it is reached.
pub struct Kms<'a> {
    key: &'a KeyArn,
    environment: &'a Environment,
    address: Address,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Asked<'a> {
    key_id: &'a str,
    encryption_context: &'a Context,
    encryption_algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_blob: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    key_id: Option<String>,
    ciphertext_blob: Option<String>,
    plaintext: Option<Plain>,
}

/// Text that is wiped.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Plain(SecretBytes);

impl From<String> for Plain {
    fn from(text: String) -> Self {
        Self(SecretBytes::from_vec(text.into_bytes()))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

impl<'a> Kms<'a> {
    /// For a whole call; where credentials are asked for first, each such request may take as long.
    pub const TIME: Duration = TIME;

    /// The key, at the address of its region unless the environment names another.
    pub fn new(key: &'a KeyArn, environment: &'a Environment) -> Result<Self, KmsError> {
        let named = environment.get("AWS_ENDPOINT_URL_KMS").or(environment.get("AWS_ENDPOINT_URL"));
        let address = match named {
            Some(url) => Address::parse("AWS_ENDPOINT_URL_KMS", url)?,
            None => Address::of_service(
                if environment.says("AWS_USE_FIPS_ENDPOINT") { "kms-fips" } else { "kms" },
                key,
            ),
        };
        Ok(Self { key, environment, address })
    }

    /// Wraps 32 bytes with the key, bound to `context`.
    pub fn encrypt(&self, context: &Context, plain: &Secret<32>) -> Result<Vec<u8>, KmsError> {
        let cannot = |_| KmsError::Refused { said: "32 bytes are 44 characters of base64".to_owned() };
        let encoded = SecretBytes::try_filled(44, |room| {
            Base64::encode(plain.expose(), room).map(str::len).map_err(cannot)
        })?;
        let text = std::str::from_utf8(encoded.expose()).unwrap_or_default();
        let answer = self.call("Encrypt", context, Some(text), None)?;
        let answered = self.parse(&answer)?;
        self.is_of_the_key(&answered)?;
        let sealed = answered.ciphertext_blob.and_then(|text| Base64::decode_vec(&text).ok());
        sealed
            .filter(|sealed| (1..=MOST_OF_SEALED).contains(&sealed.len()))
            .ok_or_else(|| KmsError::Refused { said: "its answer has no ciphertext".to_owned() })
    }

    /// Unwraps what [`Kms::encrypt`] wrapped with the same key and context.
    pub fn decrypt(&self, context: &Context, sealed: &[u8]) -> Result<Secret<32>, KmsError> {
        if sealed.is_empty() || sealed.len() > MOST_OF_SEALED {
            let said = format!("it has {} bytes, and takes 1 to {MOST_OF_SEALED}", sealed.len());
            return Err(KmsError::Mismatch { said });
        }
        let answer = self.call("Decrypt", context, None, Some(&Base64::encode_string(sealed)))?;
        let answered = self.parse(&answer)?;
        self.is_of_the_key(&answered)?;
        let wrong = || KmsError::Mismatch { said: "what it wraps is not 32 bytes".to_owned() };
        let Plain(text) = answered.plaintext.ok_or_else(wrong)?;
        Secret::try_filled(|plain: &mut [u8; 32]| match Base64::decode(text.expose(), plain) {
            Ok(decoded) if decoded.len() == 32 => Ok(()),
            _ => Err(wrong()),
        })
    }

    /// The key that KMS used is the one that was asked for. KMS promises it; a server that another address leads to may not.
    fn is_of_the_key(&self, answered: &Answered) -> Result<(), KmsError> {
        match answered.key_id.as_deref() {
            Some(key) if key == self.key.as_str() => Ok(()),
            _ => Err(KmsError::Mismatch { said: "the answer is of another key".to_owned() }),
        }
    }

    fn parse(&self, answer: &Answer) -> Result<Answered, KmsError> {
        serde_json::from_slice(answer.body.expose())
            .map_err(|_| self.address.failed("answered with what is not KMS's form".to_owned()))
    }

    fn call(
        &self,
        action: &'static str,
        context: &Context,
        plaintext: Option<&str>,
        ciphertext_blob: Option<&str>,
    ) -> Result<Answer, KmsError> {
        let asked = Asked {
            key_id: self.key.as_str(),
            encryption_context: context,
            encryption_algorithm: "SYMMETRIC_DEFAULT",
            plaintext,
            ciphertext_blob,
        };
        let body =
            serde_json::to_vec(&asked).map_err(|error| KmsError::Refused { said: error.to_string() })?;
        let body = SecretBytes::from_vec(body);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.address.failed(format!("was not asked: {error}")))?;
        let answer = runtime.block_on(self.send(action, body));
        // A name that is being looked up is not waited for.
        runtime.shutdown_background();
        let answer = answer?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.refused(action, &answer)) }
    }

    async fn send(&self, action: &'static str, body: SecretBytes) -> Result<Answer, KmsError> {
        let credentials = Credentials::find(self.environment, self.key).await?;
        let (host, date) = (self.address.authority(), date(now()));
        let scope = Scope { date: &date, region: self.key.region(), service: "kms" };
        let target = format!("TrentService.{action}");
        let token = credentials.token.as_ref().map(|token| String::from_utf8_lossy(token.expose()));
        // In the order of their names, which the signature takes them in.
        let mut headers =
            vec![("content-type", CONTENT_TYPE), ("host", host.as_str()), ("x-amz-date", date.as_str())];
        if let Some(token) = &token {
            headers.push(("x-amz-security-token", token.as_ref()));
        }
        headers.push(("x-amz-target", target.as_str()));
        let payload = Digest::of(body.expose());
        let to_sign =
            wardein_sigv4::Request { method: "POST", path: "/", headers: &headers, payload: &payload };
        let signed = authorization(&credentials.id, &credentials.secret, &scope, &to_sign);
        let mut request = Request::post("/").header("authorization", signed);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from_owner(Owner(body))))
            .map_err(|_| KmsError::Refused { said: "the request cannot be written".to_owned() })?;
        self.address.send(self.environment, request).await
    }

    fn refused(&self, action: &'static str, answer: &Answer) -> KmsError {
        let refusal: Refusal = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
        // Some services put a namespace before it.
        let (kind, message) = (refusal.kind.unwrap_or_default(), refusal.message.unwrap_or_default());
        let kind = kind.rsplit('#').next().unwrap_or_default();
        let words = said(&format!("{kind}: {message}"));
        match kind {
            "AccessDeniedException" | "AccessDenied" => KmsError::Denied { action, said: words },
            "DisabledException"
            | "KMSInvalidStateException"
            | "NotFoundException"
            | "InvalidKeyUsageException"
            | "InvalidArnException" => KmsError::Unusable { said: words },
            "IncorrectKeyException" | "InvalidCiphertextException" => KmsError::Mismatch { said: words },
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "ExpiredTokenException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "AuthFailure"
            | "RequestExpired" => KmsError::Credentials { said: words },
            "ThrottlingException"
            | "LimitExceededException"
            | "KMSInternalException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException" => self.address.failed(format!("cannot now: {words}")),
            _ if answer.status.is_server_error() || answer.status == http::StatusCode::TOO_MANY_REQUESTS => {
                self.address.failed(format!("cannot now: {} {words}", answer.status))
            }
            _ => KmsError::Refused { said: format!("{} {words}", answer.status) },
        }
    }
}

/// Bytes that are wiped when the last reference to them goes.
struct Owner(SecretBytes);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// The Unix second of the machine's clock, which AWS compares with its own.
#[expect(
    clippy::disallowed_methods,
    reason = "AWS judges signatures by the wall clock, and nothing is decided by it here"
)]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// Bytes of a ciphertext: of 32 bytes KMS makes some 200. It is kept in hexadecimal in a file of 8 KiB.
const MOST_OF_SEALED: usize = 1024;

//! EST (RFC 7030, RFC 8951): enrollment for devices and tools that speak no protocol of ours. Each answer has the one form that all of
//! them read: `Content-Length`, `Content-Transfer-Encoding: base64`, headers of some 300 bytes, one flush.

mod refusal;
mod voucher;

pub(crate) use refusal::refusal;

use crate::edge::Shared;
use crate::grpc::wiped::wiped;
use crate::post::Odd;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use tonic::body::Body;
use voucher::{NoVoucher, Shown};
use wardein_crypto::SecretBytes;
use wardein_domain::EstOperation;
use wardein_engine::{Enrolled, Error, ErrorCode, EstCall, Wanted};
use wardein_pki::DeviceCsr;
use wardein_pki::est::{self, Lines};

/// The other end of a connection by EST.
pub(crate) struct EstPeer {
    /// The certificate whose key it has shown to have.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    /// How it is answered.
    pub(crate) lines: Lines,
}

/// What is wrong with the head of a request, by HTTP's own rules.
pub(crate) fn odd(operation: EstOperation, head: &Parts) -> Option<Odd> {
    match operation.takes_request() {
        true => Odd::of(head, PKCS10),
        false => Odd::of_reading(head),
    }
}

/// Has a request answered. Of its headers only those that say who asks are read.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    asked: EstCall<'_>,
    peer: &EstPeer,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Error> {
    let engine = &shared.engine;
    match asked.operation {
        EstOperation::CaCerts => {
            let chain = engine.est_certificates()?;
            Ok(certificates(chain.iter().map(Vec::as_slice), peer.lines))
        }
        EstOperation::SimpleEnroll | EstOperation::SimpleReenroll => {
            let csr = request(body)?;
            let enrolled = enroll(shared, asked, peer, headers, &Wanted::Csr(&csr)).await?;
            Ok(certificates([&enrolled.leaf[..]], peer.lines))
        }
        EstOperation::ServerKeyGen => {
            let kind =
                DeviceCsr::kind_of(&request(body)?).map_err(|error| Error::new(error.code(), error))?;
            let Enrolled { leaf, key } = enroll(shared, asked, peer, headers, &Wanted::Made(kind)).await?;
            let key = key.ok_or_else(|| Error::internal("a key was to be made, and was not"))?;
            Ok(key_and_certificate(&key, &leaf, peer.lines))
        }
        // Nothing that a request says but its key is read (RFC 7030 §4.5.2).
        EstOperation::CsrAttrs => Ok(empty()),
    }
}

async fn enroll(
    shared: &Shared,
    asked: EstCall<'_>,
    peer: &EstPeer,
    headers: &HeaderMap,
    wanted: &Wanted<'_>,
) -> Result<Enrolled, Error> {
    let engine = &shared.engine;
    let enrolled = match client(asked.operation, peer, headers)? {
        Client::Holder(shown) => engine.renew(asked, shown, wanted).await?,
        Client::Voucher(Shown { device, secret }) => {
            engine.redeem_voucher(asked, &device, secret, wanted).await?
        }
    };
    shared.metrics.certified();
    Ok(enrolled)
}

/// Who asks.
enum Client<'a> {
    /// Who has the key of this certificate.
    Holder(&'a [u8]),
    Voucher(Shown),
}

/// A voucher counts before a certificate, which may be of the device's maker; for another certificate it takes the one that there is.
fn client<'a>(operation: EstOperation, peer: &'a EstPeer, headers: &HeaderMap) -> Result<Client<'a>, Error> {
    let shown = voucher::shown(headers).filter(|_| operation != EstOperation::SimpleReenroll);
    match (shown, &peer.certificate) {
        (Some(Ok(shown)), _) => Ok(Client::Voucher(shown)),
        (Some(Err(NoVoucher)), _) => {
            let message = "the credentials are no voucher; it is the user TENANT/DEVICE and the password as it was shown";
            Err(Error::new(ErrorCode::VoucherInvalid, message))
        }
        (None, Some(certificate)) => Ok(Client::Holder(certificate)),
        (None, None) if operation == EstOperation::SimpleReenroll => {
            let message = "connect with the certificate that is to be renewed";
            Err(Error::new(ErrorCode::EstUnauthenticated, message))
        }
        (None, None) => {
            let message = "connect with the device's certificate, or send its voucher";
            Err(Error::new(ErrorCode::EstUnauthenticated, message))
        }
    }
}

/// The request in a body, DER.
fn request(body: &[u8]) -> Result<Vec<u8>, Error> {
    est::read_request(body).ok_or_else(|| {
        let message = "the body is not a certificate request (PKCS#10) in base64, PEM or DER";
        Error::new(ErrorCode::EstBody, message)
    })
}

fn certificates<'a>(certificates: impl IntoIterator<Item = &'a [u8]>, lines: Lines) -> Response<Body> {
    let encoded = est::encode(&est::certs_only(certificates), lines);
    let mut response = Response::new(Body::new(Full::new(wiped(encoded))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CERTS_ONLY));
    // RFC 8951 §3.1 has it left out; Bouncy Castle decodes only what has it, and nobody else looks.
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("base64"));
    response
}

/// A key that was made, and its certificate (RFC 7030 §4.4.2).
fn key_and_certificate(key: &SecretBytes, leaf: &[u8], lines: Lines) -> Response<Body> {
    let parts = est::key_and_certificate(key, leaf, lines);
    let mut response = Response::new(Body::new(Full::new(wiped(parts))));
    let kind = format!("multipart/mixed; boundary={}", est::BOUNDARY);
    let kind = HeaderValue::try_from(kind).expect("a boundary of letters and a hyphen");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn empty() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// RFC 7030 §4.2.1.
const PKCS10: &str = "application/pkcs10";

/// RFC 7030 §4.2.3.
const CERTS_ONLY: &str = "application/pkcs7-mime; smime-type=certs-only";

/// RFC 2045 §6.
const TRANSFER_ENCODING: &str = "content-transfer-encoding";

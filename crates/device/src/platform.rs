//! The platform that the device delivers to: known by the pins of its keys, and not by who certified them.

use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use std::time::Duration;
use wardein_client::{Identity, PinnedError, connect_pinned_as};
use wardein_pki::{Pin, PinBundle};

/// A connection to the platform, over which payload may go.
pub use wardein_client::PinnedStream as PlatformStream;

/// Connects to the platform at `address`, `HOST:PORT`, for the first of the protocols `alpn` that it takes, if any is named. A server
/// without a pinned key is refused before a byte of payload can be sent, also one with a certificate that others trust. It is for each
/// delivery: the bundle is read again each time, and no session is resumed.
///
/// Whether the bundle has expired is judged by the time that the authority last told; then the recovery key alone is the platform's. The
/// device's own clock is not asked: no error of it may lock the device out (DDKG-1 §3.1).
pub async fn connect_platform(files: &Files, address: &str, alpn: &[&[u8]]) -> Result<PlatformStream, Error> {
    connect_platform_as(files, address, alpn, None).await
}

/// The same, showing `identity` to a platform that asks for one.
pub(crate) async fn connect_platform_as(
    files: &Files,
    address: &str,
    alpn: &[&[u8]],
    identity: Option<&Identity>,
) -> Result<PlatformStream, Error> {
    let config = files.config()?.ok_or_else(|| files.not_configured())?;
    let (bundle, told) = held(files, &config)?;
    let judge = move |shown: &[u8]| accepts(&bundle, shown, told);
    let proxy = config.proxy.as_ref();
    let connected = connect_pinned_as(address, alpn, identity, proxy, PATIENCE, judge).await;
    connected.map_err(|error| match error {
        PinnedError::Address(_) => Error::Config { field: "HOST:PORT", why: error.to_string() },
        PinnedError::NotPinned { certificate } => Error::NotPinned {
            address: address.to_owned(),
            pin: Pin::of_certificate(&certificate)
                .map_or_else(|_| "unreadable".to_owned(), |pin| pin.to_string()),
        },
        error => Error::PlatformUnreachable { address: address.to_owned(), why: error.to_string() },
    })
}

/// Whether a server that shows this certificate, DER, is the platform, by the same rules; for a program that has a TLS of its own, which
/// must have verified that the server has the certificate's key. It asks nobody.
pub fn is_platform(files: &Files, certificate: &[u8]) -> Result<bool, Error> {
    let config = files.config()?.ok_or_else(|| files.not_configured())?;
    let (bundle, told) = held(files, &config)?;
    Ok(accepts(&bundle, certificate, told))
}

/// The bundle that is stored, and the time that the authority last told.
fn held(files: &Files, config: &Config) -> Result<(PinBundle, u64), Error> {
    let bundle = files.pins(config)?.ok_or_else(|| files.no_pins())?;
    Ok((bundle, files.contact().map_or(0, |contact| contact.server_time)))
}

fn accepts(bundle: &PinBundle, certificate: &[u8], now: u64) -> bool {
    Pin::of_certificate(certificate).is_ok_and(|pin| bundle.accepts(pin, now))
}

/// The most time that reaching the platform may take, proxy and handshake included.
const PATIENCE: Duration = Duration::from_secs(10);

//! The parts of logs.toml that say which other devices' logs are collected, and from whom.

use super::parse::Place;
use super::raw;
use super::value::{self, Wrong};
use super::{Client, Collector, ConfigError, Input, Source};
use crate::name::ObservedName;
use std::net::{IpAddr, SocketAddr};
use toml::Spanned;
use wardein_crypto::{Digest, hex};

impl Place<'_> {
    /// Where other devices connect. It takes a source for which they do, and such a source takes it.
    pub(super) fn collector(
        &self,
        raw: Option<&Spanned<raw::Collector>>,
        sources: &[Source],
    ) -> Result<Option<Collector>, ConfigError> {
        let takes_some = sources.iter().any(|source| matches!(source.input, Input::SyslogTls(_)));
        let raw = match raw {
            None if takes_some => {
                let why =
                    "is missing, and a source has syslog = \"tls:...\"; it says listen, certificate and key";
                return Err(self.whole("collector", why));
            }
            None => return Ok(None),
            Some(raw) if !takes_some => {
                return Err(self.wrong("collector", raw, "goes with a source that has syslog = \"tls:...\""));
            }
            Some(raw) => raw.get_ref(),
        };
        Ok(Some(Collector {
            listen: self.of("collector.listen", &raw.listen, address)?,
            certificate: self.of("collector.certificate", &raw.certificate, value::path)?,
            key: self.of("collector.key", &raw.key, value::path)?,
        }))
    }

    /// Whose log a source is. What comes from a network is always another device's; what programs send to a socket of this device
    /// never is.
    pub(super) fn device(
        &self,
        raw: &Spanned<raw::Source>,
        input: &Input,
    ) -> Result<Option<ObservedName>, ConfigError> {
        let device = raw.get_ref().device.as_ref();
        match (device, input) {
            (None, Input::SyslogTls(_)) => {
                Err(self.wrong("source.device", raw, "is missing: say whose messages those are"))
            }
            (Some(device), Input::SyslogUnix(_) | Input::SyslogUdp(_)) => {
                let why = "does not go with unix: and udp:, whose messages are this device's own";
                Err(self.wrong("source.device", device, why))
            }
            (device, _) => device.map(|device| self.named("source.device", device)).transpose(),
        }
    }
}

/// `sha256:` and a fingerprint, with colons in it or without, or an address.
pub(super) fn client(text: &str) -> Result<Client, Wrong> {
    if let Some(fingerprint) = text.strip_prefix("sha256:") {
        let digest = hex::decode_any_case(&fingerprint.replace(':', ""));
        let digest = digest.and_then(|digest| digest.try_into().ok());
        return digest.map(|digest| Client::Certificate(Digest(digest))).ok_or_else(|| {
            "is not tls:sha256: with the 64 hexadecimal digits of `openssl x509 -noout -fingerprint -sha256`".to_owned()
        });
    }
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() => {
            Err("is not the address of one device".to_owned())
        }
        // As connections show it, whatever the socket is bound to.
        Ok(address) => Ok(Client::Address(address.to_canonical())),
        Err(_) => Err("is neither tls:sha256:FINGERPRINT nor tls:ADDRESS".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    address.ok_or_else(|| "is not ADDRESS:PORT, such as 192.0.2.1:6514 or [::]:6514".to_owned())
}

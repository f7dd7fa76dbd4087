//! The rows of a webhook, at its tenant and name: what it is, and how far its receiver was told.

use super::seal::Place;
use super::{IssuerRow, column, damaged, tenant_prefix, word};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_crypto::{Secret, SecretBytes};
use wardein_domain::{TenantId, UnixSeconds, WebhookName, WebhookUrl};
use wardein_port::Table;

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct WebhookRow {
    #[serde(with = "column")]
    pub(crate) url: WebhookUrl,
    /// The certificates of the CAs that are believed there, DER.
    pub(crate) cas: Vec<Vec<u8>>,
    /// What messages are authenticated with, sealed under the root key: a secret, and behind it the seed of a key that signs; 32 bytes
    /// each.
    pub(crate) secret: Vec<u8>,
    #[serde(with = "column")]
    pub(crate) set_at: UnixSeconds,
    /// Who set it.
    pub(crate) by: IssuerRow,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct WebhookPositionRow {
    /// The revision up to which the receiver was told everything, as watchers have it.
    pub(crate) revision: Vec<u8>,
}

pub(crate) fn webhook_key(tenant: &TenantId, name: &WebhookName) -> Vec<u8> {
    [&tenant_prefix(tenant), name.as_str().as_bytes()].concat()
}

/// Tenant and name that [`webhook_key`] is the key of.
pub(crate) fn parse_webhook_key(key: &[u8]) -> Result<(TenantId, WebhookName), Error> {
    let text = std::str::from_utf8(key).unwrap_or_default();
    let (tenant, name) = text.split_once('\0').unwrap_or_default();
    Ok((word("tenant", tenant)?, word("webhook", name)?))
}

/// Where the sealed secret belongs.
pub(crate) fn webhook_place(key: &[u8]) -> Place<'_> {
    Place { table: Table::Webhook, key, column: "secret" }
}

/// What messages are authenticated with, as the sealed column has it.
pub(crate) struct WebhookSecrets {
    pub(crate) secret: Secret<32>,
    /// Of a key for Ed25519.
    pub(crate) seed: Secret<32>,
}

impl WebhookSecrets {
    pub(crate) fn read(column: &[u8]) -> Result<Self, Error> {
        let damaged = || damaged(Table::Webhook, "has a damaged secret");
        let (secret, seed) = column.split_first_chunk().ok_or_else(damaged)?;
        let seed = seed.try_into().map_err(|_| damaged())?;
        Ok(Self { secret: Secret::copied_from(secret), seed: Secret::copied_from(seed) })
    }

    pub(crate) fn write(&self) -> SecretBytes {
        let mut column = SecretBytes::with_capacity(64);
        column.extend(self.secret.expose());
        column.extend(self.seed.expose());
        column
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_domain::Serial;

    #[test]
    fn the_bytes_of_the_rows_never_change() {
        let row = WebhookRow {
            url: "https://a.b/c".parse().unwrap(),
            cas: vec![vec![0x30, 0]],
            secret: vec![9; 3],
            set_at: UnixSeconds::new(300),
            by: IssuerRow { serial: Serial::from_random([7; 16]), name: "admin/admin".into() },
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: WebhookRow = decode(Table::Webhook, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
        let position = WebhookPositionRow { revision: vec![1, 2] };
        assert_eq!(hex::encode(&encode(&position).unwrap()), "02020102");
        let (tenant, name) = ("t".parse().unwrap(), "iot".parse().unwrap());
        let key = webhook_key(&tenant, &name);
        assert_eq!(
            (hex::encode(&key).as_str(), parse_webhook_key(&key).unwrap()),
            ("7400696f74", (tenant, name))
        );
    }

    #[test]
    fn the_secret_and_the_seed_are_read_as_they_were_written() {
        let column: Vec<u8> = (0..64).collect();
        let read = WebhookSecrets::read(&column).unwrap();
        assert_eq!((read.secret.expose()[0], read.seed.expose()[0]), (0, 32));
        assert_eq!(read.write().expose(), column);
        for damaged in [0, 31, 32, 63, 65] {
            assert!(WebhookSecrets::read(&vec![7; damaged]).is_err(), "{damaged}");
        }
    }

    const GOLDEN: &str = "020d68747470733a2f2f612e622f630102300003090909ac02470707070707070707070707070707070b61\
                          646d696e2f61646d696e";
}

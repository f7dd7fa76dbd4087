//! The authority's memory between the two steps of an enrollment with a TPM: sealed and given to the station, so that nothing is
//! stored for those who never come back.

use crate::kernel::Error;
use crate::project::Memory;
use crate::rows;
use crate::rows::seal::{Nonce, Place};
use crate::sign::KeyOrder;
use serde::{Deserialize, Serialize};
use wardein_crypto::{Secret, SecretBytes};
use wardein_ddkg::DeviceName;
use wardein_domain::{Assurance, DeviceId, ErrorCode};
use wardein_port::Table;

pub(super) struct Ticket {
    /// The secret of the credential.
    pub(super) secret: Secret<32>,
    pub(super) facts: Facts,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Facts {
    /// Unix seconds from which the second step is no longer accepted.
    pub(super) expires_at: u64,
    pub(super) nonce: [u8; 32],
    /// The version of the policy by which the endorsement key was judged.
    pub(super) policy: u64,
    pub(super) ek: [u8; 32],
    /// TPM2B_PUBLIC.
    pub(super) ak: Vec<u8>,
    assurance: String,
    profile: String,
    model: Option<String>,
    udi: Option<String>,
}

impl Facts {
    /// The judgment so far.
    pub(super) fn new(
        order: &KeyOrder,
        assurance: Assurance,
        (ek, ak): ([u8; 32], &[u8]),
        (nonce, expires_at, policy): ([u8; 32], u64, u64),
    ) -> Self {
        Self {
            expires_at,
            nonce,
            policy,
            ek,
            ak: ak.to_vec(),
            assurance: assurance.to_string(),
            profile: order.profile.to_string(),
            model: order.model.as_ref().map(ToString::to_string),
            udi: order.udi.as_ref().map(ToString::to_string),
        }
    }

    pub(super) fn assurance(&self) -> Result<Assurance, Error> {
        rows::word("assurance level", &self.assurance)
    }

    /// The facts that the station vouched for in the first step.
    pub(super) fn order(&self, device: DeviceId) -> Result<KeyOrder, Error> {
        Ok(KeyOrder {
            device,
            profile: rows::word("profile", &self.profile)?,
            model: self.model.as_deref().map(|model| rows::word("model", model)).transpose()?,
            udi: self.udi.as_deref().map(|udi| rows::word("UDI", udi)).transpose()?,
        })
    }
}

impl Ticket {
    /// For this device, under its tenant's key.
    pub(super) fn seal(&self, nonce: Nonce, memory: &Memory, name: &DeviceName) -> Result<Vec<u8>, Error> {
        let facts = rows::encode(&self.facts)?;
        let mut plain = SecretBytes::with_capacity(32 + facts.len());
        plain.extend(self.secret.expose());
        plain.extend(&facts);
        let key = rows::device_key(name);
        memory.tenant_key(&name.tenant)?.seal(nonce, place(&key), plain.expose())
    }

    /// The inverse of [`Ticket::seal`]: refused if it is of another device or tenant, or was changed, or has expired.
    pub(super) fn open(memory: &Memory, name: &DeviceName, sealed: &[u8], now: u64) -> Result<Self, Error> {
        let key = rows::device_key(name);
        let plain = memory.tenant_key(&name.tenant)?.open(place(&key), sealed).map_err(|_| unknown())?;
        let (secret, facts) = plain.expose().split_first_chunk().ok_or_else(unknown)?;
        let facts: Facts = rows::decode(Table::SignatureKey, facts)?;
        if now >= facts.expires_at {
            let message =
                format_args!("ticket: expired at {}, and it is now {now}; begin again", facts.expires_at);
            return Err(Error::new(ErrorCode::TicketExpired, message));
        }
        Ok(Self { secret: Secret::copied_from(secret), facts })
    }
}

fn place(key: &[u8]) -> Place<'_> {
    Place { table: Table::SignatureKey, key, column: "ticket" }
}

fn unknown() -> Error {
    let message = "ticket: was not issued for this device, or was changed; begin again";
    Error::new(ErrorCode::TicketUnknown, message)
}

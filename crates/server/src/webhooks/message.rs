//! The messages of webhooks, as ProtoJSON of the contract's `WebhookMessage`.

use crate::grpc::trust_verdict;
use bytes::Bytes;
use wardein_crypto::{Entropy, SystemEntropy, hex};
use wardein_domain::TenantId;
use wardein_engine::{DeviceVerdict, Error};
use wardein_proto::json::Json;
use wardein_proto::{Message as _, time, v1};

/// A message, which has one id however often it is sent.
pub(super) struct Message {
    id: String,
    kind: &'static str,
    data: v1::WebhookData,
}

impl Message {
    /// The verdicts on some devices; with them the receiver was told everything up to `reached`.
    pub(super) fn verdicts(
        tenant: &TenantId,
        reached: Option<&[u8]>,
        devices: &[DeviceVerdict],
    ) -> Result<Self, Error> {
        let data = v1::WebhookData {
            tenant: tenant.to_string(),
            revision: reached.map(<[u8]>::to_vec).unwrap_or_default(),
            devices: devices.iter().cloned().map(trust_verdict).collect(),
        };
        Self::new("device.verdicts", data)
    }

    /// What changed up to `revision` is not known.
    pub(super) fn lost(tenant: &TenantId, revision: &[u8]) -> Result<Self, Error> {
        let data =
            v1::WebhookData { tenant: tenant.to_string(), revision: revision.to_vec(), devices: Vec::new() };
        Self::new("verdicts.lost", data)
    }

    pub(super) fn test(tenant: &TenantId) -> Result<Self, Error> {
        let data = v1::WebhookData { tenant: tenant.to_string(), ..Default::default() };
        Self::new("webhook.test", data)
    }

    fn new(kind: &'static str, data: v1::WebhookData) -> Result<Self, Error> {
        let drawn: [u8; 16] =
            SystemEntropy::default().array().map_err(|_| Error::internal("no random bytes"))?;
        Ok(Self { id: format!("msg_{}", hex::encode(&drawn)), kind, data })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The body of it, made at Unix second `now`.
    pub(super) fn body(&self, json: &Json, now: u64) -> Result<Bytes, Error> {
        let message = v1::WebhookMessage {
            r#type: self.kind.to_owned(),
            timestamp: time::at(now),
            data: Some(self.data.clone()),
        };
        let text = json.message("wardein.v1.WebhookMessage", &message.encode_to_vec());
        text.map(Bytes::from).map_err(Error::internal)
    }
}

//! `WebhookService`.

use crate::edge::context::Context;
use crate::grpc::convert::{parse, parse_optional, wrong};
use crate::grpc::wiped::wiped;
use crate::grpc::{Api, reply};
use crate::webhooks::{self, Standing};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wardein_engine::{Engine, Error, Webhook, WebhookOrder};
use wardein_pki::pem;
use wardein_proto::{time, v1};

#[async_trait]
impl v1::webhook_service_server::WebhookService for Api {
    async fn put_webhook(
        &self,
        request: Request<v1::PutWebhookRequest>,
    ) -> Result<Response<v1::PutWebhookResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let engine = &self.shared.engine;
            let order = order(request.into_inner(), engine)?;
            let (webhook, secret) = engine.put_webhook(context.caller()?, order).await?;
            Ok(v1::PutWebhookResponse {
                webhook: Some(self.webhook(webhook)),
                secret: secret.map(wiped).unwrap_or_default(),
            })
        };
        reply(put.await)
    }

    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let tenant = parse_optional("tenant", &request.get_ref().tenant)?;
            let webhooks = self.shared.engine.list_webhooks(context.caller()?, tenant).await?;
            let webhooks = webhooks.into_iter().map(|webhook| self.webhook(webhook)).collect();
            Ok(v1::ListWebhooksResponse { webhooks })
        };
        reply(list.await)
    }

    async fn remove_webhook(
        &self,
        request: Request<v1::RemoveWebhookRequest>,
    ) -> Result<Response<v1::RemoveWebhookResponse>, Status> {
        let remove = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (tenant, name) = (parse("tenant", &asked.tenant)?, parse("name", &asked.name)?);
            let reason = parse("reason", &asked.reason)?;
            self.shared.engine.remove_webhook(context.caller()?, tenant, name, reason).await?;
            Ok(v1::RemoveWebhookResponse {})
        };
        reply(remove.await)
    }

    async fn test_webhook(
        &self,
        request: Request<v1::TestWebhookRequest>,
    ) -> Result<Response<v1::TestWebhookResponse>, Status> {
        let test = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (tenant, name) = (parse("tenant", &asked.tenant)?, parse("name", &asked.name)?);
            let receiver = self.shared.engine.receiver(context.caller()?, &tenant, &name).await?;
            let taken = webhooks::test(&self.shared, receiver).await?;
            let said = taken.as_ref().err().map(ToString::to_string).unwrap_or_default();
            Ok(v1::TestWebhookResponse { is_taken: taken.is_ok(), said })
        };
        reply(test.await)
    }
}

impl Api {
    fn webhook(&self, webhook: Webhook) -> v1::Webhook {
        let Standing { taken_at, failing_since, failure } = self.shared.webhooks.of(&webhook);
        v1::Webhook {
            tenant: webhook.tenant.to_string(),
            name: webhook.name.to_string(),
            url: webhook.url.to_string(),
            set_at: time::at(webhook.set_at),
            set_by: webhook.by.name,
            taken_at: taken_at.and_then(time::at),
            failing_since: failing_since.and_then(time::at),
            failure,
            public_key: webhook.public_key.to_vec(),
        }
    }
}

fn order(request: v1::PutWebhookRequest, engine: &Arc<Engine>) -> Result<WebhookOrder, Error> {
    let v1::PutWebhookRequest { tenant, name, url, ca_pem, renew_secret } = request;
    let (tenant, name) = (parse("tenant", &tenant)?, parse("name", &name)?);
    let url = parse("url", &url)?;
    if ca_pem.len() > MAX_PEM {
        return Err(wrong("ca_pem", format_args!("has {} bytes; it takes at most {MAX_PEM}", ca_pem.len())));
    }
    let cas = pem::decode_certificates(&ca_pem).map_err(|error| wrong("ca_pem", error))?;
    let most = WebhookOrder::MAX_CAS;
    if !(1..=most).contains(&cas.len()) {
        return Err(wrong("ca_pem", format_args!("has {} certificates; it takes 1 to {most}", cas.len())));
    }
    if !webhooks::trusts(&cas, engine) {
        return Err(wrong("ca_pem", "has a certificate that cannot be a trust anchor"));
    }
    Ok(WebhookOrder { tenant, name, url, cas, renew_secret })
}

const MAX_PEM: usize = 32 * 1024;

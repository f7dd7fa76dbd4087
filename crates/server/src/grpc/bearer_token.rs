//! `BearerTokenService`.

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse, parse_optional, span_optional, wrong};
use crate::grpc::wiped::wiped;
use crate::grpc::{Api, reply};
use tonic::{Request, Response, Status, async_trait};
use wardein_crypto::hex;
use wardein_engine::{BearerToken, BearerTokenId, Error};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::bearer_token_service_server::BearerTokenService for Api {
    async fn create_bearer_token(
        &self,
        request: Request<v1::CreateBearerTokenRequest>,
    ) -> Result<Response<v1::CreateBearerTokenResponse>, Status> {
        let create = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let serial = parse("serial", &asked.serial)?;
            let lifetime = span_optional("lifetime", asked.lifetime.as_ref())?.unwrap_or(0);
            let made = self.shared.engine.create_bearer_token(context.caller()?, serial, lifetime).await?;
            Ok(v1::CreateBearerTokenResponse {
                bearer_token: Some(bearer_token(made.on_record)),
                token: wiped(made.token),
            })
        };
        reply(create.await)
    }

    async fn revoke_bearer_token(
        &self,
        request: Request<v1::RevokeBearerTokenRequest>,
    ) -> Result<Response<v1::RevokeBearerTokenResponse>, Status> {
        let revoke = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (serial, id) = (parse("serial", &asked.serial)?, id(&asked.id)?);
            let reason = parse("reason", &asked.reason)?;
            self.shared.engine.revoke_bearer_token(context.caller()?, serial, id, reason).await?;
            Ok(v1::RevokeBearerTokenResponse {})
        };
        reply(revoke.await)
    }

    async fn list_bearer_tokens(
        &self,
        request: Request<v1::ListBearerTokensRequest>,
    ) -> Result<Response<v1::ListBearerTokensResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let (list, page) = page(&mut asked)?;
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let found = self
                .scan(&context, |engine, caller| async move {
                    engine.list_bearer_tokens(&caller, tenant, page).await
                })
                .await?;
            Ok(v1::ListBearerTokensResponse {
                bearer_tokens: found.items.into_iter().map(bearer_token).collect(),
                next_page_token: list.token(found.next),
            })
        };
        reply(list.await)
    }
}

fn bearer_token(token: BearerToken) -> v1::BearerToken {
    v1::BearerToken {
        id: hex::encode(&token.id),
        serial: token.serial.to_string(),
        operator: token.operator,
        created_at: time::at(token.made_at),
        expires_at: time::at(token.expires_at),
        created_by: token.by.name,
        created_by_serial: token.by.serial.to_string(),
    }
}

fn id(text: &str) -> Result<BearerTokenId, Error> {
    hex::decode_array(text).ok_or_else(|| wrong("id", "is not 16 lower-case hex digits"))
}

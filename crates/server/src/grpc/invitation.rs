//! `InvitationService`.

use crate::edge::context::Context;
use crate::grpc::admin::convert::operator;
use crate::grpc::convert::{at_most, parse, parse_optional, span_optional, wrong};
use crate::grpc::wiped::wiped;
use crate::grpc::words::{Answered, Asked};
use crate::grpc::{Api, reply};
use tonic::{Request, Response, Status, async_trait};
use wardein_crypto::hex;
use wardein_engine::{Error, InvitationId, InvitationOrder, OpenInvitation};
use wardein_pki::Csr;
use wardein_proto::{time, v1};

#[async_trait]
impl v1::invitation_service_server::InvitationService for Api {
    async fn create_invitation(
        &self,
        request: Request<v1::CreateInvitationRequest>,
    ) -> Result<Response<v1::CreateInvitationResponse>, Status> {
        let create = async {
            let context = Context::of(&request)?;
            let order = order(request.into_inner())?;
            let made = self.shared.engine.invite_operator(context.caller()?, order).await?;
            Ok(v1::CreateInvitationResponse {
                id: hex::encode(&made.id),
                token: wiped(made.token),
                expires_at: time::at(made.expires_at),
            })
        };
        reply(create.await)
    }

    async fn revoke_invitation(
        &self,
        request: Request<v1::RevokeInvitationRequest>,
    ) -> Result<Response<v1::RevokeInvitationResponse>, Status> {
        let revoke = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (id, reason) = (id(&asked.id)?, parse("reason", &asked.reason)?);
            self.shared.engine.revoke_invitation(context.caller()?, id, reason).await?;
            Ok(v1::RevokeInvitationResponse {})
        };
        reply(revoke.await)
    }

    async fn list_invitations(
        &self,
        request: Request<v1::ListInvitationsRequest>,
    ) -> Result<Response<v1::ListInvitationsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let tenant = parse_optional("tenant", &request.get_ref().tenant)?;
            let open = self.shared.engine.list_invitations(context.caller()?, tenant).await?;
            let invitations = open.into_iter().map(invitation).collect();
            Ok(v1::ListInvitationsResponse { invitations })
        };
        reply(list.await)
    }

    async fn redeem_invitation(
        &self,
        request: Request<v1::RedeemInvitationRequest>,
    ) -> Result<Response<v1::RedeemInvitationResponse>, Status> {
        let redeem = async {
            let context = Context::of(&request)?;
            let v1::RedeemInvitationRequest { token, csr } = request.into_inner();
            let csr = at_most("csr", csr, Csr::MAX_LEN)?;
            let redeemed = self.shared.engine.redeem_invitation(context.call(), &token, &csr).await?;
            let (certificate_pem, certified) = redeemed;
            Ok(v1::RedeemInvitationResponse { certificate_pem, operator: Some(operator(certified)) })
        };
        reply(redeem.await)
    }
}

fn order(request: v1::CreateInvitationRequest) -> Result<InvitationOrder, Error> {
    Ok(InvitationOrder {
        role: Asked::asked("role", request.role)?,
        tenant: parse_optional("tenant", &request.tenant)?,
        name: parse("name", &request.name)?,
        validity: span_optional("validity", request.validity.as_ref())?.unwrap_or(0),
        quota: request.quota,
        lifetime: span_optional("lifetime", request.lifetime.as_ref())?.unwrap_or(0),
    })
}

fn invitation(open: OpenInvitation) -> v1::Invitation {
    v1::Invitation {
        id: hex::encode(&open.id),
        role: open.role.wire(),
        tenant: open.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        name: open.name.to_string(),
        validity: time::span(open.validity),
        quota: open.quota,
        created_at: time::at(open.made_at),
        expires_at: time::at(open.expires_at),
        created_by: open.by.name,
        created_by_serial: open.by.serial.to_string(),
    }
}

fn id(text: &str) -> Result<InvitationId, Error> {
    hex::decode_array(text).ok_or_else(|| wrong("id", "is not 16 lower-case hex digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_an_invitation_is_judged_and_named() {
        let request = || v1::CreateInvitationRequest {
            role: v1::Role::Station.into(),
            tenant: "t".into(),
            name: "line-1".into(),
            ..Default::default()
        };
        assert!(order(request()).is_ok());
        for (field, spoiled) in [
            ("role", v1::CreateInvitationRequest { role: 77, ..request() }),
            ("role", v1::CreateInvitationRequest { role: 0, ..request() }),
            ("tenant", v1::CreateInvitationRequest { tenant: "T".into(), ..request() }),
            ("name", v1::CreateInvitationRequest { name: String::new(), ..request() }),
        ] {
            let error = order(spoiled).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
        assert_eq!(id("00000000000000ff").unwrap()[7], 255);
        for bad in ["", "ff", "00000000000000FF", "00000000000000ff00"] {
            assert!(id(bad).unwrap_err().message.starts_with("id: "), "{bad}");
        }
    }
}

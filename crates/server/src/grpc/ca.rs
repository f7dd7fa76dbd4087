//! `CaService`.

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse, parse_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use crate::grpc::{Api, reply};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::CaState;
use wardein_engine::{Ca, CaOrder, Caller, Engine, Error};
use wardein_proto::v1::create_ca_request::Scope;
use wardein_proto::{time, v1};

#[async_trait]
impl v1::ca_service_server::CaService for Api {
    async fn list_cas(
        &self,
        request: Request<v1::ListCasRequest>,
    ) -> Result<Response<v1::ListCasResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_cas(&caller, tenant.as_ref(), &page)?;
                Ok(v1::ListCasResponse {
                    cas: found.items.into_iter().map(ca).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn create_ca(
        &self,
        request: Request<v1::CreateCaRequest>,
    ) -> Result<Response<v1::CreateCaResponse>, Status> {
        let create = async {
            let context = Context::of(&request)?;
            let order = order(request.into_inner())?;
            let made = self.shared.engine.create_ca(context.caller()?, order).await?;
            Ok(v1::CreateCaResponse { ca: Some(ca(made)) })
        };
        reply(create.await)
    }

    async fn switch_ca(
        &self,
        request: Request<v1::SwitchCaRequest>,
    ) -> Result<Response<v1::SwitchCaResponse>, Status> {
        let switch = async {
            let context = Context::of(&request)?;
            let id = parse("id", &request.get_ref().id)?;
            let switched = self.shared.engine.switch_ca(context.caller()?, id).await?;
            Ok(v1::SwitchCaResponse { ca: Some(ca(switched)) })
        };
        reply(switch.await)
    }

    async fn retire_ca(
        &self,
        request: Request<v1::RetireCaRequest>,
    ) -> Result<Response<v1::RetireCaResponse>, Status> {
        let retire = async {
            let context = Context::of(&request)?;
            let id = parse("id", &request.get_ref().id)?;
            let retired = self.shared.engine.retire_ca(context.caller()?, id).await?;
            Ok(v1::RetireCaResponse { ca: Some(ca(retired)) })
        };
        reply(retire.await)
    }

    async fn distrust_ca(
        &self,
        request: Request<v1::DistrustCaRequest>,
    ) -> Result<Response<v1::DistrustCaResponse>, Status> {
        let distrust = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (id, reason) = (parse("id", &asked.id)?, parse("reason", &asked.reason)?);
            let (engine, caller) = (self.shared.engine.clone(), context.caller()?.clone());
            // Where the root's key is elsewhere, it takes several steps.
            let done = self.finish(async move { engine.distrust_ca(&caller, id, reason).await }).await?;
            Ok(v1::DistrustCaResponse { ca: Some(ca(done.ca)), successor: done.successor.map(ca) })
        };
        reply(distrust.await)
    }

    async fn request_ca_certificate(
        &self,
        request: Request<v1::RequestCaCertificateRequest>,
    ) -> Result<Response<v1::RequestCaCertificateResponse>, Status> {
        let ask = async {
            let context = Context::of(&request)?;
            let id = parse("id", &request.get_ref().id)?;
            let csr = self.shared.engine.request_ca_certificate(context.caller()?, id).await?;
            Ok(v1::RequestCaCertificateResponse { csr })
        };
        reply(ask.await)
    }

    async fn import_ca_chain(
        &self,
        request: Request<v1::ImportCaChainRequest>,
    ) -> Result<Response<v1::ImportCaChainResponse>, Status> {
        let import = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let id = parse("id", &asked.id)?;
            let caller = context.caller()?;
            let imported = self.shared.engine.import_ca_chain(caller, id, &asked.certificates).await?;
            Ok(v1::ImportCaChainResponse { ca: Some(ca(imported)) })
        };
        reply(import.await)
    }
}

fn order(request: v1::CreateCaRequest) -> Result<CaOrder, Error> {
    let tenant = match request.scope {
        Some(Scope::Tenant(tenant)) => Some(parse("tenant", &tenant)?),
        Some(Scope::Shared(v1::SharedCa {})) => None,
        None => return Err(wrong("scope", "is missing: a tenant, or shared")),
    };
    let is_next = match CaState::asked("state", request.state)? {
        CaState::Next => true,
        CaState::Active => false,
        state => return Err(wrong("state", format_args!("is {state}; a CA is made next or active"))),
    };
    Ok(CaOrder { tenant, algorithm: Asked::asked("algorithm", request.algorithm)?, is_next })
}

fn ca(ca: Ca) -> v1::Ca {
    v1::Ca {
        id: ca.id.to_string(),
        tenant: ca.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        state: ca.state.wire(),
        algorithm: ca.algorithm.wire(),
        not_before: time::at(ca.not_before),
        not_after: time::at(ca.not_after),
        made_at: time::at(ca.made_at),
        since: time::at(ca.since),
        ended_at: ca.ended_at.and_then(time::at),
        der: ca.der,
        cross: ca.cross,
    }
}

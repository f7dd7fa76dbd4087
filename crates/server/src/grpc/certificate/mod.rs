//! `CertificateService`.

mod convert;

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse, parse_optional};
use crate::grpc::words::revocation_reason;
use crate::grpc::{Api, reply};
use convert::{Rule, certificate, pins_put, platform_order, platform_pins, rule};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wardein_engine::{Caller, Engine};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::certificate_service_server::CertificateService for Api {
    async fn list_certificates(
        &self,
        request: Request<v1::ListCertificatesRequest>,
    ) -> Result<Response<v1::ListCertificatesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            context.may_be_about(&asked.tenant, &asked.device_id);
            let tenant = parse("tenant", &asked.tenant)?;
            let device = parse_optional("device_id", &asked.device_id)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_certificates(&caller, tenant, device, page).await?;
                Ok(v1::ListCertificatesResponse {
                    certificates: found.items.into_iter().map(certificate).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn revoke_certificate(
        &self,
        request: Request<v1::RevokeCertificateRequest>,
    ) -> Result<Response<v1::RevokeCertificateResponse>, Status> {
        let revoke = async {
            let context = Context::of(&request)?;
            let asked = request.into_inner();
            let tenant = parse("tenant", &asked.tenant)?;
            let serial = parse("serial", &asked.serial)?;
            let (code, reason) = (revocation_reason("code", asked.code)?, parse("reason", &asked.reason)?);
            let engine = &self.shared.engine;
            engine.revoke_certificate(context.caller()?, tenant, serial, code, reason).await?;
            Ok(v1::RevokeCertificateResponse {})
        };
        reply(revoke.await)
    }

    async fn revoke_issued(
        &self,
        request: Request<v1::RevokeIssuedRequest>,
    ) -> Result<Response<v1::RevokeIssuedResponse>, Status> {
        let revoke = async {
            let context = Context::of(&request)?;
            let Rule { issued, span, code, reason } = rule(&context, request.into_inner())?;
            self.shared.engine.revoke_issued(context.caller()?, issued, span, code, reason).await?;
            Ok(v1::RevokeIssuedResponse {})
        };
        reply(revoke.await)
    }

    async fn release_certificate(
        &self,
        request: Request<v1::ReleaseCertificateRequest>,
    ) -> Result<Response<v1::ReleaseCertificateResponse>, Status> {
        let release = async {
            let context = Context::of(&request)?;
            let asked = request.into_inner();
            let tenant = parse("tenant", &asked.tenant)?;
            let serial = parse("serial", &asked.serial)?;
            let reason = parse("reason", &asked.reason)?;
            self.shared.engine.release_certificate(context.caller()?, tenant, serial, reason).await?;
            Ok(v1::ReleaseCertificateResponse {})
        };
        reply(release.await)
    }

    async fn issue_platform_certificate(
        &self,
        request: Request<v1::IssuePlatformCertificateRequest>,
    ) -> Result<Response<v1::IssuePlatformCertificateResponse>, Status> {
        let issue = async {
            let context = Context::of(&request)?;
            let order = platform_order(request.into_inner())?;
            let issued = self.shared.engine.issue_platform(context.caller()?, order).await?;
            Ok(v1::IssuePlatformCertificateResponse {
                certificate_pem: issued.pem,
                serial: issued.serial.to_string(),
                not_after: time::at(issued.not_after),
            })
        };
        reply(issue.await)
    }

    async fn put_platform_pins(
        &self,
        request: Request<v1::PutPlatformPinsRequest>,
    ) -> Result<Response<v1::PutPlatformPinsResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let (tenant, put) = pins_put(request.into_inner())?;
            let (engine, caller) = (&self.shared.engine, context.caller()?);
            let pins = engine.put_platform_pins(caller, tenant.clone(), put).await?;
            Ok(v1::PutPlatformPinsResponse { pins: Some(platform_pins(&tenant, pins)) })
        };
        reply(put.await)
    }

    async fn get_platform_pins(
        &self,
        request: Request<v1::GetPlatformPinsRequest>,
    ) -> Result<Response<v1::GetPlatformPinsResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let tenant = parse("tenant", &request.into_inner().tenant)?;
            let pins = self.shared.engine.platform_pins(context.caller()?, &tenant).await?;
            Ok(v1::GetPlatformPinsResponse { pins: Some(platform_pins(&tenant, pins)) })
        };
        reply(get.await)
    }

    async fn get_trust_bundle(
        &self,
        request: Request<v1::GetTrustBundleRequest>,
    ) -> Result<Response<v1::GetTrustBundleResponse>, Status> {
        let get = async {
            let engine = &self.shared.engine;
            let bundle = engine.trust_bundle();
            let (pem, identity_key) = (bundle.pem, bundle.identity_key.to_vec());
            let endpoint = self.shared.endpoint.clone();
            let signed_bundle = match parse_optional("tenant", &request.into_inner().tenant)? {
                Some(tenant) => engine.signed_bundle(&tenant).await?.unwrap_or_default(),
                None => Vec::new(),
            };
            Ok(v1::GetTrustBundleResponse { pem, identity_key, endpoint, signed_bundle })
        };
        reply(get.await)
    }
}

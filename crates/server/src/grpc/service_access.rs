//! `ServiceAccessService`.

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse, parse_optional, second_optional, span_optional, wrong};
use crate::grpc::words::Answered;
use crate::grpc::{Api, reply};
use std::fmt::Display;
use std::str::FromStr;
use tonic::{Request, Response, Status, async_trait};
use wardein_crypto::{SecretBytes, hex};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::CarriedProtocol;
use wardein_domain::{ActionCategory, Seconds, ServicePolicy, TenantId};
use wardein_engine::{
    Caller, EmergencyUse, EmergencyUses, Error, SessionProtocol, Visit, VisitId, VisitOrder,
};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::service_access_service_server::ServiceAccessService for Api {
    async fn get_service_policy(
        &self,
        request: Request<v1::GetServicePolicyRequest>,
    ) -> Result<Response<v1::GetServicePolicyResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let tenant = tenant(caller, &request.get_ref().tenant)?;
            let found = self.shared.engine.get_service_policy(caller, &tenant).await?;
            Ok(v1::GetServicePolicyResponse { policy: Some(policy(&found)) })
        };
        reply(get.await)
    }

    async fn put_service_policy(
        &self,
        request: Request<v1::PutServicePolicyRequest>,
    ) -> Result<Response<v1::PutServicePolicyResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let tenant = tenant(caller, &request.get_ref().tenant)?;
            let asked = asked_policy(request.get_ref())?;
            self.shared.engine.put_service_policy(caller, &tenant, asked.clone()).await?;
            Ok(v1::PutServicePolicyResponse { policy: Some(policy(&asked)) })
        };
        reply(put.await)
    }

    async fn invite_technician(
        &self,
        request: Request<v1::InviteTechnicianRequest>,
    ) -> Result<Response<v1::InviteTechnicianResponse>, Status> {
        let invite = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let order = order(caller, request.get_ref())?;
            let invited = self.shared.engine.invite_technician(caller, order).await?;
            Ok(v1::InviteTechnicianResponse { visit: Some(visit(invited)) })
        };
        reply(invite.await)
    }

    async fn list_visits(
        &self,
        request: Request<v1::ListVisitsRequest>,
    ) -> Result<Response<v1::ListVisitsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let (list, page) = page(&mut asked)?;
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let found =
                self.scan(&context, |engine, caller| async move {
                    engine.list_visits(&caller, tenant, page).await
                })
                .await?;
            Ok(v1::ListVisitsResponse {
                visits: found.items.into_iter().map(visit).collect(),
                next_page_token: list.token(found.next),
            })
        };
        reply(list.await)
    }

    async fn get_visit(
        &self,
        request: Request<v1::GetVisitRequest>,
    ) -> Result<Response<v1::GetVisitResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let v1::GetVisitRequest { tenant: of, id: named } = request.get_ref();
            let found = self.shared.engine.get_visit(caller, tenant(caller, of)?, id(named)?).await?;
            Ok(v1::GetVisitResponse { visit: Some(visit(found)) })
        };
        reply(get.await)
    }

    async fn release_visit(
        &self,
        request: Request<v1::ReleaseVisitRequest>,
    ) -> Result<Response<v1::ReleaseVisitResponse>, Status> {
        let release = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let v1::ReleaseVisitRequest { tenant: of, id: named } = request.get_ref();
            let released = self.shared.engine.release_visit(caller, tenant(caller, of)?, id(named)?).await?;
            Ok(v1::ReleaseVisitResponse { visit: Some(visit(released)) })
        };
        reply(release.await)
    }

    async fn end_visit(
        &self,
        request: Request<v1::EndVisitRequest>,
    ) -> Result<Response<v1::EndVisitResponse>, Status> {
        let end = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let asked = request.get_ref();
            let (tenant, id) = (tenant(caller, &asked.tenant)?, id(&asked.id)?);
            let reason = parse("reason", &asked.reason)?;
            let ended = self.shared.engine.end_visit(caller, tenant, id, reason).await?;
            Ok(v1::EndVisitResponse { visit: Some(visit(ended)) })
        };
        reply(end.await)
    }

    async fn close_visit(
        &self,
        request: Request<v1::CloseVisitRequest>,
    ) -> Result<Response<v1::CloseVisitResponse>, Status> {
        let close = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let asked = request.get_ref();
            let (tenant, id) = (tenant(caller, &asked.tenant)?, id(&asked.id)?);
            let reason = parse("reason", &asked.reason)?;
            let closed = self.shared.engine.close_visit(caller, tenant, id, reason).await?;
            Ok(v1::CloseVisitResponse { visit: Some(visit(closed)) })
        };
        reply(close.await)
    }

    async fn import_visit_protocol(
        &self,
        request: Request<v1::ImportVisitProtocolRequest>,
    ) -> Result<Response<v1::ImportVisitProtocolResponse>, Status> {
        let import = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let carried = CarriedProtocol::decode(&request.get_ref().protocol)
                .map_err(|error| wrong("protocol", format_args!("{error}; is the file whole?")))?;
            let imported = self.shared.engine.import_protocol(caller, carried).await?;
            Ok(v1::ImportVisitProtocolResponse {
                tenant: imported.device.tenant.to_string(),
                device_id: imported.device.device.to_string(),
                visit_id: imported.visit.map(|id| hex::encode(&id)).unwrap_or_default(),
                session: hex::encode(&imported.session),
                is_repeated: imported.is_repeated,
            })
        };
        reply(import.await)
    }

    async fn get_service_ca(
        &self,
        request: Request<v1::GetServiceCaRequest>,
    ) -> Result<Response<v1::GetServiceCaResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let tenant = tenant(caller, &request.get_ref().tenant)?;
            let ca = self.shared.engine.get_service_ca(caller, tenant).await?;
            Ok(v1::GetServiceCaResponse { ca: ca.unwrap_or_default() })
        };
        reply(get.await)
    }

    async fn issue_visit_certificate(
        &self,
        request: Request<v1::IssueVisitCertificateRequest>,
    ) -> Result<Response<v1::IssueVisitCertificateResponse>, Status> {
        let issue = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let asked = request.get_ref();
            let (tenant, id) = (tenant(caller, &asked.tenant)?, id(&asked.id)?);
            let device = parse("device_id", &asked.device_id)?;
            let issued = self.shared.engine.certify_visit(caller, tenant, id, device).await?;
            Ok(v1::IssueVisitCertificateResponse {
                certificate: issued.line,
                serial: issued.serial,
                principal: issued.principal,
                valid_after: time::at(issued.valid_after),
                valid_before: time::at(issued.valid_before),
            })
        };
        reply(issue.await)
    }

    async fn answer_challenge(
        &self,
        request: Request<v1::AnswerChallengeRequest>,
    ) -> Result<Response<v1::AnswerChallengeResponse>, Status> {
        let answer = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let asked = request.get_ref();
            let (tenant, id) = (tenant(caller, &asked.tenant)?, id(&asked.id)?);
            let device = parse("device_id", &asked.device_id)?;
            let challenge = parse("challenge", &asked.challenge)?;
            let answer = self.shared.engine.answer_challenge(caller, tenant, id, device, challenge).await?;
            Ok(v1::AnswerChallengeResponse {
                code: code(&answer.code)?,
                session_length: time::span(answer.length),
            })
        };
        reply(answer.await)
    }

    async fn show_emergency_code(
        &self,
        request: Request<v1::ShowEmergencyCodeRequest>,
    ) -> Result<Response<v1::ShowEmergencyCodeResponse>, Status> {
        let show = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let asked = request.get_ref();
            let name = device(caller, &asked.tenant, &asked.device_id)?;
            let reason = parse("reason", &asked.reason)?;
            let shown = self.shared.engine.show_emergency_code(caller, &name, reason).await?;
            Ok(v1::ShowEmergencyCodeResponse {
                code: code(&shown.code)?,
                key_name: shown.key,
                stored_at: time::at(shown.stored_at),
            })
        };
        reply(show.await)
    }

    async fn list_emergency_uses(
        &self,
        request: Request<v1::ListEmergencyUsesRequest>,
    ) -> Result<Response<v1::ListEmergencyUsesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let (list, page) = page(&mut asked)?;
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let found = self
                .scan(&context, |engine, caller| async move {
                    engine.list_emergency_uses(&caller, tenant, page).await
                })
                .await?;
            Ok(v1::ListEmergencyUsesResponse {
                devices: found.items.into_iter().map(uses).collect(),
                next_page_token: list.token(found.next),
            })
        };
        reply(list.await)
    }

    async fn close_emergency_review(
        &self,
        request: Request<v1::CloseEmergencyReviewRequest>,
    ) -> Result<Response<v1::CloseEmergencyReviewResponse>, Status> {
        let close = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let asked = request.get_ref();
            let name = device(caller, &asked.tenant, &asked.device_id)?;
            let reason = parse("reason", &asked.reason)?;
            let closed = self.shared.engine.close_emergency_review(caller, &name, reason).await?;
            Ok(v1::CloseEmergencyReviewResponse { uses: Some(uses(closed)) })
        };
        reply(close.await)
    }
}

fn device(caller: &Caller, of: &str, id: &str) -> Result<DeviceName, Error> {
    Ok(DeviceName { tenant: tenant(caller, of)?, device: parse("device_id", id)? })
}

fn code(text: &SecretBytes) -> Result<String, Error> {
    let text = std::str::from_utf8(text.expose());
    Ok(text.map_err(|_| Error::internal("a code has other characters than its alphabet"))?.to_owned())
}

fn uses(of: EmergencyUses) -> v1::EmergencyUses {
    let uses = of.uses.into_iter().map(|of| {
        let (closed_by, closed_at, close_reason) = match of.closed {
            Some((by, at, reason)) => (by.name, time::at(at), reason.to_string()),
            None => Default::default(),
        };
        let EmergencyUse { key: key_name, reported_at, protocol: told, .. } = of;
        v1::EmergencyUse {
            key_name,
            reported_at: time::at(reported_at),
            closed_by,
            closed_at,
            close_reason,
            protocol: told.map(protocol),
        }
    });
    v1::EmergencyUses {
        tenant: of.device.tenant.to_string(),
        device_id: of.device.device.to_string(),
        uses: uses.collect(),
    }
}

/// The tenant that is asked about, or the caller's own.
fn tenant(caller: &Caller, asked: &str) -> Result<TenantId, Error> {
    let asked = parse_optional("tenant", asked)?;
    asked.or_else(|| caller.principal.tenant.clone()).ok_or_else(|| wrong("tenant", "is missing"))
}

fn asked_policy(request: &v1::PutServicePolicyRequest) -> Result<ServicePolicy, Error> {
    let asked = request.policy.as_ref().ok_or_else(|| wrong("policy", "is missing"))?;
    let scopes = each("policy.scopes", &asked.scopes, ServicePolicy::MAX_SCOPES)?;
    if scopes.is_empty() {
        return Err(wrong("policy.scopes", "are missing"));
    }
    let field = "policy.longest_visit";
    let longest = span_optional(field, asked.longest_visit.as_ref())?;
    let longest = longest.map_or(ServicePolicy::LONGEST, Seconds::new);
    let policy = ServicePolicy::new(scopes, longest).map_err(|error| wrong(field, error))?;
    Ok(policy.with_release_at_device(asked.release_at_device))
}

fn order(caller: &Caller, request: &v1::InviteTechnicianRequest) -> Result<VisitOrder, Error> {
    let until = second_optional("ends_at", request.ends_at.as_ref())?;
    Ok(VisitOrder {
        tenant: tenant(caller, &request.tenant)?,
        technician: parse("technician", &request.technician)?,
        ssh_key: parse("ssh_key", &request.ssh_key)?,
        devices: each("device_ids", &request.device_ids, VisitOrder::MAX_DEVICES)?,
        work_order: parse("work_order", &request.work_order)?,
        scope: parse("scope", &request.scope)?,
        from: second_optional("starts_at", request.starts_at.as_ref())?,
        until: until.ok_or_else(|| wrong("ends_at", "is missing"))?,
        sources: each("source_addresses", &request.source_addresses, VisitOrder::MAX_SOURCES)?,
        needs_verification: request.verification_required,
    })
}

/// A list of at most so many.
fn each<T: FromStr<Err: Display>>(field: &str, texts: &[String], most: usize) -> Result<Vec<T>, Error> {
    if texts.len() > most {
        return Err(wrong(field, format_args!("are {}; it takes at most {most}", texts.len())));
    }
    texts.iter().map(|text| parse(field, text)).collect()
}

fn policy(policy: &ServicePolicy) -> v1::ServicePolicy {
    v1::ServicePolicy {
        scopes: policy.scopes().map(ToString::to_string).collect(),
        longest_visit: time::span(policy.longest().get()),
        release_at_device: policy.is_released_at_device(),
    }
}

fn visit(visit: Visit) -> v1::Visit {
    let (released_by, released_at) = visit.released.unzip();
    let (ended_by, ended_at, end_reason) = match visit.ended {
        Some((by, at, reason)) => (by.name, time::at(at), reason.to_string()),
        None => Default::default(),
    };
    v1::Visit {
        id: hex::encode(&visit.id),
        tenant: visit.tenant.to_string(),
        technician: visit.technician.to_string(),
        ssh_key: visit.ssh_key.to_string(),
        ssh_key_fingerprint: visit.ssh_key.fingerprint(),
        device_ids: visit.devices.iter().map(ToString::to_string).collect(),
        work_order: visit.work_order.to_string(),
        scope: visit.scope.to_string(),
        starts_at: time::at(visit.window.from().get()),
        ends_at: time::at(visit.window.until().get()),
        source_addresses: visit.sources.iter().map(ToString::to_string).collect(),
        verification_required: visit.needs_verification,
        state: visit.state.wire(),
        invited_by: visit.by.name,
        invited_at: time::at(visit.made_at),
        released_by: released_by.map(|by| by.to_string()).unwrap_or_default(),
        released_at: released_at.and_then(time::at),
        ended_by,
        ended_at,
        end_reason,
        protocols: visit.protocols.into_iter().map(protocol).collect(),
        awaited_protocols: visit.awaited.iter().map(ToString::to_string).collect(),
        closing: visit.closed.map(|closed| v1::VisitClosing {
            closed_by: closed.by.name,
            closed_at: time::at(closed.at),
            reason: closed.reason.to_string(),
            device_ids: closed.devices.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn protocol(of: SessionProtocol) -> v1::VisitProtocol {
    let action =
        |(category, times): (ActionCategory, u32)| v1::VisitAction { category: category.to_string(), times };
    v1::VisitProtocol {
        device_id: of.device.to_string(),
        session: hex::encode(&of.session),
        began_at: time::at(of.began),
        ended_at: time::at(of.ended),
        end: of.end.wire(),
        actions: of.actions.into_iter().map(action).collect(),
        given_at: time::at(of.given),
    }
}

fn id(text: &str) -> Result<VisitId, Error> {
    hex::decode_array(text).ok_or_else(|| wrong("id", "is not 16 lower-case hex digits"))
}

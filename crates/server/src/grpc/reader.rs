//! `ReaderService`.

use crate::edge::context::Context;
use crate::grpc::convert::{parse, parse_optional, second_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use crate::grpc::{Api, reply};
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::{ProfileName, TenantId, UnixSeconds};
use wardein_engine::{Caller, Error, ReaderOrder, Sealing};
use wardein_files::{ListedReader, ReaderList, SealFor};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::reader_service_server::ReaderService for Api {
    async fn list_readers(
        &self,
        request: Request<v1::ListReadersRequest>,
    ) -> Result<Response<v1::ListReadersResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let (caller, asked) = (context.caller()?, request.get_ref());
            let (tenant, profile) = place(caller, &asked.tenant, &asked.profile)?;
            let of = Sealing { tenant: &tenant, profile: &profile };
            let list = self.shared.engine.list_readers(caller, of).await?;
            Ok(v1::ListReadersResponse { list: Some(answered(list)) })
        };
        reply(list.await)
    }

    async fn add_reader(
        &self,
        request: Request<v1::AddReaderRequest>,
    ) -> Result<Response<v1::AddReaderResponse>, Status> {
        let add = async {
            let context = Context::of(&request)?;
            let (caller, asked) = (context.caller()?, request.get_ref());
            let (tenant, profile) = place(caller, &asked.tenant, &asked.profile)?;
            let order = given(asked.reader.as_ref())?;
            let of = Sealing { tenant: &tenant, profile: &profile };
            let reason = parse("reason", &asked.reason)?;
            let list = self.shared.engine.add_reader(caller, of, order, reason).await?;
            Ok(v1::AddReaderResponse { list: Some(answered(list)) })
        };
        reply(add.await)
    }

    async fn remove_reader(
        &self,
        request: Request<v1::RemoveReaderRequest>,
    ) -> Result<Response<v1::RemoveReaderResponse>, Status> {
        let remove = async {
            let context = Context::of(&request)?;
            let (caller, asked) = (context.caller()?, request.get_ref());
            let (tenant, profile) = place(caller, &asked.tenant, &asked.profile)?;
            let of = Sealing { tenant: &tenant, profile: &profile };
            let (name, reason) = (parse("name", &asked.name)?, parse("reason", &asked.reason)?);
            let list = self.shared.engine.remove_reader(caller, of, &name, reason).await?;
            Ok(v1::RemoveReaderResponse { list: Some(answered(list)) })
        };
        reply(remove.await)
    }

    async fn put_sealing(
        &self,
        request: Request<v1::PutSealingRequest>,
    ) -> Result<Response<v1::PutSealingResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let (caller, asked) = (context.caller()?, request.get_ref());
            let (tenant, profile) = place(caller, &asked.tenant, &asked.profile)?;
            let seal_for = SealFor::asked("seal_for", asked.seal_for)?;
            let of = Sealing { tenant: &tenant, profile: &profile };
            let reason = parse("reason", &asked.reason)?;
            let list = self.shared.engine.put_sealing(caller, of, seal_for, reason).await?;
            Ok(v1::PutSealingResponse { list: Some(answered(list)) })
        };
        reply(put.await)
    }
}

fn place(caller: &Caller, tenant: &str, profile: &str) -> Result<(TenantId, ProfileName), Error> {
    let tenant = parse_optional("tenant", tenant)?.or_else(|| caller.principal.tenant.clone());
    Ok((tenant.ok_or_else(|| wrong("tenant", "is missing"))?, parse("profile", profile)?))
}

fn given(asked: Option<&v1::Reader>) -> Result<ReaderOrder, Error> {
    let asked = asked.ok_or_else(|| wrong("reader", "is missing"))?;
    let second =
        |field, at: &Option<_>| Ok::<_, Error>(second_optional(field, at.as_ref())?.map(UnixSeconds::new));
    Ok(ReaderOrder {
        name: parse("reader.name", &asked.name)?,
        key: parse("reader.key", &asked.key)?,
        from: second("reader.not_before", &asked.not_before)?,
        until: second("reader.until", &asked.until)?,
    })
}

fn answered(list: ReaderList) -> v1::ReaderList {
    let reader = |from: ListedReader| v1::Reader {
        name: from.name.to_string(),
        key: from.key.to_string(),
        not_before: time::at(from.from),
        until: from.until.and_then(time::at),
    };
    v1::ReaderList {
        tenant: list.tenant.to_string(),
        profile: list.profile.to_string(),
        number: list.number,
        seal_for: list.seal_for.wire(),
        readers: list.readers.into_iter().map(reader).collect(),
    }
}

//! `StorageService`.

use super::backup::{Parts, parts};
use super::{Api, reply};
use crate::convert::{parse, parse_optional};
use crate::request::Context;
use crate::status::{Failed, status_of};
use crate::upkeep::pace;
use futures_util::{Stream, stream};
use std::pin::Pin;
use tonic::{Request, Response, Status, async_trait};
use wardein_ddkg::DeviceName;
use wardein_domain::TenantId;
use wardein_engine::{Error, Shredded, Sweep, SweepProgress};
use wardein_proto::v1;

type Progress = Pin<Box<dyn Stream<Item = Result<v1::SweepResponse, Status>> + Send>>;

#[async_trait]
impl v1::storage_service_server::StorageService for Api {
    async fn rotate_storage_key(
        &self,
        request: Request<v1::RotateStorageKeyRequest>,
    ) -> Result<Response<v1::RotateStorageKeyResponse>, Status> {
        let rotate = async {
            let caller = Context::of(&request)?.caller()?.clone();
            let tenant: Option<TenantId> = parse_optional("tenant", &request.get_ref().tenant)?;
            let engine = self.shared.engine.clone();
            let rotate = async move {
                match tenant {
                    Some(tenant) => engine.rotate_tenant_key(&caller, tenant).await,
                    None => engine.rotate_root_key(&caller).await,
                }
            };
            let version = self.finish(rotate).await?;
            Ok(v1::RotateStorageKeyResponse { version })
        };
        reply(rotate.await)
    }

    type SweepStream = Progress;

    async fn sweep(&self, request: Request<v1::SweepRequest>) -> Result<Response<Progress>, Status> {
        let begin = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let v1::SweepRequest { tenant, per_second, clock_is_right } = request.get_ref();
            let per_second = match per_second {
                0 => DEFAULT_RATE,
                rate @ 1..=MAX_RATE => *rate,
                rate => {
                    return Err(Error::invalid(format_args!(
                        "per_second: is {rate}; it takes 0 to {MAX_RATE}"
                    ))
                    .into());
                }
            };
            let tenant = parse_optional("tenant", tenant)?;
            let sweep = self.shared.engine.begin_sweep(Some(caller), tenant, *clock_is_right).await?;
            Ok::<_, Failed>(self.clone().swept(sweep, per_second, caller.request_id.clone()))
        };
        reply(begin.await)
    }

    async fn shred_device(
        &self,
        request: Request<v1::ShredDeviceRequest>,
    ) -> Result<Response<v1::ShredDeviceResponse>, Status> {
        let shred = async {
            let caller = Context::of(&request)?.caller()?.clone();
            let v1::ShredDeviceRequest { tenant, device_id, reason } = request.get_ref();
            let name =
                DeviceName { tenant: parse("tenant", tenant)?, device: parse("device_id", device_id)? };
            let reason = parse("reason", reason)?;
            let engine = &self.shared.engine;
            let work = engine.shred_device(&caller, &name, reason);
            let Shredded { state, had_keys } = work.await?;
            Ok(v1::ShredDeviceResponse { state: state.to_string(), had_keys })
        };
        reply(shred.await)
    }

    type BackupStream = Parts;

    async fn backup(&self, request: Request<v1::BackupRequest>) -> Result<Response<Parts>, Status> {
        let begin = async {
            let caller = Context::of(&request)?.caller()?.clone();
            let (engine, _by, held) =
                (self.shared.engine.clone(), caller.clone(), self.shared.limits.backup_held);
            let work = engine.begin_backup(&caller, held);
            let backup = work.await?;
            Ok(parts(self.clone(), caller, backup))
        };
        reply(begin.await)
    }
}

impl Api {
    /// One message a step, until all is done or nobody listens.
    fn swept(self, sweep: Sweep, per_second: u32, request_id: String) -> Progress {
        let (step, pause) = pace(per_second);
        Box::pin(stream::unfold(Some((self, sweep)), move |state| {
            let request_id = request_id.clone();
            async move {
                let (api, mut sweep) = state?;
                tokio::time::sleep(pause).await;
                match api.shared.engine.sweep_some(&mut sweep, step).await {
                    Ok(progress) => {
                        let next = (!progress.is_done).then_some((api, sweep));
                        Some((Ok(response(progress)), next))
                    }
                    Err(error) => Some((Err(status_of(&error, &request_id)), None)),
                }
            }
        }))
    }
}

fn response(progress: SweepProgress) -> v1::SweepResponse {
    let SweepProgress { devices, erased, renewed, dropped, has_clock, is_done } = progress;
    v1::SweepResponse { devices, erased, renewed, dropped, has_clock, is_done }
}

const DEFAULT_RATE: u32 = 1_000;
const MAX_RATE: u32 = 100_000;

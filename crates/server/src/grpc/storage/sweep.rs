//! The progress of a sweep.

use super::convert;
use crate::grpc::Api;
use crate::grpc::status::status_of;
use futures_util::{Stream, stream};
use std::pin::Pin;
use tonic::Status;
use wardein_engine::{Sweep, pace};
use wardein_proto::v1;

/// How far it is.
pub(super) type Progress = Pin<Box<dyn Stream<Item = Result<v1::SweepResponse, Status>> + Send>>;

/// One message a step, until all is done or nobody listens.
pub(super) fn swept(api: Api, sweep: Sweep, per_second: u32, request_id: String) -> Progress {
    let (step, pause) = pace(per_second);
    Box::pin(stream::unfold(Some((api, sweep)), move |state| {
        let request_id = request_id.clone();
        async move {
            let (api, mut sweep) = state?;
            tokio::time::sleep(pause).await;
            match api.shared.engine.sweep_some(&mut sweep, step).await {
                Ok(progress) => {
                    let next = (!progress.is_done).then_some((api, sweep));
                    Some((Ok(convert::swept(progress)), next))
                }
                Err(error) => Some((Err(status_of(&error, &request_id)), None)),
            }
        }
    }))
}

//! The progress of a sweep.

use super::convert;
use crate::edge::context::Context;
use crate::grpc::Api;
use crate::grpc::status::status_of;
use futures_util::{Stream, stream};
use std::pin::Pin;
use tonic::Status;
use wardein_engine::{Sweep, pace};
use wardein_proto::v1;

/// How far it is.
pub(super) type Progress = Pin<Box<dyn Stream<Item = Result<v1::SweepResponse, Status>> + Send>>;

/// One message a step, until all is done, nobody listens, or its caller may not call any more.
pub(super) fn swept(api: Api, context: Context, sweep: Sweep, per_second: u32) -> Progress {
    let (step, pause) = pace(per_second);
    Box::pin(stream::unfold(Some((api, sweep)), move |state| {
        let context = context.clone();
        async move {
            let (api, mut sweep) = state?;
            tokio::time::sleep(pause).await;
            let swept = async {
                api.authenticate(&context).await?;
                api.shared.engine.sweep_some(&mut sweep, step).await
            };
            match swept.await {
                Ok(progress) => {
                    let next = (!progress.is_done).then_some((api, sweep));
                    Some((Ok(convert::swept(progress)), next))
                }
                Err(error) => {
                    let error = api.shared.record(&context, None, error).await;
                    Some((Err(status_of(&error, &context.call().request_id)), None))
                }
            }
        }
    }))
}

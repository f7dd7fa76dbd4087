//! Release at the device: a person there lets the technician in (DDKG-1 §8.9).

use crate::agent::Prover;
use crate::error::Error;
use wardein_ddkg::message::{PendingVisit, VisitRelease};

/// The visits of this device that wait for their release. One of several devices is among them, and is not released here.
pub async fn pending_visits(prover: &mut impl Prover) -> Result<Vec<PendingVisit>, Error> {
    let body = prover.pending_visits().await?;
    PendingVisit::decode_all(&body).map_err(|_| Error::Fault("reading the authority's answer about visits"))
}

/// Releases a visit of this device alone. The caller has asked a person at the device first. Releasing what is released changes
/// nothing.
pub async fn release_visit(prover: &mut impl Prover, visit: VisitRelease) -> Result<(), Error> {
    prover.visit_release(&visit.encode()).await
}

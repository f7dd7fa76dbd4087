//! The authority, as a service coordinator has it.

use crate::error::Error;
use crate::order::Terms;
use std::path::Path;
use std::time::Duration;
use wardein_client::{Connection, Operator, Refusal, connect_as, pages, time, v1};
use wardein_domain::ErrorCode;

/// A connection as the service coordinator.
pub(crate) struct Authority {
    operator: Operator,
}

/// What the authority did with an invitation.
#[derive(Debug)]
pub(crate) enum Invitation {
    /// The technician is invited by the visit of this id.
    Made(String),
    /// The order's fault: the code, and what to do.
    Refused { code: String, message: String },
    /// A second person is to approve it first.
    Waits,
}

impl Authority {
    /// Reaches it with the identity in `directory`, and follows what renews that identity.
    pub(crate) async fn connect(directory: &Path, endpoint: &str) -> Result<Self, Error> {
        let connection = connect_as(directory, endpoint).await?;
        follow(&connection);
        Ok(Self { operator: connection.operator() })
    }

    /// Invites the technician. Where that may have been done before, `is_unsure`, the visit is looked for first.
    pub(crate) async fn invite(&self, terms: &Terms, is_unsure: bool) -> Result<Invitation, Error> {
        if is_unsure && let Some(visit) = self.find(terms).await? {
            return Ok(Invitation::Made(visit));
        }
        let request = v1::InviteTechnicianRequest {
            tenant: String::new(),
            technician: terms.technician.name.to_string(),
            ssh_key: terms.technician.key.to_string(),
            device_ids: vec![terms.device.to_string()],
            work_order: terms.work_order.to_string(),
            scope: terms.scope.to_string(),
            starts_at: terms.starts.and_then(time::at),
            ends_at: time::at(terms.ends),
            source_addresses: Vec::new(),
            verification_required: false,
        };
        match self.operator.invite_technician(request).await {
            Ok(answer) => Ok(Invitation::Made(answer.visit.unwrap_or_default().id)),
            Err(refusal) if refusal.known() == Some(ErrorCode::ApprovalRequired) => Ok(Invitation::Waits),
            // Another visit is in the way. It may be this one, if the state was lost.
            Err(refusal) if refusal.known() == Some(ErrorCode::VisitOverlaps) => {
                match self.find(terms).await? {
                    Some(visit) => Ok(Invitation::Made(visit)),
                    None => Ok(refused(refusal)),
                }
            }
            Err(refusal) if is_of_order(&refusal) => Ok(refused(refusal)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The visit with the work order of these terms, which nothing else has.
    async fn find(&self, terms: &Terms) -> Result<Option<String>, Error> {
        let mut found = None;
        let page = async |page_size: u32, page_token: Vec<u8>| -> Result<(Vec<()>, Vec<u8>), Refusal> {
            let request = v1::ListVisitsRequest { tenant: String::new(), page_size, page_token };
            let answer = self.operator.list_visits(request).await?;
            let is_it = |visit: &&v1::Visit| {
                visit.work_order == terms.work_order.as_str()
                    && visit.device_ids == [terms.device.to_string()]
            };
            // Of an order whose state was lost there may be an ended one as well.
            let is_open = |visit: &v1::Visit| visit.ended_by.is_empty();
            for visit in answer.visits.iter().filter(is_it) {
                if found.is_none() || is_open(visit) {
                    found = Some(visit.id.clone());
                }
            }
            Ok((Vec::new(), answer.next_page_token))
        };
        pages(Vec::new(), usize::MAX, page).await?;
        Ok(found)
    }

    pub(crate) async fn visit(&self, id: &str) -> Result<Option<v1::Visit>, Error> {
        let request = v1::GetVisitRequest { tenant: String::new(), id: id.to_owned() };
        match self.operator.get_visit(request).await {
            Ok(answer) => Ok(answer.visit),
            Err(refusal) if refusal.known() == Some(ErrorCode::VisitUnknown) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Ends a visit. One that is over or ended stays as it is.
    pub(crate) async fn end(&self, id: &str, reason: &str) -> Result<(), Error> {
        let request =
            v1::EndVisitRequest { tenant: String::new(), id: id.to_owned(), reason: reason.to_owned() };
        match self.operator.end_visit(request).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.known() == Some(ErrorCode::VisitClosed) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn refused(refusal: Refusal) -> Invitation {
    Invitation::Refused { code: refusal.code, message: refusal.message }
}

/// Whether the order is at fault, so that the same invitation is refused again. All else is the adapter's own identity, the
/// authority, or the network, and is tried again.
fn is_of_order(refusal: &Refusal) -> bool {
    matches!(
        refusal.known(),
        Some(
            ErrorCode::Malformed
                | ErrorCode::DeviceUnknown
                | ErrorCode::OperatorUnknown
                | ErrorCode::ServiceScopeUnknown
                | ErrorCode::VisitOverlaps
                | ErrorCode::VisitQuota
                | ErrorCode::VisitWindowBounds
                | ErrorCode::VisitWindowPast
        )
    )
}

/// Has a task go over to the identity that renews this one.
fn follow(connection: &Connection) {
    let heard = |heard| match heard {
        Ok(()) => tracing::info!("went over to the renewed identity"),
        Err(error) => {
            tracing::warn!(%error, "the identity's directory cannot be used; going on with the former one")
        }
    };
    drop(tokio::spawn(connection.clone().follow(LOOK, heard)));
}

/// How often the identity's directory is looked at.
const LOOK: Duration = Duration::from_secs(60);

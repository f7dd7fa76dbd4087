//! Closing a visit of which a protocol will not come: as where the device was taken out of service, or its disk was lost.

use super::protocols::awaited;
use super::visits::{Visit, VisitId, of, visible};
use crate::kernel::record::{Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error};
use crate::rows::{self, ClosedRow, EndedRow, PersonRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{ErrorCode, Event, FieldName, Outcome, Reason, TenantId};
use wardein_port::{Change, Table};

impl Engine {
    /// Closes a visit without the protocols that are awaited of it, and says which. A protocol that comes all the same is taken.
    pub async fn close_visit(
        &self,
        caller: &Caller,
        tenant: TenantId,
        id: VisitId,
        reason: Reason,
    ) -> Result<Visit, Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = visible(tx, caller, &tenant, &id)?;
            let devices = awaited(&row, self.state(&row));
            if devices.is_empty() {
                let message = format_args!("no protocol of visit {} is awaited", hex(&id));
                return Err(Error::new(ErrorCode::ProtocolNotAwaited, message).into());
            }
            let mut change = Change::default();
            for device in &devices {
                let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
                let entry = self.entry(caller, Event::VisitClosed, target(&name), Outcome::Done);
                change.record(&of(entry, &tenant, &id, &row).with(FieldName::Reason, &reason))?;
            }
            let by = PersonRow::from(&caller.principal);
            let end = EndedRow { by, at: self.time(), reason: reason.clone() };
            row.closed = Some(ClosedRow { end, devices });
            change.update(Table::Visit, rows::visit_key(&tenant, &id), version, rows::encode(&row)?);
            Ok(Decision::new(change, self.visit(tenant.clone(), id, &row)?))
        })
        .await
    }
}

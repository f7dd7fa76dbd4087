//! The invitations of a tenant that are open: how many there may be, and the list of them.
//!
//! One row of a tenant names them, so that each decision that makes one, or ends one, rests on the others.

use super::invitations::InvitationId;
use super::operators::Issuer;
use crate::kernel::{Caller, Detail, Engine, Error, Stop, Tx};
use crate::rows::{self, InvitationRow, OpenInvitationsRow};
use wardein_domain::{ErrorCode, OperatorName, Role, TenantId, UnixSeconds};
use wardein_port::{Change, Table};

/// The most open invitations of a tenant; as many of those without a tenant.
pub(super) const MAX_OPEN: usize = 100;

/// An invitation that nobody has redeemed or taken back, and that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvitation {
    /// What it is revoked by.
    pub id: InvitationId,
    /// What it makes: the role.
    pub role: Role,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its name.
    pub name: OperatorName,
    /// Seconds for which the certificate is valid, from when it is fetched.
    pub validity: u64,
    /// For stations: how many devices it may enroll.
    pub quota: u64,
    /// Unix seconds at which it was made.
    pub made_at: u64,
    /// Unix seconds until which it may be redeemed.
    pub expires_at: u64,
    /// Who made it. Where that operator is revoked, the token is good no more.
    pub by: Issuer,
}

/// The open invitations of a tenant, as a decision finds them.
pub(super) struct Open {
    key: Vec<u8>,
    version: Option<u64>,
    row: OpenInvitationsRow,
}

impl Engine {
    /// The open invitations of a tenant; without one those of no tenant, or of the caller's own.
    pub async fn list_invitations(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
    ) -> Result<Vec<OpenInvitation>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        self.look(|tx| {
            let mut listed = Vec::new();
            for (id, _) in self.open_invitations(tx, tenant.as_ref())?.row.open {
                let row: Option<(u64, InvitationRow)> = tx.row(Table::Invitation, &id)?;
                let row =
                    row.map(|(_, row)| row).filter(|row| row.revoked.is_none() && row.redeemed.is_none());
                let Some(row) = row else { continue };
                listed.push(OpenInvitation {
                    id,
                    role: row.role,
                    tenant: row.tenant,
                    name: row.name,
                    validity: row.validity.get(),
                    quota: row.quota,
                    made_at: row.made.get(),
                    expires_at: row.expires.get(),
                    by: Issuer { serial: row.by.serial, name: row.by.name },
                });
            }
            Ok(listed)
        })
        .await
    }

    /// Those of a tenant that are open now, the oldest first.
    pub(super) fn open_invitations(&self, tx: &Tx<'_>, tenant: Option<&TenantId>) -> Result<Open, Stop> {
        let key = rows::tenant_operator_prefix(tenant);
        let found: Option<(u64, OpenInvitationsRow)> = tx.row(Table::OpenInvitations, &key)?;
        let (version, mut row) = found.map_or((None, None), |(version, row)| (Some(version), Some(row)));
        let restored_at = self.authority.restored_at;
        // What was made before the authority was restored is good no more.
        let mut row = row
            .take_if(|row| row.restored_at == restored_at)
            .unwrap_or(OpenInvitationsRow { restored_at, open: Vec::new() });
        row.open.retain(|(_, expires)| *expires >= self.time().get());
        Ok(Open { key, version, row })
    }
}

impl Open {
    /// Adds one, unless there are as many as there may be.
    pub(super) fn add(
        mut self,
        id: InvitationId,
        expires: UnixSeconds,
        tenant: Option<&TenantId>,
        change: &mut Change,
    ) -> Result<(), Error> {
        if self.row.open.len() >= MAX_OPEN {
            let message = format_args!(
                "there are {MAX_OPEN} open invitations already; take back those that are not needed, or wait until some end"
            );
            let whose = tenant.map_or_else(|| "authority".to_owned(), |tenant| format!("tenant {tenant}"));
            return Err(Error::new(ErrorCode::InvitationQuota, message).with(Detail::Quota(whose)));
        }
        self.row.open.push((id, expires.get()));
        change.put(Table::OpenInvitations, self.key, self.version, rows::encode(&self.row)?);
        Ok(())
    }

    /// Removes one that was redeemed or taken back.
    pub(super) fn remove(mut self, id: &InvitationId, change: &mut Change) -> Result<(), Error> {
        let Some(version) = self.version else { return Ok(()) };
        self.row.open.retain(|(open, _)| open != id);
        if self.row.open.is_empty() {
            change.delete(Table::OpenInvitations, self.key, version);
        } else {
            change.update(Table::OpenInvitations, self.key, version, rows::encode(&self.row)?);
        }
        Ok(())
    }
}

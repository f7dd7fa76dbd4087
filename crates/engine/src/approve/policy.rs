//! Which deeds need a second person, in the authority and in each tenant.

use super::Ask;
use super::ask::may_decide;
use super::gate::Gate;
use crate::access::operators::Issuer;
use crate::kernel::record::{Recording, listed};
use crate::kernel::{Caller, Decision, Engine, Error, Etag};
use crate::rows::{self, ApprovalPolicyRow};
use wardein_domain::{ApprovalPolicy, ErrorCode, Event, FieldName, GuardedDeed, Outcome, Target, TenantId};
use wardein_port::{Change, Table};

/// An approval policy as it is set at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicyView {
    /// What is set there; one that guards nothing where nothing ever was.
    pub policy: ApprovalPolicy,
    /// When it was set, in Unix seconds, and by whom; none where nothing ever was.
    pub set: Option<(u64, Issuer)>,
    /// Its version.
    pub etag: Etag,
    /// What is guarded there: by it, and in a tenant by the authority's policy too.
    pub guarded: Vec<GuardedDeed>,
    /// How many persons there are who may decide all of that.
    pub approvers: usize,
}

impl Engine {
    /// The approval policy of a tenant, or of the authority.
    pub async fn get_approval_policy(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
    ) -> Result<ApprovalPolicyView, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        self.look(|tx| {
            let read = |scope: Option<&TenantId>| -> Result<_, crate::kernel::Stop> {
                let key = rows::tenant_operator_prefix(scope);
                let row: Option<(u64, ApprovalPolicyRow)> = tx.row(Table::ApprovalPolicy, &key)?;
                Ok(row.map(|(_, row)| row))
            };
            let own = read(tenant.as_ref())?;
            let policy = own.as_ref().map(ApprovalPolicyRow::policy).transpose()?.unwrap_or_default();
            let above = match tenant {
                Some(_) => read(None)?.as_ref().map(ApprovalPolicyRow::policy).transpose()?,
                None => None,
            }
            .unwrap_or_default();
            let is_guarded =
                |deed: &GuardedDeed| policy.guards(*deed) || (above.guards(*deed) && !deed.is_of_authority());
            let guarded: Vec<_> = GuardedDeed::ALL.into_iter().filter(is_guarded).collect();
            let approvers = self.deciders(&guarded, tenant.as_ref());
            let set = own.map(|row| {
                let by = row.by.principal();
                (row.set_at.get(), Issuer { serial: by.serial, name: by.to_string() })
            });
            Ok(ApprovalPolicyView { etag: etag_of(&policy)?, policy, set, guarded, approvers })
        })
        .await
    }

    /// Sets the approval policy of a tenant, or of the authority, for all tenants too. What guards anything is refused where there are not
    /// two persons who may decide it. What loosens a policy is itself a guarded deed.
    pub async fn put_approval_policy(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        policy: ApprovalPolicy,
        etag: Option<Etag>,
    ) -> Result<ApprovalPolicyView, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        if let (Some(_), Some(deed)) = (&tenant, policy.deeds().find(|deed| deed.is_of_authority())) {
            let message = format_args!("{deed} is a deed of the authority, and of no tenant");
            return Err(Error::wrong("policy.deeds", message));
        }
        let key = rows::tenant_operator_prefix(tenant.as_ref());
        let deeds: Vec<_> = policy.deeds().collect();
        let ask = Ask::new(GuardedDeed::LoosenApprovals, tenant.as_ref())
            .with_each("deeds", &deeds)
            .with("lifetime", format_args!("{}s", policy.lifetime().get()));
        self.transact_by(caller, |tx| {
            let found: Option<(u64, ApprovalPolicyRow)> = tx.row(Table::ApprovalPolicy, &key)?;
            let (version, row) = found.unzip();
            let before = row.as_ref().map(ApprovalPolicyRow::policy).transpose()?.unwrap_or_default();
            Etag::require(etag, Some(etag_of(&before)?))?;
            let mut change = Change::default();
            if before == policy {
                return Ok(Decision::new(change, ()));
            }
            let deciders = self.deciders(&deeds, tenant.as_ref());
            if !deeds.is_empty() && deciders < 2 {
                let message = format_args!(
                    "{deciders} of two persons could decide what the policy is to guard; issue another administrator first"
                );
                return Err(Error::new(ErrorCode::ApproversMissing, message).into());
            }
            let approval = match before.is_loosened_by(&policy) {
                false => None,
                true => match self.approval_gate(caller, tx, &ask)? {
                    Gate::Open(approval) => Some(approval),
                    Gate::Closed(change, error) => return Ok(Decision::refused(change, error)),
                },
            };
            let row = ApprovalPolicyRow::new(&policy, self.time(), &caller.principal);
            change.put(Table::ApprovalPolicy, key.clone(), version, rows::encode(&row)?);
            let target = tenant.clone().map_or(Target::Authority, Target::Tenant);
            let entry = self
                .entry(caller, Event::ApprovalPolicyPut, target, Outcome::Done)
                .changed(
                    FieldName::GuardedDeeds,
                    listed(&before.deeds().collect::<Vec<_>>()),
                    listed(&deeds),
                )
                .changed(FieldName::ProposalLifetime, before.lifetime().get(), policy.lifetime().get());
            change.record(&match &tenant {
                Some(tenant) => entry.in_tenant(tenant),
                None => entry,
            })?;
            if let Some(approval) = approval {
                approval.settle(&mut change);
            }
            Ok(Decision::new(change, ()))
        })
        .await?;
        self.get_approval_policy(caller, tenant).await
    }

    /// How many persons may decide each of these deeds: the fewest.
    fn deciders(&self, deeds: &[GuardedDeed], tenant: Option<&TenantId>) -> usize {
        let of = |deed: &GuardedDeed| {
            self.memory.persons(tenant, self.time(), |who| may_decide(*deed, tenant, who))
        };
        deeds.iter().map(of).min().unwrap_or(0)
    }
}

/// The version of a policy: who set it again as it was has changed nothing.
fn etag_of(policy: &ApprovalPolicy) -> Result<Etag, Error> {
    let deeds: Vec<_> = policy.deeds().map(GuardedDeed::as_str).collect();
    Ok(Etag::of(&rows::encode(&(deeds, policy.lifetime().get()))?))
}

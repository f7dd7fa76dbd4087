//! Changes of many devices: what they have in common goes on record once, before the first.

use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error};
use wardein_domain::{
    DeviceState, ErrorCode, Event, FieldName, Outcome, Reason, Role, Selector, Target, TenantId,
};
use wardein_port::Change;

/// What is done to each device of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchChange {
    /// It is set to this state.
    State(DeviceState),
    /// It is asked for new keys.
    Rotation {
        /// Whether it may do nothing else until it has them.
        is_required: bool,
    },
}

/// A change of many devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOrder {
    /// Whose devices.
    pub tenant: TenantId,
    /// What is done to each.
    pub change: BatchChange,
    /// By what they were chosen.
    pub selector: Selector,
    /// How many there are, 1 to [`BatchOrder::MAX_DEVICES`].
    pub devices: u32,
    /// SHA-256 over their ids in byte order, each followed by a line feed.
    pub digest: [u8; 32],
    /// Why.
    pub reason: Reason,
}

impl BatchOrder {
    /// The most devices of one batch.
    pub const MAX_DEVICES: u32 = 100_000;
}

impl Engine {
    /// Puts a change of many devices on record, which the caller then makes one by one. It changes no device. What the caller says
    /// of the devices is taken down and not compared with what it does: their own entries show that, by the same digest.
    pub async fn begin_batch(&self, caller: &Caller, order: &BatchOrder) -> Result<(), Error> {
        let BatchOrder { tenant, change, selector, devices, digest, reason } = order;
        self.require_tenant(caller, tenant)?;
        if !(1..=BatchOrder::MAX_DEVICES).contains(devices) {
            let message = format_args!("is {devices}; it takes 1 to {}", BatchOrder::MAX_DEVICES);
            return Err(Error::wrong("devices", message));
        }
        let what = match change {
            BatchChange::State(state) => {
                may_set(caller, *state)?;
                state.as_str()
            }
            BatchChange::Rotation { .. } if caller.principal.role == Role::Helpdesk => return Err(beyond()),
            BatchChange::Rotation { is_required: false } => "rotate",
            BatchChange::Rotation { is_required: true } => "rotate-required",
        };
        let entry =
            self.entry(caller, Event::DeviceBatchBegun, Target::Tenant(tenant.clone()), Outcome::Done);
        let entry = entry
            .in_tenant(tenant)
            .with(FieldName::Batch, hex(digest))
            .with(FieldName::BatchChange, what)
            .with(FieldName::Selector, selector)
            .with(FieldName::Devices, *devices)
            .with(FieldName::Reason, reason);
        self.transact_by(caller, |_| {
            let mut change = Change::default();
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }
}

/// Whether the caller may set devices to that state: a helpdesk takes out of trust for a while, and leaves the rest to
/// administrators.
pub(super) fn may_set(caller: &Caller, state: DeviceState) -> Result<(), Error> {
    match caller.principal.role {
        Role::Helpdesk if state != DeviceState::Suspended => Err(beyond()),
        _ => Ok(()),
    }
}

fn beyond() -> Error {
    let message = "role helpdesk suspends devices, and changes nothing else; an administrator does";
    Error::new(ErrorCode::RoleInsufficient, message)
}

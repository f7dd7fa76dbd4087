//! A deed's row, and how it changes.

use super::{Deed, DeedOf, DeedProgress, DeedStep};
use crate::kernel::{Error, record};
use crate::rows::{self, DeedRow, Step, What};
use wardein_ddkg::DeviceName;
use wardein_domain::{Actor, AuditEntry, Call, Event, Outcome, Target, TenantId, UnixMillis};
use wardein_port::{Expect, Table, Write};

/// A deed as it was read.
pub(crate) struct Underway {
    pub(crate) key: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) row: DeedRow,
}

/// The key of the one change of the root key that may be in progress.
pub(crate) const ROOT_KEY: &[u8] = b"root-key";

/// The prefix of the row keys of devices being shredded.
const SHRED: &[u8] = b"shred\0";

/// The key of the one shredding of a device that may be in progress.
pub(crate) fn shred_key(name: &DeviceName) -> Vec<u8> {
    [SHRED, &rows::device_key(name)].concat()
}

/// The prefix of the row keys of all devices of a tenant being shredded.
pub(crate) fn shred_prefix(tenant: &TenantId) -> Vec<u8> {
    [SHRED, &rows::tenant_prefix(tenant)].concat()
}

impl DeedRow {
    pub(crate) fn new(id: u64, what: What, actor: &Actor, request_id: &str, begun_at: UnixMillis) -> Self {
        Self {
            id,
            what,
            step: Step::Begun,
            actor: actor.to_string(),
            request_id: request_id.to_owned(),
            begun_at,
            devices: 0,
            tenant_key: 0,
            root_key: 0,
        }
    }

    /// The same after another step.
    pub(crate) fn at(&self, step: Step) -> Self {
        Self { step, ..self.clone() }
    }

    /// The order, lowest first: the root key is changed by one at a time, and quickly; tenants are swept one after the other.
    pub(crate) fn rank(&self) -> u8 {
        match (&self.step, &self.what) {
            (Step::Keeping | Step::Destroying { .. } | Step::Destroyed, _) => 0,
            (_, What::RootKey) => 1,
            (Step::Sweeping { .. } | Step::Swept, What::Shred { .. }) => 2,
            (Step::Begun, What::Shred { .. }) => 3,
        }
    }

    /// Whether the root key is being changed for it.
    pub(crate) fn changes_root_key(&self) -> bool {
        self.rank() == 0
    }

    /// The device that is shredded.
    pub(crate) fn device(&self) -> Result<DeviceName, Error> {
        match &self.what {
            What::Shred { tenant, device, .. } => {
                Ok(DeviceName { tenant: tenant.clone(), device: device.clone() })
            }
            What::RootKey => Err(Error::internal("a change of the root key has no device")),
        }
    }

    /// An audit entry of a step after the first, by the caller who requested the deed; where that call came from is in the first
    /// one.
    pub(crate) fn entry(&self, now_ms: u64, event: Event, target: Target) -> AuditEntry {
        let (actor, call) = (Actor::from_text(&self.actor), Call::new(&self.request_id));
        record::entry(now_ms, actor, event, target, Outcome::Done, &call)
    }

    pub(crate) fn progress(&self) -> DeedProgress {
        let step = match self.step {
            Step::Begun => DeedStep::Waiting,
            Step::Sweeping { .. } => DeedStep::Sweeping,
            Step::Swept | Step::Keeping | Step::Destroying { .. } | Step::Destroyed => DeedStep::RootKey,
        };
        let Self { devices, tenant_key, root_key, .. } = *self;
        DeedProgress { step, devices, tenant_key, root_key, failure: None }
    }

    pub(crate) fn listed(&self) -> Result<Deed, Error> {
        let of = match self.what {
            What::Shred { .. } => DeedOf::Shred(self.device()?),
            What::RootKey => DeedOf::RootKey,
        };
        let (progress, begun_at) = (self.progress(), self.begun_at.seconds().get());
        Ok(Deed { of, progress, actor: self.actor.clone(), request_id: self.request_id.clone(), begun_at })
    }
}

impl Underway {
    /// The write that brings it to another step.
    pub(crate) fn advanced(&self, next: &DeedRow) -> Result<Write, Error> {
        Ok(self.write(Some(rows::encode(next)?)))
    }

    /// The write that ends it.
    pub(crate) fn ended(&self) -> Write {
        self.write(None)
    }

    fn write(&self, value: Option<Vec<u8>>) -> Write {
        Write { table: Table::Deed, key: self.key.clone(), expect: Expect::Version(self.version), value }
    }
}

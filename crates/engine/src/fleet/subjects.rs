//! Devices as those see them who are not their administrators: the platforms of their tenant, and the station that enrolled them.

use crate::fleet::devices::{Device, DeviceFilter};
use crate::kernel::{Caller, Engine, Error, Page, Paged, SCANNED};
use crate::rows::{self, DeviceRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, DeviceState, ErrorCode, ModelName, ProfileName, TenantId, Udi};
use wardein_port::Table;

/// What a platform may know of a device without a verdict on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: DeviceId,
    /// Its state.
    pub state: DeviceState,
    /// The profile that it follows.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
    /// Unix seconds.
    pub enrolled_at: u64,
}

impl Engine {
    /// The devices of the caller's tenant in order of their ids, those of a state, profile and model. A page looks at a bounded number
    /// of devices: it may hold fewer than requested and still name a next one.
    pub async fn list_subjects(
        &self,
        caller: &Caller,
        filter: &DeviceFilter,
        page: Page,
    ) -> Result<Paged<Listed>, Error> {
        let prefix = rows::tenant_prefix(own_tenant(caller)?);
        let mut pager = self.pager(Table::Device, &prefix, &page, SCANNED)?;
        while let Some((key, row)) = pager.next().await? {
            let row: DeviceRow = rows::decode(Table::Device, &row.value)?;
            if !filter.lets_row_through(&row) {
                continue;
            }
            let DeviceName { device: id, .. } = rows::parse_device_key(&key)?;
            let DeviceRow { state, profile, model, udi, enrolled_at, .. } = row;
            pager.keep(Some(Listed { id, state, profile, model, udi, enrolled_at: enrolled_at.get() }));
        }
        Ok(pager.done())
    }

    /// A device that was enrolled under the caller's name. Any other is unknown, so that a station learns nothing of other stations'.
    pub async fn enrolled_by_caller(&self, caller: &Caller, device: DeviceId) -> Result<Device, Error> {
        let name = DeviceName { tenant: own_tenant(caller)?.clone(), device };
        let station = caller.principal.to_string();
        self.look(|tx| {
            let (_, row) = self.device_row(tx, &name)?;
            if row.enrolled_by != station {
                return Err(Error::no_device(&name).into());
            }
            self.device(tx, name.clone(), row)
        })
        .await
    }
}

fn own_tenant(caller: &Caller) -> Result<&TenantId, Error> {
    let message = "only an operator of a tenant may ask for its devices so";
    caller.principal.tenant.as_ref().ok_or_else(|| Error::new(ErrorCode::RoleInsufficient, message))
}

//! The rows of service access: a tenant's policy; a visit, at tenant and id; and the visits of a device that are not over, at the device.

use super::seal::Place;
use super::{PersonRow, column};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_crypto::P256VerifyingKey;
use wardein_domain::{
    ActionCategory, DeviceId, OperatorName, Reason, Seconds, ServicePolicy, ServiceScope, SourceAddress,
    TenantId, UnixSeconds, VisitWindow, WorkOrder,
};
use wardein_port::Table;

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ServicePolicyRow {
    #[serde(with = "column::list")]
    scopes: Vec<ServiceScope>,
    #[serde(with = "column")]
    longest: Seconds,
    /// Whether a person at a device may release a visit of it.
    is_released_at_device: bool,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct VisitRow {
    #[serde(with = "column")]
    pub(crate) technician: OperatorName,
    /// The technician's SSH key, in its binary form.
    pub(crate) ssh_key: Vec<u8>,
    #[serde(with = "column::list")]
    pub(crate) devices: Vec<DeviceId>,
    #[serde(with = "column")]
    pub(crate) work_order: WorkOrder,
    #[serde(with = "column")]
    pub(crate) scope: ServiceScope,
    #[serde(with = "column")]
    from: UnixSeconds,
    #[serde(with = "column")]
    until: UnixSeconds,
    /// Where the technician may come from; none for everywhere.
    #[serde(with = "column::list")]
    pub(crate) sources: Vec<SourceAddress>,
    /// Whether the token must ask for its PIN.
    pub(crate) needs_verification: bool,
    pub(crate) by: PersonRow,
    #[serde(with = "column")]
    pub(crate) made: UnixSeconds,
    /// Which restoring of the authority it was made after: its `restored_at` at that time.
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    pub(crate) released: VisitReleaseColumn,
    pub(crate) ended: Option<EndedRow>,
    /// Those of its devices for which the technician was certified, or got a code.
    #[serde(with = "column::list")]
    pub(crate) certified: Vec<DeviceId>,
    /// What the devices gave of the technician's sessions, at most [`MAX_PROTOCOLS`].
    pub(crate) protocols: Vec<ProtocolColumn>,
    /// That it was closed without protocols.
    pub(crate) closed: Option<ClosedRow>,
}

/// The protocol of a session.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProtocolColumn {
    #[serde(with = "column")]
    pub(crate) device: DeviceId,
    pub(crate) session: [u8; 16],
    #[serde(with = "column")]
    pub(crate) began: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) ended: UnixSeconds,
    pub(crate) end: VisitEndColumn,
    pub(crate) actions: Vec<ActionColumn>,
    /// When it was given.
    #[serde(with = "column")]
    pub(crate) given: UnixSeconds,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActionColumn {
    #[serde(with = "column")]
    pub(crate) category: ActionCategory,
    pub(crate) times: u32,
}

/// The order of the variants is stored.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisitEndColumn {
    Left,
    Over,
    Ended,
    BrokeOff,
}

/// The most sessions of a visit that are on record.
pub(crate) const MAX_PROTOCOLS: usize = 256;

/// Whether a visit was released, and by whom. The order of the variants is stored; the first two have the bytes of an option.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum VisitReleaseColumn {
    Waiting,
    /// By an operator.
    By(ReleasedRow),
    /// By a person at its device.
    AtDevice(ReleasedAtDeviceRow),
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ReleasedAtDeviceRow {
    #[serde(with = "column")]
    pub(crate) device: DeviceId,
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ReleasedRow {
    pub(crate) by: PersonRow,
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct EndedRow {
    pub(crate) by: PersonRow,
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) reason: Reason,
}

/// That a visit was closed without protocols.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ClosedRow {
    pub(crate) end: EndedRow,
    /// The devices of which none had come.
    #[serde(with = "column::list")]
    pub(crate) devices: Vec<DeviceId>,
}

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct DeviceVisitsRow {
    pub(crate) open: Vec<OpenVisitRow>,
}

/// A visit of the device whose window is not over.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct OpenVisitRow {
    pub(crate) id: [u8; 8],
    #[serde(with = "column")]
    pub(crate) technician: OperatorName,
    #[serde(with = "column")]
    from: UnixSeconds,
    #[serde(with = "column")]
    until: UnixSeconds,
    /// Whether it was ended: its certificates are revoked at the device until its window is over.
    pub(crate) is_ended: bool,
    /// As in [`VisitRow`]: what was made before a restore is revoked as well.
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
}

/// The uses of a device's codes for emergencies, the latest last.
#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct EmergencyUsesRow {
    pub(crate) uses: Vec<EmergencyUseRow>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct EmergencyUseRow {
    pub(crate) generation: u64,
    pub(crate) epoch: u32,
    pub(crate) number: u64,
    /// When the device said so.
    #[serde(with = "column")]
    pub(crate) reported: UnixSeconds,
    /// Who looked into it.
    pub(crate) closed: Option<EndedRow>,
    /// What the device told of the session.
    pub(crate) protocol: Option<ProtocolColumn>,
}

/// The CA that certifies a tenant's technicians.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ServiceCaRow {
    #[serde(with = "column")]
    pub(crate) public: P256VerifyingKey,
    /// PKCS#8, sealed under the root key.
    pub(crate) sealed: Vec<u8>,
    #[serde(with = "column")]
    pub(crate) made: UnixSeconds,
}

/// Where the sealed key belongs.
pub(crate) fn service_ca_place(public: &P256VerifyingKey) -> Place<'_> {
    Place { table: Table::ServiceCa, key: &public.0, column: "key" }
}

impl ServicePolicyRow {
    pub(crate) fn new(policy: &ServicePolicy) -> Self {
        Self {
            scopes: policy.scopes().cloned().collect(),
            longest: policy.longest(),
            is_released_at_device: policy.is_released_at_device(),
        }
    }

    pub(crate) fn policy(&self) -> Result<ServicePolicy, Error> {
        ServicePolicy::new(self.scopes.iter().cloned(), self.longest)
            .map(|policy| policy.with_release_at_device(self.is_released_at_device))
            .map_err(|error| super::damaged(Table::ServicePolicy, error))
    }
}

/// What a visit is from its beginning, and never changes.
pub(crate) struct VisitTerms {
    pub(crate) technician: OperatorName,
    pub(crate) ssh_key: Vec<u8>,
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) work_order: WorkOrder,
    pub(crate) scope: ServiceScope,
    pub(crate) window: VisitWindow,
    pub(crate) sources: Vec<SourceAddress>,
    pub(crate) needs_verification: bool,
}

impl VisitRow {
    pub(crate) fn new(terms: VisitTerms, by: PersonRow, made: UnixSeconds, restored_at: UnixSeconds) -> Self {
        let VisitTerms {
            technician,
            ssh_key,
            devices,
            work_order,
            scope,
            window,
            sources,
            needs_verification,
        } = terms;
        Self {
            technician,
            ssh_key,
            devices,
            work_order,
            scope,
            from: window.from(),
            until: window.until(),
            sources,
            needs_verification,
            by,
            made,
            restored_at,
            released: VisitReleaseColumn::Waiting,
            ended: None,
            certified: Vec::new(),
            protocols: Vec::new(),
            closed: None,
        }
    }

    pub(crate) fn window(&self) -> VisitWindow {
        VisitWindow::on_record(self.from, self.until)
    }
}

impl OpenVisitRow {
    /// What the device is told of a visit.
    pub(crate) fn of(id: [u8; 8], visit: &VisitRow) -> Self {
        let VisitRow { technician, from, until, restored_at, .. } = visit.clone();
        Self { id, technician, from, until, is_ended: false, restored_at }
    }

    pub(crate) fn window(&self) -> VisitWindow {
        VisitWindow::on_record(self.from, self.until)
    }
}

/// `tenant ‖ 0 ‖ id`.
pub(crate) fn visit_key(tenant: &TenantId, id: &[u8; 8]) -> Vec<u8> {
    [&super::tenant_prefix(tenant)[..], id].concat()
}

/// Tenant and id that [`visit_key`] is the key of.
pub(crate) fn parse_visit_key(key: &[u8]) -> Result<(TenantId, [u8; 8]), Error> {
    let parts = key.split_last_chunk::<8>().and_then(|(tenant, id)| {
        let tenant = std::str::from_utf8(tenant.strip_suffix(&[0])?).ok()?;
        Some((tenant.parse().ok()?, *id))
    });
    parts.ok_or_else(|| super::damaged(Table::Visit, "has a damaged key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use serde::de::DeserializeOwned;
    use wardein_crypto::hex;
    use wardein_domain::{Principal, Role, Serial};

    fn stays<T: Serialize + DeserializeOwned>(table: Table, row: &T, golden: &str) {
        assert_eq!(hex::encode(&encode(row).unwrap()), golden);
        let read: T = decode(table, &hex::decode(golden).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), golden);
    }

    #[test]
    fn the_bytes_of_the_rows_never_change() {
        let policy = ServicePolicy::new(["view".parse().unwrap()], Seconds::new(3_600)).unwrap();
        let row = ServicePolicyRow::new(&policy);
        assert_eq!(row.policy().unwrap(), policy);
        stays(Table::ServicePolicy, &row, "02010476696577901c00");
        let row = ServicePolicyRow::new(&policy.clone().with_release_at_device(true));
        assert!(row.policy().unwrap().is_released_at_device());
        stays(Table::ServicePolicy, &row, "02010476696577901c01");
        let by = PersonRow::from(&Principal {
            role: Role::ServiceCoordinator,
            tenant: Some("t".parse().unwrap()),
            name: "a".parse().unwrap(),
            serial: Serial::from_random([7; 16]),
        });
        let terms = VisitTerms {
            technician: "eva".parse().unwrap(),
            ssh_key: vec![1, 2],
            devices: vec!["d".parse().unwrap()],
            work_order: "WO-1".parse().unwrap(),
            scope: "view".parse().unwrap(),
            window: VisitWindow::on_record(UnixSeconds::new(10), UnixSeconds::new(300)),
            sources: vec!["192.0.2.0/24".parse().unwrap()],
            needs_verification: true,
        };
        let mut row = VisitRow::new(terms, by.clone(), UnixSeconds::new(4), UnixSeconds::new(2));
        stays(Table::Visit, &row, &format!("{VISIT}0000000000"));
        let at = UnixSeconds::new(5);
        row.released = VisitReleaseColumn::AtDevice(ReleasedAtDeviceRow { device: "d".parse().unwrap(), at });
        stays(Table::Visit, &row, &format!("{VISIT}0201640500000000"));
        row.released = VisitReleaseColumn::By(ReleasedRow { by: by.clone(), at });
        let end_by = by.clone();
        row.ended = Some(EndedRow { by, at: UnixSeconds::new(6), reason: "no".parse().unwrap() });
        row.certified = vec!["d".parse().unwrap()];
        row.protocols = vec![ProtocolColumn {
            device: "d".parse().unwrap(),
            session: [9; 16],
            began: UnixSeconds::new(11),
            ended: UnixSeconds::new(12),
            end: VisitEndColumn::BrokeOff,
            actions: vec![ActionColumn { category: "view".parse().unwrap(), times: 3 }],
            given: UnixSeconds::new(13),
        }];
        let told = format!("0164{}0b0c03010476696577030d", "09".repeat(16));
        let given = format!("01016401{told}");
        stays(Table::Visit, &row, &format!("{VISIT}01{BY}0501{BY}06026e6f{given}00"));
        let end = EndedRow { by: end_by.clone(), at: UnixSeconds::new(7), reason: "no".parse().unwrap() };
        row.closed = Some(ClosedRow { end, devices: vec!["d".parse().unwrap()] });
        let closed = format!("01{BY}07026e6f010164");
        stays(Table::Visit, &row, &format!("{VISIT}01{BY}0501{BY}06026e6f{given}{closed}"));
        let told_of = row.protocols[0].clone();
        let open = OpenVisitRow::of([1; 8], &row);
        let row = DeviceVisitsRow { open: vec![open] };
        let public = P256VerifyingKey([4; 65]);
        let ca = ServiceCaRow { public, sealed: vec![7, 7], made: UnixSeconds::new(300) };
        stays(Table::ServiceCa, &ca, &format!("0241{}020707ac02", "04".repeat(65)));
        stays(Table::DeviceVisits, &row, "02010101010101010101036576610aac020002");
        let closed = Some(EndedRow { by: end_by, at: UnixSeconds::new(6), reason: "no".parse().unwrap() });
        let of_use = EmergencyUseRow {
            generation: 7,
            epoch: 3,
            number: 9,
            reported: UnixSeconds::new(5),
            closed: None,
            protocol: None,
        };
        let protocol = Some(told_of);
        let uses = vec![of_use.clone(), EmergencyUseRow { closed, protocol, ..of_use }];
        let row = EmergencyUsesRow { uses };
        stays(
            Table::EmergencyUses,
            &row,
            &format!("020207030905000007030905 01{BY}06026e6f01{told}").replace(' ', ""),
        );
    }

    #[test]
    fn a_key_comes_back() {
        let tenant: TenantId = "klinik".parse().unwrap();
        for id in [[0; 8], [7; 8]] {
            assert_eq!(parse_visit_key(&visit_key(&tenant, &id)).unwrap(), (tenant.clone(), id));
        }
        assert!(parse_visit_key(b"klinik").is_err());
    }

    const BY: &str = "080101740161\
                      47070707070707070707070707070707";
    const VISIT: &str = "02036576610201020101640\
                         4574f2d3104766965770aac02010c3139322e302e322e302f323401\
                         08010174016147070707070707070707070707070707\
                         0402";
}

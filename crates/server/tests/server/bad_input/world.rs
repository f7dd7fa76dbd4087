//! A served authority with two tenants, and the one way in which a refused call is judged.

use super::posted;
use crate::common::{Served, issue_as};
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use wardein_client::{Connection, Refusal, number, time, v1};
use wardein_domain::{Access, Method, Role};
use wardein_port::{Row as StoredRow, Store, Table};

/// For how long the operators here are certified.
pub(crate) const VALIDITY: u64 = 3_600;

/// The status, the stable code, and a word of the message.
pub(crate) type Expected = (Code, &'static str, &'static str);

/// What is wrong, who calls, with what, and the refusal.
pub(crate) type Row<'a, Q> = (&'a str, &'a Connection, Q, Expected);

pub(crate) fn malformed(field: &'static str) -> Expected {
    (Code::InvalidArgument, "malformed", field)
}

pub(crate) const ETAG_MISMATCH: Expected = (Code::FailedPrecondition, "etag-mismatch", "somebody else");
pub(crate) const NO_TENANT: Expected = (Code::NotFound, "tenant-unknown", "no tenant");
pub(crate) const NO_DEVICE: Expected = (Code::NotFound, "device-unknown", "no device");

/// What no serial here is.
pub(crate) const NO_SERIAL: &str = "40000000000000000000000000000000";

/// Tenants `t` and `other`. All operators are of `t` but `admin`, `release_manager`, `backup`, and `foreign`, which administers
/// `other`.
pub(crate) struct World {
    pub(crate) served: Served,
    pub(crate) nobody: Connection,
    pub(crate) admin: Connection,
    pub(crate) tenant_admin: Connection,
    pub(crate) release_manager: Connection,
    pub(crate) foreign: Connection,
    pub(crate) station: Connection,
    pub(crate) platform: Connection,
    pub(crate) auditor: Connection,
    pub(crate) site: Connection,
    pub(crate) coordinator: Connection,
    pub(crate) technician: Connection,
    pub(crate) helpdesk: Connection,
    pub(crate) backup: Connection,
}

impl World {
    pub(crate) async fn new() -> Self {
        let served = Served::start().await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        for tenant in ["t", "other"] {
            let create = v1::CreateTenantRequest { tenant: tenant.into() };
            admin.admin().create_tenant(create).await.unwrap();
        }
        let operator = async |role: Role, tenant: &str| {
            let identity = issue_as(&admin, order(role, tenant, "one", 8)).await;
            served.connect(Some(identity)).await.unwrap()
        };
        Self {
            nobody: served.connect(None).await.unwrap(),
            tenant_admin: operator(Role::TenantAdmin, "t").await,
            foreign: operator(Role::TenantAdmin, "other").await,
            station: operator(Role::Station, "t").await,
            platform: operator(Role::Platform, "t").await,
            auditor: operator(Role::Auditor, "t").await,
            site: operator(Role::Site, "t").await,
            release_manager: operator(Role::ReleaseManager, "").await,
            coordinator: operator(Role::ServiceCoordinator, "t").await,
            technician: operator(Role::Technician, "t").await,
            helpdesk: operator(Role::Helpdesk, "t").await,
            backup: operator(Role::Backup, "").await,
            admin,
            served,
        }
    }

    /// Another operator of `t`, for a test that spoils it.
    pub(crate) async fn operator(&self, role: Role, name: &str, quota: u64) -> Connection {
        let identity = issue_as(&self.admin, order(role, "t", name, quota)).await;
        self.served.connect(Some(identity)).await.unwrap()
    }

    pub(crate) fn operators(&self) -> [(Role, &Connection); 11] {
        [
            (Role::Admin, &self.admin),
            (Role::TenantAdmin, &self.tenant_admin),
            (Role::Station, &self.station),
            (Role::Platform, &self.platform),
            (Role::Auditor, &self.auditor),
            (Role::ReleaseManager, &self.release_manager),
            (Role::Site, &self.site),
            (Role::ServiceCoordinator, &self.coordinator),
            (Role::Technician, &self.technician),
            (Role::Helpdesk, &self.helpdesk),
            (Role::Backup, &self.backup),
        ]
    }

    /// One who may call `method`.
    pub(crate) fn allowed(&self, method: Method) -> &Connection {
        let mut operators = self.operators().into_iter();
        match method.access() {
            Access::Open => &self.nobody,
            Access::Roles(_) => operators.find(|(role, _)| method.allows(Some(*role))).unwrap().1,
        }
    }

    /// The serial of the operator of that role and name in `tenant`.
    pub(crate) async fn serial(&self, role: Role, tenant: &str, name: &str) -> String {
        let asked = v1::ListOperatorsRequest { page_size: 1000, ..Default::default() };
        let listed = self.admin.admin().list_operators(asked).await.unwrap().into_inner().operators;
        let found = listed.into_iter().find(|operator| {
            (operator.role, operator.tenant.as_str(), operator.name.as_str())
                == (number::<v1::Role>(role.as_str()), tenant, name)
        });
        found.unwrap().serial
    }

    pub(crate) async fn set_state(&self, device_id: &str, state: &str) {
        let set = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: device_id.into(),
            state: number::<v1::DeviceState>(state),
            reason: "test".into(),
            ..Default::default()
        };
        self.admin.admin().set_device_state(set).await.unwrap();
    }

    /// Has the devices of `t` named so in their certificates.
    pub(crate) async fn name_devices(&self, cn: &str) {
        let (tenant, name) = ("t".into(), "default".into());
        let profile = v1::Profile { tenant, name, certificate_cn: Some(cn.into()), ..Default::default() };
        let put = v1::PutProfileRequest { profile: Some(profile), update_mask: None, ..Default::default() };
        self.admin.admin().put_profile(put).await.unwrap();
    }

    /// Each row is refused as it says.
    pub(crate) async fn refuses<'a, Q: Message>(
        &self,
        method: Method,
        rows: impl IntoIterator<Item = Row<'a, Q>>,
    ) {
        for (what, by, request, expected) in rows {
            let is_known = method.access() != Access::Open;
            self.refuses_bytes(method, what, by, is_known, Some(request.encode_to_vec()), expected).await;
        }
    }

    /// Status, code, words; one entry where the caller is known, and none where it is not; and every row as it was.
    pub(crate) async fn refuses_bytes(
        &self,
        method: Method,
        what: &str,
        by: &Connection,
        is_known: bool,
        message: Option<Vec<u8>>,
        (status, code, word): Expected,
    ) {
        let what = format!("{}: {what}", method.path());
        // Each is on record: a caller that is refused more than once a second is not.
        self.served.clock.pass(1);
        let (before, last) = (self.rows().await, self.served.store.head().await.unwrap().last_audit);
        // By POST first: what is refused changes nothing.
        let posted = posted::refuses(&self.served, method, &what, message.as_deref(), (status, code)).await;
        let left = send(by, method, message).await.expect_err(&what);
        let details = details(&left).expect(&what);
        let refusal = Refusal::from(left);
        assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{what}: {refusal}");
        assert!(refusal.message.contains(word), "{what}: {refusal}");
        assert_eq!(refusal.retry_after.is_some(), refusal.may_retry(), "{what}: {refusal}");
        assert_eq!(details.reason.to_ascii_lowercase().replace('_', "-"), code, "{what}");
        assert_eq!(Some(&details.request_id), refusal.request_id.as_ref(), "{what}");
        // The words begin with the field, if one is wrong.
        assert!(
            details.field.iter().all(|field| refusal.message.starts_with(&format!("{field}: "))),
            "{what}"
        );
        let names_one = refusal.message.contains(": ") && !refusal.message.starts_with("failed to decode");
        assert_eq!(details.field.is_some(), code == "malformed" && names_one, "{what}: {refusal}");
        // What a device does about it is in the specification.
        let known = refusal.known().expect(&what);
        assert!(is_known || known.is_for_devices() || !is_for_devices(method), "{what}: {refusal}");
        assert!(self.rows().await == before, "{what}: a row was changed");
        let id = refusal.request_id.expect(&what);
        let entries = self.entries(last + 1).await;
        let ids: Vec<_> = posted.into_iter().chain([id]).filter(|_| is_known).collect();
        let found: Vec<_> = entries.iter().map(|entry| entry.request_id.clone()).collect();
        assert_eq!(found, ids, "{what}: {entries:?}");
        for entry in entries {
            let said = (entry.event.as_str(), entry.target.as_str(), entry.outcome.as_str());
            assert_eq!(said, ("call.refuse", method.path(), code), "{what}");
            assert!(entry.address.starts_with("127.0.0.1:"), "{what}: {entry:?}");
            // A device is known by its proof, and shows no certificate.
            let certificate = if entry.actor.starts_with("device/") { 0 } else { 32 };
            assert_eq!(entry.certificate_sha256.len(), certificate, "{what}: {entry:?}");
            assert_eq!(entry.software, env!("CARGO_PKG_VERSION"), "{what}");
        }
    }

    /// All that is stored, but for the audit log; devices' histories are among it, since refusals are in the log alone.
    pub(crate) async fn rows(&self) -> Vec<(Vec<u8>, StoredRow)> {
        let mut rows = Vec::new();
        for table in Table::ALL {
            rows.extend(self.served.store.scan(table, b"", None, usize::MAX).await.unwrap());
        }
        // The time is kept every few minutes, whatever is called.
        rows.retain(|(key, _)| key != b"clock");
        rows
    }

    /// The entries from number `from` on, but for that of reading them.
    pub(crate) async fn entries(&self, from: u64) -> Vec<v1::AuditEntry> {
        let asked = v1::ListEntriesRequest { first: from, page_size: 1000, ..Default::default() };
        let mut entries = self.admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
        assert_eq!(entries.pop().unwrap().event, "audit.read");
        entries
    }
}

fn is_for_devices(method: Method) -> bool {
    matches!(
        method,
        Method::GetChallenge | Method::Prove | Method::ProveBySignature | Method::ConfirmEnrollment
    )
}

pub(crate) fn order(role: Role, tenant: &str, name: &str, quota: u64) -> v1::IssueOperatorRequest {
    v1::IssueOperatorRequest {
        role: number::<v1::Role>(role.as_str()),
        tenant: tenant.into(),
        name: name.into(),
        csr: Vec::new(),
        validity: time::span(VALIDITY),
        quota: if role == Role::Station { quota } else { 0 },
    }
}

/// Calls with these bytes as the message, or with none at all.
/// What the details of a refusal say.
struct Details {
    reason: String,
    request_id: String,
    field: Option<String>,
}

fn details(status: &Status) -> Option<Details> {
    let info = status.get_details_error_info().filter(|info| info.domain == "wardein")?;
    let field = status.get_details_bad_request().map(|bad| bad.field_violations[0].field.clone());
    Some(Details { reason: info.reason, request_id: status.get_details_request_info()?.request_id, field })
}

pub(crate) async fn send(by: &Connection, method: Method, message: Option<Vec<u8>>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::<Channel>::new(by.channel());
    grpc.ready().await.unwrap();
    let (request, path) =
        (Request::new(tokio_stream::iter(message)), PathAndQuery::from_static(method.path()));
    // A call of one message and a stream of one are the same bytes.
    let mut answers = grpc.streaming(request, path, Bytes).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// Messages as they are, whether or not they are protobuf.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(into, &message);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        let length = prost::bytes::Buf::remaining(from);
        prost::bytes::Buf::advance(from, length);
        Ok(Some(()))
    }
}

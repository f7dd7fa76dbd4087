//! The tables.

/// The tables. Numbers are stored, and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Singletons: the authority's sealed keys and its name, the last sweep, the format of rows.
    Authority = 1,
    /// Tenants with their sealed keys.
    Tenant = 2,
    /// Operators, by serial.
    Operator = 3,
    /// Profiles, by tenant and name.
    Profile = 4,
    /// Devices, by tenant and id.
    Device = 5,
    /// The sealed key records of devices, by tenant and id: their cold part, written when an epoch moves.
    DeviceKeys = 6,
    /// Certificates, by tenant, device and serial.
    Certificate = 7,
    /// Serials in use, each with the key of the row that has it.
    Serial = 8,
    /// The certificates of devices by the SHA-256 of their DER, each with the key of its row. Insert-only.
    CertificateFingerprint = 64,
    /// Operators' serials by role, tenant and name.
    OperatorName = 9,
    /// Keys that are spent, by tenant, device, generation, purpose, epoch and number. Insert-only.
    Spent = 10,
    /// Rights granted to platforms, by tenant, platform, right and profile.
    Grant = 11,
    /// Until format 3 the audit entries of devices, a second time. A migration empties it; the audit log has an index instead.
    History = 12,
    /// The hot part of devices' key records, by tenant and id: written with every proof.
    DeviceHot = 13,
    /// Revocations: of one certificate by issuer and serial, or by one rule of a device, a CA or a time range.
    Revocation = 14,
    /// Deeds (multi-step jobs) in progress, by their subject.
    Deed = 15,
    /// The keys that devices sign with, by tenant and id.
    SignatureKey = 16,
    /// Key storage policies, by tenant.
    KeyPolicy = 17,
    /// The endorsement keys that tenants list, by tenant and digest.
    EndorsementKey = 18,
    /// PCR policies, by tenant and profile.
    PcrPolicy = 19,
    /// Certificates that a signer in another process was to sign, by serial, until they are complete.
    Prepared = 20,
    /// What one device of a tenant has to itself: its id whatever its case, its key, its TPM, its UDI. Each leads to who has it;
    /// and devices by their serial numbers.
    DeviceClaim = 21,
    /// The certificates of TPM vendors that tenants trust, by tenant and digest.
    VendorRoot = 22,
    /// Operators' serials by tenant; those of the authority itself under no tenant.
    TenantOperator = 23,
    /// Invitations, by id.
    Invitation = 24,
    /// Idempotency keys that were used a short time ago, by time, then by who used which.
    IdempotencyKey = 25,
    /// Transfers of devices between tenants, by the giving tenant and the device; with them what leads there from the receiving one.
    Transfer = 26,
    /// The CAs that certify devices, by key identifier.
    IssuingCa = 27,
    /// Certificates of operators and platforms of the last day, by what was ordered: for who did not hear the answer.
    OperatorAnswer = 28,
    /// The open invitations of each tenant.
    OpenInvitations = 29,
    /// The vouchers of devices for their first certificate by EST, by tenant and id.
    Voucher = 30,
    /// The pins of platforms' keys, by tenant.
    PlatformPins = 32,
    /// Trust policies, by tenant and profile; that of the tenant itself under no profile.
    TrustPolicy = 35,
    /// Where devices are on the status lists, by the device and by the place. Insert-only.
    StatusEntry = 36,
    /// The bearer tokens of platforms, by tenant and the serial of the identity. A row is never deleted: memory goes by its version.
    BearerTokens = 37,
    /// Webhooks, by tenant and name.
    Webhook = 38,
    /// How far the receiver of each webhook was told, at the same keys.
    WebhookPosition = 39,
    /// Makers' repositories of updates, by name.
    UpdateRepository = 45,
    /// Their product lines with their releases, by repository and line.
    ProductLine = 46,
    /// The metadata of repositories as it is served, by repository and file.
    UpdateFile = 47,
    /// What tenants decide on updates of their devices, by tenant. A row is never deleted.
    SiteUpdates = 43,
    /// Which deeds need a second person, by tenant; for the authority itself under no tenant. A row is never deleted.
    ApprovalPolicy = 40,
    /// Proposals of deeds that need a second person, by id.
    Proposal = 41,
    /// The proposals that wait, by tenant.
    OpenProposals = 42,
    /// Service policies, by tenant.
    ServicePolicy = 50,
    /// Visits of technicians, by tenant and id.
    Visit = 51,
    /// The visits of each device that are not over, by tenant and id of the device.
    DeviceVisits = 52,
    /// The readers of profiles' files, by tenant and profile. A row is never deleted: numbers only rise.
    Readers = 57,
    /// The SSH CAs that certify technicians, by tenant.
    ServiceCa = 53,
    /// The uses of devices' codes for emergencies, by tenant and id of the device.
    EmergencyUses = 80,
    /// How far each audit sink took the log, by its name.
    AuditSink = 86,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 51] = [
        Self::Authority,
        Self::Tenant,
        Self::Operator,
        Self::Profile,
        Self::Device,
        Self::DeviceKeys,
        Self::Certificate,
        Self::Serial,
        Self::CertificateFingerprint,
        Self::OperatorName,
        Self::Spent,
        Self::Grant,
        Self::History,
        Self::DeviceHot,
        Self::Revocation,
        Self::Deed,
        Self::SignatureKey,
        Self::KeyPolicy,
        Self::EndorsementKey,
        Self::PcrPolicy,
        Self::Prepared,
        Self::DeviceClaim,
        Self::VendorRoot,
        Self::TenantOperator,
        Self::Invitation,
        Self::IdempotencyKey,
        Self::Transfer,
        Self::IssuingCa,
        Self::OperatorAnswer,
        Self::OpenInvitations,
        Self::Voucher,
        Self::PlatformPins,
        Self::TrustPolicy,
        Self::StatusEntry,
        Self::BearerTokens,
        Self::ApprovalPolicy,
        Self::Proposal,
        Self::OpenProposals,
        Self::ServicePolicy,
        Self::Visit,
        Self::DeviceVisits,
        Self::ServiceCa,
        Self::EmergencyUses,
        Self::Webhook,
        Self::WebhookPosition,
        Self::UpdateRepository,
        Self::ProductLine,
        Self::UpdateFile,
        Self::SiteUpdates,
        Self::Readers,
        Self::AuditSink,
    ];

    /// Whether its rows decide who is trusted with what. The feed carries these; everything else changes too often, or
    /// concerns nobody who watches.
    pub const fn authorizes(self) -> bool {
        match self {
            Self::Authority
            | Self::Tenant
            | Self::Operator
            | Self::Profile
            | Self::Device
            | Self::Grant
            | Self::Revocation
            | Self::KeyPolicy
            | Self::PcrPolicy
            | Self::Transfer
            | Self::IssuingCa
            | Self::TrustPolicy
            | Self::StatusEntry
            | Self::BearerTokens
            | Self::ProductLine => true,
            Self::DeviceKeys
            | Self::Certificate
            | Self::Serial
            | Self::CertificateFingerprint
            | Self::OperatorName
            | Self::Spent
            | Self::History
            | Self::DeviceHot
            | Self::Deed
            | Self::SignatureKey
            | Self::EndorsementKey
            | Self::Prepared
            | Self::DeviceClaim
            | Self::VendorRoot
            | Self::TenantOperator
            | Self::Invitation
            | Self::IdempotencyKey
            | Self::OperatorAnswer
            | Self::OpenInvitations
            | Self::Voucher
            | Self::PlatformPins
            | Self::ApprovalPolicy
            | Self::Proposal
            | Self::OpenProposals
            | Self::ServicePolicy
            | Self::Visit
            | Self::DeviceVisits
            | Self::ServiceCa
            | Self::EmergencyUses
            | Self::Webhook
            | Self::WebhookPosition
            | Self::UpdateRepository
            | Self::SiteUpdates
            | Self::Readers
            | Self::UpdateFile
            | Self::AuditSink => false,
        }
    }

    /// Whether its rows say when a device last proved or signed something. They are projected and in no feed: nearly every commit writes
    /// one, and memory that loads again reads them all.
    pub const fn is_of_signs(self) -> bool {
        matches!(self, Self::DeviceHot | Self::SignatureKey)
    }
}

//! Who may call what: one table, deny by default.

use crate::operator::Role;

/// A method's requirements on its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No certificate: the request carries its own proof, or the answer is public.
    Open,
    /// A certificate of one of these roles.
    Roles(&'static [Role]),
}

macro_rules! methods {
    ($($method:ident = $path:literal: $access:expr,)*) => {
        /// A method of the gRPC services.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Method {
            $(#[doc = $path] $method,)*
        }

        impl Method {
            /// All methods.
            pub const ALL: &'static [Self] = &[$(Self::$method),*];

            /// The path that gRPC calls it by, such as `/wardein.v1.TrustService/Check`.
            pub const fn path(self) -> &'static str {
                match self {
                    $(Self::$method => $path,)*
                }
            }

            /// Its row of the table.
            pub fn access(self) -> Access {
                match self {
                    $(Self::$method => $access,)*
                }
            }
        }
    };
}

use Access::{Open, Roles};
use Role::{
    Admin, Auditor, Backup, Helpdesk, Platform, ReleaseManager, ServiceCoordinator, Site, Station,
    Technician, TenantAdmin,
};

methods! {
    Enroll = "/wardein.v1.ProvisioningService/Enroll": Roles(&[Station]),
    Confirm = "/wardein.v1.ProvisioningService/Confirm": Roles(&[Station]),
    EnrollStream = "/wardein.v1.ProvisioningService/EnrollStream": Roles(&[Station]),
    BeginTpmEnrollment = "/wardein.v1.ProvisioningService/BeginTpmEnrollment": Roles(&[Station]),
    FinishTpmEnrollment = "/wardein.v1.ProvisioningService/FinishTpmEnrollment": Roles(&[Station]),
    EnrollKey = "/wardein.v1.ProvisioningService/EnrollKey": Roles(&[Station]),
    GetStation = "/wardein.v1.ProvisioningService/GetStation": Roles(&[Station]),
    GetEnrollment = "/wardein.v1.ProvisioningService/GetEnrollment": Roles(&[Station]),
    MakeVoucher = "/wardein.v1.ProvisioningService/MakeVoucher": Roles(&[Station, Admin, TenantAdmin]),
    GetChallenge = "/wardein.v1.DeviceService/GetChallenge": Open,
    Prove = "/wardein.v1.DeviceService/Prove": Open,
    ProveBySignature = "/wardein.v1.DeviceService/ProveBySignature": Open,
    ConfirmEnrollment = "/wardein.v1.DeviceService/ConfirmEnrollment": Open,
    Check = "/wardein.v1.TrustService/Check": Roles(&[Platform]),
    CheckStream = "/wardein.v1.TrustService/CheckStream": Roles(&[Platform]),
    Watch = "/wardein.v1.TrustService/Watch": Roles(&[Platform]),
    ListSubjects = "/wardein.v1.TrustService/ListSubjects": Roles(&[Platform]),
    VerifyToken = "/wardein.v1.TrustService/VerifyToken": Roles(&[Platform]),
    ReleaseKey = "/wardein.v1.TrustService/ReleaseKey": Roles(&[Platform]),
    ReleaseFileKeys = "/wardein.v1.TrustService/ReleaseFileKeys": Roles(&[Platform]),
    Open = "/wardein.v1.TrustService/Open": Roles(&[Platform]),
    ListCertificates = "/wardein.v1.CertificateService/ListCertificates": Roles(&[Admin, TenantAdmin, Auditor]),
    RevokeCertificate = "/wardein.v1.CertificateService/RevokeCertificate": Roles(&[Admin, TenantAdmin]),
    RevokeIssued = "/wardein.v1.CertificateService/RevokeIssued": Roles(&[Admin, TenantAdmin]),
    ReleaseCertificate = "/wardein.v1.CertificateService/ReleaseCertificate": Roles(&[Admin, TenantAdmin]),
    IssuePlatformCertificate = "/wardein.v1.CertificateService/IssuePlatformCertificate": Roles(&[Admin, TenantAdmin]),
    PutPlatformPins = "/wardein.v1.CertificateService/PutPlatformPins": Roles(&[Admin, TenantAdmin]),
    GetPlatformPins = "/wardein.v1.CertificateService/GetPlatformPins": Roles(&[Admin, TenantAdmin, Auditor]),
    GetTrustBundle = "/wardein.v1.CertificateService/GetTrustBundle": Open,
    ListCas = "/wardein.v1.CaService/ListCas": Roles(&[Admin, TenantAdmin, Auditor]),
    CreateCa = "/wardein.v1.CaService/CreateCa": Roles(&[Admin]),
    SwitchCa = "/wardein.v1.CaService/SwitchCa": Roles(&[Admin]),
    RetireCa = "/wardein.v1.CaService/RetireCa": Roles(&[Admin]),
    DistrustCa = "/wardein.v1.CaService/DistrustCa": Roles(&[Admin]),
    RequestCaCertificate = "/wardein.v1.CaService/RequestCaCertificate": Roles(&[Admin]),
    ImportCaChain = "/wardein.v1.CaService/ImportCaChain": Roles(&[Admin]),
    CreateTenant = "/wardein.v1.AdminService/CreateTenant": Roles(&[Admin]),
    ListTenants = "/wardein.v1.AdminService/ListTenants": Roles(&[Admin, Auditor]),
    IssueOperator = "/wardein.v1.AdminService/IssueOperator": Roles(&[Admin, TenantAdmin]),
    RenewOperator = "/wardein.v1.AdminService/RenewOperator": Roles(&Role::ALL),
    ListOperators = "/wardein.v1.AdminService/ListOperators": Roles(&[Admin, TenantAdmin, Auditor]),
    RevokeOperator = "/wardein.v1.AdminService/RevokeOperator": Roles(&[Admin, TenantAdmin]),
    PutProfile = "/wardein.v1.AdminService/PutProfile": Roles(&[Admin, TenantAdmin]),
    ListProfiles = "/wardein.v1.AdminService/ListProfiles": Roles(&[Admin, TenantAdmin, Auditor]),
    GetDevice = "/wardein.v1.AdminService/GetDevice": Roles(&[Admin, TenantAdmin, Auditor, Helpdesk]),
    ListDevices = "/wardein.v1.AdminService/ListDevices": Roles(&[Admin, TenantAdmin, Auditor, Helpdesk]),
    SetDeviceState = "/wardein.v1.AdminService/SetDeviceState": Roles(&[Admin, TenantAdmin, Helpdesk]),
    BeginBatch = "/wardein.v1.AdminService/BeginBatch": Roles(&[Admin, TenantAdmin, Helpdesk]),
    ReadmitDevice = "/wardein.v1.AdminService/ReadmitDevice": Roles(&[Admin, TenantAdmin]),
    TransferDevice = "/wardein.v1.AdminService/TransferDevice": Roles(&[Admin, TenantAdmin]),
    AcceptTransfer = "/wardein.v1.AdminService/AcceptTransfer": Roles(&[Admin, TenantAdmin]),
    WithdrawTransfer = "/wardein.v1.AdminService/WithdrawTransfer": Roles(&[Admin, TenantAdmin]),
    ListTransfers = "/wardein.v1.AdminService/ListTransfers": Roles(&[Admin, TenantAdmin, Auditor]),
    ListDeviceHistory = "/wardein.v1.AdminService/ListDeviceHistory": Roles(&[Admin, TenantAdmin, Auditor, Helpdesk]),
    RotateKeys = "/wardein.v1.AdminService/RotateKeys": Roles(&[Admin, TenantAdmin]),
    GetKeyStatus = "/wardein.v1.AdminService/GetKeyStatus": Roles(&[Admin, TenantAdmin, Auditor]),
    AddGrant = "/wardein.v1.AdminService/AddGrant": Roles(&[Admin, TenantAdmin]),
    ListGrants = "/wardein.v1.AdminService/ListGrants": Roles(&[Admin, TenantAdmin, Auditor]),
    RemoveGrant = "/wardein.v1.AdminService/RemoveGrant": Roles(&[Admin, TenantAdmin]),
    GetStatus = "/wardein.v1.AdminService/GetStatus": Roles(&[Admin, TenantAdmin, Auditor, Helpdesk, Backup]),
    GetClock = "/wardein.v1.AdminService/GetClock": Roles(&[Admin, Auditor]),
    AcceptClock = "/wardein.v1.AdminService/AcceptClock": Roles(&[Admin]),
    RotateStorageKey = "/wardein.v1.StorageService/RotateStorageKey": Roles(&[Admin]),
    Sweep = "/wardein.v1.StorageService/Sweep": Roles(&[Admin]),
    Backup = "/wardein.v1.StorageService/Backup": Roles(&[Admin, Backup]),
    ShredDevice = "/wardein.v1.StorageService/ShredDevice": Roles(&[Admin]),
    ListDeeds = "/wardein.v1.StorageService/ListDeeds": Roles(&[Admin, Auditor]),
    PutKeyPolicy = "/wardein.v1.AttestationService/PutKeyPolicy": Roles(&[Admin, TenantAdmin]),
    GetKeyPolicy = "/wardein.v1.AttestationService/GetKeyPolicy": Roles(&[Admin, TenantAdmin, Auditor]),
    AddEndorsementKeys = "/wardein.v1.AttestationService/AddEndorsementKeys": Roles(&[Admin, TenantAdmin]),
    RemoveEndorsementKeys = "/wardein.v1.AttestationService/RemoveEndorsementKeys": Roles(&[Admin, TenantAdmin]),
    ListEndorsementKeys = "/wardein.v1.AttestationService/ListEndorsementKeys": Roles(&[Admin, TenantAdmin, Auditor]),
    PutPcrPolicy = "/wardein.v1.AttestationService/PutPcrPolicy": Roles(&[Admin, TenantAdmin]),
    ListPcrPolicies = "/wardein.v1.AttestationService/ListPcrPolicies": Roles(&[Admin, TenantAdmin, Auditor]),
    ApprovePcrs = "/wardein.v1.AttestationService/ApprovePcrs": Roles(&[Admin, TenantAdmin]),
    GetTrustPolicy = "/wardein.v1.TrustPolicyService/GetTrustPolicy": Roles(&[Admin, TenantAdmin, Auditor]),
    PutTrustPolicy = "/wardein.v1.TrustPolicyService/PutTrustPolicy": Roles(&[Admin, TenantAdmin]),
    PreviewTrustPolicy = "/wardein.v1.TrustPolicyService/PreviewTrustPolicy": Roles(&[Admin, TenantAdmin]),
    GetDeviceTrust = "/wardein.v1.TrustPolicyService/GetDeviceTrust": Roles(&[Admin, TenantAdmin, Auditor, Helpdesk]),
    ReplaceVerdictKey = "/wardein.v1.TrustPolicyService/ReplaceVerdictKey": Roles(&[Admin]),
    CreateUpdateRepository = "/wardein.v1.UpdateService/CreateUpdateRepository": Roles(&[Admin]),
    ListUpdateRepositories = "/wardein.v1.UpdateService/ListUpdateRepositories": Roles(&[Admin, Auditor]),
    RotateUpdateRoot = "/wardein.v1.UpdateService/RotateUpdateRoot": Roles(&[Admin]),
    CreateProductLine = "/wardein.v1.UpdateService/CreateProductLine": Roles(&[Admin]),
    ListProductLines = "/wardein.v1.UpdateService/ListProductLines": Roles(&[Admin, Auditor, ReleaseManager]),
    AddRelease = "/wardein.v1.UpdateService/AddRelease": Roles(&[Admin, ReleaseManager]),
    ListReleases = "/wardein.v1.UpdateService/ListReleases": Roles(&[Admin, TenantAdmin, Auditor, ReleaseManager, Site]),
    SetReleaseState = "/wardein.v1.UpdateService/SetReleaseState": Roles(&[Admin, ReleaseManager]),
    SetReleaseRollout = "/wardein.v1.UpdateService/SetReleaseRollout": Roles(&[Admin, ReleaseManager]),
    GetUpdateDraft = "/wardein.v1.UpdateService/GetUpdateDraft": Roles(&[Admin, Auditor, ReleaseManager]),
    SignUpdateDraft = "/wardein.v1.UpdateService/SignUpdateDraft": Roles(&[Admin, ReleaseManager]),
    GetUpdateMetadata = "/wardein.v1.UpdateService/GetUpdateMetadata": Roles(&[Admin, Auditor, ReleaseManager]),
    GetUpdateRules = "/wardein.v1.SiteService/GetUpdateRules": Roles(&[Site, TenantAdmin, Admin, Auditor]),
    PutUpdateRules = "/wardein.v1.SiteService/PutUpdateRules": Roles(&[Site, TenantAdmin]),
    DecideUpdate = "/wardein.v1.SiteService/DecideUpdate": Roles(&[Site, TenantAdmin]),
    ListEntries = "/wardein.v1.AuditService/ListEntries": Roles(&[Admin, TenantAdmin, Auditor]),
    CreateInvitation = "/wardein.v1.InvitationService/CreateInvitation": Roles(&[Admin, TenantAdmin]),
    RevokeInvitation = "/wardein.v1.InvitationService/RevokeInvitation": Roles(&[Admin, TenantAdmin]),
    ListInvitations = "/wardein.v1.InvitationService/ListInvitations": Roles(&[Admin, TenantAdmin, Auditor]),
    RedeemInvitation = "/wardein.v1.InvitationService/RedeemInvitation": Open,
    GetApprovalPolicy = "/wardein.v1.ApprovalService/GetApprovalPolicy": Roles(&[Admin, TenantAdmin, Auditor]),
    PutApprovalPolicy = "/wardein.v1.ApprovalService/PutApprovalPolicy": Roles(&[Admin, TenantAdmin]),
    ListProposals = "/wardein.v1.ApprovalService/ListProposals": Roles(&[Admin, TenantAdmin, Auditor]),
    GetProposal = "/wardein.v1.ApprovalService/GetProposal": Roles(&[Admin, TenantAdmin, Auditor]),
    ApproveProposal = "/wardein.v1.ApprovalService/ApproveProposal": Roles(&[Admin, TenantAdmin]),
    RejectProposal = "/wardein.v1.ApprovalService/RejectProposal": Roles(&[Admin, TenantAdmin]),
    GetServicePolicy = "/wardein.v1.ServiceAccessService/GetServicePolicy": Roles(&[Admin, TenantAdmin, Auditor, ServiceCoordinator]),
    PutServicePolicy = "/wardein.v1.ServiceAccessService/PutServicePolicy": Roles(&[Admin, TenantAdmin]),
    InviteTechnician = "/wardein.v1.ServiceAccessService/InviteTechnician": Roles(&[Admin, TenantAdmin, ServiceCoordinator]),
    ListVisits = "/wardein.v1.ServiceAccessService/ListVisits": Roles(&[Admin, TenantAdmin, Auditor, Site, ServiceCoordinator, Technician]),
    GetVisit = "/wardein.v1.ServiceAccessService/GetVisit": Roles(&[Admin, TenantAdmin, Auditor, Site, ServiceCoordinator, Technician]),
    ReleaseVisit = "/wardein.v1.ServiceAccessService/ReleaseVisit": Roles(&[Site]),
    GetServiceCa = "/wardein.v1.ServiceAccessService/GetServiceCa": Roles(&[Admin, TenantAdmin, Auditor, Site, ServiceCoordinator, Technician]),
    IssueVisitCertificate = "/wardein.v1.ServiceAccessService/IssueVisitCertificate": Roles(&[Technician]),
    ShowEmergencyCode = "/wardein.v1.ServiceAccessService/ShowEmergencyCode": Roles(&[Admin, TenantAdmin, Site]),
    ListEmergencyUses = "/wardein.v1.ServiceAccessService/ListEmergencyUses": Roles(&[Admin, TenantAdmin, Auditor, Site, ServiceCoordinator]),
    CloseEmergencyReview = "/wardein.v1.ServiceAccessService/CloseEmergencyReview": Roles(&[Admin, TenantAdmin, Site]),
    AnswerChallenge = "/wardein.v1.ServiceAccessService/AnswerChallenge": Roles(&[Technician]),
    ImportVisitProtocol = "/wardein.v1.ServiceAccessService/ImportVisitProtocol": Roles(&[Admin, TenantAdmin, Site, ServiceCoordinator, Technician]),
    CloseVisit = "/wardein.v1.ServiceAccessService/CloseVisit": Roles(&[Admin, TenantAdmin, Site]),
    EndVisit = "/wardein.v1.ServiceAccessService/EndVisit": Roles(&[Admin, TenantAdmin, Site, ServiceCoordinator, Technician]),
    CreateBearerToken = "/wardein.v1.BearerTokenService/CreateBearerToken": Roles(&[Admin, TenantAdmin]),
    RevokeBearerToken = "/wardein.v1.BearerTokenService/RevokeBearerToken": Roles(&[Admin, TenantAdmin]),
    ListBearerTokens = "/wardein.v1.BearerTokenService/ListBearerTokens": Roles(&[Admin, TenantAdmin, Auditor]),
    ListReaders = "/wardein.v1.ReaderService/ListReaders": Roles(&[Admin, TenantAdmin, Auditor]),
    AddReader = "/wardein.v1.ReaderService/AddReader": Roles(&[Admin, TenantAdmin]),
    RemoveReader = "/wardein.v1.ReaderService/RemoveReader": Roles(&[Admin, TenantAdmin]),
    PutSealing = "/wardein.v1.ReaderService/PutSealing": Roles(&[Admin, TenantAdmin]),
    PutWebhook = "/wardein.v1.WebhookService/PutWebhook": Roles(&[Admin]),
    ListWebhooks = "/wardein.v1.WebhookService/ListWebhooks": Roles(&[Admin, TenantAdmin, Auditor]),
    RemoveWebhook = "/wardein.v1.WebhookService/RemoveWebhook": Roles(&[Admin]),
    TestWebhook = "/wardein.v1.WebhookService/TestWebhook": Roles(&[Admin]),
}

impl Method {
    /// The method of that path; `None` means that it has no row, and nobody may call it.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.path() == path)
    }

    /// Whether it can be called with JSON as well: a method of platforms that takes one message and answers with one that is not a secret.
    pub const fn takes_json(self) -> bool {
        matches!(self, Self::Check | Self::ListSubjects | Self::VerifyToken)
    }

    /// Whether a caller of `role`, or one without a certificate, may call it.
    pub fn allows(self, role: Option<Role>) -> bool {
        match (self.access(), role) {
            (Open, _) => true,
            (Roles(_), None) => false,
            (Roles(roles), Some(role)) => roles.contains(&role),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a role may call beside what is open to all, and what every operator may for itself.
    fn of(role: Role) -> impl Iterator<Item = &'static Method> {
        assert!(Role::ALL.iter().all(|role| Method::RenewOperator.allows(Some(*role))));
        let own = move |method: &&Method| method.access() != Open && method.allows(Some(role));
        Method::ALL.iter().filter(own).filter(|method| **method != Method::RenewOperator)
    }

    #[test]
    fn a_method_without_a_row_is_nobodys() {
        assert_eq!(Method::from_path("/wardein.v1.AdminService/Unheard"), None);
        for method in Method::ALL {
            assert_eq!(Method::from_path(method.path()), Some(*method));
        }
    }

    #[test]
    fn a_station_can_enroll_renew_itself_and_nothing_else_that_is_not_open() {
        for method in of(Station) {
            let path = method.path();
            assert!(path.starts_with("/wardein.v1.ProvisioningService/"), "{path}");
        }
    }

    #[test]
    fn a_release_manager_has_to_do_with_updates_and_nothing_else() {
        for method in of(ReleaseManager) {
            let path = method.path();
            assert!(path.starts_with("/wardein.v1.UpdateService/"), "{path}");
        }
    }

    #[test]
    fn a_site_has_to_do_with_updates_and_visits_of_its_devices_and_nothing_else() {
        for method in of(Site) {
            let path = method.path();
            let is_its_own = matches!(
                method,
                // What it is to consent to.
                Method::ListReleases
                    | Method::ListVisits
                    | Method::GetVisit
                    | Method::ReleaseVisit
                    | Method::EndVisit
                    | Method::CloseVisit
                    | Method::ImportVisitProtocol
                    | Method::GetServiceCa
                    | Method::ShowEmergencyCode
                    | Method::ListEmergencyUses
                    | Method::CloseEmergencyReview
            );
            assert!(is_its_own || path.starts_with("/wardein.v1.SiteService/"), "{path}");
        }
    }

    #[test]
    fn who_has_to_do_with_visits_has_to_do_with_nothing_else() {
        for method in of(ServiceCoordinator).chain(of(Technician)) {
            let path = method.path();
            assert!(path.starts_with("/wardein.v1.ServiceAccessService/"), "{path}");
        }
        assert!(!Method::InviteTechnician.allows(Some(Technician)));
        assert!(!Method::ReleaseVisit.allows(Some(ServiceCoordinator)));
        for method in [Method::IssueVisitCertificate, Method::AnswerChallenge] {
            assert!(Role::ALL.iter().all(|role| method.allows(Some(*role)) == (*role == Technician)));
        }
    }

    #[test]
    fn an_auditor_changes_nothing_but_its_own_certificate() {
        for method in of(Auditor) {
            let name = method.path().rsplit('/').next().unwrap();
            assert!(name.starts_with("List") || name.starts_with("Get"), "{name}");
        }
    }

    #[test]
    fn a_helpdesk_sees_devices_and_suspends_and_does_nothing_else() {
        let its_own = [
            Method::GetDevice,
            Method::ListDevices,
            // What it may set is the engine's to say: SUSPENDED alone.
            Method::SetDeviceState,
            Method::BeginBatch,
            Method::ListDeviceHistory,
            Method::GetStatus,
            Method::GetDeviceTrust,
        ];
        assert!(of(Helpdesk).eq(its_own.iter()));
    }

    #[test]
    fn a_backup_operator_takes_backups_sees_their_state_and_does_nothing_else() {
        assert!(of(Backup).eq([Method::GetStatus, Method::Backup].iter()));
    }

    #[test]
    fn without_a_certificate_only_what_is_open() {
        for method in Method::ALL {
            assert_eq!(method.allows(None), method.access() == Open, "{}", method.path());
        }
    }
}

//! The calls of the API, by who makes them: a request goes out, its answer or a refusal comes back.

use crate::connect::Connection;
use crate::refusal::Refusal;
use crate::v1;
use tonic::{IntoStreamingRequest, Streaming};

/// Declares a client: from each service its calls.
macro_rules! client {
    ($(#[$doc:meta])* $client:ident { $($service:ident { $($method:ident: $request:ident => $answer:ident,)* })* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $client(pub(crate) Connection);

        impl $client {
            $($(
                #[doc = concat!("Calls `", stringify!($method), "`.")]
                pub async fn $method(&self, request: v1::$request) -> Result<v1::$answer, Refusal> {
                    Ok(self.0.$service().$method(request).await?.into_inner())
                }
            )*)*
        }
    };
}

client! {
    /// The calls of a factory's station.
    Station {
        provisioning {
            enroll: EnrollRequest => EnrollResponse,
            confirm: ConfirmRequest => ConfirmResponse,
            begin_tpm_enrollment: BeginTpmEnrollmentRequest => BeginTpmEnrollmentResponse,
            finish_tpm_enrollment: FinishTpmEnrollmentRequest => FinishTpmEnrollmentResponse,
            enroll_key: EnrollKeyRequest => EnrollKeyResponse,
            get_station: GetStationRequest => GetStationResponse,
            get_enrollment: GetEnrollmentRequest => GetEnrollmentResponse,
        }
        certificates {
            get_trust_bundle: GetTrustBundleRequest => GetTrustBundleResponse,
        }
        device {
            get_challenge: GetChallengeRequest => GetChallengeResponse,
            prove: ProveRequest => ProveResponse,
        }
    }
}

client! {
    /// The calls of a platform.
    Platform {
        trust {
            check: CheckRequest => CheckResponse,
            list_subjects: ListSubjectsRequest => ListSubjectsResponse,
            verify_token: VerifyTokenRequest => VerifyTokenResponse,
            release_key: ReleaseKeyRequest => ReleaseKeyResponse,
            release_file_keys: ReleaseFileKeysRequest => ReleaseFileKeysResponse,
            open: OpenRequest => OpenResponse,
        }
        certificates {
            get_trust_bundle: GetTrustBundleRequest => GetTrustBundleResponse,
        }
    }
}

client! {
    /// The calls of administrators, auditors and helpdesks, and of who takes backups.
    Operator {
        admin {
            create_tenant: CreateTenantRequest => CreateTenantResponse,
            list_tenants: ListTenantsRequest => ListTenantsResponse,
            issue_operator: IssueOperatorRequest => IssueOperatorResponse,
            renew_operator: RenewOperatorRequest => RenewOperatorResponse,
            list_operators: ListOperatorsRequest => ListOperatorsResponse,
            revoke_operator: RevokeOperatorRequest => RevokeOperatorResponse,
            put_profile: PutProfileRequest => PutProfileResponse,
            list_profiles: ListProfilesRequest => ListProfilesResponse,
            get_device: GetDeviceRequest => GetDeviceResponse,
            list_devices: ListDevicesRequest => ListDevicesResponse,
            set_device_state: SetDeviceStateRequest => SetDeviceStateResponse,
            begin_batch: BeginBatchRequest => BeginBatchResponse,
            readmit_device: ReadmitDeviceRequest => ReadmitDeviceResponse,
            transfer_device: TransferDeviceRequest => TransferDeviceResponse,
            accept_transfer: AcceptTransferRequest => AcceptTransferResponse,
            withdraw_transfer: WithdrawTransferRequest => WithdrawTransferResponse,
            list_transfers: ListTransfersRequest => ListTransfersResponse,
            list_device_history: ListDeviceHistoryRequest => ListDeviceHistoryResponse,
            rotate_keys: RotateKeysRequest => RotateKeysResponse,
            get_key_status: GetKeyStatusRequest => GetKeyStatusResponse,
            add_grant: AddGrantRequest => AddGrantResponse,
            list_grants: ListGrantsRequest => ListGrantsResponse,
            remove_grant: RemoveGrantRequest => RemoveGrantResponse,
            get_status: GetStatusRequest => GetStatusResponse,
            get_clock: GetClockRequest => GetClockResponse,
            accept_clock: AcceptClockRequest => AcceptClockResponse,
        }
        provisioning {
            make_voucher: MakeVoucherRequest => MakeVoucherResponse,
        }
        invitations {
            create_invitation: CreateInvitationRequest => CreateInvitationResponse,
            revoke_invitation: RevokeInvitationRequest => RevokeInvitationResponse,
            list_invitations: ListInvitationsRequest => ListInvitationsResponse,
            redeem_invitation: RedeemInvitationRequest => RedeemInvitationResponse,
        }
        bearer_tokens {
            create_bearer_token: CreateBearerTokenRequest => CreateBearerTokenResponse,
            revoke_bearer_token: RevokeBearerTokenRequest => RevokeBearerTokenResponse,
            list_bearer_tokens: ListBearerTokensRequest => ListBearerTokensResponse,
        }
        updates {
            create_update_repository: CreateUpdateRepositoryRequest => CreateUpdateRepositoryResponse,
            list_update_repositories: ListUpdateRepositoriesRequest => ListUpdateRepositoriesResponse,
            rotate_update_root: RotateUpdateRootRequest => RotateUpdateRootResponse,
            create_product_line: CreateProductLineRequest => CreateProductLineResponse,
            list_product_lines: ListProductLinesRequest => ListProductLinesResponse,
            add_release: AddReleaseRequest => AddReleaseResponse,
            list_releases: ListReleasesRequest => ListReleasesResponse,
            set_release_state: SetReleaseStateRequest => SetReleaseStateResponse,
            set_release_rollout: SetReleaseRolloutRequest => SetReleaseRolloutResponse,
            get_update_draft: GetUpdateDraftRequest => GetUpdateDraftResponse,
            sign_update_draft: SignUpdateDraftRequest => SignUpdateDraftResponse,
            get_update_metadata: GetUpdateMetadataRequest => GetUpdateMetadataResponse,
        }
        approvals {
            get_approval_policy: GetApprovalPolicyRequest => GetApprovalPolicyResponse,
            put_approval_policy: PutApprovalPolicyRequest => PutApprovalPolicyResponse,
            list_proposals: ListProposalsRequest => ListProposalsResponse,
            get_proposal: GetProposalRequest => GetProposalResponse,
            approve_proposal: ApproveProposalRequest => ApproveProposalResponse,
            reject_proposal: RejectProposalRequest => RejectProposalResponse,
        }
        service_access {
            get_service_policy: GetServicePolicyRequest => GetServicePolicyResponse,
            put_service_policy: PutServicePolicyRequest => PutServicePolicyResponse,
            invite_technician: InviteTechnicianRequest => InviteTechnicianResponse,
            list_visits: ListVisitsRequest => ListVisitsResponse,
            get_visit: GetVisitRequest => GetVisitResponse,
            release_visit: ReleaseVisitRequest => ReleaseVisitResponse,
            end_visit: EndVisitRequest => EndVisitResponse,
            close_visit: CloseVisitRequest => CloseVisitResponse,
            import_visit_protocol: ImportVisitProtocolRequest => ImportVisitProtocolResponse,
            get_service_ca: GetServiceCaRequest => GetServiceCaResponse,
            issue_visit_certificate: IssueVisitCertificateRequest => IssueVisitCertificateResponse,
            answer_challenge: AnswerChallengeRequest => AnswerChallengeResponse,
            show_emergency_code: ShowEmergencyCodeRequest => ShowEmergencyCodeResponse,
            list_emergency_uses: ListEmergencyUsesRequest => ListEmergencyUsesResponse,
            close_emergency_review: CloseEmergencyReviewRequest => CloseEmergencyReviewResponse,
        }
        sites {
            get_update_rules: GetUpdateRulesRequest => GetUpdateRulesResponse,
            put_update_rules: PutUpdateRulesRequest => PutUpdateRulesResponse,
            decide_update: DecideUpdateRequest => DecideUpdateResponse,
        }
        readers {
            list_readers: ListReadersRequest => ListReadersResponse,
            add_reader: AddReaderRequest => AddReaderResponse,
            remove_reader: RemoveReaderRequest => RemoveReaderResponse,
            put_sealing: PutSealingRequest => PutSealingResponse,
        }
        webhooks {
            put_webhook: PutWebhookRequest => PutWebhookResponse,
            list_webhooks: ListWebhooksRequest => ListWebhooksResponse,
            remove_webhook: RemoveWebhookRequest => RemoveWebhookResponse,
            test_webhook: TestWebhookRequest => TestWebhookResponse,
        }
        attestation {
            put_key_policy: PutKeyPolicyRequest => PutKeyPolicyResponse,
            get_key_policy: GetKeyPolicyRequest => GetKeyPolicyResponse,
            add_endorsement_keys: AddEndorsementKeysRequest => AddEndorsementKeysResponse,
            remove_endorsement_keys: RemoveEndorsementKeysRequest => RemoveEndorsementKeysResponse,
            list_endorsement_keys: ListEndorsementKeysRequest => ListEndorsementKeysResponse,
            put_pcr_policy: PutPcrPolicyRequest => PutPcrPolicyResponse,
            list_pcr_policies: ListPcrPoliciesRequest => ListPcrPoliciesResponse,
            approve_pcrs: ApprovePcrsRequest => ApprovePcrsResponse,
        }
        certificates {
            list_certificates: ListCertificatesRequest => ListCertificatesResponse,
            revoke_certificate: RevokeCertificateRequest => RevokeCertificateResponse,
            revoke_issued: RevokeIssuedRequest => RevokeIssuedResponse,
            release_certificate: ReleaseCertificateRequest => ReleaseCertificateResponse,
            issue_platform_certificate: IssuePlatformCertificateRequest => IssuePlatformCertificateResponse,
            put_platform_pins: PutPlatformPinsRequest => PutPlatformPinsResponse,
            get_platform_pins: GetPlatformPinsRequest => GetPlatformPinsResponse,
            get_trust_bundle: GetTrustBundleRequest => GetTrustBundleResponse,
        }
        cas {
            list_cas: ListCasRequest => ListCasResponse,
            create_ca: CreateCaRequest => CreateCaResponse,
            switch_ca: SwitchCaRequest => SwitchCaResponse,
            retire_ca: RetireCaRequest => RetireCaResponse,
            distrust_ca: DistrustCaRequest => DistrustCaResponse,
            request_ca_certificate: RequestCaCertificateRequest => RequestCaCertificateResponse,
            import_ca_chain: ImportCaChainRequest => ImportCaChainResponse,
        }
        trust_policies {
            replace_verdict_key: ReplaceVerdictKeyRequest => ReplaceVerdictKeyResponse,
            get_trust_policy: GetTrustPolicyRequest => GetTrustPolicyResponse,
            put_trust_policy: PutTrustPolicyRequest => PutTrustPolicyResponse,
            preview_trust_policy: PreviewTrustPolicyRequest => PreviewTrustPolicyResponse,
            get_device_trust: GetDeviceTrustRequest => GetDeviceTrustResponse,
        }
        storage {
            rotate_storage_key: RotateStorageKeyRequest => RotateStorageKeyResponse,
            list_deeds: ListDeedsRequest => ListDeedsResponse,
        }
        audit {
            list_entries: ListEntriesRequest => ListEntriesResponse,
        }
    }
}

/// An answer that comes in parts.
#[derive(Debug)]
pub struct Parts<T>(Streaming<T>);

impl<T> Parts<T> {
    /// The next part; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>, Refusal> {
        Ok(self.0.message().await?)
    }
}

impl Station {
    /// Calls `enroll_stream`: many devices on one stream, whose answers come in any order.
    pub async fn enroll_stream(
        &self,
        steps: impl IntoStreamingRequest<Message = v1::EnrollStreamRequest>,
    ) -> Result<Parts<v1::EnrollStreamResponse>, Refusal> {
        Ok(Parts(self.0.provisioning().enroll_stream(steps).await?.into_inner()))
    }
}

impl Platform {
    /// Calls `watch`. A [`crate::Watcher`] goes on by itself where this ends.
    pub async fn watch(&self, request: v1::WatchRequest) -> Result<Parts<v1::WatchResponse>, Refusal> {
        Ok(Parts(self.0.trust().watch(request).await?.into_inner()))
    }

    /// Calls `check_stream`: many devices a message, whose answers come in the order of the messages.
    pub async fn check_stream(
        &self,
        batches: impl IntoStreamingRequest<Message = v1::CheckStreamRequest>,
    ) -> Result<Parts<v1::CheckStreamResponse>, Refusal> {
        Ok(Parts(self.0.trust().check_stream(batches).await?.into_inner()))
    }
}

impl Operator {
    /// Calls `sweep`; the last part says that it is done.
    pub async fn sweep(&self, request: v1::SweepRequest) -> Result<Parts<v1::SweepResponse>, Refusal> {
        Ok(Parts(self.0.storage().sweep(request).await?.into_inner()))
    }

    /// Calls `backup`; the last part says that it is the last.
    pub async fn backup(&self, request: v1::BackupRequest) -> Result<Parts<v1::BackupResponse>, Refusal> {
        Ok(Parts(self.0.storage().backup(request).await?.into_inner()))
    }

    /// Calls `shred_device`; the last part says that it is done. The authority continues even if nobody listens.
    pub async fn shred_device(
        &self,
        request: v1::ShredDeviceRequest,
    ) -> Result<Parts<v1::ShredDeviceResponse>, Refusal> {
        Ok(Parts(self.0.storage().shred_device(request).await?.into_inner()))
    }
}

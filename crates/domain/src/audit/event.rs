//! The events of the audit log: deeds and refusals.

use super::Code;

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $code:literal,)*) => {
        /// An event: something done, or refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $event,)*
        }

        impl Event {
            /// The stable word.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$event => $code,)*
                }
            }
        }

        impl Code for Event {
            const ALL: &'static [Self] = &[$(Self::$event),*];

            fn code(self) -> &'static str {
                self.code()
            }
        }
    };
}

events! {
    /// The authority was founded.
    Founded = "authority.found",
    /// The service started.
    Started = "authority.start",
    /// A server's certificate was issued.
    ServerCertified = "authority.certify-server",
    /// The service stopped in order.
    Stopped = "authority.stop",
    /// A tenant was created.
    TenantCreated = "tenant.create",
    /// An operator's certificate was issued.
    OperatorIssued = "operator.issue",
    /// An operator certified another key of its own.
    OperatorRenewed = "operator.renew",
    /// A token was made, by which somebody may have an operator certified.
    OperatorInvited = "operator.invite",
    /// An operator was certified for such a token: the actor is who made that, the origin is where it came from. Refused: the token came
    /// again, with another key.
    InvitationRedeemed = "operator.redeem",
    /// Such a token was taken back.
    InvitationRevoked = "operator.uninvite",
    /// A token was made, with which a platform makes calls over HTTP/1.1 without its certificate.
    BearerTokenCreated = "bearer-token.create",
    /// Such a token was revoked.
    BearerTokenRevoked = "bearer-token.revoke",
    /// An approval policy was set.
    ApprovalPolicyPut = "approval-policy.put",
    /// A deed was called that needs a second person: it is proposed.
    ProposalMade = "proposal.make",
    /// A second person approved a proposal.
    ProposalApproved = "proposal.approve",
    /// A proposal was rejected, or taken back by who made it.
    ProposalRejected = "proposal.reject",
    /// What was approved was carried out. The deed has an entry of its own beside this one.
    ProposalCarriedOut = "proposal.carry-out",
    /// A proposal is over, and was not carried out.
    ProposalExpired = "proposal.expire",
    /// An approval does not count any more: who gave it was revoked. The proposal waits for another.
    ApprovalLapsed = "proposal.lapse",
    /// A tenant's service policy was set.
    ServicePolicyPut = "service-policy.put",
    /// A technician was invited to visit a device; each device has an entry.
    TechnicianInvited = "visit.invite",
    /// The visit was released by another person, or by one at its device: the actor is the device then.
    VisitReleased = "visit.release",
    /// A device asked to release a visit that is released.
    VisitReleaseRepeated = "visit.release-again",
    /// The visit was ended before its window.
    VisitEnded = "visit.end",
    /// A visit was closed without the protocol of a device; each such device has an entry.
    VisitClosed = "visit.close",
    /// A technician got a certificate for a device.
    VisitCertified = "visit.certify",
    /// A reader of a profile's files was added.
    ReaderAdded = "reader.add",
    /// A reader was removed: no further file is sealed for it.
    ReaderRemoved = "reader.remove",
    /// It was set for whom the devices of a profile seal their files.
    SealingPut = "sealing.put",
    /// A device got the list of its readers.
    ReadersServed = "device.readers",
    /// A device gave the protocol of a technician's session.
    VisitProtocolGiven = "visit.protocol",
    /// A device gave a protocol again.
    VisitProtocolRepeated = "visit.protocol-again",
    /// A technician got the code that answers the challenge of a device without network.
    VisitCodeGiven = "visit.code",
    /// A device said which code for emergencies it has now.
    EmergencyCodeStored = "device.emergency-code",
    /// A device said that it has the code for emergencies that is on record.
    EmergencyCodeKept = "device.emergency-code-kept",
    /// A device said that a code for emergencies let somebody in: an alarm, whose review stays open until it is closed.
    EmergencyCodeUsed = "device.break-glass",
    /// Somebody was shown a device's code for emergencies: an alarm where no second person was asked.
    EmergencyCodeShown = "emergency-code.show",
    /// The uses of a device's codes for emergencies were looked into.
    EmergencyReviewClosed = "break-glass.close",
    /// A device was told which visits were ended, and by which CA technicians are certified.
    ServiceAccessServed = "device.service-access",
    /// A device received the list of its visits that wait for their release.
    PendingVisitsServed = "device.pending-visits",
    /// An operator was revoked.
    OperatorRevoked = "operator.revoke",
    /// An administrator was made while the service was stopped, by a person who has the directory and opens the root key.
    AdministratorRecovered = "operator.recover",
    /// A profile was set.
    ProfilePut = "profile.put",
    /// A device was enrolled, and its confirmation is awaited.
    DeviceEnrolled = "device.enroll",
    /// A device's enrollment was confirmed.
    DeviceConfirmed = "device.confirm",
    /// A device was enrolled by the key that it signs with.
    KeyEnrolled = "device.enroll-key",
    /// A voucher was made, by which a device may have its first certificate; if it was not on record, it waits for that.
    VoucherMade = "device.voucher",
    /// Which keys devices may sign with was set.
    KeyPolicyPut = "key-policy.put",
    /// The PCR requirements on devices' TPMs were set.
    PcrPolicyPut = "pcr-policy.put",
    /// A trust policy was set.
    TrustPolicyPut = "trust-policy.put",
    /// The PCR values of a device were approved.
    PcrsApproved = "device.approve-pcrs",
    /// Endorsement keys were put on a tenant's list.
    EndorsementKeysAdded = "endorsement-key.add",
    /// Endorsement keys were taken off a tenant's list.
    EndorsementKeysRemoved = "endorsement-key.remove",
    /// A device proved itself.
    DeviceAuthenticated = "device.authenticate",
    /// A change of many devices was begun. Each device that is changed has an entry of its own, with the same `batch`.
    DeviceBatchBegun = "device.batch",
    /// A device's state was set by hand.
    DeviceStateSet = "device.set-state",
    /// A device's keys were erased for good, and the disk's remnants of them are made unreadable: the begin, and the end.
    DeviceShredded = "device.shred",
    /// A device that was quarantined came back into trust, or may enroll again.
    DeviceReadmitted = "device.readmit",
    /// A device was offered to another tenant.
    TransferOffered = "device.offer-transfer",
    /// The offer was accepted: the device goes over with its next contact.
    TransferAccepted = "device.accept-transfer",
    /// The offer was withdrawn by the tenant that made it, or declined by the other.
    TransferWithdrawn = "device.withdraw-transfer",
    /// A device agreed on keys with the tenant that it goes over to. It is in both logs.
    TransferAgreed = "device.agree-transfer",
    /// A device proved itself in its new tenant, and belongs to it from then on. It is in both logs.
    DeviceTransferred = "device.transfer",
    /// A device agreed on new keys.
    DeviceRekeyed = "device.rekey",
    /// A device announced other attributes.
    AttributesAnnounced = "device.attributes",
    /// A rekey was asked of devices.
    KeysRotated = "key.rotate",
    /// A clone was suspected.
    CloneSuspected = "device.clone-suspected",
    /// A device took the trust bundle.
    TrustBundleServed = "device.trust-bundle",
    /// A key that signs OCSP answers was certified.
    OcspSignerCertified = "ocsp-signer.certify",
    /// A certificate is on record that a signer in another process is to sign.
    CertificatePrepared = "certificate.prepare",
    /// A certificate that was prepared was never signed, or its signature is lost: its serial is revoked.
    CertificateAbandoned = "certificate.abandon",
    /// A certificate was issued to a device.
    CertificateIssued = "certificate.issue",
    /// A certificate was issued to a platform: its server's, or that of a key that signs firmware.
    PlatformCertified = "certificate.issue-platform",
    /// The pins of a platform's keys were put.
    PlatformPinsPut = "platform-pins.put",
    /// A certificate was revoked.
    CertificateRevoked = "certificate.revoke",
    /// The hold of a certificate was released.
    CertificateReleased = "certificate.release",
    /// A CA that certifies devices was made.
    CaMade = "ca.create",
    /// A CA certifies devices from now on.
    CaSwitched = "ca.switch",
    /// All that a CA issued has expired, or it never issued: its key was erased.
    CaRetired = "ca.retire",
    /// The key of a CA leaked: everything that it signed is revoked.
    CaDistrusted = "ca.distrust",
    /// A request was signed by which another PKI certifies a CA as well.
    CaRequested = "ca.csr",
    /// The chain from a CA to the root of another PKI was imported.
    CaImported = "ca.import",
    /// The root's key was taken out of the authority, to be kept offline, by a person who has the directory and opens the root key.
    RootExported = "authority.export-root",
    /// It was put back.
    RootImported = "authority.import-root",
    /// The root was replaced by another one; each certified the other, and the former one's key was erased.
    RootRotated = "authority.rotate-root",
    /// The former root is trusted no more.
    FormerRootDropped = "authority.drop-former-root",
    /// The CA of operators and servers was certified for longer.
    InfrastructureRenewed = "authority.renew-infrastructure",
    /// The keys that sign verdicts changed: one signs from now on, another is published, or a former one is published no more.
    VerdictKeysChanged = "verdict-keys.change",
    /// A webhook was set: verdicts that change are posted there.
    WebhookPut = "webhook.put",
    /// A webhook was removed.
    WebhookRemoved = "webhook.remove",
    /// A maker's repository of updates was made.
    UpdateRepositoryMade = "update-repository.create",
    /// Other keys are to sign the root of a repository: it was drafted.
    UpdateRootRotated = "update-repository.rotate-root",
    /// A product line was made in a repository.
    ProductLineMade = "product-line.create",
    /// A release was proposed: an artifact, and what a device shows that runs it.
    ReleaseAdded = "release.add",
    /// A release was released, paused, resumed or recalled.
    ReleaseStateSet = "release.set-state",
    /// It was said to which devices a release is rolled out.
    ReleaseRolloutSet = "release.set-rollout",
    /// A tenant consented to a release or to all of a product line, refused it, or took that back.
    UpdateDecided = "update.decide",
    /// A tenant set whether releases need its consent, and when devices are offered them.
    UpdateRulesPut = "update-rules.put",
    /// A device was offered a release.
    UpdateOffered = "update.offer",
    /// A device asked for an offer, and there was none for it.
    UpdateNotOffered = "update.not-offered",
    /// A release that a device installed has started well: its floor holds from then on.
    UpdateStarted = "update.start",
    /// A device gave up a release that it had installed.
    UpdateRolledBack = "update.roll-back",
    /// A device told again what it had told.
    ReceiptRepeated = "update.receipt-again",
    /// A device looked at what it runs, and found the release.
    SoftwareVerified = "software.verify",
    /// A device looked at what it runs, and found something else than the release.
    SoftwareDiffers = "software.differ",
    /// An offline key has signed metadata of a repository.
    UpdateSigned = "update.sign",
    /// Metadata of a repository was made again before it expires.
    UpdateRenewed = "update.renew",
    /// A platform was granted a right.
    GrantAdded = "grant.add",
    /// A platform's right was taken back.
    GrantRemoved = "grant.remove",
    /// A token was verified for a platform, and spent.
    TokenVerified = "token.verify",
    /// A key was released to a platform, or those of many files by one request.
    KeyReleased = "key.release",
    /// A payload was opened for a platform.
    PayloadOpened = "payload.open",
    /// A key that seals rows is changed, the root key or a tenant's: each step, and the destruction of the root key's older
    /// versions.
    StorageKeyRotated = "key.rotate-storage",
    /// Versions of a tenant's key that nothing was under were dropped.
    StorageKeyDropped = "key.drop-storage",
    /// All devices' keys were gone over.
    Swept = "key.sweep",
    /// The authority's clock and the wall clock agree again.
    ClockAgrees = "clock.agree",
    /// The wall clock jumped; the authority's did not.
    ClockApart = "clock.jump",
    /// The wall clock cannot be believed at a start; the authority's goes on from what is on record.
    ClockHeld = "clock.hold",
    /// An administrator vouched for the wall clock.
    ClockAccepted = "clock.accept",
    /// A backup was begun, or is complete.
    BackedUp = "authority.backup",
    /// The authority was restored from a backup.
    Restored = "authority.restore",
    /// The store was brought to the format of a later release.
    Migrated = "authority.migrate",
    /// All records are moved into another store. What is in the log after it was done from there.
    StoreMoved = "authority.move-store",
    /// A human said that a database has all that was acknowledged, on a timeline to which it went while no node ran.
    FailoverConfirmed = "authority.confirm-failover",
    /// The audit log was read.
    AuditRead = "audit.read",
    /// A call of an authenticated caller was refused.
    CallRefused = "call.refuse",
    /// Further calls of an authenticated caller were refused, too many for an entry each.
    CallsRefused = "call.refuse-further",
}

impl Event {
    /// Whether it only says that a device is there: too frequent, and too alike, for its history.
    pub fn is_sign_of_life(self) -> bool {
        matches!(
            self,
            Self::DeviceAuthenticated
                | Self::TrustBundleServed
                | Self::UpdateNotOffered
                | Self::ReceiptRepeated
                | Self::VisitProtocolRepeated
                | Self::VisitReleaseRepeated
                | Self::PendingVisitsServed
                | Self::SoftwareVerified
                | Self::ServiceAccessServed
                | Self::EmergencyCodeKept
        )
    }
}

impl core::fmt::Display for Event {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.code())
    }
}

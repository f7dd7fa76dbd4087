//! All codes, by the part of the authority that gives them.

use super::{ErrorKind, codes};

codes! {
    // Any call.
    /// A field of the request is malformed or out of bounds.
    Malformed = "malformed", Invalid, "Correct the field that the message names.";
    /// The request is larger than this method takes.
    TooLarge = "too-large", Invalid, "Send less at one time; the limits are in the description of the method.";
    /// The request asks for something that this authority does not offer, such as a compression, or a key that it makes.
    NotSupported = "not-supported", Unimplemented, "Send the request without it.";
    /// There is no such path.
    NotFound = "not-found", NotFound, "Correct the path; `grpcurl … list` shows the services.";
    /// There is no such method in this version.
    MethodUnknown = "method-unknown", Unimplemented, "Correct the path, or upgrade the authority.";
    /// One answers in the authority's place with a certificate of another CA, such as a proxy that opens TLS.
    TlsIntercepted = "tls-intercepted", Precondition, "Have the network's administrator leave the authority's endpoint out of TLS inspection; the message names who issued the certificate. Where that is the authority's own CA, correct `trust_roots`.";
    /// The call broke off before it was complete.
    BrokenOff = "broken-off", Unavailable, "Call again; every method is safe to call twice.";
    /// The method needs a client certificate, and none was presented.
    CertificateRequired = "certificate-required", Unauthenticated, "Connect with the operator's identity (`--identity DIR`).";
    /// The role of the caller may not call this method.
    RoleDenied = "role-denied", Denied, "Use an identity of a role that may call it.";
    /// The caller's role or tenant does not allow this particular request.
    RoleInsufficient = "role-insufficient", Denied, "Ask an operator who may, or correct the tenant.";
    /// Too many calls are in flight.
    Overloaded = "overloaded", Unavailable, "Try again after a pause that grows; if it lasts, raise `limits` or add capacity.";
    /// The caller makes more calls a second than it may.
    RateLimited = "rate-limited", Exhausted, "Slow down; `limits` in the configuration says how many are taken.";
    /// The call was not answered within the time limit.
    RequestTimeout = "request-timeout", Unavailable, "Call again; if it lasts, look at the store's disk.";
    /// A stream carried nothing for too long.
    StreamIdle = "stream-idle", Unavailable, "Open the stream again when there is something to send.";
    /// The service is stopping.
    Stopping = "stopping", Unavailable, "Call again once the service is up.";
    /// Others changed the same record at every attempt.
    Contended = "contended", Unavailable, "Call again.";
    /// The store cannot be written or read now.
    StoreUnavailable = "store-unavailable", Unavailable, "Look at the log and at `/readyz`: a full disk, a failing one, or a store that is being opened again.";
    /// A fault of the authority.
    Internal = "internal", Internal, "Report the request id; the log has the rest under it.";
    /// The authority's random number generator or signing key failed.
    Fault = "fault", Internal, "Report the request id; the log has the rest under it.";

    // Operators, tenants, grants, profiles.
    /// The client certificate belongs to no operator on record.
    IdentityUnknown = "identity-unknown", Unauthenticated, "Have an identity issued by this authority.";
    /// The operator's certificate has expired.
    OperatorExpired = "operator-expired", Unauthenticated, "Have another identity issued (`wardein operator issue`); where no administrator is left, `wardein operator recover` makes one on the authority's machine.";
    /// The operator was revoked.
    OperatorRevoked = "operator-revoked", Unauthenticated, "Have another identity issued, if that is intended.";
    /// There is no operator of this serial or name.
    OperatorUnknown = "operator-unknown", NotFound, "`wardein operator list` shows who there is.";
    /// An operator of this role and name exists.
    OperatorExists = "operator-exists", Exists, "Choose another name, or revoke the existing one first.";
    /// The tenant has as many operators, neither revoked nor expired, as it may; so does the authority outside of tenants.
    OperatorQuota = "operator-quota", Precondition, "Revoke operators that are not needed, or wait until some expire.";
    /// This needs a second person: it is proposed, and waits for approval.
    ApprovalRequired = "approval-required", Precondition, "Have another administrator look at the proposal and approve it (`wardein approval approve`); then make the same call again.";
    /// There is no such proposal, or the caller may not see it.
    ProposalUnknown = "proposal-unknown", NotFound, "`wardein approval list` shows those that are open.";
    /// The proposal was rejected or carried out, or is over.
    ProposalClosed = "proposal-closed", Precondition, "If it is still wanted, make the call again: that proposes it again.";
    /// The approver is the person who proposed it, or was issued by that person since.
    ApproverNotIndependent = "approver-not-independent", Denied, "Have an administrator with another name approve it, who was there before it was proposed.";
    /// There are not two persons who could decide what the policy is to guard.
    ApproversMissing = "approvers-missing", Precondition, "Issue another administrator first (`wardein operator issue`), under a name of its own.";
    /// There are as many open proposals as there may be.
    ProposalQuota = "proposal-quota", Precondition, "Approve and carry out, or reject, those that wait (`wardein approval list`).";
    /// There is no such visit, or the caller may not see it.
    VisitUnknown = "visit-unknown", NotFound, "`wardein service list` shows the visits that you may see.";
    /// The visit was ended, or its window is over.
    VisitClosed = "visit-closed", Precondition, "If it is still wanted, invite the technician again (`wardein service invite`).";
    /// The visit waits for its release.
    VisitNotReleased = "visit-not-released", Precondition, "Have it released (`wardein service release`).";
    /// The window of the visit has not begun.
    VisitNotBegun = "visit-not-begun", Precondition, "Ask again once the window has begun.";
    /// The window of the visit is in the past.
    VisitWindowPast = "visit-window-past", Invalid, "Give a window that ends later than now, and begins at most 5 minutes ago.";
    /// The window of the visit is too short or too long, or too far ahead.
    VisitWindowBounds = "visit-window-bounds", Invalid, "Give a window of 5 minutes up to what `wardein service policy show` says, within 90 days.";
    /// The technician is invited to the same device for an overlapping time.
    VisitOverlaps = "visit-overlaps", Precondition, "Use the visit that the message names, or end it first (`wardein service end`).";
    /// The device has as many visits that are not over as it may.
    VisitQuota = "visit-quota", Precondition, "End visits that are not needed (`wardein service list`), or wait until some are over.";
    /// No protocol of the visit is awaited: it goes on, or all have come, or it was closed.
    ProtocolNotAwaited = "protocol-not-awaited", Precondition, "Nothing is to be done; `wardein service list --open` shows which visits wait for a protocol.";
    /// The protocol of a visit names another device than the one that sent it.
    ProtocolOtherDevice = "protocol-other-device", Invalid, "Have it sent by the device that it is of.";
    /// The protocol names another technician, work order or scope than the visit, or a device that is not one of it.
    ProtocolOtherVisit = "protocol-other-visit", Invalid, "Compare it with `wardein service show`; somebody may have altered what the device keeps.";
    /// The session began outside of the visit's window.
    ProtocolWindow = "protocol-window", Invalid, "Compare the device's clock with the visit's window (`wardein service show`).";
    /// Another protocol of the same session is on record.
    ProtocolContradicts = "protocol-contradicts", Precondition, "What came first counts; find out who altered what the device keeps.";
    /// The mac of a protocol that came as a file is not the device's: somebody wrote or altered it.
    ProtocolForged = "protocol-forged", Invalid, "Have the device write the file again (`wardein-device service protocol`); find out who had it in between.";
    /// The keys that a protocol in a file was authenticated with are gone: others were agreed on, or it was in contact.
    ProtocolKeysGone = "protocol-keys-gone", Precondition, "Have the device write the file again (`wardein-device service protocol`), or give the protocol itself (`wardein-device service sync`).";
    /// The device has not said that this code for emergencies was used.
    EmergencyUseUnknown = "emergency-use-unknown", Precondition, "Run `wardein-device service sync` on the device: it says so, and gives the protocol after that.";
    /// The scope is not one of the tenant's list.
    ServiceScopeUnknown = "service-scope-unknown", Invalid, "`wardein service policy show` lists the scopes; a tenant administrator sets them.";
    /// The device has agreed on no keys for codes of technicians.
    ServiceCodesNotAgreed = "service-codes-not-agreed", Precondition, "Add `service` to `purposes` in the device's `device.toml`, and run `wardein-device rekey` while it has a network.";
    /// The device did not show this challenge, not for the scope of the visit, or has agreed on other keys since.
    ServiceChallengeWrong = "service-challenge-wrong", Invalid, "Look at the characters, the device and the scope again; otherwise have the device show another challenge (`wardein-device service challenge`).";
    /// The challenge was answered for another visit.
    ServiceChallengeUsed = "service-challenge-used", Precondition, "Have the device show another challenge (`wardein-device service challenge`).";
    /// The device has said no code for emergencies.
    EmergencyCodeMissing = "emergency-code-missing", Precondition, "Have the device agree on keys for codes (`service` in `purposes` of its `device.toml`, `wardein-device rekey`), then run `wardein-device service sync` on it.";
    /// No use of a code for emergencies waits for its review.
    EmergencyReviewMissing = "emergency-review-missing", Precondition, "Nothing is to be done; `wardein service break-glass list` shows what is open.";
    /// The person who releases the visit asked for it, or is the technician.
    ReleaserNotIndependent = "releaser-not-independent", Denied, "Have another person release it.";
    /// The tenant does not have visits released at the device.
    ReleaseAtDeviceOff = "release-at-device-off", Precondition, "Have a person of role `site` release it (`wardein service release`), or a tenant administrator switch this on (`wardein service policy set --release-at-device`).";
    /// The visit is of several devices, or somebody may be in the device by another visit: it is not released at the device.
    ReleaseNeedsSite = "release-needs-site", Precondition, "Have a person of role `site` release it (`wardein service release`).";
    /// The token of the invitation is unknown, used, revoked or over; it is not said which.
    InvitationInvalid = "invitation-invalid", Unauthenticated, "Have another invitation made (`wardein operator invite`). If the token was used by somebody else, an administrator finds it in the audit log as `operator.redeem`.";
    /// There is no such invitation, or the caller may not see it.
    InvitationUnknown = "invitation-unknown", NotFound, "Correct the id; `wardein operator invitations` lists those that are open, and the audit log has all (`operator.invite`).";
    /// The invitation was redeemed.
    InvitationRedeemed = "invitation-redeemed", Precondition, "Revoke the operator that the message names (`wardein operator revoke`).";
    /// The tenant has as many open invitations as it may; so does the authority outside of tenants.
    InvitationQuota = "invitation-quota", Precondition, "Take back invitations that are not needed (`wardein operator invitations` lists them), or wait until some end.";
    /// The bearer token is unknown, revoked or over; it is not said which.
    BearerTokenInvalid = "bearer-token-invalid", Unauthenticated, "Have another token made for the platform (`wardein operator token create`).";
    /// There is no such bearer token, or the caller may not see it.
    BearerTokenUnknown = "bearer-token-unknown", NotFound, "Correct the id; `wardein operator token list` shows those that are good.";
    /// The platform's identity has as many bearer tokens as it may.
    BearerTokenQuota = "bearer-token-quota", Precondition, "Revoke those that are not needed (`wardein operator token revoke`), or wait until some end.";
    /// No administrator valid for another seven days would be left.
    LastAdministrator = "last-administrator", Precondition, "Have another administrator issued first (`wardein operator issue`), valid for more than seven days.";
    /// Somebody else changed the setting since it was read.
    EtagMismatch = "etag-mismatch", Precondition, "Read it again, and make the change to what it is now.";
    /// The station has enrolled as many devices as it may.
    QuotaExhausted = "quota-exhausted", Precondition, "Have another station identity issued with a new quota.";
    /// As many keys were made for the device as it may have within an hour.
    MadeKeyQuota = "made-key-quota", Exhausted, "Wait up to an hour; find out why the device asks for a key again and again.";
    /// There is no such tenant, or the caller may not see it.
    TenantUnknown = "tenant-unknown", NotFound, "Correct the name; `wardein tenant list` shows which there are.";
    /// A tenant of this name exists.
    TenantExists = "tenant-exists", Exists, "Nothing is to be done, or choose another name.";
    /// There is no such profile.
    ProfileUnknown = "profile-unknown", NotFound, "Correct the name, or create the profile (`wardein profile put`).";
    /// There is no such repository of updates, or it is not the caller's.
    RepositoryUnknown = "repository-unknown", NotFound, "Correct the name; `wardein update repository list` shows which there are.";
    /// A repository of updates has this name, with other keys.
    RepositoryExists = "repository-exists", Exists, "Choose another name.";
    /// There is no such product line, or it is not the caller's.
    LineUnknown = "line-unknown", NotFound, "Correct the name; `wardein update line list` shows which there are.";
    /// A product line has this name, with other keys or paths.
    LineExists = "line-exists", Exists, "Choose another name.";
    /// There is no such release.
    ReleaseUnknown = "release-unknown", NotFound, "Correct the version; `wardein update list` shows which there are.";
    /// A release has this version, or a higher one was made for one of its models.
    ReleaseNotNewer = "release-not-newer", Exists, "Give it a version above all others of its models.";
    /// The release cannot come into that state from the one that it is in.
    ReleaseState = "release-state", Precondition, "`wardein update show` says in which state it is; what was recalled stays recalled.";
    /// The receipt names another device than the one that sent it.
    ReceiptOtherDevice = "receipt-other-device", Invalid, "Have it sent by the device that it is of: each writes its own.";
    /// The artifact that the receipt names is not that of the release.
    ReceiptOtherRelease = "receipt-other-release", Invalid, "Find out what the device has installed: the maker never signed it under that version.";
    /// The device has told of a later installation.
    ReceiptReplayed = "receipt-replayed", Precondition, "Nothing is to be done: what the device told since counts.";
    /// The device has told that it gave up that installation, or installed another release by the same offer.
    ReceiptContradicts = "receipt-contradicts", Precondition, "Find out what the device runs (`wardein-device update verify-running`), and install again.";
    /// The path is not one of the product line, or another release has it.
    PathNotOfLine = "path-not-of-line", Invalid, "Choose a path that one of the line's patterns matches and that no release has.";
    /// Nothing waits to be signed there.
    DraftUnknown = "draft-unknown", NotFound, "`wardein update repository show` says what waits for signatures.";
    /// The signature is not one over what waits, by a key that may sign it.
    SignatureRefused = "signature-refused", Invalid, "Fetch what waits again and sign it with one of its keys: what was drafted may have changed since.";
    /// There are as many repositories, lines or releases as there may be.
    UpdateQuota = "update-quota", Precondition, "Use what there is.";
    /// The profile has a reader of this name with another key or another time.
    ReaderExists = "reader-exists", Exists, "Take another name, or remove the one that is there first (`wardein reader list`).";
    /// The profile has no such reader.
    ReaderUnknown = "reader-unknown", NotFound, "Correct the name; `wardein reader list` shows which there are.";
    /// The profile has as many readers as one file can be sealed for.
    ReaderQuota = "reader-quota", Precondition, "Remove one that is not needed (`wardein reader remove`).";
    /// The files of a profile are to be sealed for its readers, and it has none.
    ReadersMissing = "readers-missing", Precondition, "Add a reader first (`wardein reader add`), or have files sealed for the authority.";
    /// There is no such webhook.
    WebhookUnknown = "webhook-unknown", NotFound, "Correct the name; `wardein webhook list` shows which there are.";
    /// The tenant has as many webhooks as it may.
    WebhookQuota = "webhook-quota", Precondition, "Remove one that is not needed (`wardein webhook remove`).";
    /// The platform has no such grant.
    GrantUnknown = "grant-unknown", NotFound, "`wardein grant list` shows what was granted.";
    /// The platform was not granted this right on these devices.
    GrantMissing = "grant-missing", Denied, "An administrator grants it (`wardein grant add`).";

    // Trust policies.
    /// A rule of a trust policy names no reason that there is.
    TrustReasonUnknown = "trust-reason-unknown", Invalid, "Correct the reason; the description of the API lists them.";
    /// A rule of a trust policy is about a reason that always leads to the same verdict.
    TrustReasonFixed = "trust-reason-fixed", Invalid, "Leave the rule out: no policy relaxes what it names, and none needs to say it.";
    /// A rule of a trust policy names an age that is absurd.
    TrustAgeBounds = "trust-age-bounds", Invalid, "Name an age from a minute to ten years.";
    /// Two rules of a trust policy contradict each other.
    TrustRulesContradict = "trust-rules-contradict", Invalid, "Leave one of them out, or have the rule that restricts a device apply before the one that ends its trust.";
    /// The trust policy of the device's profile does not trust it.
    TrustPolicyRefuses = "trust-policy-refuses", Denied, "Ask why (`wardein trust explain`), and cure it or change the policy.";

    // Watching.
    /// What changed after this revision is not kept any more.
    RevisionCompacted = "revision-compacted", OutOfRange, "Watch from a snapshot.";
    /// The authority has not reached this revision.
    RevisionAhead = "revision-ahead", OutOfRange, "Watch from a snapshot; if its store was put back by hand, restore it from a backup instead.";
    /// The revision is of another authority, or of this one before it was restored.
    RevisionForeign = "revision-foreign", OutOfRange, "Watch from a snapshot.";
    /// So many streams of this operator, or of its tenant, are open that no other can be opened.
    TooManyStreams = "too-many-streams", Exhausted, "End some that are not needed: one watcher can serve a whole platform.";

    // Devices and their enrollment.
    /// There is no such device, or the caller may not see it.
    DeviceUnknown = "device-unknown", NotFound, "Correct the id; `wardein device list` shows which there are.";
    /// The device is enrolled already.
    AlreadyEnrolled = "already-enrolled", Exists, "Use the existing enrollment; if its state is lost, an administrator readmits the device.";
    /// Another device of the tenant has this id but for its case.
    IdSimilar = "id-similar", Exists, "Choose another id, or write it as the existing device has it.";
    /// Another device of the tenant has this key, or is in this TPM.
    KeyOfAnother = "key-of-another-device", Exists, "One device is one hardware: retire the other one, or let the tenant's key policy share TPMs.";
    /// Another device of the tenant has this UDI.
    UdiOfAnother = "udi-of-another-device", Exists, "Correct the UDI; if the other device is gone, retire it (`wardein device retire`).";
    /// The enrollment has not been confirmed.
    EnrollmentPending = "enrollment-pending", Precondition, "The device sends its confirmation again.";
    /// The confirmation does not belong to the last enrollment request.
    ConfirmationWrong = "confirmation-wrong", Unauthenticated, "The device enrolls again from the start.";
    /// The message names another device than the record.
    WrongDevice = "wrong-device", Invalid, "Send it under the id of the device that made it.";
    /// The device's share is not a valid key of its suite.
    ShareInvalid = "share-invalid", Invalid, "Make the share as the specification of the suite says.";
    /// The profile does not allow this suite.
    SuiteNotAllowed = "suite-not-allowed", Precondition, "Use a suite of the profile, or have the profile changed.";
    /// The device is pending: its enrollment is not confirmed.
    DevicePending = "pending", Denied, "The device sends its confirmation.";
    /// The device is suspended.
    DeviceSuspended = "suspended", Denied, "An administrator resumes it (`wardein device resume`).";
    /// The device is quarantined: a copy of its keys is suspected.
    DeviceQuarantined = "quarantined", Denied, "Find out which holder is genuine; an administrator readmits the device.";
    /// The device is revoked.
    DeviceRevoked = "revoked", Denied, "It stays so. Enroll the hardware under another id.";
    /// The device is retired.
    DeviceRetired = "retired", Denied, "It stays so. Enroll the hardware under another id.";
    /// The device went over to another tenant.
    DeviceTransferred = "transferred", Denied, "It belongs to the other tenant. To have it back, that tenant transfers it (`wardein device transfer`).";
    /// A device of this id was revoked, and the id is not enrolled again.
    EnrollmentOfRevoked = "device-revoked", Precondition, "Choose another id.";
    /// A device of this id was retired, and the id is not enrolled again.
    EnrollmentOfRetired = "device-retired", Precondition, "Choose another id.";
    /// A device of this id went over to another tenant, and the id is kept for its return.
    EnrollmentOfTransferred = "device-transferred", Precondition, "Choose another id, or have the device transferred back.";
    /// No transfer of this device is open, or the caller may not see it.
    TransferUnknown = "transfer-unknown", NotFound, "`wardein device transfers` shows which are open.";
    /// Another transfer of the device is open.
    TransferOpen = "transfer-open", Exists, "Have it withdrawn first (`wardein device withdraw`).";
    /// The time in which the offer could be accepted is over.
    TransferExpired = "transfer-expired", Precondition, "The giving tenant offers the device again (`wardein device transfer`).";
    /// The device has agreed on keys with the receiving tenant.
    TransferAgreed = "transfer-agreed", Precondition, "Nothing is to be done: the transfer ends with the device's next request. To keep the device from it, suspend it, or revoke it for good, in either tenant.";
    /// The device signs with a key of its own, which stays the same, and cannot be transferred.
    TransferNeedsDerivedKeys = "transfer-needs-derived-keys", Precondition, "Retire the device, and enroll it in the other tenant.";
    /// A device in this state cannot be brought into that one.
    TransitionNotAllowed = "transition-not-allowed", Precondition, "Look at the state that it is in (`wardein device show`).";
    /// A copy of the device's state is in use, or an old image of it was restored.
    CloneSuspected = "clone-suspected", Denied, "Find out which holder is genuine; an administrator readmits the device.";

    // At the factory, between a station and the devices on its lines.
    /// The device is of another tenant than the station.
    TenantForeign = "tenant-foreign", Denied, "Correct the tenant in the device's configuration.";
    /// The device is not in the list of devices to enroll.
    DeviceNotListed = "device-not-listed", Denied, "Add it to the list, or correct its id.";
    /// The station does not reach the authority.
    Unreachable = "unreachable", Unavailable, "Look at the network and the endpoint; the device goes on by itself.";
    /// The device left before the end.
    DeviceGone = "device-gone", Unavailable, "Connect it again; it goes on where it was.";
    /// The device failed.
    DeviceFailed = "device-failed", Internal, "The message has what the device said.";
    /// A line cannot be read or written any more.
    LineLost = "line-lost", Unavailable, "Look at the cable and the line's name.";

    // Proofs of devices that derive their keys.
    /// The challenge was not issued here for this device and these attributes.
    ChallengeUnknown = "challenge-unknown", Unauthenticated, "The device asks for another challenge.";
    /// The challenge has expired.
    ChallengeExpired = "challenge-expired", Unauthenticated, "The device asks for another challenge and answers it at once.";
    /// The challenge was issued by a node whose clock is ahead.
    ChallengeFromTheFuture = "challenge-from-the-future", Unauthenticated, "The device asks for another challenge; compare the nodes' clocks.";
    /// The mac is wrong: other keys, other attributes, or a changed message.
    MacWrong = "mac-wrong", Unauthenticated, "Compare the device's attributes with those on record; if its state is lost, an administrator readmits it.";
    /// The body is not the one that was proved.
    BodyWrong = "body-wrong", Invalid, "Send the body whose digest was proved, unchanged.";
    /// The message was received before, or overtaken by a later one.
    Replayed = "replayed", Precondition, "The device asks for a challenge and proves again.";
    /// The recipe asks for an attribute that the device was not enrolled with.
    AttributeUnknown = "attribute-unknown", Invalid, "Correct the profile's recipe, or have the device announce the attribute.";
    /// An attribute on record was left out.
    AttributeDropped = "attribute-dropped", Precondition, "Announce all attributes; only a new enrollment drops one.";
    /// The authority knows no such generation of the device's keys.
    GenerationUnknown = "generation-unknown", Unauthenticated, "The device uses its active generation; if it has none, an administrator readmits it.";
    /// The generation was agreed and not yet used in a proof.
    GenerationPending = "generation-pending", Precondition, "The device proves a request under it first.";
    /// The generation was replaced by a rekey.
    GenerationRetired = "generation-retired", Unauthenticated, "The device uses its active generation.";
    /// The epoch is over, or all its numbers are used.
    EpochSpent = "epoch-spent", Precondition, "The device moves to the epoch in `wardein-next-epoch`.";
    /// The epoch is too far ahead.
    EpochAhead = "epoch-ahead", Precondition, "The device uses no epoch above `wardein-highest-epoch`; look at its clock.";
    /// The keys of the epoch are erased.
    EpochGone = "epoch-gone", Precondition, "They cannot be had again; lengthen the profile's retention for the future.";
    /// No keys are kept for this purpose.
    PurposeNotKept = "purpose-not-kept", Precondition, "Set a retention for the purpose in the profile.";
    /// So many retired generations are kept that no other can be added.
    RetentionFull = "retention-full", Precondition, "Rekey once the oldest retention has ended.";
    /// The device must rekey before any other request is accepted.
    RekeyRequired = "rekey-required", Precondition, "The device rekeys, then sends the request again.";
    /// There is no such action.
    ActionUnknown = "action-unknown", Invalid, "Use an action that the message names.";
    /// Only a device that derives its keys may ask for this action.
    ActionNeedsDerivedKeys = "action-needs-derived-keys", Invalid, "Enroll the device with DDKG, or do without the action.";
    /// The device may have agreed on these keys after the backup that the authority was restored from.
    KeysAfterBackup = "keys-after-backup", Precondition, "`wardein device readmit --reenroll`, then enroll the device at a station.";
    /// Whether the key was spent between the backup and the restore is unknown.
    KeyFromBeforeRestore = "key-from-before-restore", Precondition, "Set `archive` in the device's profile where keys may be given out again.";

    // Proofs by signature, and TPM evidence.
    /// The signature is not one of this request by the device's key.
    SignatureWrong = "signature-wrong", Unauthenticated, "Sign the transcript of this request with the enrolled key.";
    /// The device signed too many requests within a short time.
    SignaturesExhausted = "signatures-exhausted", Exhausted, "Wait, then ask for another challenge.";
    /// The certificate request is for another key than the one that the device signs with.
    CsrKeyOfAnother = "csr-key-of-another", Invalid, "Request a certificate for the enrolled key.";
    /// The tenant's key policy does not take keys kept in this way.
    KeeperNotAllowed = "keeper-not-allowed", Denied, "Keep the key in a TPM, or have the key policy changed.";
    /// The key policy changed during the enrollment.
    KeyPolicyChanged = "key-policy-changed", Precondition, "Begin the enrollment again.";
    /// The ticket of the enrollment has expired.
    TicketExpired = "ticket-expired", Precondition, "Begin the enrollment again.";
    /// The ticket is not one of this authority, or belongs to another enrollment.
    TicketUnknown = "ticket-unknown", Invalid, "Begin the enrollment again, and send its ticket unchanged.";
    /// The profile asks for a quote, and none was sent.
    QuoteMissing = "quote-missing", Denied, "Send a quote of the registers that the message names, with the nonce of the request.";
    /// The profile asks for a quote, and the device's key is not in a TPM.
    QuoteWithoutTpm = "quote-without-tpm", Precondition, "Give the device another profile, or enroll it with a TPM.";
    /// The profile's PCR policy does not compare PCRs with the device's own earlier values.
    PcrPolicyOther = "pcr-policy-other", Precondition, "Approve a state only under a policy that does (`wardein pcr-policy set --as-enrolled`).";
    /// The quote is of other registers or another bank than the policy's.
    PcrSelection = "pcr-selection", Denied, "Quote the registers and bank that the policy names.";
    /// The values of the registers do not give the digest that was quoted.
    PcrDigest = "pcr-digest", Denied, "Read the registers again and quote them.";
    /// A register has a value that the policy does not allow.
    PcrValue = "pcr-value", Denied, "Find out what changed; then have the value approved (`wardein attestation approve`).";
    /// No state of these registers is on record.
    PcrUnknown = "pcr-unknown", Denied, "Have the state that the message names approved (`wardein attestation approve`).";
    /// The registers are not as they were at enrollment.
    PcrChanged = "pcr-changed", Denied, "Find out what changed; then have the state approved (`wardein attestation approve`).";
    /// The endorsement key is not one of the TCG templates.
    EkTemplate = "ek-template", Invalid, "Use the standard endorsement key of the TPM.";
    /// The certificate belongs to another endorsement key.
    EkCertificateOfAnother = "ek-certificate-of-another", Denied, "Send the certificate of this TPM.";
    /// Nothing vouches for the endorsement key.
    EkUntrusted = "ek-untrusted", Denied, "List its digest, or send its certificate and trust its vendor's root.";
    /// The chain of the endorsement key's certificate is too long.
    EkCertificateTooLong = "ek-certificate-too-long", Invalid, "Send only the certificates that lead to the vendor's root.";
    /// The endorsement key's certificate is not one X.509 certificate in DER.
    EkCertificateMalformed = "ek-certificate-malformed", Invalid, "Send the DER, without padding after it.";
    /// The endorsement key's certificate does not lead to a trusted vendor root.
    EkCertificateChain = "ek-certificate-chain", Denied, "Send its intermediates, or trust its root.";
    /// The endorsement key's certificate, or a CA above it, is not valid now.
    EkCertificateTime = "ek-certificate-time", Denied, "Look at the authority's clock; else list the key's digest.";
    /// The certificate is not for an endorsement key.
    EkCertificateUse = "ek-certificate-use", Denied, "Send the endorsement key's certificate (2.23.133.8.1).";
    /// The attestation key does not have the required attributes.
    AkAttributes = "ak-attributes", Invalid, "Make it with the attributes that the message names.";
    /// The attestation key has no signing scheme, or has a cipher.
    AkScheme = "ak-scheme", Invalid, "Make it with a signing scheme and no symmetric cipher.";
    /// The secret of the credential is wrong.
    CredentialWrong = "credential-wrong", Denied, "Endorsement and attestation key must be in one TPM; begin the enrollment again.";
    /// The signature claims another scheme than the attestation key's.
    AttestScheme = "attest-scheme", Invalid, "Sign with the scheme of the attestation key.";
    /// The statement is not signed by the attestation key.
    AttestSignature = "attest-signature", Denied, "Send the statement and signature of the attestation key unchanged.";
    /// The statement was not made by a TPM.
    AttestMagic = "attest-magic", Denied, "Send what TPM2_Certify or TPM2_Quote returned.";
    /// The statement is of another type.
    AttestType = "attest-type", Invalid, "Send a TPM2_Certify statement at enrollment, a TPM2_Quote elsewhere.";
    /// The statement answers another nonce.
    AttestNonce = "attest-nonce", Denied, "Use the nonce of this request as qualifying data.";
    /// The statement certifies another key.
    CertifyName = "certify-name", Denied, "Certify the key that is sent.";
    /// The device's key does not have the required attributes.
    DeviceKeyAttributes = "device-key-attributes", Invalid, "Make it with the attributes that the message names.";
    /// The device's key is not on P-256.
    DeviceKeyKind = "device-key-kind", Invalid, "Make the device's key on P-256.";
    /// A TPM structure has more bytes than are read.
    TpmTooLong = "tpm-too-long", Invalid, "Send the structure as the TPM returned it.";
    /// A TPM structure is cut short.
    TpmTruncated = "tpm-truncated", Invalid, "Send the structure as the TPM returned it.";
    /// Bytes follow a TPM structure.
    TpmTrailingBytes = "tpm-trailing-bytes", Invalid, "Send the structure as the TPM returned it.";
    /// A TPM structure names an algorithm, curve or kind that is not supported.
    TpmUnsupported = "tpm-unsupported", Invalid, "Use RSA-2048, P-256 or P-384 with SHA-256 or SHA-384.";
    /// A TPM structure has a value that it cannot have.
    TpmValue = "tpm-value", Invalid, "Send the structure as the TPM returned it.";

    // Certificates.
    /// The certificate request is too long.
    CsrTooLong = "csr-too-long", Invalid, "Send a request without attributes and extensions.";
    /// The certificate request is not PKCS#10 in DER.
    CsrMalformed = "csr-malformed", Invalid, "Send PKCS#10 in DER, not PEM.";
    /// Bytes follow the certificate request.
    CsrTrailingBytes = "csr-trailing-bytes", Invalid, "Cut what follows the request.";
    /// The certificate request is not of version 1.
    CsrVersion = "csr-version", Invalid, "Make a request of version 1 (RFC 2986).";
    /// The key of the certificate request is of an algorithm, a size or an encoding that is not taken.
    CsrKey = "csr-key", Invalid, "Make a P-256 key with an uncompressed point, or one of a kind that the device's profile accepts.";
    /// The device's profile does not accept keys of this kind.
    CsrKeyNotAccepted = "csr-key-not-accepted", Precondition, "Make a key of a kind that the profile accepts, or have the profile changed (`wardein profile put --certificate-keys`).";
    /// The exponent of the certificate request's RSA key is not 65537.
    CsrRsaExponent = "csr-rsa-exponent", Invalid, "Make an RSA key with the exponent 65537, or better one on P-256.";
    /// The modulus of the certificate request's RSA key is even, of another length than 2048, 3072 or 4096 bits, or has a small factor.
    CsrRsaModulus = "csr-rsa-modulus", Invalid, "Make an RSA key of 3072 bits, or better one on P-256.";
    /// The certificate request's RSA key is of a generator whose keys can be factored (ROCA).
    CsrRsaRoca = "csr-rsa-roca", Invalid, "Update the firmware of the chip that made the key, and make another; everything that the key protected is open.";
    /// The certificate request is signed by an algorithm that is not one of its key.
    CsrSignatureAlgorithm = "csr-signature-algorithm", Invalid, "Sign the request by ECDSA or PKCS#1 RSA with SHA-256.";
    /// The certificate request is not signed by the key that it carries.
    CsrSignature = "csr-signature", Invalid, "Sign the request with its own key.";
    /// The body of a request by EST is not a certificate request.
    EstBody = "est-body", Invalid, "Send PKCS#10 in base64 (RFC 7030 §4.2.1), with or without lines.";
    /// Neither a certificate nor a voucher came with a request by EST.
    EstUnauthenticated = "est-unauthenticated", Unauthenticated, "Connect with the device's current certificate, or send its voucher by HTTP Basic.";
    /// The voucher is unknown, used, replaced or over, or of another device; it is not said which.
    VoucherInvalid = "voucher-invalid", Unauthenticated, "Have another voucher made (`wardein device voucher`). If somebody else used it, the device's history has the certificate.";
    /// The client certificate is not one that this authority issued to a device.
    HolderUnknown = "holder-unknown", Unauthenticated, "Connect with the certificate that this authority issued to the device last, or have a voucher made (`wardein device voucher`).";
    /// The client certificate is not valid now.
    HolderExpired = "holder-expired", Unauthenticated, "Have the device prove itself for another certificate, or have a voucher made (`wardein device voucher`).";
    /// The client certificate was revoked, or is on hold.
    HolderRevoked = "holder-revoked", Denied, "Have the device prove itself for another certificate, or have a voucher made (`wardein device voucher`).";
    /// There is no such certificate.
    CertificateUnknown = "certificate-unknown", NotFound, "Correct the serial; `wardein cert list` shows which there are.";
    /// The certificate is revoked for good: it can be neither held nor released.
    CertificateRevokedForGood = "certificate-revoked-for-good", Precondition, "Have the device ask for another certificate.";
    /// The certificate is longer than any of this authority.
    CertificateTooLong = "certificate-too-long", Invalid, "Send the leaf alone, in DER.";
    /// The bytes are not one X.509 certificate of version 3 in DER.
    CertificateMalformed = "certificate-malformed", Invalid, "Send the leaf alone, in DER.";
    /// The store of a CA's key, in another process, does not sign.
    SignerUnavailable = "signer-unavailable", Unavailable, "Try again; if it lasts, look at the device or service that holds the CA's key.";
    /// A revocation rule covers what would be issued now.
    IssuanceRevoked = "issuance-revoked", Exhausted, "Ask again after the second that the message names.";
    /// No CA certifies the devices of this tenant.
    CaMissing = "ca-missing", Precondition, "An administrator makes one (`wardein ca create`).";
    /// There is no such CA.
    CaUnknown = "ca-unknown", NotFound, "Correct the id; `wardein ca list` shows which there are.";
    /// The tenant, or the authority, has a CA in this state already.
    CaExists = "ca-exists", Exists, "Nothing is to be done, or make the next one (`wardein ca next`).";
    /// The CA is not in the state that this takes.
    CaState = "ca-state", Precondition, "`wardein ca list` shows its state; the message names what comes first.";
    /// A former root is still trusted, or needed.
    RootRotating = "root-rotating", Precondition, "The message says what comes first: a CA that follows the one under the former root, or `wardein ca drop-former-root`.";
    /// The chain that another PKI gave a CA is not one that its verifiers would take.
    CaChain = "ca-chain", Invalid, "The message names the certificate and what is wrong with it; have the other PKI issue it again from the request (`wardein ca csr`).";
    /// The root's key, without which no CA is certified, is not in this authority.
    RootUnavailable = "root-unavailable", Precondition, "Make the root's key available, as when the authority was founded.";
    /// A certificate cannot be issued with this validity.
    PkiValidity = "pki-validity", Invalid, "Choose a validity within the CA's, and before the year 10000.";
    /// The certificates of this profile are for more than those of the issuing CA may be.
    CertificateProfileBeyondCa = "certificate-profile-beyond-ca", Precondition, "Found the authority with `wardein init --devices-serve`, so that its devices may be servers too and its platforms certified; or choose the certificate profile `device-tls`.";
    /// Certificates for more than seven days need to be confirmed.
    CertificateValidityUnconfirmed = "certificate-validity-unconfirmed", Precondition, "Choose at most seven days, or confirm the longer time (`wardein profile put --confirm-long-validity`): a stolen key is good for as long wherever revocation is not looked at.";
    /// The platform of this tenant has no pins.
    PlatformPinsUnset = "platform-pins-unset", NotFound, "Put them (`wardein platform-pin set`).";
    /// Devices that were off do not know the platform's new key yet.
    PlatformPinTooNew = "platform-pin-too-new", Precondition, "Put it as the next one, and wait 183 days; where the current key is lost or known to others, go over to the recovery key at the platform, and confirm the change (`wardein platform-pin set --confirm-stranding`).";
    /// The device's profile gives it a name that its certificate cannot have.
    CertificateNameUnfit = "certificate-name-unfit", Precondition, "Give the profile another form of name (`wardein profile put --certificate-cn`, `--certificate-dns`, `--certificate-uri`, `--certificate-serial-number`), or the device a shorter id.";
    /// The names do not make a SPIFFE id.
    PkiUri = "pki-uri", Invalid, "Choose names of letters, digits, dots, dashes and underscores.";
    /// This role cannot have, or cannot be without, a tenant.
    PkiRole = "pki-role", Invalid, "Name a tenant for stations, platforms and tenant administrators only.";
    /// A server certificate has no name, or too many.
    PkiServerNames = "pki-server-names", Invalid, "Correct `server.names` in the configuration.";
    /// A CA's certificate cannot be used.
    PkiCaCertificate = "pki-ca-certificate", Internal, "Report the request id; the log names the cause.";
    /// A CA's private key does not belong to its certificate.
    PkiCaKey = "pki-ca-key", Internal, "Report the request id; the log names the cause.";
    /// A CA's key is of an algorithm that a CA does not have.
    PkiCaAlgorithm = "pki-ca-algorithm", Internal, "Report the request id; the log names the cause.";
    /// The certificate was prepared for another CA or algorithm.
    PkiOtherCa = "pki-other-ca", Internal, "Report the request id; the log names the cause.";
    /// A signer in another process was asked to sign bytes that are not on record.
    PkiNotRecorded = "pki-not-recorded", Internal, "Report the request id; the log names the cause.";
    /// The certificate breaks a rule; it was not signed.
    PkiLint = "pki-lint", Internal, "Report the request id; the log names the cause.";
    /// The signed bytes differ from those that were checked.
    PkiAltered = "pki-altered", Internal, "Report the request id; the log names the cause.";
    /// The values cannot be written as X.509.
    PkiEncoding = "pki-encoding", Internal, "Report the request id; the log names the cause.";
    /// The key could not sign.
    PkiSigning = "pki-signing", Internal, "Report the request id; the log names the cause.";
    /// The signer's signature does not verify with the CA's key.
    PkiSignature = "pki-signature", Internal, "Report the request id; the log names the cause.";

    // Tokens, payloads and files that a platform presents.
    /// The mac of the message is wrong.
    MessageMacWrong = "message-mac-wrong", Invalid, "The device did not make it so, or it was changed; have it make another one.";
    /// The message is under a generation that the authority does not know.
    MessageGenerationUnknown = "message-generation-unknown", Invalid, "The device did not make it so, or the authority was restored; have it make another one.";
    /// The message is under a generation for which nothing is kept.
    MessageGenerationRetired = "message-generation-retired", Invalid, "Have the device make another one.";
    /// The token is for another platform.
    AudienceWrong = "audience-wrong", Invalid, "Have the device make a token for this platform.";
    /// The token carries another nonce than the platform's.
    NonceWrong = "nonce-wrong", Invalid, "Have the device make a token with this nonce.";
    /// The payload or its additional data were changed.
    OpenFailed = "open-failed", Invalid, "Present payload and additional data unchanged.";
    /// The token was used before.
    TokenSpent = "token-spent", Precondition, "Have the device make another token.";
    /// The key was given out before.
    KeySpent = "key-spent", Precondition, "It is given out once; set `archive` in the profile where it may be given out again.";
    /// The platform used this idempotency key for another request a short time ago.
    IdempotencyKeyUsed = "idempotency-key-used", Invalid, "Draw a random `idempotency_key` for each request, and repeat it with that request alone.";
    /// No keys of the device are kept.
    KeysGone = "keys-gone", Precondition, "What they sealed cannot be opened any more.";

    // The authority: founding, store, keys, backup.
    /// The store holds no authority.
    NotFounded = "not-founded", Precondition, "Run `wardein init` first.";
    /// The store holds an authority, or is not empty.
    FoundedAlready = "founded-already", Exists, "Use another directory, or start the existing authority.";
    /// The clock says a time at which the CA of the authority is not valid.
    ClockWrong = "clock-wrong", Precondition, "Correct the clock of the machine, then try again.";
    /// The wall clock could not be believed at the start, and certificates wait until it can, or is accepted.
    ClockHeld = "clock-held", Unavailable, "Try again later; have an administrator run `wardein clock status`.";
    /// The wall clock is not where the administrator saw it.
    ClockMoved = "clock-moved", Precondition, "Look at it again with `wardein clock status`, then accept it.";
    /// The store is of an older release.
    StoreFormatOlder = "store-format-older", Precondition, "Start `wardein serve` of this release once: it migrates the store.";
    /// The store is of a newer release.
    StoreFormatNewer = "store-format-newer", Precondition, "Use the release that wrote it, or a later one.";
    /// The store cannot take a snapshot while it is in use.
    StoreWithoutSnapshots = "store-without-snapshots", Precondition, "Stop the service and copy its directory whole.";
    /// Upkeep of this kind is in progress.
    UnderWay = "under-way", Unavailable, "Wait until it has ended.";
    /// Other nodes of the authority run, and what is asked for needs one alone.
    NodesRunning = "nodes-running", Precondition, "Stop the other nodes (`wardein node list` shows them), and ask the one that is left.";
    /// So many versions of the key are kept that no other can be added.
    SweepFirst = "sweep-first", Precondition, "Run `wardein key sweep`, then rotate.";
    /// The authority keeps its root key where it cannot be changed.
    CustodyFixed = "custody-fixed", Precondition, "Use a custody that the service can rewrite.";
    /// The custody of the root key failed.
    CustodyUnavailable = "custody-unavailable", Precondition, "Fix what the message names and retry.";
    /// The bytes are not a backup.
    BackupUnknown = "backup-unknown", Invalid, "Give the file that `wardein backup` wrote.";
    /// The backup is of another version.
    BackupVersion = "backup-version", Invalid, "Restore it with the release that the message names.";
    /// The backup is damaged.
    BackupDamaged = "backup-damaged", Invalid, "Use another copy, or take another backup.";
    /// The backup is incomplete.
    BackupCutOff = "backup-cut-off", Invalid, "Copy all of it, or use another one.";
    /// The backup cannot be read.
    BackupUnreadable = "backup-unreadable", Unavailable, "Look at the disk or pipe that it is read from.";
    /// No part of the backup was fetched for too long.
    BackupStalled = "backup-stalled", Precondition, "Take the backup over a stable connection.";
    /// The backup took so long that the store's log grew too large.
    BackupTooSlow = "backup-too-slow", Precondition, "Take the backup over a faster connection, or under less load.";

    // Custody of the root key, at the command line.
    /// The file exists; a file that protects a root key is never overwritten.
    CustodyExists = "custody-exists", Exists, "Name another file, or move this one away.";
    /// A custody file cannot be read or written.
    CustodyIo = "custody-io", Unavailable, "Look at the path, its permissions and the disk.";
    /// The custody file is damaged.
    CustodyDamaged = "custody-damaged", Invalid, "Restore the custody file from its copy.";
    /// The custody file is of another version.
    CustodyVersion = "custody-version", Precondition, "Use the release that wrote it, or a later one.";
    /// A number in the custody file is out of bounds.
    CustodyBounds = "custody-bounds", Invalid, "Restore the custody file from its copy.";
    /// The root key is protected by another kind of secret than the one given.
    CustodyKind = "custody-kind", Invalid, "Give what the message names.";
    /// The passphrase is wrong.
    CustodyWrongPassphrase = "custody-wrong-passphrase", Unauthenticated, "Give the passphrase in force; a backup needs the one in force when it was taken.";
    /// The key file is another one.
    CustodyWrongKeyFile = "custody-wrong-key-file", Unauthenticated, "Give the key file in force; a backup needs the one in force when it was taken.";
    /// The wrapped root key is damaged.
    CustodyWrapped = "custody-wrapped", Invalid, "Restore the custody file from its copy.";
    /// The passphrase is too short or too long.
    CustodyPassphraseLength = "custody-passphrase-length", Invalid, "Choose one of the length that the message names.";
    /// The two passphrases differ.
    CustodyPassphraseMismatch = "custody-passphrase-mismatch", Invalid, "Type the same passphrase twice.";
    /// Others than its owner can read or write the key file.
    CustodyPermissions = "custody-permissions", Precondition, "`chmod 600` it.";
    /// The protection was changed after the service opened it.
    CustodyReplaced = "custody-replaced", Precondition, "Restart the service with the new protection.";
    /// The root key is being changed.
    CustodyChanging = "custody-changing", Precondition, "Let `wardein key rotate --root` end, or start the service, which ends it.";
    /// A version of the root key does not fit those that are kept.
    CustodyVersions = "custody-versions", Internal, "Report it; restore the custody file from its copy.";
    /// The key file belongs to another user.
    CustodyOwner = "custody-owner", Precondition, "Name a key file of the service's own user.";
    /// The file is not a key file.
    CustodyKeyFile = "custody-key-file", Invalid, "Name a regular file of 32 random bytes.";
    /// There is not enough memory for the passphrase's Argon2 cost.
    CustodyMemory = "custody-memory", Unavailable, "Free the memory that the message names.";
    /// This build cannot use a TPM.
    CustodyNoTpm = "custody-no-tpm", Precondition, "Use a build with the feature `tpm`, or the recovery passphrase.";
    /// This build cannot use AWS KMS.
    CustodyNoKms = "custody-no-kms", Precondition, "Use a build with the feature `aws-kms`, or the recovery passphrase.";
    /// The text does not say where a TPM is.
    CustodyTcti = "custody-tcti", Invalid, "Write `device:/dev/tpmrm0`, or `swtpm:host=HOST,port=PORT`.";
    /// The text does not name PCRs.
    CustodyRegisters = "custody-registers", Invalid, "Write numbers from 0 to 23 such as `0,2,4,7`.";
    /// The operating system gave no random bytes.
    CustodyEntropy = "custody-entropy", Internal, "Look at the operating system.";

    // AWS KMS, which wraps the root key.
    /// The text is not the ARN of a key.
    KmsKeyName = "kms-key-name", Invalid, "Write `arn:aws:kms:REGION:ACCOUNT:key/ID`; an alias can be moved to another key.";
    /// A setting for AWS, or a file that one names, cannot be used.
    KmsSettings = "kms-settings", Precondition, "Correct the variable or the file that the message names.";
    /// AWS does not take the credentials, or there are none.
    KmsCredentials = "kms-credentials", Precondition, "Give the machine a role or a file of credentials, and look at its clock.";
    /// KMS does not answer, or cannot now.
    KmsUnavailable = "kms-unavailable", Unavailable, "A start waits and tries again; look at the network, and at AWS's own state.";
    /// The credentials may not use the key.
    KmsDenied = "kms-denied", Precondition, "Allow `kms:Decrypt` on the key (`kms:Encrypt` for a change), in its policy or the role's.";
    /// The key is disabled, to be deleted, not there, or of another kind.
    KmsKeyUnusable = "kms-key-unusable", Precondition, "Enable the key or cancel its deletion, or give the recovery passphrase.";
    /// Key or encryption context are others than those of the wrapping.
    KmsMismatch = "kms-mismatch", Precondition, "Restore the custody file from its copy, or give the recovery passphrase.";
    /// KMS refuses for another reason.
    KmsRefused = "kms-refused", Internal, "The message has what KMS said.";

    // The machine's TPM.
    /// No TPM answers.
    TpmUnavailable = "tpm-unavailable", Unavailable, "See that it is there and that this user may open it (`/dev/tpmrm0`: group `tss`).";
    /// The TPM is locked out after failed authorizations.
    TpmLockout = "tpm-lockout", Unavailable, "Wait, or run `tpm2_dictionarylockout --clear-lockout`.";
    /// The TPM has no room.
    TpmMemory = "tpm-memory", Unavailable, "Use `device:/dev/tpmrm0`; flush what others left.";
    /// A hierarchy of the TPM is under a password.
    TpmPassword = "tpm-password", Precondition, "Give the owner and endorsement hierarchies an empty password.";
    /// The persistent handle holds another program's object.
    TpmHandleTaken = "tpm-handle-taken", Precondition, "If nobody needs it, evict it with `tpm2_evictcontrol`; another program's storage root at 0x81000001 is left alone by itself.";
    /// The PCRs have other values than when the secret was sealed.
    TpmPcrChanged = "tpm-pcr-changed", Precondition, "Open it with the recovery passphrase, then `wardein custody reseal`.";
    /// The secret was sealed by another TPM, or before this one was cleared, or is damaged.
    TpmSealedElsewhere = "tpm-sealed-elsewhere", Precondition, "Open it with the recovery passphrase, then `wardein custody reseal`.";
    /// The TPM does not have these PCRs, or the bank is off.
    TpmNoRegisters = "tpm-no-registers", Precondition, "Choose another bank, or enable it.";
    /// A TPM does not seal a secret of this length.
    TpmSecretLength = "tpm-secret-length", Invalid, "Seal 1 to 128 bytes.";
    /// The TPM or libtss2 refused for another reason.
    TpmFailed = "tpm-failed", Internal, "The message has what the TPM said.";
}

//! The facts of an entry: a name of a closed list, and a short plain value.

use super::{Actor, Code, Word};
use crate::approval::GuardedDeed;
use crate::assurance::{Assurance, KeyKeeper};
use crate::ca::{CaId, CaState};
use crate::device::DeviceState;
use crate::grant::{LoginTemplate, Right};
use crate::name::{
    AttributeName, ModelName, OperatorName, ProfileName, Purpose, Reason, Selector, ServiceScope,
    TrustDomain, WorkOrder, is_plain,
};
use crate::registers::PcrStanding;
use crate::revocation::RevocationReason;
use crate::serial::Serial;
use crate::udi::Udi;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its subject. A name may come several times where there are several values.
    pub name: Word<FieldName>,
    /// The previous value, where it was changed.
    pub before: Option<String>,
    /// The value: a word, a number, or a short text, in at most [`Field::MAX_LEN`] bytes.
    pub value: String,
}

/// Facts in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<Field>);

/// The possible values of a field: types whose `Display` is a plain word, number or text.
///
/// [`fmt::Arguments`] is not one of them, so that no `Debug` text of a structure slips into the log:
///
/// ```compile_fail,E0277
/// # use wardein_domain::{FieldName, Fields};
/// Fields::default().with(FieldName::State, format_args!("{:?}", Some(1)));
/// ```
pub trait FieldValue: fmt::Display {}

impl Field {
    /// The most bytes of a value. A longer one is cut, and ends with `…`.
    pub const MAX_LEN: usize = 1024;

    fn new(name: FieldName, before: Option<&dyn fmt::Display>, value: &dyn fmt::Display) -> Self {
        Self { name: name.into(), before: before.map(plain), value: plain(value) }
    }
}

impl Fields {
    /// With one more.
    pub fn with(mut self, name: FieldName, value: impl FieldValue) -> Self {
        self.0.push(Field::new(name, None, &value));
        self
    }

    /// With one more, whose value was `before` and is now `value`.
    pub fn changed(mut self, name: FieldName, before: impl FieldValue, value: impl FieldValue) -> Self {
        self.0.push(Field::new(name, Some(&before), &value));
        self
    }

    /// Followed by `others`.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The first of that name.
    pub fn get(&self, name: FieldName) -> Option<&Field> {
        self.iter().find(|field| field.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> core::slice::Iter<'_, Field> {
        self.0.iter()
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl IntoIterator for Fields {
    type Item = Field;
    type IntoIter = alloc::vec::IntoIter<Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

macro_rules! values {
    ($($value:ty),* $(,)?) => {
        $(impl FieldValue for $value {})*
    };
}

impl<T: FieldValue + ?Sized> FieldValue for &T {}

values!(
    RevocationReason,
    str,
    String,
    bool,
    u8,
    u16,
    u32,
    u64,
    usize,
    Actor,
    Assurance,
    AttributeName,
    CaId,
    CaState,
    DeviceState,
    GuardedDeed,
    KeyKeeper,
    ModelName,
    OperatorName,
    PcrStanding,
    ProfileName,
    Purpose,
    Reason,
    Right,
    Selector,
    Serial,
    ServiceScope,
    TrustDomain,
    Udi,
    LoginTemplate,
    WorkOrder,
);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The subject of a field, with the unit of its value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FieldName {
            $($(#[$doc])* $name,)*
        }

        impl FieldName {
            /// The stable word.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }

        impl Code for FieldName {
            const ALL: &'static [Self] = &[$(Self::$name),*];

            fn code(self) -> &'static str {
                self.code()
            }
        }
    };
}

names! {
    /// Why it was done, in the words of who did it.
    Reason = "reason",
    /// The device that a refused call named, `TENANT/ID`.
    Device = "device",
    /// The device as the tenant that gives it has it, `TENANT/ID`.
    From = "from",
    /// The tenant to which a device goes over, or the device as that tenant has it, `TENANT/ID`.
    To = "to",
    /// The message that a refused caller received.
    Message = "message",
    /// How many calls were refused without an entry of their own.
    Count = "count",
    /// Their codes, each with its number, with commas.
    Codes = "codes",
    /// The text that versions before 0.2 wrote instead of fields, verbatim.
    Detail = "detail",
    /// The change of many devices that one belongs to: SHA-256, in hex, over their ids in byte order, each followed by a line
    /// feed.
    Batch = "batch",
    /// By what the devices of a batch were chosen.
    Selector = "selector",
    /// What is done to each device of a batch.
    BatchChange = "change",
    /// The state of a device or a CA.
    State = "state",
    /// A profile: that of the device, or the one that a grant is for; `all` for a grant for all devices.
    Profile = "profile",
    /// The generation of a device's keys.
    Generation = "generation",
    /// The number of their suite.
    Suite = "suite",
    /// The maker's name of a device's model.
    Model = "model",
    /// A unique device identifier.
    Udi = "udi",
    /// The name of an attribute that is other than on record.
    Attribute = "attribute",
    /// The serial of a certificate, in hex.
    Serial = "serial",
    /// The serial of the certificate by which another was asked for, in hex.
    PreviousSerial = "previous-serial",
    /// The kind of the key that the authority made for a device, which it does not keep.
    KeyMade = "key-made",
    /// Until when a certificate is valid, in Unix seconds.
    NotAfter = "not-after",
    /// SHA-256 of a certificate, DER, in hex: as in the origin of calls made with it.
    Certificate = "certificate",
    /// The reason of a revocation, by the word of RFC 5280's CRLReason.
    RevocationReason = "revocation-reason",
    /// A CA that certifies devices: the key identifier in its certificate, in hex.
    Ca = "ca",
    /// The CA that did so before it.
    FormerCa = "former-ca",
    /// The DNS names in it, with commas.
    DnsNames = "dns-names",
    /// The common name in it.
    CommonName = "common-name",
    /// The epoch of a trust bundle.
    BundleEpoch = "bundle-epoch",
    /// The pin of the key that a platform has, in base64.
    CurrentPin = "current-pin",
    /// The pin of the key that it goes over to next.
    NextPin = "next-pin",
    /// The pin of the key that is kept offline.
    RecoveryPin = "recovery-pin",
    /// Whether it was confirmed that devices which were off do not know the current key.
    WithoutOverlap = "without-overlap",
    /// Certificates that were issued at that Unix second or later are revoked.
    IssuedFrom = "issued-from",
    /// Certificates that were issued at that Unix second or before are revoked.
    IssuedUntil = "issued-until",
    /// An operator, written as an actor.
    Operator = "operator",
    /// How many devices a station may enroll.
    Quota = "quota",
    /// The id of an invitation, in hex.
    Invitation = "invitation",
    /// The id of a proposal, in hex.
    Proposal = "proposal",
    /// The deed that was proposed.
    GuardedDeed = "guarded-deed",
    /// SHA-256 over all that was proposed, in hex.
    ProposalDigest = "proposal-digest",
    /// A field of what was proposed, as `name=value`.
    Asked = "asked",
    /// Who proposed it, written as an actor.
    Proposer = "proposer",
    /// Who approved it.
    Approver = "approver",
    /// The deeds that need a second person, with commas.
    GuardedDeeds = "guarded-deeds",
    /// Seconds for which a proposal lives.
    ProposalLifetime = "proposal-lifetime",
    /// The id of a visit, in hex.
    Visit = "visit",
    /// The work order that a visit is for.
    WorkOrder = "work-order",
    /// What a visit may do, or which scopes there are, with commas.
    ServiceScope = "service-scope",
    /// The technician of a visit.
    Technician = "technician",
    /// The fingerprint of the technician's SSH key, as `ssh-keygen -l` has it.
    SshKey = "ssh-key",
    /// The serial of an SSH certificate.
    SshSerial = "ssh-serial",
    /// Unix second from which a visit may be.
    Starts = "starts",
    /// Unix second until which it may be.
    Ends = "ends",
    /// Seconds that a visit's window may have.
    LongestVisit = "longest-visit",
    /// Whether a person at a device may release a visit of it.
    ReleaseAtDevice = "release-at-device",
    /// Who released a visit, where the actor is its device: a person there, whom the authority does not know.
    ReleasedBy = "released-by",
    /// The name of a reader of files.
    Reader = "reader",
    /// The public key of a reader, as age writes it.
    ReaderKey = "reader-key",
    /// For whom devices seal their files.
    SealFor = "seal-for",
    /// The id of a bearer token, in hex: one that was made or revoked, or that the call came with.
    BearerToken = "bearer-token",
    /// The name of a maker's repository.
    Repository = "repository",
    /// The name of a product line.
    Line = "line",
    /// A session of a visit.
    VisitSession = "session",
    /// When a session began, in Unix seconds.
    Began = "began",
    /// When it had ended.
    SessionEnded = "ended",
    /// How it ended.
    SessionEnd = "end",
    /// What was done in it, and how often.
    Action = "action",
    /// The version of a release.
    Release = "release",
    /// Whether releases need a tenant's consent, or what it decided.
    Consent = "consent",
    /// When a tenant's devices are offered releases.
    Window = "window",
    /// The highest floor from which devices may go back to a release.
    DowngradeFrom = "downgrade-from",
    /// The percentage of devices to which a release is rolled out, and to which tenants and profiles.
    Rollout = "rollout",
    /// The file of metadata that was drafted, signed or made.
    Metadata = "metadata",
    /// The lowest version that a device may install.
    Floor = "floor",
    /// The SHA-256 of an artifact.
    Artifact = "artifact",
    /// The SHA-256 of the file in a sealed artifact. With an offer it says that the artifact's key was given.
    Plaintext = "plaintext",
    /// How many keys have signed, of how many must.
    Signatures = "signatures",
    /// The name of a webhook.
    Webhook = "webhook",
    /// Where it is posted to.
    Url = "url",
    /// Whether another secret was made for it.
    SecretRenewed = "secret-renewed",
    /// The id of a device's voucher, in hex.
    Voucher = "voucher",
    /// Unix seconds until which an invitation, or a voucher, may be redeemed, or a bearer token is good.
    Expires = "expires",
    /// The serial of the operator together with which, as the issuer, this one was revoked.
    RevokedWith = "revoked-with",
    /// How many operators were revoked because of their issuer.
    WithIssued = "with-issued",
    /// The serial of the administrator whom the authority began with, in hex.
    Administrator = "administrator",
    /// The trust domain of the authority.
    TrustDomain = "trust-domain",
    /// A platform's granted right.
    Right = "right",
    /// As whom a platform knows a device; in a grant the template of it, or `none`.
    UserName = "user-name",
    /// The organization in which a platform puts a device; in a grant the template of it, or `none`.
    Organization = "organization",
    /// The groups in which a platform puts a device, separated by commas; in a grant the templates of them, or `none`.
    Groups = "groups",
    /// The name of the key that was used.
    Key = "key",
    /// Whether the key was given out for the `first` time, `again` because the answer was lost, or from the `archive`. Where one
    /// request released many: how many in which way, with commas.
    Delivery = "delivery",
    /// How many keys one request released.
    Keys = "keys",
    /// Which: SHA-256 over their names in byte order, each followed by a line feed, in hex.
    KeysDigest = "keys-digest",
    /// The codes of those that it did not release, each with its number, with commas.
    RefusedKeys = "refused-keys",
    /// How surely a device's key is where it is said to be.
    Assurance = "assurance",
    /// SHA-256 of the SubjectPublicKeyInfo of the key that a device signs with, in hex.
    KeyId = "key-id",
    /// The name of the key that signs verdicts: its thumbprint (RFC 7638).
    VerdictKey = "verdict-key",
    /// SHA-256 that an endorsement key is known by, in hex.
    EndorsementKey = "endorsement-key",
    /// Another device that has the same key, or is in the same TPM, `TENANT/ID`.
    SharedWith = "shared-with",
    /// Whether several devices may be one TPM, or have one key.
    SharedTpms = "shared-tpms",
    /// SHA-256 of a TPM vendor's certificate that is trusted from now on, in hex.
    VendorRootAdded = "vendor-root-added",
    /// SHA-256 of a TPM vendor's certificate that is trusted no more, in hex.
    VendorRootRemoved = "vendor-root-removed",
    /// Whether a TPM that presents no certificate and is not listed is accepted.
    FirstUse = "first-use",
    /// The other keepers allowed by the station's word, with commas; or `none`.
    Keepers = "keepers",
    /// The PCR rule for devices; `inherited` if none is set.
    PcrPolicy = "pcr-policy",
    /// The version of a trust policy; `inherited` if none is set.
    TrustPolicy = "trust-policy",
    /// A rule of a trust policy that holds from now on.
    TrustRuleAdded = "trust-rule-added",
    /// What stale trust may be used for, and for how long; or `none`.
    TrustOffline = "trust-offline",
    /// A rule that holds no more.
    TrustRuleRemoved = "trust-rule-removed",
    /// A PCR value that is accepted from now on: the PCR's number and the value in hex.
    GoldenAdded = "golden-added",
    /// A value that is good no more.
    GoldenRemoved = "golden-removed",
    /// Registers that were quoted or approved, such as `sha256:0,7`.
    Pcrs = "pcrs",
    /// The digest of their values, in hex.
    PcrDigest = "pcr-digest",
    /// By which comparison they were found good.
    PcrStanding = "pcr-standing",
    /// The sign that gave a clone away.
    Sign = "sign",
    /// The epoch of a message that gave a clone away.
    Epoch = "epoch",
    /// Its number.
    Number = "number",
    /// The highest number that was accepted before.
    HighestNumber = "highest-number",
    /// When the challenge that it answered was issued, in Unix milliseconds.
    ChallengeMs = "challenge-ms",
    /// When the latest challenge that was answered before was issued, in Unix milliseconds.
    LatestChallengeMs = "latest-challenge-ms",
    /// The transcript that was right, in hex.
    Transcript = "transcript",
    /// When a rekey was last requested, in Unix seconds; 0 for never.
    RotationAsked = "rotation-asked",
    /// When that was last required, in Unix seconds; 0 for never.
    RotationRequired = "rotation-required",
    /// The newest version of a key that seals rows.
    KeyVersion = "key-version",
    /// The newest version of the root key, where the key of a tenant was changed too.
    RootKeyVersion = "root-key-version",
    /// Older versions of the root key that custody destroyed, with commas.
    Destroyed = "destroyed",
    /// The request whose change of the keys completed this as well.
    CompletedBy = "completed-by",
    /// Tenants whose keys were sealed under the new version.
    Tenants = "tenants",
    /// Of a deed of several steps: `begun`, the step that was taken, or `complete`.
    Step = "step",
    /// The format of rows in the store.
    Format = "format",
    /// The kind of store that the records are in.
    Store = "store",
    /// The timeline of a PostgreSQL database, behind the identifier of its cluster.
    Timeline = "timeline",
    /// Rows in a backup, or that were brought to another format.
    Rows = "rows",
    /// Audit entries in a backup.
    AuditEntries = "audit-entries",
    /// When a backup was taken, in Unix milliseconds.
    TakenMs = "taken-ms",
    /// Devices that a sweep looked at, or that a batch is of.
    Devices = "devices",
    /// Devices of which a sweep erased something.
    Erased = "erased",
    /// Devices whose keys a sweep sealed under the newest version.
    Renewed = "renewed",
    /// Old versions of tenants' keys that were dropped.
    Dropped = "dropped",
    /// Whether a sweep believed the clock; otherwise it erased nothing.
    ClockBelieved = "clock-believed",
    /// What the wall clock says, in Unix milliseconds.
    WallMs = "wall-ms",
    /// The authority's time, in Unix milliseconds.
    TimeMs = "time-ms",
    /// The number of the era of the authority's clock; 0 for the first.
    Era = "era",
    /// Whether there were keys to erase.
    HadKeys = "had-keys",
    /// Of a profile, as are all below; `inherited` where it is not set. Seconds for which a certificate is valid.
    CertificateValidity = "certificate-validity",
    /// Seconds in an epoch; 0 for none.
    Period = "period",
    /// Keys in an epoch; 0 for no bound.
    MaxUses = "max-uses",
    /// The suites that are allowed, with commas.
    Suites = "suites",
    /// Seconds for which a trust verdict may be kept.
    VerdictLifetime = "verdict-lifetime",
    /// Seconds after which a device is to rekey; 0 for only when it is asked.
    RekeyAfter = "rekey-after",
    /// Whether a clone alarm takes the device out of trust.
    QuarantineOnClone = "quarantine-on-clone",
    /// Epochs for which tokens are accepted after their own.
    TokenRetention = "token-retention",
    /// Epochs for which payloads can be opened after their own.
    DataRetention = "data-retention",
    /// Epochs for which files can be opened after their own.
    FileRetention = "file-retention",
    /// Purposes whose keys may be released again, with commas; or `none`.
    Archive = "archive",
    /// The form of the common name in certificates; or `none`.
    CertificateCn = "certificate-cn",
    /// The form of the DNS name in certificates; or `none`.
    CertificateDns = "certificate-dns",
    /// The form of the URN in certificates; or `none`.
    CertificateUri = "certificate-uri",
    /// The form of the subject's serial number in certificates; or `none`.
    CertificateSerialNumber = "certificate-serial-number",
    /// What certificates are for: the name of a ready-made certificate profile.
    CertificateProfile = "certificate-profile",
    /// The kinds of keys that are certified, with commas.
    CertificateKeys = "certificate-keys",
    /// Whether certificates say that nobody is told of their revocation.
    CertificateNoRevAvail = "certificate-no-rev-avail",
    /// After which share of its time a certificate is renewed, in percent.
    CertificateRenewal = "certificate-renewal",
}

/// The text of a value, bounded and with nothing in it that moves a terminal or a reader's eye.
fn plain(value: &dyn fmt::Display) -> String {
    let mut text = Plain { text: String::new(), is_cut: false };
    // It takes whatever it is given.
    let _ = write!(text, "{value}");
    text.text
}

struct Plain {
    text: String,
    is_cut: bool,
}

impl Plain {
    fn put(&mut self, c: char) {
        if self.is_cut {
            return;
        }
        if self.text.len() + c.len_utf8() <= Field::MAX_LEN {
            return self.text.push(c);
        }
        let mut end = Field::MAX_LEN - CUT.len();
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.truncate(end);
        self.text.push_str(CUT);
        self.is_cut = true;
    }
}

impl Write for Plain {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if is_plain(c) { self.put(c) } else { c.escape_unicode().for_each(|c| self.put(c)) }
        }
        Ok(())
    }
}

const CUT: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let fields = Fields::default().with(FieldName::Message, text);
        fields.get(FieldName::Message).unwrap().value.clone()
    }

    #[test]
    fn a_value_is_cut_with_a_mark_where_it_is_too_long() {
        let longest = "a".repeat(Field::MAX_LEN);
        assert_eq!(value(&longest), longest);
        for long in ["a".repeat(Field::MAX_LEN + 1), "ä".repeat(Field::MAX_LEN), "\n".repeat(Field::MAX_LEN)]
        {
            let cut = value(&long);
            assert!(cut.len() <= Field::MAX_LEN && cut.len() > Field::MAX_LEN - 8, "{}", cut.len());
            assert!(cut.ends_with(CUT) && cut.matches(CUT).count() == 1);
        }
    }

    #[test]
    fn what_moves_a_terminal_or_a_readers_eye_is_written_out() {
        assert_eq!(value("a\n\u{1b}[2Jb"), r"a\u{a}\u{1b}[2Jb");
        assert_eq!(value("a\u{202e}b\u{200b}\u{2028}"), r"a\u{202e}b\u{200b}\u{2028}");
        assert_eq!(value("Gerät „1“ → ok"), "Gerät „1“ → ok");
    }
}

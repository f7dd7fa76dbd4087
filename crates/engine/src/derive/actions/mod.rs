//! The actions that a device may request with a proof, beyond being present: one file for each action that does something.

mod attributes;
mod certificate;
mod made_key;
mod rekey;
mod transfer;

pub(crate) use certificate::{Certifying, Unsigned};

use crate::issue::made_key::MadeKey;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::project::Rules;
use crate::release::readers::Sealing;
use crate::rows::EmergencyPlace;
use crate::update::offers::Offering;
use wardein_ddkg::authority::{Accepted, Record};
use wardein_ddkg::message::{EmergencyReport, RekeyAsk, VisitProtocol, VisitRelease};
use wardein_ddkg::{Attributes, DeviceName};
use wardein_domain::{
    Action, Call, ErrorCode, Event, Fields, KeyKind, KeyKinds, Profile, ProfileName, RenewalWindow,
};
use wardein_pki::{CsrError, DeviceCsr};
use wardein_port::Change;
use wardein_tuf::{OfferAsk, Receipt};

/// An action with its body, judged (DDKG-1 §8).
pub(crate) enum Ask<'a> {
    Authenticate,
    /// By a PKCS#10 request that is not read yet: verifying its signature costs, and nobody without keys is to cause that.
    Certificate(&'a [u8]),
    /// For a key of that kind that the authority makes.
    MadeKey(KeyKind),
    Rekey(RekeyAsk),
    Transfer(RekeyAsk),
    Attributes(Attributes),
    TrustBundle,
    /// Its second version: the pins of the tenant's platform.
    PinBundle,
    /// For a release that the device may install.
    UpdateOffer(OfferAsk),
    ServiceAccess,
    /// For the visits that wait for their release.
    PendingVisits,
    /// That a person at the device releases a visit.
    VisitRelease(VisitRelease),
    /// For the readers of its files.
    Readers,
    /// What came of an installation.
    UpdateReceipt(Receipt),
    /// What came of a technician's session.
    VisitProtocol(VisitProtocol),
    /// Which code for emergencies the device has, and which were used.
    EmergencyCode(EmergencyReport),
}

/// The input of an action: a proof that was accepted, and the change that its work goes into.
pub(crate) struct Performing<'a> {
    pub(crate) name: &'a DeviceName,
    pub(crate) profile: &'a ProfileName,
    pub(crate) rules: &'a Rules,
    /// Unix seconds.
    pub(crate) now: u64,
    /// The same in milliseconds.
    pub(crate) now_ms: u64,
    pub(crate) call: &'a Call,
    pub(crate) accepted: &'a Accepted,
    pub(crate) record: &'a mut Record,
    pub(crate) emergency: EmergencyPlace<'a>,
    /// The key that was made for it, where it asks for one and may have it.
    pub(crate) made: Option<&'a MadeKey>,
    pub(crate) change: &'a mut Change,
}

/// The result of an action.
pub(crate) struct Done {
    pub(crate) event: Event,
    /// For the audit entry.
    pub(crate) fields: Fields,
    pub(crate) body: Body,
    /// When the certificate in it is to be renewed.
    pub(crate) renewal: Option<RenewalWindow>,
}

impl Done {
    pub(crate) fn new(event: Event, fields: Fields, body: Vec<u8>) -> Self {
        Self { event, fields, body: Body::Ready(body), renewal: None }
    }
}

/// The reply body of an action.
pub(crate) enum Body {
    Ready(Vec<u8>),
    /// A certificate's chain, once it is signed: see [`Engine::body`].
    Unsigned(Box<Unsigned>),
}

impl Body {
    /// The same with `bytes` in front of it.
    fn behind(self, bytes: Vec<u8>) -> Self {
        match self {
            Self::Ready(body) => Self::Ready([bytes, body].concat()),
            Self::Unsigned(unsigned) => Self::Unsigned(Box::new(unsigned.behind(bytes))),
        }
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn parse(action: &Action, body: &'a [u8]) -> Result<Self, Error> {
        match (action.as_str(), body) {
            ("authenticate", b"") => Ok(Self::Authenticate),
            ("service-access", b"") => Ok(Self::ServiceAccess),
            ("pending-visits", b"") => Ok(Self::PendingVisits),
            ("readers", b"") => Ok(Self::Readers),
            ("emergency-code", body) => Ok(Self::EmergencyCode(EmergencyReport::decode(body)?)),
            ("trust-bundle", b"") => Ok(Self::TrustBundle),
            ("trust-bundle", [2]) => Ok(Self::PinBundle),
            ("trust-bundle", _) => {
                Err(Error::wrong("body", "is not the version of a trust bundle: none, or the byte 2"))
            }
            ("update-offer", body) => {
                let wrong = || Error::wrong("body", "is not an ask for an offer of a release");
                OfferAsk::decode(body).map(Self::UpdateOffer).ok_or_else(wrong)
            }
            ("update-receipt", body) => {
                let wrong = || Error::wrong("body", "is not a receipt of an installation");
                Receipt::decode(body).map(Self::UpdateReceipt).ok_or_else(wrong)
            }
            ("visit-protocol", body) => Ok(Self::VisitProtocol(VisitProtocol::decode(body)?)),
            ("visit-release", body) => Ok(Self::VisitRelease(VisitRelease::decode(body)?)),
            ("authenticate" | "service-access" | "pending-visits" | "readers", _) => {
                Err(Error::wrong("body", format_args!("action {action} takes none")))
            }
            ("certificate", der) => Ok(Self::Certificate(der)),
            (Action::MADE_KEY, kind) => {
                let kind = std::str::from_utf8(kind).ok().and_then(|word| word.parse().ok());
                let wrong = || {
                    Error::wrong("body", "is not a kind of key: p256, p384, rsa-2048, rsa-3072 or rsa-4096")
                };
                kind.map(Self::MadeKey).ok_or_else(wrong)
            }
            ("rekey", body) => Ok(Self::Rekey(RekeyAsk::decode(body)?)),
            ("transfer", body) => match RekeyAsk::decode(body)? {
                RekeyAsk { purposes: Some(_), .. } => {
                    Err(Error::wrong("body", "names purposes, which a transfer leaves as they are"))
                }
                ask => Ok(Self::Transfer(ask)),
            },
            ("attributes", body) => Ok(Self::Attributes(Attributes::decode(body)?)),
            _ => {
                let message = format_args!(
                    "action: {action} is not one of authenticate, certificate, made-key, rekey, attributes, transfer, trust-bundle, update-offer, update-receipt, service-access, pending-visits, visit-release, visit-protocol, readers, emergency-code"
                );
                Err(Error::new(ErrorCode::ActionUnknown, message))
            }
        }
    }
}

/// The request for a certificate of a device that has shown who it is.
fn read_csr(der: &[u8], rules: &Rules) -> Result<DeviceCsr, Error> {
    let accepted = rules.profile.certificate_keys();
    DeviceCsr::parse(der, accepted).map_err(|error| refused_csr(error, accepted))
}

/// The refusal of a request by a profile that accepts these keys.
pub(crate) fn refused_csr(error: CsrError, accepted: KeyKinds) -> Error {
    match error {
        CsrError::KeyNotAccepted => Error::new(error.code(), format_args!("{error}: it accepts {accepted}")),
        error => Error::new(error.code(), error),
    }
}

/// Refuses a suite that the profile does not allow.
fn require_suite(suite: u16, profile: &Profile) -> Result<(), Error> {
    if profile.allows_suite(suite) {
        return Ok(());
    }
    let allowed: Vec<_> = profile.suites().map(|suite| suite.to_string()).collect();
    let message = format_args!("suite {suite} is not allowed; take {}", allowed.join(" or "));
    Err(Error::new(ErrorCode::SuiteNotAllowed, message))
}

impl Engine {
    pub(crate) fn perform(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask<'_>,
        performing: Performing<'_>,
    ) -> Result<Done, Stop> {
        let answered = |event, body| Done::new(event, Fields::default(), body);
        match ask {
            Ask::Authenticate => Ok(answered(Event::DeviceAuthenticated, Vec::new())),
            Ask::TrustBundle => {
                let body = self.device_bundle(&performing.name.tenant).into_bytes();
                Ok(answered(Event::TrustBundleServed, body))
            }
            Ask::PinBundle => {
                let body = self.bundle_in(tx, &performing.name.tenant)?.unwrap_or_default();
                Ok(answered(Event::TrustBundleServed, body))
            }
            Ask::UpdateOffer(ask) => {
                let Performing { name, profile, now_ms, change, accepted, record, .. } = performing;
                let Offering { event, fields, body, attributes } =
                    self.offer(tx, (name, profile), ask, now_ms, Some(accepted), change)?;
                self.expect_release(tx, name, (accepted, record), &attributes, change)?;
                Ok(Done::new(event, fields, body))
            }
            Ask::UpdateReceipt(receipt) => {
                let (event, fields) = self.update_receipt(tx, performing.name, receipt, performing.change)?;
                Ok(Done::new(event, fields, Vec::new()))
            }
            Ask::VisitProtocol(protocol) => {
                let (event, fields) =
                    self.visit_protocol(tx, performing.name, protocol, performing.change)?;
                Ok(Done::new(event, fields, Vec::new()))
            }
            Ask::ServiceAccess => {
                let body = self.service_bundle(tx, performing.name)?;
                Ok(answered(Event::ServiceAccessServed, body))
            }
            Ask::PendingVisits => {
                let body = self.pending_visits(tx, performing.name)?;
                Ok(answered(Event::PendingVisitsServed, body))
            }
            Ask::VisitRelease(VisitRelease(id)) => {
                let (event, fields) = self.release_at_device(tx, performing.name, *id, performing.change)?;
                Ok(Done::new(event, fields, Vec::new()))
            }
            Ask::Readers => {
                let Performing { name, profile, .. } = performing;
                let body = self.signed_readers(tx, Sealing { tenant: &name.tenant, profile })?;
                Ok(answered(Event::ReadersServed, body))
            }
            Ask::EmergencyCode(report) => self.take_emergency_report(tx, report, performing),
            Ask::Certificate(der) => {
                let Performing { name, profile, rules, now, change, .. } = performing;
                let csr = read_csr(der, rules)?;
                Ok(self.issue_certificate(
                    tx,
                    &csr,
                    Certifying { name, profile, rules, now, assurance: None, change },
                )?)
            }
            Ask::MadeKey(kind) => Ok(self.certify_made_key(tx, *kind, performing)?),
            Ask::Rekey(ask) => Ok(rekey::rekey(tx, ask, performing)?),
            Ask::Transfer(ask) => self.agree_transfer(tx, ask, performing),
            Ask::Attributes(attributes) => Ok(attributes::announce(attributes, performing)?),
        }
    }
}

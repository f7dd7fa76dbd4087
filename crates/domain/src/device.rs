//! The lifecycle of a device.

use crate::code::ErrorCode;
use crate::name::NameError;
use crate::revocation::RevocationReason;
use core::fmt;
use core::str::FromStr;

/// The lifecycle state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceState {
    /// Its enrollment is not confirmed.
    Pending,
    /// It may prove requests and is trusted.
    Active,
    /// An administrator took it out of trust for a while.
    Suspended,
    /// A clone alarm took it out of trust until a human decides.
    Quarantined,
    /// It is out of trust for good.
    Revoked,
    /// Its service ended as planned; it is out of trust for good.
    Retired,
    /// It went over to another tenant, where it has a record of its own. Only a transfer back brings it into trust here again.
    Transferred,
}

impl DeviceState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Active,
        Self::Suspended,
        Self::Quarantined,
        Self::Revoked,
        Self::Retired,
        Self::Transferred,
    ];

    /// The word for it, which is also the reason of a verdict against it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
            Self::Retired => "retired",
            Self::Transferred => "transferred",
        }
    }

    /// The code for refusing a device in this state that has proved its identity; none if it is trusted.
    pub fn refusal(self) -> Option<ErrorCode> {
        match self {
            Self::Pending => Some(ErrorCode::DevicePending),
            Self::Active => None,
            Self::Suspended => Some(ErrorCode::DeviceSuspended),
            Self::Quarantined => Some(ErrorCode::DeviceQuarantined),
            Self::Revoked => Some(ErrorCode::DeviceRevoked),
            Self::Retired => Some(ErrorCode::DeviceRetired),
            Self::Transferred => Some(ErrorCode::DeviceTransferred),
        }
    }

    /// Why the certificates of a device in this state count as revoked, on lists and in answers about them; none if they do not. What is
    /// on hold is good again when the device is resumed. A pending device has none that count: a readmission revokes them by a rule.
    pub fn revokes(self) -> Option<RevocationReason> {
        match self {
            Self::Pending | Self::Active => None,
            Self::Suspended | Self::Quarantined => Some(RevocationReason::CertificateHold),
            Self::Revoked => Some(RevocationReason::PrivilegeWithdrawn),
            Self::Retired | Self::Transferred => Some(RevocationReason::CessationOfOperation),
        }
    }

    /// Whether nothing that its tenant's people do brings a device in this state into trust again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Revoked | Self::Retired | Self::Transferred)
    }

    /// Whether an administrator may bring a device from here to `to`. Asking for the state that it is in is fine. What was
    /// quarantined comes back by readmission alone, which takes more than this.
    pub fn may_be_set_to(self, to: Self) -> Result<(), TransitionError> {
        let is_allowed = match (self, to) {
            (from, to) if from == to => from != Self::Pending,
            (Self::Active, Self::Suspended) | (Self::Suspended, Self::Active) => true,
            (Self::Active | Self::Suspended, Self::Quarantined) => true,
            (from, Self::Revoked | Self::Retired) => !from.is_final(),
            _ => false,
        };
        is_allowed.then_some(()).ok_or(TransitionError { from: self, to })
    }
}

/// A device cannot be brought from one state to the other by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device that is {from} cannot be set to {to}")]
pub struct TransitionError {
    /// The state that it is in.
    pub from: DeviceState,
    /// The requested state.
    pub to: DeviceState,
}

impl FromStr for DeviceState {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(NameError::Unknown {
            kind: "device state",
            allowed: "pending, active, suspended, quarantined, revoked, retired, transferred",
        })
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceState::*;
    use super::*;

    #[test]
    fn what_can_come_back_is_on_hold_and_what_cannot_is_revoked() {
        for state in DeviceState::ALL {
            let reason = state.revokes();
            assert_eq!(reason.is_some_and(|reason| !reason.is_hold()), state.is_final(), "{state}");
            assert_eq!(reason.is_none(), matches!(state, Pending | Active), "{state}");
        }
    }

    #[test]
    fn each_transition_by_hand() {
        let allowed: alloc::vec::Vec<_> = DeviceState::ALL
            .into_iter()
            .flat_map(|from| DeviceState::ALL.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_be_set_to(*to).is_ok())
            .collect();
        assert_eq!(
            allowed,
            [
                (Pending, Revoked),
                (Pending, Retired),
                (Active, Active),
                (Active, Suspended),
                (Active, Quarantined),
                (Active, Revoked),
                (Active, Retired),
                (Suspended, Active),
                (Suspended, Suspended),
                (Suspended, Quarantined),
                (Suspended, Revoked),
                (Suspended, Retired),
                (Quarantined, Quarantined),
                (Quarantined, Revoked),
                (Quarantined, Retired),
                (Revoked, Revoked),
                (Retired, Retired),
                (Transferred, Transferred),
            ]
        );
    }
}

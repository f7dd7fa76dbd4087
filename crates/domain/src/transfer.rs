//! How far the transfer of a device to another tenant is.

use core::fmt;

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferState {
    /// The giving tenant offers the device.
    Offered,
    /// The receiving tenant takes it; the device's next contact carries it out.
    Accepted,
    /// The device has agreed on keys there, and may be using them by now; until it does, it is the giving tenant's.
    Agreed,
    /// The device belongs to the receiving tenant.
    Complete,
    /// One of the two called it off.
    Withdrawn,
}

impl TransferState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Offered, Self::Accepted, Self::Agreed, Self::Complete, Self::Withdrawn];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Agreed => "agreed",
            Self::Complete => "complete",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether the device is to carry it out.
    pub fn awaits_device(self) -> bool {
        matches!(self, Self::Accepted | Self::Agreed)
    }
}

impl fmt::Display for TransferState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What stale trust may be used for, and for how long: while a platform does not reach the authority.

use core::fmt;

/// What a platform does on the word of a verdict. The worse it is to be wrong, the shorter stale trust is good for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfflineUse {
    /// Takes in the data that the device sends.
    Data,
    /// Lets it in: a login, a new session.
    Login,
    /// Sends it commands, settings or updates.
    Control,
}

impl OfflineUse {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Data, Self::Login, Self::Control];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Login => "login",
            Self::Control => "control",
        }
    }
}

impl fmt::Display for OfflineUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// For how many seconds a verdict may be used for each after it became stale; 0 for not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offline([u64; OfflineUse::ALL.len()]);

/// Why it is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// The time is out of its bounds.
    #[error("is {0} seconds; it takes 1 to {max} (30 days)", max = Offline::MAX)]
    Time(u64),
    /// A use has two times.
    #[error("names {0} twice")]
    Twice(OfflineUse),
}

impl Offline {
    /// The longest, in seconds: 30 days. Who is longer without the authority has more to ask than whom to trust.
    pub const MAX: u64 = 30 * 86_400;

    /// Not at all, for nothing.
    pub const NONE: Self = Self([0; OfflineUse::ALL.len()]);

    /// The same with a time for a use that has none yet.
    pub fn with(mut self, of: OfflineUse, seconds: u64) -> Result<Self, OfflineError> {
        if !(1..=Self::MAX).contains(&seconds) {
            return Err(OfflineError::Time(seconds));
        }
        match &mut self.0[of as usize] {
            time @ 0 => *time = seconds,
            _ => return Err(OfflineError::Twice(of)),
        }
        Ok(self)
    }

    /// For how many seconds it may be used for that.
    pub const fn of(&self, of: OfflineUse) -> u64 {
        self.0[of as usize]
    }

    /// The uses that have a time, with their seconds.
    pub fn uses(&self) -> impl Iterator<Item = (OfflineUse, u64)> {
        let Self(times) = *self;
        OfflineUse::ALL.into_iter().zip(times).filter(|(_, seconds)| *seconds > 0)
    }
}

/// As the audit log has it: `data 259200 s, login 3600 s`, or `none`.
impl fmt::Display for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        for (number, (of, seconds)) in self.uses().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{of} {seconds} s")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn each_use_has_one_time_within_bounds_or_none() {
        let some =
            Offline::NONE.with(OfflineUse::Control, 60).unwrap().with(OfflineUse::Data, 259_200).unwrap();
        assert_eq!(some.uses().collect::<Vec<_>>(), [(OfflineUse::Data, 259_200), (OfflineUse::Control, 60)]);
        assert_eq!(OfflineUse::ALL.map(|of| some.of(of)), [259_200, 0, 60]);
        assert_eq!(
            (some.to_string(), Offline::NONE.to_string()),
            ("data 259200 s, control 60 s".into(), "none".into())
        );
        for seconds in [0, Offline::MAX + 1, u64::MAX] {
            assert_eq!(Offline::NONE.with(OfflineUse::Login, seconds), Err(OfflineError::Time(seconds)));
        }
        assert!(Offline::NONE.with(OfflineUse::Login, Offline::MAX).is_ok());
        assert_eq!(some.with(OfflineUse::Data, 1), Err(OfflineError::Twice(OfflineUse::Data)));
    }
}

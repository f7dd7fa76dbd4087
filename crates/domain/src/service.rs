//! Service access: what a visit of a technician may do, when, and from where.

use crate::name::ServiceScope;
use crate::time::{Seconds, UnixSeconds};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// What a tenant allows its visits: the scopes that there are, and how long one may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePolicy {
    scopes: BTreeSet<ServiceScope>,
    longest: Seconds,
    is_released_at_device: bool,
}

/// Why something is not a service policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServicePolicyError {
    /// There are no scopes, or too many.
    #[error("are {0}; it takes 1 to {max}", max = ServicePolicy::MAX_SCOPES)]
    Scopes(usize),
    /// The longest visit is too short or too long.
    #[error(
        "is {0} seconds; it takes {min} (an hour) to {max} (30 days)",
        min = ServicePolicy::SHORTEST_LIMIT.get(),
        max = ServicePolicy::LONGEST_LIMIT.get()
    )]
    Longest(u64),
}

impl ServicePolicy {
    /// The most scopes.
    pub const MAX_SCOPES: usize = 16;

    /// The least that can be set as the longest visit.
    pub const SHORTEST_LIMIT: Seconds = Seconds::new(3_600);

    /// The most.
    pub const LONGEST_LIMIT: Seconds = Seconds::new(30 * 86_400);

    /// The longest visit where nothing else is said: 7 days.
    pub const LONGEST: Seconds = Seconds::new(7 * 86_400);

    /// A policy of these scopes.
    pub fn new(
        scopes: impl IntoIterator<Item = ServiceScope>,
        longest: Seconds,
    ) -> Result<Self, ServicePolicyError> {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        if !(1..=Self::MAX_SCOPES).contains(&scopes.len()) {
            return Err(ServicePolicyError::Scopes(scopes.len()));
        }
        if !(Self::SHORTEST_LIMIT..=Self::LONGEST_LIMIT).contains(&longest) {
            return Err(ServicePolicyError::Longest(longest.get()));
        }
        Ok(Self { scopes, longest, is_released_at_device: false })
    }

    /// The same, saying whether a person at a device may release a visit of it. Without this nobody at a device may.
    #[must_use]
    pub fn with_release_at_device(self, is_released_at_device: bool) -> Self {
        Self { is_released_at_device, ..self }
    }

    /// Whether a person at a device may release a visit of that device alone.
    pub const fn is_released_at_device(&self) -> bool {
        self.is_released_at_device
    }

    /// The scopes, each once and in order.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &ServiceScope> {
        self.scopes.iter()
    }

    /// Whether a visit may have that scope.
    pub fn has(&self, scope: &ServiceScope) -> bool {
        self.scopes.contains(scope)
    }

    /// How long a visit's window may be.
    pub const fn longest(&self) -> Seconds {
        self.longest
    }
}

/// What a tenant has that set none.
impl Default for ServicePolicy {
    fn default() -> Self {
        let scopes = ["view", "configure", "maintenance", "calibration"];
        let scopes = scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
        Self { scopes, longest: Self::LONGEST, is_released_at_device: false }
    }
}

/// The time in which a visit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitWindow {
    from: UnixSeconds,
    until: UnixSeconds,
}

/// Why something is not the window of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VisitWindowError {
    /// It is over, or began too long ago.
    #[error("is in the past: it ends after now, and begins at most {grace} seconds ago", grace = VisitWindow::GRACE)]
    Past,
    /// It is too short, or its end is before its beginning.
    #[error("is shorter than {shortest} seconds", shortest = VisitWindow::SHORTEST)]
    Short,
    /// It is longer than the policy allows.
    #[error("is {0} seconds long; the service policy allows {1}")]
    Long(u64, u64),
    /// It begins too far ahead.
    #[error("begins more than {ahead} seconds (90 days) from now", ahead = VisitWindow::FARTHEST)]
    Far,
}

impl VisitWindow {
    /// Seconds by which it may have begun already.
    pub const GRACE: u64 = 300;

    /// Its least length in seconds.
    pub const SHORTEST: u64 = 300;

    /// Seconds from now within which it begins.
    pub const FARTHEST: u64 = 90 * 86_400;

    /// A window that is asked for at `now`, under a policy.
    pub fn new(
        from: UnixSeconds,
        until: UnixSeconds,
        now: UnixSeconds,
        policy: &ServicePolicy,
    ) -> Result<Self, VisitWindowError> {
        if until <= now || from.get().saturating_add(Self::GRACE) < now.get() {
            return Err(VisitWindowError::Past);
        }
        let length = until.get().saturating_sub(from.get());
        if length < Self::SHORTEST {
            return Err(VisitWindowError::Short);
        }
        if length > policy.longest().get() {
            return Err(VisitWindowError::Long(length, policy.longest().get()));
        }
        if from.get() > now.get().saturating_add(Self::FARTHEST) {
            return Err(VisitWindowError::Far);
        }
        Ok(Self { from, until })
    }

    /// One that was judged before.
    pub const fn on_record(from: UnixSeconds, until: UnixSeconds) -> Self {
        Self { from, until }
    }

    /// Its first second.
    pub const fn from(self) -> UnixSeconds {
        self.from
    }

    /// The second at which it is over.
    pub const fn until(self) -> UnixSeconds {
        self.until
    }

    /// Whether it is open at that time.
    pub fn contains(self, at: UnixSeconds) -> bool {
        self.from <= at && at < self.until
    }

    /// Whether the two have a second in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// Where a technician may come from: an address, or a network in CIDR notation, in the canonical form of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceAddress(String);

/// Why a text is not a [`SourceAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an address or a network such as 192.0.2.0/24, without bits set behind its prefix")]
pub struct SourceAddressError;

impl SourceAddress {
    /// The address or network as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceAddress {
    type Err = SourceAddressError;

    fn from_str(text: &str) -> Result<Self, SourceAddressError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| SourceAddressError)?;
        let (bits, width): (u128, u32) = match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let length = match length {
            None => width,
            // One form each: no sign, no leading zero.
            Some(text) => {
                let length: u32 = text.parse().map_err(|_| SourceAddressError)?;
                if length > width || length.to_string() != text {
                    return Err(SourceAddressError);
                }
                length
            }
        };
        let host = 1_u128.checked_shl(width - length).map_or(u128::MAX, |past| past - 1);
        // sshd takes a network with host bits set for a fault of the whole list (addrmatch.c), and refuses the certificate.
        if bits & host != 0 {
            return Err(SourceAddressError);
        }
        Ok(Self(if length == width { address.to_string() } else { alloc::format!("{address}/{length}") }))
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(second: u64) -> UnixSeconds {
        UnixSeconds::new(second)
    }

    #[test]
    fn a_policy_has_scopes_and_a_bound() {
        let names: Vec<_> = ServicePolicy::default().scopes().map(ToString::to_string).collect();
        assert_eq!(names, ["calibration", "configure", "maintenance", "view"]);
        assert!(!ServicePolicy::default().is_released_at_device());
        let of = |count: usize, longest| {
            let scopes = (0..count).map(|at| alloc::format!("s{at}").parse().unwrap());
            ServicePolicy::new(scopes, Seconds::new(longest))
        };
        assert!(of(1, 3_600).is_ok_and(|policy| !policy.is_released_at_device()));
        assert!(of(16, 30 * 86_400).is_ok());
        assert_eq!(of(0, 3_600), Err(ServicePolicyError::Scopes(0)));
        assert_eq!(of(17, 3_600), Err(ServicePolicyError::Scopes(17)));
        assert_eq!(of(1, 3_599), Err(ServicePolicyError::Longest(3_599)));
        assert_eq!(of(1, 30 * 86_400 + 1), Err(ServicePolicyError::Longest(30 * 86_400 + 1)));
    }

    #[test]
    fn a_window_at_its_bounds() {
        let (now, policy) = (1_000_000, ServicePolicy::default());
        let of = |from, until| VisitWindow::new(at(from), at(until), at(now), &policy);
        let week = 7 * 86_400;
        assert!(of(now - 300, now + 1).is_ok() && of(now, now + week).is_ok());
        assert!(of(now + 90 * 86_400, now + 91 * 86_400).is_ok());
        assert_eq!(of(now - 301, now + 300), Err(VisitWindowError::Past));
        assert_eq!(of(now - 300, now), Err(VisitWindowError::Past));
        assert_eq!(of(0, u64::MAX), Err(VisitWindowError::Past));
        assert_eq!(of(now + 10, now + 309), Err(VisitWindowError::Short));
        assert_eq!(of(now + 10, now + 5), Err(VisitWindowError::Short));
        assert_eq!(of(now, now + week + 1), Err(VisitWindowError::Long(week + 1, week)));
        assert!(matches!(of(now, u64::MAX), Err(VisitWindowError::Long(..))));
        assert_eq!(of(now + 90 * 86_400 + 1, now + 91 * 86_400), Err(VisitWindowError::Far));
        assert_eq!(of(u64::MAX, u64::MAX), Err(VisitWindowError::Short));
        let window = of(now, now + 300).unwrap();
        assert!(window.contains(at(now)) && window.contains(at(now + 299)));
        assert!(!window.contains(at(now - 1)) && !window.contains(at(now + 300)));
        assert!(window.overlaps(of(now + 299, now + 900).unwrap()));
        assert!(!window.overlaps(of(now + 300, now + 900).unwrap()));
    }

    #[test]
    fn sources_are_addresses_and_networks_in_one_form() {
        for (text, form) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(text.parse::<SourceAddress>().unwrap().as_str(), form);
        }
        for bad in [
            "",
            "x",
            "192.0.2.7/24",
            "192.0.2.0/33",
            "192.0.2.0/+24",
            "192.0.2.0/024",
            "192.0.2.0/",
            "::1/64",
            "192.0.2.0/24,*",
            "*",
            "!192.0.2.7",
        ] {
            assert_eq!(bad.parse::<SourceAddress>(), Err(SourceAddressError), "{bad}");
        }
    }
}

//! When devices must rekey: the requested rotations, and the gate that they put before a device.

/// The rotations that were requested of a device, a profile or a tenant: two times, and nothing for each device below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// Unix second of the last one; 0 for none.
    pub asked_at: u64,
    /// Unix second of the last one that was required; 0 for none.
    pub required_at: u64,
}

/// The requests that a device may make, by the age of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RekeyGate {
    /// Its keys are good.
    Free,
    /// It is to rekey soon, and may continue until then.
    Due,
    /// It may rekey, and nothing else.
    Required,
}

impl Rotation {
    /// Records that a rotation was requested at Unix second `now`. A later one never lifts what an earlier one required. One that
    /// a clock ran ahead for is brought back to `now`: otherwise devices would rekey again and again until that time came.
    pub fn ask(self, now: u64, is_required: bool) -> Self {
        let required_at = if is_required { now } else { self.required_at.min(now) };
        Self { asked_at: now, required_at }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            asked_at: self.asked_at.max(other.asked_at),
            required_at: self.required_at.max(other.required_at),
        }
    }
}

impl RekeyGate {
    /// The gate before a device whose keys were agreed at Unix second `agreed_at`, by all rotations above it and the seconds
    /// after which its profile has it rekey.
    ///
    /// Keys that were agreed in the very second of a rotation count as agreed before it: a rekey too many harms nothing.
    ///
    /// `now` comes with when the present era of the authority's clock began. Keys of a later time are of an era whose clock ran
    /// ahead, and due; a rotation of a later time counts from the beginning of this one, except for such keys. It is 0 in the first.
    pub fn of(
        agreed_at: u64,
        rotation: Rotation,
        rekey_after: Option<u64>,
        (now, began): (u64, u64),
    ) -> Self {
        let is_ahead = |at: u64| at > now.saturating_add(SKEW);
        if is_ahead(agreed_at) {
            return Self::by(agreed_at, rotation, rekey_after, now).max(Self::Due);
        }
        let read = |at: u64| if began != 0 && is_ahead(at) { began } else { at };
        let Rotation { asked_at, required_at } = rotation;
        let rotation = Rotation { asked_at: read(asked_at), required_at: read(required_at) };
        Self::by(agreed_at, rotation, rekey_after, now)
    }

    fn by(agreed_at: u64, rotation: Rotation, rekey_after: Option<u64>, now: u64) -> Self {
        let due_at = rekey_after.map(|after| agreed_at.saturating_add(after));
        if rotation.required_at != 0 && agreed_at <= rotation.required_at {
            Self::Required
        } else if (rotation.asked_at != 0 && agreed_at <= rotation.asked_at)
            || due_at.is_some_and(|due| due <= now)
        {
            Self::Due
        } else {
            Self::Free
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Due => "due",
            Self::Required => "required",
        }
    }
}

/// Seconds by which clocks of one authority may differ.
const SKEW: u64 = 1;

#[cfg(test)]
mod tests {
    use super::RekeyGate::{Due, Free, Required};
    use super::*;

    #[test]
    fn by_age_alone() {
        let none = Rotation::default();
        for (agreed_at, after, now, gate) in [
            (100, Some(50), 149, Free),
            (100, Some(50), 150, Due),
            (100, None, u64::MAX, Free),
            // Of an era whose clock ran ahead.
            (u64::MAX, Some(1), 0, Due),
            (100, None, 98, Due),
            (100, None, 99, Free),
        ] {
            assert_eq!(RekeyGate::of(agreed_at, none, after, (now, 0)), gate, "{agreed_at} {after:?} {now}");
        }
    }

    #[test]
    fn what_was_agreed_until_a_rotation_is_to_be_agreed_anew() {
        let asked = Rotation::default().ask(200, false);
        let required = Rotation::default().ask(200, true);
        for (agreed_at, by_asked, by_required) in
            [(199, Due, Required), (200, Due, Required), (201, Free, Free)]
        {
            assert_eq!(RekeyGate::of(agreed_at, asked, None, (300, 0)), by_asked);
            assert_eq!(RekeyGate::of(agreed_at, required, None, (300, 0)), by_required);
        }
    }

    #[test]
    fn a_later_rotation_asks_more_and_never_less() {
        let both = Rotation::default().ask(200, true).ask(300, false);
        assert_eq!(RekeyGate::of(200, both, None, (400, 0)), Required);
        assert_eq!(RekeyGate::of(250, both, None, (400, 0)), Due);
        let levels = Rotation { asked_at: 5, required_at: 1 }.and(Rotation { asked_at: 2, required_at: 2 });
        assert_eq!(levels, Rotation { asked_at: 5, required_at: 2 });
    }

    #[test]
    fn a_rotation_from_a_clock_that_ran_ahead_is_mended_by_the_next() {
        let ahead = Rotation::default().ask(9_000, true);
        assert_eq!(RekeyGate::of(100, ahead, None, (100, 0)), Required);
        // In the next era it is read as made when that began.
        for (agreed_at, gate) in [(89, Required), (90, Required), (91, Free), (8_000, Required), (9_001, Due)]
        {
            assert_eq!(RekeyGate::of(agreed_at, ahead, None, (100, 90)), gate, "{agreed_at}");
        }
        assert_eq!(ahead.ask(101, false), Rotation { asked_at: 101, required_at: 101 });
    }
}

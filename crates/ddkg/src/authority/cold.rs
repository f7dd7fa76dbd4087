//! The part that changes seldom, and whether it has changed since it was stored.

use core::ops::Deref;

/// A value that is stored apart, and only after it changed.
///
/// It is read like a reference. The only way to alter it is [`Cold::change`], which notes it, so no change goes unnoticed; a call
/// without a change only causes a write.
pub(super) struct Cold<T> {
    value: T,
    /// Which state of the value this is. The first change after a write raises it by one; further ones do not.
    sequence: u64,
    /// That of the state which is stored.
    stored: u64,
}

impl<T> Cold<T> {
    /// A value that is to be stored in place of the one whose sequence is `replaced`, 0 for none.
    pub(super) fn new(value: T, replaced: u64) -> Self {
        let mut cold = Self::stored(value, replaced);
        cold.change();
        cold
    }

    /// A value as stored.
    pub(super) fn stored(value: T, sequence: u64) -> Self {
        Self { value, sequence, stored: sequence }
    }

    /// Which state of the value this is.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether [`Cold::change`] was called since the value was stored.
    pub(super) fn is_changed(&self) -> bool {
        self.sequence != self.stored
    }

    /// Notes that the present value is stored.
    pub(super) fn mark_stored(&mut self) {
        self.stored = self.sequence;
    }

    /// The value alone.
    pub(super) fn into_value(self) -> T {
        self.value
    }

    /// The value, to be altered.
    pub(super) fn change(&mut self) -> &mut T {
        // Bytes that claim the last sequence must not keep a record from changing.
        self.sequence = self.stored.wrapping_add(1);
        &mut self.value
    }
}

impl<T> Deref for Cold<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_until_it_is_stored_and_takes_one_sequence() {
        let mut cold = Cold::stored(1, 7);
        assert!(!cold.is_changed());
        *cold.change() += 1;
        *cold.change() += 1;
        assert_eq!((*cold, cold.sequence(), cold.is_changed()), (3, 8, true));
        cold.mark_stored();
        assert_eq!((cold.sequence(), cold.is_changed()), (8, false));
        *cold.change() += 1;
        assert_eq!((cold.sequence(), cold.is_changed()), (9, true));
    }

    #[test]
    fn a_new_value_is_to_be_stored_and_is_not_the_one_that_it_replaces() {
        let cold = Cold::new((), 7);
        assert_eq!((cold.sequence(), cold.is_changed()), (8, true));
    }

    #[test]
    fn the_last_sequence_is_followed_by_another() {
        let mut cold = Cold::stored((), u64::MAX);
        cold.change();
        assert!(cold.is_changed());
    }
}

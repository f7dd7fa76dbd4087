//! Power cuts simulated from what a process really asked of its files.
//!
//! What: strace records the calls of a process, in their order; from that, `lay_out` makes what a disk may hold after a cut at any
//! moment, whichever of the writes since the last sync are lost, torn or reordered. Why: a kill leaves the page cache whole, and
//! proves nothing about syncs that are missing. What it does not do: a program that it traces maps no file for writing, and moves
//! none between directories.

mod state;
mod trace;

pub use state::Kept;
pub use trace::Trace;

/// xorshift64: moments need no better randomness.
pub struct Random(pub u64);

impl Random {
    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

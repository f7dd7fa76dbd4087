//! What an operation takes: heap, stack and instructions. Without the feature `figures` it is only done.

#[cfg(feature = "figures")]
use crate::{heap, stack::Painted};
#[cfg(feature = "figures")]
use core::hint::black_box;
#[cfg(feature = "figures")]
use cortex_m::peripheral::{SYST, syst::SystClkSource};
#[cfg(feature = "figures")]
use cortex_m_semihosting::heprintln;

/// Does `operation`, and says what it took.
#[cfg(not(feature = "figures"))]
pub fn measured<T>(_: &str, operation: impl FnOnce() -> T) -> T {
    operation()
}

/// Does `operation`, and says what it took. In the line are its name, the most heap in use meanwhile beyond what was in use before,
/// what remains in use of that, the depth of the stack, and thousands of instructions.
#[cfg(feature = "figures")]
#[inline(never)]
pub fn measured<T>(name: &str, operation: impl FnOnce() -> T) -> T {
    /// A frame of its own, below the painted line; inlined, its values would be above it.
    #[inline(never)]
    fn apart<T>(operation: impl FnOnce() -> T) -> T {
        operation()
    }

    let before = heap::used();
    heap::take_peak();
    let stack = Painted::new();
    let begin = SYST::get_current();
    let done = black_box(apart(operation));
    let end = SYST::get_current();
    let depth = stack.depth();
    let (peak, remains) = (heap::take_peak() - before, heap::used() as isize - before as isize);
    // The counter counts down, and around.
    let ticks = begin.wrapping_sub(end) & 0x00ff_ffff;
    heprintln!(
        "{:<34} {:>7} {:>7} {:>7} {:>9}",
        name,
        peak,
        remains,
        depth,
        ticks * INSTRUCTIONS_PER_TICK / 1_000
    );
    done
}

/// Lets the counter run that [`measured`] reads, and writes the head of its table.
#[cfg(feature = "figures")]
pub fn begin(counter: &mut SYST) {
    counter.set_clock_source(SystClkSource::Core);
    counter.set_reload(0x00ff_ffff);
    counter.clear_current();
    counter.enable_counter();
    heprintln!("{:<34} {:>7} {:>7} {:>7} {:>9}", "operation", "heap", "remains", "stack", "1000 instr");
}

/// QEMU's board has a clock of 25 MHz, and with `-icount shift=0` an instruction takes a nanosecond.
#[cfg(feature = "figures")]
const INSTRUCTIONS_PER_TICK: u32 = 40;

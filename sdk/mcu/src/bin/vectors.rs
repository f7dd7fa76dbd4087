//! The vectors of DDKG-1, all of them, on the target. The exit code says whether each was right.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::heprintln;
use wardein_ddkg::vectors;
use wardein_mcu::{end, heap};

/// The whole file: what is generated from it could lose something on the way.
const FILE: &str = include_str!(env!("WARDEIN_DDKG_VECTORS"));

#[entry]
fn main() -> ! {
    heap::init();
    end(is_good())
}

fn is_good() -> bool {
    let checked = vectors::check(FILE).and_then(|skipped| vectors::ends(FILE).map(|()| skipped));
    match checked {
        Ok(skipped) if skipped.is_empty() => {
            heprintln!("all vectors are right: a file of {} bytes, none skipped", FILE.len());
            true
        }
        Ok(skipped) => {
            skipped.iter().for_each(|skipped| heprintln!("SKIPPED {}", skipped));
            false
        }
        Err(wrong) => {
            heprintln!("WRONG {}", wrong);
            false
        }
    }
}

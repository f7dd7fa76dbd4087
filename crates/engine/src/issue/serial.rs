//! Serials of certificates.

use crate::kernel::{Draw, Error};
use wardein_domain::Serial;

/// A random serial. That it is new shows when it is inserted.
pub(crate) fn new_serial(draw: &mut Draw<'_>) -> Result<Serial, Error> {
    Ok(Serial::from_random(draw.public()?))
}

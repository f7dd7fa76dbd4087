//! Updates: only what the maker has signed is downloaded, installed, and said to run.
//!
//! What: the client's side of TUF over a share, a web server or a USB stick, none of which is trusted; a download that goes on
//! where it stopped and is judged while it comes; the steps of an installation, each on record before it is taken, so that a power
//! cut leaves the old or the new; the comparison of what runs with what was approved; and receipts, by which the authority hears
//! what came of it. Why beside the agent: a hospital decides when a device is updated, so each step is a command. What it does not
//! do: the installation itself, which is the maker's command (`install` in `[update]` of device.toml) or a client of hawkBit's, and
//! the judgment of metadata, which is `wardein-tuf`'s.

mod artifact;
mod catalog;
mod error;
mod files;
#[cfg(feature = "hawkbit")]
mod hawkbit;
mod install;
mod offer;
mod progress;
mod receipt;
mod running;
mod sealed;
mod settings;
mod source;
mod updater;

pub use catalog::{Listed, Offered};
pub use error::UpdateError;
#[cfg(feature = "hawkbit")]
pub use hawkbit::{HawkbitEnd, HawkbitToken, HawkbitTokenError, Loopback, LoopbackAddress, NotLoopback};
pub use offer::OfferAnswer;
pub use progress::{Installed, Phase, Standing};
pub use receipt::Told;
pub use running::Running;
pub use settings::{Place, UpdateSettings};
pub use updater::{Pick, Updater};

pub(crate) use receipt::tell_kept;
pub(crate) use settings::UpdateFields;

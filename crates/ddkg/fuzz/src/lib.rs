//! What the fuzz targets do, apart from the engine, so that `tests/ddkg/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`decode`] | a message, a body, a name, a cover, a delegation | every decoder; what decodes meets both ends |
//! | [`device_state`] | a device's saved state without its checksum | restoring, then every order to the device |
//! | [`record`] | an authority's record, and a time | decoding, then proofs and tokens whose macs are right, sweeps, a rekey |
//! | [`both_ends`] | a list of orders | both ends over a network that loses, repeats, reorders and changes, with crashes |

mod both_ends;
mod decode;
mod device_state;
mod record;
pub mod world;

pub use both_ends::both_ends;
pub use decode::decode;
pub use device_state::device_state;
pub use record::record;

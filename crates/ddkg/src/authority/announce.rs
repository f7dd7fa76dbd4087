//! The action `attributes`, the authority's part (specification, section 8.1).

use super::proof::Accepted;
use super::record::Record;
use super::refusal::Refusal;
use crate::attribute::AttributeDigests;

impl Record {
    /// Records the attributes that the device will measure, as a proved `attributes` announces. Proofs are accepted with these
    /// and with the attributes on record, until one shows these: so neither a lost reply nor an update that comes late, or never,
    /// strands the device. Announcing the attributes on record cancels the announcement.
    ///
    /// Attributes may be added but not left out: a thief of the state must not be able to drop those it cannot measure.
    pub fn announce(&mut self, _proved: &Accepted, attributes: AttributeDigests) -> Result<(), Refusal> {
        let expected = self.cold.attributes.names();
        if let Some(name) = expected.names().iter().find(|name| attributes.get(name).is_none()) {
            return Err(Refusal::AttributeDropped(name.clone()));
        }
        let announced = (attributes != self.cold.attributes).then_some(attributes);
        if self.cold.announced != announced {
            self.cold.change().announced = announced;
        }
        Ok(())
    }
}

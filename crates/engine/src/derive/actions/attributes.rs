//! The action `attributes` (DDKG-1 §8.1). The announced attributes hold beside those on record until a proof shows them.

use super::{Done, Performing};
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows;
use wardein_ddkg::authority::Record;
use wardein_ddkg::{Attributes, DeviceName};
use wardein_domain::{Event, FieldName, Fields};
use wardein_port::Change;

pub(super) fn announce(attributes: &Attributes, performing: Performing<'_>) -> Result<Done, Error> {
    let Performing { accepted, record, .. } = performing;
    let announced = attributes.digests();
    let is_other =
        |name: &&wardein_domain::AttributeName| record.attributes().get(name) != announced.get(name);
    let names = announced.names();
    let add = |fields: Fields, name| fields.with(FieldName::Attribute, name);
    let fields = names.names().iter().filter(is_other).fold(Fields::default(), add);
    record.announce(accepted, announced)?;
    Ok(Done::new(Event::AttributesAnnounced, fields, Vec::new()))
}

impl Engine {
    /// After a proof that shows announced attributes: the device's recipe, which has their names, and the versions among them.
    pub(crate) fn adopt_attributes(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        record: &Record,
        change: &mut Change,
    ) -> Result<(), Stop> {
        self.alter_device(tx, change, name, |row| {
            row.attributes = rows::attribute_names(record);
            row.adopt_versions(record);
        })
    }

    /// After an announcement: those of the attributes that are versions, which count once a proof shows them. What is on record is
    /// shown already.
    pub(crate) fn keep_announced(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        (record, attributes): (&Record, &Attributes),
        change: &mut Change,
    ) -> Result<(), Stop> {
        self.alter_device(tx, change, name, |row| {
            row.announced = rows::versions(attributes);
            if *record.attributes() == attributes.digests() {
                row.adopt_versions(record);
            }
        })
    }
}

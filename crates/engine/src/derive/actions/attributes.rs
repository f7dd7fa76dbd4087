//! The action `attributes` (DDKG-1 §8.1). The announced attributes hold beside those on record until a proof shows them.

use super::{Body, Done, Performing};
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows;
use wardein_ddkg::authority::Record;
use wardein_ddkg::{Attributes, DeviceName};
use wardein_domain::{Event, FieldName, Fields};
use wardein_port::{Change, Table};

pub(super) fn announce(attributes: &Attributes, performing: Performing<'_>) -> Result<Done, Error> {
    let Performing { accepted, record, .. } = performing;
    let announced = attributes.digests();
    let is_other =
        |name: &&wardein_domain::AttributeName| record.attributes().get(name) != announced.get(name);
    let names = announced.names();
    let add = |fields: Fields, name| fields.with(FieldName::Attribute, name);
    let fields = names.names().iter().filter(is_other).fold(Fields::default(), add);
    record.announce(accepted, announced)?;
    Ok(Done { event: Event::AttributesAnnounced, fields, body: Body::Ready(Vec::new()) })
}

impl Engine {
    /// After a proof that shows announced attributes: the device's recipe, which has their names.
    pub(crate) fn adopt_attributes(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        record: &Record,
        change: &mut Change,
    ) -> Result<(), Stop> {
        let (version, mut row) = self.device_row(tx, name)?;
        let names = rows::attribute_names(record);
        if row.attributes != names {
            row.attributes = names;
            change.update(Table::Device, rows::device_key(name), version, rows::encode(&row)?);
        }
        Ok(())
    }
}

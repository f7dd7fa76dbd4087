//! The action `attributes` (DDKG-1 §8.1). The announced attributes hold beside those on record until a proof shows them.

use super::{Done, Performing};
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{self, VersionRow};
use wardein_crypto::hex;
use wardein_ddkg::authority::{Accepted, Record};
use wardein_ddkg::{Attributes, DeviceName};
use wardein_domain::{AttributeName, Event, FieldName, Fields, ReleaseText};
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

    /// With an offer: what the release shows is taken as announced, so that the device can prove who it is from its first start on. Of the
    /// release's attributes those count that the device has on record.
    pub(super) fn expect_release(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        (accepted, record): (&Accepted, &mut Record),
        release: &[(AttributeName, ReleaseText)],
        change: &mut Change,
    ) -> Result<(), Stop> {
        let present = record.attributes();
        let coming = release
            .iter()
            .fold(present.clone(), |coming, (attribute, text)| coming.with(attribute, &measured(text)));
        // To announce what is on record would call off what is announced.
        if coming == *present {
            return Ok(());
        }
        record.announce(accepted, coming).map_err(Error::from)?;
        let version = |(attribute, text): &(AttributeName, ReleaseText)| {
            let version = text.as_str().parse().ok()?;
            Some(VersionRow { attribute: attribute.clone(), version })
        };
        let versions: Vec<_> = release.iter().filter_map(version).collect();
        self.alter_device(tx, change, name, |row| row.await_versions(versions))
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

/// The value that a device measures where a release says `text`: the digest of a file is in hexadecimal there.
fn measured(text: &ReleaseText) -> Vec<u8> {
    let text = text.as_str();
    hex::decode(text).filter(|bytes| bytes.len() == DIGEST_LEN).unwrap_or_else(|| text.as_bytes().to_vec())
}

/// The bytes of a file's digest.
const DIGEST_LEN: usize = 32;

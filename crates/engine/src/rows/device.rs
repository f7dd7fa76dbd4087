//! The row of a device, at tenant and id: the administrator's view of it, and the basis of trust. Its keys are elsewhere.

use super::{RotationRow, column};
use serde::{Deserialize, Serialize};
use wardein_ddkg::authority::Record;
use wardein_ddkg::{Attributes, attribute_digest};
use wardein_domain::{
    Assurance, AttributeName, DeviceState, FirmwareVersion, LineName, ModelName, ProfileName, Reason,
    RepositoryName, Serial, Udi, UnixMillis, UnixSeconds,
};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct DeviceRow {
    #[serde(with = "column")]
    pub(crate) state: DeviceState,
    #[serde(with = "column::maybe")]
    pub(crate) state_reason: Option<Reason>,
    /// Since when it is in this state: from then on its certificates are revoked, or on hold. In a row written before this
    /// column, since its enrollment.
    #[serde(with = "column")]
    pub(crate) state_since: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) profile: ProfileName,
    #[serde(with = "column::maybe")]
    pub(crate) model: Option<ModelName>,
    #[serde(with = "column::maybe")]
    pub(crate) udi: Option<Udi>,
    #[serde(with = "column")]
    pub(crate) enrolled_at: UnixSeconds,
    pub(crate) enrolled_by: String,
    /// The places of stations' quotas that it took; the last is of the station that enrolled it last.
    pub(crate) places: Vec<PlaceRow>,
    /// How often that station has replaced its enrollment since, at no cost.
    pub(crate) replaced: u32,
    /// The names of its attributes, in byte order: its recipe.
    #[serde(with = "column::list")]
    pub(crate) attributes: Vec<AttributeName>,
    /// The last rotation of its keys alone.
    pub(crate) rotation: RotationRow,
    /// How surely the key that it signs with is where it is said to be; none for a device that derives its keys.
    #[serde(with = "column::maybe")]
    pub(crate) assurance: Option<Assurance>,
    /// Whether another device was enrolled with its key or its TPM.
    pub(crate) is_shared: bool,
    /// Those of its attributes that are versions, at most [`MAX_VERSIONS`].
    pub(crate) versions: Vec<VersionRow>,
    /// Those that it announced, until a proof shows them.
    pub(crate) announced: Vec<VersionRow>,
    /// What it runs, by its receipts: of each product line, in order of repository and line, at most [`MAX_SOFTWARE`].
    pub(crate) software: Vec<SoftwareColumn>,
}

/// What a device runs of a product line, and what came of its last installation.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct SoftwareColumn {
    #[serde(with = "column")]
    pub(crate) repository: RepositoryName,
    #[serde(with = "column")]
    pub(crate) line: LineName,
    /// The lowest version that it may install. It rises with the first good start of a release that says so.
    pub(crate) floor: u64,
    /// When the offer was issued by which it installed last, or when it did.
    #[serde(with = "column")]
    pub(crate) installed: UnixMillis,
    /// The release that was given up at the last installation; none where that has started, or is not told.
    pub(crate) rolled_back: Option<u64>,
    /// What runs; none where no receipt says so.
    pub(crate) running: Option<RunningColumn>,
}

/// A release that runs on a device.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningColumn {
    pub(crate) version: u64,
    /// The artifact's digest.
    pub(crate) sha256: [u8; 32],
    /// Whether the device has shown something else than the release says, when it looked last.
    pub(crate) differs: bool,
}

/// An attribute that is a version.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    #[serde(with = "column")]
    pub(crate) attribute: AttributeName,
    #[serde(with = "column")]
    pub(crate) version: FirmwareVersion,
}

/// Places of one station's quota.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceRow {
    /// The serial of the station's certificate.
    #[serde(with = "column")]
    pub(crate) station: Serial,
    pub(crate) count: u32,
}

impl DeviceRow {
    /// How often a station may replace an enrollment of its own that was not confirmed, before it costs a place again: a device that
    /// lost power in the middle begins from the start.
    pub(crate) const FREE_REPLACEMENTS: u32 = 8;

    /// Whether another enrollment by `station`, in the place of one that was not confirmed, takes a place of its quota.
    pub(crate) fn costs(&self, station: &Serial) -> bool {
        self.places.last().is_none_or(|last| last.station != *station)
            || self.replaced >= Self::FREE_REPLACEMENTS
    }
}

/// `places`, with one more of `station`, as the last.
pub(crate) fn with_place(mut places: Vec<PlaceRow>, station: &Serial) -> Vec<PlaceRow> {
    let present = places.iter().position(|place| place.station == *station);
    let mut place = match present {
        Some(present) => places.remove(present),
        None => PlaceRow { station: *station, count: 0 },
    };
    place.count = place.count.saturating_add(1);
    places.push(place);
    places
}

impl DeviceRow {
    /// Takes over, of the versions that it has and of those that were announced, those that the record has. Others that were announced wait
    /// on: they may be of a release that the device was offered since.
    pub(crate) fn adopt_versions(&mut self, record: &Record) {
        let is_shown = |row: &VersionRow| {
            let digest = attribute_digest(&row.attribute, row.version.as_str().as_bytes());
            record.attributes().get(&row.attribute) == Some(&digest)
        };
        let (shown, waiting) = std::mem::take(&mut self.announced).into_iter().partition(is_shown);
        self.announced = waiting;
        let known = std::mem::take(&mut self.versions).into_iter().filter(is_shown);
        for row in Vec::into_iter(shown).chain(known) {
            if self.versions.iter().all(|known| known.attribute != row.attribute) {
                self.versions.push(row);
            }
        }
        self.versions.sort_by(|one, other| one.attribute.cmp(&other.attribute));
        self.versions.truncate(MAX_VERSIONS);
    }

    /// Has these versions wait beside those that were announced before, until a proof shows them.
    pub(crate) fn await_versions(&mut self, mut coming: Vec<VersionRow>) {
        self.announced.retain(|row| !coming.contains(row));
        coming.append(&mut self.announced);
        coming.truncate(2 * MAX_VERSIONS);
        self.announced = coming;
    }
}

/// Those of these attributes that are versions, in byte order of their names. Of all others the authority keeps digests alone.
pub(crate) fn versions(attributes: &Attributes) -> Vec<VersionRow> {
    let version = |(attribute, value): (&AttributeName, &[u8])| {
        let version = std::str::from_utf8(value).ok()?.parse().ok()?;
        Some(VersionRow { attribute: attribute.clone(), version })
    };
    attributes.iter().filter_map(version).take(MAX_VERSIONS).collect()
}

/// How many versions of a device are kept: some 100 bytes each.
const MAX_VERSIONS: usize = 8;

/// Of how many product lines a device runs something: some 100 bytes each.
pub(crate) const MAX_SOFTWARE: usize = 4;

/// The value of [`DeviceRow::attributes`] for a record.
pub(crate) fn attribute_names(record: &Record) -> Vec<AttributeName> {
    record.attributes().names().names().to_vec()
}

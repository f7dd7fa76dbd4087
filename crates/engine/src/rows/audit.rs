//! Rows of the audit log and of devices' histories. The first byte is the format: 2 since 0.2, in which each fact is a field of
//! its own; 1 before, in which all facts were one text.

use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use wardein_domain::{Actor, AuditEntry, Field, FieldName, Origin, Outcome, Target, Word};

/// A value to store.
pub(crate) fn encode(entry: &AuditEntry) -> Result<Vec<u8>, Error> {
    let (actor, target) = (text(&entry.actor), text(&entry.target));
    let row = EntryRow {
        time_ms: entry.time_ms,
        tenant: entry.tenant.as_ref().map(|tenant| tenant.as_str().into()),
        actor: actor.as_str().into(),
        event: entry.event.as_str().into(),
        target: target.as_str().into(),
        outcome: entry.outcome.code().into(),
        fields: entry.fields.iter().map(FieldRow::from).collect(),
        request_id: entry.request_id.as_str().into(),
        origin: entry.origin.map(OriginRow::from),
        software: entry.software.as_ref().into(),
    };
    let mut value = Vec::with_capacity(256);
    value.push(FORMAT);
    postcard::to_extend(&row, value)
        .map_err(|error| Error::internal(format_args!("an audit entry does not encode: {error}")))
}

/// A stored value, of either format.
pub(crate) fn decode(value: &[u8]) -> Result<AuditEntry, Error> {
    let damaged = |error| Error::internal(format_args!("a row of the audit log does not decode: {error}"));
    match value.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes::<EntryRow<'_>>(body).map_err(damaged)?.parse(),
        Some((&FORMAT_OF_TEXT, body)) => postcard::from_bytes::<TextRow<'_>>(body).map_err(damaged)?.parse(),
        Some((format, _)) => Err(Error::internal(format_args!(
            "a row of the audit log has format {format}; {FORMAT_OF_TEXT} and {FORMAT} are known"
        ))),
        None => Err(Error::internal("a row of the audit log is empty")),
    }
}

/// As `to_string`, with room for most at once.
fn text(words: &impl fmt::Display) -> String {
    let mut text = String::with_capacity(64);
    // A String takes whatever it is given.
    let _ = write!(text, "{words}");
    text
}

#[derive(Serialize, Deserialize)]
struct EntryRow<'a> {
    time_ms: u64,
    #[serde(borrow)]
    tenant: Option<Cow<'a, str>>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    fields: Vec<FieldRow<'a>>,
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    origin: Option<OriginRow>,
    #[serde(borrow)]
    software: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct FieldRow<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    before: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct OriginRow {
    ip: IpRow,
    port: u16,
    certificate: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
enum IpRow {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// Format 1.
#[derive(Deserialize)]
struct TextRow<'a> {
    time_ms: u64,
    #[serde(borrow)]
    tenant: Option<Cow<'a, str>>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    detail: Cow<'a, str>,
    #[serde(borrow)]
    request_id: Cow<'a, str>,
}

impl EntryRow<'_> {
    fn parse(self) -> Result<AuditEntry, Error> {
        Ok(AuditEntry {
            time_ms: self.time_ms,
            tenant: self.tenant.map(|tenant| crate::rows::word("tenant", &tenant)).transpose()?,
            actor: Actor::from_text(&self.actor),
            event: Word::from_text(&self.event),
            target: Target::from_text(&self.target),
            outcome: Outcome::from_text(&self.outcome),
            fields: self.fields.into_iter().map(Field::from).collect(),
            request_id: self.request_id.into_owned(),
            origin: self.origin.map(Origin::from),
            software: Cow::Owned(self.software.into_owned()),
        })
    }
}

impl<'a> TextRow<'a> {
    /// The text becomes a field verbatim; nothing is inferred from it.
    fn parse(self) -> Result<AuditEntry, Error> {
        let Self { time_ms, tenant, actor, event, target, outcome, detail, request_id } = self;
        let name = Cow::Borrowed(FieldName::Detail.code());
        let fields = match detail.is_empty() {
            true => Vec::new(),
            false => vec![FieldRow { name, before: None, value: detail }],
        };
        let (origin, software) = (None, Cow::Borrowed(""));
        EntryRow { time_ms, tenant, actor, event, target, outcome, fields, request_id, origin, software }
            .parse()
    }
}

impl<'a> From<&'a Field> for FieldRow<'a> {
    fn from(Field { name, before, value }: &'a Field) -> Self {
        Self {
            name: name.as_str().into(),
            before: before.as_deref().map(Cow::from),
            value: value.as_str().into(),
        }
    }
}

impl From<FieldRow<'_>> for Field {
    fn from(FieldRow { name, before, value }: FieldRow<'_>) -> Self {
        Self { name: Word::from_text(&name), before: before.map(Cow::into_owned), value: value.into_owned() }
    }
}

impl From<Origin> for OriginRow {
    fn from(Origin { address, certificate }: Origin) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => IpRow::V4(ip.octets()),
            IpAddr::V6(ip) => IpRow::V6(ip.octets()),
        };
        Self { ip, port: address.port(), certificate }
    }
}

impl From<OriginRow> for Origin {
    fn from(OriginRow { ip, port, certificate }: OriginRow) -> Self {
        let ip = match ip {
            IpRow::V4(octets) => IpAddr::from(octets),
            IpRow::V6(octets) => IpAddr::from(octets),
        };
        Self { address: SocketAddr::new(ip, port), certificate }
    }
}

const FORMAT: u8 = 2;

/// Of version 0.1.
const FORMAT_OF_TEXT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_crypto::hex;
    use wardein_domain::{Call, Event, Role};

    /// Written by version 0.1.0.
    const TEXTS: [(&str, &str); 3] = [
        (
            "01c385e893a234010b6b6c696e696b2d6e6f72641a73746174696f6e2f6b6c696e696b2d6e6f72642f6c696e652d310d6465766963652e656e\
             726f6c6c1a6465766963652f6b6c696e696b2d6e6f72642f70756d702d3031026f6b0c67656e65726174696f6e203113313134623332616564\
             316137363537342d3235",
            "klinik-nord station/klinik-nord/line-1 device.enroll device/klinik-nord/pump-01 ok [generation 1] 114b32aed1a76574-25",
        ),
        (
            "01b784e893a234010b6b6c696e696b2d6e6f72640b61646d696e2f61646d696e0c6772616e742e72656d6f76651c706c6174666f726d2f6b6c\
             696e696b2d6e6f72642f6f6c642d696f74026f6b1e746f6b656e206f6620616c6c20646576696365733a207265706c61636564133131346233\
             32616564316137363537342d3233",
            "klinik-nord admin/admin grant.remove platform/klinik-nord/old-iot ok [token of all devices: replaced] \
             114b32aed1a76574-23",
        ),
        (
            "01c985e893a234010b6b6c696e696b2d6e6f72641a73746174696f6e2f6b6c696e696b2d6e6f72642f6c696e652d310e6465766963652e636f\
             6e6669726d1a6465766963652f6b6c696e696b2d6e6f72642f70756d702d3031026f6b0013313134623332616564316137363537342d3235",
            "klinik-nord station/klinik-nord/line-1 device.confirm device/klinik-nord/pump-01 ok [] 114b32aed1a76574-25",
        ),
    ];

    #[test]
    fn what_the_first_version_wrote_is_read() {
        for (bytes, expected) in TEXTS {
            let entry = decode(&hex::decode(bytes).unwrap()).unwrap();
            let AuditEntry { tenant, actor, event, target, outcome, request_id, .. } = &entry;
            let detail = entry.field(FieldName::Detail).unwrap_or_default();
            let tenant = tenant.as_ref().unwrap();
            let said = format!("{tenant} {actor} {event} {target} {outcome} [{detail}] {request_id}");
            assert_eq!(said, expected);
            assert!(matches!(actor, Actor::Operator { .. }) && matches!(event, Word::Known(_)));
            assert!(matches!(target, Target::Device(..) | Target::Platform(..)));
            assert_eq!((entry.origin, entry.software.as_ref()), (None, ""));
            assert_eq!(entry.fields.iter().count(), usize::from(!detail.is_empty()));
        }
    }

    fn full() -> AuditEntry {
        let address = "192.0.2.7:41234".parse().unwrap();
        let origin = Some(Origin { address, certificate: Some([7; 32]) });
        let call = Call { origin, ..Call::new("id-1") };
        let actor = Actor::Operator { role: Role::Admin, tenant: None, name: "admin".parse().unwrap() };
        let (tenant, device) = ("klinik".parse().unwrap(), "pump-1".parse().unwrap());
        let target = Target::Device(tenant, device);
        AuditEntry::new(
            "0.2.0",
            1_700_000_000_123,
            actor,
            Event::DeviceStateSet,
            target,
            Outcome::Done,
            &call,
        )
        .in_tenant(&"klinik".parse().unwrap())
        .changed(FieldName::State, "active", "suspended")
        .with(FieldName::Reason, "maintenance")
    }

    fn bare() -> AuditEntry {
        let address = "[2001:db8::7]:443".parse().unwrap();
        let call = Call { origin: Some(Origin { address, certificate: None }), ..Call::default() };
        let (event, outcome) =
            (Event::CloneSuspected, Outcome::refused(wardein_domain::ErrorCode::CloneSuspected));
        AuditEntry::new("0.2.0", 1, Actor::System, event, Target::Authority, outcome, &call)
    }

    #[test]
    fn the_bytes_of_an_entry_never_change() {
        for (entry, golden) in [(full(), FULL), (bare(), BARE)] {
            assert_eq!(hex::encode(&encode(&entry).unwrap()), golden);
            assert_eq!(decode(&hex::decode(golden).unwrap()).unwrap(), entry);
        }
    }

    #[test]
    fn what_a_newer_version_added_is_read_as_text() {
        let mut row = encode(&full()).unwrap();
        for (known, new) in [("device.set-state", "device.set-orbit"), ("reason", "planet")] {
            let at = row.windows(known.len()).position(|window| window == known.as_bytes()).unwrap();
            row[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
        let entry = decode(&row).unwrap();
        assert_eq!(entry.event, Word::Other("device.set-orbit".into()));
        assert_eq!(entry.fields.into_iter().last().unwrap().name, Word::Other("planet".into()));
    }

    #[test]
    fn damage_and_other_formats_are_faults() {
        let row = encode(&full()).unwrap();
        for bad in [&[][..], &[3, 0], &row[..row.len() - 1], &row[..40]] {
            assert!(decode(bad).is_err());
        }
    }

    const FULL: &str = "02fbd095ffbc3101066b6c696e696b0b61646d696e2f61646d696e106465766963652e7365742d7374617465146465766963652f6b6c\
        696e696b2f70756d702d31026f6b0205737461746501066163746976650973757370656e64656406726561736f6e000b6d61696e74656e616e\
        63650469642d310100c000020792c20201070707070707070707070707070707070707070707070707070707070707070705302e322e30";

    const BARE: &str = "0201000673797374656d166465766963652e636c6f6e652d73757370656374656409617574686f726974790f636c6f6e652d7375737065637465\
        640000010120010db8000000000000000000000007bb030005302e322e30";
}

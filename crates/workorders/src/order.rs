//! A work order: as the service system has it, and as a visit takes it.

use crate::config::{Config, Technician};
use crate::moment;
use serde::{Deserialize, Serialize};
use wardein_crypto::{Sha256, hex};
use wardein_domain::{DeviceId, ServiceScope, WorkOrder};

/// What the service system says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Its id there, 1 to [`Order::MAX_ID`] printable ASCII characters.
    pub(crate) id: String,
    /// When it was last changed there, in Unix milliseconds. What is older than what is known is not looked at.
    pub(crate) changed: u64,
    /// Where it is.
    pub(crate) status: Status,
    /// What it is about.
    pub(crate) raw: Raw,
}

/// Where an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// The technician is to go there.
    Dispatched,
    /// The work is done.
    Closed,
    /// Nobody is to go there.
    Canceled,
}

/// The fields of an order as they came. They are judged when the technician is invited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Raw {
    pub(crate) number: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) technician: Option<String>,
    pub(crate) starts: Option<String>,
    pub(crate) ends: Option<String>,
    pub(crate) scope: Option<String>,
}

/// What a visit is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) work_order: WorkOrder,
    pub(crate) device: DeviceId,
    pub(crate) technician: Technician,
    /// Unix second; none for now.
    pub(crate) starts: Option<u64>,
    /// Unix second.
    pub(crate) ends: u64,
    pub(crate) scope: ServiceScope,
}

/// Why an order makes no visit. The code is stable; it is written to the order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Defect {
    #[error("the order has no {0}")]
    Missing(&'static str),
    #[error("the order's {field} cannot be used: {why}")]
    Malformed { field: &'static str, why: String },
    #[error("no technician of the adapter's configuration has the name {0:?} in orders")]
    Technician(String),
}

impl Defect {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "order-incomplete",
            Self::Malformed { .. } => "order-malformed",
            Self::Technician(_) => "technician-unknown",
        }
    }
}

impl Order {
    pub(crate) const MAX_ID: usize = 128;
}

impl Raw {
    /// The most bytes of a field that are kept.
    pub(crate) const MAX_FIELD: usize = 256;

    /// A digest of the fields: an order that is saved again without a change that matters has the same, and makes no other visit.
    pub(crate) fn fingerprint(&self, config: &Config) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: Option<&str>| {
            let text = text.unwrap_or_default();
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        for field in self.fields() {
            add(field);
        }
        let technician = self.technician.as_deref().and_then(|name| config.technician(name));
        add(technician.map(|of| of.name.as_str()));
        add(technician.map(|of| of.key.fingerprint()).as_deref());
        hex::encode(&hash.finish().0[..16])
    }

    fn fields(&self) -> [Option<&str>; 6] {
        let Self { number, device, technician, starts, ends, scope } = self;
        [number, device, technician, starts, ends, scope].map(|field| field.as_deref())
    }

    /// The terms of a visit at Unix second `now`. Its work order is the order's number and, behind a slash, `key`.
    pub(crate) fn terms(&self, config: &Config, key: &str, now: u64) -> Result<Terms, Defect> {
        let device: DeviceId = field(&self.device, "device")?.parse().map_err(malformed("device"))?;
        let name = field(&self.technician, "technician")?;
        let technician = config.technician(name).ok_or_else(|| Defect::Technician(name.to_owned()))?.clone();
        let second = |value: &Option<String>, name: &'static str| -> Result<u64, Defect> {
            let text = field(value, name)?;
            let ms = moment::parse(text)
                .ok_or_else(|| malformed(name)(format_args!("{text:?} is not a time of RFC 3339")))?;
            Ok(ms / 1000)
        };
        let ends = second(&self.ends, "end of the window")?;
        // A window that has begun begins now: the technician was sent late, and is let in for what is left of it.
        let starts = Some(second(&self.starts, "begin of the window")?).filter(|starts| *starts > now);
        let scope: ServiceScope = match &self.scope {
            Some(scope) => scope.parse().map_err(malformed("scope"))?,
            None => config.scope.clone(),
        };
        let number = field(&self.number, "number")?;
        let work_order: WorkOrder = format!("{number}/{key}").parse().map_err(malformed("number"))?;
        Ok(Terms { work_order, device, technician, starts, ends, scope })
    }
}

/// The key of the visit that is made for the `turn`th time of the order `id`: 12 hex digits. Nothing else has the same, so that the
/// visit is found again after a crash.
pub(crate) fn key(id: &str, turn: u32, fingerprint: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(&(id.len() as u64).to_be_bytes());
    hash.update(id.as_bytes());
    hash.update(&turn.to_be_bytes());
    hash.update(fingerprint.as_bytes());
    hex::encode(&hash.finish().0[..6])
}

fn field<'a>(value: &'a Option<String>, name: &'static str) -> Result<&'a str, Defect> {
    let text = value.as_deref().map(str::trim).filter(|text| !text.is_empty());
    text.ok_or(Defect::Missing(name))
}

fn malformed<E: ToString>(field: &'static str) -> impl FnOnce(E) -> Defect {
    move |why| Defect::Malformed { field, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn raw() -> Raw {
        let text = |text: &str| Some(text.to_owned());
        Raw {
            number: text("WO-00012"),
            device: text("pump-1"),
            technician: text("Eva Example"),
            starts: text("2026-12-01T08:00:00.000+0000"),
            ends: text("2026-12-01T18:00:00.000+0000"),
            scope: None,
        }
    }

    const BEFORE: u64 = 1_796_000_000;

    #[test]
    fn an_order_makes_terms_with_a_work_order_of_its_own() {
        let config = config();
        let of = |raw: Raw, id, turn| {
            let key = key(id, turn, &raw.fingerprint(&config));
            raw.terms(&config, &key, BEFORE).unwrap()
        };
        let terms = of(raw(), "a0", 0);
        let technician = terms.technician.name.as_str();
        assert_eq!(
            (terms.device.as_str(), technician, terms.scope.as_str()),
            ("pump-1", "eva", "maintenance")
        );
        assert_eq!((terms.starts, terms.ends), (Some(1_796_112_000), 1_796_148_000));
        let (number, key) = terms.work_order.as_str().split_once('/').unwrap();
        assert_eq!((number, key.len()), ("WO-00012", 12));
        assert_eq!(of(raw(), "a0", 0), terms);
        let longer = Raw { ends: Some("2026-12-01T18:00:01Z".into()), ..raw() };
        for other in [of(raw(), "a1", 0), of(raw(), "a0", 1), of(longer, "a0", 0)] {
            assert_ne!(other.work_order, terms.work_order);
        }
        assert_eq!(raw().terms(&config, key, 1_796_112_000).unwrap().starts, None, "it has begun");
    }

    #[test]
    fn a_technician_with_another_key_makes_another_fingerprint() {
        let mut config = config();
        let before = raw().fingerprint(&config);
        config.technicians.clear();
        assert_ne!(raw().fingerprint(&config), before);
    }

    #[test]
    fn what_makes_no_visit_is_named() {
        let config = config();
        let code = |raw: Raw| raw.terms(&config, "0123456789ab", BEFORE).unwrap_err().code();
        let text = |text: &str| Some(text.to_owned());
        for raw in [
            Raw { device: None, ..raw() },
            Raw { device: text(" "), ..raw() },
            Raw { technician: None, ..raw() },
            Raw { starts: None, ..raw() },
            Raw { ends: None, ..raw() },
            Raw { number: None, ..raw() },
        ] {
            assert_eq!(code(raw), "order-incomplete");
        }
        for raw in [
            Raw { device: text("pump 1"), ..raw() },
            Raw { ends: text("tomorrow"), ..raw() },
            Raw { scope: text("Repair"), ..raw() },
            Raw { number: text("WO $(reboot)"), ..raw() },
            Raw { number: text(&"9".repeat(52)), ..raw() },
        ] {
            assert_eq!(code(raw), "order-malformed");
        }
        assert_eq!(code(Raw { technician: text("Mallory"), ..raw() }), "technician-unknown");
    }
}

//! The expected list: the ids of a batch, as the factory's system ordered them. What is not on it is surplus.

use crate::batch::{self, Cells, HeadMap};
use crate::{Batch, Error, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wardein_domain::{DeviceId, ErrorCode};

/// The devices that may be made, and no others.
#[derive(Debug, Clone)]
pub struct Expected(BTreeSet<DeviceId>);

/// Where what was made differs from what was ordered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Ordered, and not enrolled.
    pub missing: BTreeSet<String>,
    /// Not ordered: they came and were refused, are in the batch, or an earlier run enrolled them.
    pub surplus: BTreeSet<String>,
}

impl Expected {
    /// Reads the list: an id on each line, or a table as for a batch, of which the column `id` counts, or the one that `heads`
    /// names so. It is a control, so it is taken whole or not at all: an error names the first line that is no id, or one that
    /// is there twice.
    pub fn read(path: &Path, heads: &HeadMap) -> Result<Self, Error> {
        let bytes = Batch::bytes(path)?;
        Self::parse(bytes, heads).map_err(|reason| Error::file("read", path, reason))
    }

    fn parse(bytes: Vec<u8>, heads: &HeadMap) -> Result<Self, String> {
        let (mut column, mut ids) = (None, BTreeSet::new());
        let mut lines = BTreeMap::new();
        batch::each_line(bytes, |number, cells| {
            let cells = cells.map_err(|why| format!("line {number}: {why}"))?;
            let is_first = column.is_none();
            let at = *column.get_or_insert_with(|| head(&cells, heads));
            let at = match (at, is_first) {
                (Some(_), true) => return Ok(()),
                (Some(at), false) => at,
                (None, _) if cells.len() <= 1 => 0,
                (None, _) => {
                    return Err(format!(
                        "line {number}: has {} columns, and the first line names none of them id",
                        cells.len()
                    ));
                }
            };
            if cells.iter().all(|cell| cell.trim_ascii().is_empty()) {
                return Ok(());
            }
            let cell = cells.get(at).unwrap_or_default();
            let id = batch::device_id(cell).map_err(|why| format!("line {number}: {why}"))?;
            // As in a batch: ids that differ in case alone are one file on some file systems.
            if let Some(first) = lines.insert(id.as_str().to_ascii_lowercase(), number) {
                return Err(format!("line {number}: id: {id} is on line {first} already"));
            }
            ids.insert(id);
            Ok(())
        })?;
        match ids.is_empty() {
            true => Err("it has no id".to_owned()),
            false => Ok(Self(ids)),
        }
    }

    /// Whether the device may be enrolled.
    pub fn has(&self, device: &DeviceId) -> bool {
        self.0.contains(device)
    }

    /// All of them.
    pub fn ids(&self) -> &BTreeSet<DeviceId> {
        &self.0
    }

    /// Compares it with the devices of a batch alone, before any of them is made.
    pub fn difference_to(&self, batch: &Batch) -> Difference {
        let listed: BTreeSet<&DeviceId> = batch.lines.iter().map(|line| &line.device).collect();
        let names = |ids: &mut dyn Iterator<Item = &DeviceId>| ids.map(ToString::to_string).collect();
        Difference {
            missing: names(&mut self.0.iter().filter(|id| !listed.contains(id))),
            surplus: names(&mut listed.iter().copied().filter(|id| !self.has(id))),
        }
    }

    /// Compares it with the devices of a batch, with those that earlier runs enrolled, and with how devices fared in this one.
    pub fn difference(&self, batch: &Batch, earlier: &BTreeSet<String>, outcomes: &[Outcome]) -> Difference {
        let is_refused = |outcome: &&Outcome| outcome.code == ErrorCode::DeviceNotListed.as_str();
        let enrolled = outcomes.iter().filter(|outcome| !outcome.has_failed());
        let here: BTreeSet<&str> = enrolled.map(|outcome| outcome.device_id.as_str()).collect();
        let came = outcomes.iter().filter(is_refused).map(|outcome| outcome.device_id.as_str());
        let all =
            batch.lines.iter().map(|line| line.device.as_str()).chain(earlier.iter().map(String::as_str));
        let all = all.chain(here.iter().copied()).chain(came);
        let ordered: BTreeSet<&str> = self.0.iter().map(DeviceId::as_str).collect();
        let is_missing = |id: &&&str| !earlier.contains(**id) && !here.contains(**id);
        Difference {
            missing: ordered.iter().filter(is_missing).map(|id| (*id).to_owned()).collect(),
            surplus: all.filter(|id| !id.is_empty() && !ordered.contains(id)).map(str::to_owned).collect(),
        }
    }
}

/// Which column holds the ids, where the first line names one.
fn head(first: &Cells, heads: &HeadMap) -> Option<usize> {
    first.iter().position(|cell| {
        let name = str::from_utf8(cell).unwrap_or_default().trim();
        heads.names.get(name).map_or(name, String::as_str) == "id"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, Origin};

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let heads = HeadMap { names: [("Seriennummer".into(), "id".into())].into(), ..HeadMap::default() };
        let list = Expected::parse(text.as_bytes().to_vec(), &heads)?;
        Ok(list.ids().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_list_is_ids_or_a_table_with_them() {
        for text in [
            "p-1\r\np-2\r\n\r\n",
            "id\np-1\np-2",
            "Auftrag;Seriennummer\n7;p-1\n7;p-2\n;\n",
            "id\tx\np-2\t\np-1\t=cmd",
        ] {
            assert_eq!(parsed(text).unwrap(), ["p-1", "p-2"], "{text:?}");
        }
    }

    #[test]
    fn a_list_that_is_not_whole_is_refused_by_line() {
        for (text, why) in [
            ("", "it has no id"),
            ("id\n", "it has no id"),
            ("p-1\np 2\n", "line 2: id: device id has a character at byte"),
            ("p-1\nP-1\n", "line 2: id: P-1 is on line 1 already"),
            ("a,b\np-1,x\n", "line 1: has 2 columns, and the first line names none of them id"),
            ("id;b\n1,00E+05;x\n", "a spreadsheet shortened"),
            ("id\n\"p-1\n", "line 2: opens a quote"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn missing_and_surplus_devices_are_named_once() {
        let list = Expected::parse(b"p-1\np-2\np-3\np-4\n".to_vec(), &HeadMap::default()).unwrap();
        let outcome = |id: &str, fate, code: &str| Outcome {
            code: code.to_owned(),
            ..Outcome::new(Origin::Row(1), id, fate)
        };
        let outcomes = [
            outcome("p-1", Fate::Enrolled, ""),
            outcome("p-2", Fate::Failed, "quota-exhausted"),
            outcome("p-8", Fate::Failed, "device-not-listed"),
            outcome("p-8", Fate::Failed, "device-not-listed"),
            outcome("", Fate::Failed, "malformed"),
        ];
        let batch = Batch::parse(b"id\np-9\n".to_vec(), &HeadMap::default()).unwrap();
        let earlier = ["p-3".to_owned(), "p-7".to_owned()].into();
        let before = Batch::parse(b"id\np-9\np-2\n".to_vec(), &HeadMap::default()).unwrap();
        let Difference { missing, surplus } = list.difference_to(&before);
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["p-1", "p-3", "p-4"]);
        assert_eq!(surplus.into_iter().collect::<Vec<_>>(), ["p-9"]);
        let Difference { missing, surplus } = list.difference(&batch, &earlier, &outcomes);
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["p-2", "p-4"]);
        assert_eq!(surplus.into_iter().collect::<Vec<_>>(), ["p-7", "p-8", "p-9"]);
    }
}

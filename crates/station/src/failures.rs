//! A file of the devices that were not enrolled, for another run: the columns of a batch, and what was wrong for people.

use crate::report::csv_line;
use crate::text::{plain, uncalculated};
use crate::{Batch, Error, Line, Outcome, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wardein_device::Vouched;
use wardein_domain::{AttributeName, DeviceId, ErrorCode};

/// Writes the devices of `batch` that failed or did not come, and those that came without a batch and failed. Those that are
/// not to be enrolled are not among them. The file is replaced whole; where nobody failed, it has its head alone.
pub fn write_failures(
    path: &Path,
    batch: &Batch,
    tally: &Tally<'_>,
    outcomes: &[Outcome],
) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::file("write", path, error);
    let text = failures(batch, tally, outcomes).map_err(failed)?;
    wardein_durable::replace(path, text.as_bytes(), 0o644).map_err(failed)
}

fn failures(batch: &Batch, tally: &Tally<'_>, outcomes: &[Outcome]) -> std::io::Result<String> {
    // The last failure of a device says what is wrong now.
    let last: BTreeMap<&str, &Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.has_failed())
        .map(|outcome| (outcome.device_id.as_str(), outcome))
        .collect();
    let is_refused =
        |id: &str| last.get(id).is_some_and(|one| one.code == ErrorCode::DeviceNotListed.as_str());
    let is_left = |id: &str| (tally.failed.contains(id) || tally.missing.contains(id)) && !is_refused(id);
    let lines: Vec<&Line> = batch.lines.iter().filter(|line| is_left(line.device.as_str())).collect();
    let attributes: BTreeSet<&AttributeName> = lines.iter().flat_map(|line| line.attributes.keys()).collect();

    let heads = ["id", "model", "udi", "profile"].map(str::to_owned).into_iter();
    let heads = heads.chain(attributes.iter().map(|name| format!("attr.{name}")));
    let mut text = csv_line(heads.chain(["#code", "#why"].map(str::to_owned)))?;
    let mut write = |id: &str, vouched: Vouched, values: Vec<String>| {
        let Vouched { profile, model, udi } = vouched;
        let (code, why) =
            last.get(id).map_or((ABSENT, ABSENT_WHY), |one| (one.code.as_str(), one.message.as_str()));
        let known = [Some(id.to_owned()), model, udi, profile].map(Option::unwrap_or_default);
        let cells = known.into_iter().chain(values).chain([plain(code), plain(why)]);
        csv_line(cells.map(|cell| uncalculated(&cell))).map(|line| text.push_str(&line))
    };
    for line in &lines {
        let value = |name: &&AttributeName| line.attributes.get(*name).cloned().unwrap_or_default();
        write(line.device.as_str(), line.vouched(), attributes.iter().map(value).collect())?;
    }
    if batch.lines.is_empty() {
        for id in tally.failed.iter().filter(|id| is_left(id) && id.parse::<DeviceId>().is_ok()) {
            let Some(outcome) = last.get(id) else { continue };
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            write(
                id,
                Vouched { profile: None, model: some(&outcome.model), udi: some(&outcome.udi) },
                Vec::new(),
            )?;
        }
    }
    Ok(text)
}

const ABSENT: &str = "";
const ABSENT_WHY: &str = "it did not come";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, HeadMap, Origin};

    fn batch(text: &str) -> Batch {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("batch.csv");
        std::fs::write(&path, text).unwrap();
        Batch::read(&path, &HeadMap::default()).unwrap()
    }

    #[test]
    fn what_failed_can_be_run_again_as_it_was() {
        let batch = batch(
            "id;model;udi;profile;attr.fw;attr.note\n\
             p-1;Infuso 3;+A999123450/$$3271231LOT7/S47115;;1.2;\n\
             p-2;\"a; \"\"quoted\"\" one\";;default;;=1+1\n\
             p-3;;;;;\np-4;;;;;\n",
        );
        assert_eq!(batch.bad, []);
        let outcome = |id: &str, fate, code: &str, why: &str| Outcome {
            code: code.to_owned(),
            message: why.to_owned(),
            ..Outcome::new(Origin::Line("-".to_owned()), id, fate)
        };
        let outcomes = [
            outcome("p-1", Fate::Failed, "device-gone", "it left"),
            outcome("p-1", Fate::Failed, "device-failed", "=cmd|'/c calc'!A1\u{1b}[2J\nx"),
            outcome("p-3", Fate::Failed, "device-not-listed", "surplus"),
            outcome("p-4", Fate::Enrolled, "", ""),
            outcome("p-9", Fate::Failed, "device-not-listed", "surplus"),
        ];
        let tally = Tally::of(batch.lines.iter().map(|line| &line.device), &outcomes);
        let text = failures(&batch, &tally, &outcomes).unwrap();
        assert!(text.starts_with("id,model,udi,profile,attr.fw,attr.note,#code,#why\n"), "{text}");
        assert!(
            text.contains("'+A999123450/$$3271231LOT7/S47115") && text.contains("'=cmd"),
            "no cell is a formula: {text}"
        );
        assert!(!text.contains('\u{1b}') && text.lines().count() == 3, "{text}");

        let again = self::batch(&text);
        assert_eq!(again.bad, []);
        for (line, number) in again.lines.iter().zip(0usize..) {
            let first = &batch.lines[number];
            assert_eq!((&line.device, &line.model, &line.udi), (&first.device, &first.model, &first.udi));
            assert_eq!((&line.profile, &line.attributes), (&first.profile, &first.attributes));
        }
        assert_eq!(again.lines.len(), 2, "neither who is enrolled nor who is not to be");
    }
}

//! `wardein-device logs test`.

use super::{approved, bytes, parse};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::path::Path;
use wardein_device::Error;
use wardein_logs::batch::FilterVersion;
use wardein_logs::config::Source;
use wardein_logs::{Counts, LogsConfig, Outcome, Part, SourceName, Trial, Tried, Verdict};

/// Shows what would leave of a file.
pub(super) fn test(
    directory: &Path,
    config: &Path,
    file: &Path,
    source: Option<&SourceName>,
    as_json: bool,
) -> Result<(), Error> {
    let text = bytes(config, LogsConfig::MAX_LEN)?;
    let parsed = parse(config, &text)?;
    let opened =
        File::open(file).map_err(|source| Error::File { doing: "open", path: file.into(), source })?;
    let trial = Trial::new(&parsed, source, &std::path::absolute(file).unwrap_or_else(|_| file.into()))
        .map_err(|why| Error::LogsConfig { path: config.into(), why: why.to_string() })?;
    // Who tries a filter mostly does so before it is approved.
    let approval = approved(directory, config, &text).map(|_| ()).map_err(|error| error.to_string());
    let mut out = BufWriter::new(stdout().lock());
    let counts = trial.run(opened, &mut |tried| match as_json {
        true => writeln!(out, "{}", to_json(&tried)),
        false => out.write_all(to_text(&tried).as_bytes()),
    });
    let source = trial.source();
    let written = counts.and_then(|counts| {
        let version = FilterVersion::of(&text);
        match as_json {
            true => writeln!(
                out,
                "{}",
                json!({
                    "source": source.name,
                    "observed": source.device,
                    "filter": version.to_string(),
                    "approved": approval.is_ok(),
                    "counts": counts,
                })
            )?,
            false => write!(out, "{}", summary(&counts, source, version, &approval))?,
        }
        out.flush()
    });
    match written {
        // Somebody looked at the first lines only.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(Error::File { doing: "try", path: file.into(), source }),
        Ok(()) => Ok(()),
    }
}

fn to_json(tried: &Tried) -> Value {
    match &tried.part {
        Part::TooLong { bytes } => json!({ "line": tried.line, "too_long": bytes }),
        Part::Entry { text, is_replaced, judged } => {
            let verdict = |verdict: &Verdict| match &verdict.outcome {
                Outcome::Leaves { record, looks_like } => {
                    let record: Value = serde_json::from_str(record).unwrap_or_default();
                    let like = |(field, like): &(String, &str)| json!({ "field": field, "like": like });
                    json!({
                        "audience": verdict.audience,
                        "record": record,
                        "looks_like": looks_like.iter().map(like).collect::<Vec<_>>(),
                    })
                }
                Outcome::Withheld(why) => {
                    json!({ "audience": verdict.audience, "withheld": why.to_string() })
                }
            };
            json!({
                "line": tried.line,
                "entry": text,
                "replaced": is_replaced,
                "verdicts": judged.verdicts.iter().map(verdict).collect::<Vec<_>>(),
            })
        }
    }
}

fn to_text(tried: &Tried) -> String {
    let line = tried.line;
    let Part::Entry { text, is_replaced, judged } = &tried.part else {
        let Part::TooLong { bytes } = tried.part else { return String::new() };
        return format!(
            "line {line}: {bytes} bytes, which is too long: it leaves for nobody, and is a gap\n"
        );
    };
    let replaced = if *is_replaced { " (with bytes replaced that are not of the encoding)" } else { "" };
    let mut shown = format!("line {line}: {}{replaced}\n", visible(text));
    for Verdict { audience, outcome } in &judged.verdicts {
        match outcome {
            Outcome::Leaves { record, looks_like } => {
                shown += &format!("    {audience} gets {}\n", visible(record));
                for (field, like) in looks_like {
                    shown += &format!("    {audience}: WARNING: {field} looks like {like}\n");
                }
            }
            Outcome::Withheld(why) => shown += &format!("    {audience} gets nothing: {why}\n"),
        }
    }
    if judged.verdicts.is_empty() {
        shown += "    nobody gets it: the source has no rule\n";
    }
    shown
}

fn summary(
    counts: &Counts,
    source: &Source,
    version: FilterVersion,
    approval: &Result<(), String>,
) -> String {
    let whose = source.device.as_ref().map(|device| format!(" of {device}, sealed-by-collector"));
    let (name, whose) = (&source.name, whose.unwrap_or_default());
    let mut shown =
        format!("source {name}{whose}: {} entries, {} for nobody\n", counts.read, counts.for_nobody);
    let names =
        counts.left.keys().chain(counts.withheld.keys().filter(|name| !counts.left.contains_key(*name)));
    for name in names {
        let of = |counts: &std::collections::BTreeMap<_, u64>| counts.get(name).copied().unwrap_or_default();
        shown += &format!("{name} gets {}, and not {}\n", of(&counts.left), of(&counts.withheld));
    }
    match approval {
        Ok(()) => shown += &format!("filter {version}, approved\n"),
        Err(why) => shown += &format!("filter {version}, NOT APPROVED, nothing leaves yet: {why}\n"),
    }
    shown
        + "What looks like patient data was pointed out above. That nothing was proves nothing: look at the records.\n"
}

/// Text from outside as a terminal may have it: nothing in it moves the cursor.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

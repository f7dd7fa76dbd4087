//! `wardein audit`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use wardein_client::{PAGE_SIZE, time as wire, v1};
use wardein_crypto::hex;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List entries in the order in which they were written. Reading is recorded as well
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those of one tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Those of one device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Not before this time: 2026-11-30T08:00:00Z, or so long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = time::past)]
    since: Option<u64>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time::past, conflicts_with = "follow")]
    until: Option<u64>,
    /// By this actor, or by those whose names begin with it: station, station/klinik-nord
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// This event, or those whose names begin with it: device, device.enroll
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// What ended so: ok, refused, or a code
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    limit: Option<usize>,
    /// The first entry's number
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// Go on with what comes, a line each, until interrupted; as JSON, a document a line. Entries on reading are left out
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Entry {
    sequence: u64,
    #[serde(flatten)]
    event: Event,
}

/// An entry without its number in the log, which the history of a device does not tell.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    time_ms: u64,
    tenant: String,
    actor: String,
    event: String,
    target: String,
    outcome: String,
    fields: Vec<Field>,
    request_id: String,
    /// Address and port of the caller.
    address: String,
    /// SHA-256 of its certificate, lower-case hex.
    certificate_sha256: String,
    /// The version that wrote it.
    software: String,
}

#[derive(Debug, Serialize)]
struct Field {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    value: String,
}

impl From<v1::AuditEntry> for Entry {
    fn from(entry: v1::AuditEntry) -> Self {
        Self { sequence: entry.sequence, event: entry.into() }
    }
}

impl From<v1::AuditEntry> for Event {
    fn from(entry: v1::AuditEntry) -> Self {
        Self {
            time_ms: wire::ms(entry.time),
            tenant: entry.tenant,
            actor: entry.actor,
            event: entry.event,
            target: entry.target,
            outcome: entry.outcome,
            fields: entry.fields.into_iter().map(Field::from).collect(),
            request_id: entry.request_id,
            address: entry.address,
            certificate_sha256: hex::encode(&entry.certificate_sha256),
            software: entry.software,
        }
    }
}

impl From<v1::AuditField> for Field {
    fn from(v1::AuditField { name, before, value }: v1::AuditField) -> Self {
        Self { name, before, value }
    }
}

impl Record for Entry {
    const COLUMNS: &'static [Column<Self>] = &[
        ("no", |entry| entry.sequence.to_string()),
        ("time", |entry| time::at_ms(entry.event.time_ms)),
        ("who", |entry| entry.event.actor.clone()),
        ("what", |entry| entry.event.event.clone()),
        ("on whom", |entry| entry.event.target.clone()),
        ("result", |entry| entry.event.outcome.clone()),
        ("more", |entry| entry.event.more()),
    ];
}

impl Record for Event {
    const COLUMNS: &'static [Column<Self>] = &[
        ("time", |event| time::at_ms(event.time_ms)),
        ("who", |event| event.actor.clone()),
        ("what", |event| event.event.clone()),
        ("result", |event| event.outcome.clone()),
        ("more", |event| event.more()),
    ];
}

impl Event {
    /// The fields on one line.
    fn more(&self) -> String {
        self.fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // All that a version before 0.2 said.
            Self { name, before: None, value } if name == "detail" => f.write_str(value),
            Self { name, before: None, value } => write!(f, "{name}={value}"),
            Self { name, before: Some(before), value } => write!(f, "{name}: {before} → {value}"),
        }
    }
}

impl AuditCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let Self::List(args) = self;
        let session = args.connect.open().await?;
        let asked = v1::ListEntriesRequest {
            tenant: args.tenant.or_else(|| session.tenant.clone()).unwrap_or_default(),
            device_id: args.device.unwrap_or_default(),
            since: args.since.and_then(wire::at),
            until: args.until.and_then(wire::at),
            actor: args.actor.unwrap_or_default(),
            event: args.event.unwrap_or_default(),
            outcome: args.result.unwrap_or_default(),
            first: args.from,
            page_size: PAGE_SIZE,
        };
        if args.follow {
            return follow(&session, asked, out).await;
        }
        print(&session, asked, args.limit, out).await
    }
}

/// Prints the entries that are asked for, at most `limit`.
async fn print(
    session: &Session,
    asked: v1::ListEntriesRequest,
    limit: Option<usize>,
    out: Output,
) -> Result<(), Failure> {
    let (entries, _) = read(session, asked, limit.unwrap_or(usize::MAX)).await?;
    out.list("entries", &entries)
}

async fn follow(session: &Session, mut asked: v1::ListEntriesRequest, out: Output) -> Result<(), Failure> {
    let mut is_away = false;
    loop {
        let (entries, next) = match read(session, asked.clone(), usize::MAX).await {
            // It is restarted, or the way to it is down for a while: nothing is lost meanwhile.
            Err(Failure::Unreachable(why)) => {
                if !is_away {
                    out.on_standard_error().write(&format!("waiting for the authority: {why}\n"))?;
                }
                is_away = true;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            read => read?,
        };
        is_away = false;
        // What was found since is behind it: the time is not looked for again.
        (asked.first, asked.since) = (next, asked.since.filter(|_| next == 0));
        for entry in entries.iter().filter(|entry| entry.event.event != READING) {
            if out.is_json() { out.json(entry)? } else { out.write(&(entry.cells().join("  ") + "\n"))? }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The entries that there are now, at most `limit`, and the number to go on from.
async fn read(
    session: &Session,
    mut asked: v1::ListEntriesRequest,
    limit: usize,
) -> Result<(Vec<Entry>, u64), Failure> {
    let operator = session.operator();
    let (mut entries, mut at): (Vec<Entry>, _) = (Vec::new(), asked.first);
    loop {
        asked.first = at;
        let page = operator.list_entries(asked.clone()).await?;
        entries.extend(page.entries.into_iter().map(Entry::from));
        entries.truncate(limit);
        let after_last = entries.last().map_or(at, |entry| entry.sequence + 1);
        match page.next {
            _ if entries.len() == limit => return Ok((entries, after_last)),
            0 => return Ok((entries, after_last.max(at))),
            // Otherwise a faulty authority would be asked without end.
            next if next <= at => {
                return Err(Failure::failed("the authority gives the same entries again and again"));
            }
            next => at = next,
        }
    }
}

/// What reading the log leaves in it: following would otherwise report itself for ever.
const READING: &str = "audit.read";

/// Each look leaves an entry.
const PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_on_one_line_for_people_and_objects_for_scripts() {
        let field = |name: &str, before: Option<&str>, value: &str| v1::AuditField {
            name: name.into(),
            before: before.map(str::to_owned),
            value: value.into(),
        };
        let entry = Entry::from(v1::AuditEntry {
            sequence: 7,
            event: "device.set-state".into(),
            fields: vec![field("state", Some("active"), "suspended"), field("reason", None, "service")],
            certificate_sha256: vec![0xab; 2],
            ..Default::default()
        });
        assert_eq!(entry.cells().pop().unwrap(), "state: active → suspended, reason=service");
        let document = serde_json::to_value(&entry).unwrap();
        assert_eq!(document["sequence"], 7);
        assert_eq!(document["event"], "device.set-state");
        assert_eq!(document["certificate_sha256"], "abab");
        let fields = serde_json::json!([
            { "name": "state", "before": "active", "value": "suspended" },
            { "name": "reason", "value": "service" },
        ]);
        assert_eq!(document["fields"], fields);
    }

    #[test]
    fn what_an_older_version_said_stays_as_it_is() {
        let fields =
            vec![v1::AuditField { name: "detail".into(), before: None, value: "generation 1".into() }];
        assert_eq!(Event::from(v1::AuditEntry { fields, ..Default::default() }).more(), "generation 1");
    }
}

//! `wardein audit`.

use crate::connection::{ConnectArgs, Session};
use crate::{Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::time::Duration;
use wardein_client::v1;

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
    time_ms: u64,
    tenant: String,
    actor: String,
    event: String,
    target: String,
    outcome: String,
    detail: String,
    request_id: String,
}

impl From<v1::AuditEntry> for Entry {
    fn from(entry: v1::AuditEntry) -> Self {
        let v1::AuditEntry { sequence, time_ms, actor, event, target, outcome, detail, request_id, tenant } =
            entry;
        Self { sequence, time_ms, tenant, actor, event, target, outcome, detail, request_id }
    }
}

impl Record for Entry {
    const HEADS: &'static [&'static str] = &["no", "time", "who", "what", "on whom", "result", "more"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.sequence.to_string(),
            time::at_ms(self.time_ms),
            self.actor.clone(),
            self.event.clone(),
            self.target.clone(),
            self.outcome.clone(),
            self.detail.clone(),
        ]
    }
}

/// An entry of a device's history, whose number in the log is not told.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    time_ms: u64,
    tenant: String,
    actor: String,
    event: String,
    target: String,
    outcome: String,
    detail: String,
    request_id: String,
}

impl From<v1::AuditEntry> for Event {
    fn from(entry: v1::AuditEntry) -> Self {
        let Entry { time_ms, tenant, actor, event, target, outcome, detail, request_id, .. } = entry.into();
        Self { time_ms, tenant, actor, event, target, outcome, detail, request_id }
    }
}

impl Record for Event {
    const HEADS: &'static [&'static str] = &["time", "who", "what", "result", "more"];

    fn cells(&self) -> Vec<String> {
        let (who, what) = (self.actor.clone(), self.event.clone());
        vec![time::at_ms(self.time_ms), who, what, self.outcome.clone(), self.detail.clone()]
    }
}

impl AuditCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let Self::List(args) = self;
        let session = args.connect.open().await?;
        let tenant = args.tenant.or_else(|| session.tenant.clone()).unwrap_or_default();
        let device = args.device.unwrap_or_default();
        if args.follow {
            return follow(&session, tenant, device, args.from, out).await;
        }
        print(&session, tenant, device, args.from, out).await
    }
}

/// Prints all entries from `from` on.
pub(crate) async fn print(
    session: &Session,
    tenant: String,
    device: String,
    from: u64,
    out: Output,
) -> Result<(), Failure> {
    let (entries, _) = read(session, &tenant, &device, from).await?;
    out.list("entries", &entries)
}

async fn follow(
    session: &Session,
    tenant: String,
    device: String,
    mut from: u64,
    out: Output,
) -> Result<(), Failure> {
    loop {
        let (entries, next) = read(session, &tenant, &device, from).await?;
        from = next;
        for entry in entries.iter().filter(|entry| entry.event != READING) {
            if out.is_json() { out.json(entry)? } else { out.write(&(entry.cells().join("  ") + "\n"))? }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// All entries from `from` on that there are now, and the number to go on from.
async fn read(
    session: &Session,
    tenant: &str,
    device: &str,
    from: u64,
) -> Result<(Vec<Entry>, u64), Failure> {
    let mut client = session.connection.audit();
    let (mut entries, mut at): (Vec<Entry>, _) = (Vec::new(), from);
    loop {
        let request = v1::ListEntriesRequest {
            tenant: tenant.to_owned(),
            device_id: device.to_owned(),
            from: at,
            page_size: pages::PAGE_SIZE,
        };
        let page = client.list_entries(request).await.map_err(Failure::of_call)?.into_inner();
        entries.extend(page.entries.into_iter().map(Entry::from));
        let after_last = entries.last().map_or(at, |entry| entry.sequence + 1);
        match page.next {
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

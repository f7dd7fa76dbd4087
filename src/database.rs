//! The PostgreSQL database of an authority: how it is reached, and `wardein db`.

use crate::home::{Home, failed};
use serde::Serialize;
use std::path::Path;
use wardein_cli::files::{read_bounded, read_private};
use wardein_cli::{
    Column, ConfirmFailoverArgs, DatabaseArgs, DbCommand, DbInitArgs, Failure, NodeCommand, NodeRemoveArgs,
    Output, Record,
};
use wardein_engine::{StoreDeed, record_store_deed};
use wardein_port::SystemClock;
use wardein_store::postgres::{self, Address, NodeStatus, PostgresStore, Sharing};

/// What a database is like, for scripts.
#[derive(Serialize)]
struct Shown {
    server: String,
    /// The cluster's identifier and the timeline, where the server tells.
    timeline: Option<String>,
    /// Whether that is on record.
    confirmed: bool,
    /// What was acknowledged and is not there.
    missing: Option<String>,
    revision: u64,
    audit_entries: u64,
    nodes: Vec<Node>,
}

/// A process that uses a database.
#[derive(Serialize)]
struct Node {
    id: String,
    name: String,
    release: String,
    has_upkeep: bool,
    seen_ms_ago: u64,
    revisions_behind: u64,
    clock_ahead_ms: i64,
}

/// A node that was removed.
#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

impl Record for Node {
    const COLUMNS: &'static [Column<Self>] = &[
        ("Id", |node| node.id.clone()),
        ("Name", |node| node.name.clone()),
        ("Release", |node| node.release.clone()),
        ("Upkeep", |node| if node.has_upkeep { "yes" } else { "" }.to_owned()),
        ("Seen", |node| format!("{}.{} s ago", node.seen_ms_ago / 1000, node.seen_ms_ago % 1000 / 100)),
        ("Behind", |node| node.revisions_behind.to_string()),
        ("Clock ahead", |node| format!("{} ms", node.clock_ahead_ms)),
    ];
}

impl From<NodeStatus> for Node {
    fn from(found: NodeStatus) -> Self {
        let NodeStatus { id, name, release, keeps, seen_ms, behind, ahead_ms } = found;
        Self {
            id,
            name,
            release,
            has_upkeep: keeps,
            seen_ms_ago: seen_ms,
            revisions_behind: behind,
            clock_ahead_ms: ahead_ms,
        }
    }
}

pub(crate) fn run(command: DbCommand, out: Output) -> Result<(), Failure> {
    match command {
        DbCommand::Init(DbInitArgs { database, role }) => {
            let address = of_args(&database)?;
            postgres::create(&address, role.as_deref()).map_err(failed)?;
            let words = match &role {
                Some(role) => format!("The tables are there, and {role} may use them."),
                None => "The tables are there.".to_owned(),
            };
            status(&address, &format!("{words}\n"), out)
        }
        DbCommand::Status(database) => status(&of_args(&database)?, "", out),
        DbCommand::ConfirmFailover(ConfirmFailoverArgs { database, confirm }) => {
            let address = of_args(&database)?;
            let found = postgres::status(&address).map_err(failed)?;
            if !found.is_confirmed && found.missing.is_none() {
                let place = found.place.clone().unwrap_or_default();
                confirm.ask(&format!(
                    "say that timeline {place} has all that was acknowledged, and serve from it"
                ))?;
            }
            if !found.is_confirmed && found.missing.is_none() {
                record_failover(&address, found.place)?;
            }
            let words = match postgres::confirm(&address).map_err(failed)? {
                true => "The timeline is on record: nodes that wait go on.\n",
                false => "The timeline is on record already.\n",
            };
            status(&address, words, out)
        }
    }
}

/// The fence comes last: until then nothing else starts from there, and the same again is fine.
fn record_failover(address: &Address, timeline: Option<String>) -> Result<(), Failure> {
    let store =
        PostgresStore::open(address, "wardein db confirm-failover", Sharing::Restoring).map_err(failed)?;
    let deed = StoreDeed::FailoverConfirmed { timeline };
    wardein_cli::block_on(async { record_store_deed(&store, SystemClock, &deed).await.map_err(failed) })
}

pub(crate) fn run_node(command: NodeCommand, out: Output) -> Result<(), Failure> {
    match command {
        NodeCommand::List(database) => {
            let found = postgres::status(&of_args(&database)?).map_err(failed)?;
            let nodes: Vec<Node> = found.nodes.into_iter().map(Node::from).collect();
            out.list("nodes", &nodes)
        }
        NodeCommand::Remove(NodeRemoveArgs { id, database }) => {
            if !postgres::remove(&of_args(&database)?, &id).map_err(failed)? {
                return Err(Failure::Usage(format!("there is no node {id}; `wardein node list` shows them")));
            }
            out.say(&format!("Node {id} is removed."), &Removed { removed: &id })
        }
    }
}

fn status(address: &Address, before: &str, out: Output) -> Result<(), Failure> {
    let found = postgres::status(address).map_err(failed)?;
    let (revision, audit_entries) = (found.head.revision, found.head.last_audit);
    let names: Vec<&str> = found.nodes.iter().map(|node| node.name.as_str()).collect();
    let nodes = if names.is_empty() { "none".to_owned() } else { names.join("; ") };
    let timeline = match (&found.place, &found.missing, found.is_confirmed) {
        (_, Some(missing), _) => {
            format!("not to be served: {missing}, and something acknowledged is missing")
        }
        (None, None, _) => "the server does not tell".to_owned(),
        (Some(place), None, true) => place.clone(),
        (Some(place), None, false) => format!("{place}, not on record"),
    };
    let words = format!(
        "{before}Server:        PostgreSQL {}\nTimeline:      {timeline}\nRevision:      {revision}\nAudit entries: {audit_entries}\nNodes:         {nodes}",
        found.server
    );
    let nodes = found.nodes.into_iter().map(Node::from).collect();
    let shown = Shown {
        server: found.server,
        timeline: found.place,
        confirmed: found.is_confirmed,
        missing: found.missing,
        revision,
        audit_entries,
        nodes,
    };
    out.say(&words, &shown)
}

fn of_args(args: &DatabaseArgs) -> Result<Address, Failure> {
    address(&args.url, args.password_file.as_deref(), args.ca_file.as_deref())
}

/// The database that an authority's configuration names. Relative paths start at the authority's directory.
pub(crate) fn configured(home: &Home) -> Result<Address, Failure> {
    let section = &home.config.postgresql;
    if section.url.is_empty() {
        let words =
            "first set postgresql.url in wardein.toml, such as \"postgresql://wardein@db.example/wardein\"";
        return Err(Failure::Usage(words.to_owned()));
    }
    let file = |path: &Path| (!path.as_os_str().is_empty()).then(|| home.relative(path));
    let (password, ca) = (file(&section.password_file), file(&section.ca_file));
    address(&section.url, password.as_deref(), ca.as_deref())
}

fn address(url: &str, password: Option<&Path>, ca: Option<&Path>) -> Result<Address, Failure> {
    let password = password.map(read_private).transpose()?;
    let password = password.as_ref().map(|password| {
        // As a file has one that was written with an editor.
        let line = password.expose();
        line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line))
    });
    let ca = ca.map(|path| read_bounded(path, MAX_CA)).transpose()?;
    Address::parse(url, password, ca.as_deref()).map_err(failed)
}

/// Bytes of a file of CAs: those of a cloud have some 200 KB.
const MAX_CA: u64 = 1 << 20;

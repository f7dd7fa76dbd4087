//! `wardein store migrate`: all records into another store, while no service runs.

use crate::custody::Custodian;
use crate::home::{Home, MARKER, failed, kind_of};
use serde::Serialize;
use wardein_cli::config::{Config, StoreKind};
use wardein_cli::{Failure, MigrateStoreArgs, Output, progress};
use wardein_crypto::hex::Hex;
use wardein_engine::{StoreDeed, record_store_deed, require_custody};
use wardein_port::SystemClock;
use wardein_store::OpenError;
use wardein_store::moving::{Place, Source, Tally, complete};

/// The result, for scripts.
#[derive(Serialize)]
struct Moved {
    from: String,
    to: String,
    /// Whether it has been moved.
    done: bool,
    entries: u64,
    parts: Vec<Part>,
}

/// What a part comes to on both sides.
#[derive(Serialize)]
struct Part {
    name: String,
    entries: u64,
    digest: String,
}

impl From<Tally> for Part {
    fn from(tally: Tally) -> Self {
        let Tally { part, entries, digest } = tally;
        Self { name: part.name(), entries, digest: Hex(&digest.0).to_string() }
    }
}

pub(crate) fn run(args: MigrateStoreArgs, out: Output) -> Result<(), Failure> {
    let home = Home::of_config(&args.dir.join(Config::FILE))?;
    if !home.file(MARKER).exists() {
        let words = format!("{} does not belong to an authority", args.dir.display());
        return Err(Failure::Failed(words));
    }
    if args.to == home.config.store {
        return Err(Failure::Usage(format!("the store is {} already", name(args.to))));
    }
    let (from, to) = (home.place(home.config.store)?, home.place(args.to)?);
    let source = match Source::open(from.clone()) {
        // All of it had gone there, and the last step was cut short.
        Err(OpenError::Moved { .. }) if !args.dry_run => {
            complete(&from, &to).map_err(failed)?;
            return say(&from, &to, args.to, (true, Vec::new()), out);
        }
        source => source.map_err(failed)?,
    };
    let is_begun = source.may_go(&to).map_err(failed)?;
    // A store whose keys are elsewhere would open nowhere.
    let custodian = Custodian::new(home.open_custody(&args.passphrase)?);
    wardein_cli::block_on(async {
        let required = require_custody(source.store(), custodian.root_keys()).await;
        required.map_err(|error| {
            Failure::Failed(format!("{}: its root key does not open it: {error}", home.custody().display()))
        })
    })?;
    let bar = progress("{spinner} {pos} entries, {per_sec}; {msg}", None);
    if args.dry_run {
        bar.set_message("counting");
        let parts = source.tally(|entries| bar.set_position(entries)).map_err(failed)?;
        bar.finish_and_clear();
        return say(&from, &to, args.to, (false, parts), out);
    }
    if !is_begun {
        let deed = StoreDeed::Moved { from: name(home.config.store).into(), to: name(args.to).into() };
        let recorded = record_store_deed(source.store(), SystemClock, &deed);
        wardein_cli::block_on(async { recorded.await.map_err(failed) })?;
    }
    let mut moving = source.begin(to.clone()).map_err(failed)?;
    bar.set_message("moving");
    while let Some(entries) = moving.step().map_err(failed)? {
        bar.inc(entries);
    }
    bar.set_message("comparing");
    let parts = moving.verify(|entries| bar.set_position(entries)).map_err(failed)?;
    moving.finish().map_err(failed)?;
    bar.finish_and_clear();
    say(&from, &to, args.to, (true, parts), out)
}

fn say(
    from: &Place,
    to: &Place,
    kind: StoreKind,
    (done, parts): (bool, Vec<Tally>),
    out: Output,
) -> Result<(), Failure> {
    let parts: Vec<Part> = parts.into_iter().map(Part::from).collect();
    let entries = parts.iter().map(|part| part.entries).sum();
    let (from, to) = (from.shown(), to.shown());
    let words = if done {
        let compared = match entries {
            0 => "All had been moved and compared; the last step is done.".to_owned(),
            entries => format!("Moved {entries} entries, the same on both sides."),
        };
        format!(
            "{compared}\n{from} does not open any more: keep it until the first backup, then remove it.\n\
             Next: set store = \"{}\" in {}, and start the service.",
            name(kind),
            Config::FILE
        )
    } else {
        format!("{entries} entries of {from} can go to {to}; nothing was moved.")
    };
    out.say(&words, &Moved { from, to, done, entries, parts })
}

fn name(kind: StoreKind) -> &'static str {
    kind_of(kind).map_or("postgresql", wardein_store::Kind::name)
}

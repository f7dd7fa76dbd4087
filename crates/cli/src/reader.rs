//! `wardein reader`.

use crate::connection::ConnectArgs;
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{time as wire, v1, word};

/// A reader opens files with a key of its own (`age-keygen`), which neither the device nor the authority has. Devices take the list of a
/// profile's readers by a proof, signed by the authority, and seal for nobody else.
#[derive(Debug, Subcommand)]
pub(crate) enum ReaderCommand {
    /// Add a reader to a profile's
    Add(AddArgs),
    /// List a profile's readers, and for whom its devices seal their files
    List(OfArgs),
    /// Remove a reader: no device that has heard of it seals a further file for it; what was sealed before, it still opens
    Remove(RemoveArgs),
    /// Set for whom the devices of a profile seal their files: for the authority, or for readers alone
    ///
    /// With `readers`, files are sealed end to end: neither the authority nor a platform opens them, and no key of theirs can be released.
    /// What was sealed before stays as it was.
    SealFor(SealForArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OfArgs {
    /// The profile
    #[arg(long)]
    profile: String,
    /// The tenant; your own where it is not given
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name within the profile: 1 to 32 of a-z, 0-9 and '-'
    name: String,
    /// Its public key, as `age-keygen` writes it: age1...
    key: String,
    /// Seal for it from that time on, such as 2027-01-31T22:00:00Z; from now on where it is not given
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    from: Option<u64>,
    /// Seal for it until that time
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<u64>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    of: OfArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Its name
    name: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    of: OfArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SealForArgs {
    /// For whom
    #[arg(value_parser = ["authority", "readers"])]
    seal_for: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    of: OfArgs,
}

#[derive(Debug, Serialize)]
struct List {
    tenant: String,
    profile: String,
    /// It rises whenever the list changes; 0 where nothing was ever set.
    number: u64,
    seal_for: String,
    readers: Vec<Reader>,
}

#[derive(Debug, Serialize)]
struct Reader {
    name: String,
    key: String,
    not_before: u64,
    /// 0 where there is no end.
    until: u64,
}

impl List {
    fn of(list: Option<v1::ReaderList>) -> Self {
        let list = list.unwrap_or_default();
        let reader = |of: v1::Reader| Reader {
            name: of.name,
            key: of.key,
            not_before: wire::seconds(of.not_before),
            until: wire::seconds(of.until),
        };
        Self {
            tenant: list.tenant,
            profile: list.profile,
            number: list.number,
            seal_for: word::<v1::SealFor>(list.seal_for),
            readers: list.readers.into_iter().map(reader).collect(),
        }
    }
}

impl Record for List {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |list| list.tenant.clone()),
        ("profile", |list| list.profile.clone()),
        ("number", |list| list.number.to_string()),
        ("files are for", |list| list.seal_for.clone()),
        ("readers", |list| list.readers.iter().map(Reader::said).collect::<Vec<_>>().join("\n")),
    ];
}

impl Reader {
    fn said(&self) -> String {
        let Self { name, key, not_before, until } = self;
        let until = if *until == 0 { String::new() } else { format!(" until {}", time::at(*until)) };
        format!("{name} {key} from {}{until}", time::at(*not_before))
    }
}

impl ReaderCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let list = match self {
            Self::Add(args) => add(args).await?,
            Self::List(OfArgs { profile, tenant, connect }) => {
                let request = v1::ListReadersRequest { tenant, profile };
                connect.open().await?.operator().list_readers(request).await?.list
            }
            Self::Remove(args) => remove(args).await?,
            Self::SealFor(args) => seal_for(args).await?,
        };
        out.one(&List::of(list))
    }
}

async fn add(args: AddArgs) -> Result<Option<v1::ReaderList>, Failure> {
    let AddArgs { name, key, from, until, reason, of: OfArgs { profile, tenant, connect } } = args;
    let (not_before, until) = (from.and_then(wire::at), until.and_then(wire::at));
    let reader = Some(v1::Reader { name, key, not_before, until });
    let request = v1::AddReaderRequest { tenant, profile, reader, reason };
    Ok(connect.open().await?.operator().add_reader(request).await?.list)
}

async fn remove(args: RemoveArgs) -> Result<Option<v1::ReaderList>, Failure> {
    let RemoveArgs { name, reason, confirm, of: OfArgs { profile, tenant, connect } } = args;
    confirm.ask(&format!("remove the reader {name} of {profile}"))?;
    let request = v1::RemoveReaderRequest { tenant, profile, name, reason };
    Ok(connect.open().await?.operator().remove_reader(request).await?.list)
}

async fn seal_for(args: SealForArgs) -> Result<Option<v1::ReaderList>, Failure> {
    let SealForArgs { seal_for, reason, confirm, of: OfArgs { profile, tenant, connect } } = args;
    confirm.ask(&format!("have the devices of {profile} seal their files for the {seal_for}"))?;
    let seal_for = wardein_client::number::<v1::SealFor>(&seal_for);
    let request = v1::PutSealingRequest { tenant, profile, seal_for, reason };
    Ok(connect.open().await?.operator().put_sealing(request).await?.list)
}

//! Updates: makers' repositories, the product lines in them, their releases, and the metadata that devices judge them by (TUF 1.0).
//!
//! A maker stands above tenants. Its artifacts stay where it keeps them; what is here is their digest and length, signed.

pub(crate) mod lines;
pub(crate) mod metadata;
pub(crate) mod offers;
pub(crate) mod receipts;
pub(crate) mod releases;
pub(crate) mod repositories;
pub(crate) mod rollout;
pub(crate) mod sealed;
pub(crate) mod site;
pub(crate) mod upkeep;
pub(crate) mod views;

use crate::kernel::{Caller, Engine, Error};
use crate::rows::{self, LineColumn, RepositoryRow};
use wardein_domain::{ErrorCode, LineName, RepositoryName, Role};
use wardein_port::Table;

/// Whose file of metadata: what is drafted, signed and served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateRole {
    /// The keys of the repository.
    Root,
    /// To whom which paths are delegated.
    Targets,
    /// The releases of a product line.
    Line(LineName),
}

/// Whether the caller has to do with a line: an administrator and an auditor of the whole authority, and a release manager whom it names.
fn sees(caller: &Caller, line: &LineColumn) -> bool {
    match caller.principal.role {
        Role::ReleaseManager => line.managers.contains(&caller.principal.name),
        _ => caller.principal.tenant.is_none(),
    }
}

/// Whether it has to do with a repository as a whole.
fn sees_all(caller: &Caller) -> bool {
    caller.principal.role != Role::ReleaseManager && caller.principal.tenant.is_none()
}

fn no_repository(name: &RepositoryName) -> Error {
    Error::new(ErrorCode::RepositoryUnknown, format_args!("there is no repository {name}"))
}

/// The line, which the caller may see: one that it may not looks as if it did not exist.
fn line_of<'a>(
    caller: &Caller,
    name: &RepositoryName,
    row: &'a RepositoryRow,
    line: &LineName,
) -> Result<&'a LineColumn, Error> {
    let found = row.lines.iter().find(|other| other.name == *line).filter(|found| sees(caller, found));
    found.ok_or_else(|| no_line(name, line))
}

fn no_line(name: &RepositoryName, line: &LineName) -> Error {
    Error::new(ErrorCode::LineUnknown, format_args!("repository {name} has no product line {line}"))
}

impl Engine {
    /// The repositories on record, by name.
    async fn each_repository(&self) -> Result<Vec<(RepositoryName, RepositoryRow)>, Error> {
        let page = self.store.scan(Table::UpdateRepository, b"", None, MAX_REPOSITORIES).await?;
        let read = |(key, row): (Vec<u8>, wardein_port::Row)| {
            let name = rows::word("repository", std::str::from_utf8(&key).unwrap_or_default())?;
            Ok((name, rows::decode(Table::UpdateRepository, &row.value)?))
        };
        page.into_iter().map(read).collect()
    }
}

/// The most repositories of an authority.
pub(crate) const MAX_REPOSITORIES: usize = 64;
/// The most lines of a repository.
pub(crate) const MAX_LINES: usize = 128;
/// The most releases of a line.
pub(crate) const MAX_RELEASES: usize = 1000;
/// The most keys that sign for one role.
pub(crate) const MAX_KEYS: usize = 16;

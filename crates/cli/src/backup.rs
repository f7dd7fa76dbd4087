//! `wardein backup` and the arguments of `wardein restore`.

use crate::args::PlaceArgs;
use crate::connection::ConnectArgs;
use crate::files::PRIVATE;
use crate::{Column, Confirm, Failure, Output, PassphraseArgs, Record, progress, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wardein_client::{time as wire, v1};

/// `wardein backup`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BackupCommand>,
    /// The file to make, for its owner alone; it must not be there yet. Until it is complete it is called FILE.partial
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein backup verify`.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Read a backup to its end, as a restore would, and write nothing
    ///
    /// Each part must open under its root key, none may be missing, each row must be one that this release restores, and the authority's keys
    /// must open. It needs no authority and no network, and the passphrase or key file that the root key was under when the backup was taken.
    Verify(VerifyBackupArgs),
    /// Show when the last complete backup was taken
    ///
    /// As an operator of the authority: an administrator, an auditor, or an operator of role backup. Whether its file is still
    /// there, the authority does not know.
    Status(StatusArgs),
}

/// `wardein backup status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What `wardein backup verify` takes.
#[derive(Debug, Args)]
pub struct VerifyBackupArgs {
    /// The file that `wardein backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The passphrase that the root key was under when the backup was taken, or the recovery passphrase beside its TPM; it is asked for
    /// where neither file nor descriptor is given
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The key file that the root key was under when the backup was taken
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub key_file: Option<PathBuf>,
}

/// `wardein restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file that `wardein backup` wrote
    #[arg(long, value_name = "FILE", required_unless_present = "in_place", conflicts_with = "in_place")]
    pub from: Option<PathBuf>,
    /// The store of the authority in DIR was put back to an earlier moment by other means, such as a snapshot of its disk or PostgreSQL's
    /// point-in-time recovery: make a restore of it, while no service runs
    #[arg(long)]
    pub in_place: bool,
    /// Whether to go ahead, in place
    #[command(flatten)]
    pub confirm: Confirm,
    /// The directory to make, or one that is empty but for lost+found: a mount point, a link to one
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The passphrase that the root key was under when the backup was taken, or the recovery passphrase beside its TPM; it is asked for
    /// where neither file nor descriptor is given
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The key file that the root key was under when the backup was taken
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub key_file: Option<PathBuf>,
    /// Where it is to be found
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Serialize)]
struct Taken {
    file: PathBuf,
    bytes: u64,
    rows: u64,
    audit_entries: u64,
}

impl Record for Taken {
    const COLUMNS: &'static [Column<Self>] = &[
        ("file", |taken| taken.file.display().to_string()),
        ("bytes", |taken| taken.bytes.to_string()),
        ("rows", |taken| taken.rows.to_string()),
        ("audit entries", |taken| taken.audit_entries.to_string()),
    ];
}

#[derive(Debug, Serialize)]
struct LastBackup {
    /// Unix seconds; 0 where no backup was taken.
    last_backup_at: u64,
    /// Seconds since then, by the authority's time.
    age: u64,
}

impl Record for LastBackup {
    const COLUMNS: &'static [Column<Self>] =
        &[("last backup", |last| time::at(last.last_backup_at)), ("age", |last| time::span(last.age))];
}

impl StatusArgs {
    async fn run(self, out: Output) -> Result<(), Failure> {
        let session = self.connect.open().await?;
        let status = session.operator().get_status(v1::GetStatusRequest {}).await?;
        if status.audit_entries.is_none() {
            let message =
                "backups are of the whole authority, and shown to its operators alone; use such an identity";
            return Err(Failure::failed(message));
        }
        let last_backup_at = wire::seconds(status.last_backup_at);
        if last_backup_at == 0 {
            let document = LastBackup { last_backup_at, age: 0 };
            return out.say("no backup was taken yet; take one: wardein backup --out FILE", &document);
        }
        let age = wire::seconds(status.time).saturating_sub(last_backup_at);
        out.one(&LastBackup { last_backup_at, age })
    }
}

impl BackupArgs {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        if let Some(BackupCommand::Status(args)) = self.command {
            return args.run(out).await;
        }
        let to = self.out.expect("clap requires --out where there is no subcommand");
        let mut file = Partial::new(&to)?;
        let session = self.connect.open().await?;
        let mut parts = session.operator().backup(v1::BackupRequest {}).await?;
        let bar = progress("{spinner} {bytes}, {bytes_per_sec}; {msg}", None);
        while let Some(answer) = parts.next().await? {
            let v1::BackupResponse { part, rows, audit_entries, is_last } = answer;
            file.write(&part)?;
            bar.set_position(file.bytes);
            bar.set_message(format!("{rows} rows, {audit_entries} audit entries"));
            if is_last {
                bar.finish_and_clear();
                let bytes = file.finish()?;
                return out.one(&Taken { file: to, bytes, rows, audit_entries });
            }
        }
        Err(Failure::Unreachable(
            "the backup was cut short, and nothing is left of it; start it again".to_owned(),
        ))
    }
}

/// A file that takes its name when it is complete, and is removed where it never is.
struct Partial {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    bytes: u64,
    is_done: bool,
}

impl Partial {
    fn new(path: &Path) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(is_there(path));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let made = {
            // Held until the new file is locked, so that two never take one leftover for theirs.
            let _leftover = clear(&partial)?;
            // Another process made one in the meantime, or took this one for a leftover.
            new_file(&partial).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists | ErrorKind::WouldBlock => is_written(&partial),
                _ => Failure::file("write", &partial, error),
            })?
        };
        Ok(Self { path: path.to_owned(), partial, file: made, bytes: 0, is_done: false })
    }

    fn write(&mut self, part: &[u8]) -> Result<(), Failure> {
        self.file.write_all(part).map_err(|error| Failure::file("write", &self.partial, error))?;
        self.bytes += part.len() as u64;
        Ok(())
    }

    /// Syncs it and gives it its name; its bytes.
    fn finish(mut self) -> Result<u64, Failure> {
        self.file.sync_all().map_err(|error| Failure::file("write", &self.partial, error))?;
        wardein_durable::give_name(&self.partial, &self.path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => is_there(&self.path),
            _ => Failure::file("give its name to", &self.partial, error),
        })?;
        self.is_done = true;
        Ok(self.bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_done {
            // Half a backup opens nothing; where it cannot be removed now, the next one removes it.
            drop(fs::remove_file(&self.partial));
        }
    }
}

/// Removes the file that a crash left, which is given back locked. Nothing is ever written to what is there: it may be a link, or open
/// to others.
fn clear(partial: &Path) -> Result<Option<File>, Failure> {
    match partial.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file("look at", partial, error)),
        Ok(metadata) if !metadata.is_file() => {
            let words = format!("{} is in the way, and is no file of a backup; remove it", partial.display());
            return Err(Failure::Failed(words));
        }
        Ok(_) => {}
    }
    let leftover = File::open(partial).map_err(|error| Failure::file("open", partial, error))?;
    leftover.try_lock().map_err(|_| is_written(partial))?;
    if !is_at(&leftover, partial) {
        return Err(is_written(partial));
    }
    fs::remove_file(partial).map_err(|error| Failure::file("remove", partial, error))?;
    Ok(Some(leftover))
}

/// Makes the file, which must not be there, and locks it.
fn new_file(partial: &Path) -> io::Result<File> {
    // `create_new` follows no link.
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(partial)?;
    let is_ours = file.try_lock().is_ok() && is_at(&file, partial);
    is_ours.then_some(file).ok_or_else(|| ErrorKind::WouldBlock.into())
}

/// Whether `path` is the name of `file`, and no link to it.
fn is_at(file: &File, path: &Path) -> bool {
    let (open, named) = (file.metadata(), path.symlink_metadata());
    open.and_then(|open| named.map(|named| (open.dev(), open.ino()) == (named.dev(), named.ino())))
        .unwrap_or(false)
}

fn is_written(partial: &Path) -> Failure {
    Failure::Failed(format!("another backup is being written to {}", partial.display()))
}

fn is_there(path: &Path) -> Failure {
    Failure::Failed(format!("{} is there already; name another file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_has_its_name_when_it_is_complete_and_leaves_nothing_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let (path, partial) = (directory.path().join("b"), directory.path().join("b.partial"));
        fs::write(&partial, b"what a crash left, which is longer").unwrap();
        let mut file = Partial::new(&path).unwrap();
        file.write(b"half").unwrap();
        assert!(Partial::new(&path).is_err(), "another is at work");
        drop(file);
        assert!(!partial.exists() && !path.exists());

        let mut file = Partial::new(&path).unwrap();
        file.write(b"who").unwrap();
        file.write(b"le").unwrap();
        assert!(!path.exists());
        assert_eq!(file.finish().unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!partial.exists());
        assert!(Partial::new(&path).is_err(), "nothing is written over");
        assert_eq!(fs::read(&path).unwrap(), b"whole");

        // Nor is what came there while it was being written.
        let late = directory.path().join("late");
        let file = Partial::new(&late).unwrap();
        fs::write(&late, b"theirs").unwrap();
        assert!(file.finish().unwrap_err().to_string().contains("is there already"));
        assert_eq!(fs::read(&late).unwrap(), b"theirs");
        assert!(!directory.path().join("late.partial").exists());
    }

    #[test]
    fn no_link_is_followed_and_no_mode_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let [path, partial, victim] = ["b", "b.partial", "victim"].map(|name| directory.path().join(name));
        fs::write(&victim, b"theirs").unwrap();
        std::os::unix::fs::symlink(&victim, &partial).unwrap();
        let refused = Partial::new(&path).err().unwrap().to_string();
        assert!(refused.contains("b.partial is in the way"), "{refused}");
        assert!(partial.is_symlink() && fs::read(&victim).unwrap() == b"theirs");
        fs::remove_file(&partial).unwrap();

        // A second name of somebody's file, which is open to others.
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&victim, &partial).unwrap();
        let mut file = Partial::new(&path).unwrap();
        assert_eq!(fs::metadata(&partial).unwrap().permissions().mode() & 0o777, 0o600);
        file.write(b"sealed").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&victim).unwrap()),
            (b"sealed".into(), b"theirs".into())
        );
    }
}

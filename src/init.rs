//! `wardein init`: founds an authority, whole or not at all.
//!
//! Everything is made in a directory beside the one that was asked for, and takes its name as the last step. What a crash leaves
//! behind bears our marker, and the next founding starts over.

use crate::home::{self, Home, MARKER, failed};
use serde::Serialize;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wardein_cli::config::Config;
use wardein_cli::files::{PRIVATE, PUBLIC, make_private_directory, sync_directory, write_new};
use wardein_cli::{Failure, InitArgs, Output, identity};
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_custody::Protection;
use wardein_domain::TrustDomain;
use wardein_engine::Founded;
use wardein_engine::port::SystemClock;
use wardein_pki::{ServerName, pem};

/// What a script learns of a founding.
#[derive(Serialize)]
struct Made<'a> {
    directory: &'a Path,
    trust_domain: String,
    endpoint: &'a str,
    administrator_serial: String,
}

pub(crate) fn run(args: InitArgs, out: Output) -> Result<(), Failure> {
    let trust_domain: TrustDomain = args.trust_domain.parse().map_err(usage)?;
    let config = configuration(&args)?;
    let founding = Founding::begin(&args.dir)?;
    let protection = protection(&args)?;
    let home = Home::new(founding.beside.clone(), config);
    let founded = found(&home, &protection, trust_domain.clone())?;
    write_files(&home, &founded)?;
    founding.finish()?;

    let directory = args.dir.display();
    let made = Made {
        directory: &args.dir,
        trust_domain: trust_domain.to_string(),
        endpoint: &home.config.network.endpoint,
        administrator_serial: founded.admin.serial.to_string(),
    };
    let words = format!(
        "Founded the authority of trust domain {trust_domain} in {directory}.\n\
         \n\
         \x20 custody.json        how the root key is wrapped; without it and its {protected} the store opens nothing\n\
         \x20 {store:<19} records; every secret in it is sealed\n\
         \x20 admin.pem, .key     the first administrator, for a year: issue personal ones, and keep this one locked away\n\
         \x20 root-ca.pem         the root; trust.pem and infrastructure.pem are what devices and servers are verified with\n\
         \x20 identity.pub        what devices pin\n\
         \n\
         Next: back the directory up, then start it:\n\
         \x20 wardein serve --config {directory}/{file}\n\
         and make a tenant: wardein tenant create --dir {directory} NAME",
        protected = match protection {
            Protection::Passphrase(_) => "passphrase",
            Protection::KeyFile(_) => "key file",
        },
        store = home::store_kind(&home.config).file_name(),
        file = Config::FILE,
    );
    out.say(&words, &made)
}

/// What `wardein.toml` is to say.
fn configuration(args: &InitArgs) -> Result<Config, Failure> {
    let mut config = Config::default();
    config.network.listen = args.listen;
    config.network.http = args.http;
    config.store = args.store;
    let mut names = args.server_names.clone();
    for name in config.network.server_names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in &names {
        name.parse::<ServerName>().map_err(|error| usage(format_args!("--server-name {name}: {error}")))?;
    }
    let first = names.first().map_or("localhost", String::as_str);
    // An IPv6 address stands in brackets in a URI.
    let host = if first.contains(':') { format!("[{first}]") } else { first.to_owned() };
    config.network.endpoint = format!("https://{host}:{}", args.listen.port());
    config.network.server_names = names;
    if let Some(key_file) = &args.key_file {
        config.custody.key_file = std::path::absolute(key_file).map_err(failed)?;
    }
    Ok(config)
}

fn protection(args: &InitArgs) -> Result<Protection, Failure> {
    match &args.key_file {
        Some(path) => Ok(Protection::KeyFile(path.clone())),
        None => home::source(&args.passphrase).read_new().map(Protection::Passphrase).map_err(failed),
    }
}

/// Makes keys and records. When this returns, the store is closed and durable.
fn found(home: &Home, protection: &Protection, trust_domain: TrustDomain) -> Result<Founded, Failure> {
    let mut entropy = SystemEntropy::default();
    let no_entropy = |_| Failure::failed("the operating system gave no random bytes");
    let root_key = entropy.secret().map_err(no_entropy)?;
    wardein_custody::create(&home.custody(), protection, &root_key, &mut entropy).map_err(failed)?;
    let store = home.open_store()?;
    let founded = wardein_engine::found(&store, &SystemClock, root_key, trust_domain);
    wardein_cli::block_on(async { founded.await.map_err(failed) })
}

fn write_files(home: &Home, founded: &Founded) -> Result<(), Failure> {
    let write = |name: &str, text: &str| write_new(&home.file(name), text.as_bytes(), PUBLIC);
    write("root-ca.pem", &founded.root_pem)?;
    write(identity::TRUST, &founded.bundle_pem)?;
    write(identity::INFRASTRUCTURE, &founded.infrastructure_pem)?;
    write(identity::IDENTITY_KEY, &identity::hex_line(&founded.identity_key))?;
    write(identity::ADMIN_CERTIFICATE, &founded.admin_certificate_pem)?;
    let key = pem::encode_private_key(founded.admin_key.expose()).map_err(failed)?;
    write_new(&home.file(identity::ADMIN_KEY), key.expose(), PRIVATE)?;
    write(Config::FILE, &home.config.to_documented_toml())
}

/// A founding at work. Its marker is locked, so that two never work on one directory.
struct Founding {
    directory: PathBuf,
    beside: PathBuf,
    _marker: File,
}

impl Founding {
    fn begin(directory: &Path) -> Result<Self, Failure> {
        let name = directory.file_name().ok_or_else(|| usage("--dir: name a directory to make"))?;
        refuse_unless_free(directory)?;
        let mut beside = name.to_owned();
        beside.push(".founding");
        let beside = directory.with_file_name(beside);
        clear(&beside)?;
        make_private_directory(&beside)?;
        let path = beside.join(MARKER);
        write_new(&path, b"1\n", PUBLIC)?;
        let marker = File::open(&path).map_err(|error| Failure::file("open", &path, error))?;
        lock(&marker, &beside)?;
        // Another founding may have taken the marker for a crash's before it was locked, and made its own.
        let is_ours = |found: fs::Metadata| marker.metadata().is_ok_and(|ours| ours.ino() == found.ino());
        if !fs::metadata(&path).is_ok_and(is_ours) {
            return Err(at_work(&beside));
        }
        Ok(Self { directory: directory.to_owned(), beside, _marker: marker })
    }

    /// Gives the directory its name, durably.
    fn finish(self) -> Result<(), Failure> {
        sync_directory(&self.beside)?;
        // rename(2) replaces an empty directory and nothing else.
        fs::rename(&self.beside, &self.directory)
            .map_err(|error| Failure::file("give its name to", &self.beside, error))?;
        let parent = self.directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))
    }
}

/// The directory must not be there, or be empty.
fn refuse_unless_free(directory: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("read", directory, error)),
        Ok(entries) => entries,
    };
    if directory.join(MARKER).exists() {
        let words = format!(
            "{0} is an authority already, and is never founded again; start it: wardein serve --config {0}/{1}",
            directory.display(),
            Config::FILE
        );
        return Err(Failure::Failed(words));
    }
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(Failure::Failed(format!("{} is not empty; name another directory", directory.display())))
        }
    }
}

/// Removes what an unfinished founding left, and nothing else. The marker goes last, so that a crash in the middle of this leaves
/// what the next founding knows for ours.
fn clear(beside: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("remove what an unfinished founding left in", beside, error);
    match File::open(beside.join(MARKER)) {
        Ok(marker) => {
            lock(&marker, beside)?;
            for entry in fs::read_dir(beside).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let is_directory = entry.file_type().map_err(failed)?.is_dir();
                match entry.file_name() == MARKER {
                    true => Ok(()),
                    false if is_directory => fs::remove_dir_all(entry.path()),
                    false => fs::remove_file(entry.path()),
                }
                .map_err(failed)?;
            }
            sync_directory(beside)?;
            fs::remove_file(beside.join(MARKER)).and_then(|()| fs::remove_dir(beside)).map_err(failed)
        }
        // Without a marker it is ours only if it is empty: a crash came between the two.
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::remove_dir(beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::file("make way for", beside, error))
            }
            _ => Ok(()),
        },
        Err(error) => Err(Failure::file("look into", beside, error)),
    }
}

fn lock(marker: &File, beside: &Path) -> Result<(), Failure> {
    marker.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => at_work(beside),
        TryLockError::Error(error) => Failure::file("lock", beside, error),
    })
}

fn at_work(beside: &Path) -> Failure {
    let beside = beside.display();
    Failure::Failed(format!("another `wardein init` is at work in {beside}; wait until it has ended"))
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_is_cleared_and_what_is_not_ours_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("authority");
        let crashed = Founding::begin(&directory).unwrap();
        write_new(&crashed.beside.join("half"), b"made", PRIVATE).unwrap();
        assert!(Founding::begin(&directory).err().unwrap().to_string().contains("at work"));
        drop(crashed);
        Founding::begin(&directory).unwrap().finish().unwrap();
        assert!(directory.join(MARKER).exists() && !directory.join("half").exists());
        assert!(Founding::begin(&directory).err().unwrap().to_string().contains("is an authority already"));

        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::create_dir(parent.path().join("other.founding")).unwrap();
        Founding::begin(&other).unwrap().finish().unwrap();

        let foreign = parent.path().join("foreign.founding");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis"), "").unwrap();
        assert!(Founding::begin(&parent.path().join("foreign")).is_err());
        assert!(foreign.join("thesis").exists());
        assert!(Founding::begin(&foreign).err().unwrap().to_string().contains("is not empty"));
    }
}

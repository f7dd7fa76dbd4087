//! `wardein dev`: an authority for trials, founded where there is none yet, and served on the loopback interface until Ctrl-C.
//!
//! It is the same authority as any other, but for where its root key is: in a file beside it. So no network may reach it: it is
//! founded on loopback addresses, and refuses to go on with others.

use crate::founding::{Founding, usage};
use crate::home::Home;
use crate::{init, serve};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wardein_cli::config::{Config, StoreKind};
use wardein_cli::files::{PUBLIC, make_private_directory, write_new};
use wardein_cli::{
    DevArgs, Failure, NewDatabaseArgs, Output, PassphraseArgs, PlaceArgs, TokenArgs, TrialFiles,
};
use wardein_custody::Protection;
use wardein_engine::CaKeys;

pub(crate) fn run(args: DevArgs, out: Output) -> Result<(), Failure> {
    // It is removed when this returns.
    let (files, _temporary) = match &args.dir {
        Some(directory) => {
            let directory = std::path::absolute(directory).map_err(Failure::failed)?;
            claim(&directory)?;
            (TrialFiles::new(directory, false), None)
        }
        None => {
            let made = tempfile::Builder::new()
                .prefix("wardein-dev-")
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir()
                .map_err(|error| Failure::Failed(format!("cannot make a temporary directory: {error}")))?;
            (TrialFiles::new(made.path().to_owned(), true), Some(made))
        }
    };
    let config = files.authority().join(Config::FILE);
    let home = match config.exists() {
        true => known(&config, &args)?,
        false => found(&files, &args)?,
    };
    serve::serve(home, &PassphraseArgs::default(), files.furnish(out))
}

/// Takes `directory` for a trial: one that is not there yet, or empty, or a trial's already. Files of others stay apart from it.
fn claim(directory: &Path) -> Result<(), Failure> {
    if !directory.exists() {
        make_private_directory(directory)?;
    }
    let marker = directory.join(MARKER);
    if marker.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(directory).map_err(|error| Failure::file("read", directory, error))?;
    if entries.next().is_some() {
        let directory = directory.display();
        return Err(Failure::Usage(format!(
            "--dir: {directory} has other files in it; name a directory that is empty, or not there yet"
        )));
    }
    write_new(&marker, b"A trial of Wardein: wardein dev --dir\n", PUBLIC)
}

/// Founds the authority of a trial.
fn found(files: &TrialFiles, args: &DevArgs) -> Result<Home, Failure> {
    let place = PlaceArgs {
        store: StoreKind::Sqlite,
        database: NewDatabaseArgs::default(),
        token: TokenArgs::default(),
        listen: free(args.port.unwrap_or(GRPC_PORT), "--port")?,
        http: free(args.http_port.unwrap_or(HTTP_PORT), "--http-port")?,
        server_names: Vec::new(),
    };
    let trust_domain = TRUST_DOMAIN.parse().map_err(usage)?;
    let mut config = init::configuration(&place, Some(files.root_key().as_path()))?;
    // What it prints is not to go by among lines of calls.
    config.log.level = "warn".to_owned();
    let founding = Founding::begin(&files.authority())?;
    let home = Home::new(founding.staging().to_owned(), config);
    let protection = Protection::KeyFile(files.root_key());
    let founded = init::found(&home, &protection, trust_domain, CaKeys::default())?;
    init::write_files(&home, &founded)?;
    founding.finish()?;
    Ok(Home::new(files.authority(), home.config))
}

/// The authority of an earlier start.
fn known(config: &Path, args: &DevArgs) -> Result<Home, Failure> {
    let home = Home::of_config(config)?;
    require_loopback(&home.config)?;
    let network = &home.config.network;
    for (given, known, option) in
        [(args.port, network.listen, "--port"), (args.http_port, network.http, "--http-port")]
    {
        if given.is_some_and(|given| given != known.port()) {
            let port = known.port();
            return Err(Failure::Usage(format!(
                "{option}: the trial in this directory was founded with {port}; leave {option} out, or name another directory"
            )));
        }
    }
    Ok(home)
}

/// Refuses to serve a network: of a trial, the root key is in a file beside it.
fn require_loopback(config: &Config) -> Result<(), Failure> {
    let network = &config.network;
    // Where it is not an address, `serve` says so.
    let est = network.est.parse().ok();
    for (address, name) in [(Some(network.listen), "listen"), (Some(network.http), "http"), (est, "est")] {
        if let Some(address) = address.filter(|address: &SocketAddr| !address.ip().is_loopback()) {
            return Err(Failure::Failed(format!(
                "network.{name} is {address}, and `wardein dev` serves this machine alone: its root key is in a file beside it. Set it to \
                 127.0.0.1 in wardein.toml, or found an authority for service with `wardein init`"
            )));
        }
    }
    Ok(())
}

/// The address of a port that nobody listens on: better known before the founding than after it.
fn free(port: u16, option: &str) -> Result<SocketAddr, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) => Err(Failure::Failed(format!(
            "cannot listen on {address}: {error}; name another port with {option}"
        ))),
    }
}

/// In each directory of a trial.
const MARKER: &str = "wardein-trial";

/// Nobody's (RFC 2606, section 2).
const TRUST_DOMAIN: &str = "trial.example";

const GRPC_PORT: u16 = 7443;

const HTTP_PORT: u16 = 7480;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_no_network() {
        let mut config = Config::default();
        require_loopback(&config).unwrap();
        config.network.est = "[::1]:7444".to_owned();
        require_loopback(&config).unwrap();
        type Change = fn(&mut Config);
        let open: [(&str, Change); 3] = [
            ("network.listen", |config| config.network.listen = "0.0.0.0:7443".parse().unwrap()),
            ("network.http", |config| config.network.http = "192.0.2.7:7480".parse().unwrap()),
            ("network.est", |config| config.network.est = "[::]:7444".to_owned()),
        ];
        for (name, change) in open {
            let mut config = config.clone();
            change(&mut config);
            let refused = require_loopback(&config).unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains("this machine alone"), "{refused}");
        }
    }

    #[test]
    fn it_takes_a_directory_of_its_own_and_no_other() {
        let parent = tempfile::tempdir().unwrap();
        let (new, empty, other) =
            (parent.path().join("new"), parent.path().join("empty"), parent.path().join("other"));
        fs::create_dir(&empty).unwrap();
        for directory in [&new, &empty] {
            claim(directory).unwrap();
            fs::write(directory.join("station"), "").unwrap();
            claim(directory).unwrap();
        }
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(&other).unwrap();
        fs::write(other.join(Config::FILE), "").unwrap();
        assert!(claim(&other).unwrap_err().to_string().contains("has other files in it"));
        assert!(!other.join(MARKER).exists());
    }

    #[test]
    fn the_ports_are_chosen_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(Config::FILE);
        fs::write(&file, Config::default().to_documented_toml()).unwrap();
        let args = |port| DevArgs { dir: None, port, http_port: None };
        assert!(known(&file, &args(None)).is_ok() && known(&file, &args(Some(7443))).is_ok());
        let refused = known(&file, &args(Some(7000))).err().unwrap().to_string();
        assert!(refused.contains("founded with 7443"), "{refused}");
    }
}

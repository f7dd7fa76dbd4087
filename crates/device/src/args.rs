//! The command line. No secret is ever an argument: secrets are in files that only the device reads.

mod service;

pub(crate) use service::Service;

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;
#[cfg(feature = "hawkbit")]
use wardein_device::LoopbackAddress;
use wardein_device::{Given, Nonce};
use wardein_domain::{Audience, KeyKind};

/// The device's side of Wardein: enrolls, proves, and keeps the device certified.
#[derive(Debug, Parser)]
#[command(name = "wardein-device", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The state directory. One process at a time works in it; others wait up to a minute for it.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/wardein-device")]
    pub(crate) dir: PathBuf,
    /// Log more, to standard error.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Enroll through a station: over standard input and output, or by calling the authority with a station's certificate.
    Enroll(Box<Enroll>),
    /// Prove that the device is there, once.
    Authenticate(Json),
    /// Get a new certificate, once: for the device's own key, or with a key that the authority makes.
    Certificate(Certificate),
    /// Write the certificate's key, PEM, to a file in memory (tmpfs), for a program on this device that uses it; asks nobody.
    Key(Key),
    /// Print a token for logging in to a platform once, in base64. It is a credential until it is used.
    Token(Token),
    /// Seal a payload under a key that is used for nothing else, for a platform to have opened; prints it in base64, and asks nobody.
    Seal(Seal),
    /// Seal whole files, number and sign them; open, look at and verify them. Asks nobody.
    #[cfg(feature = "files")]
    #[command(subcommand)]
    File(FileCommand),
    /// Say what may leave the device's logs, and for whom; try it; seal and deliver it.
    #[cfg(feature = "logs")]
    #[command(subcommand)]
    Logs(crate::logs::Logs),
    /// Agree with the authority on new keys, once, and go over to them.
    Rekey(Json),
    /// Announce what the device measures, or will measure, where that differs from what the authority expects.
    Attributes(Box<Announce>),
    /// Get the pins of the platform's keys, signed by the authority, and store them.
    Pins(Json),
    /// Connect to the platform by its pins, and tell whether it is the platform; sends nothing, and asks the authority nothing.
    ConnectCheck(ConnectCheck),
    /// Download, verify and install what the maker has signed, and tell whether that is what runs.
    #[command(subcommand)]
    Update(Update),
    /// Let technicians in while they are invited, by sshd.
    #[command(subcommand)]
    Service(Service),
    /// Tell what the device knows of itself; asks nobody.
    Status(Json),
    /// Keep the device certified and its keys new until SIGTERM.
    Run {
        /// Do what is due, then end.
        #[arg(long)]
        once: bool,
    },
}

/// Each step can be run again. Where `--from` is not given, metadata and artifacts come from the places that device.toml names in [update].
#[derive(Debug, Subcommand)]
pub(crate) enum Update {
    /// Trust the maker's first root, once: it comes with the device, or from the maker by hand. Later roots come with the metadata.
    Trust {
        /// The root's metadata (TUF 1.0).
        #[arg(value_name = "ROOT.json")]
        root: PathBuf,
        #[command(flatten)]
        output: Json,
    },
    /// Refresh the metadata, and list the releases of the device's line: the latest first, with the reason where the device may not install
    /// one. An enrolled device asks the authority which one it is offered.
    Check {
        #[command(flatten)]
        from: FromArgs,
        #[command(flatten)]
        output: Json,
    },
    /// Download a release that is offered to the device, going on where an earlier try stopped, and judge it while it comes.
    Download {
        #[command(flatten)]
        release: ReleaseArgs,
        #[command(flatten)]
        from: FromArgs,
        #[command(flatten)]
        output: Json,
    },
    /// Tell whether a file is the artifact of a release, by the metadata of the last check; asks nobody.
    Verify {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        release: ReleaseArgs,
        #[command(flatten)]
        output: Json,
    },
    /// Have the maker's command install a release that was downloaded. An enrolled device does so by the authority's offer alone, for which it
    /// asks where it holds none. Refused while the device is in use.
    Install {
        #[command(flatten)]
        release: ReleaseArgs,
        #[command(flatten)]
        output: Json,
    },
    /// Have SWUpdate, or another client of hawkBit's DDI, install a release that was downloaded, and hear from it how that went; then,
    /// run once more, how the first start went. Refused as `install` is. The client polls http://ADDRESS as TENANT and DEVICE of
    /// device.toml, with the token as its target token.
    #[cfg(feature = "hawkbit")]
    Hawkbit {
        #[command(flatten)]
        release: ReleaseArgs,
        /// Where the client polls: a port of the loopback interface.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
        listen: LoopbackAddress,
        /// The file with the client's token, which its owner alone may read: 16 to 128 characters.
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
        #[command(flatten)]
        output: Json,
    },
    /// Say that what was installed has started well. From then on nothing below its floor is installed.
    Confirm(Json),
    /// Say that the device runs what it ran before.
    RolledBack(Json),
    /// Compare what runs with the release that was confirmed last; exits with 5 where it is another one.
    VerifyRunning(Json),
    /// Tell what runs, what waits for its first start, and the lowest version that may be installed.
    Status(Json),
}

/// A sealed file is an age file (C2SP age v1). Beside it, with `.sig` behind its name, is what the device signed of it: the digest, the
/// time, and a number that rises by one with each file, so that a missing or swapped one shows.
#[cfg(feature = "files")]
#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Seal a file for the authority, which has it opened by the platforms that the tenant allows; or for readers alone, end to end.
    Seal {
        /// The file, of any size.
        file: PathBuf,
        /// The sealed file; FILE.age where it is not given. It must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// A reader's public key, age1...: the file is sealed for readers alone, and the authority does not open it. May be repeated. Where the
        /// tenant has readers, one of them; for whom files are sealed without this option, its list says (`wardein-device file readers`).
        #[arg(long, value_name = "KEY")]
        reader: Vec<String>,
        #[command(flatten)]
        output: Json,
    },
    /// Take the list of the tenant's readers from the authority, and show it. `wardein-device run` takes it with each certificate.
    Readers(Json),
    /// Open a file that this device sealed for the authority, as long as the device still has the epoch's key.
    Open {
        /// The sealed file.
        file: PathBuf,
        /// Where it goes; it must not be there yet, and its owner alone may read it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        output: Json,
    },
    /// Tell what can be seen of a sealed file without a key. Nothing vouches for it.
    Inspect {
        /// The sealed file.
        file: PathBuf,
        #[command(flatten)]
        output: Json,
    },
    /// Verify files by the statements beside them, and tell whether one is missing between them or in another's place; exits with 5 then.
    Verify {
        /// The sealed files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The roots to trust (PEM); those of device.toml where it is not given.
        #[arg(long, value_name = "FILE")]
        roots: Option<PathBuf>,
        #[command(flatten)]
        output: Json,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FromArgs {
    /// A directory with `metadata` and `targets`, such as on a USB stick. It is trusted no more than a server.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReleaseArgs {
    /// The version's number; the latest that this device may install where it is not given.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Json {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Certificate {
    /// With a key that the authority makes, in the place of the device's: rsa-3072, rsa-2048, p256 or p384. Renewals are with another of that
    /// kind.
    #[arg(long, value_name = "KIND")]
    pub(crate) made: Option<KeyKind>,
    #[command(flatten)]
    pub(crate) output: Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Key {
    /// The file, below /run: it is replaced whole, and its owner alone may read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConnectCheck {
    /// Where the platform answers, by TLS 1.3.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) output: Json,
}

/// Every attribute of device.toml is announced. The authority takes the former values and the announced ones, until a proof
/// shows the announced ones; so it may be asked again, and an update may come late or never.
#[derive(Debug, ClapArgs)]
pub(crate) struct Announce {
    /// Before an update: where the coming value is, such as firmware=file:/boot/next. May be repeated.
    #[arg(long, value_name = "NAME=SOURCE", value_parser = attribute)]
    pub(crate) will_be: Vec<(String, String)>,
    /// After an update: where the former value still is, such as firmware=file:/boot/previous, to prove with. May be repeated.
    #[arg(long, value_name = "NAME=SOURCE", value_parser = attribute)]
    pub(crate) was: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Token {
    /// The platform's name at the authority.
    #[arg(long, value_name = "NAME")]
    pub(crate) audience: Audience,
    /// The nonce that the platform gave for this login, in hex: at most 64 bytes.
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<Nonce>,
    /// Do not ask the authority for the time first. After a long silence the token is then refused.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) output: Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Seal {
    /// The file to seal, at most 16 MiB; standard input where none is given.
    pub(crate) file: Option<PathBuf>,
    /// What is bound to it and told to those who open it in other ways.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) additional_data: String,
    #[command(flatten)]
    pub(crate) output: Json,
}

#[derive(Debug, ClapArgs)]
#[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "a station calls by gRPC alone"))]
pub(crate) struct Enroll {
    /// Speak with the station in lines of JSON on standard input and output.
    #[arg(long, conflicts_with_all = ["station_cert", "station_key"], required_unless_present = "station_cert")]
    pub(crate) begin: bool,
    /// With --begin: take the pins of the platform's keys, too, which the station then must know of; otherwise the first renewal of the
    /// certificate brings them.
    #[arg(long, requires = "begin")]
    pub(crate) pins: bool,
    /// With --begin: get a certificate, too, with a key that the authority makes: rsa-3072, rsa-2048, p256 or p384. The key comes over the line
    /// sealed for this device. The station must know of it; where the device is enrolled already, it gets another key.
    #[arg(long, value_name = "KIND", requires = "begin")]
    pub(crate) made: Option<KeyKind>,
    /// A station's certificate chain (PEM), to call the authority with.
    #[arg(long, value_name = "FILE", requires = "station_key")]
    pub(crate) station_cert: Option<PathBuf>,
    /// The station's private key (PEM, PKCS#8).
    #[arg(long, value_name = "FILE", requires = "station_cert")]
    pub(crate) station_key: Option<PathBuf>,
    /// With a station's certificate: the profile that the device is to follow.
    #[arg(long, requires = "station_cert")]
    pub(crate) profile: Option<String>,
    /// With a station's certificate: the maker's name of the model.
    #[arg(long, requires = "station_cert")]
    pub(crate) model: Option<String>,
    /// With a station's certificate: the unique device identifier, of GS1, HIBCC or ICCBBA.
    #[arg(long, requires = "station_cert")]
    pub(crate) udi: Option<String>,
    /// Replace a state that is there already, once the authority has agreed to another.
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What device.toml is made of where there is none yet. Where there is one, these must agree with it.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Settings, for a device without device.toml")]
pub(crate) struct Settings {
    /// The tenant that owns the device.
    #[arg(long)]
    tenant: Option<String>,
    /// The device's id.
    #[arg(long)]
    device_id: Option<String>,
    /// Where the authority answers.
    #[arg(long, value_name = "https://HOST:PORT")]
    endpoint: Option<String>,
    /// How requests travel: grpc, or http where only HTTP/1.1 passes.
    #[arg(long, value_name = "FORM")]
    transport: Option<String>,
    /// The proxy to go through, by CONNECT.
    #[arg(long, value_name = "http://HOST:PORT")]
    proxy: Option<String>,
    /// A file of mode 600 with the login for the proxy, NAME:PASSWORD. It is read for each connection.
    #[arg(long, value_name = "FILE")]
    proxy_login: Option<PathBuf>,
    /// A file with the authority's identity key, as `identity.pub` has it.
    #[arg(long, value_name = "FILE")]
    identity_key: Option<PathBuf>,
    /// A file with the certificates to trust, PEM; the root is enough.
    #[arg(long, value_name = "FILE")]
    trust_roots: Option<PathBuf>,
    /// The suite: 1, or 2 where it is built in.
    #[arg(long)]
    suite: Option<u16>,
    /// Seconds between two signs of life.
    #[arg(long, value_name = "SECONDS")]
    authenticate_every: Option<u64>,
    /// Seconds after which the device rekeys by itself; 0 for only when the authority asks.
    #[arg(long, value_name = "SECONDS")]
    rekey_after: Option<u64>,
    /// The TPM whose key is to sign the device's requests, in place of keys that the device derives: device:/dev/tpmrm0, or
    /// swtpm:host=HOST,port=PORT.
    #[arg(long, value_name = "TCTI")]
    signs_with: Option<String>,
    /// The endorsement key that it shows: rsa2048, p256 or p384. Without one, that which the TPM's vendor certified.
    #[arg(long, value_name = "KIND")]
    endorsement_key: Option<String>,
    /// The TPM that is to seal the keys that the device derives, where they are stored: device:/dev/tpmrm0, or
    /// swtpm:host=HOST,port=PORT.
    #[arg(long, value_name = "TCTI", conflicts_with = "signs_with")]
    sealed_by: Option<String>,
    /// An attribute to measure: file:/PATH, machine-id, mac:INTERFACE, dmi:FIELD or text:CONSTANT. May be repeated.
    #[arg(long = "attribute", value_name = "NAME=SOURCE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
}

impl From<Settings> for Given {
    fn from(settings: Settings) -> Self {
        let Settings {
            tenant,
            device_id,
            endpoint,
            transport,
            proxy,
            proxy_login,
            identity_key,
            trust_roots,
            suite,
            authenticate_every,
            rekey_after,
            signs_with,
            endorsement_key,
            sealed_by,
            attributes,
        } = settings;
        Self {
            tenant,
            device_id,
            endpoint,
            transport,
            proxy,
            proxy_login,
            identity_key,
            trust_roots,
            suite,
            authenticate_every,
            rekey_after,
            signs_with,
            endorsement_key,
            sealed_by,
            attributes,
        }
    }
}

fn attribute(text: &str) -> Result<(String, String), &'static str> {
    let (name, source) = text.split_once('=').ok_or("is not NAME=SOURCE")?;
    Ok((name.into(), source.into()))
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed here; 2 wrong option or setting; 3 refused by the authority; 4 the authority, the platform, or the \
place of updates cannot be reached; 5 an update, what runs, or a sealed file is not to be trusted, or logs.toml is not approved; \
6 no technician is let in.";

//! One function for each command.

use crate::args::{Args, Certificate, Command, ConnectCheck, Enroll, Seal, Token};
use crate::prover::{self, prover, session};
use crate::services::{service, spool};
use crate::updates::update;
use std::collections::BTreeMap;
use std::io::{Read, stdin, stdout};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
#[cfg(feature = "grpc")]
use wardein_client::Identity;
use wardein_crypto::{SecretBytes, SystemEntropy};
use wardein_ddkg::message::{MAX_PLAINTEXT, to_text};
use wardein_device::{
    Agent, Authority, Config, Directory, Enrolled, Error, Files, Given, LineStation, Nonce, PinStation,
    Prover, Rekeyed, Session, Source, Status, connect_platform, enroll, utc,
};
#[cfg(feature = "grpc")]
use wardein_device::{Remote, RemoteStation, Vouched};
use wardein_domain::{AttributeName, KeyKind, NameError};
use wardein_pki::PinBundle;

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let path = args.dir.as_path();
    match args.command {
        Command::Enroll(order) => enroll_with(path, *order).await,
        Command::Authenticate(output) => {
            let mut prover = prover(path).await?;
            let time = prover.authenticate().await?;
            if let Err(error) = prover.transfer_if_due().await {
                tracing::warn!(%error, "the device is not transferred yet; the next request tries again");
            }
            let shown = serde_json::json!({ "server_time": time });
            print(output.json, &shown, || format!("acknowledged at {}", utc(time)));
            Ok(())
        }
        Command::Certificate(Certificate { made, output }) => {
            let certificate = match made {
                Some(kind) => session(path, "made-key").await?.made_certificate(kind).await?,
                None => prover(path).await?.certificate().await?,
            };
            let shown = serde_json::json!({
                "serial": certificate.serial.to_string(),
                "not_before": certificate.not_before,
                "not_after": certificate.not_after,
                "file": path.join("certificate.pem"),
            });
            print(output.json, &shown, || {
                let file = path.join("certificate.pem");
                let until = utc(certificate.not_after);
                format!("certificate {} until {until} in {}", certificate.serial, file.display())
            });
            Ok(())
        }
        Command::Key(order) => {
            let files = Files::open(path)?;
            let config = files.config()?.ok_or_else(|| files.not_configured())?;
            files.give_key_out(&config, &order.out)
        }
        Command::Token(order) => token(path, order).await,
        Command::Seal(order) => seal(path, order).await,
        #[cfg(feature = "files")]
        Command::File(order) => crate::files::file(path, order).await,
        #[cfg(feature = "logs")]
        Command::Logs(order) => crate::logs::logs(path, order).await,
        Command::Rekey(output) => {
            let Rekeyed { generation, suite, is_in_use } = session(path, "rekey").await?.rekey().await?;
            let shown = serde_json::json!({ "generation": generation, "suite": suite, "in_use": is_in_use });
            print(output.json, &shown, || {
                let more = if is_in_use { "" } else { "; the next request puts it into use" };
                format!("generation {generation}, suite {suite}{more}")
            });
            Ok(())
        }
        Command::Attributes(order) => {
            let (will_be, was) = (sources(order.will_be)?, sources(order.was)?);
            let announced = session(path, "attributes").await?.announce(&will_be, &was).await?;
            let names: Vec<_> = announced.iter().map(ToString::to_string).collect();
            let shown = serde_json::json!({ "announced": names });
            print(order.json.json, &shown, || format!("announced {}", names.join(", ")));
            Ok(())
        }
        Command::Pins(output) => {
            let pins = prover(path).await?.pins().await?;
            let shown = pins.as_ref().map(|bundle| {
                let PinBundle { epoch, validity, pins, .. } = bundle;
                serde_json::json!({
                    "epoch": epoch,
                    "not_after": validity.not_after(),
                    "current": pins.current.to_string(),
                    "next": pins.next.map(|next| next.to_string()),
                    "recovery": pins.recovery.to_string(),
                })
            });
            print(output.json, &shown, || match &pins {
                Some(bundle) => {
                    format!("pins of epoch {} until {}", bundle.epoch, utc(bundle.validity.not_after()))
                }
                None => "the authority has no pins of the platform".to_owned(),
            });
            Ok(())
        }
        Command::ConnectCheck(ConnectCheck { address, output }) => {
            drop(connect_platform(&Files::open(path)?, &address, &[]).await?);
            let shown = serde_json::json!({ "platform": address });
            print(output.json, &shown, || format!("the platform answers at {address}"));
            Ok(())
        }
        Command::Update(order) => update(path, order).await,
        Command::Service(order) => service(path, order).await,
        Command::Status(output) => {
            let status = Status::read(&Files::open(path)?)?;
            print(output.json, &status, || status.to_string());
            Ok(())
        }
        Command::Run { once } => keep(path, once).await,
    }
}

fn sources(given: Vec<(String, String)>) -> Result<BTreeMap<AttributeName, Source>, Error> {
    let parse = |(name, source): (String, String)| {
        let wrong = |why: String| Error::Config { field: "attributes", why: format!("{name}: {why}") };
        let parsed = name.parse().map_err(|error: NameError| wrong(error.to_string()))?;
        Ok((parsed, source.parse().map_err(|why: &str| wrong(why.to_owned()))?))
    };
    given.into_iter().map(parse).collect()
}

async fn enroll_with(path: &Path, order: Enroll) -> Result<(), Error> {
    let Some((chain, key)) = order.station_cert.clone().zip(order.station_key.clone()) else {
        return enroll_over_line(path, order).await;
    };
    enroll_by_call(path, order, &chain, &key).await
}

#[cfg(feature = "grpc")]
async fn enroll_by_call(path: &Path, order: Enroll, chain: &Path, key: &Path) -> Result<(), Error> {
    let (directory, config) = settle(path, order.settings.into())?;
    let identity =
        Identity { certificates: read(chain, MAX_FILE)?.expose().to_vec(), key: read(key, MAX_FILE)? };
    let vouched = Vouched { profile: order.profile, model: order.model, udi: order.udi };
    let remote = Remote::of(&config);
    let mut station = RemoteStation::new(remote, identity, vouched);
    take_pins(&directory, &config, &mut Remote::of(&config)).await?;
    if let Some(tpm) = &config.signs_with {
        let enrolled = prover::enroll_signing(&directory, &config, tpm, &mut station).await?;
        println!("enrolled {}/{}, {}", config.device.tenant, config.device.device, enrolled.assurance);
        return Ok(());
    }
    let root = Path::new(ROOT);
    let done =
        enroll(&directory, &config, root, order.again, &mut station, &mut SystemEntropy::default()).await?;
    println!("enrolled {}/{}, generation {}", config.device.tenant, config.device.device, done.generation);
    note(done)
}

/// A station calls by gRPC alone.
#[cfg(not(feature = "grpc"))]
async fn enroll_by_call(_: &Path, _: Enroll, _: &Path, _: &Path) -> Result<(), Error> {
    let why = "needs a build with gRPC (feature grpc); enroll with --begin instead".to_owned();
    Err(Error::Config { field: "station-cert", why })
}

async fn enroll_over_line(path: &Path, order: Enroll) -> Result<(), Error> {
    let Enroll { settings, again, pins, made, .. } = order;
    let mut station = LineStation::new(stdin().lock(), stdout().lock());
    let prepared = match settle(path, settings.into()) {
        Ok((directory, config)) if pins => {
            let taken = take_pins(&directory, &config, &mut station).await;
            taken.map(|()| (directory, config))
        }
        settled => settled,
    };
    let prepared = match prepared {
        Ok((_, config)) if made.is_some() && config.signs_with.is_some() => Err(Error::Signs("made-key")),
        prepared => prepared,
    };
    // Whether the station hears the end changes nothing: the state is saved, or is not.
    let done = match prepared {
        Ok((directory, config)) => match &config.signs_with {
            Some(tpm) => {
                let done = prover::enroll_signing(&directory, &config, tpm, &mut station).await;
                let _unheard = station.end_signing(&done);
                return done.map(|_| ());
            }
            None => {
                let (root, mut entropy) = (Path::new(ROOT), SystemEntropy::default());
                let done = enroll(&directory, &config, root, again, &mut station, &mut entropy).await;
                match made {
                    Some(kind) => take_made_key((directory, config), kind, done, &mut station).await,
                    None => done,
                }
            }
        },
        Err(error) => Err(error),
    };
    let _unheard = station.end(&done);
    note(done?)
}

/// Before the enrollment: a bundle that cannot be taken is a matter for the factory.
async fn take_pins(
    directory: &Directory,
    config: &Config,
    station: &mut impl PinStation,
) -> Result<(), Error> {
    if let Some(bundle) = station.signed_bundle(&config.device).await? {
        directory.take_pins(config, &bundle)?;
    }
    Ok(())
}

/// After the enrollment, over the same line. A device that is enrolled already asks all the same: it may not have heard the answer of an
/// earlier run.
async fn take_made_key(
    (directory, config): (Directory, Config),
    kind: KeyKind,
    done: Result<Enrolled, Error>,
    authority: &mut impl Authority,
) -> Result<Enrolled, Error> {
    let generation = match done {
        Ok(Enrolled { generation, .. }) => generation,
        Err(Error::AlreadyEnrolled) => {
            directory.files().state(&config)?.map_or(0, |state| state.generation())
        }
        Err(error) => return Err(error),
    };
    let mut session =
        Session::new(directory, config, authority, SystemEntropy::default(), PathBuf::from(ROOT))?;
    session.made_certificate(kind).await?;
    // The authority takes no proof of a device whose enrollment is not confirmed.
    Ok(Enrolled { generation, is_confirmed: true })
}

fn settle(path: &Path, given: Given) -> Result<(Directory, Config), Error> {
    let directory = Directory::create(path)?;
    let config = given.settle(&directory)?;
    Ok((directory, config))
}

/// Says on standard error what a person at the station should know.
fn note(done: Enrolled) -> Result<(), Error> {
    if !done.is_confirmed {
        tracing::warn!("the confirmation was not acknowledged; the device will send it again by itself");
    }
    Ok(())
}

async fn token(path: &Path, order: Token) -> Result<(), Error> {
    let Token { audience, nonce, offline, output } = order;
    let Nonce(nonce) = nonce.unwrap_or_default();
    let token = session(path, "token").await?.token(audience, &nonce, offline).await?;
    let text = to_text(&token.encode());
    let shown = serde_json::json!({ "token": text, "key_name": token.key_name().to_string(), "audience": token.audience.as_str() });
    print(output.json, &shown, || text.clone());
    Ok(())
}

async fn seal(path: &Path, order: Seal) -> Result<(), Error> {
    let plaintext = match &order.file {
        Some(file) => read(file, MAX_PLAINTEXT)?,
        None => bounded(stdin().lock(), MAX_PLAINTEXT).map_err(|source| {
            let path = "standard input".into();
            Error::File { doing: "read", path, source }
        })?,
    };
    let sealed = session(path, "seal").await?.seal(order.additional_data.as_bytes(), plaintext.expose())?;
    let text = to_text(&sealed.encode());
    let shown = serde_json::json!({ "sealed": text, "key_name": sealed.name().to_string() });
    print(order.output.json, &shown, || text.clone());
    Ok(())
}

async fn keep(path: &Path, once: bool) -> Result<(), Error> {
    // Heard from here on, so that a signal during the first round is not the end of the process in mid-write.
    let stop = stopped()?;
    let mut agent = Agent::new(prover(path).await?)?.telling(Files::open(path)?, spool());
    if once {
        let round = agent.round().await?;
        tracing::info!(?round, "done");
        return Ok(());
    }
    agent.run(stop).await?;
    tracing::info!("ended by a signal");
    Ok(())
}

/// Comes with SIGTERM or SIGINT, which are heard from this call on.
pub(crate) fn stopped() -> Result<impl Future<Output = ()>, Error> {
    let fault = |_| Error::Fault("listening for signals");
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A file that may be secret, with at most `max` bytes.
pub(crate) fn read(path: &Path, max: usize) -> Result<SecretBytes, Error> {
    let failed = |doing| move |source| Error::File { doing, path: path.into(), source };
    let file = std::fs::File::open(path).map_err(failed("open"))?;
    bounded(file, max).map_err(failed("read"))
}

/// All that `input` has, which may be secret: nothing of it is left behind where a buffer grows.
fn bounded(mut input: impl Read, max: usize) -> std::io::Result<SecretBytes> {
    let mut bytes = SecretBytes::with_capacity(CHUNK);
    loop {
        match SecretBytes::try_filled(CHUNK, |chunk| input.read(chunk)) {
            Ok(chunk) if chunk.expose().is_empty() => return Ok(bytes),
            Ok(chunk) => bytes.extend(chunk.expose()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if bytes.expose().len() > max {
            return Err(std::io::Error::other(format!("it has more than {max} bytes")));
        }
    }
}

pub(crate) fn print(as_json: bool, json: &impl serde::Serialize, text: impl FnOnce() -> String) {
    match serde_json::to_string(json) {
        Ok(json) if as_json => println!("{json}"),
        _ => println!("{}", text()),
    }
}

pub(crate) const ROOT: &str = "/";
#[cfg(feature = "grpc")]
const MAX_FILE: usize = 64 << 10;
const CHUNK: usize = 64 << 10;

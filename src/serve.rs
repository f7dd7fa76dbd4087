//! `wardein serve`: custody gives the root key, the store and the key make an engine, the engine is served until a signal.

use crate::custody::Custodian;
use crate::home::{Home, failed, store_name};
use crate::{logging, memory, supervisor, system, tokens};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wardein_cli::config::{AuditSinkSection, Config, Network, TracesSection};
use wardein_cli::{Failure, PassphraseArgs, ServeArgs};
use wardein_domain::Event;
use wardein_engine::{Engine, Migrating, Ports, migrate};
use wardein_pki::RevocationUrl;
use wardein_pki::est::Lines;
use wardein_port::SystemClock;
use wardein_server::{EstConfig, Limits, Metrics, Rate, Server, SinkConfig, SinkTexts, TraceConfig};
use wardein_store::OpenError;

pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    serve(Home::of_config(&args.config)?, &args.passphrase, async { Ok(()) })
}

/// Serves until a signal. `once_ready` begins when it serves; where that fails, it ends, too.
pub(crate) fn serve(
    home: Home,
    passphrase: &PassphraseArgs,
    once_ready: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let server_config = server_config(&home.config)?;
    let sinks = audit_sinks(&home)?;
    let traces = traces(&home.config.traces)?;
    let logging = logging::start(&home.config.log)?;
    tracing::info!(memory = %memory::guard(), "the memory of the process, which holds keys");
    wardein_cli::block_on(async { system::outlive_signals().map_err(failed) })?;
    system::raise_open_files(server_config.limits.open_files())?;
    system::use_small_pages();
    let signers = tokens::open(&home, logged())?;
    let custodian = Custodian::new(home.take_custody(passphrase, |why, pause| {
        supervisor::tell("STATUS=waiting for AWS KMS; the log says why");
        tracing::error!(
            "{why}; nothing is served until it gives the root key; the next try is in {} s",
            pause.as_secs()
        );
    })?);
    let metrics = Arc::new(Metrics::new().map_err(failed)?);
    let counted = metrics.clone();
    logging.watch(move |lines| counted.log_lines_dropped(lines))?;
    let (metered, root_keys, again) = (metrics.clone(), custodian.root_keys(), custodian.root_keys());
    let ports = Ports {
        custody: Some(Arc::new(custodian)),
        meter: Some(Arc::new(move |took, is_applied| metered.committed(took, is_applied))),
        revocation_url: revocation_url(&home.config)?,
        signers,
        ..Ports::new(
            home.take_store(|why| {
                supervisor::tell("STATUS=waiting for the store; the log says why");
                match why {
                    OpenError::Locked(_) => tracing::warn!(
                        "another process serves from this directory, or has the database to itself; this one waits until it has ended"
                    ),
                    other => tracing::error!("{other}; this one waits until then"),
                }
            })?,
            SystemClock,
        )
    };
    let engine = wardein_cli::block_on(async {
        if migrate(&ports, again, migrating).await.map_err(failed)? {
            tracing::info!("the store is in the format of this release");
        }
        // Deeds that a crash cut short continue while it serves.
        let engine = Engine::open(ports, root_keys).await;
        engine.map(Arc::new).map_err(|error| tokens::explained(&home, error))
    })?;
    tokens::require_keys(&home, &engine, |words| tracing::error!("{words}"))?;
    let server = Server::bind(server_config, engine.clone(), metrics).map_err(failed)?;
    let reopen = watch::Sender::new(0);
    let server = server.deliver_audit(sinks, reopen.subscribe());
    let server = match traces {
        Some(traces) => server.deliver_traces(traces),
        None => server,
    };
    let (grpc, http) = (server.grpc_address().map_err(failed)?, server.http_address().map_err(failed)?);
    let est = server.est_address().map_err(failed)?.map(tracing::field::display);

    let version = env!("CARGO_PKG_VERSION");
    wardein_cli::block_on(async { engine.record_system(Event::Started).await.map_err(failed) })?;
    tracing::info!(version, %grpc, %http, est, "serving");
    let mut outcome = Ok(());
    // It is polled when all that serves has begun.
    let until_stopped = async {
        supervisor::tell("READY=1\nSTATUS=serving");
        let mut stop = pin!(system::stop_signal(|| reopen.send_modify(|count: &mut u64| *count += 1)));
        let is_to_stop = tokio::select! {
            () = &mut stop => true,
            begun = once_ready => {
                outcome = begun;
                outcome.is_err()
            }
        };
        if !is_to_stop {
            stop.await;
        }
        supervisor::tell("STOPPING=1\nSTATUS=finishing calls");
    };
    server.run(until_stopped).map_err(failed)?;
    wardein_cli::block_on(async { engine.record_system(Event::Stopped).await.map_err(failed) })?;
    tracing::info!("stopped");
    outcome
}

/// Writes why a key in a token did not sign: with devices that ask again and again, once in a while, with how often that was.
fn logged() -> impl Fn(&str) + Send + Sync + 'static {
    let last: Mutex<(Option<Instant>, u64)> = Mutex::default();
    move |fault| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, unsaid) = &mut *last;
        if since.is_some_and(|since| since.elapsed() < FAULTS_APART) {
            *unsaid += 1;
            return;
        }
        tracing::error!(before = *unsaid, "the token that has keys of CAs: {fault}");
        (*since, *unsaid) = (Some(Instant::now()), 0);
    }
}

/// The least time between two lines about the token.
const FAULTS_APART: Duration = Duration::from_secs(10);

/// A store of a million devices takes minutes.
fn migrating(so_far: Migrating) {
    let Migrating { table, rows } = so_far;
    tracing::info!(?table, rows, "migrating the store to the format of this release");
    supervisor::tell(&format!("STATUS=migrating the store, {rows} rows so far"));
}

/// Whether and where calls are traced.
fn traces(section: &TracesSection) -> Result<Option<TraceConfig>, Failure> {
    let TracesSection { collector, one_in } = section;
    if collector.is_empty() {
        return Ok(None);
    }
    let traces = TraceConfig::parse(collector, *one_in);
    traces.map(Some).map_err(|error| Failure::Failed(format!("traces.{error}")))
}

/// Where certificates say that verifiers find what is revoked.
fn revocation_url(config: &Config) -> Result<Option<RevocationUrl>, Failure> {
    let url = &config.network.revocation_url;
    let parsed = || url.parse().map_err(|error| Failure::Failed(format!("network.revocation_url: {error}")));
    (!url.is_empty()).then(parsed).transpose()
}

/// Whether and how EST is served.
fn est(network: &Network) -> Result<Option<EstConfig>, Failure> {
    let lines = match network.est_line {
        64 => Lines::Of64,
        0 => Lines::One,
        _ => return Err(Failure::failed("network.est_line is 64 or 0")),
    };
    if network.est.is_empty() {
        return Ok(None);
    }
    let listen = network.est.parse().map_err(|error| Failure::Failed(format!("network.est: {error}")))?;
    Ok(Some(EstConfig { listen, lines }))
}

/// Where the audit log is delivered as well.
fn audit_sinks(home: &Home) -> Result<Vec<SinkConfig>, Failure> {
    let directory = home.relative("".as_ref());
    let sink = |section: &AuditSinkSection| {
        let AuditSinkSection { name, to, ca_file, certificate_file, key_file, authorization_file } = section;
        let texts = SinkTexts { name, to, ca_file, certificate_file, key_file, authorization_file };
        SinkConfig::parse(&texts, &directory)
            .map_err(|error| Failure::Failed(format!("wardein.toml: audit-sink {name:?}: {error}")))
    };
    let sinks: Vec<_> = home.config.audit_sinks.iter().map(sink).collect::<Result<_, _>>()?;
    SinkConfig::check(&sinks).map_err(|error| Failure::Failed(format!("wardein.toml: {error}")))?;
    Ok(sinks)
}

/// How many keys are made ahead for devices.
fn made_keys(network: &Network) -> Result<usize, Failure> {
    let keys = usize::try_from(network.made_keys).ok().filter(|keys| *keys <= 256);
    keys.ok_or_else(|| Failure::failed("network.made_keys is at most 256"))
}

/// The file's settings, validated.
pub(crate) fn server_config(config: &Config) -> Result<wardein_server::Config, Failure> {
    let Config { network, limits, .. } = config;
    let name = |name: &String| {
        name.parse().map_err(|error| Failure::Failed(format!("network.server_names: {name}: {error}")))
    };
    if limits.connections == 0 || limits.connections_per_address == 0 {
        return Err(Failure::failed("limits: connections and connections_per_address are at least 1"));
    }
    if limits.open_burst == 0 || limits.operator_burst == 0 {
        return Err(Failure::failed("limits: open_burst and operator_burst are at least 1"));
    }
    if limits.request_seconds == 0 {
        return Err(Failure::failed("limits: request_seconds is at least 1"));
    }
    Ok(wardein_server::Config {
        listen: network.listen,
        http: network.http,
        names: network.server_names.iter().map(name).collect::<Result<_, _>>()?,
        endpoint: network.endpoint.clone(),
        est: est(network)?,
        made_keys: made_keys(network)?,
        workers: limits.workers,
        store_name: store_name(config),
        limits: Limits {
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            request_time: Duration::from_secs(limits.request_seconds),
            shutdown_time: Duration::from_secs(limits.shutdown_seconds),
            open: Rate { per_second: limits.open_per_second, burst: limits.open_burst },
            operator: Rate { per_second: limits.operator_per_second, burst: limits.operator_burst },
            ..Limits::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_servers_own() {
        let made = server_config(&Config::default()).unwrap().limits;
        assert_eq!(format!("{made:?}"), format!("{:?}", Limits::default()));
    }

    #[test]
    fn a_limit_that_would_stop_everything_is_refused() {
        for text in ["connections = 0", "open_burst = 0", "request_seconds = 0"] {
            let config = Config::parse(&format!("[limits]\n{text}")).unwrap();
            assert!(server_config(&config).is_err(), "{text}");
        }
        let config = Config::parse("[network]\nrevocation_url = \"pki.example\"").unwrap();
        assert!(revocation_url(&config).unwrap_err().to_string().contains("revocation_url"));
        assert!(revocation_url(&Config::default()).unwrap().is_none());
        for text in ["est = \"7444\"", "est_line = 76", "made_keys = 257"] {
            let config = Config::parse(&format!("[network]\n{text}")).unwrap();
            let (field, _) = text.split_once(' ').unwrap();
            assert!(server_config(&config).unwrap_err().to_string().contains(field), "{text}");
        }
        let config = Config::parse("[network]\nest = \"127.0.0.1:7444\"\nest_line = 0").unwrap();
        let served = server_config(&config).unwrap().est.unwrap();
        assert_eq!((served.listen.port(), served.lines), (7444, Lines::One));
        assert!(server_config(&Config::default()).unwrap().est.is_none());
        let sinks = |text: &str| audit_sinks(&Home::new("/a".into(), Config::parse(text).unwrap()));
        let sink = "[[audit-sink]]\nname = \"log\"\nto = \"file:audit.jsonl\"\n";
        assert_eq!(sinks(sink).unwrap()[0].home, std::path::Path::new("/a/"));
        let twice = sinks(&[sink, sink].concat()).unwrap_err().to_string();
        assert!(twice.contains("two audit sinks are named log"), "{twice}");
        let unknown = sinks("[[audit-sink]]\nname = \"log\"\nto = \"tcp:a:1\"").unwrap_err().to_string();
        assert!(unknown.contains("audit-sink \"log\"") && unknown.contains("file:PATH"), "{unknown}");
        let config = Config::parse("[network]\nserver_names = [\"a b\"]").unwrap();
        assert!(server_config(&config).unwrap_err().to_string().contains("a b"));
    }
}

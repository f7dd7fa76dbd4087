//! The binary `wardein-receive`: arguments, the log, the runtime, the exit code.

mod supervisor;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wardein_domain::with_causes;
use wardein_receive::config::Config;
use wardein_receive::{Platform, Receiver, Server};

/// Receives the logs that devices deliver: checks, opens and places them as lines of JSON
#[derive(Debug, Parser)]
#[command(name = "wardein-receive", version)]
struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", global = true, default_value = "/etc/wardein-receive/receive.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration and all files that it names, and say what is wrong; nothing is connected to and nothing is written
    CheckConfig,
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // clap ends the process with 2 on a wrong option, and with 0 after --help.
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wardein-receive: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Fault> {
    let config = Config::read(&args.config)?;
    if let Some(Command::CheckConfig) = args.command {
        config.check()?;
        let Config { listen, tenant, audiences, .. } = &config;
        let audiences: Vec<_> = audiences.iter().map(ToString::to_string).collect();
        println!("listens on {listen} for batches of the tenant {tenant} for {}", audiences.join(", "));
        return Ok(());
    }
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log.level))?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_ansi(false).init();
    // One thread serves; what waits for a disk or computes has threads of its own.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
    runtime.block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<(), Fault> {
    // Before anything else, so that a stop in the meantime is in order.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (settings, authority) = (config.settings()?, &config.authority);
    let platform = Platform::connect(
        &authority.identity,
        &authority.endpoint,
        config.tenant.clone(),
        authority.reason.clone(),
    )
    .await?;
    let following = tokio::spawn(platform.follow());
    let receiver = Receiver::open(settings, platform)?;
    let server =
        Server::bind(config.listen, config.identity(), config.limits.connections, receiver.clone()).await?;
    receiver.resume().await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %server.address()?, tenant = %config.tenant, "receiving");
    supervisor::tell("READY=1\nSTATUS=receiving");
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no more connections are accepted");
        supervisor::tell("STOPPING=1\nSTATUS=finishing deliveries");
    };
    server.run(stopped).await;
    following.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Libraries that warn of what a peer does to its own connection, as often as it does it.
const QUIET: &str = "h2=error,hyper=error,rustls=error,tonic=error,tower=error";

/// Threads that wait for disks and open batches, each with at most some 16 MiB.
const BLOCKING: usize = 8;

//! `serve`: the bridge itself.

use super::config_file;
use super::failure::Failure;
use super::output::{Look, Out};
use super::signals::Signals;
use crate::app::{self, Listening, SystemClock, SystemEntropy, telemetry};
use crate::config::Config;
use crate::transport::tls::install_crypto_provider;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Examples:
  ips-bridge serve
  ips-bridge serve --config config/example.toml
  IPS_BRIDGE__STORE__URL=sqlite:///var/lib/ips/bridge.db ips-bridge serve

It runs until SIGINT or SIGTERM, then finishes what is in hand. Killing it loses nothing that was accepted.";

/// Run the bridge.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The configuration. Environment variables IPS_BRIDGE__SECTION__KEY are laid over it.
    #[arg(long, short, env = "IPS_BRIDGE_CONFIG", default_value = config_file::DEFAULT, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// Stop when stdin ends too, so that a bridge does not outlive the process that started it.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    install_crypto_provider();
    let mut signals = Signals::new()?;
    let config = config_file::load(&args.config).map_err(|faults| config_file::faulty(&faults))?;
    let telemetry = telemetry::start(&config.telemetry).map_err(|e| Failure::Usage(e.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!(%warning, "the configuration is allowed but probably not meant");
    }
    say_who_may_call(&config, out)?;
    let stop = CancellationToken::new();
    let starting = app::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy), stop.clone());
    let running = tokio::select! {
        // On the heap: it holds every part while they are wired.
        running = Box::pin(starting) => running.map_err(not_started)?,
        () = signals.asked() => return Ok(()),
    };
    out.line(format!("gRPC at {}", running.grpc))?;
    if let Some(metrics) = running.metrics {
        out.line(format!("metrics at http://{metrics}/metrics"))?;
    }
    for Listening { endpoint, address, how } in &running.listeners {
        out.line(format!("{endpoint} may send to {address} ({how})"))?;
    }
    out.line("ready")?;
    let failed = tokio::select! {
        () = signals.asked() => false,
        () = stdin_ended(), if args.until_stdin_ends => false,
        // Nobody asked: a part that the bridge cannot do without has ended, and has logged why.
        () = stop.cancelled() => true,
    };
    out.line("stopping: what is in hand is finished first; once more to stop at once")?;
    tokio::select! {
        () = running.stop() => {}
        () = signals.asked() => tracing::warn!("stopped at once; what was in hand goes on at the next start"),
    }
    telemetry.shutdown().await;
    if failed {
        return Err(Failure::Refused("a part of the bridge ended by itself; the log says which".into()));
    }
    out.line("stopped")
}

fn say_who_may_call(config: &Config, out: &mut Out) -> Result<(), Failure> {
    if !config.server.development_principal {
        return Ok(());
    }
    let loud = out.paint(
        Look::Bad,
        "DEVELOPMENT PRINCIPAL: every caller on this machine may do everything, and nobody is asked who they are.",
    );
    out.line(loud)?;
    out.line("Not for real patients. In earnest: [server.tls] and a [[principal]] for each caller.")
}

/// What supervises us tries again after 1, and not after 2.
fn not_started(e: app::StartError) -> Failure {
    if e.may_pass { Failure::Refused(e.to_string()) } else { Failure::Usage(e.to_string()) }
}

/// Ready when whoever started us is gone.
async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut some = [0; 64];
    while matches!(stdin.read(&mut some).await, Ok(n) if n > 0) {}
}

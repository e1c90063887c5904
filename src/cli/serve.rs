//! `serve`: the bridge itself.

use super::config_file;
use super::failure::Failure;
use super::output::{Look, Out};
use super::signals::Signals;
use crate::app::{self, Ended, Listening, Running, SystemClock, SystemEntropy, telemetry};
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

It runs until SIGINT, SIGTERM or SIGHUP, then finishes what is in hand. Killing it loses nothing that was accepted.
Settings are read at its start only: to have it read them again, stop it and start it.";

/// Run the bridge.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The configuration. Environment variables IPS_BRIDGE__SECTION__KEY are laid over it.
    #[arg(long, short, env = "IPS_BRIDGE_CONFIG", default_value = config_file::DEFAULT, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// The database was put back from a backup: park everything that is still to be sent, as of unknown outcome, then go on. What was
    /// sent since the backup would go a second time otherwise, so somebody looks first. For one start only. Stop every other bridge on it before.
    #[arg(long)]
    restored: bool,
    /// Stop when stdin ends too, so that a bridge does not outlive the process that started it.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    // Whoever reads what is printed may be slow, stuck or gone: what the bridge does, and how it stops, does not hang on that.
    out.stand_back()?;
    let ended = serve(args, out).await;
    out.last_moment();
    ended
}

async fn serve(args: Args, out: &mut Out) -> Result<(), Failure> {
    install_crypto_provider();
    app::raise_open_files();
    let mut signals = Signals::new()?;
    let config = config_file::load(&args.config).map_err(|faults| config_file::faulty(&faults))?;
    let telemetry = telemetry::start(&config.telemetry).map_err(|e| Failure::Usage(e.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!(%warning, "the configuration is allowed but probably not meant");
    }
    say_who_may_call(&config, out)?;
    let stop = CancellationToken::new();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let starting = async {
        // On the heap: it holds every part while they are wired.
        match args.restored {
            true => Box::pin(app::start_restored(config, clock, entropy, stop.clone())).await,
            false => Box::pin(app::start(config, clock, entropy, stop.clone())).await,
        }
    };
    let running = tokio::select! {
        running = starting => running.map_err(not_started)?,
        () = signals.asked() => {
            let half = "it was stopped before everything that is open in the record was parked; start it with --restored again";
            return if args.restored { Err(Failure::Refused(half.into())) } else { Ok(()) };
        }
    };
    out.line(format!("gRPC at {}", running.grpc))?;
    if let Some(metrics) = running.metrics {
        out.line(format!("metrics at http://{metrics}/metrics"))?;
    }
    for Listening { endpoint, address, how } in &running.listeners {
        out.line(format!("{endpoint} may send to {address} ({how})"))?;
    }
    out.line("ready")?;
    let served = until_over(running, &stop, &mut signals, args.until_stdin_ends, out).await;
    telemetry.shutdown().await;
    served?;
    out.line("stopped")
}

/// Until somebody asks for the end, or a part that the bridge cannot do without has ended by itself.
async fn until_over(
    running: Running,
    stop: &CancellationToken,
    signals: &mut Signals,
    until_stdin_ends: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut failed = tokio::select! {
        () = signals.asked() => false,
        () = stdin_ended(), if until_stdin_ends => false,
        // Nobody asked: the part has logged why.
        () = stop.cancelled() => true,
    };
    out.line("stopping: what is in hand is finished first; once more to stop at once")?;
    tokio::select! {
        ended = running.stop() => failed |= ended == Some(Ended::Died),
        () = signals.asked() => tracing::warn!("stopped at once; what was in hand goes on at the next start"),
    }
    let what = "a part of the bridge ended by itself, and the bridge with it; the log says which. What was answered is on disk: start it again";
    if failed { Err(Failure::Refused(what.into())) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ambient::Clock;
    use crate::store::write::ReadAudit;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    /// Tells the time until it is the end of the record's writer to ask for it.
    struct Fatal(AtomicBool);

    impl Clock for Fatal {
        fn now(&self) -> jiff::Timestamp {
            let asks_the_writer = std::thread::current().name() == Some("store-writer");
            assert!(!(asks_the_writer && self.0.load(Ordering::SeqCst)), "the test ends the writer");
            SystemClock.now()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bridge_whose_writer_dies_ends_by_itself_and_with_1() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bridge.toml");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndevelopment_principal = true\n[store]\nurl = \"sqlite://{}\"\n[packs]\nfolder = \"{}/adapters\"\n",
            folder.path().join("record.db").display(),
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::write(&file, text).expect("written");
        let config = Config::load(&file, []).expect("a configuration");
        let (clock, stop) = (Arc::new(Fatal(AtomicBool::new(false))), CancellationToken::new());
        let starting = Box::pin(app::start(config, clock.clone(), Arc::new(SystemEntropy), stop.clone()));
        let running = starting.await.expect("the bridge starts");
        let store = running.store.clone();
        store.audit_reads(ReadAudit(Vec::new())).await.expect("it writes");
        clock.0.store(true, Ordering::SeqCst);
        assert!(store.audit_reads(ReadAudit(Vec::new())).await.is_err(), "nobody writes any more");
        drop(store);
        let (mut signals, mut out) = (Signals::new().expect("signals"), Out::stdout());
        let over = until_over(running, &stop, &mut signals, false, &mut out);
        let over = tokio::time::timeout(Duration::from_secs(20), over).await.expect("nobody asks it to end");
        assert_eq!(over.expect_err("it failed").code(), 1);
    }
}

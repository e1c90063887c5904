//! The bridge as a process of its own.

use super::stage::Stage;
use crate::cli::bridge::{Bridge, Server};
use crate::cli::failure::Failure;
use crate::wire::v1::GetEndpointStatusRequest;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// From starting the process to its first answer.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// How long a bridge that was told to stop may take before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(12);
/// Between two looks at something that changes by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Lines of the bridge's own log shown when it fails.
const LOG_LINES: usize = 15;

/// Killed when dropped.
pub struct BridgeProcess {
    child: Child,
    log: PathBuf,
}

impl BridgeProcess {
    /// Starts it and waits until it answers; says how long that took.
    pub async fn start(stage: &Stage) -> Result<(Self, Bridge, Duration), Failure> {
        let began = Instant::now();
        let mut process = Self::spawn(stage)?;
        loop {
            if let Some(bridge) = answering(&Server::plain(stage.grpc)).await {
                return Ok((process, bridge, began.elapsed()));
            }
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(process.failed(&format!("the bridge ended ({status}) before it was ready")));
            }
            if began.elapsed() > READY_LIMIT {
                return Err(process.failed(&format!("the bridge was not ready within {} s", READY_LIMIT.as_secs())));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn spawn(stage: &Stage) -> Result<Self, Failure> {
        let cannot = |e: std::io::Error| Failure::Refused(format!("cannot start the bridge: {e}"));
        let log = stage.log_file();
        // One file over all restarts: what was said before a kill stays.
        let file = File::options().create(true).append(true).open(&log).map_err(cannot)?;
        let child = Command::new(std::env::current_exe().map_err(cannot)?)
            .args(["serve", "--until-stdin-ends", "--config"])
            .arg(stage.config_file())
            // Its stdin ends with us, however we end.
            .stdin(Stdio::piped())
            .stdout(file.try_clone().map_err(cannot)?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        Ok(Self { child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// SIGKILL: no last words, no flushing, nothing.
    pub async fn kill(mut self) -> Result<ExitStatus, Failure> {
        let killed = async {
            self.child.start_kill()?;
            self.child.wait().await
        };
        killed.await.map_err(|e| Failure::Refused(format!("cannot kill the bridge: {e}")))
    }

    /// Asks it to stop by ending its stdin; kills it when it does not.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            // It is gone already when this fails.
            let _ = self.child.kill().await;
        }
    }

    /// What it said last, under what happened.
    fn failed(&self, what: &str) -> Failure {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last =
            lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).map(|l| format!("\n  | {l}")).collect::<String>();
        Failure::Refused(format!("{what}{last}"))
    }
}

/// Whether a process ended by SIGKILL.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// A connection on which the bridge has answered a call that reads its store.
async fn answering(server: &Server) -> Option<Bridge> {
    let bridge = server.connect().await.ok()?;
    bridge.deliveries().get_endpoint_status(GetEndpointStatusRequest::default()).await.ok()?;
    Some(bridge)
}

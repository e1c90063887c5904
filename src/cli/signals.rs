//! When somebody wants us to stop.

use super::failure::Failure;
use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP (a terminal that is closed). From its making on they no longer end the process by themselves.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: whoever started us said that a closed terminal is nothing to us (`nohup`).
    hang_up: Option<Signal>,
}

impl Signals {
    pub fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|e| Failure::Refused(format!("cannot listen for signals: {e}")));
        let hang_up = SignalKind::hangup();
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: if is_ignored(hang_up) { None } else { Some(listen(hang_up)?) },
        })
    }

    /// Ready at the next of any.
    pub async fn asked(&mut self) {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hung_up => tracing::warn!("SIGHUP stops the bridge as SIGTERM does: settings are read at its start only, so start it again to have it read them"),
        }
    }
}

/// Whether the process was started with this signal ignored. Where the system does not tell, it was not.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

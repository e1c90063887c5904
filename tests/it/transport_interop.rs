//! The byte traces, played by an independent sender. Needs IPS_SHARED; part of `make interop`.

use std::path::PathBuf;

use ips_bridge::transport::mllp::{Answer, ListenerSettings, Received};
use tokio::process::Command;

use crate::transport_support::listen;

/// Acknowledges a message by its MSH-10, and refuses what has none.
async fn acknowledge_by_control_id(received: Received) -> Answer {
    let line = received.bytes.split(|b| *b == b'\r').next().unwrap_or_default();
    let fields: Vec<&[u8]> = line.split(|b| *b == b'|').collect();
    let (code, id) = match fields.get(9) {
        Some(id) if line.starts_with(b"MSH") => ("AA", String::from_utf8_lossy(id)),
        _ => ("AR", "".into()),
    };
    Answer::frame(format!("MSH|^~\\&|||||||ACK|1|P|2.4\rMSA|{code}|{id}\r").into_bytes())
}

#[tokio::test]
async fn the_listener_passes_every_byte_trace() {
    let Some(shared) = std::env::var_os("IPS_SHARED").map(PathBuf::from) else {
        eprintln!("skipped: IPS_SHARED is not set, so there are no byte traces to play");
        return;
    };
    let mut traces: Vec<PathBuf> = std::fs::read_dir(shared.join("corpus/mllp"))
        .expect("IPS_SHARED holds the byte traces")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    traces.sort();
    assert!(traces.len() >= 19, "only {} traces found", traces.len());
    let (address, _stop, _) = listen(ListenerSettings::default(), acknowledge_by_control_id).await;
    let port = address.rsplit(':').next().unwrap();
    let replay = Command::new("python3")
        .arg(shared.join("validators/mllp_replay.py"))
        .args(["--port", port])
        .args(&traces)
        .output()
        .await
        .expect("python3 runs");
    let report = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.success(), "{report}");
    assert!(report.contains(&format!("{} passed, 0 failed", traces.len())), "{report}");
}

//! `--stay`: both keep running; how to talk to them, and what the EPR sees.

use super::scene::Scene;
use super::stage::{ENDPOINT, TRUST};
use crate::adapter::hl7::{Envelope, Reply};
use crate::cli::failure::Failure;
use crate::cli::output::visible;
use crate::cli::signals::Signals;
use crate::simulator::{Direction, Seen};
use tokio::sync::broadcast::error::RecvError;

pub async fn until_told(scene: &mut Scene<'_>, signals: &mut Signals) -> Result<(), Failure> {
    let mut seen = scene.epr.watch();
    let (grpc, inbound) = (scene.stage.grpc, scene.stage.inbound);
    let log = scene.stage.log_file();
    scene.say(format!(
        "
Both keep running until Ctrl-C. No TLS and no login: for this machine only.

  gRPC      {grpc}   (reflection is on; the rules of every field stand in proto/ips/v1)
  MLLP in   {inbound}
  its log   {log}

  {us} status --server http://{grpc}
  {us} outbox list --all --server http://{grpc}
  {us} endpoint pause {ENDPOINT} --because 'to see what happens' --yes --server http://{grpc}

  grpcurl -plaintext -d '{{\"trust_ods\": \"{TRUST}\"}}' {grpc} ips.v1.ReferralService/ListReferrals

  pip install grpcio-tools && python3 -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/ips/v1/*.proto
  python3 -c 'import grpc; from ips.v1 import referral_service_pb2 as m, referral_service_pb2_grpc as s; \\
    print(s.ReferralServiceStub(grpc.insecure_channel(\"{grpc}\")).ListReferrals(m.ListReferralsRequest(trust_ods=\"{TRUST}\")))'

What the pretend EPR sees from now on:",
        us = ourselves(),
        log = log.display()
    ))?;
    loop {
        tokio::select! {
            () = signals.asked() => return Ok(()),
            next = seen.recv() => match next {
                Ok(seen) => scene.say(line(&seen))?,
                Err(RecvError::Lagged(missed)) => scene.say(format!("  ({missed} more)"))?,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// As somebody can type it where this was started.
fn ourselves() -> String {
    let us = std::env::current_exe().unwrap_or_else(|_| "ips-bridge".into());
    let here = std::env::current_dir().ok();
    here.as_deref().and_then(|here| us.strip_prefix(here).ok()).unwrap_or(&us).display().to_string()
}

/// `10:15:30.123 received MDM^T02 DEMO…: AA`
fn line(seen: &Seen) -> String {
    let way = match seen.direction {
        Direction::Received => "received",
        Direction::Sent => "sent",
    };
    let what =
        Envelope::peek(&seen.message).map(|e| format!("{}^{} {}", e.message_code(), e.trigger(), e.control_id()));
    let answers: Vec<String> =
        seen.answers.iter().filter_map(|a| Reply::read(a).ok()).map(|r| r.code.as_str().to_owned()).collect();
    format!(
        "  {} {way} {}: {}",
        seen.at.strftime("%H:%M:%S%.3f"),
        visible(&what.unwrap_or_default()),
        answers.join(" ")
    )
}

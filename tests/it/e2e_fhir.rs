//! A note over FHIR, from the call to a server that others wrote and back. Part of `make interop`.

use crate::e2e_support::{Bridge, Stage, endpoint, nobody, shown};
use crate::support::shared;
use ips_bridge::wire::v1;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The server, and the address it tells.
async fn server() -> (Child, String) {
    let mut server = Command::new("node")
        .arg(shared().join("validators/fhir_receiver.cjs"))
        .args(["--seconds", "200"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node runs");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.expect("it starts");
    (server, line.expect("read").expect("its address"))
}

fn over_https(base: &str, own: &str) -> toml::Table {
    let mut endpoint = endpoint("epr", nobody(), own);
    for key in ["mllp", "settings", "listen"] {
        endpoint.remove(key);
    }
    let https = format!(
        "adapter = \"fhir-uk-core\"\ntransport = \"https\"\n[https]\nbase_url = \"{base}\"\nreply_timeout = \"60s\"\n[settings]\n\
         identifier_system = \"https://ips-bridge.example/Id/document\"\nstaff_system = \"https://ips-bridge.example/Id/staff\"\n\
         outcome_as = \"observation\"\nreferral_system = \"https://epr.example/Id/referral\"\n"
    );
    endpoint.extend(https.parse::<toml::Table>().expect("TOML"));
    endpoint
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interop_a_note_is_filed_replaced_and_withdrawn_on_a_fhir_server() {
    let (mut server, base) = server().await;
    let stage = Stage::sqlite([over_https(&base, "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let text = "Met at the café.\nPlan: £9 an hour & a uniform – \\F\\ stays as it is.";
    let first = client.write(&person, text).await;
    let d = client.filed(first.id()).await;
    assert!(!d.record_id.is_empty() && d.attempts == 1, "{}", shown(&d));
    assert_eq!(d.evidence[0].kind(), v1::EvidenceKind::ApplicationAck);
    let second = client.replace(&first, &person, "Met at the library.").await;
    let replaced = client.filed(second.id()).await;
    assert_ne!(replaced.record_id, d.record_id, "{}", shown(&replaced));
    let withdrawn = client.withdraw(&second).await.expect("there is something to withdraw");
    client.filed(&withdrawn.id).await;
    bridge.stop().await;
    server.kill().await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interop_what_is_filed_by_reading_back_is_received_first_and_filed_once_it_is_found() {
    let (mut server, base) = server().await;
    let own =
        "filed_by = \"read_back\"\nafter_unknown = \"query\"\nmax_unknown_resends = 3\n[ask]\nfirst_after = \"1s\"\n";
    let stage = Stage::sqlite([over_https(&base, own)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let d = client.filed(written.id()).await;
    let kinds: Vec<_> = d.evidence.iter().map(v1::Evidence::kind).collect();
    assert_eq!(kinds, [v1::EvidenceKind::ApplicationAck, v1::EvidenceKind::ReadBack], "{}", shown(&d));
    assert_eq!(d.attempts, 1);
    bridge.stop().await;
    server.kill().await.expect("it ends");
}

//! A bridge whose EPR is behind MESH: what is received, what files, what parks, what is never sent twice and never taken in twice.

use crate::e2e_support::{Bridge, PATIENCE, Stage, TRUST, nhs_number, shown};
use crate::support::mesh_end::{ACKS, Harm, Held, KEY, MeshEnd, OURS, PASSWORD, THEIRS, WORKFLOW};
use crate::support::{TestStore, stores, wait_until};
use ips_bridge::store::Scope;
use ips_bridge::store::read::Page;
use ips_bridge::store::record::{Inbound, InboundState};
use ips_bridge::wire::v1;
use serde_json::json;
use v1::DeliveryState as State;

const ENDPOINT: &str = "mesh";
const POST: &str = "POST /messageexchange/X26ABC1/outbox ";
const LISTED: &str = "GET /messageexchange/X26ABC1/inbox?";

pub fn toml(url: &str, folder: &std::path::Path, own: &str) -> toml::Table {
    let secret = |name: &str, value: &str| {
        let file = folder.join(name);
        std::fs::write(&file, value).expect("written");
        toml::Value::String(file.display().to_string())
    };
    let (password, key) = (secret("password", PASSWORD), secret("key", KEY));
    let text = format!(
        r#"
id = "{ENDPOINT}"
trust = "{TRUST}"
name = "RiO"
adapter = "mesh-fhir"
transport = "mesh"
environment = "test"
filed_by = "application_ack"
acknowledged_by = "record"
control_id_prefix = "MESH"
after_unknown = "query"
max_unknown_resends = 2
max_refused_retries = 2
back_off = {{ first = "20ms", cap = "100ms" }}
probe = {{ first = "20ms", cap = "100ms" }}
{own}
[ask]
first_after = "0s"
again_after = "1s"
not_found_times = 2
not_found_over = "1s"
[mesh]
url = "{url}"
mailbox = "{OURS}"
password = {{ file = {password} }}
shared_key = {{ file = {key} }}
to_mailbox = "{THEIRS}"
workflow = "{WORKFLOW}"
ack_workflow = "{ACKS}"
connect_timeout = "2s"
send_timeout = "2s"
reply_timeout = "5s"
chunk_bytes = 65_536
poll_interval = "100ms"
default_team = "{ENDPOINT}"
[settings]
identifier_system = "https://ips-bridge.example/Id/document"
message_system = "https://ips-bridge.example/Id/message"
staff_system = "https://ips-bridge.example/Id/staff"
referral_system = "https://epr.example/Id/referral"
sender_ods = "A8XX"
message_definition = "https://ips-bridge.example/MessageDefinition/ips-note"
"#
    );
    text.parse().expect("TOML")
}

struct Scene {
    mesh: MeshEnd,
    stage: Stage,
    _secrets: tempfile::TempDir,
}

async fn scene(store: TestStore, own: &str) -> Scene {
    let (mesh, secrets) = (MeshEnd::start().await, crate::support::temp_dir());
    let stage = Stage::on(store, [toml(&mesh.url(), secrets.path(), own)]);
    Scene { mesh, stage, _secrets: secrets }
}

async fn on_sqlite(own: &str) -> Scene {
    scene(stores().next().expect("SQLite"), own).await
}

/// A message that answers one of ours.
pub fn ack(answers: &str, response: &str, code: &str) -> String {
    json!({ "resourceType": "Bundle", "type": "message", "identifier": { "system": "urn:x", "value": "a" }, "entry": [
        { "resource": { "resourceType": "MessageHeader", "response": { "identifier": answers, "code": response } } },
        { "resource": { "resourceType": "OperationOutcome", "issue": [
            { "severity": "information", "code": "informational", "details": { "coding": [{ "code": code }] } }
        ] } }
    ] })
    .to_string()
}

impl Scene {
    /// The one message in the other mailbox.
    async fn sent(&self) -> Held {
        wait_until(PATIENCE, "a message lies there", async || !self.mesh.visible(THEIRS).is_empty()).await;
        self.mesh.visible(THEIRS).remove(0)
    }

    /// Waits until MESH was told that this message is safe.
    async fn taken(&self, id: &str) {
        let done = |m: &Held| m.id == id && m.status == "acknowledged";
        wait_until(PATIENCE, "it is acknowledged to MESH", async || self.mesh.held().iter().any(done)).await;
    }

    /// Waits until the mailbox was looked into twice more: what lay there has been dealt with.
    async fn two_rounds(&self) {
        let before = self.mesh.count(LISTED);
        wait_until(PATIENCE, "two more looks", async || self.mesh.count(LISTED) > before + 2).await;
    }
}

async fn inbound(bridge: &Bridge) -> Vec<Inbound> {
    let page = Page { size: 100, after: None };
    bridge.store().inbound_messages(&Scope::system(), None, page).await.expect("readable")
}

#[tokio::test]
async fn a_note_is_received_on_meshs_word_and_filed_by_the_business_acknowledgement() {
    for store in stores() {
        let scene = scene(store, "").await;
        let bridge = Bridge::start(&scene.stage).await;
        let person = bridge.client.person(1, ENDPOINT).await;
        let note = bridge.client.write(&person, "Cyfarfu â Sam – £20 • ŵ").await;
        let received = bridge.client.until_state(note.id(), State::Accepted).await;
        assert!(received.author_sentence.starts_with("Received by the trust"), "{}", shown(&received));
        let sent = scene.sent().await;
        assert!(sent.local_id.starts_with("MESH") && sent.workflow == WORKFLOW);
        // The infrastructure's word, and MESH's that it was collected, file nothing.
        scene.mesh.set_status(&sent.id, "acknowledged");
        let infrastructure = scene.mesh.put_data(ACKS, ack(&sent.local_id, "ok", "20013"));
        scene.taken(&infrastructure).await;
        assert_eq!(bridge.client.delivery(note.id()).await.state(), State::Accepted);
        let business = scene.mesh.put_data(ACKS, ack(&sent.local_id, "ok", "30001"));
        let filed = bridge.client.filed(note.id()).await;
        let kinds: Vec<_> = filed.evidence.iter().map(v1::Evidence::kind).collect();
        assert_eq!(kinds, [v1::EvidenceKind::TransportAck, v1::EvidenceKind::ApplicationAck], "{}", shown(&filed));
        scene.taken(&business).await;
        assert_eq!((filed.attempts, scene.mesh.count(POST)), (1, 1));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn an_engine_behind_the_mailbox_files_nothing() {
    let mut scene = on_sqlite("").await;
    scene.stage.change(ENDPOINT, "filed_by = \"reconciled\"\nacknowledged_by = \"engine\"");
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let sent = scene.sent().await;
    let business = scene.mesh.put_data(ACKS, ack(&sent.local_id, "ok", "30001"));
    scene.taken(&business).await;
    assert_eq!(bridge.client.until_state(note.id(), State::Accepted).await.evidence.len(), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_from_elsewhere_or_of_something_else_is_kept_and_files_nothing() {
    let scene = on_sqlite("").await;
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let sent = scene.sent().await;
    let from = |from: &str, workflow: &str, answers: &str| Held {
        from: from.into(),
        to: OURS.into(),
        workflow: workflow.into(),
        chunks: vec![ack(answers, "ok", "30001").into_bytes()],
        ..Held::default()
    };
    let strangers = [
        from("X26ABC3", ACKS, &sent.local_id),
        from(THEIRS, WORKFLOW, &sent.local_id),
        from(THEIRS, ACKS, "MESH0000000000000000"),
        from(THEIRS, ACKS, ""),
        from(THEIRS, ACKS, &sent.local_id.to_lowercase()),
    ];
    for stranger in strangers {
        let id = scene.mesh.put(stranger);
        scene.taken(&id).await;
    }
    let still = bridge.client.delivery(note.id()).await;
    assert_eq!((still.state(), still.evidence.len()), (State::Accepted, 1), "{}", shown(&still));
    scene.mesh.put_data(ACKS, ack(&sent.local_id, "ok", "30001"));
    bridge.client.filed(note.id()).await;
    assert!(inbound(&bridge).await.is_empty(), "an acknowledgement is no inbound message");
    bridge.stop().await;
}

#[tokio::test]
async fn a_negative_business_acknowledgement_parks_and_nothing_goes_again() {
    let scene = on_sqlite("").await;
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let sent = scene.sent().await;
    scene.mesh.put_data(ACKS, ack(&sent.local_id, "fatal-error", "30002"));
    let parked = bridge.client.parked(note.id(), v1::ParkReason::Refused).await;
    assert!(parked.timeline.iter().any(|s| s.what.contains("ack fatal-error 30002")), "{}", shown(&parked));
    scene.two_rounds().await;
    assert_eq!(scene.mesh.count(POST), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn a_report_of_non_delivery_parks_with_meshs_code_and_nothing_goes_again_by_itself() {
    for store in stores() {
        let scene = scene(store, "").await;
        let bridge = Bridge::start(&scene.stage).await;
        let person = bridge.client.person(1, ENDPOINT).await;
        let note = bridge.client.write(&person, "First.").await;
        bridge.client.until_state(note.id(), State::Accepted).await;
        let sent = scene.sent().await;
        // About somebody else's message, and one that contradicts itself: nothing of ours moves.
        for (about, name) in [("20990101000000000000_000000", "OTHER"), (sent.id.as_str(), "MESH0000000000000000")] {
            let id = scene.mesh.put_report(about, name, "14");
            scene.taken(&id).await;
        }
        assert_eq!(bridge.client.delivery(note.id()).await.state(), State::Accepted);
        scene.mesh.set_status(&sent.id, "undeliverable");
        let report = scene.mesh.put_report(&sent.id, "", "14");
        let parked = bridge.client.parked(note.id(), v1::ParkReason::Refused).await;
        let said = "MESH report 14: not delivered, not collected in time";
        assert!(parked.timeline.iter().any(|s| s.what.contains(said)), "{}", shown(&parked));
        scene.taken(&report).await;
        scene.two_rounds().await;
        assert_eq!(scene.mesh.count(POST), 1, "never silently");
        // It was given up by MESH, so nobody can have it: a person sends it again without further ado.
        let again = v1::RetryDeliveriesRequest {
            request_id: crate::e2e_support::request_id(),
            selection: Some(v1::DeliverySelection { delivery_ids: vec![note.id().to_owned()], ..Default::default() }),
            reason: "the mailbox is read again".into(),
            ..Default::default()
        };
        bridge.client.deliveries().retry_deliveries(again).await.expect("a person's decision");
        bridge.client.until_state(note.id(), State::Accepted).await;
        assert_eq!(scene.mesh.count(POST), 2);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn when_the_202_is_lost_mesh_is_asked_and_the_message_is_there_once() {
    for store in stores() {
        let scene = scene(store, "").await;
        scene.mesh.harm(POST, Harm::LoseAnswer, 1);
        let bridge = Bridge::start(&scene.stage).await;
        let person = bridge.client.person(1, ENDPOINT).await;
        let note = bridge.client.write(&person, "First.").await;
        let received = bridge.client.until_state(note.id(), State::Accepted).await;
        assert_eq!(received.attempts, 1, "{}", shown(&received));
        let sent = scene.sent().await;
        assert_eq!((scene.mesh.visible(THEIRS).len(), scene.mesh.count(POST)), (1, 1));
        assert_eq!(scene.mesh.count(&format!("/outbox/tracking/{}", sent.local_id)), 1);
        scene.mesh.put_data(ACKS, ack(&sent.local_id, "ok", "30001"));
        bridge.client.filed(note.id()).await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn what_mesh_does_not_have_goes_again_byte_for_byte_once_it_has_said_so_often_enough() {
    let scene = on_sqlite("").await;
    scene.mesh.harm(POST, Harm::Drop, 1);
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let received = bridge.client.until_state(note.id(), State::Accepted).await;
    assert_eq!((received.attempts, scene.mesh.visible(THEIRS).len()), (2, 1), "{}", shown(&received));
    assert!(scene.mesh.count("/outbox/tracking/") >= 2);
    let attempts = bridge.client.attempts(note.id()).await;
    assert_eq!(
        (&attempts[0].control_id, &attempts[1].sent),
        (&attempts[1].control_id, &None),
        "the same bytes, told once"
    );
    bridge.stop().await;
}

#[tokio::test]
async fn what_mesh_took_is_asked_about_by_itself_and_parked_when_it_was_given_up() {
    for store in stores() {
        let mut scene = scene(store, "").await;
        scene.stage.change(ENDPOINT, "mesh = { track_after = \"1s\" }");
        let bridge = Bridge::start(&scene.stage).await;
        let person = bridge.client.person(1, ENDPOINT).await;
        let note = bridge.client.write(&person, "First.").await;
        bridge.client.until_state(note.id(), State::Accepted).await;
        let sent = scene.sent().await;
        scene.mesh.set_status(&sent.id, "undeliverable");
        // No report comes, and nobody asks for it.
        let parked = bridge.client.parked(note.id(), v1::ParkReason::Refused).await;
        assert!(parked.timeline.iter().any(|s| s.what.contains("MESH says undeliverable")), "{}", shown(&parked));
        assert_eq!((scene.mesh.count(POST), parked.attempts), (1, 1));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn what_mesh_had_and_gave_up_is_parked_when_it_is_asked() {
    let scene = on_sqlite("").await;
    scene.mesh.harm(POST, Harm::LoseAnswer, 1);
    // Until its status is set.
    scene.mesh.harm("/outbox/tracking/", Harm::Answer(503, ""), usize::MAX);
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let sent = scene.sent().await;
    scene.mesh.set_status(&sent.id, "undeliverable");
    scene.mesh.mend();
    let parked = bridge.client.parked(note.id(), v1::ParkReason::Refused).await;
    assert!(parked.timeline.iter().any(|s| s.what.contains("MESH says undeliverable")), "{}", shown(&parked));
    assert_eq!(scene.mesh.count(POST), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn a_long_note_that_broke_off_was_seen_by_nobody_so_it_goes_again_and_is_there_once_and_whole() {
    let scene = on_sqlite("").await;
    scene.mesh.harm("/2 HTTP", Harm::Drop, 3);
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let text = "– Cynllun: £9 yr awr & gwisg •ŵŷ€–•\n".repeat(2_600);
    let note = bridge.client.write(&person, &text).await;
    let received = bridge.client.until_state(note.id(), State::Accepted).await;
    assert_eq!(received.attempts, 2, "{}", shown(&received));
    assert!(received.timeline.iter().any(|s| s.what.contains("MESH: broke off")), "{}", shown(&received));
    let there = scene.mesh.visible(THEIRS);
    assert_eq!((there.len(), there[0].total > 2), (1, true));
    let body: serde_json::Value = serde_json::from_slice(&there[0].chunks.concat()).expect("whole");
    let data = body["entry"][1]["resource"]["content"][0]["attachment"]["data"].as_str().expect("the document");
    let document = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data).expect("base64");
    assert!(String::from_utf8(document).expect("UTF-8").ends_with(&text));
    bridge.stop().await;
}

#[tokio::test]
async fn a_mailbox_that_does_not_let_us_in_queues_and_counts_nothing() {
    let scene = on_sqlite("").await;
    scene.mesh.harm(
        "/messageexchange/",
        Harm::Answer(403, r#"{"message":"Invalid Authentication Token"}"#),
        usize::MAX,
    );
    let bridge = Bridge::start(&scene.stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let client = &bridge.client;
    wait_until(PATIENCE, "the endpoint is known to be shut", async || {
        client.endpoint(ENDPOINT).await.gate() != v1::EndpointGate::Open
    })
    .await;
    let waiting = client.delivery(note.id()).await;
    // Taken up again and again to knock at the door; nothing leaves before it opens.
    assert!(matches!(waiting.state(), State::Queued | State::Sending), "{}", shown(&waiting));
    assert_eq!((waiting.attempts, scene.mesh.count(POST)), (0, 0));
    scene.mesh.mend();
    client.until_state(note.id(), State::Accepted).await;
    bridge.stop().await;
}

/// A referral as the other side would send it.
fn referral(nth: usize) -> String {
    let text = include_str!("../../adapters/fhir-uk-core/examples/parse-service-request-small/message.json");
    assert!(text.contains("9990000018"), "the example's patient");
    text.replace("9990000018", &nhs_number(nth))
}

#[tokio::test]
async fn a_crash_between_keeping_and_acknowledging_takes_nothing_in_twice() {
    for store in stores() {
        let scene = scene(store, "").await;
        let bridge = Bridge::start(&scene.stage).await;
        let person = bridge.client.person(1, ENDPOINT).await;
        let (one, two) = (bridge.client.write(&person, "First.").await, bridge.client.write(&person, "Second.").await);
        for note in [&one, &two] {
            bridge.client.until_state(note.id(), State::Accepted).await;
        }
        let sent = scene.mesh.visible(THEIRS);
        // Everything is kept, and MESH never hears of it.
        scene.mesh.harm("/status/acknowledged", Harm::Drop, usize::MAX);
        scene.mesh.put_data(ACKS, ack(&sent[0].local_id, "ok", "30001"));
        scene.mesh.put_report(&sent[1].id, &sent[1].local_id, "14");
        scene.mesh.put_data(WORKFLOW, referral(7));
        scene.mesh.put_data(WORKFLOW, "no FHIR");
        let filed = bridge.client.filed(one.id()).await;
        let parked = bridge.client.parked(two.id(), v1::ParkReason::Refused).await;
        wait_until(PATIENCE, "two are kept", async || inbound(&bridge).await.len() == 2).await;
        scene.two_rounds().await;
        bridge.stop().await;
        let bridge = Bridge::start(&scene.stage).await;
        scene.two_rounds().await;
        scene.mesh.mend();
        wait_until(PATIENCE, "the mailbox is empty", async || scene.mesh.visible(OURS).is_empty()).await;
        let now = (bridge.client.delivery(one.id()).await, bridge.client.delivery(two.id()).await);
        assert_eq!((now.0.version, now.1.version), (filed.version, parked.version), "{}", shown(&now.0));
        let kept = inbound(&bridge).await;
        let mut states: Vec<_> = kept.iter().map(|i| i.state).collect();
        states.sort_by_key(|s| *s as u8);
        assert_eq!(
            states,
            [InboundState::Applied, InboundState::Parked],
            "{:?}",
            kept.iter().map(|i| &i.reason).collect::<Vec<_>>()
        );
        assert!(kept.iter().all(|i| !i.bytes.0.is_empty()), "raw");
        let replies: usize = bridge.client.attempts(one.id()).await.iter().map(|a| a.replies.len()).sum();
        assert_eq!(replies, 2, "the receipt and the acknowledgement, each once");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_shown_and_holds_up_nothing() {
    let scene = on_sqlite("").await;
    let bad = scene.mesh.put_data(WORKFLOW, b"\xff\xfe no JSON".to_vec());
    let broken = scene.mesh.put(Held {
        from: THEIRS.into(),
        to: OURS.into(),
        workflow: WORKFLOW.into(),
        chunks: vec![b"no gzip".to_vec()],
        encoding: "gzip".into(),
        ..Held::default()
    });
    let large = scene.mesh.put_data(WORKFLOW, vec![b' '; 5 * 1024 * 1024]);
    let unknown = scene.mesh.put_data(WORKFLOW, r#"{"resourceType":"Appointment"}"#);
    let good = scene.mesh.put_data(WORKFLOW, referral(8));
    let strange = scene.mesh.put(Held {
        from: "X26ABC3".into(),
        to: OURS.into(),
        workflow: WORKFLOW.into(),
        chunks: vec![referral(9).into_bytes()],
        ..Held::default()
    });
    let bridge = Bridge::start(&scene.stage).await;
    for id in [&bad, &broken, &unknown, &good, &strange] {
        scene.taken(id).await;
    }
    scene.two_rounds().await;
    let kept = inbound(&bridge).await;
    let of = |id: &str| kept.iter().find(|i| i.control_id == id).unwrap_or_else(|| panic!("{id} is not kept"));
    assert_eq!(kept.len(), 6);
    for id in [&bad, &broken, &unknown, &large, &strange] {
        assert!(of(id).state == InboundState::Parked && !of(id).reason.is_empty(), "{id}");
    }
    assert_eq!((of(&broken).bytes.0.as_slice(), of(&good).state), (&b"no gzip"[..], InboundState::Applied));
    // What is not kept is not acknowledged either.
    assert!(scene.mesh.visible(OURS).iter().any(|m| m.id == large));
    assert_eq!(scene.mesh.count(&format!("/inbox/{large} ")), 1, "and it is not fetched again and again");
    bridge.stop().await;
}

#[tokio::test]
async fn a_pack_that_makes_no_messages_is_refused_at_start() {
    let mut scene = on_sqlite("").await;
    scene.stage.change(ENDPOINT, "adapter = \"fhir-uk-core\"");
    let said = scene.stage.does_not_start().await;
    assert!(said.contains("MESH carries messages"), "{said}");
}

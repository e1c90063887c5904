//! MESH against NHS England's own sandbox, its own client at the other mailbox.

use crate::e2e_support::{Bridge, PATIENCE, Stage, shown};
use crate::mesh_flow::{ack, toml};
use crate::support::mesh_end::settings;
use crate::support::{MeshSandbox, fhir_judges, stores, temp_dir, wait_until};
use ips_bridge::app::SystemClock;
use ips_bridge::domain::ambient::Clock;
use ips_bridge::transport::http_message::Reply;
use ips_bridge::transport::mesh::{Client, Fetched, Keys, MeshSettings, Receipt};
use ips_bridge::transport::{NotSent, Sent};
use ips_bridge::wire::v1;
use std::sync::Arc;
use v1::DeliveryState as State;

/// What the other mailbox does, with the client that NHS England publishes.
const THEIRS: &str = r#"
import sys, json, warnings
warnings.filterwarnings('ignore')
from mesh_client import MeshClient
url, what, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
with MeshClient(url, 'X26ABC2', 'password', shared_key=b'TestKey', max_retries=0) as them:
    them.handshake()
    if what == 'fetch':
        for mid in list(them.list_messages()):
            m = them.retrieve_message(mid)
            body = m.read()
            print(json.dumps({'id': mid, 'local_id': m.local_id, 'workflow': m.workflow_id, 'sender': m.sender,
                'subject': m.subject, 'type': m.mex_header('Content-Type', ''), 'body': body.decode()}))
            m.acknowledge()
    elif what == 'send':
        print(them.send_message('X26ABC1', rest[1].encode(), workflow_id=rest[0], content_type='application/fhir+json',
            compress=len(rest) > 2))
"#;

fn client(url: &str, change: impl FnOnce(&mut MeshSettings)) -> Client {
    let count = std::sync::atomic::AtomicU64::new(1);
    let ambient = ips_bridge::transport::https::Ambient {
        now: Arc::new(|| SystemClock.now()),
        random: Arc::new(move |bytes| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_le_bytes();
            bytes.iter_mut().enumerate().for_each(|(i, b)| *b = n[i % 8]);
        }),
    };
    let mut settings = settings(url, ambient);
    change(&mut settings);
    Client::new(settings)
}

async fn send(client: &Client, bytes: &[u8], id: &str) -> Sent {
    match client.open().await {
        Ok(mut way) => way.send(bytes, id).await.sent,
        Err(why) => Sent::NotSent(why),
    }
}

fn message(body: &str) -> Vec<u8> {
    format!("POST $process-message\nContent-Type: application/fhir+json\nMex-Subject: IPS note\n\n{body}").into_bytes()
}

fn taken(sent: &Sent) -> String {
    let Sent::Reply(bytes) = sent else { panic!("no reply: {sent:?}") };
    Receipt::decode(bytes).and_then(|r| r.message_id).unwrap_or_else(|| panic!("not taken: {sent:?}"))
}

#[tokio::test]
async fn interop_the_sandbox_takes_tracks_hands_over_and_refuses_as_our_client_expects() {
    let sandbox = MeshSandbox::start().await;
    let ours = client(&sandbox.url, |_| {});
    let id = taken(&send(&ours, &message("{\"resourceType\":\"Bundle\",\"x\":\"\u{175}\"}"), "RZ9A").await);
    let got: serde_json::Value =
        serde_json::from_str(&sandbox.python(THEIRS, &["fetch"])).expect("one message, one line");
    assert_eq!(
        [&got["id"], &got["local_id"], &got["workflow"], &got["sender"], &got["subject"]].map(|v| v.as_str()),
        [Some(id.as_str()), Some("RZ9A"), Some("TEST_WORKFLOW"), Some("X26ABC1"), Some("IPS note")]
    );
    assert_eq!(got["body"], "{\"resourceType\":\"Bundle\",\"x\":\"\u{175}\"}");
    assert_eq!(ours.our_name(&id).await, Ok(Some("RZ9A".to_owned())));

    // In chunks: whole, and one.
    let in_chunks = client(&sandbox.url, |s| s.chunk_bytes = 100);
    let long = "{\"resourceType\":\"Bundle\"}".repeat(40);
    taken(&send(&in_chunks, &message(&long), "RZ9B").await);
    let got: serde_json::Value = serde_json::from_str(&sandbox.python(THEIRS, &["fetch"])).expect("one message");
    assert_eq!((got["body"].as_str(), got["local_id"].as_str()), (Some(long.as_str()), Some("RZ9B")));

    // The question that is asked after silence.
    let ask = |name: &str| format!("GET outbox/tracking/{name}\nAccept: application/json\n\n").into_bytes();
    let Sent::Reply(reply) = send(&ours, &ask("RZ9B"), "x").await else { panic!("a reply") };
    let reply = Reply::parse(&reply).expect("a reply");
    let tracked: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((reply.status, tracked["status"].as_str()), (200, Some("Acknowledged")));
    assert_eq!(tracked["localId"], "RZ9B");
    let Sent::Reply(reply) = send(&ours, &ask("RZ9Z"), "x").await else { panic!("a reply") };
    assert_eq!(Reply::parse(&reply).expect("a reply").status, 404);

    // The way back, packed and plain, a report, and gone once acknowledged.
    let mut sent = Vec::new();
    for more in [&["send", "TEST_WORKFLOW_ACK", "{\"a\":1}"][..], &["send", "TEST_WORKFLOW_ACK", "{\"a\":1}", "packed"]]
    {
        sent.push(sandbox.python(THEIRS, more).trim().to_owned());
    }
    assert_eq!(ours.list().await.expect("listed"), sent);
    for id in &sent {
        let Ok(Fetched::Message(m)) = ours.fetch(id).await else { panic!("a message") };
        assert_eq!((m.body.as_slice(), m.mex("workflowid")), (&b"{\"a\":1}"[..], "TEST_WORKFLOW_ACK"));
        ours.acknowledge(id).await.expect("acknowledged");
    }
    assert_eq!(ours.list().await, Ok(Vec::new()));

    let nobody = client(&sandbox.url, |s| s.to_mailbox = "NOSUCH".into());
    let Sent::Reply(refused) = send(&nobody, &message("{}"), "RZ9C").await else { panic!("a reply") };
    let refused = Receipt::decode(&refused).expect("a receipt");
    assert_eq!((refused.status, refused.message_id), (417, None));
    for keys in [("wrong", "TestKey"), ("password", "wrong")] {
        let stranger = client(&sandbox.url, |s| {
            s.keys = Keys { password: keys.0.into(), shared_key: keys.1.into() };
        });
        let refused = send(&stranger, &message("{}"), "RZ9D").await;
        assert!(matches!(refused, Sent::NotSent(NotSent::Mailbox { .. })), "{refused:?}");
    }
}

/// Gives our mailbox a report of MESH about a message, as MESH itself does after five days.
const REPORT: &str = r#"
import sys, json, urllib.request
url, about, name = sys.argv[1:4]
body = {'mailbox_id': 'X26ABC1', 'code': '14', 'description': 'Message not collected by recipient after 5 days',
    'workflow_id': 'TEST_WORKFLOW', 'subject': 'x', 'local_id': name, 'file_name': 'x', 'linked_message_id': about,
    'status': 'undeliverable'}
request = urllib.request.Request(url + '/messageexchange/admin/report', json.dumps(body).encode(),
    {'Content-Type': 'application/json'}, method='POST')
print(urllib.request.urlopen(request).status)
"#;

/// What lies in the other mailbox, fetched and acknowledged there.
async fn fetched(sandbox: &MeshSandbox) -> Vec<serde_json::Value> {
    sandbox.python(THEIRS, &["fetch"]).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interop_a_note_goes_over_the_sandbox_and_is_filed_replaced_withdrawn_and_reported() {
    let (sandbox, secrets) = (MeshSandbox::start().await, temp_dir());
    let stage = Stage::on(
        stores().next().expect("SQLite"),
        [toml(&sandbox.url, secrets.path(), "require_mapped_staff = false")],
    );
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(1, "mesh").await;
    // Long enough for several chunks.
    let text = "Cyfarfu â Sam – £20 • ŵ & \\F\\ stays.\n".repeat(2_000);
    let first = client.write(&person, &text).await;
    client.until_state(first.id(), State::Accepted).await;
    let got = fetched(&sandbox).await;
    let (message, name) = (&got[0]["body"], got[0]["local_id"].as_str().expect("our name"));
    let message = message.as_str().expect("a body");
    assert_eq!((got.len(), got[0]["workflow"].as_str(), message.len() > 65_536), (1, Some("TEST_WORKFLOW"), true));
    fhir_judges(&[message.as_bytes().to_vec()]).expect("every judge takes it");
    let bundle: serde_json::Value = serde_json::from_str(message).expect("JSON");
    let data = bundle["entry"][1]["resource"]["content"][0]["attachment"]["data"].as_str().expect("the document");
    let document = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data).expect("base64");
    assert!(String::from_utf8(document).expect("UTF-8").ends_with(&text));
    // Collected by the other side, and that files nothing.
    assert_eq!(client.delivery(first.id()).await.state(), State::Accepted);
    // It answers by the ids in the message itself.
    let answers = bundle["entry"][0]["resource"]["id"].as_str().expect("an id");
    assert_eq!((answers, bundle["identifier"]["value"].as_str()), (name, Some(name)));
    sandbox.python(THEIRS, &["send", "TEST_WORKFLOW_ACK", &ack(answers, "ok", "20013")]);
    sandbox.python(THEIRS, &["send", "TEST_WORKFLOW_ACK", &ack(answers, "ok", "30001"), "packed"]);
    let filed = client.filed(first.id()).await;
    assert_eq!(filed.evidence.last().map(v1::Evidence::kind), Some(v1::EvidenceKind::ApplicationAck));

    let second = client.replace(&first, &person, "Met at the library.").await;
    client.until_state(second.id(), State::Accepted).await;
    let got = fetched(&sandbox).await;
    let replaced: serde_json::Value = serde_json::from_str(got[0]["body"].as_str().expect("a body")).expect("JSON");
    let target = &replaced["entry"][1]["resource"]["relatesTo"][0]["target"]["identifier"]["value"];
    assert_eq!(target, &bundle["entry"][1]["resource"]["identifier"][0]["value"]);
    sandbox.python(
        THEIRS,
        &["send", "TEST_WORKFLOW_ACK", &ack(got[0]["local_id"].as_str().expect("a name"), "ok", "30001")],
    );
    client.filed(second.id()).await;
    let withdrawn = client.withdraw(&second).await.expect("there is something to withdraw");
    client.until_state(&withdrawn.id, State::Accepted).await;
    let got = fetched(&sandbox).await;
    let gone: serde_json::Value = serde_json::from_str(got[0]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(gone["entry"][1]["resource"]["status"], "entered-in-error");
    fhir_judges(&[replaced.to_string().into_bytes(), gone.to_string().into_bytes()]).expect("every judge takes them");
    sandbox.python(
        THEIRS,
        &["send", "TEST_WORKFLOW_ACK", &ack(got[0]["local_id"].as_str().expect("a name"), "ok", "30001")],
    );
    client.filed(&withdrawn.id).await;

    // Never collected: MESH's own report parks it, with its code.
    let third = client.write(&person, "Rang a garden centre.").await;
    client.until_state(third.id(), State::Accepted).await;
    let attempts = client.attempts(third.id()).await;
    let codes = &attempts[0].replies[0].codes;
    let id = codes.rsplit(' ').next().expect("MESH's id stands last");
    sandbox.python(REPORT, &[id, &attempts[0].control_id]);
    let parked = client.parked(third.id(), v1::ParkReason::Refused).await;
    assert!(parked.timeline.iter().any(|s| s.what.contains("MESH report 14")), "{}", shown(&parked));
    let ours = self::client(&sandbox.url, |_| {});
    wait_until(PATIENCE, "the mailbox is empty", async || ours.list().await == Ok(Vec::new())).await;
    bridge.stop().await;
}

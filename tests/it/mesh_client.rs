//! Our mailbox against a pretend MESH that does harm: what left, what was seen, what is never sent twice.

use crate::support::mesh_end::{self, Harm, Held, MeshEnd, OURS, THEIRS, settings};
use crate::support::web_end::ambient;
use ips_bridge::transport::mesh::{Client, Fetched, MeshSettings, Receipt};
use ips_bridge::transport::{NotSent, Sent};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "RZ9ABCDEFGHJKMNPQRST";

async fn with(change: impl FnOnce(&mut MeshSettings)) -> (MeshEnd, Client) {
    let mesh = MeshEnd::start().await;
    let mut settings = settings(&mesh.url(), ambient(Arc::default()));
    change(&mut settings);
    (mesh, Client::new(settings))
}

fn message(body: &str) -> Vec<u8> {
    format!("POST $process-message\nContent-Type: application/fhir+json\nMex-Subject: IPS note\n\n{body}").into_bytes()
}

async fn send(client: &Client, bytes: &[u8]) -> Sent {
    let all = async {
        match client.open().await {
            Ok(mut way) => way.send(bytes, ID).await.sent,
            Err(why) => Sent::NotSent(why),
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("a send ends")
}

fn receipt(sent: &Sent) -> Receipt {
    match sent {
        Sent::Reply(bytes) => Receipt::decode(bytes).expect("a receipt"),
        other => panic!("no receipt: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_lies_in_the_other_mailbox_under_our_name_and_once() {
    let (mesh, client) = with(|_| {}).await;
    let sent = send(&client, &message("{\"resourceType\":\"Bundle\"}")).await;
    let there = mesh.visible(THEIRS);
    assert_eq!(receipt(&sent).message_id.as_deref(), Some(there[0].id.as_str()));
    assert_eq!((there.len(), there[0].local_id.as_str()), (1, ID));
    assert_eq!(there[0].chunks.concat(), b"{\"resourceType\":\"Bundle\"}");
    send(&client, &message("{}")).await;
    assert_eq!(mesh.count("POST /messageexchange/X26ABC1 "), 1, "one handshake is enough for a while");
}

#[tokio::test]
async fn when_the_answer_to_the_only_post_is_lost_nobody_knows_and_nothing_goes_again() {
    let (mesh, client) = with(|_| {}).await;
    mesh.harm("POST /messageexchange/X26ABC1/outbox ", Harm::LoseAnswer, 1);
    assert!(matches!(send(&client, &message("{}")).await, Sent::Unsure(_)));
    assert_eq!((mesh.count("/outbox "), mesh.visible(THEIRS).len()), (1, 1));
}

#[tokio::test]
async fn every_status_is_kept_as_mesh_said_it() {
    let (mesh, client) = with(|s| s.to_mailbox = "NOBODY".into()).await;
    let refused = receipt(&send(&client, &message("{}")).await);
    assert_eq!((refused.status, refused.message_id, refused.unfinished), (417, None, false));
    assert!(String::from_utf8_lossy(&refused.body).contains("\"12\""));
    mesh.harm("/outbox ", Harm::Answer(503, "busy"), 1);
    assert_eq!(receipt(&send(&client, &message("{}")).await).status, 503);
    assert_eq!(mesh.count("/outbox "), 2, "no status makes a first POST go again");
}

#[tokio::test]
async fn wrong_credentials_are_no_attempt() {
    let (mesh, client) = with(|s| s.keys.password = "wrong".into()).await;
    let refused = send(&client, &message("{}")).await;
    assert!(matches!(&refused, Sent::NotSent(NotSent::Mailbox { .. })), "{refused:?}");
    let shown = format!("{refused:?}{client:?}");
    assert!(!shown.contains("wrong") && !shown.contains("TestKey"), "{shown}");
    assert_eq!(mesh.count("/outbox"), 0);
}

#[tokio::test]
async fn a_handshake_without_an_answer_is_no_attempt_and_ends_in_time() {
    let (mesh, client) = with(|s| s.connect_timeout = Duration::from_millis(200)).await;
    mesh.harm("POST /messageexchange/X26ABC1 ", Harm::Hang, 1);
    let silent = send(&client, &message("{}")).await;
    assert!(matches!(&silent, Sent::NotSent(NotSent::Mailbox { .. })), "{silent:?}");
    assert!(receipt(&send(&client, &message("{}")).await).message_id.is_some());
    assert_eq!(mesh.count("/outbox "), 1);
}

#[tokio::test]
async fn a_mailbox_that_is_shut_out_later_greets_again_and_nothing_is_lost() {
    let (mesh, client) = with(|_| {}).await;
    mesh.harm("/outbox ", Harm::Answer(403, r#"{"message":"Invalid Authentication Token"}"#), 1);
    assert!(matches!(send(&client, &message("{}")).await, Sent::NotSent(NotSent::Mailbox { .. })));
    assert!(receipt(&send(&client, &message("{}")).await).message_id.is_some());
    assert_eq!((mesh.count("POST /messageexchange/X26ABC1 "), mesh.visible(THEIRS).len()), (2, 1));
}

#[tokio::test]
async fn a_workflow_that_is_not_registered_is_the_messages_trouble() {
    let (_mesh, client) = with(|s| s.workflow = "OTHER".into()).await;
    let refused = receipt(&send(&client, &message("{}")).await);
    assert_eq!((refused.status, refused.message_id), (403, None), "a code stands beside it: not our credentials");
}

const LONG: &str = "0123456789abcdefghijklmno";

fn in_tens(s: &mut MeshSettings) {
    s.chunk_bytes = 10;
}

#[tokio::test]
async fn a_long_message_goes_in_chunks_and_is_whole() {
    let (mesh, client) = with(in_tens).await;
    let sent = receipt(&send(&client, &message(LONG)).await);
    let there = mesh.visible(THEIRS);
    assert_eq!((there.len(), there[0].total, there[0].chunks.concat()), (1, 3, LONG.as_bytes().to_vec()));
    assert_eq!((sent.status, sent.message_id.as_deref()), (202, Some(there[0].id.as_str())));
}

#[tokio::test]
async fn a_chunk_that_fails_goes_again_and_the_message_is_there_once() {
    for harm in [Harm::Drop, Harm::LoseAnswer, Harm::Answer(503, ""), Harm::Answer(429, "")] {
        let (mesh, client) = with(in_tens).await;
        mesh.harm("/2 ", harm.clone(), 1);
        mesh.harm("/3 ", harm, 1);
        let sent = send(&client, &message(LONG)).await;
        assert!(receipt(&sent).message_id.is_some());
        let there = mesh.visible(THEIRS);
        assert_eq!((there.len(), there[0].chunks.concat()), (1, LONG.as_bytes().to_vec()));
        assert_eq!(mesh.count("/outbox "), 1);
    }
}

#[tokio::test]
async fn what_breaks_before_its_last_chunk_was_seen_by_nobody() {
    for part in ["/outbox ", "/2 "] {
        let (mesh, client) = with(in_tens).await;
        mesh.harm(part, Harm::LoseAnswer, 9);
        let sent = receipt(&send(&client, &message(LONG)).await);
        assert_eq!((sent.status, sent.unfinished, sent.message_id), (0, true, None));
        assert_eq!(mesh.visible(THEIRS).len(), 0);
        assert_eq!(mesh.count("/outbox "), 1);
    }
}

#[tokio::test]
async fn a_refused_chunk_is_the_messages_trouble_and_says_that_nobody_saw_it() {
    for number in ["/2 ", "/3 "] {
        let (mesh, client) = with(in_tens).await;
        mesh.harm(number, Harm::Answer(417, r#"{"detail":[{"code":"x"}]}"#), 1);
        let refused = receipt(&send(&client, &message(LONG)).await);
        assert_eq!((refused.status, refused.unfinished, refused.message_id), (417, true, None));
        assert_eq!(mesh.visible(THEIRS).len(), 0);
    }
}

#[tokio::test]
async fn when_the_last_chunk_has_no_answer_mesh_is_asked_and_its_word_counts() {
    // Taken, every answer lost: MESH says that it holds it.
    let (mesh, client) = with(in_tens).await;
    mesh.harm("/3 ", Harm::LoseAnswer, 9);
    assert!(receipt(&send(&client, &message(LONG)).await).message_id.is_some());
    assert_eq!(mesh.visible(THEIRS).len(), 1);
    // Never taken, as it turns out: it may still be on its way, so nobody knows.
    let (mesh, client) = with(in_tens).await;
    mesh.harm("/3 ", Harm::Drop, 9);
    assert!(matches!(send(&client, &message(LONG)).await, Sent::Unsure(_)));
    // Nobody answers at all.
    let (mesh2, client) = with(in_tens).await;
    mesh2.harm("/3 ", Harm::LoseAnswer, 9);
    mesh2.harm("tracking", Harm::Drop, 9);
    assert!(matches!(send(&client, &message(LONG)).await, Sent::Unsure(_)));
    assert_eq!((mesh.count("/outbox "), mesh2.count("/outbox ")), (1, 1));
}

#[tokio::test]
async fn no_chunk_is_begun_that_could_end_too_late() {
    let (mesh, client) = with(|s| {
        in_tens(s);
        s.message_timeout = s.connect_timeout + s.send_timeout + s.reply_timeout - Duration::from_millis(1);
    })
    .await;
    let sent = receipt(&send(&client, &message(LONG)).await);
    assert_eq!((sent.status, sent.unfinished), (0, true));
    assert_eq!((mesh.count("/2 "), mesh.visible(THEIRS).len()), (0, 0));
}

#[tokio::test]
async fn only_a_message_is_posted_and_only_within_the_limit() {
    let (mesh, client) = with(|s| s.max_message_bytes = 10).await;
    for bytes in [
        b"POST DocumentReference\n\n{}".to_vec(),
        b"PUT $process-message\n\n{}".to_vec(),
        b"GET inbox\n\n".to_vec(),
        b"MSH|".to_vec(),
        message(""),
        message("eleven bytes"),
        b"POST $process-message\nMex-To: X26ABC3\n\n{}".to_vec(),
    ] {
        let sent = send(&client, &bytes).await;
        assert!(matches!(&sent, Sent::NotSent(why) if why.is_message_fault()), "{sent:?}");
    }
    assert_eq!(mesh.count("/outbox"), 0);
}

#[tokio::test]
async fn an_inbox_of_several_pages_is_listed_whole_and_within_its_limit() {
    let (mesh, client) = with(|s| s.inbox_max = 25).await;
    let put: Vec<String> = (0..23).map(|n| mesh.put_data("W", format!("{n}"))).collect();
    assert_eq!(client.list().await.expect("listed"), put);
    (0..10).for_each(|n| drop(mesh.put_data("W", format!("{n}"))));
    assert_eq!(client.list().await.expect("listed").len(), 25);
}

#[tokio::test]
async fn what_is_fetched_is_whole_unpacked_and_stays_until_it_is_acknowledged() {
    let (mesh, client) = with(|_| {}).await;
    let gzip = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory takes it")
    };
    let to_us = |chunks: Vec<Vec<u8>>, encoding: &str| Held {
        from: THEIRS.into(),
        to: OURS.into(),
        chunks,
        encoding: encoding.into(),
        ..Held::default()
    };
    let plain = mesh.put(to_us(vec![b"one ".to_vec(), b"two".to_vec()], ""));
    let packed = mesh.put(to_us(vec![gzip(b"one "), gzip(b"two")], "gzip"));
    for id in [&plain, &packed] {
        let Ok(Fetched::Message(message)) = client.fetch(id).await else { panic!("a message") };
        assert_eq!((message.body.as_slice(), message.mex("from")), (&b"one two"[..], THEIRS));
    }
    let broken = mesh.put(to_us(vec![b"no gzip".to_vec()], "gzip"));
    assert!(matches!(client.fetch(&broken).await, Ok(Fetched::Broken(m)) if m.body == b"no gzip"));
    let bomb = mesh.put(to_us(vec![gzip(&vec![0; 10_000_000])], "gzip"));
    assert!(matches!(client.fetch(&bomb).await, Ok(Fetched::TooLarge)));
    let large = mesh.put(to_us(vec![vec![0; 5 * 1024 * 1024]], ""));
    assert!(matches!(client.fetch(&large).await, Ok(Fetched::TooLarge)));
    assert!(matches!(client.fetch("20990101000000000000_000000").await, Ok(Fetched::Gone)));
    assert_eq!(client.list().await.expect("listed").len(), 5);
    for _ in 0..2 {
        client.acknowledge(&plain).await.expect("acknowledging twice does no harm");
    }
    assert!(!client.list().await.expect("listed").contains(&plain));
}

#[tokio::test]
async fn a_report_names_the_message_it_is_about_and_mesh_knows_our_name_of_that() {
    let (mesh, client) = with(|_| {}).await;
    let sent = receipt(&send(&client, &message("{}")).await).message_id.expect("taken");
    let report = mesh.put_report(&sent, ID, "14");
    let Ok(Fetched::Message(report)) = client.fetch(&report).await else { panic!("a report") };
    assert!(report.is_report() && report.body.is_empty());
    assert_eq!((report.mex("linkedmsgid"), report.mex("statuscode"), report.mex("localid")), (sent.as_str(), "14", ID));
    assert_eq!(client.our_name(&sent).await, Ok(Some(ID.to_owned())));
    assert_eq!(client.our_name("20990101000000000000_000000").await, Ok(None));
    let other = mesh_end::mailbox(&mesh.url(), THEIRS, OURS, "TEST_WORKFLOW", ambient(Arc::default()));
    assert!(other.our_name(&sent).await.is_err() || other.our_name(&sent).await == Ok(None), "only the sender asks");
}

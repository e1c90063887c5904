//! One attempt, from its beginning to what came back on the same connection.

use crate::store::raw;
use crate::support::bridge::{Bridge, Tweaks};
use crate::support::far_end::{FarEnd, ack, ack_text, control_id};
use crate::support::{stores, wait_until};
use ips_bridge::domain::delivery::{EvidenceKind, ParkReason, State};
use ips_bridge::domain::policy::{AckMode, AfterUnknown};
use ips_bridge::transport::mllp::Answer;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn an_attempt_that_could_not_be_begun_sends_nothing_and_is_made_once_it_can() {
    for test in stores() {
        let far = FarEnd::start(|_, m| ack(m, "AA", "")).await;
        let bridge =
            Bridge::start(&test.url, far.addr(), Tweaks { lease: Duration::from_secs(2), ..Tweaks::default() }).await;
        let (full, empty) = raw::no_room_in("rendering", &test.url);
        for statement in full {
            raw::execute(&test.url, &statement).await;
        }
        let written = bridge.write_note("Met at the library.").await;
        // It is taken up and put back again and again; each time the bytes would have to be stored first. On SQLite nothing of that is written.
        if test.url.starts_with("sqlite") {
            tokio::time::sleep(Duration::from_millis(500)).await;
        } else {
            let tried = async || bridge.delivery(written.delivery).await.version > 4;
            wait_until(Duration::from_secs(20), "some tries", tried).await;
        }
        let waiting = bridge.delivery(written.delivery).await;
        assert!(far.got().is_empty(), "bytes left that are stored nowhere");
        assert_eq!((waiting.attempts, waiting.may_have_been_received()), (0, false));
        raw::execute(&test.url, &empty).await;
        let filed = bridge.wait_filed(written.delivery).await;
        assert_eq!((filed.attempts, far.got().len()), (1, 1));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_late_acknowledgement_that_comes_before_the_next_answer_files_what_it_names() {
    for test in stores() {
        let first: Arc<Mutex<Option<String>>> = Arc::default();
        let seen = first.clone();
        let far = FarEnd::start(move |_, m| {
            let commit = ack_text(&control_id(m), "CA", "", "").into_bytes();
            let mut first = seen.lock().expect("one at a time");
            match first.as_ref() {
                None => {
                    *first = Some(control_id(m));
                    Answer::frame(commit)
                }
                // What the first one became, and then the answer that is waited for.
                Some(earlier) => {
                    let late = ack_text(earlier, "AA", "", "").into_bytes();
                    Answer { frames: vec![late, commit], ..Answer::default() }
                }
            }
        })
        .await;
        let mut tweaks = Tweaks::default();
        tweaks.policy.ack_mode = AckMode::Enhanced;
        tweaks.client.late_replies_on_connection = true;
        tweaks.client.max_connections = 1;
        let bridge = Bridge::start(&test.url, far.addr(), tweaks).await;
        let one = bridge.write_note("Met at the library.").await;
        bridge.wait_state(one.delivery, State::Accepted).await;
        let two = bridge.write_note("Met at the café.").await;
        let filed = bridge.wait_filed(one.delivery).await;
        assert_eq!(
            filed.evidence.iter().map(|e| e.kind).collect::<Vec<_>>(),
            [EvidenceKind::TransportAck, EvidenceKind::ApplicationAck]
        );
        let second = bridge.wait_state(two.delivery, State::Accepted).await;
        assert_eq!(second.attempts, 1, "the answer to it was its own, behind the other one");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_late_acknowledgement_that_cannot_be_kept_at_once_is_kept_when_the_store_is_back() {
    for test in stores() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tweaks = Tweaks::default();
        tweaks.policy.ack_mode = AckMode::Enhanced;
        tweaks.client.late_replies_on_connection = true;
        let bridge = Bridge::start(&test.url, listener.local_addr().unwrap(), tweaks).await;
        let written = bridge.write_note("Met at the library.").await;
        let (mut far, id) = taken(&listener).await;
        far.write_all(&framed(&id, "CA")).await.unwrap();
        bridge.wait_state(written.delivery, State::Accepted).await;
        let (full, empty) = raw::no_room_in("reply", &test.url);
        for statement in full {
            raw::execute(&test.url, &statement).await;
        }
        far.write_all(&framed(&id, "AA")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(bridge.delivery(written.delivery).await.state, State::Accepted);
        raw::execute(&test.url, &empty).await;
        bridge.wait_filed(written.delivery).await;
        bridge.stop().await;
    }
}

/// The sending connection, and the control id of the message that came on it.
async fn taken(listener: &TcpListener) -> (TcpStream, String) {
    let (mut far, _) = listener.accept().await.unwrap();
    let mut message = Vec::new();
    while !message.ends_with(b"\x1C\r") {
        assert!(far.read_buf(&mut message).await.unwrap() > 0);
    }
    let id = control_id(&String::from_utf8_lossy(&message[1..]));
    (far, id)
}

/// One framed acknowledgement.
fn framed(control_id: &str, code: &str) -> Vec<u8> {
    let said = ack_text(control_id, code, "", "");
    [b"\x0B", said.as_bytes(), b"\x1C\r"].concat()
}

/// What the far end says twice of one message, on the connection that brought it: the second word is late evidence like any other.
#[tokio::test]
async fn a_second_answer_on_the_sending_connection_is_weighed_and_never_makes_it_go_again() {
    for (first, second, then, state, reason, kinds) in [
        ("AA", "AR", State::Filed, State::Parked, Some(ParkReason::FilingContradicted), 1),
        ("AR", "AA", State::Parked, State::Filed, None, 1),
        ("AA", "AA", State::Filed, State::Filed, None, 1),
        ("AR", "AR", State::Parked, State::Parked, Some(ParkReason::Refused), 0),
    ] {
        // Together, and when nobody waits any more.
        for (apart, test) in [false, true].into_iter().flat_map(|apart| stores().map(move |s| (apart, s))) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bridge = Bridge::start(&test.url, listener.local_addr().unwrap(), Tweaks::default()).await;
            let written = bridge.write_note("Met at the library.").await;
            let (mut far, id) = taken(&listener).await;
            far.write_all(&framed(&id, first)).await.unwrap();
            if apart {
                bridge.wait_state(written.delivery, then).await;
            }
            far.write_all(&framed(&id, second)).await.unwrap();
            wait_until(Duration::from_secs(20), "both are kept", async || {
                raw::number(&test.url, "SELECT COUNT(*) FROM reply WHERE delivery_id IS NOT NULL").await == 2
            })
            .await;
            let now = bridge.delivery(written.delivery).await;
            assert_eq!((now.state, now.park.map(|p| p.reason)), (state, reason), "{first} {second} {apart}");
            assert_eq!((now.evidence.len(), now.attempts), (kinds, 1), "{first} {second} {apart}");
            bridge.stop().await;
        }
    }
}

/// Only to what was answered before can there be a second answer.
#[tokio::test]
async fn an_answer_to_a_message_that_was_never_answered_counts_for_nothing_on_anothers_connection() {
    for test in stores() {
        let first: Arc<Mutex<Option<String>>> = Arc::default();
        let seen = first.clone();
        let far = FarEnd::start(move |_, m| {
            let mut first = seen.lock().expect("one at a time");
            match first.as_ref() {
                None => {
                    *first = Some(control_id(m));
                    Answer::default()
                }
                Some(earlier) => {
                    let own = ack_text(&control_id(m), "AA", "", "").into_bytes();
                    Answer { frames: vec![own, ack_text(earlier, "AA", "", "").into_bytes()], ..Answer::default() }
                }
            }
        })
        .await;
        let mut tweaks = Tweaks::default();
        tweaks.policy.after_unknown = AfterUnknown::Park;
        tweaks.client.reply_timeout = Duration::from_millis(300);
        let bridge = Bridge::start(&test.url, far.addr(), tweaks).await;
        let one = bridge.write_note("Met at the library.").await;
        bridge.wait_state(one.delivery, State::Parked).await;
        let two = bridge.write_note("Met at the café.").await;
        bridge.wait_filed(two.delivery).await;
        wait_until(Duration::from_secs(20), "the stray is kept", async || {
            raw::number(&test.url, "SELECT COUNT(*) FROM reply").await == 2
        })
        .await;
        let now = bridge.delivery(one.delivery).await;
        assert_eq!((now.state, now.evidence.len()), (State::Parked, 0));
        bridge.stop().await;
    }
}

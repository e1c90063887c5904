//! Asking the record, from the worker down to the wire: before anything is sent again, and for what only the record's own word files.

use crate::store::raw;
use crate::support::bridge::{Bridge, Tweaks};
use crate::support::far_end::{FarEnd, ack};
use crate::support::{TestStore, stores, wait_until};
use ips_bridge::domain::ask::{Answer as Said, AskRules};
use ips_bridge::domain::delivery::{EvidenceKind, ParkReason, State};
use ips_bridge::domain::policy::{AfterUnknown, BackOff, EndpointPolicy, FiledBy};
use ips_bridge::outbox::{Question, ReadBack};
use ips_bridge::store::write::Operation;
use ips_bridge::transport::mllp::Answer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A pack's way to ask, made by hand: `ASK <document id>`, answered `ASKED <word>`.
struct ByHand;

impl ReadBack for ByHand {
    fn request(&self, question: Question<'_>) -> Option<Vec<u8>> {
        let sent = String::from_utf8_lossy(question.rendering);
        let id = question.document_id;
        sent.contains(id).then(|| format!("ASK {id}").into_bytes())
    }

    fn judge(&self, reply: &[u8], _: Question<'_>) -> Said {
        match reply {
            b"ASKED found" => Said::Found { record_id: Some("DOC-17".into()) },
            b"ASKED nothing" => Said::NotFound,
            other => Said::CannotSay { code: format!("{} bytes", other.len()) },
        }
    }

    fn correlates(&self, reply: &[u8]) -> bool {
        reply.starts_with(b"ASKED")
    }
}

fn asked(word: &str) -> Answer {
    Answer::frame(format!("ASKED {word}").into_bytes())
}

fn is_ask(message: &str) -> bool {
    message.starts_with("ASK ")
}

fn tweaks(filed_by: FiledBy, change: impl FnOnce(&mut EndpointPolicy)) -> Tweaks {
    let mut tweaks = Tweaks::default();
    tweaks.client.reply_timeout = Duration::from_millis(300);
    tweaks.policy.after_unknown = AfterUnknown::Query;
    tweaks.policy.filed_by = filed_by;
    tweaks.policy.asks = AskRules {
        first_after: Duration::from_millis(10),
        again_after: Duration::from_millis(30),
        not_found_times: 3,
        not_found_over: Duration::from_millis(100),
        max_unclear: 3,
    };
    tweaks.read_back = Some(Arc::new(ByHand));
    change(&mut tweaks.policy);
    tweaks
}

async fn start(test: &TestStore, far: &FarEnd, tweaks: Tweaks) -> Bridge {
    Bridge::start(&test.url, far.addr(), tweaks).await
}

#[tokio::test]
async fn what_the_record_holds_is_filed_and_never_sent_again() {
    for test in stores() {
        let far = FarEnd::start(|_, m| if is_ask(m) { asked("found") } else { Answer::silence() }).await;
        let bridge = start(&test, &far, tweaks(FiledBy::ApplicationAck, |_| {})).await;
        let written = bridge.write_note("Met at the job centre.").await;
        let delivery = bridge.wait_filed(written.delivery).await;
        assert_eq!((delivery.attempts, delivery.record_id.as_deref()), (1, Some("DOC-17")), "an ask is no attempt");
        assert_eq!(delivery.evidence.iter().map(|e| e.kind).collect::<Vec<_>>(), [EvidenceKind::ReadBack]);
        let got = far.got();
        assert_eq!(got.iter().map(|m| is_ask(m)).collect::<Vec<_>>(), [false, true]);
        assert_eq!(got[1], format!("ASK {}", delivery.document_id()));
        let attempts = bridge.store.attempts(&delivery).await.expect("read");
        let kept: Vec<_> =
            attempts[0].replies.iter().map(|r| (r.bytes.0.clone(), r.attempt_id, r.verdict.code.clone())).collect();
        assert_eq!(kept, [(b"ASKED found".to_vec(), None, "asked: found".to_owned())]);
        assert_eq!(delivery.evidence[0].reply_id, Some(attempts[0].replies[0].id));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn what_the_record_does_not_hold_goes_again_byte_for_byte_after_it_was_asked_often_enough() {
    for test in stores() {
        let far = FarEnd::start(|n, m| match (n, is_ask(m)) {
            (0, _) => Answer::silence(),
            (_, true) => asked("nothing"),
            (_, false) => ack(m, "AA", ""),
        })
        .await;
        let bridge = start(&test, &far, tweaks(FiledBy::ApplicationAck, |_| {})).await;
        let first = bridge.write_note("First.").await;
        let second = bridge.write_note("Second, of the same patient.").await;
        let delivery = bridge.wait_filed(first.delivery).await;
        bridge.wait_filed(second.delivery).await;
        assert_eq!((delivery.attempts, delivery.unknown_resends), (2, 1));
        let got = far.got();
        let sends: Vec<usize> = (0..got.len()).filter(|i| !is_ask(&got[*i])).collect();
        assert_eq!(sends.len(), 3);
        assert!(sends[1] >= 4, "three asks at least before the second send: {sends:?}");
        assert_eq!(got[sends[0]], got[sends[1]], "the same bytes");
        assert!(got[sends[2]].contains("Second"), "the lane waits for the answer");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_record_that_cannot_say_ends_in_front_of_a_person() {
    let test = stores().next().expect("SQLite");
    let far = FarEnd::start(|_, m| if is_ask(m) { asked("error") } else { Answer::silence() }).await;
    let bridge = start(&test, &far, tweaks(FiledBy::ReadBack, |_| {})).await;
    let written = bridge.write_note("Met at the job centre.").await;
    let delivery = bridge.wait_state(written.delivery, State::Parked).await;
    assert_eq!(delivery.park.as_ref().map(|p| p.reason), Some(ParkReason::OutcomeUnknown));
    assert!(delivery.may_have_been_received());
    let got = far.got();
    assert_eq!((got.iter().filter(|m| is_ask(m)).count(), got.len()), (3, 4));
    bridge.stop().await;
}

#[tokio::test]
async fn what_was_received_is_filed_by_the_records_own_word_and_holds_up_nobody_meanwhile() {
    for test in stores() {
        let listed = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let lists = listed.clone();
        let far = FarEnd::start(move |_, m| match is_ask(m) {
            true if lists.load(std::sync::atomic::Ordering::SeqCst) => asked("found"),
            true => asked("nothing"),
            false => ack(m, "AA", ""),
        })
        .await;
        let bridge = start(&test, &far, tweaks(FiledBy::ReadBack, |_| {})).await;
        let first = bridge.write_note("First.").await;
        bridge.wait_state(first.delivery, State::Accepted).await;
        wait_until(PATIENCE, "two asks", async || far.got().iter().filter(|m| is_ask(m)).count() >= 2).await;
        // Another note of the same patient goes while the first only waits for its proof.
        let second = bridge.write_note("Second.").await;
        bridge.wait_state(second.delivery, State::Accepted).await;
        listed.store(true, std::sync::atomic::Ordering::SeqCst);
        for delivery in [first.delivery, second.delivery] {
            let delivery = bridge.wait_filed(delivery).await;
            assert_eq!((delivery.attempts, delivery.asking), (1, None));
            let kinds: Vec<_> = delivery.evidence.iter().map(|e| e.kind).collect();
            assert_eq!(kinds, [EvidenceKind::ApplicationAck, EvidenceKind::ReadBack]);
        }
        // Nothing asks any longer.
        let asks = far.got().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(far.got().len(), asks);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_record_that_is_away_is_waited_for_and_asked_when_it_is_back() {
    let test = stores().next().expect("SQLite");
    let far = FarEnd::start(|_, _| Answer::silence()).await;
    let (addr, bridge) = (far.addr(), start(&test, &far, tweaks(FiledBy::ReadBack, |_| {})).await);
    let written = bridge.write_note("Met at the job centre.").await;
    wait_until(PATIENCE, "an ask in vain", async || far.got().iter().any(|m| is_ask(m))).await;
    drop(far);
    let delivery = bridge.delivery(written.delivery).await;
    assert!(delivery.state.is_open() && delivery.park.is_none() && delivery.asking.is_some(), "{delivery:?}");
    let mut back = None;
    wait_until(PATIENCE, "its port", async || {
        if std::net::TcpListener::bind(addr).is_ok() {
            back = Some(FarEnd::start_at(addr, |_, m| if is_ask(m) { asked("found") } else { ack(m, "AA", "") }).await);
        }
        back.is_some()
    })
    .await;
    let delivery = bridge.wait_filed(written.delivery).await;
    assert_eq!(delivery.attempts, 1);
    assert!(back.expect("it is back").got().iter().all(|m| is_ask(m)), "nothing was sent again");
    bridge.stop().await;
}

#[tokio::test]
async fn a_persons_retry_of_an_unknown_outcome_asks_before_it_sends() {
    for test in stores() {
        let found = Arc::new(AtomicBool::new(false));
        let says = found.clone();
        let far = FarEnd::start(move |_, m| match is_ask(m) {
            true if says.load(Ordering::SeqCst) => asked("found"),
            true => asked("something else"),
            false => Answer::silence(),
        })
        .await;
        let bridge = start(&test, &far, tweaks(FiledBy::ApplicationAck, |_| {})).await;
        let written = bridge.write_note("Met at the job centre.").await;
        bridge.wait_state(written.delivery, State::Parked).await;
        found.store(true, Ordering::SeqCst);
        let operation = Operation::Retry { may_be_in_record_acknowledged: false };
        bridge.operate(written.delivery, operation).await.expect("a retry");
        let delivery = bridge.wait_filed(written.delivery).await;
        assert_eq!(delivery.attempts, 1, "nothing was sent a second time");
        assert_eq!(far.got().iter().filter(|m| !is_ask(m)).count(), 1);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn what_backed_off_to_go_again_does_not_go_once_config_says_park_or_query() {
    for test in stores() {
        let far = FarEnd::start(|_, m| if is_ask(m) { asked("found") } else { Answer::silence() }).await;
        let bridge = |after_unknown, max_unknown_resends| {
            let tweaks = tweaks(FiledBy::ApplicationAck, |policy| {
                policy.after_unknown = after_unknown;
                policy.max_unknown_resends = max_unknown_resends;
                policy.back_off = BackOff { first: Duration::from_secs(600), cap: Duration::from_secs(600) };
            });
            start(&test, &far, tweaks)
        };
        let before = bridge(AfterUnknown::Resend, 5).await;
        let written = before.write_note("Met at the job centre.").await;
        before.wait_state(written.delivery, State::BackingOff).await;
        before.stop().await;
        raw::due_now(&test.url).await;

        let parks = bridge(AfterUnknown::Park, 0).await;
        let parked = parks.wait_state(written.delivery, State::Parked).await;
        let reason = parked.park.as_ref().map(|p| p.reason);
        assert_eq!((reason, parked.attempts), (Some(ParkReason::OutcomeUnknown), 1));
        let unlooked = Operation::Retry { may_be_in_record_acknowledged: false };
        assert!(parks.operate(written.delivery, unlooked).await.is_err(), "two copies may stand there then");
        let looked = Operation::Retry { may_be_in_record_acknowledged: true };
        parks.operate(written.delivery, looked).await.expect("a person has looked");
        let again = async || parks.delivery(written.delivery).await.attempts == 2;
        wait_until(PATIENCE, "what a person sends again", again).await;
        parks.wait_state(written.delivery, State::Parked).await;
        assert_eq!(far.got().len(), 2);
        parks.stop().await;

        let resends = bridge(AfterUnknown::Resend, 5).await;
        let second = resends.write_note("Met at the library.").await;
        resends.wait_state(second.delivery, State::BackingOff).await;
        resends.stop().await;
        raw::due_now(&test.url).await;
        let asks = bridge(AfterUnknown::Query, 5).await;
        let filed = asks.wait_filed(second.delivery).await;
        assert_eq!((filed.attempts, far.got().iter().filter(|m| !is_ask(m)).count()), (1, 3), "it was there");
        asks.stop().await;
    }
}

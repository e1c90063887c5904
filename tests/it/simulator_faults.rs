//! Each fault of the pretend EPR, over real sockets, as the bridge's own pool meets it.

use std::time::Duration;

use ips_bridge::adapter::hl7::{AckCode, Reply};
use ips_bridge::simulator::record::Became;
use ips_bridge::simulator::{Fault, Faults};
use ips_bridge::transport::mllp::{Answer, ClientSettings, ListenerSettings};
use ips_bridge::transport::{NotSent, Sent, StrayKind, Unsure};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::simulator_support::{
    SHORT, bridge, code, enhanced_note, epr, epr_with, hasty_bridge, note, reply, send, unsure,
};
use crate::transport_support::{PATIENCE, listen, pool};

#[tokio::test]
async fn without_a_fault_a_note_is_filed_and_acknowledged() {
    let epr = epr_with(&[]).await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    assert_eq!(epr.record().copies("D1^IPS"), 1);
    epr.shutdown().await;
}

#[tokio::test]
async fn a_refused_message_is_not_filed_and_its_reply_says_why() {
    for (fault, expected, error) in [
        ("refuse:AE:206", AckCode::AE, Some("206")),
        ("refuse:AR", AckCode::AR, None),
        ("refuse:CE:207", AckCode::CE, Some("207")),
        ("refuse:CR", AckCode::CR, None),
    ] {
        let epr = epr_with(&[&format!("{fault}@1")]).await;
        let (pool, _strays) = bridge(&epr);
        let reply = reply(&pool, &note(1)).await;
        assert_eq!(reply.code, expected);
        assert_eq!(reply.errors.first().map(|e| &*e.code), error);
        assert_eq!(epr.record().copies("D1^IPS"), 0);
        assert_eq!(code(&pool, &note(1)).await, AckCode::AA, "the fault was for the first only");
    }
}

#[tokio::test]
async fn a_delayed_message_is_filed_when_the_time_is_over() {
    let epr = epr_with(&["delay:150ms"]).await;
    let (pool, _strays) = bridge(&epr);
    let begun = Instant::now();
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(epr.record().copies("D1^IPS"), 1);
}

#[tokio::test]
async fn a_late_ack_comes_after_the_filing() {
    let epr = epr_with(&["late-ack:10s"]).await;
    let (pool, _strays) = hasty_bridge(&epr);
    assert_eq!(unsure(&pool, &note(1)).await, Unsure::ReplyTimeout(SHORT));
    assert_eq!(epr.record().copies("D1^IPS"), 1);
    epr.set_faults(Faults::parse(&["late-ack:100ms"], 0).unwrap());
    assert_eq!(code(&pool, &note(2)).await, AckCode::AA);
}

#[tokio::test]
async fn a_dropped_ack_leaves_the_note_filed_and_a_resend_is_recognised() {
    let epr = epr_with(&["drop-ack@1"]).await;
    let (pool, _strays) = hasty_bridge(&epr);
    assert_eq!(unsure(&pool, &note(1)).await, Unsure::ReplyTimeout(SHORT));
    assert_eq!(epr.record().copies("D1^IPS"), 1);
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    let record = epr.record();
    assert_eq!((record.copies("D1^IPS"), record.arrivals_of("C1").len()), (1, 2));
    assert_eq!(record.arrivals()[0].fault.as_deref(), Some("drop-ack"));
}

#[tokio::test]
async fn a_resend_to_an_epr_that_recognises_nothing_is_a_second_copy() {
    let epr = epr(|s| {
        s.record.recognises_repeats = false;
        s.faults = Faults::nth(1, Fault::DropAck);
    })
    .await;
    let (pool, _strays) = hasty_bridge(&epr);
    unsure(&pool, &note(1)).await;
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    assert_eq!(epr.record().duplicates(), ["D1^IPS"]);
}

#[tokio::test]
async fn silence_files_nothing() {
    let epr = epr_with(&["silence@1"]).await;
    let (pool, _strays) = hasty_bridge(&epr);
    assert_eq!(unsure(&pool, &note(1)).await, Unsure::ReplyTimeout(SHORT));
    let record = epr.record();
    assert_eq!((record.copies("D1^IPS"), record.arrivals()[0].became), (0, Became::Ignored));
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
}

#[tokio::test]
async fn a_connection_can_close_before_the_reply_with_the_note_filed_or_not() {
    let epr = epr_with(&["close@1", "file-and-close@2"]).await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(unsure(&pool, &note(1)).await, Unsure::ClosedBeforeReply);
    assert_eq!(unsure(&pool, &note(2)).await, Unsure::ClosedBeforeReply);
    let record = epr.record();
    assert_eq!((record.copies("D1^IPS"), record.copies("D2^IPS")), (0, 1));
    assert_eq!(code(&pool, &note(3)).await, AckCode::AA);
}

#[tokio::test]
async fn a_connection_can_close_in_the_middle_of_the_reply() {
    let epr = epr_with(&["close-mid-frame@1"]).await;
    let (pool, mut strays) = bridge(&epr);
    let exchange = send(&pool, &note(1)).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::ClosedMidReply)), "{exchange:?}");
    let fragment = exchange.strays.into_iter().next().or_else(|| strays.try_recv().ok()).expect("half an answer");
    assert_eq!(fragment.kind, StrayKind::Fragment);
    assert!(Reply::read(&fragment.bytes).is_err());
    assert_eq!(epr.record().copies("D1^IPS"), 1);
}

#[tokio::test]
async fn an_ack_can_come_twice() {
    let epr = epr_with(&["ack-twice@1"]).await;
    let (pool, mut strays) = bridge(&epr);
    let exchange = send(&pool, &note(1)).await;
    assert!(matches!(exchange.sent, Sent::Reply(_)), "{exchange:?}");
    let second = match exchange.strays.into_iter().next() {
        Some(stray) => stray,
        None => {
            // The second frame may be noticed only when the connection is used again.
            assert_eq!(code(&pool, &note(2)).await, AckCode::AA);
            tokio::time::timeout(PATIENCE, strays.recv()).await.unwrap().unwrap()
        }
    };
    assert_eq!(Reply::read(&second.bytes).unwrap().control_id, "C1");
    assert_eq!(epr.record().copies("D1^IPS"), 1);
}

#[tokio::test]
async fn a_wrong_msa_2_names_no_message() {
    let epr = epr_with(&["wrong-id@1"]).await;
    let (pool, _strays) = bridge(&epr);
    let exchange = send(&pool, &note(1)).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::Mismatched)), "{exchange:?}");
    assert_eq!(Reply::read(&exchange.strays[0].bytes).unwrap().control_id, "NOSUCHMESSAGE");
    assert_eq!(epr.record().copies("D1^IPS"), 1);
}

#[tokio::test]
async fn a_foreign_msa_2_is_that_of_another_message_in_hand() {
    let epr = epr_with(&["late-ack:10s@id:C1", "foreign-id@id:C2"]).await;
    let (first, _strays) = bridge(&epr);
    let (second, _strays) = bridge(&epr);
    let waiting = tokio::spawn(async move { send(&first, &note(1)).await });
    assert!(epr.wait_for(PATIENCE, |r| r.copies("D1^IPS") == 1).await);
    let exchange = send(&second, &note(2)).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::Mismatched)), "{exchange:?}");
    assert_eq!(Reply::read(&exchange.strays[0].bytes).unwrap().control_id, "C1");
    epr.shutdown().await;
    assert!(matches!(waiting.await.unwrap().sent, Sent::Unsure(_)), "stopping answers nothing");
}

#[tokio::test]
async fn a_foreign_msa_2_is_that_of_the_message_before_where_no_other_is_in_hand() {
    let epr = epr_with(&["foreign-id@2"]).await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    let exchange = send(&pool, &note(2)).await;
    assert_eq!(Reply::read(&exchange.strays[0].bytes).unwrap().control_id, "C1");
}

#[tokio::test]
async fn garbage_is_a_frame_that_is_no_reply() {
    let epr = epr_with(&["garbage@1"]).await;
    let (pool, _strays) = bridge(&epr);
    let exchange = send(&pool, &note(1)).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::Mismatched)), "{exchange:?}");
    assert_eq!(exchange.strays[0].kind, StrayKind::Frame);
    assert!(Reply::read(&exchange.strays[0].bytes).is_err());
    assert_eq!(epr.record().copies("D1^IPS"), 1);
}

#[tokio::test]
async fn noise_is_no_frame() {
    let epr = epr_with(&["noise@1"]).await;
    let (pool, _strays) = hasty_bridge(&epr);
    let exchange = send(&pool, &note(1)).await;
    assert!(matches!(exchange.sent, Sent::Unsure(_)), "{exchange:?}");
    assert!(exchange.strays.iter().all(|s| s.kind == StrayKind::Fragment));
    assert_eq!(code(&pool, &note(2)).await, AckCode::AA);
}

/// A listener as the bridge has one: it keeps what comes and answers nothing.
async fn bridges_listener() -> (ClientSettings, mpsc::Receiver<Vec<u8>>) {
    let (keep, kept) = mpsc::channel(64);
    let (address, stop, _) = listen(ListenerSettings::default(), move |received| {
        let keep = keep.clone();
        async move {
            keep.send(received.bytes).await.unwrap();
            Answer::silence()
        }
    })
    .await;
    std::mem::forget(stop);
    (ClientSettings::new(address), kept)
}

async fn next(kept: &mut mpsc::Receiver<Vec<u8>>) -> Reply {
    Reply::read(&tokio::time::timeout(PATIENCE, kept.recv()).await.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_late_application_ack_follows_its_commit_ack_on_another_connection() {
    let (partner, mut kept) = bridges_listener().await;
    let epr = epr(|s| {
        s.partner = Some(partner);
        s.faults = Faults::always("late-application-ack:50ms".parse().unwrap());
    })
    .await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(code(&pool, &note(1)).await, AckCode::CA);
    let late = next(&mut kept).await;
    assert_eq!((late.code, &*late.control_id), (AckCode::AA, "C1"));
    assert_eq!(code(&pool, &[note(2), b"PID|1\r".to_vec()].concat()).await, AckCode::CA);
    let late = next(&mut kept).await;
    assert_eq!((late.code, &*late.control_id), (AckCode::AE, "C2"));
    assert!(late.has_error("100"));
}

#[tokio::test]
async fn a_message_that_asks_for_enhanced_mode_gets_it() {
    let (partner, mut kept) = bridges_listener().await;
    let epr = epr(|s| s.partner = Some(partner)).await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(code(&pool, &enhanced_note(1)).await, AckCode::CA);
    let late = next(&mut kept).await;
    assert_eq!((late.code, &*late.control_id), (AckCode::AA, "C1"));
    let unsupported = String::from_utf8(enhanced_note(2)).unwrap().replace("MDM^T02", "MDM^T05");
    let refused = reply(&pool, unsupported.as_bytes()).await;
    assert!(refused.code == AckCode::CR && refused.has_error("201"), "{refused:?}");
}

#[tokio::test]
async fn a_late_application_ack_waits_for_a_partner_that_is_away() {
    let away = crate::support::free_addr();
    let epr = epr(|s| {
        s.partner = Some(ClientSettings::new(away.to_string()));
        s.faults = Faults::always("late-application-ack:0ms".parse().unwrap());
    })
    .await;
    let (pool, _strays) = bridge(&epr);
    let mut seen = epr.watch();
    assert_eq!(code(&pool, &note(1)).await, AckCode::CA);
    let tcp = tokio::net::TcpListener::bind(away).await.unwrap();
    let (mut stream, _) = tokio::time::timeout(PATIENCE, tcp.accept()).await.unwrap().unwrap();
    let late = crate::transport_support::read_frame(&mut stream).await.unwrap();
    assert_eq!(Reply::read(late.as_bytes()).unwrap().control_id, "C1");
    drop((seen.recv().await.unwrap(), stream));
}

#[tokio::test]
async fn a_commit_ack_may_be_all_that_ever_comes() {
    let (partner, mut kept) = bridges_listener().await;
    let epr = epr(|s| {
        s.partner = Some(partner);
        s.faults = Faults::always(Fault::CommitOnly);
    })
    .await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(code(&pool, &note(1)).await, AckCode::CA);
    assert_eq!(epr.record().copies("D1^IPS"), 1);
    epr.shutdown().await;
    assert!(kept.try_recv().is_err());
}

#[tokio::test]
async fn an_epr_that_is_away_refuses_connections_and_comes_back_at_the_same_port() {
    let epr = epr_with(&[]).await;
    let (pool, _strays) = bridge(&epr);
    assert_eq!(code(&pool, &note(1)).await, AckCode::AA);
    epr.stop_listening().await;
    epr.stop_listening().await;
    let away = send(&pool, &note(2)).await;
    assert!(matches!(away.sent, Sent::NotSent(NotSent::Refused { .. })), "{away:?}");
    epr.resume_listening().await.unwrap();
    epr.resume_listening().await.unwrap();
    assert_eq!(code(&pool, &note(2)).await, AckCode::AA);
    let record = epr.record();
    assert_eq!((record.copies("D1^IPS"), record.copies("D2^IPS")), (1, 1));
}

#[tokio::test]
async fn an_epr_can_go_away_on_a_message_and_come_back_by_itself() {
    let epr = epr_with(&["go-away:300ms@1"]).await;
    let (first, _strays) = bridge(&epr);
    assert!(matches!(send(&first, &note(1)).await.sent, Sent::Unsure(_)));
    assert_eq!(epr.record().copies("D1^IPS"), 0);
    let mut was_away = false;
    let end = Instant::now() + PATIENCE;
    loop {
        match send(&first, &note(1)).await.sent {
            Sent::Reply(_) => break,
            Sent::NotSent(NotSent::Refused { .. }) => was_away = true,
            _ => {}
        }
        assert!(Instant::now() < end, "it never came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(was_away);
    assert_eq!(epr.record().copies("D1^IPS"), 1);
}

#[tokio::test]
async fn the_same_seed_brings_the_same_faults() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let faults = Faults::parse(&["refuse:AE:207@30%", "close@20%"], 42).unwrap();
        let epr = epr(|s| s.faults = faults).await;
        let (pool, _strays) = pool(ClientSettings::new(epr.addr().to_string()));
        for n in 0..30 {
            send(&pool, &note(n)).await;
        }
        let met: Vec<_> = epr.record().arrivals().iter().map(|a| a.fault.clone()).collect();
        assert!(met.iter().flatten().count() > 5 && met.iter().any(Option::is_none));
        runs.push(met);
    }
    assert_eq!(runs[0], runs[1]);
}

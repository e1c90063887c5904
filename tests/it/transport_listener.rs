//! What the MLLP listener does with senders of every kind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ips_bridge::transport::mllp::{Answer, ClientSettings, ListenerSettings, Received, Then};
use ips_bridge::transport::{Sent, Unsure};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::transport_support::*;

const SHORT: Duration = Duration::from_millis(150);

async fn answer_all(received: Received) -> Answer {
    acknowledge(&received)
}

/// A good message on a new connection is still answered.
async fn assert_alive(address: &str) {
    let mut s = TcpStream::connect(address).await.unwrap();
    s.write_all(&framed("MSH|probe")).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, read_frame(&mut s)).await.unwrap().unwrap(), "ACK MSH|probe");
}

#[tokio::test]
async fn frames_in_one_packet_are_answered_in_order() {
    let (address, _stop, _) = listen(ListenerSettings::default(), answer_all).await;
    let mut s = TcpStream::connect(address).await.unwrap();
    let wire: Vec<u8> = (0..50).flat_map(|i| framed(&format!("MSH|{i}"))).collect();
    s.write_all(&wire).await.unwrap();
    for i in 0..50 {
        assert_eq!(read_frame(&mut s).await.unwrap(), format!("ACK MSH|{i}"));
    }
}

#[tokio::test]
async fn a_message_is_answered_before_the_next_on_its_connection_is_taken() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let (address, _stop, _) = listen(ListenerSettings::default(), |received| async move {
        assert_eq!(NOW.fetch_add(1, Ordering::SeqCst), 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
        NOW.fetch_sub(1, Ordering::SeqCst);
        acknowledge(&received)
    })
    .await;
    let mut s = TcpStream::connect(address).await.unwrap();
    s.write_all(&framed("MSH|a").repeat(20)).await.unwrap();
    for _ in 0..20 {
        assert_eq!(read_frame(&mut s).await.unwrap(), "ACK MSH|a");
    }
}

#[tokio::test]
async fn a_slow_connection_does_not_hold_up_another() {
    let gate = Arc::new(Notify::new());
    let opened = gate.clone();
    let (address, _stop, _) = listen(ListenerSettings::default(), move |received| {
        let gate = gate.clone();
        async move {
            if received.bytes == b"MSH|slow" {
                gate.notified().await;
            }
            acknowledge(&received)
        }
    })
    .await;
    let mut slow = TcpStream::connect(&address).await.unwrap();
    slow.write_all(&framed("MSH|slow")).await.unwrap();
    assert_alive(&address).await;
    opened.notify_one();
    assert_eq!(read_frame(&mut slow).await.unwrap(), "ACK MSH|slow");
}

#[tokio::test]
async fn a_one_megabyte_frame_arrives_whole() {
    let (address, _stop, _) =
        listen(ListenerSettings::default(), |r| async move { Answer::frame(r.bytes.len().to_string().into_bytes()) })
            .await;
    let mut s = TcpStream::connect(address).await.unwrap();
    s.write_all(&framed(&"x".repeat(1 << 20))).await.unwrap();
    assert_eq!(read_frame(&mut s).await.unwrap(), (1 << 20).to_string());
}

#[tokio::test]
async fn of_a_frame_above_the_limit_the_beginning_is_handed_on_as_such_and_its_connection_closed() {
    let settings = ListenerSettings { max_frame_bytes: 1000, ..ListenerSettings::default() };
    let (address, _stop, _) = listen(settings, |r| async move {
        Answer::frame(format!("{} {}", r.bytes.len(), if r.cut_off { "cut off" } else { "whole" }).into_bytes())
    })
    .await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    s.write_all(&framed(&"x".repeat(1_100))).await.unwrap();
    // And nothing of what comes behind it is taken for a message.
    let _ = s.write_all(&framed("MSH|2")).await;
    assert_eq!(read_to_end(&mut s).await, framed("1000 cut off"));
    let mut s = TcpStream::connect(&address).await.unwrap();
    s.write_all(&framed(&"x".repeat(1_000))).await.unwrap();
    assert_eq!(read_frame(&mut s).await.unwrap(), "1000 whole");
}

#[tokio::test]
async fn a_frame_begun_and_left_is_closed_after_its_time() {
    let settings = ListenerSettings { frame_timeout: SHORT, ..ListenerSettings::default() };
    let (address, _stop, _) = listen(settings, answer_all).await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    // The first frame ends in time; the second, begun in the same packet, does not.
    s.write_all(b"\x0bMSH|1\x1c\r\x0bMSH|^").await.unwrap();
    assert_eq!(read_to_end(&mut s).await, framed("ACK MSH|1"));
    assert_alive(&address).await;
}

#[tokio::test]
async fn a_trickle_does_not_keep_a_frame_alive() {
    let settings = ListenerSettings { frame_timeout: SHORT, ..ListenerSettings::default() };
    let (address, _stop, _) = listen(settings, answer_all).await;
    let (mut read, mut write) = TcpStream::connect(&address).await.unwrap().into_split();
    let trickle = tokio::spawn(async move {
        let _ = write.write_all(b"\x0b").await;
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(read_to_end(&mut read).await.is_empty());
    tokio::time::timeout(PATIENCE, trickle).await.expect("the connection is closed").unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let settings = ListenerSettings { idle_timeout: SHORT, ..ListenerSettings::default() };
    let (address, _stop, _) = listen(settings, answer_all).await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    assert!(read_to_end(&mut s).await.is_empty());
}

#[tokio::test]
async fn a_frame_cut_off_by_a_close_is_not_taken() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let (address, stop, running) = listen(ListenerSettings::default(), move |r| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { acknowledge(&r) }
    })
    .await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    s.write_all(b"\x0bMSH|half").await.unwrap();
    s.shutdown().await.unwrap();
    assert!(read_to_end(&mut s).await.is_empty());
    stop.cancel();
    running.await.unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn another_protocol_is_closed_without_an_answer() {
    let (address, _stop, _) = listen(ListenerSettings::default(), answer_all).await;
    for hello in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\x16\x03\x01\x00\x0b\x01\x00\x0bMSH|\x1c\x00"] {
        let mut s = TcpStream::connect(&address).await.unwrap();
        s.write_all(hello).await.unwrap();
        assert!(read_to_end(&mut s).await.is_empty());
    }
    let mut s = TcpStream::connect(&address).await.unwrap();
    let _ = s.write_all(&[b'?'; 100_000]).await;
    assert!(read_to_end(&mut s).await.is_empty());
    assert_alive(&address).await;
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_room_comes_back() {
    let give_way_after = Duration::from_secs(3600);
    let settings = ListenerSettings { max_connections: 1, give_way_after, ..ListenerSettings::default() };
    let (address, _stop, _) = listen(settings, answer_all).await;
    let mut first = TcpStream::connect(&address).await.unwrap();
    first.write_all(&framed("MSH|1")).await.unwrap();
    assert_eq!(read_frame(&mut first).await.unwrap(), "ACK MSH|1");
    let mut second = TcpStream::connect(&address).await.unwrap();
    assert!(read_to_end(&mut second).await.is_empty());
    drop(first);
    let mut answered = false;
    for _ in 0..200 {
        let mut next = TcpStream::connect(&address).await.unwrap();
        let _ = next.write_all(&framed("MSH|2")).await;
        if read_frame(&mut next).await.is_some() {
            answered = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(answered);
}

#[tokio::test]
async fn frames_begun_and_left_keep_nobody_out() {
    let settings = ListenerSettings { max_connections: 8, give_way_after: SHORT, ..ListenerSettings::default() };
    let (address, _stop, _) = listen(settings, answer_all).await;
    let mut half_open = Vec::new();
    for _ in 0..64 {
        let mut s = TcpStream::connect(&address).await.unwrap();
        let _ = s.write_all(b"\x0bMSH|^").await;
        half_open.push(s);
    }
    // Long before the frames' own minute is over.
    let came_in = async {
        loop {
            let mut sender = TcpStream::connect(&address).await.unwrap();
            let _ = sender.write_all(&framed("MSH|1")).await;
            if read_frame(&mut sender).await.as_deref() == Some("ACK MSH|1") {
                return sender;
            }
        }
    };
    let mut sender = tokio::time::timeout(Duration::from_secs(20), came_in).await.expect("a sender comes in");
    // It has its place: others go first.
    assert_alive(&address).await;
    sender.write_all(&framed("MSH|2")).await.unwrap();
    assert_eq!(read_frame(&mut sender).await.unwrap(), "ACK MSH|2");
}

#[tokio::test]
async fn a_message_in_hand_keeps_its_place_until_it_is_answered() {
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let settings =
        ListenerSettings { max_connections: 1, give_way_after: Duration::ZERO, ..ListenerSettings::default() };
    let (begun, may_end) = (started.clone(), gate.clone());
    let (address, _stop, _) = listen(settings, move |r| {
        let (begun, may_end) = (begun.clone(), may_end.clone());
        async move {
            begun.notify_one();
            may_end.notified().await;
            acknowledge(&r)
        }
    })
    .await;
    let mut first = TcpStream::connect(&address).await.unwrap();
    first.write_all(&framed("MSH|1")).await.unwrap();
    started.notified().await;
    let mut second = TcpStream::connect(&address).await.unwrap();
    assert!(read_to_end(&mut second).await.is_empty(), "there is no room");
    gate.notify_one();
    assert!(read_frame(&mut first).await.is_some());
    // Answered, it gives way.
    gate.notify_one();
    loop {
        let mut third = TcpStream::connect(&address).await.unwrap();
        let _ = third.write_all(&framed("MSH|3")).await;
        if read_frame(&mut third).await.is_some() {
            break;
        }
    }
    assert!(read_to_end(&mut first).await.is_empty());
}

#[tokio::test]
async fn a_stop_finishes_the_message_in_hand_and_takes_no_other() {
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (started.clone(), gate.clone());
    let (address, stop, running) = listen(ListenerSettings::default(), move |r| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            acknowledge(&r)
        }
    })
    .await;
    let mut idle = TcpStream::connect(&address).await.unwrap();
    let mut busy = TcpStream::connect(&address).await.unwrap();
    busy.write_all(&[framed("MSH|1"), framed("MSH|2")].concat()).await.unwrap();
    started.notified().await;
    stop.cancel();
    assert!(read_to_end(&mut idle).await.is_empty());
    gate.notify_one();
    assert_eq!(read_to_end(&mut busy).await, framed("ACK MSH|1"));
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let settings = ListenerSettings { stop_timeout: SHORT, ..ListenerSettings::default() };
    let started = Arc::new(Notify::new());
    let tell = started.clone();
    let (address, stop, running) = listen(settings, move |_| {
        tell.notify_one();
        std::future::pending::<Answer>()
    })
    .await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    s.write_all(&framed("MSH|1")).await.unwrap();
    started.notified().await;
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_while_answering_costs_one_connection() {
    let (address, _stop, _) = listen(ListenerSettings::default(), |r| async move {
        assert!(r.bytes != b"MSH|bad", "on purpose");
        acknowledge(&r)
    })
    .await;
    let mut s = TcpStream::connect(&address).await.unwrap();
    s.write_all(&framed("MSH|bad")).await.unwrap();
    assert!(read_to_end(&mut s).await.is_empty());
    assert_alive(&address).await;
}

/// One message sent by our own pool to our own listener that answers as told.
async fn exchange_with(answer: Answer) -> ips_bridge::transport::Exchange {
    let (address, _stop, _) = listen(ListenerSettings::default(), move |_| std::future::ready(answer.clone())).await;
    let (pool, _strays) = pool(ClientSettings { reply_timeout: SHORT, ..ClientSettings::new(address) });
    send(&pool, "MSH|1").await
}

#[tokio::test]
async fn every_fault_a_simulated_epr_needs_can_be_played() {
    let ack = || Answer::frame(b"ACK MSH|1".to_vec());
    assert!(matches!(exchange_with(ack()).await.sent, Sent::Reply(_)));
    assert!(matches!(exchange_with(ack().and_close()).await.sent, Sent::Reply(_)));
    let dropped = exchange_with(Answer::silence()).await;
    assert!(matches!(dropped.sent, Sent::Unsure(Unsure::ReplyTimeout(_))));
    let closed = exchange_with(Answer::silence().and_close()).await;
    assert!(matches!(closed.sent, Sent::Unsure(Unsure::ClosedBeforeReply)));
    let cut = Answer { raw: Some(b"\x0bACK MS".to_vec()), then: Then::Close, ..Answer::default() };
    assert!(matches!(exchange_with(cut).await.sent, Sent::Unsure(Unsure::ClosedMidReply)));
    let foreign = exchange_with(Answer::frame(b"ACK other".to_vec())).await;
    assert!(matches!(foreign.sent, Sent::Unsure(Unsure::Mismatched)));
    let twice = Answer { frames: vec![b"ACK MSH|1".to_vec(); 2], ..Answer::default() };
    assert!(matches!(exchange_with(twice).await.sent, Sent::Reply(_)));
    let garbage = Answer { raw: Some(vec![b'?'; 10_000]), ..Answer::default() };
    assert!(matches!(exchange_with(garbage).await.sent, Sent::Unsure(Unsure::NotFramed)));
}

#[tokio::test]
async fn an_answer_that_would_break_its_frame_is_not_written() {
    let broken = exchange_with(Answer::frame(b"ACK \x1c\r MSH|1".to_vec())).await;
    assert!(matches!(broken.sent, Sent::Unsure(Unsure::ClosedBeforeReply)));
    assert!(broken.strays.is_empty());
}

#[tokio::test]
async fn messages_of_one_connection_share_its_number_and_peer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let (address, _stop, _) = listen(ListenerSettings::default(), move |r| {
        note.lock().unwrap().push((r.connection, r.peer, r.peer_certificate.is_some()));
        async move { acknowledge(&r) }
    })
    .await;
    for _ in 0..2 {
        let mut s = TcpStream::connect(&address).await.unwrap();
        for _ in 0..2 {
            s.write_all(&framed("MSH|1")).await.unwrap();
            read_frame(&mut s).await.unwrap();
        }
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 1, 2, 2]);
    assert_eq!(seen[0].1, seen[1].1);
    assert!(seen.iter().all(|s| !s.2));
}

#[tokio::test]
async fn debug_shows_no_message_bytes() {
    let answer = Answer { raw: Some(b"CANARY".to_vec()), ..Answer::frame(b"CANARY".to_vec()) };
    assert!(!format!("{answer:?}").contains("CANARY"));
    let received = Received {
        cut_off: false,
        bytes: b"CANARY".to_vec(),
        peer: "127.0.0.1:1".parse().unwrap(),
        peer_certificate: None,
        connection: 1,
    };
    assert!(!format!("{received:?}").contains("CANARY"));
}

/// What one write may hold: pieces of good frames, mutilated.
fn writes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        Just(framed("MSH|x")),
        Just(b"\x0b".to_vec()),
        Just(b"\x1c".to_vec()),
        Just(b"\x0bMSH|".to_vec()),
        Just(b"\x1c\r".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..300),
    ];
    proptest::collection::vec(piece, 1..12)
}

#[test]
fn no_sequence_of_writes_stops_the_listener_or_outgrows_its_limit() {
    const LIMIT: usize = 256;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settings = ListenerSettings { max_frame_bytes: LIMIT, ..ListenerSettings::default() };
    static LARGEST: AtomicUsize = AtomicUsize::new(0);
    let (address, _stop, _) = runtime.block_on(listen(settings, |r| async move {
        LARGEST.fetch_max(r.bytes.len(), Ordering::SeqCst);
        Answer::frame(b"ok".to_vec())
    }));
    // A fixed seed: what fails once fails again.
    let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    runner
        .run(&writes(), |writes| {
            runtime.block_on(async {
                let mut s = TcpStream::connect(&address).await.unwrap();
                for bytes in writes {
                    if s.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                let _ = s.shutdown().await;
                // Only frames of ours may come back.
                let mut all = Vec::new();
                let _ = s.read_to_end(&mut all).await;
                prop_assert_eq!(all.len() % 5, 0);
                prop_assert!(all.chunks(5).all(|c| c == b"\x0bok\x1c\r"));
                Ok(())
            })
        })
        .unwrap();
    let alive = runtime.block_on(async {
        let mut s = TcpStream::connect(&address).await.unwrap();
        s.write_all(&framed("MSH|1")).await.unwrap();
        read_frame(&mut s).await
    });
    assert_eq!(alive.as_deref(), Some("ok"));
    assert!((1..=LIMIT).contains(&LARGEST.load(Ordering::SeqCst)));
}

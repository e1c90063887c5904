//! What the MLLP pool says about every way an exchange can go.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ips_bridge::transport::mllp::ClientSettings;
use ips_bridge::transport::{Exchange, FrameError, NotSent, Sent, StrayKind, Unsure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::transport_support::*;

const SHORT: Duration = Duration::from_millis(150);

fn reply(exchange: &Exchange) -> &str {
    match &exchange.sent {
        Sent::Reply(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("no reply but {other:?}"),
    }
}

fn not_sent(exchange: &Exchange) -> &NotSent {
    match &exchange.sent {
        Sent::NotSent(why) => why,
        other => panic!("not NotSent but {other:?}"),
    }
}

fn unsure(exchange: &Exchange) -> &Unsure {
    match &exchange.sent {
        Sent::Unsure(why) => why,
        other => panic!("not Unsure but {other:?}"),
    }
}

async fn accept(tcp: &TcpListener) -> TcpStream {
    tokio::time::timeout(PATIENCE, tcp.accept()).await.expect("somebody connects").unwrap().0
}

/// Waits until the far end has closed.
async fn until_closed(stream: &mut TcpStream) {
    read_to_end(stream).await;
}

#[tokio::test]
async fn a_matching_frame_is_the_reply() {
    let exchange = one_send(|_| {}, acknowledge_all).await;
    assert_eq!(reply(&exchange), "ACK MSH|1");
    assert!(exchange.strays.is_empty());
}

#[tokio::test]
async fn a_reply_split_into_single_bytes_is_whole() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            for byte in framed("ACK MSH|1") {
                s.write_all(&[byte]).await.unwrap();
                s.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(reply(&exchange), "ACK MSH|1");
}

#[tokio::test]
async fn a_reply_whose_trailer_comes_in_another_packet_is_whole() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            s.write_all(b"\x0bACK MSH|1").await.unwrap();
            tokio::time::sleep(SHORT).await;
            s.write_all(b"\x1c\r").await.unwrap();
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(reply(&exchange), "ACK MSH|1");
}

#[tokio::test]
async fn a_reply_without_its_cr_is_taken_after_a_moment() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            s.write_all(b"\x0bACK MSH|1\x1c").await.unwrap();
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(reply(&exchange), "ACK MSH|1");
}

#[tokio::test]
async fn stray_line_ends_between_replies_disturb_nothing() {
    let (settings, _far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        while let Some(m) = read_frame(&mut s).await {
            s.write_all(&[&framed(&format!("ACK {m}"))[..], b"\n\r\n"].concat()).await.unwrap();
        }
    })
    .await;
    let (pool, _strays) = pool(settings);
    for i in 0..5 {
        let exchange = send(&pool, &format!("MSH|{i}")).await;
        assert_eq!(reply(&exchange), format!("ACK MSH|{i}"));
        assert!(exchange.strays.is_empty());
    }
    assert_eq!(pool.connections_made(), 1);
}

#[tokio::test]
async fn an_utf8_payload_goes_through_byte_for_byte() {
    let (settings, _far) = far_end(|tcp| async move { acknowledge_all(accept(&tcp).await).await }).await;
    let (pool, _strays) = pool(settings);
    let text = "MSH|’£€ŵŷ😀|".repeat(20_000);
    assert_eq!(reply(&send(&pool, &text).await), format!("ACK {text}"));
}

// ---- not sent: no byte can have reached the far end

#[tokio::test]
async fn an_unknown_name_is_not_sent() {
    let (pool, _strays) = pool(ClientSettings::new("no-such-host.invalid:2575"));
    assert!(
        matches!(not_sent(&send(&pool, "MSH|1").await), NotSent::Dns { host, .. } if host == "no-such-host.invalid")
    );
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    drop(tcp);
    let (pool, _strays) = pool(ClientSettings::new(address.clone()));
    assert_eq!(not_sent(&send(&pool, "MSH|1").await), &NotSent::Refused { address });
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_not_sent() {
    // A listener whose queue is full lets nobody finish connecting.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let mut fill = Vec::new();
    for _ in 0..8 {
        fill.push(tokio::spawn(TcpStream::connect(address)));
    }
    tokio::time::sleep(SHORT).await;
    let mut settings = ClientSettings::new(address.to_string());
    settings.connect_timeout = SHORT;
    let (pool, _strays) = pool(settings);
    let exchange = send(&pool, "MSH|1").await;
    assert!(matches!(not_sent(&exchange), NotSent::ConnectTimeout { after, .. } if *after == SHORT));
}

#[tokio::test]
async fn a_payload_with_framing_bytes_is_not_sent_and_blames_the_message() {
    let (settings, _far) = far_end(|tcp| async move { acknowledge_all(accept(&tcp).await).await }).await;
    let (pool, _strays) = pool(settings);
    for payload in ["MSH|a\u{b}b", "MSH|a\u{1c}b"] {
        let exchange = send(&pool, payload).await;
        assert_eq!(not_sent(&exchange), &NotSent::Message(FrameError::FramingByte));
        assert!(not_sent(&exchange).is_message_fault());
    }
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    assert_eq!(pool.connections_made(), 1);
}

#[tokio::test]
async fn a_payload_above_the_limit_is_not_sent() {
    let exchange = one_send(|s| s.max_frame_bytes = 4, |s| async move { drop(s) }).await;
    assert_eq!(not_sent(&exchange), &NotSent::Message(FrameError::TooLarge { bytes: 5, limit: 4 }));
}

#[tokio::test]
async fn a_closed_pool_sends_nothing() {
    let (settings, _far) = far_end(|tcp| async move { acknowledge_all(accept(&tcp).await).await }).await;
    let (pool, _strays) = pool(settings);
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    pool.close();
    assert_eq!(not_sent(&send(&pool, "MSH|2").await), &NotSent::PoolClosed);
    assert_eq!(pool.idle_connections(), 0);
}

#[tokio::test]
async fn a_new_connection_that_dies_before_the_first_byte_is_not_sent() {
    let (settings, far) = far_end(|tcp| async move { drop(accept(&tcp).await) }).await;
    let (pool, _strays) = pool(settings);
    let mut connection = pool.connect().await.unwrap();
    far.await.unwrap();
    let exchange = connection.send(b"MSH|1", &|_| true).await;
    assert_eq!(not_sent(&exchange), &NotSent::ClosedBeforeSend);
}

#[tokio::test]
async fn a_dead_idle_connection_is_replaced_and_never_unsure() {
    for _ in 0..20 {
        let (closed, is_closed) = oneshot::channel();
        let (settings, _far) = far_end(|tcp| async move {
            let mut first = accept(&tcp).await;
            let message = read_frame(&mut first).await.unwrap();
            first.write_all(&framed(&format!("ACK {message}"))).await.unwrap();
            drop(first);
            closed.send(()).unwrap();
            acknowledge_all(accept(&tcp).await).await;
        })
        .await;
        let (pool, _strays) = pool(settings);
        assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
        is_closed.await.unwrap();
        assert_eq!(reply(&send(&pool, "MSH|2").await), "ACK MSH|2");
        assert_eq!(pool.connections_made(), 2);
    }
}

#[tokio::test]
async fn a_connection_that_dies_while_held_is_replaced_when_it_served_before() {
    let (close, do_close) = oneshot::channel::<()>();
    let (closed, is_closed) = oneshot::channel();
    let (settings, _far) = far_end(|tcp| async move {
        let mut first = accept(&tcp).await;
        let message = read_frame(&mut first).await.unwrap();
        first.write_all(&framed(&format!("ACK {message}"))).await.unwrap();
        do_close.await.unwrap();
        drop(first);
        closed.send(()).unwrap();
        acknowledge_all(accept(&tcp).await).await;
    })
    .await;
    let (pool, _strays) = pool(settings);
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    let mut held = pool.connect().await.unwrap();
    assert_eq!(pool.connections_made(), 1);
    close.send(()).unwrap();
    is_closed.await.unwrap();
    let exchange = held.send(b"MSH|2", &|frame| frame == b"ACK MSH|2").await;
    assert_eq!(reply(&exchange), "ACK MSH|2");
    assert_eq!(pool.connections_made(), 2);
}

// ---- unsure: the far end may have seen it

#[tokio::test]
async fn silence_is_unsure_and_closes_the_socket() {
    let (settings, far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        read_frame(&mut s).await.unwrap();
        // Ends only when the client closes.
        read_to_end(&mut s).await
    })
    .await;
    let (pool, _strays) = pool(ClientSettings { reply_timeout: SHORT, ..settings });
    assert_eq!(unsure(&send(&pool, "MSH|1").await), &Unsure::ReplyTimeout(SHORT));
    assert_eq!(pool.idle_connections(), 0);
    assert_eq!(tokio::time::timeout(PATIENCE, far).await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn a_late_reply_is_never_credited_to_the_next_message() {
    let (settings, _far) = far_end(|tcp| async move {
        let mut first = accept(&tcp).await;
        let late = read_frame(&mut first).await.unwrap();
        let second = accept(&tcp).await;
        let _ = first.write_all(&framed(&format!("ACK {late}"))).await;
        acknowledge_all(second).await;
    })
    .await;
    let (pool, _strays) = pool(ClientSettings { reply_timeout: SHORT, ..settings.clone() });
    unsure(&send(&pool, "MSH|1").await);
    // Whatever the far end answers now, "MSH|1" is not it: this one takes any frame.
    let exchange = pool.send(b"MSH|2", &|_| true).await;
    assert_eq!(reply(&exchange), "ACK MSH|2");
}

#[tokio::test]
async fn a_close_without_reply_is_unsure() {
    let exchange = one_send(|_| {}, |mut s| async move { drop(read_frame(&mut s).await) }).await;
    assert_eq!(unsure(&exchange), &Unsure::ClosedBeforeReply);
}

#[tokio::test]
async fn a_reset_after_the_message_is_unsure() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            // Bytes left unread turn the close into a reset.
            s.read_u8().await.unwrap();
        },
    )
    .await;
    assert_eq!(unsure(&exchange), &Unsure::ReadFailed(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_close_in_the_middle_of_the_reply_is_unsure_and_the_piece_is_kept() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            s.write_all(b"\x0bACK MS").await.unwrap();
        },
    )
    .await;
    assert_eq!(unsure(&exchange), &Unsure::ClosedMidReply);
    assert_eq!(exchange.strays.len(), 1);
    assert_eq!(exchange.strays[0].kind, StrayKind::Fragment);
    assert_eq!(exchange.strays[0].bytes, b"\x0bACK MS");
}

#[tokio::test]
async fn a_reply_that_never_ends_is_unsure_and_the_piece_is_kept() {
    let exchange = one_send(
        |s| s.reply_timeout = SHORT,
        |mut s| async move {
            read_frame(&mut s).await;
            s.write_all(b"\x0bACK MSH|1").await.unwrap();
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(unsure(&exchange), &Unsure::ReplyTimeout(SHORT));
    assert_eq!(exchange.strays[0].bytes, b"\x0bACK MSH|1");
}

#[tokio::test]
async fn a_foreign_reply_is_kept_never_credited_and_closes_the_socket() {
    let (settings, far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        read_frame(&mut s).await.unwrap();
        s.write_all(&framed("ACK other")).await.unwrap();
        read_to_end(&mut s).await
    })
    .await;
    let (pool, _strays) = pool(settings);
    let exchange = send(&pool, "MSH|1").await;
    assert_eq!(unsure(&exchange), &Unsure::Mismatched);
    assert_eq!(exchange.strays[0].bytes, b"ACK other");
    assert_eq!(exchange.strays[0].kind, StrayKind::Frame);
    tokio::time::timeout(PATIENCE, far).await.expect("the socket is closed").unwrap();
}

#[tokio::test]
async fn a_doubled_reply_is_a_reply_and_a_stray() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            s.write_all(&framed("ACK MSH|1").repeat(2)).await.unwrap();
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(reply(&exchange), "ACK MSH|1");
    assert_eq!(exchange.strays.len(), 1);
}

#[tokio::test]
async fn a_reply_above_the_limit_is_unsure_and_its_beginning_is_kept() {
    let exchange = one_send(
        |s| s.max_frame_bytes = 1000,
        |mut s| async move {
            read_frame(&mut s).await;
            let _ = s.write_all(&framed(&"x".repeat(100_000))).await;
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(unsure(&exchange), &Unsure::ReplyTooLarge { limit: 1000 });
    let [kept] = &exchange.strays[..] else { panic!("{} kept", exchange.strays.len()) };
    assert!(kept.kind == StrayKind::Fragment && kept.bytes == format!("\x0b{}", "x".repeat(1000)).as_bytes());
}

#[tokio::test]
async fn an_answer_in_another_protocol_is_unsure_and_its_beginning_is_kept() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            let _ = s.write_all(&b"HTTP/1.1 400 Bad Request\r\n".repeat(400)).await;
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(unsure(&exchange), &Unsure::NotFramed);
    assert!(exchange.strays[0].bytes.starts_with(b"HTTP/1.1 400"));
    assert!(exchange.strays[0].bytes.len() <= 4096);
}

#[tokio::test]
async fn a_message_that_cannot_be_wholly_written_is_unsure() {
    let (settings, far) = far_end(|tcp| async move {
        let _deaf = accept(&tcp).await;
        tokio::time::sleep(PATIENCE).await;
    })
    .await;
    let (pool, _strays) = pool(ClientSettings { send_timeout: SHORT, max_frame_bytes: 64 * 1024 * 1024, ..settings });
    let exchange = send(&pool, &"x".repeat(32 * 1024 * 1024)).await;
    assert_eq!(unsure(&exchange), &Unsure::SendTimeout(SHORT));
    far.abort();
}

#[tokio::test]
async fn a_connection_cut_while_writing_is_unsure() {
    let (settings, _far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        s.read_u8().await.unwrap();
    })
    .await;
    let (pool, _strays) = pool(ClientSettings { max_frame_bytes: 64 * 1024 * 1024, ..settings });
    let exchange = send(&pool, &"x".repeat(32 * 1024 * 1024)).await;
    assert!(matches!(unsure(&exchange), Unsure::WriteFailed(_)), "{exchange:?}");
}

#[tokio::test]
async fn a_send_given_up_half_way_closes_its_connection() {
    let (settings, far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        read_frame(&mut s).await.unwrap();
        read_to_end(&mut s).await
    })
    .await;
    let (pool, _strays) = pool(settings);
    assert!(tokio::time::timeout(SHORT, pool.send(b"MSH|1", &|_| true)).await.is_err());
    assert_eq!(pool.idle_connections(), 0);
    tokio::time::timeout(PATIENCE, far).await.expect("the socket is closed").unwrap();
}

// ---- the pool

#[tokio::test]
async fn one_message_is_in_flight_on_each_connection_and_no_more_than_allowed_at_once() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let (settings, _far) = far_end(|tcp| async move {
        loop {
            let mut s = accept(&tcp).await;
            tokio::spawn(async move {
                while let Some(m) = read_frame(&mut s).await {
                    MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // A second message on this connection would be here by now.
                    let mut more = [0; 1];
                    let more = tokio::time::timeout(Duration::from_millis(5), s.peek(&mut more)).await;
                    assert!(more.is_err(), "a second message came before the reply");
                    NOW.fetch_sub(1, Ordering::SeqCst);
                    s.write_all(&framed(&format!("ACK {m}"))).await.unwrap();
                }
            });
        }
    })
    .await;
    let (pool, mut strays) = pool(ClientSettings { max_connections: 3, ..settings });
    let pool = Arc::new(pool);
    let all: Vec<_> = (0..60)
        .map(|i| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let message = format!("MSH|{i}");
                assert_eq!(reply(&send(&pool, &message).await), format!("ACK {message}"));
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
    assert!(pool.connections_made() <= 3);
    assert!(strays.try_recv().is_err());
}

#[tokio::test]
async fn a_frame_on_an_idle_connection_is_forwarded_and_closes_it() {
    let (settings, far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        let m = read_frame(&mut s).await.unwrap();
        s.write_all(&framed(&format!("ACK {m}"))).await.unwrap();
        tokio::time::sleep(SHORT).await;
        s.write_all(&framed("late")).await.unwrap();
        read_to_end(&mut s).await
    })
    .await;
    let (pool, mut strays) = pool(settings);
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    let stray = tokio::time::timeout(PATIENCE, strays.recv()).await.unwrap().unwrap();
    assert_eq!((stray.kind, stray.bytes), (StrayKind::Frame, b"late".to_vec()));
    tokio::time::timeout(PATIENCE, far).await.expect("the socket is closed").unwrap();
}

#[tokio::test]
async fn late_replies_on_the_connection_are_forwarded_and_it_stays_open_where_that_is_agreed() {
    let (settings, _far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        while let Some(m) = read_frame(&mut s).await {
            s.write_all(&framed(&format!("ACK {m}"))).await.unwrap();
            tokio::time::sleep(Duration::from_millis(60)).await;
            s.write_all(&framed(&format!("AA {m}"))).await.unwrap();
        }
    })
    .await;
    let (pool, mut strays) = pool(ClientSettings { late_replies_on_connection: true, ..settings });
    for i in 0..3 {
        assert_eq!(reply(&send(&pool, &format!("MSH|{i}")).await), format!("ACK MSH|{i}"));
        let stray = tokio::time::timeout(PATIENCE, strays.recv()).await.unwrap().unwrap();
        assert_eq!(stray.bytes, format!("AA MSH|{i}").into_bytes());
    }
    assert_eq!(pool.connections_made(), 1);
}

#[tokio::test]
async fn a_late_reply_that_overtakes_the_next_reply_is_a_stray_where_that_is_agreed() {
    let (settings, _far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        let mut before = None;
        while let Some(m) = read_frame(&mut s).await {
            if let Some(before) = before.replace(m.clone()) {
                s.write_all(&framed(&format!("AA {before}"))).await.unwrap();
            }
            s.write_all(&framed(&format!("ACK {m}"))).await.unwrap();
        }
    })
    .await;
    let (pool, _strays) = pool(ClientSettings { late_replies_on_connection: true, ..settings });
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    let second = send(&pool, "MSH|2").await;
    assert_eq!(reply(&second), "ACK MSH|2");
    assert_eq!(second.strays[0].bytes, b"AA MSH|1");
    assert_eq!(pool.connections_made(), 1);
}

#[tokio::test]
async fn replies_to_others_without_end_are_unsure() {
    let exchange = one_send(
        |s| s.late_replies_on_connection = true,
        |mut s| async move {
            read_frame(&mut s).await;
            for _ in 0..1000 {
                if s.write_all(&framed("AA other")).await.is_err() {
                    return;
                }
            }
            until_closed(&mut s).await;
        },
    )
    .await;
    assert_eq!(unsure(&exchange), &Unsure::TooManyStrays);
    assert!(exchange.strays.len() < 100);
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_idle_time() {
    let (settings, far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        let m = read_frame(&mut s).await.unwrap();
        s.write_all(&framed(&format!("ACK {m}"))).await.unwrap();
        read_to_end(&mut s).await
    })
    .await;
    let (pool, _strays) = pool(ClientSettings { idle_timeout: SHORT, ..settings });
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    tokio::time::timeout(PATIENCE, far).await.expect("the socket is closed").unwrap();
    assert_eq!(pool.idle_connections(), 0);
}

#[tokio::test]
async fn strays_nobody_has_room_for_are_kept_until_there_is_room() {
    let (settings, far) = far_end(|tcp| async move {
        let mut s = accept(&tcp).await;
        let m = read_frame(&mut s).await.unwrap();
        s.write_all(&framed(&format!("ACK {m}"))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        for i in 0..10 {
            s.write_all(&framed(&format!("late {i}"))).await.unwrap();
        }
    })
    .await;
    let (keeper, mut strays) = tokio::sync::mpsc::channel(1);
    let pool =
        ips_bridge::transport::mllp::Pool::new(ClientSettings { late_replies_on_connection: true, ..settings }, keeper);
    assert_eq!(reply(&send(&pool, "MSH|1").await), "ACK MSH|1");
    far.await.unwrap();
    for i in 0..10 {
        let stray = tokio::time::timeout(PATIENCE, strays.recv()).await.unwrap().unwrap();
        assert_eq!(stray.bytes, format!("late {i}").into_bytes());
    }
}

#[tokio::test]
async fn debug_shows_no_message_bytes() {
    let exchange = one_send(
        |_| {},
        |mut s| async move {
            read_frame(&mut s).await;
            s.write_all(&framed("CANARY")).await.unwrap();
            until_closed(&mut s).await;
        },
    )
    .await;
    assert!(!format!("{exchange:?}").contains("CANARY"));
    let sent = Sent::Reply(b"CANARY".to_vec());
    assert_eq!(format!("{sent:?}"), "Reply(<6 bytes>)");
}

//! HTTPS out: what counts as a reply, as not sent, as unsure.

use crate::support::web_end::{Act, Got, REQUEST, WebEnd, replied, reply, say, send, settings};
use ips_bridge::transport::http_message::HttpMessageError;
use ips_bridge::transport::https::{Auth, ClientSettings, Pool};
use ips_bridge::transport::{Exchange, NotSent, Sent, Unsure};
use std::time::Duration;

async fn one(
    change: impl FnOnce(&mut ClientSettings),
    act: impl Fn(usize, &Got) -> Act + Send + Sync + 'static,
) -> (Exchange, Vec<Got>) {
    let far = WebEnd::start(act).await;
    let mut settings = settings(far.addr());
    change(&mut settings);
    (send(&Pool::new(settings)).await, far.got())
}

#[tokio::test]
async fn any_whole_http_reply_is_a_reply_whatever_its_status() {
    for status in [200, 201, 202, 204, 301, 302, 400, 401, 404, 409, 412, 422, 429, 500, 503] {
        let body = if status == 204 { "" } else { "{\"resourceType\":\"OperationOutcome\"}" };
        let (exchange, got) = one(|_| {}, move |_, _| say(status, body)).await;
        let reply = replied(&exchange);
        assert_eq!((reply.status, reply.body.as_slice()), (status, body.as_bytes()));
        assert_eq!(got.len(), 1, "{status}: nothing is sent twice, no redirect is followed");
    }
}

#[tokio::test]
async fn a_request_leaves_as_it_was_made_with_what_only_the_transport_knows() {
    let fixed = |s: &mut ClientSettings| {
        s.headers = vec![("NHSD-Target-Identifier".into(), "e30=".into())];
        s.auth = Auth::Basic { user: "ips".into(), password: "open sesame".into() };
    };
    let answer = |_: usize, _: &Got| {
        Act::Say(reply(201, "Location: DocumentReference/17\r\nETag: W/\"1\"\r\nSet-Cookie: no\r\n", "{}"))
    };
    let (exchange, got) = one(fixed, answer).await;
    let got = &got[0];
    assert_eq!(got.line, "POST /fhir/DocumentReference HTTP/1.1");
    assert_eq!(got.body, b"{\"resourceType\":\"DocumentReference\"}");
    assert_eq!((got.header("if-none-exist"), got.header("content-type")), ("identifier=s|v", "application/fhir+json"));
    assert_eq!(
        (got.header("nhsd-target-identifier"), got.header("authorization")),
        ("e30=", "Basic aXBzOm9wZW4gc2VzYW1l")
    );
    assert!(!got.header("host").is_empty() && got.header("host").starts_with("127.0.0.1:"));
    let (request, correlation) = (got.header("x-request-id"), got.header("x-correlation-id"));
    assert!(uuid::Uuid::parse_str(request).is_ok() && request == correlation, "{request} {correlation}");
    let reply = replied(&exchange);
    assert_eq!(
        (reply.headers.get("location"), reply.headers.get("etag")),
        (Some("DocumentReference/17"), Some("W/\"1\""))
    );
    assert_eq!(reply.headers.get("set-cookie"), None);
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let far = WebEnd::start(|_, _| say(200, "")).await;
    let addr = far.addr();
    far.go_away();
    drop(far);
    crate::support::wait_until(Duration::from_secs(5), "a closed port", async || {
        std::net::TcpStream::connect(addr).is_err()
    })
    .await;
    let exchange = send(&Pool::new(settings(addr))).await;
    assert!(matches!(exchange.sent, Sent::NotSent(NotSent::Refused { .. })), "{exchange:?}");
}

#[tokio::test]
async fn bytes_that_are_no_request_never_leave_and_are_a_fault_of_the_message() {
    let far = WebEnd::start(|_, _| say(200, "")).await;
    let mut small = settings(far.addr());
    small.max_request_bytes = 10;
    let mut way = Pool::new(settings(far.addr())).connect().await.expect("a way");
    for bytes in [&b"MSH|^~\\&|"[..], b"POST https://elsewhere.example/x\n\n", b"POST x\nHost: elsewhere.example\n\n"] {
        let exchange = way.send(bytes, "C1").await;
        assert!(
            matches!(&exchange.sent, Sent::NotSent(e @ NotSent::Request(_)) if e.is_message_fault()),
            "{exchange:?}"
        );
    }
    let exchange = send(&Pool::new(small)).await;
    assert!(matches!(exchange.sent, Sent::NotSent(NotSent::Request(HttpMessageError::TooLong { .. }))), "{exchange:?}");
    assert!(far.got().is_empty());
}

#[tokio::test]
async fn a_far_end_that_never_answers_leaves_us_unsure() {
    let short = |s: &mut ClientSettings| s.reply_timeout = Duration::from_millis(200);
    let (exchange, got) = one(short, |_, _| Act::Hang).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::ReplyTimeout(_))), "{exchange:?}");
    assert_eq!(got.len(), 1);
}

#[tokio::test]
async fn half_a_reply_is_no_reply() {
    let whole =
        reply(201, "Location: DocumentReference/17\r\n", "{\"resourceType\":\"DocumentReference\",\"id\":\"17\"}");
    for cut in [0, 5, 40, whole.len() - 10] {
        let half = whole[..cut].to_vec();
        let (exchange, _) = one(|_| {}, move |_, _| Act::SayAndClose(half.clone())).await;
        let known = matches!(
            exchange.sent,
            Sent::Unsure(Unsure::ClosedBeforeReply | Unsure::ClosedMidReply | Unsure::ReadFailed(_))
        );
        assert!(known, "cut at {cut}: {exchange:?}");
    }
    // A head that came, and a body that never ends.
    let head = whole[..whole.len() - 10].to_vec();
    let short = |s: &mut ClientSettings| s.reply_timeout = Duration::from_millis(200);
    let (exchange, _) = one(short, move |_, _| Act::Say(head.clone())).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::ReplyTimeout(_))), "{exchange:?}");
}

#[tokio::test]
async fn bytes_that_are_no_http_leave_us_unsure() {
    let (exchange, _) = one(|_| {}, |_, _| Act::SayAndClose(b"MSH|^~\\&|EPR|\rMSA|AA|1\r\n\r\n".to_vec())).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::NotHttp)), "{exchange:?}");
}

#[tokio::test]
async fn a_reply_larger_than_the_limit_says_nothing() {
    let large = "x".repeat(64 * 1024 + 1);
    let (exchange, _) = one(|_| {}, move |_, _| say(201, &large)).await;
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::ReplyTooLarge { limit: 65_536 })), "{exchange:?}");
}

#[tokio::test]
async fn a_large_request_that_the_far_end_does_not_read_leaves_us_unsure() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut settings = settings(tcp.local_addr().expect("an address"));
    settings.send_timeout = Duration::from_millis(300);
    settings.max_request_bytes = 16 * 1024 * 1024;
    let pool = Pool::new(settings);
    let mut way = pool.connect().await.expect("a way");
    let (_stream, _) = tcp.accept().await.expect("connected");
    let request = [b"POST DocumentReference\nContent-Type: x/y\n\n".as_slice(), &vec![b'x'; 16 * 1024 * 1024]].concat();
    let exchange = tokio::time::timeout(Duration::from_secs(20), way.send(&request, "C1")).await.expect("it ends");
    assert!(matches!(exchange.sent, Sent::Unsure(Unsure::SendTimeout(_))), "{exchange:?}");
}

#[tokio::test]
async fn connections_are_kept_and_a_closed_one_is_replaced_before_anything_is_sent() {
    // The second request's connection is closed right after its reply.
    let far = WebEnd::start(|n, _| if n == 1 { Act::SayAndClose(reply(200, "", "{}")) } else { say(200, "{}") }).await;
    let pool = Pool::new(settings(far.addr()));
    for _ in 0..4 {
        assert_eq!(replied(&send(&pool).await).status, 200);
    }
    let connections: Vec<usize> = far.got().iter().map(|g| g.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1]);
    assert_eq!(pool.connections_made(), 2);
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let far = WebEnd::start(|_, _| say(200, "{}")).await;
    let pool = Pool::new(settings(far.addr()));
    let first = pool.connect().await.expect("one");
    let second = tokio::time::timeout(Duration::from_millis(100), pool.connect()).await;
    assert!(second.is_err(), "the second waits");
    drop(first);
    pool.connect().await.expect("the way is free again");
    pool.close();
    assert!(matches!(pool.connect().await, Err(NotSent::PoolClosed)));
}

#[tokio::test]
async fn a_resend_is_the_same_byte_for_byte() {
    let far = WebEnd::start(|_, _| Act::SayAndClose(Vec::new())).await;
    let pool = Pool::new(settings(far.addr()));
    for _ in 0..2 {
        let exchange = send(&pool).await;
        assert!(matches!(exchange.sent, Sent::Unsure(_)), "{exchange:?}");
    }
    let got = far.got();
    assert_eq!((&got[0].headers, &got[0].body), (&got[1].headers, &got[1].body));
    assert!(!REQUEST.is_empty());
}

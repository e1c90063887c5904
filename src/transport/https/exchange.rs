//! One request out and its reply in, on one connection.

use super::watched::Progress;
use crate::transport::http_message::Reply;
use crate::transport::net::is_certificate_refusal;
use crate::transport::{NotSent, Sent, Unsure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use std::error::Error;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// What an exchange keeps to.
pub(super) struct Terms<'a> {
    pub address: &'a str,
    /// For handing the whole request to the network.
    pub send_timeout: Duration,
    /// From the last byte that left to the whole reply.
    pub reply_timeout: Duration,
    pub reply_bytes_max: usize,
}

/// What came of it, and whether the connection may be used again.
pub(super) async fn exchange(
    way: &mut SendRequest<Full<Bytes>>,
    progress: &Progress,
    request: http::Request<Full<Bytes>>,
    terms: &Terms<'_>,
) -> (Sent, bool) {
    progress.restart();
    let began = Instant::now();
    let whole = whole_reply(way, request, terms.reply_bytes_max);
    tokio::pin!(whole);
    loop {
        let left = progress.left();
        let leaving = left.bytes == 0 || left.stuck;
        let end = if leaving { began + terms.send_timeout } else { left.last + terms.reply_timeout };
        let failed = tokio::select! {
            biased;
            answer = &mut whole => match answer {
                Ok(reply) => return (Sent::Reply(reply.to_bytes()), true),
                Err(why) => why,
            },
            () = progress.changed() => continue,
            () = tokio::time::sleep_until(end) => Failed::TooLong { leaving },
        };
        return (failed.into_sent(progress.left().bytes > 0, terms), false);
    }
}

/// Why no whole reply came.
enum Failed {
    TooLong {
        leaving: bool,
    },
    Before(hyper::Error),
    /// The reply ended, or broke, before it was whole.
    Within,
    TooLarge,
}

/// A reply counts only when it is whole: half a confirmation confirms nothing.
async fn whole_reply(
    way: &mut SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Reply, Failed> {
    let response = way.send_request(request).await.map_err(Failed::Before)?;
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Failed::Within)?.into_data() {
            if bytes.len() + data.len() > bytes_max {
                return Err(Failed::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
    }
    let headers = head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    Ok(Reply::new(head.status.as_u16(), headers, bytes))
}

impl Failed {
    fn into_sent(self, bytes_left: bool, terms: &Terms<'_>) -> Sent {
        match self {
            // TLS gives an application nothing before the client's certificate was accepted.
            Self::Before(e) if certificate_refused(&e) => Sent::NotSent(NotSent::Tls {
                address: terms.address.to_owned(),
                reason: "the far end refuses our certificate, or asks for one".to_owned(),
            }),
            Self::Before(_) if !bytes_left => Sent::NotSent(NotSent::ClosedBeforeSend),
            Self::TooLong { .. } if !bytes_left => Sent::NotSent(NotSent::SendTimeout(terms.send_timeout)),
            Self::TooLong { leaving: true } => Sent::Unsure(Unsure::SendTimeout(terms.send_timeout)),
            Self::TooLong { leaving: false } => Sent::Unsure(Unsure::ReplyTimeout(terms.reply_timeout)),
            Self::TooLarge => Sent::Unsure(Unsure::ReplyTooLarge { limit: terms.reply_bytes_max }),
            Self::Before(e) if e.is_parse() => Sent::Unsure(Unsure::NotHttp),
            Self::Before(e) => Sent::Unsure(kind(&e).map_or(Unsure::ClosedBeforeReply, Unsure::ReadFailed)),
            Self::Within => Sent::Unsure(Unsure::ClosedMidReply),
        }
    }
}

fn io_of(e: &hyper::Error) -> Option<&io::Error> {
    let mut next = e.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}

fn certificate_refused(e: &hyper::Error) -> bool {
    io_of(e).is_some_and(is_certificate_refusal)
}

/// `None`: it simply ended.
fn kind(e: &hyper::Error) -> Option<io::ErrorKind> {
    io_of(e).map(io::Error::kind).filter(|k| *k != io::ErrorKind::UnexpectedEof)
}

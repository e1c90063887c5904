//! One message out and its reply in, on one connection.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::link::{Heard, Link};
use super::strays::StrayBag;
use crate::transport::net::is_certificate_refusal;
use crate::transport::{NotSent, Sent, Stray, StrayKind, Unsure};

/// Most replies to other messages taken in while waiting for ours.
const STRAYS_MAX: usize = 16;
/// After a failed write, how long a reply that came all the same is looked for.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What an exchange keeps to.
pub(super) struct Terms<'a> {
    pub(super) address: &'a str,
    pub(super) send_timeout: Duration,
    pub(super) reply_timeout: Duration,
    pub(super) frame_bytes_max: usize,
    /// Replies to other messages may come in between: keep waiting for ours.
    pub(super) late_replies: bool,
}

/// Tells whether a frame is the reply to the message in hand.
pub use super::super::Matches;

/// Writes `frame` and waits for its reply. Also says whether the connection may be used again.
pub(super) async fn exchange(
    link: &mut Link,
    frame: &[u8],
    matches: Matches<'_>,
    terms: &Terms<'_>,
    strays: &mut StrayBag,
) -> (Sent, bool) {
    let (whole, limit, no_reply) = match write(link, frame, terms.send_timeout).await {
        Written::All => (true, terms.reply_timeout, Unsure::ReplyTimeout(terms.reply_timeout)),
        Written::Nothing(why) => return (Sent::NotSent(why), false),
        Written::Part(why) => (false, LAST_WORDS, why),
    };
    let sent = match tokio::time::timeout(limit, await_reply(link, matches, terms, strays)).await {
        Ok(Ok(reply)) => return (Sent::Reply(reply), whole && is_clean(link, terms, strays)),
        Ok(Err(Silence::NotSent(why))) => Sent::NotSent(why),
        Ok(Err(Silence::Unsure(why))) if whole => Sent::Unsure(why),
        Ok(Err(Silence::Unsure(_))) | Err(_) => Sent::Unsure(no_reply),
    };
    keep_fragment(link, strays);
    (sent, false)
}

enum Written {
    All,
    Nothing(NotSent),
    Part(Unsure),
}

async fn write(link: &mut Link, frame: &[u8], limit: Duration) -> Written {
    let mut taken = 0;
    let result = tokio::time::timeout(limit, async {
        while taken < frame.len() {
            match link.stream.write(&frame[taken..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => taken += n,
            }
        }
        link.stream.flush().await
    })
    .await;
    // Under TLS a failed write says nothing about what already left; on plain TCP the kernel tells how much it took.
    let may_have_left = taken > 0 || link.stream.is_tls();
    match result {
        Ok(Ok(())) => Written::All,
        Ok(Err(e)) if may_have_left => Written::Part(Unsure::WriteFailed(e.kind())),
        Ok(Err(e)) => Written::Nothing(NotSent::WriteFailed(e.kind())),
        Err(_) if may_have_left => Written::Part(Unsure::SendTimeout(limit)),
        Err(_) => Written::Nothing(NotSent::SendTimeout(limit)),
    }
}

/// Why no reply came.
enum Silence {
    NotSent(NotSent),
    Unsure(Unsure),
}

/// Cancel safe: strays are kept as they come.
async fn await_reply(
    link: &mut Link,
    matches: Matches<'_>,
    terms: &Terms<'_>,
    strays: &mut StrayBag,
) -> Result<Vec<u8>, Silence> {
    let (mut count, mut bytes) = (0, 0);
    loop {
        let why = match link.hear().await {
            Heard::Frame(frame) if matches(&frame) => return Ok(frame),
            Heard::Frame(frame) => {
                count += 1;
                bytes += frame.len();
                strays.push(Stray { bytes: frame, kind: StrayKind::Frame });
                match terms.late_replies {
                    true if count < STRAYS_MAX && bytes <= terms.frame_bytes_max => continue,
                    true => Unsure::TooManyStrays,
                    false => Unsure::Mismatched,
                }
            }
            Heard::Closed { mid_frame: true } => Unsure::ClosedMidReply,
            Heard::Closed { mid_frame: false } => Unsure::ClosedBeforeReply,
            Heard::TooLarge { limit } => Unsure::ReplyTooLarge { limit },
            Heard::NotFramed => Unsure::NotFramed,
            Heard::Failed(e) if is_certificate_refusal(&e) => {
                let why = NotSent::Tls { address: terms.address.to_owned(), reason: e.to_string() };
                return Err(Silence::NotSent(why));
            }
            Heard::Failed(e) => Unsure::ReadFailed(e.kind()),
        };
        return Err(Silence::Unsure(why));
    }
}

/// After a reply: takes what came behind it, and says whether the connection may be used again.
fn is_clean(link: &mut Link, terms: &Terms<'_>, strays: &mut StrayBag) -> bool {
    let mut clean = true;
    while let Some(heard) = link.decoded() {
        match heard {
            Heard::Frame(bytes) => {
                strays.push(Stray { bytes, kind: StrayKind::Frame });
                clean &= terms.late_replies;
            }
            _ => {
                clean = false;
                break;
            }
        }
    }
    clean &= link.stray_bytes() == 0 && (terms.late_replies || !link.mid_frame());
    if !clean {
        keep_fragment(link, strays);
    }
    clean
}

/// Before a message: takes what arrived while nobody waited, and says whether the connection is alive and may be used.
pub(super) async fn is_ready(link: &mut Link, late_replies: bool, strays: &mut StrayBag) -> bool {
    for _ in 0..STRAYS_MAX {
        match link.glance().await {
            None if link.stray_bytes() == 0 && (late_replies || !link.mid_frame()) => return true,
            Some(Heard::Frame(bytes)) => {
                strays.push(Stray { bytes, kind: StrayKind::Frame });
                if !late_replies {
                    break;
                }
            }
            None | Some(_) => break,
        }
    }
    keep_fragment(link, strays);
    false
}

fn keep_fragment(link: &mut Link, strays: &mut StrayBag) {
    if let Some(fragment) = link.take_fragment() {
        strays.push(fragment);
    }
}

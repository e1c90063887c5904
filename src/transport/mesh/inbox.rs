//! What came for us: listed, fetched chunk by chunk, acknowledged once whoever asked has kept it.

use super::client::{Client, Connection};
use super::is_id;
use super::unpack::{NotUnpacked, gunzip, is_gzip};
use crate::transport::Redacted;
use crate::transport::http_message::{Headers, Method, Reply, Request};
use crate::transport::{NotSent, Sent, Unsure};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// Most chunks of one message.
const CHUNKS_MAX: usize = 1_000;

/// A message in our inbox.
#[derive(Clone, PartialEq, Eq)]
pub struct InMessage {
    /// MESH's own id of it.
    pub id: String,
    /// What MESH says of it, `mex-…`, names in small letters.
    pub headers: Headers,
    /// All chunks, unpacked.
    pub body: Vec<u8>,
}

impl InMessage {
    /// What `Mex-{name}` says; nothing where it is not there.
    pub fn mex(&self, name: &str) -> &str {
        self.headers.get(&format!("mex-{name}")).unwrap_or_default()
    }

    /// MESH itself speaks, about a message of ours.
    pub fn is_report(&self) -> bool {
        self.mex("messagetype").eq_ignore_ascii_case("REPORT")
    }

    /// As bytes that can be kept: head and body.
    pub fn to_bytes(&self) -> Vec<u8> {
        Reply { status: 200, headers: self.headers.clone(), body: self.body.clone() }.to_bytes()
    }
}

impl fmt::Debug for InMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMessage({}, {:?}, {:?})", self.id, self.headers, Redacted(self.body.len()))
    }
}

/// What fetching brought.
#[derive(Debug)]
pub enum Fetched {
    Message(Box<InMessage>),
    /// It is no longer there for us: acknowledged before, or run out.
    Gone,
    /// All of it is here, and it cannot be unpacked. The body is as it came.
    Broken(Box<InMessage>),
    /// Larger than the limit: it stays where it is.
    TooLarge,
}

/// Why the mailbox could not be looked into now. Nothing was changed by trying.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    #[error("the mailbox could not be reached: {0}")]
    NotReached(NotSent),
    #[error("the mailbox gave no answer: {0}")]
    NoAnswer(Unsure),
    #[error("the mailbox answers {status} when asked to {what}")]
    Answered { what: &'static str, status: u16 },
    #[error("the mailbox answers something that cannot be read when asked to {what}")]
    Unreadable { what: &'static str },
}

/// A reply, where one came.
async fn asked(way: &mut Connection, method: Method, target: String) -> Result<Reply, NotFetched> {
    let request = Request::new(method, target, Headers::default(), Vec::new())
        .map_err(|e| NotFetched::NotReached(NotSent::Request(e)))?;
    match way.request(&request).await {
        Sent::Reply(bytes) => match Reply::parse(&bytes) {
            Ok(reply) if matches!(reply.status, 401 | 403) => Err(NotFetched::NotReached(way.shut_out(reply.status))),
            Ok(reply) => Ok(reply),
            Err(_) => Err(NotFetched::Unreadable { what: "read the mailbox" }),
        },
        Sent::NotSent(why) => Err(NotFetched::NotReached(why)),
        Sent::Unsure(why) => Err(NotFetched::NoAnswer(why)),
    }
}

impl Client {
    /// The ids of what waits, oldest first as MESH lists them; at most the settings' number.
    pub async fn list(&self) -> Result<Vec<String>, NotFetched> {
        let settings = &self.shared.settings;
        let mut way = self.open().await.map_err(NotFetched::NotReached)?;
        let mut target = format!("inbox?max_results={}", settings.inbox_page);
        let (mut ids, mut seen): (Vec<String>, HashSet<String>) = Default::default();
        // Each page brings something new, or is the last.
        while ids.len() < settings.inbox_max {
            let reply = asked(&mut way, Method::Get, target).await?;
            if reply.status != 200 {
                return Err(NotFetched::Answered { what: "list the inbox", status: reply.status });
            }
            let (page, next) = read_page(&reply.body).ok_or(NotFetched::Unreadable { what: "list the inbox" })?;
            let before = ids.len();
            for id in page {
                if ids.len() < settings.inbox_max && seen.insert(id.clone()) {
                    ids.push(id);
                }
            }
            match next {
                Some(next) if ids.len() > before => target = next,
                _ => break,
            }
        }
        ids.truncate(settings.inbox_max);
        Ok(ids)
    }

    /// One message, whole.
    pub async fn fetch(&self, id: &str) -> Result<Fetched, NotFetched> {
        let limit = self.shared.settings.max_message_bytes;
        let mut way = self.open().await.map_err(NotFetched::NotReached)?;
        let first = match asked(&mut way, Method::Get, format!("inbox/{id}")).await {
            Err(NotFetched::NoAnswer(Unsure::ReplyTooLarge { .. })) => return Ok(Fetched::TooLarge),
            other => other?,
        };
        match first.status {
            200 | 206 => {}
            404 | 410 => return Ok(Fetched::Gone),
            status => return Err(NotFetched::Answered { what: "give a message", status }),
        }
        let total = chunks(&first);
        if total > CHUNKS_MAX {
            return Ok(Fetched::TooLarge);
        }
        let (headers, mut raw, mut body, mut broken) = (first.headers.clone(), Vec::new(), Vec::new(), false);
        let mut part = first;
        for number in 1..=total.max(1) {
            if number > 1 {
                part = match asked(&mut way, Method::Get, format!("inbox/{id}/{number}")).await {
                    Err(NotFetched::NoAnswer(Unsure::ReplyTooLarge { .. })) => return Ok(Fetched::TooLarge),
                    other => other?,
                };
                if !matches!(part.status, 200 | 206) {
                    return Err(NotFetched::Answered { what: "give a chunk", status: part.status });
                }
            }
            raw.extend_from_slice(&part.body);
            let packed = part.headers.get("content-encoding").is_some_and(|e| e.eq_ignore_ascii_case("gzip"));
            let room = limit.saturating_sub(body.len());
            match if packed { gunzip(&part.body, room) } else { Ok(part.body.clone()) } {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(NotUnpacked::TooLarge) => return Ok(Fetched::TooLarge),
                Err(NotUnpacked::Broken) => broken = true,
            }
            if raw.len() > limit || body.len() > limit {
                return Ok(Fetched::TooLarge);
            }
        }
        let message = |body| Box::new(InMessage { id: id.to_owned(), headers: headers.clone(), body });
        if broken {
            return Ok(Fetched::Broken(message(raw)));
        }
        // Packed by the sender before it was handed to MESH.
        let says_packed = headers.get("mex-content-compressed").is_some_and(|v| v.eq_ignore_ascii_case("Y"));
        Ok(match says_packed && is_gzip(&body) {
            false => Fetched::Message(message(body)),
            true => match gunzip(&body, limit) {
                Ok(unpacked) => Fetched::Message(message(unpacked)),
                Err(NotUnpacked::TooLarge) => Fetched::TooLarge,
                Err(NotUnpacked::Broken) => Fetched::Broken(message(body)),
            },
        })
    }

    /// Tells MESH that a message is safe with us: it gives it to nobody any more. Doing so twice does no harm.
    pub async fn acknowledge(&self, id: &str) -> Result<(), NotFetched> {
        let mut way = self.open().await.map_err(NotFetched::NotReached)?;
        let reply = asked(&mut way, Method::Put, format!("inbox/{id}/status/acknowledged")).await?;
        match reply.status {
            200..=299 | 404 | 410 => Ok(()),
            status => Err(NotFetched::Answered { what: "acknowledge a message", status }),
        }
    }

    /// The name we gave to a message of ours, by MESH's id of it. `None`: MESH knows no such message of ours.
    pub async fn our_name(&self, message_id: &str) -> Result<Option<String>, NotFetched> {
        if !is_id(message_id) {
            return Ok(None);
        }
        let mut way = self.open().await.map_err(NotFetched::NotReached)?;
        let reply = asked(&mut way, Method::Get, format!("outbox/tracking?messageID={message_id}")).await?;
        match reply.status {
            200 => {
                let body: Value = serde_json::from_slice(&reply.body)
                    .map_err(|_| NotFetched::Unreadable { what: "track a message" })?;
                let name = body.get("local_id").or_else(|| body.get("localId")).and_then(Value::as_str);
                Ok(name.filter(|n| !n.is_empty()).map(str::to_owned))
            }
            404 => Ok(None),
            status => Err(NotFetched::Answered { what: "track a message", status }),
        }
    }
}

/// Ids of one page, and the next page's address below our mailbox.
fn read_page(body: &[u8]) -> Option<(Vec<String>, Option<String>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let listed = body.get("messages")?.as_array()?;
    // What cannot stand in a path cannot be fetched; MESH gives no such ids.
    let ids = listed.iter().filter_map(Value::as_str).filter(|id| is_id(id)).map(str::to_owned).collect();
    let next = body.pointer("/links/next").and_then(Value::as_str);
    // Only what was asked for is taken over, never where to ask.
    let next = next.and_then(|n| n.split_once('?')).map(|(_, query)| format!("inbox?{query}"));
    Some((ids, next))
}

/// `Mex-Chunk-Range: 1:3` means three; a report has none.
fn chunks(reply: &Reply) -> usize {
    let range = reply.headers.get("mex-chunk-range").and_then(|r| r.split_once(':')).map(|(_, total)| total.trim());
    range.and_then(|total| total.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_ids_and_a_query_and_never_another_place() {
        let page = |text: &str| read_page(text.as_bytes());
        let whole = r#"{"messages":["20220228174323222_ABCDEF","../x",7],"links":{"self":"/m/inbox","next":"https://evil.example/m/inbox?max_results=10&continue_from=a%3D"}}"#;
        assert_eq!(
            page(whole),
            Some((
                vec!["20220228174323222_ABCDEF".to_owned()],
                Some("inbox?max_results=10&continue_from=a%3D".to_owned())
            ))
        );
        assert_eq!(page(r#"{"messages":[]}"#), Some((vec![], None)));
        assert_eq!(page(r#"{"messages":"x"}"#), None);
        assert_eq!(page("<html>"), None);
    }

    #[test]
    fn the_number_of_chunks_is_what_mesh_says() {
        let reply = |range: &str| Reply::new(206, [("mex-chunk-range", range)], Vec::new());
        assert_eq!((chunks(&reply("1:3")), chunks(&reply("1:1")), chunks(&reply("x"))), (3, 1, 1));
        assert_eq!(chunks(&Reply::new(200, [], Vec::new())), 1);
    }
}

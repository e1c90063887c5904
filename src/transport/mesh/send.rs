//! One message into the other mailbox, in as many chunks as it takes.

use super::client::Connection;
use super::is_id;
use super::receipt::Receipt;
use crate::transport::http_message::{Headers, HttpMessageError, Method, Reply, Request};
use crate::transport::{NotSent, Sent, Unsure};
use serde_json::Value;
use tokio::time::Instant;

/// What a pack may say beside the body.
const THE_PACKS: &[&str] = &["mex-subject", "mex-filename"];
/// Longest name, subject or workflow that MESH takes.
const SHORT_MAX: usize = 100;

/// Posts a rendered message. `id` is our name for it.
pub(super) async fn message(way: &mut Connection, request: &Request, id: &str) -> Sent {
    let settings = way.shared.settings.clone();
    let end = Instant::now() + settings.message_timeout;
    if request.body.len() > settings.max_message_bytes {
        return Sent::NotSent(NotSent::Request(HttpMessageError::TooLong { what: "the message" }));
    }
    let parts: Vec<&[u8]> = request.body.chunks(settings.chunk_bytes.max(1)).collect();
    let (Some(first), total) = (parts.first(), parts.len()) else {
        return Sent::NotSent(NotSent::Request(HttpMessageError::Empty));
    };
    let head = match head(request, id, total, &settings.to_mailbox, &settings.workflow) {
        Ok(head) => head,
        Err(why) => return Sent::NotSent(NotSent::Request(why)),
    };
    let post = Request { method: Method::Post, target: "outbox".into(), headers: head, body: first.to_vec() };
    let reply = match way.request(&post).await {
        Sent::Reply(bytes) => match Reply::parse(&bytes) {
            Ok(reply) => reply,
            Err(_) => return Sent::Unsure(Unsure::NotHttp),
        },
        // The rest of it will never come, so nobody will ever see this beginning. It may be the message, not the line: tries are counted.
        Sent::Unsure(_) if total > 1 => return said(&Receipt::broken_off()),
        other => return other,
    };
    if matches!(reply.status, 401 | 403) && codes(&reply.body).is_empty() {
        return Sent::NotSent(way.shut_out(reply.status));
    }
    let message_id = message_id(&reply);
    let receipt =
        |message_id, unfinished| Receipt { status: reply.status, message_id, unfinished, body: reply.body.clone() };
    match message_id {
        Some(message_id) if total > 1 => {
            let upload = Upload { way, message_id, total, end };
            upload.rest(&parts, receipt(None, true)).await
        }
        message_id => said(&receipt(message_id, total > 1)),
    }
}

fn said(receipt: &Receipt) -> Sent {
    Sent::Reply(receipt.encode())
}

/// Headers of the first POST.
fn head(request: &Request, id: &str, total: usize, to: &str, workflow: &str) -> Result<Headers, HttpMessageError> {
    let mut headers = Headers::default();
    let own = |name: &&(&str, &str)| name.0.to_ascii_lowercase().starts_with("mex-");
    let given: Vec<(&str, &str)> = request.headers.iter().collect();
    for (name, value) in given.iter().filter(own) {
        if !THE_PACKS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(HttpMessageError::NotTheMessages { name: (*name).to_owned() });
        }
        if value.len() > SHORT_MAX {
            return Err(HttpMessageError::TooLong { what: "the subject or file name" });
        }
        headers.add(name, value)?;
    }
    headers.add("Content-Type", request.headers.get("content-type").unwrap_or("application/octet-stream"))?;
    headers.add("Mex-To", to)?;
    headers.add("Mex-WorkflowID", workflow)?;
    headers.add("Mex-LocalID", id)?;
    headers.add("Mex-Chunk-Range", &format!("1:{total}"))?;
    if headers.get("mex-filename").is_none() {
        headers.add("Mex-FileName", &format!("{id}.json"))?;
    }
    Ok(headers)
}

/// MESH's id of what was taken; `None`: it was not.
fn message_id(reply: &Reply) -> Option<String> {
    let body: Value = serde_json::from_slice(&reply.body).ok().filter(|_| reply.status / 100 == 2)?;
    let id = body.get("message_id").or_else(|| body.get("messageID"))?.as_str()?;
    is_id(id).then(|| id.to_owned())
}

/// MESH's error codes in an answer, of its first API and its second.
fn codes(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let second = body.get("detail").and_then(Value::as_array).into_iter().flatten().filter_map(|d| d.get("code"));
    let first = body.get("errorCode").into_iter().chain(body.pointer("/detail/errorCode"));
    let all = second.chain(first).filter_map(Value::as_str);
    all.filter(|code| !code.is_empty()).map(str::to_owned).collect()
}

/// A message of which MESH has the first chunk.
struct Upload<'c> {
    way: &'c mut Connection,
    message_id: String,
    total: usize,
    end: Instant,
}

/// What became of one chunk, all its tries together.
enum Chunk {
    Taken,
    /// Answered, by a word that more tries would not change.
    Refused(Receipt),
    /// No byte of it can have been taken.
    NotTaken,
    /// MESH does not know us any more.
    ShutOut(NotSent),
    /// It left, and what became of it nobody said.
    Silent(Unsure),
    /// A gateway's word (5xx): what stands behind it may have taken the chunk.
    Unclear(Receipt),
}

impl Chunk {
    fn is_doubtful(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Unclear(_))
    }
}

impl Upload<'_> {
    async fn rest(mut self, parts: &[&[u8]], taken: Receipt) -> Sent {
        for (number, part) in (1..).zip(parts).skip(1) {
            let is_last = number == self.total;
            match self.chunk(number, part).await {
                Chunk::Taken => {}
                Chunk::Refused(receipt) => return said(&receipt),
                Chunk::ShutOut(why) => return Sent::NotSent(why),
                Chunk::NotTaken => return said(&Receipt::broken_off()),
                Chunk::Silent(_) if !is_last => return said(&Receipt::broken_off()),
                Chunk::Unclear(receipt) if !is_last => return said(&Receipt { unfinished: true, ..receipt }),
                // With its last chunk the other mailbox may have it: MESH itself says whether.
                Chunk::Silent(why) if !self.is_whole().await => return Sent::Unsure(why),
                Chunk::Unclear(receipt) if !self.is_whole().await => return said(&receipt),
                Chunk::Silent(_) | Chunk::Unclear(_) => {}
            }
        }
        said(&Receipt { message_id: Some(self.message_id), unfinished: false, ..taken })
    }

    /// A chunk has a number: the same one again replaces itself, so it may go again.
    async fn chunk(&mut self, number: usize, part: &[u8]) -> Chunk {
        let settings = self.way.shared.settings.clone();
        let mut headers = Headers::default();
        let range = format!("{number}:{}", self.total);
        for (name, value) in [("Mex-Chunk-Range", range.as_str()), ("Content-Type", "application/octet-stream")] {
            if headers.add(name, value).is_err() {
                return Chunk::NotTaken;
            }
        }
        let target = format!("outbox/{}/{number}", self.message_id);
        let request = Request { method: Method::Post, target, headers, body: part.to_vec() };
        let mut so_far = Chunk::NotTaken;
        for _ in 0..settings.chunk_tries {
            // Only what can end in time is begun: afterwards nobody may be left to hear the answer.
            if Instant::now() + settings.one_request() > self.end {
                break;
            }
            match (self.try_once(&request).await, so_far.is_doubtful()) {
                (Chunk::Taken, _) => return Chunk::Taken,
                // Perhaps refused because it is there already.
                (Chunk::Refused(_), true) => break,
                (refused @ Chunk::Refused(_), false) => return refused,
                (Chunk::NotTaken | Chunk::ShutOut(_), true) => {}
                (other, _) => so_far = other,
            }
        }
        so_far
    }

    async fn try_once(&mut self, request: &Request) -> Chunk {
        let bytes = match self.way.request(request).await {
            Sent::Reply(bytes) => bytes,
            Sent::NotSent(_) => return Chunk::NotTaken,
            Sent::Unsure(why) => return Chunk::Silent(why),
        };
        let Ok(reply) = Reply::parse(&bytes) else { return Chunk::Silent(Unsure::NotHttp) };
        let receipt =
            |unfinished| Receipt { status: reply.status, message_id: None, unfinished, body: reply.body.clone() };
        match reply.status {
            200..=299 => Chunk::Taken,
            401 | 403 => Chunk::ShutOut(self.way.shut_out(reply.status)),
            408 | 425 | 429 => Chunk::NotTaken,
            500.. => Chunk::Unclear(receipt(false)),
            _ => Chunk::Refused(receipt(true)),
        }
    }

    /// Whether MESH says that it holds all of the message.
    async fn is_whole(&mut self) -> bool {
        if Instant::now() + self.way.shared.settings.one_request() > self.end {
            return false;
        }
        let target = format!("outbox/tracking?messageID={}", self.message_id);
        let Ok(reply) = self.way.ask(Method::Get, target).await else { return false };
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let status = body.get("status").and_then(Value::as_str).unwrap_or_default();
        let whole = ["accepted", "acknowledged"].iter().any(|word| word.eq_ignore_ascii_case(status));
        reply.status == 200 && whole
    }
}

#[cfg(test)]
mod tests {
    use super::super::MESSAGE;
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut all = Headers::default();
        for (name, value) in headers {
            all.add(name, value).expect("good");
        }
        Request::new(Method::Post, MESSAGE.into(), all, b"{}".to_vec()).expect("good")
    }

    #[test]
    fn a_pack_says_the_subject_and_nothing_that_decides_where_a_message_goes() {
        let head = |headers: &[(&str, &str)]| head(&request(headers), "C1", 2, "X26ABC2", "W");
        let good = head(&[("Content-Type", "application/fhir+json"), ("Mex-Subject", "IPS note"), ("Accept", "a/b")]);
        let good = good.expect("good");
        for (name, value) in [
            ("mex-to", "X26ABC2"),
            ("mex-workflowid", "W"),
            ("mex-localid", "C1"),
            ("mex-chunk-range", "1:2"),
            ("mex-filename", "C1.json"),
            ("mex-subject", "IPS note"),
            ("content-type", "application/fhir+json"),
        ] {
            assert_eq!(good.get(name), Some(value));
        }
        assert_eq!(good.get("accept"), None);
        for name in ["Mex-To", "mex-workflowid", "Mex-LocalID", "Mex-Chunk-Range", "Mex-From"] {
            assert!(matches!(head(&[(name, "x")]), Err(HttpMessageError::NotTheMessages { .. })), "{name}");
        }
        assert!(head(&[("Mex-Subject", &"x".repeat(101))]).is_err());
    }

    #[test]
    fn an_id_is_taken_only_from_a_success() {
        let reply = |status, body: &str| Reply::new(status, [], body.as_bytes().to_vec());
        assert_eq!(message_id(&reply(202, r#"{"message_id":"AB1"}"#)).as_deref(), Some("AB1"));
        assert_eq!(message_id(&reply(202, r#"{"messageID":"AB1"}"#)).as_deref(), Some("AB1"));
        for (status, body) in [
            (417, r#"{"message_id":"AB1"}"#),
            (202, ""),
            (202, r#"{"message_id":"../x"}"#),
            (202, r#"{"message_id":1}"#),
        ] {
            assert_eq!(message_id(&reply(status, body)), None, "{status} {body}");
        }
        assert_eq!(codes(br#"{"detail":[{"event":"SEND","code":"12","msg":"x"}]}"#), ["12"]);
        assert_eq!(codes(br#"{"errorEvent":"SEND","errorCode":"12"}"#), ["12"]);
        assert_eq!(codes(br#"{"message":"x"}"#), [] as [&str; 0]);
    }
}

//! A pretend MESH on loopback, stricter than the sandbox that others wrote: a nonce counts once, a workflow must be known, and it does exactly the harm that
//! a test asks for.

use super::web_end::{Act, Got, WebEnd, reply};
use ips_bridge::transport::https::{Ambient, Base};
use ips_bridge::transport::mesh::{Client, Keys, MeshSettings, authorization};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub const OURS: &str = "X26ABC1";
pub const THEIRS: &str = "X26ABC2";
pub const WORKFLOW: &str = "TEST_WORKFLOW";
pub const ACKS: &str = "TEST_WORKFLOW_ACK";
pub const PASSWORD: &str = "password";
pub const KEY: &str = "TestKey";

/// A message as MESH holds it.
#[derive(Clone, Default)]
pub struct Held {
    pub id: String,
    pub from: String,
    pub to: String,
    pub workflow: String,
    pub local_id: String,
    pub total: usize,
    pub chunks: Vec<Vec<u8>>,
    /// `uploading`, `accepted`, `acknowledged`, `undeliverable`.
    pub status: String,
    /// For reports: linked id and code.
    pub report: Option<(String, String)>,
    /// How chunks travel: `gzip` or nothing.
    pub encoding: String,
}

/// What goes wrong with a request.
#[derive(Clone)]
pub enum Harm {
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// The connection ends, nothing is done.
    Drop,
    /// Nothing is done and nothing is said, ever.
    Hang,
    /// Nothing is done and this is answered.
    Answer(u16, &'static str),
}

#[derive(Default)]
struct State {
    held: Vec<Held>,
    nonces: BTreeSet<String>,
    /// Part of a request's first line, what happens, how often still.
    harms: Vec<(String, Harm, usize)>,
    seen: Vec<String>,
    next: usize,
}

pub struct MeshEnd {
    web: WebEnd,
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MeshEnd {
    pub async fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        let web = WebEnd::start(move |_, got| lock(&shared).act(got)).await;
        Self { web, state }
    }

    pub fn addr(&self) -> SocketAddr {
        self.web.addr()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// The next `times` requests whose first line holds `part` come to harm.
    pub fn harm(&self, part: &str, harm: Harm, times: usize) {
        lock(&self.state).harms.push((part.to_owned(), harm, times));
    }

    /// No more harm.
    pub fn mend(&self) {
        lock(&self.state).harms.clear();
    }

    /// All that MESH holds.
    pub fn held(&self) -> Vec<Held> {
        lock(&self.state).held.clone()
    }

    /// First lines of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.state).seen.clone()
    }

    pub fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|line| line.contains(part)).count()
    }

    /// What lies in a mailbox and can be seen there.
    pub fn visible(&self, mailbox: &str) -> Vec<Held> {
        self.held().into_iter().filter(|m| m.to == mailbox && m.status == "accepted").collect()
    }

    /// Puts a message into a mailbox.
    pub fn put(&self, message: Held) -> String {
        let mut state = lock(&self.state);
        let id = state.id();
        let total = message.total.max(message.chunks.len());
        state.held.push(Held { id: id.clone(), status: "accepted".into(), total, ..message });
        id
    }

    /// What somebody else sends us.
    pub fn put_data(&self, workflow: &str, body: impl Into<Vec<u8>>) -> String {
        self.put(Held {
            from: THEIRS.into(),
            to: OURS.into(),
            workflow: workflow.into(),
            chunks: vec![body.into()],
            ..Held::default()
        })
    }

    /// MESH's own word that a message of ours was not delivered.
    pub fn put_report(&self, about: &str, local_id: &str, code: &str) -> String {
        self.put(Held {
            to: OURS.into(),
            workflow: WORKFLOW.into(),
            local_id: local_id.into(),
            report: Some((about.into(), code.into())),
            ..Held::default()
        })
    }

    pub fn set_status(&self, id: &str, status: &str) {
        for message in lock(&self.state).held.iter_mut().filter(|m| m.id == id) {
            message.status = status.into();
        }
    }
}

fn problem(status: u16, code: &str) -> Act {
    let body = json!({ "detail": [{ "event": "SEND", "code": code, "msg": "refused" }] });
    Act::Say(reply(status, "", &body.to_string()))
}

fn done(status: u16, headers: &str, body: &str) -> Act {
    Act::Say(reply(status, headers, body))
}

impl State {
    fn id(&mut self) -> String {
        self.next += 1;
        format!("20260302093000{:06}_ABC{:03}", self.next, self.next)
    }

    fn act(&mut self, got: &Got) -> Act {
        self.seen.push(got.line.clone());
        let harm = self.harms.iter_mut().find(|(part, _, times)| *times > 0 && got.line.contains(part.as_str()));
        let harm = harm.map(|(_, harm, times)| {
            *times -= 1;
            harm.clone()
        });
        match harm {
            Some(Harm::Answer(status, body)) => done(status, "", body),
            Some(Harm::Drop) => Act::SayAndClose(Vec::new()),
            Some(Harm::Hang) => Act::Hang,
            Some(Harm::LoseAnswer) => {
                drop(self.answer(got));
                Act::SayAndClose(Vec::new())
            }
            None => self.answer(got),
        }
    }

    fn answer(&mut self, got: &Got) -> Act {
        let mut line = got.line.split(' ');
        let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
        let path = target.strip_prefix("/messageexchange/").unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        let mailbox = parts.first().copied().unwrap_or_default().to_owned();
        if !self.is_signed(&mailbox, got.header("authorization")) {
            return done(403, "", r#"{"message":"Invalid Authentication Token"}"#);
        }
        match (method, &parts[1..]) {
            ("POST", []) => done(if got.header("mex-clientversion").is_empty() { 400 } else { 200 }, "", ""),
            ("POST", ["outbox"]) => self.post(&mailbox, got),
            ("POST", ["outbox", id, number]) => self.chunk(&mailbox, id, number, got),
            ("GET", ["inbox"]) => self.list(&mailbox, query),
            ("GET", ["inbox", id]) => self.give(&mailbox, id, 1),
            ("GET", ["inbox", id, number]) => self.give(&mailbox, id, number.parse().unwrap_or(0)),
            ("PUT", ["inbox", id, "status", "acknowledged"]) => {
                for message in self.held.iter_mut().filter(|m| m.id == *id && m.to == mailbox) {
                    message.status = "acknowledged".into();
                }
                done(200, "", "")
            }
            ("GET", ["outbox", "tracking"]) => {
                let id = query.strip_prefix("messageID=").unwrap_or_default().to_owned();
                self.track(&mailbox, |m| m.id == id, false)
            }
            ("GET", ["outbox", "tracking", local]) => self.track(&mailbox, |m| m.local_id == **local, true),
            _ => done(404, "", "{}"),
        }
    }

    fn is_signed(&mut self, mailbox: &str, shown: &str) -> bool {
        let parts: Vec<&str> = shown.trim_start_matches("NHSMESH ").split(':').collect();
        let [who, nonce, count, time, _] = parts[..] else { return false };
        let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M", time).expect("a time");
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC").timestamp();
        let count = count.parse().expect("a number");
        let right = authorization(mailbox, PASSWORD, KEY.as_bytes(), nonce, count, time);
        who == mailbox && shown == right && self.nonces.insert(format!("{mailbox}:{nonce}"))
    }

    fn post(&mut self, mailbox: &str, got: &Got) -> Act {
        let total = got.header("mex-chunk-range").strip_prefix("1:").and_then(|t| t.parse().ok()).unwrap_or(0);
        if total == 0 || got.body.is_empty() || got.header("mex-localid").is_empty() {
            return problem(417, "02");
        }
        if got.header("mex-to") != THEIRS && got.header("mex-to") != OURS {
            return problem(417, "12");
        }
        if !got.header("mex-workflowid").starts_with(WORKFLOW) {
            return problem(403, "17");
        }
        let id = self.id();
        self.held.push(Held {
            id: id.clone(),
            from: mailbox.into(),
            to: got.header("mex-to").into(),
            workflow: got.header("mex-workflowid").into(),
            local_id: got.header("mex-localid").into(),
            total,
            chunks: vec![got.body.clone()],
            status: if total > 1 { "uploading" } else { "accepted" }.into(),
            ..Held::default()
        });
        done(202, "", &json!({ "message_id": id }).to_string())
    }

    fn chunk(&mut self, mailbox: &str, id: &str, number: &str, got: &Got) -> Act {
        let number: usize = number.parse().unwrap_or(0);
        let Some(message) = self.held.iter_mut().find(|m| m.id == id && m.from == mailbox) else {
            return problem(404, "20");
        };
        if message.status != "uploading" {
            return problem(423, "");
        }
        if got.header("mex-chunk-range") != format!("{number}:{}", message.total) || number < 2 {
            return problem(417, "x");
        }
        message.chunks.resize(message.chunks.len().max(number), Vec::new());
        message.chunks[number - 1] = got.body.clone();
        if number == message.total {
            message.status = "accepted".into();
        }
        done(202, "", "{}")
    }

    fn list(&self, mailbox: &str, query: &str) -> Act {
        let mut waiting = self.held.iter().filter(|m| m.to == mailbox && m.status == "accepted").map(|m| m.id.as_str());
        let after = query.split('&').find_map(|p| p.strip_prefix("continue_from="));
        if let Some(after) = after {
            let _ = waiting.find(|id| *id == after);
        }
        let size = query.split('&').find_map(|p| p.strip_prefix("max_results=")?.parse().ok()).unwrap_or(500usize);
        let waiting: Vec<&str> = waiting.collect();
        let page: Vec<&str> = waiting.iter().take(size).copied().collect();
        let mut body = json!({ "messages": page, "links": { "self": format!("/messageexchange/{mailbox}/inbox") } });
        if waiting.len() > page.len() {
            let last = page.last().expect("a page holds something");
            let next = format!("/messageexchange/{mailbox}/inbox?max_results={size}&continue_from={last}");
            body["links"]["next"] = next.into();
        }
        done(200, "", &body.to_string())
    }

    fn give(&self, mailbox: &str, id: &str, number: usize) -> Act {
        let Some(m) = self.held.iter().find(|m| m.id == id && m.to == mailbox) else { return problem(404, "20") };
        if m.status == "uploading" {
            return problem(410, "");
        }
        let mut headers = format!(
            "Mex-MessageID: {id}\r\nMex-From: {}\r\nMex-To: {mailbox}\r\nMex-WorkflowID: {}\r\nMex-FileName: {id}.dat\r\n",
            m.from, m.workflow
        );
        if !m.local_id.is_empty() {
            headers.push_str(&format!("Mex-LocalID: {}\r\n", m.local_id));
        }
        if let Some((linked, code)) = &m.report {
            headers.push_str(&format!(
                "Mex-MessageType: REPORT\r\nMex-LinkedMsgID: {linked}\r\nMex-StatusCode: {code}\r\nMex-StatusSuccess: ERROR\r\n"
            ));
            return done(200, &headers, "");
        }
        headers.push_str(&format!("Mex-MessageType: DATA\r\nMex-Chunk-Range: {number}:{}\r\n", m.total));
        if !m.encoding.is_empty() {
            headers.push_str(&format!("Content-Encoding: {}\r\n", m.encoding));
        }
        let Some(chunk) = m.chunks.get(number.wrapping_sub(1)) else { return problem(404, "20") };
        let status = if number < m.total { 206 } else { 200 };
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n{headers}\r\n",
            chunk.len()
        );
        Act::Say([head.as_bytes(), chunk].concat())
    }

    fn track(&self, mailbox: &str, which: impl Fn(&Held) -> bool, first_api: bool) -> Act {
        let found: Vec<&Held> = self.held.iter().filter(|m| m.from == mailbox && which(m)).collect();
        match found[..] {
            [] => problem(404, ""),
            [m] if first_api => done(
                200,
                "",
                &json!({ "messageId": m.id, "localId": m.local_id, "status": m.status, "statusSuccess": "SUCCESS" })
                    .to_string(),
            ),
            [m] => done(
                200,
                "",
                &json!({ "message_id": m.id, "local_id": m.local_id, "status": m.status, "status_success": true })
                    .to_string(),
            ),
            _ => done(300, "", "{}"),
        }
    }
}

/// Settings for our mailbox at this address, with short waits.
pub fn settings(url: &str, ambient: Ambient) -> MeshSettings {
    MeshSettings {
        base: Base::parse(&format!("{url}/messageexchange/{OURS}")).expect("an address"),
        tls: None,
        mailbox: OURS.into(),
        keys: Keys { password: PASSWORD.into(), shared_key: KEY.into() },
        to_mailbox: THEIRS.into(),
        workflow: WORKFLOW.into(),
        max_connections: 2,
        connect_timeout: Duration::from_secs(5),
        send_timeout: Duration::from_secs(5),
        reply_timeout: Duration::from_secs(5),
        message_timeout: Duration::from_secs(120),
        chunk_bytes: 1024 * 1024,
        chunk_tries: 3,
        max_message_bytes: 4 * 1024 * 1024,
        inbox_page: 10,
        inbox_max: 1_000,
        handshake_every: Duration::from_secs(3600),
        ambient,
    }
}

/// The same for another mailbox, sending to `to`.
pub fn mailbox(url: &str, own: &str, to: &str, workflow: &str, ambient: Ambient) -> Client {
    Client::new(MeshSettings {
        base: Base::parse(&format!("{url}/messageexchange/{own}")).expect("an address"),
        mailbox: own.into(),
        to_mailbox: to.into(),
        workflow: workflow.into(),
        ..settings(url, ambient)
    })
}

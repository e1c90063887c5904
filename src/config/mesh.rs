//! `[endpoint.mesh]`: our mailbox at NHS MESH, the one that messages go to, and how often ours is looked into.

use super::https::{Url, url};
use super::secret::Secret;
use super::section::Section;
use super::tls::{ClientTls, client_tls};
use super::tree::Node;
use super::trust::Trust;
use super::values::{Parsed, days, duration, int, minutes, named, secs, show_duration, text, wrong};
use crate::domain::organisation::TeamId;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Mesh {
    /// Where MESH is, without the mailbox.
    pub url: Url,
    /// Ours.
    pub mailbox: String,
    pub password: Secret,
    pub shared_key: Secret,
    /// The trust's.
    pub to_mailbox: String,
    /// What our messages are sent under.
    pub workflow: String,
    /// What acknowledgements of them come under.
    pub ack_workflow: String,
    pub max_connections: u32,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub reply_timeout: Duration,
    pub message_timeout: Duration,
    pub max_message_bytes: usize,
    pub chunk_bytes: usize,
    pub chunk_tries: u32,
    pub handshake_every: Duration,
    pub poll_interval: Duration,
    /// From a message that MESH took to the first question what became of it.
    pub track_after: Duration,
    pub inbox_page: u32,
    pub inbox_max: usize,
    /// The team a referral goes to that names none of ours.
    pub default_team: Option<TeamId>,
    pub tls: Option<ClientTls>,
}

impl Mesh {
    /// Of one request.
    fn one_request(&self) -> Duration {
        self.connect_timeout + self.send_timeout + self.reply_timeout
    }

    /// A way, a handshake on it, and the message.
    pub fn longest_send(&self) -> Duration {
        self.connect_timeout * 2 + self.message_timeout.max(self.one_request())
    }

    /// No secret is in it.
    pub fn place(&self) -> String {
        format!("{} {} to {} as {}", self.url.0, self.mailbox, self.to_mailbox, self.workflow)
    }
}

pub(super) fn read(mut s: Section<'_>, owner: Option<&Trust>) -> Option<Mesh> {
    let base = s.required("url", "write where MESH is, e.g. \"https://mesh-sync.spineservices.nhs.uk\"", url);
    let mailbox = s.required("mailbox", "write our own mailbox, e.g. \"X26ABC1\"", name);
    let to_mailbox = s.required("to_mailbox", "write the trust's mailbox, e.g. \"X26ABC2\"", name);
    let workflow = s.required("workflow", "write the workflow id that was agreed for our messages", name);
    let ack_workflow = s.required("ack_workflow", "write the workflow id that acknowledgements come under", name);
    let password = secret(&mut s, "password", "add the mailbox's password");
    let shared_key = secret(&mut s, "shared_key", "add the environment's shared key");
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(client_tls);
    if let Some(url) = base.as_ref().filter(|u| u.is_tls() && !tls_given) {
        s.fault("tls", format!("is missing, and {} needs it", url.0), "add [endpoint.mesh.tls] with ca_file, cert_file and key_file: MESH lets in nobody without a certificate of its own");
    }
    if tls.as_ref().is_some_and(|t| t.identity.is_none()) {
        s.warn("tls", "has no certificate of ours", "add cert_file and key_file: MESH itself asks for one");
    }
    let default_team = s.optional("default_team", named(TeamId::parse));
    super::mllp::known_team(&s, default_team.as_ref(), owner);
    let mesh = Mesh {
        max_connections: s.or("max_connections", "2", int(1..=32)),
        connect_timeout: s.or("connect_timeout", "\"5s\"", duration(Duration::from_millis(100)..=minutes(5))),
        send_timeout: s.or("send_timeout", "\"15s\"", duration(Duration::from_millis(100)..=minutes(5))),
        reply_timeout: s.or("reply_timeout", "\"20s\"", duration(Duration::from_millis(100)..=minutes(15))),
        message_timeout: s.or("message_timeout", "\"45s\"", duration(secs(1)..=minutes(30))),
        max_message_bytes: s.or("max_message_bytes", "4_194_304", int(65_536..=104_857_600)),
        chunk_bytes: s.or("chunk_bytes", "20_000_000", int(65_536..=100_000_000)),
        chunk_tries: s.or("chunk_tries", "3", int(1..=10)),
        handshake_every: s.or("handshake_every", "\"12h\"", duration(secs(1)..=days(1))),
        poll_interval: s.or("poll_interval", "\"5m\"", duration(Duration::from_millis(100)..=days(1))),
        track_after: s.or("track_after", "\"30m\"", duration(secs(1)..=days(5))),
        inbox_page: s.or("inbox_page", "100", int(10..=500)),
        inbox_max: s.or("inbox_max", "1000", int(10..=100_000)),
        default_team,
        tls,
        url: base?,
        mailbox: mailbox?,
        password: password?,
        shared_key: shared_key?,
        to_mailbox: to_mailbox?,
        workflow: workflow?,
        ack_workflow: ack_workflow?,
    };
    if mesh.message_timeout < mesh.one_request() {
        let what = format!("is {}: not even one chunk could be sent in it", show_duration(mesh.message_timeout));
        let hint = format!(
            "make it at least {} (connect_timeout + send_timeout + reply_timeout)",
            show_duration(mesh.one_request())
        );
        s.fault("message_timeout", what, hint);
    }
    if mesh.mailbox == mesh.to_mailbox {
        s.fault("to_mailbox", "is our own mailbox", "write the trust's");
    }
    Some(mesh)
}

fn secret(s: &mut Section<'_>, key: &'static str, hint: &str) -> Option<Secret> {
    if !s.has(key) {
        s.fault(key, "is missing", format!("{hint}: {key} = {{ file = \"path\" }} or {{ env = \"NAME\" }}"));
    }
    s.secret(key)
}

/// Mailboxes and workflows, as far as they may stand in a path or a header.
fn name(node: &Node) -> Parsed<String> {
    let text = text(100)(node)?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        return Ok(text);
    }
    wrong("holds something else than letters, digits, _ and -", "write it as MESH has it")
}

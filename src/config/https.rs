//! `[endpoint.https]` (out): where the EPR's API is, and how we show who we are.

use super::secret::Secret;
use super::section::Section;
use super::tls::{ClientTls, client_tls};
use super::tree::{Entry, Node, Value};
use super::values::{Parsed, choice, duration, int, minutes, text, wrong};
use std::time::Duration;

/// How we call the endpoint.
#[derive(Debug, Clone)]
pub struct Https {
    pub base_url: Url,
    pub max_connections: u32,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub reply_timeout: Duration,
    pub max_body_bytes: usize,
    /// In every request.
    pub headers: Vec<Header>,
    pub tls: Option<ClientTls>,
    pub auth: Auth,
}

/// One header of the installation's. Some of the values are credentials; none is ever shown.
#[derive(Debug, Clone)]
pub struct Header {
    pub name: String,
    pub value: Secret,
    /// Its value stands elsewhere, as any secret.
    pub is_secret: bool,
}

/// `https://host[:port][/path]`; `http://` only to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(pub String);

/// How we show who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Nothing, or the client certificate in `[endpoint.https.tls]`.
    Nothing,
    Basic {
        user: String,
        password: Secret,
    },
    /// OAuth 2.0 client credentials.
    Token(Box<Token>),
    /// A log in of the API's own, as the pack's `[session]` says it.
    Session {
        user: String,
        password: Secret,
        timeout: Duration,
    },
}

/// A token endpoint.
#[derive(Debug, Clone)]
pub struct Token {
    pub url: Url,
    pub client_id: String,
    pub proof: Proof,
    pub scope: Option<String>,
    pub timeout: Duration,
    /// `None`: the endpoint's own.
    pub tls: Option<ClientTls>,
}

/// How the token endpoint knows that it is us.
#[derive(Debug, Clone)]
pub enum Proof {
    Secret(Secret),
    SignedJwt { private_key: Secret, key_id: String, audience: String },
}

impl Https {
    /// From opening the way to the reply; with a token or a session, once more after a 401.
    pub fn longest_send(&self) -> Duration {
        let once = self.connect_timeout + self.send_timeout + self.reply_timeout;
        match &self.auth {
            Auth::Nothing | Auth::Basic { .. } => once,
            Auth::Token(token) => 2 * (once + token.timeout),
            Auth::Session { timeout, .. } => 2 * (once + *timeout),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Basic,
    ClientSecret,
    SignedJwt,
    Session,
}

const KINDS: &[(&str, Kind)] = &[
    ("none", Kind::Nothing),
    ("basic", Kind::Basic),
    ("client_secret", Kind::ClientSecret),
    ("signed_jwt", Kind::SignedJwt),
    ("session", Kind::Session),
];

pub(super) fn read(mut s: Section<'_>) -> Option<Https> {
    let base_url =
        s.required("base_url", "write the address of the EPR's API, e.g. \"https://epr.trust.example/fhir/R4\"", url);
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(client_tls);
    let headers = headers(&mut s);
    let auth_given = s.has("auth");
    let auth = auth(s.table_or_empty("auth"), tls.is_some());
    if let Some(url) = base_url.as_ref().filter(|u| u.is_tls() && !tls_given) {
        s.fault("tls", format!("is missing, and {} needs it", url.0), "add [endpoint.https.tls] with ca_file: whose certificates are believed; the machine's own list is never used");
    }
    let certificate = tls.as_ref().is_some_and(|t| t.identity.is_some());
    let loopback = base_url.as_ref().is_none_or(Url::is_loopback);
    if !auth_given && !certificate && !loopback {
        s.warn(
            "auth",
            "is missing and there is no client certificate: anybody could send this",
            "add [endpoint.https.auth], or cert_file and key_file in [endpoint.https.tls]",
        );
    }
    Some(Https {
        max_connections: s.or("max_connections", "4", int(1..=256)),
        connect_timeout: s.or("connect_timeout", "\"5s\"", duration(Duration::from_millis(100)..=minutes(5))),
        send_timeout: s.or("send_timeout", "\"10s\"", duration(Duration::from_millis(100)..=minutes(5))),
        reply_timeout: s.or("reply_timeout", "\"30s\"", duration(Duration::from_millis(100)..=minutes(15))),
        max_body_bytes: s.or("max_body_bytes", "4_194_304", int(65_536..=16_777_216)),
        headers,
        tls,
        base_url: base_url?,
        auth: auth?,
    })
}

/// Headers of the installation, such as the NHSD-… ones, and keys that a gateway wants in a header of its own. Those stand elsewhere, as any secret.
fn headers(s: &mut Section<'_>) -> Vec<Header> {
    const OURS: &[&str] = &["authorization", "content-length", "cookie", "host", "transfer-encoding", "connection"];
    let Some(node) = s.node("headers", None) else { return Vec::new() };
    let Value::Table(entries) = &node.value else {
        s.fault("headers", "must be a table", "write { Name = \"value\", X-Api-Key = { env = \"NAME\" } }");
        return Vec::new();
    };
    let mut headers = Vec::new();
    for Entry { key: name, node, .. } in entries {
        let good_name =
            !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !good_name || OURS.contains(&name.to_ascii_lowercase().as_str()) {
            let what = format!("has \"{name}\", which is no header that can be set here");
            s.fault("headers", what, "use letters, digits and -; host and credentials have settings of their own");
            continue;
        }
        let path = format!("headers.{name}");
        let secret = matches!(node.value, Value::Table(_));
        if !secret && is_a_credential(name) {
            let what = format!("{} looks like a credential, and secrets never stand in this file", s.path_of(&path));
            let hint = format!("write {name} = {{ file = \"path\" }} or {name} = {{ env = \"NAME\" }}");
            s.reading.findings.fault(&node.place, what, hint);
            continue;
        }
        let value = if secret {
            let Some(value) = s.secret_at(&path, node) else { continue };
            value
        } else {
            Secret::from(node.text().unwrap_or_default().to_owned())
        };
        let text = value.expose();
        let good = !text.is_empty() && text.len() <= 4_096 && text.trim() == text;
        if good && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            headers.push(Header { name: name.clone(), value, is_secret: secret });
        } else {
            let hint = if secret {
                "let its place hold the value alone, on one line"
            } else {
                "write it in double quotes, on one line"
            };
            s.fault("headers", format!("has a value for {name} that is no text of visible ASCII"), hint);
        }
    }
    headers
}

/// By its name: what such a header holds lets whoever reads it in.
fn is_a_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "password", "authorization"].iter().any(|word| name.contains(word))
}

fn auth(mut s: Section<'_>, has_tls: bool) -> Option<Auth> {
    let kind = s.or("kind", "\"none\"", choice(KINDS));
    let user = s.optional("user", text(200));
    let password = s.secret("password");
    let token_url = s.optional("token_url", url);
    let client_id = s.optional("client_id", text(200));
    let client_secret = s.secret("client_secret");
    let private_key = s.secret("private_key");
    let key_id = s.optional("key_id", text(200));
    let audience = s.optional("audience", text(500));
    let scope = s.optional("scope", text(500));
    let timeout = s.or("timeout", "\"10s\"", duration(Duration::from_millis(100)..=minutes(2)));
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(client_tls);
    let needs: &[&str] = match kind {
        Kind::Nothing => &[],
        Kind::Basic | Kind::Session => &["user", "password"],
        Kind::ClientSecret => &["token_url", "client_id", "client_secret"],
        Kind::SignedJwt => &["token_url", "client_id", "private_key", "key_id"],
    };
    let may: &[&str] = match kind {
        Kind::Nothing | Kind::Basic => &[],
        Kind::Session => &["timeout"],
        Kind::ClientSecret => &["scope", "timeout", "tls"],
        Kind::SignedJwt => &["scope", "timeout", "tls", "audience"],
    };
    let word = KINDS.iter().find(|(_, k)| *k == kind).map_or("", |(word, _)| word);
    for key in needs.iter().filter(|key| !s.has(key)) {
        s.fault(key, format!("is missing, and kind = \"{word}\" needs it"), hint(key));
    }
    const ALL: &[&str] = &[
        "user",
        "password",
        "token_url",
        "client_id",
        "client_secret",
        "private_key",
        "key_id",
        "audience",
        "scope",
        "timeout",
        "tls",
    ];
    for key in ALL.iter().filter(|key| s.has(key) && !needs.contains(key) && !may.contains(key)) {
        s.warn(key, format!("has no meaning with kind = \"{word}\""), "remove it, or choose the kind it belongs to");
    }
    if let Some(url) = token_url.as_ref().filter(|u| u.is_tls() && !has_tls && !tls_given) {
        s.fault("tls", format!("is missing, and {} needs it", url.0), "add [endpoint.https.auth.tls] with ca_file");
    }
    let proof = match kind {
        Kind::Nothing => return Some(Auth::Nothing),
        Kind::Basic => return Some(Auth::Basic { user: user?, password: password? }),
        Kind::Session => return Some(Auth::Session { user: user?, password: password?, timeout }),
        Kind::ClientSecret => Proof::Secret(client_secret?),
        Kind::SignedJwt => {
            let audience = audience.or_else(|| token_url.as_ref().map(|u| u.0.clone()));
            Proof::SignedJwt { private_key: private_key?, key_id: key_id?, audience: audience? }
        }
    };
    Some(Auth::Token(Box::new(Token { url: token_url?, client_id: client_id?, proof, scope, timeout, tls })))
}

fn hint(key: &str) -> &'static str {
    match key {
        "password" | "client_secret" => "write { file = \"path\" } or { env = \"NAME\" }",
        "private_key" => "name the RSA private key (PEM): { file = \"path\" }",
        "key_id" => "write the kid under which the gateway knows the public key",
        "token_url" => "write the address of the token endpoint, e.g. \"https://gateway.example/oauth2/token\"",
        "client_id" => "write the id (API key) the gateway gave you",
        _ => "write the name the EPR knows us by",
    }
}

pub(super) fn url(node: &Node) -> Parsed<Url> {
    const HINT: &str = "write https://host/path without user, query or fragment; http:// is for this machine only";
    let text = text(1_000)(node)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|r| r.split('/').next().unwrap_or(r)).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~$%:+[]".contains(&b);
    let good =
        rest.is_some_and(|r| r.bytes().all(plain) && !r.contains("//") && !r.split('/').any(|p| p == "." || p == ".."));
    if authority.is_empty() || !good {
        return wrong("is no address of an API", HINT);
    }
    let url = Url(text);
    if !url.is_tls() && !url.is_loopback() {
        return wrong("is reached without TLS, so patient data would cross the network in the clear", "write https://");
    }
    Ok(url)
}

impl Url {
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("https://")
    }

    pub fn is_loopback(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => authority.split(':').next().unwrap_or(authority),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

//! Access tokens: had from the token endpoint or by a log in, kept until shortly before they end, asked for by one request at a time.

use super::auth::{Auth, ClientProof, TokenSettings};
use super::base::Base;
use super::client::Ambient;
use super::exchange::{Terms, exchange};
use super::form::Credentials;
use super::session::Session;
use super::watched::Watched;
use crate::transport::http_message::Reply;
use crate::transport::net::dial;
use crate::transport::tls::ClientTls;
use crate::transport::{NotSent, Sent};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// Largest answer of a token endpoint.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest token.
pub(super) const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// A token that does not say how long it lasts.
const UNSAID_SECONDS: i64 = 60;
/// No token is believed longer than this.
pub(super) const LASTS_SECONDS_MAX: i64 = 24 * 60 * 60;
/// A reply longer than this is none that only says that a session is over.
const OVER_BYTES_MAX: usize = 64 * 1024;
/// Who was refused asks again after this, then after twice as long, and so on.
const REFUSED_SECONDS: i64 = 60;
const REFUSED_SECONDS_MAX: i64 = 60 * 60;
/// What a form field keeps as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Gives a token that is valid now. Clones share it.
#[derive(Clone)]
pub(super) struct TokenSource {
    inner: Arc<Inner>,
}

struct Inner {
    from: From,
    ambient: Ambient,
    /// Held while a request for a token is under way: the others wait for its answer.
    kept: Mutex<Kept>,
    /// Requests that failed. Who waited for one that failed does not try again at once.
    failures: AtomicU64,
}

/// Who gives tokens.
enum From {
    /// OAuth 2.0.
    Gateway(TokenSettings),
    /// The endpoint itself.
    Session(Session),
}

/// A request for a token, and how its answer is read.
pub(super) struct Asking {
    pub request: http::Request<Full<Bytes>>,
    pub read: Box<ReadToken>,
}

/// The token in a whole reply and how many seconds it lasts.
type ReadToken = dyn Fn(&[u8]) -> Result<(Credentials, i64), NoToken> + Send;

/// Why there is none, without a secret in it.
pub(super) struct NoToken {
    pub reason: String,
    /// It is who we say we are that is not taken: another try changes nothing, and may lock the account.
    pub is_refusal: bool,
}

impl NoToken {
    /// By an answer of this status.
    pub(super) fn answered(status: u16, reason: String) -> Self {
        Self { reason, is_refusal: matches!(status, 400 | 401 | 403) }
    }
}

impl<T: Into<String>> std::convert::From<T> for NoToken {
    fn from(reason: T) -> Self {
        Self { reason: reason.into(), is_refusal: false }
    }
}

impl From {
    fn url(&self) -> &Base {
        match self {
            Self::Gateway(s) => &s.url,
            Self::Session(s) => &s.base,
        }
    }

    fn tls(&self) -> Option<&ClientTls> {
        match self {
            Self::Gateway(s) => s.tls.as_deref(),
            Self::Session(s) => s.tls.as_deref(),
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Self::Gateway(s) => s.timeout,
            Self::Session(s) => s.settings.timeout,
        }
    }

    fn edition(&self) -> i64 {
        match self {
            Self::Gateway(_) => 0,
            Self::Session(s) => s.settings.login.edition(),
        }
    }

    fn ask(&self, ambient: &Ambient) -> Result<Asking, String> {
        match self {
            Self::Gateway(s) => Ok(Asking { request: request(s, ambient)?, read: Box::new(read) }),
            Self::Session(s) => s.ask(ambient),
        }
    }
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// Tokens had.
    count: u64,
    last_failure: String,
    refused: Option<Refused>,
}

/// We were not taken for whom we say we are.
struct Refused {
    seconds: i64,
    until_seconds: i64,
    edition: i64,
}

#[derive(Clone)]
pub(super) struct Token {
    pub credentials: Credentials,
    /// Which one it is, so that only the token that was refused is given up.
    pub number: u64,
    until_seconds: i64,
    edition: i64,
}

impl TokenSource {
    pub(super) fn new(settings: TokenSettings, ambient: Ambient) -> Self {
        Self::of(From::Gateway(settings), ambient)
    }

    pub(super) fn of_session(session: Session, ambient: Ambient) -> Self {
        Self::of(From::Session(session), ambient)
    }

    fn of(from: From, ambient: Ambient) -> Self {
        let inner = Inner { from, ambient, kept: Mutex::default(), failures: AtomicU64::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Whether a reply says that the token is worth nothing any more, and so that the request was not acted upon.
    pub(super) fn is_refused(&self, reply: &[u8]) -> bool {
        let unauthorised = Reply::parse(reply).is_ok_and(|r| r.status == 401);
        match &self.inner.from {
            From::Gateway(_) => unauthorised,
            From::Session(s) => unauthorised || (reply.len() <= OVER_BYTES_MAX && s.settings.login.is_over(reply)),
        }
    }

    /// Gives up the token of this number: the endpoint did not take it, whatever its own word was on how long it lasts.
    pub(super) async fn forget(&self, refused: u64) {
        self.inner.kept.lock().await.forget(refused);
    }

    /// A token; `refused`: the number of one that the endpoint did not take, although by its own word it should last.
    pub(super) async fn token(&self, refused: Option<u64>) -> Result<Token, NotSent> {
        let inner = &self.inner;
        let failures = inner.failures.load(Ordering::Acquire);
        let mut kept = inner.kept.lock().await;
        // First of all: were no other to be had, nobody might be given this one again.
        refused.inspect(|number| kept.forget(*number));
        let now = (inner.ambient.now)().as_second();
        let edition = inner.from.edition();
        let lasts = |t: &&Token| t.until_seconds > now && t.edition == edition;
        if let Some(token) = kept.token.as_ref().filter(lasts) {
            return Ok(token.clone());
        }
        if inner.failures.load(Ordering::Acquire) > failures {
            return Err(self.failed(kept.last_failure.clone()));
        }
        if kept.refused.as_ref().is_some_and(|r| r.until_seconds > now && r.edition == edition) {
            return Err(self.failed(kept.last_failure.clone()));
        }
        let got = match tokio::time::timeout(inner.from.timeout(), self.fetch()).await {
            Ok(got) => got,
            Err(_) => Err(format!("no answer within {} ms", inner.from.timeout().as_millis()).into()),
        };
        match got {
            Ok((credentials, lasts)) => {
                // Given up a fifth of its life before its end, a minute at most: it must outlast the request.
                let until_seconds = now + lasts - (lasts / 5).clamp(1, 60);
                kept.count += 1;
                let token = Token { credentials, number: kept.count, until_seconds, edition };
                kept.token = Some(token.clone());
                if kept.refused.take().is_some() {
                    tracing::info!(from = %inner.from.url(), "a token is given again");
                }
                Ok(token)
            }
            Err(why) => {
                inner.failures.fetch_add(1, Ordering::AcqRel);
                kept.last_failure = match why.is_refusal {
                    true => kept.refuse(inner.from.url(), why.reason, now, edition),
                    false => why.reason,
                };
                Err(self.failed(kept.last_failure.clone()))
            }
        }
    }

    fn failed(&self, reason: String) -> NotSent {
        NotSent::Token { from: self.inner.from.url().to_string(), reason }
    }

    async fn fetch(&self) -> Result<(Credentials, i64), NoToken> {
        let (from, address) = (&self.inner.from, self.inner.from.url().address());
        let asking = from.ask(&self.inner.ambient)?;
        let stream = dial(&address, from.tls(), from.timeout()).await.map_err(|e| e.to_string())?;
        let (stream, progress) = Watched::new(stream);
        let (mut way, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let _driver = super::client::Driver::spawn(driver);
        let terms = Terms {
            address: &address,
            send_timeout: from.timeout(),
            reply_timeout: from.timeout(),
            reply_bytes_max: ANSWER_BYTES_MAX,
        };
        let (sent, _) = exchange(&mut way, &progress, asking.request, &terms).await;
        match sent {
            Sent::Reply(bytes) => (asking.read)(&bytes),
            Sent::NotSent(e) => Err(e.to_string().into()),
            Sent::Unsure(e) => Err(e.to_string().into()),
        }
    }
}

impl Kept {
    fn forget(&mut self, refused: u64) {
        self.token.take_if(|t| t.number == refused);
    }

    /// Asked again ever more seldom: an account that is asked for with a wrong secret is soon locked. Gives what to say of it.
    fn refuse(&mut self, from: &Base, reason: String, now: i64, edition: i64) -> String {
        let before = self.refused.as_ref().filter(|r| r.edition == edition).map(|r| r.seconds);
        if before.is_none() {
            tracing::warn!(%from, reason, "we are not taken for whom we say we are; asked again ever more seldom, at least once an hour");
        }
        let seconds = before.map_or(REFUSED_SECONDS, |s| (s * 2).min(REFUSED_SECONDS_MAX));
        let until_seconds = now.saturating_add(seconds);
        self.refused = Some(Refused { seconds, until_seconds, edition });
        let again = jiff::Timestamp::from_second(until_seconds).map(|t| t.to_string()).unwrap_or_default();
        format!("{reason}; not asked again before {again}, or at the next start")
    }
}

fn request(s: &TokenSettings, ambient: &Ambient) -> Result<http::Request<Full<Bytes>>, String> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    let mut basic = None;
    match &s.proof {
        // RFC 6749, 2.3.1: the id and the secret are form-encoded before they are put together.
        ClientProof::Secret(secret) => basic = Some(Auth::basic(&encoded(&s.client_id), &encoded(secret))),
        ClientProof::SignedJwt { key, audience } => {
            let mut random = [0u8; 16];
            (ambient.random)(&mut random);
            let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
            let now = (ambient.now)().as_second();
            let jwt = key.sign(&s.client_id, audience, &id, now).map_err(|e| e.to_string())?;
            form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into()));
            form.push(("client_assertion", jwt));
        }
    }
    form.extend(s.scope.clone().map(|scope| ("scope", scope)));
    let body = form.iter().map(|(k, v)| format!("{k}={}", encoded(v))).collect::<Vec<_>>().join("&");
    let cannot = "the client id or secret holds what no header can carry".to_owned();
    let mut request = http::Request::builder()
        .method("POST")
        .uri(s.url.target(""))
        .header(HOST, s.url.authority())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| cannot.clone())?;
    if let Some(basic) = basic {
        let mut value = HeaderValue::from_str(&basic).map_err(|_| cannot)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// The token and how many seconds it lasts. What is wrong is said without quoting the answer: it may hold the token.
fn read(answer: &[u8]) -> Result<(Credentials, i64), NoToken> {
    let reply = Reply::parse(answer).map_err(|e| e.to_string())?;
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if reply.status != 200 {
        // RFC 6749, 5.2: a short code such as invalid_client.
        let code =
            body["error"].as_str().filter(|c| c.len() <= 40 && c.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        let what = format!(
            "it answers {} {}; check client id, key and key id, and our clock",
            reply.status,
            code.unwrap_or_default()
        );
        return Err(NoToken::answered(reply.status, what));
    }
    let token = body["access_token"].as_str().unwrap_or_default();
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("it answers 200 without an access_token".into());
    }
    if body["token_type"].as_str().is_some_and(|t| !t.eq_ignore_ascii_case("bearer")) {
        return Err("it gives a token that is no bearer token".into());
    }
    // Some gateways write the number as text.
    let lasts = body["expires_in"].as_i64().or_else(|| body["expires_in"].as_str()?.parse().ok());
    let lasts = lasts.unwrap_or(UNSAID_SECONDS).clamp(0, LASTS_SECONDS_MAX);
    let credentials =
        Credentials::new(&format!("Bearer {token}")).ok_or("it gives a token that no header can carry")?;
    Ok((credentials, lasts))
}

//! A log in of an API's own: a request made before any message, whose answer gives a token for the others. What it looks like a pack says; who we
//! are, config. This module knows only that there is a request, and how its answer is read.

use super::base::Base;
use super::client::Ambient;
use super::form::{Credentials, outgoing};
use super::token::{Asking, LASTS_SECONDS_MAX, NoToken, TOKEN_BYTES_MAX};
use crate::transport::http_message::{Reply, Request};
use crate::transport::tls::ClientTls;
use http::header::{CONNECTION, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// How a session is had, as far as somebody else knows it; asked at each log in, for it may change while we run.
pub trait Login: Send + Sync {
    /// Which description holds now: a token had under another is given up.
    fn edition(&self) -> i64;

    /// # Errors
    /// A sentence: why there can be no log in. Without a secret in it.
    fn plan(&self) -> Result<LoginPlan, String>;

    /// Whether this reply to a message says that the session is over, and so that the message was not looked at. A 401 says it always.
    fn is_over(&self, reply: &[u8]) -> bool;
}

/// One log in. It holds secrets, so it is never shown and never kept.
pub struct LoginPlan {
    pub request: Request,
    /// The token in an answer's body, or why there is none, in words that quote nothing of it.
    pub token: Box<TokenIn>,
    /// Whether an answer's body refuses us, where its status does not say so.
    pub refuses: Box<Refuses>,
    /// The header that carries the token, and what stands around it there.
    pub header: String,
    pub before: String,
    pub after: String,
    pub lasts: Duration,
}

/// Finds a refusal.
pub type Refuses = dyn Fn(&[u8]) -> bool + Send;

/// Finds a token.
pub type TokenIn = dyn Fn(&[u8]) -> Result<String, String> + Send;

/// What a pool needs to log in.
#[derive(Clone)]
pub struct SessionSettings {
    pub login: Arc<dyn Login>,
    /// For a whole log in, connection included.
    pub timeout: Duration,
}

/// The same, at an endpoint.
pub(super) struct Session {
    pub settings: SessionSettings,
    pub base: Base,
    pub tls: Option<Arc<ClientTls>>,
    /// Those of the installation.
    pub headers: Vec<(String, String)>,
}

impl Session {
    pub(super) fn ask(&self, ambient: &Ambient) -> Result<Asking, String> {
        let plan = self.settings.login.plan()?;
        let mut random = [0u8; 16];
        (ambient.random)(&mut random);
        let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        let mut request = outgoing(&plan.request, &self.base, &self.headers, &id, None)
            .ok_or("the log in holds what no request can carry")?;
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(Asking { request, read: Box::new(move |answer| read(&plan, answer)) })
    }
}

/// The token and how many seconds it lasts. What is wrong is said without quoting the answer: it may hold the token.
fn read(plan: &LoginPlan, answer: &[u8]) -> Result<(Credentials, i64), NoToken> {
    let reply = Reply::parse(answer).map_err(|e| e.to_string())?;
    if matches!(reply.status, 200 | 500) && (plan.refuses)(&reply.body) {
        let reason = format!("the log in is refused by a Fault, {}; check user and password", reply.status);
        return Err(NoToken { reason, is_refusal: true });
    }
    if !(200..300).contains(&reply.status) {
        let what = format!("the log in is answered {}; check user and password", reply.status);
        return Err(NoToken::answered(reply.status, what));
    }
    let token = (plan.token)(&reply.body).map_err(|why| format!("the log in is answered {}, {why}", reply.status))?;
    let fits = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(|b| b.is_ascii_graphic());
    let credentials = Some(format!("{}{token}{}", plan.before, plan.after))
        .filter(|_| fits)
        .and_then(|value| Credentials::in_header(&plan.header, &value, &token))
        .ok_or("the log in gives a token that no header can carry")?;
    let lasts = i64::try_from(plan.lasts.as_secs()).unwrap_or(LASTS_SECONDS_MAX);
    Ok((credentials, lasts.clamp(0, LASTS_SECONDS_MAX)))
}

//! How we show who we are, beside a client certificate.

use super::assertion::AssertionKey;
use super::base::Base;
use super::form::Credentials;
use super::session::SessionSettings;
use super::token::TokenSource;
use crate::transport::tls::ClientTls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a request carries to say who sends it. Secrets never show themselves.
#[derive(Clone)]
pub enum Auth {
    /// Nothing, or the client certificate of the TLS settings.
    Nothing,
    Basic {
        user: String,
        password: String,
    },
    /// OAuth 2.0 client credentials: an access token, had from a token endpoint.
    Token(Box<TokenSettings>),
    /// A log in of the API's own, which gives a token.
    Session(SessionSettings),
    /// Something else for each request: a signature.
    EachTime(Arc<Sign>),
}

/// Makes the value of `Authorization` for one request.
pub type Sign = dyn Fn() -> String + Send + Sync;

/// Where access tokens come from.
#[derive(Clone)]
pub struct TokenSettings {
    pub url: Base,
    /// Who may vouch for the token endpoint; where unset it is reached without TLS (loopback only).
    pub tls: Option<Arc<ClientTls>>,
    pub client_id: String,
    pub proof: ClientProof,
    pub scope: Option<String>,
    /// For a whole token request, connection included.
    pub timeout: Duration,
}

/// How the token endpoint knows that it is us.
#[derive(Clone)]
pub enum ClientProof {
    Secret(String),
    /// NHS signed JWT. `audience`: the token endpoint as the gateway writes it.
    SignedJwt {
        key: AssertionKey,
        audience: String,
    },
}

/// What a pool asks before each request.
pub(super) enum Shown {
    Fixed(Option<Credentials>),
    Token(TokenSource),
    EachTime(Arc<Sign>),
}

impl Auth {
    /// `Basic` as its header says it.
    pub(super) fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Basic { .. } => "Basic(..)",
            Self::Token(_) => "Token(..)",
            Self::Session(_) => "Session(..)",
            Self::EachTime(_) => "EachTime(..)",
        })
    }
}

impl fmt::Debug for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(..)",
            Self::SignedJwt { .. } => "SignedJwt(..)",
        })
    }
}

//! HTTPS, both ways. Out: one request and its reply at a time on each of a few kept connections, over HTTP/1.1.
//!
//! The requests are those of [`super::http_message`]: without host and credentials, which are added here. Redirects are not followed, no proxy
//! is used, and nothing is sent again by this module, except once after a 401 with a fresh access token or session: a request that was
//! refused for its credentials was not acted upon.

mod assertion;
mod auth;
mod base;
mod client;
mod exchange;
mod form;
mod listener;
mod session;
mod token;
mod watched;

pub use assertion::{AssertionError, AssertionKey};
pub use auth::{Auth, ClientProof, Sign, TokenSettings};
pub use base::{Base, NotABase};
pub use client::{Ambient, ClientSettings, Connection, Pool};
pub use listener::{Arrived, Listener, ListenerSettings, Unheard};
pub use session::{Login, LoginPlan, SessionSettings, TokenIn};

/// Largest reply body that is read (4 MiB), unless settings say otherwise.
pub const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

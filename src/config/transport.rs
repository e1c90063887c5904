//! `transport = "…"` and its section: how bytes reach an endpoint. What the rest of config, and `app`, ask about it is answered here.

use super::mllp::{self, Mllp};
use super::section::Section;
use super::values::{text, wrong};
use std::time::Duration;

/// How bytes reach the endpoint.
#[derive(Debug, Clone)]
pub enum Transport {
    Mllp(Mllp),
}

impl Transport {
    /// As config writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Mllp(_) => "mllp",
        }
    }

    /// Where the bytes go, for people and for noticing that it changed. No secret is in it.
    pub fn place(&self) -> String {
        match self {
            Self::Mllp(mllp) => mllp.address.to_string(),
        }
    }

    /// The longest one send can take from opening the way to its reply.
    pub fn longest_send(&self) -> Duration {
        match self {
            Self::Mllp(mllp) => mllp.connect_timeout + mllp.send_timeout + mllp.reply_timeout,
        }
    }

    /// Messages that can be under way at once.
    pub fn max_connections(&self) -> u32 {
        match self {
            Self::Mllp(mllp) => mllp.max_connections,
        }
    }

    /// The largest message it carries, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        match self {
            Self::Mllp(mllp) => mllp.max_frame_bytes,
        }
    }

    /// Whether the application's own acknowledgement comes later on the connection that carried the message.
    pub fn late_replies_on_connection(&self) -> bool {
        match self {
            Self::Mllp(mllp) => mllp.late_replies_on_connection,
        }
    }

    /// Whether the record itself can be asked what it holds.
    pub fn can_ask(&self) -> bool {
        match self {
            Self::Mllp(_) => false,
        }
    }

    pub fn has_tls(&self) -> bool {
        match self {
            Self::Mllp(mllp) => mllp.tls.is_some(),
        }
    }
}

/// Which section to read. `None` when something is missing or wrong; it has then been said.
pub(super) fn read(s: &mut Section<'_>) -> Option<Transport> {
    let kind = s.required("transport", "say transport = \"mllp\"", |node| match text(20)(node)?.as_str() {
        "mllp" => Ok(()),
        later @ ("https" | "mesh" | "folder" | "feed") => {
            wrong(format!("is \"{later}\", which this release does not have yet"), "use \"mllp\" until it does")
        }
        other => wrong(format!("is \"{other}\", which is no transport"), "use \"mllp\""),
    });
    match s.table("mllp") {
        Some(section) => mllp::read(section).map(Transport::Mllp),
        None => {
            if kind.is_some() && !s.has("mllp") {
                s.fault("mllp", "is missing", "add [endpoint.mllp] with address = \"host:port\"");
            }
            None
        }
    }
}

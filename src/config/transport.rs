//! `transport = "…"` and its section: how bytes reach an endpoint. What the rest of config, and `app`, ask about it is answered here.

use super::folder::{self, Folder};
use super::mllp::{self, Mllp};
use super::section::Section;
use super::values::{text, wrong};
use std::time::Duration;

/// How bytes reach the endpoint.
#[derive(Debug, Clone)]
pub enum Transport {
    Mllp(Mllp),
    Folder(Folder),
}

impl Transport {
    /// As config writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Mllp(_) => "mllp",
            Self::Folder(_) => "folder",
        }
    }

    /// Where the bytes go, for people and for noticing that it changed. No secret is in it.
    pub fn place(&self) -> String {
        match self {
            Self::Mllp(mllp) => mllp.address.to_string(),
            Self::Folder(folder) => folder.path.display().to_string(),
        }
    }

    /// The longest one send can take from opening the way to its reply.
    pub fn longest_send(&self) -> Duration {
        match self {
            Self::Mllp(mllp) => mllp.connect_timeout + mllp.send_timeout + mllp.reply_timeout,
            // Once to look at the folder, once to write.
            Self::Folder(folder) => folder.write_timeout * 2,
        }
    }

    /// Messages that can be under way at once.
    pub fn max_connections(&self) -> u32 {
        match self {
            Self::Mllp(mllp) => mllp.max_connections,
            Self::Folder(_) => folder::AT_ONCE,
        }
    }

    /// The largest message it carries, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        match self {
            Self::Mllp(mllp) => mllp.max_frame_bytes,
            Self::Folder(folder) => folder.max_files_bytes,
        }
    }

    /// Whether the application's own acknowledgement comes later on the connection that carried the message.
    pub fn late_replies_on_connection(&self) -> bool {
        match self {
            Self::Mllp(mllp) => mllp.late_replies_on_connection,
            Self::Folder(_) => false,
        }
    }

    /// Whether the record itself can be asked what it holds.
    pub fn can_ask(&self) -> bool {
        match self {
            Self::Mllp(_) | Self::Folder(_) => false,
        }
    }

    pub fn has_tls(&self) -> bool {
        match self {
            Self::Mllp(mllp) => mllp.tls.is_some(),
            Self::Folder(_) => false,
        }
    }
}

/// Which section to read. `None` when something is missing or wrong; it has then been said.
pub(super) fn read(s: &mut Section<'_>) -> Option<Transport> {
    let hint = "say transport = \"mllp\" or \"folder\"";
    let kind = s.required("transport", hint, |node| match text(20)(node)?.as_str() {
        "mllp" => Ok("mllp"),
        "folder" => Ok("folder"),
        later @ ("https" | "mesh" | "feed") => {
            wrong(format!("is \"{later}\", which this release does not have yet"), "use \"mllp\" until it does")
        }
        other => wrong(format!("is \"{other}\", which is no transport"), "use \"mllp\" or \"folder\""),
    });
    let given = (s.has("mllp"), s.has("folder"));
    let mllp = s.table("mllp").and_then(mllp::read);
    let folder = s.table("folder").and_then(folder::read);
    let unused = match kind? {
        "folder" => given.0.then_some("mllp"),
        _ => given.1.then_some("folder"),
    };
    if let Some(section) = unused {
        s.warn(section, format!("is not used: transport is \"{}\"", kind.unwrap_or_default()), "remove the section");
    }
    match kind? {
        "folder" if given.1 => folder.map(Transport::Folder),
        "folder" => {
            s.fault("folder", "is missing", "add [endpoint.folder] with path = \"/a/folder\"");
            None
        }
        _ if given.0 => mllp.map(Transport::Mllp),
        _ => {
            s.fault("mllp", "is missing", "add [endpoint.mllp] with address = \"host:port\"");
            None
        }
    }
}

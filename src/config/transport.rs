//! `transport = "…"` and its section: how bytes reach an endpoint. What the rest of config, and `app`, ask about it is answered here.

use super::feed::{self, Feed};
use super::folder::{self, Folder};
use super::https::{self, Https};
use super::mesh::{self, Mesh};
use super::mllp::{self, Mllp};
use super::section::Section;
use super::trust::Trust;
use super::values::{text, wrong};
use std::time::Duration;

/// How bytes reach the endpoint.
#[derive(Debug, Clone)]
pub enum Transport {
    Mllp(Mllp),
    Folder(Folder),
    Https(Https),
    Feed(Feed),
    Mesh(Mesh),
}

impl Transport {
    /// As config writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Mllp(_) => "mllp",
            Self::Folder(_) => "folder",
            Self::Https(_) => "https",
            Self::Feed(_) => "feed",
            Self::Mesh(_) => "mesh",
        }
    }

    /// Where the bytes go, for people and for noticing that it changed. No secret is in it.
    pub fn place(&self) -> String {
        match self {
            Self::Mllp(mllp) => mllp.address.to_string(),
            Self::Folder(folder) => folder.path.display().to_string(),
            Self::Https(https) => https.base_url.0.clone(),
            // They come to us.
            Self::Feed(_) => "feed".to_owned(),
            Self::Mesh(mesh) => mesh.place(),
        }
    }

    /// The longest one send can take from opening the way to its reply.
    pub fn longest_send(&self) -> Duration {
        match self {
            Self::Mllp(mllp) => mllp.connect_timeout + mllp.send_timeout + mllp.reply_timeout,
            // Once to look at the folder, once to write.
            Self::Folder(folder) => folder.write_timeout * 2,
            Self::Https(https) => https.longest_send(),
            // Once until it is taken, once until it is confirmed.
            Self::Feed(feed) => feed.confirm_timeout * 2,
            Self::Mesh(mesh) => mesh.longest_send(),
        }
    }

    /// Messages that can be under way at once.
    pub fn max_connections(&self) -> u32 {
        match self {
            Self::Mllp(mllp) => mllp.max_connections,
            Self::Folder(_) => folder::AT_ONCE,
            Self::Https(https) => https.max_connections,
            Self::Feed(feed) => feed.max_unconfirmed,
            Self::Mesh(mesh) => mesh.max_connections,
        }
    }

    /// The largest message it carries, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        match self {
            Self::Mllp(mllp) => mllp.max_frame_bytes,
            Self::Folder(folder) => folder.max_files_bytes,
            Self::Https(https) => https.max_body_bytes,
            Self::Feed(feed) => feed.max_message_bytes,
            Self::Mesh(mesh) => mesh.max_message_bytes,
        }
    }

    /// Whether the application's own acknowledgement comes later on the connection that carried the message.
    pub fn late_replies_on_connection(&self) -> bool {
        match self {
            Self::Mllp(mllp) => mllp.late_replies_on_connection,
            Self::Folder(_) | Self::Feed(_) => false,
            Self::Https(_) | Self::Mesh(_) => false,
        }
    }

    /// Whether it can be asked over this way what became of a message.
    pub fn can_ask(&self) -> bool {
        match self {
            Self::Mllp(_) | Self::Folder(_) | Self::Feed(_) => false,
            Self::Https(_) | Self::Mesh(_) => true,
        }
    }

    /// Whether it is the record itself that answers then. MESH knows only what it carried.
    pub fn can_read_back(&self) -> bool {
        matches!(self, Self::Https(_))
    }

    /// How long after a message was taken it is asked for the first time what became of it, by whoever carries it.
    pub fn tracks_after(&self) -> Option<Duration> {
        match self {
            Self::Mesh(mesh) => Some(mesh.track_after),
            Self::Mllp(_) | Self::Folder(_) | Self::Https(_) | Self::Feed(_) => None,
        }
    }

    pub fn has_tls(&self) -> bool {
        match self {
            Self::Mllp(mllp) => mllp.tls.is_some(),
            Self::Folder(_) | Self::Feed(_) => false,
            Self::Https(https) => https.tls.is_some(),
            Self::Mesh(mesh) => mesh.tls.is_some(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mllp,
    Https,
    Folder,
    Feed,
    Mesh,
}

/// Which section to read. `None` when something is missing or wrong; it has then been said.
pub(super) fn read(s: &mut Section<'_>, owner: Option<&Trust>) -> Option<Transport> {
    let hint = "say transport = \"mllp\", \"https\", \"mesh\", \"folder\" or \"feed\"";
    let kind = s.required("transport", hint, |node| match text(20)(node)?.as_str() {
        "mllp" => Ok(Kind::Mllp),
        "https" => Ok(Kind::Https),
        "folder" => Ok(Kind::Folder),
        "feed" => Ok(Kind::Feed),
        "mesh" => Ok(Kind::Mesh),
        other => wrong(
            format!("is \"{other}\", which is no transport"),
            "use \"mllp\", \"https\", \"mesh\", \"folder\" or \"feed\"",
        ),
    });
    let mllp = s.table("mllp").and_then(mllp::read).map(Transport::Mllp);
    let https = s.table("https").and_then(https::read).map(Transport::Https);
    let folder = s.table("folder").and_then(folder::read).map(Transport::Folder);
    let feed = Some(Transport::Feed(feed::read(s.table_or_empty("feed"))));
    let mesh = s.table("mesh").and_then(|section| mesh::read(section, owner)).map(Transport::Mesh);
    let (own, section, hint) = match kind? {
        Kind::Mllp => (mllp, "mllp", "add [endpoint.mllp] with address = \"host:port\""),
        Kind::Https => (https, "https", "add [endpoint.https] with base_url = \"https://host/path\""),
        Kind::Folder => (folder, "folder", "add [endpoint.folder] with path = \"/a/folder\""),
        Kind::Feed => (feed, "feed", ""),
        Kind::Mesh => (mesh, "mesh", "add [endpoint.mesh] with url, mailbox, to_mailbox and the workflows"),
    };
    // Nothing of a feed's has to be said.
    if !s.has(section) && section != "feed" {
        s.fault(section, "is missing", hint);
    }
    for other in ["mllp", "https", "folder", "mesh", "feed"].into_iter().filter(|o| *o != section) {
        if s.has(other) {
            s.warn(other, format!("has no meaning with transport = \"{section}\""), "remove it, or change transport");
        }
    }
    own
}

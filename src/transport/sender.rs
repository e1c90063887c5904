//! The way out to one endpoint, whatever carries the bytes. The outbox knows only this: open the way, then send.

use super::tls::CertificateFacts;
use super::{Exchange, NotSent};
use super::{feed, folder, https, mesh, mllp};
use futures::future::{Either, pending};
use std::future::Future;

/// Says whether bytes that came back are the answer to what was sent.
pub type Matches<'a> = &'a (dyn Fn(&[u8]) -> bool + Sync);

/// One endpoint's way out; clones share it.
#[derive(Debug, Clone)]
pub enum Sender {
    Mllp(mllp::Pool),
    Folder(folder::Folder),
    Https(https::Pool),
    Feed(feed::Feed),
    Mesh(mesh::Client),
}

/// A way that is open and ours alone until it is dropped.
#[derive(Debug)]
pub enum Open {
    Mllp(mllp::Connection),
    Folder(folder::OpenFolder),
    Https(https::Connection),
    Feed(feed::OpenFeed),
    Mesh(Box<mesh::Connection>),
}

impl Sender {
    /// Opens the way. Waits while all ways to the endpoint are in use.
    ///
    /// # Errors
    /// There is no way just now; nothing was tried.
    pub async fn open(&self) -> Result<Open, NotSent> {
        match self {
            Self::Mllp(pool) => pool.connect().await.map(Open::Mllp),
            Self::Folder(folder) => folder.open().await.map(Open::Folder),
            Self::Https(pool) => pool.connect().await.map(Open::Https),
            Self::Feed(feed) => feed.open().await.map(Open::Feed),
            Self::Mesh(mailbox) => mailbox.open().await.map(|way| Open::Mesh(Box::new(way))),
        }
    }

    /// Opens no way any more; what is under way goes on.
    pub fn close(&self) {
        match self {
            Self::Mllp(pool) => pool.close(),
            Self::Folder(folder) => folder.close(),
            Self::Https(pool) => pool.close(),
            Self::Feed(feed) => feed.close(),
            Self::Mesh(mailbox) => mailbox.close(),
        }
    }

    /// Nobody is there to be sent to, and when somebody comes [`Sender::arrival`] tells.
    pub fn is_alone(&self) -> bool {
        match self {
            Self::Feed(feed) => !feed.is_attached(),
            Self::Mllp(_) | Self::Folder(_) | Self::Https(_) | Self::Mesh(_) => false,
        }
    }

    /// When somebody comes, from now on.
    pub fn arrival(&self) -> impl Future<Output = ()> + Send + '_ {
        match self {
            Self::Feed(feed) => Either::Left(feed.arrival()),
            Self::Mllp(_) | Self::Folder(_) | Self::Https(_) | Self::Mesh(_) => Either::Right(pending()),
        }
    }

    /// The certificate the far end showed last.
    pub fn peer_certificate(&self) -> Option<CertificateFacts> {
        match self {
            Self::Mllp(pool) => pool.peer_certificate(),
            Self::Folder(_) | Self::Feed(_) => None,
            Self::Https(pool) => pool.peer_certificate(),
            Self::Mesh(mailbox) => mailbox.peer_certificate(),
        }
    }
}

impl Open {
    /// Sends one message and waits for its reply. `id` names the message, where the way itself carries a name. When this future is dropped half way, whether the message was seen is unknown.
    pub async fn send(&mut self, bytes: &[u8], id: &str, matches: Matches<'_>) -> Exchange {
        self.send_unless(bytes, id, matches, &|_| false).await
    }

    /// The same. `acted`: whether a reply that wants to know anew who we are shows for all that that the message was acted upon, so that it must not go again.
    pub async fn send_unless(&mut self, bytes: &[u8], id: &str, matches: Matches<'_>, acted: Matches<'_>) -> Exchange {
        match self {
            Self::Mllp(connection) => connection.send(bytes, matches).await,
            // A folder's receipt is made for this message: there is nothing to tell apart.
            Self::Folder(folder) => folder.send(bytes).await,
            // What comes back on a request's own connection is its reply; HTTP knows no other.
            Self::Https(connection) => connection.send_unless(bytes, id, acted).await,
            // What is confirmed is confirmed by this id.
            Self::Feed(feed) => feed.send(bytes, id).await,
            Self::Mesh(connection) => connection.send(bytes, id).await,
        }
    }
}

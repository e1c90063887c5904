//! Bytes out and in; knows nothing clinical.
//!
//! The promise of every sender here is [`Sent`]: a reply, *not sent* (provably no byte can have reached the far end's
//! application), or *unsure*. Whoever calls decides what a reply means; this module only says what happened on the wire.
//! Nothing here prints message bytes: every type that holds some has a `Debug` that gives their number.

pub mod beside;
pub mod feed;
pub mod file_set;
pub mod folder;
pub mod http_message;
pub mod https;
pub mod mesh;
pub mod mllp;
mod net;
mod sender;
pub mod tls;

use std::fmt;
use std::io;
use std::time::Duration;

pub use mllp::frame::FrameError;
pub use sender::{Matches, Open, Sender};

/// What became of one message.
pub enum Sent {
    /// The far end's answer to this message, as it came.
    Reply(Vec<u8>),
    /// No byte of the message can have reached the far end: sending it again is safe.
    NotSent(NotSent),
    /// The far end may have seen some or all of it.
    Unsure(Unsure),
}

/// What one send brought back.
pub struct Exchange {
    pub sent: Sent,
    /// Everything else that came back meanwhile; to be kept, never to be credited to this message.
    pub strays: Vec<Stray>,
}

impl Exchange {
    pub(crate) fn not_sent(why: NotSent, strays: Vec<Stray>) -> Self {
        Self { sent: Sent::NotSent(why), strays }
    }
}

/// Bytes that came back and answer no request in hand.
#[derive(Clone, PartialEq, Eq)]
pub struct Stray {
    pub bytes: Vec<u8>,
    pub kind: StrayKind,
}

/// Whether a stray can be read as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrayKind {
    /// A whole frame's payload: perhaps a late acknowledgement.
    Frame,
    /// The same request's first answer, by which the far end did not take who we said we are: nothing was done, and it was asked once more.
    Refusal,
    /// Bytes that were no whole frame, at most 4 KiB of them: for a person to look at, evidence of nothing.
    Fragment,
}

/// Why no byte of a message can have reached the far end's application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    #[error("the name {host} could not be resolved ({kind}); check the endpoint's address")]
    Dns { host: String, kind: io::ErrorKind },
    #[error("{address} refuses connections; the far end's listener is not running or a firewall rejects us")]
    Refused { address: String },
    #[error("no connection to {address} ({kind})")]
    Unreachable { address: String, kind: io::ErrorKind },
    #[error("no connection to {address} within {} ms, TLS handshake included", after.as_millis())]
    ConnectTimeout { address: String, after: Duration },
    #[error("no TLS session with {address}: {reason}")]
    Tls { address: String, reason: String },
    #[error("the connection pool is closed")]
    PoolClosed,
    #[error("the far end closed the connection before a byte was written")]
    ClosedBeforeSend,
    #[error("writing failed before a byte was taken ({0})")]
    WriteFailed(io::ErrorKind),
    #[error("no byte could be written within {} ms", .0.as_millis())]
    SendTimeout(Duration),
    /// A fault of the message, not of the link: it will be the same at every try.
    #[error("the message cannot be framed: {0}")]
    Message(#[from] FrameError),
    #[error("the folder {what} ({kind})")]
    Folder { what: &'static str, kind: io::ErrorKind },
    /// A fault of the message: no folder takes it.
    #[error("the message cannot be written as files: {0}")]
    Files(file_set::FileSetError),
    /// The same, where the message is a request.
    #[error("the message is no request that can be sent: {0}")]
    Request(http_message::HttpMessageError),
    #[error("nobody pulls: the far end has no stream open to take messages")]
    NobodyPulls,
    #[error("the far end's stream took no message within {} ms", .0.as_millis())]
    NotPulled(Duration),
    #[error("no access token from {from}: {reason}")]
    Token { from: String, reason: String },
    #[error("the mailbox at {at} does not let us in: {reason}")]
    Mailbox { at: String, reason: String },
}

impl NotSent {
    /// Whether there is simply nobody yet who could be sent to: no fault of anybody, and it is known when somebody comes.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::NobodyPulls)
    }

    /// Whether the fault lies in the message, so that trying again cannot help and the endpoint is not to blame.
    pub fn is_message_fault(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Request(_) | Self::Files(_))
    }
}

/// Why we cannot say whether the far end has the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsure {
    #[error("writing failed after a byte may have left ({0})")]
    WriteFailed(io::ErrorKind),
    #[error("the message was not wholly written within {} ms", .0.as_millis())]
    SendTimeout(Duration),
    #[error("no reply within {} ms", .0.as_millis())]
    ReplyTimeout(Duration),
    #[error("the far end closed the connection without a reply")]
    ClosedBeforeReply,
    #[error("the far end closed the connection in the middle of its reply")]
    ClosedMidReply,
    #[error("reading the reply failed ({0})")]
    ReadFailed(io::ErrorKind),
    #[error("the reply is larger than the limit of {limit} bytes")]
    ReplyTooLarge { limit: usize },
    #[error("what came back is no reply to this message; the connection was closed")]
    Mismatched,
    #[error("the far end answered with bytes that are no frame; the connection was closed")]
    NotFramed,
    #[error("the far end answered with bytes that are no HTTP; the connection was closed")]
    NotHttp,
    #[error("too many replies to other messages came while waiting")]
    TooManyStrays,
}

/// Prints how many bytes there are, never which.
pub(crate) struct Redacted(pub usize);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(bytes) => f.debug_tuple("Reply").field(&Redacted(bytes.len())).finish(),
            Self::NotSent(why) => f.debug_tuple("NotSent").field(why).finish(),
            Self::Unsure(why) => f.debug_tuple("Unsure").field(why).finish(),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("sent", &self.sent).field("strays", &self.strays).finish()
    }
}

impl fmt::Debug for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stray").field("kind", &self.kind).field("bytes", &Redacted(self.bytes.len())).finish()
    }
}

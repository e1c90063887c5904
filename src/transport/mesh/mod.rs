//! NHS MESH: a message goes from our mailbox to another one, and what comes for us is fetched from ours.
//!
//! ```text
//! out   handshake (now and then) -> POST outbox -> 202 and MESH's id of it -> the other chunks, if it has several
//! in    GET inbox -> GET inbox/{id}, chunk by chunk -> kept by whoever asked -> PUT inbox/{id}/status/acknowledged
//! ```
//!
//! MESH does not recognise repeats: the same message posted twice lies twice in the other mailbox. So the first POST of a message is made once,
//! and when its answer is lost nobody knows. A message of several chunks is different: the other mailbox sees it when the last chunk is in and not
//! before, so until that one has begun to leave, whatever goes wrong, nobody has seen the message; and a chunk, which has a number, may go again.

mod client;
mod inbox;
mod receipt;
mod send;
mod signature;
mod unpack;

pub use client::{Client, Connection, Keys, MeshSettings};
pub use inbox::{Fetched, InMessage, NotFetched};
pub use receipt::Receipt;
pub use signature::authorization;

/// The FHIR operation that a rendered message is for; the only thing that can be posted here.
pub const MESSAGE: &str = "$process-message";
/// Where the outbox is asked for a message by the name we gave it. What follows is that name.
pub const TRACKING: &str = "outbox/tracking/";

/// The media type of MESH's second API.
const V2: &str = "application/vnd.mesh.v2+json";
/// Largest answer that carries no message, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// MESH's own ids, as far as they may stand in a path: 1 to 100 letters, digits, `_` and `-`.
fn is_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

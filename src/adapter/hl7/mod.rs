//! Reading and writing HL7 v2 safely.
//!
//! In: [`Envelope::peek`] to know whom to answer, [`Message::read`] for the whole, [`Path`] to take values from it,
//! [`Reply::read`] for acknowledgements, [`Batch::split`] for files of several. Out: [`escape`], [`Ack`], and
//! [`rules::check`] before anything is sent.
//!
//! The parser is hl7-parser. It drops what it does not understand and its decoding loses text, so `scan` goes before it,
//! `message` parts the text as well and takes only what both agree on, and everything below a field is done here. What holds for all of it: no line is lost without
//! a word ([`Message::set_aside`]), nothing panics, and no error, `Debug` or log holds text of a message.

mod batch;
pub mod charset;
mod delimiters;
mod envelope;
pub mod escape;
mod message;
pub mod path;
mod reading;
mod reply;
pub mod rules;
mod scan;
mod write;

pub use batch::Batch;
pub use charset::Charset;
pub use delimiters::{BadDelimiters, Delimiters};
pub use envelope::{AckMode, AckWhen, Envelope};
pub use message::{Component, Field, Message, Repeat, Segment};
pub use path::Path;
pub use reading::Reading;
pub use reply::{NotAReply, Reply, ReplyError, Withheld};
pub(super) use scan::TOO_MANY_DELIMITERS;
pub use scan::{DELIMITERS_MAX, MESSAGE_BYTES_MAX, Notes, Odd, SEGMENTS_MAX, SetAside, Unreadable};
pub use write::{Ack, AckCode, AckError, Location};

#[cfg(test)]
mod defects;
#[cfg(test)]
mod read_tests;

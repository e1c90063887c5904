//! What MESH said to a message of ours, as bytes that can be stored and judged later.
//!
//! ```text
//! MESH 202 A446A65525664ADF94ACE46E102558DB        MESH 417 -
//!
//! {"message_id":"A446A65525664ADF94ACE46E102558DB"}  {"detail":[{"event":"SEND","code":"12",…}]}
//! ```

use super::is_id;
use crate::transport::Redacted;
use std::fmt;

/// One answer to one message.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The HTTP status: of the POST, or of the chunk at which it ended. 0: it ended without one.
    pub status: u16,
    /// MESH's own id, where all of the message was taken.
    pub message_id: Option<String>,
    /// It ended before its last chunk was in: the other mailbox can never see it.
    pub unfinished: bool,
    pub body: Vec<u8>,
}

const FIRST: &str = "MESH ";
const UNFINISHED: &str = "unfinished";

impl Receipt {
    /// Of a message whose last chunk never began to leave. MESH said nothing; that nobody has seen the message is our own knowledge.
    pub(super) fn broken_off() -> Self {
        Self { status: 0, message_id: None, unfinished: true, body: Vec::new() }
    }

    pub fn encode(&self) -> Vec<u8> {
        let id = self.message_id.as_deref().unwrap_or("-");
        let unfinished = if self.unfinished { " unfinished" } else { "" };
        [format!("{FIRST}{:03} {id}{unfinished}\n\n", self.status).as_bytes(), &self.body].concat()
    }

    /// `None`: these bytes are no receipt.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().take(200).position(|b| *b == b'\n')?;
        let line = std::str::from_utf8(&bytes[..end]).ok()?.strip_prefix(FIRST)?;
        let body = bytes[end + 1..].strip_prefix(b"\n")?.to_vec();
        let mut parts = line.split(' ');
        let (status, id) = (parts.next().filter(|s| s.len() == 3)?.parse().ok()?, parts.next()?);
        let (unfinished, end) = (parts.next(), parts.next());
        let known = unfinished.is_none_or(|word| word == UNFINISHED) && end.is_none() && (id == "-" || is_id(id));
        known.then(|| Self {
            status,
            message_id: Some(id.to_owned()).filter(|id| id != "-"),
            unfinished: unfinished.is_some(),
            body,
        })
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({} {:?}, {:?})", self.status, self.message_id, Redacted(self.body.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        for (message_id, unfinished) in [(Some("20220228174323222_ABCDEF"), false), (None, true), (None, false)] {
            let message_id = message_id.map(str::to_owned);
            let receipt = Receipt { status: 202, message_id, unfinished, body: b"{\"a\":1}\n\n".to_vec() };
            assert_eq!(Receipt::decode(&receipt.encode()), Some(receipt));
        }
    }

    #[test]
    fn other_bytes_are_no_receipt() {
        for bytes in [
            &b""[..],
            b"MESH 202 A\n",
            b"MESH 20 A\n\n",
            b"MESH 202\n\n",
            b"MESH 202 A B\n\n",
            b"MESH 202 ../x\n\n",
            b"HTTP 202\n\n",
            b"MESH 202 A unfinished x\n\n",
        ] {
            assert_eq!(Receipt::decode(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}

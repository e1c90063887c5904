//! `[endpoint.feed]`: the EPR pulls what is written for it. Nothing has to be said.

use super::section::Section;
use super::values::{duration, int, minutes, secs};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Feed {
    /// For one document to be taken, and again for the word that it was received.
    pub confirm_timeout: Duration,
    /// Documents handed out and not confirmed at a time.
    pub max_unconfirmed: u32,
    pub max_message_bytes: usize,
}

pub(super) fn read(mut s: Section<'_>) -> Feed {
    Feed {
        confirm_timeout: s.or("confirm_timeout", "\"30s\"", duration(secs(1)..=minutes(10))),
        max_unconfirmed: s.or("max_unconfirmed", "16", int(1..=256)),
        max_message_bytes: s.or("max_message_bytes", "3_145_728", int(65_536..=16_777_216)),
    }
}

//! What a reply means; a large one is read beside everything else that goes on, because reading costs time by the byte.

use super::wait::told_to_wait;
use crate::adapter::Fitted;
use crate::domain::ask::Answer;
use crate::domain::verdict::{Meaning, Verdict};
use crate::store::write::Feeling;
use crate::verdict::{Outage, is_asked_too_much, outage, unread, verdict};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What is larger than this, reply and request together, is large; so many are read at once.
const LARGE_BYTES: usize = 64 * 1024;
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What a reply says of the message, and what it says of the endpoint if that is in trouble.
pub async fn judge(fitted: &Arc<Fitted>, reply: &[u8], control_id: &str, sent: &[u8]) -> (Verdict, Option<Feeling>) {
    let both = |fitted: &Fitted, reply: &[u8], control_id: &str, sent: &[u8]| {
        let said = verdict(reply, &fitted.reply_rules, control_id, sent);
        let feeling = outage(reply, &fitted.reply_rules, &said).map(Feeling::from);
        (said, feeling)
    };
    if reply.len() + sent.len() <= LARGE_BYTES {
        return both(fitted, reply, control_id, sent);
    }
    let _turn = LARGE_AT_ONCE.acquire().await;
    let fitted = fitted.clone();
    let (reply, control_id, sent) = (reply.to_vec(), control_id.to_owned(), sent.to_vec());
    let judged = tokio::task::spawn_blocking(move || both(&fitted, &reply, &control_id, &sent)).await;
    judged.unwrap_or_else(|_| (Verdict::unreadable(), None))
}

impl From<Outage> for Feeling {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Silent(why) => Self::Silent(why),
            Outage::ShutOut(why) => Self::ShutOut(why),
        }
    }
}

/// What a reply to a question says, and what of the endpoint. A record that cannot be read may be written all the same: that holds up nothing that is sent.
pub fn answered(answer: Answer, reply: &[u8], now: Timestamp) -> (Answer, Feeling) {
    let Some(code) = unread(reply) else { return (answer, Feeling::Reached) };
    // Asked too much is whoever asks; that it cannot be read now says nothing of writing.
    let feeling = told_to_wait(reply, now).filter(|_| is_asked_too_much(reply)).unwrap_or(Feeling::Unread);
    match answer {
        // Of who carries it, where that is asked and not the record.
        Answer::NotHeard { .. } => (answer, feeling),
        // Whoever settles it knows of the others.
        _ => (Answer::NotRead { code, others_pass: false }, feeling),
    }
}

/// What is shown beside a reply by which our token was not taken: its codes. It is credited to nothing.
pub async fn of_refusal(fitted: &Arc<Fitted>, reply: &[u8], control_id: &str, sent: &[u8]) -> Verdict {
    let (said, _) = judge(fitted, reply, control_id, sent).await;
    Verdict { meaning: Meaning::Unknown, duplicate: false, untold: false, misplaced: false, record_id: None, ..said }
}

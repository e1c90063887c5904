//! Asking the record whether it holds an entry. No attempt: nothing changes there, nothing is counted, and no safety hold is in its way, for
//! it carries no note. The lane is held meanwhile, as for a send.

use super::judge::answered;
use super::send::Ending;
use super::{Endpoint, Shared};
use crate::domain::ask::Answer;
use crate::domain::decide::Happened;
use crate::domain::entry::EntryAction;
use crate::domain::ids::ReplyId;
use crate::domain::verdict::{Level, Meaning, Verdict};
use crate::store::record::{Raw, Reply};
use crate::store::write::{Claimed, Feeling};
use crate::transport::Sent;

/// What is asked about.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The bytes that were sent, as they were sent.
    pub rendering: &'a [u8],
    /// What the message was called on its way.
    pub control_id: &'a str,
    /// Our id of the document in them.
    pub document_id: &'a str,
    /// A withdrawal is found when the document stands there *as withdrawn*, a replacement when the newer one does: that some version
    /// is there proves neither.
    pub action: EntryAction,
}

/// How a pack asks: the request, and what its reply says. Both pure.
pub trait ReadBack: Send + Sync + 'static {
    /// The request for what these bytes brought. `None`: the pack cannot ask for it.
    fn request(&self, question: Question<'_>) -> Option<Vec<u8>>;

    /// What a reply says. Whatever the rules do not list is [`Answer::CannotSay`].
    fn judge(&self, reply: &[u8], question: Question<'_>) -> Answer;

    /// Whether bytes on the connection are the reply to the request; over HTTP they always are.
    fn correlates(&self, _reply: &[u8]) -> bool {
        true
    }
}

/// Asks once.
pub(super) async fn ask(shared: &Shared, endpoint: &Endpoint, claimed: &Claimed) -> Ending {
    let cannot = |code: &str| {
        let answer = Answer::CannotSay { code: code.to_owned() };
        Ending::without_attempt(Happened::Asked { answer, reply: None }, Feeling::Nothing)
    };
    let fitted = endpoint.in_use.now();
    let Some(read_back) = (endpoint.read_back)(&fitted) else {
        return cannot("the pack or config has no way to ask any longer");
    };
    let Some(rendering) = &claimed.rendering else { return cannot("nothing was rendered") };
    let document_id = claimed.delivery.document_id();
    let question = Question {
        rendering: &rendering.bytes.0,
        control_id: &rendering.control_id,
        document_id: &document_id,
        action: claimed.delivery.action,
    };
    let Some(request) = read_back.request(question) else {
        return cannot("the pack has no question for what was sent");
    };
    let mut way = match endpoint.sender.open().await {
        Ok(way) => way,
        Err(e) => return Ending::without_attempt(Happened::NotSent, Feeling::Unreachable(e.to_string())),
    };
    let now = shared.clock.now();
    let id = ReplyId::new(now, shared.entropy.as_ref());
    // Each ask is a request of its own.
    let name = format!("{}:{id}", rendering.control_id);
    let exchange = way.send(&request, &name, &|reply| read_back.correlates(reply)).await;
    drop(way);
    let kept = |id: ReplyId, bytes: Vec<u8>, verdict: Verdict, unmatched: bool| Reply {
        id,
        endpoint: endpoint.id.clone(),
        delivery_id: Some(claimed.delivery.id),
        attempt_id: None,
        received_at: shared.clock.now(),
        verdict,
        unmatched,
        bytes: Raw(bytes),
    };
    let mut replies: Vec<Reply> = exchange
        .strays
        .into_iter()
        .map(|s| kept(ReplyId::new(now, shared.entropy.as_ref()), s.bytes, Verdict::unreadable(), true))
        .collect();
    let (happened, feeling) = match exchange.sent {
        Sent::Reply(bytes) => {
            let said = read_back.judge(&bytes, question);
            let (answer, feeling) = answered(said, &bytes, shared.clock.now());
            replies.push(kept(id, bytes, shown(&answer), false));
            (Happened::Asked { answer, reply: Some(id) }, feeling)
        }
        // The request itself cannot be sent: trying again would not help.
        Sent::NotSent(e) if e.is_message_fault() => return cannot("the pack's request cannot be sent"),
        Sent::NotSent(e) => (Happened::NotSent, Feeling::Unreachable(e.to_string())),
        Sent::Unsure(e) => {
            let answer = Answer::NotHeard { why: e.to_string() };
            // Writing finds out by itself whether there is anybody.
            (Happened::Asked { answer, reply: None }, Feeling::Unread)
        }
    };
    Ending { replies, ..Ending::without_attempt(happened, feeling) }
}

/// What stands beside the kept bytes.
fn shown(answer: &Answer) -> Verdict {
    let (meaning, code, record_id) = match answer {
        Answer::Found { record_id } => (Meaning::Positive, "asked: found".to_owned(), record_id.clone()),
        Answer::Received { code } => {
            return Verdict { level: Level::Transport, ..said(Meaning::Positive, format!("asked: {code}"), None) };
        }
        Answer::NotDelivered { code } => (Meaning::Refused, format!("asked: {code}"), None),
        Answer::Misfiled { record_id } => {
            (Meaning::Misfiled, "asked: in somebody else's record".to_owned(), Some(record_id.clone()))
        }
        Answer::NotFound => (Meaning::Unknown, "asked: not there".to_owned(), None),
        Answer::Several => (Meaning::Unknown, "asked: there more than once".to_owned(), None),
        Answer::CannotSay { code } => (Meaning::Unknown, format!("asked: {code}"), None),
        Answer::NotRead { code, .. } => (Meaning::Unknown, format!("asked: {code}"), None),
        Answer::NotHeard { .. } => (Meaning::Unknown, "asked: no answer".to_owned(), None),
    };
    said(meaning, code, record_id)
}

fn said(meaning: Meaning, code: String, record_id: Option<String>) -> Verdict {
    Verdict { meaning, level: Level::Application, code, duplicate: false, untold: false, misplaced: false, record_id }
}

/// For metrics.
pub(super) fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Found { .. } => "found",
        Answer::Received { .. } => "received",
        Answer::NotDelivered { .. } => "not_delivered",
        Answer::Misfiled { .. } => "misfiled",
        Answer::NotFound => "not_found",
        Answer::Several | Answer::CannotSay { .. } => "unclear",
        Answer::NotRead { .. } => "not_read",
        Answer::NotHeard { .. } => "unheard",
    }
}

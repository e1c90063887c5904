//! Asking the record something before a message is made, such as its own id of the patient. No attempt: nothing changes there and nothing is counted; no
//! transaction is open. Without an answer nothing was sent; with one that does not say one thing, a person looks.

use super::{Endpoint, Shared};
use crate::adapter::{Died, Fitted, Found, Input, LookupQuestion, NotLookedUp};
use crate::domain::ids::ReplyId;
use crate::store::record::{LookedUp, Raw};
use crate::store::write::Feeling;
use crate::transport::Sent;
use std::time::Duration;

/// All lookups of one message together. Less than what every lease leaves beside the longest send, so that looking up never outlives the lease: `app` holds the
/// two against each other.
pub const TIME_MAX: Duration = Duration::from_secs(10);

/// Why there is nothing to go on with.
pub enum Stopped {
    /// The record cannot be reached: nothing was sent, and it is tried again.
    NotSent(Feeling),
    /// It was reached, and gave no answer to this question: perhaps to no other, perhaps only to this one. Nothing was sent; others come first now.
    NotNow(String),
    /// The record says that the patient has died; its answer.
    Died(Vec<u8>),
    /// A person has to look: why, without a value of the answer, and the answer itself, where there was one.
    Unclear(String, Option<Vec<u8>>),
}

/// Asks every question and puts the answers into the input. `goes_to_the_dead`: a death that the record tells of stops nothing. Gives them as they came,
/// to be kept with the bytes. `died`: the death, whatever else came of it.
pub async fn look_up(
    shared: &Shared,
    endpoint: &Endpoint,
    fitted: &Fitted,
    questions: Vec<LookupQuestion>,
    input: &mut Input,
    goes_to_the_dead: bool,
    died: &mut Option<Died>,
) -> Result<Vec<LookedUp>, Stopped> {
    let asked = tokio::time::timeout(TIME_MAX, async {
        let mut answers = Vec::new();
        for question in questions {
            let answer = one(shared, endpoint, fitted, question, input, died).await?;
            if died.is_some() && !goes_to_the_dead {
                return Err(Stopped::Died(answer.answer.0));
            }
            answers.push(answer);
        }
        Ok(answers)
    });
    let slow = |_| Err(Stopped::NotNow(format!("lookups took longer than {} s", TIME_MAX.as_secs())));
    asked.await.unwrap_or_else(slow)
}

async fn one(
    shared: &Shared,
    endpoint: &Endpoint,
    fitted: &Fitted,
    question: LookupQuestion,
    input: &mut Input,
    died: &mut Option<Died>,
) -> Result<LookedUp, Stopped> {
    let unreachable = |e: &dyn std::fmt::Display| Stopped::NotSent(Feeling::Unreachable(e.to_string()));
    let mut way = endpoint.sender.open().await.map_err(|e| unreachable(&e))?;
    let id = ReplyId::new(shared.clock.now(), shared.entropy.as_ref());
    let exchange = way.send(&question.request, &format!("lookup:{id}"), &|_| true).await;
    drop(way);
    let answer = match exchange.sent {
        Sent::Reply(bytes) => bytes,
        Sent::NotSent(e) if e.is_message_fault() => {
            return Err(Stopped::Unclear(format!("lookup {}: its question cannot be sent", question.name), None));
        }
        Sent::NotSent(e) => return Err(unreachable(&e)),
        // A question changes nothing: that it may have arrived does not matter.
        Sent::Unsure(e) => return Err(Stopped::NotNow(format!("lookup {}: {e}", question.name))),
    };
    let (said, stopped) = match fitted.pack.looked_up(&question.name, &answer, input) {
        Ok(found) => (found, None),
        Err(e @ NotLookedUp::Trouble { .. }) => (Found::default(), Some(Stopped::NotNow(e.to_string()))),
        Err(ref e @ NotLookedUp::Unclear { ref found, .. }) => {
            (found.clone(), Some(Stopped::Unclear(e.to_string(), Some(answer.clone()))))
        }
    };
    *died = said.died.or(died.take());
    match stopped {
        Some(stopped) => Err(stopped),
        None => Ok(LookedUp { name: question.name, answer: Raw(answer) }),
    }
}

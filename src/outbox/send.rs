//! One delivery in hand, from its holds to its settling.

use super::judge::{judge, of_refusal};
use super::prepare::{Prepared, prepare};
use super::wait::told_to_wait;
use super::ways::Ahead;
use super::{Endpoint, Shared, ask, strays, trace};
use crate::adapter::Fitted;
use crate::domain::decide::Happened;
use crate::domain::delivery::{ParkReason, State};
use crate::domain::ids::{AttemptId, ReplyId};
use crate::domain::verdict::{Meaning, Verdict};
use crate::store::record::{Raw, Reply};
use crate::store::write::{Begin, Begun, Claimed, Feeling, Settle};
use crate::store::{StoreError, WriteError};
use crate::transport::{Exchange, NotSent, Sent, Stray, StrayKind};
use crate::verdict::{correlates, shows_filing};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;

/// A record that takes nothing is left alone for so long: on SQLite a claim needs no commit, and would be made again at once.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// What came of a delivery, before it is settled.
pub(super) struct Ending {
    pub attempt: Option<AttemptId>,
    pub happened: Happened,
    pub replies: Vec<Reply>,
    /// Perhaps late acknowledgements of earlier messages: weighed once this attempt is settled.
    pub late: Vec<Stray>,
    /// The control id, where an answer came: others may follow it.
    pub answered: Option<String>,
    pub feeling: Feeling,
}

impl Ending {
    pub fn without_attempt(happened: Happened, feeling: Feeling) -> Self {
        Self { attempt: None, happened, replies: Vec::new(), late: Vec::new(), answered: None, feeling }
    }
}

/// Takes one claimed delivery to its end. Whatever happens here, the lease makes sure that it is not forgotten.
pub async fn deliver(shared: &Shared, endpoint: &Endpoint, claimed: Claimed, ahead: Ahead) {
    let span = tracing::info_span!("deliver", endpoint = %endpoint.id, delivery = %claimed.delivery.id, attempt = claimed.delivery.attempts + 1);
    trace::continue_from(&span, claimed.delivery.trace.as_deref());
    async {
        let started = Instant::now();
        let mut ending = match ending(shared, endpoint, &claimed, ahead).await {
            Ok(ending) => ending,
            Err(e) => {
                // Nothing was begun: the lease runs out and the lane is claimed anew.
                tracing::warn!(reason = %e, "the delivery could not be prepared; it is tried again when its lease ends");
                tokio::time::sleep(STORE_WAIT).await;
                return;
            }
        };
        match &ending.happened {
            Happened::Asked { answer, .. } => shared.watch.asked(endpoint.id.as_str(), ask::word(answer)),
            happened => shared.watch.attempt(endpoint.id.as_str(), word(happened), started.elapsed()),
        }
        let (late, answered) = (std::mem::take(&mut ending.late), ending.answered.take());
        settle(shared, endpoint, &claimed, ending).await;
        let second = answered.map(|id| endpoint.answered.settled(&id)).unwrap_or_default();
        for stray in late.into_iter().chain(second) {
            strays::keep(shared, endpoint, stray).await;
        }
    }
    .instrument(span)
    .await;
}

async fn ending(shared: &Shared, endpoint: &Endpoint, claimed: &Claimed, ahead: Ahead) -> Result<Ending, WriteError> {
    // Its turn comes again, and says nothing of the endpoint.
    let put_back = |why| Ending::without_attempt(Happened::PutBack { why }, Feeling::Nothing);
    let no_turn = || put_back("every connection was in use");
    if claimed.delivery.asking.is_some() {
        let Some(_turn) = ahead.turn().await else { return Ok(no_turn()) };
        return Ok(ask::ask(shared, endpoint, claimed).await);
    }
    // One pack from beginning to end: another that is activated meanwhile is for what comes after.
    let fitted = endpoint.in_use.now();
    // What is asked first is asked over the same connections: nobody who has a turn may find them taken, or a lease would have to outlive that wait too.
    let (mut ahead, mut turn) = (Some(ahead), None);
    if fitted.pack.asks_first(&fitted.settings)
        && let Some(ahead) = ahead.take()
    {
        turn = ahead.turn().await;
        if turn.is_none() {
            return Ok(no_turn());
        }
    }
    let (bytes, control_id, with, seen) = match prepare(shared, endpoint, &fitted, claimed).await? {
        Prepared::Hold { reason, detail, heard } => {
            let replies = heard.map(|bytes| looked_up(shared, endpoint, claimed, &detail, bytes)).into_iter().collect();
            let held = Ending::without_attempt(Happened::Held { reason, detail }, Feeling::Nothing);
            return Ok(Ending { replies, ..held });
        }
        Prepared::NotSent(feeling) => return Ok(Ending::without_attempt(Happened::NotSent, feeling)),
        // Several in a row close the gate, as silences do: one patient's trouble is not the endpoint's.
        Prepared::NotNow(why) => {
            return Ok(Ending::without_attempt(
                Happened::NotNow { why: why.clone(), others_pass: false },
                Feeling::Silent(why),
            ));
        }
        Prepared::Send { bytes, control_id, with, seen } => (bytes, control_id, with, seen),
    };
    if let Some(ahead) = ahead {
        turn = ahead.turn().await;
    }
    let Some(turn) = turn else { return Ok(no_turn()) };
    // The way first: without one nothing was tried, and nothing is counted.
    let mut way = match endpoint.sender.open().await {
        Ok(way) => way,
        Err(e) => return Ok(Ending::without_attempt(Happened::NotSent, absent(&e))),
    };
    let begin = Begin {
        token: claimed.token,
        endpoint: endpoint.id.clone(),
        patient_id: claimed.delivery.patient_id,
        delivery_id: claimed.delivery.id,
        with,
        seen,
        lease: endpoint.lease,
        config: endpoint.config.clone(),
    };
    let attempt = match shared.store.begin(begin).await {
        Ok(Begun::Attempt(id)) => id,
        Ok(Begun::OtherPack(activation)) => {
            tracing::info!(activation, "another pack was activated; nothing was sent, and it is made anew with that");
            endpoint.in_use.fell_behind(activation);
            return Ok(put_back("another pack was activated meanwhile"));
        }
        Ok(Begun::OtherConfig) => {
            endpoint.in_use.set_outdated(true);
            return Ok(put_back("another bridge started with another config of the endpoint meanwhile"));
        }
        Ok(Begun::Stale) => return Ok(put_back("something it rests on changed meanwhile")),
        Err(e) => {
            // Stored or not: no byte has left, and none will. Others need neither the connection nor the turn meanwhile.
            tracing::warn!(reason = %e, "an attempt could not be begun; nothing was sent, and it is tried again");
            drop(way);
            drop(turn);
            tokio::time::sleep(STORE_WAIT).await;
            return Ok(put_back("the attempt could not be written down"));
        }
    };
    let matches = |reply: &[u8]| correlates(reply, &fitted.reply_rules, &control_id);
    let acted = |reply: &[u8]| shows_filing(reply, &fitted.reply_rules, &control_id, &bytes);
    let exchange = way.send_unless(&bytes, &control_id, &matches, &acted).await;
    // While the connection is ours still: from then on it may bring another answer.
    if matches!(exchange.sent, Sent::Reply(_)) {
        endpoint.answered.heard(&control_id);
    }
    drop(way);
    drop(turn);
    Ok(after(shared, (endpoint, &fitted), claimed, attempt, (&control_id, &bytes), exchange).await)
}

/// What a lookup was answered, kept for the person who has to look.
fn looked_up(shared: &Shared, endpoint: &Endpoint, claimed: &Claimed, why: &str, bytes: Vec<u8>) -> Reply {
    let now = shared.clock.now();
    Reply {
        id: ReplyId::new(now, shared.entropy.as_ref()),
        endpoint: endpoint.id.clone(),
        delivery_id: Some(claimed.delivery.id),
        attempt_id: None,
        received_at: now,
        verdict: Verdict { code: why.to_owned(), ..Verdict::unreadable() },
        unmatched: false,
        bytes: Raw(bytes),
    }
}

/// What an exchange means.
async fn after(
    shared: &Shared,
    (endpoint, fitted): (&Endpoint, &Arc<Fitted>),
    claimed: &Claimed,
    attempt: AttemptId,
    (control_id, bytes): (&str, &[u8]),
    exchange: Exchange,
) -> Ending {
    let now = shared.clock.now();
    let reply = |bytes: Vec<u8>, verdict: Verdict, unmatched: bool| Reply {
        id: ReplyId::new(now, shared.entropy.as_ref()),
        endpoint: endpoint.id.clone(),
        delivery_id: Some(claimed.delivery.id),
        attempt_id: Some(attempt),
        received_at: now,
        verdict,
        unmatched,
        bytes: Raw(bytes),
    };
    let answered = matches!(exchange.sent, Sent::Reply(_)).then(|| control_id.to_owned());
    // What came back and is not the answer is kept beside the attempt, and credited to nothing; unless it is by this way that the
    // endpoint's late acknowledgements come, or it answers once more what was answered.
    let (late, strays): (Vec<Stray>, Vec<Stray>) = exchange.strays.into_iter().partition(|s| {
        s.kind == StrayKind::Frame && (endpoint.late_replies_on_connection || endpoint.answered.is_second(s))
    });
    let mut replies = Vec::new();
    for stray in strays {
        let verdict = match stray.kind {
            StrayKind::Refusal => of_refusal(fitted, &stray.bytes, control_id, bytes).await,
            StrayKind::Frame => crate::verdict::stray(&stray.bytes, true),
            StrayKind::Fragment => crate::verdict::stray(&stray.bytes, false),
        };
        replies.push(reply(stray.bytes, verdict, true));
    }
    let (happened, feeling) = match exchange.sent {
        Sent::Reply(heard) => {
            let (verdict, outage) = judge(fitted, &heard, control_id, bytes).await;
            let waits = told_to_wait(&heard, now);
            let kept = reply(heard, verdict.clone(), false);
            let happened = Happened::Replied { verdict, reply: kept.id };
            replies.push(kept);
            (happened, waits.or(outage).unwrap_or(Feeling::Reached))
        }
        Sent::NotSent(e) => not_sent(&e),
        Sent::Unsure(e) => (Happened::NoAnswer { why: e.to_string() }, Feeling::Silent(e.to_string())),
    };
    Ending { attempt: Some(attempt), happened, replies, late, answered, feeling }
}

fn not_sent(e: &NotSent) -> (Happened, Feeling) {
    if e.is_message_fault() {
        // No endpoint could take these bytes: a person has to look at the message, not at the line.
        (Happened::Held { reason: ParkReason::NotRenderable, detail: e.to_string() }, Feeling::Nothing)
    } else {
        (Happened::NotSent, absent(e))
    }
}

/// What it says of the endpoint. Where nobody has come to be sent to yet, it is not tried again before somebody does: nothing has to be closed.
fn absent(e: &NotSent) -> Feeling {
    if e.is_nobody() { Feeling::Nothing } else { Feeling::Unreachable(e.to_string()) }
}

/// Settling is tried until the lease would end anyway: what was heard must not be lost to a store that is away for a moment.
async fn settle(shared: &Shared, endpoint: &Endpoint, claimed: &Claimed, ending: Ending) {
    let give_up = Instant::now() + endpoint.lease;
    let mut wait = Duration::from_millis(50);
    loop {
        let mut random = [0u8; 8];
        shared.entropy.fill(&mut random);
        let settle = Settle {
            token: claimed.token,
            endpoint: endpoint.id.clone(),
            patient_id: claimed.delivery.patient_id,
            delivery_id: claimed.delivery.id,
            attempt: ending.attempt,
            asked_about: claimed.rendering.as_ref().map(|r| r.id).filter(|_| ending.attempt.is_none()),
            happened: ending.happened.clone(),
            replies: ending.replies.clone(),
            feeling: ending.feeling.clone(),
            probe: endpoint.probe,
            random: u64::from_le_bytes(random),
        };
        match shared.store.settle(settle).await {
            Ok(delivery) => {
                let code = delivery.park.as_ref().map(|p| p.reason.code());
                match delivery.state {
                    State::Parked => tracing::warn!(state = "PARKED", reason = code, "settled: it waits for a person"),
                    state => tracing::info!(state = state.word(), "settled"),
                }
                if delivery.state == State::Filed {
                    let after = shared.clock.now().duration_since(delivery.created_at).unsigned_abs();
                    shared.watch.filed(endpoint.id.as_str(), after);
                }
                return;
            }
            // An earlier try did commit. Any other conflict stored nothing.
            Err(WriteError::Store(StoreError::Conflict(_))) if is_kept(shared, &ending).await => return,
            Err(e) if Instant::now() >= give_up => {
                tracing::error!(reason = %e, "what came of an attempt could not be stored; the lease ends and the delivery counts as unknown");
                return;
            }
            Err(e) => {
                tracing::warn!(reason = %e, "what came of an attempt could not be stored yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
        }
    }
}

/// Whether the same reply is there already.
async fn is_kept(shared: &Shared, ending: &Ending) -> bool {
    match ending.replies.first() {
        Some(reply) => shared.store.has_reply(reply.id).await.unwrap_or(false),
        None => false,
    }
}

fn word(happened: &Happened) -> &'static str {
    match happened {
        Happened::Replied { verdict, .. } => match verdict.meaning {
            Meaning::Positive => "positive",
            Meaning::Refused => "refused",
            Meaning::Retry => "retry",
            Meaning::Unknown => "unknown",
            Meaning::Misfiled => "misfiled",
        },
        Happened::NoAnswer { .. } => "unknown",
        Happened::Held { .. } => "held",
        _ => "not_sent",
    }
}

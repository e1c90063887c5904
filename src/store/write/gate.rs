//! The endpoint's gate: what an attempt taught of the endpoint itself, whom that holds back, and what is one delivery's own trouble.

use super::super::ahead::LONGEST_WAIT;
use super::super::error::WriteError;
use super::super::news::News;
use super::super::record::{EndpointState, Gate, Lease, SILENT_MAX, UNREAD_MAX};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::outbox::Settle;
use crate::domain::ambient::from_micros;
use crate::domain::ask::Answer;
use crate::domain::decide::{Happened, later};
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use std::time::Duration;

/// What an attempt taught about the endpoint itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feeling {
    /// It answered.
    Reached,
    /// No byte could be brought to it.
    Unreachable(String),
    /// Bytes left and nothing came back.
    Silent(String),
    /// It turned the message away unread, and would any other: one such answer is enough.
    ShutOut(String),
    /// It answered that it is asked too much, and said for how long it wants to be left alone.
    ToldToWait { why: String, wait: Duration },
    /// It answered a question with no answer: it may be written all the same, so the gate stays as it is.
    Unread,
    /// Nothing: no attempt was made.
    Nothing,
}

/// After so many silences in a row the endpoint itself is in trouble, not one message.
const SILENCES_THAT_CLOSE: u32 = 3;

/// How many lanes the endpoint's gate lets through now.
pub(super) fn gate_room(state: &EndpointState, clock: jiff::Timestamp, limit: u32) -> u32 {
    // What a clock wrote that was ahead holds nobody back.
    let waiting = state.until.is_some_and(|until| until > clock && until <= later(clock, LONGEST_WAIT));
    match state.gate {
        _ if state.paused.is_some() => 0,
        Gate::Open => limit,
        Gate::Closed | Gate::Probing if waiting => 0,
        Gate::Closed | Gate::Probing => limit.min(1),
    }
}

impl Settle {
    /// Others were answered since this one was not: whatever is the matter is its own. The first time nobody can know.
    pub(super) fn others_pass(&self, view: &View) -> bool {
        let state = view.endpoints.get(&self.endpoint);
        match self.feeling {
            Feeling::Reached | Feeling::Unreachable(_) | Feeling::Nothing => false,
            // Only who has a question answered shows that others have. Where so many have not, nobody has.
            Feeling::Unread => {
                state.is_none_or(|s| s.unread.len() < UNREAD_MAX && !s.unread.contains(&self.delivery_id))
            }
            Feeling::Silent(_) | Feeling::ShutOut(_) | Feeling::ToldToWait { .. } => {
                state.is_none_or(|s| s.gate == Gate::Open && !s.silent.contains(&self.delivery_id))
            }
        }
    }

    /// Open, closed until, and back: only a change is written.
    pub(super) fn feel(&self, view: &mut View, lease: Option<&Lease>) {
        let before =
            view.endpoints.get(&self.endpoint).cloned().unwrap_or_else(|| EndpointState::new(self.endpoint.clone()));
        let mut state = before.clone();
        let is_probe = |s: &EndpointState| s.gate == Gate::Probing && lease.is_some_and(|l| Some(l.until) == s.until);
        match &self.feeling {
            // The probe was held back before it could find out anything: the next delivery probes, now.
            Feeling::Nothing if is_probe(&state) => {
                (state.gate, state.until) = (Gate::Closed, None);
            }
            Feeling::Nothing => return,
            Feeling::Unread => {
                // It found out nothing of what is sent: the next one probes, and this one waits its own time.
                if is_probe(&state) {
                    (state.gate, state.until) = (Gate::Closed, None);
                }
                note(&mut state.unread, self.delivery_id, UNREAD_MAX);
            }
            // An answer that was on its way when it asked to be left alone does not end that.
            Feeling::Reached if state.told_until.is_some_and(|until| until > from_micros(view.lease_clock)) => {
                (state.failures, state.silences) = (0, 0);
                state.silent.clear();
            }
            Feeling::Reached => {
                let EndpointState { paused, pack, config, unread, .. } = state;
                state = EndpointState { paused, pack, config, unread, ..EndpointState::new(self.endpoint.clone()) };
            }
            Feeling::ToldToWait { why, wait } => {
                note(&mut state.silent, self.delivery_id, SILENT_MAX);
                let clock = from_micros(view.lease_clock);
                let until = Some(later(clock, *wait));
                let longer = state.because.clone();
                let is_shorter = state.gate == Gate::Closed && state.until >= until;
                self.close(&mut state, why, clock);
                // The reason that is shown is that of the longest wait.
                if is_shorter {
                    state.because = longer;
                }
                state.until = state.until.max(until);
                state.told_until = state.told_until.max(until);
            }
            Feeling::Unreachable(why) => self.close(&mut state, why, from_micros(view.lease_clock)),
            Feeling::ShutOut(why) => {
                note(&mut state.silent, self.delivery_id, SILENT_MAX);
                self.close(&mut state, why, from_micros(view.lease_clock));
            }
            Feeling::Silent(why) => {
                // One that is never answered says nothing of the endpoint, however often it is tried.
                state.silences += u32::from(note(&mut state.silent, self.delivery_id, SILENT_MAX));
                if state.silences >= SILENCES_THAT_CLOSE || state.gate != Gate::Open {
                    self.close(&mut state, why, from_micros(view.lease_clock));
                }
            }
        }
        if self.feeling == Feeling::Reached && matches!(self.happened, Happened::Asked { .. }) {
            state.unread.clear();
        }
        match (before.gate, state.gate) {
            (Gate::Open, Gate::Closed) => {
                let (endpoint, because) = (self.endpoint.clone(), state.because.clone());
                view.news.push(News::GateClosed { endpoint, because });
            }
            (Gate::Closed | Gate::Probing, Gate::Open) => {
                view.news.push(News::GateOpen { endpoint: self.endpoint.clone() });
            }
            _ => {}
        }
        if state != before {
            view.endpoints.put(self.endpoint.clone(), state);
        }
    }

    fn close(&self, state: &mut EndpointState, why: &str, clock: jiff::Timestamp) {
        // Several lanes can fail together: that is one failure of the endpoint, not one each.
        let fresh = state.gate != Gate::Closed || state.until.is_none_or(|u| u <= clock);
        if fresh {
            state.failures = state.failures.saturating_add(1);
            state.until = Some(later(clock, self.probe.wait(state.failures, self.random)));
        }
        state.gate = Gate::Closed;
        state.because = why.to_owned();
    }
}

/// Whether it is news that this one has met with trouble since the endpoint last answered.
fn note(list: &mut Vec<DeliveryId>, delivery: DeliveryId, max: usize) -> bool {
    let is_new = !list.contains(&delivery);
    if is_new {
        list.insert(0, delivery);
        list.truncate(max);
    }
    is_new
}

/// What is answered to others and not to this one comes to an end: a person looks. What is turned away while nobody gets in does not count: an outage
/// parks nothing.
pub(super) fn alone(happened: &Happened, feeling: &Feeling, others_pass: bool) -> Happened {
    let nobody_gets_in = matches!(feeling, Feeling::ShutOut(_) | Feeling::ToldToWait { .. }) && !others_pass;
    match happened {
        Happened::Replied { verdict, .. } if nobody_gets_in && verdict.is_not_taken() => {
            Happened::TurnedAway { verdict: verdict.clone() }
        }
        Happened::NotNow { why, .. } => Happened::NotNow { why: why.clone(), others_pass },
        Happened::Asked { answer: Answer::NotHeard { why }, reply } if others_pass => {
            Happened::Asked { answer: Answer::NotRead { code: why.clone(), others_pass }, reply: *reply }
        }
        Happened::Asked { answer: Answer::NotRead { code, .. }, reply } => {
            Happened::Asked { answer: Answer::NotRead { code: code.clone(), others_pass }, reply: *reply }
        }
        other => other.clone(),
    }
}

/// The far end has come to us by itself: what closed the endpoint's gate is over, and the next delivery finds out.
pub struct Knock {
    pub endpoint: EndpointId,
}

impl Write for Knock {
    type Answer = ();

    fn needs(&self, _view: &View, keys: &mut Keys) {
        keys.endpoints.insert(self.endpoint.clone());
    }

    fn decide(&mut self, view: &mut View, _ctx: &Ctx<'_>) -> Result<(), WriteError> {
        let state = view.endpoints.get(&self.endpoint).filter(|s| s.gate == Gate::Closed && s.until.is_some());
        if let Some(state) = state.cloned() {
            view.endpoints.put(self.endpoint.clone(), EndpointState { until: None, told_until: None, ..state });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::{Meaning, Verdict};

    #[test]
    fn a_gate_that_a_clock_closed_which_was_ahead_is_tried_again() {
        let clock: jiff::Timestamp = "2026-03-03T15:00:00Z".parse().unwrap();
        let closed = |until: jiff::Timestamp| EndpointState {
            gate: Gate::Closed,
            until: Some(until),
            ..EndpointState::new(EndpointId::parse("epr").unwrap())
        };
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(gate_room(&closed(later(clock, day)), clock, 8), 0, "the longest wait that config has");
        assert_eq!(gate_room(&closed(later(clock, day * 30)), clock, 8), 1);
        assert_eq!(gate_room(&closed(clock), clock, 8), 1);
    }

    #[test]
    fn what_is_turned_away_while_nobody_gets_in_counts_only_where_nothing_was_taken() {
        let told = Feeling::ToldToWait { why: String::new(), wait: Duration::from_secs(1) };
        let reply = crate::domain::ids::ReplyId(uuid::Uuid::from_u128(1));
        for (meaning, untold, duplicate, away) in [
            (Meaning::Retry, false, false, true),
            (Meaning::Refused, false, false, true),
            (Meaning::Retry, true, false, true),
            (Meaning::Refused, true, false, false),
            (Meaning::Refused, false, true, false),
            (Meaning::Unknown, false, false, false),
            (Meaning::Positive, false, false, false),
        ] {
            let verdict = Verdict { meaning, untold, duplicate, code: "401".into(), ..Verdict::unreadable() };
            let turned = Happened::TurnedAway { verdict: verdict.clone() };
            let replied = Happened::Replied { verdict, reply };
            for feeling in [&Feeling::ShutOut(String::new()), &told] {
                let expected = if away { &turned } else { &replied };
                assert_eq!(&alone(&replied, feeling, false), expected, "{meaning:?} {untold} {duplicate}");
                assert_eq!(alone(&replied, feeling, true), replied, "others get in");
            }
            assert_eq!(alone(&replied, &Feeling::Reached, false), replied);
        }
    }

    #[test]
    fn what_others_are_answered_and_this_one_is_not_comes_to_an_end() {
        let silent = Feeling::Silent(String::new());
        let not_heard =
            Happened::Asked { answer: Answer::NotHeard { why: "the reply is too large".into() }, reply: None };
        assert_eq!(alone(&not_heard, &silent, false), not_heard, "an outage parks nothing");
        let not_read = |others_pass| {
            let answer = Answer::NotRead { code: "the reply is too large".into(), others_pass };
            Happened::Asked { answer, reply: None }
        };
        assert_eq!(alone(&not_heard, &silent, true), not_read(true));
        for others_pass in [true, false] {
            assert_eq!(alone(&not_read(false), &Feeling::Unread, others_pass), not_read(others_pass));
        }
        let not_now = |others_pass| Happened::NotNow { why: "answered 500".into(), others_pass };
        assert_eq!(alone(&not_now(false), &silent, true), not_now(true));
        assert_eq!(alone(&Happened::NotSent, &silent, true), Happened::NotSent);
    }
}

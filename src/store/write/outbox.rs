//! The outbox's side of the record: claim lanes, begin attempts, settle them, take late evidence.

use super::super::error::{StoreError, WriteError};
use super::super::record::{Actor, Attempt, EndpointState, Gate, Lane, Lease, Rendering, Reply};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::accept::happen;
use super::accept::serves;
use super::gate::{Feeling, alone, gate_room};
use super::names;
use super::{About, audit};
use crate::domain::ambient::{from_micros, micros};
use crate::domain::ask::Answer;
use crate::domain::decide::{Happened, later};
use crate::domain::delivery::{Delivery, EvidenceKind, State};
use crate::domain::entry::Entry;
use crate::domain::ids::{AttemptId, DeliveryId, LeaseToken, PatientId, RenderingId};
use crate::domain::organisation::EndpointId;
use crate::domain::person::Patient;
use crate::domain::policy::BackOff;
use crate::domain::referral::Referral;
use crate::domain::verdict::{Level, Meaning, Verdict};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Takes the lanes of an endpoint whose heads are due.
pub struct Claim {
    pub endpoint: EndpointId,
    /// Lanes at most, up to 1000. 0: none is taken, and only what workers that are gone left behind is settled.
    pub limit: u32,
    pub lease: Duration,
    /// By which config ([`super::super::record::ActiveConfig::digest`]): while another one is in force, none is taken.
    pub config: Arc<str>,
}

/// A delivery in hand, with all that is needed to check, render and send it.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub token: LeaseToken,
    pub delivery: Delivery,
    pub entry: Arc<Entry>,
    pub patient: Arc<Patient>,
    pub referral: Arc<Referral>,
    /// The older deliveries of the same subject at this endpoint, oldest first.
    pub before: Vec<Delivery>,
    pub rendering: Option<Rendering>,
}

impl Write for Claim {
    type Answer = Vec<Claimed>;

    /// Nothing has left yet.
    fn can_wait(&self) -> bool {
        true
    }

    fn needs(&self, view: &View, keys: &mut Keys) {
        // Lanes that were taken up and are not written yet look as if they were due.
        let taken = view.lanes.changed_keys().into_iter().filter(|(e, _)| *e == self.endpoint).count();
        let limit = if self.limit == 0 { 0 } else { self.limit + u32::try_from(taken).unwrap_or(u32::MAX >> 1) };
        keys.claims.insert((self.endpoint.clone(), limit));
        keys.endpoints.insert(self.endpoint.clone());
        for c in view.claimable.get(&self.endpoint).into_iter().flatten() {
            let key = (self.endpoint.clone(), c.patient_id);
            let leased = view.lanes.get(&key).and_then(|l| l.lease.as_ref()).map(|l| l.delivery_id);
            super::merge::lead_on_needs(view, keys, &key);
            keys.lanes.insert(key);
            // When a worker is gone, another of the same chain may be what goes first then.
            let subject = leased.and_then(|id| view.deliveries.get(&id)).map(|d| d.subject.uuid());
            let chain = subject.and_then(|s| view.chains.get(&s)).into_iter().flatten().copied();
            for id in c.head.into_iter().chain(leased).chain(chain) {
                keys.deliveries.insert(id);
                let Some(d) = view.deliveries.get(&id) else { continue };
                keys.chains.insert(d.subject.uuid());
                keys.entries.insert(d.entry_id);
                keys.patients.insert(d.patient_id);
                keys.referrals.insert(d.referral_id);
                keys.renderings.extend(d.rendering);
            }
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Vec<Claimed>, WriteError> {
        if self.limit > 0 && view.endpoints.get(&self.endpoint).is_some_and(|e| !e.is_sent_by(&self.config)) {
            return Ok(Vec::new());
        }
        let clock = from_micros(view.lease_clock);
        let until = later(clock, self.lease);
        let claimable = view.claimable.get(&self.endpoint).cloned().unwrap_or_default();
        let mut state =
            view.endpoints.get(&self.endpoint).cloned().unwrap_or_else(|| EndpointState::new(self.endpoint.clone()));
        let mut room = gate_room(&state, clock, self.limit);
        let probing = room == 1 && state.gate != Gate::Open;
        let mut claimed = Vec::new();
        let mut claimable = claimable;
        if probing {
            // One whose silence is known finds out nothing, and a question not whether anything is taken.
            let asks = |head| view.deliveries.get(&head).is_some_and(|d| d.ask_at().is_some());
            claimable
                .sort_by_key(|c| (c.head.is_some_and(asks), c.head.is_some_and(|head| state.silent.contains(&head))));
        }
        for c in claimable {
            let key = (self.endpoint.clone(), c.patient_id);
            let Some(mut lane) = view.lanes.get(&key).cloned() else { continue };
            let mut head = c.head;
            if let Some(lease) = &lane.lease {
                if micros(lease.until) > view.lease_clock {
                    continue;
                }
                // The worker that held it is gone: what it was doing decides, before anything else of this lane moves.
                let expired = view.deliveries.get(&lease.delivery_id).cloned();
                lane.lease = None;
                view.lanes.put(key.clone(), lane.clone());
                if let Some(d) = expired.filter(|d| d.state == State::Sending) {
                    happen(view, ctx, &d, &Happened::LeaseExpired, "bridge")?;
                    // Of its chain something may be free now that was not when the head was looked up.
                    let chain = view.chain(d.subject.uuid(), &self.endpoint);
                    head = first_of(view, ctx.now, chain.iter().map(|d| d.id).chain(head));
                }
            }
            // A merged patient's lane leads on: what is in it goes from the lane it leads to.
            if super::merge::lead_on(view, ctx, &key) || room == 0 {
                continue;
            }
            let Some(delivery) = head.and_then(|h| view.deliveries.get(&h)).cloned() else { continue };
            let asks = delivery.ask_at().is_some_and(|at| at <= ctx.now);
            let free = matches!(delivery.state, State::Queued | State::BackingOff) && delivery.due_at() <= ctx.now;
            let predecessor = delivery.predecessor.and_then(|p| view.deliveries.get(&p));
            let here = delivery.patient_id == c.patient_id;
            let waits = !free || crate::domain::chain::blocked(delivery.action, predecessor);
            if !here || (!asks && waits) {
                continue;
            }
            // The endpoint was another trust's when it was accepted: what is of one trust never goes into the record of another.
            if !serves(ctx, &self.endpoint, &delivery.trust) {
                // Nor is the record of another asked about it.
                let happened = if asks { Happened::NoLongerAsked } else { Happened::Unserved };
                happen(view, ctx, &delivery, &happened, "bridge")?;
                continue;
            }
            let (Some(entry), Some(patient), Some(referral)) = (
                view.entries.shared(&delivery.entry_id),
                view.patients.shared(&delivery.patient_id),
                view.referrals.shared(&delivery.referral_id),
            ) else {
                return Err(StoreError::Inconsistent {
                    table: "delivery",
                    what: "no entry, patient or referral".into(),
                }
                .into());
            };
            let mut later_versions = view.chain(delivery.subject.uuid(), &self.endpoint);
            later_versions.retain(|d| d.lane_seq > delivery.lane_seq);
            if !asks && crate::domain::chain::overtaken(&later_versions) {
                happen(
                    view,
                    ctx,
                    &delivery,
                    &Happened::Superseded { why: "a newer version has gone already" },
                    "bridge",
                )?;
                continue;
            }
            // Asking about what was received changes nothing of it before the answer is there.
            let delivery = if asks { delivery } else { happen(view, ctx, &delivery, &Happened::Claimed, "bridge")? };
            let token = LeaseToken::new(ctx.now, ctx.entropy);
            lane = view.lanes.get(&key).cloned().unwrap_or(lane);
            lane.lease = Some(Lease { token, until, delivery_id: delivery.id });
            view.lanes.put(key, lane);
            let mut before = view.chain(delivery.subject.uuid(), &self.endpoint);
            before.retain(|d| d.lane_seq < delivery.lane_seq);
            let rendering = delivery.rendering.and_then(|r| view.renderings.get(&r)).cloned();
            claimed.push(Claimed { token, delivery, entry, patient, referral, before, rendering });
            room -= 1;
        }
        if probing && !claimed.is_empty() {
            state.gate = Gate::Probing;
            state.until = Some(until);
            view.endpoints.put(self.endpoint.clone(), state);
        }
        Ok(claimed)
    }
}

/// Which of these goes first: what backs off holds the lane, then, of what is released, in the order of acceptance.
fn first_of(view: &View, now: Timestamp, of: impl Iterator<Item = DeliveryId>) -> Option<DeliveryId> {
    let free = |d: &&Delivery| {
        let predecessor = d.predecessor.and_then(|p| view.deliveries.get(&p));
        matches!(d.state, State::Queued | State::BackingOff) && !crate::domain::chain::blocked(d.action, predecessor)
    };
    let candidates = of.filter_map(|id| view.deliveries.get(&id)).filter(free);
    candidates
        .min_by_key(|d| (d.state != State::BackingOff, d.release_at.is_some_and(|at| at > now), d.lane_seq))
        .map(|d| d.id)
}

/// What the renderer looked at; anything else by now, and it must look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    patient_version: i64,
    referral_version: i64,
    /// The older deliveries of its chain, each with its version: which of them it speaks of is in what became of all of them.
    before: Vec<(DeliveryId, i64)>,
    /// The activation of the endpoint's pack that the bytes are sent under.
    activation: i64,
}

impl Seen {
    pub fn of(claimed: &Claimed, activation: i64) -> Self {
        Self {
            patient_version: claimed.patient.version,
            referral_version: claimed.referral.version,
            before: versions(&claimed.before),
            activation,
        }
    }
}

fn versions(chain: &[Delivery]) -> Vec<(DeliveryId, i64)> {
    chain.iter().map(|d| (d.id, d.version)).collect()
}

/// Which bytes an attempt sends.
#[derive(Debug)]
pub enum BeginWith {
    /// Made just now; `anew`: in place of an earlier rendering that nobody can have seen.
    New {
        rendering: Box<Rendering>,
        anew: bool,
    },
    Same(RenderingId),
}

/// Stores the bytes and the attempt, before a single one leaves.
pub struct Begin {
    pub token: LeaseToken,
    pub endpoint: EndpointId,
    pub patient_id: PatientId,
    pub delivery_id: DeliveryId,
    pub with: BeginWith,
    pub seen: Seen,
    /// Longer than sending and waiting for the answer can take.
    pub lease: Duration,
    /// By which config, as in [`Claim`].
    pub config: Arc<str>,
}

/// How old a lease may be when an attempt begins with it; an older one is renewed.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    Attempt(AttemptId),
    /// Something it rests on changed since the claim, or the lease is gone: send nothing.
    Stale,
    /// Another pack is active by now, under this activation: send nothing, and nothing more before it is taken up.
    OtherPack(i64),
    /// Another config is in force by now: send nothing, and nothing more before a restart with that.
    OtherConfig,
}

impl Write for Begin {
    type Answer = Begun;

    fn needs(&self, view: &View, keys: &mut Keys) {
        keys.lanes.insert((self.endpoint.clone(), self.patient_id));
        keys.deliveries.insert(self.delivery_id);
        keys.patients.insert(self.patient_id);
        keys.endpoints.insert(self.endpoint.clone());
        if let Some(d) = view.deliveries.get(&self.delivery_id) {
            keys.referrals.insert(d.referral_id);
            keys.chains.insert(d.subject.uuid());
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Begun, WriteError> {
        let lane = view.lanes.get(&(self.endpoint.clone(), self.patient_id));
        // A lease that has run out may be taken by another worker at any moment: nothing is begun with it.
        let clock = view.lease_clock;
        let holds = lane
            .and_then(|l| l.lease.as_ref())
            .is_some_and(|l| l.token == self.token && l.delivery_id == self.delivery_id && micros(l.until) > clock);
        let Some(delivery) =
            view.deliveries.get(&self.delivery_id).cloned().filter(|d| holds && d.state == State::Sending)
        else {
            return Ok(Begun::Stale);
        };
        // Since it was claimed a person may have stopped the endpoint, and an author may have withdrawn it: no byte has left yet, and none will.
        let is_paused = view.endpoints.get(&self.endpoint).is_some_and(|e| e.paused.is_some());
        let chain = view.chain(delivery.subject.uuid(), &self.endpoint);
        let (newer, others): (Vec<_>, Vec<_>) = chain.into_iter().partition(|d| d.lane_seq > delivery.lane_seq);
        let before: Vec<_> = others.into_iter().filter(|d| d.lane_seq < delivery.lane_seq).collect();
        if is_paused || crate::domain::chain::overtaken(&newer) {
            return Ok(Begun::Stale);
        }
        let state = view.endpoints.get(&self.endpoint);
        if state.is_some_and(|e| !e.is_sent_by(&self.config)) {
            return Ok(Begun::OtherConfig);
        }
        let activation = state.map_or(0, EndpointState::activation);
        if activation != self.seen.activation {
            return Ok(Begun::OtherPack(activation));
        }
        let seen = Seen {
            patient_version: view.patients.get(&self.patient_id).map_or(0, |p| p.version),
            referral_version: view.referrals.get(&delivery.referral_id).map_or(0, |r| r.version),
            before: versions(&before),
            activation,
        };
        if seen != self.seen {
            return Ok(Begun::Stale);
        }
        // From here on bytes are on their way: nobody else may take the lane before their answer must be there.
        let (at, key) = (from_micros(clock), (self.endpoint.clone(), self.patient_id));
        if let Some(mut lane) = view.lanes.get(&key).cloned()
            && let Some(lease) = lane.lease.as_mut().filter(|l| later(at, self.lease.saturating_sub(FRESH)) > l.until)
        {
            let before = std::mem::replace(&mut lease.until, later(at, self.lease));
            let until = Some(lease.until);
            view.lanes.put(key, lane);
            // The endpoint's probe lasts as long as the lease it was sent with.
            let probe =
                view.endpoints.get(&self.endpoint).filter(|e| e.gate == Gate::Probing && e.until == Some(before));
            if let Some(probe) = probe.cloned() {
                view.endpoints.put(self.endpoint.clone(), EndpointState { until, ..probe });
            }
        }
        let rendering_id = match &self.with {
            BeginWith::Same(id) => *id,
            BeginWith::New { rendering, anew } => {
                if *anew {
                    let why = "identity, pack, endpoint, what config says of its author, or the document it speaks of changed before anything was sent";
                    let patient = Some(delivery.patient_id);
                    let about = About {
                        trust: &delivery.trust,
                        action: "delivery.rerender",
                        kind: "delivery",
                        id: delivery.id.0,
                        patient,
                        why,
                    };
                    audit(view, &Actor::bridge(), ctx.now, &about);
                }
                view.renderings.put(rendering.id, rendering.as_ref().clone());
                rendering.id
            }
        };
        let delivery = happen(view, ctx, &delivery, &Happened::Begun { rendering: rendering_id }, "bridge")?;
        let attempt = Attempt {
            id: AttemptId::new(ctx.now, ctx.entropy),
            delivery_id: delivery.id,
            rendering_id,
            number: delivery.attempts,
            began_at: ctx.now,
            ended_at: None,
            verdict: None,
            result: String::new(),
        };
        let id = attempt.id;
        view.attempts.put(id, attempt);
        Ok(Begun::Attempt(id))
    }
}

/// Ends what a claim began: state, replies, the endpoint's gate and the lane, in one commit.
pub struct Settle {
    pub token: LeaseToken,
    pub endpoint: EndpointId,
    pub patient_id: PatientId,
    pub delivery_id: DeliveryId,
    pub attempt: Option<AttemptId>,
    /// The rendering that the record was asked about, where it was.
    pub asked_about: Option<RenderingId>,
    pub happened: Happened,
    /// Everything that came back, matched or not.
    pub replies: Vec<Reply>,
    pub feeling: Feeling,
    /// How long the endpoint stays closed after the next failures.
    pub probe: BackOff,
    pub random: u64,
}

impl Write for Settle {
    type Answer = Delivery;

    fn needs(&self, view: &View, keys: &mut Keys) {
        let lane = (self.endpoint.clone(), self.patient_id);
        super::merge::lead_on_needs(view, keys, &lane);
        keys.lanes.insert(lane);
        keys.deliveries.insert(self.delivery_id);
        keys.attempts.extend(self.attempt);
        keys.endpoints.insert(self.endpoint.clone());
        if let Some(d) = view.deliveries.get(&self.delivery_id) {
            keys.chains.insert(d.subject.uuid());
            keys.patients.insert(d.patient_id);
        }
        keys.renderings.extend(self.attempt.and_then(|a| view.attempts.get(&a)).map(|a| a.rendering_id));
        keys.renderings.extend(self.asked_about);
        let told = match &self.happened {
            Happened::Replied { verdict, .. } => verdict.record_id.as_deref(),
            Happened::Asked { answer: Answer::Found { record_id }, .. } => record_id.as_deref(),
            _ => None,
        };
        names::needs(view, keys, self.delivery_id, told);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Delivery, WriteError> {
        let Some(before) = view.deliveries.get(&self.delivery_id).cloned() else {
            return Err(StoreError::Inconsistent { table: "delivery", what: "a lease on nothing".into() }.into());
        };
        let key = (self.endpoint.clone(), self.patient_id);
        let lane = view.lanes.get(&key).cloned();
        let lease = lane.as_ref().and_then(|l| l.lease.clone()).filter(|l| l.token == self.token);
        let holds = lease.is_some();
        if let (true, Some(lane)) = (holds, lane) {
            view.lanes.put(key.clone(), Lane { lease: None, ..lane });
        }
        self.end_attempt(view, ctx);
        view.replies.extend_from_slice(&self.replies);
        let others_pass = self.others_pass(view);
        self.feel(view, lease.as_ref());
        // Without the token this is no longer the sender speaking: only what was *heard* counts, as late evidence.
        let answered = self.attempt.and_then(|a| view.attempts.get(&a)).map(|a| a.rendering_id);
        let happened = match (&self.happened, holds) {
            (Happened::Replied { verdict, .. }, _)
                if verdict.meaning == Meaning::Positive && made_for_others(view, ctx, &before, answered) =>
            {
                Happened::EarlierConfirmed { verdict: verdict.clone() }
            }
            (Happened::Asked { answer: Answer::Found { record_id }, .. }, _)
                if made_for_others(view, ctx, &before, self.asked_about) =>
            {
                Happened::EarlierConfirmed { verdict: found_earlier(record_id.clone()) }
            }
            (Happened::Asked { answer: Answer::Received { .. }, .. }, _)
                if made_for_others(view, ctx, &before, self.asked_about) =>
            {
                Happened::EarlierConfirmed { verdict: found_earlier(None) }
            }
            // Settled meanwhile by a person: weighed as what it says.
            (replied @ Happened::Replied { .. }, true) if !before.begun => replied.clone(),
            (happened, true) => alone(happened, &self.feeling, others_pass),
            (Happened::Replied { verdict, reply }, false) => late(ctx, &before, verdict.clone(), *reply),
            (asked @ Happened::Asked { answer, .. }, false) if answer.is_news() => asked.clone(),
            (_, false) => return Ok(before),
        };
        if holds
            && before.state != State::Sending
            && !matches!(
                happened,
                Happened::Replied { .. }
                    | Happened::Late { .. }
                    | Happened::EarlierConfirmed { .. }
                    | Happened::Asked { .. }
            )
        {
            return Ok(before);
        }
        let settled = happen(view, ctx, &before, &happened, "bridge")?;
        super::merge::lead_on(view, ctx, &key);
        Ok(view.deliveries.get(&settled.id).cloned().unwrap_or(settled))
    }
}

fn late(
    ctx: &Ctx<'_>,
    d: &Delivery,
    verdict: crate::domain::verdict::Verdict,
    reply: crate::domain::ids::ReplyId,
) -> Happened {
    let by = ctx.rules.policies.get(&d.endpoint).map(|p| p.acknowledged_by);
    let evidence = by.filter(|_| verdict.meaning == Meaning::Positive).map(|by| EvidenceKind::of(&verdict, by));
    Happened::Late { verdict, evidence, reply }
}

/// The record was found to hold a message that was given up since.
fn found_earlier(record_id: Option<String>) -> Verdict {
    Verdict {
        meaning: Meaning::Positive,
        level: Level::Application,
        code: "found".into(),
        duplicate: false,
        untold: false,
        misplaced: false,
        record_id,
    }
}

/// Whether this positive answer is to a rendering that was given up since, and made for another identity or another far end than the delivery
/// is for now: then it says nothing of where the delivery goes.
pub(super) fn made_for_others(view: &View, ctx: &Ctx<'_>, d: &Delivery, answered: Option<RenderingId>) -> bool {
    let Some(answered) = answered.filter(|a| d.rendering != Some(*a)) else { return false };
    let now = view.patients.get(&d.patient_id).map(|p| p.details.identity());
    let made_from = view.renderings.get(&answered).map(|r| &r.made_from);
    match (made_from, now, ctx.rules.policies.get(&d.endpoint)) {
        (Some(made_from), Some(now), Some(policy)) => !made_from.holds_now(&now, policy),
        _ => true,
    }
}

impl Settle {
    fn end_attempt(&self, view: &mut View, ctx: &Ctx<'_>) {
        let Some(mut attempt) = self.attempt.and_then(|a| view.attempts.get(&a)).cloned() else { return };
        attempt.ended_at = Some(ctx.now);
        match &self.happened {
            Happened::Replied { verdict, .. } => {
                attempt.result.clone_from(&verdict.code);
                attempt.verdict = Some(verdict.clone());
            }
            Happened::NoAnswer { why } => attempt.result.clone_from(why),
            Happened::NotSent => attempt.result = "not sent".into(),
            _ => {}
        }
        view.attempts.put(attempt.id, attempt);
    }
}

/// An acknowledgement that came later, on the endpoint's own listener, exactly correlated by control id.
#[derive(Clone)]
pub struct Late {
    pub endpoint: EndpointId,
    pub control_id: String,
    pub reply: Reply,
}

impl Write for Late {
    /// The delivery it belongs to; `None`: kept as unmatched.
    type Answer = Option<DeliveryId>;

    fn needs(&self, view: &View, keys: &mut Keys) {
        let key = (self.endpoint.clone(), self.control_id.clone());
        if let Some(rendering) = view.renderings_by_control.get(&key) {
            keys.renderings.insert(*rendering);
            if let Some(r) = view.renderings.get(rendering) {
                keys.deliveries.insert(r.delivery_id);
                if let Some(d) = view.deliveries.get(&r.delivery_id) {
                    keys.chains.insert(d.subject.uuid());
                    keys.lanes.insert((d.endpoint.clone(), d.patient_id));
                    keys.patients.insert(d.patient_id);
                }
                names::needs(view, keys, r.delivery_id, self.reply.verdict.record_id.as_deref());
            }
        }
        keys.renderings_by_control.insert(key);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Option<DeliveryId>, WriteError> {
        let key = (self.endpoint.clone(), self.control_id.clone());
        let answered = view.renderings_by_control.get(&key).copied();
        let rendering = answered.and_then(|r| view.renderings.get(&r));
        let Some(delivery) = rendering.and_then(|r| view.deliveries.get(&r.delivery_id)).cloned() else {
            view.replies.push(Reply { unmatched: true, ..self.reply.clone() });
            return Ok(None);
        };
        view.replies.push(Reply { delivery_id: Some(delivery.id), unmatched: false, ..self.reply.clone() });
        let verdict = self.reply.verdict.clone();
        let positive = verdict.meaning == Meaning::Positive;
        let happened = if positive && made_for_others(view, ctx, &delivery, answered) {
            Happened::EarlierConfirmed { verdict }
        } else {
            late(ctx, &delivery, verdict, self.reply.id)
        };
        happen(view, ctx, &delivery, &happened, "bridge")?;
        Ok(Some(delivery.id))
    }
}

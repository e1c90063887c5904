//! Accepting an entry: the deliveries it makes, and what it does to the ones before it.

use super::super::error::{Refusal, StoreError, WriteError};
use super::super::news::{Alarm, News};
use super::super::record::{Actor, Lane, Step};
use super::super::rows::{Keys, View};
use super::super::writer::Ctx;
use super::names;
use crate::domain::chain::{self, AfterSettling, Plan};
use crate::domain::decide::{Decision, Happened, decide};
use crate::domain::delivery::{Delivery, Park, ParkReason, Since, State};
use crate::domain::entry::{Entry, EntryAction, EntryKind};
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::policy::{EndpointPolicy, Names};
use crate::domain::referral::Referral;
use crate::domain::route::{RouteQuery, RoutedKind};
use crate::domain::text::Private;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Where a new entry of this referral goes: exactly one endpoint, and copies asked for in so many words.
pub(in crate::store) fn routed(
    ctx: &Ctx<'_>,
    referral: &Referral,
    kind: RoutedKind,
) -> Result<Vec<EndpointId>, Refusal> {
    let details = &referral.details;
    let query = RouteQuery {
        trust: &referral.trust,
        kind,
        team: Some(&details.team),
        site: details.site.as_ref(),
        referral_source: Some(details.source.as_str()),
    };
    let routed = ctx.rules.routes.route(&query).ok_or_else(|| {
        Refusal::NoEndpoint(format!(
            "{}s of team {} at {}",
            if kind == RoutedKind::Note { "note" } else { "outcome" },
            details.team,
            referral.trust
        ))
    })?;
    Ok(std::iter::once(routed.endpoint).chain(routed.copies).cloned().collect())
}

/// Every endpoint any route of the trust could choose: their lanes are read with the first round.
pub(in crate::store) fn lanes_of_trust(rules: &super::super::rulebook::Rulebook, referral: &Referral, keys: &mut Keys) {
    for rule in rules.routes.rules().iter().filter(|r| r.trust == referral.trust) {
        for endpoint in std::iter::once(&rule.endpoint).chain(&rule.copies_to) {
            keys.lanes.insert((endpoint.clone(), referral.patient_id));
        }
    }
}

/// What every delivery of one entry shares.
pub(in crate::store) struct Accepting<'a> {
    pub entry: &'a Entry,
    pub actor: &'a Actor,
    pub release_at: Option<Timestamp>,
    pub trace: Option<&'a str>,
}

/// Room for more, on our disk, in all, and at these endpoints?
pub(in crate::store) fn room<'e>(
    view: &View,
    ctx: &Ctx<'_>,
    endpoints: impl IntoIterator<Item = &'e EndpointId>,
) -> Result<(), Refusal> {
    if ctx.full.disk {
        return Err(Refusal::DiskFull);
    }
    let open = ctx.open_deliveries + view.opened;
    let limit = ctx.rules.limits.max_open_deliveries;
    if open >= limit {
        return Err(Refusal::QueueFull { open, limit });
    }
    let limit = ctx.rules.limits.max_open_deliveries_per_endpoint;
    match endpoints.into_iter().find_map(|e| ctx.full.endpoints.get_key_value(e)) {
        Some((endpoint, open)) => Err(Refusal::EndpointFull { endpoint: endpoint.clone(), open: *open, limit }),
        None => Ok(()),
    }
}

/// What holds for a delivery of this trust to this endpoint. One that was retired has a policy too: nothing is sent there, and everything else
/// can be done.
fn policy(ctx: &Ctx<'_>, endpoint: &EndpointId, trust: &OdsCode) -> Arc<EndpointPolicy> {
    let served = ctx.rules.policies.get(endpoint).cloned();
    served.unwrap_or_else(|| Arc::new(EndpointPolicy::retired(endpoint.clone(), trust.clone())))
}

/// Whether something of this trust is ever sent to that endpoint: config has it, and has it for this trust.
pub(in crate::store) fn serves(ctx: &Ctx<'_>, endpoint: &EndpointId, trust: &OdsCode) -> bool {
    ctx.rules.policies.get(endpoint).is_some_and(|policy| policy.trust == *trust)
}

/// The first version of something: one delivery an endpoint.
pub(in crate::store) fn create(
    view: &mut View,
    ctx: &Ctx<'_>,
    accepting: &Accepting<'_>,
    endpoints: &[EndpointId],
) -> Result<Vec<Delivery>, WriteError> {
    room(view, ctx, endpoints)?;
    for endpoint in endpoints {
        lane_is_read(view, endpoint, accepting.entry)?;
    }
    let subject = accepting.entry.subject;
    if accepting.entry.version == 1
        && subject.kind() != EntryKind::ReferralReply
        && !view.chains.contains_key(&subject.uuid())
    {
        view.new_chain(subject.uuid());
    }
    Ok(endpoints.iter().map(|e| add(view, ctx, accepting, e, None, false)).collect())
}

/// A newer version: at every endpoint where the chain stands (invariant 7).
pub(in crate::store) fn succeed(
    view: &mut View,
    ctx: &Ctx<'_>,
    accepting: &Accepting<'_>,
) -> Result<Vec<Delivery>, WriteError> {
    let subject = accepting.entry.subject.uuid();
    let action = accepting.entry.action();
    let plans: Vec<(EndpointId, Plan)> = endpoints_of(view, subject)
        .into_iter()
        .map(|endpoint| {
            let policy = policy(ctx, &endpoint, &accepting.entry.trust);
            lane_is_read(view, &endpoint, accepting.entry)?;
            let plan = chain::plan(&view.chain(subject, &endpoint), action, policy.names);
            Ok((endpoint, plan))
        })
        .collect::<Result<_, WriteError>>()?;
    if action != EntryAction::Withdraw {
        room(view, ctx, plans.iter().map(|(endpoint, _)| endpoint))?;
    }
    let why = if action == EntryAction::Withdraw { "withdrawn" } else { "replaced by a newer version" };
    let mut made = Vec::new();
    for (endpoint, plan) in plans {
        let cancels: Vec<Delivery> = plan.cancel.iter().filter_map(|id| view.deliveries.get(id)).cloned().collect();
        for delivery in cancels {
            happen(view, ctx, &delivery, &Happened::Superseded { why }, &accepting.actor.principal)?;
        }
        if let Some(successor) = plan.send {
            made.push(add(view, ctx, accepting, &endpoint, successor.predecessor, successor.cannot_name));
        }
    }
    Ok(made)
}

/// Without its row a lane would hand out its first numbers again, and the order of acceptance with them.
fn lane_is_read(view: &View, endpoint: &EndpointId, entry: &Entry) -> Result<(), StoreError> {
    match view.lanes.get(&(endpoint.clone(), entry.patient_id)) {
        Some(_) => Ok(()),
        None => Err(StoreError::Inconsistent { table: "lane", what: "no row for a lane that a write needs".into() }),
    }
}

/// The endpoints a subject was sent to.
pub(in crate::store) fn endpoints_of(view: &View, subject: Uuid) -> BTreeSet<EndpointId> {
    let ids = view.chains.get(&subject).map(Vec::as_slice).unwrap_or_default();
    ids.iter().filter_map(|id| view.deliveries.get(id)).map(|d| d.endpoint.clone()).collect()
}

/// One more delivery at the end of its lane.
fn add(
    view: &mut View,
    ctx: &Ctx<'_>,
    accepting: &Accepting<'_>,
    endpoint: &EndpointId,
    predecessor: Option<DeliveryId>,
    cannot_name: bool,
) -> Delivery {
    let entry = accepting.entry;
    let key = (endpoint.clone(), entry.patient_id);
    let lane = view.lanes.get(&key).cloned().unwrap_or(Lane {
        endpoint: endpoint.clone(),
        patient_id: entry.patient_id,
        next_seq: 1,
        lease: None,
        moves_to: None,
    });
    let lane_seq = lane.next_seq;
    view.lanes.put(key, Lane { next_seq: lane_seq + 1, ..lane });
    let reason = match cannot_name {
        true => Some(ParkReason::WithdrawalCannotNameDocument),
        // A person learns of it at once: nobody would ever take it up.
        false => (!serves(ctx, endpoint, &entry.trust)).then_some(ParkReason::EndpointRetired),
    };
    let delivery = Delivery {
        id: DeliveryId::new(ctx.now, ctx.entropy),
        entry_id: entry.id,
        subject: entry.subject,
        subject_version: entry.version,
        action: entry.action(),
        trust: entry.trust.clone(),
        patient_id: entry.patient_id,
        referral_id: entry.referral_id,
        endpoint: endpoint.clone(),
        lane_seq,
        state: if reason.is_some() { State::Parked } else { State::Queued },
        version: 1,
        predecessor,
        park: reason.map(|reason| Park::new(reason, "")),
        evidence: Vec::new(),
        rendering: None,
        begun: false,
        unresolved: 0,
        attempts: 0,
        refused_retries: 0,
        unknown_resends: 0,
        not_now: 0,
        asking: None,
        not_there: None,
        may_go_again: false,
        overridden: Vec::new(),
        approved: None,
        sent_for_others: false,
        record_id: None,
        record_place: None,
        sent_to: None,
        release_at: accepting.release_at,
        was_ahead: false,
        next_attempt_at: None,
        created_at: ctx.now,
        accepted_at: None,
        filed_at: None,
        cancelled: None,
        since: None,
        trace: accepting.trace.map(str::to_owned),
    };
    if let Some(reason) = reason {
        if cannot_name {
            call(view, &delivery, Alarm::WithdrawalCannotName);
        } else if delivery.action == EntryAction::Withdraw {
            call(view, &delivery, Alarm::WithdrawalWaits(reason));
        }
        // A delivery begins QUEUED; where it does not, its history says so.
        let what = format!("parked: {}", reason.code());
        view.steps.push(Step {
            delivery_id: delivery.id,
            version: 1,
            at: ctx.now,
            state: State::Parked,
            what: Private(what),
            by: accepting.actor.principal.clone(),
        });
    }
    view.put_delivery(delivery.clone());
    delivery
}

/// Applies the one decision to a delivery, writes its timeline, and lets its chain follow.
pub(in crate::store) fn happen(
    view: &mut View,
    ctx: &Ctx<'_>,
    before: &Delivery,
    happened: &Happened,
    by: &str,
) -> Result<Delivery, Refusal> {
    let policy = policy(ctx, &before.endpoint, &before.trust);
    let doubted = names::weighed(view, before, happened, &policy);
    let happened = doubted.as_ref().unwrap_or(happened);
    let mut random = [0u8; 8];
    ctx.entropy.fill(&mut random);
    let Decision { delivery, step } = decide(before, &policy, happened, ctx.now, u64::from_le_bytes(random))?;
    if delivery == *before {
        // Nothing new of this one; what it names may be another's all the same.
        if matches!(happened, Happened::EarlierConfirmed { .. }) {
            names::keep(view, ctx, &delivery, happened, &policy)?;
        }
        return Ok(delivery);
    }
    view.steps.push(Step {
        delivery_id: delivery.id,
        version: delivery.version,
        at: ctx.now,
        state: delivery.state,
        what: Private(step),
        by: by.to_owned(),
    });
    view.put_delivery(delivery.clone());
    names::keep(view, ctx, &delivery, happened, &policy)?;
    for alarm in alarms(before, &delivery) {
        call(view, &delivery, alarm);
    }
    follow(view, ctx, before, &delivery)?;
    if before.filed_at.is_none() && delivery.state == State::Filed {
        let mut later = view.chain(delivery.subject.uuid(), &delivery.endpoint);
        later.retain(|d| d.lane_seq > delivery.lane_seq);
        if chain::stands_beside(&delivery, &later) {
            call(view, &delivery, Alarm::StandsBeside);
            let filed = view.deliveries.get(&delivery.id).cloned().unwrap_or(delivery);
            let why = "it reached the record after a newer version had gone without it";
            return happen(view, ctx, &filed, &Happened::StandsBeside { why }, "bridge");
        }
        if chain::stands_alone(before, &later) {
            call(view, &delivery, Alarm::StandsAlone);
            let filed = view.deliveries.get(&delivery.id).cloned().unwrap_or(delivery);
            let why = "it was withdrawn as never received, and has reached the record all the same";
            return happen(view, ctx, &filed, &Happened::StandsBeside { why }, "bridge");
        }
    }
    // What follows can change it once more.
    Ok(view.deliveries.get(&delivery.id).cloned().unwrap_or(delivery))
}

/// A person has to look in the record itself.
fn call(view: &mut View, d: &Delivery, alarm: Alarm) {
    view.news.push(News::Alarm { delivery: d.id, endpoint: d.endpoint.clone(), alarm });
}

/// What a change calls a person for.
fn alarms(before: &Delivery, after: &Delivery) -> Vec<Alarm> {
    let reason = |d: &Delivery| d.park.as_ref().map(|p| p.reason);
    let is_misfiled = |d: &Delivery| reason(d) == Some(ParkReason::Misfiled);
    // Whatever holds it, what it takes back may be read there meanwhile. Who parks one by hand knows.
    let stuck = |d: &Delivery| reason(d).filter(|r| d.action == EntryAction::Withdraw && *r != ParkReason::ByPerson);
    let is_given_up = before.state == State::Cancelled && after.state == State::Cancelled;
    let mut alarms = Vec::new();
    if is_misfiled(after) && !is_misfiled(before) {
        alarms.push(Alarm::Misfiled);
    }
    alarms.extend(stuck(after).filter(|_| stuck(before) != stuck(after)).map(Alarm::WithdrawalWaits));
    if is_given_up && !before.may_have_been_received() && after.may_have_been_received() {
        alarms.push(Alarm::GivenUpAndThere);
    }
    alarms
}

/// What a change means for the version it waits for or speaks of, and for those that wait for it or speak of it. Each change that follows comes
/// back here, until nothing is left to say.
fn follow(view: &mut View, ctx: &Ctx<'_>, before: &Delivery, settled: &Delivery) -> Result<(), Refusal> {
    let chain = view.chain(settled.subject.uuid(), &settled.endpoint);
    for successor in chain.iter().filter(|s| s.predecessor == Some(settled.id)) {
        // The row says whether it is blocked: write it again when that changed.
        if chain::blocked(successor.action, Some(before)) != chain::blocked(successor.action, Some(settled)) {
            view.put_delivery(successor.clone());
        }
        follow_pair(view, ctx, settled.id, successor.id)?;
    }
    let told = before.record_id.is_none() && settled.record_id.is_some();
    let named_so = policy(ctx, &settled.endpoint, &settled.trust).names == Names::RecordId;
    if told && named_so && matches!(settled.state, State::Filed | State::Accepted) {
        // An id that was in doubt holds again. Which document is meant, every version of it says.
        for waiting in chain.iter().filter(|w| w.lane_seq > settled.lane_seq && w.waits_for_its_name_again()) {
            happen(view, ctx, waiting, &Happened::Nameable, "bridge")?;
        }
    }
    settled.predecessor.map_or(Ok(()), |predecessor| follow_pair(view, ctx, predecessor, settled.id))
}

fn follow_pair(view: &mut View, ctx: &Ctx<'_>, older: DeliveryId, newer: DeliveryId) -> Result<(), Refusal> {
    let (Some(older), Some(newer)) = (view.deliveries.get(&older).cloned(), view.deliveries.get(&newer).cloned())
    else {
        return Ok(());
    };
    let mut before = view.chain(older.subject.uuid(), &older.endpoint);
    before.retain(|d| d.lane_seq < older.lane_seq);
    let names = policy(ctx, &older.endpoint, &older.trust).names;
    let follows: &[(&Delivery, Happened)] = match chain::after_settling(&older, &newer, &before, names) {
        AfterSettling::Nothing => &[],
        AfterSettling::GivesWay if newer.action == EntryAction::Withdraw => {
            &[(&older, Happened::Superseded { why: "withdrawn" })]
        }
        AfterSettling::GivesWay => &[(&older, Happened::Superseded { why: "a newer version takes its place" })],
        AfterSettling::BothEnd => &[
            (&newer, Happened::Superseded { why: "what it withdraws never reached the record" }),
            (&older, Happened::Superseded { why: "withdrawn before it reached the record" }),
        ],
        AfterSettling::SuccessorNameable => &[(&newer, Happened::Nameable)],
    };
    if newer.state == State::Filed && older.state == State::Filed && older.since.is_none() {
        let since = if newer.action == EntryAction::Withdraw { Since::Withdrawn } else { Since::Replaced };
        happen(view, ctx, &older, &Happened::Passed(since), "bridge")?;
    }
    for (delivery, happened) in follows.iter().filter(|(d, _)| d.state != State::Cancelled) {
        happen(view, ctx, delivery, happened, "bridge")?;
    }
    Ok(())
}

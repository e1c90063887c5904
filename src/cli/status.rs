//! `status`: how every endpoint does, for a person: so many written, so many filed, these waiting and for whom, none unexplained.

use super::adapter::version;
use super::bridge::{Bridge, Server};
use super::endpoint::gate;
use super::failure::Failure;
use super::outbox::pages;
use super::output::{Look, Out};
use super::words::{age, instant, said, word};
use crate::app::SystemClock;
use crate::domain::ambient::Clock;
use crate::wire::v1::{
    AdapterInUse, Delivery, DeliveryState, EndpointGate, EndpointStatus, EntryAction, GetDeliveryRequest,
    GetEndpointStatusRequest, ListDeliveriesRequest, ListReferralsRequest, ParkReason, TimelineStep, WaitingFor,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};

const EXAMPLES: &str = "\
Examples:
  ips-bridge status
  ips-bridge status --check > /dev/null || alert   (1: somebody should look)";

/// Show how every endpoint does, what waits, for whom, and whether anything waits without a reason.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only this endpoint.
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Exit with 1 when something is parked, overdue, unexplained or on its way for over a day, an endpoint is closed or being probed, or one is paused and has something waiting.
    #[arg(long)]
    check: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Deliveries looked at one by one for a reason; more than that are counted by the endpoint only.
const LOOKED_AT_MAX: usize = 5_000;
/// Referrals counted.
const REFERRALS_MAX: usize = 10_000;
/// Faults of a saved pack that are shown.
const FAULTS_SHOWN: usize = 5;
/// A delivery that could go and has not gone for so long wants an explanation.
const UNEXPLAINED_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What has not got through for so long, a person should know of.
const SLOW_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Of which so many, the oldest, are looked at one by one.
const SLOW_MAX: usize = 50;

/// What is known of one endpoint.
struct Known {
    status: EndpointStatus,
    /// How many are parked, by reason and by who has to act.
    parked: BTreeMap<(String, String), i64>,
    /// Deliveries that wait and nobody can say why.
    unexplained: Vec<String>,
    /// Deliveries that have not got through for a day, whatever the reason.
    slow: Vec<String>,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock.now();
    let bridge = args.server.connect().await?;
    let request = GetEndpointStatusRequest { endpoint_id: args.endpoint.unwrap_or_default() };
    let mut all = Vec::new();
    for status in bridge.deliveries().get_endpoint_status(request).await?.into_inner().endpoints {
        all.push(look_at(&bridge, status, now).await?);
    }
    let untouched = untouched_referrals(&bridge).await?;
    if args.json {
        out.json(&as_json(&all, untouched))?;
    } else {
        for known in &all {
            print(known, now, out)?;
        }
        match untouched {
            Some(0) => out.line("referrals: none forgotten")?,
            Some(n) => {
                let text =
                    out.paint(Look::Doubtful, format!("referrals: {n} untouched for longer than the trust allows"));
                out.line(text)?;
            }
            None => out.line("referrals: your role does not see them")?,
        }
    }
    if args.check && all.iter().any(wants_a_look) { Err(Failure::Told) } else { Ok(()) }
}

fn wants_a_look(known: &Known) -> bool {
    let e = &known.status;
    e.parked > 0
        || e.inbound_parked > 0
        || e.evidence_overdue > 0
        || !known.unexplained.is_empty()
        || !known.slow.is_empty()
        || e.gate != i32::from(EndpointGate::Open)
        // Paused and forgotten: nothing goes before somebody resumes it.
        || e.paused && e.queued + e.backing_off > 0
        || e.pack.as_ref().is_some_and(|p| !p.held_because.is_empty())
}

async fn look_at(bridge: &Bridge, status: EndpointStatus, now: Timestamp) -> Result<Known, Failure> {
    let of = |states: &[DeliveryState]| ListDeliveriesRequest {
        endpoint_id: status.endpoint_id.clone(),
        states: states.iter().map(|s| (*s).into()).collect(),
        ..ListDeliveriesRequest::default()
    };
    let mut parked = BTreeMap::new();
    if status.parked > 0 {
        for d in pages(bridge, of(&[DeliveryState::Parked]), LOOKED_AT_MAX).await?.deliveries {
            *parked.entry((word::<ParkReason>(d.park_reason), said::<WaitingFor>(d.waiting_for))).or_insert(0) += 1;
        }
    }
    let mut waiting = Vec::new();
    if status.queued + status.sending + status.backing_off > 0 {
        let states = [DeliveryState::Queued, DeliveryState::Sending, DeliveryState::BackingOff];
        waiting = pages(bridge, of(&states), LOOKED_AT_MAX).await?.deliveries;
    }
    let unexplained = unexplained(&status, &waiting, now);
    let slow = slow(bridge, &status, &waiting, now).await?;
    Ok(Known { status, parked, unexplained, slow })
}

/// Deliveries that are tried, or could be, and did not get through for so long: each try may have its reason, and a person should know.
async fn slow(
    bridge: &Bridge,
    status: &EndpointStatus,
    waiting: &[Delivery],
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let mut slow = Vec::new();
    if status.in_maintenance {
        return Ok(slow);
    }
    // The oldest first: they are at the end of the list.
    for d in waiting.iter().rev().filter(|d| is_slow(d, now)).take(SLOW_MAX) {
        let of = |id: &str| GetDeliveryRequest { delivery_id: id.to_owned() };
        let whole = bridge.deliveries().get_delivery(of(&d.id)).await?.into_inner().delivery;
        let before = match &d.predecessor_delivery_id {
            Some(id) => bridge.deliveries().get_delivery(of(id)).await?.into_inner().delivery,
            None => None,
        };
        if whole.is_some_and(|d| is_slow(&d, now)) && !before.is_some_and(|before| waits_for(d, &before)) {
            slow.push(d.id.clone());
        }
    }
    Ok(slow)
}

/// Since it was written, released, or put back to work by a person.
fn is_slow(d: &Delivery, now: Timestamp) -> bool {
    let by_a_person = |s: &&TimelineStep| s.state == i32::from(DeliveryState::Queued) && s.by != "bridge";
    let steps = d.timeline.iter().filter(by_a_person).map(|s| &s.at);
    let since = [&d.created_at, &d.release_at].into_iter().chain(steps).filter_map(|t| instant(t.as_ref())).max();
    since.is_some_and(|since| now.duration_since(since) > SLOW_AFTER)
}

/// Whether it is the one before it that it waits for: a withdrawal for what is on its way, all others for what is not settled.
fn waits_for(d: &Delivery, before: &Delivery) -> bool {
    use DeliveryState::{Accepted, BackingOff, Parked, Queued, Sending};
    let is = |states: &[DeliveryState]| states.iter().any(|s| before.state == i32::from(*s));
    let on_its_way = is(&[Queued, Sending, BackingOff]);
    on_its_way || d.entry_action != i32::from(EntryAction::Withdraw) && is(&[Accepted, Parked])
}

/// Deliveries that could have gone long ago: the endpoint is open and nothing named holds them. Held by name are: an endpoint that is
/// closed, probing, paused or in maintenance; a release or next attempt yet to come; a predecessor; another delivery of the
/// same patient that is being sent or backs off.
fn unexplained(status: &EndpointStatus, waiting: &[Delivery], now: Timestamp) -> Vec<String> {
    if status.gate != i32::from(EndpointGate::Open) || status.paused || status.in_maintenance {
        return Vec::new();
    }
    let is = |d: &Delivery, s: DeliveryState| d.state == i32::from(s);
    let held_patients: HashSet<&str> =
        waiting.iter().filter(|d| !is(d, DeliveryState::Queued)).map(|d| d.patient_id.as_str()).collect();
    let unexplained = |d: &&Delivery| {
        let due =
            [&d.created_at, &d.release_at, &d.next_attempt_at].into_iter().filter_map(|t| instant(t.as_ref())).max();
        let long_due = due.is_none_or(|due| now.duration_since(due) > UNEXPLAINED_AFTER);
        let queued_freely = is(d, DeliveryState::Queued)
            && d.predecessor_delivery_id.is_none()
            && !held_patients.contains(d.patient_id.as_str());
        long_due && (queued_freely || is(d, DeliveryState::Sending))
    };
    waiting.iter().filter(unexplained).map(|d| d.id.clone()).collect()
}

/// How many are forgotten; `None` when the caller's role may not ask.
async fn untouched_referrals(bridge: &Bridge) -> Result<Option<usize>, Failure> {
    let mut client = bridge.referrals();
    let mut request = ListReferralsRequest { untouched_only: true, page_size: 200, ..ListReferralsRequest::default() };
    let mut count = 0;
    loop {
        let page = match client.list_referrals(request.clone()).await {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == tonic::Code::PermissionDenied => return Ok(None),
            Err(status) => return Err(status.into()),
        };
        count += page.referrals.len();
        if page.next_page_token.is_empty() || count >= REFERRALS_MAX {
            return Ok(Some(count));
        }
        request.page_token = page.next_page_token;
    }
}

fn print(known: &Known, now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    let e = &known.status;
    let gate = gate(e);
    let look = if gate == "open" { Look::Good } else { Look::Doubtful };
    let (name, gate) = (out.paint(Look::Strong, &e.endpoint_id), out.paint(look, &gate));
    out.line(format!("{name}  {} of {} ({}, {})  {gate}", e.name, e.trust_ods, e.environment, e.adapter))?;
    if e.paused {
        out.line(format!("  paused by {}: {}", e.paused_by, e.paused_because))?;
    } else if !e.closed_because.is_empty() {
        out.line(format!("  {}", e.closed_because))?;
    }
    out.line(format!(
        "  last 24 hours  {} written, {} filed (on {})",
        e.written_last_day, e.filed_last_day, e.filed_by
    ))?;
    let overdue = if e.evidence_overdue > 0 { format!(" ({} overdue)", e.evidence_overdue) } else { String::new() };
    out.line(format!(
        "  not filed      {} queued, {} sending, {} backing off, {} received{overdue}, {} parked; the oldest for {}",
        e.queued,
        e.sending,
        e.backing_off,
        e.accepted,
        e.parked,
        age(e.oldest_unfiled_at.as_ref(), now)
    ))?;
    for line in pack_lines(e.pack.as_ref()) {
        out.line(format!("  pack           {}", out.paint(Look::Doubtful, line)))?;
    }
    let ignored: i32 = e.inbound_ignored_last_day.iter().map(|i| i.count).sum();
    if e.inbound_applied_last_day + e.inbound_parked + ignored > 0 {
        let rules: Vec<String> = e.inbound_ignored_last_day.iter().map(|i| format!("{} {}", i.count, i.rule)).collect();
        let rules = if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
        let parked = format!("{} parked", e.inbound_parked);
        let parked = if e.inbound_parked > 0 { out.paint(Look::Bad, parked) } else { parked };
        out.line(format!(
            "  messages in    {} taken in and {ignored} not for us{rules} in the last day; {parked}",
            e.inbound_applied_last_day
        ))?;
        if e.inbound_parked > 0 {
            let next = format!(
                "                 ips-bridge inbound list --endpoint {} says why, inbound reprocess runs them again",
                e.endpoint_id
            );
            out.line(out.paint(Look::Faint, next))?;
        }
    }
    for ((reason, who), count) in &known.parked {
        let text =
            out.paint(Look::Bad, format!("{count} {reason}, for {}", if who.is_empty() { "nobody" } else { who }));
        out.line(format!("  parked         {text}"))?;
    }
    let some = |ids: &[String]| {
        format!("{}: {}", ids.len(), ids.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(" "))
    };
    if !known.slow.is_empty() {
        let text = out.paint(Look::Bad, some(&known.slow));
        out.line(format!("  over a day     {text}"))?;
    }
    match known.unexplained.as_slice() {
        [] => out.line("  unexplained    none"),
        ids => {
            let text = out.paint(Look::Bad, some(ids));
            out.line(format!("  unexplained    {text}"))
        }
    }
}

/// What is to be known of the pack: nothing, while record, folder and config agree.
fn pack_lines(pack: Option<&AdapterInUse>) -> Vec<String> {
    let Some(p) = pack else { return Vec::new() };
    let mut lines = Vec::new();
    if !p.held_because.is_empty() {
        lines.push(format!("nothing is sent: {}", p.held_because));
    }
    match &p.in_folder {
        Some(folder) if p.folder_differs => lines.push(format!(
            "works with {}; the folder holds {}, which is not active",
            version(p.version.as_ref()),
            version(Some(folder))
        )),
        None => lines.push(format!("works with {}; the folder holds none that loads", version(p.version.as_ref()))),
        Some(_) => {}
    }
    let active = p.version.as_ref().map(|v| v.version.as_str()).unwrap_or_default();
    if !p.pinned_version.is_empty() && p.pinned_version != active {
        lines.push(format!("config pins {}, and {active} is active", p.pinned_version));
    }
    let faults = p.faults.iter().take(FAULTS_SHOWN).map(|f| {
        let line = if f.line > 0 { format!(":{}", f.line) } else { String::new() };
        let hint = if f.hint.is_empty() { String::new() } else { format!("; {}", f.hint) };
        format!("not taken: {}{line}: {}{hint}", f.file, f.what)
    });
    lines.extend(faults);
    if p.faults.len() > FAULTS_SHOWN {
        lines.push(format!("and {} more; run `ips-bridge adapter check` on it", p.faults.len() - FAULTS_SHOWN));
    }
    lines
}

fn as_json(all: &[Known], untouched: Option<usize>) -> serde_json::Value {
    let endpoints: Vec<_> = all
        .iter()
        .map(|k| {
            let parked: Vec<_> = k
                .parked
                .iter()
                .map(|((reason, who), count)| json!({ "reason": reason, "waiting_for": who, "count": count }))
                .collect();
            json!({ "status": k.status, "parked": parked, "unexplained": k.unexplained, "over_a_day": k.slow })
        })
        .collect();
    json!({ "endpoints": endpoints, "untouched_referrals": untouched })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<crate::wire::Timestamp> {
        text.parse::<Timestamp>().ok().map(Into::into)
    }

    fn queued(id: &str, patient: &str) -> Delivery {
        Delivery {
            id: id.into(),
            patient_id: patient.into(),
            state: DeliveryState::Queued.into(),
            created_at: at("2026-03-02T09:00:00Z"),
            ..Delivery::default()
        }
    }

    #[test]
    fn only_what_nothing_holds_is_unexplained() {
        let open = EndpointStatus { gate: EndpointGate::Open.into(), ..EndpointStatus::default() };
        let now = "2026-03-02T10:00:00Z".parse().expect("a time");
        let waiting = [
            queued("free", "p1"),
            Delivery { release_at: at("2026-03-02T10:30:00Z"), ..queued("held back", "p2") },
            Delivery { predecessor_delivery_id: Some("x".into()), ..queued("in a chain", "p3") },
            queued("behind another", "p4"),
            Delivery { state: DeliveryState::BackingOff.into(), ..queued("backs off", "p4") },
            Delivery { created_at: at("2026-03-02T09:59:00Z"), ..queued("fresh", "p5") },
            Delivery { state: DeliveryState::Sending.into(), ..queued("stuck", "p6") },
        ];
        assert_eq!(unexplained(&open, &waiting, now), ["free", "stuck"]);
        for away in [
            EndpointStatus { gate: EndpointGate::Closed.into(), ..open.clone() },
            EndpointStatus { paused: true, ..open.clone() },
            EndpointStatus { in_maintenance: true, ..open.clone() },
        ] {
            assert!(unexplained(&away, &waiting, now).is_empty());
        }
    }

    #[test]
    fn whoever_checks_is_told_of_an_endpoint_that_is_not_open_and_of_what_is_slow() {
        let known = |gate: EndpointGate, slow: &[&str]| Known {
            status: EndpointStatus { gate: gate.into(), ..EndpointStatus::default() },
            parked: BTreeMap::new(),
            unexplained: Vec::new(),
            slow: slow.iter().map(|id| (*id).to_owned()).collect(),
        };
        assert!(!wants_a_look(&known(EndpointGate::Open, &[])));
        assert!(wants_a_look(&known(EndpointGate::Open, &["d"])));
        assert!(wants_a_look(&known(EndpointGate::Closed, &[])) && wants_a_look(&known(EndpointGate::Probing, &[])));
    }

    #[test]
    fn what_does_not_get_through_for_a_day_is_slow_unless_a_person_or_the_one_before_it_is_why() {
        let late = "2026-03-03T09:30:00Z".parse().expect("a time");
        let d = queued("d", "p");
        assert!(is_slow(&d, late) && !is_slow(&d, "2026-03-03T08:30:00Z".parse().expect("a time")));
        let step = |by: &str| TimelineStep {
            at: at("2026-03-02T20:00:00Z"),
            state: DeliveryState::Queued.into(),
            by: by.into(),
            ..TimelineStep::default()
        };
        assert!(is_slow(&Delivery { timeline: vec![step("bridge")], ..d.clone() }, late));
        assert!(!is_slow(&Delivery { timeline: vec![step("operations")], ..d.clone() }, late));
        let before = |state: DeliveryState| Delivery { state: state.into(), ..queued("before", "p") };
        let withdraws = Delivery { entry_action: EntryAction::Withdraw.into(), ..d.clone() };
        for (state, replaces, takes_back) in [
            (DeliveryState::BackingOff, true, true),
            (DeliveryState::Accepted, true, false),
            (DeliveryState::Parked, true, false),
            (DeliveryState::Filed, false, false),
            (DeliveryState::Cancelled, false, false),
        ] {
            let said = (waits_for(&d, &before(state)), waits_for(&withdraws, &before(state)));
            assert_eq!(said, (replaces, takes_back), "{state:?}");
        }
    }
}

//! `status`: how every endpoint does, for a person: so many written, so many filed, these waiting and for whom, none unexplained.

use super::adapter::version;
use super::bridge::{Bridge, Server};
use super::endpoint::gate;
use super::failure::Failure;
use super::output::{Look, Out};
use super::words::{age, said, word};
use crate::app::SystemClock;
use crate::domain::ambient::Clock;
use crate::wire::v1::{
    AdapterInUse, EndpointGate, EndpointStatus, GetEndpointStatusRequest, ListReferralsRequest, ParkReason, WaitingFor,
};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;

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
    /// Exit with 1 when something is parked, overdue, unexplained or on its way for over a day, an endpoint is closed, full or being probed, one is paused and has something waiting, or the bridge refuses new notes or cannot write.
    #[arg(long)]
    check: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// The bridge names so many, the oldest: there may be more.
const NAMED_MAX: usize = 20;
/// Faults of a saved pack that are shown.
const FAULTS_SHOWN: usize = 5;

/// What is known of one endpoint.
struct Known {
    status: EndpointStatus,
    /// How many are parked, by reason and by who has to act.
    parked: BTreeMap<(String, String), i32>,
    /// Deliveries that wait and nobody can say why: the oldest.
    unexplained: Vec<String>,
    /// Deliveries that have not got through for a day, whatever the reason: the oldest.
    slow: Vec<String>,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock.now();
    let bridge = args.server.connect().await?;
    let request = GetEndpointStatusRequest { endpoint_id: args.endpoint.unwrap_or_default() };
    let answer = bridge.deliveries().get_endpoint_status(request).await?.into_inner();
    let troubles = answer.bridge_troubles;
    let mut all = Vec::new();
    for status in answer.endpoints {
        all.push(known(status));
    }
    let untouched = untouched_referrals(&bridge).await?;
    if args.json {
        out.json(&as_json(&all, untouched, &troubles))?;
    } else {
        for trouble in &troubles {
            out.line(out.paint(Look::Bad, format!("the bridge: {trouble}")))?;
        }
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
    if args.check && (!troubles.is_empty() || all.iter().any(wants_a_look)) { Err(Failure::Told) } else { Ok(()) }
}

fn wants_a_look(known: &Known) -> bool {
    let e = &known.status;
    e.parked > 0
        || e.inbound_parked > 0
        || e.evidence_overdue > 0
        || e.full
        || !known.unexplained.is_empty()
        || !known.slow.is_empty()
        || e.gate != i32::from(EndpointGate::Open)
        // Paused and forgotten: nothing goes before somebody resumes it.
        || e.paused && e.queued + e.backing_off > 0
        || e.pack.as_ref().is_some_and(|p| !p.held_because.is_empty())
}

/// In the words of the command line. The bridge has judged, and nothing is listed for it: what lists deliveries is audited for each.
fn known(status: EndpointStatus) -> Known {
    let mut by_whom = BTreeMap::new();
    for p in &status.parked_by_reason {
        *by_whom.entry((word::<ParkReason>(p.park_reason), said::<WaitingFor>(p.waiting_for))).or_insert(0) += p.count;
    }
    let (unexplained, slow) = (status.unexplained_delivery_ids.clone(), status.over_a_day_delivery_ids.clone());
    Known { status, parked: by_whom, unexplained, slow }
}

/// How many are forgotten; `None` when the caller's role may not ask.
async fn untouched_referrals(bridge: &Bridge) -> Result<Option<i32>, Failure> {
    let mut request =
        ListReferralsRequest { untouched_only: true, count_only: true, ..ListReferralsRequest::default() };
    let mut listed = 0;
    loop {
        let page = match bridge.referrals().list_referrals(request.clone()).await {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == tonic::Code::PermissionDenied => return Ok(None),
            Err(status) => return Err(status.into()),
        };
        // A bridge of an older release does not count: it lists them.
        listed += i32::try_from(page.referrals.len()).unwrap_or(i32::MAX);
        if page.next_page_token.is_empty() {
            return Ok(Some(listed.max(page.count)));
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
    if e.full {
        let text = "full: new notes for it are refused until some are filed or cancelled (limits.max_open_deliveries_per_endpoint)";
        out.line(format!("  {}", out.paint(Look::Bad, text)))?;
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
        let more = if ids.len() >= NAMED_MAX { " or more" } else { "" };
        format!("{}{more}: {}", ids.len(), ids.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(" "))
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

fn as_json(all: &[Known], untouched: Option<i32>, troubles: &[String]) -> serde_json::Value {
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
    json!({ "bridge_troubles": troubles, "endpoints": endpoints, "untouched_referrals": untouched })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::ParkedCount;

    #[test]
    fn whoever_checks_is_told_of_an_endpoint_that_is_not_open_or_full_and_of_what_is_slow() {
        let with = |gate: EndpointGate, slow: &[&str]| {
            known(EndpointStatus {
                gate: gate.into(),
                over_a_day_delivery_ids: slow.iter().map(|id| (*id).to_owned()).collect(),
                ..EndpointStatus::default()
            })
        };
        assert!(!wants_a_look(&with(EndpointGate::Open, &[])));
        let mut full = with(EndpointGate::Open, &[]);
        full.status.full = true;
        assert!(wants_a_look(&full));
        assert!(wants_a_look(&with(EndpointGate::Open, &["d"])));
        assert!(wants_a_look(&with(EndpointGate::Closed, &[])) && wants_a_look(&with(EndpointGate::Probing, &[])));
    }

    #[test]
    fn a_script_finds_what_the_bridge_judged_beside_the_status_under_the_names_it_has() {
        let parked = |reason: ParkReason, count| ParkedCount {
            park_reason: reason.into(),
            waiting_for: WaitingFor::TeamLead.into(),
            count,
        };
        let status = EndpointStatus {
            endpoint_id: "epr".into(),
            parked: 20_001,
            parked_by_reason: vec![parked(ParkReason::Merged, 20_000), parked(ParkReason::Deceased, 1)],
            unexplained_delivery_ids: vec!["u".into()],
            over_a_day_delivery_ids: vec!["s".into()],
            ..EndpointStatus::default()
        };
        let shown = as_json(&[known(status)], None, &[]);
        let one = &shown["endpoints"][0];
        let parked = json!([
            { "reason": "DECEASED", "waiting_for": "team lead", "count": 1 },
            { "reason": "MERGED", "waiting_for": "team lead", "count": 20_000 },
        ]);
        assert_eq!((&one["status"]["endpoint_id"], &one["status"]["parked"]), (&json!("epr"), &json!(20_001)));
        assert_eq!((&one["parked"], &one["unexplained"], &one["over_a_day"]), (&parked, &json!(["u"]), &json!(["s"])));
        assert_eq!(shown["untouched_referrals"], json!(null));
    }
}

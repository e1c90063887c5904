//! `outbox show`: one delivery, its timeline, its attempts and what came back.

use super::list::{entry, state, waits_for};
use crate::cli::bridge::Server;
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out, visible};
use crate::cli::words::{exact_time, said, time, word};
use crate::transport::http_message::{Reply, Request};
use crate::wire::v1::{
    Attempt, Delivery, DeliveryState, EvidenceKind, GetDeliveryRequest, ListAttemptsRequest, ParkReason, TimelineStep,
    VerdictKind,
};
use serde_json::json;

/// Show a delivery: what is known, its timeline, every attempt and reply.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The delivery's id.
    id: String,
    /// Show the messages themselves too. They are clinical text; reading them is audited.
    #[arg(long)]
    bytes: bool,
    /// As JSON: {"delivery": …, "attempts": […]}.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let mut client = server.connect().await?.deliveries();
    let answer = client.get_delivery(GetDeliveryRequest { delivery_id: args.id.clone() }).await?.into_inner();
    let Some(delivery) = answer.delivery else {
        return Err(Failure::Refused("the bridge's answer holds no delivery".into()));
    };
    let request = ListAttemptsRequest { delivery_id: args.id, include_bytes: args.bytes };
    let attempts = client.list_attempts(request).await?.into_inner().attempts;
    if args.json {
        return out.json(&json!({ "delivery": delivery, "attempts": attempts }));
    }
    head(&delivery, out)?;
    out.line("")?;
    timeline(&delivery.timeline, out)?;
    for attempt in &attempts {
        out.line("")?;
        self::attempt(attempt, out)?;
    }
    Ok(())
}

fn head(d: &Delivery, out: &mut Out) -> Result<(), Failure> {
    let rows = [
        ("delivery", d.id.clone()),
        ("state", state(d)),
        ("known", d.author_sentence.clone()),
        ("waits for", waits_for(d)),
        ("entry", format!("{} ({})", entry(d), d.entry_id)),
        ("subject", d.subject_id.clone()),
        ("endpoint", format!("{} of {}", d.endpoint_id, d.trust_ods)),
        (
            "document",
            [&d.document_id, &d.record_id]
                .into_iter()
                .filter(|i| !i.is_empty())
                .cloned()
                .collect::<Vec<_>>()
                .join(", theirs "),
        ),
        ("follows", d.predecessor_delivery_id.clone().unwrap_or_default()),
        ("created", time(d.created_at.as_ref())),
        ("released", d.release_at.as_ref().map(|t| time(Some(t))).unwrap_or_default()),
        ("next try", d.next_attempt_at.as_ref().map(|t| time(Some(t))).unwrap_or_default()),
        ("next", next(d)),
        ("attempts", d.attempts.to_string()),
        ("in doubt", doubt(d)),
        (
            "evidence",
            d.evidence
                .iter()
                .map(|e| format!("{} at {}", said::<EvidenceKind>(e.kind), time(e.at.as_ref())))
                .collect::<Vec<_>>()
                .join("; "),
        ),
    ];
    for (name, value) in rows.into_iter().filter(|(_, v)| !v.is_empty()) {
        let name = out.paint(Look::Faint, format!("{name:<16}"));
        out.line(format!("{name} {value}"))?;
    }
    Ok(())
}

/// What the person does whom it waits for.
fn next(d: &Delivery) -> String {
    if d.state != i32::from(DeliveryState::Parked) {
        return String::new();
    }
    let id = &d.id;
    match ParkReason::try_from(d.park_reason) {
        Ok(ParkReason::TextNotCarriable | ParkReason::TextTooLong) => "its author replaces it".into(),
        Ok(ParkReason::NoMappedStaffId) => {
            format!(
                "add the author to the trust's staff table and start the bridge anew; then: ips-bridge outbox retry {id} --because '…'"
            )
        }
        Ok(ParkReason::FilingContradicted) => {
            format!(
                "look in the record first; then: ips-bridge outbox retry {id} --acknowledge-may-be-in-record --because '…' (the same bytes), or rerender, or cancel"
            )
        }
        _ if d.may_have_been_received => {
            format!(
                "look in the record first; then: ips-bridge outbox retry {id} --because '…' (the same bytes), or rerender, or cancel"
            )
        }
        _ => format!("put right what it waits for; then: ips-bridge outbox retry {id} --because '…'"),
    }
}

/// What a person must know before giving it up or making it anew.
fn doubt(d: &Delivery) -> String {
    let over = [DeliveryState::Filed, DeliveryState::Cancelled].iter().any(|s| d.state == i32::from(*s));
    if d.may_have_been_received && !over {
        "the record may hold it: cancel and rerender want --acknowledge-may-be-in-record, and so does retry unless after_unknown is resend or query (and always of what is FILING_CONTRADICTED)".into()
    } else {
        String::new()
    }
}

/// A line for each step, with its time and who did it.
pub fn timeline(steps: &[TimelineStep], out: &mut Out) -> Result<(), Failure> {
    let word_of = |s: &TimelineStep| word::<DeliveryState>(s.state);
    let width = steps.iter().map(|s| word_of(s).len()).max().unwrap_or(0);
    for step in steps {
        let state = out.paint(look(step.state), format!("{:<width$}", word_of(step)));
        let by = out.paint(Look::Faint, format!("({})", step.by));
        out.line(format!("  {}  {state}  {} {by}", exact_time(step.at.as_ref()), step.what))?;
    }
    Ok(())
}

/// Filed is good, parked is bad, and so on.
pub fn look(state: i32) -> Look {
    match DeliveryState::try_from(state) {
        Ok(DeliveryState::Filed) => Look::Good,
        Ok(DeliveryState::Parked) => Look::Bad,
        Ok(DeliveryState::BackingOff | DeliveryState::Accepted) => Look::Doubtful,
        Ok(DeliveryState::Cancelled) => Look::Faint,
        _ => Look::Strong,
    }
}

fn attempt(a: &Attempt, out: &mut Out) -> Result<(), Failure> {
    let verdict = match (a.verdict, &a.ended_at) {
        (0, None) => "under way".to_owned(),
        (0, Some(_)) => word::<VerdictKind>(VerdictKind::Unknown.into()),
        (verdict, _) => word::<VerdictKind>(verdict),
    };
    out.line(format!(
        "attempt {}  control id {}  {} to {}  {verdict}  {}",
        a.number,
        a.control_id,
        exact_time(a.began_at.as_ref()),
        exact_time(a.ended_at.as_ref()),
        a.result
    ))?;
    if let Some(sent) = &a.sent {
        message(sent, "  > ", out)?;
    }
    for reply in &a.replies {
        let stray = if reply.unmatched { "  (counts for nothing)" } else { "" };
        out.line(format!(
            "  reply {}  {}  {}{stray}",
            exact_time(reply.received_at.as_ref()),
            word::<VerdictKind>(reply.verdict),
            reply.codes
        ))?;
        if let Some(bytes) = &reply.received {
            message(bytes, "  < ", out)?;
        }
    }
    Ok(())
}

/// An HL7 message, a segment a line; an HTTP request or reply with its JSON indented.
pub fn message(bytes: &[u8], mark: &str, out: &mut Out) -> Result<(), Failure> {
    if let Some(text) = http_text(bytes) {
        return text.lines().try_for_each(|line| out.line(format!("{mark}{}", visible(line))));
    }
    for segment in String::from_utf8_lossy(bytes).split(['\r', '\n']).filter(|s| !s.is_empty()) {
        let segment = visible(segment);
        let (name, rest) = segment.split_at(segment.char_indices().nth(3).map_or(segment.len(), |(i, _)| i));
        let name = out.paint(Look::Name, name);
        out.line(format!("{mark}{name}{rest}"))?;
    }
    Ok(())
}

fn http_text(bytes: &[u8]) -> Option<String> {
    let indented = |body: Vec<u8>| {
        let json: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        json.map_or(body, |value| format!("{value:#}").into_bytes())
    };
    let whole = match (Request::parse(bytes), Reply::parse(bytes)) {
        (Ok(r), _) => Request { body: indented(r.body.clone()), ..r }.to_bytes(),
        (Err(_), Ok(r)) => Reply { body: indented(r.body.clone()), ..r }.to_bytes(),
        (Err(_), Err(_)) => return None,
    };
    Some(String::from_utf8_lossy(&whole).into_owned())
}

//! `outbox list`.

use super::pages;
use crate::app::SystemClock;
use crate::cli::bridge::Server;
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out};
use crate::cli::table::Table;
use crate::cli::words::{Word, age, park_reasons, said, states, waiting_for, word};
use crate::domain::ambient::Clock;
use crate::wire::v1::{
    Delivery, DeliveryState, EntryAction, EntryKind, ListDeliveriesRequest, ListDeliveriesResponse, ParkReason,
    WaitingFor,
};

/// List deliveries, newest first. Clinical text is never shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this endpoint's.
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only in these states. Without it: all that are neither filed nor cancelled.
    #[arg(long, value_parser = states(), value_delimiter = ',')]
    state: Vec<DeliveryState>,
    /// In every state, filed and cancelled ones too.
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only parked for these reasons.
    #[arg(long, value_parser = park_reasons(), value_delimiter = ',')]
    reason: Vec<ParkReason>,
    /// Only those that wait for this person.
    #[arg(long, value_parser = waiting_for())]
    waiting_for: Option<WaitingFor>,
    /// Only this patient's (the bridge's id).
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Only this note's, outcome's or referral's.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
}

const OPEN: [DeliveryState; 5] = [
    DeliveryState::Queued,
    DeliveryState::Sending,
    DeliveryState::BackingOff,
    DeliveryState::Accepted,
    DeliveryState::Parked,
];

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let states = match (args.all, args.state.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => OPEN.to_vec(),
        (false, false) => args.state,
    };
    let request = ListDeliveriesRequest {
        endpoint_id: args.endpoint.unwrap_or_default(),
        states: states.into_iter().map(Into::into).collect(),
        park_reasons: args.reason.into_iter().map(Into::into).collect(),
        patient_id: args.patient.unwrap_or_default(),
        subject_id: args.subject.unwrap_or_default(),
        waiting_for: args.waiting_for.unwrap_or_default().into(),
        ..ListDeliveriesRequest::default()
    };
    let found = pages(&server.connect().await?, request, args.limit as usize).await?;
    if args.json {
        return out.json(&ListDeliveriesResponse { deliveries: found.deliveries, next_page_token: found.next });
    }
    let table = table(&found.deliveries, SystemClock.now());
    if table.is_empty() {
        return out.line("nothing matches");
    }
    table.lines().iter().try_for_each(|line| out.line(line))?;
    if !found.next.is_empty() {
        let more = out.paint(Look::Faint, format!("the first {}; --limit shows more", args.limit));
        out.line(more)?;
    }
    Ok(())
}

fn table(deliveries: &[Delivery], now: jiff::Timestamp) -> Table {
    let mut table =
        Table::new(&["delivery", "endpoint", "entry", "state", "age", "tries", "waits for", "what is known"]);
    for d in deliveries {
        table.row([
            d.id.clone(),
            d.endpoint_id.clone(),
            entry(d),
            state(d),
            age(d.created_at.as_ref(), now),
            d.attempts.to_string(),
            waits_for(d),
            d.author_sentence.clone(),
        ]);
    }
    table
}

/// `note replace v2`
pub fn entry(d: &Delivery) -> String {
    format!("{} {} v{}", said::<EntryKind>(d.entry_kind), said::<EntryAction>(d.entry_action), d.subject_version)
}

/// `PARKED: REFUSED`
pub fn state(d: &Delivery) -> String {
    let state = word::<DeliveryState>(d.state);
    if d.park_reason == 0 { state } else { format!("{state}: {}", word::<ParkReason>(d.park_reason)) }
}

pub fn waits_for(d: &Delivery) -> String {
    match WaitingFor::try_from(d.waiting_for) {
        Ok(WaitingFor::Unspecified | WaitingFor::Nobody) | Err(_) => "-".into(),
        Ok(who) => who.word().to_lowercase().replace('_', " "),
    }
}

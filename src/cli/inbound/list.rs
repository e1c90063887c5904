//! `inbound list`.

use super::pages;
use crate::app::SystemClock;
use crate::cli::bridge::Server;
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out, visible};
use crate::cli::table::Table;
use crate::cli::words::{age, inbound_states, moment, word};
use crate::domain::ambient::Clock;
use crate::wire::v1::{InboundMessage, InboundState, ListInboundMessagesRequest, ListInboundMessagesResponse};
use jiff::Timestamp;

/// List messages, newest first. The messages themselves are never shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this endpoint's.
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only in these states. Without it: those that are parked and wait for a person.
    #[arg(long, value_parser = inbound_states(), value_delimiter = ',')]
    state: Vec<InboundState>,
    /// In every state.
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only of this type, e.g. REF^I12 or ServiceRequest.
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// Only ignored under this accept rule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only received then or later: 2026-03-02 (midnight UTC) or 2026-03-02T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Only received before then.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let states = match (args.all || args.rule.is_some(), args.state.is_empty()) {
        (true, true) => Vec::new(),
        (false, true) => vec![InboundState::Parked],
        (_, false) => args.state,
    };
    let request = ListInboundMessagesRequest {
        endpoint_id: args.endpoint.unwrap_or_default(),
        states: states.into_iter().map(Into::into).collect(),
        message_type: args.message_type.unwrap_or_default(),
        rule: args.rule.unwrap_or_default(),
        received_from: args.from.map(Into::into),
        received_before: args.before.map(Into::into),
        ..ListInboundMessagesRequest::default()
    };
    let found = pages(&server.connect().await?, request, args.limit as usize).await?;
    if args.json {
        return out.json(&ListInboundMessagesResponse { messages: found.messages, next_page_token: found.next });
    }
    let table = table(&found.messages, SystemClock.now());
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

pub fn table(messages: &[InboundMessage], now: Timestamp) -> Table {
    let mut table = Table::new(&["message", "endpoint", "type", "control id", "state", "age", "why"]);
    for m in messages {
        table.row([
            m.id.clone(),
            m.endpoint_id.clone(),
            visible(&m.message_type),
            visible(&m.control_id),
            word::<InboundState>(m.state),
            age(m.received_at.as_ref(), now),
            why(m),
        ]);
    }
    table
}

/// The reason, with the rule's name where it is one of the accept rules.
pub fn why(m: &InboundMessage) -> String {
    let reason = visible(&m.reason);
    if m.rule.is_empty() { reason } else { format!("{reason} (rule {})", visible(&m.rule)) }
}

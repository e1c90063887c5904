//! `inbound reprocess`: parked messages run again, each on its own, the oldest first: what one of them makes, a later one may speak of.

use super::list::{table, why};
use super::pages;
use crate::app::SystemClock;
use crate::cli::ask::sure;
use crate::cli::bridge::{Bridge, Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::outbox::{AT_ONCE_MAX, How};
use crate::cli::output::{Look, Out};
use crate::cli::words::word;
use crate::domain::ambient::Clock;
use crate::wire::v1::{
    GetInboundMessageRequest, InboundMessage, InboundState, ListInboundMessagesRequest, ReprocessInboundMessageRequest,
};
use serde_json::json;

/// Run parked messages again through the present pack, settings and rules, the oldest first. Nothing is sent: their sender keeps the answers it
/// got. Ends with 1 when some are parked again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Parked,
    #[command(flatten)]
    how: How,
}

/// Which.
#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = true)]
struct Parked {
    /// Messages' ids.
    #[arg(value_name = "ID", conflicts_with_all = ["endpoint", "reason", "message_type"])]
    ids: Vec<String>,
    /// All parked ones of this endpoint …
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// … whose reason holds this text, e.g. details.team …
    #[arg(long, value_name = "TEXT", requires = "endpoint")]
    reason: Option<String>,
    /// … and of this type, e.g. REF^I12.
    #[arg(long = "type", value_name = "TYPE", requires = "endpoint")]
    message_type: Option<String>,
}

impl Parked {
    async fn find(&self, bridge: &Bridge) -> Result<Vec<InboundMessage>, Failure> {
        let mut found = Vec::new();
        if self.ids.is_empty() {
            let request = ListInboundMessagesRequest {
                endpoint_id: self.endpoint.clone().unwrap_or_default(),
                states: vec![InboundState::Parked.into()],
                message_type: self.message_type.clone().unwrap_or_default(),
                ..ListInboundMessagesRequest::default()
            };
            let listed = pages(bridge, request, AT_ONCE_MAX).await?;
            if !listed.next.is_empty() {
                let what = format!(
                    "more than {AT_ONCE_MAX} messages are parked there, and what came first must be run first; narrow it with --type, or name ids"
                );
                return Err(Failure::Usage(what));
            }
            found = listed.messages;
            found.retain(|m| self.reason.as_ref().is_none_or(|text| m.reason.contains(text)));
        }
        for id in &self.ids {
            let request = GetInboundMessageRequest { inbound_message_id: id.clone(), include_bytes: false };
            found.extend(bridge.inbound().get_inbound_message(request).await?.into_inner().message);
        }
        // Ids tell the order in which they came.
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }
}

fn messages(count: usize) -> String {
    if count == 1 { "1 message".into() } else { format!("{count} messages") }
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let bridge = server.connect().await?;
    let found = args.which.find(&bridge).await?;
    let how = &args.how;
    if how.dry_run {
        // Only what is parked can be run again.
        let (found, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_parked);
        let told = if others.is_empty() { Ok(()) } else { Err(Failure::Told) };
        if how.json {
            let ids: Vec<&str> = found.iter().map(|m| m.id.as_str()).collect();
            let not: Vec<&str> = others.iter().map(|m| m.id.as_str()).collect();
            out.json(&json!({ "dry_run": true, "matched": found.len(), "message_ids": ids, "not_parked": not }))?;
            return told;
        }
        out.line(format!("would run {} again", messages(found.len())))?;
        let table = table(&found, SystemClock.now());
        if !table.is_empty() {
            table.lines().iter().try_for_each(|line| out.line(line))?;
        }
        for m in &others {
            let not = out.paint(Look::Bad, "would not be run");
            out.line(format!(
                "{}  {not}: it is {}; only what is PARKED can be run again",
                m.id,
                word::<InboundState>(m.state)
            ))?;
        }
        return told;
    }
    if found.is_empty() {
        return if how.json { report(&[], &[], out) } else { out.line("nothing matches") };
    }
    sure(how.yes, &format!("Run {} again?", messages(found.len())))?;
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for message in found {
        let request = ReprocessInboundMessageRequest {
            request_id: request_id(),
            inbound_message_id: message.id.clone(),
            reason: how.because.clone(),
        };
        match bridge.inbound().reprocess_inbound_message(request).await.map_err(Failure::from) {
            Ok(answer) => {
                let now = answer.into_inner().message.unwrap_or(message);
                if !how.json {
                    let look = if is_parked(&now) { Look::Bad } else { Look::Good };
                    let state = out.paint(look, word::<InboundState>(now.state));
                    out.line(format!("{}  {}  {state}  {}", now.id, now.message_type, why(&now)).trim_end())?;
                }
                done.push(now);
            }
            // The rest would meet the same silence.
            Err(e @ Failure::Unreachable(_)) => return Err(e),
            Err(e) => {
                if !how.json {
                    let not = out.paint(Look::Bad, "not run");
                    out.line(format!("{}  {not}: {e}", message.id))?;
                }
                refused.push((message.id, e.to_string()));
            }
        }
    }
    if how.json {
        report(&done, &refused, out)?;
    }
    if refused.is_empty() && !done.iter().any(is_parked) { Ok(()) } else { Err(Failure::Told) }
}

fn is_parked(m: &InboundMessage) -> bool {
    m.state == i32::from(InboundState::Parked)
}

fn report(done: &[InboundMessage], refused: &[(String, String)], out: &mut Out) -> Result<(), Failure> {
    let refused: Vec<_> = refused.iter().map(|(id, why)| json!({ "message_id": id, "why": why })).collect();
    out.json(&json!({ "matched": done.len() + refused.len(), "messages": done, "refused": refused }))
}

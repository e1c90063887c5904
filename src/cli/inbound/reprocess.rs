//! `inbound reprocess`: parked messages run again, each on its own, the oldest first: what one of them makes, a later one may speak of.

use super::list::{table, why};
use super::pages;
use crate::app::SystemClock;
use crate::cli::ask::sure;
use crate::cli::bridge::{Bridge, Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::outbox::{AT_ONCE_MAX, How};
use crate::cli::output::{Look, Out};
use crate::cli::told::{Refused, Told, once};
use crate::cli::words::word;
use crate::domain::ambient::Clock;
use crate::wire::v1::{
    ErrorReason, GetInboundMessageRequest, InboundMessage, InboundState, ListInboundMessagesRequest,
    ReprocessInboundMessageRequest,
};
use serde_json::json;

/// Run parked messages again through the present pack, settings and rules, the oldest first. Nothing is sent: their sender keeps the answers it
/// got. Ends with 1 when some are parked again.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "ips-bridge inbound reprocess [OPTIONS] --because <TEXT> <ID>...\n       ips-bridge inbound reprocess [OPTIONS] --because <TEXT> --endpoint <ID> [--reason <TEXT>] [--type <TYPE>]"
)]
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
    async fn find(&self, bridge: &Bridge) -> Result<(Vec<InboundMessage>, Vec<Refused>), Failure> {
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
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
        for id in once(&self.ids) {
            let request = GetInboundMessageRequest { inbound_message_id: id.clone(), include_bytes: false };
            match bridge.inbound().get_inbound_message(request).await.map_err(Failure::from) {
                Ok(answer) => found.extend(answer.into_inner().message),
                Err(e) if e.is_not_found() => unknown.push(Refused::new(id, &e)),
                Err(e) => return Err(e.of(&id)),
            }
        }
        // Ids tell the order in which they came.
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        Ok((found, unknown))
    }
}

fn messages(count: usize) -> String {
    if count == 1 { "1 message".into() } else { format!("{count} messages") }
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let bridge = server.connect().await?;
    let (found, unknown) = args.which.find(&bridge).await?;
    let how = &args.how;
    let mut told = Told::new(how.dry_run, unknown);
    if how.dry_run {
        return dry_run(found, told, how.json, out);
    }
    if found.is_empty() && told.refused.is_empty() && !how.json {
        return out.line("nothing matches");
    }
    if !found.is_empty() {
        sure(how.yes, &format!("Run {} again?", messages(found.len())))?;
    }
    if !how.json {
        told.refused.iter().try_for_each(|r| not(r, "not run", out))?;
    }
    let mut parked = Vec::new();
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
                told.done.push(now.id.clone());
                parked.extend(is_parked(&now).then_some(now));
            }
            // The rest would meet the same silence.
            Err(e @ Failure::Unreachable(_)) => return Err(e),
            Err(e) => {
                let refused = Refused::new(message.id, &e);
                if !how.json {
                    not(&refused, "not run", out)?;
                }
                told.refused.push(refused);
            }
        }
    }
    if how.json {
        let mut value = told.json();
        value["parked_again"] = parked.iter().map(|m| json!({ "id": m.id, "why": why(m) })).collect();
        out.json(&value)?;
    }
    if parked.is_empty() { told.ended() } else { Err(Failure::Told) }
}

/// Only what is parked can be run again.
fn dry_run(found: Vec<InboundMessage>, mut told: Told, json: bool, out: &mut Out) -> Result<(), Failure> {
    let (found, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_parked);
    told.done = found.iter().map(|m| m.id.clone()).collect();
    told.refused.extend(others.iter().map(|m| {
        let state = word::<InboundState>(m.state);
        Refused::of(&m.id, &format!("it is {state}; only what is PARKED can be run again"), ErrorReason::WrongState)
    }));
    if json {
        out.json(&told.json())?;
        return told.ended();
    }
    out.line(format!("would run {} again", messages(found.len())))?;
    let table = table(&found, SystemClock.now());
    if !table.is_empty() {
        table.lines().iter().try_for_each(|line| out.line(line))?;
    }
    told.refused.iter().try_for_each(|r| not(r, "would not be run", out))?;
    told.ended()
}

fn not(refused: &Refused, what: &str, out: &mut Out) -> Result<(), Failure> {
    let what = out.paint(Look::Bad, what);
    out.line(format!("{}  {what}: {}", refused.id, refused.shown))
}

fn is_parked(m: &InboundMessage) -> bool {
    m.state == i32::from(InboundState::Parked)
}

//! `outbox retry`: the bridge selects and re-drives by itself, at the pace its config allows.

use super::select::{How, Parked};
use crate::cli::ask::sure;
use crate::cli::bridge::{Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out};
use crate::cli::told::{Refused, Told, once};
use crate::cli::words::deliveries;
use crate::wire::v1::{DeliverySelection, RetryDeliveriesRequest, RetryDeliveriesResponse};

/// Send parked deliveries again, with the same bytes, at the head of their patient's queue.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "ips-bridge outbox retry [OPTIONS] --because <TEXT> <ID>...\n       ips-bridge outbox retry [OPTIONS] --because <TEXT> --endpoint <ID> --reason <REASON>"
)]
pub struct Args {
    #[command(flatten)]
    which: Parked,
    #[command(flatten)]
    how: How,
    /// The record may hold some of them already: you have looked. Needed unless it recognises repeats, and always of what is FILING_CONTRADICTED.
    #[arg(long)]
    acknowledge_may_be_in_record: bool,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let selection = DeliverySelection {
        delivery_ids: once(&args.which.ids),
        endpoint_id: args.which.endpoint.clone().unwrap_or_default(),
        park_reason: args.which.reason.unwrap_or_default().into(),
    };
    let mut client = server.connect().await?.deliveries();
    let mut request = RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(selection),
        reason: args.how.because.clone(),
        dry_run: true,
        acknowledge_may_be_in_record: args.acknowledge_may_be_in_record,
    };
    if !args.how.dry_run {
        if !args.how.yes {
            let would = client.retry_deliveries(request.clone()).await?.into_inner();
            // Where there is nothing to do there is nothing to ask.
            if would.retried == 0 {
                return shown(&would, &args.how, out);
            }
            sure(false, &format!("Send {} that wait for a person again?", deliveries(would.retried)))?;
        }
        request = RetryDeliveriesRequest { request_id: request_id(), dry_run: false, ..request };
    }
    let answer = client.retry_deliveries(request).await?.into_inner();
    shown(&answer, &args.how, out)
}

fn shown(answer: &RetryDeliveriesResponse, how: &How, out: &mut Out) -> Result<(), Failure> {
    let told = Told {
        dry_run: how.dry_run,
        done: answer.delivery_ids.clone(),
        refused: answer.not_retried.iter().map(|n| Refused::of(&n.delivery_id, &n.why, n.reason())).collect(),
    };
    if how.json {
        let size = |n: i32| usize::try_from(n).unwrap_or_default();
        out.json(&told.json_of(size(answer.matched), size(answer.retried)))?;
    } else {
        let done = if how.dry_run { "would be sent again" } else { "sent again" };
        out.line(format!("{} matched, {} {done}", answer.matched, answer.retried))?;
        told.done.iter().try_for_each(|id| out.line(format!("  {id}")))?;
        let not = out.paint(Look::Bad, format!("not {}", if how.dry_run { "to be sent" } else { "sent" }));
        told.refused.iter().try_for_each(|r| out.line(format!("  {}  {not}: {}", r.id, r.shown)))?;
    }
    told.ended()
}

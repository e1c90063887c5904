//! `outbox backfill`: entries written before an endpoint was there.

use crate::cli::ask::sure;
use crate::cli::bridge::{Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::output::Out;
use crate::cli::words::{deliveries, moment};
use crate::wire::v1::BackfillDeliveriesRequest;
use jiff::Timestamp;

/// Make deliveries for a new endpoint, for entries recorded before it was there. Nothing goes twice to the same endpoint.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The endpoint's id.
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// Entries recorded from then on: 2026-03-01 (midnight UTC) or 2026-03-01T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Timestamp,
    /// Why, for the audit: 1 to 200 characters, no patient data.
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Say how many there would be, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let mut client = server.connect().await?.deliveries();
    let mut request = BackfillDeliveriesRequest {
        request_id: request_id(),
        endpoint_id: args.endpoint,
        recorded_from: Some(args.from.into()),
        reason: args.because,
        dry_run: true,
    };
    if !args.dry_run {
        if !args.yes {
            let would = client.backfill_deliveries(request.clone()).await?.into_inner();
            if would.matched == 0 {
                return if args.json { out.json(&would) } else { out.line("nothing matches") };
            }
            sure(false, &format!("Send {} earlier entries to {}?", would.matched, request.endpoint_id))?;
        }
        request = BackfillDeliveriesRequest { request_id: request_id(), dry_run: false, ..request };
    }
    let answer = client.backfill_deliveries(request).await?.into_inner();
    if args.json {
        return out.json(&answer);
    }
    let (matched, created) = (answer.matched, deliveries(answer.created));
    out.line(if args.dry_run {
        format!("{matched} entries match; nothing was made")
    } else {
        format!("{matched} entries matched, {created} made")
    })
}

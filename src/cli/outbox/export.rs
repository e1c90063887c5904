//! `outbox export`: the backlog on paper, for when an EPR is away for weeks.

use crate::cli::bridge::Server;
use crate::cli::failure::Failure;
use crate::cli::output::Out;
use crate::wire::v1::ExportDeliveriesRequest;

/// Print what an endpoint has not filed yet, patient by patient, oldest first. Holds clinical text; audited.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The endpoint's id.
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// Why, for the audit: 1 to 200 characters, no patient data.
    #[arg(long, value_name = "TEXT")]
    because: String,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let request = ExportDeliveriesRequest { endpoint_id: args.endpoint, reason: args.because };
    let mut pages = server.connect().await?.deliveries().export_deliveries(request).await?.into_inner();
    while let Some(page) = pages.message().await? {
        out.text(&page.text)?;
    }
    Ok(())
}

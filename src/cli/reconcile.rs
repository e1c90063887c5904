//! `reconcile`: a list of what the record holds, against what was sent; prints the sheet that a person signs.

use super::bridge::{Server, request_id};
use super::failure::Failure;
use super::output::Out;
use crate::domain::nhs_number::NhsNumber;
use crate::inbound::reconcile::read_list;
use crate::wire::v1::{ListedDocument, ReconcileDocumentsRequest};
use jiff::civil::Date;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  ips-bridge reconcile --endpoint rz9-rio --list held.csv --dry-run
  ips-bridge reconcile --endpoint rz9-rio --list held.csv --day 2026-03-02 > sheet.txt";

/// Hold a list of the documents that the record really has against what was sent: file what matches, name what is missing, doubled or
/// unexpected, and print the sheet to sign. Ends with 1 when something is to be explained.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The endpoint's id.
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// CSV with a header that has document_id, and perhaps record_id. Everything the record holds of that day, not a part.
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// The day whose documents are counted, in the trust's time zone; yesterday unless given.
    #[arg(long, value_name = "DAY")]
    day: Option<Date>,
    /// Say what would be found, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    let shown = args.list.display();
    let bytes = std::fs::read(&args.list).map_err(|e| Failure::Usage(format!("{shown} cannot be read: {e}")))?;
    let listed = read_list(&bytes).map_err(|what| Failure::Usage(format!("{shown}: {what}")))?;
    let name = args.list.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let documents = listed
        .into_iter()
        .map(|l| ListedDocument {
            document_id: l.document_id,
            record_id: l.record_id.unwrap_or_default(),
            line: i32::try_from(l.line).unwrap_or_default(),
        })
        .collect();
    let request = ReconcileDocumentsRequest {
        request_id: request_id(),
        endpoint_id: args.endpoint,
        documents,
        day: args.day.map(|d| d.to_string()).unwrap_or_default(),
        source: without_numbers(&name).chars().take(200).collect(),
        dry_run: args.dry_run,
    };
    let answer = args.server.connect().await?.deliveries().reconcile_documents(request).await?.into_inner();
    let explained = answer.adds_up && answer.unexplained == 0;
    if args.json {
        out.json(&answer)?;
    } else {
        answer.sheet.lines().try_for_each(|line| out.line(line))?;
    }
    if explained { Ok(()) } else { Err(Failure::Told) }
}
/// A list's name as the audit may have it: a time stamp of ten figures may be an NHS number as well, by chance, and is left out.
fn without_numbers(name: &str) -> String {
    if !NhsNumber::stands_in(name) {
        return name.to_owned();
    }
    name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_that_may_be_an_nhs_number_is_left_out_of_a_lists_name() {
        assert_eq!(without_numbers("held-9990000018.csv"), "held-0000000000.csv");
        assert_eq!(without_numbers("held-20260302.csv"), "held-20260302.csv");
    }
}

//! `inbound`: what EPRs sent, what could not be taken in and why, and running it again.

mod list;
mod reprocess;
mod show;
mod submit;

use super::bridge::{Bridge, Server};
use super::failure::Failure;
use super::output::Out;
use crate::wire::v1::{InboundMessage, ListInboundMessagesRequest};
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  ips-bridge inbound list --endpoint rz9-rio
  ips-bridge inbound show 01JNBRZC5M8Q4T7V9XA2E3F4G1
  ips-bridge inbound reprocess --endpoint rz9-rio --reason details.team --because 'team added, change 4711' --dry-run
  ips-bridge inbound submit --endpoint rz9-rio referral.hl7";

/// Look at the messages that EPRs sent to a running bridge, and run again what could not be taken in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Reprocess(reprocess::Args),
    Submit(submit::Args),
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    let server = args.server;
    match args.command {
        Command::List(args) => list::run(args, &server, out).await,
        Command::Show(args) => show::run(args, &server, out).await,
        Command::Reprocess(args) => reprocess::run(args, &server, out).await,
        Command::Submit(args) => submit::run(args, &server, out).await,
    }
}

/// What was found, and whether there is more.
struct Found {
    messages: Vec<InboundMessage>,
    /// The next page's token; empty: that was all.
    next: String,
}

/// Asks page by page until there are `limit` messages or no more.
async fn pages(bridge: &Bridge, mut request: ListInboundMessagesRequest, limit: usize) -> Result<Found, Failure> {
    let mut client = bridge.inbound();
    let mut messages: Vec<InboundMessage> = Vec::new();
    loop {
        let left = limit.saturating_sub(messages.len());
        if left == 0 {
            return Ok(Found { messages, next: request.page_token });
        }
        request.page_size = i32::try_from(left.min(200)).unwrap_or(200);
        let page = client.list_inbound_messages(request.clone()).await?.into_inner();
        messages.extend(page.messages);
        if page.next_page_token.is_empty() {
            return Ok(Found { messages, next: String::new() });
        }
        request.page_token = page.next_page_token;
    }
}

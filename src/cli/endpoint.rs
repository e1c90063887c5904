//! `endpoint`: what each endpoint does, and stopping or starting one.

use super::ask::sure;
use super::bridge::{Server, request_id};
use super::failure::Failure;
use super::output::Out;
use super::table::Table;
use super::words::{age, deliveries, word};
use crate::app::SystemClock;
use crate::domain::ambient::Clock;
use crate::wire::v1::{
    EndpointGate, EndpointStatus, GetEndpointStatusRequest, PauseEndpointRequest, ResumeEndpointRequest,
};
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  ips-bridge endpoint list
  ips-bridge endpoint pause rz9-rio --because 'RiO upgrade, change 4711'
  ips-bridge endpoint resume rz9-rio --because 'upgrade done'";

/// List, pause and resume endpoints of a running bridge.
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
    /// All endpoints you may see.
    List {
        /// As proto JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send nothing to an endpoint until it is resumed; everything is still accepted.
    Pause(Change),
    /// Send again.
    Resume(Change),
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The endpoint's id.
    endpoint: String,
    /// Why, for the audit: 1 to 200 characters, no patient data.
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    match args.command {
        Command::List { json } => list(&args.server, json, out).await,
        Command::Pause(change) => {
            sure(change.yes, &format!("Stop sending to {}?", change.endpoint))?;
            let mut client = args.server.connect().await?.deliveries();
            let request =
                PauseEndpointRequest { request_id: request_id(), endpoint_id: change.endpoint, reason: change.because };
            shown(client.pause_endpoint(request).await?.into_inner().endpoint, change.json, out)
        }
        Command::Resume(change) => {
            let mut client = args.server.connect().await?.deliveries();
            let request = ResumeEndpointRequest {
                request_id: request_id(),
                endpoint_id: change.endpoint,
                reason: change.because,
            };
            shown(client.resume_endpoint(request).await?.into_inner().endpoint, change.json, out)
        }
    }
}

async fn list(server: &Server, json: bool, out: &mut Out) -> Result<(), Failure> {
    let answer = server
        .connect()
        .await?
        .deliveries()
        .get_endpoint_status(GetEndpointStatusRequest::default())
        .await?
        .into_inner();
    if json {
        return out.json(&answer);
    }
    let now = SystemClock.now();
    let mut table =
        Table::new(&["endpoint", "name", "trust", "env", "adapter", "gate", "open", "parked", "oldest", "files by"]);
    for e in &answer.endpoints {
        let open = e.queued + e.sending + e.backing_off + e.accepted;
        table.row([
            e.endpoint_id.clone(),
            e.name.clone(),
            e.trust_ods.clone(),
            e.environment.clone(),
            e.adapter.clone(),
            gate(e),
            open.to_string(),
            e.parked.to_string(),
            age(e.oldest_unfiled_at.as_ref(), now),
            e.filed_by.clone(),
        ]);
    }
    table.lines().iter().try_for_each(|line| out.line(line))
}

/// Whether it takes messages, in a word or two.
pub fn gate(e: &EndpointStatus) -> String {
    if e.paused {
        return "paused".into();
    }
    if e.in_maintenance {
        return "maintenance".into();
    }
    word::<EndpointGate>(e.gate).to_lowercase()
}

fn shown(endpoint: Option<EndpointStatus>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let Some(endpoint) = endpoint else { return Err(Failure::Refused("the bridge's answer names no endpoint".into())) };
    if json {
        return out.json(&endpoint);
    }
    let because = if endpoint.paused {
        format!(" by {}: {}", endpoint.paused_by, endpoint.paused_because)
    } else {
        String::new()
    };
    // Each goes when it may: when its time has come, and what it follows has gone.
    let waiting = endpoint.queued + endpoint.backing_off;
    let waiting = match (waiting, endpoint.paused) {
        (0, _) => String::new(),
        (n, true) => format!("; {} held", deliveries(n)),
        (n, false) => format!("; {} not sent yet", deliveries(n)),
    };
    out.line(format!("{}: {}{because}{waiting}", endpoint.endpoint_id, gate(&endpoint)))
}

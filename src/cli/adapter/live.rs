//! `adapter activate` and `adapter rollback`: another pack for an endpoint of a running bridge, or the former one again.

use crate::cli::ask::sure;
use crate::cli::bridge::{Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out};
use crate::wire::v1::{ActivateAdapterRequest, AdapterChange, AdapterVersion, RollbackAdapterRequest};

/// Characters of a fingerprint that are shown.
const SHOWN: usize = 12;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The endpoint's id.
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// The version that is meant, e.g. 1.4.2: any other is refused.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Why, for the audit: 1 to 200 characters, no patient data.
    #[arg(long, alias = "why", value_name = "TEXT")]
    because: String,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Args)]
pub struct Activate {
    /// Take it although this endpoint worked with other bytes under the same version before; --because says why that is right.
    #[arg(long)]
    same_version: bool,
    #[command(flatten)]
    args: Args,
}

pub async fn activate(Activate { args, same_version }: Activate, out: &mut Out) -> Result<(), Failure> {
    sure(args.yes, &format!("Let {} work with what the bridge's packs folder holds now?", args.endpoint))?;
    let request = ActivateAdapterRequest {
        request_id: request_id(),
        endpoint_id: args.endpoint,
        reason: args.because,
        version: args.version.unwrap_or_default(),
        same_version,
    };
    let answer = args.server.connect().await?.adapters().activate_adapter(request).await?.into_inner();
    shown(answer.change, args.json, out)
}

pub async fn rollback(args: Args, out: &mut Out) -> Result<(), Failure> {
    sure(args.yes, &format!("Let {} work with the pack it had before?", args.endpoint))?;
    let request = RollbackAdapterRequest {
        request_id: request_id(),
        endpoint_id: args.endpoint,
        reason: args.because,
        version: args.version.unwrap_or_default(),
    };
    let answer = args.server.connect().await?.adapters().rollback_adapter(request).await?.into_inner();
    shown(answer.change, args.json, out)
}

/// `id@1.2.3 (0123456789ab)`
pub fn version(v: Option<&AdapterVersion>) -> String {
    let short = |v: &AdapterVersion| v.fingerprint.chars().take(SHOWN).collect::<String>();
    v.map_or_else(|| "none".to_owned(), |v| format!("{}@{} ({})", v.id, v.version, short(v)))
}

fn shown(change: Option<AdapterChange>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let Some(c) = change else { return Err(Failure::Refused("the bridge's answer names no pack".into())) };
    if json {
        return out.json(&c);
    }
    let (from, to) = (version(c.from.as_ref()), version(c.to.as_ref()));
    if !c.changed {
        return out.line(format!("{}: works with {to} already; nothing was changed", c.endpoint_id));
    }
    let name = out.paint(Look::Strong, &c.endpoint_id);
    out.line(format!("{name}: {from} -> {to}"))?;
    let least = if c.more { "at least " } else { "" };
    out.line(format!(
        "  waiting    {least}{} not made yet, {least}{} made anew with it",
        c.waiting_unmade, c.made_anew
    ))?;
    if c.held == 0 {
        return Ok(());
    }
    let held = format!("{least}{} perhaps received already; they wait for you (ENDPOINT_CHANGED_AFTER_SEND)", c.held);
    let held = out.paint(Look::Doubtful, held);
    out.line(format!("  held       {held}"))?;
    c.held_delivery_ids.iter().try_for_each(|id| out.line(format!("             {id}")))
}

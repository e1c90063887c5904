//! `outbox rerender`, `park` and `cancel`: the API changes one delivery at a time, so that each is judged as it stands then;
//! in bulk they are changed one after another, and one that is refused stops no other.

use super::list::{entry, state};
use super::select::{How, Moving, Parked};
use crate::cli::ask::sure;
use crate::cli::bridge::{Bridge, Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out};
use crate::cli::words::deliveries;
use crate::wire::v1::{CancelDeliveryRequest, Delivery, ParkDeliveryRequest, RerenderDeliveryRequest};
use serde_json::json;

/// Make parked deliveries anew from the present identity, pack and settings, and send them.
#[derive(Debug, clap::Args)]
pub struct Rerender {
    #[command(flatten)]
    which: Parked,
    #[command(flatten)]
    how: How,
    /// The record may hold them already: you have looked.
    #[arg(long)]
    acknowledge_may_be_in_record: bool,
}

/// Stop deliveries that are not being sent this moment; a person decides about them later.
#[derive(Debug, clap::Args)]
pub struct Park {
    #[command(flatten)]
    which: Moving,
    #[command(flatten)]
    how: How,
}

/// Give up deliveries for good. Their authors are told.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    #[command(flatten)]
    which: Parked,
    #[command(flatten)]
    how: How,
    /// The record may hold them already: you have looked.
    #[arg(long)]
    acknowledge_may_be_in_record: bool,
}

/// One change to one delivery.
pub trait Change {
    /// `cancel`, `cancelled`
    const WORDS: (&'static str, &'static str);
    fn how(&self) -> &How;
    async fn find(&self, bridge: &Bridge) -> Result<Vec<Delivery>, Failure>;
    /// `dry_run`: the bridge says whether it could be done, by the same rules, and does nothing.
    async fn change(&self, bridge: &Bridge, delivery_id: String, dry_run: bool) -> Result<Option<Delivery>, Failure>;
}

impl Change for Rerender {
    const WORDS: (&'static str, &'static str) = ("re-render", "re-rendered");
    fn how(&self) -> &How {
        &self.how
    }
    async fn find(&self, bridge: &Bridge) -> Result<Vec<Delivery>, Failure> {
        self.which.find(bridge).await
    }
    async fn change(&self, bridge: &Bridge, delivery_id: String, dry_run: bool) -> Result<Option<Delivery>, Failure> {
        let (reason, acknowledge_may_be_in_record) = (self.how.because.clone(), self.acknowledge_may_be_in_record);
        let request = RerenderDeliveryRequest {
            request_id: request_id(),
            delivery_id,
            reason,
            acknowledge_may_be_in_record,
            dry_run,
        };
        Ok(bridge.deliveries().rerender_delivery(request).await?.into_inner().delivery)
    }
}

impl Change for Park {
    const WORDS: (&'static str, &'static str) = ("park", "parked");
    fn how(&self) -> &How {
        &self.how
    }
    async fn find(&self, bridge: &Bridge) -> Result<Vec<Delivery>, Failure> {
        self.which.find(bridge).await
    }
    async fn change(&self, bridge: &Bridge, delivery_id: String, dry_run: bool) -> Result<Option<Delivery>, Failure> {
        let reason = self.how.because.clone();
        let request = ParkDeliveryRequest { request_id: request_id(), delivery_id, reason, dry_run };
        Ok(bridge.deliveries().park_delivery(request).await?.into_inner().delivery)
    }
}

impl Change for Cancel {
    const WORDS: (&'static str, &'static str) = ("cancel", "cancelled");
    fn how(&self) -> &How {
        &self.how
    }
    async fn find(&self, bridge: &Bridge) -> Result<Vec<Delivery>, Failure> {
        self.which.find(bridge).await
    }
    async fn change(&self, bridge: &Bridge, delivery_id: String, dry_run: bool) -> Result<Option<Delivery>, Failure> {
        let (reason, acknowledge_may_be_in_record) = (self.how.because.clone(), self.acknowledge_may_be_in_record);
        let request = CancelDeliveryRequest {
            request_id: request_id(),
            delivery_id,
            reason,
            acknowledge_may_be_in_record,
            dry_run,
        };
        Ok(bridge.deliveries().cancel_delivery(request).await?.into_inner().delivery)
    }
}

pub async fn run<C: Change>(args: C, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let bridge = server.connect().await?;
    let found = args.find(&bridge).await?;
    let (how, (verb, done_word)) = (args.how(), C::WORDS);
    if how.dry_run {
        return dry_run(&args, &bridge, found, out).await;
    }
    let deliveries = deliveries(i64::try_from(found.len()).unwrap_or(i64::MAX));
    if found.is_empty() {
        return if how.json { report(&[], &[], out) } else { out.line("nothing matches") };
    }
    sure(how.yes, &format!("{}{} {deliveries}?", verb[..1].to_uppercase(), &verb[1..]))?;
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for delivery in found {
        match args.change(&bridge, delivery.id.clone(), false).await {
            Ok(changed) => {
                let changed = changed.unwrap_or(delivery);
                if !how.json {
                    out.line(format!("{}  {}  {done_word}: now {}", changed.id, entry(&changed), state(&changed)))?;
                }
                done.push(changed.id);
            }
            // The rest would meet the same silence.
            Err(e @ Failure::Unreachable(_)) => return Err(e),
            Err(e) => {
                if !how.json {
                    let not = out.paint(Look::Bad, format!("not {done_word}"));
                    out.line(format!("{}  {not}: {e}", delivery.id))?;
                }
                refused.push((delivery.id, e.to_string()));
            }
        }
    }
    if how.json {
        report(&done, &refused, out)?;
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// What the bridge would do and what it would refuse, with the exit code that it would have.
async fn dry_run<C: Change>(args: &C, bridge: &Bridge, found: Vec<Delivery>, out: &mut Out) -> Result<(), Failure> {
    let (mut would, mut refused) = (Vec::new(), Vec::new());
    let matched = found.len();
    for delivery in found {
        match args.change(bridge, delivery.id.clone(), true).await {
            Ok(_) => would.push(delivery),
            Err(e @ Failure::Unreachable(_)) => return Err(e),
            Err(e) => refused.push((delivery.id, e.to_string())),
        }
    }
    let (verb, done_word) = C::WORDS;
    if args.how().json {
        let ids: Vec<&str> = would.iter().map(|d| d.id.as_str()).collect();
        let refused = whys(&refused);
        out.json(&json!({ "dry_run": true, "matched": matched, "delivery_ids": ids, "refused": refused }))?;
    } else {
        out.line(format!("would {verb} {}", deliveries(i64::try_from(would.len()).unwrap_or(i64::MAX))))?;
        for d in &would {
            let doubt = if d.may_have_been_received { "  may be in the record" } else { "" };
            out.line(format!("  {}  {}  {}{doubt}", d.id, entry(d), state(d)))?;
        }
        for (id, why) in &refused {
            let not = out.paint(Look::Bad, format!("would not be {done_word}"));
            out.line(format!("  {id}  {not}: {why}"))?;
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

fn whys(refused: &[(String, String)]) -> Vec<serde_json::Value> {
    refused.iter().map(|(id, why)| json!({ "delivery_id": id, "why": why })).collect()
}

fn report(done: &[String], refused: &[(String, String)], out: &mut Out) -> Result<(), Failure> {
    out.json(&json!({ "matched": done.len() + refused.len(), "done": done, "refused": whys(refused) }))
}

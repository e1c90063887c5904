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
    async fn change(&self, bridge: &Bridge, delivery_id: String) -> Result<Option<Delivery>, Failure>;
}

impl Change for Rerender {
    const WORDS: (&'static str, &'static str) = ("re-render", "re-rendered");
    fn how(&self) -> &How {
        &self.how
    }
    async fn find(&self, bridge: &Bridge) -> Result<Vec<Delivery>, Failure> {
        self.which.find(bridge).await
    }
    async fn change(&self, bridge: &Bridge, delivery_id: String) -> Result<Option<Delivery>, Failure> {
        let (reason, acknowledge_may_be_in_record) = (self.how.because.clone(), self.acknowledge_may_be_in_record);
        let request =
            RerenderDeliveryRequest { request_id: request_id(), delivery_id, reason, acknowledge_may_be_in_record };
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
    async fn change(&self, bridge: &Bridge, delivery_id: String) -> Result<Option<Delivery>, Failure> {
        let request = ParkDeliveryRequest { request_id: request_id(), delivery_id, reason: self.how.because.clone() };
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
    async fn change(&self, bridge: &Bridge, delivery_id: String) -> Result<Option<Delivery>, Failure> {
        let (reason, acknowledge_may_be_in_record) = (self.how.because.clone(), self.acknowledge_may_be_in_record);
        let request =
            CancelDeliveryRequest { request_id: request_id(), delivery_id, reason, acknowledge_may_be_in_record };
        Ok(bridge.deliveries().cancel_delivery(request).await?.into_inner().delivery)
    }
}

pub async fn run<C: Change>(args: C, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let bridge = server.connect().await?;
    let found = args.find(&bridge).await?;
    let (how, (verb, done_word)) = (args.how(), C::WORDS);
    let deliveries = deliveries(i64::try_from(found.len()).unwrap_or(i64::MAX));
    if how.dry_run {
        return dry_run(&found, &format!("would {verb} {deliveries}"), how.json, out);
    }
    if found.is_empty() {
        return if how.json { report(&[], &[], out) } else { out.line("nothing matches") };
    }
    sure(how.yes, &format!("{}{} {deliveries}?", verb[..1].to_uppercase(), &verb[1..]))?;
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for delivery in found {
        match args.change(&bridge, delivery.id.clone()).await {
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

fn dry_run(found: &[Delivery], would: &str, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        let ids: Vec<&str> = found.iter().map(|d| d.id.as_str()).collect();
        return out.json(&json!({ "dry_run": true, "matched": found.len(), "delivery_ids": ids }));
    }
    out.line(would)?;
    for d in found {
        let doubt = if d.may_have_been_received { "  may be in the record" } else { "" };
        out.line(format!("  {}  {}  {}{doubt}", d.id, entry(d), state(d)))?;
    }
    Ok(())
}

fn report(done: &[String], refused: &[(String, String)], out: &mut Out) -> Result<(), Failure> {
    let refused: Vec<_> = refused.iter().map(|(id, why)| json!({ "delivery_id": id, "why": why })).collect();
    out.json(&json!({ "matched": done.len() + refused.len(), "done": done, "refused": refused }))
}

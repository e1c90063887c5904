//! `outbox rerender`, `park` and `cancel`: the API changes one delivery at a time, so that each is judged as it stands then;
//! in bulk they are changed one after another, and one that is refused stops no other.

use super::list::{entry, state};
use super::select::{Found, How, Moving, Parked};
use crate::cli::ask::sure;
use crate::cli::bridge::{Bridge, Server, request_id};
use crate::cli::failure::Failure;
use crate::cli::output::{Look, Out};
use crate::cli::told::{Refused, Told};
use crate::cli::words::deliveries;
use crate::wire::v1::{CancelDeliveryRequest, Delivery, ParkDeliveryRequest, RerenderDeliveryRequest};

/// Make parked deliveries anew from the present identity, pack and settings, and send them.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "ips-bridge outbox rerender [OPTIONS] --because <TEXT> <ID>...\n       ips-bridge outbox rerender [OPTIONS] --because <TEXT> --endpoint <ID> --reason <REASON>"
)]
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
#[command(
    override_usage = "ips-bridge outbox park [OPTIONS] --because <TEXT> <ID>...\n       ips-bridge outbox park [OPTIONS] --because <TEXT> --endpoint <ID> --state <STATE>"
)]
pub struct Park {
    #[command(flatten)]
    which: Moving,
    #[command(flatten)]
    how: How,
}

/// Give up deliveries for good. Their authors are told.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "ips-bridge outbox cancel [OPTIONS] --because <TEXT> <ID>...\n       ips-bridge outbox cancel [OPTIONS] --because <TEXT> --endpoint <ID> --reason <REASON>"
)]
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
    async fn find(&self, bridge: &Bridge) -> Result<Found, Failure>;
    /// `dry_run`: the bridge says whether it could be done, by the same rules, and does nothing.
    async fn change(&self, bridge: &Bridge, delivery_id: String, dry_run: bool) -> Result<Option<Delivery>, Failure>;
}

impl Change for Rerender {
    const WORDS: (&'static str, &'static str) = ("re-render", "re-rendered");
    fn how(&self) -> &How {
        &self.how
    }
    async fn find(&self, bridge: &Bridge) -> Result<Found, Failure> {
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
    async fn find(&self, bridge: &Bridge) -> Result<Found, Failure> {
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
    async fn find(&self, bridge: &Bridge) -> Result<Found, Failure> {
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
    let Found { deliveries: found, unknown } = args.find(&bridge).await?;
    let (how, (verb, done_word)) = (args.how(), C::WORDS);
    if found.is_empty() && unknown.is_empty() && !how.json {
        return out.line("nothing matches");
    }
    let not = out
        .paint(Look::Bad, if how.dry_run { format!("would not be {done_word}") } else { format!("not {done_word}") });
    let mut told = Told::new(how.dry_run, unknown);
    if !how.dry_run && !found.is_empty() {
        sure(how.yes, &format!("{}{} {}?", verb[..1].to_uppercase(), &verb[1..], deliveries(found.len())))?;
    }
    if !how.json {
        told.refused.iter().try_for_each(|r| out.line(format!("{}  {not}: {}", r.id, r.shown)))?;
    }
    for delivery in found {
        match args.change(&bridge, delivery.id.clone(), how.dry_run).await {
            Ok(changed) => {
                // In a dry run it is as it was.
                let d = changed.unwrap_or(delivery);
                if !how.json && how.dry_run {
                    let doubt = if d.may_have_been_received { "  may be in the record" } else { "" };
                    out.line(format!("{}  {}  would be {done_word}; it is {}{doubt}", d.id, entry(&d), state(&d)))?;
                } else if !how.json {
                    out.line(format!("{}  {}  {done_word}: now {}", d.id, entry(&d), state(&d)))?;
                }
                told.done.push(d.id);
            }
            // The rest would meet the same silence.
            Err(e @ Failure::Unreachable(_)) => return Err(e),
            // It would be as wrong for the rest.
            Err(e) if e.code() == 2 => return Err(e),
            Err(e) => {
                let refused = Refused::new(delivery.id, &e);
                if !how.json {
                    out.line(format!("{}  {not}: {}", refused.id, refused.shown))?;
                }
                told.refused.push(refused);
            }
        }
    }
    if how.json {
        out.json(&told.json())?;
    } else if how.dry_run {
        out.line(format!("would {verb} {}", deliveries(told.done.len())))?;
    }
    told.ended()
}

//! The other way round: what a new pack would read otherwise from messages that came, and what replies would mean to it.

use super::{Args, Row, Told};
use crate::adapter::Pack;
use crate::adapter::compare::of_examples as compared;
use crate::adapter::diff::Change;
use crate::cli::adapter::refused;
use crate::cli::failure::Failure;
use crate::verdict::verdict;
use crate::wire::v1::{AdapterDifference, CompareAdapterRequest};

/// The examples of either pack, read and judged by both.
pub fn of_examples(old: &Pack, new: &Pack) -> Told {
    let compared = compared(old, new, verdict);
    let rows = |list: Vec<(String, Vec<Change>)>| list.into_iter().map(|(name, c)| Row::of(name, c)).collect();
    Told {
        messages: compared.messages,
        read: rows(compared.read),
        replies: compared.replies,
        judged: rows(compared.judged),
        ..Told::default()
    }
}

/// What an endpoint has received. The bridge compares: the messages stay with it.
pub async fn of_history(args: &Args, new: &Pack, endpoint: &str) -> Result<Told, Failure> {
    let bridge = args.server.connect().await?;
    let own = serde_json::to_value(args.settings.read()?).unwrap_or_default();
    let request = CompareAdapterRequest {
        endpoint_id: endpoint.to_owned(),
        pack: new.keep().map_err(|faults| refused(&faults))?,
        settings: serde_json::from_value(own).ok(),
        since: args.since.map(Into::into),
        limit: args.limit.into(),
    };
    let told = bridge.adapters().compare_adapter(request).await?.into_inner();
    let count = |n: i32| usize::try_from(n).unwrap_or_default();
    Ok(Told {
        messages: count(told.messages_compared),
        without_bytes: count(told.messages_without_bytes),
        read: told.messages.into_iter().map(row).collect(),
        replies: count(told.replies_compared),
        judged: told.replies.into_iter().map(row).collect(),
        masked: told.masked,
        ..Told::default()
    })
}

fn row(of: AdapterDifference) -> Row {
    let name = match of.delivery_id.as_str() {
        "" => format!("{} {}", of.id, of.what),
        delivery => format!("{delivery} reply {}", of.what),
    };
    let change = |c: crate::wire::v1::FieldDifference| Change { place: c.place, old: c.old, new: c.new };
    Row::of(name, of.changes.into_iter().map(change).collect())
}

//! `adapter diff`: what would be sent, read and judged differently.

mod received;

use super::{SettingsFile, folder_of, refused};
use crate::adapter::diff::{Change, changes, packs};
use crate::adapter::{Pack, RenderOptions};
use crate::cli::bridge::{Bridge, Server};
use crate::cli::failure::Failure;
use crate::cli::outbox::{entry, pages};
use crate::cli::output::{Look, Out, visible};
use crate::cli::words::{instant, moment};
use crate::wire::v1::{
    Delivery, ListAttemptsRequest, ListDeliveriesRequest, PreviewEntryRequest, RenderInput, preview_entry_request::What,
};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// So many deliveries are looked through for each one wanted: not all were sent.
const LOOKED_THROUGH: usize = 10;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pack as it is; with --endpoint, the new one.
    pack: PathBuf,
    /// The new pack.
    #[arg(required_unless_present = "endpoint", conflicts_with = "endpoint")]
    new: Option<PathBuf>,
    /// Compare with what was sent to this endpoint and with what came from it, newest first, instead of with another pack's examples. Texts are masked
    /// unless you are also an ips_worker.
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only entries accepted, and messages and replies that came, from then on: 2026-03-01 (midnight UTC) or 2026-03-01T09:00:00Z.
    #[arg(long, value_name = "TIME", requires = "endpoint", value_parser = moment)]
    since: Option<Timestamp>,
    /// At most so many deliveries and so many messages that came, 1 to 500.
    #[arg(long, value_name = "N", default_value_t = 50, requires = "endpoint", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    #[command(flatten)]
    settings: SettingsFile,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// One message under both packs.
struct Row {
    name: String,
    /// What the new pack makes otherwise than the present one.
    changes: Vec<Change>,
    /// What the present one makes otherwise than was sent: no doing of the new pack.
    since_then: Vec<Change>,
    /// Which packs these are; of the bridge's messages only.
    packs: Option<Packs>,
}

impl Row {
    fn of(name: String, changes: Vec<Change>) -> Self {
        Self { name, changes, since_then: Vec::new(), packs: None }
    }
}

/// Everything that was compared.
#[derive(Default)]
struct Told {
    sent: Vec<Row>,
    /// Examples that should be a message and are none to either pack.
    unknown: Vec<String>,
    /// What the packs read of messages that came.
    read: Vec<Row>,
    messages: usize,
    without_bytes: usize,
    /// What replies mean to them.
    judged: Vec<Row>,
    replies: usize,
    masked: bool,
}

impl Told {
    fn differs(&self) -> bool {
        !self.unknown.is_empty()
            || self.sent.iter().chain(&self.read).chain(&self.judged).any(|r| !r.changes.is_empty())
    }
}

/// As `id@version`.
struct Packs {
    sent: String,
    active: String,
}

impl Packs {
    /// Whether another pack made what was sent than the one that the endpoint works with.
    fn differ(&self) -> bool {
        !self.sent.is_empty() && self.sent != self.active
    }
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    let load = |folder: &Path| Pack::load(folder_of(folder)?).map_err(|faults| refused(&faults));
    let pack = load(&args.pack)?;
    let (told, what) = match (&args.new, &args.endpoint) {
        (Some(new), _) => {
            let new = load(new)?;
            if pack.format() != new.format() {
                let each = |p: &Pack| format!("{} is {}", p.pin(), p.format().name());
                let what = format!("{}, {}: only packs of one format can be compared", each(&pack), each(&new));
                return Err(Failure::Refused(what));
            }
            let compared = packs(&pack, &new);
            let unknown = compared.iter().filter(|c| c.is_unknown()).map(|c| c.name.clone()).collect();
            let sent = compared.into_iter().map(|c| Row::of(c.name.clone(), c.changes())).collect();
            (Told { sent, unknown, ..received::of_examples(&pack, &new) }, "examples")
        }
        (None, Some(endpoint)) => {
            let (sent, masked) = Box::pin(history(&args, &pack, endpoint)).await?;
            let received = Box::pin(received::of_history(&args, &pack, endpoint)).await?;
            (Told { sent, masked: masked || received.masked, ..received }, "sent messages")
        }
        (None, None) => return Err(Failure::Usage("name a second pack, or an --endpoint".into())),
    };
    if args.json {
        as_json(&told, out)?
    } else {
        as_text(&told, what, out)?
    }
    if told.differs() { Err(Failure::Told) } else { Ok(()) }
}

/// What was sent to an endpoint, made anew by the new pack.
async fn history(args: &Args, new: &Pack, endpoint: &str) -> Result<(Vec<Row>, bool), Failure> {
    let bridge = args.server.connect().await?;
    let own = args.settings.read()?;
    let request = ListDeliveriesRequest { endpoint_id: endpoint.to_owned(), ..Default::default() };
    let found = pages(&bridge, request, usize::from(args.limit) * LOOKED_THROUGH).await?.deliveries;
    let late_enough =
        |d: &&Delivery| args.since.is_none_or(|since| instant(d.created_at.as_ref()).is_some_and(|at| at >= since));
    let sent = found.iter().filter(|d| d.attempts > 0).filter(late_enough).take(args.limit.into());
    let (mut rows, mut masked) = (Vec::new(), false);
    for delivery in sent {
        let (row, is_masked) = Box::pin(one(&bridge, new, &own, delivery)).await?;
        rows.push(row);
        masked |= is_masked;
    }
    Ok((rows, masked))
}

async fn one(bridge: &Bridge, new: &Pack, own: &toml::Table, d: &Delivery) -> Result<(Row, bool), Failure> {
    let name = format!("{} {}", d.id, entry(d));
    let request = PreviewEntryRequest {
        endpoint_id: d.endpoint_id.clone(),
        what: Some(What::DeliveryId(d.id.clone())),
        with_input: true,
    };
    let shown = bridge.adapters().preview_entry(request).await?.into_inner();
    let said = |faults: &[crate::wire::v1::Fault]| faults.iter().map(|f| f.what.clone()).collect::<Vec<_>>().join("; ");
    let present = if shown.faults.is_empty() { Ok(text(&shown.message)) } else { Err(said(&shown.faults)) };
    let made = match shown.input {
        Some(input) => {
            let input = with_settings(input, own);
            new.render(&input, &RenderOptions::default()).map(|r| text(&r.bytes)).map_err(|e| e.to_string())
        }
        None => present.clone(),
    };
    let sent = if shown.masked { None } else { sent(bridge, &d.id).await? };
    let Some((sent, by)) = sent else {
        return Ok((Row::of(name, differences(&present, &made)), shown.masked));
    };
    let packs = Some(Packs { sent: by, active: shown.adapter });
    let sent = Ok(sent);
    // What the present pack makes otherwise than it was sent is not the new pack's doing; nor is it when the present one cannot make it any more.
    let since_then = differences(&sent, &present);
    let changes = differences(if present.is_ok() || present == made { &present } else { &sent }, &made);
    Ok((Row { name, changes, since_then, packs }, shown.masked))
}

fn differences(old: &Result<String, String>, new: &Result<String, String>) -> Vec<Change> {
    match (old, new) {
        (Ok(old), Ok(new)) => changes(old, new),
        (Err(a), Err(b)) if a == b => Vec::new(),
        (old, new) => {
            let whole = |r: &Result<String, String>| {
                Some(r.as_ref().map_or_else(|why| format!("no message: {why}"), |_| "a message".into()))
            };
            vec![Change { place: "message".into(), old: whole(old), new: whole(new) }]
        }
    }
}

/// With settings that the new pack needs and the endpoint does not have yet.
fn with_settings(mut input: RenderInput, own: &toml::Table) -> RenderInput {
    let mut all = serde_json::to_value(&input.settings).unwrap_or_default();
    if !all.is_object() {
        all = json!({});
    }
    for (name, value) in own {
        all[name.as_str()] = serde_json::to_value(value).unwrap_or_default();
    }
    input.settings = serde_json::from_value(all).ok();
    input
}

/// The bytes of the last attempt, and the pack that made them.
async fn sent(bridge: &Bridge, delivery: &str) -> Result<Option<(String, String)>, Failure> {
    let request = ListAttemptsRequest { delivery_id: delivery.to_owned(), include_bytes: true };
    let attempts = bridge.deliveries().list_attempts(request).await?.into_inner().attempts;
    Ok(attempts.into_iter().rev().find_map(|a| Some((text(&a.sent?), a.adapter))))
}

/// Both sides are read in the same way, so a character set that is not UTF-8 makes no difference of its own.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect());
    text.replace('\r', "\n")
}

fn as_json(told: &Told, out: &mut Out) -> Result<(), Failure> {
    let (rows, masked) = (&told.sent, told.masked);
    let list = |changes: &[Change]| {
        let one = |c: &Change| json!({ "place": c.place, "old": c.old, "new": c.new });
        changes.iter().map(one).collect::<Vec<_>>()
    };
    let shown: Vec<_> = rows
        .iter()
        .map(|r| {
            let (sent, active) = r.packs.as_ref().map(|p| (&p.sent, &p.active)).unzip();
            json!({ "name": r.name, "changes": list(&r.changes), "since_then": list(&r.since_then), "sent_by": sent, "active": active })
        })
        .collect();
    let different = rows.iter().filter(|r| !r.changes.is_empty()).count();
    let received =
        |rows: &[Row]| rows.iter().map(|r| json!({ "name": r.name, "changes": list(&r.changes) })).collect::<Vec<_>>();
    out.json(&json!({
        "compared": rows.len(), "different": different, "unknown": told.unknown, "masked": masked, "messages": shown,
        "read": { "compared": told.messages, "different": told.read.len(), "without_bytes": told.without_bytes, "messages": received(&told.read) },
        "judged": { "compared": told.replies, "different": told.judged.len(), "replies": received(&told.judged) },
    }))
}

/// What the pack that is active makes otherwise than was sent, and why: what changed since.
fn drifted(rows: &[Row]) -> Vec<String> {
    let drifted = rows.iter().filter(|r| !r.since_then.is_empty());
    let (by_others, by_it): (Vec<&Row>, Vec<&Row>) = drifted.partition(|r| r.packs.as_ref().is_some_and(Packs::differ));
    let active = rows.iter().find_map(|r| r.packs.as_ref()).map_or("the active pack", |p| p.active.as_str());
    let were = |n: usize| if n == 1 { "1 was".to_owned() } else { format!("{n} were") };
    let mut told = Vec::new();
    if !by_others.is_empty() {
        let makers: BTreeSet<&str> = by_others.iter().filter_map(|r| Some(r.packs.as_ref()?.sent.as_str())).collect();
        let makers = makers.into_iter().collect::<Vec<_>>().join(", ");
        told.push(format!(
            "{} sent otherwise than {active} makes it now: it was made by {makers}, and another pack is active since; that is no change by the new pack",
            were(by_others.len())
        ));
    }
    if !by_it.is_empty() {
        told.push(format!(
            "{} sent otherwise than {active} makes it now, by a pack of the same version: the patient, the staff table or the endpoint's settings have \
             changed since, or the pack was saved under the version it had; that is no change by the new pack",
            were(by_it.len())
        ));
    }
    told
}

fn as_text(told: &Told, what: &str, out: &mut Out) -> Result<(), Failure> {
    let (rows, nothing) = (&told.sent, "(nothing)");
    let all = rows.iter().chain(&told.read).chain(&told.judged);
    for row in all.filter(|r| !r.changes.is_empty()) {
        let name = out.paint(Look::Strong, &row.name);
        out.line(name)?;
        let width = row.changes.iter().map(|c| c.place.len()).max().unwrap_or(0);
        for c in &row.changes {
            let side = |s: &Option<String>| s.as_deref().map_or(nothing.to_owned(), visible);
            let (old, new) = (out.paint(Look::Bad, side(&c.old)), out.paint(Look::Good, side(&c.new)));
            out.line(format!("  {:<width$}  {old}  ->  {new}", c.place))?;
        }
    }
    for told in drifted(rows) {
        out.line(told)?;
    }
    if told.masked {
        out.line("masked: letters and figures stand for others of their kind")?;
    }
    let different = rows.iter().filter(|r| !r.changes.is_empty()).count();
    out.line(format!("{different} of {} {what} would be sent differently", rows.len()))?;
    if !told.unknown.is_empty() {
        let (n, names) = (told.unknown.len(), told.unknown.join(", "));
        out.line(format!("{n} could not be made by either, so nothing is known of them: {names}"))?;
    }
    let came = if what == "examples" { "examples of messages" } else { "messages that came" };
    let without = match told.without_bytes {
        0 => String::new(),
        n => format!("; {n} more were kept without their bytes (ignored), and nobody can say"),
    };
    out.line(format!("{} of {} {came} would be read differently{without}", told.read.len(), told.messages))?;
    out.line(format!("{} of {} replies would mean something else", told.judged.len(), told.replies))
}

//! `check-config`: everything that is wrong or doubtful about a configuration, at once; with `--connect`, whether what it names
//! can be reached.

use super::config_file;
use super::failure::Failure;
use super::output::{Look, Out};
use super::table::Table;
use crate::adapter::Packs;
use crate::app::endpoints::{self, Ready};
use crate::app::{self, senders};
use crate::app::{SystemClock, SystemEntropy};
use crate::config::{Config, Endpoint, Examined, Fault, HalfRead, Store, StoreUrl, Transport};
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::hold;
use crate::store::peek;
use crate::store::record::EndpointState;
use crate::transport::beside::Beside;
use crate::transport::folder::UNFINISHED;
use crate::transport::tls::install_crypto_provider;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  ips-bridge check-config
  ips-bridge check-config config/example.toml --connect

Exit code 2 when there is a fault, 1 when something cannot be reached; warnings alone are 0.
Which packs the record says are active is known with --connect only: without it, a pin that differs from the packs' folder is a warning.";

/// Report every fault and doubt of a configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The configuration; without it, $IPS_BRIDGE_CONFIG or config/ips-bridge.toml.
    #[arg(value_name = "FILE", conflicts_with = "named")]
    config: Option<PathBuf>,
    /// The same, as `serve` has it.
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    named: Option<PathBuf>,
    /// Connect to every endpoint (TCP and TLS, an access token or a MESH handshake where one is needed; no message is sent) and to the store (nothing is changed),
    /// and tell where the packs that are active differ from the packs' folder.
    #[arg(long)]
    connect: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of the configuration instead, for editors.
    #[arg(long, conflicts_with_all = ["connect", "json"])]
    schema: bool,
}

/// One thing that was tried.
struct Tried {
    what: String,
    place: String,
    result: Result<String, String>,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    if args.schema {
        return out.json(&crate::config::schema());
    }
    let file = args.config.or(args.named).unwrap_or_else(config_file::usual);
    install_crypto_provider();
    let Examined { config, half_read, faults } = config_file::examine(&file);
    let mut faults: Vec<_> = faults.iter().map(fault_json).collect();
    let Whole { ready, faults: more, warnings: unused, mut pins } =
        config.as_ref().map(|c| whole(c, half_read)).unwrap_or_default();
    faults.extend(more.into_iter().map(|what| said(&what, None)));
    let mut tried = Vec::new();
    if let Some(config) = config.as_ref().filter(|_| args.connect && faults.is_empty()) {
        tried.push(store(&config.store).await);
        for endpoint in &ready {
            tried.push(endpoint_reached(endpoint).await);
            tried.extend(folders_back(endpoint).await);
        }
    }
    let mut warnings: Vec<_> = config.iter().flat_map(|c| &c.warnings).map(fault_json).collect();
    let unmade = config.iter().flat_map(|config| endpoints::cannot_be_made(config, &ready));
    warnings.extend(unmade.chain(unused).map(|what| said(&what, None)));
    if let Some(config) = config.as_ref().filter(|_| tried.first().is_some_and(|store| store.result.is_ok())) {
        match active_packs(config).await {
            Some(states) => {
                warnings.extend(packs_that_differ(config, &states));
                let other = app::other_environments(config.endpoints.iter(), &states);
                let refused = Some("a start is refused where anything was ever to go there");
                warnings.extend(other.iter().map(|(_, what)| said(what, refused)));
                // What is active is told already; where nothing is, the start takes what is pinned.
                pins.retain(|pin| !works(&pin.endpoint, &states));
                faults.extend(pins.drain(..).map(|pin| pin.refused()));
                match unserved(config).await {
                    Some(missing) => faults.extend(missing.iter().map(|what| said(what, None))),
                    None => warnings
                        .push(said("the record could not be asked to which endpoints something is still to go", None)),
                }
            }
            None => warnings.push(said("the record could not be asked which packs are active", None)),
        }
    }
    warnings.extend(pins.iter().flat_map(Pin::doubts));
    let answer = json!({
        "good": faults.is_empty() && tried.iter().all(|t| t.result.is_ok()),
        "faults": faults,
        "warnings": warnings,
        "connections": tried.iter().map(tried_json).collect::<Vec<_>>(),
    });
    if args.json {
        out.json(&answer)?;
    } else {
        print(&answer, config.as_ref(), &tried, out)?;
    }
    match (faults.is_empty(), tried.iter().all(|t| t.result.is_ok())) {
        (false, _) => Err(Failure::Usage(format!("{} cannot be used", file.display()))),
        (true, false) => Err(Failure::Told),
        (true, true) => Ok(()),
    }
}

/// What shows only where config and packs are held together.
#[derive(Default)]
struct Whole {
    ready: Vec<Ready>,
    faults: Vec<String>,
    /// Of packs that no endpoint names.
    warnings: Vec<String>,
    pins: Vec<Pin>,
}

/// An endpoint that pins another version than the packs' folder holds. Whether that is wrong only the record knows: an active pack stays.
struct Pin {
    endpoint: Endpoint,
    pinned: String,
    /// `id@version`.
    in_folder: String,
    /// Why the folder's could not take its place.
    unfit: Vec<String>,
}

impl Pin {
    fn of(endpoint: &Endpoint, packs: &Packs) -> Option<Self> {
        let (pinned, pack) = (endpoint.pack_version.clone()?, packs.get(endpoint.adapter.as_str())?);
        let in_folder = pack.pin();
        (pinned != pack.manifest.version).then(|| Self {
            endpoint: endpoint.clone(),
            pinned,
            in_folder,
            unfit: Vec::new(),
        })
    }

    fn what(&self) -> String {
        let Endpoint { id, adapter, .. } = &self.endpoint;
        format!("endpoint {id} pins {adapter}@{}, and the packs' folder holds {}", self.pinned, self.in_folder)
    }

    /// Without a look at the record.
    fn doubts(&self) -> Vec<serde_json::Value> {
        let hint = "a bridge whose record has an active pack for it goes on with that one, a first start is refused: `check-config --connect` \
                    asks the record which it is. Pin the folder's version, or put the pinned one there";
        let unfit =
            self.unfit.iter().map(|f| said(&format!("{f} ({}, which is not the pinned one)", self.in_folder), None));
        [said(&self.what(), Some(hint))].into_iter().chain(unfit).collect()
    }

    /// The record knows no active pack for it.
    fn refused(self) -> serde_json::Value {
        let hint = "nothing is active for it in the record yet, so a start is refused: pin the folder's version, or put the pinned one there";
        said(&self.what(), Some(hint))
    }
}

fn whole(config: &Config, half_read: Vec<HalfRead>) -> Whole {
    let mut faults: Vec<String> = config.check_live(hold::IMPLEMENTED).iter().map(ToString::to_string).collect();
    let (packs, unloaded) = Packs::load_each(&config.packs.folder);
    // One that is being written is in nobody's way until an endpoint names it.
    let named = |id: &str| id.is_empty() || config.endpoints.iter().any(|e| e.adapter.as_str() == id);
    let of = |wanted: bool| unloaded.iter().filter(move |(id, _)| named(id) == wanted).flat_map(|(_, list)| list);
    faults.extend(of(true).map(ToString::to_string));
    let warnings: Vec<String> = of(false).map(ToString::to_string).collect();
    // Without the folder nothing can be said of what it should hold.
    if unloaded.contains_key("") {
        return Whole { faults, warnings, ..Whole::default() };
    }
    // Of a pack with faults of its own an endpoint's settings cannot be judged.
    let loaded = |adapter: &str| !unloaded.contains_key(adapter);
    let known = |endpoint: &Endpoint| packs.get(endpoint.adapter.as_str()).is_some();
    let nobodys = config.endpoints.iter().filter(|e| config.trust(&e.trust).is_none() || !known(e));
    let half_read = half_read.into_iter().chain(nobodys.map(HalfRead::of));
    let half_read = half_read.filter(|half| half.adapter.as_ref().is_none_or(|a| loaded(a.as_str())));
    faults.extend(half_read.flat_map(|half| endpoints::beside_its_pack(&half, &packs)));
    let config = &only(config, known);
    let mut pins: Vec<Pin> = config.endpoints.iter().filter_map(|e| Pin::of(e, &packs)).collect();
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let ambient = senders::ambient(&clock, &entropy);
    let is_doubtful = |endpoint: &Endpoint| pins.iter().any(|pin| pin.endpoint.id == endpoint.id);
    let certain = only(config, |endpoint| !is_doubtful(endpoint));
    let mut ready =
        endpoints::ready(&certain, &packs, &ambient).map_err(|list| faults.extend(list)).unwrap_or_default();
    for pin in &mut pins {
        // As far as it can be told without the pack that is pinned.
        let one = only(config, |endpoint| endpoint.id == pin.endpoint.id);
        let choose = |endpoint: &Endpoint| {
            let pack = packs.get(endpoint.adapter.as_str()).cloned();
            Ok((pack.ok_or_else(|| vec![format!("there is no pack {}", endpoint.adapter)])?, 0))
        };
        match endpoints::ready_with(&one, &choose, &ambient) {
            Ok(more) => ready.extend(more),
            Err(list) => pin.unfit = list,
        }
    }
    Whole { ready, faults, warnings, pins }
}

fn only(config: &Config, keeps: impl Fn(&Endpoint) -> bool) -> Config {
    let mut config = config.clone();
    config.endpoints.retain(keeps);
    config
}

/// A fault or a doubt that stands in no one line.
fn said(what: &str, hint: Option<&str>) -> serde_json::Value {
    json!({ "file": null, "line": null, "what": what, "hint": hint })
}

async fn endpoint_reached(endpoint: &Ready) -> Tried {
    let reached = endpoint.sender.open().await;
    let folder = match &endpoint.config.transport {
        Transport::Folder(folder) => Some(folder),
        _ => None,
    };
    let result = match reached {
        Ok(_) if let Some(folder) = folder => {
            can_be_used(&folder.path, "that is where documents go", folder.write_timeout).await
        }
        Ok(_) => Ok(match endpoint.sender.peer_certificate() {
            Some(certificate) => format!(
                "reached over TLS; its certificate ({}) ends {}",
                certificate.subject,
                certificate.not_after.strftime("%Y-%m-%d")
            ),
            None => "reached, without TLS".into(),
        }),
        Err(e) => Err(e.to_string()),
    };
    Tried { what: format!("endpoint {}", endpoint.config.id), place: endpoint.config.transport.place(), result }
}

/// Where evidence comes from: a file that was taken in is moved below its folder.
async fn folders_back(endpoint: &Ready) -> Vec<Tried> {
    let Transport::Folder(folder) = &endpoint.config.transport else { return Vec::new() };
    let mut tried = Vec::new();
    for (key, path) in [("results", &folder.inbox.results), ("lists", &folder.inbox.lists)] {
        let Some(path) = path else { continue };
        let result = can_be_used(path, "files that were taken in are moved below it", folder.write_timeout).await;
        tried.push(Tried {
            what: format!("endpoint {} {key}", endpoint.config.id),
            place: path.display().to_string(),
            result,
        });
    }
    tried
}

/// A share whose server is gone is given so long. The file that is tried has a name that no import looks at, and is removed.
async fn can_be_used(folder: &Path, why: &'static str, within: Duration) -> Result<String, String> {
    let path = folder.to_owned();
    let beside = Beside::default();
    let tried = beside.run(within, move || {
        std::fs::read_dir(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                "there is no such folder; make it, for the bridge to read and to write".to_owned()
            }
            kind => format!("cannot be looked into: {kind}"),
        })?;
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&path);
        file.map_err(|e| format!("cannot be written into: {}; {why}", e.kind()))?;
        Ok("there, and can be written into".to_owned())
    });
    tried.await.unwrap_or_else(|_| Err(format!("does not answer within {} s", within.as_secs())))
}

async fn store(config: &Store) -> Tried {
    let what = "store".to_owned();
    match &config.url {
        StoreUrl::Sqlite(path) => Tried { what, place: path.display().to_string(), result: sqlite(path) },
        StoreUrl::Postgres(url) => {
            let place = url.split_once('@').map_or(url.as_str(), |(_, host)| host).to_owned();
            Tried { what, place, result: postgres(config, url).await }
        }
    }
}

/// Nothing is opened by way of SQLite: that would make the file and its journal.
fn sqlite(path: &Path) -> Result<String, String> {
    if path.exists() {
        let file = std::fs::OpenOptions::new().read(true).append(true).open(path);
        return file.map(|_| "there, and can be written".into()).map_err(|e| format!("cannot be written: {e}"));
    }
    // The bridge makes missing folders: the nearest one that is there must let it.
    let folder = path.ancestors().skip(1).find(|f| f.as_os_str().is_empty() || f.exists()).unwrap_or(Path::new(""));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let writable = tempfile::tempfile_in(folder).map_err(|e| format!("cannot be made in {}: {e}", folder.display()));
    writable.map(|_| "not there yet; the bridge makes it at its first start".into())
}

async fn active_packs(config: &Config) -> Option<Vec<EndpointState>> {
    let looked = tokio::time::timeout(STORE_TIMEOUT, peek::endpoints(&app::store_url(&config.store))).await;
    looked.ok()?.ok()
}

/// What a start would be refused for.
async fn unserved(config: &Config) -> Option<Vec<String>> {
    let url = app::store_url(&config.store);
    let looked = async { Some((peek::open_endpoints(&url).await.ok()?, peek::trusts(&url).await.ok()?)) };
    let (open, trusts) = tokio::time::timeout(STORE_TIMEOUT, looked).await.ok()??;
    Some(app::unserved(config, &open, &trusts))
}

/// Whether a start goes on with what is active, whatever folder and pin say.
fn works(endpoint: &Endpoint, states: &[EndpointState]) -> bool {
    let active = states.iter().find(|s| s.id == endpoint.id).and_then(|s| s.pack.as_ref());
    active.is_some_and(|active| active.now.id == endpoint.adapter.as_str())
}

/// Endpoints that work, by the record, with another pack than folder or config say.
fn packs_that_differ(config: &Config, states: &[EndpointState]) -> Vec<serde_json::Value> {
    let doubt = |what: String, hint: &str| said(&what, Some(hint));
    let (packs, _) = Packs::load_each(&config.packs.folder);
    let mut doubts = Vec::new();
    for endpoint in &config.endpoints {
        let state = states.iter().find(|s| s.id == endpoint.id);
        let Some(active) = state.and_then(|s| s.pack.as_ref()).map(|p| &p.now) else { continue };
        let of = format!("endpoint {} works with {active}", endpoint.id);
        let in_folder = packs.get(&active.id);
        if active.id != endpoint.adapter.as_str() {
            doubts.push(doubt(
                format!("{of}, and config names the adapter {}", endpoint.adapter),
                "the next start changes it",
            ));
            continue;
        }
        if let Some(other) = in_folder.filter(|p| p.fingerprint() != active.fingerprint) {
            let other = app::pack_named(other);
            let hint = if endpoint.reload_on_save {
                "a running bridge takes it once it passes its check"
            } else {
                "`ips-bridge adapter activate` takes it; a restart does not"
            };
            doubts.push(doubt(format!("{of}, and the packs' folder holds {other}"), hint));
        }
        if let Some(pin) = endpoint.pack_version.as_ref().filter(|pin| **pin != active.version) {
            doubts.push(doubt(format!("{of}, and config pins {pin}"), "change the pin, or activate that version"));
        }
    }
    doubts
}

/// For connecting to PostgreSQL.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

async fn postgres(config: &Store, url: &str) -> Result<String, String> {
    let mut options: PgConnectOptions = url.parse().map_err(|_| "its address cannot be read".to_owned())?;
    if let Some(password) = &config.password {
        options = options.password(password.expose());
    }
    let connecting = async {
        let mut connection: PgConnection = options.disable_statement_logging().connect().await?;
        let version: (String,) = sqlx::query_as("SHOW server_version").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(version.0)
    };
    match tokio::time::timeout(STORE_TIMEOUT, connecting).await {
        Ok(Ok(version)) => Ok(format!("PostgreSQL {version}")),
        Ok(Err(sqlx::Error::Database(e))) => Err(e.message().to_owned()),
        Ok(Err(e)) => Err(super::bridge::causes(&e)),
        Err(_) => Err(format!("no answer within {} s", STORE_TIMEOUT.as_secs())),
    }
}

fn fault_json(f: &Fault) -> serde_json::Value {
    json!({ "file": f.file, "line": f.line, "what": f.what, "hint": f.hint })
}

fn tried_json(t: &Tried) -> serde_json::Value {
    let said = t.result.as_ref().unwrap_or_else(|e| e);
    json!({ "what": t.what, "where": t.place, "good": t.result.is_ok(), "said": said })
}

fn print(answer: &serde_json::Value, config: Option<&Config>, tried: &[Tried], out: &mut Out) -> Result<(), Failure> {
    let list = |key: &str, mark: String, out: &mut Out| -> Result<(), Failure> {
        for fault in answer[key].as_array().into_iter().flatten() {
            let text = |k: &str| fault[k].as_str().unwrap_or_default().to_owned();
            let line = fault["line"].as_u64().map(|n| format!(":{n}")).unwrap_or_default();
            let place = match text("file") {
                file if file.is_empty() => String::new(),
                file => format!("{file}{line}: "),
            };
            let hint = text("hint");
            let hint = if hint.is_empty() { hint } else { format!("; {hint}") };
            out.line(format!("{mark}  {place}{}{hint}", text("what")))?;
        }
        Ok(())
    };
    let (fault, warning) = (out.paint(Look::Bad, "fault  "), out.paint(Look::Doubtful, "warning"));
    list("faults", fault, out)?;
    list("warnings", warning, out)?;
    if !tried.is_empty() {
        let mut table = Table::new(&["what", "where", "result"]);
        for t in tried {
            let (mark, said) = match &t.result {
                Ok(said) => ("ok: ", said),
                Err(said) => ("NOT: ", said),
            };
            table.row([t.what.clone(), t.place.clone(), format!("{mark}{said}")]);
        }
        table.lines().iter().try_for_each(|line| out.line(line))?;
    }
    let Some(config) = config.filter(|_| answer["faults"].as_array().is_some_and(Vec::is_empty)) else { return Ok(()) };
    let (trusts, endpoints) = (config.trusts.len(), config.endpoints.len());
    let away = tried.iter().filter(|t| t.result.is_err()).count();
    let good = match away {
        0 => out.paint(Look::Good, "no fault"),
        n => {
            out.paint(Look::Bad, format!("no fault in the configuration, and {n} of {} cannot be reached", tried.len()))
        }
    };
    out.line(format!(
        "{good}: {trusts} trust{}, {endpoints} endpoint{}",
        if trusts == 1 { "" } else { "s" },
        if endpoints == 1 { "" } else { "s" }
    ))
}

//! Settings: TOML files and environment variables become one checked [`Config`], or the list of everything that is wrong.
//!
//! 1. `files` reads the main file, lays `IPS_BRIDGE__…` variables over it and reads what `include` names;
//! 2. `tree` keeps every value with its file and line;
//! 3. `section` takes a table apart key by key; a key nobody asked for is a fault;
//! 4. one file per section knows its keys, their defaults and limits;
//! 5. `relations` checks what must hold between sections.
//!
//! `config/ips-bridge.toml` documents every key; a test holds it and the defaults here together.

mod accept;
mod ask;
mod endpoint;
mod evidence;
mod fault;
mod files;
mod feed;
mod folder;
mod https;
mod listen_https;
mod maintenance;
mod mesh;
mod mllp;
mod principal;
mod process;
mod relations;
mod routes;
mod schema;
mod secret;
mod section;
mod server;
mod staff;
mod syntax;
mod tls;
mod transport;
mod tree;
mod trust;
mod values;

pub use endpoint::{Endpoint, HalfRead, LEASE_MARGIN};
pub use evidence::Approval;
pub use fault::Fault;
pub use feed::Feed;
pub use folder::{Folder, Inbox};
pub use https::{Auth as HttpsAuth, Header, Https, Proof as HttpsProof, Token as HttpsToken, Url};
pub use listen_https::ListenHttps;
pub use maintenance::{Maintenance, Window};
pub use mesh::Mesh;
pub use mllp::{Listen, MessageSource, Mllp};
pub use principal::{Principal, Role, San};
pub use process::{Limits, LogFormat, LogLevel, Packs, Store, StoreUrl, Telemetry};
pub use relations::{HOLDS_FOR_LIVE, missing_for_live};
pub use schema::schema;
pub use secret::Secret;
pub use server::Server;
pub use staff::{EprStaff, StaffTable};
pub use tls::{ClientIdentity, ClientTls, ServerTls, TlsVersion};
pub use transport::Transport;
pub use trust::{Team, Trust};
pub use values::Address;

use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::route::{RouteQuery, Routed, Routes};
use fault::{Findings, Place};
use section::{Reading, Section};
use std::collections::BTreeMap;
use std::path::Path;
use trust::Declared;
use values::named;

/// The file that documents every key with its default, as a start for one's own.
pub const DOCUMENTED: &str = include_str!("../../config/ips-bridge.toml");

/// Settings without a fault, as far as can be told without connecting to anything.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub telemetry: Telemetry,
    pub limits: Limits,
    pub packs: Packs,
    pub trusts: Vec<Trust>,
    pub endpoints: Vec<Endpoint>,
    /// Endpoints that are gone but may still be named by old deliveries.
    pub retired_endpoints: Vec<EndpointId>,
    /// Trusts that are gone and may still have patients in the record.
    pub retired_trusts: Vec<OdsCode>,
    pub routes: Routes,
    pub principals: Vec<Principal>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Fault>,
}

/// A configuration as far as it could be read, for whoever wants to know everything that is wrong with it. Nothing may be started with it.
#[derive(Debug)]
pub struct Examined {
    /// `None`: the file is not there, or its TOML is broken.
    pub config: Option<Config>,
    /// Endpoints that are missing from it for a fault of their own.
    pub half_read: Vec<HalfRead>,
    pub faults: Vec<Fault>,
}

impl Config {
    /// Reads a file, what it includes, and the environment passed in (overrides and secrets).
    pub fn load(path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<Fault>> {
        let findings = Findings::default();
        let source = files::source(0, path);
        match files::read_text(path, &Place::whole(&source), &findings) {
            Some(text) => Self::from_text(&text, path, env),
            None => Err(findings.settle().err().unwrap_or_default()),
        }
    }

    /// The same, where a fault is no reason to say nothing of the rest.
    pub fn examine(path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Examined {
        let findings = Findings::default();
        let source = files::source(0, path);
        let Some(text) = files::read_text(path, &Place::whole(&source), &findings) else {
            let faults = findings.settle().err().unwrap_or_default();
            return Examined { config: None, half_read: Vec::new(), faults };
        };
        let (read, settled, _) = read(&text, path, env);
        let (config, half_read) = read.map_or((None, Vec::new()), |(config, half)| (Some(config), half));
        match settled {
            Ok(warnings) => {
                Examined { config: config.map(|c| Config { warnings, ..c }), half_read, faults: Vec::new() }
            }
            Err(faults) => Examined { config, half_read, faults },
        }
    }

    /// The same for a text that is already at hand; `path` is what faults call it and where its own paths start from.
    pub fn from_text(
        text: &str,
        path: &Path,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Fault>> {
        let (read, settled, _) = read(text, path, env);
        let whole = |warnings| Some(Config { warnings, ..read?.0 });
        settled.map(|warnings| whole(warnings).expect("nothing is missing where there is no fault"))
    }

    /// What holds when nothing is configured.
    pub fn defaults() -> Self {
        Self::from_text("", Path::new("ips-bridge.toml"), []).expect("the defaults have no fault")
    }

    pub fn trust(&self, ods: &OdsCode) -> Option<&Trust> {
        self.trusts.iter().find(|t| t.ods == *ods)
    }

    pub fn endpoint(&self, id: &EndpointId) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.id == *id)
    }

    /// Where an entry goes: [`Routes::route`].
    pub fn route(&self, query: &RouteQuery<'_>) -> Option<Routed<'_>> {
        self.routes.route(query)
    }
}

/// Every key the code asks for, with its default as TOML text where it has one.
type Keys = BTreeMap<String, Option<&'static str>>;

/// What could be read, and the faults, or where there are none the warnings.
type Read = (Option<(Config, Vec<HalfRead>)>, Result<Vec<Fault>, Vec<Fault>>, Keys);

fn read(text: &str, path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Read {
    let reading = Reading { findings: Findings::default(), env: files::env_map(env) };
    let source = files::source(0, path);
    let mut main = tree::parse(text, &source, &reading.findings);
    let config = (reading.findings.count() == 0).then(|| {
        files::lay_environment_over(&mut main, &reading);
        read_trees(&main, &reading)
    });
    let keys = reading.findings.keys();
    (config, reading.findings.settle(), keys)
}

fn read_trees(main: &tree::Node, reading: &Reading) -> (Config, Vec<HalfRead>) {
    let mut root = Section::new(reading, String::new(), main);
    let (included, is_whole) = files::included(&mut root);
    let mut server_table = root.table_or_empty("server");
    let server = server::read(&mut server_table);
    let store = process::store(root.table_or_empty("store"));
    let telemetry = process::telemetry(root.table_or_empty("telemetry"));
    let limits = process::limits(root.table_or_empty("limits"));
    let packs = process::packs(root.table_or_empty("packs"));
    let retired_endpoints = root.list("retired_endpoints", "[]", named(EndpointId::parse));
    let retired_trusts = root.list("retired_trusts", "[]", named(OdsCode::parse));

    let mut roots: Vec<Section<'_>> = included.iter().map(|tree| Section::new(reading, String::new(), tree)).collect();
    roots.insert(0, root);
    let mut all = |key| roots.iter_mut().flat_map(|root| root.tables(key)).collect::<Vec<_>>();
    let (trust_tables, endpoint_tables) = (all("trust"), all("endpoint"));
    let (route_tables, principal_tables) = (all("route"), all("principal"));

    let declared = Declared::new(&trust_tables, &endpoint_tables, retired_endpoints, is_whole);
    let trusts = read_trusts(trust_tables, &declared);
    let (mut endpoints, mut half_read) = (Vec::new(), Vec::new());
    for mut s in endpoint_tables {
        match endpoint::read(&mut s, &trusts, &declared) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(half) => half_read.extend(half.map(|half| *half)),
        }
    }
    let routes = routes::read(route_tables, &trusts, &declared);
    let principals = principal::read_all(principal_tables, &declared);

    let root = &roots[0];
    relations::endpoints(&endpoints, &declared.retired, root);
    relations::boxes(&endpoints, root);
    relations::teams_left_out(&endpoints, &trusts, root);
    relations::listeners(&server, &server_table, &endpoints);
    relations::doubts(&server, &limits, &trusts, &endpoints, &principals, root);
    routes::gaps(&routes, &trusts, &endpoints, root);
    let (retired_endpoints, warnings) = (declared.retired, Vec::new());
    let config = Config {
        server,
        store,
        telemetry,
        limits,
        packs,
        trusts,
        endpoints,
        retired_endpoints,
        retired_trusts,
        routes,
        principals,
        warnings,
    };
    (config, half_read)
}

fn read_trusts(tables: Vec<Section<'_>>, declared: &Declared) -> Vec<Trust> {
    let mut trusts: Vec<Trust> = Vec::new();
    for mut s in tables {
        let Some(trust) = trust::read(&mut s, declared) else { continue };
        if let Some(first) = trusts.iter().find(|t| t.ods == trust.ods) {
            let what = format!("\"{}\" is already used in {}", trust.ods, first.place.shown());
            s.fault("ods", what, "keep everything about a trust in one [[trust]]");
        }
        trusts.push(trust);
    }
    trusts
}

#[cfg(test)]
mod tests;

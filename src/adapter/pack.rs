//! A pack: read from its folder once, everything checked, then only used.

use super::codes::CodeTable;
use super::fault::{Fault, Faults, suggest};
use super::fhir;
use super::from_config::Speaks;
use super::hl7::path::UNKNOWN_NAME;
use super::hl7::{Charset, Envelope, Message};
use super::manifest::{FILE, Format, Manifest};
use super::map::{Around, FieldFault, Map, Mapped, Reached};
use super::reply::ReplyRules;
use super::request::{Part, RequestRow};
use super::sources::Sources;
use super::template::Templates;
use super::words::TableUse;
use super::{inherited, settings, table, words, xml};
use crate::domain::nhs_number::NhsNumber;
use crate::transport::http_message::Method;
use jiff::tz::TimeZone;
use serde_json::{Map as JsonMap, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// One adapter pack, ready for use.
pub struct Pack {
    pub manifest: Manifest,
    pub(super) templates: Templates,
    pub(super) maps: BTreeMap<String, Map>,
    /// Of fhir and xml packs.
    pub(super) tree_maps: BTreeMap<String, fhir::map::Map>,
    pub(super) tables: Arc<BTreeMap<String, CodeTable>>,
    pub(super) table_uses: Vec<TableUse>,
    pub(super) sources: Sources,
    /// What examples of each base start from, by the base's id.
    pub(super) base_examples: BTreeMap<String, JsonMap<String, Value>>,
    fingerprint: String,
    /// What the templates of each `[[render]]` speak of that only config knows; looked up once ([`super::from_config`]).
    pub(super) speaks: OnceLock<Vec<Speaks>>,
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pack({})", self.pin())
    }
}

/// A message in our words. Its `Debug` shows none of them.
#[derive(Clone, PartialEq)]
pub struct Parsed {
    /// `REF^I12`
    pub message_type: String,
    /// MSH-10.
    pub control_id: String,
    /// Our message the value is of, e.g. `CreateReferralRequest`, as far as a message from outside can fill it.
    pub makes: String,
    pub value: Value,
    /// Fields sent as null: delete what you have.
    pub nulls: Vec<String>,
    /// Fields of `value` that the message names in words: what is no name or id of ours there is somebody else's.
    pub in_words: Vec<String>,
    /// NHS numbers that stand where HL7 2.1 to 2.3 has them (PID-2, PID-4, PID-19), or in FHIR under no system that is known, and no map reads
    /// them: whom they may mean, and no more.
    pub elsewhere: Vec<NhsNumber>,
}

impl std::fmt::Debug for Parsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parsed({} from {})", self.makes, shown(&self.message_type))
    }
}

/// Why a message was not parsed. Names places and fields, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a message that can be read without guessing.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The pack has no `[[parse]]` for it.
    #[error("the pack has no [[parse]] for {0}")]
    NoMap(String),
    /// Required fields missing, codes unknown, lines that are no segments: all of them.
    #[error("{} of its fields cannot be used: {}", .0.len(), list(.0))]
    Fields(Vec<FieldFault>),
    /// The settings are not the pack's.
    #[error("settings: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Fault>),
}

fn list(faults: &[FieldFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Pack {
    /// Reads a pack's folder. Every fault that would stop it from working is returned, all at once; `check` finds more.
    pub fn load(folder: &Path) -> Result<Self, Vec<Fault>> {
        Self::from_sources(Sources::read(folder)?)
    }

    /// Whatever lies under an overlay is already in the sources.
    pub fn from_sources(sources: Sources) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let Some(manifest) = Manifest::read(&sources, &mut faults) else { return Err(sources.located(faults.0)) };
        let mut tables = BTreeMap::new();
        for entry in &manifest.codes {
            if let Some(text) = named_file(&sources, &entry.file, entry.line, "codes", &mut faults) {
                let table = CodeTable::read(&entry.file, &text, entry.missing.clone(), &mut faults);
                let table = if entry.any_case { table.in_any_case(&mut faults) } else { table };
                tables.insert(entry.name.clone(), table);
            }
        }
        let tables = Arc::new(tables);
        let of_requests = manifest.render.iter().flat_map(|e| &e.request).flat_map(RequestRow::parts);
        let of_lookups = manifest.lookups.iter().flat_map(fhir::Lookup::parts);
        let parts: Vec<&Part> = of_requests.chain(of_lookups).collect();
        let templates = Templates::load(&sources, &manifest, &tables, &parts, &mut faults);
        for entry in manifest.render.iter().filter(|e| !templates.has(&e.template)) {
            let known = sources.under("templates").filter_map(|p| p.strip_prefix("templates/"));
            faults.add(
                FILE,
                entry.line,
                format!("templates/{} is missing", entry.template),
                suggest(&entry.template, known),
            );
        }
        for entry in &manifest.render {
            super::lint::parts(manifest.format, entry, &templates, &mut faults);
        }
        let (mut maps, mut tree_maps) = (BTreeMap::new(), BTreeMap::new());
        for entry in &manifest.parse {
            if named_file(&sources, &entry.map, entry.line, "maps", &mut faults).is_none() {
                continue;
            }
            let paths = (manifest.format == Format::Xml).then_some(&manifest.namespaces);
            if manifest.format.is_http() {
                let map = fhir::map::Map::read(&sources, &entry.map, paths, &mut faults);
                tree_maps.extend(map.map(|m| (entry.map.clone(), m)));
            } else {
                let map = Map::read(&sources, &entry.map, &manifest.repetitions, &mut faults);
                maps.extend(map.map(|m| (entry.map.clone(), m)));
            }
        }
        repetitions_once(&mut faults);
        let read = maps.values().flat_map(Map::tables).chain(tree_maps.values().flat_map(fhir::map::Map::tables));
        let table_uses: Vec<TableUse> = read.chain(templates.table_uses()).collect();
        for used in table_uses.iter().filter(|u| u.reads && !tables.contains_key(&u.table)) {
            let what = format!("there is no code table \"{}\"", used.table);
            faults.add(&used.file, used.line, what, suggest(&used.table, tables.keys().map(String::as_str)));
        }
        let of_maps = maps.values().map(|m| (&m.file, m.wanted().collect::<Vec<_>>()));
        for (file, list) in of_maps.chain(tree_maps.values().map(|m| (&m.file, m.wanted().collect()))) {
            for (value, table, line) in list.into_iter().filter_map(|wanted| wanted.strange(&tables)) {
                let what = format!("`accept` wants \"{value}\", which no row of {} gives", table.file);
                faults.add(file, line, what, suggest(value, table.lines().map(|(ours, _)| ours)));
            }
        }
        words::check_tables(&manifest.codes, &tables, &table_uses, &mut faults);
        let named = maps.values().map(|m| (&m.file, m.settings()));
        for (file, list) in named.chain(tree_maps.values().map(|m| (&m.file, m.settings()))) {
            for (name, line) in list.into_iter().filter(|(n, _)| manifest.settings.get(n).is_none()) {
                let what = format!("there is no setting \"{name}\"");
                faults.add(file, line, what, suggest(name, manifest.settings.names()));
            }
        }
        Faults(sources.located(faults.0)).into_result(())?;
        let fingerprint = sources.fingerprint();
        let base_examples = inherited::examples_of_bases(&sources);
        Ok(Self {
            manifest,
            templates,
            maps,
            tree_maps,
            tables,
            table_uses,
            sources,
            base_examples,
            fingerprint,
            speaks: OnceLock::new(),
        })
    }

    /// `id@version`.
    pub fn pin(&self) -> String {
        format!("{}@{}", self.manifest.id, self.manifest.version)
    }

    pub fn format(&self) -> Format {
        self.manifest.format
    }

    /// Its own name and those of the packs it lies over.
    pub fn chain(&self) -> Vec<String> {
        self.sources.names()
    }

    /// SHA-256 of every file that shapes bytes.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Every fault of an endpoint's settings.
    pub fn check_settings(&self, given: &toml::Table) -> Vec<Fault> {
        self.settings(given).err().unwrap_or_default()
    }

    /// An endpoint's settings with defaults filled in: what goes into `RenderInput.settings`.
    pub fn settings(&self, given: &toml::Table) -> Result<JsonMap<String, Value>, Vec<Fault>> {
        let given = given.iter().map(|(k, v)| (k.clone(), table::to_json(v))).collect();
        self.manifest.settings.resolve(&given, "settings")
    }

    /// The pack's reply rules with an endpoint's own rows.
    pub fn reply_rules(&self, overrides: &toml::Table) -> Result<ReplyRules, Vec<Fault>> {
        self.manifest.reply.with(overrides)
    }

    /// Whether an entry such as `note.create` can be rendered under these (resolved) settings.
    pub fn covers(&self, entry: &str, settings: &JsonMap<String, Value>) -> bool {
        self.manifest.render_entry(entry, settings).is_some()
    }

    /// A request that asks the record whether it holds what this rendering sent (`[read_back]`); `None` where the pack cannot ask. `settings` are
    /// the endpoint's, resolved. `verdict::read_back` judges the reply, `verdict::read_back_xml` that of an xml pack.
    pub fn read_back(&self, rendering: &[u8], settings: &JsonMap<String, Value>) -> Option<Vec<u8>> {
        match self.manifest.format {
            _ if !self.manifest.reads_back => None,
            Format::Xml => xml::question(&self.manifest.read_backs, rendering, settings),
            Format::Fhir | Format::Hl7v2 | Format::Document => fhir::read_back(rendering),
        }
    }

    /// Whether this entry, under these (resolved) settings, can only be sent with the record's own id of the document it speaks of: without one
    /// it has to wait for the answer (or the read-back) that gives it.
    pub fn names_by_record_id(&self, entry: &str, settings: &JsonMap<String, Value>) -> bool {
        let entry = self.manifest.render_entry(entry, settings);
        let row = entry.and_then(|e| e.request.as_ref());
        let word = "message.replaces.record_id";
        row.is_some_and(|r| r.parts().any(|part| part.source.contains(word)))
            // In XML the body names the document, where the address is one for all.
            || self.manifest.format == Format::Xml && entry.is_some_and(|e| self.templates.prints(&e.template, word))
    }

    /// Whether replacements keep the first document's id under these (resolved) settings.
    pub fn keeps_document_id(&self, settings: &JsonMap<String, Value>) -> bool {
        self.manifest.render_entry("note.replace", settings).is_some_and(|e| e.keeps_document_id)
    }

    /// Whether every request it makes is a POST to this path and no other.
    pub fn makes_only(&self, path: &str) -> bool {
        let is = |r: &RequestRow| r.method == Method::Post && r.query.is_none() && r.path.source.trim() == path;
        self.manifest.render.iter().all(|row| row.request.as_ref().is_some_and(is))
    }

    /// Entries it can render, each once.
    pub fn renders(&self) -> Vec<&'static str> {
        let mut list: Vec<_> = self.manifest.render.iter().map(|r| r.entry).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Messages it can parse.
    pub fn parses(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for parse in &self.manifest.parse {
            if !all.contains(&parse.message.as_str()) {
                all.push(&parse.message);
            }
        }
        all
    }

    /// Those of them that its maps read as merges of patients.
    pub fn parses_merges(&self) -> Vec<&str> {
        let merges = |map: &str| self.maps.get(map).is_some_and(|m| m.makes == "PatientMerge");
        self.manifest.parse.iter().filter(|p| merges(&p.map)).map(|p| p.message.as_str()).collect()
    }

    /// Whether an element of this name stands in what it makes, and is no message that it reads: such a one that comes in is perhaps our own request.
    pub fn makes_element(&self, name: &str) -> bool {
        !self.parses().contains(&name) && self.templates.has_element(name)
    }

    /// A message in our words. `settings` are the endpoint's, resolved; `trust_zone` is the trust's IANA time zone, used
    /// unless the settings name one.
    pub fn parse(
        &self,
        bytes: &[u8],
        settings: &JsonMap<String, Value>,
        trust_zone: &str,
    ) -> Result<Parsed, ParseError> {
        let (parsed, faults) = self.read(bytes, settings, trust_zone)?;
        if faults.is_empty() { Ok(parsed) } else { Err(ParseError::Fields(faults)) }
    }

    /// As [`Pack::parse`], but with what could be read beside what could not: enough, perhaps, to tell whose message it is.
    pub fn read(
        &self,
        bytes: &[u8],
        settings: &JsonMap<String, Value>,
        trust_zone: &str,
    ) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
        self.read_noting(bytes, settings, trust_zone, None)
    }

    /// The same; `reached` learns which rows of the map gave something.
    pub(super) fn read_noting(
        &self,
        bytes: &[u8],
        settings: &JsonMap<String, Value>,
        trust_zone: &str,
        reached: Option<&Reached>,
    ) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
        let charset = Charset::parse(&settings::engine(settings, "charset")).unwrap_or(Charset::Utf8);
        let zone = match settings::engine(settings, "time_zone").as_str() {
            "" => TimeZone::get(trust_zone),
            own => TimeZone::get(own),
        };
        let zone = zone.map_err(|_| {
            ParseError::Settings(vec![Fault::new(
                "settings",
                0,
                "the time zone is not known",
                "use an IANA name, for example Europe/London",
            )])
        })?;
        let around = Around { settings, tables: &self.tables, zone: &zone, reached, written_at: Vec::new() };
        match self.manifest.format {
            Format::Fhir => return fhir::map::read(self, bytes, &around),
            Format::Xml => return xml::parse(self, bytes, &around),
            Format::Hl7v2 | Format::Document => {}
        }
        let message = Message::read(bytes, charset).map_err(|e| ParseError::Unreadable(e.to_string()))?;
        if message.notes().charset_unknown && !bytes.is_ascii() {
            // Read as another one, a letter becomes another letter without a word.
            let what = "MSH-18 names a character set that is not known here, and the message holds more than ASCII; ask the sender for UNICODE UTF-8";
            return Err(ParseError::Unreadable(what.into()));
        }
        let envelope = Envelope::peek(bytes).ok_or_else(|| ParseError::Unreadable("no MSH".into()))?;
        let message_type = format!("{}^{}", envelope.message_code(), envelope.trigger());
        let map = self.map_of(&message_type).ok_or_else(|| ParseError::NoMap(shown(&message_type)))?;
        let around = Around { written_at: super::map::written_at(&message, &around), ..around };
        let (mapped, faults) = map.apply(&message, &around);
        let torn = message.set_aside().iter().map(|s| FieldFault {
            field: if s.is_of_a_text { "message.text" } else { "message" }.into(),
            from: format!("line {}", s.line),
            what: s.why.to_string(),
        });
        let pieces = super::map::is_a_piece(&message).into_iter().chain(super::map::undecoded(&message));
        // A map that refuses it by a row of its own has said so.
        let says = |f: &FieldFault| f.from.starts_with("MRG");
        let merge = super::map::is_a_merge(&message, &map.makes).filter(|_| !faults.iter().any(says));
        let control_id = envelope.control_id().into_owned();
        let Mapped { value, nulls, in_words } = mapped;
        let elsewhere = super::map::numbers_elsewhere(&message);
        let parsed = Parsed { message_type, control_id, makes: map.makes.clone(), value, nulls, in_words, elsewhere };
        Ok((parsed, torn.chain(pieces).chain(merge).chain(faults).collect()))
    }

    /// The map for an HL7 message of this type.
    fn map_of(&self, message_type: &str) -> Option<&Map> {
        let entry = self.manifest.parse.iter().find(|p| p.message == message_type)?;
        self.maps.get(&entry.map)
    }

    /// Segments of an HL7 message, by id, that its map looks at nothing of; none of what cannot be read, and of other formats.
    pub fn segments_not_read(&self, bytes: &[u8], settings: &JsonMap<String, Value>) -> Vec<String> {
        let charset = Charset::parse(&settings::engine(settings, "charset")).unwrap_or(Charset::Utf8);
        let (Ok(message), Some(envelope)) = (Message::read(bytes, charset), Envelope::peek(bytes)) else {
            return Vec::new();
        };
        let map = self.map_of(&format!("{}^{}", envelope.message_code(), envelope.trigger()));
        map.map(|map| map.not_read(&message)).unwrap_or_default()
    }
}

/// A name that `[repetitions]` lacks is one mistake, however many rows write it.
fn repetitions_once(faults: &mut Faults) {
    let lacked = |f: &Fault| {
        let (_, rest) = f.what.split_once(UNKNOWN_NAME)?;
        Some(rest.split('"').next().unwrap_or_default().to_owned())
    };
    let mut seen: BTreeMap<String, (Fault, BTreeSet<(String, u32)>)> = BTreeMap::new();
    let mut others = Vec::new();
    for fault in std::mem::take(&mut faults.0) {
        match lacked(&fault) {
            Some(name) => {
                let place = (fault.file.clone(), fault.line);
                seen.entry(name).or_insert_with(|| (fault, BTreeSet::new())).1.insert(place);
            }
            None => others.push(fault),
        }
    }
    others.extend(seen.into_values().map(|(fault, places)| match places.len() {
        0 | 1 => fault,
        several => Fault { what: format!("{}, and so in {} more rows", fault.what, several - 1), ..fault },
    }));
    faults.0 = others;
}

/// A message type is shown only when it looks like one.
fn shown(message_type: &str) -> String {
    let good = message_type.len() == 7
        && message_type.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'^');
    if good { message_type.to_owned() } else { "a message of no known type".to_owned() }
}

/// The text of a file that the manifest names; it must be where its kind belongs.
fn named_file(sources: &Sources, path: &str, line: u32, folder: &str, faults: &mut Faults) -> Option<String> {
    if !path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) {
        faults.add(FILE, line, format!("\"{path}\" is not under {folder}/"), format!("write \"{folder}/…\""));
        return None;
    }
    if sources.bytes(path).is_none() {
        let same = sources.under(folder).find(|there| there.eq_ignore_ascii_case(path)).map(str::to_owned);
        let hint = match same {
            Some(there) => format!("{there} is there: capitals count; rename the file, or write it so"),
            None if folder != "maps" => suggest(path, sources.under(folder)),
            // Another map is another message's: it would read something else.
            None => format!("add the file; {folder}/ holds {}", sources.under(folder).collect::<Vec<_>>().join(", ")),
        };
        faults.add(FILE, line, format!("{path} is missing"), hint);
        return None;
    }
    sources.text(path, faults)
}

/// Faults as seen from the folder that holds the packs.
pub(super) fn of_pack(name: &str, faults: Vec<Fault>) -> Vec<Fault> {
    let seen = |f: Fault| {
        let file = f.file.strip_prefix("../").map_or_else(|| format!("{name}/{}", f.file), str::to_owned);
        Fault { file, ..f }
    };
    faults.into_iter().map(seen).collect()
}

/// Every pack of a folder.
#[derive(Debug, Default, Clone)]
pub struct Packs(BTreeMap<String, Arc<Pack>>);

impl Packs {
    /// Loads every folder with an `adapter.toml` in it, those that begin with `_` or `.` apart. Faults name `id/file`.
    pub fn load_folder(folder: &Path) -> Result<Self, Vec<Fault>> {
        let (packs, faults) = Self::load_each(folder);
        Faults(faults.into_values().flatten().collect()).into_result(packs)
    }

    /// The same, where a pack that cannot be loaded is no reason to be without the others: its faults stand under its id (under no id, those
    /// of the folder itself).
    pub fn load_each(folder: &Path) -> (Self, BTreeMap<String, Vec<Fault>>) {
        let mut faults = BTreeMap::new();
        let mut packs = Self::default();
        let shown = folder.display().to_string();
        let Ok(entries) = std::fs::read_dir(folder) else {
            let fault =
                Fault::new(&shown, 0, "is not a folder that can be read", "name the folder that holds the packs");
            return (packs, BTreeMap::from([(String::new(), vec![fault])]));
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(['_', '.']) || !entry.path().join(FILE).is_file() {
                continue;
            }
            match Pack::load(&entry.path()) {
                Ok(pack) => drop(packs.0.insert(name, Arc::new(pack))),
                Err(list) => drop(faults.insert(name.clone(), of_pack(&name, list))),
            }
        }
        (packs, faults)
    }

    pub fn insert(&mut self, pack: Arc<Pack>) {
        self.0.insert(pack.manifest.id.clone(), pack);
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Pack>> {
        self.0.get(id)
    }

    /// By `id` or `id@version`; a version that is not the one loaded is a fault.
    pub fn pinned(&self, pin: &str) -> Result<&Arc<Pack>, Fault> {
        let (id, version) = pin.split_once('@').map_or((pin, None), |(id, v)| (id, Some(v)));
        let pack = self.0.get(id).ok_or_else(|| {
            Fault::new("pack", 0, format!("there is no pack \"{id}\""), suggest(id, self.0.keys().map(String::as_str)))
        })?;
        match version {
            Some(v) if v != pack.manifest.version => {
                let hint =
                    format!("the folder holds {}; pin that once it is checked, or put the other one back", pack.pin());
                Err(Fault::new("pack", 0, format!("pack \"{id}\" is not at version {v}"), hint))
            }
            _ => Ok(pack),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::render::RenderOptions;
    use crate::adapter::{RenderError, input};

    const MANIFEST: &str = include_str!("../../adapters/_template/adapter.toml");
    const GENDER: &str = include_str!("../../adapters/_template/codes/gender.csv");
    const NOTE: &str = include_str!("../../adapters/_template/templates/note.hl7");
    const INPUT: &str = include_str!("../../adapters/_template/examples/render-note/input.json");

    fn pack(template: &str) -> Result<Pack, Vec<Fault>> {
        let files = [("adapter.toml", MANIFEST), ("codes/gender.csv", GENDER), ("templates/note.hl7", template)];
        Pack::from_sources(Sources::from_files("_template", files))
    }

    fn faults(template: &str) -> Vec<String> {
        pack(template).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    fn render(template: &str) -> Result<String, RenderError> {
        let pack = pack(template).expect("a pack that loads");
        let mut value = input::to_json(&input::from_json(INPUT).expect("an input")).expect("JSON");
        value["settings"] = Value::Object(pack.manifest.settings.examples());
        value["entry"]["headings"] = Value::from(vec!["x"; 1000]);
        pack.render_value(&value, &RenderOptions::default()).map(|r| r.text_for_display)
    }

    /// Where a line stands that is added below the template.
    fn below() -> String {
        format!("templates/note.hl7:{}", NOTE.lines().count() + 2)
    }

    fn stopped(line: &str) -> String {
        render(&format!("{NOTE}\n{line}")).expect_err("stops").to_string()
    }

    #[test]
    fn the_template_pack_renders() {
        let text = render(NOTE).expect("renders");
        assert!(
            text.starts_with("MSH|^~\\&|IPSBRIDGE|RZZ|EPR|RZZ|")
                && text.contains("\nOBX|1|FT|IPS-HEADING^")
                && text.contains("|FT|371532007^"),
            "{text}"
        );
    }

    #[test]
    fn escaping_cannot_be_turned_off_and_nothing_can_be_called() {
        for (line, word) in [
            ("{% autoescape false %}{{ entry.text }}{% endautoescape %}", "autoescape"),
            ("{{ entry.text | safe }}", "safe"),
            ("{% macro x() %}{% endmacro %}", "macro"),
            ("{% import \"x\" as y %}", "import"),
            ("{{ range(9) }}", "range"),
            ("{{ entry.text.upper() }}", "upper"),
            ("{{ \"x\" * 100000000 }}", "calculate"),
            ("{{ entry.text ~ entry.text }}", "calculate"),
            ("{% include entry.text %}", "quoted name"),
            ("{{ debug() }}", "debug"),
        ] {
            assert!(
                faults(&format!("{NOTE}\n{line}"))
                    .iter()
                    .any(|f| f.contains(word) && f.starts_with(&format!("{}:", below()))),
                "{line}: {:?}",
                faults(line)
            );
        }
    }

    #[test]
    fn work_and_output_are_bounded() {
        let loops = "{% for a in entry.headings %}{% for b in entry.headings %}{{ a }}{% endfor %}{% endfor %}";
        assert!(stopped(loops).contains("too much work"));
        assert!(stopped("{% include \"note.hl7\" %}").contains("templates/note.hl7"));
    }

    #[test]
    fn every_kind_of_empty_or_composite_value_stops_with_its_place_and_never_its_value() {
        for (line, what) in [
            ("NTE|1||{{ patient.phone }}", "`patient.phone` is empty; write | blank"),
            ("NTE|1||{{ entry.reason }}", "`entry.reason` is empty"),
            ("NTE|1||{{ entry.headings }}", "is a list"),
            ("NTE|1||{{ patient.name }}", "is a group of fields"),
            ("NTE|1||{{ entry.note.job_search.x }}", "is not"),
            ("NTE|1||{{ patient.phone | upper }}", "is empty"),
            ("NTE|1||{{ patient.phone | hl7_time }}", "is empty"),
            ("NTE|1||{{ patient.name.family | hl7_time }}", "is not an instant"),
            ("NTE|1||{{ patient.name.family | hl7_date }}", "is not an instant"),
            ("NTE|1||{{ patient.name.family | nhs_number }}", "must be ten digits"),
            ("NTE|1||{{ message.is_late }}", "true or false"),
            ("NTE|1||{{ 1.5 }}", "fraction"),
            ("NTE|1||{{ patient.name.family | code(\"gender\") }}", "has no row for this code"),
            ("NTE|1||{{ entry.outcome.job_start }}", "is not in the input"),
        ] {
            // Some of these are found when the pack is loaded already.
            let said = match pack(&format!("{NOTE}\n{line}")) {
                Ok(_) => stopped(line),
                Err(faults) => faults[0].to_string(),
            };
            assert!(said.contains(what) && said.contains(&below()), "{line}: {said}");
            assert!(!said.contains("Testpatient"), "{said}");
        }
        assert!(
            render(&format!("{NOTE}\nNTE|1||a{{{{ patient.phone | blank }}}}b"))
                .expect_err("NTE has no place in MDM")
                .to_string()
                .contains("NTE")
        );
    }

    #[test]
    fn a_line_feed_in_a_field_of_one_line_is_refused() {
        assert!(stopped("NTE|1||{{ entry.text }}").contains("one line only"));
    }

    #[test]
    fn settings_are_checked_all_at_once() {
        let pack = pack(NOTE).expect("loads");
        let given: toml::Table = "receiving_aplication = \"X\"\nreceiving_facility = 3".parse().expect("TOML");
        let said: Vec<String> = pack.check_settings(&given).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said.iter().any(|f| f.contains("did you mean \"receiving_application\"?")));
    }
}

//! `adapter.toml`: what a pack is, what it renders and parses, what a site must give it.

mod parse;

pub use parse::ParseEntry;
use parse::parse_entry;

use super::codes::Missing;
use super::document::entry::DocumentEntry;
use super::fault::{Faults, suggest};
use super::fhir;
use super::hl7::path::{Choice, Names};
use super::input::ENTRIES;
use super::overlay;
use super::reply::ReplyRules;
use super::request::{RequestRow, TextAt};
use super::result::ResultRules;
use super::session::Session;
use super::settings::{Kind, Settings};
use super::sources::Sources;
use super::table::{Reader, TomlFile};
use super::xml::{self, Namespaces, XmlRules};
use std::{cell::RefCell, collections::BTreeMap};
use toml::de::DeTable;

/// The manifest's file name.
pub const FILE: &str = "adapter.toml";
/// Less than this is no reason.
const REASON_CHARS_MIN: usize = 10;
/// The layout this build reads.
const SCHEMA: i64 = 1;

/// How far a pack has been proved. Live endpoints refuse drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Draft,
    Tested,
    Live,
}

/// What the bytes are, and so which engine escapes and checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Hl7v2,
    /// A document and an index file that names it.
    Document,
    Fhir,
    /// Over HTTP too, SOAP among it.
    Xml,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hl7v2 => "hl7v2",
            Self::Document => "document",
            Self::Fhir => "fhir",
            Self::Xml => "xml",
        }
    }

    pub const ALL: [Self; 4] = [Self::Hl7v2, Self::Fhir, Self::Xml, Self::Document];

    /// Its messages are whole HTTP requests.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Fhir | Self::Xml)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == word)
    }
}

/// One `[[render]]`.
#[derive(Debug, Clone)]
pub struct RenderEntry {
    pub entry: &'static str,
    pub template: String,
    /// Settings that must have these values for this template to be the one.
    pub when: Vec<(String, String)>,
    /// OBX-3.1 of the rows that carry the accepted text: a text, or `settings.<name>`. It is read back and compared.
    pub text_code: Option<String>,
    /// For fhir and xml packs: what is sent, the template being its body.
    pub request: Option<RequestRow>,
    /// For fhir and xml packs: where the accepted text stands. It is read back and compared.
    pub text_at: Option<TextAt>,
    /// For a replacement: the record keeps the first document's id (HL7 v2 T08), so that a withdrawal can always name it.
    pub keeps_document_id: bool,
    /// The document made before the message.
    pub document: Option<DocumentEntry>,
    /// Why it has no example.
    pub exempt: Option<String>,
    /// Why the accepted text is not read back from it.
    pub text_exempt: Option<String>,
    /// Why it does not say the patient's name and date of birth as they are.
    pub patient_exempt: Option<String>,
    pub line: u32,
}

/// One `[codes.<name>]`.
#[derive(Debug, Clone)]
pub struct CodesEntry {
    pub name: String,
    pub file: String,
    pub missing: Missing,
    /// Words of ours that have no row, and why.
    pub without: Vec<(String, String)>,
    /// Theirs are read whether in capitals or not.
    pub any_case: bool,
    pub line: u32,
}

/// A manifest that reads as one; whether its files are there, the pack says.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub id: String,
    pub name: String,
    pub version: String,
    pub status: Status,
    /// For tested and live: what proves it.
    pub evidence: Option<String>,
    pub owners: Vec<String>,
    pub format: Format,
    pub settings: Settings,
    pub render: Vec<RenderEntry>,
    pub parse: Vec<ParseEntry>,
    pub codes: Vec<CodesEntry>,
    /// For hl7v2 packs: repetitions that maps mean by a name.
    pub repetitions: Names,
    pub reply: ReplyRules,
    /// For xml packs: the prefixes in its paths.
    pub namespaces: Namespaces,
    /// A log in before anything else, which gives a token.
    pub session: Option<Session>,
    /// For xml packs: what senders are told.
    pub answers: xml::Answers,
    /// What files that come back mean.
    pub result: Option<ResultRules>,
    /// The record can be asked for what was sent, by its identifier.
    pub reads_back: bool,
    /// The same for xml packs, in their own words.
    pub read_backs: Vec<xml::XmlReadBack>,
    /// What the record is asked before a message is made.
    pub lookups: Vec<fhir::Lookup>,
    /// Why replies have no examples.
    pub reply_exempt: Option<String>,
    /// The pack it is laid over.
    pub extends: Option<String>,
    /// Where its own lines begin, behind those of its bases.
    pub own_from: u32,
}

impl Manifest {
    /// Reads `adapter.toml`; every fault goes to `faults`, and what could be read is returned so that the rest is checked too.
    pub fn read(sources: &Sources, faults: &mut Faults) -> Option<Self> {
        let texts = sources.manifests(faults)?;
        let text = texts.concat();
        let cell = RefCell::new(std::mem::take(faults));
        let manifest = {
            let file = TomlFile::new(FILE, &text, &cell);
            overlay::root(sources, &file, &texts).map(|(root, line)| Self::from_table(sources, &file, line, &root))
        };
        *faults = cell.into_inner();
        manifest
    }

    pub(super) fn from_table(sources: &Sources, file: &TomlFile<'_>, line: u32, root: &DeTable<'_>) -> Self {
        let r = Reader::new(file, root, line, "the manifest");
        match r.integer("schema") {
            Some((SCHEMA, _)) => {}
            Some((_, line)) => {
                file.fault_at(line, "the schema is not one this bridge reads", format!("write schema = {SCHEMA}"))
            }
            None if r.item("schema").is_none() => {
                r.fault("the manifest has no \"schema\"", format!("add schema = {SCHEMA}"))
            }
            None => {}
        }
        let id = r.required("id", &sources.name);
        if let Some((id, line)) = &id {
            if *id != sources.name {
                file.fault_at(
                    *line,
                    format!("id \"{id}\" is not the folder's name"),
                    format!("write id = \"{}\", or rename the folder", sources.name),
                );
            } else if crate::domain::organisation::PackId::parse(id.strip_prefix('_').unwrap_or(id)).is_err() {
                file.fault_at(*line, "the id has odd characters", "use 1 to 40 of a-z, 0-9 and -");
            }
        }
        let version = r.required("version", "0.1.0");
        if let Some((version, line)) = version.as_ref().filter(|(v, _)| !is_version(v)) {
            file.fault_at(*line, format!("version \"{version}\" is not three numbers"), "write it like 1.4.2");
        }
        let (status, evidence) = status(&r);
        let format = r.required("format", "hl7v2");
        if let Some((name, line)) = format.as_ref().filter(|(f, _)| Format::parse(f).is_none()) {
            file.fault_at(
                *line,
                format!("the format \"{name}\" is not one of this bridge"),
                suggest(name, Format::ALL.iter().map(|k| k.name())),
            );
        }
        let format = format.and_then(|(name, _)| Format::parse(&name)).unwrap_or(Format::Hl7v2);
        let owners = r.texts("owners");
        if owners.as_ref().is_none_or(|(o, _)| o.is_empty()) {
            r.fault(
                "the manifest names no owners",
                "add owners = [\"interfaces@trust.example\"]: who answers questions about it",
            );
        }
        let settings = r.table("settings").map(|(t, _)| Settings::read(file, t)).unwrap_or_default();
        let name = r.required("name", "Example EPR, HL7 v2.4");
        let namespaces = r.table("namespaces").map(|(t, line)| {
            if !format.is_http() {
                file.fault_at(line, "[namespaces] is for xml packs", "remove it");
            }
            xml::namespaces(file, t)
        });
        let namespaces = namespaces.unwrap_or_default();
        let asks = r.table("read_back");
        let manifest = Self {
            id: sources.name.clone(),
            name: name.map(|(n, _)| n).unwrap_or_default(),
            version: version.map(|(v, _)| v).unwrap_or_default(),
            status,
            evidence,
            owners: owners.map(|(o, _)| o).unwrap_or_default(),
            format,
            render: r
                .tables("render")
                .into_iter()
                .filter_map(|(t, line)| render_entry(file, t, line, &settings, format, &namespaces))
                .collect(),
            parse: r
                .tables("parse")
                .into_iter()
                .filter_map(|(t, line)| parse_entry(file, t, line, format, &namespaces))
                .collect(),
            codes: r.table("codes").map(|(t, _)| codes_entries(file, t)).unwrap_or_default(),
            repetitions: r.table("repetitions").map(|(t, at)| repetitions(file, t, at, format)).unwrap_or_default(),
            reply: reply(file, &r, format, &namespaces),
            session: r.table("session").and_then(|(t, line)| {
                if !format.is_http() {
                    file.fault_at(line, "[session] is for fhir and xml packs", "remove it: nothing else logs in");
                }
                Session::read(file, t, line, &settings, &namespaces)
            }),
            answers: r.table("answer").map_or_else(Default::default, |(t, line)| {
                if format != Format::Xml {
                    file.fault_at(
                        line,
                        "[answer] is for xml packs",
                        "remove it: in other formats the answer is the format's own",
                    );
                }
                xml::Answers::read(file, t, line, &settings)
            }),
            reads_back: asks.is_some_and(|(t, line)| format == Format::Xml || read_back(file, t, line, format)),
            read_backs: match asks.filter(|_| format == Format::Xml) {
                Some((t, _)) => xml::XmlReadBack::read_all(file, t, &settings, &namespaces),
                None => Vec::new(),
            },
            lookups: r
                .table("lookup")
                .map(|(t, line)| lookups(file, t, line, &settings, format, &namespaces))
                .unwrap_or_default(),
            namespaces,
            result: r.table("result").map(|(t, line)| ResultRules::read(file, t, line)),
            reply_exempt: r.text("reply_exempt").map(|(t, _)| t),
            extends: r.text("extends").map(|(t, _)| t),
            own_from: line,
            settings,
        };
        // Read already, where the pack was laid over its base.
        r.item("without");
        if manifest.render.is_empty() && manifest.parse.is_empty() {
            r.fault("the pack neither renders nor parses anything", "add a [[render]] or a [[parse]]");
        }
        manifest.check_overlaps(file);
        if let Some(session) = &manifest.session {
            session.check(file, &manifest.reply, &manifest.headers());
        }
        r.finish();
        manifest
    }

    /// Headers that rows of `[[render]]` set, each with its row's line.
    fn headers(&self) -> Vec<(&str, u32)> {
        let rows = self.render.iter().filter_map(|row| Some((row.request.as_ref()?, row.line)));
        rows.flat_map(|(request, line)| request.headers.iter().map(move |(name, _)| (name.as_str(), line))).collect()
    }

    /// Two rows for one entry must differ by a setting; one without `when` takes all, so it stands last.
    fn check_overlaps(&self, file: &TomlFile<'_>) {
        let mut seen: BTreeMap<&str, Vec<&RenderEntry>> = BTreeMap::new();
        for entry in &self.render {
            let earlier = seen.entry(entry.entry).or_default();
            if earlier.iter().any(|e| e.when.iter().all(|w| entry.when.contains(w))) {
                file.fault_at(
                    entry.line,
                    format!("this [[render]] for {} is never reached", entry.entry),
                    "give the rows different `when`s, the one without stands last",
                );
            }
            earlier.push(entry);
        }
        for (i, parse) in self.parse.iter().enumerate() {
            let as_it = |p: &ParseEntry| {
                p.when.is_none()
                    || p.when.as_ref().map(ToString::to_string) == parse.when.as_ref().map(ToString::to_string)
            };
            if self.parse[..i].iter().any(|p| p.message == parse.message && as_it(p)) {
                file.fault_at(parse.line, format!("{} is parsed twice", parse.message), "keep one [[parse]] for it");
            }
        }
    }

    /// The row for an entry under these settings.
    pub fn render_entry(
        &self,
        entry: &str,
        settings: &serde_json::Map<String, serde_json::Value>,
    ) -> Option<&RenderEntry> {
        let holds = |(name, value): &(String, String)| {
            settings.get(name).is_some_and(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned) == *value)
        };
        self.render.iter().find(|e| e.entry == entry && e.when.iter().all(holds))
    }
}

/// `[reply]`, over the format's usual rows.
fn reply(file: &TomlFile<'_>, r: &Reader<'_, '_>, format: Format, namespaces: &Namespaces) -> ReplyRules {
    let usual = match format {
        Format::Xml => ReplyRules::Xml(Box::new(XmlRules::new(namespaces.clone()))),
        Format::Hl7v2 | Format::Fhir | Format::Document => ReplyRules::of(format),
    };
    let given = r.table("reply");
    let rules = match given {
        Some((table, _)) => usual.read(file, table),
        None => usual,
    };
    if let (ReplyRules::Xml(rules), false) = (&rules, r.item("render").is_none())
        && let Some((what, hint)) = rules.wanting()
    {
        file.fault_at(given.map_or(r.line, |(_, line)| line), what, hint);
    }
    rules
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|p| {
            !p.is_empty()
                && p.len() < 7
                && p.bytes().all(|b| b.is_ascii_digit())
                && (p.len() == 1 || !p.starts_with('0'))
        })
}

fn status(r: &Reader<'_, '_>) -> (Status, Option<String>) {
    let evidence = r.text("evidence").map(|(t, _)| t).filter(|t| !t.trim().is_empty());
    let status = match r.required("status", "draft") {
        Some((word, line)) => match word.as_str() {
            "draft" => Status::Draft,
            "tested" => Status::Tested,
            "live" => Status::Live,
            other => {
                r.file.fault_at(
                    line,
                    format!("unknown status \"{other}\""),
                    suggest(other, ["draft", "tested", "live"]),
                );
                Status::Draft
            }
        },
        None => Status::Draft,
    };
    if status > Status::Draft && evidence.is_none() {
        r.fault(
            "status tested and live need \"evidence\"",
            "add evidence = \"where, when, with which system it was proved\"",
        );
    }
    (status, evidence)
}

fn render_entry(
    file: &TomlFile<'_>,
    table: &DeTable<'_>,
    line: u32,
    settings: &Settings,
    format: Format,
    namespaces: &Namespaces,
) -> Option<RenderEntry> {
    let r = Reader::new(file, table, line, "[[render]]");
    let entry = r.required("entry", "note.create").and_then(|(name, line)| {
        let known = ENTRIES.iter().find(|e| **e == name).copied();
        if known.is_none() {
            file.fault_at(line, format!("unknown entry \"{name}\""), suggest(&name, ENTRIES.iter().copied()));
        }
        known
    });
    let template = r.required("template", "templates/mdm_t02.hl7").map(|(t, line)| {
        t.strip_prefix("templates/").map(str::to_owned).unwrap_or_else(|| {
            file.fault_at(
                line,
                format!("template \"{t}\" is not under templates/"),
                format!("write template = \"templates/{t}\""),
            );
            t
        })
    });
    let when = when(&r, settings);
    let text_code = r.text("text_code").map(|(code, line)| {
        if let Some(name) = code.strip_prefix("settings.").filter(|n| settings.get(n).is_none()) {
            file.fault_at(
                line,
                format!("text_code names the unknown setting \"{name}\""),
                suggest(name, settings.names()),
            );
        }
        code
    });
    let request = r.table("request").and_then(|(t, line)| RequestRow::read(file, t, line));
    let namespaces = (format == Format::Xml).then_some(namespaces);
    let text_at = r.table("text_at").and_then(|(t, line)| TextAt::from_row(file, t, line, namespaces));
    let document = DocumentEntry::read(file, &r, line, settings, format == Format::Document);
    let text_exempt = reason(&r, "text_exempt");
    let tells = text_code.is_some() || document.is_some() || r.item("text_at").is_some();
    match entry {
        Some(e) if e.ends_with(".withdraw") || e == "referral_reply.create" => {}
        _ if tells && text_exempt.is_some() => r.fault(
            "this [[render]] says where the accepted text stands, and why it does not",
            "remove text_exempt: the text is read back",
        ),
        _ if tells || text_exempt.is_some() || r.item("document").is_some() => {}
        _ => {
            let how = match format {
                Format::Fhir => "add text_at = { path = \"$.…\", as = \"base64\" }",
                Format::Xml => "add text_at = { path = \"/Envelope/Body/…\", as = \"text\" }",
                Format::Hl7v2 | Format::Document => "add text_code = \"…\", the OBX-3.1 of its rows",
            };
            r.fault(
                "this [[render]] does not say where the accepted text stands",
                format!("{how}: it is read back before anything is sent; or text_exempt = \"why it is not\""),
            );
        }
    }
    match format {
        Format::Hl7v2 | Format::Document if r.item("request").or(r.item("text_at")).is_some() => r.fault(
            "request and text_at are for fhir and xml packs",
            "remove them; text_code names the text's OBX rows",
        ),
        Format::Fhir | Format::Xml if text_code.is_some() => r.fault("text_code is for hl7v2 packs", "write text_at"),
        Format::Fhir | Format::Xml => {
            if r.item("request").is_none() {
                r.fault(
                    "this [[render]] does not say what request it makes",
                    "add request = { method = \"POST\", path = \"DocumentReference\" }",
                );
            }
        }
        Format::Hl7v2 | Format::Document => {}
    }
    let keeps_document_id = r.flag("keeps_document_id").unwrap_or(false);
    if keeps_document_id && format == Format::Fhir {
        let at = r.item("keeps_document_id").map_or(line, |(_, at)| at);
        file.fault_at(
            at,
            "keeps_document_id is not for fhir packs: each version is looked for by an identifier of its own, whichever resource holds it",
            "remove it; a PUT to {{ message.replaces.record_id }} edits the resource that is there",
        );
    }
    let exempt = reason(&r, "exempt");
    let patient_exempt = reason(&r, "patient_exempt");
    r.finish();
    Some(RenderEntry {
        entry: entry?,
        template: template?,
        when,
        text_code,
        request,
        text_at,
        keeps_document_id,
        document,
        exempt,
        text_exempt,
        patient_exempt,
        line,
    })
}

/// Settings that must have these values.
fn when(r: &Reader<'_, '_>, settings: &Settings) -> Vec<(String, String)> {
    let file = r.file;
    let mut when = Vec::new();
    for (key, item) in r.table("when").map(|(t, _)| t).into_iter().flatten() {
        let (name, at) = (key.get_ref().to_string(), file.line(key.span()));
        let value =
            item.get_ref().as_str().map(str::to_owned).or_else(|| item.get_ref().as_bool().map(|b| b.to_string()));
        match (settings.get(&name), &value) {
            (None, _) => file.fault_at(
                at,
                format!("`when` names the unknown setting \"{name}\""),
                suggest(&name, settings.names()),
            ),
            (Some(_), None) => file.fault_at(
                at,
                format!("`when` needs a text, true or false for \"{name}\""),
                "write when = { setting = \"value\" }",
            ),
            (Some(s), Some(v)) => match &s.kind {
                Kind::Choice(list) if !list.contains(v) => {
                    file.fault_at(
                        at,
                        format!("setting \"{name}\" is never \"{v}\""),
                        suggest(v, list.iter().map(String::as_str)),
                    );
                }
                _ => {}
            },
        }
        when.extend(value.map(|v| (name, v)));
    }
    when
}

/// `[lookup.<name>]`
fn lookups(
    file: &TomlFile<'_>,
    table: &DeTable<'_>,
    line: u32,
    settings: &Settings,
    format: Format,
    namespaces: &Namespaces,
) -> Vec<fhir::Lookup> {
    if !format.is_http() {
        file.fault_at(
            line,
            "[lookup] is for fhir and xml packs",
            "remove it: only over https a record can be asked first",
        );
    }
    fhir::Lookup::read_all(file, table, (format == Format::Xml).then_some(namespaces), &|r| when(r, settings))
}

/// `[read_back] by = "identifier"`
fn read_back(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32, format: Format) -> bool {
    let r = Reader::new(file, table, line, "[read_back]");
    let by = r.required("by", "identifier");
    if let Some((word, line)) = by.as_ref().filter(|(word, _)| word != "identifier") {
        file.fault_at(*line, format!("`by` cannot be \"{word}\""), "write by = \"identifier\"");
    }
    if format != Format::Fhir {
        r.fault("[read_back] is for fhir packs", "remove it: only a FHIR record can be asked for one document");
    }
    r.finish();
    by.is_some()
}

/// `nhs_number = "4=NHS or 5=NH"`: what maps write as `PID-3[nhs_number].1`.
fn repetitions(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32, format: Format) -> Names {
    if format.is_http() {
        file.fault_at(line, "[repetitions] is for hl7v2 packs", "remove it: their paths have conditions of their own");
    }
    let mut names = Names::new();
    for (key, item) in table {
        let (name, at) = (key.get_ref().to_string(), file.line(key.span()));
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.bytes().all(good) {
            let what = format!("\"{name}\" cannot be a name of [repetitions]");
            file.fault_at(at, what, "use small letters, digits and _, a letter first");
        }
        let said = item.get_ref().as_str().unwrap_or_default();
        if let Err(e) = Choice::parse(said, &Names::new()) {
            let what = format!("[repetitions] \"{name}\": {} at character {}", e.what, e.column);
            file.fault_at(at, what, "write what stands between a path's brackets: \"4=NHS|NH or 5=NH\"");
            // The pack is refused for it; each row that writes the name would only say so again.
            names.insert(name, "1=''".into());
            continue;
        }
        names.insert(name, said.to_owned());
    }
    names
}

/// Why something that a pack should have is not there.
fn reason(r: &Reader<'_, '_>, key: &'static str) -> Option<String> {
    let (reason, line) = r.text(key)?;
    if reason.trim().len() < REASON_CHARS_MIN {
        r.file.fault_at(line, format!("{key} gives no reason"), "say why, so that a reviewer can judge it");
    }
    Some(reason)
}

/// `without = { GENDER_NOT_KNOWN = "their list has none; agreed on 2 March" }`
fn without(r: &Reader<'_, '_>) -> Vec<(String, String)> {
    let mut list = Vec::new();
    for (key, item) in r.table("without").map(|(t, _)| t).into_iter().flatten() {
        let (word, line) = (key.get_ref().to_string(), r.file.line(key.span()));
        let why = item.get_ref().as_str().unwrap_or_default();
        if why.trim().len() < REASON_CHARS_MIN {
            let what = format!("`without` does not say why there is no row for {word}");
            r.file.fault_at(line, what, format!("write {word} = \"why not, and who said so\""));
        }
        list.push((word, why.to_owned()));
    }
    list
}

fn codes_entries(file: &TomlFile<'_>, table: &DeTable<'_>) -> Vec<CodesEntry> {
    let mut list = Vec::new();
    for (key, item) in table {
        let (name, line) = (key.get_ref().to_string(), file.line(key.span()));
        let Some(t) = item.get_ref().as_table() else {
            file.fault_at(
                line,
                format!("[codes.{name}] must be a table"),
                "write file = \"codes/…csv\" and missing = \"error\" in it",
            );
            continue;
        };
        let r = Reader::new(file, t, line, format!("[codes.{name}]"));
        let path = r.required("file", &format!("codes/{name}.csv"));
        let missing = match r.item("missing").map(|(i, _)| i.get_ref()) {
            None => {
                r.fault(
                    format!("[codes.{name}] does not say what a missing code does"),
                    "write missing = \"error\", or missing = { replacement = \"…\" }",
                );
                Missing::Error
            }
            Some(v) => match (v.as_str(), v.as_table().and_then(|t| t.iter().next())) {
                (Some("error"), _) => Missing::Error,
                (None, Some((k, with)))
                    if k.get_ref() == "replacement" && with.get_ref().as_str().is_some_and(|s| !s.is_empty()) =>
                {
                    Missing::Replace(with.get_ref().as_str().unwrap_or_default().to_owned())
                }
                _ => {
                    r.fault(
                        format!("`missing` of [codes.{name}] is neither"),
                        "write missing = \"error\", or missing = { replacement = \"…\" }",
                    );
                    Missing::Error
                }
            },
        };
        let without = without(&r);
        let any_case = r.flag("any_case").unwrap_or(false);
        r.finish();
        list.extend(path.map(|(path, _)| CodesEntry { name, file: path, missing, without, any_case, line }));
    }
    list
}

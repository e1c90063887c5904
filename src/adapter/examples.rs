//! `examples/<case>/`: proof and documentation in one. Every case runs as a test, and `adapter test --bless` writes what is
//! expected anew.
//!
//! | folder | holds | expects |
//! |---|---|---|
//! | `render-*` | `input.json` (RenderInput), `settings.toml` | `expected.hl7` (LF line ends), for documents `expected.files`, or `expected.err` |
//! | `parse-*` | `message.hl7`, `settings.toml` | `expected.json` or `expected.err` |
//! | `reply-*` | `reply.hl7`, `reply.toml` (an endpoint's own rows) | `expected.verdict` |
//!
//! In an xml pack: `expected.http` (the request as it leaves), `message.xml`, and `reply.http` with `request.http`, also `lookup.<name>.xml`, what a `[lookup]` is answered. In a fhir pack `lookup.<name>.json`; `expected.http` (the request, its body indented), `message.json`, and `reply.http` with `request.http`, which it answers;
//! or `reply.json`, an acknowledgement that comes as a message.
//! A pack that extends another runs its cases too. One of which it has no file of its own runs with the base's settings, so
//! that it shows what this pack's templates, tables and maps change; then once more with this pack's own, where it must still
//! be carried ([`super::inherited`]).

use super::cause::{Causes, Unexpected};
use super::compare::Reading;
use super::expected::EXPECTED;
use super::fault::{Fault, Faults, line_of};
use super::form::message;
use super::input;
use super::manifest::Format;
use super::map::Reached;
use super::pack::Pack;
use super::render::{RenderError, RenderOptions, Rendered};
use super::sources::Sources;
use crate::wire::v1;
use jiff::tz::TimeZone;
use serde_json::{Map as JsonMap, Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// What kind of proof a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseKind {
    Render,
    Parse,
    Reply,
}

/// One folder under `examples/`.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub kind: CaseKind,
    /// The base that it is taken over from, unless this pack has a file of it.
    pub from: Option<String>,
}

/// The bytes of a parse or reply case.
pub(super) struct Received {
    pub bytes: Vec<u8>,
    /// The request that a reply answers.
    pub asked: Vec<u8>,
    /// Its settings, or its rows of reply rules.
    pub own: toml::Table,
}

/// What a case gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The file it belongs in.
    pub file: &'static str,
    pub text: String,
    /// `note.create`, `REF^I12`, or nothing for replies.
    pub covers: Option<String>,
    /// The line of the `[[render]]` that it shows.
    pub row: Option<u32>,
    /// Why it failed, where the engine has more to say than stands in the text: all of it, with places.
    pub reasons: Vec<Fault>,
}

impl Outcome {
    pub fn failed(&self) -> bool {
        self.file == "expected.err"
    }
}

/// Turns a reply into a verdict: given by the caller, because verdicts are made above this module.
pub type Judge = fn(&[u8], &super::ReplyRules, &str, &[u8]) -> crate::domain::verdict::Verdict;

/// Control id that example replies answer.
pub const REPLY_CONTROL_ID: &str = "IPS0EXAMPLE000000001";
/// Time zone of example trusts when a message is parsed.
pub(super) const ZONE: &str = "Europe/London";

/// The files of a format's cases: render, parse, reply.
fn files_of(format: Format, kind: CaseKind) -> &'static [&'static str] {
    match (format, kind) {
        (Format::Hl7v2, CaseKind::Render) => &["input.json", "settings.toml", "expected.hl7", "expected.err"],
        (Format::Document, CaseKind::Render) => &["input.json", "settings.toml", "expected.files", "expected.err"],
        (Format::Fhir | Format::Xml, CaseKind::Render) => {
            &["input.json", "settings.toml", "expected.http", "expected.err"]
        }
        (Format::Hl7v2 | Format::Document, CaseKind::Parse) => {
            &["message.hl7", "settings.toml", "expected.json", "expected.err"]
        }
        (Format::Fhir, CaseKind::Parse) => &["message.json", "settings.toml", "expected.json", "expected.err"],
        (Format::Xml, CaseKind::Parse) => &["message.xml", "settings.toml", "expected.json", "expected.err"],
        (Format::Hl7v2 | Format::Document, CaseKind::Reply) => &["reply.hl7", "reply.toml", "expected.verdict"],
        (Format::Fhir, CaseKind::Reply) => {
            &["reply.http", "reply.json", "request.http", "reply.toml", "expected.verdict"]
        }
        (Format::Xml, CaseKind::Reply) => &["reply.http", "request.http", "reply.toml", "expected.verdict"],
    }
}

/// The cases of a pack, by name; folders and files that are none are faults.
pub fn cases(sources: &Sources, format: Format, faults: &mut Faults) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for path in sources.under("examples") {
        let Some((name, file)) = path["examples/".len()..].split_once('/') else {
            faults.add(path, 0, "lies beside the cases", "put it into a folder such as examples/render-note/");
            continue;
        };
        let kind = match name.split_once('-').map(|(kind, _)| kind) {
            Some("render") => CaseKind::Render,
            Some("parse") => CaseKind::Parse,
            Some("reply") => CaseKind::Reply,
            _ => {
                faults.add(path, 0, "is in a folder that is no case", "name the folder render-…, parse-… or reply-…");
                continue;
            }
        };
        let files = files_of(format, kind);
        let is_answer = kind == CaseKind::Render && is_lookup(file, format);
        if !files.contains(&file) && !is_answer {
            faults.add(path, 0, "is not a file that such a case has", format!("it has {}", files.join(", ")));
        }
        if cases.last().is_none_or(|c| c.name != name) {
            cases.push(Case { name: name.into(), kind, from: sources.case_from(name) });
        }
    }
    cases
}

/// How the answer to a lookup ends: `lookup.patient.json` is what `[lookup.patient]` is answered in a case.
pub(super) fn answer_ending(format: Format) -> &'static str {
    if format == Format::Xml { "xml" } else { "json" }
}

fn is_lookup(file: &str, format: Format) -> bool {
    let name = file.strip_prefix("lookup.").and_then(|f| f.strip_suffix(answer_ending(format))?.strip_suffix('.'));
    format.is_http() && name.is_some_and(|name| !name.is_empty())
}

impl Pack {
    /// Runs one case; `Err` when its own files cannot be used.
    pub fn run(&self, case: &Case, judge: Judge) -> Result<Outcome, Vec<Fault>> {
        let mut faults = Faults::default();
        let outcome = match case.kind {
            CaseKind::Render => self.run_render(case, &mut faults),
            CaseKind::Parse => self.run_parse(case, &mut faults),
            CaseKind::Reply => self.run_reply(case, judge, &mut faults),
        };
        match outcome {
            Some(outcome) if faults.0.is_empty() => Ok(outcome),
            _ => Err(faults.0),
        }
    }

    fn run_render(&self, case: &Case, faults: &mut Faults) -> Option<Outcome> {
        let mut value = self.example_input(case, faults)?;
        let covers = input::entry_name(&value).map(str::to_owned);
        let settings = value.get("settings").and_then(Value::as_object);
        let row = covers.as_deref().zip(settings).and_then(|(e, s)| self.manifest.render_entry(e, s)).map(|e| e.line);
        if let Err(e) = self.example_lookups(case, &mut value, faults)? {
            return Some(Outcome { file: "expected.err", text: format!("{e}\n"), covers, row, reasons: Vec::new() });
        }
        let (file, text, reasons) = match self.render_value(&value, &RenderOptions::default()) {
            Ok(rendered) => match self.manifest.format {
                Format::Document => ("expected.files", rendered.text_for_display, Vec::new()),
                Format::Fhir | Format::Xml => ("expected.http", rendered.text_for_display, Vec::new()),
                Format::Hl7v2 => ("expected.hl7", self.decoded(&rendered.bytes, &value), Vec::new()),
            },
            Err(e) => {
                let text = format!("{e}\n");
                let reasons =
                    if let RenderError::NotRenderable(list) = e { self.placed(&value, list) } else { Vec::new() };
                ("expected.err", text, reasons)
            }
        };
        Some(Outcome { file, text, covers, row, reasons })
    }

    /// What is stored is text; the bytes differ from it in line ends and character set only.
    fn decoded(&self, bytes: &[u8], value: &Value) -> String {
        let settings = value.get("settings").and_then(Value::as_object).cloned().unwrap_or_default();
        let charset = super::hl7::Charset::parse(&super::settings::engine(&settings, "charset"))
            .unwrap_or(super::hl7::Charset::Utf8);
        charset.decode(bytes).map(|d| d.text.replace('\r', "\n")).unwrap_or_default()
    }

    /// A render case's input as templates see it, settings resolved.
    pub(super) fn example_input(&self, case: &Case, faults: &mut Faults) -> Option<Value> {
        let path = format!("examples/{}/input.json", case.name);
        let text = self.sources.text(&path, faults)?;
        let parsed = input::from_json(&text).map_err(|e| {
            let line = u32::try_from(e.line()).unwrap_or(0);
            let (why, hint) = input::unreadable(&e);
            faults.add(&path, line, format!("is not a RenderInput: {why}"), hint);
        });
        let settings = self.example_settings(case, faults)?;
        let mut value = input::to_json(&parsed.ok()?).ok()?;
        value["settings"] = Value::Object(settings);
        // One that gives nothing is what the case shows; without it the template stops.
        let _ = self.example_lookups(case, &mut value, faults)?;
        Some(value)
    }

    /// The answers a case brings, read as the record's would be. Without a file, `lookup` of the input is what was looked up.
    fn example_lookups(
        &self,
        case: &Case,
        value: &mut Value,
        faults: &mut Faults,
    ) -> Option<Result<(), super::NotLookedUp>> {
        let ending = answer_ending(self.manifest.format);
        let mut answers = BTreeMap::new();
        for lookup in self.lookups_of(value) {
            let file = format!("lookup.{}.{ending}", lookup.name);
            let path = format!("examples/{}/{file}", case.name);
            if self.sources.bytes(&path).is_some() {
                answers.insert(file, self.sources.text(&path, faults)?);
            }
        }
        Some(self.looked_up_in(value, &answers))
    }

    /// Which files may hold what the record is answered, beside an `input.json`.
    pub(super) fn answer_files(&self) -> impl Iterator<Item = String> {
        let ending = answer_ending(self.manifest.format);
        self.manifest.lookups.iter().map(move |lookup| format!("lookup.{}.{ending}", lookup.name))
    }

    /// The answers that this input's message needs, read as the record's would be and put where templates find them.
    pub(super) fn looked_up_in(
        &self,
        value: &mut Value,
        answers: &BTreeMap<String, String>,
    ) -> Result<(), super::NotLookedUp> {
        let patient: Option<v1::PatientDetails> = serde_json::from_value(value["patient"].clone()).ok();
        let ending = answer_ending(self.manifest.format);
        for lookup in self.lookups_of(value) {
            let Some(text) = answers.get(&format!("lookup.{}.{ending}", lookup.name)) else { continue };
            let (given, _) = lookup.read_answer(text.as_bytes(), patient.as_ref())?;
            if !value["lookup"].is_object() {
                value["lookup"] = json!({});
            }
            value["lookup"][&lookup.name] = Value::Object(given);
        }
        Ok(())
    }

    fn example_settings(&self, case: &Case, faults: &mut Faults) -> Option<JsonMap<String, Value>> {
        let path = format!("examples/{}/settings.toml", case.name);
        let mut given = self.settings_of(case);
        let mut text = String::new();
        if self.sources.bytes(&path).is_some() {
            text = self.sources.text(&path, faults)?;
            let not = |e: toml::de::Error| {
                let line = e.span().map_or(0, |s| line_of(&text, s.start));
                faults.add(&path, line, "is not TOML", "write name = \"value\" lines");
            };
            let own: toml::Table = text.parse().map_err(not).ok()?;
            given.extend(own.iter().map(|(k, v)| (k.clone(), super::table::to_json(v))));
        }
        // A setting is named first in what is wrong with it.
        let placed = |f: Fault| {
            let name = f.what.split('"').nth(1).unwrap_or_default();
            let is = |l: &str| l.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
            let line = text.lines().position(is).and_then(|at| u32::try_from(at + 1).ok());
            Fault { line: line.filter(|_| !name.is_empty()).unwrap_or(f.line), ..f }
        };
        let resolved = self.manifest.settings.resolve(&given, &path);
        resolved.map_err(|list| faults.0.extend(list.into_iter().map(placed))).ok()
    }

    /// The wire form of an example message, which is kept with LF line ends.
    pub(super) fn example_message(&self, path: &str, faults: &mut Faults) -> Option<Vec<u8>> {
        let text = self.sources.text(path, faults)?;
        Some(if self.manifest.format.is_http() { text } else { text.replace('\n', "\r") }.into_bytes())
    }

    fn run_parse(&self, case: &Case, faults: &mut Faults) -> Option<Outcome> {
        let (bytes, settings) = self.example_to_parse(case, faults)?;
        let read = self.read(&bytes, &settings, ZONE);
        let covers = match self.manifest.format {
            Format::Hl7v2 | Format::Document => {
                super::hl7::Envelope::peek(&bytes).map(|e| format!("{}^{}", e.message_code(), e.trigger()))
            }
            Format::Fhir | Format::Xml => read.as_ref().ok().map(|(p, _)| p.message_type.clone()),
        };
        let parsed = read.and_then(|(p, f)| if f.is_empty() { Ok(p) } else { Err(super::ParseError::Fields(f)) });
        let (file, text) = match parsed {
            Ok(p) if !broken_rules(&p).is_empty() => ("expected.err", broken_rules(&p).join("\n") + "\n"),
            Ok(p) => {
                let value = json!({ "message": p.message_type, "makes": p.makes, "fields": p.value, "nulls": p.nulls });
                ("expected.json", format!("{value:#}\n"))
            }
            Err(super::ParseError::Fields(list)) => ("expected.err", list.iter().map(|f| format!("{f}\n")).collect()),
            Err(e) => ("expected.err", format!("{e}\n")),
        };
        Some(Outcome { file, text, covers, row: None, reasons: Vec::new() })
    }

    /// The message of a parse case, and its settings.
    fn example_to_parse(&self, case: &Case, faults: &mut Faults) -> Option<(Vec<u8>, JsonMap<String, Value>)> {
        let file = match self.manifest.format {
            Format::Fhir => "message.json",
            Format::Xml => "message.xml",
            Format::Hl7v2 | Format::Document => "message.hl7",
        };
        let bytes = self.example_message(&format!("examples/{}/{file}", case.name), faults)?;
        Some((bytes, self.example_settings(case, faults)?))
    }

    /// The map that reads a parse case, and its rows that gave something; nothing where the message is refused, unless it is for a death: that is taken.
    pub(super) fn rows_of_example(&self, case: &Case) -> Option<(&str, Reached)> {
        let (bytes, settings) = self.example_to_parse(case, &mut Faults::default())?;
        let reached = Reached::default();
        let (parsed, faults) = self.read_noting(&bytes, &settings, ZONE, Some(&reached)).ok()?;
        let entry = self.manifest.parse.iter().find(|p| p.message == parsed.message_type)?;
        let is_taken = broken_rules(&parsed).iter().all(|rule| rule.starts_with("patient_deceased"));
        (faults.is_empty() && is_taken).then_some((entry.map.as_str(), reached))
    }

    /// The map that reads a parse case, whether or not it is refused.
    pub(super) fn map_of_example(&self, case: &Case) -> Option<&str> {
        let (bytes, settings) = self.example_to_parse(case, &mut Faults::default())?;
        let (parsed, _) = self.read_noting(&bytes, &settings, ZONE, None).ok()?;
        let mut of_type = self.manifest.parse.iter().filter(|p| p.message == parsed.message_type);
        // One type may have several maps: what each makes tells them apart.
        let makes = |map: &str| match (self.maps.get(map), self.tree_maps.get(map)) {
            (Some(map), _) => map.makes == parsed.makes,
            (None, map) => map.is_some_and(|m| m.makes == parsed.makes),
        };
        of_type.find(|p| makes(&p.map)).map(|p| p.map.as_str())
    }

    /// What a parse or reply case is about, for a comparison.
    pub(super) fn received_example(&self, case: &Case) -> Option<Received> {
        let mut faults = Faults::default();
        let of = |file: &str| format!("examples/{}/{file}", case.name);
        let files = files_of(self.manifest.format, case.kind).iter();
        let there = |file: &&str| self.sources.bytes(&of(file)).is_some();
        let file = files
            .copied()
            .filter(|f| f.starts_with("message.") || f.starts_with("reply.") && *f != "reply.toml")
            .find(there)?;
        let bytes = self.example_message(&of(file), &mut faults)?;
        let asked =
            if there(&"request.http") { self.example_message(&of("request.http"), &mut faults)? } else { Vec::new() };
        let own = if case.kind == CaseKind::Reply { "reply.toml" } else { "settings.toml" };
        let own =
            if there(&own) { self.sources.text(&of(own), &mut faults)?.parse().ok()? } else { toml::Table::new() };
        Some(Received { bytes, asked, own })
    }

    /// Reply rules with the rows of an example, as far as this pack has such rows.
    pub(super) fn example_rules(&self, own: &toml::Table) -> Option<super::ReplyRules> {
        self.reply_rules(own).or_else(|_| self.reply_rules(&toml::Table::new())).ok()
    }

    /// What this pack reads from an example, with those of its settings that this pack has.
    pub(super) fn example_reading(&self, bytes: &[u8], own: &toml::Table) -> Reading {
        let mut given = self.manifest.settings.examples();
        for (name, value) in own {
            let value = super::table::to_json(value);
            if self.manifest.settings.get(name).is_some_and(|s| s.accepts(&value)) {
                given.insert(name.clone(), value);
            }
        }
        let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
        match self.manifest.settings.resolve(&given, "settings") {
            Ok(settings) => self.reading(bytes, &settings, ZONE, end_of_time(&zone), &zone),
            Err(list) => Reading::Refused(list.iter().map(ToString::to_string).collect()),
        }
    }

    fn run_reply(&self, case: &Case, judge: Judge, faults: &mut Faults) -> Option<Outcome> {
        let is_http = self.manifest.format.is_http();
        let of = |file: &str| format!("examples/{}/{file}", case.name);
        let file = match is_http {
            // An acknowledgement that comes as a message of its own.
            true if self.sources.bytes(&of("reply.json")).is_some() => "reply.json",
            true => "reply.http",
            false => "reply.hl7",
        };
        let bytes = self.example_message(&of(file), faults)?;
        let sent = if is_http && self.sources.bytes(&of("request.http")).is_some() {
            self.example_message(&of("request.http"), faults)?
        } else {
            Vec::new()
        };
        let path = format!("examples/{}/reply.toml", case.name);
        let own = match self.sources.bytes(&path) {
            Some(_) => self
                .sources
                .text(&path, faults)?
                .parse()
                .map_err(|_| faults.add(&path, 0, "is not TOML", "write \"204\" = \"retry\" lines"))
                .ok()?,
            None => toml::Table::new(),
        };
        let rules = self.reply_rules(&own).map_err(|list| faults.0.extend(list)).ok()?;
        let v = judge(&bytes, &rules, REPLY_CONTROL_ID, &sent);
        let mut text = format!("meaning = {}\nlevel = {}\ncode = {:?}\n", json!(v.meaning), json!(v.level), v.code);
        if v.duplicate {
            text.push_str("duplicate = true\n");
        }
        if let Some(id) = &v.record_id {
            text.push_str(&format!("record_id = {id:?}\n"));
        }
        Some(Outcome { file: "expected.verdict", text, covers: None, row: None, reasons: Vec::new() })
    }

    /// The names of its cases.
    pub fn examples(&self) -> Vec<String> {
        cases(&self.sources, self.manifest.format, &mut Faults::default()).into_iter().map(|c| c.name).collect()
    }

    /// What a render case makes with this pack's settings; nothing for other cases and for those that fail.
    pub fn render_example(&self, name: &str, options: &RenderOptions) -> Option<super::Rendered> {
        let case = Case { name: name.into(), kind: CaseKind::Render, from: None };
        let input = self.example_input(&case, &mut Faults::default())?;
        self.render_value(&input, options).ok()
    }
}

/// The result of a command: what was done and what is wrong.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub faults: Vec<Fault>,
    /// In words, one for each thing that was looked at or written.
    pub done: Vec<String>,
}

impl Report {
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Runs every example of a pack; with `bless`, writes what is expected anew instead of comparing.
pub fn test(folder: &Path, bless: bool, judge: Judge) -> Report {
    let mut report = Report::default();
    let pack = match Pack::load(folder) {
        Ok(pack) => pack,
        Err(faults) => return Report { faults, ..report },
    };
    let mut faults = Faults::default();
    let mut unexpected: Vec<Unexpected> = Vec::new();
    let mut of_one: Vec<(String, Fault)> = Vec::new();
    // Render examples, and those of them that are carried.
    let mut made = (0, 0);
    for case in cases(&pack.sources, pack.manifest.format, &mut faults) {
        let outcome = match pack.run(&case, judge) {
            Ok(outcome) => outcome,
            Err(list) => {
                of_one.extend(list.into_iter().map(|fault| (case.name.clone(), fault)));
                continue;
            }
        };
        if case.kind == CaseKind::Render {
            made = (made.0 + 1, made.1 + usize::from(!outcome.failed()));
        }
        let (case, outcome) = match pack.still_carried(&case, &outcome, judge) {
            Ok(()) => (case, outcome),
            // Blessed, the case becomes the pack's own.
            Err(_) if bless => {
                let own = Case { from: None, ..case };
                match pack.run(&own, judge) {
                    Ok(outcome) => (own, outcome),
                    Err(list) => {
                        of_one.extend(list.into_iter().map(|fault| (own.name.clone(), fault)));
                        continue;
                    }
                }
            }
            Err(list) => {
                of_one.extend(list.into_iter().map(|fault| (case.name.clone(), fault)));
                (case, outcome)
            }
        };
        let judged = pack.judge(&case, &outcome);
        // What is written makes the case the pack's own, so it is what the case gives with the pack's own settings.
        let (case, outcome, judged) = match judged {
            Err(_) if bless && case.from.is_some() => {
                let own = Case { from: None, ..case };
                match pack.run(&own, judge) {
                    Ok(outcome) => {
                        let judged = pack.judge(&own, &outcome);
                        (own, outcome, judged.and(Err(Fault::new("examples", 0, "is not the pack's own yet", ""))))
                    }
                    Err(list) => {
                        of_one.extend(list.into_iter().map(|fault| (own.name.clone(), fault)));
                        continue;
                    }
                }
            }
            judged => (case, outcome, judged),
        };
        match judged {
            Ok(()) => report.done.push(format!("{}: as expected", case.name)),
            Err(told) if bless && outcome.failed() && pack.expected_instead(&case, &outcome).is_some() => {
                let told = Fault { hint: format!("not blessed: {}", told.hint), ..told };
                unexpected.push(Unexpected { case, outcome, told });
            }
            Err(_) if bless => match write(folder, &case, &outcome) {
                Ok(()) => report.done.push(format!("{}: {} written", case.name, outcome.file)),
                Err(e) => faults.add(
                    &format!("examples/{}/{}", case.name, outcome.file),
                    0,
                    format!("cannot be written: {}", e.kind()),
                    "check permissions",
                ),
            },
            Err(told) => unexpected.push(Unexpected { case, outcome, told }),
        }
    }
    if bless && let (all @ 1.., 0) = made {
        report.done.push(format!(
            "doubt: none of the {all} render examples is carried: each is blessed as one that must fail, and nothing is sent by such a pack; read their expected.err, mend the \
             template, and delete them"
        ));
    }
    if report.done.is_empty() && faults.0.is_empty() {
        faults.add("examples", 0, "there are no cases", "add examples/render-…/input.json");
    }
    let mut causes = Causes::of(&pack, &unexpected);
    of_one.into_iter().for_each(|(example, fault)| causes.of_example(&example, fault));
    causes.told(&mut faults.0);
    report.faults = Faults(pack.sources.located(faults.0)).into_result(()).err().unwrap_or_default();
    report
}

fn write(folder: &Path, case: &Case, outcome: &Outcome) -> std::io::Result<()> {
    let folder = folder.join("examples").join(&case.name);
    fs::create_dir_all(&folder)?;
    for stale in EXPECTED.iter().filter(|f| **f != outcome.file) {
        match fs::remove_file(folder.join(stale)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    fs::write(folder.join(outcome.file), &outcome.text)
}

/// Renders one input, for `adapter render`. `settings` are an endpoint's; where it gives none, the manifest's examples stand in.
///
/// `beside`: the folder in which the record's answers stand, as in an example.
pub fn render(
    folder: &Path,
    input_json: &str,
    settings: &toml::Table,
    beside: Option<&Path>,
) -> Result<(Format, Rendered), Vec<Fault>> {
    let pack = Pack::load(folder)?;
    let input = input::from_json(input_json).map_err(|e| {
        let (why, hint) = input::unreadable(&e);
        vec![Fault::new("input", u32::try_from(e.line()).unwrap_or(0), format!("is not a RenderInput: {why}"), hint)]
    })?;
    let mut given = pack.manifest.settings.examples();
    given.extend(settings.iter().map(|(k, v)| (k.clone(), super::table::to_json(v))));
    let settings = pack.manifest.settings.resolve(&given, "settings")?;
    let mut value = input::to_json(&input)
        .map_err(|_| vec![Fault::new("input", 0, "holds a time that no calendar has", "correct it")])?;
    value["settings"] = Value::Object(settings);
    let answer = |file: String| Some((file.clone(), fs::read_to_string(beside?.join(file)).ok()?));
    let answers = pack.answer_files().filter_map(answer).collect();
    pack.looked_up_in(&mut value, &answers).map_err(|e| vec![Fault::new("input", 0, e.to_string(), "")])?;
    pack.render_value(&value, &RenderOptions::default()).map(|r| (pack.format(), r)).map_err(|e| match e {
        super::RenderError::NotRenderable(faults) => pack.sources.located(pack.placed(&value, faults)),
        other => vec![Fault::new("input", 0, other.to_string(), "")],
    })
}

/// No day of an example is later.
fn end_of_time(zone: &TimeZone) -> jiff::Timestamp {
    jiff::civil::date(9000, 1, 1).to_zoned(zone.clone()).map_or(jiff::Timestamp::UNIX_EPOCH, |z| z.timestamp())
}

/// The rules that a value of this message of ours breaks: field and rule.
pub(super) fn broken_by(makes: &str, value: &Value) -> Vec<(String, String)> {
    let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
    let broken = message::broken(makes, value, &[], end_of_time(&zone), &zone);
    broken.into_iter().map(|b| (b.field, b.rule)).collect()
}

/// The rules of our fields that what was parsed breaks, as the bridge would say it. No day of an example is too late.
pub(super) fn broken_rules(parsed: &super::Parsed) -> Vec<String> {
    let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
    let now = end_of_time(&zone);
    let broken = message::broken(&parsed.makes, &parsed.value, &parsed.nulls, now, &zone);
    broken.iter().map(|b| format!("{}: {}", b.field, b.rule)).collect()
}

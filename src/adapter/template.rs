//! Text templates: values are escaped by the engine, an empty one stops the message unless the template says `| blank`,
//! and every fault comes with its file and line.

use super::codes::CodeTable;
use super::escaping::Escaping;
use super::fault::{Fault, Faults};
use super::fhir;
use super::filters::{self, Facts};
use super::lint::{self, Known, Tag};
use super::manifest::{FILE, Format, Manifest};
use super::request::{Part, print::into_of};
use super::seen::context;
use super::sources::Sources;
use super::stop::Stop;
use super::words::TableUse;
use super::xml;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Value, ValueKind},
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What is said of a template that was stopped.
pub(super) const TOO_MUCH: &str = "makes too much work or text";
/// What one message may cost: an instruction is 1, 64 bytes made are 1. Bounds time and memory (about 25 MB).
const FUEL: u64 = 400_000;
/// Depth of includes and loops: minijinja counts an include as ten.
const RECURSION: usize = 100;

/// Text and tags of each template.
type Files = HashMap<String, (String, Vec<Tag>)>;

/// Every template of a pack, compiled.
pub struct Templates {
    env: Environment<'static>,
    files: Files,
    table_uses: Vec<TableUse>,
}

/// Why a template gave no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    pub stop: Stop,
    pub fault: Fault,
}

/// A piece of output and the expression that printed it, for checks.
pub struct Printed {
    pub file: String,
    pub line: u32,
    pub expression: String,
    pub output: String,
}

impl Templates {
    /// Whether an element of this name begins in one of them, whatever its prefix.
    pub fn has_element(&self, name: &str) -> bool {
        let begins = |text: &str| {
            text.match_indices(name).any(|(at, _)| {
                let before = &text[..at];
                let prefix = before.rfind('<').map(|open| &before[open + 1..]);
                let is_named = prefix.is_some_and(|p| {
                    p.is_empty() || p.ends_with(':') && !p.contains(|c: char| c.is_whitespace() || c == '>')
                });
                let ends = text[at + name.len()..].chars().next();
                is_named && ends.is_some_and(|c| c.is_whitespace() || matches!(c, '>' | '/'))
            })
        };
        !name.is_empty() && self.files.values().any(|(text, _)| begins(text))
    }

    /// Compiles everything under `templates/`, and the `parts` that stand in the manifest; of a base's what the pack laid over it uses. Names of
    /// templates are their paths below the folder.
    pub fn load(
        sources: &Sources,
        manifest: &Manifest,
        tables: &Arc<BTreeMap<String, CodeTable>>,
        parts: &[&Part],
        faults: &mut Faults,
    ) -> Self {
        let (settings, format) = (&manifest.settings, manifest.format);
        let mut env = Environment::empty();
        env.set_debug(false);
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_fuel(Some(FUEL));
        env.set_recursion_limit(RECURSION);
        match format {
            Format::Hl7v2 | Format::Document => {
                env.set_auto_escape_callback(|name| AutoEscape::Custom(Escaping::of(name).word().into()));
                env.set_formatter(print);
            }
            Format::Fhir => {
                env.set_auto_escape_callback(fhir::print::escape_of);
                env.set_formatter(fhir::print::print);
            }
            Format::Xml => {
                env.set_auto_escape_callback(|name| {
                    AutoEscape::Custom(into_of(name).unwrap_or(Escaping::Xml.word()).into())
                });
                env.set_formatter(print_request);
            }
        }
        if format.is_http() {
            // A line that holds nothing but tags makes no line; and a part of XML ends its last line as every other.
            let mut lines = SyntaxConfig::builder();
            lines.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(format == Format::Xml);
            let lines = lines.build();
            env.set_syntax(lines.expect("the usual braces"));
        }
        filters::install(&mut env, Arc::clone(tables));

        let mut files = HashMap::new();
        let mut names = BTreeSet::new();
        for path in sources.under("templates") {
            let raw = sources.text(path, faults);
            let text = raw.clone().and_then(|text| match format {
                Format::Hl7v2 | Format::Document => Some(text),
                Format::Fhir => fhir::template(path, text, faults),
                Format::Xml => xml::template(path, text, faults),
            });
            let Some(text) = text else {
                // It is there, and its own fault is told: what names it has none.
                names.extend(raw.iter().flat_map(|raw| lint::loop_names(raw)));
                files.insert(path["templates/".len()..].to_owned(), (String::new(), Vec::new()));
                continue;
            };
            let name = path["templates/".len()..].to_owned();
            let before = faults.0.len();
            let tags = lint::tags(path, &text, faults);
            if faults.0.len() > before {
                // The engine's own reader would say it worse, or not bear it.
                names.extend(lint::loop_names(&text));
                files.insert(name, (String::new(), Vec::new()));
                continue;
            }
            if format == Format::Xml {
                xml::check_places(path, &text, &tags, faults);
            }
            files.insert(name, (text, tags));
        }
        for part in parts {
            let before = faults.0.len();
            let tags = lint::tags(FILE, &part.source, faults);
            let source = if faults.0.len() > before { String::new() } else { part.source.clone() };
            files.insert(part.name.clone(), (source, tags));
        }
        let wanted = wanted(&files, sources, manifest);
        files.retain(|name, _| wanted.contains(name));
        names.extend(files.values().flat_map(|(text, tags)| lint::names(text, tags)));
        let table_uses = RefCell::default();
        let known = Known {
            format,
            settings,
            lookups: &fhir::lookup::known(&manifest.lookups),
            tables,
            table_uses: &table_uses,
            templates: &files.keys().cloned().collect(),
            names: &names,
        };
        for (name, (text, tags)) in &files {
            let path = file_of(name);
            let before = faults.0.len();
            lint::check(&path, text, tags, &known, faults);
            if let Err(e) = env.add_template_owned(name.clone(), text.clone()) {
                // The look before says it better where it found something.
                if faults.0.len() == before {
                    let line = e.line().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
                    faults.add(
                        &path,
                        line,
                        format!("cannot be read: {}", e.detail().unwrap_or("bad syntax")),
                        "mend the tag on this line",
                    );
                }
            }
        }
        Self { env, files, table_uses: table_uses.into_inner() }
    }

    /// Where templates write by a code table.
    pub fn table_uses(&self) -> impl Iterator<Item = TableUse> {
        self.table_uses.iter().cloned()
    }

    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Files that this one includes, and those that they do.
    pub fn included<'t>(&'t self, name: &'t str, seen: &mut BTreeSet<&'t str>) {
        included(&self.files, name, seen);
    }

    /// Whether a template, or what it includes, speaks of this.
    pub fn mentions(&self, root: &str, word: &str) -> bool {
        let mut all = BTreeSet::new();
        self.included(root, &mut all);
        let parts = self.files.get_key_value(root).map(|(name, _)| name.as_str());
        all.into_iter().chain(parts).any(|name| self.files.get(name).is_some_and(|(text, _)| text.contains(word)))
    }

    /// Whether any of them speaks of this.
    pub fn speak_of(&self, word: &str) -> bool {
        self.files.values().any(|(text, _)| text.contains(word))
    }

    /// Whether a template, or what it includes, prints this where it may not be empty.
    pub fn prints(&self, root: &str, word: &str) -> bool {
        let mut all = BTreeSet::new();
        self.included(root, &mut all);
        let parts = self.files.get_key_value(root).map(|(name, _)| name.as_str());
        let mut found = all.into_iter().chain(parts).filter_map(|name| self.files.get(name));
        found.any(|(text, tags)| {
            let printed = tags.iter().filter(|t| !t.is_block).map(|t| &text[t.inner.clone()]);
            printed.into_iter().any(|t| t.contains(word) && !t.contains("blank") && !t.contains("default"))
        })
    }

    /// The template's text for this input.
    pub fn render(&self, name: &str, input: &serde_json::Value, facts: &Arc<Facts>) -> Result<String, Box<Stopped>> {
        let template = self.env.get_template(name).map_err(|e| self.stopped(&e, name))?;
        template.render(context(input, facts)).map_err(|e| self.stopped(&e, name))
    }

    /// As [`Templates::render`], with the expression behind each piece of output. Slower; for `adapter check`.
    pub fn trace(
        &self,
        name: &str,
        input: &serde_json::Value,
        facts: &Arc<Facts>,
    ) -> Result<Vec<Printed>, Box<Stopped>> {
        let template = self.env.get_template(name).map_err(|e| self.stopped(&e, name))?;
        let (text, spans) = template.render_with_spans(context(input, facts)).map_err(|e| self.stopped(&e, name))?;
        let expressions = spans.iter().filter(|s| s.kind() == minijinja::OutputSpanKind::Expression);
        Ok(expressions
            .map(|s| {
                let source = self.files.get(s.name()).map_or("", |(text, _)| text);
                Printed {
                    file: file_of(s.name()),
                    line: u32::try_from(s.line()).unwrap_or(0),
                    expression: source.get(s.source_range()).unwrap_or_default().trim().to_owned(),
                    output: text.get(s.output_range()).unwrap_or_default().to_owned(),
                }
            })
            .collect())
    }

    /// The file and line that printed what stands at this byte of the output, as near as can be told.
    pub fn place(&self, name: &str, input: &serde_json::Value, facts: &Arc<Facts>, at: usize) -> Option<(String, u32)> {
        let template = self.env.get_template(name).ok()?;
        let (text, spans) = template.render_with_spans(context(input, facts)).ok()?;
        let span = spans.iter().filter(|s| s.output_range().start <= at).max_by_key(|s| s.output_range().start)?;
        // What was written as it is has its lines in the output too.
        let further = match span.kind() {
            minijinja::OutputSpanKind::Raw => {
                text.get(span.output_range().start..at.min(span.output_range().end))?.matches('\n').count()
            }
            _ => 0,
        };
        Some((file_of(span.name()), u32::try_from(span.line() + further).ok()?))
    }

    /// The place and the cause, from the innermost error that has them. minijinja's own texts are not passed on: some quote
    /// values.
    fn stopped(&self, error: &Error, root: &str) -> Box<Stopped> {
        let (mut place, mut own, mut kind) = ((root.to_owned(), 0, None), None, error.kind());
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(e) = next {
            if let Some(e) = e.downcast_ref::<Error>() {
                if let (Some(name), Some(line)) = (e.name(), e.line()) {
                    place = (name.to_owned(), u32::try_from(line).unwrap_or(0), e.range());
                }
                kind = e.kind();
            }
            own = own.or_else(|| e.downcast_ref::<Stop>().cloned());
            next = e.source();
        }
        let (name, line, range) = place;
        let expression = self.expression(&name, line, range);
        let stop = own.unwrap_or_else(|| match kind {
            ErrorKind::UndefinedError => {
                Stop::fault("is not in the input", "check the path; inside an empty message ask with {% if … %} first")
            }
            ErrorKind::OutOfFuel => Stop::fault(TOO_MUCH, "the template repeats itself; check its loops"),
            ErrorKind::TemplateNotFound => {
                Stop::fault("names a template that is missing", "check the name under templates/")
            }
            _ => Stop::fault("cannot be worked out", "check the filters and what they are given"),
        });
        let (what, hint) = match &stop {
            Stop::Fault { what, hint } => (what.clone(), hint.clone()),
            other => (other.to_string(), String::new()),
        };
        let fault = Fault::new(&file_of(&name), line, format!("`{expression}` {what}"), hint);
        Box::new(Stopped { stop, fault })
    }

    /// The text of the tag an error points into.
    fn expression(&self, name: &str, line: u32, range: Option<std::ops::Range<usize>>) -> String {
        let Some((text, tags)) = self.files.get(name) else { return String::new() };
        let holds = |t: &&Tag| match &range {
            Some(r) => t.range.start <= r.start && r.start < t.range.end,
            None => t.line == line,
        };
        tags.iter()
            .find(holds)
            .map(|t| text[t.inner.clone()].trim_matches(['-', '+', ' ', '\n']).to_owned())
            .unwrap_or_default()
    }
}

/// The pack's own templates, what its rows name, and what those include. A base's other templates speak of settings and lookups that the pack may do
/// without.
fn wanted(files: &Files, sources: &Sources, manifest: &Manifest) -> BTreeSet<String> {
    let own = files.keys().map(String::as_str).filter(|name| sources.is_own(&file_of(name)));
    let rows = manifest.render.iter();
    let named = rows.flat_map(|row| [Some(&row.template), row.document.as_ref().map(|d| &d.page)]).flatten();
    let mut all = BTreeSet::new();
    for name in own.chain(named.map(String::as_str)) {
        included(files, name, &mut all);
    }
    all.into_iter().map(str::to_owned).collect()
}

fn included<'t>(files: &'t Files, name: &str, seen: &mut BTreeSet<&'t str>) {
    let Some((name, (text, tags))) = files.get_key_value(name) else { return };
    if !seen.insert(name) {
        return;
    }
    for tag in tags.iter().filter(|t| t.is_block) {
        let inner = text[tag.inner.clone()].trim_matches(['-', '+', ' ']);
        let target = inner.strip_prefix("include").map(|rest| rest.trim().trim_matches(['"', '\'']));
        target.into_iter().for_each(|name| included(files, name, seen));
    }
}

/// The file a template stands in: its own, or the manifest.
fn file_of(name: &str) -> String {
    if name.starts_with(FILE) { FILE.to_owned() } else { format!("templates/{name}") }
}

/// Prints one value into a request whose body is XML: into the body, or into its head.
fn print_request(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let AutoEscape::Custom(into) = state.auto_escape().clone() else { return print(out, state, value) };
    match Escaping::named(&into) {
        Escaping::Xml => print(out, state, value),
        _ if value.is_undefined() => Err(Error::from(ErrorKind::UndefinedError)),
        _ => super::request::print::print(out, value, &into),
    }
}

/// Prints one value into a field, escaped as the template's kind of file wants it.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let escaping = match state.auto_escape() {
        AutoEscape::Custom(word) => Escaping::named(word),
        _ => Escaping::Hl7,
    };
    if value.is_safe() {
        // Made by a filter for a field of HL7; what | blank leaves is empty and fits anywhere.
        if escaping != Escaping::Hl7 && value.as_str() != Some("") {
            return Err(Stop::fault("is made for HL7 fields", "leave obx_text and components to HL7 templates").into());
        }
        return Ok(out.write_str(value.as_str().unwrap_or_default())?);
    }
    let hint = "write | blank if this field may be empty";
    match value.kind() {
        ValueKind::None => Err(filters::empty(hint).into()),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            if text.is_empty() {
                return Err(filters::empty(hint).into());
            }
            Ok(out.write_str(&escaping.escape(text)?)?)
        }
        ValueKind::Number if value.is_integer() => Ok(write!(out, "{value}")?),
        ValueKind::Number => {
            Err(Stop::fault("is a number with a fraction", "carry it as a text, which prints exactly").into())
        }
        ValueKind::Bool => Err(Stop::fault("is true or false", "choose the word with {% if … %}").into()),
        ValueKind::Seq | ValueKind::Iterable => Err(Stop::fault("is a list", "loop over it, or use | join").into()),
        _ => Err(Stop::fault("is a group of fields", "name one of them").into()),
    }
}

//! `extends`: one manifest laid over another, key by key.
//!
//! Each manifest keeps its own lines: the texts stand one behind the other, the lowest first, and every key keeps its place in
//! the joined text. [`Sources::located`] turns such a line into a file and a line again.

use super::fault::{Fault, Faults, line_of, suggest};
use super::manifest::FILE;
use super::sources::Sources;
use super::table::{Reader, TomlFile};
use crate::domain::organisation::PackId;
use std::collections::BTreeSet;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

/// What each pack says for itself: never taken over from a base.
const OWN: &[&str] = &["schema", "id", "name", "version", "status", "evidence", "owners", "extends", "without"];
/// Tables inside tables that are merged; deeper ones are replaced whole.
const MAX_DEPTH: usize = 4;

/// What a manifest says of its base, before anything else is read.
pub struct Extends {
    pub base: String,
    version: Option<String>,
    pub line: u32,
    pub without_examples: BTreeSet<String>,
}

/// The base of a pack. A manifest that is no TOML has none: its reader says what is wrong.
pub fn extends(own: &Sources) -> Result<Option<Extends>, Vec<Fault>> {
    let Some(text) = own.text(FILE, &mut Faults::default()) else { return Ok(None) };
    let Ok(root) = DeTable::parse(&text) else { return Ok(None) };
    let Some((key, item)) = root.get_ref().iter().find(|(k, _)| k.get_ref() == "extends") else { return Ok(None) };
    let line = line_of(&text, key.span().start);
    let given = item.get_ref().as_str().unwrap_or_default();
    let (base, version) = given.split_once('@').map_or((given, None), |(id, v)| (id, Some(v.to_owned())));
    if PackId::parse(base).is_err() {
        let hint = "write extends = \"hl7v2-uk\": the name of a folder beside this one";
        return Err(vec![Fault::new(FILE, line, "extends is not the id of a pack", hint)]);
    }
    let without = root.get_ref().get("without").and_then(|w| w.get_ref().as_table());
    let cases = without.and_then(|w| w.get("examples")).and_then(|e| e.get_ref().as_array());
    let without_examples = cases.into_iter().flatten().filter_map(|c| c.get_ref().as_str()).map(str::to_owned);
    Ok(Some(Extends { base: base.into(), version, line, without_examples: without_examples.collect() }))
}

impl Extends {
    /// A base that is named with a version must be at it.
    pub fn check_version(&self, base: &Sources) -> Result<(), Vec<Fault>> {
        let Some(wanted) = &self.version else { return Ok(()) };
        let text = base.text(FILE, &mut Faults::default()).unwrap_or_default();
        let there = DeTable::parse(&text)
            .ok()
            .and_then(|root| Some(root.get_ref().get("version")?.get_ref().as_str()?.to_owned()));
        if there.as_ref() == Some(wanted) {
            return Ok(());
        }
        let there = there.unwrap_or_else(|| "no version".into());
        let what = format!("extends {}@{wanted}, and the folder holds {there}", self.base);
        let hint = "look at the difference with adapter diff, then name that version here and raise this pack's own";
        Err(vec![Fault::new(FILE, self.line, what, hint)])
    }
}

/// The manifest's keys, laid over those of its bases, and the line its own begin at. `file` holds all `texts` joined.
pub fn root<'i>(sources: &Sources, file: &TomlFile<'i>, texts: &[String]) -> Option<(DeTable<'i>, u32)> {
    let mut merged: Option<DeTable<'i>> = None;
    let (mut start, mut first_line) = (0, 1);
    for (i, text) in texts.iter().enumerate() {
        first_line = line_of(file.text, start);
        let own = file.part(start..start + text.len())?;
        start += text.len();
        merged = Some(match merged {
            None => {
                if let Some((key, _)) = own.get_key_value("without") {
                    let hint = "leave it away, or name the base: extends = \"hl7v2-uk\"";
                    file.fault_at(file.line(key.span()), "[without] stands in a pack that extends none", hint);
                }
                own
            }
            Some(base) => {
                let layer = sources.layer(i)?;
                lay_over(base, own, file, layer)
            }
        });
    }
    Some((merged?, first_line))
}

fn lay_over<'i>(base: DeTable<'i>, over: DeTable<'i>, file: &TomlFile<'i>, layer: &Sources) -> DeTable<'i> {
    let mut base: DeTable<'i> = base.into_iter().filter(|(key, _)| !OWN.contains(&&**key.get_ref())).collect();
    if let Some((key, item)) = over.get_key_value("without") {
        without(&mut base, file, item.get_ref(), file.line(key.span()), layer);
    }
    for (key, item) in over {
        match key.get_ref().as_ref() {
            "render" => rows(&mut base, key, item, render_key),
            "parse" => rows(&mut base, key, item, parse_key),
            "format" => {
                let same = base.get("format").is_none_or(|f| f.get_ref().as_str() == item.get_ref().as_str());
                if !same {
                    let hint = "leave the line away; a pack of another format starts from nothing";
                    file.fault_at(file.line(key.span()), "the format is not the base's", hint);
                }
                put(&mut base, key, item);
            }
            "settings" => match item.into_inner_table() {
                Ok((span, settings)) => {
                    let mut all = take_table(&mut base, "settings");
                    for (name, setting) in settings {
                        // A setting with a help of its own is said anew; else only what is given changes.
                        let whole = setting.get_ref().as_table().is_none_or(|t| t.contains_key("help"));
                        if !whole && !all.contains_key(&**name.get_ref()) {
                            let what =
                                format!("the base has no setting \"{}\", and this one has no help", name.get_ref());
                            let known: Vec<String> = all.keys().map(|k| k.get_ref().to_string()).collect();
                            let hint = suggest(name.get_ref(), known.iter().map(String::as_str));
                            file.fault_at(file.line(name.span()), what, hint);
                            continue;
                        }
                        if whole { put(&mut all, name, setting) } else { merge(&mut all, name, setting, 1) }
                    }
                    put(&mut base, key, Spanned::new(span, DeValue::Table(all)));
                }
                Err(item) => put(&mut base, key, item),
            },
            _ => merge(&mut base, key, item, 0),
        }
    }
    drop_unreachable(&mut base);
    base
}

type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Item<'i> = Spanned<DeValue<'i>>;

trait IntoTable<'i>: Sized {
    fn into_inner_table(self) -> Result<(std::ops::Range<usize>, DeTable<'i>), Self>;
}

impl<'i> IntoTable<'i> for Item<'i> {
    fn into_inner_table(self) -> Result<(std::ops::Range<usize>, DeTable<'i>), Self> {
        let span = self.span();
        match self.into_inner() {
            DeValue::Table(table) => Ok((span, table)),
            other => Err(Spanned::new(span, other)),
        }
    }
}

/// The overlay's key, at the overlay's place.
fn put<'i>(table: &mut DeTable<'i>, key: Key<'i>, item: Item<'i>) {
    table.remove(&**key.get_ref());
    table.insert(key, item);
}

fn take_table<'i>(table: &mut DeTable<'i>, key: &str) -> DeTable<'i> {
    match table.remove(key).map(Spanned::into_inner) {
        Some(DeValue::Table(inner)) => inner,
        _ => DeTable::new(),
    }
}

/// A table over a table is merged; everything else replaces what is there.
fn merge<'i>(base: &mut DeTable<'i>, key: Key<'i>, item: Item<'i>, depth: usize) {
    let both = depth < MAX_DEPTH && base.get(&**key.get_ref()).is_some_and(|b| b.get_ref().is_table());
    match item.into_inner_table() {
        Ok((span, over)) if both => {
            let mut inner = take_table(base, &key.get_ref().clone());
            for (name, value) in over {
                merge(&mut inner, name, value, depth + 1);
            }
            put(base, key, Spanned::new(span, DeValue::Table(inner)));
        }
        Ok((span, over)) => put(base, key, Spanned::new(span, DeValue::Table(over))),
        Err(item) => put(base, key, item),
    }
}

/// The elements, taken out.
fn taken<'i>(list: &mut DeArray<'i>) -> impl Iterator<Item = Item<'i>> + use<'i> {
    std::mem::replace(list, std::iter::empty().collect()).into_iter()
}

/// What a row is about: a name, and the settings it holds for.
type RowKey = (String, BTreeSet<(String, String)>);

fn text_of(value: &DeValue<'_>) -> String {
    value.as_str().map(str::to_owned).or_else(|| value.as_bool().map(|b| b.to_string())).unwrap_or_default()
}

fn render_key(row: &DeTable<'_>) -> RowKey {
    let when = row.get("when").and_then(|w| w.get_ref().as_table()).into_iter().flatten();
    let when = when.map(|(k, v)| (k.get_ref().to_string(), text_of(v.get_ref()))).collect();
    (row.get("entry").map(|e| text_of(e.get_ref())).unwrap_or_default(), when)
}

fn parse_key(row: &DeTable<'_>) -> RowKey {
    let when = row.get("when").map(|w| ("when".to_owned(), text_of(w.get_ref())));
    (row.get("message").map(|m| text_of(m.get_ref())).unwrap_or_default(), when.into_iter().collect())
}

/// A row replaces the base's of the same key; one without `when` replaces all of its entry. New rows stand first, because a
/// row of the base may take everything.
fn rows<'i>(base: &mut DeTable<'i>, key: Key<'i>, item: Item<'i>, of: fn(&DeTable<'_>) -> RowKey) {
    let span = item.span();
    let over = match item.into_inner() {
        DeValue::Array(over) => over,
        other => return put(base, key, Spanned::new(span, other)),
    };
    let mut old: Vec<(Item<'i>, bool)> = match base.remove(&**key.get_ref()).map(Spanned::into_inner) {
        Some(DeValue::Array(rows)) => rows.into_iter().map(|row| (row, false)).collect(),
        _ => Vec::new(),
    };
    let key_of = |row: &Item<'_>| row.get_ref().as_table().map(of);
    let mut new = Vec::new();
    for row in over {
        let Some((name, when)) = key_of(&row) else {
            new.push(row);
            continue;
        };
        let hits = |(there, mine): &(Item<'i>, bool)| {
            !*mine && key_of(there).is_some_and(|(n, w)| n == name && (when.is_empty() || w == when))
        };
        match old.iter().position(hits) {
            Some(at) => {
                old[at] = (row, true);
                let mut index = 0;
                old.retain(|entry| {
                    index += 1;
                    index - 1 == at || !hits(entry)
                });
            }
            None => new.push(row),
        }
    }
    let all: DeArray<'i> = new.into_iter().chain(old.into_iter().map(|(row, _)| row)).collect();
    put(base, key, Spanned::new(span, DeValue::Array(all)));
}

/// Rows for a choice that the overlay took away can never hold.
fn drop_unreachable(manifest: &mut DeTable<'_>) {
    let Some(settings) = manifest.get("settings").and_then(|s| s.get_ref().as_table()) else { return };
    let choices = |name: &str| -> Option<Vec<String>> {
        let list = settings.get(name)?.get_ref().as_table()?.get("choices")?.get_ref().as_array()?;
        Some(list.iter().map(|c| text_of(c.get_ref())).collect())
    };
    let reachable = |row: &DeTable<'_>| {
        render_key(row).1.iter().all(|(name, value)| choices(name).is_none_or(|list| list.contains(value)))
    };
    let Some(rows) = manifest.get("render").and_then(|r| r.get_ref().as_array()) else { return };
    let kept: Vec<bool> = rows.iter().map(|r| r.get_ref().as_table().is_none_or(reachable)).collect();
    let Some(DeValue::Array(rows)) = manifest.get_mut("render").map(Spanned::get_mut) else { return };
    *rows = taken(rows).zip(kept).filter_map(|(row, keep)| keep.then_some(row)).collect();
}

/// `[without]`: what of the base is not there. Each name must stand for something.
fn without(base: &mut DeTable<'_>, file: &TomlFile<'_>, value: &DeValue<'_>, line: u32, layer: &Sources) {
    let Some(table) = value.as_table() else {
        return file.fault_at(
            line,
            "[without] must be a table",
            "write [without], then entries = [\"…\"] and the like",
        );
    };
    let r = Reader::new(file, table, line, "[without]");
    let unknown = |name: &str, line: u32, there: &BTreeSet<String>| {
        let hint = suggest(name, there.iter().map(String::as_str));
        file.fault_at(line, format!("[without] names \"{name}\", which the base does not have"), hint);
    };
    let mut gone = |key: &'static str, list: &str, of: fn(&DeTable<'_>) -> RowKey| {
        let Some((names, line)) = r.texts(key) else { return };
        let mut none = DeArray::default();
        let rows = match base.get_mut(list).map(Spanned::get_mut) {
            Some(DeValue::Array(rows)) => rows,
            _ => &mut none,
        };
        let there: BTreeSet<String> = rows.iter().filter_map(|r| Some(of(r.get_ref().as_table()?).0)).collect();
        names.iter().filter(|n| !there.contains(*n)).for_each(|name| unknown(name, line, &there));
        let kept = |row: &Item<'_>| row.get_ref().as_table().is_none_or(|t| !names.contains(&of(t).0));
        *rows = taken(rows).filter(kept).collect();
    };
    gone("entries", "render", render_key);
    gone("messages", "parse", parse_key);
    for (key, list) in [("settings", "settings"), ("codes", "codes"), ("lookups", "lookup")] {
        let Some((names, line)) = r.texts(key) else { continue };
        let mut none = DeTable::new();
        let there = match base.get_mut(list).map(Spanned::get_mut) {
            Some(DeValue::Table(there)) => there,
            _ => &mut none,
        };
        for name in &names {
            if there.remove(name.as_str()).is_none() {
                unknown(name, line, &there.keys().map(|k| k.get_ref().to_string()).collect());
            }
        }
    }
    // Whole tables: of a single row the pack says what it means here.
    for key in ["read_back", "reply"] {
        let Some(gone) = r.flag(key) else { continue };
        let line = table.iter().find(|(k, _)| k.get_ref() == key).map_or(line, |(k, _)| file.line(k.span()));
        if !gone {
            file.fault_at(line, format!("[without] {key} = false takes nothing away"), "leave the line away");
        } else if base.remove(key).is_none() {
            let what = format!("[without] names {key}, and the base has no [{key}]");
            file.fault_at(line, what, "leave the line away");
        }
    }
    if let Some((names, line)) = r.texts("examples") {
        let paths = layer.base().into_iter().flat_map(Sources::paths);
        let cases = paths.filter_map(|p| Some(p.strip_prefix("examples/")?.split_once('/')?.0.to_owned()));
        let cases: BTreeSet<String> = cases.collect();
        // A pack that was kept has none (`keep`): there is nothing to hold the names against.
        for name in names.iter().filter(|_| !cases.is_empty()) {
            if name.strip_suffix('*').is_some_and(|begin| !KINDS.iter().any(|kind| begin.starts_with(kind))) {
                let hint = format!("begin it with one of {}", KINDS.join(", "));
                file.fault_at(line, format!("[without] names \"{name}\", cases of any kind"), hint);
            } else if !cases.iter().any(|case| stands_for(name, case)) {
                unknown(name, line, &cases);
            }
        }
    }
    r.finish();
}

/// How the names of cases begin, each kind its own.
const KINDS: &[&str] = &["render-", "parse-", "reply-"];

/// Whether a name in `[without] examples` stands for a case: as it is, or with `*` at its end for all that begin so.
pub fn stands_for(name: &str, case: &str) -> bool {
    name.strip_suffix('*').map_or(name == case, |begin| case.starts_with(begin))
}

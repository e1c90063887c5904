//! A look at a template before it is compiled: unclosed tags with the line they were opened on, words the engine does not
//! offer, and paths that no input has. minijinja would find most of these only when a message is made.

use super::codes::CodeTable;
use super::escaping::Escaping;
use super::fault::{Faults, line_of, suggest};
use super::filters::{TESTS, offered};
use super::input::{self, Shape, ShapeKind};
use super::manifest::{FILE, Format, RenderEntry};
use super::settings::Settings;
use super::template::Templates;
use super::words::{TableUse, Words};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// Block words a template may use.
const BLOCKS: &[&str] = &["for", "endfor", "if", "elif", "else", "endif", "include", "set", "with", "endwith"];
const WORDS: &[&str] = &[
    "and", "or", "not", "in", "is", "if", "else", "elif", "true", "false", "none", "loop", "for", "set", "with",
    "include",
];

/// One `{{ … }}` or `{% … %}`.
#[derive(Debug, Clone)]
pub struct Tag {
    pub range: Range<usize>,
    /// What stands between the braces.
    pub inner: Range<usize>,
    pub is_block: bool,
    pub line: u32,
}

/// What the rest of the pack says about the words in a template.
pub struct Known<'k> {
    pub format: Format,
    pub settings: &'k Settings,
    /// What lookups give, by their names.
    pub lookups: &'k BTreeMap<&'k str, Vec<&'k str>>,
    pub tables: &'k BTreeMap<String, CodeTable>,
    /// Where templates use them: filled while they are looked at.
    pub table_uses: &'k RefCell<Vec<TableUse>>,
    pub templates: &'k BTreeSet<String>,
    /// Every name that some template of the pack sets: parts see the names of what includes them.
    pub names: &'k BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'s> {
    Word(&'s str),
    Text(&'s str),
    Number,
    Mark(char),
}

/// The longest tag.
const TAG_BYTES_MAX: usize = 1000;
/// Tags in one template, and branches of one condition.
const TAGS_MAX: usize = 3000;
const BRANCHES_MAX: usize = 100;

/// Every tag of a template; unclosed ones are faults.
pub fn tags(file: &str, source: &str, faults: &mut Faults) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(start) = source[at..].find('{').map(|n| at + n) {
        let (close, is_block) = match source.as_bytes().get(start + 1) {
            Some(b'{') => ("}}", false),
            Some(b'%') => ("%}", true),
            Some(b'#') => ("#}", false),
            _ => {
                at = start + 1;
                continue;
            }
        };
        let line = line_of(source, start);
        let end = if close == "#}" {
            source[start + 2..].find(close).map(|n| start + 2 + n)
        } else {
            closing(source, start + 2, close)
        };
        let Some(end) = end else {
            let open = &source[start..start + 2];
            faults.add(file, line, format!("{open} is not closed"), format!("close it with {close} on the same line"));
            return tags;
        };
        if close != "#}" {
            // What is nested more deeply than anybody writes by hand is more than the engine's own reader can bear.
            if end - start > TAG_BYTES_MAX {
                let hint = "say parts of it before, with {% set name = … %}";
                faults.add(file, line, format!("a tag is longer than {TAG_BYTES_MAX} bytes"), hint);
                return Vec::new();
            }
            tags.push(Tag { range: start..end + 2, inner: start + 2..end, is_block, line });
        }
        at = end + 2;
    }
    let branches =
        tags.iter().filter(|t| source[t.inner.clone()].trim_matches(['-', '+', ' ']).starts_with("elif")).count();
    for (has, most, what) in [(tags.len(), TAGS_MAX, "tags"), (branches, BRANCHES_MAX, "{% elif %}")] {
        if has > most {
            faults.add(file, 0, format!("has more than {most} {what}"), "a code table says which is written for which");
            return Vec::new();
        }
    }
    tags
}

/// Where `close` stands outside of quotes; another opening before it means that it was forgotten.
fn closing(source: &str, from: usize, close: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut quote = None;
    for (at, b) in bytes.iter().enumerate().skip(from) {
        match quote {
            Some(q) if *b == q => quote = None,
            Some(_) if *b == b'\n' => return None,
            Some(_) => {}
            None if matches!(b, b'"' | b'\'') => quote = Some(*b),
            None if bytes[at..].starts_with(close.as_bytes()) => return Some(at),
            None if *b == b'{' && matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) => return None,
            None => {}
        }
    }
    None
}

fn tokens(inner: &str) -> Vec<Token<'_>> {
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner);
    let mut list = Vec::new();
    let mut rest = inner.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = if c.is_alphabetic() || c == '_' {
            let n = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            list.push(Token::Word(&rest[..n]));
            n
        } else if c.is_ascii_digit() {
            list.push(Token::Number);
            rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
        } else if c == '"' || c == '\'' {
            let n = rest[1..].find(c).map_or(rest.len(), |n| n + 2);
            list.push(Token::Text(rest[1..n].trim_end_matches(c)));
            n
        } else {
            list.push(Token::Mark(c));
            c.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    list
}

/// Names that `for`, `set` and `with` give in this template.
pub fn names(source: &str, tags: &[Tag]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for tag in tags.iter().filter(|t| t.is_block) {
        let list = tokens(&source[tag.inner.clone()]);
        let until = |t: &&Token<'_>| !matches!(t, Token::Word("in") | Token::Mark('='));
        if let Some(Token::Word("for" | "set" | "with")) = list.first() {
            names.extend(list[1..].iter().take_while(until).filter_map(|t| match t {
                Token::Word(w) => Some((*w).to_owned()),
                _ => None,
            }));
        }
    }
    names
}

/// Names that the loops of a file give which cannot be read as what it is: the parts that it includes may see them.
pub fn loop_names(source: &str) -> impl Iterator<Item = String> {
    let word = |before: &str| {
        let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        (!name.is_empty()).then(|| name.to_owned())
    };
    source.match_indices(" in ").filter_map(move |(at, _)| word(&source[..at]))
}

/// Checks one template against what it may use.
pub fn check(file: &str, source: &str, tags: &[Tag], known: &Known<'_>, faults: &mut Faults) {
    let mut open: Vec<(&str, u32)> = Vec::new();
    let mut aliases: HashMap<&str, &'static str> = HashMap::new();
    for tag in tags {
        let list = tokens(&source[tag.inner.clone()]);
        let mut fault = |what: String, hint: String| faults.add(file, tag.line, what, hint);
        let mut list = list.as_slice();
        if tag.is_block {
            let Some((Token::Word(word), rest)) = list.split_first() else {
                fault("an empty {% %}".into(), "remove it".into());
                continue;
            };
            if !BLOCKS.contains(word) {
                fault(format!("{{% {word} %}} is not offered"), format!("templates have {}", BLOCKS.join(", ")));
                continue;
            }
            nesting(word, rest, tag.line, &mut open, &mut fault);
            if *word == "include" {
                match rest {
                    [Token::Text(name)] if known.templates.contains(*name) => {}
                    [Token::Text(name)] => fault(
                        format!("templates/{name} is missing"),
                        suggest(name, known.templates.iter().map(String::as_str)),
                    ),
                    _ => fault("include takes one quoted name".into(), "write {% include \"parts/pid.hl7\" %}".into()),
                }
                continue;
            }
            alias(word, rest, &mut aliases);
            list = rest;
        }
        expression(list, known, &aliases, (file, tag.line), &mut fault);
    }
    for (word, line) in open {
        faults.add(file, line, format!("{{% {word} %}} is not closed"), format!("add {{% end{word} %}}"));
    }
}

fn nesting<'s>(
    word: &str,
    rest: &[Token<'s>],
    line: u32,
    open: &mut Vec<(&'static str, u32)>,
    fault: &mut dyn FnMut(String, String),
) {
    match word {
        "for" => open.push(("for", line)),
        "if" => open.push(("if", line)),
        "with" => open.push(("with", line)),
        "set" if !rest.contains(&Token::Mark('=')) => {
            fault("{% set %} without =".into(), "write {% set name = path %}".into());
        }
        "endfor" | "endif" | "endwith" => match open.pop() {
            Some((opened, _)) if *opened == word[3..] => {}
            Some((opened, at)) => fault(
                format!("{{% {word} %}} closes {{% {opened} %}} of line {at}"),
                format!("add {{% end{opened} %}} before it"),
            ),
            None => fault(format!("{{% {word} %}} closes nothing"), "remove it, or add what it should close".into()),
        },
        _ => {}
    }
}

/// Remembers `{% set x = entry.outcome.job_start %}` and `{% for id in patient.local_identifiers %}`: x and id are checked too.
fn alias<'s>(word: &str, rest: &[Token<'s>], aliases: &mut HashMap<&'s str, &'static str>) {
    let (name, path, looped) = match (word, rest) {
        ("set", [Token::Word(name), Token::Mark('='), path @ ..]) => (*name, path, false),
        ("for", [Token::Word(name), Token::Word("in"), path @ ..]) => (*name, path, true),
        _ => return,
    };
    aliases.remove(name);
    let mut parts = Vec::new();
    let filtered = path.iter().position(|t| *t == Token::Word("if")).unwrap_or(path.len());
    for (i, token) in path[..filtered].iter().enumerate() {
        match (i % 2, token) {
            (0, Token::Word(w)) => parts.push(*w),
            (1, Token::Mark('.')) => {}
            _ => return,
        }
    }
    let Some(root) = parts.first() else { return };
    let shape = match aliases.get(root) {
        Some(message) => input::find(message, parts[1..].iter().copied()),
        None => input::find("RenderInput", parts.iter().copied()),
    };
    if let Ok(Some(Shape { kind: ShapeKind::Message(message), repeated, .. })) = shape
        && *repeated == looped
    {
        aliases.insert(name, message);
    }
}

fn expression(
    list: &[Token<'_>],
    known: &Known<'_>,
    aliases: &HashMap<&str, &'static str>,
    (file, line): (&str, u32),
    fault: &mut dyn FnMut(String, String),
) {
    for (i, token) in list.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|p| list.get(p));
        let after = list.get(i + 1);
        match (before, token) {
            (_, Token::Mark(c @ ('*' | '+' | '-' | '/' | '%' | '~'))) => {
                fault(
                    format!("\"{c}\" is not offered: templates do not calculate"),
                    "use | plus(1) for a count, and write texts one after another".into(),
                );
            }
            (Some(Token::Mark('|')), Token::Word(name)) if !offered(known.format).any(|f| f == *name) => {
                fault(format!("there is no filter \"{name}\""), suggest(name, offered(known.format)));
            }
            (Some(Token::Mark('|')), Token::Word("code")) => match list.get(i + 1..i + 4) {
                Some([Token::Mark('('), Token::Text(name), Token::Mark(')')])
                    if let Some(table) = known.tables.get(*name) =>
                {
                    let before = &list[..i - 1];
                    if let Some(Token::Text(word)) = before.last()
                        && table.theirs(word).is_none()
                        // A table with no row has a fault of its own.
                        && table.lines().next().is_some()
                    {
                        let hint = suggest(word, table.lines().map(|(ours, _)| ours));
                        fault(format!("code table \"{name}\" has no row for \"{word}\""), hint);
                    }
                    let used = TableUse {
                        table: (*name).to_owned(),
                        words: path_before(before, aliases).and_then(Words::of),
                        reads: false,
                        file: file.to_owned(),
                        line,
                    };
                    known.table_uses.borrow_mut().push(used);
                }
                Some([Token::Mark('('), Token::Text(table), Token::Mark(')')]) => {
                    let hint = if known.tables.is_empty() {
                        format!("add [codes.{table}] to adapter.toml")
                    } else {
                        suggest(table, known.tables.keys().map(String::as_str))
                    };
                    fault(format!("there is no code table \"{table}\""), hint);
                }
                _ => {
                    // In JSON double quotes would end the text.
                    let quote = if known.format == Format::Fhir { '\'' } else { '"' };
                    fault("code needs the name of a table".into(), format!("write | code({quote}gender{quote})"));
                }
            },
            (Some(Token::Mark('|')), Token::Word(_)) => {}
            (Some(Token::Word("is")), Token::Word("not")) => {}
            (Some(Token::Word("is" | "not")), Token::Word(test)) if is_test(list, i) && !TESTS.contains(test) => {
                let hint = "ask {% if path %}, which holds where it is set, or write \"is none\" or \"is not none\"";
                fault(format!("there is no test \"{test}\""), hint.into());
            }
            (Some(Token::Mark('.')), Token::Word(name)) if after == Some(&Token::Mark('(')) => {
                fault(format!("\".{name}()\" is not offered"), "use a filter; adapters/README.md lists them".into());
            }
            (Some(Token::Mark('.')), Token::Word(_)) => {}
            (_, Token::Word(name)) if after == Some(&Token::Mark('(')) && !WORDS.contains(name) => {
                fault(format!("there is no function \"{name}\""), "use a filter; adapters/README.md lists them".into());
            }
            (_, Token::Word(name)) if !WORDS.contains(name) => path(name, &list[i + 1..], known, aliases, fault),
            (_, Token::Text(text)) => {
                let words = compared_with(list, i, aliases).and_then(Words::of);
                if let Some((what, hint)) = words.map_or_else(|| Words::nearly(text), |w| w.misspelt(text)) {
                    fault(what, hint);
                }
            }
            _ => {}
        }
    }
}

/// Every part that a row's templates include is escaped as they are; and the page is there. In fhir packs nothing is escaped as text: the
/// engine builds the JSON.
pub fn parts(format: Format, entry: &RenderEntry, templates: &Templates, faults: &mut Faults) {
    if format == Format::Fhir {
        return;
    }
    for root in std::iter::once(entry.template.as_str()).chain(entry.document.iter().map(|d| d.page.as_str())) {
        let how = Escaping::of(root);
        let mut included = BTreeSet::new();
        templates.included(root, &mut included);
        if included.is_empty() && entry.template != root {
            let what = format!("templates/{root} is missing");
            faults.add(FILE, entry.line, what, "add the page template, or name another");
        }
        for part in included.iter().filter(|part| Escaping::of(part) != how) {
            faults.add(
                &format!("templates/{part}"),
                0,
                format!("is included by {root}, and their values are escaped differently"),
                "give the part the same ending",
            );
        }
    }
}

fn is_test(list: &[Token<'_>], i: usize) -> bool {
    list[i - 1] == Token::Word("is") || (i > 1 && list[i - 2] == Token::Word("is"))
}

/// The field that the path at the end of these tokens names.
fn path_before(list: &[Token<'_>], aliases: &HashMap<&str, &'static str>) -> Option<&'static Shape> {
    let mut from = list.len().checked_sub(1)?;
    while let [.., Token::Word(_), Token::Mark('.')] = &list[..from] {
        from -= 2;
    }
    let words = list[from..].iter().filter_map(|t| match t {
        Token::Word(w) => Some(*w),
        _ => None,
    });
    let words: Vec<&str> = words.collect();
    let (root, rest) = words.split_first()?;
    match aliases.get(root) {
        Some(message) => input::find(message, rest.iter().copied()).ok()?,
        None => input::find("RenderInput", words.iter().copied()).ok()?,
    }
}

/// The field that a text is compared with: `path == "x"`, `path in ["x", "y"]`, `"x" == path`.
fn compared_with(list: &[Token<'_>], at: usize, aliases: &HashMap<&str, &'static str>) -> Option<&'static Shape> {
    match &list[..at] {
        [before @ .., Token::Mark('=' | '!'), Token::Mark('=')] => return path_before(before, aliases),
        [before @ .., Token::Mark('[' | ',')] => {
            let texts = |t: &&Token<'_>| matches!(t, Token::Text(_) | Token::Mark(',' | '['));
            let listed = before.len() - before.iter().rev().take_while(texts).count();
            return match &before[..listed] {
                [before @ .., Token::Word("not"), Token::Word("in")] => path_before(before, aliases),
                [before @ .., Token::Word("in")] => path_before(before, aliases),
                _ => None,
            };
        }
        _ => {}
    }
    let [Token::Mark('=' | '!'), Token::Mark('='), rest @ ..] = list.get(at + 1..)? else { return None };
    let parts = |t: &&Token<'_>| matches!(t, Token::Word(_) | Token::Mark('.'));
    path_before(&rest[..rest.iter().take_while(parts).count()], aliases)
}

fn path(
    root: &str,
    rest: &[Token<'_>],
    known: &Known<'_>,
    aliases: &HashMap<&str, &'static str>,
    fault: &mut dyn FnMut(String, String),
) {
    let mut parts = Vec::new();
    for pair in rest.chunks(2) {
        match pair {
            [Token::Mark('.'), Token::Word(part)] => parts.push(*part),
            _ => break,
        }
    }
    let (message, whole): (&str, Vec<&str>) = match aliases.get(root) {
        Some(message) => (message, parts.clone()),
        None if known.names.contains(root) => return,
        None => ("RenderInput", std::iter::once(root).chain(parts.iter().copied()).collect()),
    };
    if let Err((part, near)) = input::find(message, whole.into_iter()) {
        let hint = if near.is_empty() { "it has no parts".to_owned() } else { suggest(&part, near) };
        return fault(format!("\"{part}\" in {} is not in the input", shown(root, &parts)), hint);
    }
    if root == "lookup"
        && let Some((what, hint)) = super::fhir::lookup::misspelt(known.lookups, &parts)
    {
        return fault(what, hint);
    }
    if let ("settings", Some(name)) = (root, parts.first())
        && known.settings.get(name).is_none()
    {
        let hint = format!("declare it under [settings] in adapter.toml, or {}", suggest(name, known.settings.names()));
        fault(format!("there is no setting \"{name}\""), hint);
    }
}

fn shown(root: &str, parts: &[&str]) -> String {
    std::iter::once(root).chain(parts.iter().copied()).collect::<Vec<_>>().join(".")
}

//! Tree templates: a JSON file whose texts are expressions. Each is turned into a text template that prints a stream of marks, line by line
//! where the JSON has it, so that everything a text template has (strictness, limits, places of faults, leaf-drop) holds for it too.
//! [`super::build`] makes the JSON from the stream.
//!
//! | written | means |
//! |---|---|
//! | `"{{ expression }}"` | the value, as text, number, truth value or list; `\| blank` with no value: the key is not there |
//! | `"text {{ expression }} text"` | a text; with nothing in it the key is not there |
//! | `{"$if": "condition", …}` | the object, only where the condition holds; `$then` and `$else` instead of fields for other values |
//! | `{"$each": "x in list", …}` | the object once for each; `$of` instead of fields for other values |
//! | `{"$one": "x in list if …", …}` | the object for the one that is there; none, or several, stop the message |
//! | `{"$include": "parts/x.json"}` | what that file makes |
//! | `{"$text": "parts/x.txt", "$as": "base64"}` | a text template's output: base64, sha1 (of its bytes, in base64), byte_count, text |
//! | `"$comment"` | nothing |

use super::super::fault::{Faults, suggest};
use super::build::mark;
use super::json::{self, Lined, LinedValue};
use serde_json::Value;

/// What `$as` may say.
pub const FORMS: &[&str] = &["base64", "sha1", "byte_count", "text"];
const KEYS: &[&str] = &["$if", "$then", "$else", "$each", "$one", "$of", "$include", "$text", "$as", "$comment"];

/// The text template for one file under `templates/`; its faults go to `faults`.
pub fn compile(path: &str, source: &str, faults: &mut Faults) -> Option<String> {
    match json::lined(source) {
        Ok(root) => {
            let mut writer = Writer { path, faults, out: String::new(), line: 1 };
            writer.node(&root, Place::Value);
            Some(writer.out)
        }
        Err((line, what)) => {
            let text = source.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default();
            let hint = match has_double_quotes(text) {
                true => "inside {{ }} write single quotes, for example | code('gender'): double ones end the text",
                false => "mend the commas, quotes and brackets near this line",
            };
            faults.add(path, line, format!("cannot be read: {what}"), hint);
            None
        }
    }
}

/// Whether an expression on this line has double quotes in it, which JSON takes for the end of the text.
fn has_double_quotes(line: &str) -> bool {
    line.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).any(|(inner, _)| inner.contains('"'))
}

/// Where a value stands: an `$each` in a list adds its elements to it, elsewhere it is a list of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    Element,
}

struct Writer<'w> {
    path: &'w str,
    faults: &'w mut Faults,
    out: String,
    line: u32,
}

impl Writer<'_> {
    fn fault(&mut self, line: u32, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.add(self.path, line, what, hint);
    }

    /// Keeps the stream on the JSON's lines. Between marks a line break means nothing.
    fn at(&mut self, line: u32) {
        while self.line < line {
            self.out.push('\n');
            self.line += 1;
        }
    }

    fn put(&mut self, what: char) {
        self.out.push(mark::BEGIN);
        self.out.push(what);
    }

    fn node(&mut self, node: &Lined, place: Place) {
        self.at(node.line);
        match &node.value {
            LinedValue::Text(text) => self.leaf(text, node.line),
            LinedValue::Plain(Value::Null) => {
                self.fault(node.line, "null has no place in a template", "remove the key")
            }
            LinedValue::Plain(value) => {
                self.put(mark::PLAIN);
                self.out.push_str(&value.to_string());
                self.out.push(mark::END);
            }
            LinedValue::List(items) => {
                if items.is_empty() {
                    self.fault(node.line, "an empty list", "remove the key");
                }
                self.put(mark::LIST);
                items.iter().for_each(|item| self.node(item, Place::Element));
                self.put(mark::LIST_END);
            }
            LinedValue::Fields(fields) => self.object(fields, node.line, place),
        }
    }

    fn object(&mut self, fields: &[(String, Lined)], line: u32, place: Place) {
        for (i, (key, value)) in fields.iter().enumerate() {
            if key.starts_with('$') && !KEYS.contains(&key.as_str()) {
                self.fault(value.line, format!("\"{key}\" is not offered"), suggest(key, KEYS.iter().copied()));
            } else if fields[..i].iter().any(|(k, _)| k == key) {
                self.fault(value.line, format!("key \"{key}\" stands twice"), "keep one of the two");
            } else if key.is_empty() || key.chars().any(|c| c.is_control() || matches!(c, '{' | '}')) {
                self.fault(
                    value.line,
                    format!("key {key:?} is not a plain name"),
                    "keys are fixed; only values are expressions",
                );
            }
        }
        let of = |name: &str| fields.iter().find(|(k, _)| k == name).map(|(_, v)| v);
        let own: Vec<&(String, Lined)> = fields.iter().filter(|(k, _)| !k.starts_with('$')).collect();
        let firsts = ["$if", "$each", "$one", "$include", "$text"];
        let said: Vec<&str> = firsts.into_iter().filter(|k| of(k).is_some()).collect();
        match (said.as_slice(), said.first().and_then(|k| of(k))) {
            ([], _) => {
                for stray in ["$then", "$else", "$of", "$as"].into_iter().filter(|k| of(k).is_some()) {
                    self.fault(
                        line,
                        format!("\"{stray}\" stands alone"),
                        "$then and $else go with $if, $of with $each or $one, $as with $text",
                    );
                }
                self.fields(&own, line);
            }
            ([word], Some(with)) => {
                let LinedValue::Text(text) = &with.value else {
                    return self.fault(with.line, format!("\"{word}\" takes a text"), "write it in quotes");
                };
                self.at(with.line);
                match *word {
                    "$include" | "$text" => self.file(word, text, with.line, of("$as"), !own.is_empty()),
                    "$each" | "$one" => self.each(word, text, with.line, (of("$of"), &own), place),
                    _ => self.choice(text, with.line, (of("$then"), of("$else")), &own, place),
                }
            }
            (several, _) => self.fault(
                line,
                format!("{} stand in one object", several.join(" and ")),
                "put one into the other: {\"$each\": …, \"$of\": {\"$if\": …}}",
            ),
        }
    }

    fn fields(&mut self, fields: &[&(String, Lined)], line: u32) {
        if fields.is_empty() {
            self.fault(line, "an empty object", "remove the key, or give it fields");
        }
        self.put(mark::OBJECT);
        for (key, value) in fields {
            self.at(value.line);
            self.put(mark::KEY);
            self.out.push_str(key);
            self.out.push(mark::END);
            self.node(value, Place::Value);
        }
        self.put(mark::OBJECT_END);
    }

    fn block(&mut self, word: &str, inner: &str, line: u32) -> bool {
        if inner.contains(['\n', '%', '{', '}']) {
            self.fault(line, format!("\"${word}\" holds more than an expression"), "write it without braces");
            return false;
        }
        self.out.push_str(&format!("{{% {word} {} %}}", inner.trim()));
        true
    }

    fn choice(
        &mut self,
        condition: &str,
        line: u32,
        (then, otherwise): (Option<&Lined>, Option<&Lined>),
        own: &[&(String, Lined)],
        place: Place,
    ) {
        if !self.block("if", condition, line) {
            return;
        }
        match then {
            Some(then) if own.is_empty() => self.node(then, place),
            Some(then) => self.fault(then.line, "\"$then\" stands beside fields", "put the fields into $then"),
            None => self.fields(own, line),
        }
        if let Some(otherwise) = otherwise {
            self.out.push_str("{% else %}");
            self.node(otherwise, place);
        }
        self.out.push_str("{% endif %}");
    }

    fn each(
        &mut self,
        word: &str,
        list: &str,
        line: u32,
        (of, own): (Option<&Lined>, &[&(String, Lined)]),
        place: Place,
    ) {
        if !list.contains(" in ") {
            let hint = format!("write \"{word}\": \"id in patient.local_identifiers\"");
            return self.fault(line, format!("\"{word}\" does not say \"name in list\""), hint);
        }
        let is_one = word == "$one";
        if is_one {
            self.put(mark::ONE);
            self.out.extend(list.chars().filter(|c| !c.is_control() && !matches!(c, '{' | '}')));
            self.out.push(mark::END);
        } else if place == Place::Value {
            self.put(mark::LIST);
        }
        if self.block("for", list, line) {
            match of {
                Some(of) if own.is_empty() => self.node(of, Place::Element),
                Some(of) => self.fault(of.line, "\"$of\" stands beside fields", "put the fields into $of"),
                None => self.fields(own, line),
            }
            self.out.push_str("{% endfor %}");
        }
        if is_one {
            self.put(mark::ONE_END);
        } else if place == Place::Value {
            self.put(mark::LIST_END);
        }
    }

    fn file(&mut self, word: &str, name: &str, line: u32, form: Option<&Lined>, has_fields: bool) {
        if has_fields {
            self.fault(
                line,
                format!("\"{word}\" stands beside fields"),
                "it stands alone: the file makes the whole value",
            );
        }
        let fits = if word == "$include" {
            name.ends_with(".json")
        } else {
            name.ends_with(".txt") || name.ends_with(".xhtml")
        };
        if !fits || name.contains(['"', '\'', '\\', '{', '}', '%']) || name.chars().any(char::is_control) {
            let hint = "$include takes a .json file under templates/, $text a .txt or .xhtml file";
            return self.fault(line, format!("\"{word}\" cannot take \"{}\"", name.escape_debug()), hint);
        }
        let form = match form.map(|f| (&f.value, f.line)) {
            None if word == "$text" => {
                return self.fault(line, "\"$text\" does not say \"$as\"", format!("one of {}", FORMS.join(", ")));
            }
            Some((_, at)) if word == "$include" => return self.fault(at, "\"$as\" goes with $text", "remove it"),
            Some((LinedValue::Text(form), at)) => match FORMS.iter().find(|f| *f == form) {
                Some(form) => Some(*form),
                None => {
                    return self.fault(
                        at,
                        format!("\"$as\" cannot be \"{form}\""),
                        suggest(form, FORMS.iter().copied()),
                    );
                }
            },
            Some((_, at)) => return self.fault(at, "\"$as\" takes a text", format!("one of {}", FORMS.join(", "))),
            None => None,
        };
        if let Some(form) = form {
            self.put(mark::DOCUMENT);
            self.out.push_str(form);
            self.out.push(mark::END);
        }
        self.out.push_str(&format!("{{% include \"{name}\" %}}"));
        if form.is_some() {
            self.put(mark::DOCUMENT_END);
        }
    }

    fn leaf(&mut self, text: &str, line: u32) {
        if text.is_empty() {
            return self.fault(line, "an empty text", "remove the key: what has no value is not there");
        }
        if text.contains("{%") || text.contains("{#") {
            return self.fault(line, "{% %} has no place in a JSON template", "use \"$if\" and \"$each\"");
        }
        if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
            return self.fault(line, format!("holds the control character U+{:04X}", u32::from(c)), "take it out");
        }
        let trimmed = text.trim();
        let alone = trimmed.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).is_some_and(|t| !t.contains("}}"));
        self.put(if alone { mark::VALUE } else { mark::TEXT });
        // A line break in the file's text must not move the lines that follow.
        let breaks = |c: char| if c == '\n' { mark::LINE_BREAK } else { c };
        let mut rest = text;
        if alone {
            self.out.push_str(&trimmed.replace('\n', " "));
            rest = "";
        }
        while let Some(start) = rest.find("{{") {
            let end = rest[start..].find("}}").map_or(rest.len(), |n| start + n + 2);
            self.out.extend(rest[..start].chars().map(breaks));
            self.out.push_str(&rest[start..end].replace('\n', " "));
            rest = &rest[end..];
        }
        self.out.extend(rest.chars().map(breaks));
        self.out.push(mark::END);
    }
}

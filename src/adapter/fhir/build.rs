//! From the stream of marks that a tree template prints to JSON. What has no value is not there; what holds nothing is not there either.

use super::super::stop::Stop;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

/// What the stream is made of. None of these characters can come from a value: [`super::print`] refuses control characters.
pub mod mark {
    /// Begins each mark; the next character says which.
    pub const BEGIN: char = '\u{1}';
    /// Ends a key, a leaf or a plain value.
    pub const END: char = '\u{2}';
    /// Begins what one expression printed; the next character is one of the `IS_` marks.
    pub const PIECE: char = '\u{3}';
    pub const PIECE_END: char = '\u{4}';
    pub const LINE_BREAK: char = '\u{5}';

    pub const OBJECT: char = 'o';
    pub const OBJECT_END: char = 'O';
    pub const LIST: char = 'a';
    pub const LIST_END: char = 'A';
    /// A list of which exactly one element is wanted.
    pub const ONE: char = 'u';
    pub const ONE_END: char = 'U';
    pub const KEY: char = 'k';
    /// A leaf that is one expression.
    pub const VALUE: char = 'v';
    /// A leaf with text around its expressions.
    pub const TEXT: char = 't';
    /// A number, true or false of the template itself.
    pub const PLAIN: char = 'p';
    pub const DOCUMENT: char = 'd';
    pub const DOCUMENT_END: char = 'D';

    pub const IS_TEXT: char = 's';
    pub const IS_NUMBER: char = 'n';
    pub const IS_FLAG: char = 'b';
    pub const IS_ABSENT: char = '-';
    pub const IS_LIST: char = '[';
}

/// The JSON; `None` when there is nothing in it.
pub fn build(stream: &str) -> Result<Option<Value>, Stop> {
    let mut reader = Reader { rest: stream };
    let value = reader.value(0)?;
    reader.skip();
    if reader.rest.is_empty() { Ok(value) } else { Err(broken()) }
}

/// The engine's marks are always whole: reached only by a fault of ours, and then the message is not sent.
fn broken() -> Stop {
    Stop::fault("makes no tree", "report this: the template engine should have refused the template")
}

/// What one expression printed.
enum Piece {
    Absent,
    One(Value),
    List(Vec<Value>),
}

struct Reader<'s> {
    rest: &'s str,
}

impl<'s> Reader<'s> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(['\n', ' ']);
    }

    fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest.strip_prefix(mark::BEGIN)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.rest = &self.rest[mark::BEGIN.len_utf8() + kind.len_utf8()..];
        Some(kind)
    }

    fn until(&mut self, end: char) -> Result<&'s str, Stop> {
        let (text, rest) = self.rest.split_once(end).ok_or_else(broken)?;
        self.rest = rest;
        Ok(text)
    }

    fn value(&mut self, depth: usize) -> Result<Option<Value>, Stop> {
        if depth == super::json::DEPTH_MAX {
            return Err(Stop::fault("nests too deeply", "a part includes itself; check $include"));
        }
        match self.peek() {
            Some(mark::OBJECT) => self.object(depth),
            Some(mark::LIST) => {
                self.take();
                let list = self.list(depth, mark::LIST_END)?;
                Ok((!list.is_empty()).then_some(Value::Array(list)))
            }
            Some(mark::ONE) => {
                self.take();
                let which = self.until(mark::END)?;
                let mut list = self.list(depth, mark::ONE_END)?;
                let found = if list.is_empty() { "gives none" } else { "gives several" };
                let one = list.pop().filter(|_| list.is_empty());
                one.map(Some).ok_or_else(|| {
                    let hint =
                        "exactly one must be there; correct the patient's or referral's identifiers, or the condition";
                    Stop::fault(format!("\"$one\": \"{which}\" {found}"), hint)
                })
            }
            Some(mark::VALUE) => {
                self.take();
                let leaf = self.until(mark::END)?;
                Ok(match only(leaf)? {
                    Piece::Absent => None,
                    Piece::One(value) => Some(value),
                    Piece::List(items) => (!items.is_empty()).then_some(Value::Array(items)),
                })
            }
            Some(mark::TEXT) => {
                self.take();
                let leaf = text(self.until(mark::END)?)?;
                Ok((!leaf.is_empty()).then_some(Value::String(leaf)))
            }
            Some(mark::PLAIN) => {
                self.take();
                let plain = self.until(mark::END)?;
                serde_json::from_str(plain).map(Some).map_err(|_| broken())
            }
            Some(mark::DOCUMENT) => {
                self.take();
                let form = self.until(mark::END)?;
                let end = format!("{}{}", mark::BEGIN, mark::DOCUMENT_END);
                let (document, rest) = self.rest.split_once(&end).ok_or_else(broken)?;
                self.rest = rest;
                Ok((!document.is_empty()).then(|| as_form(document, form)))
            }
            // A condition that did not hold.
            _ => Ok(None),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Option<Value>, Stop> {
        self.take();
        let mut map = Map::new();
        while self.peek() == Some(mark::KEY) {
            self.take();
            let key = self.until(mark::END)?.to_owned();
            if let Some(value) = self.value(depth + 1)? {
                map.insert(key, value);
            }
        }
        if self.take() != Some(mark::OBJECT_END) {
            return Err(broken());
        }
        Ok((!map.is_empty()).then_some(Value::Object(map)))
    }

    fn list(&mut self, depth: usize, end: char) -> Result<Vec<Value>, Stop> {
        let mut list = Vec::new();
        while self.peek().is_some_and(|next| next != end) {
            let before = self.rest.len();
            match self.value(depth + 1)? {
                // FHIR has no lists in lists: an inner one adds its elements.
                Some(Value::Array(items)) => list.extend(items),
                Some(value) => list.push(value),
                None if self.rest.len() == before => return Err(broken()),
                None => {}
            }
        }
        if self.take() == Some(end) { Ok(list) } else { Err(broken()) }
    }
}

/// The one piece of a leaf that is one expression.
fn only(leaf: &str) -> Result<Piece, Stop> {
    let (piece, rest) = piece(leaf)?;
    if rest.is_empty() { Ok(piece) } else { Err(broken()) }
}

/// One piece and what follows it.
fn piece(text: &str) -> Result<(Piece, &str), Stop> {
    let inner = text.strip_prefix(mark::PIECE).ok_or_else(broken)?;
    let kind = inner.chars().next().ok_or_else(broken)?;
    let inner = &inner[kind.len_utf8()..];
    if kind == mark::IS_LIST {
        let (mut items, mut rest) = (Vec::new(), inner);
        while rest.starts_with(mark::PIECE) {
            let (item, after) = piece(rest)?;
            rest = after;
            match item {
                Piece::One(value) => items.push(value),
                Piece::Absent => {}
                Piece::List(more) => items.extend(more),
            }
        }
        return Ok((Piece::List(items), rest.strip_prefix(mark::PIECE_END).ok_or_else(broken)?));
    }
    let (content, rest) = inner.split_once(mark::PIECE_END).ok_or_else(broken)?;
    let piece = match kind {
        mark::IS_TEXT => Piece::One(Value::String(content.to_owned())),
        mark::IS_NUMBER | mark::IS_FLAG => Piece::One(serde_json::from_str(content).map_err(|_| broken())?),
        mark::IS_ABSENT => Piece::Absent,
        _ => return Err(broken()),
    };
    Ok((piece, rest))
}

/// A leaf with text around its expressions.
fn text(leaf: &str) -> Result<String, Stop> {
    let (mut out, mut rest) = (String::new(), leaf);
    while let Some(at) = rest.find(mark::PIECE) {
        out.push_str(&rest[..at]);
        let (piece, after) = piece(&rest[at..])?;
        match piece {
            Piece::One(Value::String(text)) => out.push_str(&text),
            Piece::One(value) => out.push_str(&value.to_string()),
            Piece::Absent => {}
            Piece::List(_) => {
                return Err(Stop::fault(
                    "puts a list into a text",
                    "use | join(\" \"), or let the expression stand alone",
                ));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out.replace(mark::LINE_BREAK, "\n"))
}

/// A text in the form that `$as`, or the filter of that name, asks for.
pub fn as_form(text: &str, form: &str) -> Value {
    match form {
        "base64" => Value::String(BASE64_STANDARD.encode(text)),
        "sha1" => Value::String(BASE64_STANDARD.encode(Sha1::digest(text.as_bytes()))),
        "byte_count" => Value::from(text.len()),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_text_are_those_of_fhir() {
        // RFC 4648 and FIPS 180 test vectors.
        assert_eq!(as_form("foobar", "base64"), Value::from("Zm9vYmFy"));
        assert_eq!(as_form("abc", "sha1"), Value::from("qZk+NkcGgWq6PiVxeFDCbJzQ2J0="));
        assert_eq!(as_form("é\n", "byte_count"), Value::from(3));
    }

    #[test]
    fn a_stream_cut_anywhere_is_refused_and_none_panics() {
        let whole = "\u{1}o\u{1}ka\u{2}\u{1}v\u{3}sx\u{4}\u{2}\u{1}kb\u{2}\u{1}a\u{1}tq\u{3}n1\u{4}\u{2}\u{1}A\u{1}O";
        assert_eq!(build(whole), Ok(Some(serde_json::json!({"a": "x", "b": ["q1"]}))));
        for end in 1..whole.len() {
            assert!(build(&whole[..end]).is_err(), "{end}");
        }
    }
}

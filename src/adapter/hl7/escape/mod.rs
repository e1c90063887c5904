//! Escapes: what a text becomes inside a field, and what a field's text meant.
//!
//! For every text without control characters other than tab and line feed: `unescape(escape(text)) == text`.

mod read;

pub use read::{Unescaped, unescape};

use super::delimiters::Delimiters;
use std::borrow::Cow;

/// The least `max_chars` that [`split_ft`] takes: the longest escape it writes must fit.
pub const SPLIT_CHARS_MIN: usize = 16;

/// What a line feed becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFeeds {
    /// `\.br\`: for FT, and only for receivers that read it.
    Break,
    /// Refused: for everything of one line. TX and ST text is parted by [`lines`] first.
    Refuse,
}

/// A character that must not reach the wire. Names its place and code point, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("character {} is the control character U+{code_point:04X}; {hint}", character_index + 1)]
pub struct Unescapable {
    /// Counted in characters from 0.
    pub character_index: usize,
    pub code_point: u32,
    pub hint: &'static str,
}

/// A text as it stands inside a field.
///
/// Delimiters become escapes; tab stays; a text that is exactly `""` is written so that it is not read as HL7's null.
/// Control characters are refused, CR among them: accepted text has LF line ends only.
pub fn escape<'t>(text: &'t str, delimiters: &Delimiters, line_feeds: LineFeeds) -> Result<Cow<'t, str>, Unescapable> {
    let escape = char::from(delimiters.escape);
    if text == "\"\"" {
        return Ok(Cow::Owned(format!("{escape}X2222{escape}")));
    }
    let mut out = String::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let letter = match c {
            '\t' => continue,
            '\n' if line_feeds == LineFeeds::Break => None,
            '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' => {
                let character_index = text[..at].chars().count();
                let hint = match c {
                    '\n' => "this field takes one line only",
                    _ => "take the character out of the text",
                };
                return Err(Unescapable { character_index, code_point: u32::from(c), hint });
            }
            _ => match u8::try_from(c).ok().and_then(|b| delimiters.escape_letter(b)) {
                Some(letter) => Some(letter),
                None => continue,
            },
        };
        out.push_str(&text[from..at]);
        out.push(escape);
        match letter {
            Some(letter) => out.push(letter),
            None => out.push_str(".br"),
        }
        out.push(escape);
        from = at + c.len_utf8();
    }
    if from == 0 {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(&text[from..]);
    Ok(Cow::Owned(out))
}

/// The lines of a text for TX and ST, which have no line breaks: one repetition, or one segment, each. Joined by LF they
/// are the text again.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
}

/// A long FT text in escaped pieces of at most `max_chars` characters, for one OBX-5 each.
///
/// Pieces end between characters, never inside an escape, and within a word where one is at hand; unescaped and put end to end they are the text again. Only
/// for receivers that put OBX lines end to end. `max_chars` below [`SPLIT_CHARS_MIN`] counts as that.
pub fn split_ft(text: &str, max_chars: usize, delimiters: &Delimiters) -> Result<Vec<String>, Unescapable> {
    let escaped = escape(text, delimiters, LineFeeds::Break)?;
    let max_chars = max_chars.max(SPLIT_CHARS_MIN);
    let mut pieces = Vec::new();
    let mut rest = &*escaped;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_end(rest, max_chars, char::from(delimiters.escape)));
        // The text's own `""` may come to stand alone at its very end; as a piece it would be read as null.
        pieces.push(match piece {
            "\"\"" => escape_alone(delimiters),
            _ => piece.to_owned(),
        });
        rest = after;
    }
    if pieces.is_empty() {
        pieces.push(String::new());
    }
    Ok(pieces)
}

fn escape_alone(delimiters: &Delimiters) -> String {
    let escape = char::from(delimiters.escape);
    format!("{escape}X2222{escape}")
}

/// Where a piece of `escaped` ends, in bytes: within a word if it can be, two letters from either end of it. A receiver may trim a blank, and two words
/// would be one; and one that does not put rows end to end after all shows a broken word as what it is, but not a broken number or unit. Our own escapes
/// pair up their escape characters, so every second one closes.
fn piece_end(escaped: &str, max_chars: usize, escape: char) -> usize {
    let mut open = false;
    let (mut end, mut within_a_word, mut letters) = (0, 0, 0);
    for (at, c) in escaped.char_indices().take(max_chars) {
        open ^= c == escape;
        letters = if c.is_alphabetic() { letters + 1 } else { 0 };
        if open {
            continue;
        }
        end = at + c.len_utf8();
        if letters >= 2 && escaped[end..].chars().take(2).filter(|next| next.is_alphabetic()).count() == 2 {
            within_a_word = end;
        }
    }
    if end < escaped.len() && within_a_word > 0 { within_a_word } else { end }
}

#[cfg(test)]
mod tests;

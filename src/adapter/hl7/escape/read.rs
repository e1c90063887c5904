//! Undoing escapes without losing a letter: whatever is not a known escape stays as it was sent.

use crate::adapter::hl7::charset::Charset;
use crate::adapter::hl7::delimiters::Delimiters;
use std::borrow::Cow;

/// Most lines that one `\.sp n\` or `\.sk n\` may stand for; more is left as text.
const SPACES_MAX: usize = 100;
/// Longest unknown escape, in bytes. A longer stretch between two escape characters is text with lone ones.
const UNKNOWN_BYTES_MAX: usize = 32;

/// A text with its escapes undone, and what could not be.
#[derive(Clone, PartialEq, Eq)]
pub struct Unescaped<'t> {
    pub text: Cow<'t, str>,
    /// Marks that only change how the text looks (`\H\`, `\N\`, `\.fi\`, `\.in4\` …) were taken out.
    pub formatting_dropped: bool,
    /// Unknown, local (`\Z…\`), undecodable or lone escapes stand in the text as they were sent.
    pub kept_literally: bool,
}

impl std::fmt::Debug for Unescaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unescaped")
            .field("bytes", &self.text.len())
            .field("formatting_dropped", &self.formatting_dropped)
            .field("kept_literally", &self.kept_literally)
            .finish_non_exhaustive()
    }
}

/// What stands between two escape characters.
enum Meaning {
    Delimiter(u8),
    /// Line feeds, or spaces.
    Repeat(char, usize),
    /// Changes only how text looks.
    Look,
    Hex,
    Unknown,
    /// Not an escape at all: the escape character is a letter of the text.
    Text,
}

/// Undoes the escapes of `raw`, a stretch of a message with these delimiters and this character set.
///
/// Line breaks come out as LF. Hex escapes are bytes in the message's character set; what would decode to a control
/// character, or does not decode, stays as sent. The result holds no letter that was not sent and lacks none that was.
pub fn unescape<'t>(raw: &'t str, delimiters: &Delimiters, charset: Charset) -> Unescaped<'t> {
    let escape = delimiters.escape;
    let mut done = Unescaped { text: Cow::Borrowed(raw), formatting_dropped: false, kept_literally: false };
    let Some(first) = memchr::memchr(escape, raw.as_bytes()) else {
        return done;
    };
    let mut out = String::with_capacity(raw.len());
    out.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    // `rest` begins with an escape character each time round.
    while !rest.is_empty() {
        let after = &rest[1..];
        let body = memchr::memchr(escape, after.as_bytes()).map(|end| &after[..end]);
        let mut taken = body.map_or(1, |body| body.len() + 2);
        match body.map_or(Meaning::Text, |body| meaning(body, delimiters)) {
            Meaning::Delimiter(c) => out.push(char::from(c)),
            Meaning::Repeat(c, count) => out.extend(std::iter::repeat_n(c, count)),
            Meaning::Look => done.formatting_dropped = true,
            Meaning::Hex => match hex_text(rest, escape, charset) {
                Some((text, length)) => {
                    out.push_str(&text);
                    taken = length;
                }
                None => {
                    out.push_str(&rest[..taken]);
                    done.kept_literally = true;
                }
            },
            Meaning::Unknown => {
                out.push_str(&rest[..taken]);
                done.kept_literally = true;
            }
            Meaning::Text => {
                out.push(char::from(escape));
                taken = 1;
                done.kept_literally = true;
            }
        }
        rest = &rest[taken..];
        let plain = memchr::memchr(escape, rest.as_bytes()).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    done.text = Cow::Owned(out);
    done
}

fn meaning(body: &str, delimiters: &Delimiters) -> Meaning {
    match body.as_bytes() {
        [b'H' | b'N'] => Meaning::Look,
        [letter] => delimiters.for_letter(*letter).map_or_else(|| unknown(body), Meaning::Delimiter),
        [b'X', ..] => Meaning::Hex,
        [b'.', a, b, number @ ..] => {
            let command = [a.to_ascii_lowercase(), b.to_ascii_lowercase()];
            match (&command, count(number)) {
                (b"br", Some(None)) | (b"ce", Some(None)) => Meaning::Repeat('\n', 1),
                (b"sp", Some(n)) => Meaning::Repeat('\n', n.unwrap_or(1)),
                (b"sk", Some(Some(n))) => Meaning::Repeat(' ', n),
                (b"fi" | b"nf", Some(None)) | (b"in" | b"ti", Some(_)) => Meaning::Look,
                _ => unknown(body),
            }
        }
        _ => unknown(body),
    }
}

/// The optional number of a formatting command: `None` where there is something else, or more than [`SPACES_MAX`].
fn count(text: &[u8]) -> Option<Option<usize>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|n| *n <= SPACES_MAX).map(Some)
}

/// Short, and without anything that an escape never holds: kept whole, so that its closing mark opens nothing.
fn unknown(body: &str) -> Meaning {
    let shaped = !body.is_empty()
        && body.len() <= UNKNOWN_BYTES_MAX
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'));
    if shaped { Meaning::Unknown } else { Meaning::Text }
}

/// The text of the hex escape that `rest` begins with, and how many bytes of `rest` it takes. Neighbouring hex escapes are
/// read together first: some senders write one for each byte of a character.
fn hex_text(rest: &str, escape: u8, charset: Charset) -> Option<(String, usize)> {
    let mut bytes = Vec::new();
    let mut taken = 0;
    let mut alone = None;
    while let Some((more, length)) = hex_bytes(&rest[taken..], escape) {
        bytes.extend_from_slice(&more);
        taken += length;
        if alone.is_none() {
            alone = Some((bytes.len(), taken));
        }
    }
    let (first_bytes, first_taken) = alone?;
    match printable(&bytes, charset) {
        Some(text) => Some((text, taken)),
        None => Some((printable(&bytes[..first_bytes], charset)?, first_taken)),
    }
}

/// The bytes of one hex escape and its length with both escape characters; `None` if `text` does not begin with one.
fn hex_bytes(text: &str, escape: u8) -> Option<(Vec<u8>, usize)> {
    let after = text.as_bytes().strip_prefix(&[escape, b'X'])?;
    let digits = &after[..memchr::memchr(escape, after)?];
    if digits.is_empty() || digits.len() % 2 != 0 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    Some((bytes?, digits.len() + 3))
}

/// Text with LF line ends; `None` where bytes do not decode or would be control characters.
fn printable(bytes: &[u8], charset: Charset) -> Option<String> {
    let text = charset.decode(bytes).ok()?.text.replace("\r\n", "\n").replace('\r', "\n");
    let plain = text.chars().all(|c| matches!(c, '\t' | '\n') || !c.is_control());
    plain.then_some(text)
}

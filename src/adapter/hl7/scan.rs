//! The look before the parse: every line of the input is a segment, is set aside with a reason, or stops the message.
//!
//! hl7-parser stops quietly at the first line it does not understand and calls the rest a success. So nothing reaches it
//! that it could stop at, and `message.rs` counts afterwards. Works on bytes, so the offsets in errors are the sender's.

use super::delimiters::Delimiters;

/// Longest message, in bytes: an MLLP frame of 4 MiB.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most segments in a message.
pub const SEGMENTS_MAX: usize = 10_000;
/// Most delimiters in a message. Each costs hl7-parser up to 700 bytes of tree, so this bounds its memory at about 70 MB.
pub const DELIMITERS_MAX: usize = 100_000;
/// What is said of a message that has more.
pub(in crate::adapter) const TOO_MANY_DELIMITERS: &str = "more than 100,000 delimiters";

/// Why a message cannot be read, and where. Static texts: they never hold anything from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment}, byte {byte}: {what}; {hint}")]
pub struct Unreadable {
    /// Lines that are not blank, counted from 1; 0 when it concerns the whole.
    pub segment: usize,
    /// Offset into the bytes as received.
    pub byte: usize,
    pub what: &'static str,
    pub hint: &'static str,
}

/// A line that is no segment. It is kept out of the message and must be shown or refused by whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAside {
    /// Lines that are not blank, counted from 1.
    pub line: usize,
    /// Where it starts in the bytes as received.
    pub byte: usize,
    /// How long it is, in bytes.
    pub length: usize,
    pub why: Odd,
    /// It stands behind NTE or OBX and has no mark in it: the rest of a text, which says nothing of who is meant.
    pub is_of_a_text: bool,
}

/// Why a line is no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// Three letters or digits and a field separator, but not in capitals.
    IdNotInCapitals,
    /// A field separator, but what stands before it cannot be a segment id.
    OddId,
    /// No segment id at all: usually text torn by a line end its sender did not escape.
    TornText,
}

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IdNotInCapitals => "the segment id is not in capitals",
            Self::OddId => "the segment id is not a letter and two letters or digits",
            Self::TornText => "the line has no segment id: its sender may not escape line ends in text",
        })
    }
}

/// What was put right or assumed while reading. None of it changes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// Lines with nothing but spaces and tabs, dropped.
    pub blank_lines: usize,
    /// Segments of an id and nothing else.
    pub bare_segments: usize,
    /// Something other than CR ended a line.
    pub line_ends_not_cr: bool,
    /// Byte order mark, blanks or an MLLP start byte stood before MSH, or MLLP end bytes after the last segment.
    pub wrapping_removed: bool,
    /// Control characters other than tab stand in the text.
    pub control_characters: bool,
    /// MSH-18 names a character set we do not know; the endpoint's default was used.
    pub charset_unknown: bool,
    /// 8859/1 text held windows-1252 bytes and was read as those.
    pub charset_assumed_windows_1252: bool,
    /// MSH-18 names more than one set; all text was read in the first.
    pub charset_several: bool,
    /// A DSC segment says that the message continues in another one.
    pub continues: bool,
}

/// One segment's line.
pub(super) struct Line {
    /// Where it starts in `Scan::normal`.
    pub start: usize,
    /// Lines that are not blank, counted from 1.
    pub number: usize,
    /// What to add to an offset in `Scan::normal` to get the one received.
    pub shift: isize,
}

/// Input made safe for the parser: segments only, joined by CR, MSH-2 of four characters, a separator after every id.
pub(super) struct Scan {
    pub delimiters: Delimiters,
    pub normal: Vec<u8>,
    pub lines: Vec<Line>,
    pub set_aside: Vec<SetAside>,
    pub notes: Notes,
}

/// Lines by CR, LF or CRLF, with their offsets. A last line without an end counts; an empty rest does not.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let (start, end) = (at, memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()));
        at += end + if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        Some((start, &rest[..end]))
    })
}

/// How many bytes of byte order mark, blanks and MLLP start bytes precede the message.
pub(super) fn leading(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        at += match rest {
            [0xEF, 0xBB, 0xBF, ..] => 3,
            [b' ' | b'\t' | b'\r' | b'\n' | 0x0B, ..] => 1,
            _ => return at,
        };
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t'))
}

pub(super) fn scan(bytes: &[u8]) -> Result<Scan, Unreadable> {
    let whole = |what, hint| Unreadable { segment: 0, byte: 0, what, hint };
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(whole("the message is longer than 4 MiB", "ask the sender to send it in parts"));
    }
    if matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return Err(whole("the message is UTF-16", "ask the sender for UNICODE UTF-8"));
    }
    if let Some(byte) = memchr::memchr(0, bytes) {
        let hint = "the message is damaged, or in UTF-16: ask the sender for UNICODE UTF-8";
        return Err(Unreadable { byte, ..whole("a NUL byte", hint) });
    }
    let from = leading(bytes);
    let to = bytes.iter().rposition(|b| !matches!(b, b'\r' | b'\n' | 0x1C)).map_or(from, |last| last + 1).max(from);
    let mut notes = Notes { wrapping_removed: from > 0 || bytes[to..].contains(&0x1C), ..Notes::default() };

    let body = &bytes[from..to];
    let mut found = lines(body).map(|(at, line)| (at + from, line));
    let Some((msh_at, msh)) = found.next() else {
        return Err(whole("the message is empty", "check what the sender's interface sends"));
    };
    let (delimiters, msh_rest) =
        msh_header(msh).map_err(|(what, hint)| Unreadable { segment: 1, byte: msh_at, what, hint })?;
    check_control(body, from, &mut notes)?;
    notes.line_ends_not_cr = memchr::memchr(b'\n', &bytes[from..]).is_some();

    let mut normal = Vec::with_capacity(body.len() + 16);
    normal.extend_from_slice(b"MSH");
    normal.extend_from_slice(&delimiters.for_parser());
    // MSH-2 may shrink or grow by one for the parser; offsets behind it shift by as much.
    let shift = msh_at as isize + (msh.len() - msh_rest.len()) as isize - normal.len() as isize;
    normal.extend_from_slice(msh_rest);
    let mut scan =
        Scan { delimiters, normal, lines: vec![Line { start: 0, number: 1, shift }], set_aside: Vec::new(), notes };
    let mut number = 1;
    for (byte, line) in found {
        if is_blank(line) {
            scan.notes.blank_lines += 1;
            continue;
        }
        number += 1;
        scan.add(number, byte, line)?;
    }
    check_delimiters(&scan)?;
    Ok(scan)
}

impl Scan {
    fn add(&mut self, number: usize, byte: usize, line: &[u8]) -> Result<(), Unreadable> {
        let stop = |what, hint| Err(Unreadable { segment: number, byte, what, hint });
        if number > SEGMENTS_MAX {
            return stop("more than 10,000 segments", "ask the sender to send the message in parts");
        }
        let separator = self.delimiters.field;
        let id = line.split(|b| *b == separator).next().unwrap_or_default();
        let why = match id {
            b"MSH" => {
                return stop(
                    "a second message begins",
                    "send each by itself, or several between FHS, BHS and BTS, FTS",
                );
            }
            b"FHS" | b"BHS" | b"BTS" | b"FTS" => {
                return stop(
                    "a batch envelope inside a message",
                    "an envelope stands around messages: FHS and BHS before the first, BTS and FTS behind the last",
                );
            }
            [first, second, third] if first.is_ascii_uppercase() && is_id(*second) && is_id(*third) => None,
            _ if id.len() == line.len() => Some(Odd::TornText),
            [first, ..] if id.len() == 3 && first.is_ascii_alphabetic() && id.iter().all(u8::is_ascii_alphanumeric) => {
                Some(Odd::IdNotInCapitals)
            }
            _ => Some(Odd::OddId),
        };
        if let Some(why) = why {
            let before = self.lines.last().and_then(|line| self.normal.get(line.start..line.start + 3));
            let is_of_a_text = why == Odd::TornText && matches!(before, Some(b"NTE" | b"OBX"));
            self.set_aside.push(SetAside { line: number, byte, length: line.len(), why, is_of_a_text });
            return Ok(());
        }
        // Without a pointer it says that nothing follows.
        let points = line.split(|b| *b == separator).nth(1).is_some_and(|p| !p.is_empty() && p != b"\"\"");
        self.notes.continues |= id == b"DSC" && points;
        self.normal.push(b'\r');
        let start = self.normal.len();
        self.lines.push(Line { start, number, shift: byte as isize - start as isize });
        self.normal.extend_from_slice(line);
        if id.len() == line.len() {
            // hl7-parser drops a bare id and all that follows it.
            self.normal.push(separator);
            self.notes.bare_segments += 1;
        }
        Ok(())
    }

    /// The line that holds an offset of `normal`, and that offset in the bytes received.
    pub(super) fn locate(&self, offset: usize) -> (usize, usize) {
        let line = match self.lines.partition_point(|line| line.start <= offset) {
            0 => return (0, offset),
            n => &self.lines[n - 1],
        };
        (line.number, usize::try_from(offset as isize + line.shift).unwrap_or(0))
    }
}

fn is_id(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

/// MSH-1 and MSH-2 by their own lengths, and the line's rest, which begins with a field separator or is empty.
fn msh_header(line: &[u8]) -> Result<(Delimiters, &[u8]), (&'static str, &'static str)> {
    let (field, after) = match line {
        [b'M', b'S', b'H', field, after @ ..] => (*field, after),
        [b'F' | b'B', b'H', b'S', ..] => {
            return Err(("a batch, not a message", "hand its messages over one by one; a listener does so by itself"));
        }
        _ => return Err(("the first segment is not MSH", "its beginning is lost, or this is not HL7 v2")),
    };
    let end = memchr::memchr(field, after).unwrap_or(after.len());
    let delimiters = Delimiters::new(field, &after[..end]).map_err(|e| (e.what, e.hint))?;
    Ok((delimiters, &after[end..]))
}

/// Framing bytes inside a message mean that its frame was cut in the wrong place; other control characters are noted.
fn check_control(body: &[u8], from: usize, notes: &mut Notes) -> Result<(), Unreadable> {
    for (at, b) in body.iter().enumerate() {
        match b {
            0x0B | 0x1C => {
                let what = "an MLLP framing byte inside the message";
                let hint = "two frames ran together, or the sender does not escape control bytes";
                return Err(Unreadable { segment: 0, byte: from + at, what, hint });
            }
            b'\t' | b'\r' | b'\n' => {}
            0x00..0x20 | 0x7F => notes.control_characters = true,
            _ => {}
        }
    }
    Ok(())
}

fn check_delimiters(scan: &Scan) -> Result<(), Unreadable> {
    let mut is_delimiter = [false; 256];
    let [field, component, repetition, _, subcomponent] = scan.delimiters.for_parser();
    for c in [field, component, repetition, subcomponent] {
        is_delimiter[usize::from(c)] = true;
    }
    let mut count = 0;
    for b in &scan.normal {
        count += usize::from(is_delimiter[usize::from(*b)]);
    }
    if count <= DELIMITERS_MAX {
        return Ok(());
    }
    let hint = "ask the sender to send it in parts";
    Err(Unreadable { segment: 0, byte: 0, what: TOO_MANY_DELIMITERS, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(bytes: &[u8]) -> Vec<String> {
        let scan = scan(bytes).expect("readable");
        scan.normal.split(|b| *b == b'\r').map(|l| String::from_utf8_lossy(&l[..3]).into_owned()).collect()
    }

    #[test]
    fn every_kind_of_line_end_and_blank_line_gives_the_same_segments() {
        for text in [
            "MSH|^~\\&|a\rPID|1\rPV1|1\r",
            "MSH|^~\\&|a\nPID|1\nPV1|1",
            "MSH|^~\\&|a\r\nPID|1\nPV1|1\r",
            "MSH|^~\\&|a\r\r\n \t\rPID|1\n\n\nPV1|1\r\r",
        ] {
            assert_eq!(ids(text.as_bytes()), ["MSH", "PID", "PV1"], "{text:?}");
        }
        assert_eq!(scan(b"MSH|^~\\&|a\r\r \rPID|1\r").expect("readable").notes.blank_lines, 2);
    }

    #[test]
    fn a_wrapping_of_bom_blanks_or_mllp_bytes_is_removed_and_noted() {
        for text in ["\u{feff}MSH|^~\\&|a\rPID|1\r", " \r\n\tMSH|^~\\&|a\rPID|1\r", "\u{b}MSH|^~\\&|a\rPID|1\r\u{1c}\r"]
        {
            let scan = scan(text.as_bytes()).expect("readable");
            assert!(scan.notes.wrapping_removed);
            assert_eq!(scan.lines.len(), 2);
        }
    }

    #[test]
    fn an_offset_leads_back_to_the_byte_received() {
        let bytes = b"\n MSH|^~\\|a\r\n\r\nPID|1\nxx\nPV1|Z";
        let scan = scan(bytes).expect("readable");
        for mark in [b'a', b'1', b'Z'] {
            let at = scan.normal.iter().rposition(|b| *b == mark).expect("there");
            let (_, byte) = scan.locate(at);
            assert_eq!(bytes[byte], mark);
        }
        assert_eq!(scan.locate(scan.normal.len() - 1).0, 4, "the line set aside is counted");
        assert_eq!(scan.set_aside[0].why, Odd::TornText);
    }

    #[test]
    fn limits_stop_the_message_before_the_parser_sees_it() {
        let mut many = b"MSH|^~\\&|a\r".to_vec();
        many.extend(b"ZZZ|\r".repeat(SEGMENTS_MAX));
        assert!(scan(&many).is_err());
        let mut bomb = b"MSH|^~\\&|a\rOBX|".to_vec();
        bomb.extend(b"^".repeat(DELIMITERS_MAX));
        assert!(scan(&bomb).is_err());
        assert!(scan(&vec![b'M'; MESSAGE_BYTES_MAX + 1]).is_err());
    }
}

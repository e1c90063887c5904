//! A message that was read whole: scanned, parted into segments and fields, and held against what hl7-parser makes of it.
//!
//! Only this file names hl7-parser, and it takes nothing from it but where fields begin and end: the parser's decoding,
//! printing and queries lose text or panic (`defects.rs` holds each case). Repetitions and components are parted when asked for.

use super::charset::{Charset, Declared};
use super::delimiters::Delimiters;
use super::escape::{self, Unescaped};
use super::reading::Reading;
use super::scan::{Notes, Scan, SetAside, Unreadable, scan};
use std::ops::Range;

/// A message whose every line is accounted for: in `segments` or in `set_aside`.
#[derive(Clone)]
pub struct Message {
    text: String,
    segments: Vec<Span>,
    fields: Vec<Range<u32>>,
    encoding_characters: String,
    delimiters: Delimiters,
    charset: Charset,
    set_aside: Vec<SetAside>,
    notes: Notes,
    /// Repetitions that do not count: where their texts begin and end.
    passed_over: Vec<(usize, usize)>,
}

/// One segment: where its id begins, its line's number, and its share of `Message::fields`.
#[derive(Clone)]
struct Span {
    start: u32,
    line: u32,
    fields: Range<u32>,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Theirs,
    Ours,
}

/// Fields of MSH without which a message can be neither judged nor answered.
const MSH_NEEDED: [(usize, &str); 4] = [
    (9, "MSH-9 (message type) is empty"),
    (10, "MSH-10 (control id) is empty"),
    (11, "MSH-11 (processing id) is empty"),
    (12, "MSH-12 (version) is empty"),
];

impl Message {
    /// Reads one message. Text without a usable MSH-18 is taken to be in `default_charset`, the endpoint's.
    ///
    /// Fails on what cannot be read without guessing or loss: see [`Unreadable`]. Odd lines do not fail; they are in
    /// [`Message::set_aside`], and a caller that files clinical text must look there first.
    pub fn read(bytes: &[u8], default_charset: Charset) -> Result<Self, Unreadable> {
        Self::read_from(bytes, default_charset, Origin::Theirs)
    }

    /// As [`Message::read`], of what we made ourselves and are about to send: hl7-parser is not asked as well, except in debug builds and so in every
    /// test. It would find no more than where the delimiters stand that we put there.
    pub fn read_back(bytes: &[u8], default_charset: Charset) -> Result<Self, Unreadable> {
        Self::read_from(bytes, default_charset, Origin::Ours)
    }

    fn read_from(bytes: &[u8], default_charset: Charset, origin: Origin) -> Result<Self, Unreadable> {
        let message = Self::parse(scan(bytes)?, default_charset, origin)?;
        let at_msh = |what, hint| Err(Unreadable { segment: 1, byte: super::scan::leading(bytes), what, hint });
        for (number, what) in MSH_NEEDED {
            let raw = message.msh().field(number).raw().trim();
            if raw.is_empty() || raw == "\"\"" {
                return at_msh(what, "the message is cut short, or its sender does not fill the field");
            }
        }
        if message.segments.len() == 1 {
            return at_msh("no segment after MSH", "the message is cut short");
        }
        Ok(message)
    }

    fn parse(mut scan: Scan, default_charset: Charset, origin: Origin) -> Result<Self, Unreadable> {
        let charset = charset_of(&mut scan, default_charset)?;
        // What we made is in the set that it says.
        if let Some(byte) = utf8_in(charset, &scan).filter(|_| origin == Origin::Theirs) {
            let (segment, byte) = scan.locate(byte);
            let what = "bytes that are UTF-8, in a message that says (or is taken) to be in a character set of one byte a letter";
            let hint = "the sender's MSH-18 is wrong: read as it says, letters become other letters; ask for MSH-18 UNICODE UTF-8";
            return Err(Unreadable { segment, byte, what, hint });
        }
        Self::parse_as(scan, charset, origin)
    }

    /// Parses without asking anything of MSH but its delimiters: replies are judged by MSA alone.
    pub(super) fn parse_as(scan: Scan, charset: Charset, origin: Origin) -> Result<Self, Unreadable> {
        let mut notes = scan.notes;
        let decoded = charset.decode(&scan.normal).map_err(|e| {
            let (segment, byte) = scan.locate(e.byte);
            Unreadable { segment, byte, what: "bytes that are not text in the message's character set", hint: e.hint }
        })?;
        notes.charset_assumed_windows_1252 = decoded.assumed_windows_1252;
        let text = decoded.text.into_owned();
        let (segments, fields) = parted(&text, &scan);
        if origin == Origin::Theirs || cfg!(debug_assertions) {
            agreed(&text, &scan, &segments, &fields)?;
        }
        Ok(Self {
            text,
            segments,
            fields,
            encoding_characters: scan.delimiters.encoding_characters(),
            delimiters: scan.delimiters,
            charset,
            set_aside: scan.set_aside,
            notes,
            passed_over: Vec::new(),
        })
    }

    /// The same message, read as if these repetitions of it had not been sent.
    pub fn without(&self, repeats: &[Repeat<'_>]) -> Self {
        let passed_over = repeats.iter().filter_map(|repeat| self.range_of(repeat.raw())).collect();
        Self { passed_over, ..self.clone() }
    }

    /// Where a part of this very text begins and ends.
    fn range_of(&self, part: &str) -> Option<(usize, usize)> {
        let start = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        let end = start.checked_add(part.len()).filter(|end| *end <= self.text.len())?;
        (start < end).then_some((start, end))
    }

    fn passes_over(&self, part: &str) -> bool {
        !self.passed_over.is_empty() && self.range_of(part).is_some_and(|range| self.passed_over.contains(&range))
    }

    /// The segments in the order sent.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_>> + Clone {
        (0..self.segments.len()).map(|index| Segment { message: self, index })
    }

    /// The segments with this id, in the order sent.
    pub fn segments_named<'m>(&'m self, id: &'m str) -> impl Iterator<Item = Segment<'m>> + Clone {
        self.segments().filter(move |segment| segment.id() == id)
    }

    pub fn msh(&self) -> Segment<'_> {
        Segment { message: self, index: 0 }
    }

    /// Lines that are no segment. Not part of the message; never to be ignored.
    pub fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }

    /// What was put right or assumed while reading.
    pub fn notes(&self) -> Notes {
        self.notes
    }

    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The character set the text was decoded from.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// Undoes the escapes of a raw text of this message.
    pub fn unescape<'t>(&self, raw: &'t str) -> Unescaped<'t> {
        escape::unescape(raw, &self.delimiters, self.charset)
    }

    fn reading<'m>(&'m self, raw: &'m str) -> Reading<'m> {
        match raw {
            "" => Reading::Absent,
            "\"\"" => Reading::Null,
            _ => Reading::Value(self.unescape(raw).text),
        }
    }
}

/// Shows sizes only.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.text.len())
            .field("segments", &self.segments.len())
            .field("set_aside", &self.set_aside.len())
            .field("charset", &self.charset)
            .finish_non_exhaustive()
    }
}

fn charset_of(scan: &mut Scan, default: Charset) -> Result<Charset, Unreadable> {
    let msh = scan.normal.split(|b| *b == b'\r').next().unwrap_or_default();
    // MSH-1 is the first separator itself, so the nth field stands after n - 1 separators.
    let raw = msh.split(|b| *b == scan.delimiters.field).nth(17).unwrap_or_default();
    let repetition = char::from(scan.delimiters.repetition);
    let name = std::str::from_utf8(raw).unwrap_or("not text");
    scan.notes.charset_several = name.split(repetition).filter(|part| !part.trim().is_empty()).count() > 1;
    match Declared::parse(name, repetition) {
        Declared::Known(charset) => Ok(charset),
        Declared::Nothing => Ok(default),
        Declared::Unknown => {
            scan.notes.charset_unknown = true;
            Ok(default)
        }
        Declared::Wide => {
            let what = "MSH-18 names a character set of two or four bytes a character";
            Err(Unreadable { segment: 1, byte: 0, what, hint: "ask the sender for UNICODE UTF-8" })
        }
    }
}

/// Where the first separator behind a segment's id stands; in MSH behind MSH-2, which is four characters by now.
const BEHIND_ID: usize = 3;
const BEHIND_MSH_2: usize = 8;

/// Each line a segment, its fields end to end.
fn parted(text: &str, scan: &Scan) -> (Vec<Span>, Vec<Range<u32>>) {
    let mut spans = Vec::with_capacity(scan.lines.len());
    let mut fields: Vec<Range<u32>> = Vec::with_capacity(scan.lines.len() * 16);
    let mut start = 0;
    for (line, of_scan) in text.split('\r').zip(&scan.lines) {
        let first = fields.len();
        let behind = if start == 0 { BEHIND_MSH_2 } else { BEHIND_ID };
        let rest = line.as_bytes().get(behind..).unwrap_or_default();
        let mut begun = None;
        for at in memchr::memchr_iter(scan.delimiters.field, rest).chain([rest.len()]) {
            let at = start + behind + at;
            fields.extend(begun.map(|from| narrow(from)..narrow(at)));
            begun = Some(at + 1);
        }
        spans.push(Span {
            start: narrow(start),
            line: narrow(of_scan.number),
            fields: narrow(first)..narrow(fields.len()),
        });
        start += line.len() + 1;
    }
    (spans, fields)
}

/// Where a field is UTF-8 in a message of letters of one byte each. Each by itself: an engine that puts two sources together changes neither's letters, and
/// one £ of the one source is not to hide the other's names. A segment of the sender's own counts only where all of the message is.
fn utf8_in(charset: Charset, scan: &Scan) -> Option<usize> {
    let mut start = 0;
    let in_segment = scan.normal.split(|b| *b == b'\r').find_map(|segment| {
        let mut at = start;
        start += segment.len() + 1;
        let mut fields = segment.split(|b| *b == scan.delimiters.field).map(|field| {
            let begins = at;
            at += field.len() + 1;
            Some(begins + charset.looks_like_utf8(field)?)
        });
        if segment.starts_with(b"Z") { None } else { fields.find_map(|found| found) }
    });
    in_segment.or_else(|| charset.looks_like_utf8(&scan.normal))
}

/// Whether hl7-parser finds the same segments, and in each the same fields.
fn agreed(text: &str, scan: &Scan, spans: &[Span], fields: &[Range<u32>]) -> Result<(), Unreadable> {
    let lost = |index: usize| {
        let (segment, byte) = scan.lines.get(index).map_or((0, 0), |line| scan.locate(line.start));
        let hint = "keep the message and report it: the parser and its guard disagree";
        Unreadable { segment, byte, what: "the parser did not return this segment whole", hint }
    };
    // The parser's own error quotes the message, so nothing of it is kept.
    let tree = hl7_parser::Message::parse(text).map_err(|_| lost(0))?;
    if tree.segments.len() != spans.len() || spans.len() != scan.lines.len() {
        return Err(lost(spans.len()));
    }
    let lines = text.split('\r').zip(spans).zip(&tree.segments);
    for (index, ((line, span), segment)) in lines.enumerate() {
        let same = segment.raw_value() == line
            && segment.range.start == span.start as usize
            && line.get(..3).is_some_and(|id| segment.name == id);
        // MSH-1 and MSH-2 are not parted by separators, and are kept apart for that; where nothing follows hl7-parser makes an empty field of that.
        let apart = match index {
            0 if line.len() == BEHIND_MSH_2 => 3,
            0 => 2,
            _ => 0,
        };
        let theirs = segment.fields.iter().skip(apart);
        let theirs = theirs.map(|field| (field.range.start, field.range.end));
        let ours = &fields[span.fields.start as usize..span.fields.end as usize];
        if !same || !theirs.eq(ours.iter().map(|f| (f.start as usize, f.end as usize))) {
            return Err(lost(index));
        }
    }
    Ok(())
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("a message of 4 MiB is at most 12 MiB of text")
}

/// One segment.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    message: &'m Message,
    index: usize,
}

/// One field, repetition or component: a stretch of raw text. `Debug` shows its length only.
#[derive(Clone, Copy)]
pub struct Raw<'m> {
    message: &'m Message,
    raw: &'m str,
}

/// A field. Fields a segment does not have are empty.
#[derive(Debug, Clone, Copy)]
pub struct Field<'m> {
    raw: Raw<'m>,
    /// MSH-1 and MSH-2 are made of delimiters and are never parted.
    whole: bool,
}

/// One repetition of a field.
#[derive(Debug, Clone, Copy)]
pub struct Repeat<'m>(Raw<'m>, bool);

/// One component of a repetition.
#[derive(Debug, Clone, Copy)]
pub struct Component<'m>(Raw<'m>, bool);

impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.raw.len())
    }
}

impl std::fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({} at line {}, {} fields)", self.id(), self.line(), self.field_count())
    }
}

impl<'m> Segment<'m> {
    fn span(&self) -> &'m Span {
        &self.message.segments[self.index]
    }

    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// Three capitals or digits.
    pub fn id(&self) -> &'m str {
        let start = self.span().start as usize;
        &self.message.text[start..start + 3]
    }

    /// The line it stands on, counted from 1 without blank lines: the number that [`Unreadable`] and [`SetAside`] use.
    pub fn line(&self) -> usize {
        self.span().line as usize
    }

    /// Place among the segments, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of the last field sent, empty or not.
    pub fn field_count(&self) -> usize {
        self.span().fields.len() + if self.index == 0 { 2 } else { 0 }
    }

    /// Field `number`, counted as HL7 does: from 1, and MSH-1 is the field separator itself.
    pub fn field(&self, number: usize) -> Field<'m> {
        let message = self.message;
        let (raw, whole) = match (self.index, number) {
            (_, 0) => ("", false),
            (0, 1) => (&message.text[3..4], true),
            (0, 2) => (message.encoding_characters.as_str(), true),
            (0, n) => (self.nth(n - 3), false),
            (_, n) => (self.nth(n - 1), false),
        };
        Field { raw: Raw { message, raw }, whole }
    }

    fn nth(&self, offset: usize) -> &'m str {
        let span = self.span();
        let fields = &self.message.fields[span.fields.start as usize..span.fields.end as usize];
        fields.get(offset).map_or("", |f| &self.message.text[f.start as usize..f.end as usize])
    }
}

impl<'m> Raw<'m> {
    fn with(self, raw: &'m str) -> Self {
        Self { message: self.message, raw }
    }

    fn split(self, delimiter: Option<u8>) -> impl Iterator<Item = Self> + Clone {
        // Every delimiter is one byte; a NUL never occurs, so a missing one parts nothing.
        self.raw.split(char::from(delimiter.unwrap_or(0))).map(move |raw| self.with(raw))
    }

    fn nth(self, delimiter: Option<u8>, number: usize) -> Self {
        number.checked_sub(1).and_then(|n| self.split(delimiter).nth(n)).unwrap_or_else(|| self.with(""))
    }
}

impl<'m> Field<'m> {
    /// As sent, escapes and delimiters included.
    pub fn raw(&self) -> &'m str {
        self.raw.raw
    }

    /// The whole field as one text: right for text and simple fields; delimiters that stand in it unescaped stay in it.
    pub fn reading(&self) -> Reading<'m> {
        self.raw.message.reading(self.raw.raw)
    }

    /// At least one, if only an empty one; none where all that were sent are passed over.
    pub fn repeats(&self) -> impl Iterator<Item = Repeat<'m>> + Clone + use<'m> {
        let (delimiter, whole) = (self.raw.message.delimiters.repetition, self.whole);
        let counts = |raw: &Raw<'m>| !raw.message.passes_over(raw.raw);
        self.raw.split((!whole).then_some(delimiter)).filter(counts).map(move |raw| Repeat(raw, whole))
    }
}

impl<'m> Repeat<'m> {
    /// As sent.
    pub fn raw(&self) -> &'m str {
        self.0.raw
    }

    /// The whole repetition as one text.
    pub fn reading(&self) -> Reading<'m> {
        self.0.message.reading(self.0.raw)
    }

    /// Component `number`, counted from 1; empty if there is none.
    pub fn component(&self, number: usize) -> Component<'m> {
        let delimiter = self.0.message.delimiters.component;
        Component(self.0.nth((!self.1).then_some(delimiter), number), self.1)
    }
}

impl<'m> Component<'m> {
    /// As sent.
    pub fn raw(&self) -> &'m str {
        self.0.raw
    }

    /// The whole component as one text.
    pub fn reading(&self) -> Reading<'m> {
        self.0.message.reading(self.0.raw)
    }

    /// Subcomponent `number`, counted from 1.
    pub fn subcomponent(&self, number: usize) -> Reading<'m> {
        let delimiter = self.0.message.delimiters.subcomponent.filter(|_| !self.1);
        self.0.message.reading(self.0.nth(delimiter, number).raw)
    }
}

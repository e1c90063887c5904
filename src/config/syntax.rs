//! What is wrong with a text that is not TOML: each slip once, where it is, and what to write instead.
//!
//! A bracket that is not closed makes nonsense of everything after it, so a parser's own list tells one slip a hundred times. Here the text is
//! cut where something new begins beyond doubt, at a `[header]` and, behind a slip, at the next setting that begins a line, and of each piece
//! only the first fault counts. So two slips in two places are told at once, and neither tells of the other.

use std::ops::Range;
use toml::de::DeTable;

/// One slip.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// From the beginning of the text, in bytes.
    pub offset: usize,
    pub what: String,
    pub hint: String,
}

/// All of them in the order of the text; none where it is TOML.
pub(super) fn slips(text: &str) -> Vec<Slip> {
    let (_, whole) = DeTable::parse_recoverable(text);
    if whole.is_empty() {
        return Vec::new();
    }
    let blocks = blocks(text);
    let mut found: Vec<Slip> = blocks.iter().flat_map(|block| in_block(text, block.clone())).collect();
    // A key or a table that stands twice shows only in the whole; behind a slip the whole is not to be trusted.
    let trusted = found.first().map_or(text.len(), |slip| {
        blocks.iter().find(|block| block.contains(&slip.offset)).map_or(0, |block| block.start)
    });
    let before = |e: &&toml::de::Error| found.is_empty() || e.span().is_some_and(|span| span.start < trusted);
    let mut slips: Vec<Slip> = whole.iter().filter(before).map(|e| slip(text, 0, text.len(), e)).collect();
    slips.append(&mut found);
    slips.sort_by_key(|slip| slip.offset);
    slips
}

/// From one `[header]` to the next. A line inside a text of several lines is none.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut cuts = vec![0];
    let (mut at, mut in_text) = (0, false);
    for line in text.split_inclusive('\n') {
        if !in_text && at > 0 && is_header(line) {
            cuts.push(at);
        }
        if (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1 {
            in_text = !in_text;
        }
        at += line.len();
    }
    let ends = cuts.iter().copied().skip(1).chain([text.len()]);
    cuts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// `[server]`, `[[endpoint.listen.accept]]`, also one that lost a bracket.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().trim_end();
    let Some(name) = line.strip_prefix('[') else { return false };
    let name = name.strip_prefix('[').unwrap_or(name);
    let name = name.trim_end_matches(']').trim();
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_of_key)
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// The key of a setting that begins a line.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim_end();
    (!key.is_empty() && key.chars().all(is_of_key)).then_some(key)
}

fn in_block(text: &str, block: Range<usize>) -> Vec<Slip> {
    let mut found = Vec::new();
    let mut start = block.start;
    while start < block.end {
        let (_, errors) = DeTable::parse_recoverable(&text[start..block.end]);
        let Some(first) = errors.iter().min_by_key(|e| e.span().map_or(0, |span| span.start)) else { break };
        let slip = slip(text, start, block.end, first);
        let behind = next_setting(text, slip.offset, block.end);
        found.push(slip);
        start = behind.max(start + 1);
    }
    found
}

/// Where the next line after `offset` begins a setting.
fn next_setting(text: &str, offset: usize, end: usize) -> usize {
    let mut at = line_around(text, offset).end;
    while at < end {
        let line = line_around(text, at);
        if key_of(&text[line.clone()]).is_some() {
            return at;
        }
        at = line.end.max(at + 1);
    }
    end
}

/// With the newline that ends it.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |n| n + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |n| offset + n + 1);
    start..end
}

/// `start..end` is the piece that was parsed.
fn slip(text: &str, start: usize, end: usize, error: &toml::de::Error) -> Slip {
    let said = error.message();
    let at = error.span().map_or(start, |span| start + span.start).min(end.saturating_sub(1));
    // At the end of a piece, what is missing is missing behind its last word.
    let behind = (at + 1..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
    let offset = text[start..behind].trim_end().char_indices().next_back().map_or(start, |(last, _)| start + last);
    let what = format!("this is not TOML: {}", said.lines().collect::<Vec<_>>().join(", "));
    let line = text[line_around(text, offset)].trim();
    let hint = match begun_before(text, start, offset) {
        Some((key, number)) => format!("{INSIDE}; it is inside {key}, which begins in line {number}"),
        None => hint(said, line).to_owned(),
    };
    Slip { offset, what, hint }
}

/// The setting that holds this place, where it began on another line.
fn begun_before(text: &str, start: usize, offset: usize) -> Option<(&str, usize)> {
    let here = line_around(text, offset).start;
    let mut line = here..here;
    while line.start > start {
        line = line_around(text, line.start - 1);
        if let Some(key) = key_of(&text[line.clone()]) {
            let number = text[..line.start].matches('\n').count() + 1;
            return (depth(&text[line.start..here]) > 0).then_some((key, number));
        }
        if is_header(&text[line.clone()]) {
            return None;
        }
    }
    None
}

/// How many more brackets are opened in it than closed, those in texts and remarks apart.
fn depth(text: &str) -> i32 {
    let (mut depth, mut quote) = (0i32, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            // A text of one line ends with it, closed or not.
            (_, '\n') => quote = None,
            (Some('"'), '\\') => drop(chars.next()),
            (Some('#'), _) => {}
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '#') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, _) => {}
        }
    }
    depth
}

/// Of a list or a table in braces.
const INSIDE: &str = "look for a comma lost between two elements, or for a ] or } lost at the end";

/// `said`: the parser's words. Nothing of the line is repeated: it may hold a secret.
fn hint(said: &str, line: &str) -> &'static str {
    let has = |word: &str| said.contains(word);
    if line.contains(['\u{201C}', '\u{201D}', '\u{201E}', '\u{2018}', '\u{2019}']) {
        "these are a word processor's quotes: write straight ones, \""
    } else if has("escape") {
        "a \\ in a text has to stand twice, or write the text in '…', or a path with /"
    } else if line.ends_with('=') {
        "write a value after ="
    } else if is_header(line) || has("table,") || has("unclosed table") {
        "a header is [name], or [[name]] for one of several: as many brackets behind the name as before it"
    } else if has("duplicate") {
        "it stands twice: remove one of the two"
    } else if (has("expected `=`") || has("unquoted key")) && line.contains(':') {
        "write key = value, with = instead of :"
    } else if has("unquoted key") {
        "a key is made of letters, figures, - and _"
    } else if has("expected `=`") {
        "write key = value; a remark begins with #"
    } else if has("comma") || has("array") || has("inline table") {
        INSIDE
    } else if has("quote") || has("string") {
        "text stands between two quotes: key = \"text\""
    } else if depth(line) != 0 {
        INSIDE
    } else if has("newline") {
        "one setting a line; text stands between two quotes, and a remark begins with #"
    } else {
        "check quotes, brackets and equals signs here and in the line before"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
list = [\"a\"]

[[one]]
id = \"one-1\"
teams = [
    { id = \"a\", name = \"A\" },
    { id = \"b\", name = \"B\" },
]
file = \"x.csv\"
days = [{ days = [\"sun\"], from = \"22:00\" }]

[one.part]
address = \"h:1\"
count = 3

[[one]]
id = \"one-2\"
count = 4
text = \"\"\"
[header]
\"\"\"
";

    fn told(text: &str) -> Vec<(usize, String)> {
        slips(text).into_iter().map(|s| (text[..s.offset].matches('\n').count() + 1, s.hint)).collect()
    }

    #[test]
    fn good_toml_has_no_slip() {
        assert_eq!(slips(GOOD), Vec::new());
    }

    #[test]
    fn each_slip_is_told_once_where_it_is_with_what_to_write() {
        for (good, bad, line, hint) in [
            ("[[one]]\nid = \"one-1\"", "[[one]\nid = \"one-1\"", 3, "as many brackets"),
            ("[[one]]\nid = \"one-1\"", "[[one\nid = \"one-1\"", 3, "as many brackets"),
            ("[one.part]", "[one.part", 12, "as many brackets"),
            ("\"one-1\"", "\"one-1", 4, "between two quotes"),
            ("\"one-1\"", "one-1\"", 4, "between two quotes"),
            ("\"one-1\"", "one-1", 4, "between two quotes"),
            ("\"one-1\"", "\u{201C}one-1\u{201D}", 4, "straight ones"),
            ("\"one-1\"", "", 4, "a value after ="),
            ("\"one-1\"", "\"C:\\drive\"", 4, "stand twice"),
            ("id = \"one-1\"", "id \"one-1\"", 4, "key = value"),
            ("id = \"one-1\"", "id: \"one-1\"", 4, "instead of :"),
            ("id = \"one-1\"", "oops\nid = \"one-1\"", 4, "key = value"),
            ("id = \"one-1\"", "id = \"one-1\" more", 4, "one setting a line"),
            ("id = \"one-1\"", "id = \"one-1\"\nid = \"one-1\"", 5, "twice"),
            (
                "\"A\" },",
                "\"A\" }",
                7,
                "comma lost between two elements, or for a ] or } lost at the end; it is inside teams, which begins in line 5",
            ),
            ("\"A\" },", "\"A\",", 7, "it is inside teams, which begins in line 5"),
            ("\"a\", name", "\"a\" name", 6, "comma lost"),
            ("},\n]\n", "},\n", 8, "it is inside teams, which begins in line 5"),
            ("\"22:00\" }]", "\"22:00\" }", 10, "] or } lost"),
            ("\"22:00\" }]", "\"22:00\" ]", 10, "] or } lost"),
            ("[\"sun\"]", "[\"sun\"", 10, "] or } lost"),
        ] {
            assert!(GOOD.contains(good), "{good}");
            let text = GOOD.replacen(good, bad, 1);
            let told = told(&text);
            assert_eq!(told.len(), 1, "{bad}: {told:?}");
            assert!(told[0].0 == line && told[0].1.contains(hint), "{bad}: {told:?}");
        }
    }

    #[test]
    fn slips_in_two_places_are_told_at_once() {
        let text = GOOD.replacen("\"one-1\"", "\"one-1", 1).replacen("\"22:00\" }]", "\"22:00\" }", 1);
        let text =
            text.replacen("count = 3", "count 3", 1).replacen("[[one]]\nid = \"one-2\"", "[[one]\nid = \"one-2\"", 1);
        assert_eq!(told(&text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 10, 14, 16]);
    }

    #[test]
    fn a_table_that_stands_twice_is_found_though_each_alone_is_good() {
        assert_eq!(told("[a]\nx = 1\n\n[a]\ny = 1\n").iter().map(|t| t.0).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn damage_of_any_kind_is_told_and_never_by_the_hundred() {
        for (at, c) in GOOD.char_indices() {
            let text = format!("{}{}", &GOOD[..at], &GOOD[at + c.len_utf8()..]);
            let (_, errors) = DeTable::parse_recoverable(&text);
            let told = told(&text);
            assert_eq!(told.is_empty(), errors.is_empty(), "without {c:?} at {at}");
            assert!(told.len() <= 2, "without {c:?} at {at}: {told:?}");
        }
    }
}

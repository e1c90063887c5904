//! What a page template prints: one element a line, `KIND|text`. Values are escaped (`\n`, `\\`), so that no text can begin an element.

/// Looks of an element, from a page template's first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the document is. Exactly one, first.
    Title,
    /// Who it is about: repeated on every page.
    Patient,
    Heading,
    /// A line of ours: a heading's detail.
    Line,
    /// The accepted text: read back and compared.
    Text,
    /// Repeated at the foot of every page.
    Foot,
}

const WORDS: &[(&str, Kind)] = &[
    ("TITLE", Kind::Title),
    ("PATIENT", Kind::Patient),
    ("HEADING", Kind::Heading),
    ("LINE", Kind::Line),
    ("TEXT", Kind::Text),
    ("FOOT", Kind::Foot),
];

/// One element; only a `Text` has several lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    pub kind: Kind,
    pub text: String,
}

impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(..)", self.kind)
    }
}

/// A value inside an element.
pub fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

/// What is wrong with a page template, and what to do. No value is in it.
#[derive(Debug, PartialEq, Eq)]
pub struct NoPage {
    /// The byte of what was printed at which the line begins; none where it is of the whole.
    pub at: Option<usize>,
    pub what: String,
    pub hint: String,
}

impl From<(String, String)> for NoPage {
    fn from((what, hint): (String, String)) -> Self {
        Self { at: None, what, hint }
    }
}

/// The elements of a printed page template; lines that control tags leave blank vanish.
///
/// # Errors
/// What is wrong with the template.
pub fn read(printed: &str) -> Result<Vec<Element>, NoPage> {
    let mut elements = Vec::new();
    let mut at = 0;
    for whole in printed.split('\n') {
        let line = whole.trim_start_matches([' ', '\t']);
        let begins = at + whole.len() - line.len();
        at += whole.len() + 1;
        if line.trim().is_empty() {
            continue;
        }
        elements.push(element(line).map_err(|(what, hint)| NoPage { at: Some(begins), what, hint })?);
    }
    whole(&elements)?;
    Ok(elements)
}

fn element(line: &str) -> Result<Element, (String, String)> {
    let known = line
        .split_once('|')
        .and_then(|(word, text)| WORDS.iter().find(|(w, _)| *w == word).map(|(_, kind)| (*kind, text)));
    let Some((kind, text)) = known else {
        let words: Vec<&str> = WORDS.iter().map(|(w, _)| *w).collect();
        return Err((
            "makes a line that begins with no kind of element".into(),
            format!("begin each line with one of {} and |", words.join(", ")),
        ));
    };
    let Some(text) = unescape(text) else {
        return Err(("holds a \\ that means nothing".into(), "write \\\\ for one, \\n for a line break".into()));
    };
    if kind != Kind::Text && text.contains('\n') {
        return Err((
            format!("prints several lines into {}", word(kind)),
            "only TEXT has several lines; loop over | lines, or use LINE for each".into(),
        ));
    }
    Ok(Element { kind, text })
}

/// What every document has.
fn whole(elements: &[Element]) -> Result<(), (String, String)> {
    let titles = elements.iter().filter(|e| e.kind == Kind::Title).count();
    if titles != 1 || elements.first().is_none_or(|e| e.kind != Kind::Title) {
        return Err(("makes a document without one TITLE at its head".into(), "begin it with TITLE|…".into()));
    }
    if !elements.iter().any(|e| e.kind == Kind::Patient) {
        return Err((
            "makes a document that does not say whom it is about".into(),
            "add PATIENT|…: it stands on every page".into(),
        ));
    }
    if elements.iter().filter(|e| e.kind == Kind::Text).count() > 1 {
        return Err(("makes a document with several TEXTs".into(), "one TEXT holds the accepted text".into()));
    }
    Ok(())
}

fn word(kind: Kind) -> &'static str {
    WORDS.iter().find(|(_, k)| *k == kind).map_or("an element", |(w, _)| w)
}

/// The document as plain text. Line ends are LF.
pub fn plain(elements: &[Element]) -> String {
    let mut out = String::new();
    let mut last = Kind::Title;
    for e in elements.iter().filter(|e| e.kind != Kind::Foot) {
        if !out.is_empty() && (e.kind != last || e.kind == Kind::Heading) {
            out.push('\n');
        }
        last = e.kind;
        out.push_str(&e.text);
        out.push('\n');
        if matches!(e.kind, Kind::Title | Kind::Heading) {
            let rule = if e.kind == Kind::Title { "=" } else { "-" };
            out.push_str(&rule.repeat(e.text.chars().count().min(72)));
            out.push('\n');
        }
    }
    for foot in elements.iter().filter(|e| e.kind == Kind::Foot) {
        out.push('\n');
        out.push_str(&foot.text);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_begin_an_element() {
        let nasty = "first\nTITLE|another\n\\n\\";
        let printed = format!("TITLE|One\nPATIENT|P\nTEXT|{}\n\n", escape(nasty));
        let elements = read(&printed).expect("reads");
        assert_eq!(elements.len(), 3);
        assert_eq!(elements[2].text, nasty);
        assert!(plain(&elements).contains(nasty));
    }

    #[test]
    fn a_page_that_names_no_patient_or_has_two_titles_is_refused() {
        for (printed, word) in [
            ("TITLE|a\nLINE|b", "whom it is about"),
            ("PATIENT|p\nTITLE|a", "TITLE at its head"),
            ("TITLE|a\nTITLE|a\nPATIENT|p", "TITLE at its head"),
            ("TITLE|a\nPATIENT|p\nTEXT|x\nTEXT|y", "several TEXTs"),
            ("TITLE|a\nPATIENT|p\nLINE|x\\ny", "several lines into LINE"),
            ("TITLE|a\nPATIENT|p\nLINE|x\\y", "means nothing"),
            ("TITLE|a\nPATIENT|p\nNOTE|x", "no kind of element"),
        ] {
            let wrong = read(printed).expect_err(printed);
            assert!(wrong.what.contains(word) && !wrong.hint.is_empty(), "{wrong:?}");
            // Of a line of its own it says which; all of these are the last.
            assert!(wrong.at.is_none_or(|at| Some(at) == printed.rfind('\n').map(|n| n + 1)), "{printed}");
        }
    }
}

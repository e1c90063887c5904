//! Texts that people write, with the rules they must keep. None of them prints itself in `Debug`.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A value that never prints itself: patient data must not reach a log through `{:?}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(pub T);

impl From<&str> for Private<String> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<T> std::fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(..)")
    }
}

/// Why a text is refused. Says the rule, never the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenText {
    #[error("is required")]
    Empty,
    #[error("is longer than {0} characters")]
    TooLong(usize),
    #[error("is larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
    #[error("must not hold line breaks")]
    LineBreak,
    #[error("holds the control character U+{code:04X} at character {at}; only tab and line breaks are allowed")]
    ControlCharacter { code: u32, at: usize },
    #[error("holds the control character U+{code:04X} at character {at}; no control characters are allowed")]
    ControlCharacterInLine { code: u32, at: usize },
    #[error("must be printable ASCII without spaces")]
    NotGraphic,
    #[error("must hold a letter or a digit")]
    NoLetter,
}

/// Characters that are no text: C0 and C1 controls other than tab and LF. They would break a message's frame, or be dropped on the way.
fn first_control(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n'))
}

/// Whether a reader sees anything of it: spaces, joiners, marks of direction and fillers show nothing (Unicode, White_Space and Default_Ignorable_Code_Point).
fn shows_something(text: &str) -> bool {
    let is_unseen = |c: char| {
        c.is_whitespace()
            || matches!(c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
    };
    !text.chars().all(is_unseen)
}

/// A text of one line, trimmed, of 1 to `max` characters.
pub fn line(text: &str, max: usize) -> Result<Private<String>, BrokenText> {
    let text = text.trim();
    if !shows_something(text) {
        return Err(BrokenText::Empty);
    }
    if text.chars().count() > max {
        return Err(BrokenText::TooLong(max));
    }
    if text.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
        return Err(BrokenText::LineBreak);
    }
    match text.chars().enumerate().find(|(_, c)| c.is_control()) {
        Some((at, c)) => Err(BrokenText::ControlCharacterInLine { code: c.into(), at: at + 1 }),
        None => Ok(Private(text.to_owned())),
    }
}

/// An identifier: 1 to `max` printable ASCII characters without spaces.
pub fn token(text: &str, max: usize) -> Result<Private<String>, BrokenText> {
    match text {
        "" => Err(BrokenText::Empty),
        t if t.len() > max => Err(BrokenText::TooLong(max)),
        t if !t.bytes().all(|c| c.is_ascii_graphic()) => Err(BrokenText::NotGraphic),
        t => Ok(Private(t.to_owned())),
    }
}

/// The longest note, in characters.
pub const NOTE_MAX_CHARS: usize = 100_000;
/// The largest note, in bytes of UTF-8.
pub const NOTE_MAX_BYTES: usize = 400 * 1024;

/// Text of several lines. CRLF and CR become LF here, once; from then on it is carried exactly or refused.
pub fn paragraphs(text: &str, max_chars: usize) -> Result<Private<String>, BrokenText> {
    if !shows_something(text) {
        return Err(BrokenText::Empty);
    }
    if text.len() > NOTE_MAX_BYTES {
        return Err(BrokenText::TooLarge(NOTE_MAX_BYTES));
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.chars().count() > max_chars {
        return Err(BrokenText::TooLong(max_chars));
    }
    match first_control(&text) {
        Some((at, c)) => Err(BrokenText::ControlCharacter { code: c.into(), at: at + 1 }),
        None => Ok(Private(text)),
    }
}

/// A family name: a line with a letter or a digit in it. Without one it would compare as equal to every other such name.
pub fn family_name(text: &str, max: usize) -> Result<Private<String>, BrokenText> {
    let name = line(text, max)?;
    if folded_name(&name.0).is_empty() { Err(BrokenText::NoLetter) } else { Ok(name) }
}

/// A family name as it is compared: without case, accents, spaces, hyphens and apostrophes, in whatever Unicode form it was typed.
pub fn folded_name(name: &str) -> String {
    // Letters and their accents apart, and what are no accents together again (Unicode Standard Annex 15: NFKD, NFC).
    let apart = name.chars().flat_map(char::to_lowercase).nfkd().flat_map(char::to_lowercase);
    let told = apart.map(|c| if c == 'ς' { 'σ' } else { c }).filter(|c| !is_mark(*c)).nfc();
    told.flat_map(unaccented).filter(|c| c.is_alphanumeric()).collect()
}

/// Accents of Latin, Greek and Cyrillic letters, and letters that stand for an apostrophe (`Oʼ`). Signs of other scripts are letters of a name.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{2b0}'..='\u{36f}')
}

/// Letters that no form of Unicode takes apart, and those of Latin-1, Latin Extended-A and Welsh with their marks taken off; combining marks vanish.
fn unaccented(c: char) -> impl Iterator<Item = char> {
    let plain: &str = match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' | 'ẁ' | 'ẃ' | 'ẅ' => "w",
        'ý' | 'ÿ' | 'ŷ' | 'ỳ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '\u{300}'..='\u{36f}' => "",
        _ => return either(Some(c), ""),
    };
    either(None, plain)
}

fn either(one: Option<char>, many: &'static str) -> impl Iterator<Item = char> {
    one.into_iter().chain(many.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_lf_and_other_control_characters_are_refused() {
        assert_eq!(paragraphs("a\r\nb\rc\td", 99).expect("fine").0, "a\nb\nc\td");
        for bad in ["a\u{b}b", "a\u{1c}b", "\u{0}x", "x\u{7f}", "x\u{85}"] {
            assert!(matches!(paragraphs(bad, 99), Err(BrokenText::ControlCharacter { .. })));
        }
    }

    #[test]
    fn a_line_has_no_control_characters_and_is_not_told_that_a_tab_is_allowed() {
        for bad in ["a\tb", "a\u{7}b", "a\u{85}b"] {
            let why = line(bad, 10).expect_err("a control character").to_string();
            assert!(why.contains("at character 2") && why.ends_with("no control characters are allowed"), "{why}");
        }
        let why = paragraphs("a\u{7}", 10).expect_err("a control character").to_string();
        assert!(why.ends_with("only tab and line breaks are allowed"), "{why}");
    }

    #[test]
    fn what_shows_nothing_is_empty() {
        for unseen in ["\u{200b}", "\u{2060} \u{200b}\n", "\u{feff}", "\u{ad}", "\u{3164}", "\u{e0020}", "\u{a0}"] {
            assert_eq!(paragraphs(unseen, 10), Err(BrokenText::Empty), "{unseen:?}");
            assert_eq!(line(unseen, 10), Err(BrokenText::Empty), "{unseen:?}");
        }
        for seen in ["a\u{200b}", ".", "\u{1f600}", "\u{5d0}"] {
            assert_eq!(line(seen, 10).expect("seen").0, seen);
        }
    }

    #[test]
    fn a_note_has_a_limit_in_characters_and_in_bytes() {
        assert_eq!(paragraphs(&"é".repeat(100), 99), Err(BrokenText::TooLong(99)));
        assert_eq!(paragraphs(&"😀".repeat(103_000), 1_000_000), Err(BrokenText::TooLarge(NOTE_MAX_BYTES)));
    }

    #[test]
    fn names_compare_without_case_accents_spaces_hyphens_and_apostrophes() {
        for (a, b) in
            [("O'Keefe", "okeefe"), ("Llŷr-Jones", "LLYR JONES"), ("Müller", "Mu\u{308}ller"), ("D’Souza", "Dsouza")]
        {
            assert_eq!(folded_name(a), folded_name(b));
        }
        assert_ne!(folded_name("Smith"), folded_name("Smyth"));
    }

    #[test]
    fn a_name_is_the_same_with_and_without_its_accents_and_in_every_form_of_unicode() {
        for (name, plain) in [
            ("Nguyễn", "NGUYEN"),
            ("Trần", "Tran"),
            ("Đặng", "Dang"),
            ("Aḥmad", "Ahmad"),
            ("Ǧabr", "Gabr"),
            ("Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
            ("Йосипенко", "Иосипенко"),
            ("İnönü", "Inonu"),
            ("Ørsted", "Orsted"),
            ("OʼBrien", "O'Brien"),
            ("김", "김"),
            ("𝒮mith", "Smith"),
            ("أحمد", "أحمد"),
        ] {
            for form in [name.nfc().collect::<String>(), name.nfd().collect(), name.to_uppercase()] {
                assert_eq!(folded_name(&form), folded_name(plain), "{form}");
            }
        }
        // Vowel signs are no accents, nor is what makes another sound of a kana.
        assert_ne!(folded_name("राम"), folded_name("रमा"));
        assert_ne!(folded_name("がみ"), folded_name("かみ"));
    }

    #[test]
    fn what_has_no_letter_and_no_digit_is_no_family_name() {
        for bad in ["---", "'", "🙂", "\u{301}"] {
            assert_eq!(family_name(bad, 80), Err(BrokenText::NoLetter), "{bad}");
        }
        for good in ["O", "Ng", "李", "Ó"] {
            assert_eq!(family_name(good, 80).expect("a name").0, good);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", line("Testpatient", 80)), "Ok((..))");
    }
}

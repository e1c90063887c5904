//! Characters to glyphs of the one font we carry. What it cannot show as it should look is refused: never a box, never a question mark.

use std::collections::HashMap;
use std::sync::LazyLock;
use ttf_parser::{Face, GlyphId};
use unicode_normalization::char::{compose, is_combining_mark};

/// DejaVu Sans: Latin with every Welsh letter, Greek, Cyrillic, and the symbols people type. Its licence lies beside it.
pub const FONT: &[u8] = include_bytes!("fonts/DejaVuSans.ttf");

pub static FACE: LazyLock<Face<'static>> = LazyLock::new(|| Face::parse(FONT, 0).expect("the font built in is one"));

/// Written left to right, one shape a letter whatever stands beside it. The font has Arabic and Hebrew too, but those letters join or run
/// the other way: set like this they would be garbled.
const PLAIN: &[std::ops::RangeInclusive<char>] = &[
    '\u{0020}'..='\u{007E}',
    '\u{00A0}'..='\u{02FF}', // Latin, phonetic letters and marks that stand alone
    '\u{0370}'..='\u{0482}', // Greek, Cyrillic
    '\u{048A}'..='\u{052F}',
    '\u{1E00}'..='\u{1FFE}', // Latin and Greek with marks
    '\u{2002}'..='\u{200A}', // spaces
    '\u{2010}'..='\u{2027}', // dashes, quotes, bullets, ellipsis
    '\u{202F}'..='\u{205F}',
    '\u{2070}'..='\u{20BF}', // small figures, currencies
    '\u{2100}'..='\u{27BF}', // letterlike, fractions, arrows, mathematics, boxes, symbols
    '\u{2900}'..='\u{2AFF}',
    '\u{FB00}'..='\u{FB06}', // ligatures
];

/// They show nothing and take no room: break here, do not break here, and the mark some programs put before a text.
const INVISIBLE: [char; 3] = ['\u{200B}', '\u{2060}', '\u{FEFF}'];

/// A tab is as wide as this many spaces.
const TAB_SPACES: u32 = 4;

/// What the font cannot show: the character's number and its place in its text, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoGlyph {
    pub code: u32,
    pub at: usize,
}

/// One piece of text and how it is drawn. In the document it has a number of its own (its CID), so that what is copied out of the document
/// is what was put in, even where two pieces look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// A character, or a letter with its combining marks.
    pub text: String,
    pub glyph: u16,
    /// In thousandths of the type size.
    pub advance: u32,
}

/// Every shape a document uses, numbered from 1 in the order of first use.
#[derive(Debug, Default)]
pub struct Glyphs {
    shapes: Vec<Shape>,
    numbers: HashMap<String, u16>,
}

impl Glyphs {
    /// The shapes of a text of one line, by number.
    ///
    /// # Errors
    /// The first character that cannot be shown.
    pub fn set(&mut self, text: &str) -> Result<Vec<u16>, NoGlyph> {
        let mut numbers = Vec::with_capacity(text.len());
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, first)) = chars.next() {
            let mut piece = String::from(first);
            let mut whole = first;
            while let Some((at, mark)) = chars.next_if(|(_, c)| is_combining_mark(*c)) {
                whole = compose(whole, mark).ok_or(NoGlyph { code: mark.into(), at: at + 1 })?;
                piece.push(mark);
            }
            let refused = NoGlyph { code: first.into(), at: at + 1 };
            numbers.push(self.number(piece, whole).ok_or(refused)?);
        }
        Ok(numbers)
    }

    fn number(&mut self, piece: String, whole: char) -> Option<u16> {
        if let Some(number) = self.numbers.get(&piece) {
            return Some(*number);
        }
        let (glyph, advance) = drawn(whole)?;
        let number = u16::try_from(self.shapes.len() + 1).ok()?;
        self.shapes.push(Shape { text: piece.clone(), glyph: glyph.0, advance });
        self.numbers.insert(piece, number);
        Some(number)
    }

    /// By number, from 1.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    pub fn shape(&self, number: u16) -> &Shape {
        &self.shapes[usize::from(number) - 1]
    }
}

/// The glyph and how far it moves on.
fn drawn(c: char) -> Option<(GlyphId, u32)> {
    let space = FACE.glyph_index(' ')?;
    match c {
        '\t' => Some((space, TAB_SPACES * advance(space)?)),
        c if INVISIBLE.contains(&c) => Some((space, 0)),
        c if PLAIN.iter().any(|r| r.contains(&c)) => {
            let glyph = FACE.glyph_index(c).filter(|g| g.0 != 0)?;
            Some((glyph, advance(glyph)?))
        }
        _ => None,
    }
}

/// In thousandths of the type size, rounded: whole numbers, so that every machine breaks lines at the same place.
fn advance(glyph: GlyphId) -> Option<u32> {
    let em = u32::from(FACE.units_per_em());
    Some((u32::from(FACE.glyph_hor_advance(glyph)?) * 1000 + em / 2) / em)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_here_has_its_shape() {
        let mut glyphs = Glyphs::default();
        let text = "Ŵŵ Ŷŷ ‘single’ “double” – — … • £ € ½ ° é ç ß ẁ ₂ ✓ → Αθήνα Привет\tend";
        let numbers = glyphs.set(text).expect("all of it");
        let back: String = numbers.iter().map(|n| glyphs.shape(*n).text.as_str()).collect();
        assert_eq!(back, text);
        assert!(glyphs.shapes().iter().all(|s| s.glyph != 0));
    }

    #[test]
    fn a_letter_with_its_mark_looks_like_the_whole_letter_and_stays_two_characters() {
        let mut glyphs = Glyphs::default();
        let (apart, whole) = (glyphs.set("w\u{302}").expect("set"), glyphs.set("ŵ").expect("set"));
        assert_eq!((apart.len(), whole.len()), (1, 1));
        assert_ne!(apart, whole, "what is copied out must be what was put in");
        assert_eq!(glyphs.shape(apart[0]).glyph, glyphs.shape(whole[0]).glyph);
        assert_eq!(glyphs.shape(apart[0]).text, "w\u{302}");
    }

    #[test]
    fn what_would_be_garbled_or_a_box_is_refused_with_its_place() {
        for (text, code, at) in [
            ("ok 😀", 0x1F600, 4),
            ("سلام", 0x0633, 1),
            ("a שלום", 0x05E9, 3),
            ("q\u{302}", 0x302, 2),
            ("\u{302}", 0x302, 1),
            ("漢", 0x6F22, 1),
            ("a\u{202E}b", 0x202E, 2),
            ("a\u{200D}b", 0x200D, 2),
            ("\u{E000}", 0xE000, 1),
            ("a\u{7}", 7, 2),
        ] {
            assert_eq!(Glyphs::default().set(text).expect_err(text), NoGlyph { code, at }, "{text}");
        }
    }
}

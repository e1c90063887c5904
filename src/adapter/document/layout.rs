//! Elements to lines to pages. Whole numbers throughout: the same text gives the same page on every machine.

use super::glyphs::{Glyphs, NoGlyph};
use super::page::{Element, Kind};

/// A4, in thousandths of a point.
pub const WIDTH: u32 = 595_276;
pub const HEIGHT: u32 = 841_890;
const MARGIN: u32 = 56_693; // 20 mm
const TOP: u32 = HEIGHT - MARGIN;
/// The foot stands below this.
const BOTTOM: u32 = 70_866;
const ROOM: u32 = WIDTH - 2 * MARGIN;
/// Nobody reads more, and nobody's record takes it.
pub const PAGES_MAX: usize = 500;

/// Why elements do not become pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// In the element of this place.
    NoGlyph {
        element: usize,
        glyph: NoGlyph,
    },
    TooManyPages,
}

/// How an element is set: type size in points, space above in thousandths of a point, bold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub size: u32,
    above: u32,
    pub bold: bool,
}

fn style(kind: Kind) -> Style {
    match kind {
        Kind::Title => Style { size: 16, above: 0, bold: true },
        Kind::Patient => Style { size: 10, above: 2_000, bold: true },
        Kind::Heading => Style { size: 12, above: 10_000, bold: true },
        Kind::Line => Style { size: 10, above: 2_000, bold: false },
        Kind::Text => Style { size: 10, above: 6_000, bold: false },
        Kind::Foot => Style { size: 8, above: 0, bold: false },
    }
}

/// One line on a page: shapes by number, in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the text layer calls it; nothing for what only repeats.
    pub kind: Option<Kind>,
    /// Goes on where the line before ended: the same line of the text.
    pub more: bool,
    pub style: Style,
    pub shapes: Vec<u16>,
    /// From the left and from the bottom of the page, in thousandths of a point.
    pub at: (u32, u32),
}

/// The pages, each with its lines from top to bottom.
///
/// # Errors
/// A character the font lacks, or too many pages.
pub fn pages(elements: &[Element], glyphs: &mut Glyphs) -> Result<Vec<Vec<Line>>, Refused> {
    let head = set(elements, Kind::Patient, glyphs)?;
    let foot = set(elements, Kind::Foot, glyphs)?;
    let mut pages = Pages { pages: vec![Vec::new()], y: TOP };
    for (index, element) in elements.iter().enumerate().filter(|(_, e)| e.kind != Kind::Foot) {
        let style = style(element.kind);
        let mut above = style.above;
        for shapes in lines_of(index, element, glyphs)? {
            for (piece, shapes) in broken(&shapes, style.size, glyphs).into_iter().enumerate() {
                pages.place(Some(element.kind), piece > 0, style, above, shapes, &head);
                above = 0;
                if pages.pages.len() > PAGES_MAX {
                    return Err(Refused::TooManyPages);
                }
            }
        }
    }
    let total = pages.pages.len();
    for (number, page) in pages.pages.iter_mut().enumerate() {
        let style = style(Kind::Foot);
        let count = format!("Page {} of {total}", number + 1);
        let count = glyphs.set(&count).expect("the font has letters and figures");
        let lines = foot.iter().flatten().cloned().chain([count]);
        for (row, shapes) in lines.enumerate() {
            let down = u32::try_from(row).unwrap_or(u32::MAX).saturating_mul(10_000);
            page.push(Line {
                kind: None,
                more: false,
                style,
                shapes,
                at: (MARGIN, (BOTTOM - 24_000).saturating_sub(down)),
            });
        }
    }
    Ok(pages.pages)
}

struct Pages {
    pages: Vec<Vec<Line>>,
    /// The next line's upper edge.
    y: u32,
}

impl Pages {
    fn place(
        &mut self,
        kind: Option<Kind>,
        more: bool,
        style: Style,
        above: u32,
        shapes: Vec<u16>,
        head: &[Vec<Vec<u16>>],
    ) {
        let height = style.size * 1_350;
        // A heading is not left alone at the end of a page.
        let needed = if kind == Some(Kind::Heading) { above + 3 * height } else { above + height };
        if self.y < BOTTOM + needed && self.pages.last().is_some_and(|p| !p.is_empty()) && kind.is_some() {
            self.pages.push(Vec::new());
            self.y = TOP;
            let again = super::layout::style(Kind::Patient);
            for shapes in head.iter().flatten() {
                self.place(None, false, again, 0, shapes.clone(), &[]);
            }
            self.y = self.y.saturating_sub(8_000);
        } else {
            self.y = self.y.saturating_sub(above);
        }
        self.y = self.y.saturating_sub(height);
        let page = self.pages.last_mut().expect("there is a first page");
        page.push(Line { kind, more, style, shapes, at: (MARGIN, self.y) });
    }
}

/// Every line of a kind's elements, broken to fit.
fn set(elements: &[Element], kind: Kind, glyphs: &mut Glyphs) -> Result<Vec<Vec<Vec<u16>>>, Refused> {
    let mut all = Vec::new();
    for (index, element) in elements.iter().enumerate().filter(|(_, e)| e.kind == kind) {
        for shapes in lines_of(index, element, glyphs)? {
            all.push(broken(&shapes, style(kind).size, glyphs));
        }
    }
    Ok(all)
}

/// The element's lines as shapes. A place that is refused is counted through the whole text.
fn lines_of(index: usize, element: &Element, glyphs: &mut Glyphs) -> Result<Vec<Vec<u16>>, Refused> {
    let mut before = 0;
    let mut lines = Vec::new();
    for line in element.text.split('\n') {
        let set = glyphs
            .set(line)
            .map_err(|g| Refused::NoGlyph { element: index, glyph: NoGlyph { at: g.at + before, ..g } })?;
        lines.push(set);
        before += line.chars().count() + 1;
    }
    Ok(lines)
}

/// Breaks a line after spaces, or anywhere where a word alone is too long. Nothing is dropped: the spaces stay at the end of their line.
fn broken(shapes: &[u16], size: u32, glyphs: &Glyphs) -> Vec<Vec<u16>> {
    let mut lines = Vec::new();
    let (mut start, mut width, mut after_space) = (0, 0u32, 0);
    let mut at = 0;
    while at < shapes.len() {
        let shape = glyphs.shape(shapes[at]);
        let space = matches!(shape.text.as_str(), " " | "\t" | "\u{200B}");
        if !space && width + shape.advance * size > ROOM && at > start {
            let end = if after_space > start { after_space } else { at };
            lines.push(shapes[start..end].to_vec());
            (start, at, width) = (end, end, 0);
            continue;
        }
        width += shape.advance * size;
        at += 1;
        if space {
            after_space = at;
        }
    }
    lines.push(shapes[start..].to_vec());
    lines
}

//! Pages to PDF. No clock, no chance: the same elements give the same bytes, as long as the libraries that cut down and compress stay the same.

use super::glyphs::{FACE, FONT, Glyphs};
use super::layout::{HEIGHT, Line, WIDTH};
use super::page::Kind;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, TextRenderingMode, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use subsetter::GlyphRemapper;

/// A subset carries six letters of its own before the name.
const FONT_NAME: Name<'static> = Name(b"IPSDOC+DejaVuSans");
const FONT_IN_PAGE: Name<'static> = Name(b"F");
const ADOBE_IDENTITY: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// What the text layer calls a line; `More` behind it where it goes on.
pub fn tag(kind: Option<Kind>, more: bool) -> &'static str {
    match (kind, more) {
        (None | Some(Kind::Foot), _) => "Artifact",
        (Some(Kind::Title), false) => "Title",
        (Some(Kind::Title), true) => "TitleMore",
        (Some(Kind::Patient), false) => "Patient",
        (Some(Kind::Patient), true) => "PatientMore",
        (Some(Kind::Heading), false) => "Heading",
        (Some(Kind::Heading), true) => "HeadingMore",
        (Some(Kind::Line), false) => "Line",
        (Some(Kind::Line), true) => "LineMore",
        (Some(Kind::Text), false) => "Text",
        (Some(Kind::Text), true) => "TextMore",
    }
}

struct Refs(i32);

impl Refs {
    fn next(&mut self) -> Ref {
        self.0 += 1;
        Ref::new(self.0)
    }
}

/// The bytes of the document.
pub fn write(title: &str, pages: &[Vec<Line>], glyphs: &Glyphs) -> Vec<u8> {
    let mut refs = Refs(0);
    let (catalog, tree, info, font) = (refs.next(), refs.next(), refs.next(), refs.next());
    let mut pdf = Pdf::new();
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr("en-GB"));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    pdf.document_info(info).title(TextStr(title)).producer(TextStr("IPS Bridge"));
    let numbered: Vec<(Ref, Ref)> = pages.iter().map(|_| (refs.next(), refs.next())).collect();
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(numbered.iter().map(|(page, _)| *page)).count(count);
    for (lines, (page, content)) in pages.iter().zip(&numbered) {
        let mut written = pdf.page(*page);
        written.parent(tree).media_box(Rect::new(0.0, 0.0, points(WIDTH), points(HEIGHT))).contents(*content);
        written.resources().fonts().pair(FONT_IN_PAGE, font);
        written.finish();
        let drawn = packed(&draw(lines));
        pdf.stream(*content, &drawn).filter(Filter::FlateDecode);
    }
    embed(&mut pdf, font, &mut refs, glyphs);
    pdf.finish()
}

/// A place on a page is below 2^24 thousandths of a point, which f32 holds exactly.
fn points(thousandths: u32) -> f32 {
    thousandths as f32 / 1000.0
}

fn whole(n: u32) -> f32 {
    n as f32
}

/// As small as it gets: a message with a document in one field has a limit.
fn packed(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, 10)
}

fn draw(lines: &[Line]) -> Vec<u8> {
    let mut content = Content::new();
    for line in lines {
        let bytes: Vec<u8> = line.shapes.iter().flat_map(|s| s.to_be_bytes()).collect();
        content.begin_marked_content(Name(tag(line.kind, line.more).as_bytes()));
        content.begin_text();
        let mode = if line.style.bold { TextRenderingMode::FillStroke } else { TextRenderingMode::Fill };
        content.set_line_width(whole(line.style.size) / 40.0).set_text_rendering_mode(mode);
        content.set_font(FONT_IN_PAGE, whole(line.style.size));
        content.set_text_matrix([1.0, 0.0, 0.0, 1.0, points(line.at.0), points(line.at.1)]);
        content.show(Str(&bytes));
        content.end_text();
        content.end_marked_content();
    }
    content.finish().to_vec()
}

/// The font, cut down to what is used. Each shape has a number of its own in the document, mapped to its glyph and to its text.
fn embed(pdf: &mut Pdf, font: Ref, refs: &mut Refs, glyphs: &Glyphs) {
    let (cid, descriptor, file, unicode, map) = (refs.next(), refs.next(), refs.next(), refs.next(), refs.next());
    let mut kept = GlyphRemapper::new();
    let mut to_glyph = vec![0u8, 0];
    let mut to_unicode = UnicodeCmap::<u16>::new(Name(b"IPS-UCS"), ADOBE_IDENTITY);
    for (number, shape) in (1u16..).zip(glyphs.shapes()) {
        to_glyph.extend(kept.remap(shape.glyph).to_be_bytes());
        to_unicode.pair_with_multiple(number, shape.text.chars());
    }
    let subset = subsetter::subset(FONT, 0, &kept).expect("the font built in can be cut down");
    pdf.type0_font(font)
        .base_font(FONT_NAME)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(unicode);
    let mut described = pdf.cid_font(cid);
    described.subtype(CidFontType::Type2).base_font(FONT_NAME).system_info(ADOBE_IDENTITY).font_descriptor(descriptor);
    described.default_width(0.0).cid_to_gid_map_stream(map);
    described.widths().consecutive(1, glyphs.shapes().iter().map(|s| whole(s.advance)));
    described.finish();
    let em = f32::from(FACE.units_per_em());
    let scale = |n: i16| (f32::from(n) * 1000.0 / em).round();
    let bounds = FACE.global_bounding_box();
    let area = Rect::new(scale(bounds.x_min), scale(bounds.y_min), scale(bounds.x_max), scale(bounds.y_max));
    pdf.font_descriptor(descriptor)
        .name(FONT_NAME)
        .flags(FontFlags::SYMBOLIC)
        .bbox(area)
        .italic_angle(0.0)
        .ascent(scale(FACE.ascender()))
        .descent(scale(FACE.descender()))
        .cap_height(scale(FACE.capital_height().unwrap_or(1493)))
        .stem_v(80.0)
        .font_file2(file);
    let length = i32::try_from(subset.len()).unwrap_or(i32::MAX);
    pdf.stream(file, &packed(&subset)).filter(Filter::FlateDecode).pair(Name(b"Length1"), length);
    let to_unicode = to_unicode.finish();
    let mut written = pdf.cmap(unicode, &to_unicode);
    written.name(Name(b"IPS-UCS")).system_info(ADOBE_IDENTITY);
    written.finish();
    pdf.stream(map, &to_glyph);
}

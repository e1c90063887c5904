//! Bytes to text and back: by MSH-18, else by the endpoint's default; nothing is ever replaced by `?`.

use std::borrow::Cow;

/// A character set an endpoint can use. All of them hold ASCII unchanged, so delimiters are found before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charset {
    Ascii,
    Iso8859_1,
    Iso8859_15,
    Windows1252,
    Utf8,
}

/// What MSH-18 says (HL7 table 0211).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// Empty: the endpoint's default holds.
    Nothing,
    Known(Charset),
    /// A name this table lacks: the endpoint's default holds, and it is counted.
    Unknown,
    /// Two or four bytes a character: delimiters cannot be found, refused.
    Wide,
}

/// Bytes that are not text in their character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {byte} is not {charset}; {hint}")]
pub struct Undecodable {
    /// Offset of the first wrong byte.
    pub byte: usize,
    pub charset: Charset,
    pub hint: &'static str,
}

/// A character the endpoint's character set lacks. Names the character, never the text around it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "character {} ({hint}) does not exist in {charset}; reword it or let the endpoint use UNICODE UTF-8",
    character_index + 1
)]
pub struct Uncarriable {
    /// Counted in characters from 0.
    pub character_index: usize,
    pub charset: Charset,
    /// The kind of character and its code point.
    pub hint: String,
}

/// Decoded text and what had to be assumed for it.
#[derive(Clone)]
pub struct Decoded<'b> {
    pub text: Cow<'b, str>,
    pub charset: Charset,
    /// Bytes 0x80 to 0x9F under 8859/1, where that standard has only controls: read as windows-1252, as senders mean it.
    pub assumed_windows_1252: bool,
}

impl std::fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { text, charset, assumed_windows_1252 } = self;
        f.debug_struct("Decoded")
            .field("bytes", &text.len())
            .field("charset", charset)
            .field("assumed_windows_1252", assumed_windows_1252)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Charset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ascii => "ASCII",
            Self::Iso8859_1 => "8859/1",
            Self::Iso8859_15 => "8859/15",
            Self::Windows1252 => "windows-1252",
            Self::Utf8 => "UNICODE UTF-8",
        })
    }
}

impl Declared {
    /// From MSH-18. Of several repetitions the first counts: it is the message's own, the others serve escapes.
    pub fn parse(msh_18: &str, repetition: char) -> Self {
        let name = msh_18.split(repetition).next().unwrap_or_default().trim();
        if name.is_empty() || name == "\"\"" {
            return Self::Nothing;
        }
        match name.to_ascii_uppercase().as_str() {
            "UNICODE UTF-16" | "UNICODE UTF-32" | "UTF-16" | "UTF-32" => Self::Wide,
            _ => Charset::parse(name).map_or(Self::Unknown, Self::Known),
        }
    }
}

impl Charset {
    /// A name of HL7 table 0211 or a common spelling of one, in any case. `None`: not one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_uppercase().as_str() {
            "ASCII" | "US-ASCII" => Self::Ascii,
            "8859/1" | "ISO-8859-1" | "8859-1" | "ISO8859-1" | "ISO8859/1" | "ISO_8859-1" => Self::Iso8859_1,
            "8859/15" | "ISO-8859-15" | "8859-15" | "ISO8859-15" | "ISO8859/15" | "ISO_8859-15" => Self::Iso8859_15,
            "WINDOWS-1252" | "CP1252" => Self::Windows1252,
            "UNICODE UTF-8" | "UNICODE" | "UTF-8" | "UTF8" => Self::Utf8,
            _ => return None,
        })
    }

    /// What MSH-18 should say; `None` for windows-1252, which HL7 has no name for.
    pub fn hl7_name(self) -> Option<&'static str> {
        match self {
            Self::Ascii => Some("ASCII"),
            Self::Iso8859_1 => Some("8859/1"),
            Self::Iso8859_15 => Some("8859/15"),
            Self::Windows1252 => None,
            Self::Utf8 => Some("UNICODE UTF-8"),
        }
    }

    /// Where UTF-8 begins in a field that is to be read as letters of one byte each. Text that is meant as such is hardly ever UTF-8 from end to end: a single
    /// é that stands before a plain letter is none. What it would be read as shows it too ([`is_meant`]).
    pub fn looks_like_utf8(self, bytes: &[u8]) -> Option<usize> {
        if !matches!(self, Self::Iso8859_1 | Self::Iso8859_15 | Self::Windows1252) || bytes.is_ascii() {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        text.char_indices().find(|(at, c)| !c.is_ascii() && is_meant(text, *at, *c)).map(|(at, _)| at)
    }

    /// The text of `bytes`. A byte without a meaning in this set is an error, never a replacement character.
    pub fn decode(self, bytes: &[u8]) -> Result<Decoded<'_>, Undecodable> {
        let wrong = |byte, hint| Undecodable { byte, charset: self, hint };
        let plain = |text| Decoded { text, charset: self, assumed_windows_1252: false };
        if bytes.is_ascii() {
            return Ok(plain(Cow::Borrowed(std::str::from_utf8(bytes).expect("ASCII is UTF-8"))));
        }
        match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(plain(Cow::Borrowed(text))),
                Err(e) => {
                    Err(wrong(e.valid_up_to(), "the sender's bytes and MSH-18 differ; set the endpoint's charset"))
                }
            },
            Self::Ascii => {
                let byte = bytes.iter().position(|b| !b.is_ascii()).unwrap_or(0);
                Err(wrong(byte, "the sender declares ASCII but sends more; agree on a charset in MSH-18"))
            }
            Self::Iso8859_1 | Self::Windows1252 => {
                // The five bytes windows-1252 leaves undefined; 8859/1 has only controls there.
                if let Some(byte) = bytes.iter().position(|b| matches!(b, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D)) {
                    return Err(wrong(byte, "the byte has no meaning; the text may be UTF-8 or damaged"));
                }
                let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes);
                let assumed_windows_1252 = self == Self::Iso8859_1 && bytes.iter().any(|b| (0x80..=0x9F).contains(b));
                Ok(Decoded { text, charset: self, assumed_windows_1252 })
            }
            Self::Iso8859_15 => {
                if let Some(byte) = bytes.iter().position(|b| (0x80..=0x9F).contains(b)) {
                    return Err(wrong(byte, "the byte is a control character; the text may be windows-1252"));
                }
                let (text, _) = encoding_rs::ISO_8859_15.decode_without_bom_handling(bytes);
                Ok(plain(text))
            }
        }
    }

    /// The bytes of `text`. A character this set lacks is an error: nothing is dropped, replaced or guessed.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, Uncarriable> {
        if self == Self::Utf8 || text.is_ascii() {
            return Ok(text.as_bytes().to_vec());
        }
        text.chars()
            .enumerate()
            .map(|(character_index, c)| {
                self.encode_char(c).ok_or_else(|| Uncarriable { character_index, charset: self, hint: describe(c) })
            })
            .collect()
    }

    fn encode_char(self, c: char) -> Option<u8> {
        if c.is_ascii() {
            return u8::try_from(c).ok();
        }
        if ('\u{80}'..='\u{9F}').contains(&c) {
            return None;
        }
        match self {
            Self::Ascii | Self::Utf8 => None,
            Self::Iso8859_1 => u8::try_from(c).ok(),
            Self::Iso8859_15 => table(encoding_rs::ISO_8859_15, c),
            Self::Windows1252 => table(encoding_rs::WINDOWS_1252, c),
        }
    }
}

fn table(encoding: &'static encoding_rs::Encoding, c: char) -> Option<u8> {
    let mut utf8 = [0; 4];
    let (bytes, _, unmappable) = encoding.encode(c.encode_utf8(&mut utf8));
    match (&*bytes, unmappable) {
        ([byte], false) => Some(*byte),
        _ => None,
    }
}

/// What kind of character it is, for a person who cannot read code points.
fn describe(c: char) -> String {
    let kind = match u32::from(c) {
        0x80..=0x9F => "control character",
        0xA0..=0x24F => "accented letter or sign",
        0x2010..=0x2027 | 0x2030..=0x205E => "typographic mark such as a curly quote or dash",
        0x20A0..=0x20CF => "currency sign",
        0x2600..=0x27BF | 0x1F000..=0x1FAFF => "emoji or symbol",
        _ => "letter or sign outside Western European text",
    };
    format!("{kind}, U+{:04X}", u32::from(c))
}

/// Whether it was this letter that was meant, and not an accented one with a sign behind it, as in `ANDRÉ’S`, `Weiß…` or `Ó’Brien`. In doubt it was: who is
/// refused is told so, and what was read otherwise is a name in the record.
fn is_meant(text: &str, at: usize, c: char) -> bool {
    // `Â’`: the second byte is a quotation mark or a dash of windows-1252.
    if matches!(c, '\u{80}'..='\u{9F}') {
        return false;
    }
    let bytes = text.as_bytes();
    let after = bytes.get(at + c.len_utf8());
    // Two in a row are two letters, not a letter, a sign, a letter and a sign.
    let is_alone =
        at.checked_sub(1).and_then(|i| bytes.get(i)).is_none_or(u8::is_ascii) && after.is_none_or(u8::is_ascii);
    let may_be_two = match bytes.get(at..at + c.len_utf8()) {
        // È to Í, Ò to Ö, Ø to ß: with others before such a sign Greek, Cyrillic, Hebrew, Vietnamese and Romanian letters begin.
        Some([0xC8..=0xCB | 0xCD | 0xD2..=0xD6 | 0xD8..=0xDF, sign]) => follows_a_word(*sign),
        // è and é: `cliché…”`.
        Some([0xE8 | 0xE9, one, two]) => {
            follows_a_word(*one) && follows_a_word(*two) && !after.is_some_and(u8::is_ascii_alphabetic)
        }
        _ => false,
    };
    !(is_alone && may_be_two)
}

/// … ‘ ’ “ ” – — ® ´ ½ and the hard space, in windows-1252.
fn follows_a_word(byte: u8) -> bool {
    matches!(byte, 0x85 | 0x91..=0x94 | 0x96 | 0x97 | 0xA0 | 0xAE | 0xB4 | 0xBD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Charset; 5] =
        [Charset::Ascii, Charset::Iso8859_1, Charset::Iso8859_15, Charset::Windows1252, Charset::Utf8];

    #[test]
    fn msh_18_names_are_read_in_any_case_and_unknown_ones_are_flagged() {
        for (name, expected) in [
            ("ASCII", Declared::Known(Charset::Ascii)),
            ("8859/1", Declared::Known(Charset::Iso8859_1)),
            ("8859/15", Declared::Known(Charset::Iso8859_15)),
            ("unicode utf-8", Declared::Known(Charset::Utf8)),
            ("UNICODE", Declared::Known(Charset::Utf8)),
            ("UTF-8", Declared::Known(Charset::Utf8)),
            ("8859/1~UNICODE UTF-8", Declared::Known(Charset::Iso8859_1)),
            ("", Declared::Nothing),
            ("\"\"", Declared::Nothing),
            ("ISO IR87", Declared::Unknown),
            ("UNICODE UTF-16", Declared::Wide),
        ] {
            assert_eq!(Declared::parse(name, '~'), expected, "{name}");
        }
        for charset in ALL {
            if let Some(name) = charset.hl7_name() {
                assert_eq!(Charset::parse(name), Some(charset));
            }
        }
        for name in ["8859-1", "ISO8859-1", "iso8859/1", "ISO_8859-1"] {
            assert_eq!(Declared::parse(name, '~'), Declared::Known(Charset::Iso8859_1), "{name}");
        }
        assert_eq!(Declared::parse("ISO8859-15", '~'), Declared::Known(Charset::Iso8859_15));
    }

    #[test]
    fn windows_1252_bytes_under_8859_1_are_read_as_their_senders_mean_them_and_flagged() {
        let decoded = Charset::Iso8859_1.decode(b"client\x92s \xA35 \x96 \x80").expect("readable");
        assert_eq!(decoded.text, "client’s £5 – €");
        assert!(decoded.assumed_windows_1252);
        assert!(!Charset::Iso8859_1.decode(b"\xA35").expect("readable").assumed_windows_1252);
        assert_eq!(Charset::Iso8859_1.decode(b"ab\x81").map_err(|e| e.byte).err(), Some(2));
    }

    #[test]
    fn utf_8_under_the_name_of_a_set_of_one_byte_a_letter_is_seen_and_real_text_of_one_is_not() {
        for charset in [Charset::Iso8859_1, Charset::Iso8859_15, Charset::Windows1252] {
            for (text, at) in [
                ("Siân", 2),
                ("José", 3),
                ("Tŷ", 1),
                ("a £5 é", 2),
                ("it’s", 2),
                ("Ł", 0),
                ("£20, 38°", 0),
                ("½ tablet", 0),
                ("a\u{a0}b", 1),
                ("Nguyễn", 4),
                ("Hồ", 1),
                ("HƯNG", 1),
                ("Thơ", 2),
                ("Mureșan", 4),
                ("Ștefan", 0),
                ("Le\u{302}", 2),
                ("W\u{302}yn", 1),
                ("Oʼbrien", 1),
                ("Məmmədov", 1),
                ("Δ", 0),
                ("Ελένη", 0),
                ("Иван", 0),
                ("محمد", 0),
                ("שלום", 0),
                ("李", 0),
                ("😀", 0),
                ("⅓", 0),
                ("score ≥ 15", 6),
            ] {
                assert_eq!(charset.looks_like_utf8(text.as_bytes()), Some(at), "{text}");
            }
            for text in [
                "Siân Müller",
                "José",
                "café £5",
                "NAÏVE",
                "Nº 5",
                "São Paulo – Århus",
                "Ælfric ÖÄÜ",
                "£20",
                "½ tablet, 38°",
                "Â’r",
                "ANDRÉ’S CV",
                "ZOË’S",
                "Ó’Brien",
                "Weiß…",
                "Weiß\u{a0}GmbH",
                "ESMÉ—",
                "cliché…”",
                "CAFÉ½",
                "ANDRÉ®",
                "plain",
            ] {
                let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(text);
                assert_eq!(charset.looks_like_utf8(&bytes), None, "{text}");
            }
        }
        assert_eq!(Charset::Utf8.looks_like_utf8("é".as_bytes()), None);
    }

    #[test]
    fn invalid_utf_8_is_an_error_and_never_mangled() {
        let error = Charset::Utf8.decode(b"M\xFCller").expect_err("not UTF-8");
        assert_eq!(error.byte, 1);
        assert_eq!(Charset::Ascii.decode("Zoë".as_bytes()).map_err(|e| e.byte).err(), Some(2));
    }

    #[test]
    fn what_a_charset_lacks_is_named_by_place_and_code_point_only() {
        let error = Charset::Iso8859_1.encode("Secret 😀").expect_err("no emoji in Latin-1");
        assert_eq!(error.character_index, 7);
        assert!(error.to_string().contains("U+1F600") && !error.to_string().contains("Secret"));
        assert!(Charset::Iso8859_1.encode("it’s").is_err(), "a curly quote is not in 8859/1");
        assert_eq!(Charset::Windows1252.encode("it’s £5 €"), Ok(b"it\x92s \xA35 \x80".to_vec()));
        assert_eq!(Charset::Iso8859_15.encode("€"), Ok(vec![0xA4]));
        assert!(Charset::Ascii.encode("Ŵyn").is_err() && Charset::Iso8859_1.encode("Ŵyn").is_err());
        assert!(Charset::Iso8859_1.encode("a\u{85}").is_err(), "C1 controls would be read as windows-1252");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same_text(text in any::<String>(), latin in "[ -~ -ÿ€’–]{0,40}") {
            for charset in ALL {
                for text in [&text, &latin] {
                    if let Ok(bytes) = charset.encode(text) {
                        prop_assert_eq!(&*charset.decode(&bytes).expect("just encoded").text, text.as_str());
                        prop_assert!(text.contains('?') || !bytes.contains(&b'?'));
                    }
                }
            }
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for charset in ALL {
                let _ = charset.decode(&bytes);
            }
        }
    }
}

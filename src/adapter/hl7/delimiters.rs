//! MSH-1 and MSH-2: the characters that part a message, as its sender declares them.

/// The delimiters of one message. All of them are distinct ASCII punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    pub field: u8,
    pub component: u8,
    pub repetition: u8,
    pub escape: u8,
    /// Absent where MSH-2 has three characters: then components have no parts.
    pub subcomponent: Option<u8>,
    /// MSH-2's fifth character (HL7 2.7 on): marks shortened text, and has the escape `\P\`.
    pub truncation: Option<u8>,
}

/// Why MSH-1 and MSH-2 cannot be used. Static texts: they never hold anything from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {hint}")]
pub struct BadDelimiters {
    pub what: &'static str,
    pub hint: &'static str,
}

impl Delimiters {
    /// `|` and `^~\&`, which every receiver knows.
    pub const STANDARD: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// From MSH-1 and MSH-2, the latter three to five characters long.
    pub fn new(field: u8, encoding: &[u8]) -> Result<Self, BadDelimiters> {
        let [component, repetition, escape, rest @ ..] = encoding else {
            return Err(BadDelimiters {
                what: "MSH-2 has fewer than three characters",
                hint: "ask the sender for the usual ^~\\&",
            });
        };
        if rest.len() > 2 {
            return Err(BadDelimiters {
                what: "MSH-2 has more than five characters",
                hint: "the field after it may have lost its separator",
            });
        }
        let delimiters = Self {
            field,
            component: *component,
            repetition: *repetition,
            escape: *escape,
            subcomponent: rest.first().copied(),
            truncation: rest.get(1).copied(),
        };
        delimiters.check()?;
        Ok(delimiters)
    }

    fn check(&self) -> Result<(), BadDelimiters> {
        let mut seen = [false; 128];
        for c in self.all() {
            // A full stop would make `\.br\` unreadable, a quote the null value "".
            if !c.is_ascii_punctuation() || matches!(c, b'"' | b'.') {
                return Err(BadDelimiters {
                    what: "MSH-1 or MSH-2 holds a character that cannot be a delimiter",
                    hint: "delimiters are punctuation, usually | and ^~\\&",
                });
            }
            if std::mem::replace(&mut seen[usize::from(c)], true) {
                return Err(BadDelimiters {
                    what: "MSH-1 and MSH-2 name the same character twice",
                    hint: "ask the sender for the usual | and ^~\\&",
                });
            }
        }
        Ok(())
    }

    /// Every delimiter, in the order of MSH-1 and MSH-2.
    pub fn all(&self) -> impl Iterator<Item = u8> {
        [self.field, self.component, self.repetition, self.escape]
            .into_iter()
            .chain(self.subcomponent)
            .chain(self.truncation)
    }

    /// MSH-2 as its sender wrote it.
    pub fn encoding_characters(&self) -> String {
        self.all().skip(1).map(char::from).collect()
    }

    /// The letter that stands for `c` between two escape characters, if `c` is a delimiter.
    pub(crate) fn escape_letter(&self, c: u8) -> Option<char> {
        Some(match c {
            c if c == self.field => 'F',
            c if c == self.component => 'S',
            c if c == self.repetition => 'R',
            c if c == self.escape => 'E',
            c if Some(c) == self.subcomponent => 'T',
            c if Some(c) == self.truncation => 'P',
            _ => return None,
        })
    }

    /// The delimiter that an escape's letter stands for; `None` where this message has no such delimiter.
    pub(crate) fn for_letter(&self, letter: u8) -> Option<u8> {
        match letter {
            b'F' => Some(self.field),
            b'S' => Some(self.component),
            b'R' => Some(self.repetition),
            b'E' => Some(self.escape),
            b'T' => self.subcomponent,
            b'P' => self.truncation,
            _ => None,
        }
    }

    /// Exactly four encoding characters for hl7-parser, which takes any fifth for MSH-3 and any field separator for the
    /// fourth. A stand-in for a missing one does no harm: this module parts components itself.
    pub(crate) fn for_parser(&self) -> [u8; 5] {
        let taken = |c: &u8| self.all().any(|d| d == *c);
        let subcomponent = self.subcomponent.unwrap_or_else(|| {
            *b"&$@!%".iter().find(|c| !taken(c)).expect("four delimiters cannot take five characters")
        });
        [self.field, self.component, self.repetition, self.escape, subcomponent]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn msh_2_has_three_to_five_distinct_marks() {
        assert_eq!(Delimiters::new(b'|', b"^~\\&"), Ok(Delimiters::STANDARD));
        let three = Delimiters::new(b'|', b"^~\\").expect("three are allowed");
        assert_eq!((three.subcomponent, three.truncation), (None, None));
        let five = Delimiters::new(b'|', b"^~\\&#").expect("five are allowed");
        assert_eq!(five.truncation, Some(b'#'));
        assert_eq!(five.encoding_characters(), "^~\\&#");
        for wrong in ["", "^~", "^~\\&##", "^^\\&", "|~\\&", "^~\\A", "^~\\ ", "^~\\\"", "^~\\.", "^~\\\u{7}"] {
            assert!(Delimiters::new(b'|', wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(Delimiters::new(b'A', b"^~\\&").is_err());
    }

    #[test]
    fn the_parser_always_sees_four_encoding_characters() {
        let three = Delimiters::new(b'|', b"^~\\").expect("three are allowed");
        assert_eq!(&three.for_parser(), b"|^~\\&");
        let odd = Delimiters::new(b'&', b"$@!").expect("three are allowed");
        assert_eq!(&odd.for_parser(), b"&$@!%");
        let five = Delimiters::new(b'|', b"^~\\&#").expect("five are allowed");
        assert_eq!(&five.for_parser(), b"|^~\\&");
    }
}

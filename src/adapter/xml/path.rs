//! Paths into XML: which element or attribute, by names and by what they say, never by position.
//!
//! ```text
//! /Envelope/Body/CreateNoteResponse/NoteId     each step a child; a name alone is in any namespace
//! /soap:Envelope/soap:Body/*                   a prefix of [namespaces]; * is any element
//! //Fault/faultcode                            anywhere below; once in a path
//! /Patient/Id[@type='NHS' or @type='NH']       only those of which this holds
//! /Patient/Phone[Use='home'][not(Ended)]/@id   several conditions; an attribute ends the path
//! ./Value                                      from the element an [each] stands on
//! ```

use super::read::{is_name, text_of};
use roxmltree::{Document, Node};
use std::collections::BTreeMap;

/// Longest path, in bytes; steps of one; what stands in one condition.
const PATH_BYTES_MAX: usize = 500;
const STEPS_MAX: usize = 32;
/// Elements one path may give.
const FOUND_MAX: usize = 1_000;

/// Prefixes that a pack's paths use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeMap<String, String>);

impl Namespaces {
    pub fn add(&mut self, prefix: &str, uri: &str) {
        self.0.insert(prefix.into(), uri.into());
    }
}

/// One path, ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    shown: String,
    /// Begins at the element an `[each]` stands on, rather than above the document's root.
    from_element: bool,
    steps: Vec<Step>,
    attribute: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    deep: bool,
    name: Name,
    /// All of these must hold; of each, one.
    when: Vec<Vec<Test>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    /// `None`: in any namespace, or in none.
    space: Option<String>,
    /// `None`: any name.
    local: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    negated: bool,
    /// Children by name, the element itself where there are none.
    steps: Vec<Name>,
    attribute: Option<Name>,
    is: Option<String>,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPath {
    pub what: String,
    /// From 1, in characters.
    pub column: usize,
    pub hint: &'static str,
}

/// Different values stand there, or something that is no single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclear;

/// What a path gives.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a, 'i> {
    Element(Node<'a, 'i>),
    Attribute(&'a str),
}

impl Found<'_, '_> {
    /// As it stands there; `None` for an element that holds others.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Element(element) => text_of(*element),
            Self::Attribute(value) => Some((*value).to_owned()),
        }
    }
}

impl Name {
    fn is_of(&self, space: Option<&str>, local: &str) -> bool {
        self.local.as_deref().is_none_or(|l| l == local) && self.space.as_deref().is_none_or(|s| Some(s) == space)
    }

    fn is_element(&self, node: Node<'_, '_>) -> bool {
        node.is_element() && self.is_of(node.tag_name().namespace(), node.tag_name().name())
    }

    fn attributes<'a>(&self, node: Node<'a, '_>) -> impl Iterator<Item = &'a str> {
        node.attributes().filter(|a| self.is_of(a.namespace(), a.name())).map(|a| a.value())
    }
}

impl Test {
    fn holds(&self, element: Node<'_, '_>) -> bool {
        let mut at = vec![element];
        for name in &self.steps {
            at = at.iter().flat_map(|n| n.children()).filter(|n| name.is_element(*n)).collect();
        }
        let says = |text: Option<String>| match &self.is {
            None => true,
            Some(wanted) => text.is_some_and(|t| t.trim() == wanted),
        };
        let found = match &self.attribute {
            Some(name) => at.iter().flat_map(|n| name.attributes(*n)).any(|v| says(Some(v.to_owned()))),
            None => at.iter().any(|n| says(text_of(*n))),
        };
        found != self.negated
    }
}

impl Path {
    pub fn parse(text: &str, namespaces: &Namespaces) -> Result<Self, BadPath> {
        Parser { text, at: 0, namespaces }.path()
    }

    /// As it was written.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether it leads through an element of this name.
    pub fn is_within(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.name.local.as_deref() == Some(name))
    }

    pub fn is_from_element(&self) -> bool {
        self.from_element
    }

    /// Everything it gives, in the document's order.
    pub fn find<'a, 'i>(
        &self,
        document: &'a Document<'i>,
        element: Option<Node<'a, 'i>>,
    ) -> Result<Vec<Found<'a, 'i>>, String> {
        let start = if self.from_element { element.unwrap_or(document.root()) } else { document.root() };
        let mut at = vec![start];
        for step in &self.steps {
            let fits =
                |n: &Node<'a, 'i>| step.name.is_element(*n) && step.when.iter().all(|c| c.iter().any(|t| t.holds(*n)));
            at = match step.deep {
                // Only one step is deep (see the parser), and what it gives may lie in one another: each once.
                true => {
                    let mut all: Vec<_> = at.iter().flat_map(|n| n.descendants().skip(1)).filter(fits).collect();
                    all.sort_by_key(|n| n.id().get());
                    all.dedup_by_key(|n| n.id().get());
                    all
                }
                false => at.iter().flat_map(|n| n.children()).filter(fits).collect(),
            };
        }
        let found: Vec<Found<'a, 'i>> = match &self.attribute {
            None => at.into_iter().map(Found::Element).take(FOUND_MAX + 1).collect(),
            Some(name) => {
                at.iter().flat_map(|n| name.attributes(*n)).map(Found::Attribute).take(FOUND_MAX + 1).collect()
            }
        };
        if found.len() > FOUND_MAX {
            return Err(format!("gives more than {FOUND_MAX} values"));
        }
        Ok(found)
    }

    /// The texts that stand there, without the space around them; empty ones count as absent.
    pub fn texts<'a, 'i>(
        &self,
        document: &'a Document<'i>,
        element: Option<Node<'a, 'i>>,
    ) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        for found in self.find(document, element)? {
            let text = found.text().ok_or("is not a single value; name an element in it")?;
            if !text.trim().is_empty() {
                texts.push(text.trim().to_owned());
            }
        }
        Ok(texts)
    }

    /// The one text there, untouched; `None` where there is none, more than one, or one with elements in it.
    pub fn exactly_one(&self, document: &Document<'_>) -> Option<String> {
        match self.find(document, None).ok()?.as_slice() {
            [one] => one.text(),
            _ => None,
        }
    }

    /// The one value there, however often it stands. A place that is empty says another thing than one that is not.
    pub fn value(&self, document: &Document<'_>) -> Result<Option<String>, Unclear> {
        let found = self.find(document, None).map_err(|_| Unclear)?;
        let texts: Option<Vec<String>> = found.iter().map(|f| f.text().map(|t| t.trim().to_owned())).collect();
        let mut texts = texts.ok_or(Unclear)?;
        texts.dedup();
        match texts.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone()).filter(|one| !one.is_empty())),
            _ => Err(Unclear),
        }
    }
}

struct Parser<'p> {
    text: &'p str,
    at: usize,
    namespaces: &'p Namespaces,
}

const EXAMPLE: &str = "write it like /Envelope/Body/Note/Id[@type='NHS']; see \"Paths into XML\" in adapters/README.md";

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn bad<T>(&self, what: impl Into<String>, hint: &'static str) -> Result<T, BadPath> {
        Err(BadPath { what: what.into(), column: self.text[..self.at].chars().count() + 1, hint })
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn path(mut self) -> Result<Path, BadPath> {
        if self.text.len() > PATH_BYTES_MAX {
            return self.bad(format!("is longer than {PATH_BYTES_MAX} bytes"), EXAMPLE);
        }
        let from_element = self.take(".");
        let (mut steps, mut attribute, mut deep_before) = (Vec::new(), None, false);
        while !self.rest().is_empty() {
            let deep = self.take("//");
            if !deep && !self.take("/") {
                return self.bad("is not understood", EXAMPLE);
            }
            if deep && deep_before {
                return self.bad("says // a second time", "once in a path is enough; write the steps between");
            }
            deep_before |= deep;
            if self.take("@") {
                attribute = Some(self.name()?);
                if deep || !self.rest().is_empty() {
                    return self.bad("goes on behind an attribute", "an attribute is the last step, behind one /");
                }
                break;
            }
            let name = self.name()?;
            let mut when = Vec::new();
            while self.take("[") {
                when.push(self.condition()?);
            }
            steps.push(Step { deep, name, when });
            if steps.len() > STEPS_MAX {
                return self.bad(format!("has more than {STEPS_MAX} steps"), EXAMPLE);
            }
        }
        if steps.is_empty() && !from_element {
            return self.bad("names nothing", EXAMPLE);
        }
        Ok(Path { shown: self.text.to_owned(), from_element, steps, attribute })
    }

    fn name(&mut self) -> Result<Name, BadPath> {
        let first = self.word()?;
        if !self.take(":") {
            return Ok(Name { space: None, local: (first != "*").then_some(first) });
        }
        let Some(uri) = self.namespaces.0.get(&first).cloned() else {
            let what = format!("has the prefix \"{first}\", which is not declared");
            return self.bad(what, "add it under [namespaces] in adapter.toml, or write the name alone");
        };
        let local = self.word()?;
        Ok(Name { space: Some(uri), local: (local != "*").then_some(local) })
    }

    fn word(&mut self) -> Result<String, BadPath> {
        if self.take("*") {
            return Ok("*".into());
        }
        let end = self.rest().find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
        let word = self.rest()[..end.unwrap_or(self.rest().len())].to_owned();
        if !is_name(&word) {
            return self.bad("a name is missing", EXAMPLE);
        }
        self.at += word.len();
        Ok(word)
    }

    /// What stands between brackets: one or several tests, parted by `or`.
    fn condition(&mut self) -> Result<Vec<Test>, BadPath> {
        const HOW: &str =
            "choose by what it says, never by position: [@type='NHS'], [Use='home' or Use='work'], [not(Ended)]";
        let mut tests = Vec::new();
        loop {
            self.space();
            if self.rest().starts_with(|c: char| c.is_ascii_digit()) || self.rest().starts_with("last(") {
                return self.bad("chooses by position", HOW);
            }
            let negated = self.take("not(");
            let (mut steps, mut attribute) = (Vec::new(), None);
            if !self.take(".") {
                loop {
                    if self.take("@") {
                        attribute = Some(self.name()?);
                        break;
                    }
                    steps.push(self.name()?);
                    if !self.take("/") {
                        break;
                    }
                }
            }
            self.space();
            let is = if self.take("=") { Some(self.quoted()?) } else { None };
            if negated && !self.take(")") {
                return self.bad("not( is not closed", HOW);
            }
            tests.push(Test { negated, steps, attribute, is });
            self.space();
            if self.take("]") {
                return Ok(tests);
            }
            if !self.take("or ") {
                return self.bad("is no condition", HOW);
            }
        }
    }

    fn quoted(&mut self) -> Result<String, BadPath> {
        self.space();
        let quote = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"'));
        let end = quote.and_then(|q| self.rest()[1..].find(q));
        let Some(end) = end else { return self.bad("a quoted value is missing", "write [@type='NHS']") };
        let value = self.rest()[1..=end].to_owned();
        self.at += end + 2;
        Ok(value)
    }
}

//! Which segments may follow which, in the standard's own notation.

/// One element of a structure.
#[derive(Debug, PartialEq, Eq)]
enum Element {
    Segment(String),
    /// `[ ]` and `{ }`; a group is a list of elements.
    Optional(Vec<Element>),
    Repeating(Vec<Element>),
}

/// Where a message leaves its structure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Disorder {
    /// The structure wants this segment before the one at this place (or before the end).
    Missing { at: usize, wanted: String },
    /// The segment at this place has none here.
    Misplaced { at: usize },
}

/// Holds segment ids against a structure. Z segments may stand anywhere.
pub(super) fn check(grammar: &str, ids: &[&str]) -> Result<(), Disorder> {
    let elements = parse(&mut tokens(grammar).into_iter().peekable());
    let kept: Vec<(usize, &str)> = ids.iter().copied().enumerate().filter(|(_, id)| !id.starts_with('Z')).collect();
    let mut at = 0;
    sequence(&elements, &kept, &mut at).map_err(|wanted| match kept.get(at) {
        // A known segment that stands where another is wanted is reported as the other one missing.
        Some((place, _)) => Disorder::Missing { at: *place, wanted },
        None => Disorder::Missing { at: ids.len(), wanted },
    })?;
    match kept.get(at) {
        Some((place, _)) => Err(Disorder::Misplaced { at: *place }),
        None => Ok(()),
    }
}

fn tokens(grammar: &str) -> Vec<String> {
    let mut out = Vec::new();
    for word in grammar.split(' ') {
        let mut id = String::new();
        for c in word.chars() {
            if "[]{}".contains(c) {
                out.extend((!id.is_empty()).then(|| std::mem::take(&mut id)));
                out.push(c.to_string());
            } else {
                id.push(c);
            }
        }
        out.extend((!id.is_empty()).then_some(id));
    }
    out
}

fn parse(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>) -> Vec<Element> {
    let mut elements = Vec::new();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "[" => elements.push(Element::Optional(parse(tokens))),
            "{" => elements.push(Element::Repeating(parse(tokens))),
            "]" | "}" => return elements,
            _ => elements.push(Element::Segment(token)),
        }
    }
    elements
}

/// Takes as many segments as the elements hold, looking one segment ahead: no structure of ours needs more. Fails with the
/// segment that is wanted at `at`.
fn sequence(elements: &[Element], ids: &[(usize, &str)], at: &mut usize) -> Result<(), String> {
    for element in elements {
        match element {
            Element::Segment(id) if ids.get(*at).is_some_and(|(_, found)| found == id) => *at += 1,
            Element::Segment(id) => return Err(id.clone()),
            Element::Optional(group) => {
                if begins(group, ids, *at) {
                    sequence(group, ids, at)?;
                }
            }
            Element::Repeating(group) => {
                sequence(group, ids, at)?;
                while begins(group, ids, *at) {
                    sequence(group, ids, at)?;
                }
            }
        }
    }
    Ok(())
}

/// Whether the segment at `at` can begin the group: it is the group's first one.
fn begins(group: &[Element], ids: &[(usize, &str)], at: usize) -> bool {
    match group.first() {
        Some(Element::Segment(id)) => ids.get(at).is_some_and(|(_, found)| found == id),
        Some(Element::Optional(inner) | Element::Repeating(inner)) => begins(inner, ids, at),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::{Version, grammar};
    use super::*;

    fn ordered(structure: &str, version: Version, ids: &str) -> Result<(), Disorder> {
        let ids: Vec<&str> = ids.split(' ').collect();
        check(&grammar(structure, version).expect("a structure"), &ids)
    }

    #[test]
    fn messages_in_order_pass() {
        for (structure, ids) in [
            ("MDM_T02", "MSH EVN PID PV1 TXA OBX OBX"),
            ("MDM_T02", "MSH ZAA EVN PID ZPI PV1 TXA OBX ZZZ"),
            ("MDM_T01", "MSH EVN PID PV1 TXA"),
            ("RRI_I12", "MSH MSA RF1 PRD PID"),
            (
                "REF_I12",
                "MSH RF1 AUT CTD PRD CTD CTD PRD PID NK1 IN1 IN2 IN1 DG1 PR1 AUT OBR NTE OBX NTE OBX PV1 PV2 NTE NTE",
            ),
            ("ACK", "MSH MSA ERR"),
        ] {
            assert_eq!(ordered(structure, Version::V2_4, ids), Ok(()), "{ids}");
        }
        assert_eq!(
            ordered("MDM_T02", Version::V2_5_1, "MSH SFT EVN PID PV1 ORC TQ1 TQ2 OBR NTE ORC OBR TXA OBX NTE OBX"),
            Ok(())
        );
        assert_eq!(ordered("ACK", Version::V2_5_1, "MSH SFT MSA ERR ERR"), Ok(()));
    }

    #[test]
    fn a_segment_that_is_missing_or_misplaced_is_named() {
        let missing = |at, wanted: &str| Err(Disorder::Missing { at, wanted: wanted.into() });
        assert_eq!(ordered("MDM_T02", Version::V2_4, "MSH EVN PID PV1 TXA"), missing(5, "OBX"));
        assert_eq!(ordered("MDM_T02", Version::V2_4, "MSH PID EVN PV1 TXA OBX"), missing(1, "EVN"));
        assert_eq!(ordered("MDM_T01", Version::V2_4, "MSH EVN PID PV1 TXA OBX"), Err(Disorder::Misplaced { at: 5 }));
        assert_eq!(ordered("REF_I12", Version::V2_4, "MSH EVN RF1 PRD PID"), missing(1, "PRD"));
        assert_eq!(
            ordered("MDM_T02", Version::V2_4, "MSH EVN PID PV1 TXA OBX NTE"),
            Err(Disorder::Misplaced { at: 6 })
        );
        assert_eq!(ordered("ACK", Version::V2_4, "MSH MSA ERR ERR"), Err(Disorder::Misplaced { at: 3 }));
    }
}

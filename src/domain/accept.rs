//! Which of a trust's messages are for us. A trust's feed is about everyone in the trust; what is not ours is not kept.

use super::organisation::TeamId;

/// One rule: the first whose `messages` name a message judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptRule {
    /// As counted and shown.
    pub name: String,
    /// Message types such as `ADT^A31`, or `ADT^*` for all of one code.
    pub messages: Vec<String>,
    /// Only what is about a patient the trust has here. Changes and merges of patients always need one; a referral that makes one need not.
    pub known_patients_only: bool,
    /// Only referrals to these teams; empty: to any.
    pub teams: Vec<TeamId>,
}

/// The rules of one listener. None: everything that the pack reads is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept {
    pub rules: Vec<AcceptRule>,
}

/// What the rules say of a type of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged<'a> {
    /// Taken; by which rule, if there are any.
    Taken(Option<&'a AcceptRule>),
    /// No rule names it.
    Unlisted,
}

impl Accept {
    /// The name under which a message that no rule names is counted.
    pub const UNLISTED: &'static str = "(no rule)";

    /// `message_type` as `ADT^A31`.
    pub fn judge(&self, message_type: &str) -> Judged<'_> {
        if self.rules.is_empty() {
            return Judged::Taken(None);
        }
        let rule = self.rules.iter().find(|r| r.messages.iter().any(|m| names(m, message_type)));
        rule.map_or(Judged::Unlisted, |rule| Judged::Taken(Some(rule)))
    }
}

impl AcceptRule {
    /// A message that names no team is for any.
    pub fn takes_team(&self, team: Option<&str>) -> bool {
        self.teams.is_empty() || team.is_none_or(|team| self.teams.iter().any(|t| t.as_str() == team))
    }
}

/// Whether a rule that lists `pattern` is for this type of message.
pub fn names(pattern: &str, message_type: &str) -> bool {
    match pattern.strip_suffix("^*") {
        Some(code) => message_type.split('^').next() == Some(code),
        None => pattern == message_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, messages: &[&str]) -> AcceptRule {
        AcceptRule {
            name: name.into(),
            messages: messages.iter().map(|m| (*m).to_owned()).collect(),
            known_patients_only: false,
            teams: vec![TeamId::parse("north").expect("a team")],
        }
    }

    #[test]
    fn the_first_rule_that_names_a_message_judges_it_and_one_that_none_names_is_not_ours() {
        let accept = Accept { rules: vec![rule("referrals", &["REF^I12"]), rule("patients", &["ADT^*", "REF^I12"])] };
        let by = |message| match accept.judge(message) {
            Judged::Taken(rule) => rule.map(|r| r.name.as_str()),
            Judged::Unlisted => Some("none"),
        };
        assert_eq!(
            [by("REF^I12"), by("ADT^A31"), by("ADT^A02"), by("ORU^R01"), by("?^?")],
            [Some("referrals"), Some("patients"), Some("patients"), Some("none"), Some("none")]
        );
        assert_eq!(Accept::default().judge("ORU^R01"), Judged::Taken(None));
    }

    #[test]
    fn a_rule_for_teams_takes_what_is_for_them_and_what_names_none() {
        let rule = rule("referrals", &["REF^I12"]);
        assert!(rule.takes_team(Some("north")) && rule.takes_team(None) && !rule.takes_team(Some("south")));
    }
}

//! `[endpoint.ask]`: how the record is asked whether it holds an entry, where `filed_by` or `after_unknown` have it asked.

use super::section::Section;
use super::values::{days, duration, int, minutes, secs, show_duration};
use crate::domain::ask::AskRules;

pub(super) fn read(mut s: Section<'_>) -> AskRules {
    let rules = AskRules {
        first_after: s.or("first_after", "\"5s\"", duration(secs(0)..=minutes(60))),
        again_after: s.or("again_after", "\"60s\"", duration(secs(1)..=days(1))),
        not_found_times: s.or("not_found_times", "3", int(2..=100)),
        not_found_over: s.or("not_found_over", "\"10m\"", duration(secs(1)..=days(7))),
        max_unclear: s.or("max_unclear", "50", int(1..=1000)),
    };
    let asks = rules.again_after.saturating_mul(rules.not_found_times.saturating_sub(1));
    if rules.not_found_over < rules.again_after {
        let what = format!(
            "is {}, shorter than again_after ({}): a record that lists a new document late would be sent it twice",
            show_duration(rules.not_found_over),
            show_duration(rules.again_after)
        );
        s.fault("not_found_over", what, format!("make it at least {}", show_duration(asks)));
    }
    rules
}

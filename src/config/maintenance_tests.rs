use super::*;
use proptest::prelude::*;

fn london(windows: &[(&str, u16, u16)]) -> Maintenance {
    let window = |(days, from, to): &(&str, u16, u16)| {
        let mut on = [false; 7];
        DAYS.iter().filter(|(name, _)| days.contains(name)).for_each(|(_, i)| on[*i] = true);
        Window { days: on, from: *from, to: *to }
    };
    Maintenance {
        time_zone: TimeZone::get("Europe/London").expect("built in"),
        windows: windows.iter().map(window).collect(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

const H: u16 = 60;

#[test]
fn a_window_may_cross_midnight_and_belongs_to_the_day_it_begins_on() {
    let m = london(&[("fri", 22 * H, 4 * H)]);
    // 2026-01-09 is a Friday; winter, so local time is UTC.
    assert_eq!(m.until(at("2026-01-09T21:59:59Z")), None);
    assert_eq!(m.until(at("2026-01-09T22:00:00Z")), Some(at("2026-01-10T04:00:00Z")));
    assert_eq!(m.until(at("2026-01-10T03:59:59Z")), Some(at("2026-01-10T04:00:00Z")));
    assert_eq!(m.until(at("2026-01-10T04:00:00Z")), None);
    assert_eq!(m.until(at("2026-01-10T23:00:00Z")), None, "Saturday night is not Friday night");
    assert_eq!(m.until(at("2026-01-09T03:00:00Z")), None, "neither is Thursday night");
}

#[test]
fn windows_are_in_local_time_summer_and_winter() {
    let m = london(&[("mon tue wed thu fri sat sun", H, 2 * H)]);
    assert_eq!(m.until(at("2026-01-07T01:30:00Z")), Some(at("2026-01-07T02:00:00Z")));
    assert_eq!(m.until(at("2026-07-08T00:30:00Z")), Some(at("2026-07-08T01:00:00Z")));
    assert_eq!(m.until(at("2026-07-08T01:30:00Z")), None);
}

#[test]
fn an_hour_that_comes_twice_is_one_long_window() {
    // 2026-10-25 02:00 BST becomes 01:00 GMT.
    let m = london(&[("sun", H, H + 30)]);
    assert_eq!(m.until(at("2026-10-24T23:59:00Z")), None);
    assert_eq!(m.until(at("2026-10-25T00:00:00Z")), Some(at("2026-10-25T01:30:00Z")));
    assert_eq!(m.until(at("2026-10-25T00:45:00Z")), Some(at("2026-10-25T01:30:00Z")));
    assert_eq!(m.until(at("2026-10-25T01:30:00Z")), None);
}

#[test]
fn an_hour_that_never_comes_is_passed_over() {
    // 2026-03-29 01:00 GMT becomes 02:00 BST.
    let inside = london(&[("sun", H + 10, H + 50)]);
    for now in ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"] {
        assert_eq!(inside.until(at(now)), None, "{now}");
    }
    let begins = london(&[("sun", H + 30, 3 * H)]);
    assert_eq!(begins.until(at("2026-03-29T00:59:59Z")), None);
    assert_eq!(begins.until(at("2026-03-29T01:00:00Z")), Some(at("2026-03-29T02:00:00Z")));
    let ends = london(&[("sun", 0, H + 30)]);
    assert_eq!(ends.until(at("2026-03-29T00:10:00Z")), Some(at("2026-03-29T01:00:00Z")));
}

#[test]
fn windows_without_a_gap_end_together() {
    let m = london(&[("fri", 22 * H, 24 * H), ("sat", 0, 6 * H), ("sat", 5 * H, 8 * H)]);
    assert_eq!(m.until(at("2026-01-09T23:00:00Z")), Some(at("2026-01-10T08:00:00Z")));
}

#[test]
fn a_week_without_an_open_minute_is_found() {
    let all = "mon tue wed thu fri sat sun";
    assert!(never_open(&london(&[(all, 0, 24 * H)]).windows));
    assert!(never_open(&london(&[(all, 22 * H, 10 * H), (all, 10 * H, 22 * H)]).windows));
    assert!(!never_open(&london(&[(all, 1, 24 * H)]).windows));
}

proptest! {
    /// Against the plain reading of the wall clock, away from the hours that come twice.
    #[test]
    fn a_window_holds_exactly_while_the_wall_clock_says_so(from in 0u16..DAY, to in 0u16..=DAY, minute in 0i64..365 * 24 * 60, day in 0usize..7) {
        prop_assume!(from != to);
        let m = london(&[(DAYS[day].0, from, to)]);
        let now = at("2026-01-01T00:00:00Z") + Span::new().minutes(minute);
        let wall = m.time_zone.to_datetime(now);
        let in_the_fold = wall.date() == jiff::civil::date(2026, 10, 25) && (1..=2).contains(&wall.hour());
        prop_assume!(!in_the_fold);
        let today = weekday_index(wall.weekday());
        let clock = u16::try_from(i32::from(wall.hour()) * 60 + i32::from(wall.minute())).expect("small");
        let expected = if to > from {
            today == day && (from..to).contains(&clock)
        } else {
            today == day && clock >= from || today == (day + 1) % 7 && clock < to
        };
        prop_assert_eq!(m.until(now).is_some(), expected, "{} {}", wall, now);
    }
}

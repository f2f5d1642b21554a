//! Days that come back, days that do not, and what is said of the next.
//! Loads are made here, from a seed.

use super::*;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
const START_UP: Duration = Duration::from_secs(30);
/// The mean of half an hour of a working day, from 7 to 21.
const WORK: [f64; 28] = [
    0.41, 0.46, 0.72, 0.95, 1.33, 1.46, 1.47, 1.47, 1.44, 1.40, 1.36, 1.34, 1.30, 1.29, 1.26, 1.26,
    1.22, 1.19, 1.12, 1.01, 0.85, 0.75, 0.65, 0.58, 0.51, 0.47, 0.42, 0.39,
];

/// What a day of work needs in each minute.
fn work(minute: u64) -> f64 {
    let half_hour = (minute % (24 * 60)) / 30;
    let part = half_hour.checked_sub(14).and_then(|n| WORK.get(usize::try_from(n).unwrap()));
    1.0 + 12.0 * part.unwrap_or(&0.1)
}

/// A history of so many days, in which each minute needs what it is told.
fn history(days: u64, needed: impl FnMut(u64) -> f64) -> (History, Time) {
    let mut needed = needed;
    let mut history = History::new();
    for minute in 0..days * 24 * 60 {
        history.push(Time::from_ms(minute * MINUTE_MS), needed(minute));
    }
    (history, Time::from_ms(days * DAY_MS))
}

fn noisy(seed: u64) -> impl FnMut(u64) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |minute| work(minute) * (0.9 + 0.2 * rng.f64())
}

#[test]
fn foretells_a_day_like_those_before() {
    for seed in 1..6 {
        let (history, midnight) = history(4, noisy(seed));
        let at = |hour: u64, minute: u64| midnight + Duration::from_secs(hour * 3600 + minute * 60);
        let night = history.forecast(at(0, 0), START_UP);
        let trust = night.trust.unwrap();
        assert!(trust.error < 0.1, "{trust:?}");
        assert!(trust.missing < trust.missing_reactive, "{trust:?}");
        assert!((2..=3).contains(&night.floor(1.0)), "seed {seed}: {night:?}");
    }
}

#[test]
fn orders_what_is_needed_when_it_would_be_ready() {
    let mut needed = |minute: u64| if minute % (24 * 60) >= 8 * 60 { 10.0 } else { 2.0 };
    let (mut history, midnight) = history(3, &mut needed);
    let at = |minute: u64| midnight + Duration::from_secs(minute * 60);
    let mut floors = Vec::new();
    for minute in 0..9 * 60 {
        history.push(at(minute), needed(minute));
        if minute % 5 == 4 {
            floors.push(history.forecast(at(minute), START_UP).floor(1.0));
        }
    }
    let eight = 8 * 12;
    assert_eq!(floors[eight - 3], 2);
    assert_eq!(floors[eight - 1], 10, "five minutes before eight");
    assert_eq!(floors[eight + 3], 10);
    let slow = history.forecast(at(7 * 60), Duration::from_secs(3600));
    assert_eq!(slow.floor(1.0), 10, "an hour ahead, if a start takes an hour");
    assert_eq!(
        history.forecast(at(7 * 60), Duration::MAX).floor(1.0),
        10,
        "a day is as far as it looks"
    );
}

#[test]
fn a_day_that_grows_is_expected_to_go_on_so() {
    let (mut history, midnight) = history(3, |_| 4.0);
    for minute in 0..120 {
        history.push(midnight + Duration::from_secs(minute * 60), 6.0);
    }
    let now = midnight + Duration::from_secs(7200);
    let forecast = history.forecast(now, START_UP);
    assert_eq!(forecast.expected, Some(6.0));
    // Nothing but the demand itself told of the step, so nothing but the demand is trusted today.
    assert!(matches!(forecast.trust, Err(Distrust::TooLow(_))), "{forecast:?}");
}

#[test]
fn goes_by_the_week_when_days_differ() {
    let weekend = |minute: u64| if minute / (24 * 60) % 7 >= 5 { 1.0 } else { work(minute) };
    // The last day that is known is a Monday of work after a weekend without.
    let (history, midnight) = history(15, weekend);
    let forecast = history.forecast(midnight + Duration::from_secs(10 * 3600), START_UP);
    let trust = forecast.trust.unwrap();
    assert_eq!(trust.season, Season::Week);
    assert!(trust.error < 0.01, "{trust:?}");
}

#[test]
fn says_nothing_before_it_was_tried() {
    let check = |days: u64, expected: Result<(), Distrust>| {
        let (history, now) = history(days, |_| 3.0);
        let forecast = history.forecast(now, START_UP);
        assert_eq!(forecast.trust.map(|_| ()), expected, "after {days} days");
        assert_eq!(forecast.floor(1.0) > 0, expected.is_ok());
    };
    check(0, Err(Distrust::TooShort));
    check(1, Err(Distrust::TooShort));
    check(2, Ok(()));
}

#[test]
fn is_not_trusted_when_days_are_not_alike() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut level = 10.0_f64;
    let (history, now) = history(6, |minute| {
        if minute % 30 == 0 {
            level = 1.0 + 30.0 * rng.f64();
        }
        level
    });
    let forecast = history.forecast(now, START_UP);
    assert!(matches!(forecast.trust, Err(Distrust::Wrong(_))), "{forecast:?}");
    assert_eq!(forecast.floor(1.0), 0);
    assert!(forecast.expected.is_some(), "what it would say can be seen");
}

#[test]
fn is_not_trusted_when_it_would_leave_more_missing() {
    // The same each day but for a fifth more on the last, from its first minute on and off.
    let (history, now) = history(3, |minute| {
        let is_more = minute >= 2 * 24 * 60 && minute / 180 % 2 == 0;
        if is_more { 12.0 } else { 10.0 }
    });
    let forecast = history.forecast(now, START_UP);
    assert!(matches!(forecast.trust, Err(Distrust::TooLow(_))), "{forecast:?}");
}

#[test]
fn a_gap_is_not_known_and_the_rest_is() {
    let mut needed = noisy(9);
    let mut some = History::new();
    for minute in 0..5 * 24 * 60 {
        let is_gap = (minute / 60) % 24 == 3;
        let needed = if is_gap { f64::NAN } else { needed(minute) };
        some.push(Time::from_ms(minute * MINUTE_MS), needed);
    }
    let forecast = some.forecast(Time::from_ms(5 * DAY_MS), START_UP);
    assert!(forecast.trust.is_ok(), "{forecast:?}");
    // Weeks later nothing of it counts.
    some.push(Time::from_ms(40 * DAY_MS), 5.0);
    assert_eq!(some.steps.len(), 1);
    assert_eq!(some.forecast(Time::from_ms(40 * DAY_MS), START_UP).trust, Err(Distrust::TooShort));
}

#[test]
fn what_is_told_later_of_earlier_times_counts_as_well() {
    let all: Vec<(Time, f64)> =
        (0..3 * 24 * 60).map(|minute| (Time::from_ms(minute * MINUTE_MS), work(minute))).collect();
    let now = Time::from_ms(3 * DAY_MS);
    let told = |minutes: &mut dyn Iterator<Item = &(Time, f64)>| {
        let mut history = History::new();
        minutes.for_each(|&(at, asked)| history.push(at, asked));
        (history.known(), history.forecast(now, START_UP))
    };
    let expected = told(&mut all.iter());
    assert_eq!(expected.0, Duration::from_millis(3 * DAY_MS));
    assert_eq!(told(&mut all.iter().rev()), expected);
    // What came since the start, and then the past.
    assert_eq!(told(&mut all[4000..].iter().chain(&all[..4000])), expected);
    // Twice the same is the same.
    assert_eq!(told(&mut all.iter().chain(&all)), expected);
}

#[test]
fn keeps_fifteen_days_and_takes_any_time() {
    let (history, _) = history(40, work);
    assert_eq!(history.steps.len() as u64, STEPS_MAX);
    let mut odd = History::new();
    for at in [0, u64::MAX, 5, u64::MAX - 1] {
        odd.push(Time::from_ms(at), f64::MAX);
        odd.push(Time::from_ms(at), f64::INFINITY);
        assert_eq!(odd.forecast(Time::from_ms(u64::MAX), Duration::MAX).floor(1.0), 0);
        assert_eq!(odd.forecast(Time::from_ms(0), Duration::ZERO).floor(1.0), 0);
    }
}

//! A minute of one service: its seconds as they are kept, and as a trace. No I/O.

use std::fmt::Write as _;

use model::Time;

/// The heading of a trace. What `herder simulate scale` reads stands first.
pub(super) const HEADING: &str = "seconds,arrivals,service_s,in_flight,queued,desired,ready\n";

/// What is kept of one second, in an order that the file's format fixes: second of the minute;
/// hundredths of arrivals and completions per second, of requests in flight and of those that
/// wait; instances desired and ready.
pub(super) type Row = (u8, u32, u32, u32, u32, u16, u16);

/// A minute: its number since 1970, and its seconds in order. A second that is missing had no
/// request; when the whole minute is missing nobody measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    pub(super) number: u64,
    pub(super) rows: Vec<Row>,
}

/// What was measured in one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Second {
    pub(super) arrivals: f64,
    pub(super) completions: f64,
    pub(super) in_flight: f64,
    pub(super) queued: f64,
    pub(super) desired: u32,
    pub(super) ready: u32,
}

impl Minute {
    /// Puts a second where it belongs; a second that was there is replaced.
    pub(super) fn put(&mut self, second: u8, seen: &Second) {
        let row = (
            second,
            hundredths(seen.arrivals),
            hundredths(seen.completions),
            hundredths(seen.in_flight),
            hundredths(seen.queued),
            u16::try_from(seen.desired).unwrap_or(u16::MAX),
            u16::try_from(seen.ready).unwrap_or(u16::MAX),
        );
        match self.rows.binary_search_by_key(&second, |row| row.0) {
            Ok(at) => self.rows[at] = row,
            Err(at) => self.rows.insert(at, row),
        }
    }

    /// Takes over the seconds that another one of the same minute has and this one has not.
    pub(super) fn merge(&mut self, earlier: Vec<Row>) {
        for row in earlier {
            if let Err(at) = self.rows.binary_search_by_key(&row.0, |row| row.0) {
                self.rows.insert(at, row);
            }
        }
    }

    /// Its requests per second. A second that is missing had none.
    #[allow(clippy::cast_possible_truncation)] // hundredths of a request are not missed
    pub(super) fn mean(&self) -> scale::Minute {
        let came: f64 = self.rows.iter().map(|row| f64::from(row.1) / 100.0).sum();
        scale::Minute { at: Time::from_ms(self.number * 60_000), arrivals: (came / 60.0) as f32 }
    }

    /// The mean time of a request over the minute, by Little's law: what was in flight, divided by
    /// what ended. One second says too little for that. None when nothing ended.
    fn service_s(&self) -> Option<f64> {
        let ended: f64 = self.rows.iter().map(|row| f64::from(row.2)).sum();
        let in_flight: f64 = self.rows.iter().map(|row| f64::from(row.3)).sum();
        (ended > 0.0).then_some(in_flight / ended)
    }
}

/// The trace of these minutes, from one second to before another. Where nobody measured, nothing
/// is said to have come.
pub(super) fn trace(minutes: &[Minute], from_s: u64, to_s: u64) -> String {
    let mut text = HEADING.to_owned();
    let mut service_s = None;
    let mut next_s = from_s;
    for minute in minutes {
        service_s = minute.service_s().or(service_s);
        for row in &minute.rows {
            let at_s = minute.number * 60 + u64::from(row.0);
            if !(from_s..to_s).contains(&at_s) {
                continue;
            }
            if at_s > next_s {
                quiet(&mut text, next_s);
            }
            line(&mut text, at_s, row, service_s);
            next_s = at_s + 1;
        }
    }
    if next_s < to_s && next_s > from_s {
        quiet(&mut text, next_s);
    }
    text
}

fn line(text: &mut String, at_s: u64, row: &Row, service_s: Option<f64>) {
    let &(_, arrivals, _, in_flight, queued, desired, ready) = row;
    let [arrivals, in_flight, queued] = [arrivals, in_flight, queued].map(|n| f64::from(n) / 100.0);
    let service_s = service_s.map_or_else(String::new, |s| format!("{s:.4}"));
    // A string takes whatever is written to it.
    writeln!(text, "{at_s},{arrivals},{service_s},{in_flight},{queued},{desired},{ready}").ok();
}

/// Those of which the minutes before and after are known as well: at the end of a time without
/// Herder a minute may be a part of one.
pub(super) fn whole(minutes: &[scale::Minute]) -> Vec<scale::Minute> {
    let follows = |a: &scale::Minute, b: &scale::Minute| b.at.as_ms() - a.at.as_ms() == 60_000;
    let known = minutes.windows(3).filter(|w| follows(&w[0], &w[1]) && follows(&w[1], &w[2]));
    known.map(|w| w[1]).collect()
}

/// From this second on nothing came.
fn quiet(text: &mut String, at_s: u64) {
    writeln!(text, "{at_s},0,,0,0,,").ok();
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, which is meant
fn hundredths(number: f64) -> u32 {
    (number * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(arrivals: f64, in_flight: f64) -> Second {
        Second { arrivals, completions: arrivals, in_flight, queued: 0.5, desired: 3, ready: 2 }
    }

    #[test]
    fn a_trace_has_what_was_put_in_and_says_where_nothing_came() {
        let mut first = Minute { number: 1, rows: Vec::new() };
        first.put(1, &second(8.0, 2.0));
        first.put(0, &second(12.0, 3.0));
        let mut later = Minute { number: 3, rows: Vec::new() };
        later.put(59, &second(0.0, 0.0));
        let minutes = [first, later];
        let check = |from_s, to_s, expected: &str| {
            assert_eq!(trace(&minutes, from_s, to_s), format!("{HEADING}{expected}"));
        };
        let (a, b) = ("60,12,0.2500,3,0.5,3,2\n", "61,8,0.2500,2,0.5,3,2\n");
        let last = "239,0,0.2500,0,0.5,3,2\n";
        check(60, 240, &format!("{a}{b}62,0,,0,0,,\n{last}"));
        check(61, 240, &format!("{b}62,0,,0,0,,\n{last}"));
        check(60, 61, a);
        check(30, 62, &format!("30,0,,0,0,,\n{a}{b}"));
        check(60, 100, &format!("{a}{b}62,0,,0,0,,\n"));
        check(300, 400, "");
    }

    #[test]
    fn what_a_trace_says_the_simulator_reads() {
        let mut minute = Minute { number: 1_000, rows: Vec::new() };
        (0..60).for_each(|at| minute.put(at, &second(f64::from(at), 6.0)));
        let load = scale::simulate::parse("shop", &trace(&[minute], 60_000, 60_060)).unwrap();
        let arrivals: Vec<f64> = load.seconds.iter().map(|second| second.arrivals).collect();
        let expected: Vec<f64> = (0..60).map(f64::from).collect();
        assert_eq!(arrivals, expected);
        assert!((load.seconds[0].service_s - 360.0 / 1770.0).abs() < 1e-4);
    }

    #[test]
    fn a_forecast_hears_of_the_mean_of_a_minute() {
        let mut minute = Minute { number: 7, rows: Vec::new() };
        minute.put(3, &second(90.0, 1.0));
        minute.put(4, &second(30.0, 1.0));
        let expected = scale::Minute { at: Time::from_ms(420_000), arrivals: 2.0 };
        assert_eq!(minute.mean(), expected);
    }

    #[test]
    fn a_part_of_a_minute_is_not_taken_for_a_whole_one() {
        let minute = |number| Minute { number, rows: Vec::new() }.mean();
        let known = [3, 4, 5, 6, 9, 10, 20].map(minute);
        assert_eq!(whole(&known), [4, 5].map(minute));
        assert_eq!(whole(&[]), []);
    }

    #[test]
    fn a_minute_that_was_begun_twice_has_both_parts() {
        let mut minute = Minute { number: 1, rows: Vec::new() };
        minute.put(30, &second(1.0, 1.0));
        let mut earlier = Minute { number: 1, rows: Vec::new() };
        earlier.put(30, &second(5.0, 1.0));
        earlier.put(2, &second(6.0, 1.0));
        minute.merge(earlier.rows);
        let seen: Vec<(u8, u32)> = minute.rows.iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(seen, [(2, 600), (30, 100)]);
    }

    #[test]
    fn numbers_beyond_what_is_kept_are_the_most_that_is() {
        assert_eq!(hundredths(1e12), u32::MAX);
        assert_eq!(hundredths(-1.0), 0);
        assert_eq!(hundredths(f64::NAN), 0);
        assert_eq!(hundredths(0.125), 13);
    }
}

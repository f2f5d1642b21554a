//! A recorded load as text: seconds, arrivals, and what a request took if that was recorded.
//! It reads no file; whoever has one hands in its text.

use std::fmt;

use model::Time;

use crate::simulate::SERVICE_TIME;
use crate::simulate::load::{Arrivals, Load, Second};

/// The longest trace, in seconds: a fortnight.
const LENGTH_MAX_S: usize = 14 * 86_400;
/// The most requests in one second; more take longer to simulate than an answer is worth.
const ARRIVALS_MAX: f64 = 100_000.0;
/// The longest mean service time, in seconds.
const SERVICE_MAX_S: f64 = 60.0;
/// The spread of service times around the mean, which a trace does not tell.
const SIGMA: f64 = 0.5;

/// What is wrong with a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// In which line, counted from 1.
    pub line: usize,
    /// What, and what was expected.
    pub text: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for TraceError {}

/// Reads a trace: a row is a second, and the requests that came per second from then on until the
/// next row; a third column, if there is one, is the mean service time in seconds, and where it is
/// empty that of the row before. Further columns are passed over, and so are a first row that does
/// not begin with a digit, empty rows and those that begin with `#`. The last row lasts as long as
/// the one before. Seconds are those since the epoch, for what goes by the clock.
///
/// # Errors
/// The first line that cannot be read, goes back in time, or is beyond a bound.
pub fn parse(name: &str, text: &str) -> Result<Load, TraceError> {
    let mut seconds: Vec<Second> = Vec::new();
    let mut has_heading = false;
    let mut before: Option<(usize, Second)> = None;
    let mut step_s = 1;
    let mut began_s = 0;
    let mut service_s = SERVICE_TIME.as_secs_f64();
    for (index, line) in text.lines().enumerate() {
        let wrong = |text: String| TraceError { line: index + 1, text };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let is_first = before.is_none() && !has_heading;
        if is_first && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            has_heading = true;
            continue;
        }
        let (at_s, second) = row(line, service_s).map_err(wrong)?;
        service_s = second.service_s;
        match before {
            None => began_s = at_s,
            Some((earlier_s, _)) if at_s <= earlier_s => {
                return Err(wrong(format!("second {at_s} does not come after {earlier_s}")));
            }
            Some((earlier_s, earlier)) => {
                step_s = at_s - earlier_s;
                if at_s - began_s > LENGTH_MAX_S {
                    return Err(wrong(format!("more than {LENGTH_MAX_S} s, 14 days")));
                }
                seconds.extend(std::iter::repeat_n(earlier, step_s));
            }
        }
        before = Some((at_s, second));
    }
    let Some((_, last)) = before else {
        let text = "there is no row; expected `seconds,arrivals[,service_s]`".to_owned();
        return Err(TraceError { line: 1, text });
    };
    seconds.extend(std::iter::repeat_n(last, step_s));
    Ok(Load {
        name: name.to_owned(),
        begins: Time::from_ms((began_s as u64).saturating_mul(1000)),
        seconds,
        arrivals: Arrivals::Counted,
        sigma: SIGMA,
        troubles: Vec::new(),
    })
}

fn row(line: &str, service_before_s: f64) -> Result<(usize, Second), String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let (at_s, arrivals, service_s) = match *cells.as_slice() {
        [at_s, arrivals] => (at_s, arrivals, ""),
        [at_s, arrivals, service_s, ..] => (at_s, arrivals, service_s),
        _ => return Err("1 column; expected `seconds,arrivals[,service_s]`".to_owned()),
    };
    let at_s = at_s
        .parse()
        .map_err(|_| format!("`{at_s}` is no second; expected a whole number, such as 60"))?;
    let number = |text: &str, what: &str, max: f64| {
        let parsed: Option<f64> = text.parse().ok();
        parsed
            .filter(|number| (0.0..=max).contains(number))
            .ok_or_else(|| format!("`{text}` is no number of {what}; expected one from 0 to {max}"))
    };
    let arrivals = number(arrivals, "requests per second", ARRIVALS_MAX)?;
    let service_s = match service_s {
        "" => service_before_s,
        text => number(text, "seconds of service time", SERVICE_MAX_S)?,
    };
    Ok((at_s, Second { arrivals, service_s }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(f64, f64)], &str>) {
        let seconds = |load: Load| -> Vec<(f64, f64)> {
            load.seconds.iter().map(|second| (second.arrivals, second.service_s)).collect()
        };
        let read = parse("a trace", text).map(seconds).map_err(|error| error.to_string());
        assert_eq!(read, expected.map(<[_]>::to_vec).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn rows_last_until_the_next_one_and_the_last_as_long_as_the_one_before() {
        check("0,5\n", Ok(&[(5.0, 0.4)]));
        check(
            "seconds,arrivals\n10,5\n12,7\n",
            Ok(&[(5.0, 0.4), (5.0, 0.4), (7.0, 0.4), (7.0, 0.4)]),
        );
        check("# by hand\n\n0, 5 ,0.1\n1,2.5,\n", Ok(&[(5.0, 0.1), (2.5, 0.1)]));
        check("0,5,,7,x\n1,6,0.2,y", Ok(&[(5.0, 0.4), (6.0, 0.2)]));
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        check("", Err("line 1: there is no row; expected `seconds,arrivals[,service_s]`"));
        check("a,b\nc,d", Err("line 2: `c` is no second; expected a whole number, such as 60"));
        check("0,1\n\n0,2", Err("line 3: second 0 does not come after 0"));
        check("0", Err("line 1: 1 column; expected `seconds,arrivals[,service_s]`"));
        let range = "expected one from 0 to 100000";
        for bad in ["-1", "NaN", "many", "1e9", "inf"] {
            let expected = format!("line 1: `{bad}` is no number of requests per second; {range}");
            check(&format!("0,{bad}"), Err(&expected));
        }
        check(
            "0,1,99",
            Err("line 1: `99` is no number of seconds of service time; expected one from 0 to 60"),
        );
        check("0,1\n9000000,1", Err("line 2: more than 1209600 s, 14 days"));
    }
}

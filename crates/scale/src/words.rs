//! A decision in words, for the journal and for people who ask why.
//! It says what the numbers say and decides nothing.

use crate::decision::{Asked, Decision, Limit, LimitedBy, Signal};

impl Decision {
    /// The signal that asked for most, if one asked for anything. What waits is added to what is
    /// in flight, and is no signal by itself.
    pub fn strongest(&self) -> Option<&Asked> {
        let asked = self.asked.iter().filter(|asked| asked.signal != Signal::Backlog);
        asked.filter(|asked| asked.wants.is_some()).max_by(|a, b| a.wants().total_cmp(&b.wants()))
    }

    /// How many instances the backlog adds.
    pub fn backlog(&self) -> f64 {
        let backlog = self.asked.iter().find(|asked| asked.signal == Signal::Backlog);
        backlog.map_or(0.0, Asked::wants)
    }

    /// Why that many, in one line without the number itself.
    pub fn reason(&self) -> String {
        let mut parts = Vec::new();
        match self.strongest() {
            Some(asked) => parts.push(asked.words()),
            // A fixed number asks nobody.
            None if self.asked.is_empty() && self.limits.is_empty() => parts.push("min".to_owned()),
            None if self.asked.is_empty() => {}
            None => parts.push("nothing is known of the demand".to_owned()),
        }
        if self.backlog() >= 0.05 {
            parts.push(format!("+{} for those who wait", number(self.backlog())));
        }
        if let Some(limit) = self.limits.last() {
            parts.push(limit.words());
        }
        parts.join(", ")
    }
}

impl Asked {
    fn wants(&self) -> f64 {
        self.wants.unwrap_or(0.0)
    }

    /// Such as `210 requests/s at 72.0 each: 2.92`.
    pub fn words(&self) -> String {
        let (unit, scale) = match self.signal {
            Signal::Arrivals | Signal::Requests => (" requests/s", 1.0),
            Signal::InFlight => (" in flight", 1.0),
            Signal::Concurrency => (" in flight or waiting", 1.0),
            Signal::Backlog => (" waiting", 1.0),
            Signal::QueueTime => (" ms in the queue", 1e3),
            Signal::Latency => (" ms to an answer", 1e3),
            Signal::Cpu => (" % of the processor", 100.0),
            Signal::Memory => (" % of memory", 100.0),
            Signal::Prometheus => (" by Prometheus", 1.0),
        };
        let target = number(self.target * scale);
        let Some(value) = self.value else {
            return format!("{}: nothing is known", self.signal.name());
        };
        let value = number(value * scale);
        match self.wants {
            // So short that any number of them is at once.
            Some(_) if !self.target.is_finite() => format!("{value}{unit} in no time"),
            Some(wants) => format!("{value}{unit} at {target} each: {}", number(wants)),
            None => format!("{value}{unit} at {target} each"),
        }
    }
}

impl Limit {
    /// Such as `not more than 4 at once`.
    pub fn words(&self) -> String {
        let to = self.to;
        match self.by {
            LimitedBy::Tolerance => "close enough".to_owned(),
            LimitedBy::Window => format!("lately {to}"),
            LimitedBy::Decay => "step by step".to_owned(),
            LimitedBy::Rate => format!("{to} at once at most"),
            LimitedBy::Starting => format!("{to} while others start"),
            LimitedBy::Missing => "held without data".to_owned(),
            LimitedBy::Rollout => "held while instances are replaced".to_owned(),
            LimitedBy::Cooldown => "the last change was a moment ago".to_owned(),
            LimitedBy::Panic => "held in a panic".to_owned(),
            LimitedBy::Brownout => "more have not helped".to_owned(),
            LimitedBy::Failing => "no more while starts fail".to_owned(),
            LimitedBy::Calendar => format!("at least {to} by the calendar"),
            LimitedBy::Forecast => format!("at least {to} by the forecast"),
            LimitedBy::Min => "raised to min".to_owned(),
            LimitedBy::Max => "lowered to max".to_owned(),
            LimitedBy::Room => format!("the machine carries {to}"),
            LimitedBy::Share => format!("{to} is its part of the machine"),
            LimitedBy::Idle => "nobody asks".to_owned(),
        }
    }
}

/// Three digits are enough for a person.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(signal: Signal, value: f64, target: f64) -> Asked {
        Asked { signal, value: Some(value), target, wants: Some(value / target) }
    }

    #[test]
    fn a_reason_names_the_strongest_signal_what_waits_and_the_last_limit() {
        let mut decision = Decision {
            was: 2,
            desired: 5,
            asked: vec![asked(Signal::InFlight, 14.0, 7.0), asked(Signal::Arrivals, 210.0, 72.0)],
            limits: Vec::new(),
        };
        assert_eq!(decision.reason(), "210 requests/s at 72.0 each: 2.92");
        decision.asked.push(asked(Signal::Backlog, 300.0, 100.0));
        decision.limit(LimitedBy::Rate, 4);
        assert_eq!(
            decision.reason(),
            "210 requests/s at 72.0 each: 2.92, +3.00 for those who wait, 4 at once at most"
        );
        assert_eq!(decision.limited_by(), Some(LimitedBy::Rate));
        let blind = Asked { value: None, wants: None, ..asked(Signal::Arrivals, 1.0, 1.0) };
        let unknown = Decision { asked: vec![blind], ..Decision::stay(3) };
        assert_eq!(unknown.reason(), "nothing is known of the demand");
        let mut fixed = Decision::stay(3);
        assert_eq!(fixed.reason(), "min");
        fixed.limit(LimitedBy::Calendar, 5);
        assert_eq!(fixed.reason(), "at least 5 by the calendar");
    }
}

//! Which part of the requests to a service is refused because too many of them fail: so many that
//! what is left is about what the service can do. Pure; who is refused is drawn elsewhere.
//!
//! The rule is that of client-side throttling in Google's book on site reliability: with *K* = 2,
//! for each request that ends well two may be sent, refused ones counted among the requests,
//!
//! ```text
//! refused = max(0, (requests − K × accepted) / (requests + 1))
//! ```
//!
//! so that a service in trouble gets about *K* times what it can do, however much comes, and
//! more at once when it recovers. The lowest class goes without first.

use std::time::Duration;

use model::{Admission, Priority, Time};

/// Parts of the window, which moves on by one of them at a time.
const PARTS: usize = 10;
const CLASSES: usize = Priority::ALL.len();

/// What became of the requests of one service lately.
#[derive(Debug, Default)]
pub struct Ledger {
    parts: [Part; PARTS],
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ended well, or badly through no fault of the service.
    Accepted,
    /// The service failed it.
    Failed,
    /// It was refused without asking the service.
    Refused,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Which part since the beginning of time it is.
    number: u64,
    sums: Sums,
}

/// Requests, the lowest class first, and those among them that were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    requests: [u64; CLASSES],
    accepted: u64,
}

impl Ledger {
    /// Counts a request that ended.
    pub fn count(&mut self, policy: &Admission, now: Time, class: Priority, fate: Fate) {
        let number = number(policy.window, now);
        let at = usize::try_from(number).unwrap_or(0) % PARTS;
        let part = &mut self.parts[at];
        if part.number != number {
            *part = Part { number, sums: Sums::default() };
        }
        part.sums.requests[class as usize] += 1;
        part.sums.accepted += u64::from(fate == Fate::Accepted);
    }

    /// The part of the requests of a class that is to be refused now, 0 to 1.
    pub fn refused(&self, policy: &Admission, now: Time, class: Priority) -> f64 {
        let sums = self.sums(policy, now);
        by_class(&sums, overall(policy, &sums))[class as usize]
    }

    /// The part of all requests that is to be refused now, 0 to 1.
    pub fn refused_of_all(&self, policy: &Admission, now: Time) -> f64 {
        overall(policy, &self.sums(policy, now))
    }

    fn sums(&self, policy: &Admission, now: Time) -> Sums {
        let newest = number(policy.window, now);
        let oldest = newest.saturating_sub(PARTS as u64 - 1);
        let mut all = Sums::default();
        for part in self.parts.iter().filter(|part| (oldest..=newest).contains(&part.number)) {
            for (sum, requests) in all.requests.iter_mut().zip(part.sums.requests) {
                *sum += requests;
            }
            all.accepted += part.sums.accepted;
        }
        all
    }
}

fn number(window: Duration, now: Time) -> u64 {
    let part_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX) / PARTS as u64;
    now.as_ms() / part_ms.max(1)
}

fn overall(policy: &Admission, sums: &Sums) -> f64 {
    let requests = sums.requests.iter().sum::<u64>() as f64;
    if requests < f64::from(policy.rate_min) * policy.window.as_secs_f64() {
        return 0.0;
    }
    let per_accepted = 100.0 / f64::from(policy.success_percent.max(1));
    let refused = (requests - per_accepted * sums.accepted as f64) / (requests + 1.0);
    refused.clamp(0.0, f64::from(policy.refused_percent_max) / 100.0)
}

/// The same part of all requests, taken from the lowest class as far as that goes, then from the
/// next.
fn by_class(sums: &Sums, overall: f64) -> [f64; CLASSES] {
    let mut left = overall * sums.requests.iter().sum::<u64>() as f64;
    sums.requests.map(|requests| {
        let requests = requests as f64;
        let refused = left.min(requests);
        left -= refused;
        if requests > 0.0 { refused / requests } else { 0.0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Admission = Admission {
        is_on: true,
        success_percent: 50,
        window: Duration::from_secs(10),
        rate_min: 5,
        refused_percent_max: 90,
    };

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.005, "{found}, expected {expected}");
    }

    #[test]
    fn the_formula() {
        let check = |policy: &Admission, requests, accepted, expected| {
            near(overall(policy, &Sums { requests: [0, requests, 0], accepted }), expected);
        };
        check(&POLICY, 1000, 1000, 0.0);
        check(&POLICY, 1000, 500, 0.0);
        check(&POLICY, 1000, 400, 0.2);
        check(&POLICY, 1000, 100, 0.8);
        check(&POLICY, 1000, 0, 0.9);
        check(&POLICY, 49, 0, 0.0);
        check(&POLICY, 50, 0, 0.9);
        let strict = Admission { success_percent: 95, refused_percent_max: 80, ..POLICY };
        check(&strict, 1000, 960, 0.0);
        check(&strict, 1000, 760, 0.2);
        check(&strict, 1000, 0, 0.8);
    }

    #[test]
    fn the_lowest_class_goes_without_first() {
        let check = |requests, overall, expected: [f64; 3]| {
            let found = by_class(&Sums { requests, accepted: 0 }, overall);
            found.into_iter().zip(expected).for_each(|(found, expected)| near(found, expected));
        };
        check([0, 100, 0], 0.3, [0.0, 0.3, 0.0]);
        check([40, 40, 20], 0.2, [0.5, 0.0, 0.0]);
        check([40, 40, 20], 0.4, [1.0, 0.0, 0.0]);
        check([40, 40, 20], 0.6, [1.0, 0.5, 0.0]);
        check([40, 40, 20], 0.9, [1.0, 1.0, 0.5]);
        check([0, 0, 0], 0.9, [0.0, 0.0, 0.0]);
    }

    /// A service that can do 100 requests a second, and fails what comes beyond, while so many come
    /// that each second. Returns how many it gets, and how many it answers, in the last second.
    fn flooded(ledger: &mut Ledger, per_s: u64, seconds: std::ops::Range<u64>) -> (u64, u64) {
        let mut rng = fastrand::Rng::with_seed(seconds.start);
        let (mut sent, mut answered) = (0, 0);
        for second in seconds {
            (sent, answered) = (0, 0);
            for nth in 0..per_s {
                let now = Time::from_ms(second * 1000 + nth * 1000 / per_s);
                let refused = ledger.refused(&POLICY, now, Priority::Normal);
                let fate = if rng.f64() < refused {
                    Fate::Refused
                } else if answered * per_s < 100 * (nth + 1) {
                    (sent, answered) = (sent + 1, answered + 1);
                    Fate::Accepted
                } else {
                    sent += 1;
                    Fate::Failed
                };
                ledger.count(&POLICY, now, Priority::Normal, fate);
            }
        }
        (sent, answered)
    }

    #[test]
    fn a_flooded_service_gets_about_twice_what_it_can_do() {
        let mut ledger = Ledger::default();
        assert_eq!(flooded(&mut ledger, 100, 0..20), (100, 100));
        let (sent, answered) = flooded(&mut ledger, 1000, 20..60);
        assert!((150..300).contains(&sent) && answered >= 95, "{sent} {answered}");
        let (sent, answered) = flooded(&mut ledger, 90, 60..80);
        assert_eq!((sent, answered), (90, 90), "it is over when the window is");
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut ledger = Ledger::default();
        let at = Time::from_ms;
        (0..100).for_each(|_| ledger.count(&POLICY, at(500), Priority::High, Fate::Failed));
        near(ledger.refused(&POLICY, at(9_900), Priority::High), 0.9);
        near(ledger.refused(&POLICY, at(10_000), Priority::High), 0.0);
        near(ledger.refused_of_all(&POLICY, at(9_900)), 0.9);
        ledger.count(&POLICY, at(10_500), Priority::High, Fate::Accepted);
        near(ledger.refused(&POLICY, at(10_500), Priority::High), 0.0);
    }
}

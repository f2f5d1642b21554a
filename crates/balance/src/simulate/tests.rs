//! The plant behaves as it is described, and the traps that it is there for are traps in it.
//! Short experiments: what they show is far from the bounds.

use super::*;

fn run(algorithm: Algorithm, scenario: Scenario) -> Report {
    let length = Duration::from_secs(12);
    Experiment { algorithm, scenario, instances: 3, ejects: Ejects::Nobody, length, seed: 7 }.run()
}

#[test]
fn the_same_experiment_gives_the_same_report_and_another_seed_another() {
    let experiment = Experiment {
        algorithm: Algorithm::Random,
        scenario: Scenario::Pausing,
        instances: 5,
        ejects: Ejects::Failing,
        length: Duration::from_secs(4),
        seed: 1,
    };
    assert_eq!(experiment.run(), experiment.run());
    assert_ne!(experiment.run(), Experiment { seed: 2, ..experiment }.run());
}

/// 3 instances with 8 places of 10 ms answer 2,400 requests a second; half of them come for 10 s.
/// Nobody waits much then: the median is that of the service times, 10 ms by e^(0.5²/2).
#[test]
fn equal_instances_at_half_load_are_what_they_are_said_to_be() {
    let report = run(Algorithm::RoundRobin, Scenario::Equal);
    assert!(report.requests.abs_diff(12_000) < 400, "{report:?}");
    let p50_ms = report.p50.unwrap().as_secs_f64() * 1e3;
    assert!((8.5..9.2).contains(&p50_ms) && report.failed == 0.0, "{report:?}");
    assert!(report.least > 0.999 && report.most < 1.001, "{report:?}");
}

/// A slow instance answers a fifth of a third; with its turn it gets four times as much.
#[test]
fn in_turn_a_slow_instance_drowns_and_by_requests_in_flight_it_does_not() {
    let turns = run(Algorithm::RoundRobin, Scenario::Slow);
    assert!(turns.failed > 0.15 && turns.odd.unwrap() > 0.33, "{turns:?}");
    let loads = run(Algorithm::LeastRequest, Scenario::Slow);
    assert!(loads.failed == 0.0 && loads.odd.unwrap() < 0.15, "{loads:?}");
}

#[test]
fn by_requests_in_flight_alone_a_failing_instance_gets_most() {
    let report = run(Algorithm::LeastRequest, Scenario::Failing);
    assert!(report.odd.unwrap() > 0.5 && report.failed > 0.5, "{report:?}");
}

/// After 5 failures it is out, and comes back for one request 10 s later.
#[test]
fn ejected_a_failing_instance_gets_next_to_nothing_whoever_picks() {
    for (algorithm, instances) in
        Algorithm::ALL.into_iter().flat_map(|algorithm| [(algorithm, 3), (algorithm, 20)])
    {
        let (scenario, length) = (Scenario::Failing, Duration::from_secs(15));
        let ejects = Ejects::Failing;
        let report = Experiment { algorithm, scenario, instances, ejects, length, seed: 3 }.run();
        assert!(report.failed < 0.01, "{algorithm:?}, {instances}: {report:?}");
    }
}

#[test]
fn a_standstill_delays_what_is_under_way_by_its_length() {
    let report = run(Algorithm::RoundRobin, Scenario::Pausing);
    let p999_ms = report.p999.unwrap().as_millis();
    assert!((150..280).contains(&p999_ms), "{report:?}");
}

#[test]
fn those_that_join_get_their_share_and_overload_is_one() {
    let report = run(Algorithm::RoundRobin, Scenario::Joining);
    // 10 of 13 for 8 of 10 seconds.
    assert!((0.55..0.65).contains(&report.new.unwrap()), "{report:?}");
    let report = run(Algorithm::RoundRobin, Scenario::Overload);
    assert!(report.failed > 0.3, "{report:?}");
}

/// A request is given up on 2 s after it came, and what it was counts as given up, not as nothing.
#[test]
fn a_frozen_instance_keeps_its_turns_for_ever() {
    let report = run(Algorithm::RoundRobin, Scenario::Frozen);
    // A third of the requests for the last 8 of 10 seconds; those of the last 2 s wait still.
    assert!((0.17..0.23).contains(&report.failed), "{report:?}");
    assert_eq!(report.p99, Some(CLIENT_TIMEOUT), "{report:?}");
}

fn hashes(algorithm: Algorithm) -> bool {
    matches!(algorithm.name(), "ring-hash" | "maglev" | "rendezvous")
}

/// The bars of the algorithm that is the default, in every scenario, for few instances and for
/// more: the 99th percentile is the lowest of those that do not hash, give or take a tenth, and
/// nobody who is like the others gets less than half of what they get.
#[test]
fn least_latency_is_the_best_or_nearly_so_whatever_is_the_matter() {
    for (scenario, instances) in
        Scenario::ALL.into_iter().flat_map(|scenario| [(scenario, 3), (scenario, 20)])
    {
        let (length, ejects) = (Duration::from_secs(15), Ejects::Nobody);
        // Of two, because the highest percentiles of one short experiment are moved by chance.
        let run = |algorithm| {
            let reports = [11, 12].map(|seed| {
                Experiment { algorithm, scenario, instances, ejects, length, seed }.run()
            });
            let p99_s = |report: &Report| report.p99.unwrap().as_secs_f64();
            (reports.iter().map(p99_s).sum::<f64>() / 2.0, reports)
        };
        let (p99_s, reports) = run(Algorithm::LeastLatency);
        for report in reports {
            assert!(report.least > 0.5, "{scenario:?}, {instances}: {report:?}");
        }
        for other in Algorithm::ALL.into_iter().filter(|other| !hashes(*other)) {
            let (other_s, _) = run(other);
            assert!(
                p99_s < other_s * 1.1,
                "{scenario:?}, {instances}: {p99_s} {other:?} {other_s}"
            );
        }
    }
}

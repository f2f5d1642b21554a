//! However the bytes arrive, the result is that of the whole input, for heads and for bodies.
//! What the result should be is not asked here: the tables and properties beside it know.
#![allow(clippy::unwrap_used)]

use std::fmt::Debug;

use http1::{Limits, Method};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[allow(dead_code, reason = "what a body carries is for other tests")]
#[path = "generated/bodies.rs"]
mod bodies;
#[path = "tables/chunked.rs"]
mod chunked;
#[allow(dead_code, reason = "what a head says is for other tests")]
#[path = "generated/heads.rs"]
mod heads;
#[path = "generated/mutation.rs"]
mod mutation;
#[path = "tables/requests.rs"]
mod requests;
#[path = "tables/responses.rs"]
mod responses;
#[path = "tables/rows.rs"]
mod rows;

#[test]
fn requests_of_the_table() {
    for case in requests::cases() {
        let outcome = |ends: &[usize]| {
            let ends = ends.iter().copied();
            requests::outcome(&case.input, ends, &case.limits)
        };
        assert_eq!(outcome(&[case.input.len()]), case.want, "{}", case.title);
        check(&case.title, case.input.len(), outcome);
    }
}

#[test]
fn responses_of_the_table() {
    for case in responses::cases() {
        let outcome = |ends: &[usize]| responses::outcome(&case, ends.iter().copied());
        assert_eq!(outcome(&[case.input.len()]), case.want, "{}", case.title);
        check(&case.title, case.input.len(), outcome);
    }
}

#[test]
fn chunked_bodies_of_the_table() {
    for case in chunked::cases() {
        let outcome = |ends: &[usize]| chunked::outcome(&case.input, ends.iter().copied());
        assert_eq!(outcome(&[case.input.len()]), case.want, "{}", case.title);
        check(&case.title, case.input.len(), outcome);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn requests_cut_anywhere(
        request in heads::request(),
        mutations in prop::option::of(mutation::mutations()),
        limits in limits(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let input = mutation::mutated(request.wire(), &mutations.unwrap_or_default());
        let outcome = |ends: &[usize]| requests::outcome(&input, ends.iter().copied(), &limits);
        check_with(&input, &cuts, outcome);
    }

    #[test]
    fn responses_cut_anywhere(
        response in heads::response(),
        mutations in prop::option::of(mutation::mutations()),
        limits in limits(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let input = mutation::mutated(response.wire(), &mutations.unwrap_or_default());
        let case = responses::Case {
            title: String::new(),
            input: input.clone(),
            method: Method::Get,
            limits,
            want: String::new(),
        };
        check_with(&input, &cuts, |ends| responses::outcome(&case, ends.iter().copied()));
    }

    #[test]
    fn chunked_bodies_cut_anywhere(
        good in bodies::good(),
        mutations in prop::option::of(mutation::mutations()),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let input = mutation::mutated(good.wire, &mutations.unwrap_or_default());
        check_with(&input, &cuts, |ends| chunked::outcome(&input, ends.iter().copied()));
    }

    #[test]
    fn soup_cut_anywhere(soup in bodies::soup(), cuts in vec(any::<Index>(), 0..6)) {
        check_with(&soup, &cuts, |ends| chunked::outcome(&soup, ends.iter().copied()));
    }
}

/// Limits that a made head meets now and then.
fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(requests::LIMITS),
        (0..200_usize, 0..8_usize, 0..40_usize).prop_map(|(head, headers, target)| Limits {
            head_bytes_max: head,
            headers_max: headers,
            target_bytes_max: target,
        }),
    ]
}

/// All cuts of [`check`], and those that chance chose.
fn check_with<T: Debug + PartialEq>(input: &[u8], cuts: &[Index], outcome: impl Fn(&[usize]) -> T) {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    ends.push(input.len());
    ends.sort_unstable();
    let title = input.escape_ascii().to_string();
    assert_eq!(outcome(&ends), outcome(&[input.len()]), "{title} {ends:?}");
    check(&title, input.len(), outcome);
}

/// Byte by byte, with arrivals of nothing, and cut once at every place.
fn check<T: Debug + PartialEq>(title: &str, len: usize, outcome: impl Fn(&[usize]) -> T) {
    let whole = outcome(&[len]);
    let bytewise: Vec<usize> = (0..=len).flat_map(|end| [end, end]).collect();
    assert_eq!(outcome(&bytewise), whole, "{title}: byte by byte");
    for cut in 0..len {
        assert_eq!(outcome(&[cut, len]), whole, "{title}: cut at {cut}");
    }
}

//! Commands on the wire: what is one, what is refused and in which words, however it is cut.
//! What commands do is for the other tests.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use state::{Parser, Refusal, Trust};

/// Commands, and why the last one is none, if it is not.
type Read = (Vec<Vec<Vec<u8>>>, Option<Refusal>);

/// Reads `input`, which comes in pieces that end at `cuts`.
fn read(input: &[u8], cuts: &[usize], trust: Trust) -> Read {
    let (mut parser, mut commands, mut start) = (Parser::default(), Vec::new(), 0);
    for &end in cuts.iter().chain([&input.len()]) {
        while start < end {
            match parser.next(&input[start..end], trust) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    let args = parser.args(&input[start..end]);
                    commands.push(args.from(0).map(<[u8]>::to_vec).collect());
                    start += length;
                }
                Err(refusal) => return (commands, Some(refusal)),
            }
        }
    }
    (commands, None)
}

#[track_caller]
fn check(input: &str, commands: &[&[&str]], refusal: Option<&str>) {
    let expected: Vec<Vec<Vec<u8>>> = commands
        .iter()
        .map(|command| command.iter().map(|word| word.as_bytes().to_vec()).collect())
        .collect();
    let input = input.as_bytes();
    for cut in 0..=input.len() {
        let (found, why) = read(input, &[cut], Trust::Known);
        assert_eq!(found, expected, "cut at {cut}");
        assert_eq!(why.map(|why| why.to_string()).as_deref(), refusal, "cut at {cut}");
    }
    let everywhere: Vec<usize> = (0..input.len()).collect();
    assert_eq!(read(input, &everywhere, Trust::Known).0, expected);
}

#[test]
fn commands_are_read_however_they_are_cut() {
    check("*1\r\n$4\r\nPING\r\n", &[&["PING"]], None);
    check("*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\na\r\n", &[&["GET", ""], &["a"]], None);
    check("*2\r\n$4\r\na\r\nb\r\n$1\r\nc\r\n", &[&["a\r\nb", "c"]], None);
    check("*0\r\n*-1\r\n*1\r\n$1\r\na\r\n", &[&[], &[], &["a"]], None);
    check("*2\r\n$1\r\na\r\n$5\r\nab", &[], None);
    check("PING\r\n", &[&["PING"]], None);
    check("set k 'a \\' b'\n\r\nget k\n", &[&["set", "k", "a ' b"], &[], &["get", "k"]], None);
    check("a \"\\x41\\n\\\"\\q\" b\r\n", &[&["a", "A\n\"q", "b"]], None);
    check(" \t a \t\r\n", &[&["a"]], None);
}

#[test]
fn what_is_no_command_is_refused_in_the_words_of_redis() {
    check("*x\r\n", &[], Some("invalid multibulk length"));
    check("*01\r\n", &[], Some("invalid multibulk length"));
    check("*2147483648\r\n", &[], Some("invalid multibulk length"));
    check("*1\r\n:1\r\n", &[], Some("expected '$', got ':'"));
    check("*1\r\n$-1\r\n", &[], Some("invalid bulk length"));
    check("*1\r\n$x\r\n", &[], Some("invalid bulk length"));
    check("*1\r\n$536870913\r\n", &[], Some("invalid bulk length"));
    check("*1\r\n$1\r\nabc", &[], Some("expected CRLF"));
    check("*1\rx", &[], Some("expected CRLF"));
    check("a 'b\r\n", &[], Some("unbalanced quotes in request"));
    check("a \"b\"c\r\n", &[], Some("unbalanced quotes in request"));
    for (start, refusal) in
        [("*", Refusal::ArrayLine), ("*1\r\n$", Refusal::BulkLine), ("x", Refusal::Inline)]
    {
        let endless = start.to_owned() + &"1".repeat(70_000);
        assert_eq!(read(endless.as_bytes(), &[], Trust::Known).1, Some(refusal));
    }
}

#[test]
fn who_has_not_said_who_it_is_may_say_little() {
    let stranger = |input: &str| read(input.as_bytes(), &[], Trust::Stranger).1;
    assert_eq!(stranger("*10\r\n"), None);
    assert_eq!(stranger("*11\r\n"), Some(Refusal::StrangersArray));
    assert_eq!(stranger("*1\r\n$16384\r\n"), None);
    assert_eq!(stranger("*1\r\n$16385\r\n"), Some(Refusal::StrangersBulk));
}

proptest! {
    /// Nothing panics, and where the cuts are changes nothing.
    #[test]
    fn any_bytes_are_read_the_same_however_they_are_cut(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "*1\r\n", "*2\r\n", "$1\r\n", "$3\r\n", "a\r\n", "abc\r\n", "\r\n", "\n", "*", "$",
                "-1", "0", "'", "\"", "\\x4", " ", "x", "\r", "\u{0}",
            ]),
            0..30,
        ),
        cuts in prop::collection::vec(0..200_usize, 0..8),
    ) {
        let input = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut < input.len()).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read(&input, &cuts, Trust::Known), read(&input, &[], Trust::Known));
    }
}

//! What an instance says about itself in an answer to a probe: how many requests it wants.
//! It is only read here; what follows from it is the state's to say.

/// Characters of what makes no sense that are kept.
const UNCLEAR_MAX: usize = 60;

/// How many requests an instance wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// So much of its part, from 1 to 100 percent.
    Percent(u32),
    /// No more requests for now; those that it has it finishes.
    Drain,
    /// It said this, which means nothing.
    Unclear(String),
}

impl Feedback {
    /// Its whole part: what an instance wants that says nothing.
    pub const WHOLE: Self = Self::Percent(100);

    /// Reads words as an agent of HAProxy says them, apart by blanks or commas: `75%`, `drain`,
    /// `ready`, `up`. Of several percentages the last counts, `0%` is `drain`, and more than 100
    /// are 100. One word that is none of these makes all of it unclear.
    pub fn read(text: &str) -> Self {
        let mut percent = 100;
        let mut drains = false;
        let words = text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        for word in words {
            let part = word.strip_suffix('%').map(str::parse::<u32>);
            match part {
                Some(Ok(0)) => drains = true,
                Some(Ok(part)) => percent = part.min(100),
                _ if word.eq_ignore_ascii_case("drain") => drains = true,
                _ if ["ready", "up"].iter().any(|fine| word.eq_ignore_ascii_case(fine)) => {}
                _ => return Self::Unclear(text.chars().take(UNCLEAR_MAX).collect()),
            }
        }
        if drains { Self::Drain } else { Self::Percent(percent) }
    }

    /// The percentage of its part that it wants; 0 for no more requests.
    pub fn percent(&self) -> u32 {
        match self {
            Self::Percent(percent) => *percent,
            Self::Drain => 0,
            Self::Unclear(_) => 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_instances() {
        let check = |text: &str, expected| assert_eq!(Feedback::read(text), expected, "{text}");
        let percent = Feedback::Percent;
        check("", Feedback::WHOLE);
        check("ready", percent(100));
        check("50%", percent(50));
        check("up 1%", percent(1));
        check("Ready, 75%", percent(75));
        check("200%", percent(100));
        check("0%", Feedback::Drain);
        check("drain", Feedback::Drain);
        check("up,\t50% DRAIN", Feedback::Drain);
        for unclear in ["dran", "50", "%", "-5%", "50.5%", "up 50% maxconn:30", "99999999999%"] {
            check(unclear, Feedback::Unclear(unclear.to_owned()));
        }
        check(&"x".repeat(100), Feedback::Unclear("x".repeat(60)));
    }
}

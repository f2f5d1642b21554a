//! A probe as a command: its exit status says whether an instance is fit.
//! It starts no process itself; that is the driver's.

use crate::ExitStatus;
use crate::driver::Checked;

/// The first line of its output if the exit status is 0, else how it ended and what it wrote, as
/// the end of a sentence that begins with the command.
pub(super) fn judge(checked: Checked) -> Result<String, String> {
    if checked.status == ExitStatus::Code(0) {
        return Ok(checked.said);
    }
    let lines = [checked.complained, checked.said];
    let why = lines.iter().find(|line| !line.is_empty());
    let why = why.map(|line| format!(": {line}")).unwrap_or_default();
    Err(format!("ended with {}{why}", checked.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_decides_and_a_line_says_why() {
        let check = |status, said: &str, complained: &str, expected: Result<&str, &str>| {
            let (said, complained) = (said.to_owned(), complained.to_owned());
            let verdict = judge(Checked { status, said, complained });
            assert_eq!(verdict, expected.map(str::to_owned).map_err(str::to_owned));
        };
        let code = ExitStatus::Code;
        check(code(0), "", "", Ok(""));
        check(code(0), "fine", "a warning", Ok("fine"));
        check(code(2), "", "", Err("ended with exit code 2"));
        check(code(2), "disk full", "", Err("ended with exit code 2: disk full"));
        check(code(1), "trying", "no route", Err("ended with exit code 1: no route"));
        check(ExitStatus::Signal(9), "", "", Err("ended with signal 9"));
    }
}

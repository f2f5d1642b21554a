//! The body of the hidden subcommand that every instance starts as: ties the process to Herder's
//! life, then becomes the real command. It must not start threads or touch anything else.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// By the convention of shells: the command was found and could not be run.
const EXIT_CANNOT_RUN: u8 = 126;
/// What the argument begins with that names a control group.
const GROUP: &str = "--control-group=";
/// By the convention of shells: there is no such command.
const EXIT_NOT_FOUND: u8 = 127;

/// Becomes the command, which ends with SIGKILL when the thread that started this process ends.
/// Returns only when that was impossible, after saying why on standard error.
///
/// `args` is what follows the name of the subcommand: the pid of Herder, perhaps
/// [`group_argument`], then program and arguments. Call it first thing in `main`, before any thread
/// exists.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter().peekable();
    let parent = args.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let group = args.next_if(|arg| arg.as_encoded_bytes().starts_with(GROUP.as_bytes()));
    let (Some(parent), Some(program)) = (parent, args.next()) else {
        return fail(EXIT_CANNOT_RUN, "this subcommand is for Herder's own use: PID COMMAND...");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        let text = format!("cannot tie the instance to Herder's life: {error}");
        return fail(EXIT_CANNOT_RUN, &text);
    }
    // Herder may have ended before the line above; nobody would send the signal any more.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return fail(EXIT_CANNOT_RUN, "Herder ended while this instance was being started");
    }
    if let Some(group) = group {
        enter(&group);
    }
    let error = Command::new(&program).args(args).exec();
    let code =
        if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN };
    fail(code, &explained(&program, &error))
}

/// The argument that names the control group which the command is to run in.
pub(super) fn group_argument(group: &Path) -> OsString {
    let mut argument = OsString::from(GROUP);
    argument.push(group);
    argument
}

/// Enters a control group. An instance that cannot runs all the same, and says so.
fn enter(argument: &OsStr) {
    let group = OsStr::from_bytes(argument.as_bytes().get(GROUP.len()..).unwrap_or_default());
    if let Err(error) = std::fs::write(Path::new(group).join("cgroup.procs"), "0") {
        let text = format!("cannot enter {}, so nothing bounds it: {error}", group.display());
        fail(EXIT_CANNOT_RUN, &text);
    }
}

/// Why a program could not be run, and what to do about it.
pub(super) fn explained(program: &OsStr, error: &io::Error) -> String {
    let path = Path::new(program);
    let is_path = program.as_encoded_bytes().contains(&b'/');
    let name = path.display();
    let why = match Errno::from_io_error(error) {
        Some(Errno::NOENT) if !is_path => {
            "not found in PATH; check how it is spelled, or give its full path".to_owned()
        }
        // The kernel says the same when the file is there and its interpreter is not.
        Some(Errno::NOENT) if path.exists() => {
            "the interpreter that its first line or its header names does not exist; install it, \
             or run the file through one, such as `sh FILE`"
                .to_owned()
        }
        Some(Errno::NOENT) => match std::env::current_dir() {
            Ok(dir) if path.is_relative() => {
                format!("no such file in {}; check the path, or set `dir`", dir.display())
            }
            _ => "no such file; check the path".to_owned(),
        },
        Some(Errno::ACCESS) if path.is_dir() => "it is a directory; name a program".to_owned(),
        Some(Errno::ACCESS) => {
            format!("permission denied; make it executable with `chmod +x {name}`")
        }
        Some(Errno::NOEXEC) => "not a program for this machine; a script needs a first line such \
                                as `#!/bin/sh`"
            .to_owned(),
        Some(Errno::TOOBIG) => {
            "arguments and environment are too long together; shorten them".to_owned()
        }
        _ => format!("{error}"),
    };
    format!("cannot run `{name}`: {why}")
}

fn fail(code: u8, text: &str) -> ExitCode {
    // Standard error is a pipe to Herder. When that is gone, nobody is left to tell.
    if writeln!(io::stderr(), "herder: {text}").is_err() {
        return ExitCode::from(EXIT_CANNOT_RUN);
    }
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("script");
        std::fs::write(&file, "#!/no/such/interpreter\n").unwrap();
        let check = |program: &Path, errno: Errno, parts: &[&str]| {
            let text = explained(program.as_os_str(), &errno.into());
            assert!(text.starts_with(&format!("cannot run `{}`: ", program.display())), "{text}");
            for part in parts {
                assert!(text.contains(part), "{text}");
            }
        };
        check(Path::new("nod"), Errno::NOENT, &["not found in PATH", "full path"]);
        check(Path::new("./nod"), Errno::NOENT, &["no such file in /", "`dir`"]);
        check(Path::new("/no/nod"), Errno::NOENT, &["no such file; check"]);
        check(&file, Errno::NOENT, &["interpreter", "install"]);
        check(&file, Errno::ACCESS, &["permission denied", "chmod +x"]);
        check(dir.path(), Errno::ACCESS, &["directory"]);
        check(&file, Errno::NOEXEC, &["#!/bin/sh"]);
        check(&file, Errno::TOOBIG, &["shorten"]);
    }
}

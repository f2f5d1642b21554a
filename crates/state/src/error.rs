//! What a command is refused with: Redis's own texts, its code in front.
//! Those that only one command has are with that command.

use std::borrow::Cow;

/// Why a command was not carried out; what the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error(pub(crate) Cow<'static, str>);

/// What a command comes to; its answer is written already.
pub(crate) type Outcome = Result<(), Error>;

pub(crate) const SYNTAX: Error = fixed("ERR syntax error");
pub(crate) const WRONG_TYPE: Error =
    fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(crate) const NOT_AN_INTEGER: Error = fixed("ERR value is not an integer or out of range");
pub(crate) const NOT_A_FLOAT: Error = fixed("ERR value is not a valid float");
pub(crate) const OVERFLOW: Error = fixed("ERR increment or decrement would overflow");
pub(crate) const NO_SUCH_KEY: Error = fixed("ERR no such key");
pub(crate) const NOT_AUTHENTICATED: Error = fixed("NOAUTH Authentication required.");
pub(crate) const OUT_OF_MEMORY: Error =
    fixed("OOM command not allowed when used memory > 'maxmemory'.");
pub(crate) const TOO_LONG: Error =
    fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

/// An error that is always the same.
pub(crate) const fn fixed(text: &'static str) -> Error {
    Error(Cow::Borrowed(text))
}

/// An error that names what it is about.
pub(crate) fn worded(text: String) -> Error {
    Error(Cow::Owned(text))
}

/// The command that is called `name` has other arguments than these.
pub(crate) fn arity(name: &str) -> Error {
    worded(format!("ERR wrong number of arguments for '{name}' command"))
}

/// The expiry that the command called `name` was given cannot be one.
pub(crate) fn expire_time(name: &str) -> Error {
    worded(format!("ERR invalid expire time in '{name}' command"))
}

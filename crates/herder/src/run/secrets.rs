//! The secrets that a configuration only says the place of, read before it is taken.
//! What they sign is not known here, and nothing prints them.

use std::path::Path;
use std::sync::Arc;

use model::{Affinity, Desired, Secret, SigningKey};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::cli::{Exit, Failure};

/// Bytes of a secret. Fewer can be found by trying.
const BYTES_MIN: usize = 16;
/// More is a file of something else.
const BYTES_MAX: usize = 4096;

/// What is secret for as long as Herder runs.
#[derive(Debug)]
pub(crate) struct Secrets {
    of_this_run: SigningKey,
}

impl Secrets {
    /// Draws the key of this run.
    ///
    /// # Errors
    /// The system has no chance to give.
    pub(crate) fn draw() -> Result<Self, Failure> {
        let mut key = [0; 32];
        match getrandom(&mut key, GetRandomFlags::empty()) {
            Ok(32) => Ok(Self { of_this_run: SigningKey::new(key) }),
            Ok(_) => Err(Failure::new("the system gave too few random bytes")),
            Err(error) => Err(Failure::new(format!("the system gave no random bytes: {error}"))),
        }
    }

    /// Reads what the configuration asks for.
    ///
    /// # Errors
    /// With [`Exit::Config`]: which one could not be had, and why.
    pub(crate) fn read(&self, desired: &mut Desired) -> Result<(), Failure> {
        for (name, service) in &mut desired.services {
            let Some(Affinity { secret, .. }) = &service.affinity else { continue };
            let found = match secret {
                Secret::OfThisRun => Ok(self.of_this_run.clone()),
                Secret::File(path) => of_file(path),
                Secret::Env(variable) => of_variable(variable),
            };
            let key = found.map_err(|problem| {
                Failure::new(format!("service.{name}.affinity.secret: {problem}"))
                    .exit(Exit::Config)
                    .hint(
                        "put 32 random bytes there, as from `openssl rand -hex 16`, and let \
                         Herder read them",
                    )
            })?;
            if let Some(affinity) = &mut Arc::make_mut(service).affinity {
                affinity.key = Some(key);
            }
        }
        Ok(())
    }
}

fn of_file(path: &Path) -> Result<SigningKey, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("{shown} was not read: {error}"))?;
    judged(&bytes).map_err(|problem| format!("{shown} {problem}"))
}

fn of_variable(variable: &str) -> Result<SigningKey, String> {
    let value = std::env::var_os(variable).ok_or(format!("there is no variable {variable}"))?;
    judged(value.as_encoded_bytes()).map_err(|problem| format!("the variable {variable} {problem}"))
}

/// Without the line break that editors put at the end.
fn judged(bytes: &[u8]) -> Result<SigningKey, String> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match bytes.len() {
        BYTES_MIN..=BYTES_MAX => Ok(SigningKey::new(bytes)),
        count => Err(format!("has {count} bytes, and {BYTES_MIN} to {BYTES_MAX} make a secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_enough_bytes_and_no_line_break() {
        let check = |bytes: &[u8], expected: Option<&[u8]>| {
            let found = judged(bytes);
            assert_eq!(found.ok().map(|key| key.bytes().to_vec()), expected.map(<[u8]>::to_vec));
        };
        check(b"0123456789abcdef", Some(b"0123456789abcdef"));
        check(b"0123456789abcdef\n", Some(b"0123456789abcdef"));
        check(b"0123456789abcdef\r\n", Some(b"0123456789abcdef"));
        check(b"0123456789abcde\n", None);
        check(b"", None);
        check(&[7; BYTES_MAX + 1], None);
    }

    #[test]
    fn every_run_has_a_key_of_its_own() {
        let [a, b] = [Secrets::draw().unwrap(), Secrets::draw().unwrap()];
        assert_ne!(a.of_this_run, b.of_this_run);
    }
}

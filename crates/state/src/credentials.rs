//! Who may speak to a store: any name whose password was made from the store's secret.
//! Nobody has to be registered, so an instance that has just begun can write at once.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of a password, which is twice as long in hex.
const PASSWORD_BYTES: usize = 16;
/// The longest name.
const NAME_BYTES_MAX: usize = 64;
/// Writers that can be told apart; those who come later share the last number.
const WRITERS_MAX: u32 = 1 << 20;
/// Who has not said who it is, or gave a password alone.
pub(crate) const DEFAULT: &[u8] = b"default";

/// The secrets of a store: passwords are made with the first, and taken of all of them, so that a
/// secret can be replaced while those who were given the old password go on.
#[derive(Clone, Default)]
pub struct Credentials {
    secrets: Vec<Vec<u8>>,
}

/// Everybody who ever wrote, by number.
#[derive(Debug)]
pub(crate) struct Writers {
    names: Vec<Box<[u8]>>,
    numbers: BTreeMap<Box<[u8]>, u32>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} secrets)", self.secrets.len())
    }
}

impl Credentials {
    /// With these secrets; with none everybody may speak.
    pub fn new(secrets: Vec<Vec<u8>>) -> Self {
        Self { secrets }
    }

    /// Whether clients have to say who they are.
    pub fn are_required(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The password of `name`, if there is a secret: 32 digits in hex.
    pub fn password(&self, name: &[u8]) -> Option<String> {
        self.secrets.first().map(|secret| password(secret, name))
    }

    /// Whether `given` is a password of `name`; takes the same time whatever it is.
    pub(crate) fn admit(&self, name: &[u8], given: &[u8]) -> bool {
        let is_name = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
        let mut admitted = false;
        for secret in &self.secrets {
            let expected = password(secret, name);
            let differing = expected.bytes().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
            admitted |= differing == 0 && expected.len() == given.len();
        }
        admitted && is_name
    }
}

fn password(secret: &[u8], name: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    let tag = mac.chain_update(name).finalize().into_bytes();
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    tag[..PASSWORD_BYTES].iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl Default for Writers {
    fn default() -> Self {
        let names = vec![Box::from(DEFAULT)];
        Self { names, numbers: BTreeMap::from([(Box::from(DEFAULT), 0)]) }
    }
}

impl Writers {
    /// The number of `name`, and whether it is new.
    pub(crate) fn number(&mut self, name: &[u8]) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(name) {
            return (number, false);
        }
        let number = u32::try_from(self.names.len()).unwrap_or(WRITERS_MAX);
        if number >= WRITERS_MAX {
            return (WRITERS_MAX, false);
        }
        self.set(number, name);
        (number, true)
    }

    /// Notes who `number` is, as it was on disk.
    pub(crate) fn set(&mut self, number: u32, name: &[u8]) {
        let at = number.min(WRITERS_MAX) as usize;
        if self.names.len() <= at {
            self.names.resize_with(at + 1, || Box::from(&b""[..]));
        }
        self.names[at] = Box::from(name);
        self.numbers.insert(Box::from(name), number);
    }

    /// Who `number` is.
    pub(crate) fn name(&self, number: u32) -> &[u8] {
        self.names.get(number as usize).map_or(b"others", |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_for_its_name_alone_and_an_old_secret_still_counts() {
        let old = Credentials::new(vec![b"old".to_vec()]);
        let new = Credentials::new(vec![b"new".to_vec(), b"old".to_vec()]);
        let before = old.password(b"shop-1").unwrap();
        assert_eq!(before.len(), 2 * PASSWORD_BYTES);
        let after = new.password(b"shop-1").unwrap();
        assert!(new.admit(b"shop-1", before.as_bytes()));
        assert!(new.admit(b"shop-1", after.as_bytes()));
        assert!(!old.admit(b"shop-1", after.as_bytes()));
        assert!(!new.admit(b"shop-2", after.as_bytes()));
        assert!(!new.admit(b"shop-1", b""));
        assert!(!new.admit(b"shop-1", &after.as_bytes()[..31]));
        let spaced = new.password(b"shop 1").unwrap();
        assert!(!new.admit(b"shop 1", spaced.as_bytes()));
        assert!(!Credentials::default().are_required());
    }

    #[test]
    fn a_writer_keeps_its_number() {
        let mut writers = Writers::default();
        assert_eq!(writers.number(b"default"), (0, false));
        assert_eq!(writers.number(b"a"), (1, true));
        assert_eq!(writers.number(b"b"), (2, true));
        assert_eq!(writers.number(b"a"), (1, false));
        assert_eq!(writers.name(2), b"b");
        assert_eq!(writers.name(9), b"others");
        writers.set(7, b"late");
        assert_eq!(writers.name(7), b"late");
        assert_eq!(writers.number(b"late"), (7, false));
    }
}

//! The names of services and instances, valid by construction.
//! No lookup and no registry: a name knows nothing about what it names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest service name, so that `NAME.NUMBER` fits a DNS label and an environment variable.
const SERVICE_NAME_BYTES_MAX: usize = 48;

/// The name of a service: a lower-case letter, then lower-case letters, digits and `-`, at most 48
/// bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

/// Identifies one running copy of a service, for as long as Herder runs. Numbers start at 1 and are
/// never given twice, so an id names the same process in every log, metric and journal entry.
/// Printed as `shop.3`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    /// The service it is a copy of.
    pub service: ServiceName,
    /// Its number within the service, from 1.
    pub number: u32,
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a service name.
    #[error(
        "`{0}` is not a service name: use a lower-case letter, then lower-case letters, digits \
         or `-`, at most {SERVICE_NAME_BYTES_MAX} bytes, such as `shop` or `web-2`"
    )]
    Service(String),
    /// Not an instance id.
    #[error("`{0}` is not an instance: use SERVICE.NUMBER, such as `shop.2`")]
    Instance(String),
}

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let ok = (1..=SERVICE_NAME_BYTES_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(text.into())) } else { Err(NameError::Service(text.to_owned())) }
    }
}

impl FromStr for InstanceId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::Instance(text.to_owned());
        let (service, number) = text.rsplit_once('.').ok_or_else(bad)?;
        let service = service.parse().map_err(|_| bad())?;
        let number: u32 = number.parse().map_err(|_| bad())?;
        if number == 0 { Err(bad()) } else { Ok(Self { service, number }) }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.number)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names() {
        for good in ["a", "shop", "web-2", &"a".repeat(48)] {
            assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
        }
        for bad in ["", "Shop", "2web", "-a", "a.b", "a b", "a_b", "é", &"a".repeat(49)] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn instance_ids_round_trip() {
        let id: InstanceId = "web-2.17".parse().unwrap();
        assert_eq!((id.service.as_str(), id.number), ("web-2", 17));
        assert_eq!(id.to_string(), "web-2.17");
        for bad in ["", "shop", "shop.", "shop.0", "shop.-1", ".1", "Shop.1", "shop.99999999999"] {
            assert!(bad.parse::<InstanceId>().is_err(), "{bad}");
        }
    }
}

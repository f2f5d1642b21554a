//! The tokens by which clients stay with their instance: each names one, signed, and says nothing.
//! Who may be stayed with, and what becomes of a client whose instance is gone, is not known here.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use model::{Affinity, Endpoint, Homes, ServiceName, SigningKey, Token};
use sha2::Sha256;

/// Keeps tokens apart from whatever else the same secret may sign.
const PURPOSE: &[u8] = b"herder affinity 1";

/// The homes of a pool; none as long as there is no key.
pub fn homes(
    affinity: &Affinity,
    service: &ServiceName,
    endpoints: &[Arc<Endpoint>],
) -> Option<Homes> {
    let key = affinity.key.as_ref()?;
    let known = endpoints.iter().map(|one| (Arc::clone(one), token(key, service, one)));
    Some(Homes::new(&affinity.cookie, known))
}

/// The first half of an HMAC-SHA-256 over service and instance. An instance is what hashes know it
/// by, so that several Herders with the same secret agree on those that they share.
fn token(key: &SigningKey, service: &ServiceName, endpoint: &Endpoint) -> Token {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any size");
    // Neither a name nor an identity has a zero in it.
    for part in [PURPOSE, service.as_str().as_bytes(), endpoint.identity().as_bytes()] {
        mac.update(part);
        mac.update(&[0]);
    }
    let code = mac.finalize().into_bytes();
    let bits = code.iter().take(16).fold(0, |bits, &byte| bits << 8 | u128::from(byte));
    Token::of(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(service: &str, number: u64, port: u16) -> Endpoint {
        let addr = ([127, 0, 0, 1], port).into();
        Endpoint::new(format!("{service}.{number}").parse().unwrap(), number, addr, 1)
    }

    #[test]
    fn a_token_is_the_code_of_a_well_known_program() {
        // printf 'herder affinity 1\0shop\0003\0' | openssl dgst -sha256 -hmac '16 bytes of key.'
        let key = SigningKey::new(*b"16 bytes of key.");
        let found = token(&key, &"shop".parse().unwrap(), &endpoint("shop", 3, 80));
        assert_eq!(found.as_bytes(), b"E0TlKK7BNsgAg8NLFt4odw");
    }

    #[test]
    fn tokens_differ_by_key_service_and_instance_and_by_nothing_else() {
        let (a, b) = (SigningKey::new(*b"a"), SigningKey::new(*b"b"));
        let of = |key: &SigningKey, service: &str, endpoint: Endpoint| {
            token(key, &service.parse().unwrap(), &endpoint)
        };
        let first = of(&a, "shop", endpoint("shop", 1, 80));
        assert_eq!(of(&a, "shop", endpoint("shop", 1, 81)), first, "a port is nobody's business");
        let fixed = |number, port| endpoint("shop", number, port).known_by_address();
        assert_eq!(of(&a, "shop", fixed(1, 80)), of(&a, "shop", fixed(2, 80)));
        let others = [
            of(&b, "shop", endpoint("shop", 1, 80)),
            of(&a, "web", endpoint("web", 1, 80)),
            of(&a, "shop", endpoint("shop", 2, 80)),
            of(&a, "shop", fixed(1, 80)),
            of(&a, "shop", fixed(1, 81)),
        ];
        let mut all: Vec<Token> = others.into_iter().chain([first]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
    }
}

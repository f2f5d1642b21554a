//! Which instance a client stays with: the cookie of a service, and who is known by which token.
//! How a token is made is `balance`'s to say; nothing here looks at a request.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Endpoint;

/// How a client stays with the instance that answered it first: for services that keep something in
/// an instance that another one does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// What the client is given to bring back.
    pub cookie: Cookie,
    /// Where the key comes from.
    pub secret: Secret,
    /// What tokens are signed with. None until whoever brings the configuration has read it, and
    /// nobody stays anywhere then.
    pub key: Option<SigningKey>,
}

/// A cookie and its attributes (RFC 6265bis, 4.1). It is always `HttpOnly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name, a token.
    pub name: Box<str>,
    /// The paths that it is sent for.
    pub path: Box<str>,
    /// For how long a browser keeps it; none: until it is closed.
    pub max_age: Option<Duration>,
    /// Whether it goes with requests that other sites cause.
    pub same_site: SameSite,
    /// Whether it is sent over encrypted connections only.
    pub is_secure: bool,
}

/// With which requests that other sites cause a cookie goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With links that are followed.
    Lax,
    /// With none.
    Strict,
    /// With all; browsers ask for a secure cookie then.
    None,
}

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// Drawn when Herder starts; nobody else knows it, and the next start does not.
    OfThisRun,
    /// The content of a file.
    File(PathBuf),
    /// A variable of Herder's environment.
    Env(Box<str>),
}

/// A key that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Box<[u8]>);

/// What a client brings back: it says nothing to anybody else, and cannot be made without the key.
/// 128 bits in base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token([u8; TOKEN_BYTES]);

/// Letters of a token.
const TOKEN_BYTES: usize = 22;

/// The instances of a pool that clients may stay with. Made once per table, so that a request only
/// looks something up.
#[derive(Debug)]
pub struct Homes {
    cookie: Box<[u8]>,
    /// By key.
    all: Box<[Home]>,
    /// Sorted; with the place in `all`.
    tokens: Box<[(Token, usize)]>,
}

/// One that a client may stay with.
#[derive(Debug)]
pub struct Home {
    /// Where it is.
    pub endpoint: Arc<Endpoint>,
    /// Who has this is at home there.
    pub token: Token,
    /// The line of a response that gives it to a client, its end included.
    pub set_cookie: Box<[u8]>,
}

impl SigningKey {
    /// A key of these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl Token {
    /// The token of these bits.
    pub fn of(bits: u128) -> Self {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut rest = bits;
        Self(std::array::from_fn(|_| {
            // The last letter has two bits of its own.
            let six = usize::try_from(rest >> 122).unwrap_or(0);
            rest <<= 6;
            LETTERS[six]
        }))
    }

    /// Its letters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Cookie {
    /// The line that sets it.
    fn line(&self, token: &Token) -> Box<[u8]> {
        let Self { name, path, max_age, same_site, is_secure } = self;
        let token = String::from_utf8_lossy(token.as_bytes());
        let same_site = match same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        };
        let max_age = max_age.map_or(String::new(), |age| format!("; Max-Age={}", age.as_secs()));
        let secure = if *is_secure { "; Secure" } else { "" };
        let line = format!(
            "Set-Cookie: {name}={token}; Path={path}{max_age}; HttpOnly{secure}; \
             SameSite={same_site}\r\n"
        );
        line.into_bytes().into()
    }
}

impl Homes {
    /// Of these endpoints, each with its token.
    pub fn new(
        cookie: &Cookie,
        endpoints: impl IntoIterator<Item = (Arc<Endpoint>, Token)>,
    ) -> Self {
        let home = |(endpoint, token): (Arc<Endpoint>, Token)| Home {
            endpoint,
            token,
            set_cookie: cookie.line(&token),
        };
        let mut all: Box<[Home]> = endpoints.into_iter().map(home).collect();
        all.sort_by_key(|home| home.endpoint.key);
        let mut tokens: Box<[_]> = all.iter().enumerate().map(|(at, it)| (it.token, at)).collect();
        tokens.sort();
        Self { cookie: cookie.name.as_bytes().into(), all, tokens }
    }

    /// The name of the cookie.
    pub fn cookie(&self) -> &[u8] {
        &self.cookie
    }

    /// Whose token a client has brought; none for one that nobody gave it, or whose instance is not
    /// in the pool.
    pub fn of_token(&self, token: &[u8]) -> Option<&Home> {
        let token = Token(token.try_into().ok()?);
        let at = self.tokens.binary_search_by_key(&token, |&(known, _)| known).ok()?;
        self.all.get(self.tokens[at].1)
    }

    /// The one with this key.
    pub fn of_key(&self, key: u64) -> Option<&Home> {
        let at = self.all.binary_search_by_key(&key, |home| home.endpoint.key).ok()?;
        self.all.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> Cookie {
        Cookie {
            name: "herder-shop".into(),
            path: "/".into(),
            max_age: None,
            same_site: SameSite::Lax,
            is_secure: false,
        }
    }

    #[test]
    fn a_token_is_base64url() {
        let check = |bits, text: &str| assert_eq!(Token::of(bits).as_bytes(), text.as_bytes());
        check(0, "AAAAAAAAAAAAAAAAAAAAAA");
        check(u128::MAX, "_____________________w");
        check(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f, "AAECAwQFBgcICQoLDA0ODw");
    }

    #[test]
    fn the_line_has_what_the_policy_says() {
        let check = |cookie: &Cookie, expected: &str| {
            let line = cookie.line(&Token::of(0));
            let expected = format!("Set-Cookie: {expected}\r\n");
            assert_eq!(String::from_utf8_lossy(&line), expected);
        };
        let start = "herder-shop=AAAAAAAAAAAAAAAAAAAAAA; Path=/";
        check(&cookie(), &format!("{start}; HttpOnly; SameSite=Lax"));
        let day = Some(Duration::from_secs(86_400));
        let full = Cookie { max_age: day, same_site: SameSite::None, is_secure: true, ..cookie() };
        check(&full, &format!("{start}; Max-Age=86400; HttpOnly; Secure; SameSite=None"));
        let strict = Cookie { same_site: SameSite::Strict, path: "/a".into(), ..cookie() };
        check(&strict, &format!("{start}a; HttpOnly; SameSite=Strict"));
    }

    #[test]
    fn only_a_whole_token_of_somebody_in_the_pool_is_known() {
        let endpoint = |key: u64| {
            let addr = "127.0.0.1:1".parse().unwrap();
            Arc::new(Endpoint::new("shop.1".parse().unwrap(), key, addr, 1))
        };
        let bits = |key: u64| u128::from(key) << 64 | 7;
        let known = [9, 2, 5].map(|key| (endpoint(key), Token::of(bits(key))));
        let homes = Homes::new(&cookie(), known);
        for key in [2, 5, 9] {
            let token = Token::of(bits(key));
            assert_eq!(homes.of_token(token.as_bytes()).unwrap().endpoint.key, key);
            assert_eq!(homes.of_key(key).unwrap().token, token);
            assert!(homes.of_token(&token.as_bytes()[1..]).is_none());
            assert!(homes.of_token(&[token.as_bytes(), b"A"].concat()).is_none());
        }
        assert!(homes.of_token(Token::of(bits(3)).as_bytes()).is_none());
        assert!(homes.of_token(b"").is_none() && homes.of_key(3).is_none());
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", SigningKey::new(*b"secret")), "SigningKey(..)");
    }
}

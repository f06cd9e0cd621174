//! Making secrets, and taking them apart: tokens `gm_<id>_<secret>`, access keys for SigV4.

use sha2::{Digest as _, Sha256};

/// What every token begins with.
const PREFIX: &str = "gm_";
/// Characters of the id of a token, and of its name in lists and logs.
pub(super) const ID: usize = 12;
/// Characters of its secret: 256 bits.
const SECRET: usize = 43;
/// What the id of an access key begins with.
const KEY_PREFIX: &str = "GMKEY";
/// Characters of the id of an access key, as AWS has them.
const KEY_ID: usize = 20;
/// Characters of the secret of an access key, as AWS has them: 238 bits.
const KEY_SECRET: usize = 40;

const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BOTH: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A token that was just made.
pub(super) struct Token {
    pub id: String,
    pub whole: String,
}

/// An access key that was just made.
pub(super) struct Key {
    pub id: String,
    pub secret: String,
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandom(getrandom::Error);

impl Token {
    pub fn make() -> Result<Self, NoRandom> {
        let (id, secret) = (drawn(LOWER, ID)?, drawn(BOTH, SECRET)?);
        let whole = format!("{PREFIX}{id}_{secret}");
        Ok(Token { id, whole })
    }
}

impl Key {
    pub fn make() -> Result<Self, NoRandom> {
        let id = drawn(UPPER, KEY_ID - KEY_PREFIX.len())?;
        Ok(Key {
            id: format!("{KEY_PREFIX}{id}"),
            secret: drawn(BOTH, KEY_SECRET)?,
        })
    }
}

/// The id in what may be a token.
pub(super) fn id_of(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == ID && secret.len() == SECRET).then_some(id)
}

/// What is kept of a token. It has 256 random bits, so it needs no salt and no slow hash.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Characters of an alphabet, each as likely as any other.
fn drawn(alphabet: &[u8], length: usize) -> Result<String, NoRandom> {
    // Bytes beyond the last whole alphabet would favour its first characters.
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).map_err(NoRandom)?;
        let taken = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        text.extend(
            taken
                .take(length - text.len())
                .map(|b| char::from(alphabet[b % alphabet.len()])),
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_apart_as_they_were_put_together() {
        for _ in 0..50 {
            let token = Token::make().unwrap();
            assert_eq!(id_of(&token.whole), Some(token.id.as_str()));
            assert_eq!(token.whole.len(), 3 + ID + 1 + SECRET);
        }
        for none in ["", "gm_", "gm_a_b", "x", "gm_abcdefghijkl_", "sk_live"] {
            assert_eq!(id_of(none), None, "{none}");
        }
        let key = Key::make().unwrap();
        assert_eq!((key.id.len(), key.secret.len()), (KEY_ID, KEY_SECRET));
    }

    #[test]
    fn every_character_is_drawn_and_about_as_often() {
        let text = drawn(BOTH, 62_000).unwrap();
        for c in BOTH {
            let count = text.bytes().filter(|b| b == c).count();
            // A thousand each; one in 10^9 runs is further off than six deviations.
            assert!((800..1200).contains(&count), "{}: {count}", char::from(*c));
        }
    }
}

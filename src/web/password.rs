//! Passwords: hashed so that guessing one costs what it may cost.

use anyhow::{Context as _, Result, anyhow};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

/// KiB, passes and lanes that OWASP's Password Storage Cheat Sheet names for Argon2id.
const COST: (u32, u32, u32) = (19 << 10, 2, 1);

fn hasher() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).context("the cost of a password")?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a password with a salt of its own, as a PHC string. Takes some 20 ms.
///
/// # Errors
///
/// Where the system gives no random numbers or no memory.
pub(crate) fn hash(password: &str) -> Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).context("the system gives no random numbers")?;
    let hash: PasswordHash = hasher()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| anyhow!("cannot hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// Whether it is the password of that hash. Takes as long either way.
pub(crate) fn is_right(password: &str, hash: &str) -> bool {
    hasher().is_ok_and(|hasher| hasher.verify_password(password.as_bytes(), hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let first = hash("correct horse battery").unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert!(is_right("correct horse battery", &first));
        assert!(!is_right("correct horse batterz", &first));
        // The same password twice does not show.
        assert_ne!(hash("correct horse battery").unwrap(), first);
        assert!(!is_right("x", "no hash at all"));
    }
}

//! Passwords and tokens.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OptionalExtension};
use sha2::Sha256;

use super::config::ServiceUser;
use super::failure::Failure;
use crate::node::now_ms;
use crate::store::{Row, Session, StoreError, User};

/// Hashes the configured user's password with a new salt.
pub(super) fn hash_user(user: &ServiceUser, iterations: u32) -> User {
    let salt = rand::random::<[u8; 16]>();
    User {
        name: user.name.clone(),
        salt: hex::encode(salt),
        iterations,
        hash: hex::encode(derive(&user.password, &salt, iterations)),
    }
}

/// Puts the user into a history that does not have them.
pub(super) fn seed(session: &mut Session<'_>, user: &User) -> Result<(), StoreError> {
    if find(session.connection, &user.name)?.is_none() {
        session.append(&Row::User(user.clone()))?;
    }
    Ok(())
}

/// Sets the user's credentials, whether they are there or not.
pub(super) fn set(session: &mut Session<'_>, user: &User) -> Result<(), StoreError> {
    session.require_primary()?;
    session.append(&Row::User(user.clone()))
}

/// The user of that name.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT name, salt, iterations, hash FROM users WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(User {
                name: row.get(0)?,
                salt: row.get(1)?,
                iterations: row.get(2)?,
                hash: row.get(3)?,
            })
        })
        .optional()?)
}

/// Whether this is the user's password.
pub(super) fn password_fits(user: &User, password: &str) -> bool {
    let (Ok(salt), Ok(expected)) = (hex::decode(&user.salt), hex::decode(&user.hash)) else {
        return false;
    };
    let given = derive(password, &salt, user.iterations);
    // Comparing digests under a fresh key takes no time that tells where they differ.
    let key = rand::random::<[u8; 32]>();
    keyed(&key, &given).verify_slice(&keyed(&key, &expected).finalize().into_bytes()).is_ok()
}

fn derive(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations)
}

/// A token `<hex of the name>.<expiry in ms>.<MAC>`; any service with the secret accepts it.
pub(super) fn issue(secret: &str, name: &str, lifetime_ms: u64) -> String {
    let expires_at_ms = now_ms().saturating_add(lifetime_ms);
    let claim = format!("{}.{expires_at_ms}", hex::encode(name));
    let mac = keyed(secret.as_bytes(), claim.as_bytes()).finalize().into_bytes();
    format!("{claim}.{}", hex::encode(mac))
}

/// Fails unless the request carries a token that is signed and not expired.
pub(super) fn require_login(headers: &HeaderMap, secret: &str) -> Result<(), Failure> {
    let token = bearer(headers).ok_or(Failure::Unauthorized("a bearer token is needed"))?;
    let (claim, mac) = token.rsplit_once('.').ok_or(Failure::Unauthorized("no token of ours"))?;
    let mac = hex::decode(mac).map_err(|_| Failure::Unauthorized("no token of ours"))?;
    keyed(secret.as_bytes(), claim.as_bytes())
        .verify_slice(&mac)
        .map_err(|_| Failure::Unauthorized("no token of ours"))?;
    let expires_at_ms: Option<u64> = claim.rsplit_once('.').and_then(|(_, at)| at.parse().ok());
    if expires_at_ms.is_some_and(|at| at > now_ms()) {
        Ok(())
    } else {
        Err(Failure::Unauthorized("the token has expired"))
    }
}

/// Fails unless the request carries the workers' token.
pub(super) fn require_worker(headers: &HeaderMap, token: &str) -> Result<(), Failure> {
    if bearer(headers) == Some(token) {
        Ok(())
    } else {
        Err(Failure::Unauthorized("the worker token is needed"))
    }
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn keyed(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac
}

//! Passwords, kept as argon2id hashes. Hashing is made to be slow and to take memory, so few run at once and few wait.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// OWASP's first recommendation: 19 MiB, two passes, one lane. A login takes some 20 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Logins that may wait for each one that is hashed; more are told to come back.
const WAITING_PER_SLOT: usize = 16;

/// Verified in place of a user that does not exist, so that the answer takes as long. Nobody has this password: it hashes to no zeros.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and verifies passwords, within bounds.
pub struct Passwords {
    argon2: Argon2<'static>,
    /// How many run at once.
    slots: Arc<Semaphore>,
    /// How many run or wait.
    places: Semaphore,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("too many logins at once")]
    Busy,
    #[error("hashing failed: {0}")]
    Failed(String),
}

impl Passwords {
    /// At most `hashes_max` at once.
    ///
    /// # Errors
    /// [`PasswordError::Failed`] when the parameters make no sense, which only a change of this file can cause.
    pub fn new(hashes_max: usize) -> Result<Self, PasswordError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|why| failed(&why))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self {
            argon2,
            slots: Arc::new(Semaphore::new(hashes_max)),
            places: Semaphore::new(hashes_max * (1 + WAITING_PER_SLOT)),
        })
    }

    /// The hash to keep.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let argon2 = self.argon2.clone();
        self.run(move || hash(&argon2, &password)).await
    }

    /// Whether the password is the one that was hashed. Without a hash there is no user: that takes as long, and is a no.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(
        &self,
        password: String,
        kept: Option<String>,
    ) -> Result<bool, PasswordError> {
        let is_somebody = kept.is_some();
        let kept = kept.unwrap_or_else(|| NOBODY.to_owned());
        let argon2 = self.argon2.clone();
        let verify = move || {
            let hash = PasswordHash::new(&kept).map_err(|why| failed(&why))?;
            Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok())
        };
        Ok(self.run(verify).await? && is_somebody)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self.places.try_acquire().map_err(|_| PasswordError::Busy)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|why| failed(&why))?;
        // The slot is held until the thread is done, also when the client has gone meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        done.await.map_err(|why| failed(&why))?
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, PasswordError> {
    argon2
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|why| failed(&why))
}

fn failed(why: &impl std::fmt::Display) -> PasswordError {
    PasswordError::Failed(why.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::{NOBODY, PasswordError, Passwords, WAITING_PER_SLOT};

    #[tokio::test]
    async fn a_password_is_known_again_and_not_kept() {
        let passwords = Passwords::new(2).unwrap();
        let hash = passwords.hash("open sesame".to_owned()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        // What is verified for nobody costs the same.
        let parameters = |hash: &str| {
            hash.split('$')
                .take(4)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(parameters(&hash), parameters(NOBODY));
        let verify = async |password: &str, kept| passwords.verify(password.to_owned(), kept).await;
        assert_eq!(verify("open sesame", Some(hash.clone())).await, Ok(true));
        assert_eq!(verify("open sesamE", Some(hash)).await, Ok(false));
        assert_eq!(verify("open sesame", None).await, Ok(false));
        let broken = verify("x", Some("no hash".to_owned())).await;
        assert!(matches!(broken, Err(PasswordError::Failed(_))));
    }

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let passwords = Passwords::new(1).unwrap();
        let places = 1 + WAITING_PER_SLOT;
        let crowd = (0..places + 3).map(|_| passwords.verify("x".to_owned(), None));
        let answers = join_all(crowd).await;
        let busy = answers
            .iter()
            .filter(|answer| **answer == Err(PasswordError::Busy))
            .count();
        assert_eq!((busy, answers.len() - busy), (3, places));
    }
}

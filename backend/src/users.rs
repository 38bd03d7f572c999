//! People with a name and a password: the port behind which they are kept, and what makes a good name and password.
//!
//! It knows neither sessions nor sockets. A user of another system (a Node app's session, another issuer's token) is not kept here.

use async_trait::async_trait;

#[cfg(test)]
mod contract;
pub mod memory;
pub mod mongodb;
pub mod password;
pub mod sqlite;

/// Shortest and longest user name, in bytes. Names are ASCII, so that two that look alike are alike.
const NAME_BYTES_MIN: usize = 3;
const NAME_BYTES_MAX: usize = 32;

/// Shortest and longest password, in bytes of UTF-8: the shortest that NIST SP 800-63B allows beside nothing else, and an end to what
/// hashing may cost.
const PASSWORD_BYTES_MIN: usize = 8;
const PASSWORD_BYTES_MAX: usize = 256;

/// Somebody who has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Public, and for ever: messages carry it.
    pub id: String,
    pub username: Username,
    /// A PHC string, `$argon2id$…`.
    pub password_hash: String,
    pub display_name: String,
    pub roles: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// A name to log in with. Case is kept and does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no user name or password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    #[error(
        "username is not {NAME_BYTES_MIN} to {NAME_BYTES_MAX} letters, digits, dots, dashes or underscores"
    )]
    Name,
    #[error("password is not {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes long")]
    Password,
}

impl Username {
    /// # Errors
    /// [`BadCredential::Name`].
    pub fn parse(text: &str) -> Result<Self, BadCredential> {
        let is_fine = (NAME_BYTES_MIN..=NAME_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if is_fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCredential::Name)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique.
    #[must_use]
    pub fn lower(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// # Errors
/// [`BadCredential::Password`].
pub fn check_password(text: &str) -> Result<(), BadCredential> {
    if (PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&text.len()) {
        Ok(())
    } else {
        Err(BadCredential::Password)
    }
}

/// Why the users could not be asked, or would not have one more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    #[error("the user name is taken")]
    Taken,
    #[error("users unavailable: {0}")]
    Unavailable(String),
    /// Trying again does not help.
    #[error("users broken: {0}")]
    Broken(String),
}

/// Where users live. Several instances share them: a name is given once, whoever asks at the same time.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// Keeps a new user. When it answers, every instance finds the user, and a crash does not lose it.
    ///
    /// # Errors
    /// [`UsersError::Taken`] when somebody has that name, in whatever case.
    async fn create(&self, user: &User) -> Result<(), UsersError>;

    /// # Errors
    /// [`UsersError`] when the users cannot be asked. Nobody of that name is `Ok(None)`.
    async fn by_name(&self, name: &Username) -> Result<Option<User>, UsersError>;

    /// # Errors
    /// [`UsersError`] when the users cannot be asked. Nobody with that id is `Ok(None)`.
    async fn by_id(&self, id: &str) -> Result<Option<User>, UsersError>;

    /// Shuts somebody out, or lets them in again, whether they registered here or not. When it answers, every instance finds it.
    ///
    /// # Errors
    /// [`UsersError`] when the users cannot be asked.
    async fn set_banned(&self, user_id: &str, is_banned: bool) -> Result<(), UsersError>;

    /// Everybody who is shut out.
    ///
    /// # Errors
    /// [`UsersError`] when the users cannot be asked.
    async fn banned(&self) -> Result<Vec<String>, UsersError>;
}

#[cfg(test)]
mod tests {
    use super::{Username, check_password};

    #[test]
    fn names_are_plain() {
        for name in ["ann", "Ann.B-c_9", &"a".repeat(32)] {
            assert!(Username::parse(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "an",
            &"a".repeat(33),
            "ann b",
            "änn",
            "ann\n",
            "a/b",
            "аnn",
        ] {
            assert!(Username::parse(name).is_err(), "{name}");
        }
        assert_eq!(Username::parse("AnN").unwrap().lower(), "ann");
    }

    #[test]
    fn passwords_are_long_and_not_endless() {
        assert!(check_password("12345678").is_ok());
        assert!(check_password(&"x".repeat(256)).is_ok());
        assert!(check_password("1234567").is_err());
        assert!(check_password(&"x".repeat(257)).is_err());
    }
}

//! Users in memory: for tests and for trying things out. Everybody must register again when the process ends.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{User, Username, Users, UsersError};

/// Users held at once. Anybody may register, so there must be an end; a hundred thousand take some 50 MB.
const USERS_MAX: usize = 100_000;

/// Users that are forgotten. Share it in an `Arc` to have several instances on the same users.
#[derive(Debug, Default)]
pub struct MemoryUsers {
    by_name: Mutex<HashMap<String, User>>,
    banned: Mutex<HashSet<String>>,
}

impl MemoryUsers {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn users(&self) -> MutexGuard<'_, HashMap<String, User>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut_out(&self) -> MutexGuard<'_, HashSet<String>> {
        self.banned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Users for MemoryUsers {
    async fn create(&self, user: &User) -> Result<(), UsersError> {
        let mut users = self.users();
        let key = user.username.lower();
        let is_taken = users.contains_key(&key) || users.values().any(|one| one.id == user.id);
        if is_taken {
            return Err(UsersError::Taken);
        }
        if users.len() >= USERS_MAX {
            return Err(UsersError::Unavailable(format!(
                "{} users are kept",
                users.len()
            )));
        }
        users.insert(key, user.clone());
        Ok(())
    }

    async fn by_name(&self, name: &Username) -> Result<Option<User>, UsersError> {
        Ok(self.users().get(&name.lower()).cloned())
    }

    async fn by_id(&self, id: &str) -> Result<Option<User>, UsersError> {
        Ok(self.users().values().find(|user| user.id == id).cloned())
    }

    async fn set_banned(&self, user_id: &str, is_banned: bool) -> Result<(), UsersError> {
        let mut banned = self.shut_out();
        if is_banned {
            banned.insert(user_id.to_owned());
        } else {
            banned.remove(user_id);
        }
        Ok(())
    }

    async fn banned(&self) -> Result<Vec<String>, UsersError> {
        Ok(self.shut_out().iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{MemoryUsers, Users};
    use crate::contract::Fixture;
    use crate::users::contract::users_contract;

    #[async_trait]
    impl Fixture<dyn Users> for Arc<MemoryUsers> {
        async fn open(&self) -> Arc<dyn Users> {
            self.clone()
        }
    }

    users_contract!(Arc<MemoryUsers>);
}

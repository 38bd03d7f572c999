//! Users in MongoDB's collection `users`, beside the messages. The unique index on `usernameLower` gives a name once.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};

use super::{User, Username, Users, UsersError};
use crate::store::StoreError;
use crate::store::mongodb::keeper::{DUPLICATE_KEY, Durable, Keeper, within};

/// Users in MongoDB, which may be away at start; each call tries again.
#[derive(Debug)]
pub struct MongoUsers(Keeper<Opened>);

struct Opened {
    users: Collection<Document>,
    /// Who is shut out, by `_id`; also who never registered.
    banned: Collection<Document>,
}

impl MongoUsers {
    /// Checks the URI; connects at the first use.
    ///
    /// # Errors
    /// [`UsersError::Broken`] when the text is not a connection string.
    pub fn connect(uri: &str) -> Result<Self, UsersError> {
        Ok(Self(Keeper::at(uri)?))
    }

    async fn opened(&self) -> Result<&Opened, UsersError> {
        self.0.opened(open).await
    }

    async fn find(&self, filter: Document) -> Result<Option<User>, UsersError> {
        within(async {
            let found = self.opened().await?.users.find_one(filter).await?;
            found.as_ref().map(user).transpose()
        })
        .await
    }
}

async fn open(database: Durable) -> Result<Opened, UsersError> {
    let (users, banned) = (database.collection("users"), database.collection("banned"));
    let by_name = IndexModel::builder()
        .keys(doc! { "usernameLower": 1 })
        .options(IndexOptions::builder().unique(true).build())
        .build();
    users.create_index(by_name).await?;
    Ok(Opened { users, banned })
}

fn document(user: &User) -> Document {
    doc! {
        "_id": &user.id,
        "username": user.username.as_str(),
        "usernameLower": user.username.lower(),
        "passHash": &user.password_hash,
        "displayName": &user.display_name,
        "guest": false,
        "roles": &user.roles,
        "createdAt": mongodb::bson::DateTime::from_millis(user.created_ms),
    }
}

fn user(found: &Document) -> Result<User, UsersError> {
    let broken = |what: &str| UsersError::Broken(format!("a document of `users` has no {what}"));
    let text = |key: &str| {
        found
            .get_str(key)
            .map(str::to_owned)
            .map_err(|_| broken(key))
    };
    let roles = found.get_array("roles").map_err(|_| broken("roles"))?;
    Ok(User {
        id: text("_id")?,
        username: Username::parse(&text("username")?).map_err(|_| broken("username"))?,
        password_hash: text("passHash")?,
        display_name: text("displayName")?,
        roles: roles
            .iter()
            .filter_map(|role| role.as_str().map(str::to_owned))
            .collect(),
        created_ms: found
            .get_datetime("createdAt")
            .map_err(|_| broken("createdAt"))?
            .timestamp_millis(),
    })
}

impl From<Error> for UsersError {
    fn from(error: Error) -> Self {
        match &*error.kind {
            ErrorKind::Write(WriteFailure::WriteError(why)) if why.code == DUPLICATE_KEY => {
                Self::Taken
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<StoreError> for UsersError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::Broken(why) => Self::Broken(why),
        }
    }
}

#[async_trait]
impl Users for MongoUsers {
    async fn create(&self, user: &User) -> Result<(), UsersError> {
        let write = async {
            self.opened()
                .await?
                .users
                .insert_one(document(user))
                .await?;
            Ok(())
        };
        within(write).await
    }

    async fn by_name(&self, name: &Username) -> Result<Option<User>, UsersError> {
        self.find(doc! { "usernameLower": name.lower() }).await
    }

    async fn by_id(&self, id: &str) -> Result<Option<User>, UsersError> {
        self.find(doc! { "_id": id }).await
    }

    async fn set_banned(&self, user_id: &str, is_banned: bool) -> Result<(), UsersError> {
        let write = async {
            let banned = &self.opened().await?.banned;
            let who = doc! { "_id": user_id };
            if is_banned {
                let update = doc! { "$set": { "isBanned": true } };
                banned.update_one(who, update).upsert(true).await?;
            } else {
                banned.delete_one(who).await?;
            }
            Ok(())
        };
        match within(write).await {
            // Another instance shut them out at the same time.
            Err(UsersError::Taken) => Ok(()),
            other => other,
        }
    }

    async fn banned(&self) -> Result<Vec<String>, UsersError> {
        let read = async {
            let found = self.opened().await?.banned.find(doc! {}).await?;
            let found: Vec<Document> = found.try_collect().await?;
            let ids = found.iter().filter_map(|one| one.get_str("_id").ok());
            Ok(ids.map(str::to_owned).collect())
        };
        within(read).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{MongoUsers, Users, UsersError};
    use crate::contract::Fixture;
    use crate::store::mongodb::tests::OwnDatabase;

    #[async_trait]
    impl Fixture<dyn Users> for OwnDatabase {
        async fn open(&self) -> Arc<dyn Users> {
            Arc::new(MongoUsers::connect(&self.uri().await).unwrap())
        }
    }

    mod needs_mongo_contract {
        use super::OwnDatabase;
        use crate::users::contract::users_contract;

        users_contract!(OwnDatabase);
    }

    #[test]
    fn a_uri_that_makes_no_sense_is_refused_without_its_password() {
        let Err(UsersError::Broken(why)) = MongoUsers::connect("mongodb://ann:pa@ss@/") else {
            panic!("it is taken");
        };
        assert!(!why.contains("pa@ss"), "{why}");
    }
}

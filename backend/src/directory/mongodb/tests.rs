use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::MongoDirectory;
use crate::directory::Directory;
use crate::directory::contract::Fixture;
use crate::store::mongodb::database;
use crate::store::mongodb::tests::uri_of;

struct OwnDatabase(String);

#[async_trait]
impl Fixture for OwnDatabase {
    async fn fresh() -> Self {
        Self(uri_of(&format!("test-{}", Uuid::new_v4().simple())).await)
    }

    async fn open(&self) -> Arc<dyn Directory> {
        Arc::new(MongoDirectory::connect(&self.0).unwrap())
    }

    async fn clear(self) {
        database(&self.0).await.unwrap().drop().await.unwrap();
    }
}

mod needs_mongo_contract {
    use super::OwnDatabase;
    use crate::directory::contract::directory_contract;

    directory_contract!(OwnDatabase);
}

#[tokio::test]
async fn a_bad_uri_is_refused_without_its_password() {
    let refused = MongoDirectory::connect("mongodb://u:secret@@h/x");
    assert!(refused.is_err_and(|why| !why.to_string().contains("secret")));
    let directory = MongoDirectory::connect("mongodb://ann:secret@localhost/chat").unwrap();
    assert!(!format!("{directory:?}").contains("secret"));
}

use std::sync::Arc;

use async_trait::async_trait;

use super::MongoDirectory;
use crate::contract::Fixture;
use crate::directory::Directory;
use crate::store::mongodb::tests::OwnDatabase;

#[async_trait]
impl Fixture<dyn Directory> for OwnDatabase {
    async fn open(&self) -> Arc<dyn Directory> {
        Arc::new(MongoDirectory::connect(&self.uri().await).unwrap())
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

//! The API's document has every route, and nothing else. That answers look as it says is asked end to end, with validators of others.

use std::collections::BTreeSet;

use crate::http::get;
use crate::place::Place;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let document = get(&backend.url("/api/openapi.json"), None).await.json();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        for method in methods.filter(|key| METHODS.contains(&key.as_str())) {
            described.insert(format!("{method} {path}"));
        }
    }
    let routed: BTreeSet<String> = berth_backend::http::operations()
        .into_iter()
        .map(|(method, path)| format!("{} {path}", method.to_lowercase()))
        .collect();
    assert!(routed.len() > 20);
    assert_eq!(described, routed);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

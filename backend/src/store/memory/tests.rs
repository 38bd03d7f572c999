use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::{any, prop_oneof, proptest};
use proptest::strategy::Strategy;

use super::{MemoryStore, cut};
use crate::store::contract::{Fixture, draft, room, seqs, store_contract, walk_forth};
use crate::store::{Page, Store, StoreError};

#[async_trait]
impl Fixture<dyn Store> for Arc<MemoryStore> {
    async fn open(&self) -> Arc<dyn Store> {
        self.clone()
    }
}

store_contract!(Arc<MemoryStore>);

#[tokio::test]
async fn a_full_store_refuses_and_keeps_what_it_has() {
    let store = MemoryStore::holding(2000);
    let lobby = room("lobby");
    let big = "x".repeat(600);
    let outcomes = store
        .append(
            &lobby,
            vec![
                draft("ann", "1", &big),
                draft("ann", "2", &big),
                draft("ann", "1", &big),
            ],
        )
        .await;
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(StoreError::Unavailable(_))));
    assert!(
        outcomes[2]
            .as_ref()
            .is_ok_and(|appended| appended.duplicate)
    );
    let small = store.append(&lobby, vec![draft("ann", "2", "")]).await;
    assert_eq!(
        small[0].as_ref().map(|appended| appended.message.seq),
        Ok(2)
    );
    assert_eq!(seqs(&walk_forth(&store, &lobby, 5).await), [1, 2]);
}

fn pages() -> impl Strategy<Value = Page> {
    let cursor = prop_oneof![0..300_u64, any::<u64>()];
    let limit = prop_oneof![0..50_u32, any::<u32>()];
    prop_oneof![
        limit.clone().prop_map(|limit| Page::Latest { limit }),
        (cursor.clone(), limit.clone()).prop_map(|(before, limit)| Page::Before { before, limit }),
        (cursor, limit).prop_map(|(after, limit)| Page::After { after, limit }),
    ]
}

proptest! {
    #[test]
    fn a_page_is_a_piece_of_the_log_on_the_right_side_of_its_cursor(len in 0..200_usize, page in pages()) {
        let (range, has_more) = cut(len, page);
        assert!(range.start <= range.end && range.end <= len);
        let (first, last) = (range.start as u64 + 1, range.end as u64);
        match page {
            Page::Latest { limit } => {
                assert_eq!(range.end, len);
                assert!(range.len() <= limit.max(1) as usize);
                assert_eq!(has_more, range.start > 0);
            }
            Page::Before { before, limit } => {
                assert!(range.is_empty() || last < before);
                assert!(range.len() <= limit.max(1) as usize);
                assert_eq!(has_more, range.start > 0);
            }
            Page::After { after, limit } => {
                assert!(range.is_empty() || first == after + 1);
                assert!(range.len() <= limit.max(1) as usize);
                assert_eq!(has_more, range.end < len);
            }
        }
    }

    #[test]
    fn walking_either_way_visits_each_message_once(len in 0..200_usize, limit in 1..50_u32) {
        let mut after = 0;
        loop {
            let (range, has_more) = cut(len, Page::After { after, limit });
            assert_eq!(range.start as u64, after);
            after = range.end as u64;
            if !has_more {
                break;
            }
        }
        assert_eq!(after, len as u64);

        let (mut range, mut has_more) = cut(len, Page::Latest { limit });
        assert_eq!(range.end, len);
        while has_more {
            let before = range.start as u64 + 1;
            let end = range.start;
            (range, has_more) = cut(len, Page::Before { before, limit });
            assert_eq!(range.end, end);
        }
        assert_eq!(range.start, 0);
    }
}

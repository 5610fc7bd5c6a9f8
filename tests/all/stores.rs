//! Documents and status in each kind of store that AWS has, through the real SDK: what is put comes back, the store's own
//! history has what was before, and a status is none of the documents.

use anyhow::{Context, Result};
use localaws::Delays;
use valkeep_store::StoreUrl;
use valkeep_tests::scene::Scene;
use valkeep_tests::status;

#[tokio::test(start_paused = true)]
async fn what_a_document_was_before_is_in_the_stores_own_history() -> Result<()> {
    let scene = Scene::new(Delays::zero());
    let aws = scene.client();
    for url in ["s3://valkeep-demo/docs/", "ssm:/valkeep/docs/"] {
        let url: StoreUrl = url.parse()?;
        let store = aws.store(url.clone(), url.default_status()?);
        store.put("cache", b"first").await?;
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        store.put("cache", b"second").await?;
        let entry = store.list().await?.pop().context("a document")?;
        assert_eq!(store.fetch(&entry).await?, b"second", "{url}");
        let before = store
            .history(&entry)
            .await?
            .into_iter()
            .next()
            .context("a version before")?;
        assert_eq!(store.fetch(&before).await?, b"first", "{url}");
        assert!(before.generation < entry.generation, "{url}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_status_lies_beside_the_documents_and_is_written_by_compare_and_swap() -> Result<()> {
    let scene = Scene::new(Delays::zero());
    let aws = scene.client();
    status::is_written_by_compare_and_swap(&aws).await
}

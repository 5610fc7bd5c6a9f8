//! Documents and status in each kind of store that AWS has, through the real SDK: what is put comes back, the store's own
//! history has what was before, and a status is none of the documents.

use anyhow::{Context, Result, ensure};
use localaws::{Delays, Fault, FaultKind};
use valkeep_store::{StoreError, StoreUrl};
use valkeep_tests::scene::Scene;
use valkeep_tests::status;

#[tokio::test(start_paused = true)]
async fn what_a_document_was_before_is_in_the_stores_own_history() -> Result<()> {
    let scene = Scene::new(Delays::zero());
    let aws = scene.client();
    for url in ["s3://valkeep-demo/docs/", "ssm:/valkeep/docs/"] {
        let url: StoreUrl = url.parse()?;
        let store = aws.store(url.clone(), url.default_status()?);
        store.put("cache", b"first", None).await?;
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        store.put("cache", b"second", None).await?;
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
async fn a_document_is_not_written_over_a_version_that_nobody_has_read() -> Result<()> {
    let scene = Scene::new(Delays::zero());
    let aws = scene.client();
    for url in ["s3://valkeep-demo/docs/", "ssm:/valkeep/docs/"] {
        let url: StoreUrl = url.parse()?;
        let store = aws.store(url.clone(), url.default_status()?);
        let read = store.put("cache", b"first", None).await?;
        let second = store.put("cache", b"second", Some(&read)).await?;
        let refused = store.put("cache", b"made from the first", Some(&read)).await;
        ensure!(matches!(refused, Err(StoreError::Changed { .. })), "{url}: {refused:?}");
        assert_eq!(store.fetch(&second).await?, b"second", "{url}");
    }
    // One that comes between the look and the call, too, where the store can tell.
    let url: StoreUrl = "s3://valkeep-demo/docs/".parse()?;
    let store = aws.store(url.clone(), url.default_status()?);
    let read = store.list().await?.pop().context("a document")?;
    scene.aws.inject(Fault::on("PutObject", FaultKind::LostReply).times(1));
    store.put("cache", b"its answer is lost", Some(&read)).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_status_lies_beside_the_documents_and_is_written_by_compare_and_swap() -> Result<()> {
    let scene = Scene::new(Delays::zero());
    let aws = scene.client();
    status::is_written_by_compare_and_swap(&aws).await
}

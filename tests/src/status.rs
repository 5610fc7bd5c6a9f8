//! What every store must keep of its promise about status, whichever AWS it is on.

use anyhow::{Context, Result, bail};
use valkeep_aws::Aws;
use valkeep_store::{Expect, StoreUrl, Written};

/// Fails unless a status lies beside the documents of S3 and of SSM, and is written by compare-and-swap.
pub async fn is_written_by_compare_and_swap(aws: &Aws) -> Result<()> {
    for url in ["s3://valkeep-demo/docs/", "ssm:/valkeep/docs/"] {
        let url: StoreUrl = url.parse()?;
        let store = aws.store(url.clone(), url.default_status()?);
        assert_eq!(store.read_status("cache").await?, None, "{url}");
        let Written::Yes(first) = store.write_status("cache", b"{\"a\":1}", &Expect::Absent).await? else {
            bail!("{url}: nobody else writes");
        };
        let Written::Yes(_) = store
            .write_status("cache", b"{\"a\":2}", &Expect::Tag(first.clone()))
            .await?
        else {
            bail!("{url}: nobody else writes");
        };
        let late = store.write_status("cache", b"{\"a\":3}", &Expect::Tag(first)).await?;
        assert_eq!(late, Written::Conflict, "{url}");
        let status = store.read_status("cache").await?.context("a status")?;
        assert_eq!(status.body, b"{\"a\":2}", "{url}");
        assert!(store.list().await?.is_empty(), "{url}: a status is no document");
    }
    Ok(())
}

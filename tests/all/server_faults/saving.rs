//! A server that cannot save: it hangs, the disk is full, or it may not write.

use super::*;
use nix::sys::signal::Signal;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

/// The directory is there and cannot be written.
const READ_ONLY: u32 = 0o555;

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_hangs_is_told_and_ends_in_the_replacement() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    ground.hang_a_save().await?;
    ground.write("meanwhile")?;
    let said = [
        "waits: a snapshot has been under way for more than 2",
        "(hint: ",
        "requireSnapshot: false",
    ];
    ground.until_said("Stalled", "SnapshotHangs", &said).await?;
    ground
        .until_said(
            "PersistenceHealthy",
            "SaveHangs",
            &["changes are not saved (hint: see the file system's throughput"],
        )
        .await?;
    ground.everything_else_goes_on().await?;
    ground.stays()?;

    signal(&ground.first, SAVER, Signal::SIGCONT)?;
    let second = ground.replaced().await?;
    has_all(&second, &["before", "meanwhile"])?;
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_the_server_until_there_is_room() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    limit_files(&ground.first, Some(1024))?;
    ground.put(&[LARGER]);
    let said = [
        "the last snapshot failed",
        "a full or read-only directory",
        "requireSnapshot: false",
    ];
    ground.until_said("Stalled", "SnapshotFailed", &said).await?;
    ground
        .until_said("PersistenceHealthy", "SaveFailing", &["(hint: see the container's log"])
        .await?;
    // Again and again, while the status stays what it is.
    let tried = info(&ground.first, "rdb_saves")?.parse::<u32>()?;
    until("another try", &ground.real, || {
        let (_, reason, _) = condition(&ground.real, "Stalled").context("a condition")?;
        ensure!(reason == "SnapshotFailed", "{reason}");
        Ok((info(&ground.first, "rdb_saves")?.parse::<u32>()? > tried).then_some(()))
    })
    .await?;
    ground.write("meanwhile")?;
    ground.everything_else_goes_on().await?;
    ground.stays()?;

    limit_files(&ground.first, None)?;
    let second = ground.replaced().await?;
    has_all(&second, &["before", "meanwhile"])?;
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_may_not_be_written_keeps_the_server_and_the_document_may_go_back() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    let directory = ground.directory()?;
    let before = directory.metadata()?.permissions();
    set_permissions(&directory, Permissions::from_mode(READ_ONLY))?;
    ground.put(&[LARGER]);
    ground
        .until_said("Stalled", "SnapshotFailed", &["(hint: ", "permissions"])
        .await?;
    ground.stays()?;

    // Taken back, the change waits for nothing any more; that saving fails stays said until it does not.
    ground.put(&[]);
    ground.until_said("Stalled", "NotStalled", &[]).await?;
    ground.until_said("Ready", "SaveFailing", &["(hint: "]).await?;
    ground.stays()?;
    set_permissions(&directory, before)?;
    saved(&ground.real, &ground.first).await?;
    ground.until_said("Ready", "AsDesired", &[]).await?;
    ground.stays()?;
    ground.put(&[LARGER]);
    let second = ground.replaced().await?;
    has_all(&second, &["before"])?;
    ground.end().await
}

/// The way out of a hang: a server that is told to end drops the save that hangs and makes a last one itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_hangs_is_not_waited_for_where_the_document_says_so() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    ground.hang_a_save().await?;
    ground.until_said("Reconciling", "Snapshotting", &[]).await?;
    ground.put(&[LARGER, ("requireSnapshot: true", "requireSnapshot: false")]);
    let second = ground.replaced().await?;
    has_all(&second, &["before"])?;
    ground.end().await
}

impl Ground {
    /// Asks for another task, and stops the one that saves before it.
    async fn hang_a_save(&self) -> Result<()> {
        self.save_slowly()?;
        self.put(&[LARGER]);
        self.until_it_saves().await?;
        signal(&self.first, SAVER, Signal::SIGSTOP)
    }
}

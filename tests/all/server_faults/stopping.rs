//! A server that is told to end and does not.

use super::*;

/// Its last save hangs, during which Valkey hears nothing: ECS kills it, and the snapshot before has all.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ignores_sigterm_is_told_and_killed_and_its_last_snapshot_has_all() -> Result<()> {
    let timeout = ("stopTimeoutSeconds: 120", "stopTimeoutSeconds: 5");
    let ground = Ground::start(&[timeout]).await?;
    ground.write("before")?;
    saved(&ground.real, &ground.first).await?;
    // A second for each key.
    set(&ground.first, DELAY, "1000000")?;
    ground.put(&[LARGER]);
    let id = ground.first.arn.rsplit('/').next().context("an id")?;
    let told = format!("its task {id} was told at ");
    let said = [&*told, " to end (hint: ", "ECS kills it after the stop timeout"];
    ground.until_said("ServiceStable", "RollingOut", &said).await?;

    let second = ground.replaced().await?;
    assert_eq!(last_exit(&ground.real), Some(137));
    has_all(&second, &["before"])?;
    ground
        .until_said("WarmStart", "Warm", &["200 keys were loaded"])
        .await?;
    // What the killed one had begun to write went when the next one had the lock.
    for entry in std::fs::read_dir(ground.directory()?)? {
        let name = entry?.file_name();
        ensure!(!name.to_string_lossy().starts_with("temp-"), "{name:?}");
    }
    ground.end().await
}

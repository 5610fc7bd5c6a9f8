//! localaws against moto, asked by boto3: neither is to be only what we believe it to be.

use anyhow::{Context, Result};
use localaws::LocalAws;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tokio::process::Command;
use valkeep_tests::moto::{Moto, python_program};
use valkeep_tests::scene;

/// A difference that is known: what each answers, and which of the two AWS is like.
#[derive(Debug, serde::Deserialize)]
struct Known {
    localaws: Value,
    moto: Value,
    #[expect(dead_code, reason = "for the reader of the file")]
    why: String,
}

#[tokio::test]
async fn localaws_and_moto_differ_only_where_it_is_known() -> Result<()> {
    let moto = Moto::start().await?;
    let theirs = outcomes(&moto.endpoint).await?;
    let ours = {
        let aws = LocalAws::new(scene::instant_config());
        let server = scene::serve(&aws).await?;
        let outcomes = outcomes(&server.endpoint).await?;
        aws.shutdown().await;
        outcomes
    };
    let known: BTreeMap<String, Known> =
        serde_json::from_slice(&std::fs::read(folder().join("known-differences.json"))?)
            .context("known-differences.json")?;

    let mut wrong = String::new();
    for (case, ours) in &ours {
        let theirs = theirs.get(case).context("both run the same cases")?;
        match known.get(case) {
            None if ours == theirs => {}
            None => writeln!(
                wrong,
                "{case}: not known to differ\n  localaws {ours}\n  moto     {theirs}"
            )?,
            Some(_) if ours == theirs => writeln!(wrong, "{case}: listed as different, and both answer {ours}")?,
            Some(known) if known.localaws == *ours && known.moto == *theirs => {}
            Some(known) => writeln!(
                wrong,
                "{case}: differs otherwise than listed\n  localaws {ours}\n  listed   {}\n  moto     {theirs}\n  listed   {}",
                known.localaws, known.moto
            )?,
        }
    }
    for case in known.keys().filter(|case| !ours.contains_key(*case)) {
        writeln!(wrong, "{case}: listed, and no such case runs")?;
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    Ok(())
}

async fn outcomes(endpoint: &str) -> Result<BTreeMap<String, Value>> {
    let output = Command::new(python_program("python")?)
        .arg(folder().join("cases.py"))
        .arg(endpoint)
        .kill_on_drop(true)
        .output()
        .await
        .context("cases.py does not start")?;
    anyhow::ensure!(
        output.status.success(),
        "cases.py: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

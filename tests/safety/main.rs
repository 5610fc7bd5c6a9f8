//! `make safety`: what replacing, overlapping and killing servers costs, with real Valkeys on a local AWS. Prints a table in
//! Markdown and ends with 1 when a promised nothing is something. Nothing is timed but the gap.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use anyhow::{Context, Result, bail};
use std::process::ExitCode;
use valkeep_tests::safety::{HEAD, Row, killed, kills, overlaps, replacements};

const USAGE: &str =
    "usage: safety [--replacements N] [--killed N] [--overlaps N] [--kills N] [--seed N]; 0 leaves a row out";

/// How often everything is done.
struct Counts {
    replacements: usize,
    killed: usize,
    overlaps: usize,
    kills: usize,
    seed: u64,
}

fn main() -> Result<ExitCode> {
    let counts = counts(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rows = runtime.block_on(rows(&counts))?;
    println!("seed {}, {}\n\n{HEAD}", counts.seed, valkey()?);
    for row in &rows {
        println!("{row}");
    }
    let broken: Vec<&String> = rows.iter().flat_map(|row| &row.broken).collect();
    for promise in &broken {
        println!("\nbroken: {promise}");
    }
    Ok(if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn rows(counts: &Counts) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if counts.replacements > 0 {
        eprintln!("{} replacements, with valkeep and without", counts.replacements);
        rows.push(replacements::replacements(counts.replacements, counts.seed).await?);
    }
    if counts.killed > 0 {
        eprintln!("valkeep killed in a replacement, {} times", counts.killed);
        rows.push(killed::killed(counts.killed, counts.seed).await?);
    }
    if counts.overlaps > 0 {
        eprintln!("{} overlaps, with the lock and without", counts.overlaps);
        rows.push(overlaps::overlaps(counts.overlaps, counts.seed).await?);
    }
    if counts.kills > 0 {
        eprintln!("{} kills", counts.kills);
        rows.push(kills::kills(counts.kills, counts.seed).await?);
    }
    Ok(rows)
}

fn counts(mut words: impl Iterator<Item = String>) -> Result<Counts> {
    let mut counts = Counts {
        replacements: 20,
        killed: 18,
        overlaps: 50,
        kills: 5,
        seed: 1,
    };
    while let Some(word) = words.next() {
        let value = words.next().context(USAGE)?;
        match word.as_str() {
            "--replacements" => counts.replacements = value.parse()?,
            "--killed" => counts.killed = value.parse()?,
            "--overlaps" => counts.overlaps = value.parse()?,
            "--kills" => counts.kills = value.parse()?,
            "--seed" => counts.seed = value.parse()?,
            _ => bail!(USAGE),
        }
    }
    Ok(counts)
}

/// What was run.
fn valkey() -> Result<String> {
    let output = std::process::Command::new("valkey-server").arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(" sha=").next().unwrap_or_default().to_owned())
}

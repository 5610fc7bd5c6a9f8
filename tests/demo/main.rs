//! `make demo`: the whole path on one machine, with the shipped binary, a local AWS and a real Valkey.
//!
//! It types what a person would type and prints what that person would see. It decides nothing: everything shown is
//! what the programs print.
#![expect(clippy::print_stdout, reason = "printing is what a demo is for")]

mod keys;
mod local_aws;
mod shell;

use anyhow::{Context, Result, bail, ensure};
use local_aws::LocalAwsProcess;
use shell::Shell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "trigpointing-valkey";
const STORE: &str = "s3://valkeep-demo/docs/";
const KEYS: usize = 1_000;
const UNSAVED: usize = 100;

fn main() -> Result<()> {
    let keep = std::env::args().any(|argument| argument == "--keep");
    let began = Instant::now();
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let document = folder.path().join("trigpointing-valkey.yaml");
    std::fs::copy(
        repository().join("manifests/examples/trigpointing-valkey.yaml"),
        &document,
    )?;

    title("A local AWS: S3, EFS, ECS, EC2, IAM and Logs over their real wire protocols");
    let aws = LocalAwsProcess::start(&folder.path().join("aws"))?;
    println!(
        "listening on {}, account {}, region {}",
        aws.endpoint(),
        aws.value("AWS_ACCOUNT_ID"),
        aws.value("AWS_REGION")
    );
    let shell = Shell::new(&aws, folder.path());

    title("The document, and what valkeep would do about it");
    shell.run(&["validate", "trigpointing-valkey.yaml"])?;
    shell.run_expecting(2, &["plan", "trigpointing-valkey.yaml"])?;

    title("The document goes to S3, the controller starts");
    shell.run(&["apply", "trigpointing-valkey.yaml", "--store", STORE])?;
    let controller = shell.controller(STORE, &folder.path().join("valkeep.log"))?;
    shell.run(&["wait", NAME, "--for=Ready", "--timeout", "90s"])?;
    shell.run(&["status", NAME])?;

    title("Keys go in, and ECS stops the task: SIGTERM, Valkey's final save, a new task");
    let first = shell.serving(NAME)?;
    keys::write(&first.address, "key", KEYS)?;
    println!("{} keys in the task at {}", keys::count(&first.address)?, first.address);
    aws.stop_task(&first.task)?;
    println!(
        "$ aws ecs stop-task --cluster trigpointing-cluster --task {}",
        first.task
    );
    let second = shell.wait_for_another_task(NAME, &first.task, Duration::from_mins(1))?;
    let found = keys::count_written(&second.address, "key", KEYS)?;
    println!("{found} of {KEYS} keys are back in the next task at {}", second.address);
    ensure!(found == KEYS, "keys were lost over a clean stop");

    title("What a kill -9 costs: what changed since the last snapshot, and no more");
    keys::write(&second.address, "unsaved", UNSAVED)?;
    let at_risk = shell.wait_for_keys_at_risk(NAME, UNSAVED as u64)?;
    println!("{UNSAVED} more keys written; status says that {at_risk} changes are at risk");
    keys::kill_server(&second.address)?;
    let third = shell.wait_for_another_task(NAME, &second.task, Duration::from_mins(1))?;
    let kept = keys::count_written(&third.address, "key", KEYS)?;
    let unsaved = keys::count_written(&third.address, "unsaved", UNSAVED)?;
    println!(
        "after kill -9: {kept} of {KEYS} snapshotted keys are there, {} of {UNSAVED} unsaved ones are lost",
        UNSAVED - unsaved
    );
    ensure!(kept == KEYS, "a kill -9 cost keys that had been saved");

    title("A change: more frequent snapshots");
    replace(&document, "preset: Balanced", "preset: Frequent")?;
    println!("$ sed -i 's/preset: Balanced/preset: Frequent/' trigpointing-valkey.yaml");
    shell.run_expecting(2, &["plan", "trigpointing-valkey.yaml"])?;
    apply(&shell)?;
    let same = shell.serving(NAME)?;
    println!(
        "the same task serves, save = \"{}\"",
        keys::setting(&same.address, "save")?
    );
    ensure!(same.task == third.task, "tuning restarted the server");

    title("A change that restarts the server: more memory, and writes that no save point has seen");
    keys::write(&same.address, "fresh", UNSAVED)?;
    replace(&document, "memoryMiB: 512", "memoryMiB: 1024")?;
    println!("$ sed -i 's/memoryMiB: 512/memoryMiB: 1024/' trigpointing-valkey.yaml");
    apply(&shell)?;
    let fourth = shell.serving(NAME)?;
    let kept = keys::count_written(&fourth.address, "key", KEYS)?;
    let fresh = keys::count_written(&fourth.address, "fresh", UNSAVED)?;
    println!("{kept} of {KEYS} keys and {fresh} of {UNSAVED} fresh ones are in the next task");
    ensure!(
        kept == KEYS && fresh == UNSAVED,
        "writes were lost over a planned replacement"
    );
    ensure!(fourth.task != third.task, "the change was not rolled out");

    title("At rest: planning again changes nothing");
    shell.run(&["plan", NAME])?;
    shell.run(&["status", NAME])?;

    println!("\nDone in {} s.", began.elapsed().as_secs());
    if keep {
        stay(&shell, &fourth.address)?;
    }
    controller.stop()?;
    aws.stop()
}

fn apply(shell: &Shell) -> Result<()> {
    shell.run(&[
        "apply",
        "trigpointing-valkey.yaml",
        "--store",
        STORE,
        "--wait",
        "--timeout",
        "90s",
    ])?;
    Ok(())
}

fn stay(shell: &Shell, address: &str) -> Result<()> {
    let (host, port) = address.rsplit_once(':').context("an address has a port")?;
    title("Still running until Ctrl-C");
    println!("localaws  {}\nValkey    {address}\n", shell.endpoint());
    println!("In another terminal:\n{}", shell.exports());
    println!("Three things to try:");
    println!("  valkey-cli -h {host} -p {port} INFO persistence");
    println!("  valkeep status {NAME} --watch");
    println!(
        "  aws efs describe-mount-targets --file-system-id \"$(aws efs describe-file-systems --query 'FileSystems[0].FileSystemId' --output text)\""
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_path_buf()
}

fn replace(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    if !text.contains(from) {
        bail!("{} does not hold `{from}`", file.display());
    }
    Ok(std::fs::write(file, text.replace(from, to))?)
}

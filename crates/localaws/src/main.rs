//! `localaws serve`: the local AWS as a program, until it is told to end.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use localaws::{AddressBlock, Config, Delays, Knobs, LocalAws, TaskRunner, world};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// An AWS in one process, on loopback.
#[derive(Debug, Parser)]
#[command(name = "localaws", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers until SIGTERM or SIGINT, then ends its tasks. Prints the variables that SDKs need, ready for a shell.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where file systems lie; a temporary folder that goes at the end when left out.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Seed of all ids.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long things take.
    #[arg(long, value_enum, default_value_t = Speed::Fast)]
    speed: Speed,
    /// Region.
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// Account.
    #[arg(long, default_value = "123456789012")]
    account: String,
    /// With the VPC, cluster, roles and bucket that the example document names.
    #[arg(long)]
    world: bool,
    /// Tasks are only told, not run.
    #[arg(long)]
    simulate_tasks: bool,
    /// A new task starts while the old one is still inside its stop timeout, as happens on ECS.
    #[arg(long)]
    overlap: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Speed {
    /// No time at all.
    Instant,
    /// Seconds.
    Fast,
    /// What is usual on AWS: minutes.
    Aws,
}

fn main() -> Result<()> {
    let Arguments {
        command: Command::Serve(serve),
    } = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "localaws=info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(run(serve))
}

async fn run(serve: Serve) -> Result<()> {
    let Serve {
        port,
        data,
        seed,
        speed,
        region,
        account,
        world: seeded,
        simulate_tasks,
        overlap,
    } = serve;
    let mut end = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let temporary = match &data {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("localaws-")
                .tempdir()
                .context("no temporary folder")?,
        ),
    };
    let data_dir = data
        .or(temporary.as_ref().map(|folder| folder.path().to_owned()))
        .context("no folder")?;
    std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot make the folder {}", data_dir.display()))?;
    let block = AddressBlock::reserve().context("no block of loopback addresses is free")?;
    let aws = LocalAws::new(Config {
        ip_block: block.octets(),
        region,
        account,
        seed,
        epoch: Timestamp::now(),
        delays: match speed {
            Speed::Instant => Delays::zero(),
            Speed::Fast => Delays::default(),
            Speed::Aws => Delays::aws(),
        },
        tasks: if simulate_tasks {
            TaskRunner::Simulated
        } else {
            TaskRunner::Processes
        },
        data_dir,
        knobs: Knobs {
            overlap_stopping: overlap,
            ..Knobs::default()
        },
        ..Config::default()
    });
    if seeded {
        world::trigpointing(&aws);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let variables = variables(&aws, listener.local_addr().context("no address")?, seeded);
    // In one piece, and without minding whether anybody still reads: a reader may stop at what it needs.
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(variables.as_bytes()).and_then(|()| stdout.flush());
    drop(stdout);
    if let Err(error) = written {
        tracing::warn!(%error, "nobody reads where this listens");
    }
    let ended = async {
        tokio::select! {
            _ = end.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = localaws::serve(aws.clone(), listener, ended).await;
    aws.shutdown().await;
    if let Some(folder) = temporary {
        folder.close().context("the temporary folder cannot be removed")?;
    }
    served.context("cannot accept connections any more")
}

/// `export NAME=value` lines.
fn variables(aws: &LocalAws, address: SocketAddr, seeded: bool) -> String {
    let Config { region, account, .. } = aws.config();
    let endpoint = format!("http://{address}");
    let mut lines = vec![
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ACCESS_KEY_ID", "localaws"),
        ("AWS_SECRET_ACCESS_KEY", "localaws"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCOUNT_ID", account),
    ];
    if seeded {
        lines.extend([
            ("LOCALAWS_VPC", world::VPC),
            ("LOCALAWS_SUBNET_A", world::SUBNETS[0].0),
            ("LOCALAWS_SUBNET_B", world::SUBNETS[1].0),
            ("LOCALAWS_TASK_GROUP", world::TASK_GROUP),
            ("LOCALAWS_MAINTENANCE_GROUP", world::MAINTENANCE_GROUP),
            ("LOCALAWS_CLUSTER", world::CLUSTER),
            ("LOCALAWS_TASK_ROLE", world::TASK_ROLE),
            ("LOCALAWS_EXECUTION_ROLE", world::EXECUTION_ROLE),
            ("LOCALAWS_BUCKET", world::BUCKET),
        ]);
    }
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "export {name}={value}").expect("a string takes everything");
    }
    text
}

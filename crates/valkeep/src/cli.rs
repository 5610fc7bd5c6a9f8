//! The command line: what can be said, with its help. Decides nothing.

use crate::exit::{self, Exit};
use crate::values::{LogFormat, TextJsonOrYaml, TextOrJson, Want, YamlOrJson, duration, interval, share};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::limits::Pattern;
use valkeep_store::{LeaseUrl, StoreUrl};

/// Keeps Valkey on ECS warm: one YAML document becomes EFS, ECS and a Valkey that survives its tasks.
///
/// A document of kind ValkeyPersistence lies in a store (S3, SSM Parameter Store or a folder). `valkeep run` reads it
/// and keeps everything it means true: file system, mount targets, access point, permissions, task definition, service.
/// What it did, waits for and needs is written beside the document as status.
///
/// Region, endpoint and credentials come from where the AWS SDK looks: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, the
/// shared configuration files, the container or the instance.
#[derive(Debug, Parser)]
#[command(name = "valkeep", version, after_long_help = exit::TABLE, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LogArgs {
    /// Form of log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORM")]
    pub(crate) log_format: LogFormat,
    /// What to log: a level or target=level pairs, like `warn,valkeep=debug`
    ///
    /// `run` logs its decisions (`warn,valkeep=info`), other commands only trouble (`warn`). What the AWS SDK would say
    /// below info stays closed whatever the filter: it may hold tokens.
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Converge every document of the stores, again and again
    Run(RunArgs),
    /// Check documents and print everything that is wrong with them
    Validate(ValidateArgs),
    /// Print a document with every default filled in
    Render(RenderArgs),
    /// Show what would be done for a document, and change nothing
    Plan(PlanArgs),
    /// Write the document of a service that runs today
    Import(ImportArgs),
    /// Lay a document's persistence over a task definition, offline
    Mutate(MutateArgs),
    /// Check a document and write it to a store
    Apply(ApplyArgs),
    /// Show the status of documents
    Status(StatusArgs),
    /// Wait until a document's conditions are as wanted
    Wait(WaitArgs),
    /// Restart a document's server with care, and prove that its data comes back
    Verify(VerifyArgs),
    /// Print the least IAM policy that `run` needs
    IamPolicy(IamPolicyArgs),
    /// Print the JSON Schema of documents
    Schema(SchemaArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the command reference as Markdown
    #[command(hide = true)]
    Reference,
}

/// Where documents are.
#[derive(Debug, Args)]
// Flattened last wherever it is used: clap gives the heading to every argument that follows.
#[command(next_help_heading = "Stores")]
pub(crate) struct StoreArgs {
    /// Where documents are: s3://bucket/prefix/, ssm:/path/ or file:DIR; may be given several times
    #[arg(long, env = "VALKEEP_STORE", value_delimiter = ',', value_name = "URL")]
    pub(crate) store: Vec<StoreUrl>,
    /// Where status is; one for each --store, in the same order [default: beside each store, as in s3://bucket/prefix-status/]
    #[arg(long, env = "VALKEEP_STATUS", value_delimiter = ',', value_name = "URL")]
    pub(crate) status: Vec<StoreUrl>,
}

/// How several valkeeps share the work: one leads, the others take over when it is gone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replicas")]
pub(crate) struct ReplicaArgs {
    /// The lease by which one of several replicas leads: an object in S3, the same for all of them [default: `.lease` beside
    /// the first status that lies in S3]
    ///
    /// The leader renews it every 5 s; when it has not for 15 s, another one takes over. Stores outside S3 have no place
    /// for it, so there it must be given, or --single-replica.
    #[arg(long, env = "VALKEEP_LEASE", value_name = "URL", conflicts_with = "single_replica")]
    pub(crate) lease: Option<LeaseUrl>,
    /// Work without a lease: no other valkeep runs on these stores
    #[arg(long)]
    pub(crate) single_replica: bool,
}

/// Who manages.
#[derive(Debug, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct ScopeArgs {
    /// Id of this installation of valkeep
    ///
    /// Part of every name, token and tag. Two installations never touch each other's resources; another id finds
    /// nothing of what this one made.
    #[arg(long, default_value = "default", env = "VALKEEP_INSTALLATION", value_name = "ID", value_parser = installation)]
    pub(crate) installation: String,
    /// How long a mount target's DNS name is given after its interface was attached, before the service is started
    #[arg(long, default_value = "90s", value_name = "DURATION", value_parser = duration)]
    pub(crate) dns_grace: Duration,
}

/// How far documents may reach.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// File with what documents may touch, as manifests/settings/example.yaml; a flag stands in place of what it says
    ///
    /// In patterns `*` stands for any characters. A kind without patterns is not limited. A document that names
    /// something else is stalled with NotPermitted.
    #[arg(long, env = "VALKEEP_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Clusters that documents may name
    #[arg(long, env = "VALKEEP_ALLOW_CLUSTER", value_delimiter = ',', value_name = "PATTERN")]
    pub(crate) allow_cluster: Vec<Pattern>,
    /// Task roles and execution roles that documents may name, without their path
    #[arg(long, env = "VALKEEP_ALLOW_ROLE", value_delimiter = ',', value_name = "PATTERN")]
    pub(crate) allow_role: Vec<Pattern>,
    /// ARNs of roles that valkeep may take on for documents (spec.assumeRoleArn), like
    /// arn:aws:iam::222222222222:role/valkeep-*
    #[arg(
        long,
        env = "VALKEEP_ALLOW_ASSUME_ROLE",
        value_delimiter = ',',
        value_name = "PATTERN",
        value_parser = Pattern::parse_role_arn
    )]
    pub(crate) allow_assume_role: Vec<Pattern>,
    /// Security groups that documents may name, by id
    #[arg(
        long,
        env = "VALKEEP_ALLOW_SECURITY_GROUP",
        value_delimiter = ',',
        value_name = "PATTERN"
    )]
    pub(crate) allow_security_group: Vec<Pattern>,
    /// Container images that documents may name
    #[arg(long, env = "VALKEEP_ALLOW_IMAGE", value_delimiter = ',', value_name = "PATTERN")]
    pub(crate) allow_image: Vec<Pattern>,
    /// Regions that documents may be for
    #[arg(long, env = "VALKEEP_ALLOW_REGION", value_delimiter = ',', value_name = "PATTERN")]
    pub(crate) allow_region: Vec<Pattern>,
}

/// `valkeep run`
#[derive(Debug, Args)]
#[command(after_long_help = "\
The first SIGTERM or SIGINT lets passes in flight end, takes no new work and gives up the lease; the second ends at once. \
With --once another replica that leads is waited for, up to a minute.")]
pub(crate) struct RunArgs {
    /// How often stores are looked at for changed documents
    #[arg(long, default_value = "15s", value_name = "DURATION", value_parser = interval)]
    pub(crate) poll: Duration,
    /// How often a document is compared with AWS even if it did not change
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = interval)]
    pub(crate) resync: Duration,
    /// How often each Valkey is asked for its INFO
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = interval)]
    pub(crate) probe_interval: Duration,
    /// How many documents are worked on at the same time
    #[arg(long, default_value = "8", value_name = "N")]
    pub(crate) concurrency: NonZeroUsize,
    /// The part of AWS's documented request rates that valkeep takes in each account and region. At 0.5, fleets of more than
    /// 200 documents in one account are compared with AWS every 3 s times their number, which is 2 calls of EFS a second;
    /// more than 1 only where AWS has raised the rates
    #[arg(long, default_value = "0.5", value_name = "SHARE", value_parser = share)]
    pub(crate) rate_share: f64,
    /// End when every document is Ready, deleted as it asks, or stalled: 0 if none is stalled, 3 if one is
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: end after this long in any case
    #[arg(long, requires = "once", value_name = "DURATION", value_parser = interval)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) replicas: ReplicaArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
}

/// `valkeep validate`
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Documents, folders of documents, or - for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Form of the findings
    #[arg(long, short, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
}

/// `valkeep render`
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// A document, or - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Form of the document
    #[arg(long, short, value_enum, default_value = "yaml")]
    pub(crate) output: YamlOrJson,
}

/// `valkeep plan`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Looks at AWS and, if it can be reached, at Valkey; changes nothing. Shows what is done now, what follows once AWS has \
answered (\"known after\" stands for what AWS decides), and what is held and why.

Exit codes: 0 nothing to do, 2 there is something to do, 3 nothing to do without a person, 1 error or something could \
not be looked at.")]
pub(crate) struct PlanArgs {
    /// A file, - for stdin, or the name of a document in --store
    #[arg(value_name = "FILE|NAME")]
    pub(crate) document: String,
    /// Form of the plan
    #[arg(long, short, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
}

/// `valkeep import`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Looks at the service and its task definition, changes nothing, and prints a document that takes the service over, with \
comments for what is unusual about it. `valkeep plan` with that document shows only what persistence adds.")]
pub(crate) struct ImportArgs {
    /// ECS cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: String,
    /// ECS service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
}

/// `valkeep mutate`
#[derive(Debug, Args)]
#[command(after_long_help = "\
For pipelines that deploy a service which a document has taken over: what is printed goes to `aws ecs \
register-task-definition --cli-input-json`. valkeep then finds everything in place, and the cache is never without its \
directory, as it would be between a deploy of the bare definition and valkeep's own. Everything in the definition that is \
not persistence is printed as it was; one that was mutated before may be given again.

    valkeep mutate taskdef.json --document cache.yaml --file-system fs-0123456789abcdef0 --access-point \
fsap-0123456789abcdef0 > mutated.json")]
pub(crate) struct MutateArgs {
    /// Input of a registration as JSON, or what `aws ecs describe-task-definition` prints; - for stdin
    #[arg(value_name = "TASKDEF.json")]
    pub(crate) definition: PathBuf,
    /// The document
    #[arg(long, value_name = "FILE")]
    pub(crate) document: PathBuf,
    /// The document's file system, unless the document names it; its status says which
    #[arg(long, value_name = "ID", value_parser = FileSystemId::parse)]
    pub(crate) file_system: Option<FileSystemId>,
    /// The document's access point, unless the document names it; its status says which
    #[arg(long, value_name = "ID", value_parser = AccessPointId::parse)]
    pub(crate) access_point: Option<AccessPointId>,
    /// ARN of the document's task role, for a definition without one
    #[arg(long, value_name = "ARN")]
    pub(crate) task_role_arn: Option<String>,
}

/// `valkeep apply`
#[derive(Debug, Args)]
#[command(
    after_long_help = "Nothing is written if the document has findings, or if another document of the same name lies in the store under \
another key."
)]
pub(crate) struct ApplyArgs {
    /// A document, or - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Wait until this version of the document is Ready, or Deleted if it asks for that; 3 if it stalls or the time is over
    #[arg(long)]
    pub(crate) wait: bool,
    /// With --wait: how long
    #[arg(long, requires = "wait", default_value = "10m", value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// With --wait: how often to look
    #[arg(long, requires = "wait", default_value = "2s", value_name = "DURATION", value_parser = interval)]
    pub(crate) poll: Duration,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
}

/// `valkeep status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Name of one document, for everything about it; all documents in a table when left out
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Go on and print what changes, until interrupted
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// With --watch: how often to look
    #[arg(long, requires = "watch", default_value = "2s", value_name = "DURATION", value_parser = interval)]
    pub(crate) poll: Duration,
    /// Form of the status
    #[arg(long, short, value_enum, default_value = "text")]
    pub(crate) output: TextJsonOrYaml,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
}

/// `valkeep wait`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Only a status of the document's current version counts (or of --revision, or of a later one): a Ready from before the \
last change is not taken for an answer. Phases are told on stderr as they change.

A document that asks for its deletion (valkeep.dev/delete) is never Ready: wait for Deleted.

Waiting for Ready or Deleted ends early, with 3, when that version has been stalled for 15 s: it would need a person. \
--through-stalls waits on.

Exit codes: 0 as wanted, 3 not in time or stalled, 1 error.")]
pub(crate) struct WaitArgs {
    /// Name of the document
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A condition, as Ready, Deleted, Reconciling=False or condition=Ready; all of them when given several times
    #[arg(long = "for", default_value = "Ready", value_name = "CONDITION[=STATUS]")]
    pub(crate) wants: Vec<Want>,
    /// Revision of the document that the status must have seen [default: the one in the store now]
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    /// How long
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// How often to look
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = interval)]
    pub(crate) poll: Duration,
    /// Wait on when the document is stalled
    #[arg(long)]
    pub(crate) through_stalls: bool,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
}

/// `valkeep verify`
#[derive(Debug, Args)]
#[command(after_long_help = "\
A drill. It writes keys of its own under `valkeep:verify:`, notes how many keys there are, and asks for one replacement of \
the task by giving the annotation valkeep.dev/restart a new value on the document in its store. `valkeep run` then \
replaces the task with the care of every replacement. Meanwhile one key is written ten times a second, and when \
another server serves and the document is Ready, every key is read back. The keys are deleted at the end; if that cannot be \
done, they expire.

It needs what `plan` needs, a connection to Valkey, and the right to write the document. A pipeline that puts the document \
back afterwards restarts nothing.

Nothing is begun unless the document is Ready, in mode Enforce, takes snapshots, and is not kept waiting by a closed \
maintenance window.

Exit codes: 0 everything that was written came back, 1 something was lost, or an error, 3 no replacement in time.")]
pub(crate) struct VerifyArgs {
    /// Name of the document
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Do not ask before the restart
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// How many keys are written, and read back after the restart
    #[arg(long, default_value = "100", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) keys: u32,
    /// How long the replacement may take
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = interval)]
    pub(crate) timeout: Duration,
    /// How often to look at the status
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = interval)]
    pub(crate) poll: Duration,
    /// Form of the result
    #[arg(long, short, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
}

/// `valkeep iam-policy`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Generated from the table of every call that valkeep makes, for the stores, the installation and the limits that are \
given: give the same as to `run`. Asks AWS for account and region only if one of them is left out.

Security groups and images are limited by valkeep alone: IAM does not see which group a rule names or which image a \
task definition has. Neither does it see the name or the content of the inline policy that valkeep puts on task roles.")]
pub(crate) struct IamPolicyArgs {
    /// Account of the role [default: the caller's]
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(crate) account: Option<String>,
    /// Region that `run` works in [default: the SDK's]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Partition, when account and region are given
    #[arg(long, default_value = "aws", value_name = "PARTITION")]
    pub(crate) partition: String,
    /// Id of the installation
    #[arg(long, default_value = "default", env = "VALKEEP_INSTALLATION", value_name = "ID", value_parser = installation)]
    pub(crate) installation: String,
    /// The lease of the replicas, if it does not lie beside a status
    #[arg(long, env = "VALKEEP_LEASE", value_name = "URL")]
    pub(crate) lease: Option<LeaseUrl>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
}

/// `valkeep schema`
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Print the CRD-shaped manifest (YAML) instead of the JSON Schema
    #[arg(long)]
    pub(crate) crd: bool,
}

/// `valkeep completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

impl Command {
    /// Whether it runs on and tells its decisions in the log.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Command::Run(_))
    }
}

/// Reads the command line. Help and version are printed and end well; anything wrong ends with 64, because clap's own 2
/// means "changes" here.
pub(crate) fn parse() -> Result<Cli, Exit> {
    Cli::try_parse().map_err(|error| {
        // There is nowhere to report that the report could not be written.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    })
}

/// An installation's id goes into tags: what AWS takes there, kept short.
fn installation(text: &str) -> Result<String, String> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 64 lower-case letters, digits and hyphens".to_owned())
    }
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|digit| digit.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("write the 12 digits of an account".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}

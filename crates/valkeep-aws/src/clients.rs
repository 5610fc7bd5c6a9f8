//! The SDK's clients, made once from one configuration with explicit time limits.

use crate::cache::Cache;
use crate::convert::unexpected;
use crate::error::Named;
use crate::fleet::Fleet;
use crate::lease::S3Lease;
use crate::limiter::WAIT_MAX;
use crate::observe::tasks_left;
use crate::pacing::{Pacing, Patient};
use crate::store;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_smithy_runtime::client::defaults::default_http_client_plugin_v2;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use std::sync::Arc;
use std::time::Duration;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_core::observed::Task;
use valkeep_core::ports::World;
use valkeep_core::{Desired, Done, Identity, Limits, Observed, Scope, Step};
use valkeep_store::{DocumentStore, LeaseStore, LeaseUrl, StoreUrl};

/// How calls behave. Time limits are always set: without them the SDK waits for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Attempts of one call, the first included. The SDK repeats throttled calls, 5xx and lost replies by itself.
    pub max_attempts: u32,
    /// Limit of one attempt.
    pub attempt_timeout: Duration,
    /// Limit of one call with all its attempts.
    pub operation_timeout: Duration,
    /// The part of AWS's rates that valkeep takes in each account and region; the rest is for everybody else there. More
    /// than 1 only where AWS has raised them.
    pub share: f64,
    /// Limit of one call that changes something; it has one attempt. Below what is left of a lease that is renewed as it
    /// should be: two thirds of 15 s, less the margin of 2 s.
    pub change_timeout: Duration,
    /// Names a retry budget of its own. The SDK shares one budget per service in the whole process, which leaks from
    /// one simulated world into the next.
    pub retry_partition: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            attempt_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(30),
            share: 0.5,
            change_timeout: Duration::from_secs(8),
            retry_partition: None,
        }
    }
}

/// AWS: home, and every region and account that a document names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aws {
    /// Home's clients: documents, status, and who we are.
    pub(crate) inner: Arc<Inner>,
    fleet: Arc<Fleet>,
}

/// The clients for one place.
#[derive(Debug)]
pub(crate) struct Inner {
    /// For every call that changes something.
    pub(crate) once: Once,
    pub(crate) autoscaling: aws_sdk_applicationautoscaling::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) efs: aws_sdk_efs::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) registry: aws_sdk_servicediscovery::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
    region: Option<String>,
    options: Options,
    pub(crate) cache: Cache,
}

/// Clients that never try again by themselves. A retry of the SDK could be sent after the lease has gone to somebody else,
/// and of a call that takes no token it could make a second thing. The next pass looks, and then tries again.
#[derive(Debug)]
pub(crate) struct Once {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) efs: aws_sdk_efs::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
}

/// Builds one service's configuration; a macro because the SDK gives each service a type of its own.
macro_rules! config {
    ($sdk:ident, $from:expr, $options:expr, $pacing:expr) => {{
        use $sdk::config::retry::{RetryPartition, TokenBucket};
        let Pacing { account, region, .. } = $pacing;
        let (name, tokens) = match &$options.retry_partition {
            // 100,000 tokens are 20,000 retries at 5 each: more than any one simulated world makes.
            Some(name) => (name.as_str(), 100_000),
            None => ("valkeep", 500),
        };
        // The SDK's own budget is one for all regions and accounts: one that throttles would use up the others' retries.
        let partition = RetryPartition::custom(format!("{name} {account} {region} {}", stringify!($sdk)));
        $sdk::config::Builder::from($from)
            .retry_partition(partition.token_bucket(TokenBucket::new(tokens)).build())
            .interceptor($pacing.clone())
    }};
}

impl Aws {
    /// Takes region, endpoint, credentials and HTTP client from `sdk`; retries and time limits from `options`.
    pub fn new(sdk: &SdkConfig, options: Options) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3).min(options.attempt_timeout))
            // The exchange itself is bounded below the SDK, where waiting for a turn does not count.
            .operation_attempt_timeout(options.attempt_timeout + WAIT_MAX)
            .operation_timeout(options.operation_timeout)
            .build();
        let mut sdk_config = sdk
            .to_builder()
            .retry_config(aws_config::retry::RetryConfig::standard().with_max_attempts(options.max_attempts.max(1)))
            .timeout_config(timeouts);
        if sdk.app_name().is_none() {
            // Names valkeep in CloudTrail and to whoever reads a User-Agent.
            sdk_config = sdk_config.app_name(AppName::new("valkeep").expect("letters only"));
        }
        if sdk.behavior_version().is_none() {
            sdk_config = sdk_config.behavior_version(BehaviorVersion::latest());
        }
        let inner = sdk.http_client().or_else(default_http_client);
        sdk_config.set_http_client(inner.map(|inner| {
            SharedHttpClient::new(Patient {
                inner,
                attempt_timeout: options.attempt_timeout,
            })
        }));
        let fleet = Fleet::new(sdk_config.build(), options);
        Self {
            inner: Arc::new(fleet.home()),
            fleet: Arc::new(fleet),
        }
    }

    /// Takes region, endpoint and credentials from the SDK's own chain (environment, profile, container, instance).
    /// A missing region or credential shows at the first call, [`Aws::scope`].
    pub async fn from_env(options: Options) -> Self {
        Self::new(&aws_config::load_defaults(BehaviorVersion::latest()).await, options)
    }

    /// Whose account this is, and where (`sts:GetCallerIdentity`).
    pub async fn scope(&self, installation: &str, dns_grace_s: u32, limits: Limits) -> Result<Scope, Failure> {
        const CALL: &str = "sts:GetCallerIdentity";
        let Some(region) = self.inner.region.clone() else {
            return Err(Failure {
                call: CALL.to_owned(),
                kind: FailureKind::Rejected,
                code: "NoRegion".to_owned(),
                message: "no region is configured; set AWS_REGION or `region` in the profile".to_owned(),
            });
        };
        let answer = self.inner.sts.get_caller_identity().send().await.named(CALL)?;
        // arn:PARTITION:sts::ACCOUNT:assumed-role/...
        let arn = answer.arn().unwrap_or_default();
        let mut parts = arn.split(':').skip(1);
        let partition = parts.next().filter(|part| !part.is_empty());
        let (Some(partition), Some(account)) = (partition, answer.account()) else {
            return Err(unexpected(CALL, &format!("no account or ARN in the answer: `{arn}`")));
        };
        Ok(Scope {
            partition: partition.to_owned(),
            account: account.to_owned(),
            region,
            installation: installation.to_owned(),
            dns_grace_s,
            limits,
        })
    }

    /// Documents at `url` with their status at `status`; the two may be stores of different kinds.
    pub fn store(&self, url: StoreUrl, status: StoreUrl) -> Arc<dyn DocumentStore> {
        store::open(self, url, status)
    }

    /// The lease at `url`.
    pub fn lease(&self, url: LeaseUrl) -> Arc<dyn LeaseStore> {
        Arc::new(S3Lease::new(self.clone(), url))
    }

    /// The tasks of a document's service that have not stopped, and nothing else: for whoever follows a server from task to
    /// task and must not spend a whole look on each glance. 3 calls.
    pub async fn tasks(&self, desired: &Desired) -> Result<Vec<Task>, Failure> {
        let Identity { cluster, service, .. } = &desired.identity;
        let there = self.of(desired).await;
        tasks_left(&there, desired, cluster, service).await
    }

    /// The clients for a document.
    pub(crate) async fn of(&self, desired: &Desired) -> Arc<Inner> {
        self.fleet.of(desired).await
    }

    /// Limit of reading one body, which the SDK's own limits do not cover.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.inner.options.operation_timeout
    }
}

impl Inner {
    /// Clients with this configuration, at these rates.
    pub(crate) fn new(sdk: &SdkConfig, options: &Options, pacing: &Pacing, cache: Cache) -> Self {
        // A host name other than AWS's own has no `bucket.` names in DNS.
        let path_style = sdk.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let s3 = config!(aws_sdk_s3, sdk, options, pacing)
            .force_path_style(path_style)
            .build();
        Self {
            once: Once::new(sdk, options, pacing, path_style),
            autoscaling: aws_sdk_applicationautoscaling::Client::from_conf(
                config!(aws_sdk_applicationautoscaling, sdk, options, pacing).build(),
            ),
            ec2: aws_sdk_ec2::Client::from_conf(config!(aws_sdk_ec2, sdk, options, pacing).build()),
            ecs: aws_sdk_ecs::Client::from_conf(config!(aws_sdk_ecs, sdk, options, pacing).build()),
            efs: aws_sdk_efs::Client::from_conf(config!(aws_sdk_efs, sdk, options, pacing).build()),
            iam: aws_sdk_iam::Client::from_conf(config!(aws_sdk_iam, sdk, options, pacing).build()),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(
                config!(aws_sdk_cloudwatchlogs, sdk, options, pacing).build(),
            ),
            registry: aws_sdk_servicediscovery::Client::from_conf(
                config!(aws_sdk_servicediscovery, sdk, options, pacing).build(),
            ),
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::from_conf(
                config!(aws_sdk_secretsmanager, sdk, options, pacing).build(),
            ),
            ssm: aws_sdk_ssm::Client::from_conf(config!(aws_sdk_ssm, sdk, options, pacing).build()),
            sts: aws_sdk_sts::Client::from_conf(config!(aws_sdk_sts, sdk, options, pacing).build()),
            region: sdk.region().map(ToString::to_string),
            options: options.clone(),
            cache,
        }
    }
}

impl Once {
    fn new(sdk: &SdkConfig, options: &Options, pacing: &Pacing, path_style: bool) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3).min(options.change_timeout))
            .operation_attempt_timeout(options.change_timeout)
            .operation_timeout(options.change_timeout)
            .build();
        let sdk = &sdk
            .to_builder()
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        let s3 = config!(aws_sdk_s3, sdk, options, pacing)
            .force_path_style(path_style)
            .build();
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(config!(aws_sdk_ec2, sdk, options, pacing).build()),
            ecs: aws_sdk_ecs::Client::from_conf(config!(aws_sdk_ecs, sdk, options, pacing).build()),
            efs: aws_sdk_efs::Client::from_conf(config!(aws_sdk_efs, sdk, options, pacing).build()),
            iam: aws_sdk_iam::Client::from_conf(config!(aws_sdk_iam, sdk, options, pacing).build()),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(
                config!(aws_sdk_cloudwatchlogs, sdk, options, pacing).build(),
            ),
            s3: aws_sdk_s3::Client::from_conf(s3),
            ssm: aws_sdk_ssm::Client::from_conf(config!(aws_sdk_ssm, sdk, options, pacing).build()),
        }
    }
}

/// What the SDK would take by itself.
fn default_http_client() -> Option<SharedHttpClient> {
    let plugin = default_http_client_plugin_v2(BehaviorVersion::latest())?;
    let components = RuntimeComponentsBuilder::new("valkeep");
    plugin.runtime_components(&components).http_client()
}

impl World for Aws {
    async fn observe(&self, desired: &Desired) -> Observed {
        let there = self.of(desired).await;
        // Six chains side by side: too large for a caller's stack frame.
        Box::pin(crate::observe::observe(&there, desired)).await
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<Done, Failure> {
        let there = self.of(desired).await;
        crate::act::act(&there, desired, step).await
    }
}

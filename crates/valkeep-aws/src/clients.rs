//! The SDK's clients, made once from one configuration with explicit time limits.

use crate::cache::Cache;
use crate::convert::unexpected;
use crate::error::Named;
use crate::store;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use std::sync::Arc;
use std::time::Duration;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_core::ports::World;
use valkeep_core::{Desired, Done, Limits, Observed, Scope, Step};
use valkeep_store::{DocumentStore, StoreUrl};

/// How calls behave. Time limits are always set: without them the SDK waits for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Attempts of one call, the first included. The SDK repeats throttled calls, 5xx and lost replies by itself.
    pub max_attempts: u32,
    /// Limit of one attempt.
    pub attempt_timeout: Duration,
    /// Limit of one call with all its attempts.
    pub operation_timeout: Duration,
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
            retry_partition: None,
        }
    }
}

/// AWS as one account in one region sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) autoscaling: aws_sdk_applicationautoscaling::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    /// Never tries again by itself: for calls that take no token, where a lost reply and a retry make two of a thing.
    pub(crate) ecs_once: aws_sdk_ecs::Client,
    pub(crate) efs: aws_sdk_efs::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) registry: aws_sdk_servicediscovery::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
    region: Option<String>,
    options: Options,
    pub(crate) cache: Cache,
}

/// Builds one service's configuration; a macro because the SDK gives each service a type of its own.
macro_rules! config {
    ($sdk:ident, $from:expr, $options:expr) => {{
        let mut config = $sdk::config::Builder::from($from);
        if let Some(name) = &$options.retry_partition {
            use $sdk::config::retry::{RetryPartition, TokenBucket};
            // 100,000 tokens are 20,000 retries at 5 each: more than any one simulated world makes.
            config = config.retry_partition(
                RetryPartition::custom(format!("{name}-{}", stringify!($sdk)))
                    .token_bucket(TokenBucket::new(100_000))
                    .build(),
            );
        }
        config
    }};
}

impl Aws {
    /// Takes region, endpoint, credentials and HTTP client from `sdk`; retries and time limits from `options`.
    pub fn new(sdk: &SdkConfig, options: Options) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3).min(options.attempt_timeout))
            .operation_attempt_timeout(options.attempt_timeout)
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
        let sdk = &sdk_config.build();
        // A host name other than AWS's own has no `bucket.` names in DNS.
        let path_style = sdk.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let s3 = config!(aws_sdk_s3, sdk, options).force_path_style(path_style).build();
        Self {
            inner: Arc::new(Inner {
                autoscaling: aws_sdk_applicationautoscaling::Client::from_conf(
                    config!(aws_sdk_applicationautoscaling, sdk, options).build(),
                ),
                ec2: aws_sdk_ec2::Client::from_conf(config!(aws_sdk_ec2, sdk, options).build()),
                ecs: aws_sdk_ecs::Client::from_conf(config!(aws_sdk_ecs, sdk, options).build()),
                ecs_once: aws_sdk_ecs::Client::from_conf(
                    config!(aws_sdk_ecs, sdk, options)
                        .retry_config(aws_config::retry::RetryConfig::disabled())
                        .build(),
                ),
                efs: aws_sdk_efs::Client::from_conf(config!(aws_sdk_efs, sdk, options).build()),
                iam: aws_sdk_iam::Client::from_conf(config!(aws_sdk_iam, sdk, options).build()),
                logs: aws_sdk_cloudwatchlogs::Client::from_conf(config!(aws_sdk_cloudwatchlogs, sdk, options).build()),
                registry: aws_sdk_servicediscovery::Client::from_conf(
                    config!(aws_sdk_servicediscovery, sdk, options).build(),
                ),
                s3: aws_sdk_s3::Client::from_conf(s3),
                ssm: aws_sdk_ssm::Client::from_conf(config!(aws_sdk_ssm, sdk, options).build()),
                sts: aws_sdk_sts::Client::from_conf(config!(aws_sdk_sts, sdk, options).build()),
                region: sdk.region().map(ToString::to_string),
                options,
                cache: Cache::default(),
            }),
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

    /// Limit of reading one body, which the SDK's own limits do not cover.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.inner.options.operation_timeout
    }
}

impl World for Aws {
    async fn observe(&self, desired: &Desired) -> Observed {
        // Six chains side by side: too large for a caller's stack frame.
        Box::pin(crate::observe::observe(&self.inner, desired)).await
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<Done, Failure> {
        crate::act::act(&self.inner, desired, step).await
    }
}

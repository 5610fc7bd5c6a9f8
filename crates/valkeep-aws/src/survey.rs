//! Looks at a service that no document knows yet, for writing its document. Changes nothing.

use crate::clients::Aws;
use crate::convert::{id, some};
use crate::error::Named;
use crate::observe::{Look, describe_definition, describe_service, scaling};
use valkeep_core::failure::Failure;
use valkeep_core::ids::VpcId;
use valkeep_core::observed::{ScalingTarget, Service};
use valkeep_core::{RawDefinition, Tags};

/// What runs today.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// The service.
    pub service: Service,
    /// The definition that it runs, whole.
    pub definition: RawDefinition,
    /// Tags of the definition.
    pub definition_tags: Tags,
    /// VPC of its subnets; none where it has none.
    pub vpc: Option<VpcId>,
    /// What Application Auto Scaling has for it.
    pub scaling: Option<ScalingTarget>,
}

impl Aws {
    /// The service of this name as it is today; none where there is no such service. Fails where something of it cannot be
    /// looked at: a document that was guessed would be worse than none.
    pub async fn survey(&self, cluster: &str, name: &str) -> Result<Option<Survey>, Failure> {
        const DEFINITION: &str = "ecs:DescribeTaskDefinition";
        const SUBNETS: &str = "ec2:DescribeSubnets";
        let aws = &self.inner;
        let Some(service) = describe_service(aws, cluster, name).await? else {
            return Ok(None);
        };
        let definition = describe_definition(aws, &service.task_definition, Look::Whole).await?;
        let definition = some(DEFINITION, "task definition", definition)?;
        let vpc = match service.settings.subnets.first() {
            Some(subnet) => {
                let answer = aws
                    .ec2
                    .describe_subnets()
                    .subnet_ids(subnet.as_str())
                    .send()
                    .await
                    .named(SUBNETS)?;
                let vpc = answer.subnets().first().and_then(|found| found.vpc_id());
                Some(id(SUBNETS, VpcId::parse(some(SUBNETS, "VPC", vpc)?))?)
            }
            None => None,
        };
        Ok(Some(Survey {
            scaling: scaling(aws, cluster, name).await?,
            definition: *some(DEFINITION, "readable definition", definition.raw)?,
            definition_tags: definition.tags,
            service,
            vpc,
        }))
    }
}

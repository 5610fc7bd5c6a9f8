//! How far documents may reach: what the operator's settings permit, whatever a document says.
//!
//! Judges single values, so that it can be asked about what a document names and about what was found on AWS alike.
//! Knows no document, no plan and no IAM.

use crate::ids::SecurityGroupId;
use crate::place::RoleArn;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What documents may touch. A kind without patterns is open: every value is permitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Names of ECS clusters.
    pub clusters: Allowed,
    /// Names of IAM roles, without their path: task roles and execution roles.
    pub roles: Allowed,
    /// ARNs of roles that valkeep may take on, which decide the account.
    pub assume_roles: Allowed,
    /// Ids of security groups: the tasks' and those for maintenance.
    pub security_groups: Allowed,
    /// Container images, as a task definition names them.
    pub images: Allowed,
    /// Regions.
    pub regions: Allowed,
}

/// The values of one kind that are permitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allowed(Option<Vec<Pattern>>);

/// A text in which `*` stands for any characters, also none, `/` among them: what `*` means in IAM's resources. So a
/// pattern permits here exactly what it permits in the policy that is generated from it; IAM's other signs (`?`, `$`)
/// are refused, and a library's (`[`, `{`, `\`) mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A sign in it means something else, to IAM or to a reader.
    #[error(
        "`{0}` is no pattern: write 1 to 255 of letters, digits and `_ + = , . @ - / :`, with `*` for any characters"
    )]
    Sign(String),
    /// IAM would not take it for the ARN of roles.
    #[error("`{0}` fits no role's ARN: write it like arn:aws:iam::222222222222:role/valkeep-*")]
    RoleArn(String),
}

/// A value outside of what the operator permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPermitted {
    /// Which kind of value it is.
    pub kind: Kind,
    /// The value.
    pub value: String,
    /// What is permitted instead.
    pub allowed: Vec<Pattern>,
}

/// Kinds of values that are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// ECS clusters.
    Cluster,
    /// IAM roles.
    Role,
    /// IAM roles that valkeep takes on.
    AssumedRole,
    /// Security groups.
    SecurityGroup,
    /// Container images.
    Image,
    /// Regions.
    Region,
}

impl Limits {
    /// Asks about a cluster's name.
    pub fn cluster(&self, name: &str) -> Result<(), NotPermitted> {
        self.clusters.permit(Kind::Cluster, name)
    }

    /// Asks about a role by its name or its ARN. The path of a role does not count.
    pub fn role(&self, name_or_arn: &str) -> Result<(), NotPermitted> {
        let name = name_or_arn.rsplit('/').next().unwrap_or(name_or_arn);
        self.roles.permit(Kind::Role, name)
    }

    /// Asks about a role that valkeep would take on.
    pub fn assumed_role(&self, arn: &RoleArn) -> Result<(), NotPermitted> {
        self.assume_roles.permit(Kind::AssumedRole, arn.as_str())
    }

    /// Asks about a security group.
    pub fn security_group(&self, id: &SecurityGroupId) -> Result<(), NotPermitted> {
        self.security_groups.permit(Kind::SecurityGroup, id.as_str())
    }

    /// Asks about an image, with its tag or digest.
    pub fn image(&self, image: &str) -> Result<(), NotPermitted> {
        self.images.permit(Kind::Image, image)
    }

    /// Asks about a region.
    pub fn region(&self, region: &str) -> Result<(), NotPermitted> {
        self.regions.permit(Kind::Region, region)
    }

    /// The kinds that are open, and so are limited by valkeep's own permissions only.
    pub fn open(&self) -> Vec<Kind> {
        Kind::ALL
            .into_iter()
            .filter(|kind| self.of(*kind).patterns().is_none())
            .collect()
    }

    /// What is permitted of one kind.
    pub fn of(&self, kind: Kind) -> &Allowed {
        let Self {
            clusters,
            roles,
            assume_roles,
            security_groups,
            images,
            regions,
        } = self;
        match kind {
            Kind::Cluster => clusters,
            Kind::Role => roles,
            Kind::AssumedRole => assume_roles,
            Kind::SecurityGroup => security_groups,
            Kind::Image => images,
            Kind::Region => regions,
        }
    }

    /// The same, to be set.
    pub fn of_mut(&mut self, kind: Kind) -> &mut Allowed {
        let Self {
            clusters,
            roles,
            assume_roles,
            security_groups,
            images,
            regions,
        } = self;
        match kind {
            Kind::Cluster => clusters,
            Kind::Role => roles,
            Kind::AssumedRole => assume_roles,
            Kind::SecurityGroup => security_groups,
            Kind::Image => images,
            Kind::Region => regions,
        }
    }
}

impl Allowed {
    /// Only what one of these patterns fits; nothing when there are none.
    pub fn only(patterns: Vec<Pattern>) -> Self {
        Self(Some(patterns))
    }

    /// The patterns; None when every value is permitted.
    pub fn patterns(&self) -> Option<&[Pattern]> {
        self.0.as_deref()
    }

    fn permit(&self, kind: Kind, value: &str) -> Result<(), NotPermitted> {
        match &self.0 {
            Some(patterns) if !patterns.iter().any(|pattern| pattern.fits(value)) => Err(NotPermitted {
                kind,
                value: value.to_owned(),
                allowed: patterns.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/:*".contains(&byte);
        if (1..=255).contains(&text.len()) && text.bytes().all(sign) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PatternError::Sign(text.to_owned()))
        }
    }

    /// Reads a pattern on the ARNs of roles. What stands before the name of the role is written out, but for the account:
    /// IAM takes a star neither for a partition nor across the parts of an ARN.
    pub fn parse_role_arn(text: &str) -> Result<Self, PatternError> {
        let pattern = Self::parse(text)?;
        match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            ["arn", partition, "iam", "", account, resource]
                if partition.starts_with("aws")
                    && !partition.contains('*')
                    && !account.is_empty()
                    && resource.starts_with("role/") =>
            {
                Ok(pattern)
            }
            _ => Err(PatternError::RoleArn(text.to_owned())),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits.
    pub fn fits(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return text == self.0;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut left) = text.strip_prefix(first).and_then(|left| left.strip_suffix(last)) else {
            return false;
        };
        // The first place is always as good as a later one: what follows has then the most left to fit in.
        middle.split('*').all(|part| match left.find(part) {
            Some(place) => {
                left = &left[place + part.len()..];
                true
            }
            None => false,
        })
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::Cluster,
        Self::Role,
        Self::AssumedRole,
        Self::SecurityGroup,
        Self::Image,
        Self::Region,
    ];

    /// The field of the settings that limits it, under `limits`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Cluster => "clusters",
            Self::Role => "roles",
            Self::AssumedRole => "assumeRoles",
            Self::SecurityGroup => "securityGroups",
            Self::Image => "images",
            Self::Region => "regions",
        }
    }

    /// The flag that limits it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Cluster => "--allow-cluster",
            Self::Role => "--allow-role",
            Self::AssumedRole => "--allow-assume-role",
            Self::SecurityGroup => "--allow-security-group",
            Self::Image => "--allow-image",
            Self::Region => "--allow-region",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Role => "role",
            Self::AssumedRole => "assumed role",
            Self::SecurityGroup => "security group",
            Self::Image => "image",
            Self::Region => "region",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").fits(text)
    }

    #[test]
    fn a_star_stands_for_any_characters_and_everything_else_for_itself() {
        assert!(fits("cache", "cache") && !fits("cache", "cache2") && !fits("cache", "a-cache"));
        assert!(fits("*", "") && fits("*", "anything/at:all"));
        assert!(fits("cache-*", "cache-") && fits("cache-*", "cache-blue") && !fits("cache-*", "my-cache-blue"));
        assert!(fits("*-task-role", "blue-task-role") && !fits("*-task-role", "blue-task-role2"));
        assert!(fits("a*b*c", "abc") && fits("a*b*c", "aXbXbYc") && !fits("a*b*c", "acb"));
        assert!(fits("*valkey/valkey:8*", "registry/valkey/valkey:8.0") && fits("**", "x"));
        // What the beginning took, the end cannot take again.
        assert!(!fits("aba*ba", "aba") && fits("aba*ba", "ababa"));
        assert!(!fits("a*a", "a") && fits("a*b*b", "abb") && !fits("a*b*b", "ab"));
    }

    #[test]
    fn a_pattern_is_what_iam_reads_too() {
        for bad in ["", "a?", "${aws:username}", "a b", "[a-z]", "a\\*", "é"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert!(Pattern::parse(&"a".repeat(256)).is_err());
    }

    #[test]
    fn a_pattern_of_role_arns_is_an_arn_to_iam() {
        for good in [
            "arn:aws:iam::222222222222:role/valkeep",
            "arn:aws-cn:iam::*:role/teams/*",
        ] {
            assert!(Pattern::parse_role_arn(good).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "valkeep-*",
            "arn:aws:iam::222222222222:*",
            "arn:*:iam::222222222222:role/valkeep",
            "arn:aws:iam:::role/valkeep",
            "arn:aws:iam::222222222222:role/valkeep?",
        ] {
            assert!(Pattern::parse_role_arn(bad).is_err(), "{bad}");
        }
        let limits = Limits {
            assume_roles: Allowed::only(vec![
                Pattern::parse_role_arn("arn:aws:iam::222222222222:role/*").expect("a pattern"),
            ]),
            ..Limits::default()
        };
        let ask = |arn: &str| limits.assumed_role(&RoleArn::parse(arn).expect("an ARN"));
        assert_eq!(ask("arn:aws:iam::222222222222:role/teams/valkeep"), Ok(()));
        assert!(ask("arn:aws:iam::333333333333:role/valkeep").is_err());
    }

    #[test]
    fn without_patterns_everything_is_permitted_and_with_an_empty_list_nothing() {
        let open = Limits::default();
        assert_eq!(open.cluster("any"), Ok(()));
        assert_eq!(open.open(), Kind::ALL);
        let mut shut = open;
        shut.clusters = Allowed::only(Vec::new());
        assert!(shut.cluster("any").is_err());
    }

    #[test]
    fn a_role_is_known_by_its_name_whatever_its_path() {
        let limits = Limits {
            roles: Allowed::only(vec![Pattern::parse("cache-*").expect("a pattern")]),
            ..Limits::default()
        };
        for good in ["cache-task", "arn:aws:iam::123456789012:role/team/cache-task"] {
            assert_eq!(limits.role(good), Ok(()), "{good}");
        }
        let refused = limits.role("arn:aws:iam::123456789012:role/cache-team/admin");
        assert_eq!(refused.map_err(|refused| refused.value), Err("admin".to_owned()));
    }
}

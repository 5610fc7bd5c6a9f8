//! The forms of single values: what AWS, Valkey and Kubernetes' conventions take, and why not where they do not.

mod aws;
mod files;
mod names;
mod secrets;
mod windows;

pub(super) use aws::*;
pub(super) use files::*;
pub(super) use names::*;
pub(super) use secrets::*;
pub(super) use windows::*;

use super::report::Wrong;

/// A rule on one text.
pub(super) type Form = fn(&str) -> Result<(), Wrong>;

fn check(good: bool, problem: impl FnOnce() -> String, instead: &str) -> Result<(), Wrong> {
    if good {
        Ok(())
    } else {
        Err(Wrong::new(problem(), instead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(form: Form, text: &str) {
        assert_eq!(form(text), Ok(()), "{text}");
    }

    fn bad(form: Form, text: &str) {
        assert!(form(text).is_err(), "{text}");
    }

    #[test]
    fn an_image_needs_a_tag_that_says_a_version() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        good(image, "valkey/valkey:8.0");
        good(image, "valkey:8.1.3-alpine");
        good(image, "registry.example.com:5000/team/valkey:8.0");
        good(image, &format!("valkey/valkey:8.0@{digest}"));
        bad(image, "valkey/valkey");
        bad(image, "registry.example.com:5000/valkey");
        bad(image, "valkey/valkey:latest");
        bad(image, &format!("valkey/valkey:latest@{digest}"));
        bad(image, &format!("valkey/valkey@{digest}"));
        bad(image, "valkey/valkey:8.0@sha256:12");
        bad(image, "Valkey:8.0");
        bad(image, ":8.0");
        bad(image, "");
        bad(image, "valkey:8 0");
        bad(image, "a//b:1");
    }

    #[test]
    fn regions_keys_and_arns_have_their_forms() {
        good(region, "eu-west-1");
        good(region, "us-gov-west-1");
        bad(region, "eu-west-1a");
        bad(region, "Ireland");
        good(kms_key, "alias/my-key");
        good(kms_key, "1234abcd-12ab-34cd-56ef-1234567890ab");
        good(
            kms_key,
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        );
        bad(kms_key, "my-key");
        bad(kms_key, "arn:aws:iam::123456789012:role/x");
        good(role_arn, "arn:aws-cn:iam::123456789012:role/path/name");
        bad(role_arn, "arn:aws:iam::123:role/name");
        good(
            registry_arn,
            "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-abc",
        );
        bad(
            registry_arn,
            "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-abc",
        );
    }

    #[test]
    fn fargate_takes_certain_pairs() {
        assert_eq!(fargate_pair(256, 512), Ok(()));
        assert_eq!(fargate_pair(16384, 122_880), Ok(()));
        assert!(fargate_pair(256, 1536).is_err());
        assert!(fargate_pair(300, 512).is_err());
        assert!(fargate_pair(8192, 17000).is_err());
    }

    #[test]
    fn memory_is_as_valkey_writes_it_and_has_a_unit() {
        for text in ["0", "1mb", "300MB", "1g", "1048576"] {
            good(maxmemory, text);
        }
        for text in [
            "",
            "300",
            "1.5gb",
            "300 mb",
            "300mib",
            "-1",
            "50%",
            "1023k",
            "99999999999gb",
        ] {
            bad(maxmemory, text);
        }
    }

    #[test]
    fn a_directory_is_absolute_and_our_own() {
        good(access_point_path, "/a/b/c/d");
        for text in ["/", "a", "/a/b/c/d/e", "/a/../b", "/a//b", "/a b", ""] {
            bad(access_point_path, text);
        }
        good(mount_path, "/var/lib/valkey");
        for text in ["/", "/etc/valkey", "/proc", "/a/..", "data"] {
            bad(mount_path, text);
        }
    }
}

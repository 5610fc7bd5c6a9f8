//! Which lease the replicas of `run` share, and what this one is called.

use crate::cli::ReplicaArgs;
use crate::error::CommandError;
use crate::stores::Place;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use valkeep_engine::Candidate;
use valkeep_store::{LeaseUrl, StoreUrl};

/// The lease of a command line: the one that is given, or one beside the first status that lies in S3. None for one that
/// is said to be alone.
pub(crate) fn lease(args: &ReplicaArgs, places: &[Place]) -> Result<Option<LeaseUrl>, CommandError> {
    let ReplicaArgs { lease, single_replica } = args;
    if *single_replica {
        return Ok(None);
    }
    let Some(lease) = lease else {
        return match places.iter().find_map(|place| place.status.default_lease()) {
            Some(lease) => Ok(Some(lease)),
            None => Err(
                CommandError::usage("replicas share a lease in S3, and no status of these stores lies there")
                    .hint("give --lease s3://bucket/key, the same to every replica")
                    .hint("or give --single-replica, if no other valkeep runs on these stores"),
            ),
        };
    };
    is_apart(lease, places)?;
    Ok(Some(lease.clone()))
}

/// Whether a lease would be taken for neither a document nor a status.
pub(crate) fn is_apart(lease: &LeaseUrl, places: &[Place]) -> Result<(), CommandError> {
    for Place { documents, status } in places {
        if documents.holds_lease(lease) {
            return Err(CommandError::usage(format!(
                "the lease {lease} would lie among the documents in {documents}"
            ))
            .hint("give another key with --lease"));
        }
        if is_status(lease, status) {
            return Err(
                CommandError::usage(format!("the lease {lease} could be a status of {status}"))
                    .hint("give a key that does not end in .json with --lease"),
            );
        }
    }
    Ok(())
}

/// Statuses end in `.json`.
fn is_status(lease: &LeaseUrl, status: &StoreUrl) -> bool {
    let ending = std::path::Path::new(&lease.key).extension();
    status.holds_lease(lease) && ending.is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}

/// This process, and no other one.
pub(crate) fn candidate() -> Candidate {
    let host = host();
    // Two draws of the system's randomness: containers of one image have the same process id.
    let draw = || RandomState::new().hash_one(std::process::id());
    Candidate {
        id: format!("{host}-{}-{:016x}{:016x}", std::process::id(), draw(), draw()),
        host,
    }
}

/// As the system calls this machine or container; in ECS that is part of the task's ENI address or container id.
fn host() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown-host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(documents: &str, status: Option<&str>) -> Place {
        let documents: StoreUrl = documents.parse().expect("good");
        let status = match status {
            Some(status) => status.parse().expect("good"),
            None => documents.default_status().expect("has a sibling"),
        };
        Place { documents, status }
    }

    fn check(lease: Option<&str>, single_replica: bool, places: &[Place]) -> Result<Option<String>, String> {
        let args = ReplicaArgs {
            lease: lease.map(|lease| lease.parse().expect("good")),
            single_replica,
        };
        super::lease(&args, places)
            .map(|lease| lease.map(|lease| lease.to_string()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_lease_lies_beside_the_first_status_in_s3() {
        let places = [
            place("ssm:/docs/", None),
            place("s3://one/docs/", None),
            place("s3://two/docs/", None),
        ];
        assert_eq!(
            check(None, false, &places),
            Ok(Some("s3://one/docs-status/.lease".into()))
        );
        let elsewhere = [place("ssm:/docs/", Some("s3://status/caches"))];
        assert_eq!(
            check(None, false, &elsewhere),
            Ok(Some("s3://status/caches/.lease".into()))
        );
        assert_eq!(
            check(Some("s3://one/lease"), false, &places),
            Ok(Some("s3://one/lease".into()))
        );
        assert_eq!(check(None, true, &places), Ok(None));
    }

    #[test]
    fn stores_without_s3_need_a_lease_or_the_word_that_there_is_one_replica() {
        let places = [place("file:docs", None), place("ssm:/docs/", None)];
        assert!(check(None, false, &places).is_err());
        assert_eq!(check(None, true, &places), Ok(None));
        assert_eq!(
            check(Some("s3://one/lease"), false, &places),
            Ok(Some("s3://one/lease".into()))
        );
    }

    #[test]
    fn a_lease_is_no_document_and_no_status() {
        let places = [place("s3://one/docs/", None)];
        assert!(check(Some("s3://one/docs/lease"), false, &places).is_err());
        assert!(check(Some("s3://one/docs-status/lease.json"), false, &places).is_err());
        assert!(check(Some("s3://one/docs-status/lease"), false, &places).is_ok());
    }

    #[test]
    fn no_two_candidates_are_called_alike() {
        let (one, two) = (candidate(), candidate());
        assert_ne!(one.id, two.id);
        assert_eq!(one.host, two.host);
    }
}

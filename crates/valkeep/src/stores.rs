//! Stores by their URLs, and documents in them by name. A folder needs no AWS, so nothing asks for credentials there.

use crate::cli::StoreArgs;
use crate::error::CommandError;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use valkeep_aws::Aws;
use valkeep_store::{DocumentStore, Entry, FolderStore, StoreError, StoreUrl};

/// How many bodies or statuses are fetched at the same time: 1,000 documents at 50 ms take about 3 s, and SSM's 40
/// requests a second are not passed by far.
const FETCHES: usize = 16;

/// One store and where its status goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where the documents are.
    pub(crate) documents: StoreUrl,
    /// Where the status is.
    pub(crate) status: StoreUrl,
}

/// A document in a store.
pub(crate) struct Found {
    /// Its store.
    pub(crate) store: Arc<dyn DocumentStore>,
    /// Its version.
    pub(crate) entry: Entry,
    /// Its `metadata.name`, or the entry's stem where it has no readable one. Status is written under this.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) body: Vec<u8>,
}

impl Found {
    /// What findings and messages call it.
    pub(crate) fn place(&self) -> String {
        place(&*self.store, &self.entry)
    }
}

/// What a command line says about stores, checked.
pub(crate) fn places(args: &StoreArgs) -> Result<Vec<Place>, CommandError> {
    let StoreArgs { store, status } = args;
    if store.is_empty() {
        return Err(CommandError::usage("no store was given")
            .hint("give --store s3://bucket/prefix/, ssm:/path/ or file:DIR, or set VALKEEP_STORE"));
    }
    if !status.is_empty() && status.len() != store.len() {
        return Err(CommandError::usage(format!(
            "{} --store and {} --status were given",
            store.len(),
            status.len()
        ))
        .hint("give one --status for each --store, in the same order, or none"));
    }
    let mut places = Vec::new();
    for (index, documents) in store.iter().enumerate() {
        let status = match status.get(index) {
            Some(status) => status.clone(),
            None => documents.default_status()?,
        };
        places.push(Place {
            documents: documents.clone(),
            status,
        });
    }
    for (index, place) in places.iter().enumerate() {
        if let Some(other) = places.iter().find(|other| other.documents.holds(&place.status)) {
            return Err(CommandError::usage(format!(
                "the status in {} would lie among the documents in {}",
                place.status, other.documents
            ))
            .hint("give another place with --status"));
        }
        let others = places.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some((_, other)) = others
            .into_iter()
            .find(|(_, other)| other.documents.holds(&place.documents))
        {
            return Err(CommandError::usage(format!(
                "the store {} lies within {}, so its documents would be read twice",
                place.documents, other.documents
            )));
        }
    }
    Ok(places)
}

/// Opens the stores of a command line. AWS is asked for only if one of them lies there.
pub(crate) async fn open(args: &StoreArgs) -> Result<Vec<Arc<dyn DocumentStore>>, CommandError> {
    open_with(args, None).await
}

/// The same, with AWS at hand.
pub(crate) async fn open_with(
    args: &StoreArgs,
    mut aws: Option<Aws>,
) -> Result<Vec<Arc<dyn DocumentStore>>, CommandError> {
    let places = places(args)?;
    let mut stores = Vec::new();
    for place in places {
        let store: Arc<dyn DocumentStore> = match (&place.documents, &place.status) {
            (StoreUrl::File { dir }, StoreUrl::File { dir: status }) => Arc::new(FolderStore::new(dir, status)),
            (StoreUrl::S3 { .. } | StoreUrl::Ssm { .. } | StoreUrl::File { .. }, _) => {
                let aws: &Aws = match &mut aws {
                    Some(aws) => aws,
                    none => none.insert(crate::world::aws().await),
                };
                aws.store(place.documents, place.status)
            }
        };
        stores.push(store);
    }
    Ok(stores)
}

/// The document of this name. Looks at the one whose file is called so first, and at all only if that is another.
pub(crate) async fn find(stores: &[Arc<dyn DocumentStore>], name: &str) -> Result<Option<Found>, CommandError> {
    for store in stores {
        for entry in store.list().await? {
            if entry.stem == name
                && let Some(found) = fetch(Arc::clone(store), entry).await?
                && found.name == name
            {
                return Ok(Some(found));
            }
        }
    }
    Ok(all(stores).await?.into_iter().find(|found| found.name == name))
}

/// Every document of the stores, by name.
pub(crate) async fn all(stores: &[Arc<dyn DocumentStore>]) -> Result<Vec<Found>, CommandError> {
    let mut entries = Vec::new();
    for store in stores {
        let listed = store.list().await?;
        entries.extend(listed.into_iter().map(|entry| (Arc::clone(store), entry)));
    }
    let mut found: Vec<Found> = stream::iter(entries)
        .map(|(store, entry)| fetch(store, entry))
        .buffer_unordered(FETCHES)
        .try_filter_map(|found| async { Ok(found) })
        .try_collect()
        .await?;
    found.sort_by(|one, two| (&one.name, &one.entry.key).cmp(&(&two.name, &two.entry.key)));
    Ok(found)
}

/// `None` when it was removed meanwhile.
async fn fetch(store: Arc<dyn DocumentStore>, entry: Entry) -> Result<Option<Found>, CommandError> {
    let body = match store.fetch(&entry).await {
        Ok(body) => body,
        Err(StoreError::Gone { .. }) => return Ok(None),
        // One hostile object does not hide the other documents; it is known by its stem.
        Err(StoreError::TooLarge { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let name = valkeep_document::readable_name(&body).unwrap_or_else(|| entry.stem.clone());
    Ok(Some(Found {
        store,
        entry,
        name,
        body,
    }))
}

/// Where an entry lies, for messages: `s3://bucket/docs/a.yaml`.
fn place(store: &dyn DocumentStore, entry: &Entry) -> String {
    match store.url() {
        StoreUrl::S3 { bucket, .. } => format!("s3://{bucket}/{}", entry.key),
        StoreUrl::Ssm { .. } => format!("ssm:{}", entry.key),
        StoreUrl::File { dir } => dir.join(&entry.key).display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(store: &[&str], status: &[&str]) -> Result<Vec<String>, String> {
        let urls = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("good")).collect();
        let args = StoreArgs {
            store: urls(store),
            status: urls(status),
        };
        places(&args)
            .map(|places| places.iter().map(|place| place.status.to_string()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn status_lies_beside_each_store() {
        assert_eq!(
            check(&["s3://bucket/docs", "ssm:/docs"], &[]),
            Ok(vec!["s3://bucket/docs-status/".into(), "ssm:/docs-status/".into()])
        );
        assert_eq!(
            check(&["s3://bucket"], &["s3://other/s"]),
            Ok(vec!["s3://other/s/".into()])
        );
    }

    #[test]
    fn status_never_lies_among_documents() {
        for (store, status) in [
            (&["s3://bucket"][..], &[][..]),
            (&["s3://bucket/docs"], &["s3://bucket/docs/status"]),
            (&["file:a", "file:a-status"], &[]),
            (&["ssm:/docs"], &["ssm:/docs"]),
        ] {
            assert!(check(store, status).is_err(), "{store:?} {status:?}");
        }
    }

    #[test]
    fn a_store_within_a_store_is_refused() {
        assert!(check(&["s3://bucket/docs", "s3://bucket/docs/more"], &[]).is_err());
        assert!(check(&["ssm:/docs", "ssm:/docs"], &[]).is_err());
    }

    #[test]
    fn each_store_has_its_status_or_none_has() {
        assert!(check(&["file:a", "file:b"], &["file:c"]).is_err());
        assert!(check(&[], &[]).is_err());
    }
}

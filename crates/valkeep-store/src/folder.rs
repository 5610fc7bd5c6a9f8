//! A folder as store: for development, tests and pipelines.
//!
//! Documents are files, in subfolders too; a status is one file in the status folder. There is no history: who wants
//! the last good version kept over a restart uses a store that has one. It must not know what documents mean.

use crate::{
    DOCUMENT_ENDINGS, DOCUMENT_LIMIT, DocumentStore, Entry, Expect, StoreError, StoreUrl, StoredStatus, Written,
};
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

/// Folders within folders; a cycle of symbolic links ends here.
const DEPTH_MAX: usize = 8;
/// Files looked at in one listing, documents or not.
const FILES_MAX: usize = 100_000;
/// A status is some KiB; a longer file was not written by valkeep.
const STATUS_BYTES_MAX: u64 = 1024 * 1024;

/// A folder of documents and the folder of their status.
#[derive(Debug)]
pub struct FolderStore {
    url: StoreUrl,
    dir: PathBuf,
    status_dir: PathBuf,
    /// Distinguishes temporary files of concurrent writes in this process.
    writes: AtomicU64,
}

impl FolderStore {
    /// Documents in `dir`, status in `status_dir`; the latter is made when the first status is written.
    pub fn new(dir: impl Into<PathBuf>, status_dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            url: StoreUrl::File { dir: dir.clone() },
            dir,
            status_dir: status_dir.into(),
            writes: AtomicU64::new(0),
        }
    }

    fn status_path(&self, stem: &str) -> Result<PathBuf, StoreError> {
        Ok(self.status_dir.join(format!("{}.json", plain(stem)?)))
    }

    /// Whole or not at all: a temporary file beside the target, flushed, renamed over it.
    fn replace(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Hidden, so that a listing never takes it for a document.
        let temporary = path.with_file_name(format!(".{name}.{}.{number}.tmp", std::process::id()));
        let written = std::fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(body).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            // Best effort: the error that matters is the one that is returned.
            std::fs::remove_file(&temporary).ok();
        }
        written
    }

    fn walk(&self, dir: &Path, depth: usize, seen: &mut usize, found: &mut Vec<Entry>) -> Result<(), StoreError> {
        let failed = |error: &io::Error| trouble("ReadDir", dir, error);
        for item in std::fs::read_dir(dir).map_err(|error| failed(&error))? {
            let item = item.map_err(|error| failed(&error))?;
            *seen += 1;
            if *seen > FILES_MAX {
                return Err(StoreError::Failed {
                    call: "ReadDir".to_owned(),
                    what: self.dir.display().to_string(),
                    message: format!("it holds more than {FILES_MAX} files; is this the right folder?"),
                });
            }
            let name = item.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let path = item.path();
            // Follows symbolic links: mounted configuration is usually made of them.
            let meta = match std::fs::metadata(&path) {
                Ok(meta) => meta,
                // Removed since the folder was read, or a dangling link.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(trouble("Stat", &path, &error)),
            };
            if meta.is_dir() {
                // A status folder within the documents is never read as documents.
                if depth < DEPTH_MAX && path != self.status_dir {
                    self.walk(&path, depth + 1, seen, found)?;
                }
            } else if let Some(stem) = stem(name).filter(|_| meta.is_file()) {
                found.push(self.entry(&path, stem, &meta));
            }
        }
        Ok(())
    }

    fn entry(&self, path: &Path, stem: &str, meta: &std::fs::Metadata) -> Entry {
        let changed = meta
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        Entry {
            key: path.strip_prefix(&self.dir).unwrap_or(path).display().to_string(),
            stem: stem.to_owned(),
            // Without reading the body. The inode tells a rename over it apart within one tick of the file system's
            // clock, the length most writes in place.
            revision: format!("{}-{}-{}", changed.as_nanos(), meta.len(), meta.ino()),
            generation: i64::try_from(changed.as_secs()).unwrap_or(i64::MAX),
            historic: false,
        }
    }

    fn list_now(&self) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        self.walk(&self.dir, 0, &mut 0, &mut found)?;
        // Directories come in no order; a listing does.
        found.sort_by(|one, two| one.key.cmp(&two.key));
        Ok(found)
    }

    fn fetch_now(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let path = self.dir.join(&entry.key);
        match read_bounded(&path, DOCUMENT_LIMIT) {
            Ok(body) => Ok(body),
            Err(Unread::TooLarge(bytes)) => Err(StoreError::TooLarge {
                what: entry.key.clone(),
                bytes,
                limit: DOCUMENT_LIMIT,
            }),
            Err(Unread::Io(error)) if error.kind() == ErrorKind::NotFound => {
                Err(StoreError::Gone { key: entry.key.clone() })
            }
            Err(Unread::Io(error)) => Err(trouble("Read", &path, &error)),
        }
    }

    fn put_now(&self, stem: &str, body: &[u8], over: Option<&Entry>) -> Result<Entry, StoreError> {
        let stem = plain(stem)?;
        let size = body.len() as u64;
        if size > DOCUMENT_LIMIT {
            return Err(StoreError::TooLarge {
                what: stem.to_owned(),
                bytes: size,
                limit: DOCUMENT_LIMIT,
            });
        }
        std::fs::create_dir_all(&self.dir).map_err(|error| trouble("CreateDir", &self.dir, &error))?;
        // A document that is there under another ending is replaced, not joined by a second one of the same name.
        let path = DOCUMENT_ENDINGS
            .iter()
            .map(|ending| self.dir.join(format!("{stem}{ending}")))
            .find(|path| path.exists())
            .unwrap_or_else(|| self.dir.join(format!("{stem}{}", DOCUMENT_ENDINGS[0])));
        if let Some(over) = over {
            let now = std::fs::metadata(&path).map(|meta| self.entry(&path, stem, &meta));
            if now.is_ok_and(|now| now != *over) {
                return Err(StoreError::Changed { key: over.key.clone() });
            }
        }
        self.replace(&path, body)
            .map_err(|error| trouble("Write", &path, &error))?;
        let meta = std::fs::metadata(&path).map_err(|error| trouble("Stat", &path, &error))?;
        Ok(self.entry(&path, stem, &meta))
    }

    fn read_status_now(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError> {
        let path = self.status_path(stem)?;
        match read_bounded(&path, STATUS_BYTES_MAX) {
            Ok(body) => Ok(Some(StoredStatus {
                tag: digest(&body),
                body,
            })),
            Err(Unread::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(Unread::Io(error)) => Err(trouble("Read", &path, &error)),
            Err(Unread::TooLarge(bytes)) => Err(StoreError::TooLarge {
                what: path.display().to_string(),
                bytes,
                limit: STATUS_BYTES_MAX,
            }),
        }
    }

    fn write_status_now(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError> {
        let path = self.status_path(stem)?;
        let now = self.read_status_now(stem)?;
        let tag = digest(body);
        let as_expected = match (&now, expect) {
            (None, Expect::Absent) => true,
            (Some(stored), Expect::Tag(expected)) => stored.tag == *expected,
            (None, Expect::Tag(_)) | (Some(_), Expect::Absent) => false,
        };
        if !as_expected {
            // Our own bytes are there already: an earlier write whose answer was lost.
            return Ok(if now.is_some_and(|stored| stored.tag == tag) {
                Written::Yes(tag)
            } else {
                Written::Conflict
            });
        }
        std::fs::create_dir_all(&self.status_dir).map_err(|error| trouble("CreateDir", &self.status_dir, &error))?;
        // Between looking and renaming another writer may slip in: a folder has no compare-and-swap. The next pass
        // finds the other's status and decides anew; nothing but one status rests on it.
        self.replace(&path, body)
            .map_err(|error| trouble("Write", &path, &error))?;
        Ok(Written::Yes(tag))
    }
}

// The calls are a handful of short file operations, so they are made in place: no thread is worth its hand-over, and a
// listing costs microseconds a file.
#[async_trait]
impl DocumentStore for FolderStore {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.list_now()
    }

    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        self.fetch_now(entry)
    }

    async fn history(&self, _entry: &Entry) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    async fn put(&self, stem: &str, body: &[u8], over: Option<&Entry>) -> Result<Entry, StoreError> {
        self.put_now(stem, body, over)
    }

    async fn read_status(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError> {
        self.read_status_now(stem)
    }

    async fn write_status(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError> {
        self.write_status_now(stem, body, expect)
    }

    fn status_limit(&self) -> usize {
        // No limit of the file system's; this one keeps a status readable.
        64 * 1024
    }
}

enum Unread {
    TooLarge(u64),
    Io(io::Error),
}

/// Looks at the size first, and reads no further than the limit even if the file grows meanwhile.
fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    let file = std::fs::File::open(path).map_err(Unread::Io)?;
    let size = file.metadata().map_err(Unread::Io)?.len();
    if size > limit {
        return Err(Unread::TooLarge(size));
    }
    let mut body = Vec::new();
    file.take(limit + 1).read_to_end(&mut body).map_err(Unread::Io)?;
    let size = body.len() as u64;
    if size > limit {
        Err(Unread::TooLarge(size))
    } else {
        Ok(body)
    }
}

/// The name without its ending, if it is a document's.
fn stem(name: &str) -> Option<&str> {
    DOCUMENT_ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .filter(|stem| !stem.is_empty())
}

/// A stem becomes a file name; nothing in it may lead elsewhere.
fn plain(stem: &str) -> Result<&str, StoreError> {
    if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\\', '\0']) {
        return Err(StoreError::Failed {
            call: "Write".to_owned(),
            what: stem.escape_debug().to_string(),
            message: "not a plain file name".to_owned(),
        });
    }
    Ok(stem)
}

fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn trouble(call: &str, path: &Path, error: &io::Error) -> StoreError {
    let what = path.display().to_string();
    match error.kind() {
        ErrorKind::NotFound => StoreError::Missing { what },
        ErrorKind::PermissionDenied => StoreError::Denied {
            call: call.to_owned(),
            what,
            message: error.to_string(),
        },
        _ => StoreError::Failed {
            call: call.to_owned(),
            what,
            message: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        root: tempfile::TempDir,
        store: FolderStore,
    }

    fn bench() -> Bench {
        let root = tempfile::tempdir().expect("a temporary folder");
        let store = FolderStore::new(root.path().join("docs"), root.path().join("docs-status"));
        std::fs::create_dir(root.path().join("docs")).expect("fresh");
        Bench { root, store }
    }

    impl Bench {
        fn write(&self, path: &str, body: &str) {
            let path = self.root.path().join("docs").join(path);
            std::fs::create_dir_all(path.parent().expect("in docs")).expect("writable");
            std::fs::write(path, body).expect("writable");
        }

        async fn keys(&self) -> Vec<String> {
            let entries = self.store.list().await.expect("readable");
            entries.into_iter().map(|entry| entry.key).collect()
        }
    }

    #[tokio::test]
    async fn documents_are_found_by_their_endings_in_folders_too_and_hidden_files_are_not() {
        let bench = bench();
        for name in [
            "b.yaml",
            "a.yml",
            "team/c.json",
            "notes.txt",
            ".hidden.yaml",
            ".git/x.yaml",
            ".yaml",
        ] {
            bench.write(name, "x");
        }
        assert_eq!(bench.keys().await, ["a.yml", "b.yaml", "team/c.json"]);
        let entries = bench.store.list().await.expect("readable");
        assert_eq!(entries[2].stem, "c");
        assert_eq!(bench.store.fetch(&entries[2]).await.expect("there"), b"x");
    }

    #[tokio::test]
    async fn an_empty_folder_is_an_answer_and_a_missing_one_is_an_error() {
        let bench = bench();
        assert!(bench.keys().await.is_empty());
        std::fs::remove_dir(bench.root.path().join("docs")).expect("empty");
        assert!(matches!(bench.store.list().await, Err(StoreError::Missing { .. })));
    }

    #[tokio::test]
    async fn the_revision_changes_with_the_body_and_only_then() {
        let bench = bench();
        let first = bench.store.put("a", b"one", None).await.expect("writable");
        assert_eq!(
            bench.store.list().await.expect("readable"),
            std::slice::from_ref(&first)
        );
        let second = bench.store.put("a", b"two", None).await.expect("writable");
        assert_ne!(first.revision, second.revision, "the same length within one tick");
        assert!(second.generation >= first.generation);
        assert_eq!(bench.keys().await, ["a.yaml"], "no temporary file is left");
        let refused = bench.store.put("a", b"made from the first", Some(&first)).await;
        assert!(matches!(refused, Err(StoreError::Changed { .. })), "{refused:?}");
        bench
            .store
            .put("a", b"made from the second", Some(&second))
            .await
            .expect("writable");
    }

    #[tokio::test]
    async fn a_document_is_replaced_under_the_ending_that_it_has() {
        let bench = bench();
        bench.write("a.json", "{}");
        bench.store.put("a", b"{ }", None).await.expect("writable");
        assert_eq!(bench.keys().await, ["a.json"]);
    }

    #[tokio::test]
    async fn a_document_that_went_meanwhile_is_gone_not_broken() {
        let bench = bench();
        let entry = bench.store.put("a", b"one", None).await.expect("writable");
        std::fs::remove_file(bench.root.path().join("docs/a.yaml")).expect("there");
        assert!(matches!(bench.store.fetch(&entry).await, Err(StoreError::Gone { .. })));
    }

    #[tokio::test]
    async fn a_huge_document_is_refused_before_it_is_read() {
        let bench = bench();
        let path = bench.root.path().join("docs/a.yaml");
        // Sparse: 10 GiB that take no room, and would not fit in memory.
        std::fs::File::create(&path)
            .expect("writable")
            .set_len(10 << 30)
            .expect("sparse");
        let entry = bench.store.list().await.expect("readable").remove(0);
        assert!(matches!(
            bench.store.fetch(&entry).await,
            Err(StoreError::TooLarge { bytes, .. }) if bytes == 10 << 30
        ));
    }

    #[tokio::test]
    async fn a_cycle_of_links_ends() {
        let bench = bench();
        bench.write("a.yaml", "x");
        std::os::unix::fs::symlink(bench.root.path().join("docs"), bench.root.path().join("docs/again")).expect("new");
        let keys = bench.keys().await;
        assert_eq!(keys.len(), DEPTH_MAX + 1, "{keys:?}");
    }

    #[tokio::test]
    async fn status_is_written_only_over_what_was_read() {
        let bench = bench();
        let Written::Yes(one) = bench
            .store
            .write_status("a", b"1", &Expect::Absent)
            .await
            .expect("writable")
        else {
            panic!("nothing was there");
        };
        let stored = bench.store.read_status("a").await.expect("readable").expect("there");
        assert_eq!((stored.body.as_slice(), &stored.tag), (b"1".as_slice(), &one));
        let other = bench
            .store
            .write_status("a", b"2", &Expect::Absent)
            .await
            .expect("writable");
        assert_eq!(other, Written::Conflict);
        let swapped = bench
            .store
            .write_status("a", b"2", &Expect::Tag(one.clone()))
            .await
            .expect("writable");
        assert!(matches!(swapped, Written::Yes(_)));
        let late = bench
            .store
            .write_status("a", b"3", &Expect::Tag(one.clone()))
            .await
            .expect("writable");
        assert_eq!(late, Written::Conflict);
        let again = bench
            .store
            .write_status("a", b"2", &Expect::Tag(one))
            .await
            .expect("writable");
        assert_eq!(again, swapped, "finding our own bytes is success");
    }

    #[tokio::test]
    async fn status_that_vanished_is_a_conflict_for_who_knew_it() {
        let bench = bench();
        assert_eq!(bench.store.read_status("a").await.expect("readable"), None);
        let written = bench
            .store
            .write_status("a", b"1", &Expect::Tag("x".into()))
            .await
            .expect("writable");
        assert_eq!(written, Written::Conflict);
    }

    #[tokio::test]
    async fn a_stem_leads_nowhere_else() {
        let bench = bench();
        for stem in ["../a", "a/b", "", ".a", "a\0"] {
            assert!(bench.store.put(stem, b"x", None).await.is_err(), "{stem:?}");
            assert!(
                bench.store.write_status(stem, b"x", &Expect::Absent).await.is_err(),
                "{stem:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_status_folder_among_the_documents_is_not_read_as_documents() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let store = FolderStore::new(root.path(), root.path().join("status"));
        store.write_status("a", b"{}", &Expect::Absent).await.expect("writable");
        assert!(store.list().await.expect("readable").is_empty());
    }
}

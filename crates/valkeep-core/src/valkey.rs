//! What a Valkey server says of itself, and how it is told to save.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One save point: save when at least `changes` keys changed within `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveRule {
    /// At least 1.
    pub seconds: u32,
    /// At least 1.
    pub changes: u32,
}

/// The value of Valkey's `save` directive; no rules means that no snapshots are written, not even at SIGTERM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavePoints(pub Vec<SaveRule>);

impl SavePoints {
    /// As `--save` and `CONFIG GET save` spell it: `900 1 300 10`, or nothing.
    pub fn directive(&self) -> String {
        self.0
            .iter()
            .map(|rule| format!("{} {}", rule.seconds, rule.changes))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whether any snapshot is ever written.
    pub fn is_off(&self) -> bool {
        self.0.is_empty()
    }
}

/// `appendfsync`: when the append-only file is flushed to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Valkey's own words")]
pub enum AppendFsync {
    Everysec,
    Always,
    No,
}

impl AppendFsync {
    /// As Valkey spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            AppendFsync::Everysec => "everysec",
            AppendFsync::Always => "always",
            AppendFsync::No => "no",
        }
    }
}

/// `maxmemory-policy`: what goes when the memory is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "Valkey's own words")]
pub enum MaxmemoryPolicy {
    Noeviction,
    AllkeysLru,
    AllkeysLfu,
    AllkeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
}

impl MaxmemoryPolicy {
    /// As Valkey spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            MaxmemoryPolicy::Noeviction => "noeviction",
            MaxmemoryPolicy::AllkeysLru => "allkeys-lru",
            MaxmemoryPolicy::AllkeysLfu => "allkeys-lfu",
            MaxmemoryPolicy::AllkeysRandom => "allkeys-random",
            MaxmemoryPolicy::VolatileLru => "volatile-lru",
            MaxmemoryPolicy::VolatileLfu => "volatile-lfu",
            MaxmemoryPolicy::VolatileRandom => "volatile-random",
            MaxmemoryPolicy::VolatileTtl => "volatile-ttl",
        }
    }
}

/// `INFO` of one server, as far as valkeep reads it. Times are as the server gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValkeyInfo {
    /// `valkey` where there is a `valkey_version`; else `server_name`, or `redis` where there is none.
    pub server: String,
    /// `valkey_version`, or `redis_version` on Redis.
    pub version: String,
    /// `run_id`: another one means another process.
    pub run_id: String,
    /// `uptime_in_seconds`.
    pub uptime_s: u64,
    /// `server_time_usec`: the server's own clock, by which the other times here are.
    pub time: Timestamp,
    /// `role`.
    pub role: String,
    /// Loading its dump; data is not served yet.
    pub loading: bool,
    /// `loading_loaded_perc`, only while loading, in whole percent.
    pub loading_percent: Option<u8>,
    /// Keys in all databases.
    pub keys: u64,
    /// `used_memory` in bytes.
    pub used_memory: u64,
    /// `maxmemory` in bytes; 0 is no limit.
    pub maxmemory: u64,
    /// `rdb_changes_since_last_save`: changes that a SIGKILL now would lose.
    pub changes_since_save: u64,
    /// `rdb_last_save_time`. Before the first save of this process it is the start time.
    pub last_save: Timestamp,
    /// `rdb_saves`: saves *started* since the process started.
    pub saves_started: u64,
    /// `rdb_last_bgsave_status` is `ok`. It says `ok` before the first save, too.
    pub last_save_ok: bool,
    /// `rdb_bgsave_in_progress`.
    pub saving: bool,
    /// `rdb_current_bgsave_time_sec`: how long the save in progress has taken so far.
    pub saving_for_s: Option<u64>,
    /// `rdb_last_bgsave_time_sec`; none before the first.
    pub last_save_duration_s: Option<u64>,
    /// `rdb_last_load_keys_loaded`: 0 means that the server came up empty.
    pub keys_loaded: u64,
    /// `rdb_last_load_keys_expired`.
    pub keys_expired_at_load: u64,
    /// The append-only file, where there is one.
    pub append_only: Option<AppendOnly>,
}

/// The `aof_` fields of `INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendOnly {
    /// `aof_rewrite_in_progress` or `aof_rewrite_scheduled`: the file does not hold everything yet, or is being made smaller.
    pub rewriting: bool,
    /// `aof_last_bgrewrite_status` is `ok`. It says `ok` before the first, too.
    pub last_rewrite_ok: bool,
    /// `aof_last_write_status` is `ok`.
    pub last_write_ok: bool,
}

/// Settings that a document may have another value of without a restart.
pub const LIVE_SETTINGS: [&str; 6] = [
    "save",
    "rdbcompression",
    "stop-writes-on-bgsave-error",
    "maxmemory",
    "maxmemory-policy",
    "appendfsync",
];

/// Whether the append-only file is written. It changes live, and then the server is replaced.
pub const SETTING_APPEND_ONLY: &str = "appendonly";

/// The setting that keeps clients from writing: the number of replicas that must be there for a write to be taken.
pub const SETTING_FENCE: &str = "min-replicas-to-write";

/// Every setting that valkeep reads of a running server, and may set.
pub const SERVER_SETTINGS: [&str; 8] = [
    LIVE_SETTINGS[0],
    LIVE_SETTINGS[1],
    LIVE_SETTINGS[2],
    LIVE_SETTINGS[3],
    LIVE_SETTINGS[4],
    LIVE_SETTINGS[5],
    SETTING_APPEND_ONLY,
    SETTING_FENCE,
];

/// The value of [`SETTING_FENCE`] that valkeep sets: a number of replicas that no server has, and which tells since when
/// writes are kept out, by the server's own clock.
pub fn fence(since: Timestamp) -> String {
    (FENCE_BASE + (since.as_second() - FENCE_EPOCH).max(0)).to_string()
}

/// Since when valkeep keeps clients from writing, if it does.
pub fn fenced_since(settings: &ServerSettings) -> Option<Timestamp> {
    let value: i64 = settings.get(SETTING_FENCE)?.parse().ok()?;
    let since = value.checked_sub(FENCE_BASE).filter(|since| *since >= 0)?;
    Timestamp::from_second(FENCE_EPOCH + since).ok()
}

/// Valkey takes up to 2,147,483,647, which leaves room until 2060.
const FENCE_BASE: i64 = 1_000_000_000;
/// November 2023.
const FENCE_EPOCH: i64 = 1_700_000_000;

/// Settings of a running server, as `CONFIG GET` answers: name to value.
pub type ServerSettings = BTreeMap<String, String>;

/// One change of a running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerChange {
    /// `BGSAVE`. That a save is under way already is success.
    Save,
    /// `CONFIG SET`, of one setting.
    Set {
        /// Its name.
        name: String,
        /// What it was.
        from: String,
        /// What it becomes.
        to: String,
    },
    /// `ACL SETUSER`: the password becomes the one that the document refers to now. It is in no step; whoever acts has it.
    Password,
}

impl ServerChange {
    /// The command.
    pub fn command(&self) -> &'static str {
        match self {
            ServerChange::Save => "valkey:BGSAVE",
            ServerChange::Set { .. } => "valkey:CONFIG SET",
            ServerChange::Password => "valkey:ACL SETUSER",
        }
    }
}

impl ValkeyInfo {
    /// `valkey 8.0.1`, as the written-by tag has it.
    pub fn product(&self) -> String {
        format!("{} {}", self.server, self.version)
    }
}

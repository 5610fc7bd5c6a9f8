//! Reads the text of `INFO` into [`ValkeyInfo`]. Pure.
//!
//! Field names: <https://valkey.io/commands/info/>. Unknown fields and sections are left alone, so that a newer server
//! is understood; a missing field that decisions rest on is an error, because guessing "empty" or "saved" is worse than
//! not knowing.

use std::collections::HashMap;
use valkeep_core::valkey::AppendOnly;
use valkeep_core::{Timestamp, ValkeyInfo};

/// Why a text is not the `INFO` of a server that valkeep understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// The field is not there.
    #[error("INFO has no field `{field}`; valkeep understands Valkey, and Redis from 7.0 on")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// The field is there and means nothing.
    #[error("INFO says `{field}:{value}`, which is not {expected}")]
    Odd {
        /// Its name.
        field: String,
        /// Its value, at most 80 characters.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Reads `INFO`. Sections may come in any order, lines may end with `\n` or `\r\n`; of a field said twice the last
/// counts.
pub fn parse_info(text: &str) -> Result<ValkeyInfo, InfoError> {
    let fields = Fields::read(text);
    let valkey_version = fields.find("valkey_version");
    let loading = fields.flag("loading")?;
    Ok(ValkeyInfo {
        // Redis has no `server_name`; Valkey's `redis_version` is a constant for old clients and says nothing. Where both
        // fields are there, the one with the version counts.
        server: match valkey_version {
            Some(_) => "valkey",
            None => fields.find("server_name").unwrap_or("redis"),
        }
        .to_owned(),
        version: match valkey_version {
            Some(version) => version.to_owned(),
            None => fields.text("redis_version")?.to_owned(),
        },
        run_id: fields.text("run_id")?.to_owned(),
        uptime_s: fields.number("uptime_in_seconds")?,
        time: fields.micros("server_time_usec")?,
        role: fields.text("role")?.to_owned(),
        loading,
        loading_percent: if loading {
            fields.percent("loading_loaded_perc")?
        } else {
            None
        },
        keys: fields.keys()?,
        used_memory: fields.number("used_memory")?,
        maxmemory: fields.number("maxmemory")?,
        changes_since_save: fields.number("rdb_changes_since_last_save")?,
        last_save: fields.time("rdb_last_save_time")?,
        saves_started: fields.number("rdb_saves")?,
        last_save_ok: fields.text("rdb_last_bgsave_status")? == "ok",
        saving: fields.flag("rdb_bgsave_in_progress")?,
        // -1 while none is in progress. Without it a save that hangs is one that goes on.
        saving_for_s: fields
            .find("rdb_current_bgsave_time_sec")
            .and_then(|text| text.parse().ok()),
        // -1 before the first.
        last_save_duration_s: u64::try_from(fields.signed("rdb_last_bgsave_time_sec")?).ok(),
        keys_loaded: fields.number("rdb_last_load_keys_loaded")?,
        keys_expired_at_load: fields.number("rdb_last_load_keys_expired")?,
        append_only: fields.append_only()?,
    })
}

/// The run id alone, from any `INFO` that has the section `server`.
pub(crate) fn run_id(text: &str) -> Result<&str, InfoError> {
    Fields::read(text).text("run_id")
}

struct Fields<'a>(HashMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Self {
        Self(
            text.lines()
                .map(str::trim_end)
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once(':'))
                .collect(),
        )
    }

    fn find(&self, field: &str) -> Option<&'a str> {
        self.0.get(field).copied()
    }

    fn text(&self, field: &'static str) -> Result<&'a str, InfoError> {
        self.find(field).ok_or(InfoError::Missing { field })
    }

    fn number(&self, field: &'static str) -> Result<u64, InfoError> {
        let text = self.text(field)?;
        text.parse().map_err(|_| odd(field, text, "a whole number"))
    }

    fn signed(&self, field: &'static str) -> Result<i64, InfoError> {
        let text = self.text(field)?;
        text.parse().map_err(|_| odd(field, text, "a whole number"))
    }

    fn flag(&self, field: &'static str) -> Result<bool, InfoError> {
        match self.text(field)? {
            "0" => Ok(false),
            "1" => Ok(true),
            text => Err(odd(field, text, "0 or 1")),
        }
    }

    fn time(&self, field: &'static str) -> Result<Timestamp, InfoError> {
        Timestamp::from_second(self.signed(field)?)
            .map_err(|_| odd(field, self.text(field).unwrap_or(""), "a Unix time"))
    }

    fn micros(&self, field: &'static str) -> Result<Timestamp, InfoError> {
        Timestamp::from_microsecond(self.signed(field)?)
            .map_err(|_| odd(field, self.text(field).unwrap_or(""), "a Unix time in microseconds"))
    }

    fn append_only(&self) -> Result<Option<AppendOnly>, InfoError> {
        if !self.flag("aof_enabled")? {
            return Ok(None);
        }
        Ok(Some(AppendOnly {
            rewriting: self.flag("aof_rewrite_in_progress")? || self.flag("aof_rewrite_scheduled")?,
            last_rewrite_ok: self.text("aof_last_bgrewrite_status")? == "ok",
            last_write_ok: self.text("aof_last_write_status")? == "ok",
        }))
    }

    /// `12.34`, cut to whole percent. Absent in the moment between the start of loading and its first progress.
    fn percent(&self, field: &'static str) -> Result<Option<u8>, InfoError> {
        let Some(text) = self.find(field) else { return Ok(None) };
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        match whole.parse::<u8>() {
            Ok(percent) => Ok(Some(percent.min(100))),
            Err(_) => Err(odd(field, text, "a percentage")),
        }
    }

    /// The sum over `db0:keys=12,expires=0,...`. A database without keys is not listed.
    fn keys(&self) -> Result<u64, InfoError> {
        let mut sum = 0_u64;
        for (field, value) in &self.0 {
            let is_db = field
                .strip_prefix("db")
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
            if is_db {
                let keys = value
                    .split(',')
                    .find_map(|part| part.strip_prefix("keys="))
                    .and_then(|keys| keys.parse::<u64>().ok())
                    .ok_or_else(|| odd(field, value, "keys=N,..."))?;
                sum = sum.saturating_add(keys);
            }
        }
        Ok(sum)
    }
}

fn odd(field: &str, value: &str, expected: &'static str) -> InfoError {
    InfoError::Odd {
        field: field.to_owned(),
        value: value.chars().take(80).collect(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALKEY_8: &str = include_str!("../tests/info/valkey-8.0.txt");
    const LOADING: &str = include_str!("../tests/info/valkey-8.0-loading.txt");
    const REDIS_7: &str = include_str!("../tests/info/redis-7.0.txt");

    #[test]
    fn a_serving_valkey_is_read() {
        let info = parse_info(VALKEY_8).expect("a real answer");
        assert_eq!(info.product(), "valkey 8.0.1");
        assert_eq!(info.role, "master");
        assert!(!info.loading);
        assert_eq!(info.loading_percent, None);
        assert_eq!(info.keys, 1_007, "the sum over all databases");
        assert_eq!(info.changes_since_save, 7);
        assert_eq!(info.saves_started, 2);
        assert!(info.last_save_ok);
        assert!(!info.saving);
        assert_eq!(info.saving_for_s, None, "-1 is none");
        assert_eq!(info.last_save_duration_s, Some(0));
        assert_eq!(info.keys_loaded, 1_000);
        assert_eq!(info.maxmemory, 0);
        assert_eq!(info.run_id.len(), 40);
    }

    #[test]
    fn a_loading_valkey_tells_its_progress() {
        let info = parse_info(LOADING).expect("a real answer");
        assert!(info.loading);
        assert_eq!(info.loading_percent, Some(50));
        assert_eq!(info.last_save_duration_s, None, "-1 is none");
    }

    #[test]
    fn redis_7_is_understood_and_called_redis() {
        let info = parse_info(REDIS_7).expect("a real answer");
        assert_eq!(info.product(), "redis 7.0.15");
        assert_eq!(info.keys, 0, "no database is listed when all are empty");
    }

    #[test]
    fn a_valkey_that_names_itself_otherwise_is_known_by_its_version() {
        let text = VALKEY_8.replace("server_name:valkey", "server_name:redis");
        assert_eq!(parse_info(&text).expect("still whole").product(), "valkey 8.0.1");
    }

    #[test]
    fn a_save_under_way_tells_for_how_long() {
        let text = VALKEY_8.replace("rdb_current_bgsave_time_sec:-1", "rdb_current_bgsave_time_sec:12");
        assert_eq!(parse_info(&text).expect("still whole").saving_for_s, Some(12));
    }

    #[test]
    fn a_failed_save_is_not_ok() {
        let text = VALKEY_8.replace("rdb_last_bgsave_status:ok", "rdb_last_bgsave_status:err");
        assert!(!parse_info(&text).expect("still whole").last_save_ok);
    }

    #[test]
    fn every_field_that_decisions_rest_on_is_missed_when_it_is_not_there() {
        for field in [
            "run_id",
            "uptime_in_seconds",
            "server_time_usec",
            "role",
            "loading",
            "used_memory",
            "maxmemory",
            "rdb_changes_since_last_save",
            "rdb_last_save_time",
            "rdb_saves",
            "rdb_last_bgsave_status",
            "rdb_bgsave_in_progress",
            "rdb_last_bgsave_time_sec",
            "rdb_last_load_keys_loaded",
            "rdb_last_load_keys_expired",
            "aof_enabled",
        ] {
            let without: String = VALKEY_8
                .lines()
                .filter(|line| !line.starts_with(&format!("{field}:")))
                .map(|line| format!("{line}\r\n"))
                .collect();
            assert_eq!(parse_info(&without), Err(InfoError::Missing { field }), "{field}");
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        for (from, to) in [
            ("loading:0", "loading:maybe"),
            ("rdb_saves:2", "rdb_saves:99999999999999999999"),
            ("db0:keys=1000", "db0:kyes=1000"),
        ] {
            let text = VALKEY_8.replace(from, to);
            assert_ne!(text, VALKEY_8, "{from}");
            assert!(matches!(parse_info(&text), Err(InfoError::Odd { .. })), "{to}");
        }
        let far = VALKEY_8
            .lines()
            .map(|line| {
                if line.starts_with("rdb_last_save_time:") {
                    "rdb_last_save_time:9223372036854775807"
                } else {
                    line
                }
            })
            .collect::<Vec<_>>()
            .join("\n");
        assert!(matches!(parse_info(&far), Err(InfoError::Odd { .. })));
        assert!(parse_info("").is_err());
        assert!(parse_info("::::\n#\n:\n").is_err());
    }
}

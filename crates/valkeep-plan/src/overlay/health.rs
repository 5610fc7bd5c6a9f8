//! A foreign health check, made to bear with a server that waits for its directory or loads its dump.
//!
//! The base's own check still decides about a server that runs. Left as it is, it would have ECS kill a task that waits
//! for the one before it, or one that loads for long.

use super::command::texts;
use serde_json::{Value, json};

/// The check of the base, wrapped. A container without one stays without: ECS then counts it as healthy, which waiting is.
pub(super) fn bearing(check: &Value, program: &str, port: u16) -> Option<Value> {
    let words = texts(&check["command"]);
    let client = if program.ends_with("redis-server") {
        "redis-cli"
    } else {
        "valkey-cli"
    };
    // No server in sight: the shell still waits for the lock. After it, the server is in its place, and when that ends
    // the container does.
    let alive = format!(
        "grep -qs -e '-server$' /proc/[0-9]*/comm || exit 0; \
         case \"$({client} -p {port} ping 2>&1)\" in *LOADING*) exit 0;; esac; "
    );
    let command = match words.split_first() {
        Some((kind, [script])) if kind == "CMD-SHELL" => json!(["CMD-SHELL", format!("{alive}{script}")]),
        Some((kind, words)) if kind == "CMD" && !words.is_empty() => {
            let mut wrapped = vec![json!("CMD"), json!("/bin/sh"), json!("-c")];
            wrapped.extend([json!(format!("{alive}exec \"$@\"")), json!("valkeep-health")]);
            wrapped.extend(words.iter().map(|word| json!(word)));
            Value::Array(wrapped)
        }
        // `NONE` switches the image's own check off; what else there may be is not a check that kills.
        _ => return None,
    };
    let mut bearing = check.clone();
    bearing["command"] = command;
    Some(bearing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_decides_once_the_server_runs() {
        let check = json!({"command": ["CMD-SHELL", "valkey-cli ping | grep PONG"], "interval": 5});
        let bearing = bearing(&check, "valkey-server", 6379).expect("is wrapped");
        let script = bearing["command"][1].as_str().expect("a script");
        assert!(script.ends_with("; valkey-cli ping | grep PONG"), "{script}");
        assert_eq!(bearing["interval"], 5);
    }

    #[test]
    fn a_check_of_words_keeps_its_words() {
        let check = json!({"command": ["CMD", "redis-cli", "ping"]});
        let bearing = bearing(&check, "redis-server", 6380).expect("is wrapped");
        assert_eq!(bearing["command"][5], "redis-cli");
        assert_eq!(bearing["command"][6], "ping");
        assert!(
            bearing["command"][3]
                .as_str()
                .expect("a script")
                .contains("redis-cli -p 6380 ping")
        );
    }

    #[test]
    fn no_check_stays_no_check() {
        assert_eq!(bearing(&Value::Null, "valkey-server", 6379), None);
        assert_eq!(bearing(&json!({"command": ["NONE"]}), "valkey-server", 6379), None);
    }
}

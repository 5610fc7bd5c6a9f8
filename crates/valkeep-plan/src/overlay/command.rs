//! Understands how a foreign definition starts its server, and says how the same server is started with our settings
//! last. What is not understood is refused with the reason: a guess could start a server without its data.

use super::Refusal;
use serde_json::Value;

/// How a container starts its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// An init process in front, like `tini --`.
    init: Vec<String>,
    form: Form,
    /// `valkey-server` or `redis-server`.
    pub(super) program: String,
    /// The server's words as far as they can be read; a variable stands as it is written.
    pub(super) words: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// The words are executed as they are.
    Words,
    /// The words go through the official image's entry point, which appends `$VALKEY_EXTRA_FLAGS`, split at blanks.
    Image,
    /// One simple command of a shell, with whatever variables it has.
    Script(String),
}

impl Command {
    /// Reads `entryPoint`, `command`, `image` and the names of the environment.
    pub(super) fn of(container: &Value) -> Result<Self, Refusal> {
        let mut entry = texts(&container["entryPoint"]);
        let command = texts(&container["command"]);
        let image = container["image"].as_str().unwrap_or_default();
        let init = take_init(&mut entry);
        if entry
            .first()
            .is_some_and(|word| base_name(word) == "docker-entrypoint.sh")
        {
            let rest = entry[1..].iter().chain(&command).cloned().collect();
            return Self::through_image(init, image, rest);
        }
        if entry.is_empty() {
            return Self::through_image(init, image, command);
        }
        let all: Vec<String> = entry.into_iter().chain(command).collect();
        if let Some(script) = script_of(&all)? {
            return Self::from_script(init, &script);
        }
        if is_server(&all[0]) {
            return Ok(Self {
                init,
                form: Form::Words,
                program: all[0].clone(),
                words: all[1..].to_vec(),
            });
        }
        Err(Refusal::command(&format!("its entry point is {}", all[0])))
    }

    /// What the official images' entry point does: a flag or a file in front means the server.
    fn through_image(init: Vec<String>, image: &str, mut words: Vec<String>) -> Result<Self, Refusal> {
        let Some(program) = official_program(image) else {
            return Err(Refusal::command(&format!(
                "the entry point of the image {image} is its own, and only those of the official valkey and redis images are known"
            )));
        };
        if let Some(script) = script_of(&words)? {
            return Self::from_script(init, &script);
        }
        match words.first() {
            None => words.push(program.to_owned()),
            Some(first) if first.starts_with('-') || is_configuration(first) => words.insert(0, program.to_owned()),
            Some(first) if is_server(first) => {}
            Some(first) => return Err(Refusal::command(&format!("its command is {first}"))),
        }
        let program = words.remove(0);
        Ok(Self {
            init,
            form: Form::Image,
            program,
            words,
        })
    }

    fn from_script(init: Vec<String>, script: &str) -> Result<Self, Refusal> {
        let refuse = |why: &str| Refusal::command(&format!("its shell command {why}: {script}"));
        if let Some(what) = more_than_a_command(script) {
            return Err(refuse(&format!("has {what}")));
        }
        let mut words = shlex::split(script).ok_or_else(|| refuse("has an open quote"))?;
        if words.first().is_some_and(|word| word == "exec") {
            words.remove(0);
        }
        if !words.first().is_some_and(|word| is_server(word)) {
            return Err(refuse("does not start with valkey-server or redis-server"));
        }
        let program = words.remove(0);
        let command = script.trim();
        let command = command.strip_prefix("exec ").unwrap_or(command).trim().to_owned();
        Ok(Self {
            init,
            form: Form::Script(command),
            program,
            words,
        })
    }

    /// The init process in front of everything.
    pub(super) fn init(&self) -> &[String] {
        &self.init
    }

    /// The command line that starts the same server with `ours` after everything else it is told. `extra_flags` says
    /// whether `VALKEY_EXTRA_FLAGS` may be set in its environment.
    pub(super) fn with(&self, ours: Vec<String>, extra_flags: bool) -> Vec<String> {
        let shell = |script: String| {
            ["/bin/sh".to_owned(), "-c".to_owned(), script, self.program.clone()]
                .into_iter()
                .chain(ours.clone())
                .collect()
        };
        let plain = || std::iter::once(&self.program).chain(&self.words);
        match &self.form {
            Form::Script(command) => shell(format!("exec {command} \"$@\"")),
            Form::Image if extra_flags => {
                let quoted = shlex::try_join(plain().map(String::as_str)).expect("words of JSON text hold no NUL");
                shell(format!("exec {quoted} $VALKEY_EXTRA_FLAGS \"$@\""))
            }
            Form::Image | Form::Words => plain().cloned().chain(ours).collect(),
        }
    }

    /// The value of a flag, the last one given. Blanks within one word of a shell are words to the image's entry point.
    pub(super) fn value_of(&self, flag: &str) -> Option<&str> {
        value_of(&self.words, flag)
    }
}

/// What stands behind a flag: of one that is given twice the server takes the last.
pub(crate) fn value_of<'a>(words: &'a [String], flag: &str) -> Option<&'a str> {
    let at = words.iter().rposition(|word| word == flag)?;
    words.get(at + 1).map(String::as_str)
}

/// The words of a JSON list of texts.
pub(super) fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect()
}

/// Takes an init process off the front: `tini --`, `dumb-init`, ...
fn take_init(entry: &mut Vec<String>) -> Vec<String> {
    let Some(first) = entry.first() else {
        return Vec::new();
    };
    if !matches!(base_name(first), "tini" | "dumb-init" | "docker-init" | "catatonit") {
        return Vec::new();
    }
    let options = entry[1..].iter().take_while(|word| word.starts_with('-')).count();
    entry.drain(..=options).collect()
}

/// `sh -c SCRIPT`, and nothing after it.
fn script_of(words: &[String]) -> Result<Option<String>, Refusal> {
    let [shell, flag, rest @ ..] = words else {
        return Ok(None);
    };
    if !matches!(base_name(shell), "sh" | "bash" | "ash" | "dash") {
        return Ok(None);
    }
    match (flag.as_str(), rest) {
        ("-c" | "-ec" | "-exc" | "-euc", [script]) => Ok(Some(script.clone())),
        _ => Err(Refusal::command(&format!("its shell is called with {flag}"))),
    }
}

/// To the letter, as the entry point compares.
fn is_configuration(word: &str) -> bool {
    word.strip_suffix(".conf").is_some()
}

fn is_server(word: &str) -> bool {
    matches!(base_name(word), "valkey-server" | "redis-server")
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The server of an official image or of a mirror of one: the last part of its name is `valkey` or `redis`, and it is
/// none of the images of that name that are known to start otherwise.
fn official_program(image: &str) -> Option<&'static str> {
    let path = image.split('@').next().unwrap_or_default();
    let last = path.rsplit('/').next()?;
    let name = last.split(':').next()?;
    if path.contains("bitnami") {
        return None;
    }
    match name {
        "valkey" => Some("valkey-server"),
        "redis" => Some("redis-server"),
        _ => None,
    }
}

/// What makes a script more than one simple command, so that words cannot be appended to it.
fn more_than_a_command(script: &str) -> Option<&'static str> {
    let (mut single, mut double, mut escaped, mut before) = (false, false, false, ' ');
    for letter in script.trim().chars() {
        let was = std::mem::replace(&mut before, letter);
        if escaped {
            escaped = false;
            continue;
        }
        match letter {
            '\'' if !double => single = !single,
            _ if single => {}
            '\\' => escaped = true,
            '"' => double = !double,
            '`' => return Some("a command in backticks"),
            '(' if was == '$' => return Some("a command substitution"),
            _ if double => {}
            ';' | '\n' => return Some("more than one command"),
            '&' | '|' => return Some("`&` or `|`"),
            '<' | '>' => return Some("a redirection"),
            '(' | ')' | '{' | '}' if was != '$' && letter != '}' => return Some("a group of commands"),
            '#' if was.is_whitespace() => return Some("a comment"),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with_ours(container: &Value, extra: bool) -> Vec<String> {
        let command = Command::of(container).expect("is understood");
        command.with(vec!["--dir".into(), "/data".into()], extra)
    }

    #[test]
    fn every_usual_start_is_understood_and_ours_come_last() {
        let image = "valkey/valkey:8.0";
        for (container, extra, expected) in [
            (json!({"image": image}), false, vec!["valkey-server", "--dir", "/data"]),
            (
                json!({"image": "public.ecr.aws/docker/library/redis:7-alpine"}),
                false,
                vec!["redis-server", "--dir", "/data"],
            ),
            (
                json!({"image": image, "command": ["--maxmemory", "100mb"]}),
                false,
                vec!["valkey-server", "--maxmemory", "100mb", "--dir", "/data"],
            ),
            (
                json!({"image": image, "command": ["/etc/valkey.conf"]}),
                false,
                vec!["valkey-server", "/etc/valkey.conf", "--dir", "/data"],
            ),
            (
                json!({"image": image, "entryPoint": ["docker-entrypoint.sh"], "command": ["valkey-server", "--save", ""]}),
                false,
                vec!["valkey-server", "--save", "", "--dir", "/data"],
            ),
            (
                json!({"image": image, "command": ["valkey-server", "--maxmemory", "100 mb"]}),
                true,
                vec![
                    "/bin/sh",
                    "-c",
                    "exec valkey-server --maxmemory '100 mb' $VALKEY_EXTRA_FLAGS \"$@\"",
                    "valkey-server",
                    "--dir",
                    "/data",
                ],
            ),
            (
                json!({"image": "anything", "entryPoint": ["/usr/bin/valkey-server"], "command": ["--port", "6379"]}),
                true,
                vec!["/usr/bin/valkey-server", "--port", "6379", "--dir", "/data"],
            ),
            (
                json!({"image": "anything", "entryPoint": ["sh", "-c"], "command": ["exec valkey-server --requirepass \"$PASSWORD\""]}),
                false,
                vec![
                    "/bin/sh",
                    "-c",
                    "exec valkey-server --requirepass \"$PASSWORD\" \"$@\"",
                    "valkey-server",
                    "--dir",
                    "/data",
                ],
            ),
            (
                json!({"image": image, "command": ["/bin/sh", "-c", "redis-server --requirepass ${PASSWORD}"]}),
                false,
                vec![
                    "/bin/sh",
                    "-c",
                    "exec redis-server --requirepass ${PASSWORD} \"$@\"",
                    "redis-server",
                    "--dir",
                    "/data",
                ],
            ),
        ] {
            assert_eq!(with_ours(&container, extra), expected, "{container}");
        }
    }

    #[test]
    fn an_init_process_stays_in_front() {
        let container = json!({"image": "x", "entryPoint": ["/sbin/tini", "-g", "--", "valkey-server"]});
        let command = Command::of(&container).expect("is understood");
        assert_eq!(command.init(), ["/sbin/tini", "-g", "--"]);
        assert_eq!(command.with(Vec::new(), false), ["valkey-server"]);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_reason() {
        for (container, words) in [
            (json!({"image": "bitnami/valkey:8.0"}), "bitnami/valkey:8.0"),
            (json!({"image": "company/cache:1"}), "company/cache:1"),
            (
                json!({"image": "valkey/valkey:8.0", "command": ["python", "x"]}),
                "python",
            ),
            (json!({"image": "x", "entryPoint": ["/start.sh"]}), "/start.sh"),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "sleep 5; valkey-server"]}),
                "more than one command",
            ),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "valkey-server | tee log"]}),
                "`&` or `|`",
            ),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "valkey-server > log"]}),
                "a redirection",
            ),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "valkey-server --save \"$(cat x)\""]}),
                "a command substitution",
            ),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "valkey-server # x"]}),
                "a comment",
            ),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "valkey-server '"]}),
                "an open quote",
            ),
            (
                json!({"image": "x", "entryPoint": ["sh", "-c", "A=b valkey-server"]}),
                "does not start with",
            ),
            (json!({"image": "x", "entryPoint": ["sh", "-x", "start"]}), "-x"),
        ] {
            let Err(Refusal { message, .. }) = Command::of(&container) else {
                panic!("{container} is understood");
            };
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn quotes_hide_what_would_be_more_than_a_command() {
        for script in [
            "valkey-server --requirepass 'a;b|c>d(e)'",
            "valkey-server --requirepass \"a;b\" --x a\\;b",
            "valkey-server --requirepass ${A} --maxmemory $B",
        ] {
            assert_eq!(more_than_a_command(script), None, "{script}");
        }
    }
}

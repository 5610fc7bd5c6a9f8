//! Tells a story: a script of commands against a local AWS on a paused clock, and the transcript of what they print.
//!
//! ```text
//! # A comment is copied into the transcript.
//! document minimal.yaml            the document is one of manifests/examples
//! edit FROM => TO                  the document's text is changed
//! settle                           passes, with time going on, until nothing more happens
//! settle quietly                   the same, and only its end is told
//! pass                             one pass: look, plan, check, act, until no step is left
//! advance 90                       seconds
//! hand ec2 RevokeSecurityGroupIngress {"GroupId": "$security_group"}    somebody changes AWS by hand
//!                                  (ids in its answer are $FileSystemId, $AccessPointId, $GroupId from then on, in edits, too)
//! limit roles cache-*, other       what the operator permits, instead of what it permitted of that kind
//! fault DescribeSubnets AccessDenied
//! no faults
//! valkey unreachable | keys 1000 | unsaved 5 | saved | version 9.1.2 | restarted
//! conditions                       those that are not as they should be at rest
//! ```

use crate::pass::{Pass, pass};
use crate::scene::{Scene, example};
use anyhow::{Context, Result, bail};
use localaws::{Delays, Fault, FaultKind, Service};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use valkeep_core::limits::{Allowed, Kind, Pattern};
use valkeep_core::{ConditionType, Hold, HoldKind, HoldReason, Observed, Step};
use valkeep_plan::{Context as AssessContext, StepText, assess, describe_step};

/// Passes of one `settle`. Fifteen seconds apart, so a story may wait for an hour and a half.
const PASSES_MAX: usize = 400;
/// Between two passes of a `settle`.
const PACE: Duration = Duration::from_secs(15);

/// Runs a script and gives its transcript. An error is a broken script, not a story that ends badly.
pub fn tell(script: &str) -> Result<String> {
    // One thread, a seeded generator and a paused clock: a story is told the same way each time.
    fastrand::seed(3);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let mut teller = Teller {
            scene: Scene::new(Delays::aws()),
            began: tokio::time::Instant::now(),
            document: String::new(),
            generation: 0,
            last: None,
            made: BTreeMap::new(),
            out: String::new(),
        };
        for (number, line) in script.lines().enumerate() {
            teller
                .command(line.trim())
                .await
                .with_context(|| format!("line {}: {line}", number + 1))?;
        }
        teller.end().await?;
        Ok(teller.out)
    })
}

struct Teller {
    scene: Scene,
    began: tokio::time::Instant,
    document: String,
    generation: i64,
    last: Option<Pass>,
    /// Ids that changes by hand brought.
    made: BTreeMap<String, String>,
    out: String,
}

impl Teller {
    async fn command(&mut self, line: &str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            writeln!(self.out, "{line}")?;
            return Ok(());
        }
        writeln!(self.out, "> {line}")?;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "document" => {
                self.document = example(rest);
                self.generation += 1;
            }
            "edit" => {
                let (from, to) = rest.split_once(" => ").context("edit FROM => TO")?;
                if !self.document.contains(from) {
                    bail!("the document does not hold `{from}`");
                }
                let to = self.with_made(&to.replace("\\n", "\n"));
                self.document = self.document.replace(from, &to);
                self.generation += 1;
            }
            "pass" => {
                let told = self.pass().await?;
                self.print(&told)?;
                self.last = Some(told);
            }
            "settle" => self.settle(rest == "quietly").await?,
            "advance" => tokio::time::advance(Duration::from_secs(rest.parse()?)).await,
            "hand" => self.hand(rest)?,
            "limit" => self.limit(rest)?,
            "fault" => {
                let (operation, kind) = rest.split_once(' ').context("fault OPERATION KIND")?;
                let kind = match kind {
                    "AccessDenied" => FaultKind::AccessDenied,
                    "Throttle" => FaultKind::Throttle,
                    "ServerError" => FaultKind::ServerError,
                    other => bail!("no fault {other}"),
                };
                self.scene.aws.inject(Fault::on(operation, kind));
            }
            "no" => self.scene.aws.clear_faults(),
            "valkey" => self.valkey(rest)?,
            "conditions" => self.conditions()?,
            other => bail!("no command {other}"),
        }
        Ok(())
    }

    /// Every story ends at rest.
    async fn end(&mut self) -> Result<()> {
        let told = self.pass().await?;
        writeln!(self.out, "\nPlanning once more:")?;
        self.print(&told)?;
        if !told.done.is_empty() || !told.plan.steps.is_empty() {
            bail!("the story does not end at rest:\n{}", self.out);
        }
        Ok(())
    }

    async fn settle(&mut self, quietly: bool) -> Result<()> {
        let mut said = String::new();
        let mut steps = 0;
        for _ in 0..PASSES_MAX {
            let told = self.pass().await?;
            let mut text = String::new();
            std::mem::swap(&mut self.out, &mut text);
            self.print(&told)?;
            std::mem::swap(&mut self.out, &mut text);
            // What waits for something that is itself held comes to rest with it.
            let waiting = told
                .plan
                .holds
                .iter()
                .any(|hold| hold.kind == HoldKind::Waiting && hold.reason != HoldReason::Dependency);
            let rest = told.done.is_empty() && told.failures.is_empty() && !waiting;
            steps += told.done.len();
            // A wait that says the same again is not worth a line.
            if text != said && !quietly {
                writeln!(self.out, "+{} s", self.began.elapsed().as_secs())?;
                self.out.push_str(&text);
                said = text;
            }
            self.last = Some(told);
            if rest {
                if quietly {
                    writeln!(
                        self.out,
                        "  at rest after {} s and {steps} steps",
                        self.began.elapsed().as_secs()
                    )?;
                }
                return Ok(());
            }
            tokio::time::advance(PACE).await;
        }
        bail!("not at rest after {PASSES_MAX} passes:\n{}", self.out)
    }

    async fn pass(&self) -> Result<Pass> {
        let document = valkeep_document::read("story.yaml", self.document.as_bytes())
            .map_err(|findings| anyhow::anyhow!("{findings}"))?;
        let desired = document
            .desired(&self.scene.scope(), self.generation)
            .map_err(|findings| anyhow::anyhow!("{findings}"))?;
        pass(&self.scene.client(), Some(&self.scene.valkey), desired, || {
            self.scene.aws.now()
        })
        .await
    }

    fn print(&mut self, told: &Pass) -> Result<()> {
        for step in &told.done {
            writeln!(self.out, "  done  {}", words(step))?;
        }
        for failure in &told.failures {
            writeln!(self.out, "  fail  {}", failure.failure)?;
        }
        for hold in &told.plan.holds {
            let Hold {
                kind, reason, message, ..
            } = hold;
            writeln!(
                self.out,
                "  {:<7} {reason}: {message}",
                format!("{kind:?}").to_lowercase()
            )?;
        }
        if told.done.is_empty() && told.failures.is_empty() && told.plan.holds.is_empty() {
            writeln!(self.out, "  nothing to do")?;
        }
        Ok(())
    }

    fn conditions(&mut self) -> Result<()> {
        let told = self.last.as_ref().context("no pass yet")?;
        let context = AssessContext {
            now: self.scene.aws.now(),
            previous: None,
            drift: Vec::new(),
        };
        let assessment = assess(&told.desired, &told.observed, &told.plan, &told.failures, &context);
        writeln!(self.out, "  {}", assessment.phase)?;
        for condition in assessment.conditions {
            if condition.status != condition.type_.at_rest() || condition.type_ == ConditionType::Ready {
                let (type_, status) = (condition.type_, condition.status);
                writeln!(
                    self.out,
                    "  {type_:?}={status:?} {}: {}",
                    condition.reason, condition.message
                )?;
            }
        }
        Ok(())
    }

    /// Somebody changes AWS by hand; `$name` stands for ids that were seen.
    fn limit(&mut self, rest: &str) -> Result<()> {
        let (setting, patterns) = rest.split_once(' ').context("limit KIND PATTERN, PATTERN")?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.setting() == setting)
            .with_context(|| format!("no kind {setting}"))?;
        let patterns = patterns.split(", ").map(Pattern::parse).collect::<Result<_, _>>()?;
        *self.scene.limits.of_mut(kind) = Allowed::only(patterns);
        Ok(())
    }

    fn hand(&mut self, rest: &str) -> Result<()> {
        let mut parts = rest.splitn(3, ' ');
        let (service, operation, input) = (
            parts.next().unwrap_or(""),
            parts.next().unwrap_or(""),
            parts.next().unwrap_or("{}"),
        );
        let service = match service {
            "ec2" => Service::Ec2,
            "ecs" => Service::Ecs,
            "efs" => Service::Efs,
            "iam" => Service::Iam,
            "logs" => Service::Logs,
            other => bail!("no service {other}"),
        };
        let mut input = input.to_owned();
        if let Some(told) = &self.last {
            let Observed {
                security_group,
                file_system,
                access_point,
                other_access_points,
                mount_targets,
                service,
                running_definition,
                ..
            } = &told.observed;
            let names = &told.desired.names;
            for (name, value) in [
                (
                    "$security_group",
                    security_group.present().map(|one| one.id.to_string()),
                ),
                ("$file_system", file_system.present().map(|one| one.id.to_string())),
                (
                    "$other_access_point",
                    other_access_points
                        .present()
                        .and_then(|all| all.first())
                        .map(|one| one.id.to_string()),
                ),
                ("$access_point", access_point.present().map(|one| one.id.to_string())),
                (
                    "$mount_target",
                    mount_targets
                        .present()
                        .and_then(|all| all.first())
                        .map(|one| one.id.to_string()),
                ),
                (
                    "$mounted",
                    running_definition
                        .present()
                        .and_then(|found| found.definition.as_ref()?.volume.as_ref())
                        .map(|volume| volume.access_point.to_string()),
                ),
                ("$service", service.present().map(|one| one.arn.clone())),
                ("$role_policy", Some(names.role_policy.clone())),
            ] {
                input = input.replace(name, &value.unwrap_or_default());
            }
        }
        let input = self.with_made(&input);
        let input: Value = serde_json::from_str(&input).with_context(|| input.clone())?;
        let answer = match self.scene.aws.call(service, operation, &input) {
            Ok(answer) => answer,
            Err(error) => bail!("{error:?}"),
        };
        for (member, name) in [
            ("FileSystemId", "$FileSystemId"),
            ("AccessPointId", "$AccessPointId"),
            ("groupId", "$GroupId"),
        ] {
            if let Some(id) = answer[member].as_str() {
                self.made.insert(name.to_owned(), id.to_owned());
            }
        }
        Ok(())
    }

    fn with_made(&self, text: &str) -> String {
        let made = self.made.iter();
        made.fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
    }

    fn valkey(&self, rest: &str) -> Result<()> {
        let now = self.scene.aws.now();
        let (word, value) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "unreachable" => self.scene.valkey.unreachable(),
            "restarted" => self.scene.valkey.restarted(now, "fedcba9876543210"),
            "keys" => {
                let keys = value.parse()?;
                self.scene.valkey.change(|info| info.keys = keys);
            }
            "unsaved" => {
                let changes = value.parse()?;
                self.scene.valkey.change(|info| info.changes_since_save = changes);
            }
            "saved" => self.scene.valkey.change(|info| {
                (info.last_save, info.last_save_ok, info.changes_since_save) = (now, true, 0);
                info.saves_started += 1;
            }),
            "version" => self.scene.valkey.change(|info| value.clone_into(&mut info.version)),
            other => bail!("no Valkey that is {other}"),
        }
        Ok(())
    }
}

/// One line a step: what it does to what, and from what to what. Long values are cut; the command line shows them whole.
fn words(step: &Step) -> String {
    let StepText {
        verb,
        resource,
        id,
        changes,
    } = describe_step(step);
    let short = |value: &str| -> String {
        if value.chars().count() > 60 {
            value.chars().take(57).chain("...".chars()).collect()
        } else {
            value.to_owned()
        }
    };
    let mut text = format!("{verb} {resource} {id}");
    for (field, from, to) in changes {
        // Tags of ours stand on everything and say nothing new here.
        if field.starts_with("tag valkeep.dev/") && from.is_none() && verb == "create" {
            continue;
        }
        let from = from.map(|from| format!("{} -> ", short(&from))).unwrap_or_default();
        let _ = write!(
            text,
            "\n          {field}: {from}{}",
            short(&to.unwrap_or_else(|| "(gone)".to_owned()))
        );
    }
    text
}

//! A plan as text.

use super::diff::{short, short_pair};
use super::{Field, HoldView, Outcome, PlanView, StepView, Verb};
use crate::output::{Out, Tone, printable};
use std::fmt::Write;
use valkeep_core::desired::Mode;
use valkeep_core::{HoldKind, Timestamp};

/// The whole plan, for people. `now` makes times readable.
pub(crate) fn text(plan: &PlanView, now: Timestamp, out: &Out) -> String {
    let mut text = String::new();
    let PlanView {
        document,
        account,
        region,
        cluster,
        service,
        installation,
        mode,
        deletion,
        outcome: _,
        summary: _,
        stages,
        left: _,
    } = plan;
    line(
        &mut text,
        &format!(
            "{}: service {cluster}/{service} in {region}, account {account}, installation {installation}",
            out.paint(Tone::Strong, document)
        ),
    );
    if *mode != Mode::Enforce.as_str() {
        let why = format!("The document's mode is {mode}: none of this is done");
        line(&mut text, &out.paint(Tone::Fair, &why));
    }
    if *deletion {
        line(
            &mut text,
            "The document asks for the deletion of what valkeep made for it (valkeep.dev/delete)",
        );
    }
    if let Some(first) = stages.first() {
        section(&mut text, "Now", &first.steps, out);
    }
    for (index, stage) in stages.iter().enumerate().skip(1) {
        let heading = if index == 1 { "Then" } else { "After that" };
        section(&mut text, heading, &stage.steps, out);
    }
    holds(&mut text, plan, now, out);
    line(&mut text, "");
    line(&mut text, &last_word(plan));
    text
}

fn section(text: &mut String, heading: &str, steps: &[StepView], out: &Out) {
    if steps.is_empty() {
        return;
    }
    line(text, "");
    line(text, &out.paint(Tone::Strong, heading));
    for step in steps {
        let StepView {
            change,
            resource,
            name,
            action,
            fields,
        } = step;
        let (sign, verb, tone) = match change {
            Verb::Create => ("+", "create", Tone::Good),
            Verb::Change => ("~", "change", Tone::Fair),
            Verb::Remove => ("-", "remove", Tone::Bad),
        };
        let head = format!("{sign} {verb} {resource}");
        line(
            text,
            &format!(
                "  {} {}  {}",
                out.paint(tone, &head),
                printable(name),
                out.paint(Tone::Faint, action)
            ),
        );
        let width = fields.iter().map(|field| field.path.chars().count()).max().unwrap_or(0);
        for field in fields {
            line(text, &format!("      {}", printable(&row(*change, field, width))));
        }
    }
}

fn row(change: Verb, field: &Field, width: usize) -> String {
    let Field { path, from, to } = field;
    match (change, from.is_null()) {
        (Verb::Create, _) => format!("{path:width$}  {}", short(to)),
        (Verb::Remove, _) => format!("{path:width$}  {}", short(from)),
        (Verb::Change, true) => format!("{path:width$}  none -> {}", short(to)),
        (Verb::Change, false) => {
            let (from, to) = short_pair(from, to);
            format!("{path:width$}  {from} -> {to}")
        }
    }
}

/// What is held. Left out is what only waits for the steps above: the order of the stages says it already. Told, too,
/// is what a person will be needed for further on.
fn holds(text: &mut String, plan: &PlanView, now: Timestamp, out: &Out) {
    let PlanView { stages, left, .. } = plan;
    let first = stages.first().map_or(&[][..], |stage| &stage.holds);
    let steps = stages.iter().any(|stage| !stage.steps.is_empty());
    let passes = |hold: &HoldView| steps && hold.kind == HoldKind::Waiting && !left.contains(hold);
    let mut told: Vec<&HoldView> = first.iter().filter(|hold| !passes(hold)).collect();
    told.extend(
        left.iter()
            .filter(|hold| hold.kind == HoldKind::Stalled && !first.contains(hold)),
    );
    told.sort_by_key(|hold| std::cmp::Reverse(hold.kind));
    let mut title = "";
    for hold in told {
        // Sorted by kind, notices come last and under a heading of their own: they hold nothing.
        let its = if hold.kind == HoldKind::Notice { "Noted" } else { "Held" };
        if title != its {
            title = its;
            line(text, "");
            line(text, &out.paint(Tone::Strong, title));
        }
        let HoldView {
            resource,
            kind,
            reason,
            message,
            hint,
            until,
        } = hold;
        let (word, tone) = match kind {
            HoldKind::Notice => ("notice ", Tone::Faint),
            HoldKind::Waiting => ("waiting", Tone::Fair),
            HoldKind::Unknown => ("unknown", Tone::Fair),
            HoldKind::Stalled => ("stalled", Tone::Bad),
        };
        let until = until
            .map(|until| format!(", until {}", when(until, now)))
            .unwrap_or_default();
        line(
            text,
            &format!(
                "  {} {resource}: {}{until} ({reason})",
                out.paint(tone, word),
                printable(message)
            ),
        );
        if let Some(hint) = hint {
            line(text, &format!("          hint: {}", printable(hint)));
        }
    }
}

fn when(until: Timestamp, now: Timestamp) -> String {
    let seconds = until.as_second() - now.as_second();
    if (1..3600).contains(&seconds) {
        format!("{until:.0} (in {seconds} s)")
    } else {
        format!("{until:.0}")
    }
}

fn last_word(plan: &PlanView) -> String {
    let summary = &plan.summary;
    let all = summary.create + summary.change + summary.remove;
    let steps = format!(
        "{} to create, {} to change, {} to remove; {} of {all} now",
        summary.create, summary.change, summary.remove, summary.now
    );
    match plan.outcome {
        Outcome::Nothing if plan.deletion => {
            "Nothing to do: everything that valkeep made is gone, and the document may be removed".to_owned()
        }
        Outcome::Nothing => "Nothing to do: everything is as the document says".to_owned(),
        Outcome::Waiting => "Nothing to do now: AWS is still at work".to_owned(),
        Outcome::Stalled => "Nothing to do without you: see what is stalled above".to_owned(),
        Outcome::Changes => format!("Plan: {steps}"),
        Outcome::Unknown if all == 0 => "Not everything could be looked at: see what is unknown above".to_owned(),
        Outcome::Unknown => format!("Plan, as far as could be looked: {steps}"),
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String never fails");
}

#[cfg(test)]
mod tests {
    use super::super::PlanView;
    use super::*;
    use valkeep_core::desired::Throughput;
    use valkeep_core::ids::{FileSystemId, SecurityGroupId};
    use valkeep_core::{Hold, HoldReason, Observed, Plan, Resource, Scope, Step};
    use valkeep_plan::Forecast;

    const DOCUMENT: &str = include_str!("../../../tests/document.yaml");

    fn show(stages: Vec<Plan>) -> String {
        text(&view(stages), Timestamp::UNIX_EPOCH, &Out::plain())
    }

    fn view(stages: Vec<Plan>) -> PlanView {
        let scope = Scope {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            installation: "default".into(),
            dns_grace_s: 90,
            limits: valkeep_core::Limits::default(),
        };
        let document = valkeep_document::read("a.yaml", DOCUMENT.as_bytes()).expect("valid");
        let desired = document.desired(&scope, 1).expect("in scope");
        let left = stages.first().map(|plan| plan.holds.clone()).unwrap_or_default();
        let left = left
            .into_iter()
            .filter(|hold| hold.reason != HoldReason::Dependency)
            .collect();
        PlanView::new(&desired, &Observed::nothing(), &Forecast { stages, left })
    }

    fn hold(resource: Resource, kind: HoldKind, reason: HoldReason, message: &str) -> Hold {
        Hold {
            resource,
            kind,
            reason,
            message: message.into(),
            hint: None,
            until: None,
        }
    }

    #[test]
    fn a_plan_reads_from_now_to_later_to_what_is_held() {
        let known = FileSystemId::parse("fs-0123456789abcdef0").expect("good");
        let group = SecurityGroupId::known_after("CreateSecurityGroup");
        let source = SecurityGroupId::parse("sg-0cccccccccccccccc").expect("good");
        let now = Plan {
            steps: vec![
                Step::PutRetention {
                    name: "/ecs/checkout".into(),
                    from: None,
                    to: 30,
                },
                Step::UpdateThroughput {
                    id: known,
                    from: Throughput::Bursting,
                    to: Throughput::Elastic,
                    changed_at: None,
                },
            ],
            holds: vec![
                hold(
                    Resource::MountTarget,
                    HoldKind::Waiting,
                    HoldReason::Dependency,
                    "waits for the file system",
                ),
                Hold {
                    until: Some(Timestamp::from_second(40).expect("in range")),
                    ..hold(
                        Resource::Service,
                        HoldKind::Waiting,
                        HoldReason::DnsGrace,
                        "the DNS name of the mount target in euw1-az1 is given time",
                    )
                },
                Hold {
                    hint: Some("change it back".into()),
                    ..hold(
                        Resource::AccessPoint,
                        HoldKind::Stalled,
                        HoldReason::WouldHideData,
                        "another path would start empty",
                    )
                },
                hold(
                    Resource::SecurityGroup,
                    HoldKind::Notice,
                    HoldReason::Foreign,
                    "a rule of somebody else is left",
                ),
            ],
            retry_at: None,
        };
        let later = Plan {
            steps: vec![
                Step::AuthorizeIngress {
                    group: group.clone(),
                    source: source.clone(),
                    description: "valkeep".into(),
                },
                Step::RevokeIngress {
                    group,
                    source,
                    description: "valkeep".into(),
                },
            ],
            ..Plan::default()
        };
        assert_eq!(
            show(vec![now, later]),
            "\
checkout-cache: service production/checkout-valkey in eu-west-1, account 123456789012, installation default

Now
  ~ change log group /ecs/checkout  logs:PutRetentionPolicy
      retentionDays  none -> 30
  ~ change file system fs-0123456789abcdef0  elasticfilesystem:UpdateFileSystem
      throughput  bursting -> elastic

Then
  + create security-group rule (known after CreateSecurityGroup)  ec2:AuthorizeSecurityGroupIngress
      ingress  tcp 2049 from sg-0cccccccccccccccc
  - remove security-group rule (known after CreateSecurityGroup)  ec2:RevokeSecurityGroupIngress
      ingress  tcp 2049 from sg-0cccccccccccccccc

Held
  stalled access point: another path would start empty (WouldHideData)
          hint: change it back
  waiting service: the DNS name of the mount target in euw1-az1 is given time, until 1970-01-01T00:00:40Z (in 40 s) (DnsGrace)

Noted
  notice  security group: a rule of somebody else is left (Foreign)

Plan: 1 to create, 2 to change, 1 to remove; 2 of 4 now
"
        );
    }

    #[test]
    fn the_json_is_a_promise() {
        let plan = Plan {
            steps: vec![Step::StartService {
                cluster: "production".into(),
                name: "checkout-valkey".into(),
                arn: "arn:aws:ecs:eu-west-1:123456789012:service/production/checkout-valkey".into(),
            }],
            holds: vec![hold(
                Resource::Task,
                HoldKind::Waiting,
                HoldReason::TasksStopping,
                "a task still stops",
            )],
            retry_at: Some(Timestamp::UNIX_EPOCH),
        };
        let held = serde_json::json!({
            "resource": "task", "kind": "Waiting", "reason": "TasksStopping", "message": "a task still stops",
        });
        assert_eq!(
            serde_json::to_value(view(vec![plan])).expect("serializes"),
            serde_json::json!({
                "document": "checkout-cache",
                "account": "123456789012",
                "region": "eu-west-1",
                "cluster": "production",
                "service": "checkout-valkey",
                "installation": "default",
                "mode": "Enforce",
                "outcome": "changes",
                "summary": {"create": 0, "change": 1, "remove": 0, "now": 1, "held": 1},
                "stages": [{
                    "steps": [{
                        "change": "change",
                        "resource": "service",
                        "name": "production/checkout-valkey",
                        "action": "ecs:UpdateService",
                        "fields": [{"path": "desiredCount", "from": 0, "to": 1}],
                    }],
                    "holds": [held.clone()],
                    "retryAt": "1970-01-01T00:00:00Z",
                }],
                "left": [held],
            })
        );
    }

    #[test]
    fn a_plan_that_is_not_carried_out_says_so() {
        for mode in [Mode::Observe, Mode::Paused] {
            let mut view = view(vec![Plan::default()]);
            view.mode = mode.as_str();
            let text = text(&view, Timestamp::UNIX_EPOCH, &Out::plain());
            let line = format!("\nThe document's mode is {}: none of this is done\n", mode.as_str());
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn a_deletion_is_said_first_and_what_goes_is_named() {
        let id = FileSystemId::parse("fs-0123456789abcdef0").expect("good");
        let owner = "0123".to_owned();
        let stop = Step::StopService {
            cluster: "production".into(),
            name: "checkout-valkey".into(),
            arn: "arn".into(),
            from: 1,
        };
        let last = Plan {
            steps: vec![
                Step::DeleteFileSystem {
                    id,
                    owner: owner.clone(),
                },
                Step::DeregisterTaskDefinition {
                    arn: "arn:aws:ecs:eu-west-1:123456789012:task-definition/valkeep-checkout:7".into(),
                    owner,
                },
            ],
            ..Plan::default()
        };
        let first = Plan {
            steps: vec![stop],
            ..Plan::default()
        };
        let mut plan = view(vec![first, last]);
        plan.deletion = true;
        let shown = text(&plan, Timestamp::UNIX_EPOCH, &Out::plain());
        assert_eq!(
            shown.split_once('\n').expect("lines").1,
            "\
The document asks for the deletion of what valkeep made for it (valkeep.dev/delete)

Now
  ~ change service production/checkout-valkey  ecs:UpdateService
      desiredCount  1 -> 0

Then
  - remove file system fs-0123456789abcdef0  elasticfilesystem:DeleteFileSystem
      data  everything on it, without a final backup
  - remove task definition valkeep-checkout:7  ecs:DeregisterTaskDefinition

Plan: 0 to create, 1 to change, 2 to remove; 1 of 3 now
"
        );
        let mut done = view(Vec::new());
        done.deletion = true;
        let shown = text(&done, Timestamp::UNIX_EPOCH, &Out::plain());
        assert!(shown.ends_with("everything that valkeep made is gone, and the document may be removed\n"));
        let json = serde_json::to_value(&done).expect("serializes");
        assert_eq!(json["deletion"], true);
        assert!(
            serde_json::to_value(view(Vec::new()))
                .expect("serializes")
                .get("deletion")
                .is_none()
        );
    }

    #[test]
    fn nothing_to_do_is_said() {
        assert!(show(vec![Plan::default()]).ends_with("\n\nNothing to do: everything is as the document says\n"));
        assert!(show(Vec::new()).ends_with("\n\nNothing to do: everything is as the document says\n"));
    }
}

//! What `deploy/` says: the template's role is what `iam-policy` prints, its task runs, and the image is built as it is tested.

use anyhow::{Context, Result, ensure};
use localaws::{AddressBlock, Config, Delays, LocalAws, Program, Service, TaskRunner, world};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use valkeep_aws::policy::{Reach, policy};
use valkeep_core::limits::{Allowed, Limits, Pattern};
use valkeep_store::StoreUrl;
use valkeep_tests::moto::python_program;
use valkeep_tests::program;
use valkeep_tests::scene::example;
use valkeep_tests::template::{Names, Template, as_request};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-west-1";
const BUCKET: &str = "valkeep-documents-1a2b3c";
const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/valkeep";
/// How long a real valkeep and a real Valkey may take until the document is Ready: about 15 s on a quiet machine.
const READY: Duration = Duration::from_mins(4);

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// Parameters that have no default, and what AWS knows.
fn names(template: &Template) -> Result<Names> {
    let mut names = template.defaults()?;
    for (name, value) in [
        ("AWS::Partition", json!("aws")),
        ("AWS::AccountId", json!(ACCOUNT)),
        ("AWS::Region", json!(REGION)),
        ("Image", json!(format!("{IMAGE}:0.1.0"))),
        ("Cluster", json!(world::CLUSTER)),
        ("Vpc", json!(world::VPC)),
        ("Subnets", json!(world::SUBNETS.map(|(id, _)| id))),
        ("ValkeySecurityGroup", json!(world::TASK_GROUP)),
        ("AllowedCluster", json!("trigpointing-*")),
        ("AllowedRole", json!("trigpointing-ecs-*")),
        ("Documents", json!(BUCKET)),
    ] {
        names.insert(name.to_owned(), value);
    }
    Ok(names)
}

#[test]
fn the_role_of_the_template_is_golden() -> Result<()> {
    let file = deploy("valkeep.yaml");
    let text = std::fs::read_to_string(&file)?;
    let (begin, end) = ("# BEGIN iam-policy", "# END iam-policy");
    let from = text.find(begin).context("no beginning of the policy")?;
    let from = from + text[from..].find('\n').context("a line ends")? + 1;
    let to = text[..text.find(end).context("no end of the policy")?]
        .rfind('\n')
        .context("a line")?
        + 1;
    let now = format!("{}{}{}", &text[..from], generated()?, &text[to..]);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &now)?;
        return Ok(());
    }
    ensure!(
        now == text,
        "the policy in deploy/valkeep.yaml is stale: run `make generate`"
    );
    Ok(())
}

/// The policy as CloudFormation writes it, with the template's own names in place of values.
fn generated() -> Result<String> {
    // Patterns take no `$`, so they stand for the parameters until the text is made.
    let (cluster, role) = ("ALLOWED-CLUSTER", "ALLOWED-ROLE");
    let only = |text: &str| Ok::<_, anyhow::Error>(Allowed::only(vec![Pattern::parse(text)?]));
    let store = |prefix: &str| StoreUrl::S3 {
        bucket: "${Documents}".to_owned(),
        prefix: prefix.to_owned(),
    };
    let policy = policy(&Reach {
        partition: "${AWS::Partition}".to_owned(),
        account: "${AWS::AccountId}".to_owned(),
        region: "${AWS::Region}".to_owned(),
        installation: "${Installation}".to_owned(),
        stores: vec![(store("docs/"), store("docs-status/"))],
        lease: None,
        limits: Limits {
            clusters: only(cluster)?,
            roles: only(role)?,
            ..Limits::default()
        },
    });
    let yaml = serde_yaml::to_string(&policy)?
        // A date to other readers of YAML.
        .replace("Version: 2012-10-17", "Version: '2012-10-17'")
        .replace(cluster, "${AllowedCluster}")
        .replace(role, "${AllowedRole}");
    let mut lines = String::new();
    for line in yaml.lines() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start();
        let key = if words.starts_with("- ") {
            2
        } else {
            words.find(": ").map_or(0, |at| at + 2)
        };
        let (key, value) = words.split_at(key);
        let value = match value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if !name.contains('}') => format!("!Ref {name}"),
            _ if value.contains("${") => format!("!Sub {value}"),
            _ => value.to_owned(),
        };
        writeln!(lines, "{:indent$}{key}{value}", "", indent = indent + 12)?;
    }
    Ok(lines)
}

#[test]
fn the_role_of_the_template_is_what_iam_policy_prints() -> Result<()> {
    let template = Template::read(&deploy("valkeep.yaml"))?;
    let names = names(&template)?;
    let role = template.properties("Role", &names)?;
    let output = Command::new(program::path("valkeep")?)
        .args(["iam-policy", "--account", ACCOUNT, "--region", REGION])
        .args(["--store", &format!("s3://{BUCKET}/docs/")])
        .args([
            "--allow-cluster",
            "trigpointing-*",
            "--allow-role",
            "trigpointing-ecs-*",
        ])
        .args(["--allow-region", REGION])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(
        role["Policies"],
        json!([{"PolicyName": "valkeep", "PolicyDocument": printed}])
    );
    Ok(())
}

#[test]
fn cfn_lint_has_nothing_to_say() -> Result<()> {
    let output = Command::new(python_program("cfn-lint")?)
        .args(["--regions", REGION, "--include-checks", "I", "--"])
        .arg(deploy("valkeep.yaml"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.is_empty(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn the_image_is_one_program_for_nobody_in_particular_built_as_make_static_builds_it() -> Result<()> {
    let docker = std::fs::read_to_string(deploy("Dockerfile"))?;
    let (_, last) = docker.rsplit_once("FROM ").context("a stage")?;
    let lines: Vec<&str> = last.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "scratch");
    assert!(
        lines.contains(&"USER 65532:65532") && lines.contains(&r#"ENTRYPOINT ["/valkeep"]"#),
        "{last}"
    );
    let copied: Vec<&str> = lines.iter().filter(|line| line.starts_with("COPY")).copied().collect();
    assert_eq!(copied.len(), 2, "the roots of TLS and the program: {copied:?}");
    let make = std::fs::read_to_string(deploy("../Makefile"))?;
    let command = "RUSTC_WORKSPACE_WRAPPER=";
    let words = |text: &str| -> Result<Vec<String>> {
        let line = text
            .lines()
            .find(|line| line.contains(command))
            .context("a build command")?;
        let (_, after) = line
            .split_once("cargo build ")
            .or(line.split_once("$(CARGO) build "))
            .context("cargo build")?;
        let kept = ["--workspace", "--bin", "valkeep"];
        Ok(after
            .split(' ')
            .filter(|word| kept.contains(word))
            .map(str::to_owned)
            .collect())
    };
    assert_eq!(words(&docker)?, words(&make)?);
    let version = std::fs::read_to_string(deploy("../rust-toolchain.toml"))?;
    let channel = version.split('"').nth(1).context("a channel")?;
    assert!(
        docker.contains(&format!("FROM rust:{channel}-")),
        "the toolchain is {channel}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_the_template_converges_a_document_of_its_bucket() -> Result<()> {
    let template = Template::read(&deploy("valkeep.yaml"))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let data = tempfile::tempdir()?;
    let block = AddressBlock::reserve().context("no block of loopback addresses is free")?;
    let aws = LocalAws::new(Config {
        ip_block: block.octets(),
        tasks: TaskRunner::Processes,
        delays: Delays::default(),
        data_dir: data.path().to_owned(),
        epoch: jiff::Timestamp::now(),
        programs: vec![Program {
            image: IMAGE.to_owned(),
            file: program::path("valkeep")?,
            path: "/valkeep".to_owned(),
            environment: [
                ("AWS_ENDPOINT_URL", endpoint.as_str()),
                ("AWS_ACCESS_KEY_ID", "task"),
                ("AWS_SECRET_ACCESS_KEY", "task"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        }],
        ..Config::default()
    });
    world::trigpointing(&aws);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(localaws::serve(aws.clone(), listener, async {
        let _ = stopped.await;
    }));
    aws.put_object(
        BUCKET,
        "docs/trigpointing-valkey.yaml",
        example("trigpointing-valkey.yaml"),
    );
    let service = create(&aws, &template)?;

    let began = Instant::now();
    let ready = loop {
        let status = aws.object(BUCKET, "docs-status/trigpointing-valkey.json");
        let status: Value = status.map_or(Ok(Value::Null), |body| serde_json::from_slice(&body))?;
        let conditions = status["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions
            .iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True")
        {
            break true;
        }
        if began.elapsed() > READY {
            eprintln!("{status:#}\n{:#}", tasks(&aws, &service)?);
            break false;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let running = tasks(&aws, &service)?;
    let said = |words: &str| -> Result<usize> {
        let group = &template.properties("Logs", &names(&template)?)?["LogGroupName"];
        let events = aws
            .call(Service::Logs, "FilterLogEvents", &json!({ "logGroupName": group }))
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let events = events["events"].as_array().context("events")?;
        let said = |event: &&Value| event["message"].as_str().is_some_and(|text| text.contains(words));
        Ok(events.iter().filter(said).count())
    };
    let (leaders, followers) = (said("this valkeep leads")?, said("another valkeep leads")?);
    aws.shutdown().await;
    // Whoever serves has ended with the sender.
    let _ = stop.send(());
    server.await??;
    assert!(ready, "not Ready after {READY:?}");
    let running = running.as_array().context("tasks")?;
    let replicas = template.defaults()?["Replicas"].clone();
    assert_eq!(json!(running.len()), replicas, "{running:#?}");
    assert_eq!((leaders, followers), (1, 1), "one leads and the other waits for it");
    assert!(
        running.iter().all(|task| task["lastStatus"] == "RUNNING"),
        "{running:#?}"
    );
    Ok(())
}

/// Makes what the template describes, as CloudFormation would; the name of the service.
fn create(aws: &LocalAws, template: &Template) -> Result<String> {
    let mut names = names(template)?;
    let call = |service, operation: &str, input: &Value| {
        aws.call(service, operation, input)
            .map_err(|error| anyhow::anyhow!("{operation}: {error:?}"))
    };
    let logs = template.properties("Logs", &names)?;
    call(
        Service::Logs,
        "CreateLogGroup",
        &json!({"logGroupName": logs["LogGroupName"]}),
    )?;
    names.insert("Logs".to_owned(), logs["LogGroupName"].clone());
    for role in ["Role", "ExecutionRole"] {
        let properties = template.properties(role, &names)?;
        let trust = properties["AssumeRolePolicyDocument"].to_string();
        let name = format!("valkeep-{role}");
        let made = call(
            Service::Iam,
            "CreateRole",
            &json!({"RoleName": name, "AssumeRolePolicyDocument": trust}),
        )?;
        for inline in properties["Policies"].as_array().into_iter().flatten() {
            call(
                Service::Iam,
                "PutRolePolicy",
                &json!({
                    "RoleName": name, "PolicyName": inline["PolicyName"],
                    "PolicyDocument": inline["PolicyDocument"].to_string(),
                }),
            )?;
        }
        names.insert(format!("{role}.Arn"), made["Role"]["Arn"].clone());
    }
    let group = template.properties("SecurityGroup", &names)?;
    let made = call(
        Service::Ec2,
        "CreateSecurityGroup",
        &json!({"GroupName": "valkeep", "GroupDescription": group["GroupDescription"], "VpcId": group["VpcId"]}),
    )?;
    names.insert("SecurityGroup".to_owned(), made["groupId"].clone());
    let rule = template.properties("ReachValkey", &names)?;
    call(
        Service::Ec2,
        "AuthorizeSecurityGroupIngress",
        &json!({"GroupId": rule["GroupId"], "IpPermissions": [{
            "IpProtocol": rule["IpProtocol"], "FromPort": rule["FromPort"], "ToPort": rule["ToPort"],
            "UserIdGroupPairs": [{"GroupId": rule["SourceSecurityGroupId"], "Description": rule["Description"]}],
        }]}),
    )?;
    let mut definition = as_request(template.properties("TaskDefinition", &names)?);
    // The same task, in a hurry.
    let command = definition["containerDefinitions"][0]["command"]
        .as_array_mut()
        .context("a command")?;
    command.extend(["--poll", "1s", "--probe-interval", "2s", "--dns-grace", "9s"].map(Value::from));
    let made = call(Service::Ecs, "RegisterTaskDefinition", &definition)?;
    names.insert(
        "TaskDefinition".to_owned(),
        made["taskDefinition"]["taskDefinitionArn"].clone(),
    );
    let mut service = as_request(template.properties("Service", &names)?);
    // CloudFormation makes up a name.
    service["serviceName"] = json!("valkeep");
    call(Service::Ecs, "CreateService", &service)?;
    Ok("valkeep".to_owned())
}

fn tasks(aws: &LocalAws, service: &str) -> Result<Value> {
    let call = |operation: &str, input: &Value| {
        aws.call(Service::Ecs, operation, input)
            .map_err(|error| anyhow::anyhow!("{operation}: {error:?}"))
    };
    let listed = call("ListTasks", &json!({"cluster": world::CLUSTER, "serviceName": service}))?;
    let found = call(
        "DescribeTasks",
        &json!({"cluster": world::CLUSTER, "tasks": listed["taskArns"]}),
    )?;
    Ok(found["tasks"].clone())
}

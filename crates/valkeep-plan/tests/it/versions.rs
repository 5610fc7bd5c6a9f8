//! What wrote the files is remembered, and an image that could not read them is held.

use crate::adoption::{adopting, deploy, one_of, raw, terraformed};
use crate::refusals::{definition, register, roll_out, rules};
use crate::world::*;
use serde_json::json;
use valkeep_core::desired::{FirstTransition, Persistence, StaleDump};
use valkeep_core::identity::TAG_WRITTEN_BY;
use valkeep_core::valkey::SavePoints;
use valkeep_core::versions::Product;
use valkeep_core::{Desired, Fact, HoldReason, Observed, Plan, RawDefinition, ValkeyInfo};
use valkeep_plan::Rule;

/// A server of every format, and some that count in the same.
const VERSIONS: [&str; 14] = [
    "redis 4.0",
    "redis 6.2",
    "redis 7.0",
    "redis 7.2",
    "redis 7.4",
    "redis 8.0",
    "redis 8.6",
    "redis 8.8",
    "redis 8.10",
    "valkey 7.2",
    "valkey 8.0",
    "valkey 8.1",
    "valkey 9.1",
    "valkey 9.2",
];

const RELAXED: [&str; 2] = ["--rdb-version-check", "relaxed"];

fn of(image: &str) -> Desired {
    let mut document = desired();
    made(&mut document).task.image = image.into();
    document
}

fn mark(world: &Observed) -> Option<&str> {
    let found = world.access_point.present()?;
    found.tags.get(TAG_WRITTEN_BY).map(String::as_str)
}

fn marked(mut world: Observed, product: &str) -> Observed {
    let tags = &mut world.access_point.present_mut().expect("one").tags;
    tags.insert(TAG_WRITTEN_BY.into(), product.into());
    world
}

/// The files are of this server, and none can be asked.
fn stopped_after(product: &str) -> Observed {
    let mut world = marked(converged(), product);
    world.valkey = Fact::not_looked("valkey:INFO");
    world
}

fn says(world: &mut Observed, version: &str) {
    server(world).version = version.into();
}

/// What is said of images that are too old.
fn too_old(plan: &Plan) -> Option<(&str, &str)> {
    let mut holds = plan.holds.iter().filter(|hold| hold.reason == HoldReason::ImageTooOld);
    holds
        .next()
        .map(|hold| (hold.message.as_str(), hold.hint.as_deref().expect("a way out")))
}

#[test]
fn planner_and_critic_hold_exactly_what_could_not_read_the_files() {
    let mut held = 0;
    for writer in VERSIONS {
        let mut world = stopped_after(&format!("{writer}.3"));
        for reader in VERSIONS {
            let image = reader.replace(' ', ":");
            for relaxed in [false, true] {
                let mut document = of(&image);
                let mut next = definition(&world);
                next.container.image.clone_from(&image);
                if relaxed {
                    made(&mut document).task.extra_flags = RELAXED.map(Into::into).to_vec();
                    next.container.command.extend(RELAXED.map(Into::into));
                }
                let product = |text| Product::parse(text).expect("a product");
                let (its, theirs) = (product(reader), product(writer));
                let reads = if relaxed {
                    its.may_read_relaxed(theirs)
                } else {
                    its.reads(theirs)
                };
                let case = format!("{image} on files of {writer}, relaxed: {relaxed}");
                assert_eq!(
                    too_old(&checked(&document, &world)).is_none(),
                    reads,
                    "the planner, {case}"
                );
                let found = rules(&document, &world, vec![register(next.clone())]);
                assert_eq!(found != [Rule::NotOlder], reads, "the critic, {case}: {found:?}");
                let step = roll_out(&mut world, next);
                let found = rules(&document, &world, vec![step]);
                assert_eq!(found.contains(&Rule::NotOlder), !reads, "the critic, {case}: {found:?}");
                held += usize::from(!reads);
            }
        }
    }
    assert!(held > 100, "{held}");
}

#[test]
fn the_hold_names_both_versions_and_every_way_out() {
    let empty = "start without the data and keep the files: with the image from before set snapshots.preset: Off and \
                 staleDump: SetAside, and change the image when that serves";
    for (image, writer, ways) in [
        (
            "valkey/valkey:8.0",
            "valkey 9.1.2",
            vec!["use an image of Valkey 9.0 or newer", empty],
        ),
        (
            "valkey/valkey:8.1",
            "valkey 9.1.2",
            vec![
                "use an image of Valkey 9.0 or newer",
                "let this one try with spec.service.create.extraFlags: [--rdb-version-check, relaxed]: it serves, or exits and \
                 leaves the files",
                empty,
            ],
        ),
        (
            "redis:7.0",
            "valkey 8.0.1",
            vec!["use an image of Valkey 7.2 or newer, or Redis 7.2 or newer", empty],
        ),
        (
            "valkey/valkey:8.1",
            "redis 8.0.2",
            vec!["use an image of Redis 7.4 or newer", empty],
        ),
    ] {
        let plan = checked(&of(image), &stopped_after(writer));
        let said = format!("the image {image} cannot read the files that {writer} has written");
        assert_eq!(too_old(&plan), Some((said.as_str(), ways.join("; or ").as_str())));
        assert_eq!(calls(&plan), Vec::<&str>::new(), "nothing else is done meanwhile");
    }
}

#[test]
fn images_and_marks_that_tell_no_version_are_let_through() {
    for (image, writer) in [
        ("valkey/valkey@sha256:0000", "valkey 9.1.2"),
        ("valkey/valkey:unstable", "valkey 9.1.2"),
        ("team/valkey-with-modules:1.4.2", "valkey 9.1.2"),
        ("valkey/valkey:8.0", "somebody's"),
    ] {
        let mut world = stopped_after(writer);
        assert_eq!(too_old(&checked(&of(image), &world)), None, "{image}");
        let mut next = definition(&world);
        next.container.image = image.into();
        let step = roll_out(&mut world, next);
        assert!(
            !rules(&of(image), &world, vec![step]).contains(&Rule::NotOlder),
            "{image}"
        );
    }
}

#[test]
fn the_mark_follows_the_server_that_serves_from_the_directory() {
    let mut world = converged();
    assert_eq!(mark(&world), Some("valkey 8.0.1"));
    says(&mut world, "8.0.2");
    assert_eq!(act(&desired(), &mut world), ["elasticfilesystem:TagResource"]);
    assert_eq!(mark(&world), Some("valkey 8.0.2"));
    assert_eq!(calls(&checked(&desired(), &world)), Vec::<&str>::new());
}

#[test]
fn a_server_that_loads_has_written_nothing_yet() {
    let mut world = converged();
    says(&mut world, "9.1.2");
    server(&mut world).loading = true;
    act(&desired(), &mut world);
    assert_eq!(mark(&world), Some("valkey 8.0.1"));
}

#[test]
fn while_one_replaces_another_the_one_that_stops_is_not_taken_for_the_next() {
    // The old task has never seen the directory; the service is at a definition with it already.
    let mut world = marked(converged(), "valkey 9.1.2");
    world.tasks = Fact::Present(vec![task(
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/before:1",
    )]);
    let plan = checked(&desired(), &world);
    assert_eq!(mark(&world), Some("valkey 9.1.2"));
    assert!(too_old(&plan).is_some(), "{:?}", plan.holds);
    assert_eq!(calls(&plan), Vec::<&str>::new());
}

#[test]
fn a_server_without_snapshots_is_no_writer_until_it_saves() {
    let mut world = converged();
    converge(&off(), &mut world);
    let unsaved = ValkeyInfo {
        version: "9.1.2".into(),
        saves_started: 0,
        ..info()
    };
    world.valkey = Fact::Present(unsaved);
    converge(&off(), &mut world);
    assert_eq!(
        mark(&world),
        Some("valkey 8.0.1"),
        "the files are still those of the server before"
    );
    server(&mut world).saves_started = 1;
    converge(&off(), &mut world);
    assert_eq!(mark(&world), Some("valkey 9.1.2"), "somebody said BGSAVE");
}

#[test]
fn what_the_server_says_counts_before_the_mark_is_set() {
    // 9.1 was started and has been looked at by nobody yet; the way back is in the family, and nothing is unsaved.
    let mut world = converged();
    let before = definition(&world);
    converge(&of("valkey/valkey:9.1"), &mut world);
    world.valkey = Fact::Present(ValkeyInfo {
        version: "9.1.2".into(),
        ..info()
    });
    assert_eq!(mark(&world), Some("valkey 8.0.1"));
    let step = roll_out(&mut world, before);
    let plan = checked(&desired(), &world);
    assert!(too_old(&plan).is_some());
    assert_eq!(calls(&plan), ["elasticfilesystem:TagResource"]);
    assert!(rules(&desired(), &world, vec![step]).contains(&Rule::NotOlder));
}

#[test]
fn an_upgrade_that_never_served_may_be_taken_back() {
    let mut world = converged();
    converge(&of("valkey/valkey:9.1"), &mut world);
    world.tasks = Fact::Present(vec![stopped("CannotPullContainerError", None)]);
    world.valkey = Fact::not_looked("valkey:INFO");
    assert_eq!(mark(&world), Some("valkey 8.0.1"));
    assert_eq!(too_old(&checked(&desired(), &world)), None);
    converge(&desired(), &mut world);
    assert_eq!(definition(&world).container.image, "valkey/valkey:8.0");
}

#[test]
fn an_image_whose_tag_is_its_owners_own_number_may_stay_where_it_serves() {
    let document = of("team/valkey:8.0");
    let mut world = converged_for(&document);
    says(&mut world, "9.1.2");
    converge(&document, &mut world);
    assert_eq!(mark(&world), Some("valkey 9.1.2"));
    assert_eq!(in_the_way(&checked(&document, &world)), Vec::<String>::new());
    let mut larger = document;
    made(&mut larger).task.memory_mib = 1024;
    converge(&larger, &mut world);
    assert_eq!(definition(&world).memory_mib, 1024);
}

#[test]
fn going_back_without_the_data_is_by_setting_the_dump_aside() {
    let mut world = converged_for(&of("valkey/valkey:9.1"));
    says(&mut world, "9.1.2");
    converge(&of("valkey/valkey:9.1"), &mut world);
    let aside = |image: &str, saves: bool| {
        let mut document = with_snapshots(|snapshots| {
            snapshots.stale_dump = StaleDump::SetAside;
            if !saves {
                snapshots.save = SavePoints::default();
            }
        });
        made(&mut document).task.image = image.into();
        document
    };
    // At once it would be a loss that nobody asked for: the dump is not old.
    assert!(too_old(&checked(&aside("valkey/valkey:8.0", true), &world)).is_some());
    converge(&aside("valkey/valkey:9.1", false), &mut world);
    *server(&mut world) = ValkeyInfo {
        saves_started: 0,
        version: "9.1.2".into(),
        ..info()
    };
    converge(&aside("valkey/valkey:9.1", false), &mut world);
    // Saved by hand under `Off`, that dump is the newest there is and would be loaded.
    server(&mut world).saves_started = 1;
    assert!(too_old(&checked(&aside("valkey/valkey:8.0", true), &world)).is_some());
    server(&mut world).saves_started = 0;
    converge(&aside("valkey/valkey:8.0", true), &mut world);
    assert_eq!(definition(&world).container.image, "valkey/valkey:8.0");
    says(&mut world, "8.0.1");
    converge(&aside("valkey/valkey:8.0", true), &mut world);
    assert_eq!(mark(&world), Some("valkey 8.0.1"));
}

#[test]
fn files_that_were_exchanged_by_hand_are_said_to_be_by_taking_the_mark_away() {
    let older = of("valkey/valkey:8.0");
    let mut world = converged_for(&of("valkey/valkey:9.1"));
    says(&mut world, "9.1.2");
    converge(&of("valkey/valkey:9.1"), &mut world);
    let service = world.service.present_mut().expect("one");
    (service.desired, service.running) = (0, 0);
    world.tasks = Fact::Present(Vec::new());
    world.valkey = Fact::not_looked("valkey:INFO");
    converge(&older, &mut world);
    assert!(too_old(&checked(&older, &world)).is_some());
    let tags = &mut world.access_point.present_mut().expect("one").tags;
    tags.remove(TAG_WRITTEN_BY);
    converge(&older, &mut world);
    assert_eq!(definition(&world).container.image, "valkey/valkey:8.0");
    assert_eq!(
        world.service.present().map(|service| service.desired),
        Some(0),
        "a person starts it"
    );
    assert_eq!(mark(&world), None);
}

/// A service of others that valkeep looks after, whose server is a Valkey 9.1.
fn adopted_by_a_newer_server() -> (Desired, Observed) {
    let document = adopting(FirstTransition::AcceptLoss);
    let mut world = terraformed(one_of("sidecars"));
    converge(&document, &mut world);
    world.valkey = Fact::Present(info());
    says(&mut world, "9.1.2");
    converge(&document, &mut world);
    (document, world)
}

#[test]
fn an_older_image_that_a_pipeline_deploys_is_told_with_the_way_out_and_heals_by_the_next_deploy() {
    let (document, mut world) = adopted_by_a_newer_server();
    assert_eq!(mark(&world), Some("valkey 9.1.2"));

    let copy = |world: &Observed, image: &str| {
        let mut copy = raw(world).registration();
        copy["containerDefinitions"][0]["image"] = json!(image);
        RawDefinition::new(copy).expect("an object")
    };
    let older = copy(&world, "valkey/valkey:8.1");
    let newer = copy(&world, "valkey/valkey:9.0");
    deploy(
        &mut world,
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:901",
        older,
    );
    // It exits as it starts, over and over.
    world.tasks = Fact::Present(vec![stopped("Essential container in task exited", Some(1))]);
    world.valkey = Fact::not_looked("valkey:INFO");
    let plan = checked(&document, &world);
    let (message, hint) = too_old(&plan).expect("held");
    assert_eq!(
        message,
        "the image valkey/valkey:8.1 cannot read the files that valkey 9.1.2 has written"
    );
    assert!(
        hint.starts_with(
            "deploy an image of Valkey 9.0 or newer; or let this one try with --rdb-version-check relaxed"
        )
    );
    assert_eq!(calls(&plan), Vec::<&str>::new());

    deploy(
        &mut world,
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:902",
        newer,
    );
    world.valkey = Fact::Present(info());
    says(&mut world, "9.0.1");
    converge(&document, &mut world);
    assert_eq!(too_old(&checked(&document, &world)), None);
    assert_eq!(mark(&world), Some("valkey 9.0.1"));
}

#[test]
fn a_bare_deploy_of_an_older_image_serves_cold_and_gets_no_directory() {
    let (document, mut world) = adopted_by_a_newer_server();
    let mut bare = one_of("sidecars").registration();
    bare["containerDefinitions"][0]["image"] = json!("valkey/valkey:8.0");
    let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:903";
    deploy(&mut world, arn, RawDefinition::new(bare).expect("an object"));
    says(&mut world, "8.0.1");
    let plan = checked(&document, &world);
    assert!(too_old(&plan).is_some(), "{:?}", plan.holds);
    assert_eq!(mark(&world), Some("valkey 9.1.2"), "it has not been on the directory");
    assert!(
        !calls(&plan).iter().any(|call| call.starts_with("ecs:")),
        "{:?}",
        calls(&plan)
    );
}

#[test]
fn without_the_directory_any_image_may_run() {
    let mut document = of("valkey/valkey:8.0");
    document.persistence = Persistence::Disabled;
    assert_eq!(too_old(&checked(&document, &stopped_after("valkey 9.1.2"))), None);
}

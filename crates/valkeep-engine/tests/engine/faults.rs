//! Stores that go away, calls that fail, passes that panic or hang.

use crate::bench::{MINUTE, SECOND, World, all, check, document, pass};
use crate::cloud::Fault;
use valkeep_core::ConditionStatus::{False, True, Unknown};
use valkeep_core::ConditionType::{DocumentValid, DriftDetected, Ready};
use valkeep_core::{Fact, FailureKind};
use valkeep_engine::Standing;

#[tokio::test(start_paused = true)]
async fn a_store_that_is_gone_for_ten_minutes_deletes_nothing_and_heals_by_itself() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    world.store().state().list_fails = true;
    running.until(|snapshot| snapshot.stores[0].trouble.is_some()).await;
    // What is in force stays so, and is kept true.
    world
        .cloud
        .by_hand("cache", |observed| observed.backups = Fact::Present(false));
    let since = || {
        world
            .status("cache")
            .condition(DocumentValid)
            .map(|valid| valid.last_transition_time)
    };
    pass(MINUTE).await;
    let first = since();
    pass(11 * MINUTE).await;
    assert_eq!(since(), first);
    assert_eq!(world.cloud.observed("cache").backups.present(), Some(&true));
    assert_eq!(running.snapshots.borrow().documents.len(), 1);
    check(&world.status("cache"), DocumentValid, Unknown, "StoreUnreadable");
    assert!(world.status("cache").is(Ready), "the data is served all the same");
    world.store().state().list_fails = false;
    running.until(|snapshot| snapshot.stores[0].trouble.is_none()).await;
    let looks = world.cloud.looks();
    pass(31 * SECOND).await;
    assert_eq!(running.document("cache").standing, Standing::Ready);
    check(&world.status("cache"), DocumentValid, True, "Valid");
    assert!(world.cloud.looks() - looks <= 1, "told without a pass of its own");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_gone_at_the_start_does_not_hold_up_the_others() {
    let world = World::with_stores(&["s3://docs/one/", "s3://docs/two/"]);
    world.stores[0].write("a.yaml", &document("a", "a"));
    world.stores[1].write("b.yaml", &document("b", "b"));
    world.stores[0].state().list_fails = true;
    let mut running = world.start();
    running
        .until_document("b", |document| document.standing == Standing::Ready)
        .await;
    world.stores[0].state().list_fails = false;
    running
        .until_document("a", |document| document.standing == Standing::Ready)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_cannot_be_written_for_ten_minutes_delays_nothing_and_is_written_then() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    world.store().state().status_fails = true;
    let running = world.converged().await;
    assert!(running.document("cache").unwritten.is_some());
    pass(10 * MINUTE).await;
    assert_eq!(world.store().writes(), 0);
    let looks = world.cloud.looks();
    world.store().state().status_fails = false;
    pass(31 * SECOND).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
    assert_eq!(world.cloud.looks(), looks, "without another pass");
    assert_eq!(running.document("cache").unwritten, None);
}

#[tokio::test(start_paused = true)]
async fn a_status_store_that_hangs_does_not_hold_up_the_work() {
    let world = World::new();
    for number in 0..20 {
        let name = format!("cache-{number}");
        world.store().write(&format!("{name}.yaml"), &document(&name, &name));
    }
    world.store().state().status_hangs = true;
    let running = world.converged().await;
    assert!(world.cloud.clock_s() < 10 * 60, "{} s", world.cloud.clock_s());
    world.store().state().status_hangs = false;
    pass(MINUTE).await;
    check(&world.status("cache-7"), Ready, True, "AsDesired");
    assert_eq!(running.queue.borrow().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_rival_who_writes_the_same_status_is_noticed_and_survived() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    world.store().state().rivals = 2;
    let running = world.converged().await;
    pass(MINUTE).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
    assert_eq!(running.document("cache").unwritten, None);
}

#[tokio::test(start_paused = true)]
async fn a_failing_document_delays_no_other() {
    let mut world = World::new();
    world.settings.concurrency = 2;
    for name in ["bad", "good1", "good2", "good3"] {
        world.store().write(&format!("{name}.yaml"), &document(name, name));
    }
    world.cloud.fail(
        "bad",
        "elasticfilesystem:CreateFileSystem",
        vec![Fault::Refuse(FailureKind::AccessDenied); 1000],
    );
    let mut running = world.start();
    for name in ["good1", "good2", "good3"] {
        running
            .until_document(name, |document| document.standing == Standing::Ready)
            .await;
    }
    let status = world.status("bad");
    let ready = status.condition(Ready).expect("there");
    assert_eq!(ready.status, False);
    assert!(
        ready.message.contains("elasticfilesystem:CreateFileSystem"),
        "{}",
        ready.message
    );
    assert!(
        world.cloud.count("bad", "ec2:CreateSecurityGroup") == 1,
        "what does not depend on it was done"
    );
    // It backs off: in the next hour at most one try in five minutes plus jitter, not one in five seconds.
    pass(10 * MINUTE).await;
    let tries = world.cloud.count("bad", "elasticfilesystem:CreateFileSystem");
    pass(60 * MINUTE).await;
    let tries = world.cloud.count("bad", "elasticfilesystem:CreateFileSystem") - tries;
    assert!((5..=80).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_is_not_tried_again_in_the_same_pass_and_stops_no_independent_one() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let throttled = vec![Fault::Refuse(FailureKind::Throttled)];
    world.cloud.fail("cache", "ec2:CreateSecurityGroup", throttled);
    let mut running = world.start();
    running
        .until_document("cache", |document| !document.status.conditions.is_empty())
        .await;
    assert_eq!(world.cloud.count("cache", "ec2:CreateSecurityGroup"), 1);
    assert_eq!(world.cloud.count("cache", "elasticfilesystem:CreateFileSystem"), 1);
    running.until(|snapshot| all(snapshot, Standing::Ready)).await;
    assert_eq!(
        world.cloud.count("cache", "ec2:CreateSecurityGroup"),
        2,
        "the next pass is the retry"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_healed_by_the_next_pass() {
    for action in [
        "elasticfilesystem:CreateFileSystem",
        "elasticfilesystem:CreateAccessPoint",
        "ecs:CreateService",
        "iam:PutRolePolicy",
    ] {
        let world = World::new();
        world.store().write("cache.yaml", &document("cache", "cache"));
        world.cloud.fail("cache", action, [Fault::LoseReply]);
        world.converged().await;
        assert_eq!(world.cloud.count("cache", action), 1, "{action} was found to be done");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_pass_is_one_failed_attempt_of_one_document() {
    let world = World::new();
    for name in ["bad", "good"] {
        world.store().write(&format!("{name}.yaml"), &document(name, name));
    }
    world.cloud.state().look_faults.insert("bad".to_owned(), Fault::Panic);
    let mut running = world.start();
    running
        .until_document("good", |document| document.standing == Standing::Ready)
        .await;
    assert!(running.queue.borrow().panics >= 2);
    world.cloud.state().look_faults.clear();
    running
        .until_document("bad", |document| document.standing == Standing::Ready)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_hangs_is_cut_off_and_tried_again() {
    let mut world = World::new();
    world.settings.concurrency = 1;
    for name in ["bad", "good"] {
        world.store().write(&format!("{name}.yaml"), &document(name, name));
    }
    world
        .cloud
        .fail("bad", "elasticfilesystem:CreateFileSystem", [Fault::Hang]);
    let mut running = world.start();
    running
        .until(|snapshot| snapshot.documents.len() == 2 && all(snapshot, Standing::Ready))
        .await;
    assert_eq!(running.queue.borrow().timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_seen_is_not_changed_and_looked_at_with_back_off() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    pass(15 * MINUTE).await;
    let acts = world.cloud.acts();
    let blind = Fault::Refuse(FailureKind::ServerError);
    world.cloud.state().look_faults.insert("cache".to_owned(), blind);
    pass(30 * MINUTE).await;
    assert_eq!(world.cloud.acts(), acts);
    assert!(!world.status("cache").is(Ready));
    world.cloud.state().look_faults.clear();
    pass(6 * MINUTE).await;
    assert_eq!(running.document("cache").standing, Standing::Ready);
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_and_told_and_then_over() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    pass(15 * MINUTE).await;
    world.cloud.by_hand("cache", |observed| {
        observed.security_group.present_mut().expect("there").ingress.clear();
    });
    running
        .until_document("cache", |document| document.status.is(DriftDetected))
        .await;
    assert_eq!(world.cloud.count("cache", "ec2:AuthorizeSecurityGroupIngress"), 2);
    let status = world.status("cache");
    let message = &status.condition(DriftDetected).expect("there").message;
    assert!(message.contains("security group"), "{message}");
    running
        .until_document("cache", |document| !document.status.is(DriftDetected))
        .await;
    check(&world.status("cache"), DriftDetected, False, "NoDrift");
    check(&world.status("cache"), Ready, True, "AsDesired");
}

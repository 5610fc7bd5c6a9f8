//! A small AWS with real servers' manners, in memory: what is made takes a while, what is asked for twice is counted.
//!
//! It shares no code with the planner's `fold`: what a step does to the world is written here a second time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
use valkeep_core::access::{Login, Secret, ServerAccess, ServerTarget};
use valkeep_core::identity::TAG_STARTING;
use valkeep_core::ids::{AccessPointId, FileSystemId, MountTargetId, SecurityGroupId};
use valkeep_core::observed::{
    AccessPoint, Deployment, FileSystem, IngressRule, LifeCycle, LogGroup, MountTarget, ObservedDefinition, Role,
    Rollout, SecurityGroup, Service, ServiceStatus, Subnet, Subnets, Task,
};
use valkeep_core::ports::{Clock, Secrets, Servers, World};
use valkeep_core::valkey::{AppendOnly, ServerChange, ServerSettings};
use valkeep_core::{
    Desired, Done, Doubt, DoubtKind, Fact, Failure, FailureKind, Observed, Resource, SecretReference, Step, Timestamp,
    ValkeyInfo,
};

/// The time of the test: starts at a fixed moment and runs with tokio's paused clock.
pub(crate) struct TestClock(Instant);

impl TestClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let begin: Timestamp = "2026-11-23T12:00:00Z".parse().expect("a time");
        begin + self.0.elapsed()
    }
}

/// What to do wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The call fails and nothing happens.
    Refuse(FailureKind),
    /// The call fails and it happened all the same.
    LoseReply,
    Panic,
    Hang,
}

#[derive(Default)]
pub(crate) struct CloudState {
    services: BTreeMap<String, Place>,
    /// Every mutating call: service and action.
    pub(crate) acts: Vec<(String, String)>,
    /// What took effect: service and action.
    pub(crate) applied: Vec<(String, String)>,
    /// Every look: service and when.
    pub(crate) looks: Vec<(String, Instant)>,
    /// By service and action, first one first.
    pub(crate) faults: HashMap<(String, String), VecDeque<Fault>>,
    /// A fault of every look at this service.
    pub(crate) look_faults: HashMap<String, Fault>,
    /// How long what is made takes.
    pub(crate) making: Duration,
    /// For every call.
    pub(crate) call_time: Duration,
    /// What answers where.
    servers: HashMap<SocketAddr, Server>,
    pub(crate) infos: u64,
    /// Secrets by reference, and how often any was read.
    pub(crate) secrets: HashMap<String, String>,
    pub(crate) secrets_read: u64,
    /// What servers were told: where and what.
    pub(crate) told: Vec<(SocketAddr, ServerChange)>,
    ids: u32,
}

/// One service and what belongs to it.
struct Place {
    observed: Observed,
    definitions: BTreeMap<String, ObservedDefinition>,
    /// When what is being made is there.
    ready_at: HashMap<&'static str, Instant>,
    /// When the task of the newest deployment runs.
    task_at: Option<Instant>,
}

#[derive(Clone)]
pub(crate) struct Server {
    info: ValkeyInfo,
    /// What `CONFIG GET` knows; a test puts in what it is about.
    settings: ServerSettings,
    since: Instant,
    silent: bool,
    /// Asked for by a server that has one.
    pub(crate) password: Option<String>,
}

/// See the module.
pub(crate) struct Cloud {
    pub(crate) clock: Arc<TestClock>,
    state: Mutex<CloudState>,
}

impl Cloud {
    pub(crate) fn new(clock: Arc<TestClock>) -> Self {
        Self {
            clock,
            state: Mutex::new(CloudState {
                making: Duration::from_secs(3),
                ..CloudState::default()
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, CloudState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Seconds since the start of the test.
    pub(crate) fn clock_s(&self) -> i64 {
        let begin: Timestamp = "2026-11-23T12:00:00Z".parse().expect("a time");
        self.clock.now().as_second() - begin.as_second()
    }

    pub(crate) fn acts(&self) -> usize {
        self.state().acts.len()
    }

    pub(crate) fn looks(&self) -> usize {
        self.state().looks.len()
    }

    pub(crate) fn count(&self, service: &str, action: &str) -> usize {
        self.state()
            .acts
            .iter()
            .filter(|(s, a)| s == service && a == action)
            .count()
    }

    pub(crate) fn fail(&self, service: &str, action: &str, faults: impl IntoIterator<Item = Fault>) {
        let key = (service.to_owned(), action.to_owned());
        self.state().faults.entry(key).or_default().extend(faults);
    }

    /// Somebody changes something by hand.
    pub(crate) fn by_hand(&self, service: &str, change: impl FnOnce(&mut Observed)) {
        change(&mut self.state().services.get_mut(service).expect("it is there").observed);
    }

    /// The server of a service stops or starts to answer.
    pub(crate) fn silence(&self, service: &str, silent: bool) {
        let mut state = self.state();
        let address = state.address(service);
        state.servers.get_mut(&address).expect("it runs").silent = silent;
    }

    pub(crate) fn info(&self, service: &str, change: impl FnOnce(&mut ValkeyInfo)) {
        let mut state = self.state();
        let address = state.address(service);
        let server = state.servers.get_mut(&address).expect("it runs");
        change(&mut server.info);
    }

    /// Settings of the running server, changed by hand.
    #[allow(dead_code, reason = "for stories about settings")]
    pub(crate) fn settings(&self, service: &str, change: impl FnOnce(&mut ServerSettings)) {
        let mut state = self.state();
        let address = state.address(service);
        change(&mut state.servers.get_mut(&address).expect("it runs").settings);
    }

    /// ECS replaces the task: another process at another address.
    pub(crate) fn replace_task(&self, service: &str, loaded: u64) {
        let now = self.clock.now();
        let mut state = self.state();
        state.run_task(service, now);
        let address = state.address(service);
        let server = state.servers.get_mut(&address).expect("just started");
        server.info.keys = loaded;
        server.info.keys_loaded = loaded;
    }

    pub(crate) fn observed(&self, service: &str) -> Observed {
        self.state().services[service].observed.clone()
    }
}

impl World for Cloud {
    async fn observe(&self, desired: &Desired) -> Observed {
        let name = desired.identity.service.clone();
        let (time, fault) = {
            let mut state = self.state();
            state.looks.push((name.clone(), Instant::now()));
            (state.call_time, state.look_faults.get(&name).cloned())
        };
        tokio::time::sleep(time).await;
        match fault {
            Some(Fault::Panic) => panic!("scripted"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Refuse(kind)) => {
                let failure = failure("elasticfilesystem:DescribeFileSystems", kind);
                let mut observed = self.see(desired);
                observed.file_system = Fact::Unknown(Doubt {
                    kind: failure.doubt_kind(),
                    call: failure.call,
                    message: failure.message,
                });
                return observed;
            }
            Some(Fault::LoseReply) | None => {}
        }
        self.see(desired)
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<Done, Failure> {
        let name = desired.identity.service.clone();
        let action = step.action().to_owned();
        let (time, fault) = {
            let mut state = self.state();
            state.acts.push((name.clone(), action.clone()));
            let fault = state
                .faults
                .get_mut(&(name.clone(), action.clone()))
                .and_then(VecDeque::pop_front);
            (state.call_time, fault)
        };
        tokio::time::sleep(time).await;
        match fault {
            Some(Fault::Refuse(kind)) => return Err(failure(&action, kind)),
            Some(Fault::Panic) => panic!("scripted"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::LoseReply) => {
                self.apply(desired, step);
                return Err(failure(&action, FailureKind::NoAnswer));
            }
            None => {}
        }
        Ok(self.apply(desired, step))
    }
}

impl Secrets for Cloud {
    async fn secret(&self, _: &Desired, reference: &SecretReference) -> Result<Secret, Doubt> {
        let mut state = self.state();
        state.secrets_read += 1;
        let value = state.secrets.get(reference.as_str()).cloned();
        value.map(Secret::new).ok_or_else(|| Doubt {
            kind: DoubtKind::AccessDenied,
            call: "ssm:GetParameter".to_owned(),
            message: format!("{reference}: AccessDeniedException: scripted"),
        })
    }
}

impl Servers for Cloud {
    async fn info(&self, target: impl Into<ServerTarget> + Send) -> Result<ValkeyInfo, Doubt> {
        let ServerTarget { address, access } = target.into();
        let now = self.clock.now();
        let mut state = self.state();
        state.infos += 1;
        let server = state.server(address).ok_or_else(|| silence(address, "valkey:INFO"))?;
        server.lets_in(&access)?;
        Ok(ValkeyInfo {
            uptime_s: server.since.elapsed().as_secs(),
            time: now,
            ..server.info.clone()
        })
    }

    async fn settings(&self, target: impl Into<ServerTarget> + Send, names: &[&str]) -> Result<ServerSettings, Doubt> {
        let address = target.into().address;
        let mut state = self.state();
        let server = state
            .server(address)
            .ok_or_else(|| silence(address, "valkey:CONFIG GET"))?;
        let mut settings = server.settings.clone();
        settings.retain(|name, _| names.contains(&name.as_str()));
        Ok(settings)
    }

    async fn change(
        &self,
        target: impl Into<ServerTarget> + Send,
        run_id: &str,
        change: &ServerChange,
    ) -> Result<(), Failure> {
        let address = target.into().address;
        let now = self.clock.now();
        let mut state = self.state();
        state.told.push((address, change.clone()));
        let server = state
            .server(address)
            .ok_or_else(|| failure(change.command(), FailureKind::NoAnswer))?;
        if server.info.run_id != run_id {
            return Err(failure(change.command(), FailureKind::NotNow));
        }
        server.take(change, now);
        Ok(())
    }

    async fn set_password(
        &self,
        target: impl Into<ServerTarget> + Send,
        _: &str,
        login: &Login,
    ) -> Result<(), Failure> {
        let ServerTarget { address, access } = target.into();
        let mut state = self.state();
        state.told.push((address, ServerChange::Password));
        let server = state.server(address).expect("it answered");
        server
            .lets_in(&access)
            .map_err(|_| failure(ServerChange::Password.command(), FailureKind::AccessDenied))?;
        server.password = Some(login.password.expose().to_owned());
        Ok(())
    }
}

impl CloudState {
    /// The server of this service asks for another password from now on.
    pub(crate) fn demand(&mut self, service: &str, password: &str) {
        let address = self.address(service);
        self.servers.get_mut(&address).expect("it runs").password = Some(password.to_owned());
    }
}

impl Server {
    fn lets_in(&self, access: &ServerAccess) -> Result<(), Doubt> {
        let given = access.login.as_ref().map(|login| login.password.expose());
        match self.password.as_deref() {
            Some(password) if given != Some(password) => Err(Doubt {
                kind: DoubtKind::NotLetIn,
                call: "valkey:INFO".to_owned(),
                message: "the password is refused (WRONGPASS)".to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn take(&mut self, change: &ServerChange, now: Timestamp) {
        match change {
            ServerChange::Password => unreachable!("it has a way of its own"),
            ServerChange::Save => {
                self.info.last_save = now;
                self.info.saves_started += 1;
                self.info.changes_since_save = 0;
            }
            ServerChange::Set { name, to, .. } => {
                self.settings.insert(name.clone(), to.clone());
                match name.as_str() {
                    "maxmemory" => self.info.maxmemory = to.parse().expect("in bytes"),
                    "appendonly" => {
                        self.info.append_only = (to == "yes").then_some(AppendOnly {
                            rewriting: false,
                            last_rewrite_ok: true,
                            last_write_ok: true,
                        });
                    }
                    _ => {}
                }
            }
        }
    }
}

fn silence(address: SocketAddr, call: &str) -> Doubt {
    Doubt {
        kind: DoubtKind::Unreachable,
        call: call.to_owned(),
        message: format!("cannot connect to {address}: connection refused"),
    }
}

impl Cloud {
    /// What AWS would answer now.
    fn see(&self, desired: &Desired) -> Observed {
        let now = self.clock.now();
        let mut state = self.state();
        let name = &desired.identity.service;
        let place = state
            .services
            .entry(name.clone())
            .or_insert_with(|| Place::new(desired));
        let done = |what: &str, place: &Place| place.ready_at.get(what).is_some_and(|at| *at <= Instant::now());
        if done("fs", place)
            && let Some(found) = place.observed.file_system.present_mut()
        {
            found.state = LifeCycle::Available;
        }
        if done("ap", place)
            && let Some(found) = place.observed.access_point.present_mut()
        {
            found.state = LifeCycle::Available;
        }
        if done("mt", place)
            && let Some(found) = place.observed.mount_targets.present_mut()
        {
            for target in found {
                target.state = LifeCycle::Available;
            }
        }
        if place.task_at.is_some_and(|at| at <= Instant::now()) {
            place.task_at = None;
            state.run_task(name, now);
        }
        let place = &state.services[name];
        let mut observed = place.observed.clone();
        if let Some(service) = observed.service.present() {
            observed.running_definition = Fact::Present(place.definitions[&service.task_definition].clone());
        }
        observed.family = Fact::Present(place.definitions.values().rev().cloned().collect());
        observed
    }

    fn apply(&self, desired: &Desired, step: &Step) -> Done {
        let now = self.clock.now();
        let mut state = self.state();
        state.ids += 1;
        let (id, making) = (state.ids, state.making);
        let applied = (desired.identity.service.clone(), step.action().to_owned());
        state.applied.push(applied);
        let place = state
            .services
            .get_mut(&desired.identity.service)
            .expect("it is looked at before it is changed");
        place.apply(step, id, now, Instant::now() + making)
    }
}

impl CloudState {
    fn address(&self, service: &str) -> SocketAddr {
        let task = self.services[service].observed.serving_task().expect("one task runs");
        SocketAddr::new(task.ip.expect("it has one"), 6379)
    }

    fn server(&mut self, address: SocketAddr) -> Option<&mut Server> {
        self.servers.get_mut(&address).filter(|server| !server.silent)
    }

    fn run_task(&mut self, name: &str, now: Timestamp) {
        self.ids += 1;
        let [.., high, low] = self.ids.to_be_bytes();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, high, low));
        if self.services[name].observed.serving_task().is_some() {
            let gone = self.address(name);
            self.servers.remove(&gone);
        }
        let place = self.services.get_mut(name).expect("it is there");
        let login = place
            .observed
            .service
            .present()
            .and_then(|service| place.definitions.get(&service.task_definition))
            .and_then(|found| found.definition.as_ref()?.container.login());
        let password = login.and_then(|login| self.secrets.get(login.password.as_str()).cloned());
        let service = place.observed.service.present_mut().expect("it is there");
        service.running = 1;
        service.deployments.retain(|deployment| deployment.primary);
        service.deployments[0].rollout = Rollout::Completed;
        place.observed.tasks = Fact::Present(vec![Task {
            arn: format!("arn:aws:ecs:eu-west-1:123456789012:task/c/{}", self.ids),
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            task_definition: service.task_definition.clone(),
            ip: Some(ip),
            health: Some("HEALTHY".to_owned()),
            started_at: Some(now),
            stopping_at: None,
            stopped_at: None,
            stop_code: None,
            stopped_reason: None,
            exit_code: None,
            container_reason: None,
        }]);
        let server = Server {
            info: ValkeyInfo {
                server: "valkey".to_owned(),
                version: "8.0.1".to_owned(),
                run_id: format!("{:040x}", self.ids),
                uptime_s: 0,
                time: now,
                role: "master".to_owned(),
                loading: false,
                loading_percent: None,
                keys: 0,
                used_memory: 1_000_000,
                maxmemory: 0,
                changes_since_save: 0,
                last_save: now,
                saves_started: 0,
                last_save_ok: true,
                saving: false,
                saving_for_s: None,
                last_save_duration_s: None,
                keys_loaded: 0,
                keys_expired_at_load: 0,
                append_only: None,
            },
            settings: ServerSettings::new(),
            since: Instant::now(),
            silent: false,
            password,
        };
        self.servers.insert(SocketAddr::new(ip, 6379), server);
    }
}

impl Place {
    fn new(desired: &Desired) -> Self {
        let found = desired
            .network
            .subnets
            .iter()
            .enumerate()
            .map(|(number, id)| Subnet {
                id: id.clone(),
                vpc: desired.network.vpc.clone(),
                zone_id: format!("euw1-az{}", number + 1),
                zone: format!("eu-west-1{}", ["a", "b", "c"][number]),
            })
            .collect();
        Self {
            observed: Observed {
                subnets: Fact::Present(Subnets {
                    found,
                    missing: Vec::new(),
                }),
                security_group: Fact::Absent,
                file_system: Fact::Absent,
                role: Fact::Present(Role {
                    arn: format!("arn:aws:iam::123456789012:role/{}", desired.task_role.name),
                }),
                role_policy: Fact::Absent,
                log_group: Fact::Absent,
                service: Fact::Absent,
                cluster: Fact::Present(()),
                running_definition: Fact::Absent,
                tasks: Fact::Present(Vec::new()),
                ..Observed::nothing()
            },
            definitions: BTreeMap::new(),
            ready_at: HashMap::new(),
            task_at: None,
        }
    }

    fn apply(&mut self, step: &Step, id: u32, now: Timestamp, ready: Instant) -> Done {
        let observed = &mut self.observed;
        match step {
            Step::CreateSecurityGroup { tags, .. } => {
                let id = SecurityGroupId::parse(&format!("sg-{id:017x}")).expect("good");
                if observed.security_group.is_absent() {
                    observed.security_group = Fact::Present(SecurityGroup {
                        id,
                        tags: tags.clone(),
                        ingress: Vec::new(),
                    });
                }
                Done::SecurityGroup(observed.security_group.present().expect("there").id.clone())
            }
            Step::AuthorizeIngress {
                source, description, ..
            } => {
                let rule = IngressRule {
                    protocol: "tcp".to_owned(),
                    from_port: Some(2049),
                    to_port: Some(2049),
                    source: source.to_string(),
                    description: Some(description.clone()),
                };
                observed.security_group.present_mut().expect("there").ingress.push(rule);
                Done::Changed
            }
            Step::CreateFileSystem {
                encrypted,
                performance,
                throughput,
                backups,
                tags,
                ..
            } => {
                let id = FileSystemId::parse(&format!("fs-{id:017x}")).expect("good");
                let made = FileSystem {
                    arn: format!("arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/{id}"),
                    id,
                    state: LifeCycle::Creating,
                    encrypted: *encrypted,
                    kms_key: Some("arn:aws:kms:eu-west-1:123456789012:key/efs".to_owned()),
                    performance: *performance,
                    throughput: *throughput,
                    tags: tags.clone(),
                    desired_kms_key: None,
                    one_zone: None,
                    is_replica: false,
                };
                observed.file_system = Fact::Present(made.clone());
                observed.lifecycle = Fact::Present(None);
                observed.backups = Fact::Present(*backups);
                observed.file_system_policy = Fact::Absent;
                observed.mount_targets = Fact::Present(Vec::new());
                observed.access_point = Fact::Absent;
                self.ready_at.insert("fs", ready);
                Done::FileSystem(Box::new(made))
            }
            Step::PutLifecycle { to, .. } => {
                observed.lifecycle = Fact::Present(to.clone());
                Done::Changed
            }
            Step::PutBackups { to, .. } => {
                observed.backups = Fact::Present(*to);
                Done::Changed
            }
            Step::CreateMountTarget {
                subnet,
                zone_id,
                groups,
                ..
            } => {
                let made = MountTarget {
                    id: MountTargetId::parse(&format!("fsmt-{id:017x}")).expect("good"),
                    subnet: subnet.clone(),
                    zone_id: zone_id.clone(),
                    vpc: None,
                    state: LifeCycle::Creating,
                    ip: None,
                    interface: None,
                    groups: Fact::Present(groups.clone()),
                    attached_at: Some(now),
                };
                observed.mount_targets.present_mut().expect("there").push(made.clone());
                self.ready_at.insert("mt", ready);
                Done::MountTarget(Box::new(made))
            }
            Step::SetMountTargetGroups { id, to, .. } => {
                for target in observed.mount_targets.present_mut().expect("there") {
                    if target.id == *id {
                        target.groups = Fact::Present(to.clone());
                    }
                }
                Done::Changed
            }
            Step::CreateAccessPoint {
                file_system,
                path,
                uid,
                gid,
                permissions,
                tags,
                ..
            } => {
                let id = AccessPointId::parse(&format!("fsap-{id:017x}")).expect("good");
                let made = AccessPoint {
                    arn: format!("arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/{id}"),
                    id,
                    file_system: file_system.clone(),
                    state: LifeCycle::Creating,
                    path: path.clone(),
                    uid: Some(*uid),
                    gid: Some(*gid),
                    permissions: Some(permissions.clone()),
                    owner_uid: Some(*uid),
                    owner_gid: Some(*gid),
                    tags: tags.clone(),
                };
                observed.access_point = Fact::Present(made.clone());
                self.ready_at.insert("ap", ready);
                Done::AccessPoint(Box::new(made))
            }
            Step::PutRolePolicy { to, .. } => {
                observed.role_policy = Fact::Present(to.clone());
                Done::Changed
            }
            Step::CreateLogGroup {
                name,
                retention_days,
                tags,
            } => {
                let made = LogGroup {
                    name: name.clone(),
                    retention_days: Some(*retention_days),
                    tags: tags.clone(),
                };
                observed.log_group = Fact::Present(made.clone());
                Done::LogGroup(made)
            }
            Step::RegisterTaskDefinition { definition, tags } => {
                let arn = format!(
                    "arn:aws:ecs:eu-west-1:123456789012:task-definition/{}:{}",
                    definition.family,
                    self.definitions.len() + 1
                );
                let made = ObservedDefinition {
                    arn: arn.clone(),
                    active: true,
                    tags: tags.clone(),
                    definition: Some((**definition).clone()),
                    raw: None,
                };
                self.definitions.insert(arn.clone(), made);
                Done::TaskDefinition(arn)
            }
            Step::CreateService {
                task_definition,
                settings,
                tags,
                name,
                ..
            } => {
                let made = Service {
                    arn: format!("arn:aws:ecs:eu-west-1:123456789012:service/c/{name}"),
                    status: ServiceStatus::Active,
                    task_definition: task_definition.clone(),
                    desired: 0,
                    running: 0,
                    pending: 0,
                    tags: tags.clone(),
                    settings: settings.clone(),
                    kind: valkeep_core::observed::ServiceKind::default(),
                    deployments: vec![deployment(id, task_definition, Rollout::Completed, now)],
                    events: Vec::new(),
                };
                observed.service = Fact::Present(made.clone());
                Done::Service(Box::new(made))
            }
            Step::StartService { .. } => {
                let service = observed.service.present_mut().expect("there");
                service.desired = 1;
                service.tags.remove(TAG_STARTING);
                service.deployments[0].rollout = Rollout::InProgress;
                self.task_at = Some(ready);
                Done::Changed
            }
            Step::UpdateService { to, to_definition, .. } => {
                let service = observed.service.present_mut().expect("there");
                service.settings = (**to).clone();
                if service.task_definition != *to_definition {
                    service.task_definition.clone_from(to_definition);
                    service.deployments = vec![deployment(id, to_definition, Rollout::InProgress, now)];
                    service.running = 0;
                    observed.tasks = Fact::Present(Vec::new());
                    self.task_at = Some(ready);
                }
                Done::Changed
            }
            Step::ClearStarting { .. } => {
                observed.service.present_mut().expect("there").tags.remove(TAG_STARTING);
                Done::Changed
            }
            Step::Tag {
                resource, set, remove, ..
            } => {
                let tags = match resource {
                    Resource::AccessPoint => &mut observed.access_point.present_mut().expect("there").tags,
                    Resource::FileSystem => &mut observed.file_system.present_mut().expect("there").tags,
                    Resource::Service => &mut observed.service.present_mut().expect("there").tags,
                    other => panic!("this cloud tags no {other}"),
                };
                tags.extend(set.clone());
                tags.retain(|key, _| !remove.contains(key));
                Done::Changed
            }
            other => panic!("this cloud does not know {}", other.action()),
        }
    }
}

fn deployment(id: u32, task_definition: &str, rollout: Rollout, now: Timestamp) -> Deployment {
    Deployment {
        id: format!("ecs-svc/{id}"),
        primary: true,
        task_definition: task_definition.to_owned(),
        rollout,
        reason: None,
        failed_tasks: 0,
        running: 0,
        updated_at: Some(now),
        created_at: Some(now),
    }
}

fn failure(call: &str, kind: FailureKind) -> Failure {
    Failure {
        call: call.to_owned(),
        kind,
        code: format!("{kind:?}"),
        message: "scripted".to_owned(),
    }
}

//! A container engine whose containers are values. What they do is scripted by image or container name; by
//! default images are there, containers run until they are stopped and answer every look. Time is the clock's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;

use super::session::{Connection, Sample, Session};
use super::{
    Answer, Change, Container, ContainerSpec, Engine, ExecOutput, Exited, Image, Label, LogQuery, Login, Look, Network,
    NetworkMode, NetworkSpec, Runtime, RuntimeError, Sight, Signal, State, attached, pretend,
};
use crate::object::Clock;
use crate::streams::Wanted;

/// Changes that a reader may be behind by before it has to list again.
const CHANGES: usize = 4096;

/// What containers do. The default runs until stopped, and stops at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Ends by itself so long after its start.
    pub exits_after: Option<(Duration, i32)>,
    /// Does not end on SIGTERM.
    pub ignores_stop: bool,
    /// Looks find it ill, with this message.
    pub ill: Option<String>,
    /// The image is not in any registry.
    pub image_missing: bool,
    /// Creating or starting it fails, with this message.
    pub refused: Option<String>,
    /// What it writes to its log at its start.
    pub log: Vec<String>,
    /// Where its ports really are.
    pub ports: BTreeMap<u16, SocketAddr>,
    /// Billionths of a processor that it uses all the time, and bytes of memory.
    pub uses: (u64, u64),
}

/// An engine for tests. Clones share the containers.
#[derive(Clone)]
pub struct Scripted {
    clock: Clock,
    world: Arc<Mutex<World>>,
    changed: broadcast::Sender<Change>,
}

#[derive(Default)]
struct World {
    containers: BTreeMap<String, Entry>,
    scripts: BTreeMap<String, Script>,
    created: u64,
    addresses: u32,
    down: bool,
}

struct Entry {
    container: Container,
    stdin_once: bool,
    script: Script,
    log: Vec<(Timestamp, String)>,
}

impl Scripted {
    pub fn new(clock: Clock) -> Self {
        Self { clock, world: Arc::default(), changed: broadcast::Sender::new(CHANGES) }
    }

    /// Scripts the containers whose image or Kubernetes container name is `subject`; also those that run already.
    pub fn script(&self, subject: &str, script: Script) {
        let mut world = self.world();
        for entry in world.containers.values_mut().filter(|entry| is_about(&entry.container, subject)) {
            entry.script = Script { exits_after: entry.script.exits_after, ..script.clone() };
        }
        world.scripts.insert(subject.to_owned(), script);
    }

    /// Ends a running container behind everybody's back.
    pub fn kill(&self, id: &str, code: i32) {
        let now = self.clock.now();
        let change = self.world().containers.get_mut(id).and_then(|entry| entry.end(code, now));
        self.tell(change);
    }

    /// All containers, for tests to look at.
    pub fn all(&self) -> Vec<Container> {
        self.settle();
        self.world().containers.values().map(|entry| entry.container.clone()).collect()
    }

    /// Makes the engine unreachable, or reachable again.
    pub fn set_down(&self, down: bool) {
        self.world().down = down;
        if down {
            // Ends the streams of changes, as the death of an engine does.
            self.tell(Some(Change { id: String::new(), labels: BTreeMap::new() }));
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, World>, RuntimeError> {
        let world = self.world();
        match world.down {
            true => Err(RuntimeError::Unreachable { reason: "scripted to be down".to_owned() }),
            false => Ok(world),
        }
    }

    /// Waits until the container does not run.
    async fn ended(&self, id: &str) {
        let mut changes = self.changed.subscribe();
        while self.world().running(id).is_ok() {
            // A reader that is too slow has missed changes, and looks again.
            if let Err(broadcast::error::RecvError::Closed) = changes.recv().await {
                return;
            }
        }
    }

    fn tell(&self, change: Option<Change>) {
        if let Some(change) = change {
            // Nobody listening is fine: who starts to listen lists first.
            let _ = self.changed.send(change);
        }
    }

    /// Ends the containers whose scripted time has come, and says when the next one's will.
    fn settle(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut next = None;
        let mut changes = Vec::new();
        for entry in self.world().containers.values_mut() {
            let (State::Running { started }, Some((after, code))) = (&entry.container.state, entry.script.exits_after)
            else {
                continue;
            };
            let end = *started + SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
            if end <= now {
                changes.push(entry.end(code, end));
            } else {
                next = Some(next.map_or(end, |earlier: Timestamp| earlier.min(end)));
            }
        }
        changes.into_iter().for_each(|change| self.tell(change));
        next
    }

    fn answer<T: Send + 'static>(&self, value: Result<T, RuntimeError>) -> Answer<'static, T> {
        futures::future::ready(value).boxed()
    }
}

impl Entry {
    fn end(&mut self, code: i32, finished: Timestamp) -> Option<Change> {
        let State::Running { started } = self.container.state else { return None };
        self.container.state = State::Exited(Exited {
            code,
            out_of_memory: false,
            started: Some(started),
            finished,
            message: String::new(),
        });
        Some(change(&self.container))
    }
}

fn change(container: &Container) -> Change {
    Change { id: container.id.clone(), labels: container.labels.clone() }
}

fn is_about(container: &Container, subject: &str) -> bool {
    container.image == subject || container.label("io.kubernetes.container.name") == subject
}

fn no_such(id: &str) -> RuntimeError {
    RuntimeError::NotFound { message: format!("No such container: {id}") }
}

impl Runtime for Scripted {
    fn engine(&self) -> Answer<'_, Engine> {
        let engine = Engine {
            version: "docker://scripted".to_owned(),
            kernel: "6.1.0".to_owned(),
            os_image: "scripted".to_owned(),
            architecture: "amd64".to_owned(),
            cpus: 4,
            memory_bytes: 8 << 30,
            root: std::path::PathBuf::from("/"),
        };
        self.answer(self.up().map(|_| engine))
    }

    fn containers<'a>(&'a self, label: &'a Label) -> Answer<'a, Vec<Container>> {
        self.settle();
        let all = self.up().map(|world| world.containers.values().map(|e| e.container.clone()).collect::<Vec<_>>());
        self.answer(all.map(|all| all.into_iter().filter(|c| c.label(label.key) == label.value).collect()))
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Container>> {
        self.settle();
        let found = |e: &&Entry| e.container.id == id || e.container.name == id;
        self.answer(self.up().map(|world| world.containers.values().find(found).map(|e| e.container.clone())))
    }

    fn changes(&self, label: &Label, since: Timestamp) -> BoxStream<'static, Result<Change, RuntimeError>> {
        let (this, label, changes) = (self.clone(), label.clone(), self.changed.subscribe());
        // Those that have changed since are told of once, in case their change came before the subscription.
        let earlier: Vec<_> = self.all().into_iter().filter(|c| c.created >= since).map(|c| change(&c)).collect();
        let live = futures::stream::unfold((this, label, changes), |(this, label, mut changes)| async move {
            loop {
                let due = this.settle();
                let wait = due.map(|due| due.duration_since(this.clock.now()).unsigned_abs());
                let pause = async { tokio::time::sleep(wait.unwrap_or(Duration::MAX)).await };
                tokio::select! {
                    biased;
                    told = changes.recv() => {
                        let change = told.map_err(|lost| RuntimeError::Unreachable { reason: lost.to_string() });
                        let lost = this.up().err();
                        match (lost, change) {
                            (Some(error), _) | (None, Err(error)) => return Some((Err(error), (this, label, changes))),
                            (None, Ok(change)) if change.labels.get(label.key) == Some(&label.value) => {
                                return Some((Ok(change), (this, label, changes)));
                            }
                            (None, Ok(_)) => {}
                        }
                    }
                    () = pause, if wait.is_some() => {}
                }
            }
        });
        futures::stream::iter(earlier.into_iter().map(Ok)).chain(live).boxed()
    }

    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>> {
        let image = Image { id: format!("docker://sha256:{name}"), size_bytes: 1 << 20 };
        self.answer(self.up().map(|world| {
            let missing = world.scripts.get(name).is_some_and(|script| script.image_missing);
            (!missing).then_some(image)
        }))
    }

    fn pull<'a>(&'a self, name: &'a str, _: Option<&'a Login>) -> Answer<'a, ()> {
        let refused = || RuntimeError::NotFound { message: format!("manifest for {name} not found") };
        let missing = self.up().map(|world| world.scripts.get(name).is_some_and(|script| script.image_missing));
        self.answer(missing.and_then(|missing| if missing { Err(refused()) } else { Ok(()) }))
    }

    fn load(&self, _: Bytes) -> Answer<'_, ()> {
        self.answer(self.up().map(drop))
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String> {
        let created = self.up().and_then(|mut world| world.create(spec, self.clock.now()));
        self.answer(created)
    }

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        let now = self.clock.now();
        let started = self.up().and_then(|mut world| {
            let entry = world.containers.get_mut(id).ok_or_else(|| no_such(id))?;
            if entry.container.state == State::Created {
                entry.container.state = State::Running { started: now };
                entry.log.extend(entry.script.log.iter().map(|line| (now, line.clone())));
            }
            Ok(change(&entry.container))
        });
        if let Ok(change) = &started {
            self.tell(Some(change.clone()));
        }
        self.answer(started.map(drop))
    }

    fn signal<'a>(&'a self, id: &'a str, signal: Signal) -> Answer<'a, ()> {
        let now = self.clock.now();
        let ended = self.up().map(|mut world| {
            let entry = world.containers.get_mut(id)?;
            match signal {
                Signal::Stop if entry.script.ignores_stop => None,
                Signal::Stop => entry.end(0, now),
                Signal::Kill => entry.end(137, now),
            }
        });
        self.answer(ended.map(|change| self.tell(change)))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        let removed = self.up().map(|mut world| world.containers.remove(id));
        self.answer(removed.map(|entry| self.tell(entry.map(|entry| change(&entry.container)))))
    }

    fn exec<'a>(&'a self, id: &'a str, _: &'a [String], _: Duration) -> Answer<'a, ExecOutput> {
        let exec = self.up().and_then(|world| {
            let entry = world.containers.get(id).ok_or_else(|| no_such(id))?;
            let exit_code = i64::from(entry.script.ill.is_some());
            Ok(ExecOutput { exit_code, output: entry.script.ill.clone().unwrap_or_default() })
        });
        self.answer(exec)
    }

    fn exec_attached<'a>(&'a self, id: &'a str, command: &'a [String], wanted: Wanted) -> Answer<'a, Session> {
        let running = self.up().and_then(|world| world.running(id).map(drop));
        self.answer(running.map(|()| pretend::exec(command, wanted)))
    }

    fn attach<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, Session> {
        let once = self.up().and_then(|world| world.running(id).map(|entry| entry.stdin_once));
        let (this, id) = (self.clone(), id.to_owned());
        self.answer(once.map(|once| {
            pretend::attach(move || {
                if once && wanted.stdin {
                    this.kill(&id, 0);
                }
            })
        }))
    }

    fn dial(&self, address: IpAddr, port: u16) -> Answer<'_, Box<dyn Connection>> {
        let target = self.up().map(|world| world.port(address, port));
        async move {
            match target? {
                Some(real) => attached::dial(real.ip(), real.port()).await,
                None => {
                    let to = SocketAddr::from((address, port));
                    Err(RuntimeError::Refused { message: format!("dial tcp {to}: connect: connection refused") })
                }
            }
        }
        .boxed()
    }

    fn dial_inside<'a>(&'a self, _: &'a str, _: u16) -> Answer<'a, Option<Box<dyn Connection>>> {
        self.answer(self.up().map(|_| None))
    }

    fn sample<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, Option<Sample>> {
        let sample = self.up().map(|world| {
            let entry = world.running(id).ok()?;
            let ran = now.duration_since(entry.container.started()?).as_nanos();
            let (nanocores, memory_bytes) = entry.script.uses;
            let used = u128::try_from(ran).unwrap_or_default() * u128::from(nanocores) / 1_000_000_000;
            Some(Sample { at: now, cpu_nanoseconds: u64::try_from(used).unwrap_or(u64::MAX), memory_bytes })
        });
        self.answer(sample)
    }

    fn probe<'a>(&'a self, id: &'a str, _: &'a Look, _: Duration) -> BoxFuture<'a, Sight> {
        let sight = match self.up() {
            Err(error) => Sight::Unknown(error.to_string()),
            Ok(world) => match world.containers.get(id) {
                Some(entry) if entry.container.is_running() => entry.script.ill.clone().map_or(Sight::Well, Sight::Ill),
                _ => Sight::Ill("connect: connection refused".to_owned()),
            },
        };
        futures::future::ready(sight).boxed()
    }

    fn logs(&self, id: &str, query: &LogQuery) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        let lines: Vec<_> = self.world().containers.get(id).map(|entry| entry.log.clone()).unwrap_or_default();
        let first = query.tail.map_or(0, |n| lines.len().saturating_sub(usize::try_from(n).unwrap_or(usize::MAX)));
        let lines = lines.into_iter().skip(first).map(|(at, line)| Ok(Bytes::from(format!("{at} {line}\n"))));
        let lines = futures::stream::iter(lines);
        // A scripted container writes at its start only, so a follower waits for its end without more to say.
        let (this, id) = (self.clone(), id.to_owned());
        let end = futures::stream::once(async move { this.ended(&id).await }).filter_map(|()| async { None });
        if query.follow { lines.chain(end).boxed() } else { lines.boxed() }
    }

    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> Answer<'a, Network> {
        let network = Network {
            name: spec.name.clone(),
            bridge: spec.bridge.clone(),
            subnet: "10.88.0.0/16".to_owned(),
            gateway: IpAddr::V4(Ipv4Addr::new(10, 88, 0, 1)),
        };
        self.answer(self.up().map(|_| network))
    }

    fn remove_network<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        self.answer(self.up().map(drop))
    }
}

impl World {
    fn running(&self, id: &str) -> Result<&Entry, RuntimeError> {
        let entry = self.containers.get(id).ok_or_else(|| no_such(id))?;
        let stopped = || RuntimeError::Conflict { message: format!("container {id} is not running") };
        Some(entry).filter(|entry| entry.container.is_running()).ok_or_else(stopped)
    }

    /// Where a port of the pod with this address really is.
    fn port(&self, address: IpAddr, port: u16) -> Option<SocketAddr> {
        let with_address = |entry: &&Entry| entry.container.address == Some(address) && entry.container.is_running();
        let uid = self.containers.values().find(with_address)?.container.label("io.kubernetes.pod.uid");
        let mut of_pod = self.containers.values().filter(|e| e.container.label("io.kubernetes.pod.uid") == uid);
        of_pod.find_map(|entry| entry.script.ports.get(&port).copied())
    }

    fn create(&mut self, spec: &ContainerSpec, now: Timestamp) -> Result<String, RuntimeError> {
        let script = [spec.labels.get("io.kubernetes.container.name"), Some(&spec.image)];
        let script = script.into_iter().flatten().find_map(|subject| self.scripts.get(subject)).cloned();
        let script = script.unwrap_or_default();
        if let Some(message) = script.refused.clone() {
            return Err(RuntimeError::Refused { message });
        }
        if self.containers.values().any(|entry| entry.container.name == spec.name) {
            return Err(RuntimeError::Conflict { message: format!("The container name \"{}\" is in use", spec.name) });
        }
        self.created += 1;
        let id = format!("{:064x}", self.created);
        let address = matches!(spec.isolation.network, NetworkMode::Named(_)).then(|| {
            self.addresses += 1;
            IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(10, 88, 0, 1).to_bits() + self.addresses))
        });
        let container = Container {
            id: id.clone(),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            image: spec.image.clone(),
            image_id: format!("sha256:{}", spec.image),
            state: State::Created,
            address,
            created: now,
        };
        self.containers.insert(id.clone(), Entry { container, stdin_once: spec.stdin_once, script, log: Vec::new() });
        Ok(id)
    }
}

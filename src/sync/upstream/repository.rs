//! A repository that Applications follow: takes what asks for a look, fetches if there is something to fetch, and
//! tells the followers. Looks are one at a time; what comes meanwhile is taken together by the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use git2::{Oid, Repository};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::follower::{Follower, Position};
use super::opened::{OpenError, Opened};
use super::pool::PoolOptions;
use crate::object::ObjectKey;
use crate::sync::blocking::blocking;
use crate::sync::credentials::{Access, Purpose};
use crate::sync::mirror::{FetchError, Mirror, MirrorError, RepoLocation};
use crate::sync::trigger::{Trigger, jittered};

/// First wait before a fetch is tried again that failed; doubled up to the poll interval.
const RETRY: Duration = Duration::from_secs(5);
/// With more followers than these, those that are beside what moved hear of it later, so that they do not stand in the way
/// of those that it concerns.
const FEW: usize = 16;
const PASS_AFTER: Duration = Duration::from_millis(100);

pub struct Upstream {
    location: RepoLocation,
    options: PoolOptions,
    opened: OnceLock<Opened>,
    opening: Mutex<()>,
    state: Mutex<State>,
    bell: Arc<Notify>,
}

#[derive(Default)]
struct State {
    followers: BTreeMap<(ObjectKey, usize), Arc<Follower>>,
    /// Why a look is due.
    due: Option<Trigger>,
    /// Applications that asked for it, and why: they are told of the outcome even when nothing moved.
    askers: BTreeMap<ObjectKey, Trigger>,
    /// The commits that followers were told of last, by what they follow.
    told: HashMap<String, Oid>,
    /// Followers that are beside what moved, and have yet to hear so.
    passed: Vec<(Arc<Follower>, Oid)>,
    /// A fetch of this process has succeeded.
    is_fetched: bool,
    failures: u32,
}

impl Upstream {
    pub(super) fn new(location: RepoLocation, options: PoolOptions) -> Self {
        Self {
            location,
            options,
            opened: OnceLock::new(),
            opening: Mutex::default(),
            state: Mutex::default(),
            bell: Arc::default(),
        }
    }

    pub fn location(&self) -> &RepoLocation {
        &self.location
    }

    pub(super) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the follower is told what happens to its source.
    pub fn follow(&self, follower: Arc<Follower>) {
        self.state().followers.insert((follower.application.clone(), follower.index), follower);
    }

    pub fn unfollow(&self, follower: &Follower) {
        self.state().followers.remove(&(follower.application.clone(), follower.index));
    }

    /// Applications that have yet to come to the newest commit of what they follow here. Blocking.
    pub fn behind(&self) -> BTreeSet<ObjectKey> {
        let Ok(opened) = self.opened() else { return BTreeSet::new() };
        let followers: Vec<Arc<Follower>> = self.state().followers.values().cloned().collect();
        let scout = opened.scout();
        let mut tips = HashMap::new();
        let mut behind = BTreeSet::new();
        for follower in &followers {
            let tip = tip_of(&scout, &mut tips, follower);
            if position(&scout, tip, follower).is_ok_and(|now| !follower.is_settled(now.content)) {
                behind.insert(follower.application.clone());
            }
        }
        behind
    }

    /// How many sources of Applications follow it.
    pub fn followers(&self) -> usize {
        self.state().followers.len()
    }

    /// Looks soon. Gives the number of followers.
    pub fn trigger(&self, why: Trigger) -> usize {
        let mut state = self.state();
        state.due = Some(state.due.take().map_or(why.clone(), |due| due.or(why)));
        self.bell.notify_one();
        state.followers.len()
    }

    /// Looks soon, and tells this Application of the outcome in any case.
    pub fn ask(&self, application: &ObjectKey, why: Trigger) {
        let mut state = self.state();
        let asked = state.askers.remove(application).map_or(why.clone(), |asked| asked.or(why));
        state.askers.insert(application.clone(), asked);
        self.bell.notify_one();
    }

    fn access(&self) -> Access {
        (self.options.access)(&self.location, Purpose::Read)
    }

    /// The branch that a remote's HEAD names, or that is checked out. Blocking.
    ///
    /// # Errors
    /// When the repository cannot be read or has none.
    pub fn default_branch(&self) -> Result<String, OpenError> {
        let opened = self.opened()?;
        match &opened.remote {
            Some(remote) => Ok(remote.default_branch(&self.access(), &self.options.tools)?),
            None => Ok(opened.scout().current_branch()?),
        }
    }

    /// Whether what is here may be older than what the first fetch will bring.
    pub fn awaits_first_fetch(&self) -> bool {
        matches!(self.location, RepoLocation::Remote(_)) && !self.state().is_fetched
    }

    /// The repository, opened at the first call. Blocking.
    ///
    /// # Errors
    /// When it cannot be opened; the next call tries again.
    pub fn opened(&self) -> Result<&Opened, OpenError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let bell = self.bell.clone();
        // The look that the bell starts finds out itself that it was a commit.
        let opened = Opened::open(&self.location, &self.options, move || bell.notify_one())?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// Looks whenever the bell rings and once in a while, for as long as somebody follows the repository.
    pub(super) async fn run(upstream: Weak<Self>, bell: Arc<Notify>) {
        let mut next = Instant::now();
        let Some(interval) = upstream.upgrade().map(|upstream| upstream.options.poll_interval) else { return };
        next += jittered(interval, fastrand::f64());
        let mut pass_at = None;
        loop {
            let passing = async {
                match pass_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let (polled, passes) = tokio::select! {
                biased;
                () = passing => (false, true),
                () = bell.notified() => (false, false),
                () = sleep_until(next) => (true, false),
            };
            let Some(upstream) = upstream.upgrade() else { return };
            if passes {
                pass_at = None;
                upstream.pass().await;
                continue;
            }
            upstream.clone().look(polled).await;
            let failures = upstream.state().failures;
            let wait = match failures {
                0 => interval,
                n => RETRY.saturating_mul(1 << (n - 1).min(16)).min(interval),
            };
            next = Instant::now() + jittered(wait, fastrand::f64());
            if !upstream.state().passed.is_empty() {
                pass_at = pass_at.or(Some(Instant::now() + PASS_AFTER));
            }
        }
    }

    async fn look(self: Arc<Self>, polled: bool) {
        let (due, askers) = {
            let mut state = self.state();
            (state.due.take(), std::mem::take(&mut state.askers))
        };
        let why = due.unwrap_or(if polled { Trigger::Poll } else { Trigger::Commit });
        let fetched = if matches!(self.location, RepoLocation::Remote(_)) { self.fetch().await } else { Ok(()) };
        {
            let mut state = self.state();
            state.is_fetched |= fetched.is_ok();
            state.failures = if fetched.is_ok() { 0 } else { state.failures.saturating_add(1) };
        }
        if let Err(error) = fetched {
            let why = error.to_string();
            for follower in self.state().followers.values() {
                follower.inbox.unreadable(&why);
            }
            return;
        }
        blocking(move || self.tell(&why, &askers)).await;
    }

    /// Runs on a thread that may be left behind when the program ends.
    async fn fetch(self: &Arc<Self>) -> Result<(), OpenError> {
        let (done, outcome) = oneshot::channel();
        let wanted: BTreeSet<String> = self.state().followers.values().map(|f| f.target_revision.clone()).collect();
        let upstream = self.clone();
        let work = move || {
            let fetched = upstream.opened().and_then(|opened| match &opened.remote {
                Some(remote) => Ok(remote.fetch(&wanted, &upstream.access(), &upstream.options.tools)?),
                None => Ok(()),
            });
            drop(done.send(fetched));
        };
        if let Err(error) = thread::Builder::new().name("git-fetch".to_owned()).spawn(work) {
            tracing::warn!(%error, "no thread for a fetch");
        }
        outcome.await.unwrap_or(Err(OpenError::Remote(FetchError::Abandoned)))
    }

    /// Tells those that are beside what moved, a few at a time: each is a task that wakes.
    async fn pass(&self) {
        let mut all = {
            let mut state = self.state();
            let mut all = std::mem::take(&mut state.passed);
            // Those that have begun to follow something else meanwhile have other followers.
            let is_one = |follower: &Arc<Follower>| {
                let now = state.followers.get(&(follower.application.clone(), follower.index));
                now.is_some_and(|now| Arc::ptr_eq(now, follower))
            };
            all.retain(|(follower, _)| is_one(follower));
            all
        };
        while !all.is_empty() {
            pass(all.split_off(all.len().saturating_sub(FEW)));
            tokio::task::yield_now().await;
        }
    }

    /// Tells each follower what a look found: those first whose source moved.
    fn tell(&self, why: &Trigger, askers: &BTreeMap<ObjectKey, Trigger>) {
        let followers: Vec<Arc<Follower>> = self.state().followers.values().cloned().collect();
        let opened = match self.opened() {
            Ok(opened) => opened,
            Err(error) => {
                let why = error.to_string();
                return followers.iter().for_each(|follower| follower.inbox.unreadable(&why));
            }
        };
        let mut unmoved = Vec::new();
        let scout = opened.scout();
        let mut tips = HashMap::new();
        let told = std::mem::take(&mut self.state().told);
        let mut changed: HashMap<&str, Option<Vec<String>>> = HashMap::new();
        for follower in &followers {
            let asked = askers.get(&follower.application);
            let target = follower.target_revision.as_str();
            let tip = tip_of(&scout, &mut tips, follower);
            if let (Some(tip), Some(before), None) = (tip, told.get(target), asked) {
                let changed = changed.entry(target).or_insert_with(|| scout.changed_paths(*before, tip));
                if changed.as_ref().is_some_and(|changed| follower.is_beside(changed)) {
                    unmoved.push((follower, tip));
                    continue;
                }
            }
            match position(&scout, tip, follower) {
                Ok(now) if asked.is_none() && follower.is_settled(now.content) => unmoved.push((follower, now.commit)),
                // What cannot be resolved is found out, and told of, by the one whom it concerns.
                Ok(_) | Err(_) => follower.inbox.look(asked.unwrap_or(why).clone()),
            }
        }
        let mut passed: Vec<_> = unmoved.into_iter().map(|(follower, commit)| (follower.clone(), commit)).collect();
        if followers.len() <= FEW {
            pass(passed.drain(..));
        }
        let told = tips.into_iter().filter_map(|(target, tip)| Some((target.to_owned(), tip?))).collect();
        let mut state = self.state();
        (state.passed, state.told) = (passed, told);
    }

    /// Brings the commits of a pull request here, which the host keeps at the ref `from`. Those of a repository on this
    /// machine are there. Blocking.
    ///
    /// # Errors
    /// When the remote cannot be read.
    pub fn fetch_pull(&self, from: &str, number: u64) -> Result<(), OpenError> {
        let spec = format!("+{from}:refs/windlass/pull/{number}");
        match &self.opened()?.remote {
            Some(remote) => Ok(remote.fetch_spec(&spec, &self.access(), &self.options.tools)?),
            None => Ok(()),
        }
    }

    /// Gives a remote what the copy's `reference` is at. Where the remote has gone another way meanwhile, `join` is given the
    /// repository and the remote's tip, and is to make the reference follow it. Blocking.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses.
    pub fn push(
        &self,
        reference: &str,
        join: impl Fn(&Repository, Oid) -> Result<(), git2::Error>,
    ) -> Result<(), OpenError> {
        let opened = self.opened()?;
        let Some(remote) = &opened.remote else { return Ok(()) };
        let access = (self.options.access)(&self.location, Purpose::Write);
        let mut tries = 3;
        loop {
            tries -= 1;
            let theirs = remote.tip(reference, &access, &self.options.tools)?;
            let ours = opened.scout().repository().refname_to_id(reference).ok();
            if ours.is_none() || ours == theirs {
                return Ok(());
            }
            if let Some(theirs) = theirs {
                let here = "refs/windlass/theirs";
                remote.fetch_spec(&format!("+{reference}:{here}"), &access, &self.options.tools)?;
                let scout = opened.scout();
                let repository = scout.repository();
                let follows = ours.is_some_and(|ours| repository.graph_descendant_of(ours, theirs).unwrap_or_default());
                if !follows {
                    join(repository, theirs).map_err(|source| scout.failed(source))?;
                }
            }
            match remote.push(reference, &access, &self.options.tools) {
                // Somebody else was faster.
                Err(_) if tries > 0 => {}
                pushed => return Ok(pushed?),
            }
        }
    }

    /// The newest commit that a branch and another commit have in common. Blocking.
    ///
    /// # Errors
    /// When there is none, or one of them does not exist.
    pub fn fork_point(&self, branch: &str, commit: Oid) -> Result<Oid, OpenError> {
        let scout = self.opened()?.scout();
        let tip = scout.tip(branch)?;
        Ok(scout.repository().merge_base(tip, commit).map_err(|source| scout.failed(source))?)
    }

    /// Where the follower's source is now. Blocking.
    ///
    /// # Errors
    /// When the repository cannot be read or has no such revision.
    pub fn position(&self, follower: &Follower) -> Result<Position, OpenError> {
        let scout = self.opened()?.scout();
        let commit = scout.tip(&follower.target_revision)?;
        Ok(follower.at(&scout, commit)?)
    }

    /// Where the follower's source was at a commit. Blocking.
    ///
    /// # Errors
    /// When there is no such commit.
    pub fn position_at(&self, follower: &Follower, commit: Oid) -> Result<Position, OpenError> {
        let scout = self.opened()?.scout();
        Ok(follower.at(&scout, commit)?)
    }

    /// Where the follower's source is at what a person names. Blocking.
    ///
    /// # Errors
    /// When the name means no commit.
    pub fn position_named(&self, follower: &Follower, name: &str) -> Result<Position, OpenError> {
        let scout = self.opened()?.scout();
        let commit = scout.resolve(name)?;
        Ok(follower.at(&scout, commit)?)
    }
}

fn pass(followers: impl IntoIterator<Item = (Arc<Follower>, Oid)>) {
    for (follower, commit) in followers {
        follower.inbox.passed(follower.index, commit);
    }
}

/// Many followers have the same target revision: it is looked up once.
fn tip_of<'a>(scout: &Mirror, tips: &mut HashMap<&'a str, Option<Oid>>, follower: &'a Follower) -> Option<Oid> {
    let target = follower.target_revision.as_str();
    *tips.entry(target).or_insert_with(|| scout.tip(target).ok())
}

/// Where the follower's source is when what it follows is at `tip`.
fn position(scout: &Mirror, tip: Option<Oid>, follower: &Follower) -> Result<Position, MirrorError> {
    let missing = || {
        let revision = follower.target_revision.clone();
        MirrorError::NoSuchTarget { revision, repository: String::new() }
    };
    follower.at(scout, tip.ok_or_else(missing)?)
}

//! The reports, put together: tasks, jobs and limiters as nodes, and what each waits for.
//!
//! Where a task or a thread waits, its waker is kept; the target of the waker says which task or which parked job it is. So an
//! edge leads from the node of that waker to what keeps it.
//!
//! A node is *open*, so no deadlock goes through it, unless all that can let it go on is known:
//! - a task: it isn't ready and has no timer, and no more wakers of it exist than were found;
//! - a job: its thread is parked in one wait that was found;
//! - a limiter: all tokens are out, each held by a job whose thread is parked.

use crate::dump::ask::{LoopState, LoopStatus, Reports};
use crate::dump::{Cycle, Party, Wait};
use crate::event_loop::report::TaskReport;
use crate::event_loop::task_waker::MAIN_KEY;
use crate::observe::wait_graph::{Circle, WaitGraph};
use crate::pool::report::ParkedJob;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What makes a node the same one in two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NodeId {
    /// The loop's address, and the task's key and number.
    Task(usize, u32, u64),
    /// The job's address, and since when it is parked.
    Job(usize, Instant),
    /// The limiter's address.
    Limiter(usize),
}

/// What makes a wait the same one in two pictures: what waits for what, and at which places in line, if it is for a token. A
/// place, a task and a park are never given twice, and none of these waits begins again after it has ended. So if two
/// pictures have it, it was there throughout.
pub(super) type WaitId = (NodeId, NodeId, Vec<u64>);

pub(super) struct Picture {
    pub(super) reports: Reports,
    graph: WaitGraph,
    ids: Vec<NodeId>,
    pub(super) parties: Vec<Party>,
    /// What each node waits for that is no node.
    others: Vec<Vec<Party>>,
    /// The nodes of tasks, by loop and key.
    tasks: BTreeMap<(usize, u32), usize>,
    /// The nodes of the targets of wakers.
    wakers: BTreeMap<usize, usize>,
    /// The nodes of the limiters, by address.
    limiters: BTreeMap<usize, usize>,
    /// The places in line at which the first node waits for the second.
    places: BTreeMap<(usize, usize), Vec<u64>>,
    /// How many wakers of the node were found.
    found: Vec<usize>,
}

impl Picture {
    pub(super) fn of(reports: Reports) -> Self {
        let mut picture = Self {
            reports: Reports::default(),
            graph: WaitGraph::default(),
            ids: Vec::new(),
            parties: Vec::new(),
            others: Vec::new(),
            tasks: BTreeMap::new(),
            wakers: BTreeMap::new(),
            limiters: BTreeMap::new(),
            places: BTreeMap::new(),
            found: Vec::new(),
        };
        picture.add_tasks(&reports.loops);
        let jobs = picture.add_jobs(&reports);
        picture.add_waits_for_tasks(&reports.loops);
        picture.add_waits_for_jobs(&jobs);
        picture.add_limiters(&reports, &jobs);
        picture.close(&reports.loops, &jobs);
        picture.reports = reports;
        picture
    }

    fn add(&mut self, id: NodeId, party: Party) -> usize {
        self.ids.push(id);
        self.parties.push(party);
        self.others.push(Vec::new());
        self.found.push(0);
        self.graph.add()
    }

    fn add_tasks(&mut self, loops: &[LoopState]) {
        for (of, task) in tasks(loops) {
            let thread = of.thread.clone();
            let party = if task.key == MAIN_KEY {
                Party::Main {
                    entered_at: task.spawned_at,
                    thread,
                }
            } else {
                Party::Task {
                    spawned_at: task.spawned_at,
                    thread,
                }
            };
            let node = self.add(NodeId::Task(of.address, task.key, task.number), party);
            self.tasks.insert((of.address, task.key), node);
            self.wakers
                .extend(task.waker.map(|(target, _)| (target, node)));
        }
    }

    /// The jobs whose threads are parked, and their nodes.
    fn add_jobs<'a>(&mut self, reports: &'a Reports) -> Vec<(&'a ParkedJob, usize)> {
        let workers = reports.pools.iter().flat_map(|pool| &pool.workers);
        let with_node = |parked: &'a ParkedJob| {
            let id = NodeId::Job(parked.address, parked.since);
            let submitted_at = parked.submitted_at;
            let node = self.add(id, Party::Job { submitted_at });
            self.wakers.insert(parked.waker, node);
            (parked, node)
        };
        let parked = workers.filter_map(|worker| worker.parked.as_ref());
        parked.map(with_node).collect()
    }

    /// The node of this waker waits for the node `on`.
    fn add_wait(&mut self, waker: usize, on: usize) -> Option<usize> {
        let from = *self.wakers.get(&waker)?;
        self.found[from] += 1;
        self.graph.add_wait(from, on);
        Some(from)
    }

    fn add_waits_for_tasks(&mut self, loops: &[LoopState]) {
        for of in loops {
            let LoopStatus::Described(report) = &of.status else {
                continue;
            };
            for task in &report.tasks {
                let from = self.tasks[&(of.address, task.key)];
                for key in &task.joins {
                    if let Some(&on) = self.tasks.get(&(of.address, *key)) {
                        self.graph.add_wait(from, on);
                    }
                }
            }
            for (waker, key) in &report.awaited {
                if let Some(&on) = self.tasks.get(&(of.address, *key)) {
                    self.add_wait(*waker, on);
                }
            }
        }
    }

    fn add_waits_for_jobs(&mut self, jobs: &[(&ParkedJob, usize)]) {
        for (parked, on) in jobs {
            if let Some(waker) = parked.report.waiter {
                self.add_wait(waker, *on);
            }
        }
    }

    fn add_limiters(&mut self, reports: &Reports, jobs: &[(&ParkedJob, usize)]) {
        let mut holders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (parked, job) in jobs {
            if let Some(limiter) = parked.report.limiter {
                holders.entry(limiter).or_default().push(*job);
            }
        }
        for limiter in &reports.limiters {
            let total = limiter.total;
            let node = self.add(NodeId::Limiter(limiter.address), Party::Limiter { total });
            self.limiters.insert(limiter.address, node);
            let known = holders.remove(&limiter.address).unwrap_or_default();
            if limiter.borrowed < total || limiter.borrowed > known.len() {
                self.graph.set_open(node);
            }
            for job in known {
                self.graph.add_wait(node, job);
            }
            for (place, waker) in &limiter.line {
                if let Some(from) = self.add_wait(*waker, node) {
                    self.places.entry((from, node)).or_default().push(*place);
                }
            }
        }
    }

    /// Finds out which tasks and jobs are open, and what they wait for that is no node.
    fn close(&mut self, loops: &[LoopState], jobs: &[(&ParkedJob, usize)]) {
        for (of, task) in tasks(loops) {
            let node = self.tasks[&(of.address, task.key)];
            let wakers = task.waker.map_or(0, |(_, wakers)| wakers);
            let mut unknown = wakers.saturating_sub(self.found[node]);
            if task.is_ready {
                self.graph.set_open(node);
                continue;
            }
            if task.waker.is_none() || unknown > 0 || task.has_timer {
                self.graph.set_open(node);
            }
            if task.has_timer {
                self.others[node].push(Party::Timer);
            }
            if let Some(submitted_at) = task.job.filter(|_| unknown > 0) {
                self.others[node].push(Party::Job { submitted_at });
                unknown -= 1;
            }
            let is_nothing_known = self.waits_of(node).next().is_none();
            if unknown > 0 || is_nothing_known {
                self.others[node].push(Party::Other);
            }
        }
        for (_, node) in jobs {
            if self.found[*node] == 0 {
                self.graph.set_open(*node);
                self.others[*node].push(Party::Other);
            }
        }
    }

    /// Whether the loop with this address has answered.
    pub(super) fn describes(&self, address: usize) -> bool {
        let is_this = |of: &&LoopState| of.address == address;
        let of = self.reports.loops.iter().find(is_this);
        of.is_some_and(|of| matches!(of.status, LoopStatus::Described(_)))
    }

    /// What the node waits for.
    fn waits_of(&self, node: usize) -> impl Iterator<Item = &Party> {
        let nodes = self.graph.waits_of(node).iter();
        nodes.map(|on| &self.parties[*on]).chain(&self.others[node])
    }

    /// What the task waits for. Empty if it is ready.
    pub(super) fn waits_of_task(&self, of: &LoopState, key: u32) -> impl Iterator<Item = &Party> {
        self.waits_of(self.tasks[&(of.address, key)])
    }

    /// The parked jobs that hold tokens of the limiter.
    pub(super) fn holders(&self, limiter: usize) -> impl Iterator<Item = &Party> {
        let node = self.limiters.get(&limiter).into_iter();
        let holders = node.flat_map(|node| self.graph.waits_of(*node));
        holders.map(|job| &self.parties[*job])
    }

    /// What waits with a waker of this target.
    pub(super) fn party_of(&self, waker: usize) -> &Party {
        match self.wakers.get(&waker) {
            Some(node) => &self.parties[*node],
            None => &Party::Other,
        }
    }

    pub(super) fn waits(&self) -> Vec<Wait> {
        let mut counts: BTreeMap<(&Party, &Party), usize> = BTreeMap::new();
        for (node, from) in self.parties.iter().enumerate() {
            for on in self.waits_of(node) {
                *counts.entry((from, on)).or_default() += 1;
            }
        }
        let counts = counts.into_iter();
        let wait = |((from, on), count): ((&Party, &Party), usize)| Wait {
            from: from.clone(),
            on: on.clone(),
            count,
        };
        counts.map(wait).collect()
    }

    pub(super) fn cycles(&self) -> Vec<Cycle> {
        let circles = self.graph.circles().into_iter();
        let cycle = |circle: Circle| Cycle {
            waits: self.waits_within(&circle.nodes),
            is_deadlock: circle.is_knot,
            identity: self.identity(&circle),
        };
        circles.map(cycle).collect()
    }

    /// The waits between these nodes, from the first one on. Those that are alike are one.
    fn waits_within(&self, nodes: &[usize]) -> Vec<Wait> {
        let within: BTreeSet<usize> = nodes.iter().copied().collect();
        let mut unseen = within.clone();
        unseen.remove(&nodes[0]);
        let mut order = vec![nodes[0]];
        let mut waits: Vec<Wait> = Vec::new();
        let mut alike: BTreeMap<(&Party, &Party), usize> = BTreeMap::new();
        let mut next = 0;
        while let Some(&from) = order.get(next) {
            next += 1;
            for &on in self.graph.waits_of(from) {
                if !within.contains(&on) {
                    continue;
                }
                if unseen.remove(&on) {
                    order.push(on);
                }
                let (from, on) = (&self.parties[from], &self.parties[on]);
                let index = *alike.entry((from, on)).or_insert(waits.len());
                if index == waits.len() {
                    let (from, on) = (from.clone(), on.clone());
                    waits.push(Wait { from, on, count: 0 });
                }
                waits[index].count += 1;
            }
        }
        waits
    }

    fn identity(&self, circle: &Circle) -> BTreeSet<WaitId> {
        let within: BTreeSet<_> = circle.nodes.iter().copied().collect();
        let waits_of = |&from: &usize| self.graph.waits_of(from).iter().map(move |on| (from, *on));
        let waits = circle.nodes.iter().flat_map(waits_of);
        let wait_id = |(from, on): (usize, usize)| {
            let places = self.places.get(&(from, on)).cloned().unwrap_or_default();
            (self.ids[from], self.ids[on], places)
        };
        waits
            .filter(|(_, on)| within.contains(on))
            .map(wait_id)
            .collect()
    }

    /// The circles that are knots.
    pub(super) fn knots(&self) -> BTreeSet<BTreeSet<WaitId>> {
        let circles = self.graph.circles().into_iter();
        let knots = circles.filter(|circle| circle.is_knot);
        knots.map(|circle| self.identity(&circle)).collect()
    }
}

/// All tasks that were described.
fn tasks(loops: &[LoopState]) -> impl Iterator<Item = (&LoopState, &TaskReport)> {
    loops.iter().flat_map(|of| {
        let report = match &of.status {
            LoopStatus::Described(report) => Some(report),
            _ => None,
        };
        let tasks = report.into_iter().flat_map(|report| &report.tasks);
        tasks.map(move |task| (of, task))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::report::LimiterReport;
    use crate::event_loop::report::LoopReport;
    use crate::pool::job::JobReport;
    use crate::pool::report::{PoolReport, WorkerReport};
    use crate::sync::Arc;
    use std::panic::Location;

    /// A job that holds the only token of a limiter and joins a task, which waits for the token at this place.
    fn knots(task: u64, since: Instant, place: u64) -> BTreeSet<BTreeSet<WaitId>> {
        let task = TaskReport {
            number: task,
            waker: Some((10, 1)),
            ..TaskReport::new(0, Location::caller(), false)
        };
        let report = LoopReport {
            tasks: vec![task],
            awaited: vec![(20, 0)],
            polling: None,
        };
        let parked = ParkedJob {
            what: "join",
            since,
            waker: 20,
            address: 30,
            submitted_at: Location::caller(),
            report: JobReport {
                waiter: None,
                limiter: Some(40),
            },
        };
        let worker = WorkerReport {
            name: String::new(),
            job: None,
            parked: Some(parked),
            doing: None,
        };
        let reports = Reports {
            loops: vec![LoopState {
                address: 50,
                thread: String::new(),
                status: LoopStatus::Described(Arc::new(report)),
            }],
            pools: vec![PoolReport {
                name: String::new(),
                max_threads: 1,
                queued: 0,
                idle: 0,
                workers: vec![worker],
            }],
            limiters: vec![LimiterReport {
                address: 40,
                total: 1,
                borrowed: 1,
                line: vec![(place, 10)],
            }],
        };
        Picture::of(reports).knots()
    }

    #[test]
    fn a_knot_is_the_same_if_each_wait_in_it_is() {
        let since = crate::sync::now();
        let later = since + std::time::Duration::from_nanos(1);
        let before = knots(1, since, 7);
        assert_eq!(before.len(), 1);
        assert_eq!(before, knots(1, since, 7));
        for other in [knots(2, since, 7), knots(1, later, 7), knots(1, since, 8)] {
            assert_eq!(other.len(), 1);
            assert_ne!(before, other);
        }
    }
}

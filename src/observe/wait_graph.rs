//! What waits for what, as a graph of numbers, and the circles in it.
//!
//! ```text
//!   a node waits for others         it goes on as soon as one of them has
//!   a node is *open*                something beside these may let it go on
//!   a circle                        each of its nodes waits for each other one, directly or through others
//!   a knot: a deadlock              a circle without an open node, whose nodes wait for nothing outside of it
//! ```
//!
//! The search for deadlocks of tokens and the dump both fill it: with waits that calls have recorded, or with all that a
//! dump has seen.

#[derive(Default)]
pub(crate) struct WaitGraph {
    nodes: Vec<GraphNode>,
}

#[derive(Default)]
struct GraphNode {
    waits_for: Vec<usize>,
    is_open: bool,
}

pub(crate) struct Circle {
    pub(crate) nodes: Vec<usize>,
    pub(crate) is_knot: bool,
}

impl WaitGraph {
    /// Returns the number of the new node.
    pub(crate) fn add(&mut self) -> usize {
        self.nodes.push(GraphNode::default());
        self.nodes.len() - 1
    }

    pub(crate) fn set_open(&mut self, node: usize) {
        self.nodes[node].is_open = true;
    }

    pub(crate) fn add_wait(&mut self, from: usize, on: usize) {
        self.nodes[from].waits_for.push(on);
    }

    /// What the node waits for.
    pub(crate) fn waits_of(&self, node: usize) -> &[usize] {
        &self.nodes[node].waits_for
    }

    /// Whether all nodes are in one knot.
    pub(crate) fn is_one_knot(&self) -> bool {
        match self.circles().as_slice() {
            [circle] => circle.is_knot && circle.nodes.len() == self.nodes.len(),
            _ => false,
        }
    }

    /// Its circles: the strongly connected components, by Kosaraju's algorithm.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let mut waited_by = vec![Vec::new(); self.nodes.len()];
        for (from, node) in self.nodes.iter().enumerate() {
            for &on in &node.waits_for {
                waited_by[on].push(from);
            }
        }
        let mut circle_of = vec![usize::MAX; self.nodes.len()];
        let mut circles = Vec::new();
        for first in self.by_end().into_iter().rev() {
            if circle_of[first] != usize::MAX {
                continue;
            }
            let number = circles.len();
            circle_of[first] = number;
            let mut members = vec![first];
            let mut next = 0;
            while let Some(&member) = members.get(next) {
                next += 1;
                for &from in &waited_by[member] {
                    if circle_of[from] == usize::MAX {
                        circle_of[from] = number;
                        members.push(from);
                    }
                }
            }
            circles.push(members);
        }
        let circles = circles.into_iter().zip(0..);
        circles
            .filter(|(members, _)| self.is_circle(members))
            .map(|(nodes, number)| {
                let stays = |node: &usize| {
                    let GraphNode { waits_for, is_open } = &self.nodes[*node];
                    !is_open && waits_for.iter().all(|&on| circle_of[on] == number)
                };
                let is_knot = nodes.iter().all(stays);
                Circle { nodes, is_knot }
            })
            .collect()
    }

    fn is_circle(&self, members: &[usize]) -> bool {
        members.len() > 1
            || members
                .iter()
                .any(|node| self.waits_of(*node).contains(node))
    }

    /// All nodes, in the order in which a depth-first walk leaves them.
    fn by_end(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.nodes.len()];
        for first in 0..self.nodes.len() {
            if std::mem::replace(&mut seen[first], true) {
                continue;
            }
            let mut path = vec![(first, 0)];
            while let Some((node, next)) = path.last_mut() {
                match self.nodes[*node].waits_for.get(*next) {
                    Some(&on) => {
                        *next += 1;
                        if !std::mem::replace(&mut seen[on], true) {
                            path.push((on, 0));
                        }
                    }
                    None => {
                        order.push(*node);
                        path.pop();
                    }
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, waits: &[(usize, usize)]) -> WaitGraph {
        let mut graph = WaitGraph::default();
        for _ in 0..nodes {
            graph.add();
        }
        waits
            .iter()
            .for_each(|&(from, on)| graph.add_wait(from, on));
        graph
    }

    /// The circles, and whether each is a knot.
    fn found(graph: &WaitGraph) -> Vec<(Vec<usize>, bool)> {
        let mut found: Vec<_> = graph
            .circles()
            .into_iter()
            .map(|Circle { mut nodes, is_knot }| {
                nodes.sort_unstable();
                (nodes, is_knot)
            })
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_chain_has_no_circle_and_a_ring_is_one() {
        assert_eq!(found(&graph(3, &[(0, 1), (1, 2)])), []);
        let ring = graph(3, &[(0, 1), (1, 2), (2, 0)]);
        assert_eq!(found(&ring), [(vec![0, 1, 2], true)]);
        assert!(ring.is_one_knot());
        assert_eq!(found(&graph(1, &[(0, 0)])), [(vec![0], true)]);
    }

    #[test]
    fn a_circle_with_a_way_out_is_no_knot() {
        let out = graph(3, &[(0, 1), (1, 0), (1, 2)]);
        assert_eq!(found(&out), [(vec![0, 1], false)]);
        let mut open = graph(2, &[(0, 1), (1, 0)]);
        open.set_open(1);
        assert_eq!(found(&open), [(vec![0, 1], false)]);
    }

    #[test]
    fn what_waits_for_a_knot_is_not_in_it() {
        let tail = graph(4, &[(0, 1), (1, 2), (2, 1), (3, 3)]);
        assert_eq!(found(&tail), [(vec![1, 2], true), (vec![3], true)]);
        assert!(!tail.is_one_knot());
    }

    #[test]
    fn two_rings_that_share_a_node_are_one_circle() {
        let eight = graph(3, &[(0, 1), (1, 0), (0, 2), (2, 0)]);
        assert_eq!(found(&eight), [(vec![0, 1, 2], true)]);
    }
}

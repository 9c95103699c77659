//! Steps and their dependencies as a directed graph: order, levels, critical path.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::domain::SubTask;

/// Orders the nodes `0..needs.len()` so that each comes after all that it needs (Kahn, 1962).
///
/// Among those that could come next, the one with the lowest `rank` does, so that an order that holds
/// already is kept. `needs[i]` lists what node `i` needs; all entries must be below `needs.len()`.
///
/// # Errors
/// The nodes on cycles (and on paths from one cycle to another), ascending.
pub fn topological_order(needs: &[Vec<usize>], rank: &[i64]) -> Result<Vec<usize>, Vec<usize>> {
    let mut needed_by = vec![Vec::new(); needs.len()];
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (node, needed) in needs.iter().enumerate() {
        for &other in needed {
            needed_by[other].push(node);
        }
    }
    let mut ready: BinaryHeap<Reverse<(i64, usize)>> =
        (0..needs.len()).filter(|&node| open[node] == 0).map(|node| Reverse((rank[node], node))).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse((_, node))) = ready.pop() {
        order.push(node);
        for &next in &needed_by[node] {
            open[next] -= 1;
            if open[next] == 0 {
                ready.push(Reverse((rank[next], next)));
            }
        }
    }
    if order.len() == needs.len() { Ok(order) } else { Err(on_cycles(needs, &needed_by, &order)) }
}

/// What is left of the nodes that are not in `order` once those that nothing left needs are gone.
fn on_cycles(needs: &[Vec<usize>], needed_by: &[Vec<usize>], order: &[usize]) -> Vec<usize> {
    let mut left = vec![true; needs.len()];
    for &node in order {
        left[node] = false;
    }
    let mut open: Vec<usize> =
        needed_by.iter().map(|by| by.iter().filter(|&&node| left[node]).count()).collect();
    let mut loose: Vec<usize> = (0..needs.len()).filter(|&node| left[node] && open[node] == 0).collect();
    while let Some(node) = loose.pop() {
        left[node] = false;
        for &other in needs[node].iter().filter(|&&other| left[other]) {
            open[other] -= 1;
            if open[other] == 0 {
                loose.push(other);
            }
        }
    }
    (0..needs.len()).filter(|&node| left[node]).collect()
}

/// The steps by level: a step's level is one above the highest of those it depends on.
///
/// `steps` must be numbered from 1 in order, with dependencies on earlier steps only.
pub fn levels(steps: &[SubTask]) -> Vec<Vec<u32>> {
    let mut levels: Vec<Vec<u32>> = Vec::new();
    let mut level_of = Vec::with_capacity(steps.len());
    for step in steps {
        let level = step.depends_on.iter().map(|&d| level_of[d as usize - 1] + 1).max().unwrap_or(0);
        level_of.push(level);
        if levels.len() <= level {
            levels.push(Vec::new());
        }
        levels[level].push(step.step);
    }
    levels
}

/// The chain of dependencies that takes longest, and its duration in seconds.
///
/// Among chains of one length, the one through the lower step numbers. `steps` as for [`levels`].
pub fn critical_path(steps: &[SubTask]) -> (Vec<u32>, u64) {
    // For each step: when it can be done at the earliest, and what it waits for last.
    let mut done: Vec<(u64, Option<usize>)> = Vec::with_capacity(steps.len());
    for step in steps {
        let (start, waits_for) = step
            .depends_on
            .iter()
            .map(|&d| d as usize - 1)
            .map(|d| (done[d].0, Some(d)))
            .max_by_key(|&(end, d)| (end, Reverse(d)))
            .unwrap_or((0, None));
        done.push((start + u64::from(step.estimated_duration_seconds), waits_for));
    }
    let Some(mut at) = (0..done.len()).max_by_key(|&i| (done[i].0, Reverse(i))) else {
        return (Vec::new(), 0);
    };
    let seconds = done[at].0;
    let mut path = vec![steps[at].step];
    while let Some(before) = done[at].1 {
        at = before;
        path.push(steps[at].step);
    }
    path.reverse();
    (path, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(needs: &[&[usize]]) -> Result<Vec<usize>, Vec<usize>> {
        let needs: Vec<Vec<usize>> = needs.iter().map(|n| n.to_vec()).collect();
        let rank: Vec<i64> = (0..needs.len() as i64).collect();
        topological_order(&needs, &rank)
    }

    fn steps(shape: &[(u32, &[u32])]) -> Vec<SubTask> {
        shape
            .iter()
            .enumerate()
            .map(|(i, (seconds, needs))| SubTask {
                step: i as u32 + 1,
                action: format!("step {i}"),
                required_arm: "coder".into(),
                acceptance_criteria: vec!["done".into()],
                depends_on: needs.to_vec(),
                estimated_cost_tier: 1,
                estimated_duration_seconds: *seconds,
            })
            .collect()
    }

    #[test]
    fn an_order_that_holds_is_kept() {
        assert_eq!(order(&[&[], &[0], &[0], &[1, 2]]), Ok(vec![0, 1, 2, 3]));
        assert_eq!(order(&[]), Ok(vec![]));
    }

    #[test]
    fn dependencies_on_later_nodes_are_moved_before() {
        assert_eq!(order(&[&[2], &[], &[]]), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn only_the_nodes_on_a_cycle_are_named() {
        // 0 → 1 ⇄ 2 → 3: the first and the last are not part of the cycle.
        assert_eq!(order(&[&[], &[0, 2], &[1], &[2]]), Err(vec![1, 2]));
        assert_eq!(order(&[&[0]]), Err(vec![0]));
    }

    #[test]
    fn steps_of_one_level_can_run_in_parallel() {
        let diamond = steps(&[(1, &[]), (1, &[1]), (1, &[1]), (1, &[2, 3])]);
        assert_eq!(levels(&diamond), vec![vec![1], vec![2, 3], vec![4]]);
        assert_eq!(levels(&[]), Vec::<Vec<u32>>::new());
    }

    #[test]
    fn the_critical_path_is_the_longest_chain() {
        let diamond = steps(&[(20, &[]), (60, &[1]), (45, &[1]), (90, &[2, 3])]);
        assert_eq!(critical_path(&diamond), (vec![1, 2, 4], 170));
        let tie = steps(&[(10, &[]), (5, &[1]), (5, &[1]), (1, &[2, 3])]);
        assert_eq!(critical_path(&tie), (vec![1, 2, 4], 16));
        let apart = steps(&[(10, &[]), (50, &[])]);
        assert_eq!(critical_path(&apart), (vec![2], 50));
        assert_eq!(critical_path(&[]), (vec![], 0));
    }
}

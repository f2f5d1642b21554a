//! What came of experiments of scaling, as tables of text and as JSON.
//! It computes means; what they are means of was judged before.

use scale::simulate::{Verdict, mean};

use super::scale::Group;
use crate::cli::Paint;
use crate::cli::table::{Align, Cell, Table};

/// Below the tables: what the columns are.
const LEGEND: &str = "\
COST      instance-hours ÷ the oracle's + BAD ÷ 2 + REVERSALS ÷ 60; 1.00 is perfect
BAD       requests that waited for more than 250 ms, were refused or were lost
HOURS     instance-hours, starting and draining included, ÷ those of an oracle without start-up
θU θO     what was missing, and what was too much, in percent of the demand
τU τO     the time in which something was missing, or too much
REV/H     changes of the desired number in the other direction, per hour; CHG/H: all changes
RECOVER   the longest time in which more than 1 of 20 requests was bad, in seconds
COLD      starts that somebody waited for";

const COLUMNS: [(&str, Align); 12] = [
    ("POLICY", Align::Left),
    ("COST", Align::Right),
    ("BAD", Align::Right),
    ("HOURS", Align::Right),
    ("θU", Align::Right),
    ("θO", Align::Right),
    ("τU", Align::Right),
    ("τO", Align::Right),
    ("REV/H", Align::Right),
    ("CHG/H", Align::Right),
    ("RECOVER", Align::Right),
    ("COLD", Align::Right),
];

/// A table for each group, one for all of them together, and how the first policy compares.
pub(super) fn text(groups: &[Group], paint: Paint) -> String {
    let mut text = String::new();
    for group in groups {
        let heading = heading(group);
        let mut table = Table::new(&COLUMNS);
        for cells in &group.cells {
            table.row(row(&cells.policy, &cells.verdicts));
        }
        text += &format!("{}\n{}\n", paint.bold(&heading), table.render(paint));
    }
    if groups.len() > 1 {
        let mut table = Table::new(&COLUMNS);
        for (policy, verdicts) in by_policy(groups) {
            table.row(row(&policy, &verdicts));
        }
        text += &format!("{}\n{}\n", paint.bold("all of them"), table.render(paint));
    }
    if let Some(comparison) = comparison(groups) {
        text += &format!("{comparison}\n\n");
    }
    text + LEGEND
}

pub(super) fn heading(group: &Group) -> String {
    format!("{}: {}; a start takes {:?}", group.name, group.about, group.start_up)
}

/// One JSON object per experiment.
pub(super) fn json(groups: &[Group], seeds: &[u64]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups {
        for cells in &group.cells {
            for (seed, verdict) in seeds.iter().zip(&cells.verdicts) {
                let object = serde_json::json!({
                    "load": group.name,
                    "start_up_s": group.start_up.as_secs_f64(),
                    "policy": cells.policy,
                    "seed": seed,
                    "cost": verdict.cost,
                    "bad_percent": verdict.bad_percent,
                    "instance_h": verdict.instance_h,
                    "oracle_h": verdict.oracle_h,
                    "theta_under_percent": verdict.theta_under,
                    "theta_over_percent": verdict.theta_over,
                    "tau_under_percent": verdict.tau_under,
                    "tau_over_percent": verdict.tau_over,
                    "reversals_per_h": verdict.reversals_per_h,
                    "changes_per_h": verdict.changes_per_h,
                    "recover_s": verdict.recover_s,
                    "awaited_starts": verdict.awaited,
                });
                lines.push(object.to_string());
            }
        }
    }
    lines
}

fn row(policy: &str, verdicts: &[Verdict]) -> Vec<Cell> {
    let mean = mean(verdicts);
    let count = verdicts.len().max(1) as f64;
    let hours = verdicts.iter().map(hours).sum::<f64>() / count;
    vec![
        policy.into(),
        format!("{:.2}", mean.cost).into(),
        format!("{:.2} %", mean.bad_percent).into(),
        format!("{hours:.2}").into(),
        format!("{:.1}", mean.theta_under).into(),
        format!("{:.1}", mean.theta_over).into(),
        format!("{:.1}", mean.tau_under).into(),
        format!("{:.1}", mean.tau_over).into(),
        format!("{:.1}", mean.reversals_per_h).into(),
        format!("{:.1}", mean.changes_per_h).into(),
        format!("{:.0} s", mean.recover_s).into(),
        format!("{:.1}", mean.awaited).into(),
    ]
}

fn hours(verdict: &Verdict) -> f64 {
    verdict.instance_h / verdict.oracle_h.max(f64::MIN_POSITIVE)
}

/// All verdicts of each policy.
fn by_policy(groups: &[Group]) -> Vec<(String, Vec<Verdict>)> {
    let Some(first) = groups.first() else { return Vec::new() };
    let of = |at: usize| groups.iter().flat_map(move |it| it.cells[at].verdicts.iter().copied());
    first.cells.iter().enumerate().map(|(at, it)| (it.policy.clone(), of(at).collect())).collect()
}

/// How the first policy compares with the best of the others; those that know the future, or
/// are the first one told more, are no others.
fn comparison(groups: &[Group]) -> Option<String> {
    let all = by_policy(groups);
    let (first, own) = all.first()?;
    let is_peer = |name: &str| {
        let is_own = first.starts_with("target") && name.starts_with("target");
        !is_own && !["oracle", "static"].contains(&name)
    };
    let peers: Vec<usize> = (1..all.len()).filter(|&at| is_peer(&all[at].0)).collect();
    let best = peers
        .iter()
        .copied()
        .min_by(|&a, &b| mean(&all[a].1).cost.total_cmp(&mean(&all[b].1).cost))?;
    let held = own.iter().enumerate().filter(|(cell, verdict)| {
        peers.iter().all(|&peer| verdict.cost <= 1.05 * all[peer].1[*cell].cost)
    });
    let (own_cost, best_cost) = (mean(own).cost, mean(&all[best].1).cost);
    Some(format!(
        "{first} costs {:.2} times what {} costs, the best of the others on average, and no more\n\
         than 1.05 times the best of them in {} of {} experiments.",
        own_cost / best_cost,
        all[best].0,
        held.count(),
        own.len(),
    ))
}

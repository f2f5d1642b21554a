//! What came of experiments of scaling as one page: tables, and a picture for each policy.
//! The page needs nothing from anywhere else.

use super::plot;
use super::scale::Group;
use super::table::{self, heading};
use crate::cli::{Failure, Paint};

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>herder simulate scale</title>
<style>
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; }
pre { overflow-x: auto; } svg { max-width: 100%; height: auto; } h3 { margin: 1em 0 0; }
</style>
<h1>herder simulate scale</h1>
<p>Grey: demand, in instances that are used to 70 %. Blue: ready instances. Orange: desired ones.
Red, at the bottom: more than 1 of 20 requests is bad.</p>
";

/// The page.
///
/// # Errors
/// When a picture cannot be made.
pub(super) fn page(groups: &[Group], seeds: &[u64]) -> Result<String, Failure> {
    let mut page = HEAD.to_owned();
    page += &format!("<pre>{}</pre>\n", escape(&table::text(groups, Paint::Plain)));
    let seed = seeds.first().map_or(0, |&seed| seed);
    for group in groups {
        page += &format!("<h2>{}</h2>\n", escape(&heading(group)));
        for cells in &group.cells {
            let cost = cells.verdicts.first().map_or(0.0, |verdict| verdict.cost);
            let policy = escape(&cells.policy);
            page += &format!("<h3>{policy}, seed {seed}: cost {cost:.2}</h3>\n");
            page += &plot::svg(&cells.course)?;
        }
    }
    Ok(page + "</html>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

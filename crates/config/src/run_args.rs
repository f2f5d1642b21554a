//! `herder run`: the same as a file with one service, without the file.
//! The flags are written down as such a file and read like one, so that nothing can differ; only
//! problems speak of flags.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::problem::{Problem, Problems};
use crate::report::Naming;
use crate::settings::Resolved;
use crate::tree::{join, within};
use crate::{defaults, value};

/// What can be said on the command line, as it was typed. What is absent has the file's default,
/// except for `min`, which is 2: a herd at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// `--name`: the service's name; `web` when absent.
    pub name: Option<String>,
    /// `--bind`: where Herder accepts requests.
    pub bind: Option<String>,
    /// `--min`: never fewer instances; 2 when absent, or `max` when that is less.
    pub min: Option<u32>,
    /// `--max`: never more instances.
    pub max: Option<u32>,
    /// `--health`: the path to probe; the port alone when absent.
    pub health: Option<String>,
    /// `--balance`: which instance gets a request.
    pub balance: Option<String>,
    /// `--drain`: how long requests may take to finish when an instance is stopped.
    pub drain: Option<String>,
    /// `--env`: variables for the instances, on top of Herder's own environment.
    pub env: BTreeMap<String, String>,
    /// `--ports`: the ports given to instances.
    pub ports: Option<String>,
    /// `--admin`: the loopback address of the admin API, or `off`.
    pub admin_bind: Option<String>,
    /// `--socket`: the Unix socket of the admin API.
    pub admin_socket: Option<String>,
    /// Program and arguments, taken as they are: no shell, no splitting.
    pub argv: Vec<String>,
}

/// The flag of each key that a flag can set; `*` is the service's name.
const FLAGS: [(&str, &str); 11] = [
    ("listener.web.bind", "--bind"),
    ("service.*.scale.min", "--min"),
    ("service.*.scale.max", "--max"),
    ("service.*.health", "--health"),
    ("service.*.balance", "--balance"),
    ("service.*.drain", "--drain"),
    ("service.*.env", "--env"),
    ("service.*.run", "COMMAND"),
    ("instances.ports", "--ports"),
    ("admin.bind", "--admin"),
    ("admin.socket", "--socket"),
];

impl RunArgs {
    /// What the flags ask for.
    ///
    /// # Errors
    /// Every problem, by its flag.
    pub fn resolve(&self) -> Result<Resolved, Problems> {
        crate::read(&self.written(), Naming::Flags(flag)).map_err(|problems| {
            let by_flag = |problem: Problem| Problem {
                at: None,
                key: flag(&problem.key).unwrap_or("--name").to_owned(),
                ..problem
            };
            Problems::new(Path::new(""), problems.into_iter().map(by_flag).collect())
        })
    }

    /// The file that says the same.
    fn written(&self) -> String {
        let name = self.name.as_deref().unwrap_or(defaults::NAME);
        let default_min = defaults::ScaleMinRun::default().get();
        let min = self
            .min
            .unwrap_or_else(|| self.max.map_or(default_min, |max| default_min.min(max.max(1))));
        let service = table([
            ("run", Some(json!(self.argv))),
            ("health", self.health.as_ref().map(|path| json!(path))),
            ("balance", self.balance.as_ref().map(|word| json!(word))),
            ("drain", self.drain.as_ref().map(|time| json!(time))),
            ("env", (!self.env.is_empty()).then(|| json!(self.env))),
            ("scale", Some(table([("min", Some(json!(min))), ("max", self.max.map(Value::from))]))),
        ]);
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let tables = [
            (join("listener", defaults::NAME), table([("bind", text(&self.bind))])),
            (join("service", name), service),
            ("instances".to_owned(), table([("ports", text(&self.ports))])),
            (
                "admin".to_owned(),
                table([("bind", text(&self.admin_bind)), ("socket", text(&self.admin_socket))]),
            ),
        ];
        let lines =
            tables.iter().map(|(path, keys)| format!("{path} = {}\n", value::toml_text(keys)));
        lines.collect()
    }
}

/// The keys that have a value.
fn table<const N: usize>(keys: [(&str, Option<Value>); N]) -> Value {
    let present = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

/// The flag that sets a key or something inside it.
fn flag(path: &str) -> Option<&'static str> {
    let place = match path.strip_prefix("service.") {
        Some(named) => format!("service.*{}", without_name(named)),
        None => path.to_owned(),
    };
    FLAGS.iter().find(|(key, _)| within(&place, key)).map(|&(_, flag)| flag)
}

/// What follows the first name of a path, which is quoted when it holds dots and the like.
fn without_name(path: &str) -> &str {
    let mut escaped = false;
    let closes = |c: char| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    };
    let rest = match path.strip_prefix('"') {
        Some(quoted) => quoted.split_once(closes).map(|(_, rest)| rest),
        None => path.find('.').map(|dot| &path[dot..]),
    };
    rest.unwrap_or("")
}

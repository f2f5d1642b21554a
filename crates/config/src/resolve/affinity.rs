//! Affinity of a service, from what is written to what is desired.
//! The secret is not read here; whoever starts Herder does that.

use model::{Affinity, Cookie, RouteRule, SameSite, Secret};

use crate::report::Report;
use crate::resolve::service::routes;
use crate::schema::Config;
use crate::schema::affinity as written;
use crate::schema::affinity::AffinityForm;
use crate::settings::Resolved;
use crate::tree::join;

/// Resolves `affinity` of the service with this name at this path.
pub(super) fn affinity(
    path: &str,
    service: &str,
    written: Option<&AffinityForm>,
    report: &mut Report<'_>,
) -> Option<Affinity> {
    let (name, table) = match written? {
        AffinityForm::Cookie(text) => (text.value.0.as_ref(), &written::Affinity::default()),
        AffinityForm::Table(table) => (table.cookie.as_ref().map(|name| &name.value), table),
    };
    let cookie = Cookie {
        name: name.map_or_else(|| format!("herder-{service}").into(), |name| name.0.clone()),
        path: table.path.value.0.clone(),
        max_age: table.max_age.map(|age| age.get()),
        same_site: match table.same_site {
            written::SameSite::Lax => SameSite::Lax,
            written::SameSite::Strict => SameSite::Strict,
            written::SameSite::None => SameSite::None,
        },
        is_secure: table.secure,
    };
    check(&format!("{path}.affinity"), &cookie, report);
    let secret = table.secret.as_ref();
    Some(Affinity {
        cookie,
        secret: secret.map_or(Secret::OfThisRun, |place| place.value.0.clone()),
        key: None,
    })
}

/// Two services that are reached on the same host need cookies of their own: a browser keeps one of
/// a name and path, so each would overwrite the other's, and no client would stay anywhere.
pub(super) fn cookies_apart(written: &Config, resolved: &Resolved, report: &mut Report<'_>) {
    let mut known: Vec<(&Cookie, String, Vec<RouteRule>)> = Vec::new();
    for (name, service) in &resolved.desired.services {
        let (Some(affinity), Some(form)) = (&service.affinity, written.service.get(name.as_str()))
        else {
            continue;
        };
        let owner = join("service", name.as_str());
        let rules: Vec<_> = routes(&owner, form).into_iter().map(|(rule, _)| rule).collect();
        let cookie = &affinity.cookie;
        let path = owner + ".affinity";
        let clash = known.iter().find(|(other, _, theirs)| {
            other.name == cookie.name && other.path == cookie.path && meet(&rules, theirs)
        });
        if let Some((_, other, _)) = clash {
            let elsewhere = report.elsewhere(other);
            report.problem(
                &[&format!("{path}.cookie"), &path, other],
                format!(
                    "the cookie {:?} is that of {elsewhere} as well, on the same host, where each \
                     would overwrite the other's",
                    cookie.name
                ),
                "choose another name, or leave it out: it is herder-NAME then".to_owned(),
            );
        }
        known.push((cookie, path, rules));
    }
}

/// Whether some host is named for both, or any host is.
fn meet(some: &[RouteRule], others: &[RouteRule]) -> bool {
    some.iter().any(|a| others.iter().any(|b| a.host == b.host))
}

/// What browsers refuse to keep.
fn check(path: &str, cookie: &Cookie, report: &mut Report<'_>) {
    let [name, secure, same_site, at] =
        ["cookie", "secure", "same_site", "path"].map(|key| format!("{path}.{key}"));
    if cookie.same_site == SameSite::None && !cookie.is_secure {
        report.problem(
            &[&same_site, &secure],
            "browsers keep a cookie for all sites only if it is secure".to_owned(),
            "add secure = true, or write same_site = \"lax\"".to_owned(),
        );
    }
    let is_host = cookie.name.starts_with("__Host-");
    if (is_host || cookie.name.starts_with("__Secure-")) && !cookie.is_secure {
        report.problem(
            &[&name, path, &secure],
            format!("browsers keep a cookie {:?} only if it is secure", cookie.name),
            "add secure = true, or choose another name".to_owned(),
        );
    }
    if is_host && &*cookie.path != "/" {
        report.problem(
            &[&name, &at],
            format!("browsers keep a cookie {:?} only for the path \"/\"", cookie.name),
            "remove path, or choose another name".to_owned(),
        );
    }
}

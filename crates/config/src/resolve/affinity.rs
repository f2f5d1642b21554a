//! Affinity of a service, from what is written to what is desired.
//! The secret is not read here; whoever starts Herder does that.

use model::{Affinity, Cookie, SameSite, Secret};

use crate::report::Report;
use crate::schema::affinity as written;
use crate::schema::affinity::AffinityForm;

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

//! Balancing of a service, from what is written to what is desired.
//! What its connections carry is known here; what a single request has is not.

use model::{Algorithm, HashOn};

use crate::report::Report;
use crate::schema::balance as written;
use crate::schema::balance::BalanceForm;
use crate::schema::service::{Mode, Service};

/// Resolves `balance` of the service at this path.
pub(super) fn balance(
    path: &str,
    service: &Service,
    report: &mut Report<'_>,
) -> (Algorithm, HashOn) {
    let table = match &service.balance {
        None => written::Balance::default(),
        Some(BalanceForm::Algorithm(algorithm)) => {
            written::Balance { algorithm: *algorithm, ..written::Balance::default() }
        }
        Some(BalanceForm::Table(table)) => table.clone(),
    };
    let limit = table.load_percent_max.unwrap_or_default().get();
    let algorithm = algorithm(table.algorithm, u32::try_from(limit).ok());
    let path = format!("{path}.balance");
    let of_hashes = [
        ("hash_on", table.hash_on.is_some()),
        ("load_percent_max", table.load_percent_max.is_some()),
    ];
    if !algorithm.hashes() {
        for (key, _) in of_hashes.into_iter().filter(|&(_, is_written)| is_written) {
            report.problem(
                &[&format!("{path}.{key}"), &format!("{path}.algorithm")],
                format!("has no effect: {:?} does not hash", algorithm.name()),
                "remove it, or write algorithm = \"ring-hash\", \"maglev\" or \"rendezvous\""
                    .to_owned(),
            );
        }
    }
    let hash_on = table.hash_on.map_or(HashOn::Client, |text| text.value.0);
    if service.mode == Mode::Tcp && hash_on != HashOn::Client {
        let mode = report.elsewhere(&path.replace(".balance", ".mode"));
        report.problem(
            &[&format!("{path}.hash_on"), &path.replace(".balance", ".mode")],
            format!("{mode} is \"tcp\", and bytes have neither path nor headers"),
            "write hash_on = \"client\"".to_owned(),
        );
    }
    (algorithm, hash_on)
}

fn algorithm(written: written::Algorithm, load_percent_max: Option<u32>) -> Algorithm {
    match written {
        written::Algorithm::LeastLatency => Algorithm::LeastLatency,
        written::Algorithm::LeastRequest => Algorithm::LeastRequest,
        written::Algorithm::RoundRobin => Algorithm::RoundRobin,
        written::Algorithm::Random => Algorithm::Random,
        written::Algorithm::RandomOfTwo => Algorithm::RandomOfTwo,
        written::Algorithm::Prequal => Algorithm::Prequal,
        written::Algorithm::RingHash => Algorithm::RingHash { load_percent_max },
        written::Algorithm::Maglev => Algorithm::Maglev { load_percent_max },
        written::Algorithm::Rendezvous => Algorithm::Rendezvous { load_percent_max },
    }
}

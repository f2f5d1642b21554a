//! Compression of a service's responses, from what is written to what is desired.
//! What a single response allows is not known here.

use model::{Coding, Compression};

use crate::defaults;
use crate::report::Report;
use crate::schema::compress::{Algorithm, Compress, CompressForm};
use crate::tree::element;

/// What is compressed when nothing else is written, the preferred coding first.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip];

/// Resolves `compress` of the service at this path.
pub(super) fn compression(
    path: &str,
    written: Option<&CompressForm>,
    report: &mut Report<'_>,
) -> Compression {
    let (is_on, table) = match written {
        None => (false, Compress::default()),
        Some(CompressForm::Switch(is_on)) => (*is_on, Compress::default()),
        Some(CompressForm::Table(table)) => (true, table.clone()),
    };
    let algorithms = table.algorithms.unwrap_or_else(|| ALGORITHMS.into());
    for (index, algorithm) in algorithms.iter().enumerate() {
        if algorithms[..index].contains(algorithm) {
            let at = element(&format!("{path}.compress.algorithms"), index);
            report.problem(&[&at], "is there already".into(), "remove one of the two".into());
        }
    }
    Compression {
        is_on,
        codings: algorithms.into_iter().map(coding).collect(),
        bytes_min: table.size_min.get(),
        types: match table.types {
            Some(types) => types.into_iter().map(|range| range.value.0).collect(),
            None => defaults::COMPRESS_TYPES.map(Into::into).into(),
        },
    }
}

fn coding(algorithm: Algorithm) -> Coding {
    match algorithm {
        Algorithm::Zstd => Coding::Zstd,
        Algorithm::Br => Coding::Brotli,
        Algorithm::Gzip => Coding::Gzip,
    }
}

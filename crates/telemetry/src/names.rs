//! Every metric of Herder: name, type, labels and meaning, in one place.
//! docs/metrics.md says the same, and a test compares the two with what is really exposed.

/// The label value for an error index that has no label.
pub const OTHER: &str = "other";
/// The label value for the services beyond [`crate::SERVICES_MAX`]; no service can have this name.
pub const SERVICE_OTHER: &str = "_other";

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its full name, with unit and `_total`, `_info` where they belong. A histogram's series add
    /// `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels; a histogram has `le` as well.
    pub labels: &'static [&'static str],
    /// What it says, in one line without quotes or backslashes.
    pub help: &'static str,
}

/// The types of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts under upper bounds.
    Histogram,
    /// Always 1; the labels are what it says.
    Info,
}

impl Kind {
    /// The word of the exposition format.
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

macro_rules! metrics {
    ($($ident:ident: $kind:ident $name:literal $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $ident: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &$labels, help: $help };
        )*
        /// Every metric, in the order of docs/metrics.md.
        pub static ALL: &[&Metric] = &[$(&$ident),*];
    };
}

metrics! {
    REQUESTS: Counter "herder_requests_total" ["service", "status"],
        "Completed requests by class of the status sent; none without an answer, as in TCP mode.";
    REQUEST_DURATION: Histogram "herder_request_duration_seconds" ["service"],
        "From a request's head read to its response sent; in TCP mode, to an instance reached.";
    REQUESTS_IN_FLIGHT: Gauge "herder_requests_in_flight" ["service"],
        "Requests being served now, waiting ones included.";
    REQUESTS_WAITING: Gauge "herder_requests_waiting" ["service"],
        "Requests waiting for an endpoint now.";
    WAIT_DURATION: Histogram "herder_wait_duration_seconds" ["service"],
        "How long requests that had to wait for an endpoint did so, those that got none included.";
    RECEIVED: Counter "herder_received_bytes_total" ["service"],
        "Bytes of request heads and bodies received from clients.";
    SENT: Counter "herder_sent_bytes_total" ["service"],
        "Bytes of response heads and bodies sent to clients.";
    COMPRESSION_INPUT: Counter "herder_compression_input_bytes_total" ["service"],
        "Bytes of response bodies that were compressed, as instances sent them.";
    COMPRESSION_OUTPUT: Counter "herder_compression_output_bytes_total" ["service"],
        "The same bytes as clients got them.";
    ERRORS: Counter "herder_errors_total" ["service", "error"],
        "Errors that Herder answered, or that ended a connection, by label.";
    RETRIES: Counter "herder_retries_total" ["service", "reason"],
        "Requests sent again to another endpoint, by what had become of them.";
    RETRIES_DENIED: Counter "herder_retry_budget_exhausted_total" ["service"],
        "Failures passed on because the budget of retries was used up.";
    HEDGES: Counter "herder_hedges_total" ["service"],
        "Second copies of slow requests sent to another endpoint.";
    HEDGES_WON: Counter "herder_hedges_won_total" ["service"],
        "Second copies that were answered first.";
    AFFINITY_COOKIES: Counter "herder_affinity_cookies_total" ["service", "reason"],
        "Clients told to stay with an instance: new ones, and those moved from another one.";
    INSTANCE_CONNECTIONS: Counter "herder_instance_connections_total" ["service"],
        "Connections opened to instances.";
    INSTANCE_REUSES: Counter "herder_instance_connection_reuses_total" ["service"],
        "Requests sent over a connection to an instance that was already open.";
    INSTANCES: Gauge "herder_instances" ["service", "phase"],
        "Instances by phase.";
    INSTANCES_WANTED: Gauge "herder_instances_wanted" ["service", "signal"],
        "How many instances a signal of the autoscaler asks for, not rounded.";
    SCALE_LIMITED: Gauge "herder_scale_limited" ["service", "by"],
        "What had the last word on the number of instances: 1 for the limit that changed it last.";
    INSTANCES_DESIRED: Gauge "herder_instances_desired" ["service"],
        "How many instances are wanted now.";
    INSTANCES_MIN: Gauge "herder_instances_min" ["service"],
        "The least number of instances the configuration allows.";
    INSTANCES_MAX: Gauge "herder_instances_max" ["service"],
        "The greatest number of instances the configuration allows.";
    INSTANCES_EJECTED: Gauge "herder_instances_ejected" ["service"],
        "Instances that are out of the pool because their requests failed.";
    EJECTIONS: Counter "herder_ejections_total" ["service"],
        "Times that an instance was taken out of the pool because its requests failed.";
    PANIC: Gauge "herder_panic" ["service"],
        "1 while requests go to all instances that answer because too few are available, else 0.";
    INSTANCE_REQUESTS: Counter "herder_instance_requests_total" ["service", "instance_id"],
        "Requests begun at an instance, retries included.";
    INSTANCE_FAILURES: Counter "herder_instance_failures_total" ["service", "instance_id"],
        "Requests that failed through the fault of the instance.";
    INSTANCE_IN_FLIGHT: Gauge "herder_instance_requests_in_flight" ["service", "instance_id"],
        "Requests in flight at an instance.";
    INSTANCE_LIMIT: Gauge "herder_instance_requests_in_flight_max" ["service", "instance_id"],
        "Requests that may be in flight at an instance, where something bounds them.";
    INSTANCE_CPU: Counter "herder_instance_cpu_seconds_total" ["service", "instance_id"],
        "Processor time that the processes of an instance have used.";
    INSTANCE_MEMORY: Gauge "herder_instance_memory_bytes" ["service", "instance_id"],
        "Memory of the processes of an instance; what they share counts once.";
    JOURNAL_ENTRIES: Counter "herder_journal_entries_total" ["service", "kind"],
        "Journal entries by kind; the service is empty for those about Herder as a whole.";
    CONNECTIONS_OPEN: Gauge "herder_connections_open" [],
        "Client connections open now.";
    CONNECTIONS: Counter "herder_connections_total" [],
        "Client connections accepted.";
    REDIRECTS: Counter "herder_redirects_total" [],
        "Requests answered with a redirect of the configuration.";
    REFUSED: Counter "herder_refused_requests_total" ["error"],
        "Requests, or whole connections, refused before their service was known, by label.";
    REPORTS_DROPPED: Counter "herder_reports_dropped_total" [],
        "Reports of workers about instances dropped because the queue to control was full.";
    ACCESS_LOG_LOST: Counter "herder_access_log_lost_lines_total" ["reason"],
        "Access log lines lost: queue_full if the sink was too slow, write_failed if it failed.";
    TABLE_VERSION: Gauge "herder_table_version" [],
        "Version of the table of routes and pools that was published last.";
    WORKERS: Gauge "herder_workers" [],
        "Worker threads of the data plane.";
    START_TIME: Gauge "herder_start_time_seconds" [],
        "When Herder started, in seconds since the Unix epoch.";
    BUILD: Info "herder_build_info" ["version"],
        "The version of Herder.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules() {
        let mut seen = BTreeSet::new();
        for Metric { name, kind, labels, help } in ALL {
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("herder_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), *kind == Kind::Info, "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(!labels.contains(&"le") && !labels.contains(&"instance"), "{name}");
            assert!(help.ends_with('.') && !help.contains(['"', '\\', '\n', '|']), "{name}");
        }
    }

    #[test]
    fn no_service_can_be_called_like_the_others() {
        assert!(SERVICE_OTHER.parse::<model::ServiceName>().is_err());
    }
}

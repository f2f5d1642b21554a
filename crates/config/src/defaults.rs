//! Every default and every range, in this one place: schema, documentation and resolution read
//! them here. It must not know where a number is used.
//!
//! `Count`, `Decimal`, `Period` and `Size` stand for "default, least, most"; decimals in
//! thousandths, periods in milliseconds, sizes in bytes. `Change` is "least, most". A range is as
//! wide as the value can be without breaking something else.

use crate::schema::number::{Change, Count, Decimal, OrOff, OrUnlimited, Period, Size};

const S: u64 = 1000;
const M: u64 = 60 * S;
const H: u64 = 60 * M;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const UNLIMITED: u64 = u64::MAX;

/// The name of the listener when the file has none, and the service's in `herder run`.
pub(crate) const NAME: &str = "web";
/// Only this machine: opening a port to the world is the operator's decision.
pub(crate) const LISTENER_BIND: &str = "127.0.0.1:8080";
/// Next to the default listener, and only for this machine.
pub(crate) const ADMIN_BIND: &str = "127.0.0.1:7070";
/// Below Linux's ephemeral ports, which begin at 32768, so that outgoing connections do not
/// take them.
pub(crate) const INSTANCE_PORTS: &str = "20000-29999";

/// Beside the file, as the tools that projects know keep theirs.
pub(crate) const STORAGE_DIR: &str = ".herder";

/// One per core by default; more than a thousand is a typing error.
pub(crate) type Workers = Count<1, 1, 1024>;

/// Clients use a handful of connections each; 20,000 is thousands of clients and below what
/// `ulimit -n` commonly allows once raised.
pub(crate) type ConnectionsMax = Count<20_000, 1, 1_000_000>;
/// Many clients may share an address, behind a proxy or a router: no number fits everybody.
pub(crate) type ConnectionsPerClientMax = OrUnlimited<Count<UNLIMITED, 1, 1_000_000>>;
/// Within what routers and firewalls remember of a silent connection, and above what costs traffic.
/// The most is what the kernel takes.
pub(crate) type TcpKeepalive = OrOff<Period<M, S, { 9 * H }>>;
/// Room for large cookies; what common servers accept.
pub(crate) type HeadMax = Size<{ 16 * KIB }, KIB, MIB>;
/// Browsers send about 20 headers.
pub(crate) type HeadersMax = Count<100, 1, 1000>;
/// As long as the addresses that common servers accept.
pub(crate) type TargetMax = Size<{ 8 * KIB }, 64, MIB>;
/// Connections end by idling; a bound is for those who have a reason.
pub(crate) type RequestsPerConnectionMax = OrUnlimited<Count<UNLIMITED, 1, 1_000_000_000>>;
/// Clients that pipeline send a few dozen; a thousand in a row is a flood, and the client of an
/// honest one connects again.
pub(crate) type PipelinedMax = OrUnlimited<Count<1000, 1, 1_000_000_000>>;
/// About what is on its way when a client learns of the answer: cheaper than a new connection.
pub(crate) type BodyDiscardMax = Size<{ 64 * KIB }, 0, { 16 * MIB }>;
/// A head fits a few packets; ten seconds is a very slow network or an attack.
pub(crate) type TimeoutHead = Period<{ 10 * S }, 100, H>;
/// A pause in an upload, as mobile networks make them.
pub(crate) type TimeoutBody = Period<{ 30 * S }, 100, { 24 * H }>;
/// Longer than a person reads a page between two clicks costs memory for little gain.
pub(crate) type TimeoutIdle = Period<M, 100, { 24 * H }>;

/// What is alike stays together, however much it is; for caches 125 to 200 is usual, which spreads
/// what is asked most.
pub(crate) type LoadPercentMax = OrUnlimited<Count<UNLIMITED, 100, 10_000>>;

/// No key has it by itself: a cookie goes with the browser. The most is what browsers take.
pub(crate) type AffinityMaxAge = Period<{ 24 * H }, S, { 9600 * H }>;

/// One instance is a complete service; a herd is asked for.
pub(crate) type ScaleMin = Count<1, 1, 1000>;
/// `herder run` shows a herd at once, and one that survives the loss of an instance.
pub(crate) type ScaleMinRun = Count<2, 1, 1000>;
/// Room to scale, without surprising the machine. Never below `min`.
pub(crate) type ScaleMax = Count<8, 1, 1000>;
/// Off: the first request after a sleep waits for a start.
pub(crate) type ScaleIdleAfter = OrOff<Period<UNLIMITED, S, { 168 * H }>>;
/// Knative's and the clouds': a third of room for what comes while another one starts.
pub(crate) type ScaleUtilisation = Count<70, 1, 100>;
/// What an instance serves at once, its owner knows, or it shows.
pub(crate) type ScaleConcurrency = Count<10, 1, 100_000>;
/// What an instance answers, only a load test tells.
pub(crate) type ScaleRequests = Count<100, 1, 10_000_000>;
/// As for the utilisation: a third of room for what comes while another one starts.
pub(crate) type ScaleCpu = Count<70, 1, 1000>;
/// Memory comes slowly, and at its end an instance dies.
pub(crate) type ScaleMemory = Count<80, 1, 100>;
/// What a person waits for without noticing.
pub(crate) type ScaleLatency = Period<200, 1, H>;
/// One slow request in a hundred may be slow by itself.
pub(crate) type ScaleLatencyPercent = Count<95, 1, 99>;
/// As often as most Prometheus look at what they count.
pub(crate) type PrometheusInterval = Period<{ 15 * S }, S, H>;
/// A query over a few series takes milliseconds.
pub(crate) type PrometheusTimeout = Period<{ 5 * S }, 10, M>;
/// Below it no program starts.
pub(crate) type ResourcesMemory = Size<{ 512 * MIB }, MIB, TIB>;
/// A program with one thread uses one core at most.
pub(crate) type ResourcesCpu = Count<100, 1, 102_400>;
/// All that there is, as far as Herder may use it.
pub(crate) type MachineMemory = Size<TIB, MIB, { 1024 * TIB }>;
/// All that there are.
pub(crate) type MachineCpu = Count<102_400, 1, 1_024_000>;
/// At 78 % of an instance instead of 70 % nobody waits yet.
pub(crate) type ScaleToleranceUp = Count<12, 0, 1000>;
/// Kubernetes' tenth: below it a stop is not worth the start that may follow.
pub(crate) type ScaleToleranceDown = Count<10, 0, 99>;
/// A load ten times as high is met at once.
pub(crate) type ScaleUpPercent = Count<900, 1, 100_000>;
/// A burst from one instance is met at once; `max` is the bound.
pub(crate) type ScaleUpCount = Count<100, 1, 1000>;
/// Kubernetes' period.
pub(crate) type ScaleUpPeriod = Period<{ 15 * S }, S, H>;
/// So that one ready instance may become a hundred.
pub(crate) type ScaleStarting = Count<99, 0, 99>;
/// A lull between two waves; a wrong guess makes it longer.
pub(crate) type ScaleDownWindow = Period<{ 30 * S }, 0, { 24 * H }>;
/// Half as long again: most of what is too much is gone within a minute.
pub(crate) type ScaleHalfLife = Period<{ 15 * S }, 1, { 24 * H }>;
/// As long as a request may wait by default.
pub(crate) type ScaleBacklog = Period<{ 10 * S }, S, H>;
/// When people work, their employer knows; a week holds always.
pub(crate) type ScheduleLasts = Period<{ 10 * H }, M, { 168 * H }>;
/// What a day needs, its owner knows.
pub(crate) type ScheduleMin = Count<1, 1, 1000>;
/// What is measured, its owner knows; a metric may be any number.
pub(crate) type ScaleGoal = Decimal<70_000, 1, 1_000_000_000>;
/// Kubernetes' `--horizontal-pod-autoscaler-sync-period`.
pub(crate) type HpaSync = Period<{ 15 * S }, S, H>;
/// Kubernetes': what is needed is ordered at once.
pub(crate) type HpaUpWindow = Period<0, 0, H>;
/// Kubernetes' `--horizontal-pod-autoscaler-downscale-stabilization`.
pub(crate) type HpaDownWindow = Period<{ 5 * M }, 0, H>;
/// Kubernetes' `--horizontal-pod-autoscaler-tolerance`: a tenth.
pub(crate) type HpaTolerance = Decimal<100, 0, 10_000>;
/// Kubernetes': four at once while there are few.
pub(crate) type HpaCount = Count<4, 1, 1000>;
/// Kubernetes': twice as many at once.
pub(crate) type HpaPercent = Count<100, 1, 100_000>;
/// Kubernetes'; the most is its bound as well.
pub(crate) type HpaPeriod = Period<{ 15 * S }, S, { 30 * M }>;
/// Kubernetes' `--horizontal-pod-autoscaler-cpu-initialization-period`.
pub(crate) type HpaCpuInitialization = Period<{ 5 * M }, 0, { 24 * H }>;
/// Kubernetes' `--horizontal-pod-autoscaler-initial-readiness-delay`.
pub(crate) type HpaReadinessDelay = Period<{ 30 * S }, 0, H>;
/// Knative's; the least is its bound as well.
pub(crate) type KpaTarget = Decimal<100_000, 10, 1_000_000_000>;
/// Knative's `container-concurrency-target-percentage`.
pub(crate) type KpaUtilization = Count<70, 1, 100>;
/// Knative's `stable-window`, and its bounds.
pub(crate) type KpaWindow = Period<M, { 6 * S }, H>;
/// Knative's `panic-window-percentage`.
pub(crate) type KpaPanicWindow = Count<10, 1, 100>;
/// Knative's `panic-threshold-percentage`, and its bounds.
pub(crate) type KpaPanicThreshold = Count<200, 110, 1000>;
/// Knative's `max-scale-up-rate`: no bound that would be met.
pub(crate) type KpaUpRate = Decimal<1_000_000, 1001, 1_000_000_000>;
/// Knative's `max-scale-down-rate`: half at once.
pub(crate) type KpaDownRate = Decimal<2000, 1001, 1_000_000_000>;
/// Knative's `scale-down-delay`, and its bounds.
pub(crate) type KpaDownDelay = Period<0, 0, H>;
/// Knative's constant.
pub(crate) type KpaTick = Period<{ 2 * S }, S, M>;
/// Knative's `activation-scale`.
pub(crate) type KpaActivation = Count<1, 1, 1000>;
/// Nomad's `query_window`.
pub(crate) type StepWindow = Period<M, S, H>;
/// Nomad's `default_cooldown`.
pub(crate) type StepCooldown = Period<{ 5 * M }, 0, { 24 * H }>;
/// A metric may be any number.
pub(crate) type StepBound = Decimal<0, 0, 1_000_000_000>;
/// As many as there can be.
pub(crate) type StepCount = Change<-1000, 1000>;
/// All of them, or a hundred times as many.
pub(crate) type StepPercent = Change<-100, 10_000>;
/// As many as there can be.
pub(crate) type StepExactly = Count<1, 0, 1000>;
/// All addresses alike.
pub(crate) type Weight = Count<1, 1, 1000>;
/// All addresses alike.
pub(crate) type Priority = Count<0, 0, 100>;

/// Any status that ends an exchange.
pub(crate) type HealthStatus = Count<200, 200, 599>;
/// With three failures: out of the pool within six seconds at worst, long after the data plane
/// noticed by itself.
pub(crate) type HealthInterval = Period<{ 2 * S }, 10, H>;
/// A fresh instance is ready a tenth of a second after it could be. Never above `interval`.
pub(crate) type HealthIntervalFast = Period<100, 10, H>;
/// A fit instance answers a probe in milliseconds.
pub(crate) type HealthTimeout = Period<S, 10, M>;
/// One pass may be luck.
pub(crate) type HealthHealthy = Count<2, 1, 100>;
/// One failure may be a pause for garbage collection.
pub(crate) type HealthUnhealthy = Count<3, 1, 100>;
/// Slow runtimes and migrations at start; beyond a minute it is more likely stuck.
pub(crate) type HealthTimeoutBoot = Period<M, 100, H>;

/// Five in a row are no accident where nine of ten requests succeed: one in a hundred thousand.
pub(crate) type EjectErrors = Count<5, 0, 1000>;
/// They count as errors too; a bound of their own is for those who eject on nothing else.
pub(crate) type EjectGatewayErrors = Count<0, 0, 1000>;
/// They count as errors too, and say more: three make it certain.
pub(crate) type EjectConnectionErrors = Count<3, 0, 1000>;
/// 1.9 of them, as Envoy: below 52 % success beside four that are well.
pub(crate) type EjectDeviations = Count<1900, 0, 10_000>;
/// Failures in a row find what fails that often sooner.
pub(crate) type EjectFailurePercent = Count<0, 0, 100>;
/// Fewer have no mean to speak of.
pub(crate) type EjectInstancesMin = Count<5, 1, 1000>;
/// A single failure then is a hundredth.
pub(crate) type EjectRequestsMin = Count<100, 1, 1_000_000>;
/// Long enough to have seen enough requests.
pub(crate) type EjectInterval = Period<{ 10 * S }, 100, H>;
/// The way back costs one request, so that it may be tried soon.
pub(crate) type EjectTime = Period<{ 10 * S }, 100, H>;
/// Who comes back well is missed for five minutes at most. Never below `time`.
pub(crate) type EjectTimeMax = Period<{ 5 * M }, 100, { 24 * H }>;
/// Half: with more of them out the others would be too few, and `panic` would bring them back.
pub(crate) type EjectPercentMax = Count<50, 0, 100>;
/// Fewer than half of the instances cannot carry what all of them carried.
pub(crate) type Panic = Count<50, 0, 100>;
/// Off: what warms up, and for how long, its owner knows.
pub(crate) type SlowStart = Period<0, 0, H>;

/// As long as the slowest request that is worth waiting for.
pub(crate) type DrainTimeout = Period<{ 30 * S }, 0, H>;
/// Time to flush and to close connections to a database.
pub(crate) type DrainGrace = Period<{ 10 * S }, 0, { 10 * M }>;

/// Long enough not to burn a core, short enough to be back before anyone looks.
pub(crate) type BackoffMin = Period<S, 10, H>;
/// A service whose database returns is back within a minute.
pub(crate) type BackoffMax = Period<M, 10, { 24 * H }>;
/// A minute in the pool is past every start-up failure.
pub(crate) type ForgiveAfter = Period<M, 100, { 24 * H }>;
/// Five failures in a row are no accident.
pub(crate) type CrashLoop = Count<5, 1, 1000>;

/// Within a machine or a rack a connection takes less than a millisecond.
pub(crate) type TimeoutConnect = Period<{ 2 * S }, 10, M>;
/// What common proxies give a slow answer.
pub(crate) type TimeoutResponse = Period<M, 10, { 24 * H }>;
/// As long as curl waits before it sends the body all the same.
pub(crate) type TimeoutContinue = Period<S, 0, H>;
/// Downloads and streams may take hours; a bound is for those who know theirs.
pub(crate) type TimeoutRequest = OrUnlimited<Period<UNLIMITED, 10, { 168 * H }>>;
/// A pause in a stream; a stream that pauses longer sends something to keep alive.
pub(crate) type TimeoutTransfer = Period<M, 10, { 24 * H }>;
/// Uploads of photos and documents pass; a disk image does not.
pub(crate) type BodyMax = OrUnlimited<Size<{ 100 * MIB }, 0, TIB>>;
/// What an instance bears, only its owner knows; the capacity finder can tell.
pub(crate) type InFlightMax = OrUnlimited<Count<UNLIMITED, 1, 1_000_000>>;
/// What lies behind all instances, such as a database, only its owner knows.
pub(crate) type ServiceInFlightMax = OrUnlimited<Count<UNLIMITED, 1, 1_000_000>>;
/// A process with one thread that computes wants no more.
pub(crate) type AdaptiveMin = Count<1, 1, 1_000_000>;
/// More at one instance is a stream of long polls, whose latency says nothing. Never below `min`.
pub(crate) type AdaptiveMax = Count<1000, 1, 1_000_000>;
/// Envoy's: less takes chance for a queue, more is one.
pub(crate) type AdaptiveTolerance = Count<25, 1, 1000>;
/// Envoy's: what an instance can do changes by the minute, and measuring costs a part of it.
pub(crate) type AdaptiveRemeasure = Period<M, S, H>;
/// Google's: a service in trouble gets twice what it can do, and recovers; requests that fail for
/// reasons of their own are rarely half of all.
pub(crate) type AdmissionSuccessPercent = Count<50, 1, 99>;
/// Longer than a hiccup, and short enough for a recovery to be noticed soon.
pub(crate) type AdmissionWindow = Period<{ 30 * S }, S, H>;
/// Envoy's: of a few requests a rate says nothing.
pub(crate) type AdmissionRateMin = Count<5, 1, 1_000_000>;
/// One of ten is enough to notice.
pub(crate) type AdmissionRefusedPercentMax = Count<90, 1, 99>;
/// Bounds the memory of waiting requests to a few megabytes, and outlasts a restart of one instance
/// at some hundred requests a second.
pub(crate) type QueueMax = Count<4096, 0, 1_000_000>;
/// About as long as a person waits, and longer than a restart of one instance.
pub(crate) type QueueTimeout = Period<{ 10 * S }, 0, H>;
/// A person notices half a second; a tenth of the interval, as in RFC 8289.
pub(crate) type QueueTarget = OrOff<Period<500, 1, H>>;
/// A page with all its parts, or a batch; the least lets every other request come on its own.
pub(crate) type RateBurst = Count<1, 1, 10_000_000>;
/// Bursts are over by then, and half of the patience of those who wait is left.
pub(crate) type QueueInterval = Period<{ 5 * S }, 10, H>;
/// A worker rarely has more requests in flight to one instance.
pub(crate) type IdleMax = Count<64, 0, 10_000>;
/// Instances keep connections well; a bound is for those that leak with each request.
pub(crate) type ConnectionRequestsMax = OrUnlimited<Count<UNLIMITED, 1, 1_000_000_000>>;
/// A bound is for addresses behind which the machine changes: a new connection finds the new one.
pub(crate) type ConnectionAgeMax = OrUnlimited<Period<UNLIMITED, 100, { 168 * H }>>;
/// Below the 5 s after which Node and uvicorn close an idle connection themselves.
pub(crate) type TimeoutIdleInstance = Period<{ 4 * S }, 10, { 24 * H }>;
/// Below it the copies cost less than the pipe does.
pub(crate) type SpliceMin = OrUnlimited<Size<{ 64 * KIB }, KIB, TIB>>;
/// Applications that keep a WebSocket open send something more often, as browsers' proxies ask for.
pub(crate) type TimeoutTunnel = Period<H, 100, { 168 * H }>;

/// Two instances failing the same request is bad luck; three is the request.
pub(crate) type RetriesMax = Count<2, 0, 10>;
/// Any status that is an error; those in use are 429 and 502 to 504.
pub(crate) type RetryStatus = Count<503, 400, 599>;
/// Only who knows how fast its instances answer can say when one is late.
pub(crate) type RetryTimeoutTry = OrOff<Period<UNLIMITED, 10, H>>;
/// Envoy's: another instance is free most of the time, so it need not be long.
pub(crate) type RetryBackoffMin = Period<25, 0, M>;
/// Envoy's. Beyond it people notice.
pub(crate) type RetryBackoffMax = Period<250, 0, M>;
/// A person may wait for a second; a queue of them may not wait for a minute.
pub(crate) type RetryAfterMax = Period<S, 0, M>;
/// Forms and most JSON; uploads are not worth the memory.
pub(crate) type RetryBodyMax = Size<{ 64 * KIB }, 0, { 16 * MIB }>;
/// What others allow as well: a fifth more load does not finish off who is in trouble.
pub(crate) type RetryBudgetPercent = Count<20, 0, 100>;
/// Within a rack few answers take a millisecond; from a second on a person has noticed.
pub(crate) type HedgeAfterTime = Period<100, 1, M>;
/// Of twenty slow answers of a hundred not even half: a copy is load for nothing when all are slow.
pub(crate) type HedgeBudgetPercent = Count<2, 1, 100>;
/// So that a service with little traffic has retries at all.
pub(crate) type RetryBudgetMin = Count<3, 0, 1_000_000>;

/// Every request; a sample is for those whose disk does not keep up.
pub(crate) type AccessOneIn = Count<1, 1, 1_000_000>;
/// Below it a response fits one packet as it is, and gains nothing.
pub(crate) type CompressSizeMin = Size<KIB, 0, { 100 * MIB }>;
/// Text in all its forms, and the few other types that compress well. Images, sound, video and
/// archives are compressed already.
pub(crate) const COMPRESS_TYPES: [&str; 12] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/x-ndjson",
    "application/wasm",
    "image/svg+xml",
    "image/x-icon",
    "font/ttf",
    "font/otf",
];
/// Keeps the method, and clients remember it: what a move for good is.
pub(crate) type RedirectStatus = Count<308, 301, 308>;

/// What a crash prints: a stack trace fits.
pub(crate) type LinesMax = Count<50, 0, 10_000>;
/// Hours of a calm herd, at about 300 bytes each.
pub(crate) type JournalMax = Count<1000, 10, 100_000>;
/// A weekend and the one before it: what a policy has to be tried on. A busy service takes about
/// 25 MB in that time.
pub(crate) type History = OrOff<Period<{ 336 * H }, H, { 9600 * H }>>;

//! The table of everything that can go wrong on a wire, and what must come of it.
//!
//! Each case goes through a real engine over stores in memory. Three things are looked at: what the
//! caller sees, what is written down (attempts and their cost), and how often the provider was asked
//! to start something, which is what costs money.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use impasto_catalog::BilledOn;
use impasto_domain::{Error, ErrorKind, MediaKind, Money, Result, TenantId};
use impasto_engine::{
    Driver, Engine, EngineOptions, FileTools, Importer, Parts, Request, RunReport, Source,
    SystemClock,
};
use impasto_store::{BlobStore, MemoryBlobs, MemoryRuns};
use impasto_workflow::Outcome;
use tokio::net::TcpSocket;

use super::door::PlainDoor;
use super::mischief::{Files, Honest, Link, Mischief, Naughty, Pace, Role, Slip};
use super::offer::Narrowed;
use super::server::{Manner, Server};

/// The key that the provider wants.
const KEY: &str = "key-for-tests-1234567890";
/// Where the metadata service of a cloud is.
const METADATA: &str = "http://169.254.169.254/latest/meta-data";
/// How long an attempt may take where it is to end.
const TIMEOUT_MS: u64 = 30_000;
/// How long one may take that never ends.
const SHORT_TIMEOUT_MS: u64 = 600;

/// What a setting of a provider says under a name.
pub type SettingFn = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Makes the driver of a dialect from settings and a door.
pub type MakeDriver = Arc<dyn Fn(SettingFn, Arc<dyn Importer>) -> Arc<dyn Driver> + Send + Sync>;
/// Makes the honest wire of an offer, for a place and a key.
pub type MakeWire = Arc<dyn Fn(&Narrowed, &str, &str) -> Option<Arc<dyn Honest>> + Send + Sync>;

/// An offer, who speaks for its provider, and who speaks to it.
#[derive(Clone)]
pub struct Setting {
    /// The offer.
    pub narrowed: Narrowed,
    /// Who speaks for its provider.
    pub wire: MakeWire,
    /// Who speaks to it.
    pub driver: MakeDriver,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its output.
    Succeeded,
    /// With an error of this kind.
    Failed(ErrorKind),
    /// A person has to decide.
    Parked,
    /// As somebody wished.
    Cancelled,
}

/// What is to come of a case.
#[derive(Clone, Debug)]
pub struct Expected {
    /// How the run may end.
    pub ends: Vec<End>,
    /// How often the provider is asked to start something, at least and at most.
    pub starts: (u32, u32),
    /// How many jobs it takes at the most.
    pub taken_max: u32,
    /// Whether the ledger says what a job costs; otherwise it says nothing.
    pub is_billed: bool,
}

/// One thing that goes wrong, and what must come of it.
pub struct Case {
    /// What goes wrong.
    pub name: &'static str,
    /// The same, for the wire.
    pub mischief: Mischief,
    /// Whether somebody cancels the run once it is under way.
    pub is_cancelled: bool,
    /// How many attempts the run has.
    pub attempts: u32,
    /// How long each may take.
    pub timeout_ms: u64,
    /// How long it must take at least.
    pub least_ms: u64,
    /// What must come of it; nothing if it cannot happen on that wire.
    pub expected: fn(&dyn Honest) -> Option<Expected>,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The case.
    pub case: &'static str,
    /// Whether it can happen on that wire.
    pub applies: bool,
    /// What was wrong, in words.
    pub faults: Vec<String>,
    /// What the caller saw.
    pub seen: String,
}

fn fine() -> Expected {
    Expected { ends: vec![End::Succeeded], starts: (1, 1), taken_max: 1, is_billed: true }
}

fn again(starts: u32) -> Expected {
    Expected { starts: (starts, starts), ..fine() }
}

fn failed(kind: ErrorKind, starts: u32) -> Expected {
    let starts = (starts, starts);
    Expected { ends: vec![End::Failed(kind)], starts, taken_max: 1, is_billed: false }
}

fn parked() -> Expected {
    Expected { ends: vec![End::Parked], starts: (1, 1), taken_max: 1, is_billed: false }
}

fn paid_in_vain() -> Expected {
    Expected { is_billed: true, ..failed(ErrorKind::ProviderFailed, 1) }
}

fn usual(name: &'static str, expected: fn(&dyn Honest) -> Option<Expected>) -> Case {
    Case {
        name,
        mischief: Mischief::default(),
        is_cancelled: false,
        attempts: 3,
        timeout_ms: TIMEOUT_MS,
        least_ms: 0,
        expected,
    }
}

fn slipping(
    name: &'static str,
    role: Role,
    slip: Slip,
    expected: fn(&dyn Honest) -> Option<Expected>,
) -> Case {
    let slips = BTreeMap::from([(role, slip)]);
    Case { mischief: Mischief { slips, ..Mischief::default() }, ..usual(name, expected) }
}

const PAGE: (&str, &str) = ("text/html", "<html><h1>Something went wrong</h1></html>");
const SORRY: (&str, &str) = ("application/json", "{\"message\": \"not now\"}");

fn status(times: u32, status: u16, body: (&'static str, &'static str)) -> Slip {
    Slip { times, status: Some(status), body: Some(body), ..Slip::default() }
}

fn manner(times: u32, is_done: bool, manner: Manner) -> Slip {
    Slip { times, is_done, manner, ..Slip::default() }
}

/// Everything that can go wrong.
pub fn cases() -> Vec<Case> {
    let mut all = vec![usual("nothing", |_| Some(fine()))];
    all.extend(start_refusals());
    all.extend(start_losses());
    all.extend(asking());
    all.extend(endings());
    all.extend(links());
    all
}

/// Starts that the provider did not take, and says so.
fn start_refusals() -> Vec<Case> {
    let wait = |mut slip: Slip| {
        slip.retry_after_s = Some(1);
        slip
    };
    let mut timed =
        slipping("429 with a time", Role::Start, wait(status(1, 429, SORRY)), |_| Some(again(2)));
    timed.least_ms = 1000;
    let mut deaf = usual("nobody is there", |_| {
        Some(Expected { taken_max: 0, ..failed(ErrorKind::Unavailable, 0) })
    });
    deaf.mischief.is_deaf = true;
    let mut inside = usual("200 with an error inside", |wire| {
        let (_, kind) = wire.error_inside()?;
        Some(Expected { taken_max: 0, ..failed(kind, 1) })
    });
    inside.mischief.error_inside = true;
    vec![
        timed,
        deaf,
        inside,
        slipping("429 without a time", Role::Start, status(1, 429, SORRY), |_| Some(again(2))),
        slipping("429 for ever", Role::Start, status(u32::MAX, 429, SORRY), |_| {
            Some(Expected { taken_max: 0, ..failed(ErrorKind::RateLimited, 3) })
        }),
        slipping("503", Role::Start, status(1, 503, PAGE), |_| Some(again(2))),
        slipping("401", Role::Start, status(1, 401, SORRY), |_| {
            Some(Expected { taken_max: 0, ..failed(ErrorKind::Unauthorized, 1) })
        }),
    ]
}

/// Starts that the provider took, or may have taken, and of which nobody is told.
fn start_losses() -> Vec<Case> {
    let taken = |status, body| Slip {
        times: 1,
        is_done: true,
        status: Some(status),
        body: Some(body),
        ..Slip::default()
    };
    let lost = |_: &dyn Honest| Some(parked());
    let mut reset = usual("reset before the start was read", |_| {
        let ends = vec![End::Parked, End::Succeeded];
        Some(Expected { ends, starts: (0, 1), taken_max: 1, is_billed: false })
    });
    reset.mischief.resets = 1;
    let mut silent =
        slipping("a start without an answer", Role::Start, manner(1, true, Manner::Silent), lost);
    silent.timeout_ms = SHORT_TIMEOUT_MS;
    vec![
        reset,
        silent,
        slipping("500 with a page", Role::Start, taken(500, PAGE), lost),
        slipping("502", Role::Start, taken(502, PAGE), lost),
        slipping("504", Role::Start, taken(504, PAGE), lost),
        slipping(
            "reset after the start was taken",
            Role::Start,
            manner(1, true, Manner::Reset),
            lost,
        ),
        slipping(
            "a start's answer that is cut off",
            Role::Start,
            manner(1, true, Manner::Cut),
            lost,
        ),
        slipping("a start's answer that drips", Role::Start, manner(1, true, Manner::Drip), lost),
    ]
}

/// What goes wrong with asking for a job says nothing about the job.
fn asking() -> Vec<Case> {
    let asked = |wire: &dyn Honest| wire.is_asked().then(fine);
    let mut wait = status(1, 429, SORRY);
    wait.retry_after_s = Some(1);
    let mut timed = slipping("asking: 429 with a time", Role::Ask, wait, asked);
    timed.least_ms = 1000;
    vec![
        timed,
        slipping("asking: 500", Role::Ask, status(1, 500, PAGE), asked),
        slipping("asking: 502", Role::Ask, status(2, 502, PAGE), asked),
        slipping("asking: reset", Role::Ask, manner(1, false, Manner::Reset), asked),
        slipping("asking: cut off", Role::Ask, manner(1, true, Manner::Cut), |wire| {
            // A file that was cut off is fetched again like any other answer.
            wire.is_asked().then(fine)
        }),
        slipping(
            "asking: not JSON",
            Role::Ask,
            status(1, 200, ("application/json", "{\"sta")),
            |wire| wire.is_asked().then(fine),
        ),
        slipping("asking: 401 for ever", Role::Ask, status(u32::MAX, 401, SORRY), |wire| {
            wire.is_asked().then(parked)
        }),
        slipping("asking: 404 once", Role::Ask, status(1, 404, SORRY), |wire| {
            wire.is_asked().then(fine)
        }),
        // It was taken, and may have been done.
        slipping("asking: 404 for ever", Role::Ask, status(u32::MAX, 404, SORRY), |wire| {
            wire.is_asked().then(parked)
        }),
    ]
}

/// Jobs that do not end as they should.
fn endings() -> Vec<Case> {
    let paced = |name, pace, expected| {
        let mut case = usual(name, expected);
        case.mischief.pace = pace;
        case
    };
    let mut endless = paced("a job that never ends", Pace::Endless, |wire: &dyn Honest| {
        wire.is_asked().then(|| match wire.is_cancelled() {
            true => failed(ErrorKind::Timeout, 1),
            // It may go on, and nobody can stop it.
            false => parked(),
        })
    });
    (endless.timeout_ms, endless.attempts) = (SHORT_TIMEOUT_MS, 1);
    let mut late =
        paced("a job that is done after it was cancelled", Pace::DoneAfterCancel, |wire| {
            (wire.is_asked() && wire.is_cancelled())
                .then(|| Expected { ends: vec![End::Cancelled], ..fine() })
        });
    late.is_cancelled = true;
    let mut stopped = paced("a job that is cancelled", Pace::Endless, |wire| {
        (wire.is_asked() && wire.is_cancelled()).then(|| Expected {
            ends: vec![End::Cancelled],
            is_billed: false,
            ..fine()
        })
    });
    stopped.is_cancelled = true;
    let failing = paced("a job that fails", Pace::Failing, |wire| {
        wire.can_fail().then(|| failed(ErrorKind::ProviderFailed, 1))
    });
    vec![endless, late, stopped, failing]
}

/// Files that do not come as they should. The work was done, and is billed.
fn links() -> Vec<Case> {
    fn linked(wire: &dyn Honest, expected: fn() -> Expected) -> Option<Expected> {
        (!wire.links().is_empty()).then(expected)
    }
    let mut inward = usual("a link to 169.254.169.254", |wire| {
        linked(wire, paid_in_vain).filter(|_| !wire.names_files())
    });
    inward.mischief.link = Link::Inward;
    vec![
        inward,
        slipping("a link that answers 404", Role::File, status(u32::MAX, 404, PAGE), |wire| {
            linked(wire, paid_in_vain)
        }),
        slipping("a link that answers 404 at first", Role::File, status(1, 404, PAGE), |wire| {
            linked(wire, fine)
        }),
        slipping("a link that answers 500 at first", Role::File, status(1, 500, PAGE), |wire| {
            linked(wire, fine)
        }),
        slipping(
            "a file that is cut off at first",
            Role::File,
            manner(1, true, Manner::Cut),
            |wire| linked(wire, fine),
        ),
        slipping("a file that drips at first", Role::File, manner(1, true, Manner::Drip), |wire| {
            linked(wire, fine)
        }),
        slipping(
            "a page where a file was to be",
            Role::File,
            status(u32::MAX, 200, PAGE),
            |wire| linked(wire, paid_in_vain),
        ),
        slipping(
            "a page that says it is a file",
            Role::File,
            status(u32::MAX, 200, ("image/png", "<html><h1>Gone</h1></html>")),
            |wire| {
                let raw = [MediaKind::World, MediaKind::Other];
                let known = wire.links().iter().all(|kind| !raw.contains(kind));
                linked(wire, paid_in_vain).filter(|_| known)
            },
        ),
    ]
}

/// Runs one case.
///
/// # Errors
/// Something of the test itself went wrong.
pub async fn check(setting: &Setting, case: &Case) -> Result<Verdict> {
    let slip = case.mischief.slips.get(&Role::File).cloned();
    let files = Server::start(|_| Arc::new(Files::new(slip))).await?;
    let mut naughty = None;
    let server = Server::start(|url| {
        let honest = (setting.wire)(&setting.narrowed, url, KEY);
        let made = Arc::new(Naughty::new(
            honest.unwrap_or_else(|| Arc::new(Nobody)),
            case.mischief.clone(),
        ));
        naughty = Some(Arc::clone(&made));
        made
    })
    .await?;
    let naughty = naughty.ok_or_else(|| Error::internal("no wire was made"))?;
    let honest = naughty.honest();
    honest.set_files(match case.mischief.link {
        Link::Good => &files.url,
        Link::Inward => METADATA,
    });
    let Some(expected) = (case.expected)(&*honest) else {
        return Ok(Verdict {
            case: case.name,
            applies: false,
            faults: Vec::new(),
            seen: String::new(),
        });
    };
    let (_held, nowhere) = nowhere()?;
    let url = if case.mischief.is_deaf { nowhere } else { server.url.clone() };
    let began = Instant::now();
    let (outcome, report) = run(setting, case, &url, &naughty).await?;
    let took_ms = began.elapsed().as_millis() as u64;
    let mut faults = honest.complaints();
    let billed_on = setting.narrowed.catalog.offer(&setting.narrowed.offer)?.price.billed_on;
    faults.extend(judge(&expected, &outcome, &report, (&naughty, billed_on)));
    if took_ms < case.least_ms {
        faults.push(format!("it took {took_ms} ms, and was to wait {} ms", case.least_ms));
    }
    let told = files.arrived().iter().any(|arrived| format!("{arrived:?}").contains(KEY));
    if told {
        faults.push("the key went to where the files are".to_owned());
    }
    let seen = format!("{outcome:?}");
    if seen.contains(KEY) {
        faults.push("the key is in what the caller sees".to_owned());
    }
    Ok(Verdict { case: case.name, applies: true, faults, seen })
}

/// A place where nobody is, and nobody comes while the socket is held.
fn nowhere() -> Result<(TcpSocket, String)> {
    let failed = |error: std::io::Error| Error::internal(format!("no free port: {error}"));
    let socket = TcpSocket::new_v4().map_err(failed)?;
    socket.bind(([127, 0, 0, 1], 0).into()).map_err(failed)?;
    let url = format!("http://{}", socket.local_addr().map_err(failed)?);
    Ok((socket, url))
}

async fn run(
    setting: &Setting,
    case: &Case,
    url: &str,
    naughty: &Naughty<dyn Honest>,
) -> Result<(Outcome, RunReport)> {
    let narrowed = &setting.narrowed;
    let blobs = Arc::new(MemoryBlobs::default());
    let input = narrowed.input(&*blobs)?;
    let settings: SettingFn = Arc::new(narrowed.settings(url, KEY)?);
    let driver = (setting.driver)(settings, Arc::new(PlainDoor));
    let engine = engine(narrowed, driver, blobs)?;
    let plan = narrowed.plan(case.attempts, case.timeout_ms)?;
    let handle = engine.submit(Request::new(Source::Workflow(plan), input)).await?;
    let id = handle.id.clone();
    let waiting = handle.wait();
    let outcome = if case.is_cancelled {
        let cancelling = async {
            // Once the job is under way at the provider.
            while naughty.count(Role::Ask) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            engine.cancel(TenantId::local(), id.clone()).await
        };
        let limit = tokio::time::timeout(Duration::from_millis(TIMEOUT_MS), cancelling).await;
        limit.map_err(|_| Error::internal("the job never got under way"))??;
        waiting.await?
    } else {
        waiting.await?
    };
    let report = engine.report(TenantId::local(), id).await?;
    Ok((outcome, report))
}

fn engine(
    narrowed: &Narrowed,
    driver: Arc<dyn Driver>,
    blobs: Arc<dyn BlobStore>,
) -> Result<Engine> {
    let dialect = narrowed.provider()?.dialect.clone();
    let parts = Parts {
        catalog: Arc::clone(&narrowed.catalog),
        runs: Arc::new(MemoryRuns::default()),
        blobs,
        drivers: BTreeMap::from([(dialect, driver)]),
        importer: Arc::new(PlainDoor),
        tools: FileTools::none(),
        clock: Arc::new(SystemClock),
    };
    let options = EngineOptions {
        poll_first_ms: 2,
        poll_slowest_ms: 20,
        poll_failures_max: 3,
        stop_grace_ms: 400,
        cancel_watch_ms: 20,
        ..EngineOptions::default()
    };
    Ok(Engine::new(parts, options))
}

fn judge(
    expected: &Expected,
    outcome: &Outcome,
    report: &RunReport,
    (naughty, billed_on): (&Naughty<dyn Honest>, BilledOn),
) -> Vec<String> {
    let mut faults = Vec::new();
    let end = end_of(outcome, report);
    if !end.is_some_and(|end| expected.ends.contains(&end)) {
        faults.push(format!("it ended with {outcome:?}, not with {:?}", expected.ends));
    }
    let starts = naughty.count(Role::Start);
    let (least, most) = expected.starts;
    if !(least..=most).contains(&starts) {
        faults.push(format!("{starts} starts reached the provider, not {least} to {most}"));
    }
    let taken = naughty.honest().taken();
    if naughty.honest().is_asked() && taken > expected.taken_max {
        faults.push(format!("{taken} jobs were taken, not {}", expected.taken_max));
    }
    let attempts = report.steps.iter().flat_map(|step| &step.attempts);
    let spent: i64 = attempts.clone().map(|attempt| attempt.cost.as_micros()).sum();
    if spent != report.totals.cost.as_micros() {
        faults.push(format!("the attempts cost {spent}, the run {}", report.totals.cost));
    }
    if starts > attempts.count() as u32 {
        faults.push(format!("{starts} starts, and fewer attempts are written down"));
    }
    if let Some(bill) = bill(expected, end, report, (naughty, billed_on))
        && bill != report.totals.cost
    {
        faults.push(format!("the ledger says {}, not {bill}", report.totals.cost));
    }
    faults
}

/// What the ledger is to say.
fn bill(
    expected: &Expected,
    end: Option<End>,
    report: &RunReport,
    (naughty, billed_on): (&Naughty<dyn Honest>, BilledOn),
) -> Option<Money> {
    // What was taken, or refused, where that is billed, too.
    let always = billed_on == BilledOn::Always
        && match end {
            Some(End::Failed(kind)) => kind == ErrorKind::Refused || naughty.honest().taken() > 0,
            Some(End::Cancelled) => true,
            _ => false,
        };
    if !expected.is_billed && !always && end != Some(End::Succeeded) {
        return Some(Money::ZERO);
    }
    let planned = || report.steps.iter().find_map(|step| step.candidate()).map(|one| one.cost);
    naughty.honest().charge().or_else(planned)
}

fn end_of(outcome: &Outcome, report: &RunReport) -> Option<End> {
    match outcome {
        Outcome::Succeeded { output } => {
            let files = output.values().flat_map(impasto_domain::Value::assets).count();
            (files > 0 || !output.is_empty()).then_some(End::Succeeded)
        }
        Outcome::Failed { .. } => {
            let (_, error) = report.errors.first()?;
            Some(End::Failed(error.kind))
        }
        Outcome::Parked { .. } => Some(End::Parked),
        Outcome::Cancelled => Some(End::Cancelled),
        Outcome::Interrupted => None,
    }
}

/// Speaks for an offer whose provider nobody can speak for.
struct Nobody;

impl Honest for Nobody {
    fn role(&self, _: &super::Arrived) -> Role {
        Role::Other
    }

    fn answer(&self, _: &super::Arrived) -> super::Reply {
        super::Reply::of(404, "text/plain", Vec::new())
    }

    fn set_pace(&self, _: Pace) {}

    fn set_files(&self, _: &str) {}

    fn error_inside(&self) -> Option<(super::Reply, ErrorKind)> {
        None
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn links(&self) -> Vec<MediaKind> {
        Vec::new()
    }

    fn taken(&self) -> u32 {
        0
    }

    fn complaints(&self) -> Vec<String> {
        vec!["nobody speaks for this offer's provider".to_owned()]
    }
}

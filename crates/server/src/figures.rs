//! What is counted: requests, listeners, deliveries, runs, attempts by offer; told to Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use impasto_domain::OfferId;
use impasto_engine::{DURATION_BOUNDS_MS, Engine, OfferFigures};

use crate::app::App;

/// The upper bounds of the classes of durations, in milliseconds.
const BOUNDS_MS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000, 120_000];
const METHODS: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD];
/// Classes of status: 1xx to 5xx.
const CLASSES: usize = 5;

/// What is counted of requests. Counting takes no lock.
#[derive(Default)]
pub(crate) struct Figures {
    requests: [[AtomicU64; CLASSES]; METHODS.len() + 1],
    durations: [AtomicU64; BOUNDS_MS.len() + 1],
    duration_micros: AtomicU64,
    /// Listeners to events, now.
    pub(crate) listeners: AtomicU64,
    /// Deliveries of webhooks that were taken.
    pub(crate) delivered: AtomicU64,
    /// Deliveries of webhooks that failed and will be tried again.
    pub(crate) put_off: AtomicU64,
    /// Deliveries of webhooks that were given up.
    pub(crate) given_up: AtomicU64,
}

impl Figures {
    /// A request was answered.
    pub(crate) fn answered(&self, method: &Method, status: u16, took: Duration) {
        let method = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        if let Some(count) = self.requests.get(method).and_then(|classes| classes.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let ms = took.as_millis() as u64;
        let bound = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        if let Some(count) = self.durations.get(bound) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.duration_micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    fn write(&self, text: &mut String) {
        let _infallible = self.try_write(text);
    }

    fn try_write(&self, text: &mut String) -> std::fmt::Result {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        head(text, "impasto_http_requests_total", "counter", "Requests answered.")?;
        for (at, classes) in self.requests.iter().enumerate() {
            let method = METHODS.get(at).map_or("other", Method::as_str);
            for (class, count) in classes.iter().enumerate().filter(|(_, count)| read(count) > 0) {
                let count = read(count);
                let labels = format!("method=\"{method}\",status=\"{}xx\"", class + 1);
                writeln!(text, "impasto_http_requests_total{{{labels}}} {count}")?;
            }
        }
        let name = "impasto_http_request_duration_seconds";
        head(text, name, "histogram", "Time to the head of the answer.")?;
        let mut sum = 0;
        for (at, count) in self.durations.iter().enumerate() {
            sum += read(count);
            let bound = BOUNDS_MS.get(at).map(|ms| (*ms as f64 / 1e3).to_string());
            let bound = bound.unwrap_or_else(|| "+Inf".to_owned());
            writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {sum}")?;
        }
        writeln!(text, "{name}_sum {}", read(&self.duration_micros) as f64 / 1e6)?;
        writeln!(text, "{name}_count {sum}")?;
        head(text, "impasto_event_listeners", "gauge", "Listeners to events of runs.")?;
        writeln!(text, "impasto_event_listeners {}", read(&self.listeners))?;
        head(text, "impasto_webhook_deliveries_total", "counter", "Attempts to deliver webhooks.")?;
        for (outcome, count) in [
            ("delivered", &self.delivered),
            ("put_off", &self.put_off),
            ("given_up", &self.given_up),
        ] {
            let count = read(count);
            writeln!(text, "impasto_webhook_deliveries_total{{outcome=\"{outcome}\"}} {count}")?;
        }
        Ok(())
    }
}

impl App {
    /// Everything that is counted here, in the text format of Prometheus.
    pub(crate) async fn figures_text(&self) -> String {
        let mut text = String::with_capacity(4_096);
        self.figures().write(&mut text);
        match self.store().pending_deliveries().await {
            Ok(pending) => {
                let _infallible = write_pending(&mut text, pending);
            }
            Err(error) => {
                tracing::warn!(error = %error.message, "deliveries that wait cannot be counted");
            }
        }
        // Writing to a text cannot fail.
        let _infallible = write_engine(&mut text, self.engine());
        text
    }
}

fn write_pending(text: &mut String, pending: u64) -> std::fmt::Result {
    let name = "impasto_webhook_deliveries_pending";
    head(text, name, "gauge", "Deliveries of webhooks that are still to be made.")?;
    writeln!(text, "{name} {pending}")
}

fn write_engine(text: &mut String, engine: &Engine) -> std::fmt::Result {
    let figures = engine.figures();
    let load = engine.load();
    head(
        text,
        "impasto_runs",
        "gauge",
        "Runs of this process that have begun an attempt, or have not yet.",
    )?;
    let queued = engine.queued_runs();
    let running = engine.live_runs().saturating_sub(queued);
    for (state, count) in [("queued", queued), ("running", running)] {
        writeln!(text, "impasto_runs{{state=\"{state}\"}} {count}")?;
    }
    let name = "impasto_runs_total";
    head(text, name, "counter", "Runs that came to stand so.")?;
    for (status, count) in &figures.runs {
        writeln!(text, "{name}{{status=\"{status}\"}} {count}")?;
    }
    head(text, "impasto_attempts", "gauge", "Attempts under way and waiting, by provider.")?;
    for (provider, busy, waiting) in load {
        let provider = escaped(provider.as_str());
        for (state, count) in [("running", busy), ("waiting", waiting)] {
            let labels = format!("provider=\"{provider}\",state=\"{state}\"");
            writeln!(text, "impasto_attempts{{{labels}}} {count}")?;
        }
    }
    write_offers(text, &figures.offers)
}

fn write_offers(text: &mut String, offers: &BTreeMap<OfferId, OfferFigures>) -> std::fmt::Result {
    let name = "impasto_offer_attempts_total";
    head(text, name, "counter", "Attempts that ended, by offer.")?;
    for (offer, of) in offers {
        let offer = escaped(offer.as_str());
        for (outcome, count) in [("done", of.done), ("failed", of.failed)] {
            writeln!(text, "{name}{{offer=\"{offer}\",outcome=\"{outcome}\"}} {count}")?;
        }
    }
    let name = "impasto_offer_duration_seconds";
    head(text, name, "histogram", "How long attempts took, by offer.")?;
    for (offer, of) in offers {
        let offer = escaped(offer.as_str());
        let mut sum = 0;
        for (at, count) in of.durations.iter().enumerate() {
            sum += count;
            let bound = DURATION_BOUNDS_MS.get(at).map(|ms| (*ms as f64 / 1e3).to_string());
            let bound = bound.unwrap_or_else(|| "+Inf".to_owned());
            writeln!(text, "{name}_bucket{{offer=\"{offer}\",le=\"{bound}\"}} {sum}")?;
        }
        writeln!(text, "{name}_sum{{offer=\"{offer}\"}} {}", of.time_ms as f64 / 1e3)?;
        writeln!(text, "{name}_count{{offer=\"{offer}\"}} {sum}")?;
    }
    let name = "impasto_offer_cost_dollars_total";
    head(text, name, "counter", "What attempts cost, by offer.")?;
    for (offer, of) in offers {
        let dollars = of.cost.as_micros() as f64 / 1e6;
        writeln!(text, "{name}{{offer=\"{}\"}} {dollars}", escaped(offer.as_str()))?;
    }
    Ok(())
}

/// The value of a label, as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The lines that say what a figure is.
fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

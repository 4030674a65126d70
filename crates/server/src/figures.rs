//! What is counted: requests by method and status, and how long they took.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;

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

    /// What was counted, in the text format of Prometheus.
    pub(crate) fn write(&self, text: &mut String) {
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

/// The lines that say what a figure is.
pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

//! Lines of a log that an answer repeats each time: each is told once.

use std::collections::HashMap;
use std::sync::Mutex;

use impasto_domain::{News, Workbench};

/// The most jobs of which it is known how many lines were told.
const JOBS_MAX: usize = 4096;

/// How many lines were told, by job.
#[derive(Default)]
pub(crate) struct Lines {
    told: Mutex<HashMap<String, usize>>,
}

impl Lines {
    /// Tells the lines that are new. What was told before a restart is told again.
    pub(crate) fn tell(&self, job: &str, lines: &[String], bench: &dyn Workbench) {
        let Ok(mut told) = self.told.lock() else { return };
        if told.len() >= JOBS_MAX && !told.contains_key(job) {
            told.clear();
        }
        let count = told.entry(job.to_owned()).or_default();
        for line in lines.iter().skip(*count) {
            bench.tell(News::Log { level: "info".to_owned(), message: line.clone() });
        }
        *count = lines.len().max(*count);
    }

    /// The job has ended.
    pub(crate) fn forget(&self, job: &str) {
        if let Ok(mut told) = self.told.lock() {
            told.remove(job);
        }
    }
}

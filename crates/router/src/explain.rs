//! A decision in words, for people.

use std::fmt::Write as _;

use impasto_domain::Decision;

use crate::exclude::seconds;

/// What was decided, line by line: the offers in their order, then those that will not do.
pub fn explain(decision: &Decision) -> String {
    let mut text = format!("{} (catalogue {})\n", decision.task, decision.catalog_revision);
    if decision.ranked.is_empty() {
        let nothing = if decision.excluded.is_empty() {
            "  nothing performs this task"
        } else {
            "  no offer will do"
        };
        let _ = writeln!(text, "{nothing}");
    }
    for (index, candidate) in decision.ranked.iter().enumerate() {
        let (place, time) = (index + 1, seconds(candidate.time_ms));
        let _ = writeln!(
            text,
            "  {place}. {}  {}  {}  about {time}\n     {}",
            candidate.offer, candidate.tier, candidate.cost, candidate.reason
        );
    }
    for exclusion in &decision.excluded {
        let _ = writeln!(text, "  x  {}\n     {}", exclusion.offer, exclusion.reason);
    }
    for absence in &decision.absent {
        let offers = if absence.offers == 1 { "offer" } else { "offers" };
        let _ = writeln!(
            text,
            "  -  {} {offers} of {}\n     {}",
            absence.offers, absence.provider, absence.reason
        );
    }
    text
}

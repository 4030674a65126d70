//! Loads the catalogue that is part of the program, again and again, and says how long it takes, what
//! is in it, and what is wrong with it if anything is.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Instant;

use impasto_catalog::{Catalog, Finding, Layer};

fn main() {
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let loaded = Catalog::load(&[Layer::embedded()]);
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        match loaded {
            Ok((catalog, warnings)) if times.len() == 1 => tell(&catalog, &warnings),
            Ok(_) => {}
            Err(findings) => {
                findings.iter().take(40).for_each(|finding| println!("{}", finding.render()));
                println!("{} errors", findings.len());
                return;
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("loaded in {:.1} ms (median), {:.1} ms (90 %)", at(50), at(90));
}

fn tell(catalog: &Catalog, warnings: &[Finding]) {
    warnings.iter().take(40).for_each(|finding| println!("{}", finding.render()));
    let priced = catalog.offers.values().filter(|offer| offer.price.known).count();
    println!(
        "{} tasks, {} providers, {} models, {} offers, {priced} of them with a price",
        catalog.tasks.len(),
        catalog.providers.len(),
        catalog.models.len(),
        catalog.offers.len()
    );
}

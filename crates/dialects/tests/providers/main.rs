//! Drivers of hosted providers against providers made from their files, with everything that can go
//! wrong on a wire.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod callbacks;
mod conformance;
mod counts;
mod listed;
mod own;
mod protocols;
mod restart;
mod shared;
mod walk;

use std::sync::Arc;

use impasto_catalog::{Catalog, FileForm, FilePart, Offer};
use impasto_dialects::hosted::{Hosted, HostedOptions};
use impasto_engine::Importer;
use impasto_net::{Client, Limits, NetOptions};
use impasto_testkit::wire::{SettingFn, example_of};

/// What drivers share in a test: this machine may be reached, and nothing is waited for long.
fn hosted(settings: SettingFn, door: Arc<dyn Importer>) -> Hosted {
    let near = vec!["127.0.0.1".to_owned()];
    let limits = Limits { slow_start_ms: 100, bytes_per_second_min: 100_000, ..Limits::default() };
    let network = NetOptions {
        trusted_hosts: near.clone(),
        foreign_hosts: near,
        limits,
        ..NetOptions::default()
    };
    let options = HostedOptions { fetch_wait_ms: 5, ..HostedOptions::default() };
    Hosted::new(Client::new(network).unwrap(), settings, door, options)
}

/// Whether the files of an offer's example have a way to its provider.
fn can_bring(catalog: &Catalog, offer: &Offer) -> bool {
    let body = offer.request(&example_of(catalog, offer).unwrap()).body;
    let by_address = |file: &&FilePart| matches!(file.form, FileForm::Url | FileForm::Upload);
    catalog.providers[&offer.provider].upload.is_some()
        || body.files().into_iter().find(by_address).is_none()
}

/// One offer for each wire of each provider of a dialect: the one whose example says most.
fn one_for_each_wire<'c>(catalog: &'c Catalog, dialect: &str) -> Vec<&'c Offer> {
    let mut offers: Vec<&Offer> = catalog
        .offers
        .values()
        .filter(|offer| catalog.providers[&offer.provider].dialect == dialect)
        .filter(|offer| can_bring(catalog, offer))
        .collect();
    offers.sort_by_key(|offer| {
        (&offer.provider, &offer.wire, std::cmp::Reverse(offer.params.len()), &offer.id)
    });
    offers.dedup_by_key(|offer| (&offer.provider, &offer.wire));
    offers
}

//! The way out to hosted providers: the client, and the drivers that go by it.

use std::sync::Arc;

use impasto_catalog::Catalog;
use impasto_dialects::hosted::{Hosted, HostedOptions, Settings};
use impasto_domain::Result;
use impasto_engine::Importer;
use impasto_net::{Client, NetOptions};

/// What drivers of hosted providers share in this process.
pub(crate) fn hosted(
    mut network: NetOptions,
    settings: Settings,
    catalog: &Catalog,
    door: Arc<dyn Importer>,
) -> Result<Hosted> {
    network.trusted_hosts.extend(named_places(catalog, &*settings));
    Ok(Hosted::new(Client::new(network)?, settings, door, HostedOptions::default()))
}

/// The hosts that the operator names for providers: they may be on this machine or near it.
fn named_places(catalog: &Catalog, setting: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let bases = catalog.providers.values().flat_map(|provider| {
        let urls = provider.base.iter().map(|(name, base)| {
            let url = provider.base_url(name, setting).ok()?;
            (base.url.as_ref() != Some(&url)).then_some(url)
        });
        urls.flatten().collect::<Vec<String>>()
    });
    let mut hosts: Vec<String> = bases.filter_map(|url| host_of(&url)).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_the_operator_names_are_near() {
        let catalog = Catalog::embedded().unwrap();
        assert_eq!(named_places(&catalog, &|_| None), [] as [&str; 0]);
        let provider = catalog.providers.values().find(|provider| !provider.is_local()).unwrap();
        let variable = provider.base_variable("default");
        let setting =
            move |name: &str| (name == variable).then(|| "http://10.0.0.7:8188/api/".to_owned());
        assert_eq!(named_places(&catalog, &setting), ["10.0.0.7:8188"]);
    }
}

//! What a caller wants of a route, and what the router answered. Decisions are kept for ever.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ModelId, Money, OfferId, ProviderId, Side, TaskId};

/// How good a result is meant to be.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// To see whether the idea works.
    Draft,
    /// Good enough to use.
    #[default]
    Standard,
    /// As good as can be had.
    Hero,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Draft => "draft",
            Self::Standard => "standard",
            Self::Hero => "hero",
        })
    }
}

/// What to do with an attempt of which nobody knows whether the provider accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubt {
    /// Stop and let a person decide. The default for an offer with a price.
    Park,
    /// Give the step up.
    Fail,
    /// Make another attempt. The default for an offer that costs nothing.
    Retry,
}

/// What the caller wants of a route. Everything is optional; absent means no wish.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The tier to aim at; offers of another tier rank lower, the nearer the higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The most that one call may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
    /// The longest that one call may be expected to take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
    /// The lowest tier that will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tier: Option<Tier>,
    /// Licences that will do; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Models in order of preference; empty means any, otherwise no other is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelId>,
    /// Providers that will do; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderId>,
    /// What to do with an attempt in doubt; absent means: by the offer's price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<InDoubt>,
}

/// An offer that will do, at its place in the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The offer.
    pub offer: OfferId,
    /// Its model.
    pub model: ModelId,
    /// Its provider.
    pub provider: ProviderId,
    /// Its version; part of the key under which a result is kept.
    pub version: String,
    /// Its tier.
    pub tier: Tier,
    /// What the call is expected to cost.
    pub cost: Money,
    /// Whether nobody knows what it costs; then `cost` says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unpriced: bool,
    /// How long the call is expected to take, in milliseconds.
    pub time_ms: u64,
    /// Why it has this place.
    pub reason: String,
}

/// An offer that will not do, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The offer.
    pub offer: OfferId,
    /// Why it was excluded.
    pub reason: String,
    /// Where the reason lies: `caller` means that the offer does not take this input or policy, the
    /// others that it would. Absent if it was simply not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
}

/// Offers of one provider that cannot be used at all, whatever the call: without a key, say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absence {
    /// The provider.
    pub provider: ProviderId,
    /// How many offers of the task it has.
    pub offers: u32,
    /// Why none of them can be used, and what to do about it.
    pub reason: String,
}

/// The ranked offers for one call, with the reason for each place and each exclusion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The task to be done.
    pub task: TaskId,
    /// Offers that will do, best first. They are tried in this order.
    pub ranked: Vec<Candidate>,
    /// Offers that will not do.
    pub excluded: Vec<Exclusion>,
    /// Providers of which no offer can be used here, in the order of their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absence>,
    /// The revision of the catalogue that was read.
    pub catalog_revision: String,
}

impl Decision {
    /// The offer that is tried first.
    pub fn first(&self) -> Option<&Candidate> {
        self.ranked.first()
    }
}

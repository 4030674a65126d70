//! The ids of runs, what makes two calls equal, and the seeds that follow from a run's seed.

use impasto_domain::{
    Candidate, Digest, Error, InstanceKey, Result, RunId, Task, TaskId, Value, Values,
};

/// Seeds are below this, so that every provider takes them.
const SEEDS: u64 = 1 << 31;

/// An id that sorts by time, to the millisecond, and is hardly ever drawn twice. Runs that begin together
/// lie together in a store, which then has less to write.
pub(crate) fn new_id(now_ms: u64) -> Result<RunId> {
    let drawn = drawn()? & 0x3fff_ffff;
    Ok(RunId::new(format!("{:x}{:010x}", now_ms / 1000, (now_ms % 1000) << 30 | drawn)))
}

/// A number of 31 bits.
pub(crate) fn drawn() -> Result<u64> {
    getrandom::u64()
        .map(|number| number >> 33)
        .map_err(|error| Error::internal(format!("this machine gives no random numbers: {error}")))
}

/// The input with a seed, if the task takes one and was given none: the same for the same instance
/// of a run with the same seed.
pub(crate) fn with_seed(
    task: &Task,
    mut input: Values,
    run_seed: u64,
    key: &InstanceKey,
) -> Values {
    if takes_seed(task, &input) {
        let hash = hashed(&format!("{run_seed}/{key}"));
        input.insert("seed".to_owned(), Value::Integer((hash % SEEDS) as i64));
    }
    input
}

/// Whether the task takes a seed and was given none.
pub(crate) fn takes_seed(task: &Task, input: &Values) -> bool {
    task.input_field("seed").is_some() && !input.contains_key("seed")
}

/// The seed of every run of a workflow of that name, so that a second run finds the results of the
/// first.
pub(crate) fn workflow_seed(name: &str) -> u64 {
    hashed(name) % SEEDS
}

/// The digest of everything that an output depends on: the task, the offer and its version, and the
/// input, with files named by their digest.
pub(crate) fn output_key(task: &TaskId, candidate: &Candidate, input: &Values) -> Digest {
    let input: Values = input.iter().map(|(name, value)| (name.clone(), bare(value))).collect();
    let parts = [task.as_str(), candidate.offer.as_str(), candidate.version.as_str()];
    let text = format!("{}\n{}", parts.join("\n"), Value::Map(input).to_json());
    Digest::of(text.as_bytes())
}

/// The value with files reduced to their digest: what else is known of them does not matter.
fn bare(value: &Value) -> Value {
    match value {
        Value::Asset(asset) => Value::Text(format!("sha256:{}", asset.digest)),
        Value::List(items) => Value::List(items.iter().map(bare).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(name, value)| (name.clone(), bare(value))).collect())
        }
        plain => plain.clone(),
    }
}

fn hashed(text: &str) -> u64 {
    let digits = Digest::of(text.as_bytes()).to_string();
    digits.get(..15).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

//! Filters with limits. A few letters of an expression can ask for gigabytes (`'%999999999d' | format(1)`), and
//! whoever writes a workflow need not own the machine: what a filter is given and what it makes is weighed.

use std::cell::Cell;

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value as Jinja, filters};

use crate::convert::flatten;

/// The most that a filter is given or makes, in bytes; what is no text counts as [`PART_BYTES`].
const WEIGHT_MAX: usize = 4 << 20;
/// The most that the filters of one evaluation make together, in bytes.
const ALLOWANCE: usize = 64 << 20;
/// The largest number of parts, or width, that is asked for.
const COUNT_MAX: u64 = 10_000;
/// What a part that is no text counts, in bytes.
const PART_BYTES: usize = 24;
/// The deepest nesting of what a filter is given.
const DEPTH_MAX: usize = 64;

thread_local! {
    /// What is left of the allowance of the evaluation on this thread.
    static LEFT: Cell<usize> = const { Cell::new(ALLOWANCE) };
}

/// Begins an evaluation on this thread.
pub(crate) fn begin() {
    LEFT.set(ALLOWANCE);
}

/// Puts a limit around each of these filters of Jinja, which keeps its name.
macro_rules! limit {
    ($jinja:ident: $($name:literal = $filter:path,)*) => {$(
        $jinja.add_filter(concat!("unlimited ", $name), $filter);
        $jinja.add_filter($name, |state: &mut State<'_, '_>, given: Rest<ValueOrKwargs>| {
            limited(state, $name, concat!("unlimited ", $name), given)
        });
    )*};
}

/// Puts limits around all filters that expressions may use.
#[rustfmt::skip]
pub(crate) fn install(jinja: &mut Environment<'static>) {
    limit!(jinja:
        "abs" = filters::abs, "attr" = filters::attr, "batch" = filters::batch, "bool" = filters::bool,
        "capitalize" = filters::capitalize, "chain" = filters::chain, "count" = filters::length,
        "d" = filters::default, "default" = filters::default, "dictsort" = filters::dictsort,
        "first" = filters::first, "flatten" = flattened, "float" = filters::float, "format" = filters::format,
        "groupby" = filters::groupby, "indent" = filters::indent, "int" = filters::int, "items" = filters::items,
        "join" = filters::join, "last" = filters::last, "length" = filters::length, "lines" = filters::lines,
        "list" = filters::list, "lower" = filters::lower, "map" = filters::map, "max" = filters::max,
        "min" = filters::min, "reject" = filters::reject, "rejectattr" = filters::rejectattr,
        "replace" = filters::replace, "reverse" = filters::reverse, "round" = filters::round,
        "select" = filters::select, "selectattr" = filters::selectattr, "slice" = filters::slice,
        "sort" = filters::sort, "split" = filters::split, "string" = filters::string, "sum" = filters::sum,
        "title" = filters::title, "trim" = filters::trim, "unique" = filters::unique, "upper" = filters::upper,
        "zip" = filters::zip,
    );
}

fn flattened(value: &Jinja) -> Result<Jinja, Error> {
    flatten(value)
}

fn too_much(name: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("`{name}` would make too much"))
}

fn limited(
    state: &mut State<'_, '_>,
    name: &str,
    unlimited: &str,
    given: Rest<ValueOrKwargs>,
) -> Result<Jinja, Error> {
    let given = given.into_values();
    let mut room = WEIGHT_MAX;
    let fits = given.iter().all(|value| weigh(value, 0, &mut room)) && is_modest(name, &given);
    if !fits {
        return Err(too_much(name));
    }
    let made = state.apply_filter(unlimited, &given)?;
    let bytes = match made.as_str() {
        Some(text) => text.len(),
        None => PART_BYTES * made.len().unwrap_or(1),
    };
    let left = LEFT.get().checked_sub(bytes).ok_or_else(|| too_much(name))?;
    LEFT.set(left);
    Ok(made)
}

/// Takes the weight of a value from `room`; whether it was there.
fn weigh(value: &Jinja, depth: usize, room: &mut usize) -> bool {
    let own = value.as_str().map_or(PART_BYTES, str::len);
    let Some(left) = room.checked_sub(own).filter(|_| depth < DEPTH_MAX) else { return false };
    *room = left;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let few = value.len().is_none_or(|length| length <= *room / PART_BYTES);
            let mut items = value.try_iter().into_iter().flatten();
            few && items.all(|item| weigh(&item, depth + 1, room))
        }
        ValueKind::Map => {
            let mut keys = value.try_iter().into_iter().flatten();
            keys.all(|key| {
                let held = value.get_item(&key).unwrap_or_default();
                weigh(&key, depth + 1, room) && weigh(&held, depth + 1, room)
            })
        }
        _ => true,
    }
}

/// Whether what a filter makes of this is not much more than this.
fn is_modest(name: &str, given: &[Jinja]) -> bool {
    let Some((value, settings)) = given.split_first() else { return true };
    let texts = || settings.iter().flat_map(parts).filter_map(|part| part.as_str().map(str::len));
    let numbers = || settings.iter().flat_map(parts).filter_map(|part| u64::try_from(part).ok());
    let largest = numbers().max().unwrap_or(0);
    let times = |count: usize, bytes: usize| count.saturating_mul(bytes) <= WEIGHT_MAX;
    let text = value.as_str().unwrap_or_default();
    match name {
        "batch" | "slice" => largest <= COUNT_MAX,
        "indent" => largest <= COUNT_MAX && times(text.lines().count(), largest as usize),
        "format" => {
            let widest = widest(text).max(if text.contains('*') { largest } else { 0 });
            widest <= COUNT_MAX && times(text.matches('%').count(), widest as usize)
        }
        "replace" => match settings {
            [from, to, ..] => {
                let (from, to) = (from.as_str().unwrap_or_default(), to.as_str());
                times(text.matches(from).count(), to.unwrap_or_default().len())
            }
            _ => true,
        },
        "join" => times(value.len().unwrap_or(0), texts().max().unwrap_or(0)),
        // Texts and lists would be put one behind the other.
        "sum" => value.try_iter().is_ok_and(|mut items| items.all(|item| item.is_number())),
        _ => true,
    }
}

/// A setting, and what it holds if it has several by name.
fn parts(setting: &Jinja) -> Vec<Jinja> {
    let mut parts = vec![setting.clone()];
    if setting.kind() == ValueKind::Map {
        let keys = setting.try_iter().into_iter().flatten();
        parts.extend(keys.filter_map(|key| setting.get_item(&key).ok()));
    }
    parts
}

/// The largest number in a text.
fn widest(text: &str) -> u64 {
    let numbers = text.split(|char: char| !char.is_ascii_digit()).filter(|part| !part.is_empty());
    numbers.map(|digits| digits.parse().unwrap_or(u64::MAX)).max().unwrap_or(0)
}

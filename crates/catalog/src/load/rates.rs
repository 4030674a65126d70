//! Reads prices and times.

use impasto_domain::{Money, Task, Type};

use super::{input_named, model};
use crate::count::{Assumed, Unit};
use crate::read::{Node, Problems};
use crate::tariff::{Condition, Line, LineTier, Price, Tariff, Test, TimeEstimate};

/// Which amounts a tariff is in.
#[derive(Clone, Copy, PartialEq)]
enum Amount {
    Dollars,
    Milliseconds,
}

impl Amount {
    /// The key under which a line says how much each is.
    fn key(self) -> &'static str {
        match self {
            Self::Dollars => "usd",
            Self::Milliseconds => "ms",
        }
    }

    fn read(self, node: Node<'_>) -> Option<i64> {
        match self {
            Self::Dollars => read_dollars(node),
            Self::Milliseconds => {
                let ms = node.integer()?;
                if ms < 0 {
                    node.problem("a time is not less than nothing", None);
                }
                Some(ms.max(0))
            }
        }
    }
}

fn read_dollars(node: Node<'_>) -> Option<i64> {
    match node.digits()?.parse::<Money>() {
        Ok(money) => Some(money.as_micros()),
        Err(message) => {
            let hint = "write dollars with at most six decimals, such as 0.025".to_owned();
            node.problem(message, Some(hint));
            None
        }
    }
}

/// What is usual for calls of this offer: `{ second = 5 }` or `{ second = { usual = 5, most = 10 } }`.
pub(super) fn read_assumed(task: &Task, node: Option<Node<'_>>) -> Assumed {
    let mut assumed = Assumed::of(task);
    let Some(mut table) = node.and_then(|node| node.table()) else { return assumed };
    for (word, unit) in Unit::WORDS {
        if unit == Unit::Request {
            continue;
        }
        let Some(node) = table.get(word) else { continue };
        let (usual, most) = if node.is_table() {
            let Some(mut bounds) = node.table() else { continue };
            let usual = bounds.need("usual").and_then(|node| node.number());
            let most = bounds.get("most").and_then(|node| node.number());
            bounds.finish("an assumption");
            (usual, most)
        } else {
            (node.number(), None)
        };
        if let Some(usual) = usual {
            assumed.set(unit, usual.max(0.0), most);
        }
    }
    table.finish("what is assumed");
    assumed
}

/// Reads a price: `"free"`, or a table of lines.
pub(super) fn read_price(
    task: &Task,
    assumed: Assumed,
    node: Node<'_>,
    problems: &Problems,
) -> Option<Price> {
    if let Some(word) = node.as_text() {
        if word != "free" {
            let hint = "write \"free\", or { lines = [{ per = \"image\", usd = 0.04 }] }";
            node.problem(format!("'{word}' is not a price"), Some(hint.to_owned()));
        }
        let tariff = Tariff { fixed: 0, lines: Vec::new(), minimum: 0, assumed };
        return Some(Price { tariff, as_of: None, source: None });
    }
    let mut table = node.table()?;
    let listed = table.need("lines");
    let lines = listed.map(|node| node.items()).unwrap_or_default();
    if let (Some(node), true) = (listed, lines.is_empty()) {
        node.problem("a price without lines says nothing", Some("write \"free\"".to_owned()));
    }
    let minimum = table.get("minimum").and_then(read_dollars).unwrap_or(0);
    let as_of = table.need("as_of").and_then(model::read_date);
    let source = table.need("source").and_then(|node| node.words());
    table.finish("a price");
    let read = |item: &Node<'_>| {
        let line = read_line(task, Amount::Dollars, *item, problems)?;
        if !assumed.bounds(line.unit) {
            let unit = line.unit.as_str();
            let message = format!(
                "the price cannot be known before the call: nothing limits the number of {unit}s"
            );
            let hint =
                format!("say what is usual: assume = {{ {unit} = {{ usual = 5, most = 60 }} }}");
            item.problem(message, Some(hint));
        }
        Some(line)
    };
    let lines = lines.iter().filter_map(read).collect();
    Some(Price { tariff: Tariff { fixed: 0, lines, minimum, assumed }, as_of, source })
}

/// Reads an expected time: `{ fixed_ms = 20, lines = [{ per = "second", ms = 15 }] }`.
pub(super) fn read_time(
    task: &Task,
    assumed: Assumed,
    node: Node<'_>,
    problems: &Problems,
) -> Option<TimeEstimate> {
    let mut table = node.table()?;
    let fixed = table.need("fixed_ms").and_then(|node| Amount::Milliseconds.read(node));
    let lines = table.get("lines").map(|node| node.items()).unwrap_or_default();
    table.finish("a time");
    let read = |item: &Node<'_>| read_line(task, Amount::Milliseconds, *item, problems);
    let lines = lines.iter().filter_map(read).collect();
    Some(TimeEstimate { tariff: Tariff { fixed: fixed?, lines, minimum: 0, assumed } })
}

fn read_line(task: &Task, amount: Amount, node: Node<'_>, problems: &Problems) -> Option<Line> {
    let mut table = node.table()?;
    let unit = table.need("per").and_then(|node| node.one_of("unit", &Unit::WORDS));
    let each = table.need(amount.key()).and_then(|node| amount.read(node));
    let round_up = table.get("round_up").and_then(|node| node.boolean()).unwrap_or(false);
    let tiers = table.get("tiers").map(|node| node.items()).unwrap_or_default();
    table.finish("a line");
    let read = |item: &Node<'_>| {
        let mut table = item.table()?;
        let when = table.need("when").map(|node| read_condition(task, node, problems));
        let each = table.need(amount.key()).and_then(|node| amount.read(node));
        table.finish("a tier of a line");
        Some(LineTier { when: when?, each: each? })
    };
    let tiers = tiers.iter().filter_map(read).collect();
    Some(Line { unit: unit?, round_up, each: each?, tiers })
}

/// Reads a condition: `{ resolution = ["720p", "1080p"], duration = { min = 5 } }`.
fn read_condition(task: &Task, node: Node<'_>, problems: &Problems) -> Condition {
    let mut condition = Condition::default();
    for (key, node) in node.entries() {
        let Some(field) = input_named(task, key, problems) else { continue };
        let test = if node.is_table() {
            if !matches!(field.ty, Type::Integer | Type::Number) {
                node.problem(
                    format!("`{}` is of type {}, not a number", field.name, field.ty),
                    None,
                );
            }
            let Some(mut table) = node.table() else { continue };
            let min = table.get("min").and_then(|node| node.number());
            let max = table.get("max").and_then(|node| node.number());
            table.finish("a test");
            Test::Between { min, max }
        } else {
            let list = node.data().is_some_and(|value| value.as_list().is_some());
            let items = if list { node.items() } else { vec![node] };
            let mut values = Vec::new();
            for item in items {
                let Some(value) = item.data() else { continue };
                if let Some(problem) = field.problem(&value) {
                    item.problem(format!("this never holds: {problem}"), None);
                }
                values.push(value);
            }
            Test::OneOf(values)
        };
        condition.0.insert(field.name.clone(), test);
    }
    condition
}

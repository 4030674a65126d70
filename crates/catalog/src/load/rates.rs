//! Reads prices and times.

use std::sync::Arc;

use impasto_domain::{Field, MediaKind, Task, Type};

use super::{input_named, mapping, model};
use crate::count::{Assumed, ONE, Unit, millionths};
use crate::read::{Key, Node, Problems, Table};
use crate::tariff::{
    BilledOn, Condition, Confidence, Line, LineTier, Multiplier, Price, THOUSAND, Tariff, Test,
    TimeEstimate,
};

const CONFIDENCES: [(&str, Confidence); 3] = [
    ("verified", Confidence::Verified),
    ("third_party", Confidence::ThirdParty),
    ("memory", Confidence::Memory),
];
const BILLED: [(&str, BilledOn); 2] =
    [("success", BilledOn::Success), ("always", BilledOn::Always)];
/// The most decimals of an amount of dollars.
const DECIMALS_MAX: usize = 9;

/// What amounts are read with: what may be named in a condition, and who is told what is wrong.
#[derive(Clone, Copy)]
pub(super) struct Reading<'r> {
    pub(super) task: &'r Task,
    pub(super) own: &'r [Field],
    pub(super) problems: &'r Problems,
}

impl<'r> Reading<'r> {
    /// The input or the parameter of that name.
    fn field(&self, key: Key<'_>) -> Option<&'r Field> {
        let own = self.own.iter().find(|field| field.name == key.name);
        own.or_else(|| input_named(self.task, key, self.problems))
    }
}

/// Which amounts a tariff is in.
#[derive(Clone, Copy)]
enum Amount {
    /// Dollars, or other money of which so many thousandths of a micro-dollar are one.
    Money {
        key: &'static str,
        thousandths: Option<Rate>,
    },
    Milliseconds,
}

/// How many of something are a dollar, as an exact decimal: so many billionths.
type Rate = i64;

impl Amount {
    /// The key under which a line says how much each is.
    fn key(self) -> &'static str {
        match self {
            Self::Money { key, .. } => key,
            Self::Milliseconds => "ms",
        }
    }

    fn read(self, node: Node<'_>) -> Option<i64> {
        match self {
            Self::Money { thousandths, .. } => {
                let amount = read_decimal(node)?;
                Some(thousandths.map_or(amount, |per_dollar| exchanged(amount, per_dollar)))
            }
            Self::Milliseconds => {
                let ms = node.integer()?;
                if ms < 0 {
                    node.problem("a time is not less than nothing", None);
                }
                Some(ms.max(0).saturating_mul(THOUSAND))
            }
        }
    }
}

/// An amount of other money in thousandths of a micro-dollar, rounded up.
fn exchanged(billionths: i64, per_dollar: Rate) -> i64 {
    let exact = i128::from(billionths) * 1_000_000_000;
    let per_dollar = i128::from(per_dollar.max(1));
    i64::try_from((exact + per_dollar - 1) / per_dollar).unwrap_or(i64::MAX)
}

/// A decimal number in billionths, exactly as it is written.
fn read_decimal(node: Node<'_>) -> Option<i64> {
    let text = node.digits()?;
    let amount = parse_decimal(&text);
    if amount.is_none() {
        let hint = "write dollars with at most nine decimals, such as 0.025".to_owned();
        node.problem(format!("'{text}' is not an amount of dollars, such as 0.025"), Some(hint));
    }
    amount
}

fn parse_decimal(text: &str) -> Option<i64> {
    let digits = text.trim().trim_start_matches('$');
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = decimals.len() <= DECIMALS_MAX;
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) || !fits {
        return None;
    }
    let billionths: i64 = format!("{decimals:0<9}").parse().ok()?;
    let dollars: i64 = whole.parse().ok()?;
    dollars.checked_mul(1_000_000_000)?.checked_add(billionths)
}

/// What is usual for calls of this offer: `{ second = 5 }` or `{ second = { usual = 5, most = 10 } }`.
pub(super) fn read_assumed(mut assumed: Assumed, node: Option<Node<'_>>) -> Assumed {
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
    assumed.fps = table.get("fps").and_then(|node| node.number()).filter(|fps| *fps > 0.0);
    for (key, node) in table.get("frames").map(|node| node.entries()).unwrap_or_default() {
        match node.text().as_deref().and_then(mapping::parse_size) {
            Some(size) => {
                assumed.frames.insert(key.name.to_owned(), size);
            }
            None => node.problem("this is not the size of a frame such as 1280x720", None),
        }
    }
    table.finish("what is assumed");
    assumed
}

/// Reads a price: `"free"`, `"unknown"`, or a table of lines.
pub(super) fn read_price(
    reading: &Reading<'_>,
    assumed: &Arc<Assumed>,
    node: Node<'_>,
) -> Option<Price> {
    if let Some(word) = node.as_text() {
        if !matches!(word, "free" | "unknown") {
            let hint =
                "write \"free\", \"unknown\", or { lines = [{ per = \"image\", usd = 0.04 }] }";
            node.problem(format!("'{word}' is not a price"), Some(hint.to_owned()));
        }
        let tariff = Tariff { assumed: Arc::clone(assumed), ..Tariff::default() };
        return Some(Price { tariff, known: word == "free", ..Price::default() });
    }
    let mut table = node.table()?;
    let amount = read_money(&mut table);
    let listed = table.need("lines");
    let lines = listed.map(|node| node.items()).unwrap_or_default();
    if let (Some(node), true) = (listed, lines.is_empty()) {
        node.problem("a price without lines says nothing", Some("write \"free\"".to_owned()));
    }
    let minimum = table.get("minimum").and_then(|node| amount.read(node)).unwrap_or(0);
    let multipliers = table.get("multipliers").map(|node| node.items()).unwrap_or_default();
    let as_of = table.need("as_of").and_then(model::read_date);
    let source = table.need("source").and_then(|node| node.words());
    let confidence = table.get("confidence").and_then(|n| n.one_of("confidence", &CONFIDENCES));
    let billed_on = table.get("billed_on").and_then(|n| n.one_of("time to charge", &BILLED));
    let note = table.get("note").and_then(|node| node.text()).unwrap_or_default();
    table.finish("a price");
    let lines = lines.iter().filter_map(|item| {
        let line = read_line(reading, amount, *item)?;
        check_bounds(&line, assumed, *item);
        Some(line)
    });
    let lines = lines.collect();
    let multipliers = multipliers.iter().filter_map(|item| read_multiplier(reading, *item));
    let tariff = Tariff {
        lines,
        multipliers: multipliers.collect(),
        minimum,
        assumed: Arc::clone(assumed),
        ..Tariff::default()
    };
    let (confidence, billed_on) = (confidence.unwrap_or_default(), billed_on.unwrap_or_default());
    Some(Price { tariff, known: true, as_of, source, confidence, billed_on, note })
}

/// A price that nothing limits cannot be reserved before the call.
fn check_bounds(line: &Line, assumed: &Assumed, item: Node<'_>) {
    if assumed.bounds(line.unit) {
        return;
    }
    let unit = line.unit.as_str();
    let message =
        format!("the price cannot be known before the call: nothing limits the number of {unit}s");
    let hint = format!("say what is usual: assume = {{ {unit} = {{ usual = 5, most = 60 }} }}");
    item.problem(message, Some(hint));
}

/// The money that a price is in: dollars, or the credits of a provider.
fn read_money(table: &mut Table<'_>) -> Amount {
    let credits = table.get("credits_per_usd").and_then(read_decimal);
    match credits.filter(|credits| *credits > 0) {
        Some(per_dollar) => Amount::Money { key: "credits", thousandths: Some(per_dollar) },
        None => Amount::Money { key: "usd", thousandths: None },
    }
}

fn read_multiplier(reading: &Reading<'_>, node: Node<'_>) -> Option<Multiplier> {
    let mut table = node.table()?;
    let when = table.need("when").map(|node| read_condition(reading, node));
    let by = table.need("by").and_then(|node| node.number());
    table.finish("a multiplier");
    Some(Multiplier { when: when?, by: millionths(by?.max(0.0)) })
}

/// Reads an expected time: `{ fixed_ms = 20, lines = [{ per = "second", ms = 15 }] }`.
pub(super) fn read_time(
    reading: &Reading<'_>,
    assumed: &Arc<Assumed>,
    node: Node<'_>,
) -> Option<TimeEstimate> {
    let mut table = node.table()?;
    let fixed = table.need("fixed_ms").and_then(|node| Amount::Milliseconds.read(node));
    let lines = table.get("lines").map(|node| node.items()).unwrap_or_default();
    let source = table.get("source").and_then(|node| node.words());
    let as_of = table.get("as_of").and_then(model::read_date);
    table.finish("a time");
    let read = |item: &Node<'_>| read_line(reading, Amount::Milliseconds, *item);
    let lines = lines.iter().filter_map(read).collect();
    let tariff = Tariff { fixed: fixed?, lines, assumed: Arc::clone(assumed), ..Tariff::default() };
    Some(TimeEstimate { tariff, source, as_of })
}

/// What work of this kind usually takes at a provider that has not been measured.
pub(super) fn usual_time(task: &Task) -> TimeEstimate {
    let kinds = task.output.iter().map(|field| match &field.ty {
        Type::List(item) => &**item,
        ty => ty,
    });
    let ms = kinds.map(|ty| match ty {
        Type::Media(MediaKind::Image) => 12_000,
        Type::Media(MediaKind::Video) => 120_000,
        Type::Media(MediaKind::Audio) => 10_000,
        Type::Media(MediaKind::Mesh) => 120_000,
        Type::Media(MediaKind::World) => 300_000,
        _ => 5_000,
    });
    let fixed = ms.max().unwrap_or(5_000) * THOUSAND;
    TimeEstimate { tariff: Tariff { fixed, ..Tariff::default() }, source: None, as_of: None }
}

fn read_line(reading: &Reading<'_>, amount: Amount, node: Node<'_>) -> Option<Line> {
    let mut table = node.table()?;
    let unit = table.need("per").and_then(|node| node.one_of("unit", &Unit::WORDS));
    let each = table.need(amount.key()).and_then(|node| amount.read(node));
    let round_up = table.get("round_up").and_then(|node| node.boolean()).unwrap_or(false);
    let block = table.get("block").and_then(|node| node.number()).map(millionths);
    let free = table.get("free").and_then(|node| node.number()).map_or(0, millionths);
    let when = table.get("when").map(|node| read_condition(reading, node));
    let tiers = table.get("tiers").map(|node| node.items()).unwrap_or_default();
    table.finish("a line");
    let read = |item: &Node<'_>| {
        let mut table = item.table()?;
        let when = table.need("when").map(|node| read_condition(reading, node));
        let each = table.need(amount.key()).and_then(|node| amount.read(node));
        table.finish("a tier of a line");
        Some(LineTier { when: when?, each: each? })
    };
    let tiers = tiers.iter().filter_map(read).collect();
    let block = block.unwrap_or(if round_up { ONE } else { 0 });
    Some(Line { unit: unit?, each: each?, free, block, when: when.unwrap_or_default(), tiers })
}

/// Reads a condition: `{ resolution = ["720p", "1080p"], duration = { min = 5 } }`.
fn read_condition(reading: &Reading<'_>, node: Node<'_>) -> Condition {
    let mut condition = Condition::default();
    for (key, node) in node.entries() {
        let Some(field) = reading.field(key) else { continue };
        let test = if node.is_table() {
            read_test(field, node)
        } else {
            let list = node.data().is_some_and(|value| value.as_list().is_some());
            let items = if list { node.items() } else { vec![node] };
            Some(Test::OneOf(read_wanted(field, &items)))
        };
        condition.0.extend(test.map(|test| (field.name.clone(), test)));
    }
    condition
}

fn read_test(field: &Field, node: Node<'_>) -> Option<Test> {
    let mut table = node.table()?;
    if let Some(given) = table.get("given").and_then(|node| node.boolean()) {
        table.finish("a test");
        return Some(Test::Given { given });
    }
    if !matches!(field.ty, Type::Integer | Type::Number) {
        node.problem(format!("`{}` is of type {}, not a number", field.name, field.ty), None);
    }
    let min = table.get("min").and_then(|node| node.number());
    let max = table.get("max").and_then(|node| node.number());
    table.finish("a test");
    Some(Test::Between { min, max })
}

fn read_wanted(field: &Field, items: &[Node<'_>]) -> Vec<impasto_domain::Value> {
    let mut values = Vec::new();
    for item in items {
        let Some(value) = item.data() else { continue };
        // Of a list, one item is asked for.
        let listed =
            Field { ty: item_type(&field.ty).clone(), min: None, max: None, ..field.clone() };
        let field = if matches!(field.ty, Type::List(_)) { &listed } else { field };
        if let Some(problem) = field.problem(&value) {
            item.problem(format!("this never holds: {problem}"), None);
        }
        values.push(value);
    }
    values
}

fn item_type(ty: &Type) -> &Type {
    match ty {
        Type::List(item) => item,
        other => other,
    }
}

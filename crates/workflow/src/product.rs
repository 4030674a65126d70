//! Only numbers are multiplied. Jinja would repeat a text or a list as often as somebody likes, which takes
//! as much memory as there is.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr};
use minijinja::machinery::parse_expr;

use crate::reference::{Access, Reference, Root};

/// Filters that give a number, whatever they are given.
const NUMBERS: [&str; 7] = ["abs", "count", "float", "int", "length", "round", "sum"];

/// A name and what is taken of it, such as `inputs`, `size`, `width`.
pub(crate) type Path = Vec<String>;

/// The names that are multiplied in an expression that can be read: they must stand for numbers.
///
/// # Errors
/// Something is multiplied that is none, or may be none.
pub(crate) fn factors(expression: &str) -> Result<Vec<Path>, &'static str> {
    let mut factors = Vec::new();
    match parse_expr(expression) {
        Ok(parsed) => find(&parsed, &mut factors)?,
        // What is wrong with it is told elsewhere.
        Err(_) => return Ok(factors),
    }
    Ok(factors)
}

/// The path of a reference.
pub(crate) fn path(reference: &Reference) -> Path {
    let mut path: Path = match &reference.root {
        Root::Input(name) => vec!["inputs".to_owned(), name.clone()],
        Root::Output { step, output } => vec!["steps".to_owned(), step.clone(), output.clone()],
        Root::Item => vec!["item".to_owned()],
        Root::Index => vec!["index".to_owned()],
        Root::Vary(name) => vec!["vary".to_owned(), name.clone()],
    };
    path.extend(reference.trail.iter().map(|access| match access {
        Access::Key(key) => key.clone(),
        Access::Place(place) => place.to_string(),
    }));
    path
}

/// Looks for products in an expression and all its parts.
fn find(expression: &Expr<'_>, factors: &mut Vec<Path>) -> Result<(), &'static str> {
    if let Expr::BinOp(operation) = expression
        && matches!(operation.op, BinOpKind::Mul)
    {
        factor(&operation.left, factors)?;
        factor(&operation.right, factors)?;
    }
    parts(expression).into_iter().try_for_each(|part| find(part, factors))
}

/// Whatever an expression is made of.
fn parts<'e>(expression: &'e Expr<'e>) -> Vec<&'e Expr<'e>> {
    let arguments = |arguments: &'e [CallArg<'e>]| {
        arguments.iter().map(|argument| match argument {
            CallArg::Pos(one) | CallArg::Kwarg(_, one) => one,
            CallArg::PosSplat(all) | CallArg::KwargSplat(all) => all,
        })
    };
    match expression {
        Expr::Var(_) | Expr::Const(_) => Vec::new(),
        Expr::Slice(slice) => {
            let bounds = [&slice.start, &slice.stop, &slice.step];
            [&slice.expr].into_iter().chain(bounds.into_iter().flatten()).collect()
        }
        Expr::UnaryOp(operation) => vec![&operation.expr],
        Expr::BinOp(operation) => vec![&operation.left, &operation.right],
        Expr::Compare(compare) => {
            let others = compare.ops.iter().map(|operation| &operation.expr);
            [&compare.expr].into_iter().chain(others).collect()
        }
        Expr::IfExpr(choice) => {
            let both = [&choice.test_expr, &choice.true_expr];
            both.into_iter().chain(&choice.false_expr).collect()
        }
        Expr::Filter(filter) => filter.expr.iter().chain(arguments(&filter.args)).collect(),
        Expr::Test(test) => [&test.expr].into_iter().chain(arguments(&test.args)).collect(),
        Expr::GetAttr(attribute) => vec![&attribute.expr],
        Expr::GetItem(item) => vec![&item.expr, &item.subscript_expr],
        Expr::Call(call) => [&call.expr].into_iter().chain(arguments(&call.args)).collect(),
        Expr::List(list) => list.items.iter().collect(),
        Expr::Tuple(tuple) => tuple.items.iter().collect(),
        Expr::Map(map) => map.keys.iter().chain(&map.values).collect(),
    }
}

/// Makes sure that something that is multiplied is a number, or notes the names that must be.
fn factor(expression: &Expr<'_>, factors: &mut Vec<Path>) -> Result<(), &'static str> {
    const NONE: &str = "only numbers are multiplied";
    match expression {
        Expr::Const(number) if number.value.is_number() => Ok(()),
        Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) => Ok(()),
        Expr::BinOp(operation) => match operation.op {
            // Of texts and lists it makes texts and lists.
            BinOpKind::Add | BinOpKind::ScAnd | BinOpKind::ScOr => {
                factor(&operation.left, factors)?;
                factor(&operation.right, factors)
            }
            BinOpKind::Concat => Err(NONE),
            _ => Ok(()),
        },
        Expr::IfExpr(choice) => {
            factor(&choice.true_expr, factors)?;
            choice.false_expr.iter().try_for_each(|other| factor(other, factors))
        }
        Expr::Filter(filter) if NUMBERS.contains(&filter.name) => Ok(()),
        Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => {
            factors.push(named(expression).ok_or(NONE)?);
            Ok(())
        }
        _ => Err(NONE),
    }
}

/// The path of an expression that is a name and what is taken of it.
fn named(expression: &Expr<'_>) -> Option<Path> {
    match expression {
        Expr::Var(name) => Some(vec![name.id.to_owned()]),
        Expr::GetAttr(attribute) => {
            let mut path = named(&attribute.expr)?;
            path.push(attribute.name.to_owned());
            Some(path)
        }
        Expr::GetItem(item) => {
            let Expr::Const(place) = &item.subscript_expr else { return None };
            let mut path = named(&item.expr)?;
            path.push(place.value.as_str().map_or_else(|| place.value.to_string(), str::to_owned));
            Some(path)
        }
        _ => None,
    }
}

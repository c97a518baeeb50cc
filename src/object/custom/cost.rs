//! Bounds the work of a CEL expression before it is evaluated, by what it says and how large its variables are. The
//! interpreter itself knows no limit; CEL has no loops but those over collections, so the bound is a product.
//!
//! Worked: `self.all(x, self.exists(y, x == y))` over 1,000 entries of 10 bytes is 1,000 * (1,000 * 20) steps.

use std::collections::HashMap;

use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use serde_json::Value;

/// Steps that the rules of one write may take together: less than a second.
pub const BUDGET: f64 = 20_000_000.0;
/// A pattern is compiled at each use.
const PATTERN: f64 = 1_000.0;
/// Nesting of an expression; the interpreter calls itself as often.
const DEEPEST: usize = 100;
/// Digits of a format's precision that are let pass: `%.999f`.
const PRECISION: usize = 3;

/// How large a value can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Entries of its largest collection.
    pub entries: f64,
    /// All its nodes, and the bytes of its texts.
    pub total: f64,
}

impl Size {
    const SCALAR: Self = Self { entries: 1.0, total: 1.0 };

    /// Of a value as it is.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => {
                let bytes = 1.0 + as_float(text.len());
                Self { entries: 1.0, total: bytes }
            }
            Value::Array(items) => Self::around(items.len(), items.iter().map(Self::of)),
            Value::Object(map) => Self::around(
                map.len(),
                map.iter()
                    .map(|(name, value)| Self::of(value).beside(Self { entries: 1.0, total: as_float(name.len()) })),
            ),
            _ => Self::SCALAR,
        }
    }

    fn around(entries: usize, parts: impl Iterator<Item = Self>) -> Self {
        let own = Self { entries: as_float(entries.max(1)), total: 1.0 };
        parts.fold(own, Self::beside)
    }

    /// Both in one collection.
    fn beside(self, other: Self) -> Self {
        Self { entries: self.entries.max(other.entries), total: self.total + other.total }
    }

    /// One behind the other.
    fn joined(self, other: Self) -> Self {
        Self { entries: self.entries + other.entries, total: self.total + other.total }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a bound need not be exact")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// What is known of an expression.
#[derive(Clone, Copy)]
struct Bound {
    size: Size,
    steps: f64,
}

/// The most steps that evaluating the expression takes; infinite of one that is nested too deeply or that asks for
/// more than can be told beforehand.
pub fn bound(expression: &IdedExpr, variables: &[(&str, Size)]) -> f64 {
    let mut scope: HashMap<String, Size> = variables.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    walk(expression, &mut scope, 0).steps
}

fn walk(expression: &IdedExpr, scope: &mut HashMap<String, Size>, depth: usize) -> Bound {
    if depth > DEEPEST {
        return Bound { size: Size::SCALAR, steps: f64::INFINITY };
    }
    let below = depth + 1;
    match &expression.expr {
        Expr::Ident(name) => {
            let size = scope.get(name).copied().unwrap_or(Size::SCALAR);
            // A variable is copied where it is read.
            Bound { size, steps: 1.0 + size.entries }
        }
        Expr::Literal(literal) => {
            let bytes = match literal {
                LiteralValue::String(text) => text.inner().len(),
                LiteralValue::Bytes(bytes) => bytes.inner().len(),
                _ => 1,
            };
            Bound { size: Size { entries: 1.0, total: 1.0 + as_float(bytes) }, steps: 1.0 }
        }
        Expr::Select(select) => {
            let operand = walk(&select.operand, scope, below);
            Bound { steps: operand.steps + 1.0, ..operand }
        }
        Expr::List(list) => all(list.elements.iter(), scope, below),
        Expr::Map(map) => entries(map.entries.iter().map(|entry| &entry.expr), scope, below),
        Expr::Struct(object) => entries(object.entries.iter().map(|entry| &entry.expr), scope, below),
        Expr::Call(call) => of_call(call, scope, below),
        Expr::Comprehension(comprehension) => of_comprehension(comprehension, scope, below),
        Expr::Unspecified => Bound { size: Size::SCALAR, steps: 1.0 },
    }
}

fn all<'a>(parts: impl Iterator<Item = &'a IdedExpr>, scope: &mut HashMap<String, Size>, depth: usize) -> Bound {
    let mut whole = Bound { size: Size::SCALAR, steps: 1.0 };
    let mut count = 0;
    for part in parts {
        let part = walk(part, scope, depth);
        whole = Bound { size: whole.size.beside(part.size), steps: whole.steps + part.steps };
        count += 1;
    }
    whole.size.entries = whole.size.entries.max(as_float(count));
    whole
}

fn entries<'a>(parts: impl Iterator<Item = &'a EntryExpr>, scope: &mut HashMap<String, Size>, depth: usize) -> Bound {
    let parts = parts.flat_map(|entry| match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    });
    all(parts, scope, depth)
}

fn of_call(call: &CallExpr, scope: &mut HashMap<String, Size>, depth: usize) -> Bound {
    let operands: Vec<Bound> =
        call.target.iter().map(AsRef::as_ref).chain(&call.args).map(|operand| walk(operand, scope, depth)).collect();
    let size = operands.iter().map(|bound| bound.size).reduce(Size::joined).unwrap_or(Size::SCALAR);
    let steps: f64 = 1.0 + operands.iter().map(|bound| bound.steps).sum::<f64>();
    let product: f64 = operands.iter().map(|bound| bound.size.total).product();
    let largest = Size { entries: size.entries, total: product };
    // `lists.range(n)` is read as a call of `range` on `lists`.
    let namespace = match call.target.as_ref().map(|target| &target.expr) {
        Some(Expr::Ident(name)) if matches!(name.as_str(), "lists" | "sets") => format!("{name}."),
        _ => String::new(),
    };
    match format!("{namespace}{}", call.func_name).as_str() {
        "_&&_" | "_||_" | "!_" | "@not_strictly_false" | "has" => Bound { size: Size::SCALAR, steps },
        "_?_:_" | "_[_]" | "_[?_]" => Bound { size, steps },
        // Each occurrence gives way to the other text, and each entry gets a text behind it.
        "replace" | "join" => Bound { size: largest, steps: steps + product },
        "matches" | "find" | "findAll" => Bound { size, steps: steps + PATTERN + size.total },
        // Each entry of one is looked for in the other.
        "distinct" | "sets.contains" | "sets.equivalent" | "sets.intersects" | "isSorted" | "sort" | "indexOf"
        | "lastIndexOf" => Bound { size, steps: steps + product + size.total * size.total },
        "format" if !is_modest_format(call) => Bound { size, steps: f64::INFINITY },
        "format" => {
            Bound { size: Size { total: size.total + 1_000.0 * size.entries, ..size }, steps: steps + size.total }
        }
        "lists.range" => Bound { size, steps: f64::INFINITY },
        _ => Bound { size, steps: steps + size.total },
    }
}

/// A precision is a number of digits to be made out of nothing.
fn is_modest_format(call: &CallExpr) -> bool {
    let Some(Expr::Literal(LiteralValue::String(format))) = call.target.as_ref().map(|target| &target.expr) else {
        return false;
    };
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    format.inner().split('%').skip(1).all(|part| part.strip_prefix('.').is_none_or(|part| digits(part) <= PRECISION))
}

fn of_comprehension(comprehension: &ComprehensionExpr, scope: &mut HashMap<String, Size>, depth: usize) -> Bound {
    let range = walk(&comprehension.iter_range, scope, depth);
    let start = walk(&comprehension.accu_init, scope, depth);
    let rounds = range.size.entries;
    let names = [Some(&comprehension.iter_var), comprehension.iter_var2.as_ref(), Some(&comprehension.accu_var)];
    let names: Vec<&String> = names.into_iter().flatten().collect();
    let hidden: Vec<Option<Size>> = names.iter().map(|name| scope.get(*name).copied()).collect();
    for name in &names {
        scope.insert((*name).clone(), range.size);
    }
    // What a round adds is told with nothing gathered yet; what it costs, with everything.
    scope.insert(comprehension.accu_var.clone(), Size { entries: 0.0, total: 0.0 });
    let added = walk(&comprehension.loop_step, scope, depth).size;
    let gathered = Size {
        entries: (start.size.entries + rounds).max(added.entries),
        total: start.size.total + rounds * added.total,
    };
    scope.insert(comprehension.accu_var.clone(), Size { entries: 1.0, ..gathered });
    let condition = walk(&comprehension.loop_cond, scope, depth);
    let step = walk(&comprehension.loop_step, scope, depth);
    scope.insert(comprehension.accu_var.clone(), gathered);
    let result = walk(&comprehension.result, scope, depth);
    for (name, size) in names.into_iter().zip(hidden) {
        match size {
            Some(size) => scope.insert(name.clone(), size),
            None => scope.remove(name),
        };
    }
    // The gathered list is appended to and not copied in each round.
    let appending = step.steps - gathered.total.min(step.steps);
    let round = condition.steps + appending + added.total;
    Bound { size: result.size, steps: range.steps + start.steps + rounds * round + result.steps }
}

#[cfg(test)]
mod tests {
    use kube_cel::cel::Program;
    use serde_json::json;

    use super::*;

    fn steps(text: &str, value: &Value) -> f64 {
        let program = Program::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        bound(program.expression(), &[("self", Size::of(value))])
    }

    #[test]
    fn loops_multiply_and_everything_else_adds() {
        let list = json!((0..100).collect::<Vec<_>>());
        let (one, two) = (steps("self.all(x, x > 0)", &list), steps("self.all(x, self.exists(y, y == x))", &list));
        assert!(one < 100_000.0, "{one}");
        assert!(two > 50.0 * one && two < BUDGET, "{two}");
        let long = json!((0..5_000).collect::<Vec<_>>());
        assert!(steps("self.all(a, self.all(b, self.all(c, a + b > c)))", &long) > BUDGET);
    }

    #[test]
    fn what_makes_large_values_is_dear() {
        let text = json!("a".repeat(10_000));
        assert!(steps("self.replace('a', self.replace('a', self)).size() > 0", &text) > BUDGET);
        assert!(steps("lists.range(1000000000).size() > 0", &text).is_infinite());
        assert!(steps("'%.99999999f'.format([1.0]) == self", &text).is_infinite());
        assert!(steps("self.size() < 20000", &text) < BUDGET);
    }
}

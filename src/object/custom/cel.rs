//! Judges values by the rules of their schema (`x-kubernetes-validations`), CEL expressions on `self` and, where the
//! object is changed, `oldSelf`. (Kubernetes API, "Validation rules" of custom resources.)

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube_cel::KubeCelExt;
use kube_cel::cel::{self, Context, Value as Cel};
use serde_json::Value;

use super::cost::{self, Size};
use super::schema::{ListType, Rule, Schema};
use super::validate::{Findings, joined};

/// Longest rule that is compiled, in bytes: the parser is recursive.
const LONGEST: usize = 8 * 1024;

/// A compiled expression.
pub struct Program(cel::Program);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the rule is {0} bytes long, at most {LONGEST} are evaluated")]
    TooLong(usize),
    #[error("compilation failed: {0}")]
    Syntax(String),
}

impl Program {
    /// # Errors
    /// When the text is too long or not CEL.
    pub fn compile(text: &str) -> Result<Self, RuleError> {
        if text.len() > LONGEST {
            return Err(RuleError::TooLong(text.len()));
        }
        // The parser is known to panic on some malformed input.
        let compiled = catch_unwind(AssertUnwindSafe(|| cel::Program::compile(text)));
        let compiled = compiled.map_err(|_| RuleError::Syntax("the parser gave up".into()))?;
        let syntax = |error: cel::ParseErrors| {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            RuleError::Syntax(first)
        };
        Ok(Self(compiled.map_err(syntax)?))
    }

    pub fn uses(&self, variable: &str) -> bool {
        self.0.references().has_variable(variable)
    }
}

/// Whether the text is a rule that can be evaluated.
///
/// # Errors
/// When it is too long or not CEL.
pub fn compile_rule(text: &str) -> Result<(), RuleError> {
    Program::compile(text).map(drop)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

/// Evaluates the rules of one write, which share a budget.
pub struct Judge {
    root: Context<'static>,
    left: Cell<f64>,
    exhausted: Cell<bool>,
}

impl Default for Judge {
    fn default() -> Self {
        let root = Context::default().with_all();
        Self { root, left: Cell::new(cost::BUDGET), exhausted: Cell::new(false) }
    }
}

impl Judge {
    /// All rules that `value` breaks, its own first and then those of what is in it. `old` is the value that it
    /// replaces, where that can be told.
    pub fn judge(&self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, found: &mut Findings) {
        if !schema.rules.is_empty() && !value.is_null() {
            self.own_rules(schema, value, old, path, found);
        }
        match value {
            Value::Object(map) => {
                for (name, member) in map {
                    let Some(below) = schema.member(name).filter(|below| below.has_rules()) else { continue };
                    let before = old.and_then(|old| old.get(name));
                    self.judge(below, member, before, &joined(path, name), found);
                }
            }
            Value::Array(items) => {
                let Some(below) = schema.items.as_deref().filter(|below| below.has_rules()) else { return };
                for (index, item) in items.iter().enumerate() {
                    let before = old.and_then(|old| counterpart(schema, item, old));
                    self.judge(below, item, before, &format!("{path}[{index}]"), found);
                }
            }
            _ => {}
        }
    }

    fn own_rules(&self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, found: &mut Findings) {
        let mut scope = self.root.new_inner_scope();
        scope.add_variable_from_value("self", self.to_cel(Some(schema), value));
        if let Some(old) = old {
            scope.add_variable_from_value("oldSelf", self.to_cel(Some(schema), old));
        }
        let sizes = [("self", Size::of(value)), ("oldSelf", old.map_or(Size::of(&Value::Null), Size::of))];
        for rule in &schema.rules {
            if self.exhausted.get() {
                return;
            }
            let Some(program) = &rule.program else {
                let why = format!("rule compile error: compilation error evaluating rule: {}", rule.text);
                found.invalid_rule(path, shown(schema, value), &why);
                continue;
            };
            if old.is_none() && rule.is_transition() {
                continue;
            }
            // What was there before and did not change is not held against the writer.
            if !program.uses("oldSelf") && old == Some(value) {
                continue;
            }
            let mut scope = scope.new_inner_scope();
            if rule.optional_old {
                scope.add_variable_from_value("oldSelf", self.optional(schema, old));
            }
            self.apply(rule, program, (schema, value), &scope, &sizes, path, found);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one rule, one value, and where they stand")]
    fn apply(
        &self,
        rule: &Rule,
        program: &Program,
        (schema, value): (&Schema, &Value),
        scope: &Context<'_>,
        sizes: &[(&str, Size)],
        path: &str,
        found: &mut Findings,
    ) {
        if !self.afford(program, sizes) {
            let why = "validation failed due to running out of cost budget, no further validation rules will be run";
            return found.invalid_rule(path, shown(schema, value), why);
        }
        match evaluate(program, scope) {
            Ok(Cel::Bool(true)) => {}
            Ok(Cel::Bool(false)) => {
                let message = self.message(rule, scope, sizes);
                let at = format!("{path}{}", field_path(path, &rule.field_path));
                // With a path of its own, the value that the finding shows is still the one that was judged.
                found.broken_rule(&at, shown(schema, value), &message, &rule.reason);
            }
            Ok(other) => {
                let why = format!("{} is no truth value, evaluating rule: {}", other.type_of(), rule.text.trim());
                found.invalid_rule(path, shown(schema, value), &why);
            }
            Err(error) => {
                found.invalid_rule(
                    path,
                    shown(schema, value),
                    &format!("{error} evaluating rule: {}", rule.text.trim()),
                );
            }
        }
    }

    fn message(&self, rule: &Rule, scope: &Context<'_>, sizes: &[(&str, Size)]) -> String {
        let affordable = rule.message_program.as_ref().filter(|program| self.afford(program, sizes));
        let computed = affordable.and_then(|program| match evaluate(program, scope) {
            Ok(Cel::String(text)) => Some(text.trim().to_owned()),
            _ => None,
        });
        match computed.filter(|text| !text.is_empty() && !text.contains('\n')) {
            Some(text) => text,
            None if rule.message.is_empty() => format!("failed rule: {}", rule.text.trim()),
            None => rule.message.trim().to_owned(),
        }
    }

    /// Takes what the program may cost off the budget.
    fn afford(&self, program: &Program, sizes: &[(&str, Size)]) -> bool {
        let left = self.left.get() - cost::bound(program.0.expression(), sizes);
        self.left.set(left);
        self.exhausted.set(left < 0.0);
        left >= 0.0
    }

    fn optional(&self, schema: &Schema, old: Option<&Value>) -> Cel {
        let mut scope = self.root.new_inner_scope();
        let text = match old {
            Some(old) => {
                scope.add_variable_from_value("x", self.to_cel(Some(schema), old));
                "optional.of(x)"
            }
            None => "optional.none()",
        };
        Program::compile(text).ok().and_then(|program| evaluate(&program, &scope).ok()).unwrap_or(Cel::Null)
    }

    /// The value as rules see it. Names of fields are escaped, as not every name can be written in CEL; keys of maps
    /// are data and stay as they are.
    fn to_cel(&self, schema: Option<&Schema>, value: &Value) -> Cel {
        match value {
            Value::Null => Cel::Null,
            Value::Bool(value) => Cel::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(integer) if schema.is_none_or(|schema| schema.type_ != "number") => Cel::Int(integer),
                _ => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => self.text(schema.map_or("", |schema| schema.checks.format.as_str()), text),
            Value::Array(items) => {
                let below = schema.and_then(|schema| schema.items.as_deref());
                Cel::List(Arc::new(items.iter().map(|item| self.to_cel(below, item)).collect()))
            }
            Value::Object(map) => {
                let member = |(name, value): (&String, &Value)| {
                    let declared = schema.and_then(|schema| schema.properties.get(name));
                    let below = schema.and_then(|schema| schema.member(name));
                    let name = if declared.is_some() { escaped(name) } else { name.clone() };
                    (name, self.to_cel(below, value))
                };
                Cel::Map(map.iter().map(member).collect::<HashMap<String, Cel>>().into())
            }
        }
    }

    fn text(&self, format: &str, text: &str) -> Cel {
        let plain = || Cel::String(Arc::new(text.to_owned()));
        let through = |conversion: &str| {
            let mut scope = self.root.new_inner_scope();
            scope.add_variable_from_value("x", plain());
            let program = Program::compile(conversion).ok()?;
            evaluate(&program, &scope).ok()
        };
        match format {
            "date-time" => through("timestamp(x)").unwrap_or_else(plain),
            "date" => through("timestamp(x + 'T00:00:00Z')").unwrap_or_else(plain),
            "duration" => through("duration(x)").unwrap_or_else(plain),
            "byte" => STANDARD.decode(text).map_or_else(|_| plain(), |bytes| Cel::Bytes(Arc::new(bytes))),
            _ => plain(),
        }
    }
}

/// A rule must not be able to take the program with it, whatever the interpreter makes of it.
fn evaluate(program: &Program, scope: &Context<'_>) -> Result<Cel, String> {
    let evaluated = catch_unwind(AssertUnwindSafe(|| program.0.execute(scope)));
    evaluated.map_err(|_| "the interpreter gave up".to_owned())?.map_err(|error| error.to_string())
}

/// What a finding shows of a value: of objects and lists nothing.
fn shown<'a>(schema: &Schema, value: &'a Value) -> Option<&'a Value> {
    let large = matches!(schema.type_.as_str(), "object" | "array") || value.is_object() || value.is_array();
    (!large).then_some(value)
}

/// `.spec.x`, behind a path that may be empty.
fn field_path<'a>(path: &str, field: &'a str) -> &'a str {
    if path.is_empty() { field.trim_start_matches('.') } else { field }
}

/// The entry of the old list that `item` replaces: entries of a map are told apart by their keys, those of other lists
/// by nothing.
pub fn counterpart<'a>(schema: &Schema, item: &Value, old: &'a Value) -> Option<&'a Value> {
    let ListType::Map(keys) = &schema.list_type else { return None };
    let same = |other: &&Value| keys.iter().all(|(key, _)| other.get(key) == item.get(key));
    old.as_array()?.iter().find(same)
}

/// A field's name as rules write it.
pub fn escaped(name: &str) -> String {
    const RESERVED: &[&str] = &[
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    let name = name.replace("__", "__underscores__");
    name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

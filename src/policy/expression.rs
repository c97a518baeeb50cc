//! CEL expressions: compiled once, evaluated on JSON values.
//! (Common Expression Language, with Kubernetes's extension functions.)

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, Program, Value as Cel};
use serde_json::Value;

/// Longest expression that is compiled, in bytes. The interpreter has no limit on its work, so what it is
/// given is bounded instead; Kubernetes's own limit on a policy's expressions is of the same order.
const LONGEST: usize = 16 * 1024;

/// An expression that can be evaluated.
pub struct Expression {
    text: String,
    program: Program,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExpression {
    #[error("the expression is {0} bytes long, at most {LONGEST} are evaluated")]
    TooLong(usize),
    #[error("{expression:?} is not a CEL expression: {why}")]
    Syntax { expression: String, why: String },
    #[error("{expression:?} cannot be evaluated: {why}")]
    Evaluation { expression: String, why: String },
    #[error("{expression:?} gives {found}, not {wanted}")]
    Type { expression: String, found: String, wanted: &'static str },
}

/// What an expression can name: `object`, `request`, `variables`, ...
#[derive(Clone, Default)]
pub struct Names(HashMap<&'static str, Cel>);

impl Names {
    pub fn set(&mut self, name: &'static str, value: &Value) {
        self.0.insert(name, to_cel(value));
    }

    pub(super) fn set_cel(&mut self, name: &'static str, value: Cel) {
        self.0.insert(name, value);
    }

    fn context(&self) -> Context<'static> {
        let mut context = Context::default().with_all();
        for (name, value) in &self.0 {
            context.add_variable_from_value(*name, value.clone());
        }
        context
    }
}

impl Expression {
    /// # Errors
    /// When the text is too long or not CEL.
    pub fn compile(text: &str) -> Result<Self, BadExpression> {
        if text.len() > LONGEST {
            return Err(BadExpression::TooLong(text.len()));
        }
        let syntax = |why: String| BadExpression::Syntax { expression: text.to_owned(), why };
        // The parser is known to panic on some malformed input; a policy must not take the program with it.
        let compiled = catch_unwind(AssertUnwindSafe(|| Program::compile(text)));
        let program = compiled
            .map_err(|_| syntax("the parser gave up".into()))?
            .map_err(|error| syntax(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
        Ok(Self { text: text.to_owned(), program })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn evaluate(&self, names: &Names) -> Result<Cel, BadExpression> {
        self.program
            .execute(&names.context())
            .map_err(|error| BadExpression::Evaluation { expression: self.text.clone(), why: error.to_string() })
    }

    /// # Errors
    /// When the evaluation fails or gives something else than a truth value.
    pub fn is_true(&self, names: &Names) -> Result<bool, BadExpression> {
        match self.evaluate(names)? {
            Cel::Bool(value) => Ok(value),
            other => Err(self.mistyped(&other, "true or false")),
        }
    }

    /// # Errors
    /// When the evaluation fails or gives something else than a text.
    pub fn text_of(&self, names: &Names) -> Result<String, BadExpression> {
        match self.evaluate(names)? {
            Cel::String(text) => Ok(text.to_string()),
            other => Err(self.mistyped(&other, "a text")),
        }
    }

    fn mistyped(&self, found: &Cel, wanted: &'static str) -> BadExpression {
        BadExpression::Type { expression: self.text.clone(), found: found.type_of().to_string(), wanted }
    }
}

/// Integers become CEL's `int`, whatever their sign: the interpreter's own conversion makes positive ones
/// unsigned, and `replicas - 5` would then fail.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cel::Int(integer),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(members) => {
            let members: HashMap<String, Cel> = members.iter().map(|(k, v)| (k.clone(), to_cel(v))).collect();
            Cel::Map(members.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn eval(text: &str) -> Result<bool, BadExpression> {
        let mut names = Names::default();
        names.set("object", &json!({"spec": {"replicas": 3, "image": "web:latest", "memory": "128Mi"}}));
        Expression::compile(text)?.is_true(&names)
    }

    #[test]
    fn expressions_read_objects_as_policies_do() {
        let cases = [
            ("object.spec.replicas - 5 < 0", true),
            ("object.spec.image.endsWith(':latest')", true),
            ("has(object.spec.nothing)", false),
            ("quantity(object.spec.memory).isLessThan(quantity('1Gi'))", true),
        ];
        for (text, want) in cases {
            assert_eq!(eval(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_expression_is_said() {
        assert!(matches!(eval("object.spec.("), Err(BadExpression::Syntax { .. })));
        assert!(matches!(eval("object.nope.deeper"), Err(BadExpression::Evaluation { .. })));
        assert!(matches!(eval("object.spec.replicas"), Err(BadExpression::Type { .. })));
        assert!(matches!(eval(&"1 + ".repeat(9999)), Err(BadExpression::TooLong(_))));
    }
}

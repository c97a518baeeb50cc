//! CEL expressions: compiled once, evaluated within a budget.
//! (Common Expression Language, with Kubernetes's extension functions.)

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use kube_cel::KubeCelExt;
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, IdedExpr, ParseErrors, Value as Cel};

use super::instrument::{self, SIZED, STEP};

/// Longest expression that is compiled, in bytes; Kubernetes's own limit on a policy's expressions is of the same order.
const LONGEST: usize = 16 * 1024;
const PARSER_STACK: usize = 64 << 20;
/// What one policy may cost a request: turns of loops, and what it puts together by tens of bytes or by entries.
/// A turn takes about half a microsecond.
const BUDGET: i64 = 250_000;

/// An expression that can be evaluated.
pub struct Expression {
    text: String,
    compiled: IdedExpr,
    /// The variables of its policy that it uses.
    pub variables: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExpression {
    #[error("the expression is {0} bytes long, at most {LONGEST} are evaluated")]
    TooLong(usize),
    #[error("compilation failed: {why}")]
    Syntax { why: String },
    #[error("expression '{expression}' resulted in error: {why}")]
    Evaluation { expression: String, why: String },
    #[error("validation failed due to running out of cost budget, no further validation rules will be run")]
    Budget,
    #[error("expression '{expression}' resulted in error: it gives {found}, not {wanted}")]
    Type { expression: String, found: String, wanted: &'static str },
}

impl Expression {
    /// # Errors
    /// When the text is too long, not CEL, or names a variable that is not among `variables`, where these are known.
    pub fn compile(text: &str, variables: Option<&[String]>) -> Result<Self, BadExpression> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(BadExpression::TooLong(text.len()));
        }
        let syntax = |why: String| BadExpression::Syntax { why };
        let parsed = parse(text).ok_or_else(|| syntax("the parser gave up".into()))?;
        let parsed = parsed.map_err(|error| syntax(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
        let (compiled, variables) = instrument::instrument(parsed, variables).map_err(syntax)?;
        Ok(Self { text: text.to_owned(), compiled, variables })
    }

    /// # Errors
    /// When a value that it needs is not there or of another type, or the budget is spent.
    pub fn evaluate(&self, machine: &Machine, scope: &Context) -> Result<Cel, BadExpression> {
        let failed = |why: String| BadExpression::Evaluation { expression: self.text.clone(), why };
        // Some faults are panics of the interpreter.
        let value = catch_unwind(AssertUnwindSafe(|| Cel::resolve(&self.compiled, scope)));
        if machine.is_spent() {
            return Err(BadExpression::Budget);
        }
        let value = value.map_err(|_| failed("the interpreter gave up".into()))?;
        value.map_err(|error| failed(in_kubernetes_words(&error)))
    }

    /// # Errors
    /// When the evaluation fails or gives something else than a truth value.
    pub fn is_true(&self, machine: &Machine, scope: &Context) -> Result<bool, BadExpression> {
        match self.evaluate(machine, scope)? {
            Cel::Bool(value) => Ok(value),
            other => Err(BadExpression::Type {
                expression: self.text.clone(),
                found: other.type_of().to_string(),
                wanted: "a bool",
            }),
        }
    }
}

/// The parser needs a deep stack for what it then refuses as too deep, and is known to panic on some malformed input:
/// on a thread of its own neither takes the program with it.
fn parse(text: &str) -> Option<Result<IdedExpr, ParseErrors>> {
    thread::scope(|scope| {
        let parser = thread::Builder::new().name("cel-parser".into()).stack_size(PARSER_STACK);
        let parsed = parser.spawn_scoped(scope, || Parser::new().parse(text)).ok()?;
        parsed.join().ok()
    })
}

fn in_kubernetes_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::NoSuchOverload => "no such overload".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// What expressions run on: all functions, and the budget of the policy that is being asked.
pub struct Machine {
    functions: Context<'static>,
    left: Arc<AtomicI64>,
}

impl Default for Machine {
    fn default() -> Self {
        let left = Arc::new(AtomicI64::new(0));
        let charge = |left: &AtomicI64, by: i64, ftx: &FunctionContext| {
            // One policy is asked at a time, so the order of the loads does not matter.
            match left.fetch_sub(by, Ordering::Relaxed) <= by {
                true => Err(ftx.error("out of budget")),
                false => Ok(()),
            }
        };
        let mut functions = Context::default().with_all();
        let budget = left.clone();
        functions.add_function(STEP, move |ftx: &FunctionContext| -> Result<Cel, ExecutionError> {
            charge(&budget, 1, ftx).map(|()| Cel::Bool(true))
        });
        let budget = left.clone();
        functions.add_function(SIZED, move |ftx: &FunctionContext, value: Cel| -> Result<Cel, ExecutionError> {
            charge(&budget, size(&value), ftx).map(|()| value)
        });
        functions.add_function("dyn", |value: Cel| -> Result<Cel, ExecutionError> { Ok(value) });
        Self { functions, left }
    }
}

impl Machine {
    /// A scope for one request's names.
    pub fn scope(&self) -> Context<'_> {
        self.functions.new_inner_scope()
    }

    /// Begins another policy.
    pub fn refill(&self) {
        self.left.store(BUDGET, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) <= 0
    }
}

/// What a value costs to put together.
fn size(value: &Cel) -> i64 {
    let size = match value {
        Cel::String(text) => text.len() / 10,
        Cel::Bytes(bytes) => bytes.len() / 10,
        Cel::List(items) => items.len(),
        _ => 0,
    };
    i64::try_from(size).unwrap_or(i64::MAX / 2)
}

//! jq expressions that name fields. They come from whoever writes an Application, so the language is cut down to what
//! ends soon by itself: no definitions, no recursion, no loops, few alternatives, and nothing of the world outside.

use jaq_core::load::{Arena, File, Loader, parse};
use jaq_core::{Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

const LONGEST: usize = 2048;
/// Each comma doubles, at worst, what comes after it; each variable is a loop inside a loop.
const MOST_COMMAS: usize = 8;
const MOST_VARIABLES: usize = 2;
/// Fields that one expression may name.
const MOST_PATHS: usize = 10_000;
const WORDS_OF_LOOPS: &[&str] = &["def", "reduce", "foreach", "label", "import", "include", "limit", "repeat", "range"];

const DEFINITIONS: &str = "
def empty: {}[] as $x | .;
def error: error_empty as $x | .;
def null: [][0];
def true: 0 == 0;
def false: 0 != 0;
def not: if . then false else true end;
def select(f): if f then . else empty end;
def map(f): [.[] | f];
def del(f): f |= empty;
def first: .[0];
def last: .[-1];
def values: select(. != null);
def keys: keys_unsorted | sort;
def to_entries: [key_values[] as [$key, $value] | { $key, $value }];
def isempty(g): first((g | false), true);
def any(g; cond): isempty(g | cond or empty) | not;
def all(g; cond): isempty(g | cond and empty);
def any(cond): any(.[]; cond);
def all(cond): all(.[]; cond);
def any: any(.[]; .);
def all: all(.[]; .);
def inside(xs): . as $x | xs | contains($x);
def in(xs): . as $x | xs | has($x);
";
/// Native filters; what starts programs, reads files or the environment, or counts for ever is not among them.
const FILTERS: &[&str] = &[
    "error_empty",
    "path",
    "keys_unsorted",
    "key_values",
    "first",
    "last",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "ascii_downcase",
    "ascii_upcase",
    "trim",
    "reverse",
    "sort",
    "length",
    "contains",
    "has",
];

type Compiled = Filter<data::JustLut<Val>>;

fn compile(expression: &str) -> Result<Compiled, String> {
    if expression.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} characters"));
    }
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    if let Some(word) = words.into_iter().find(|word| WORDS_OF_LOOPS.contains(word)) {
        return Err(format!("{word} is not supported here"));
    }
    if expression.contains("..") {
        return Err(".. is not supported here".to_owned());
    }
    if expression.matches(',').count() > MOST_COMMAS || expression.matches('$').count() > MOST_VARIABLES {
        return Err("it has too many alternatives or variables".to_owned());
    }
    let definitions = parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
    let program = format!("path({expression})");
    let arena = Arena::default();
    let loaded = Loader::new(definitions).load(&arena, File { code: program.as_str(), path: () });
    let modules = loaded.map_err(|_| "it is not a jq expression".to_owned())?;
    let filters = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
    let filters = filters.filter(|(name, ..)| FILTERS.contains(name));
    let compiled = jaq_core::Compiler::default().with_funs(filters).compile(modules);
    compiled.map_err(|errors| {
        let names = errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| (*name).to_owned());
        format!("{} is not supported here", names.collect::<Vec<_>>().join(", "))
    })
}

/// # Errors
/// Why the expression is not used.
pub fn check(expression: &str) -> Result<(), String> {
    compile(expression).map(drop)
}

/// The paths in `object` that the expression names; none when it does not apply to it.
pub fn paths(expression: &str, object: &Value) -> Vec<Vec<String>> {
    let Ok(filter) = compile(expression) else { return Vec::new() };
    let Ok(input) = read::parse_single(object.to_string().as_bytes()) else { return Vec::new() };
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let found = filter.id.run((context, input)).map(unwrap_valr).take(MOST_PATHS).map_while(Result::ok);
    let part = |part: Value| match part {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let path =
        |found: Val| serde_json::from_str::<Vec<Value>>(&found.to_string()).ok()?.into_iter().map(part).collect();
    found.filter_map(path).collect()
}

//! The policies by which a Job fails or succeeds early, and the sets of indexes that they name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::field::{Findings, Path, list, shown, text};
use super::format;
use super::job::{container_names, is_indexed};

const MOST_RULES: usize = 20;
const MOST_PATTERNS: usize = 20;
const MOST_EXIT_CODES: usize = 255;
const INDEXES_BYTES: usize = 64 * 1024;

const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: &[&str] = &["In", "NotIn"];
const STATUSES: &[&str] = &["False", "True", "Unknown"];

pub fn failure(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let rules = list(&spec["podFailurePolicy"], "rules");
    let rules_at = at.child("rules");
    if rules.len() > MOST_RULES {
        found.too_many(rules_at, rules.len(), MOST_RULES);
    }
    for (index, rule) in rules.iter().enumerate() {
        failure_rule(spec, rule, rules_at.index(index), found);
    }
}

fn failure_rule(spec: &Value, rule: &Value, at: Path<'_>, found: &mut Findings) {
    match text(rule, "action") {
        "FailIndex" if spec["backoffLimitPerIndex"].is_null() => {
            found.invalid(at.child("action"), &rule["action"], "requires the backoffLimitPerIndex to be set");
        }
        _ => one_of_required(&rule["action"], at.child("action"), ACTIONS, found),
    }
    let codes = &rule["onExitCodes"];
    if !codes.is_null() {
        exit_codes(spec, codes, at.child("onExitCodes"), found);
    }
    let patterns = list(rule, "onPodConditions");
    pod_conditions(patterns, at.child("onPodConditions"), found);
    if codes.is_null() == patterns.is_empty() {
        found.invalid_omitted(
            at,
            match patterns.is_empty() {
                true => "specifying one of OnExitCodes and OnPodConditions is required",
                false => "specifying both OnExitCodes and OnPodConditions is not supported",
            },
        );
    }
}

/// A text that must be there, and one of those that are known.
fn one_of_required(value: &Value, at: Path<'_>, supported: &[&str], found: &mut Findings) {
    if value.as_str().unwrap_or_default().is_empty() {
        let supported: Vec<String> = supported.iter().map(|s| shown(&Value::from(*s))).collect();
        found.required(at, &format!("valid values: [{}]", supported.join(" ")));
    } else {
        found.one_of(at, value, supported);
    }
}

fn pod_conditions(patterns: &[Value], at: Path<'_>, found: &mut Findings) {
    if patterns.len() > MOST_PATTERNS {
        found.too_many(at, patterns.len(), MOST_PATTERNS);
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let at = at.index(index);
        let name = text(pattern, "type");
        found.complain(at.child("type"), name, format::qualified_name(name));
        one_of_required(&pattern["status"], at.child("status"), STATUSES, found);
    }
}

fn exit_codes(spec: &Value, codes: &Value, at: Path<'_>, found: &mut Findings) {
    one_of_required(&codes["operator"], at.child("operator"), OPERATORS, found);
    if let Some(name) = codes["containerName"].as_str().filter(|name| !container_names(spec).contains(name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        found.invalid_text(at.child("containerName"), name, why);
    }
    let at = at.child("values");
    let values = list(codes, "values");
    if values.is_empty() {
        let given = if codes["values"].is_array() { "[]" } else { "null" };
        found.invalid_shown(at, given, "at least one value is required");
    } else if values.len() > MOST_EXIT_CODES {
        found.too_many(at, values.len(), MOST_EXIT_CODES);
    }
    let numbers: Vec<i64> = values.iter().map(|value| value.as_i64().unwrap_or(0)).collect();
    let mut seen = BTreeSet::new();
    for (index, number) in numbers.iter().enumerate() {
        if text(codes, "operator") == "In" && *number == 0 {
            found.invalid(at.index(index), &values[index], "must not be 0 for the In operator");
        }
        if !seen.insert(number) {
            found.duplicate(at.index(index), &values[index]);
        }
    }
    if !numbers.is_sorted() {
        found.invalid(at, &codes["values"], "must be ordered");
    }
}

pub fn success(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let policy = &spec["successPolicy"];
    if policy.is_null() {
        return;
    }
    let rules = list(policy, "rules");
    if !is_indexed(spec) {
        return found.invalid_shown(at, &shown_success(rules), "requires indexed completion mode");
    }
    let rules_at = at.child("rules");
    if rules.is_empty() {
        found.required(rules_at, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > MOST_RULES {
        found.too_many(rules_at, rules.len(), MOST_RULES);
    }
    let completions = spec["completions"].as_i64().unwrap_or(0);
    for (index, rule) in rules.iter().enumerate() {
        success_rule(rule, completions, rules_at.index(index), found);
    }
}

/// A success policy as Kubernetes writes it in a message.
fn shown_success(rules: &[Value]) -> String {
    let rule = |rule: &Value| {
        let [indexes, count] = ["succeededIndexes", "succeededCount"].map(|field| shown(&rule[field]));
        format!("{{\"SucceededIndexes\":{indexes},\"SucceededCount\":{count}}}")
    };
    match rules {
        [] => "{\"Rules\":null}".to_owned(),
        rules => format!("{{\"Rules\":[{}]}}", rules.iter().map(rule).collect::<Vec<_>>().join(",")),
    }
}

fn success_rule(rule: &Value, completions: i64, at: Path<'_>, found: &mut Findings) {
    let (indexes, count) = (rule["succeededIndexes"].as_str(), rule["succeededCount"].as_i64());
    if indexes.is_none() && count.is_none() {
        found.required(at, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut named = 0;
    if let Some(indexes) = indexes {
        let at = at.child("succeededIndexes");
        if indexes.len() > INDEXES_BYTES {
            found.too_long(at, INDEXES_BYTES);
        }
        match count_indexes(indexes, completions) {
            Ok(count) => named = count,
            Err(why) => found.invalid_text(at, indexes, format_args!("error parsing succeededIndexes: {why}")),
        }
    }
    let Some(count) = count else { return };
    let at = at.child("succeededCount");
    let given = &rule["succeededCount"];
    found.not_negative(at, given);
    if count > completions {
        let why = format!("must be less than or equal to {completions} (the number of specified completions)");
        found.invalid(at, given, why);
    }
    if indexes.is_some() && count > named {
        let why = format!(
            "must be less than or equal to {named} (the number of indexes in the specified succeededIndexes field)"
        );
        found.invalid(at, given, why);
    }
}

/// Why a text such as `1,3-5` names no set of indexes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIndexes {
    #[error(
        "the fragment {0:?} violates the requirement that an index interval can have at most two parts separated by '-'"
    )]
    Parts(String),
    #[error("cannot convert string to integer for index: {0:?}")]
    Number(String),
    #[error("too large index: {0:?}")]
    TooLarge(String),
    #[error("non-increasing order, previous: {previous}, current: {current}")]
    Order { previous: i64, current: i64 },
}

/// The intervals of a set of indexes.
///
/// # Errors
/// When the text is no increasing list of intervals below `completions`.
pub fn intervals(text: &str, completions: i64) -> Result<Vec<(i64, i64)>, NotIndexes> {
    let mut all: Vec<(i64, i64)> = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let interval = interval(part, completions)?;
        if let Some((_, previous)) = all.last().copied().filter(|(_, last)| *last >= interval.0) {
            return Err(NotIndexes::Order { previous, current: interval.0 });
        }
        all.push(interval);
    }
    Ok(all)
}

pub fn count_indexes(text: &str, completions: i64) -> Result<i64, NotIndexes> {
    Ok(intervals(text, completions)?.iter().map(|(first, last)| last - first + 1).sum())
}

fn interval(text: &str, completions: i64) -> Result<(i64, i64), NotIndexes> {
    let index = |part: &str| match part.parse::<i64>() {
        Err(_) => Err(NotIndexes::Number(part.to_owned())),
        Ok(index) if index >= completions => Err(NotIndexes::TooLarge(part.to_owned())),
        Ok(index) => Ok(index),
    };
    match *text.split('-').collect::<Vec<_>>().as_slice() {
        [one] => index(one).map(|one| (one, one)),
        [first, last] => {
            let (previous, current) = (index(first)?, index(last)?);
            if previous >= current { Err(NotIndexes::Order { previous, current }) } else { Ok((previous, current)) }
        }
        _ => Err(NotIndexes::Parts(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_indexes_increase_and_stay_below_the_completions() {
        let count = |text: &str| count_indexes(text, 10).map_err(|why| why.to_string());
        assert_eq!(count(""), Ok(0));
        assert_eq!(count("1,3-5,9"), Ok(5));
        assert_eq!(count("3-3"), Err("non-increasing order, previous: 3, current: 3".into()));
        assert_eq!(count("5,2"), Err("non-increasing order, previous: 5, current: 2".into()));
        assert_eq!(count("10"), Err("too large index: \"10\"".into()));
        assert_eq!(count("a"), Err("cannot convert string to integer for index: \"a\"".into()));
        assert!(count("1-2-3").is_err());
    }
}

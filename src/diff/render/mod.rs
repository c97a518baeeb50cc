//! How a plan is shown to people: as text for a terminal and as markdown for a pull request. What manifests say is
//! quoted so that it can neither move the cursor nor break out of its place; JSON is serde's business.

mod markdown;
mod quote;
mod text;

pub use markdown::{markdown, markdown_within};
pub use text::text;

use super::lines::Lines;
use super::plan::{Action, FieldChange, Plan};

/// How text is dressed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With terminal colours.
    pub colours: bool,
}

/// A line of a change, and which side it is of.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    /// `path: from -> to` on one line.
    Inline(String),
    /// The path of a change whose values follow.
    Head(String),
    Removed(String),
    Added(String),
    Same(String),
}

/// Longer values are shown on lines of their own.
const INLINE: usize = 100;
/// Lines that one change may take; the rest is counted.
const MAX_LINES: usize = 60;
/// Lines of unchanged text that are shown around a change in a long text.
const CONTEXT: usize = 2;

fn mark(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Replace => '!',
        Action::Prune => '-',
    }
}

/// `1 to create, 2 to update, 30 unchanged; 1 error`
pub fn summary(plan: &Plan) -> String {
    let steps = [
        (Action::Create, "to create"),
        (Action::Update, "to update"),
        (Action::Replace, "to replace"),
        (Action::Prune, "to prune"),
    ];
    let steps = steps.map(|(action, words)| (plan.count(action), words));
    let mut parts: Vec<String> =
        steps.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
    parts.push(format!("{} unchanged", plan.unchanged));
    let mut line = parts.join(", ");
    for (count, word) in [(plan.errors.len(), "error"), (plan.warnings.len(), "warning")] {
        match count {
            0 => {}
            1 => line.push_str(&format!("; 1 {word}")),
            count => line.push_str(&format!("; {count} {word}s")),
        }
    }
    line
}

/// The lines of one change.
fn lines(change: &FieldChange) -> Vec<Line> {
    let path = quote::line(&change.path);
    let (from, to) = (change.from.as_ref(), change.to.as_ref());
    if let (Some(from), Some(to)) = (from.and_then(|v| v.as_str()), to.and_then(|v| v.as_str()))
        && (from.contains('\n') || to.contains('\n'))
    {
        return long_text(path, from, to);
    }
    match (from.map(quote::value), to.map(quote::value)) {
        (Some(from), Some(to)) if from.len() + to.len() <= INLINE => {
            vec![Line::Inline(format!("{path}: {from} -> {to}"))]
        }
        (None, Some(to)) if to.len() <= INLINE => vec![Line::Added(format!("{path}: {to}"))],
        (Some(from), None) if from.len() <= INLINE => vec![Line::Removed(format!("{path}: {from}"))],
        _ => {
            let block = |value: Option<&serde_json::Value>| value.map(quote::block).unwrap_or_default();
            let removed = block(from).into_iter().map(|line| Line::Removed(format!("  {line}")));
            let added = block(to).into_iter().map(|line| Line::Added(format!("  {line}")));
            bounded(std::iter::once(Line::Head(format!("{path}:"))).chain(removed).chain(added))
        }
    }
}

fn long_text(path: String, from: &str, to: &str) -> Vec<Line> {
    let lines = Lines::of(from, to);
    let mut out = vec![Line::Head(format!("{path}:"))];
    for (number, hunk) in lines.hunks(CONTEXT).iter().enumerate() {
        if number > 0 {
            out.push(Line::Same("  ...".into()));
        }
        for (tag, line) in hunk.lines() {
            let text = format!("  {}", quote::line(line.trim_end_matches(['\n', '\r'])));
            out.push(match tag {
                similar::ChangeTag::Delete => Line::Removed(text),
                similar::ChangeTag::Insert => Line::Added(text),
                similar::ChangeTag::Equal => Line::Same(text),
            });
        }
    }
    bounded(out.into_iter())
}

fn bounded(lines: impl Iterator<Item = Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = lines.collect();
    let left_out = lines.len().saturating_sub(MAX_LINES);
    if left_out > 1 {
        lines.truncate(MAX_LINES);
        lines.push(Line::Same(format!("... {left_out} more lines")));
    }
    lines
}

#[cfg(test)]
mod tests;

//! A plan as markdown for a comment on a pull request: a summary line, errors, then each object to unfold.

use super::super::plan::{Plan, PlanStep};
use super::{Line, lines, mark, quote, summary};

/// Bytes that a comment may have at the hosts that take the least (GitHub: 65,536 characters).
const MAX_BYTES: usize = 60_000;

/// The plan as markdown. Objects that do not fit into a comment are counted.
pub fn markdown(plan: &Plan) -> String {
    markdown_within(plan, MAX_BYTES)
}

/// As [`markdown`], in about `room` bytes: the summary is there in any case.
pub fn markdown_within(plan: &Plan, room: usize) -> String {
    let mut out = format!("**windlass diff**: {}\n", summary(plan));
    for (title, entries) in [
        ("Errors", plan.errors.iter().map(ToString::to_string).collect::<Vec<_>>()),
        ("Warnings", plan.warnings.clone()),
    ] {
        if !entries.is_empty() {
            out.push_str(&format!("\n{title}:\n"));
        }
        let fitting = entries.iter().take_while(|entry| out.len() + entry.len() < room / 2).count();
        entries.iter().take(fitting).for_each(|entry| out.push_str(&format!("- {}\n", quote::html(entry))));
        if fitting < entries.len() {
            out.push_str(&format!("- and {} more\n", entries.len() - fitting));
        }
    }
    for (number, step) in plan.steps.iter().enumerate() {
        let shown = step_section(step);
        if out.len() + shown.len() > room {
            out.push_str(&format!("\nand {} more objects\n", plan.steps.len() - number));
            break;
        }
        out.push_str(&shown);
    }
    let rollouts = plan.rollouts.iter().map(|rollout| quote::html(&rollout.text()));
    let moves = plan.moves.iter().map(|moved| quote::html(&moved.text()));
    let hooks = plan.hooks.iter();
    let hooks = hooks.map(|hook| format!("runs the {} ({})", quote::html(&hook.object()), quote::html(&hook.source)));
    let beside: Vec<String> = rollouts.chain(moves).chain(hooks).map(|line| format!("- {line}\n")).collect();
    if !beside.is_empty() {
        out.push('\n');
    }
    for (number, line) in beside.iter().enumerate() {
        if out.len() + line.len() > MAX_BYTES + room / 20 {
            out.push_str(&format!("- and {} more\n", beside.len() - number));
            break;
        }
        out.push_str(line);
    }
    if !plan.id.is_empty() {
        out.push_str(&format!("\n<sub>plan {} of {}</sub>\n", quote::html(&plan.id), quote::html(&plan.revision)));
    }
    out
}

fn step_section(step: &PlanStep) -> String {
    let source = match step.source.as_str() {
        "" => String::new(),
        source => format!(" ({})", quote::html(source)),
    };
    let title = format!("{} {}{source}", mark(step.action), quote::html(&step.object()));
    let mut body = Vec::new();
    for line in step.changes.iter().flat_map(lines) {
        body.push(match line {
            Line::Inline(text) => format!("! {text}"),
            Line::Head(text) | Line::Same(text) => format!("  {text}"),
            Line::Removed(text) => format!("- {text}"),
            Line::Added(text) => format!("+ {text}"),
        });
    }
    if body.is_empty() {
        return format!("\n<details><summary>{title}</summary></details>\n");
    }
    let fence = fence(&body);
    format!("\n<details><summary>{title}</summary>\n\n{fence}diff\n{}\n{fence}\n</details>\n", body.join("\n"))
}

/// A fence that is longer than any run of backticks inside it.
fn fence(body: &[String]) -> String {
    let longest = body.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

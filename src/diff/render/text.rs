//! A plan as text for a terminal: one line an object, its changes below it, a summary at the end.

use super::super::plan::{Action, Plan, PlanStep};
use super::{Line, Style, lines, mark, quote, summary};

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const FAINT: &str = "2";

/// The plan as text, ending in a line break.
pub fn text(plan: &Plan, style: Style) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        step_lines(&mut out, step, style);
    }
    for rollout in &plan.rollouts {
        let colour = if rollout.unfit > 0 { RED } else { FAINT };
        out.push_str(&paint(style, colour, &format!("* {}\n", quote::line(&rollout.text()))));
    }
    for moved in &plan.moves {
        out.push_str(&paint(style, YELLOW, &format!("= {}\n", quote::line(&moved.text()))));
    }
    for hook in &plan.hooks {
        out.push_str(&paint(style, GREEN, &format!("> {}", quote::line(&hook.object()))));
        out.push_str(&paint(style, FAINT, &format!("  {}\n", quote::line(&hook.source))));
    }
    if !plan.steps.is_empty() {
        out.push('\n');
    }
    for warning in &plan.warnings {
        out.push_str(&format!("{} {}\n", paint(style, YELLOW, "warning:"), quote::line(warning)));
    }
    for error in &plan.errors {
        out.push_str(&format!("{} {}\n", paint(style, RED, "error:"), quote::line(&error.to_string())));
    }
    let id = if plan.id.is_empty() { String::new() } else { format!("plan {}: ", quote::line(&plan.id)) };
    out.push_str(&format!("{}\n", paint(style, BOLD, &format!("{id}{}", summary(plan)))));
    out
}

fn step_lines(out: &mut String, step: &PlanStep, style: Style) {
    let colour = match step.action {
        Action::Create => GREEN,
        Action::Update => YELLOW,
        Action::Replace | Action::Prune => RED,
    };
    let head = format!("{} {}", mark(step.action), quote::line(&step.object()));
    out.push_str(&paint(style, colour, &head));
    if !step.source.is_empty() {
        out.push_str(&paint(style, FAINT, &format!("  {}", quote::line(&step.source))));
    }
    if step.action == Action::Replace {
        out.push_str(&paint(style, FAINT, "  (deleted and created anew: a field that cannot change differs)"));
    }
    out.push('\n');
    // What is gone as a whole needs no list of its fields.
    for change in step.changes.iter().filter(|_| step.action != Action::Prune) {
        for line in lines(change) {
            let (colour, text) = match line {
                Line::Inline(text) => (YELLOW, format!("    ~ {text}")),
                Line::Head(text) => (FAINT, format!("      {text}")),
                Line::Removed(text) => (RED, format!("    - {text}")),
                Line::Added(text) => (GREEN, format!("    + {text}")),
                Line::Same(text) => (FAINT, format!("      {text}")),
            };
            out.push_str(&paint(style, colour, text.trim_end()));
            out.push('\n');
        }
    }
}

fn paint(style: Style, colour: &str, text: &str) -> String {
    if style.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
}

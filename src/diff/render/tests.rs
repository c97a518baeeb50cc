//! What people read, kept as snapshots.

use serde_json::json;

use super::*;
use crate::diff::plan::{PlanStep, SourceError};

fn step(action: Action, kind: &str, name: &str, changes: Vec<FieldChange>) -> PlanStep {
    PlanStep {
        action,
        api_version: "v1".into(),
        kind: kind.into(),
        namespace: "shop".into(),
        name: name.into(),
        source: format!("{name}.yaml:3"),
        changes,
    }
}

fn change(path: &str, from: serde_json::Value, to: serde_json::Value) -> FieldChange {
    let some = |value: serde_json::Value| (!value.is_null()).then_some(value);
    FieldChange { path: path.into(), from: some(from), to: some(to) }
}

fn plan() -> Plan {
    let container = json!({"name": "sidecar", "image": "registry.example.com/team/sidecar:1.2.3",
        "args": ["--listen", ":8080", "--upstream", "http://localhost:9090"]});
    let (old, new) =
        ("a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\n", "a = 1\nb = 2\nc = 3\nd = 40\ne = 5\nf = 6\ng = 7\n");
    Plan {
        id: "0123456789ab".into(),
        application: "shop".into(),
        revision: "c0ffee".into(),
        unchanged: 30,
        steps: vec![
            step(Action::Create, "Service", "web", vec![change("spec.type", json!(null), json!("ClusterIP"))]),
            step(
                Action::Update,
                "Deployment",
                "web",
                vec![
                    change("spec.replicas", json!(2), json!(3)),
                    change("spec.template.spec.containers[name=web].image", json!("web:1"), json!("web:2")),
                    change("spec.template.spec.containers[name=sidecar]", json!(null), container),
                    change("metadata.annotations[\"a/b\"]", json!("x"), json!(null)),
                ],
            ),
            step(Action::Update, "ConfigMap", "settings", vec![change("data[\"app.ini\"]", json!(old), json!(new))]),
            step(Action::Replace, "Service", "db", vec![change("spec.clusterIP", json!("10.0.0.1"), json!("None"))]),
            step(Action::Prune, "ConfigMap", "old", vec![]),
        ],
        errors: vec![SourceError {
            file: "bad.yaml".into(),
            line: 7,
            message: "unknown field \"spec.replica\"".into(),
        }],
        warnings: vec!["spec.template.spec.nodeSelector is odd".into()],
        ..Plan::default()
    }
}

#[test]
fn a_plan_reads_well_on_a_terminal() {
    insta::assert_snapshot!(text(&plan(), Style::default()));
}

#[test]
fn a_plan_reads_well_in_a_pull_request() {
    insta::assert_snapshot!(markdown(&plan()));
}

#[test]
fn nothing_to_do_is_one_line() {
    assert_eq!(text(&Plan { unchanged: 4, ..Plan::default() }, Style::default()), "4 unchanged\n");
}

#[test]
fn colours_are_only_ours() {
    let mut plan = plan();
    assert!(text(&plan, Style { colours: true }).contains("\u{1b}[32m"));
    let hostile = "\u{1b}[2J\u{202e}txt\r\u{9b}31m\u{7}";
    plan.steps[0].name = hostile.into();
    plan.steps[0].changes =
        vec![change(hostile, json!(hostile), json!("y")), change("a", json!(format!("{hostile}\n")), json!("b\nc"))];
    plan.errors[0].message = hostile.into();
    plan.warnings[0] = hostile.into();
    plan.id = hostile.into();
    for shown in [text(&plan, Style::default()), markdown(&plan)] {
        let bad = shown.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bad, None, "{shown:?}");
    }
}

#[test]
fn manifests_cannot_break_out_of_the_comment() {
    let mut plan = plan();
    plan.steps = vec![step(
        Action::Update,
        "ConfigMap",
        "</summary><script>@all",
        vec![change("data.x", json!("````\n</details>"), json!("`````\n"))],
    )];
    let shown = markdown(&plan);
    assert!(!shown.contains("<script>") && !shown.contains("@all"), "{shown}");
    assert!(shown.contains("``````diff"), "{shown}");
}

#[test]
fn a_comment_never_grows_past_what_hosts_take() {
    let mut plan = plan();
    plan.steps = vec![plan.steps[1].clone(); 2000];
    let shown = markdown(&plan);
    assert!(shown.len() < 65_536);
    assert!(shown.contains("more objects"));
}

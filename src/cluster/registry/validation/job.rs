//! Jobs: how many pods, when it has failed or succeeded, and by which labels it knows its pods.

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::workload::{self, parsed};
use super::{format, internal, job_policy, selector};

const MOST_PARALLEL_INDEXES: i64 = 100_000;
const MOST_FAILED_INDEXES: i64 = 100_000;
/// From this many completions on, the limits per index are lower.
const MANY_COMPLETIONS: i64 = 100_000;
const MOST_PARALLEL_OF_MANY: i64 = 10_000;
const MOST_FAILED_OF_MANY: i64 = 10_000;
const MANAGER_BYTES: usize = 63;

const IMMUTABLE: &str = "field is immutable";

const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

pub fn job(job: &Value, found: &mut Findings) {
    generated_selector(job, found);
    selected(job, found);
    let completions = job["spec"]["completions"].as_i64().unwrap_or(0);
    if is_indexed(&job["spec"]) && completions > 0 {
        // The pods of an indexed Job have host names: NAME-INDEX.
        let name = text(&job["metadata"], "name");
        let longest = format!("{name}-{}", completions - 1);
        if !format::label(&longest).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {longest}");
            found.invalid_text(Path::Root.child("metadata").child("name"), name, why);
        }
    }
}

/// What holds of the spec of any Job, which selects its pods.
fn selected(job: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let spec = &job["spec"];
    spec_of_job(spec, at, found);
    let given = &spec["selector"];
    if given.is_null() {
        found.required(at.child("selector"), "");
    } else {
        selector::labels(given, at.child("selector"), found);
    }
    if let Some(selector) = parsed(given) {
        workload::match_template(&selector, &spec["template"], at.child("template"), found);
    }
}

/// Unless a Job brings its own selector, it must have the one that is made for it.
fn generated_selector(job: &Value, found: &mut Findings) {
    let spec = &job["spec"];
    if spec["manualSelector"] == true || spec["selector"].is_null() {
        return;
    }
    let (name, uid) = (text(&job["metadata"], "name"), text(&job["metadata"], "uid"));
    let expected = [(UID_LABELS[0], uid), (NAME_LABELS[0], name), (UID_LABELS[1], uid), (NAME_LABELS[1], name)];
    let labels = &spec["template"]["metadata"]["labels"];
    let spec_at = Path::Root.child("spec");
    let template_at = spec_at.child("template");
    let metadata_at = template_at.child("metadata");
    let labels_at = metadata_at.child("labels");
    for (key, value) in expected {
        match labels[key].as_str() {
            None => found.required(labels_at.key(key), &format!("must be '{value}'")),
            Some(is) if is != value => found.invalid(labels_at.key(key), labels, format_args!("must be '{value}'")),
            Some(_) => {}
        }
    }
    let generated = expected.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
    if parsed(&spec["selector"]).is_some_and(|selector| !selector.matches(&Value::Object(generated))) {
        found.invalid(spec_at.child("selector"), &spec["selector"], "`selector` not auto-generated");
    }
}

pub fn is_indexed(spec: &Value) -> bool {
    text(spec, "completionMode") == "Indexed"
}

/// What holds of the spec of a Job and of the template of a CronJob alike.
pub fn spec_of_job(spec: &Value, at: Path<'_>, found: &mut Findings) {
    counts(spec, at, found);
    if let Some(manager) = spec["managedBy"].as_str() {
        self::manager(manager, at.child("managedBy"), found);
    }
    found.one_of(at.child("completionMode"), &spec["completionMode"], &["NonIndexed", "Indexed"]);
    if is_indexed(spec) {
        indexed(spec, at, found);
    } else if matches!(text(spec, "completionMode"), "" | "NonIndexed") {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if !spec[field].is_null() {
                found.invalid(at.child(field), &spec[field], "requires indexed completion mode");
            }
        }
    }
    job_policy::failure(spec, at.child("podFailurePolicy"), found);
    job_policy::success(spec, at.child("successPolicy"), found);
    let failure_policy = !spec["podFailurePolicy"].is_null();
    let replacements: &[&str] = if failure_policy { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    found.one_of(at.child("podReplacementPolicy"), &spec["podReplacementPolicy"], replacements);
    let template_at = at.child("template");
    workload::pod_template(&spec["template"], template_at, found);
    let pod_at = template_at.child("spec");
    let at = pod_at.child("restartPolicy");
    let policy = &spec["template"]["spec"]["restartPolicy"];
    match policy.as_str().unwrap_or_default() {
        "" | "Always" => found.required(at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if failure_policy => {
            found.invalid(at, policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" | "Never" => {}
        _ => found.unsupported(at, policy, &["OnFailure", "Never"]),
    }
}

fn counts(spec: &Value, at: Path<'_>, found: &mut Findings) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        found.not_negative(at.child(field), &spec[field]);
    }
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        found.required(at.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
}

/// A Job each of whose pods has an index of its own.
fn indexed(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let number = |field: &str| spec[field].as_i64();
    let completions = number("completions");
    if completions.is_none() {
        found.required(at.child("completions"), "when completion mode is Indexed");
    }
    at_most(spec, "parallelism", MOST_PARALLEL_INDEXES, " when completion mode is Indexed", at, found);
    if completions.is_some_and(|completions| number("maxFailedIndexes").is_some_and(|failed| failed > completions)) {
        let why = "must be less than or equal to completions";
        found.invalid(at.child("maxFailedIndexes"), &spec["maxFailedIndexes"], why);
    }
    at_most(spec, "maxFailedIndexes", MOST_FAILED_INDEXES, "", at, found);
    if completions.is_some_and(|n| n > MANY_COMPLETIONS) && number("backoffLimitPerIndex").is_some() {
        let when = format!(" when completions are above {MANY_COMPLETIONS} and used with backoff limit per index");
        if number("maxFailedIndexes").is_none() {
            let why = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            found.required(at.child("maxFailedIndexes"), &why);
        }
        at_most(spec, "parallelism", MOST_PARALLEL_OF_MANY, &when, at, found);
        at_most(spec, "maxFailedIndexes", MOST_FAILED_OF_MANY, &when, at, found);
    }
}

fn at_most(spec: &Value, field: &str, most: i64, when: &str, at: Path<'_>, found: &mut Findings) {
    if spec[field].as_i64().is_some_and(|number| number > most) {
        found.invalid(at.child(field), &spec[field], format_args!("must be less than or equal to {most}{when}"));
    }
}

/// Another controller than the built-in one is named by a path with a domain before it.
fn manager(name: &str, at: Path<'_>, found: &mut Findings) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    match name.split_once('/') {
        _ if name.is_empty() => found.required(at, ""),
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            found.complain(at, domain, format::subdomain(domain));
            if !path.chars().all(legal) {
                let why = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
                found.invalid_text(at, path, why);
            }
        }
        _ => found.invalid_text(at, name, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
    }
    if name.len() > MANAGER_BYTES {
        found.too_long(at, MANAGER_BYTES);
    }
}

/// What of a Job cannot change. Its spec is judged once more: that is how Kubernetes counts what is wrong.
pub fn update(new: &Value, old: &Value, found: &mut Findings) {
    selected(new, found);
    let (is, was) = (&new["spec"], &old["spec"]);
    let at = Path::Root.child("spec");
    // An indexed Job may grow or shrink, with all its indexes at work at once.
    if !is_indexed(is) {
        fixed(is, was, "completions", at, found);
    } else if is["completions"] != was["completions"]
        && !is["completions"].is_null()
        && is["completions"] != is["parallelism"]
    {
        let why = "can only be modified in tandem with spec.parallelism";
        found.invalid(at.child("completions"), &is["completions"], why);
    }
    fixed(is, was, "selector", at, found);
    if fixed_template(is, was, old) != was["template"] {
        found.invalid_shown(at.child("template"), &internal::template(&is["template"]), IMMUTABLE);
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        fixed(is, was, field, at, found);
    }
}

fn fixed(is: &Value, was: &Value, field: &str, at: Path<'_>, found: &mut Findings) {
    if is[field] != was[field] {
        found.invalid(at.child(field), &is[field], IMMUTABLE);
    }
}

/// The template with what may change put back: while a Job has not begun, it may be told where its pods are to run.
fn fixed_template(is: &Value, was: &Value, old: &Value) -> Value {
    let mut template = is["template"].clone();
    if was["suspend"] != true || !old["status"]["startTime"].is_null() {
        return template;
    }
    let before = &was["template"];
    put_back(&mut template["spec"], &before["spec"], &["nodeSelector", "tolerations", "schedulingGates"]);
    put_back(&mut template["metadata"], &before["metadata"], &["labels", "annotations"]);
    let (mut now, mut then) = (template["spec"]["affinity"].clone(), before["spec"]["affinity"].clone());
    for affinity in [&mut now, &mut then] {
        if let Some(members) = affinity.as_object_mut() {
            members.remove("nodeAffinity");
        }
    }
    let empty = |affinity: &Value| affinity.as_object().is_none_or(serde_json::Map::is_empty);
    if now == then || empty(&now) && empty(&then) {
        put_back(&mut template["spec"], &before["spec"], &["affinity"]);
    }
    template
}

fn put_back(object: &mut Value, before: &Value, fields: &[&str]) {
    let Some(members) = object.as_object_mut() else { return };
    for field in fields {
        match before.get(field) {
            Some(value) => members.insert((*field).to_owned(), value.clone()),
            None => members.remove(*field),
        };
    }
}

/// The names of the containers of a Job's pods.
pub fn container_names(spec: &Value) -> Vec<&str> {
    let pod = &spec["template"]["spec"];
    ["containers", "initContainers"].iter().flat_map(|field| list(pod, field)).map(|c| text(c, "name")).collect()
}

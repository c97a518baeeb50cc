//! What policies say, in tables: expressions, matching, parameters, messages, failures and their cost.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::object::selector::Selector;
use crate::object::{Kind, Reason, kinds, meta};

/// A cluster of the given objects.
#[derive(Default)]
struct Fake(Vec<Value>);

impl Cluster for Fake {
    fn kind(&self, api_version: &str, kind: &str) -> Option<&'static Kind> {
        kinds::by_manifest(api_version, kind)
    }

    fn object(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Value> {
        let all = self.objects(kind, namespace, &Selector::everything());
        all.into_iter().find(|object| object["metadata"]["name"] == name)
    }

    fn objects(&self, kind: &'static Kind, namespace: &str, selected: &Selector) -> Vec<Value> {
        let fits = |object: &&Value| {
            object["kind"] == kind.kind
                && (namespace.is_empty() || object["metadata"]["namespace"] == namespace)
                && selected.matches(&meta::string_map(&object["metadata"]["labels"]))
        };
        self.0.iter().filter(fits).cloned().collect()
    }
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "prod", "labels": {"app": "web"}},
        "spec": {"replicas": 3, "paused": false, "template": {"spec": {"containers": [{"name": "c", "image": "web:v1"}]}}}})
}

fn policy(spec: Value) -> Value {
    let mut whole = json!({"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]}}});
    json_patch::merge(&mut whole["spec"], &spec);
    whole
}

fn binding(spec: Value) -> Value {
    let mut whole = json!({"kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "b"},
        "spec": {"policyName": "p", "validationActions": ["Deny"]}});
    json_patch::merge(&mut whole["spec"], &spec);
    whole
}

fn request(object: &Value) -> Request<'_> {
    Request {
        kind: kinds::DEPLOYMENT,
        subresource: "",
        operation: Operation::Create,
        namespace: "prod",
        name: "web",
        object: Some(object),
        old: None,
        user: "jane",
        groups: &[],
        dry_run: false,
    }
}

fn ask(policy: &Value, binding: &Value, request: &Request, cluster: &Fake) -> Vec<Verdict> {
    let mut policies = Policies::default();
    policies.add(policy);
    policies.add(binding);
    policies.review(request, cluster)
}

/// What the policy says of the Deployment: nothing, or its messages.
fn said(spec: Value) -> Vec<String> {
    let object = deployment();
    let verdicts = ask(&policy(spec), &binding(json!({})), &request(&object), &Fake::default());
    verdicts.into_iter().map(|verdict| verdict.message).collect()
}

fn says(expression: &str) -> Vec<String> {
    said(json!({"validations": [{"expression": expression}]}))
}

#[test]
fn expressions_read_objects_as_policies_do() {
    let hold = [
        "object.spec.replicas - 5 < 0",
        "!has(object.spec.nothing)",
        "object.spec.template.spec.containers.all(c, c.image.endsWith(':v1'))",
        "quantity('128Mi').isLessThan(quantity('1Gi'))",
        "oldObject == null && params == null",
        "request.operation == 'CREATE' && request.userInfo.username == 'jane' && !request.dryRun",
        "request.resource.resource == 'deployments' && request.kind.kind == 'Deployment'",
        "request.name == 'web' && request.namespace == 'prod'",
        "dyn(object.spec.replicas) == 3",
        "[1, 2, 3].sum() == 6 && 'a,b'.split(',').size() == 2",
    ];
    for expression in hold {
        assert_eq!(says(expression), [""; 0], "{expression}");
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_said_and_refuses() {
    let cases = [
        ("object.spec.nope.deeper", "expression 'object.spec.nope.deeper' resulted in error: no such key: nope"),
        ("object.spec.replicas", "expression 'object.spec.replicas' resulted in error: it gives int, not a bool"),
        ("variables.x", "compilation failed: undefined field 'x'"),
        ("authorizer.path('/x').check('get').allowed()", "compilation failed: undeclared reference to 'authorizer'"),
        ("Foo{a: 1} == Foo{a: 1}", "compilation failed: undeclared reference to 'Foo'"),
    ];
    for (expression, want) in cases {
        assert_eq!(says(expression), [want], "{expression}");
        let ignoring = said(json!({"failurePolicy": "Ignore", "validations": [{"expression": expression}]}));
        assert_eq!(ignoring, [""; 0], "{expression} under failurePolicy Ignore");
    }
    for broken in ["object.spec.(", "(((", &"(".repeat(5000), &"!".repeat(5000), &"1 + ".repeat(9999), &"[".repeat(300)]
    {
        let said = says(broken);
        assert!(said.len() == 1, "{broken:.20}: {said:?}");
    }
}

#[test]
fn a_violation_speaks_in_kubernetes_words() {
    let object = deployment();
    let spec = json!({"validations": [{"expression": "object.spec.replicas <= 2 ", "reason": "Forbidden"}]});
    let verdicts = ask(
        &policy(spec),
        &binding(json!({"validationActions": ["Warn", "Audit"]})),
        &request(&object),
        &Fake::default(),
    );
    assert_eq!(verdicts.iter().map(|v| v.effect).collect::<Vec<_>>(), [Effect::Warn, Effect::Audit]);
    assert_eq!(verdicts[0].reason, Reason::Forbidden);
    let why = "failed expression: object.spec.replicas <= 2";
    assert_eq!(verdicts[0].refusal(), format!("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {why}"));
    assert_eq!(
        verdicts[0].warning(),
        format!("Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': {why}")
    );
}

#[test]
fn a_message_expression_is_used_when_it_gives_one_usable_line() {
    let message = |expression: &str, message: &str| {
        said(json!({"variables": [{"name": "n", "expression": "object.spec.replicas"}],
            "validations": [{"expression": "false", "messageExpression": expression, "message": message}]}))
    };
    assert_eq!(message("'has ' + string(variables.n)", "no"), ["has 3"]);
    assert_eq!(message("'two\\nlines'", " a message "), ["a message"]);
    assert_eq!(message("object.nope", ""), ["failed expression: false"]);
    assert_eq!(message("'  '", "no"), ["no"]);
    assert_eq!(message("1", "no"), ["no"]);
}

#[test]
fn variables_are_computed_only_where_they_are_used() {
    let with = |expression: &str| {
        said(json!({"variables": [
                {"name": "broken", "expression": "object.nope.x"},
                {"name": "one", "expression": "1"},
                {"name": "two", "expression": "variables.one + 1"}],
            "validations": [{"expression": expression}]}))
    };
    assert_eq!(with("variables.two == 2 && has(variables.broken)"), [""; 0]);
    assert_eq!(with("true || variables.broken"), [""; 0]);
    assert_eq!(
        with("variables.broken == 1"),
        [
            "expression 'variables.broken == 1' resulted in error: composited variable \"broken\" fails to evaluate: no such key: nope"
        ]
    );
}

#[test]
fn conditions_narrow_what_a_policy_is_about() {
    let with = |condition: &str| {
        said(json!({"matchConditions": [{"name": "c", "expression": condition}],
            "validations": [{"expression": "false", "message": "no"}]}))
    };
    assert_eq!(with("request.userInfo.username == 'jane'"), ["no"]);
    assert_eq!(with("request.userInfo.username == 'joe'"), [""; 0]);
    assert_eq!(with("object.nope == 1").len(), 1, "a condition that fails refuses");
}

#[test]
fn rules_exclusions_and_selectors_choose_requests() {
    let object = deployment();
    let rule = |resources: Value, more: Value| {
        let mut rule =
            json!({"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["*"], "resources": resources});
        json_patch::merge(&mut rule, &more);
        rule
    };
    let rules = |rule: Value| json!({"resourceRules": [rule]});
    let everything = || rules(rule(json!(["*"]), json!({})));
    let with = |mut constraints: Value, more: Value| {
        json_patch::merge(&mut constraints, &more);
        constraints
    };
    let scale = Request { subresource: "scale", operation: Operation::Update, ..request(&object) };
    let delete = Request { object: None, old: Some(&object), operation: Operation::Delete, ..request(&object) };
    let cases = [
        ("its resource", rules(rule(json!(["deployments"]), json!({}))), request(&object), true),
        ("another resource", rules(rule(json!(["pods"]), json!({}))), request(&object), false),
        ("another group", rules(rule(json!(["*"]), json!({"apiGroups": [""]}))), request(&object), false),
        ("all resources are not their subresources", everything(), scale, false),
        ("the subresource", rules(rule(json!(["deployments/scale"]), json!({}))), scale, true),
        ("all subresources", rules(rule(json!(["*/*"]), json!({}))), scale, true),
        ("another operation", rules(rule(json!(["*"]), json!({"operations": ["CREATE"]}))), delete, false),
        ("a delete", everything(), delete, true),
        ("its name", rules(rule(json!(["*"]), json!({"resourceNames": ["web"]}))), request(&object), true),
        ("another name", rules(rule(json!(["*"]), json!({"resourceNames": ["api"]}))), request(&object), false),
        ("cluster scope", rules(rule(json!(["*"]), json!({"scope": "Cluster"}))), request(&object), false),
        (
            "excluded",
            with(everything(), json!({"excludeResourceRules": [rule(json!(["deployments"]), json!({}))]})),
            request(&object),
            false,
        ),
        (
            "its labels",
            with(everything(), json!({"objectSelector": {"matchLabels": {"app": "web"}}})),
            request(&object),
            true,
        ),
        (
            "other labels",
            with(everything(), json!({"objectSelector": {"matchLabels": {"app": "x"}}})),
            request(&object),
            false,
        ),
        (
            "the old labels",
            with(everything(), json!({"objectSelector": {"matchLabels": {"app": "web"}}})),
            delete,
            true,
        ),
        (
            "its namespace",
            with(everything(), json!({"namespaceSelector": {"matchLabels": {"tier": "1"}}})),
            request(&object),
            true,
        ),
        (
            "another namespace",
            with(everything(), json!({"namespaceSelector": {"matchLabels": {"tier": "2"}}})),
            request(&object),
            false,
        ),
    ];
    let cluster = Fake(vec![json!({"kind": "Namespace", "metadata": {"name": "prod", "labels": {"tier": "1"}}})]);
    for (case, constraints, request, chosen) in cases {
        let no = json!([{"expression": "false"}]);
        let everywhere = policy(json!({"matchConstraints": everything(), "validations": no}));
        let chosen_by_policy = ask(
            &policy(json!({"matchConstraints": constraints, "validations": no})),
            &binding(json!({})),
            &request,
            &cluster,
        );
        assert_eq!(chosen_by_policy.len(), usize::from(chosen), "policy: {case}");
        if case != "the subresource" && case != "all subresources" {
            let narrowed = binding(json!({"matchResources": constraints}));
            assert_eq!(ask(&everywhere, &narrowed, &request, &cluster).len(), usize::from(chosen), "binding: {case}");
        }
    }
}

#[test]
fn parameters_come_from_the_cluster() {
    let object = deployment();
    let config = |name: &str, namespace: &str, max: &str| json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, "labels": {"for": "p"}}, "data": {"max": max}});
    let cluster = Fake(vec![config("a", "prod", "2"), config("b", "prod", "1"), config("a", "system", "9")]);
    let policy = policy(json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "object.spec.replicas <= int(params.data.max)",
            "messageExpression": "'at most ' + params.data.max"}]}));
    let with = |reference: Value| {
        let binding = binding(json!({"paramRef": reference}));
        ask(&policy, &binding, &request(&object), &cluster).into_iter().map(|v| v.message).collect::<Vec<_>>()
    };
    let none = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert_eq!(
        with(json!({"name": "a", "parameterNotFoundAction": "Deny"})),
        ["at most 2"],
        "of the request's namespace"
    );
    assert_eq!(with(json!({"name": "a", "namespace": "system", "parameterNotFoundAction": "Deny"})), [""; 0]);
    assert_eq!(
        with(json!({"selector": {"matchLabels": {"for": "p"}}, "parameterNotFoundAction": "Deny"})),
        ["at most 2", "at most 1"]
    );
    assert_eq!(with(json!({"name": "z", "parameterNotFoundAction": "Deny"})), [none]);
    assert_eq!(with(json!({"name": "z", "parameterNotFoundAction": "Allow"})), [""; 0]);
}

#[test]
fn policies_are_not_judged_by_policies() {
    let object = policy(json!({}));
    let all = json!({"matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"],
        "operations": ["*"], "resources": ["*/*", "*"]}]}, "validations": [{"expression": "false"}]});
    let request = Request { kind: kinds::ADMISSION_POLICY, namespace: "", ..request(&object) };
    assert_eq!(ask(&policy(all), &binding(json!({})), &request, &Fake::default()), []);
}

#[test]
fn an_expression_that_never_ends_is_cut_off() {
    let list = format!("[{}]", vec!["1"; 200].join(","));
    let costly = [
        // 200 to the power of 4 turns.
        format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, a + b + c + d > 0))))"),
        format!("{list}.map(a, {list}.map(b, {list}.map(c, {list}.map(d, 1)))).size() > 0"),
    ];
    for expression in costly {
        let started = Instant::now();
        let budget = "validation failed due to running out of cost budget, no further validation rules will be run";
        assert_eq!(says(&expression), [budget], "{expression:.40}");
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
    // A text that doubles with every variable.
    let mut variables = vec![json!({"name": "v0", "expression": "'0123456789'"})];
    variables.extend((1..60).map(
        |i| json!({"name": format!("v{i}"), "expression": format!("variables.v{} + variables.v{}", i - 1, i - 1)}),
    ));
    let said = said(json!({"variables": variables, "validations": [{"expression": "variables.v59.size() > 0"}]}));
    assert_eq!(said.len(), 1, "{said:?}");
}

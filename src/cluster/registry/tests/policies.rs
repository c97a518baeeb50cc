//! Policies at the one door: whatever writes, in whichever way.

use serde_json::{Value, json};

use super::{World, config_map, deployment, key, world};
use crate::cluster::registry::{Author, DeleteOptions, Patch, Target, Transaction, WriteOptions};
use crate::object::kinds::Subresource;
use crate::object::{ApiError, ObjectKey, Reason, kinds};

fn policy(resources: &str, expression: &str) -> Value {
    json!({"metadata": {"name": "at-most-5"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": [resources]}]},
        "validations": [{"expression": expression, "message": "no"}]}})
}

fn binding(actions: &[&str]) -> Value {
    json!({"metadata": {"name": "everywhere"}, "spec": {"policyName": "at-most-5", "validationActions": actions}})
}

impl World {
    async fn enforce(&self, resources: &str, expression: &str, actions: &[&str]) {
        for (kind, object) in
            [(kinds::ADMISSION_POLICY, policy(resources, expression)), (kinds::ADMISSION_BINDING, binding(actions))]
        {
            let done = self.registry.create(&self.author, kind, "", object, WriteOptions::default()).await;
            done.unwrap_or_else(|refused| panic!("{refused}"));
        }
    }
}

fn scaled(replicas: i64) -> Patch {
    Patch::Merge(json!({"spec": {"replicas": replicas}}))
}

fn denied<T: std::fmt::Debug>(result: Result<T, ApiError>) -> ApiError {
    result.expect_err("the policy denies it")
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_answered_in_kubernetes_words() {
    let world = world().await;
    world.enforce("deployments", "object.spec.replicas <= 5", &["Deny"]).await;
    world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let at = Target::from(key(kinds::DEPLOYMENT, "web"));
    let patch = world.registry.patch(&world.author, &at, scaled(6), WriteOptions::default()).await;
    let message = "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'at-most-5' with binding 'everywhere' denied request: no";
    let why = "ValidatingAdmissionPolicy 'at-most-5' with binding 'everywhere' denied request: no";
    assert_eq!(
        denied(patch).to_status(),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": "Invalid", "code": 422,
            "details": {"name": "web", "group": "apps", "kind": "deployments", "causes": [{"message": why}]}})
    );
    let mut six = deployment("six");
    six["spec"]["replicas"] = json!(6);
    let dry = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let created = world.registry.create(&world.author, kinds::DEPLOYMENT, "default", six, dry).await;
    assert_eq!(denied(created).reason, Reason::Invalid, "a dry run is judged too");
}

#[tokio::test(start_paused = true)]
async fn every_way_to_write_is_judged() {
    let world = world().await;
    world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let at = key(kinds::DEPLOYMENT, "web");
    world.enforce("*/*", "request.kind.kind == 'Namespace'", &["Deny"]).await;
    let before = world.registry.store().revision();
    let begin = || world.registry.begin(&world.author);
    let options = WriteOptions::default();
    type Write<'a> = Box<dyn Fn(&mut Transaction) -> Result<(), ApiError> + 'a>;
    let of = |subresource| Target { key: at.clone(), subresource };
    let status = json!({"status": {"replicas": 1}});
    let apply = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}});
    let ways: Vec<(&str, Write)> = vec![
        ("create", Box::new(|t| t.create(kinds::CONFIG_MAP, "default", config_map("x"), options))),
        (
            "apply",
            Box::new(|t| t.patch(&Target::from(key(kinds::CONFIG_MAP, "x")), Patch::Apply(apply.clone()), options)),
        ),
        ("patch", Box::new(|t| t.patch(&of(None), scaled(3), options))),
        ("scale", Box::new(|t| t.patch(&of(Some(Subresource::Scale)), scaled(3), options))),
        ("status", Box::new(|t| t.patch(&of(Some(Subresource::Status)), Patch::Merge(status.clone()), options))),
        ("delete", Box::new(|t| t.delete(&at, &DeleteOptions::default()))),
    ];
    for (way, write) in ways {
        let refused = denied(write(&mut begin()));
        assert!(refused.message.contains("denied request"), "{way}: {refused}");
    }
    assert_eq!(world.registry.store().revision(), before);
    let unchanged = world.registry.patch(&world.author, &of(None), scaled(1), options).await;
    assert!(unchanged.is_ok(), "what changes nothing is not judged");
}

#[tokio::test(start_paused = true)]
async fn warnings_go_to_the_client_and_let_the_write_pass() {
    let world = world().await;
    world.enforce("configmaps", "request.operation == 'CREATE' && request.dryRun", &["Warn", "Audit"]).await;
    let warning = "Validation failed for ValidatingAdmissionPolicy 'at-most-5' with binding 'everywhere': no";
    let create = |options| world.registry.create(&world.author, kinds::CONFIG_MAP, "default", config_map("a"), options);
    assert_eq!(create(WriteOptions { dry_run: true, ..WriteOptions::default() }).await.unwrap().warnings, [""; 0]);
    assert_eq!(create(WriteOptions::default()).await.unwrap().warnings, [warning]);
    let gone = world.registry.delete(&world.author, &key(kinds::CONFIG_MAP, "a"), &DeleteOptions::default()).await;
    assert_eq!(gone.unwrap().warnings, [warning]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_holds_for_the_steps_after_it_and_its_end_frees_them() {
    let world = world().await;
    let mut transaction = world.registry.begin(&Author::default());
    let create = |t: &mut Transaction, name: &str| {
        t.create(kinds::CONFIG_MAP, "default", config_map(name), WriteOptions::default())
    };
    create(&mut transaction, "before").unwrap();
    let options = WriteOptions::default();
    transaction.create(kinds::ADMISSION_POLICY, "", policy("configmaps", "false"), options).unwrap();
    transaction.create(kinds::ADMISSION_BINDING, "", binding(&["Deny"]), options).unwrap();
    denied(create(&mut transaction, "after"));
    let binding = ObjectKey::new(kinds::ADMISSION_BINDING, "", "everywhere");
    transaction.delete(&binding, &DeleteOptions::default()).unwrap();
    create(&mut transaction, "after").unwrap();
    assert_eq!(transaction.findings().len(), 1);
    transaction.commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn parameters_may_come_in_the_same_transaction() {
    let world = world().await;
    let mut with_params = policy("configmaps", "object.metadata.name != params.data.k");
    with_params["spec"]["paramKind"] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let mut bound = binding(&["Deny"]);
    bound["spec"]["paramRef"] = json!({"name": "params", "namespace": "default", "parameterNotFoundAction": "Deny"});
    let mut transaction = world.registry.begin(&world.author);
    let options = WriteOptions::default();
    transaction.create(kinds::CONFIG_MAP, "default", config_map("params"), options).unwrap();
    transaction.create(kinds::ADMISSION_POLICY, "", with_params, options).unwrap();
    transaction.create(kinds::ADMISSION_BINDING, "", bound, options).unwrap();
    transaction.create(kinds::CONFIG_MAP, "default", config_map("a"), options).unwrap();
    denied(transaction.create(kinds::CONFIG_MAP, "default", config_map("v"), options));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_does_not_compile_is_refused() {
    let world = world().await;
    let refused = world
        .registry
        .create(&world.author, kinds::ADMISSION_POLICY, "", policy("pods", "object.("), WriteOptions::default())
        .await;
    let refused = denied(refused);
    assert_eq!(refused.causes.len(), 1, "{refused}");
    assert_eq!(refused.causes[0].field, "spec.validations[0].expression");
    assert!(refused.causes[0].message.starts_with("Invalid value: \"object.(\": compilation failed: "), "{refused}");
}

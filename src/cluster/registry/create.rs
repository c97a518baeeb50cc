//! Creation: names the object, gives it what only the server can give, and refuses what may not be.

use serde_json::{Value, json};

use super::admit;
use super::custom;
use super::definitions;
use super::names;
use super::options::WriteOptions;
use super::ownership;
use super::policies::Judged;
use super::request;
use super::strategy::{self, Generation, Strategy};
use super::transaction::{NamespaceState, Transaction};
use super::update::Owned;
use super::warnings;
use crate::object::custom::Described;
use crate::object::{ApiError, Cause, Kind, ObjectKey, Reason, kinds, views};
use crate::policy::Operation;

/// How often a generated name that is taken is drawn anew.
const DRAWS: usize = 8;

impl Transaction {
    /// # Errors
    /// The refusal for the client.
    pub fn create(
        &mut self,
        kind: &'static Kind,
        namespace: &str,
        mut object: Value,
        options: WriteOptions,
    ) -> Result<(), ApiError> {
        if let Some(view) = views::of(kind) {
            return self.create_through(view, namespace, object, options);
        }
        let kinds = self.kinds().clone();
        let warnings = admit::decode(custom::described(&kinds, kind)?, &mut object, options.validation)?;
        request::check_namespace(kind, namespace, &mut object)?;
        let created = self.create_decoded(kind, namespace, object, Owned::ByChange);
        self.warn_first(warnings, created)
    }

    /// Creates an object that is of its kind and names the right namespace.
    pub(super) fn create_decoded(
        &mut self,
        kind: &'static Kind,
        namespace: &str,
        object: Value,
        owned: Owned,
    ) -> Result<(), ApiError> {
        let kinds = self.kinds().clone();
        let described = custom::described(&kinds, kind)?;
        self.check_definition_takes(kind)?;
        let mut object = self.identify(kind, namespace, object)?;
        admit::default(described, &mut object);
        if owned == Owned::ByChange {
            ownership::record_create(described, &mut object, &self.author, self.now);
        }
        let class = self.take_priority_class(kind, &mut object);
        self.default_limits(kind, &mut object);
        self.take_default_class(kind, &mut object);
        admit::begin(kind, &mut object, self.now)?;
        class.into_iter().for_each(|class| class.apply(&mut object));
        self.admit_account(kind, &mut object)?;
        self.finish_create(described, namespace, object)
    }

    /// The object with the metadata that the server decides; refuses a namespace that takes no more objects.
    fn identify(&mut self, kind: &'static Kind, namespace: &str, mut object: Value) -> Result<Value, ApiError> {
        self.check_namespace_takes(kind, namespace, object["metadata"]["name"].as_str().unwrap_or_default())?;
        let name = self.name_for(kind, namespace, &object["metadata"]);
        let metadata = object["metadata"].as_object_mut().ok_or_else(|| ApiError::bad_request("no metadata"))?;
        for server_made in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
            metadata.remove(server_made);
        }
        if !name.is_empty() {
            metadata.insert("name".into(), json!(name));
        }
        metadata.insert("uid".into(), json!(uuid::Uuid::new_v4().to_string()));
        metadata.insert("creationTimestamp".into(), strategy::time(self.now));
        if Strategy::of(kind).generation != Generation::None {
            metadata.insert("generation".into(), json!(1));
        }
        Ok(object)
    }

    /// Validates and puts a complete object.
    fn finish_create(&mut self, described: Described<'_>, namespace: &str, mut object: Value) -> Result<(), ApiError> {
        let kind = described.row;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if kind == kinds::SERVICE {
            self.allocate(&mut object, None)?;
        }
        if kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            definitions::begin(&mut object);
        }
        let causes = admit::validate_new(described, &object);
        if !causes.is_empty() {
            return Err(ApiError::invalid(kind, &name, causes));
        }
        let key = ObjectKey::new(kind, namespace, name);
        let operation = Operation::Create;
        self.judge(&Judged { key: &key, subresource: "", operation, object: Some(&object), old: None })?;
        if self.exists(&key) {
            return Err(self.already_exists(&key));
        }
        let version = object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("resourceVersion"));
        if version.is_some_and(|version| !matches!(version.as_str(), None | Some("" | "0"))) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(ApiError::new(Reason::Unknown, message));
        }
        self.check_grant(kind, &object, None)?;
        self.check_limits(kind, &object, None)?;
        self.charge_quotas(kind, &object, None)?;
        self.warn(warnings::create(kind, &object));
        if kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            self.settle_definition(&key, &mut object)?;
        }
        self.put(key, None, object);
        Ok(())
    }

    fn already_exists(&self, key: &ObjectKey) -> ApiError {
        let mut error = ApiError::already_exists(key.kind, &key.name);
        let deleting = self.current(key).is_some_and(|o| !o["metadata"]["deletionTimestamp"].is_null());
        if deleting {
            error.message = format!("object is being deleted: {}", error.message);
        }
        error
    }

    fn name_for(&mut self, kind: &'static Kind, namespace: &str, metadata: &Value) -> String {
        let text = |name: &str| metadata[name].as_str().unwrap_or_default();
        let (name, prefix) = (text("name"), text("generateName"));
        if !name.is_empty() || prefix.is_empty() {
            return name.to_owned();
        }
        let mut drawn = names::generate(prefix, &mut self.random);
        for _ in 1..DRAWS {
            if !self.exists(&ObjectKey::new(kind, namespace, &drawn)) {
                break;
            }
            drawn = names::generate(prefix, &mut self.random);
        }
        drawn
    }

    fn check_namespace_takes(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<(), ApiError> {
        if !kind.namespaced {
            return Ok(());
        }
        match self.namespace_state(namespace) {
            NamespaceState::Active => Ok(()),
            NamespaceState::Absent => Err(ApiError::not_found(kinds::NAMESPACE, namespace)),
            NamespaceState::Terminating => {
                let why =
                    format!("unable to create new content in namespace {namespace} because it is being terminated");
                let cause = Cause {
                    reason: "NamespaceTerminating".into(),
                    message: format!("namespace {namespace} is being terminated"),
                    field: "metadata.namespace".into(),
                };
                Err(ApiError { causes: vec![cause], ..ApiError::forbidden(kind, name, why) })
            }
        }
    }
}

//! Writes through a view: the body is read as the view's kind, becomes an object of the stored kind, and from there on is
//! written as any other. What is answered is shown through the view again.

use serde_json::Value;

use super::admit;
use super::options::{FieldValidation, Patch, Target, WriteOptions};
use super::patch::{patched, read_patched};
use super::request;
use super::transaction::Transaction;
use crate::object::views::View;
use crate::object::{ApiError, ObjectKey};

impl Transaction {
    pub(super) fn create_through(
        &mut self,
        view: &'static View,
        namespace: &str,
        mut object: Value,
        options: WriteOptions,
    ) -> Result<(), ApiError> {
        let warnings = read(view, &mut object, options.validation)?;
        let created = self.create(view.stored, namespace, object, options);
        self.asked_through(view);
        self.warn_first(warnings, created)
    }

    pub(super) fn update_through(
        &mut self,
        view: &'static View,
        target: &Target,
        mut object: Value,
        options: WriteOptions,
    ) -> Result<(), ApiError> {
        let warnings = read(view, &mut object, options.validation)?;
        let updated = self.update(&stored(view, target), object, options);
        self.asked_through(view);
        self.warn_first(warnings, updated)
    }

    pub(super) fn patch_through(
        &mut self,
        view: &'static View,
        target: &Target,
        patch: Patch,
        options: WriteOptions,
    ) -> Result<(), ApiError> {
        let stored = stored(view, target);
        if let Patch::Apply(mut config) = patch {
            // Fields are owned by their stored names.
            view.store(&mut config);
            let applied = self.patch(&stored, Patch::Apply(config), options);
            self.asked_through(view);
            return applied;
        }
        let mut current = self.require(&stored.key)?;
        view.show(&mut current);
        let mut object = patched(&view.kind, &current, &patch)?;
        let warnings = read_patched((&view.kind).into(), &current, &mut object, &patch, options.validation)?;
        request::check_name(&stored.key, &object)?;
        view.store(&mut object);
        let updated = self.update(&stored, object, options);
        self.asked_through(view);
        self.warn_first(warnings, updated)
    }
}

fn read(view: &'static View, object: &mut Value, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
    let warnings = admit::decode((&view.kind).into(), object, validation)?;
    view.store(object);
    Ok(warnings)
}

fn stored(view: &'static View, target: &Target) -> Target {
    let key = ObjectKey { kind: view.stored, ..target.key.clone() };
    Target { key, subresource: target.subresource }
}

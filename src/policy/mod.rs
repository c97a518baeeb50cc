//! Judges objects by policies: ValidatingAdmissionPolicy with CEL. Pure.

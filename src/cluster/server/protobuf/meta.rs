//! The messages of metadata and of request options. Tags are those of Kubernetes's published message definitions.

use super::table::messages;

messages! {
    OwnerReference {
        5 apiVersion text, 1 kind text, 3 name text, 4 uid text, 6 controller (keep flag),
        7 blockOwnerDeletion (keep flag)
    }
    ManagedFieldsEntry {
        1 manager text, 2 operation text, 3 apiVersion text, 4 time time, 6 fieldsType text, 7 fieldsV1 raw,
        8 subresource text
    }
    ObjectMeta {
        1 name text, 2 generateName text, 3 namespace text, 4 selfLink text, 5 uid text,
        6 resourceVersion text, 7 generation number, 8 creationTimestamp time, 9 deletionTimestamp time,
        10 deletionGracePeriodSeconds (keep number), 11 labels texts, 12 annotations texts,
        13 ownerReferences [OwnerReference], 14 finalizers [text], 17 managedFields [ManagedFieldsEntry]
    }
    LabelSelectorRequirement { 1 key text, 2 operator text, 3 values [text] }
    LabelSelector { 1 matchLabels texts, 2 matchExpressions [LabelSelectorRequirement] }
    Condition {
        1 type text, 2 status text, 3 observedGeneration number, 4 lastTransitionTime time, 5 reason text,
        6 message text
    }
    FieldSelectorRequirement { 1 key text, 2 operator text, 3 values [text] }
    Preconditions { 1 uid text, 2 resourceVersion text }
    DeleteOptions {
        1 gracePeriodSeconds (keep number), 2 preconditions Preconditions, 3 orphanDependents (keep flag),
        4 propagationPolicy text, 5 dryRun [text], 6 ignoreStoreReadErrorWithClusterBreakingPotential flag
    }
}

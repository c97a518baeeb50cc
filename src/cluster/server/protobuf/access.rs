//! The messages of roles, tokens and reviews. Tags are those of Kubernetes's published message definitions.

use super::meta::*;
use super::others::*;
use super::table::messages;

messages! {
    PolicyRule {
        1 verbs [text], 2 apiGroups [text], 3 resources [text], 4 resourceNames [text], 5 nonResourceURLs [text]
    }
    Role { 1 metadata (plain ObjectMeta), 2 rules [PolicyRule] }
    AggregationRule { 1 clusterRoleSelectors [LabelSelector] }
    ClusterRole { 1 metadata (plain ObjectMeta), 2 rules [PolicyRule], 3 aggregationRule AggregationRule }
    Subject { 1 kind text, 2 apiGroup text, 3 name text, 4 namespace text }
    RoleRef { 1 apiGroup text, 2 kind text, 3 name text }
    RoleBinding { 1 metadata (plain ObjectMeta), 2 subjects [Subject], 3 roleRef (plain RoleRef) }
    ClusterRoleBinding { 1 metadata (plain ObjectMeta), 2 subjects [Subject], 3 roleRef (plain RoleRef) }
    BoundObjectReference { 1 kind text, 2 apiVersion text, 3 name text, 4 uid text }
    TokenRequestSpec { 1 audiences [text], 4 expirationSeconds number, 3 boundObjectRef BoundObjectReference }
    TokenRequestStatus { 1 token text, 2 expirationTimestamp time }
    TokenRequest {
        1 metadata (plain ObjectMeta), 2 spec (plain TokenRequestSpec), 3 status (plain TokenRequestStatus)
    }
    TokenReviewSpec { 1 token text, 2 audiences [text] }
    TokenReviewStatus { 1 authenticated flag, 2 user UserInfo, 4 audiences [text], 3 error text }
    TokenReview { 1 metadata (plain ObjectMeta), 2 spec (plain TokenReviewSpec), 3 status (plain TokenReviewStatus) }
    SubjectAccessReviewSpec {
        1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes, 3 user text,
        4 groups [text], 5 extra lists, 6 uid text
    }
    SubjectAccessReview {
        1 metadata (plain ObjectMeta), 2 spec (plain SubjectAccessReviewSpec),
        3 status (plain SubjectAccessReviewStatus)
    }
    LocalSubjectAccessReview {
        1 metadata (plain ObjectMeta), 2 spec (plain SubjectAccessReviewSpec),
        3 status (plain SubjectAccessReviewStatus)
    }
}

//! The messages of quotas and limits, budgets, ingresses, and network and admission policies. Tags are those of
//! Kubernetes's published message definitions.

use super::core::*;
use super::meta::*;
use super::table::messages;

messages! {
    LimitRangeItem {
        1 type text, 2 max quantities, 3 min quantities, 4 default quantities, 5 defaultRequest quantities,
        6 maxLimitRequestRatio quantities
    }
    LimitRangeSpec { 1 limits [LimitRangeItem] }
    LimitRange { 1 metadata (plain ObjectMeta), 2 spec (plain LimitRangeSpec) }
    ScopedResourceSelectorRequirement { 1 scopeName text, 2 operator text, 3 values [text] }
    ScopeSelector { 1 matchExpressions [ScopedResourceSelectorRequirement] }
    ResourceQuotaSpec { 1 hard quantities, 2 scopes [text], 3 scopeSelector ScopeSelector }
    ResourceQuotaStatus { 1 hard quantities, 2 used quantities }
    ResourceQuota {
        1 metadata (plain ObjectMeta), 2 spec (plain ResourceQuotaSpec), 3 status (plain ResourceQuotaStatus)
    }
    PodDisruptionBudgetSpec {
        1 minAvailable (keep int_or_string), 2 selector LabelSelector, 3 maxUnavailable (keep int_or_string),
        4 unhealthyPodEvictionPolicy (keep text)
    }
    PodDisruptionBudgetStatus {
        1 observedGeneration number, 3 disruptionsAllowed (keep number), 4 currentHealthy (keep number),
        5 desiredHealthy (keep number), 6 expectedPods (keep number), 7 conditions [Condition]
    }
    PodDisruptionBudget {
        1 metadata (plain ObjectMeta), 2 spec (plain PodDisruptionBudgetSpec),
        3 status (plain PodDisruptionBudgetStatus)
    }
    ServiceBackendPort { 1 name text, 2 number number }
    IngressServiceBackend { 1 name text, 2 port (plain ServiceBackendPort) }
    IngressBackend { 4 service IngressServiceBackend, 3 resource TypedLocalObjectReference }
    IngressTLS { 1 hosts [text], 2 secretName text }
    HTTPIngressPath { 1 path text, 3 pathType text, 2 backend IngressBackend }
    HTTPIngressRuleValue { 1 paths [HTTPIngressPath] }
    IngressRuleValue { 1 http HTTPIngressRuleValue }
    IngressRule { 1 host text, 2 inline (inline IngressRuleValue) }
    IngressSpec {
        4 ingressClassName text, 1 defaultBackend IngressBackend, 2 tls [IngressTLS], 3 rules [IngressRule]
    }
    IngressPortStatus { 1 port number, 2 protocol text, 3 error text }
    IngressLoadBalancerIngress { 1 ip text, 2 hostname text, 4 ports [IngressPortStatus] }
    IngressLoadBalancerStatus { 1 ingress [IngressLoadBalancerIngress] }
    IngressStatus { 1 loadBalancer (plain IngressLoadBalancerStatus) }
    Ingress { 1 metadata (plain ObjectMeta), 2 spec (plain IngressSpec), 3 status (plain IngressStatus) }
    IngressClassParametersReference {
        1 apiGroup (keep text), 2 kind text, 3 name text, 4 scope text, 5 namespace text
    }
    IngressClassSpec { 1 controller text, 2 parameters IngressClassParametersReference }
    IngressClass { 1 metadata (plain ObjectMeta), 2 spec (plain IngressClassSpec) }
    NetworkPolicyPort { 1 protocol text, 2 port (keep int_or_string), 3 endPort number }
    IPBlock { 1 cidr text, 2 except [text] }
    NetworkPolicyPeer { 1 podSelector LabelSelector, 2 namespaceSelector LabelSelector, 3 ipBlock IPBlock }
    NetworkPolicyIngressRule { 1 ports [NetworkPolicyPort], 2 from [NetworkPolicyPeer] }
    NetworkPolicyEgressRule { 1 ports [NetworkPolicyPort], 2 to [NetworkPolicyPeer] }
    NetworkPolicySpec {
        1 podSelector LabelSelector, 2 ingress [NetworkPolicyIngressRule], 3 egress [NetworkPolicyEgressRule],
        4 policyTypes [text]
    }
    NetworkPolicy { 1 metadata (plain ObjectMeta), 2 spec (plain NetworkPolicySpec) }
    ParamKind { 1 apiVersion text, 2 kind text }
    Rule { 1 apiGroups [text], 2 apiVersions [text], 3 resources [text], 4 scope text }
    RuleWithOperations { 1 operations [text], 2 inline (inline Rule) }
    NamedRuleWithOperations { 1 resourceNames [text], 2 inline (inline RuleWithOperations) }
    MatchResources {
        1 namespaceSelector LabelSelector, 2 objectSelector LabelSelector,
        3 resourceRules [NamedRuleWithOperations], 4 excludeResourceRules [NamedRuleWithOperations],
        7 matchPolicy text
    }
    Validation { 1 expression text, 2 message text, 3 reason text, 4 messageExpression text }
    AuditAnnotation { 1 key text, 2 valueExpression text }
    MatchCondition { 1 name text, 2 expression text }
    Variable { 1 name text, 2 expression text }
    ValidatingAdmissionPolicySpec {
        1 paramKind ParamKind, 2 matchConstraints MatchResources, 3 validations [Validation], 4 failurePolicy text,
        5 auditAnnotations [AuditAnnotation], 6 matchConditions [MatchCondition], 7 variables [Variable]
    }
    ExpressionWarning { 2 fieldRef text, 3 warning text }
    TypeChecking { 1 expressionWarnings [ExpressionWarning] }
    ValidatingAdmissionPolicyStatus {
        1 observedGeneration number, 2 typeChecking TypeChecking, 3 conditions [Condition]
    }
    ValidatingAdmissionPolicy {
        1 metadata (plain ObjectMeta), 2 spec (plain ValidatingAdmissionPolicySpec),
        3 status (plain ValidatingAdmissionPolicyStatus)
    }
    ParamRef { 1 name text, 2 namespace text, 3 selector LabelSelector, 4 parameterNotFoundAction text }
    ValidatingAdmissionPolicyBindingSpec {
        1 policyName text, 2 paramRef ParamRef, 3 matchResources MatchResources, 4 validationActions [text]
    }
    ValidatingAdmissionPolicyBinding {
        1 metadata (plain ObjectMeta), 2 spec (plain ValidatingAdmissionPolicyBindingSpec)
    }
}

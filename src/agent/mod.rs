//! One node: makes the machine run the pods that are bound to it. It knows the cluster as an API.

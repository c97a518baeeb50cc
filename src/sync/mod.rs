//! Makes the cluster follow a git repository: commit, plan, one transaction, status.

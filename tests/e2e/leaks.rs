//! No secret in any log, metric, reply or file.

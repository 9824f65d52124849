//! What a request proves before a handler sees it.

pub(crate) mod bearer;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod form;
pub(crate) mod named_app;
pub(crate) mod path;
pub(crate) mod then;

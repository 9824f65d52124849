//! Many apps.

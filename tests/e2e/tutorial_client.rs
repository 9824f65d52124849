//! The tutorial's client.

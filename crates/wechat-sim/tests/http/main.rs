//! The simulator as its users see it: over HTTP, on a port of its own.

mod access;
mod client_data;
mod code2session;
mod faults;
mod harness;
mod lifecycle;
mod steering;

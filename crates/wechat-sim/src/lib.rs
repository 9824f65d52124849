#![doc = include_str!("../README.md")]

mod answer;
mod api;
mod api_security;
mod business;
mod chance;
mod clock;
mod codes;
mod component;
mod encrypt_keys;
mod faults;
mod genuine;
mod guard;
mod hang_up;
mod journal;
mod operations;
mod payments;
mod post;
mod push;
mod quotas;
mod rids;
mod routes;
mod simulator;
mod state;
mod steering;
mod token_routes;
mod tokens;
mod user_data;

pub use simulator::{SimulatedApp, Simulator, SimulatorConfig, StartError};

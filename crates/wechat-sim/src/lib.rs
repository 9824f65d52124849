#![doc = include_str!("../README.md")]

mod answer;
mod chance;
mod clock;
mod codes;
mod faults;
mod guard;
mod hang_up;
mod journal;
mod routes;
mod simulator;
mod stable_token;
mod state;
mod steering;
mod user_data;

pub use simulator::{SimulatedApp, Simulator, SimulatorConfig, StartError};

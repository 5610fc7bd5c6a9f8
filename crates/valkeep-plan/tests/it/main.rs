//! Everything the planner promises, as data in and data out.

mod adoption;
mod conditions;
mod deletion;
mod drift;
mod fresh;
mod lock;
mod properties;
mod refusals;
mod safety;
mod world;

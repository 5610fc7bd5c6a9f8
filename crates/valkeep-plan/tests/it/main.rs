//! Everything the planner promises, as data in and data out.

mod adoption;
mod conditions;
mod drift;
mod fresh;
mod limits;
mod lock;
mod properties;
mod refusals;
mod safety;
mod world;

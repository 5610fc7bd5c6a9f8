//! Everything the planner promises, as data in and data out.

mod adoption;
mod append_only;
mod conditions;
mod deletion;
mod drift;
mod fresh;
mod hibernation;
mod immutable;
mod letting_go;
mod limits;
mod live;
mod lock;
mod password;
mod properties;
mod refusals;
mod rendering;
mod replacement;
mod safety;
mod server_faults;
mod taken;
mod transition;
mod traps;
mod traps_ecs;
mod versions;
mod world;

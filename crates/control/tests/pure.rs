//! The pure half of control: its rules as tables, its invariants in a seeded simulation.
//! No clock, no process and no socket: everything here happens in made-up time.
#![allow(clippy::unwrap_used)]

#[path = "pure/desire.rs"]
mod desire;
#[path = "pure/rig.rs"]
mod rig;

#[path = "pure/rules_adaptive.rs"]
mod rules_adaptive;
#[path = "pure/rules_autoscale.rs"]
mod rules_autoscale;
#[path = "pure/rules_configuration.rs"]
mod rules_configuration;
#[path = "pure/rules_ejection.rs"]
mod rules_ejection;
#[path = "pure/rules_ending.rs"]
mod rules_ending;
#[path = "pure/rules_failure.rs"]
mod rules_failure;
#[path = "pure/rules_feedback.rs"]
mod rules_feedback;
#[path = "pure/rules_health.rs"]
mod rules_health;
#[path = "pure/rules_order.rs"]
mod rules_order;
#[path = "pure/rules_rollout.rs"]
mod rules_rollout;
#[path = "pure/rules_room.rs"]
mod rules_room;
#[path = "pure/rules_static.rs"]
mod rules_static;
#[path = "pure/rules_table.rs"]
mod rules_table;
#[path = "pure/rules_usage.rs"]
mod rules_usage;

#[path = "pure/invariants.rs"]
mod invariants;
#[path = "pure/operator.rs"]
mod operator;
#[path = "pure/sim.rs"]
mod sim;
#[path = "pure/world.rs"]
mod world;

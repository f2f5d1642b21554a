//! What holds for every key of the file, found by going through the schema.
//! Single keys and their values are for the other tests.
#![allow(clippy::unwrap_used)]

#[path = "reference/docs.rs"]
mod docs;
#[path = "reference/keys.rs"]
mod keys;
#[path = "reference/tables.rs"]
mod tables;

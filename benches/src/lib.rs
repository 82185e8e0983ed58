//! Only benches stand here; `cargo bench -p benches` runs them.

//! This package contains only benchmarks: `cargo bench -p benches` measures routing, and
//! `cargo run -p benches --bin launch-store --profile simulation` the launch store.

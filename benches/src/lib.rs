//! This package contains only benchmarks; run them with `cargo bench -p benches`.

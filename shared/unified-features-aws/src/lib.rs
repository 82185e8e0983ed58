//! Like `unified-features`, for the crates that only packages with an AWS SDK build.

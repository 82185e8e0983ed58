//! Random distributions.

use fastrand::Rng;

/// Returns a random number of the exponential distribution with this mean.
pub fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

/// Returns a random number of the log-normal distribution with this mean; `sigma` is the logarithm's standard
/// deviation.
pub fn log_normal(rng: &mut Rng, mean: f64, sigma: f64) -> f64 {
    (mean.ln() - sigma * sigma / 2.0 + sigma * normal(rng)).exp()
}

/// Returns a random number of the normal distribution with mean 0 and standard deviation 1 (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

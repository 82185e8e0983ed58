//! Queueing theory, to check the simulation.

/// Returns the mean wait in an M/M/n queue, in seconds (Erlang C): `load` Erlang on `servers` servers, `service`
/// seconds per message. It is infinite if the load is not below the number of servers.
pub fn erlang_c_wait(load: f64, servers: u32, service: f64) -> f64 {
    let n = f64::from(servers);
    if load >= n {
        return f64::INFINITY;
    }
    // The recursion of Erlang B does not overflow.
    let blocked = (1..=servers).fold(1.0, |blocked, k| load * blocked / (f64::from(k) + load * blocked));
    let waits = blocked / (1.0 - load / n * (1.0 - blocked));
    waits * service / (n - load)
}

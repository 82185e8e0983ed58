//! The work queue port in memory.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use trigger_core::event::identity::LaunchKey;
use trigger_engine::ports::{LAUNCHES_MAX, NotAdded, Work, WorkQueue};

/// The launches that `dev` continues at a time. They are lost with `dev`, which continues all open launches when it
/// starts again.
#[derive(Debug, Default)]
pub struct LocalWork {
    launches: Mutex<BTreeSet<(Instant, LaunchKey)>>,
}

impl LocalWork {
    /// Adds launches that are due after a delay.
    pub fn put(&self, launches: impl IntoIterator<Item = LaunchKey>, delay: Duration) {
        let due = Instant::now() + delay;
        self.launches().extend(launches.into_iter().map(|launch| (due, launch)));
    }

    /// Returns how long it takes until a launch is due, if there is any.
    pub fn until_next(&self) -> Option<Duration> {
        self.launches().first().map(|(due, _)| due.saturating_duration_since(Instant::now()))
    }

    /// Removes launches that are due, at most [`LAUNCHES_MAX`], and returns them.
    pub fn take_due(&self) -> Vec<LaunchKey> {
        let now = Instant::now();
        let mut launches = self.launches();
        let mut taken = Vec::new();
        while taken.len() < LAUNCHES_MAX
            && launches.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, launch)) = launches.pop_first()
        {
            if !taken.contains(&launch) {
                taken.push(launch);
            }
        }
        taken
    }

    fn launches(&self) -> MutexGuard<'_, BTreeSet<(Instant, LaunchKey)>> {
        self.launches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkQueue for LocalWork {
    async fn add(&self, work: &[Work]) -> Result<(), NotAdded> {
        for Work { launches, delay } in work {
            self.put(launches.iter().cloned(), *delay);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trigger_core::event::identity::LaunchKey;
    use trigger_engine::ports::{LAUNCHES_MAX, Work, WorkQueue};

    use super::LocalWork;

    fn key(number: usize) -> LaunchKey {
        LaunchKey::new("r", "2026-01-01", &format!("{number:032}"))
    }

    #[tokio::test]
    async fn work_comes_when_it_is_due_and_each_launch_once() {
        let work = LocalWork::default();
        assert_eq!(work.until_next(), None);
        let later = Work { launches: vec![key(0)], delay: Duration::from_mins(15) };
        let now = Work { launches: vec![key(1), key(2)], delay: Duration::ZERO };
        work.add(&[later, now.clone()]).await.expect("is added");
        work.add(&[now]).await.expect("is added");
        assert_eq!(work.until_next(), Some(Duration::ZERO));
        assert_eq!(work.take_due(), [key(1), key(2)]);
        assert!(work.until_next().is_some_and(|until| until > Duration::from_mins(14)));
        assert_eq!(work.take_due(), []);
    }

    #[test]
    fn much_work_comes_in_parts() {
        let work = LocalWork::default();
        work.put((0..LAUNCHES_MAX + 2).map(key), Duration::ZERO);
        assert_eq!(work.take_due().len(), LAUNCHES_MAX);
        assert_eq!(work.take_due().len(), 2);
    }
}

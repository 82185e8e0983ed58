//! A config with only some of its routes.

use super::{RouteMatcher, RoutingConfig};
use crate::text::diagnostic::hint;

/// Why a config cannot have only some routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the config has no route `{name}`{hint}; its routes are {}", routes.join(", "))]
pub struct NoSuchRoute {
    name: String,
    hint: String,
    routes: Vec<String>,
}

impl RoutingConfig {
    /// Returns the config with only the routes of these names, and without workers.
    ///
    /// # Errors
    /// No route has one of the names.
    pub fn only(mut self, names: &[String]) -> Result<Self, NoSuchRoute> {
        if let Some(unknown) = names.iter().find(|name| self.route(name).is_none()) {
            let known = self.routes.iter().map(|route| route.name.as_str());
            let (hint, routes) = (hint(unknown, known.clone()), known.map(str::to_owned).collect());
            return Err(NoSuchRoute { name: unknown.clone(), hint, routes });
        }
        self.routes.retain(|route| names.contains(&route.name));
        self.workers.clear();
        (self.events, self.messages) = RouteMatcher::of_sources(&self.routes);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::event::Event;
    use crate::routing::RoutingConfig;
    use crate::text::Source;

    fn config() -> RoutingConfig {
        let text = r#"
version: 1
tasks: { t: { task_definition: t } }
routes:
  - { name: a, on: { s3: { bucket: one } }, run: t }
  - { name: b, on: { s3: { bucket: [one, two] } }, run: t }
  - { name: c, on: { queue: jobs }, run: t }
"#;
        RoutingConfig::parse(Source::new("c.yaml", text)).expect("is valid")
    }

    #[test]
    fn only_the_named_routes_are_left_and_take_their_events() {
        let event = Event::object_created("one", "k").expect("is an event");
        let names = |config: &RoutingConfig| -> Vec<String> {
            config.matches(&event).expect("matches").iter().map(|route| route.name.clone()).collect()
        };
        assert_eq!(names(&config()), ["a", "b"]);
        let only = config().only(&["b".to_owned()]).expect("is a route");
        assert_eq!((names(&only), only.queues().len()), (vec!["b".to_owned()], 0));
        assert_eq!(only.buckets(), ["one", "two"]);
    }

    #[test]
    fn a_name_that_no_route_has_is_refused() {
        let refused = config().only(&["a".to_owned(), "d".to_owned()]).expect_err("is unknown").to_string();
        assert!(refused.starts_with("the config has no route `d`"), "{refused}");
    }
}

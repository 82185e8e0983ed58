//! Where the output of containers is, and the lines of several containers as one text.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use jiff::Timestamp;

/// Where the output of a container is, by the log configuration in its task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPlace {
    /// In CloudWatch Logs.
    Stream(LogStream),
    /// Somewhere else.
    Elsewhere(Elsewhere),
}

/// A stream of CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// The Region, if the log configuration names one.
    pub region: Option<String>,
    /// The name of the log group.
    pub group: String,
    /// The name of the stream.
    pub name: String,
}

/// Why the output of a container cannot be read from CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// The container has no log configuration.
    NotConfigured,
    /// Its driver is another one.
    Driver(String),
    /// The log configuration names no log group.
    NoGroup,
    /// It has no stream prefix, so that the name of the stream does not contain the task's id.
    NoPrefix {
        /// The name of the log group.
        group: String,
    },
}

impl LogPlace {
    /// Returns where a container of a task writes to. `driver` and `options` are those of the task definition.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html>
    pub fn of(container: &str, task_id: &str, driver: Option<&str>, options: &BTreeMap<String, String>) -> Self {
        let option = |name: &str| options.get(name).filter(|value| !value.is_empty()).cloned();
        let why = match (driver, option("awslogs-group"), option("awslogs-stream-prefix")) {
            (None, ..) => Elsewhere::NotConfigured,
            (Some("awslogs"), Some(group), Some(prefix)) => {
                let name = format!("{prefix}/{container}/{task_id}");
                return Self::Stream(LogStream { region: option("awslogs-region"), group, name });
            }
            (Some("awslogs"), Some(group), None) => Elsewhere::NoPrefix { group },
            (Some("awslogs"), None, _) => Elsewhere::NoGroup,
            (Some(other), ..) => Elsewhere::Driver(other.to_owned()),
        };
        Self::Elsewhere(why)
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => formatter.write_str(
                "its output is not kept: it has no `logConfiguration`; give it the driver `awslogs` with \
                 `awslogs-group`, `awslogs-region` and `awslogs-stream-prefix`",
            ),
            Self::Driver(driver) => write!(
                formatter,
                "its log driver is `{driver}`; look where that driver sends its output, or give it the driver `awslogs`"
            ),
            Self::NoGroup => formatter.write_str("its log configuration names no `awslogs-group`; add it"),
            Self::NoPrefix { group } => write!(
                formatter,
                "its log streams in the log group {group} do not name the task; add `awslogs-stream-prefix` to its log \
                 configuration"
            ),
        }
    }
}

/// Lines of several sources, merged by their times. The lines of one source keep their order.
#[derive(Debug)]
pub struct Merge<T> {
    sources: Vec<MergeSource<T>>,
}

#[derive(Debug)]
struct MergeSource<T> {
    waiting: VecDeque<(Timestamp, T)>,
    /// Whether there may be more lines than those that wait.
    is_open: bool,
}

/// What is next in a [`Merge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged<T> {
    /// A line of the source with this number.
    Line(usize, Timestamp, T),
    /// More lines of the source with this number: any of them may be the next.
    Needs(usize),
    /// All sources are at their ends.
    End,
}

impl<T> Default for Merge<T> {
    fn default() -> Self {
        Self { sources: Vec::new() }
    }
}

impl<T> Merge<T> {
    /// Adds a source. Returns its number, from 0.
    pub fn add_source(&mut self) -> usize {
        self.sources.push(MergeSource { waiting: VecDeque::new(), is_open: true });
        self.sources.len() - 1
    }

    /// Adds lines of a source, and says whether it is at its end.
    pub fn add(&mut self, source: usize, lines: impl IntoIterator<Item = (Timestamp, T)>, is_at_end: bool) {
        if let Some(source) = self.sources.get_mut(source) {
            source.waiting.extend(lines);
            source.is_open = !is_at_end;
        }
    }

    /// Opens all sources again, which may have got more lines.
    pub fn reopen(&mut self) {
        self.sources.iter_mut().for_each(|source| source.is_open = true);
    }

    /// Returns what is next. Of several lines of one time, the one of the first source comes first.
    pub fn next_step(&mut self) -> Merged<T> {
        if let Some(number) = self.sources.iter().position(|source| source.is_open && source.waiting.is_empty()) {
            return Merged::Needs(number);
        }
        let fronts = self.sources.iter().enumerate().filter_map(|(number, source)| {
            let (at, _) = source.waiting.front()?;
            Some((*at, number))
        });
        let Some((_, number)) = fronts.min() else { return Merged::End };
        let line = self.sources.get_mut(number).and_then(|source| source.waiting.pop_front());
        line.map_or(Merged::End, |(at, line)| Merged::Line(number, at, line))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;
    use jiff::Timestamp;

    use super::{LogPlace, Merge, Merged};

    #[test]
    fn the_log_configuration_says_where_the_output_is() {
        let group = ("awslogs-group", "/ecs/app");
        let told = |driver: Option<&str>, options: &[(&str, &str)]| {
            let options: BTreeMap<String, String> =
                options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            match LogPlace::of("app", "0123abcd", driver, &options) {
                LogPlace::Stream(stream) => {
                    format!("{} {} {}", stream.region.as_deref().unwrap_or("-"), stream.group, stream.name)
                }
                LogPlace::Elsewhere(why) => why.to_string(),
            }
        };
        let prefix = ("awslogs-stream-prefix", "task");
        expect![[r#"
            - /ecs/app task/app/0123abcd
            eu-west-1 /ecs/app task/app/0123abcd
            its log streams in the log group /ecs/app do not name the task; add `awslogs-stream-prefix` to its log configuration
            its log configuration names no `awslogs-group`; add it
            its log driver is `awsfirelens`; look where that driver sends its output, or give it the driver `awslogs`
            its output is not kept: it has no `logConfiguration`; give it the driver `awslogs` with `awslogs-group`, `awslogs-region` and `awslogs-stream-prefix`"#]]
        .assert_eq(
            &[
                told(Some("awslogs"), &[group, prefix]),
                told(Some("awslogs"), &[group, prefix, ("awslogs-region", "eu-west-1")]),
                told(Some("awslogs"), &[group, ("awslogs-stream-prefix", "")]),
                told(Some("awslogs"), &[prefix]),
                told(Some("awsfirelens"), &[group, prefix]),
                told(None, &[]),
            ]
            .join("\n"),
        );
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("is a time")
    }

    /// Takes what is next until a source needs more, or all are at their ends.
    fn taken(merge: &mut Merge<&'static str>) -> String {
        let mut texts = Vec::new();
        loop {
            match merge.next_step() {
                Merged::Line(source, _, text) => texts.push(format!("{source}{text}")),
                Merged::Needs(source) => return format!("{}?{source}", texts.join(" ")),
                Merged::End => return texts.join(" "),
            }
        }
    }

    #[test]
    fn lines_come_in_the_order_of_time_and_none_before_a_source_that_may_have_an_earlier_one() {
        let mut merge = Merge::default();
        assert_eq!(taken(&mut merge), "");
        let (first, second) = (merge.add_source(), merge.add_source());
        assert_eq!(taken(&mut merge), "?0");
        merge.add(first, [(at(1), "a"), (at(3), "b"), (at(3), "c")], false);
        assert_eq!(taken(&mut merge), "?1");
        merge.add(second, [(at(2), "d"), (at(3), "e")], true);
        assert_eq!(taken(&mut merge), "0a 1d 0b 0c?0", "the first source may have another line of that time");
        merge.add(first, [], true);
        assert_eq!(taken(&mut merge), "1e");
        merge.reopen();
        merge.add(first, [(at(9), "f")], true);
        merge.add(second, [(at(8), "g"), (at(7), "h")], true);
        assert_eq!(taken(&mut merge), "1g 1h 0f", "a source keeps its order");
        merge.add(7, [(at(1), "nobody's")], true);
        assert_eq!(taken(&mut merge), "");
    }
}

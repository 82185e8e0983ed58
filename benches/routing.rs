//! Measures the matching of one S3 event among 1 to 10,000 routes, compared with a plain peer: parsing the event to
//! `serde_json::Value` and walking the routes one by one.
//!
//! For three shapes of routes, `cargo bench -p benches` prints the events per second, the allocations per event, the
//! cost relative to one route, and the speed relative to the peer with one route and with all; and at 10,000 routes the
//! build time and memory.

#![expect(clippy::expect_used, reason = "a benchmark that cannot continue has failed")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::Value;
use trigger_core::pattern::Pattern;
use trigger_core::pattern::matcher::Matcher;
use trigger_core::text::json;

const ROUTES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// The number of rounds. Each round measures everything that is compared, so a busy machine slows all of it alike; the
/// best round of each counts.
const ROUNDS: usize = 25;
/// The duration of one measurement in one round.
const ROUND: Duration = Duration::from_millis(20);

/// A kind of route. Both functions take a route's number: one makes its pattern, the other an event that it takes.
struct Shape {
    name: &'static str,
    pattern: fn(usize) -> String,
    event: fn(usize) -> String,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "a bucket and a prefix, suffix or wildcard each",
        pattern: |route| {
            let key = match route % 3 {
                0 => format!(r#"{{"prefix":"incoming/{route}/"}}"#),
                1 => r#"{"suffix":".csv"}"#.to_owned(),
                _ => format!(r#"{{"wildcard":"incoming/*/{route}.csv"}}"#),
            };
            s3_pattern(&format!("bucket-{route}"), &format!(r#""object":{{"key":[{key}]}}"#))
        },
        event: |route| s3_event(&format!("bucket-{route}"), &format!("incoming/{route}/{route}.csv"), 4096),
    },
    Shape {
        name: "one bucket, thousands of prefixes",
        pattern: |route| {
            s3_pattern("shared", &format!(r#""object":{{"key":[{{"prefix":"tenants/{route:05}/in/"}}]}}"#))
        },
        event: |route| s3_event("shared", &format!("tenants/{route:05}/in/orders.csv"), 4096),
    },
    Shape {
        name: "one bucket, ranges of sizes",
        pattern: |route| {
            let (bottom, top) = (route * 1000, route * 1000 + 1000);
            s3_pattern("shared", &format!(r#""object":{{"size":[{{"numeric":[">=",{bottom},"<",{top}]}}]}}"#))
        },
        event: |route| s3_event("shared", "incoming/orders.csv", route * 1000 + 7),
    },
];

fn s3_pattern(bucket: &str, object: &str) -> String {
    format!(
        r#"{{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{{"bucket":{{"name":["{bucket}"]}},{object}}}}}"#
    )
}

fn s3_event(bucket: &str, key: &str, size: usize) -> String {
    format!(
        r#"{{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"Object Created","source":"aws.s3",
"account":"111122223333","time":"2021-11-12T00:00:00Z","region":"ca-central-1","resources":["arn:aws:s3:::{bucket}"],
"detail":{{"version":"0","bucket":{{"name":"{bucket}"}},"object":{{"key":"{key}","size":{size},
"etag":"b1946ac92492d2347c6235b4d2611184","version-id":"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e","sequencer":"617f08299329d189"}},
"request-id":"N4N7GDK58NMKJ12R","requester":"123456789012","source-ip-address":"1.2.3.4","reason":"PutObject"}}}}"#
    )
}

/// The peer: compares a pattern with an event, both as `Value`, and knows only the operators of these shapes.
fn plainly_matches(pattern: &Value, event: Option<&Value>) -> bool {
    match (pattern, event) {
        (Value::Object(fields), Some(event)) => {
            fields.iter().all(|(key, below)| plainly_matches(below, event.get(key)))
        }
        (Value::Array(operators), Some(event)) => operators.iter().any(|operator| plainly_operates(operator, event)),
        _ => false,
    }
}

fn plainly_operates(operator: &Value, value: &Value) -> bool {
    let Some((name, operand)) = operator.as_object().and_then(|operator| operator.iter().next()) else {
        return operator == value;
    };
    let text = value.as_str().zip(operand.as_str());
    match name.as_str() {
        "prefix" => text.is_some_and(|(value, prefix)| value.starts_with(prefix)),
        "suffix" => text.is_some_and(|(value, suffix)| value.ends_with(suffix)),
        "wildcard" => text.zip(operand.as_str().and_then(|text| text.split_once('*'))).is_some_and(
            |((value, _), (head, tail))| {
                value.len() >= head.len() + tail.len() && value.starts_with(head) && value.ends_with(tail)
            },
        ),
        "numeric" => value.as_f64().is_some_and(|value| {
            let bound = |index: usize| operand.get(index).and_then(Value::as_f64).unwrap_or(f64::NAN);
            value >= bound(1) && value < bound(3)
        }),
        _ => false,
    }
}

/// Returns how often per second each of these functions can run.
fn rates<const N: usize>(works: [&dyn Fn(usize); N]) -> [f64; N] {
    let mut best = [0.0; N];
    for _ in 0..ROUNDS {
        for (work, best) in works.iter().zip(&mut best) {
            let (started, mut count) = (Instant::now(), 0);
            while started.elapsed() < ROUND {
                for _ in 0..10 {
                    work(count);
                    count += 1;
                }
            }
            *best = f64::max(*best, count as f64 / started.elapsed().as_secs_f64());
        }
    }
    best
}

struct Built {
    matcher: Matcher,
    time: Duration,
    bytes: i64,
}

fn build(patterns: &[Pattern]) -> Built {
    let (mut matcher, mut time) = (None, Duration::ZERO);
    let allocated = allocation_counter::measure(|| {
        let started = Instant::now();
        matcher = Some(Matcher::new(patterns));
        time = started.elapsed();
    });
    Built { matcher: matcher.expect("was built"), time, bytes: allocated.bytes_current }
}

/// A matcher for a number of routes, the same routes for the peer, and events that each match one of them.
struct Case {
    built: Built,
    values: Vec<Value>,
    events: Vec<String>,
}

impl Case {
    fn new(shape: &Shape, routes: usize) -> Self {
        let texts: Vec<String> = (0..routes).map(shape.pattern).collect();
        let parse = |text: &String| Pattern::parse(&json::parse(text).expect("is JSON")).expect("is a pattern");
        let patterns: Vec<Pattern> = texts.iter().map(parse).collect();
        let values = texts.iter().map(|text| serde_json::from_str(text).expect("is JSON")).collect();
        let taken = |number: usize| number * 97 % routes;
        let case = Self {
            built: build(&patterns),
            values,
            events: (0..100).map(|number| (shape.event)(taken(number))).collect(),
        };
        for number in 0..case.events.len() {
            let plain: Vec<usize> = case.plainly(number, &case.values);
            assert_eq!(case.matches(number), plain, "{}", case.events[number]);
            assert!(plain.contains(&taken(number)));
        }
        case
    }

    fn matches(&self, count: usize) -> Vec<usize> {
        self.built.matcher.matches(&self.events[count % self.events.len()]).expect("is an event")
    }

    fn plainly(&self, count: usize, patterns: &[Value]) -> Vec<usize> {
        let event: Value = serde_json::from_str(&self.events[count % self.events.len()]).expect("is JSON");
        (0..patterns.len()).filter(|route| plainly_matches(&patterns[*route], Some(&event))).collect()
    }
}

fn main() {
    for shape in &SHAPES {
        println!("{}", shape.name);
        println!("  routes    events/s  allocations  cost to one route  serde_json + 1 route  serde_json + all");
        let one_route = Case::new(shape, ROUTES[0]);
        for routes in ROUTES {
            let case = Case::new(shape, routes);
            let [ours, of_one_route, peer_one, peer_all] = rates([
                &|count| drop(black_box(case.matches(count))),
                &|count| drop(black_box(one_route.matches(count))),
                &|count| drop(black_box(case.plainly(count, &case.values[..1]))),
                &|count| drop(black_box(case.plainly(count, &case.values))),
            ]);
            let allocations = allocation_counter::measure(|| drop(black_box(case.matches(0)))).count_total;
            let (cost, to_one, to_all) = (of_one_route / ours, ours / peer_one, ours / peer_all);
            println!("  {routes:>6} {ours:>11.0} {allocations:>12} {cost:>18.2} {to_one:>20.1}x {to_all:>16.1}x");
            if routes == 10_000 {
                let megabytes = case.built.bytes as f64 / (1024.0 * 1024.0);
                println!("  built in {:.0} ms, {megabytes:.1} MiB", case.built.time.as_secs_f64() * 1000.0);
            }
        }
    }
}

//! Parses any text as a schedule expression. Nothing may panic, and each firing must be later than the one before.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use trigger_core::schedule::{Schedule, ScheduleExpression, time_zone};

fuzz_target!(|input: (i32, &str)| {
    let (second, text) = input;
    let Ok(expression) = ScheduleExpression::parse(text) else { return };
    let Ok(mut time) = Timestamp::from_second(second.into()) else { return };
    let Some(timezone) = time_zone("Europe/Berlin") else { return };
    let schedule = Schedule {
        expression,
        text: text.to_owned(),
        timezone,
        start: None,
        end: None,
        flexible_window_minutes: None,
        enabled: true,
        input: None,
        catch_up: None,
    };
    let began = time;
    for _ in 0..5 {
        let Some(next) = schedule.next_after(time, began) else { return };
        assert!(next > time);
        assert_eq!(schedule.last_in(time, next, began), Some(next));
        time = next;
    }
});

//! Copilot's schedules as EventBridge Scheduler expressions.

/// The schedule of a job that has none: a disabled route needs an expression too.
pub(super) const PLACEHOLDER: &str = "rate(5 minutes)";

/// Converts a schedule, other than `none`, to an expression of EventBridge Scheduler.
///
/// # Errors
/// Neither Copilot nor EventBridge reads the schedule, or EventBridge cannot express it.
pub(super) fn expression(text: &str) -> Result<String, String> {
    match text.trim() {
        "@hourly" => Ok("cron(0 * * * ? *)".to_owned()),
        "@daily" | "@midnight" => Ok("cron(0 0 * * ? *)".to_owned()),
        "@weekly" => Ok("cron(0 0 ? * 1 *)".to_owned()),
        "@monthly" => Ok("cron(0 0 1 * ? *)".to_owned()),
        "@yearly" | "@annually" => Ok("cron(0 0 1 1 ? *)".to_owned()),
        text if text.starts_with("rate(") || text.starts_with("cron(") => Ok(text.to_owned()),
        text => match text.strip_prefix("@every ") {
            Some(every) => rate(every),
            None => cron(text),
        },
    }
}

fn rate(every: &str) -> Result<String, String> {
    let duration =
        every.trim().parse::<jiff::SignedDuration>().map_err(|error| format!("`@every {every}`: {error}"))?;
    match (duration.as_secs() / 60, duration.as_secs() % 60, duration.subsec_nanos()) {
        (1, 0, 0) => Ok("rate(1 minute)".to_owned()),
        (minutes, 0, 0) if minutes > 0 => Ok(format!("rate({minutes} minutes)")),
        _ => Err(format!("`@every {every}` is not a whole number of minutes; write for example `@every 5m`")),
    }
}

/// Converts the five fields of Unix cron to EventBridge's six: Sunday is 1 instead of 0, and either the day of month or
/// the day of week is `?`.
fn cron(text: &str) -> Result<String, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!(
            "`{text}` is not a valid `on.schedule`; write five cron fields, or for example `@daily`, `@every 1h` or \
             `rate(1 hour)`"
        ));
    };
    let is_any = |field: &str| field == "*" || field == "?";
    let (day, weekday) = match (is_any(day), is_any(weekday)) {
        (true, true) => ("*".to_owned(), "?".to_owned()),
        (false, true) => ((*day).to_owned(), "?".to_owned()),
        (true, false) => ("?".to_owned(), weekdays(weekday)?),
        (false, false) => {
            return Err(format!(
                "`{text}` sets both day of month and day of week, but EventBridge accepts only one; write `*` for the \
                 other"
            ));
        }
    };
    Ok(format!("cron({minute} {hour} {day} {month} {weekday} *)"))
}

/// Converts a day-of-week field by adding one to each day's number; the number after `/` is a step and stays.
fn weekdays(field: &str) -> Result<String, String> {
    let day = |day: &str| match day.parse::<u8>() {
        Ok(number @ 0..=6) => Ok((number + 1).to_string()),
        Ok(number) => Err(format!("`{number}` is not a day of the week; write 0 for Sunday to 6 for Saturday")),
        Err(_) => Ok(day.to_owned()),
    };
    let range = |range: &str| -> Result<String, String> {
        let (days, step) = range.split_once('/').map_or((range, None), |(days, step)| (days, Some(step)));
        let days = match days.split_once('-') {
            Some((first, last)) => format!("{}-{}", day(first)?, day(last)?),
            None => day(days)?,
        };
        Ok(step.map_or(days.clone(), |step| format!("{days}/{step}")))
    };
    Ok(field.split(',').map(range).collect::<Result<Vec<_>, _>>()?.join(","))
}

/// Returns the expression that Copilot itself makes of five cron fields. It takes a step such as `*/2` of a day for
/// "every day", and adds one to the step of a weekday too (`toAWSCron` in `scheduled_job.go`).
pub(super) fn of_copilot(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
    let is_set = |field: &str| !field.contains(['*', '?']);
    let next = |c: char| c.to_digit(10).and_then(|digit| char::from_digit(digit + 1, 10)).unwrap_or(c);
    let (day, weekday) = match (is_set(day), is_set(weekday)) {
        (false, false) => ("*", "?".to_owned()),
        (false, true) => ("?", weekday.chars().map(next).collect()),
        (true, false) => (*day, "?".to_owned()),
        (true, true) => return None,
    };
    Some(format!("cron({minute} {hour} {day} {month} {weekday} *)"))
}

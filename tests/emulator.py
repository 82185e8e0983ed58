"""Starts ministack with two additions that the stories about schedules need.

- EventBridge Scheduler fills in the context attributes of a target's input, as AWS does:
  https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
- A minute of a rate expression lasts a second, and a due schedule fires within a fifth of a second, so stories do not
  wait for minutes.
"""

import datetime
import re
import sys

from ministack.app import main
from ministack.services import eventbridge, scheduler

SWEEP_SECONDS = 0.2
MINUTE_SECONDS = 1

eventbridge._SCHEDULER_TICK_INTERVAL = SWEEP_SECONDS
scheduler._SCHEDULE_TICK_INTERVAL = SWEEP_SECONDS

parse_rate_seconds = eventbridge._parse_rate_seconds
invoke_target = eventbridge._invoke_target


def parse_fast_rate_seconds(expression):
    seconds = parse_rate_seconds(expression)
    return None if seconds is None else seconds / 60 * MINUTE_SECONDS


def invoke_target_with_attributes(target, event, source, view=None):
    if "ScheduleExpression" in source and "<aws.scheduler." in target.get("Input", ""):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        once = re.fullmatch(r"at\((.*)\)", source["ScheduleExpression"])
        attributes = {
            "schedule-arn": source["Arn"],
            "scheduled-time": once[1] + "Z" if once else now,
            "execution-id": event["EventId"],
            "attempt-number": "1",
        }
        filled_in = re.sub(r"<aws\.scheduler\.([a-z-]+)>", lambda found: attributes[found[1]], target["Input"])
        target = {**target, "Input": filled_in}
    return invoke_target(target, event, source, view)


eventbridge._parse_rate_seconds = parse_fast_rate_seconds
eventbridge._invoke_target = invoke_target_with_attributes

sys.exit(main())

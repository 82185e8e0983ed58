//! The queues port: attributes from SQS, metrics per minute from CloudWatch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::Queue;
use trigger_core::scaling::Minute;
use trigger_engine::ports::{Depth, Queues, Unanswered};

use crate::clients::causes;

/// A minute's metrics are read no earlier than this after its end; before, they may be incomplete.
const METRICS_LAG: SignedDuration = SignedDuration::from_mins(2);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A queues port on SQS and CloudWatch.
#[derive(Debug)]
pub struct SqsQueues {
    sqs: aws_sdk_sqs::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    /// URLs by queue. A URL does not change while its queue exists.
    urls: Mutex<HashMap<Queue, String>>,
}

/// The metrics that are read for each minute of a queue: query id, metric name, statistic.
const METRICS: [(&str, &str, &str); 3] = [
    ("sent", "NumberOfMessagesSent", "Sum"),
    ("deleted", "NumberOfMessagesDeleted", "Sum"),
    ("in_flight", "ApproximateNumberOfMessagesNotVisible", "Average"),
];

impl SqsQueues {
    /// Creates a port that calls SQS and CloudWatch through these clients.
    pub fn new(sqs: aws_sdk_sqs::Client, cloudwatch: aws_sdk_cloudwatch::Client) -> Self {
        Self { sqs, cloudwatch, urls: Mutex::default() }
    }

    async fn url(&self, queue: &Queue) -> Result<String, Unanswered> {
        let known = self.urls.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(queue).cloned();
        if let Some(url) = known {
            return Ok(url);
        }
        let get =
            self.sqs.get_queue_url().queue_name(&queue.name).set_queue_owner_aws_account_id(queue.account.clone());
        let got = get.send().await.map_err(|error| unanswered("SQS", queue, &error))?;
        let url = got.queue_url().unwrap_or_default().to_owned();
        self.urls.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(queue.clone(), url.clone());
        Ok(url)
    }
}

impl Queues for SqsQueues {
    async fn depth(&self, queue: &Queue) -> Result<Depth, Unanswered> {
        let (visible, in_flight, delayed) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        );
        let url = self.url(queue).await?;
        let names = vec![visible.clone(), in_flight.clone(), delayed.clone()];
        let got = self.sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names)).send().await;
        let got = got.map_err(|error| {
            // A queue that was deleted and created again may have another URL.
            self.urls.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(queue);
            unanswered("SQS", queue, &error)
        })?;
        let attribute = |name: &QueueAttributeName| {
            let value =
                got.attributes().and_then(|attributes| attributes.get(name)).and_then(|value| value.parse().ok());
            value.ok_or_else(|| Unanswered(format!("SQS returned no {name} for the queue `{}`", queue.name)))
        };
        Ok(Depth { visible: attribute(&visible)?, in_flight: attribute(&in_flight)?, delayed: attribute(&delayed)? })
    }

    async fn minutes(
        &self,
        queues: &[Queue],
        after: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Minute>, Timestamp), Unanswered> {
        let complete = now.checked_sub(METRICS_LAG).unwrap_or(now);
        let (start, end) = (whole_minute(after), whole_minute(complete));
        if end <= start {
            return Ok((Vec::new(), after));
        }
        let queries = queues.iter().enumerate().flat_map(|(position, queue)| {
            METRICS.iter().map(move |(id, name, statistic)| {
                let dimension = Dimension::builder().name("QueueName").value(&queue.name).build();
                let metric = Metric::builder().namespace("AWS/SQS").metric_name(*name).dimensions(dimension).build();
                let stat = MetricStat::builder().metric(metric).period(60).stat(*statistic).build();
                MetricDataQuery::builder().id(format!("{id}_{position}")).metric_stat(stat).build()
            })
        });
        let time = |time: Timestamp| aws_sdk_cloudwatch::primitives::DateTime::from_secs(time.as_second());
        let get = self.cloudwatch.get_metric_data().start_time(time(start)).end_time(time(end));
        let mut pages = get.set_metric_data_queries(Some(queries.collect())).into_paginator().send();
        let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Unanswered(format!("CloudWatch: {}", causes(&error))))?;
            for result in page.metric_data_results() {
                let metric = result.id().and_then(|id| id.split_once('_')).map(|(metric, _)| metric);
                for (at, value) in result.timestamps().iter().zip(result.values()) {
                    let none = Minute { sent: None, deleted: None, in_flight: None };
                    let minute = minutes.entry(at.secs()).or_insert(none);
                    let part = match metric {
                        Some("sent") => &mut minute.sent,
                        Some("deleted") => &mut minute.deleted,
                        _ => &mut minute.in_flight,
                    };
                    *part = Some(part.unwrap_or(0.0) + value);
                }
            }
        }
        // Metrics that arrive later than usual are read next time.
        let last = minutes.keys().next_back().and_then(|at| Timestamp::from_second(*at).ok());
        let until = last.and_then(|last| last.checked_add(MINUTE).ok()).unwrap_or(after);
        Ok((minutes.into_values().collect(), until))
    }
}

fn whole_minute(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second() - time.as_second().rem_euclid(60)).unwrap_or(time)
}

fn unanswered(service: &str, queue: &Queue, error: &dyn std::error::Error) -> Unanswered {
    Unanswered(format!("the {service} request about the queue `{}` failed: {}", queue.name, causes(error)))
}

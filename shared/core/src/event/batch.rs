//! The order in which the messages of a batch may be processed.

use std::collections::HashMap;

use crate::event::Record;

/// Returns the positions of a batch's records, grouped in rows. The records of a row must be processed one after the
/// other, different rows may be processed at once. The messages of a FIFO group make one row; every other message is a
/// row of its own.
pub fn rows(records: &[Record]) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut groups: HashMap<(&str, &str), usize> = HashMap::new();
    for (position, record) in records.iter().enumerate() {
        let row = match record.group() {
            Some(group) => *groups.entry((&record.queue.name, group)).or_insert(rows.len()),
            None => rows.len(),
        };
        match rows.get_mut(row) {
            Some(row) => row.push(position),
            None => rows.push(vec![position]),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::rows;
    use crate::event::{Queue, Record};

    fn record(queue: &str, group: Option<&str>) -> Record {
        Record {
            message_id: "m".to_owned(),
            queue: Queue::parse(queue).expect("is a queue"),
            body: String::new(),
            attributes: group.iter().map(|group| ("MessageGroupId".to_owned(), (*group).to_owned())).collect(),
            message_attributes: Vec::new(),
            unreadable: None,
        }
    }

    #[test]
    fn a_group_is_one_row_in_its_order_and_groups_are_apart() {
        let groups = ["a", "b", "a", "c", "b", "a"].map(|group| record("q.fifo", Some(group)));
        assert_eq!(rows(&groups), [vec![0, 2, 5], vec![1, 4], vec![3]]);
    }

    #[test]
    fn messages_of_a_standard_queue_wait_for_nothing() {
        let standard = [record("q", None), record("q", Some("a")), record("q", Some("a"))];
        assert_eq!(rows(&standard), [vec![0], vec![1], vec![2]]);
        assert_eq!(rows(&[]), Vec::<Vec<usize>>::new());
    }
}

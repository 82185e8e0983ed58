//! Writes of single items, which DynamoDB makes alone or together in a transaction.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::items::{Item, Key};

/// A refused write returns the item that is there.
pub(super) const FOUND: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// The values that an expression names, each as `:NAME`.
pub(super) type Values = Vec<(&'static str, AttributeValue)>;

/// A write of one item. Its expressions name each attribute as `#NAME`, because hundreds of words are reserved.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Action {
    pub(super) key: Key,
    pub(super) write: Write,
    /// What must hold for the item that is there.
    pub(super) condition: Option<&'static str>,
    pub(super) values: Values,
}

/// What happens to the item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// This item, which includes its key, replaces it.
    Put(Item),
    /// Its attributes change by this expression.
    Update(String),
    /// It is deleted.
    Delete,
}

impl Action {
    /// Returns the action that writes an item.
    pub(super) fn put(key: Key, item: Item) -> Self {
        Self { key, write: Write::Put(item), condition: None, values: Vec::new() }
    }

    /// Returns the action that changes an item by an expression.
    pub(super) fn update(key: Key, change: impl Into<String>, values: Values) -> Self {
        Self { key, write: Write::Update(change.into()), condition: None, values }
    }

    /// Returns the action that deletes an item.
    pub(super) fn delete(key: Key) -> Self {
        Self { key, write: Write::Delete, condition: None, values: Vec::new() }
    }

    /// Makes the action only if a condition holds.
    pub(super) fn only_if(mut self, condition: &'static str, values: Values) -> Self {
        self.condition = Some(condition);
        self.values.extend(values);
        self
    }

    /// Makes the action only if there is no such item.
    pub(super) fn only_if_new(self) -> Self {
        self.only_if("attribute_not_exists(#item)", Vec::new())
    }

    /// Returns the names in the action's expressions.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let change = if let Write::Update(change) = &self.write { change } else { "" };
        names(&[change, self.condition.unwrap_or_default()])
    }

    /// Returns roughly how many bytes DynamoDB counts for the item that the action writes.
    /// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub(super) fn bytes(&self) -> usize {
        match &self.write {
            Write::Put(item) => item.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
            Write::Update(change) => change.len() + self.values.iter().map(|(_, value)| bytes(value)).sum::<usize>(),
            Write::Delete => 0,
        }
    }

    /// Returns the action as a part of a transaction.
    pub(super) fn in_transaction(&self, table: &str) -> Result<TransactWriteItem, BuildError> {
        macro_rules! complete {
            ($builder:expr) => {
                $builder
                    .table_name(table)
                    .set_condition_expression(self.condition.map(str::to_owned))
                    .set_expression_attribute_names(self.names())
                    .set_expression_attribute_values(named(&self.values))
                    .return_values_on_condition_check_failure(FOUND)
                    .build()?
            };
        }
        let key = Some(self.key.attributes());
        let part = TransactWriteItem::builder();
        let part = match &self.write {
            Write::Put(item) => part.put(complete!(Put::builder().set_item(Some(item.clone())))),
            Write::Update(change) => part.update(complete!(Update::builder().set_key(key).update_expression(change))),
            Write::Delete => part.delete(complete!(Delete::builder().set_key(key))),
        };
        Ok(part.build())
    }
}

/// Returns the names in expressions, each with the attribute that it stands for. DynamoDB accepts neither an empty list
/// nor a name that is not used.
pub(super) fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let words = expressions.iter().flat_map(|it| it.split(|c: char| !c.is_ascii_alphanumeric() && !"#_".contains(c)));
    let names = words.filter_map(|word| Some((word.to_owned(), word.strip_prefix('#')?.to_owned())));
    Some(names.collect()).filter(|names: &HashMap<_, _>| !names.is_empty())
}

/// Returns the values as DynamoDB accepts them: no list instead of an empty one.
pub(super) fn named(values: &Values) -> Option<HashMap<String, AttributeValue>> {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Some(values.collect()).filter(|values: &HashMap<_, _>| !values.is_empty())
}

fn bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Key, named, names};
    use crate::store::items::number;

    #[test]
    fn each_name_of_an_expression_stands_for_its_attribute() {
        let found = names(&["ADD #used :tasks", "attribute_not_exists(#used) OR #due_shard <= :most"]);
        let mut found: Vec<_> = found.expect("there are some").into_iter().collect();
        found.sort();
        let pair = |name: &str| (format!("#{name}"), name.to_owned());
        assert_eq!(found, [pair("due_shard"), pair("used")]);
    }

    #[test]
    fn lists_that_dynamodb_refuses_are_left_out() {
        assert_eq!(names(&["", ""]), None);
        assert_eq!(named(&Vec::new()), None);
    }

    #[test]
    fn an_action_of_a_transaction_is_complete() {
        let key = Key::used("r");
        let update = Action::update(key.clone(), "ADD #used :tasks", vec![(":tasks", number(2))]);
        let update = update.only_if("#used <= :most", vec![(":most", number(3))]);
        let part = update.in_transaction("launches").expect("is complete");
        let update = part.update().expect("is an update");
        assert_eq!((update.table_name(), update.key()), ("launches", &key.attributes()));
        assert_eq!(update.expression_attribute_names().map(|names| names.len()), Some(1));
        assert_eq!(update.expression_attribute_values().map(|values| values.len()), Some(2));
        assert_eq!(update.return_values_on_condition_check_failure(), Some(&super::FOUND));
        let part = Action::delete(key.clone()).in_transaction("launches").expect("is complete");
        let delete = part.delete().expect("is a deletion");
        assert_eq!((delete.key(), delete.expression_attribute_names()), (&key.attributes(), None));
    }
}

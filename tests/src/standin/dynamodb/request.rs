//! Reads requests. A field that the stand-in does not know is refused.

use serde_json::{Value as Json, json};

use super::Refusal;
use super::expression::{Condition, Terms, Update};
use super::table::{Effect, Query, Table, Write, WriteKind};
use super::value::{Item, parse_item};

/// A transaction has at most this many actions, and a read of many items this many keys.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>
const AT_ONCE_MAX: usize = 100;

/// The fields of all writes.
const OF_WRITES: [&str; 5] = [
    "TableName",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
];

/// A write whose key is not known to be one of the table.
#[derive(Debug)]
pub(super) struct Action {
    /// The item that is put, or the key.
    item: Item,
    kind: Kind,
    condition: Option<Condition>,
    returns_found: bool,
}

#[derive(Debug)]
enum Kind {
    Put,
    Update(Update),
    Delete,
}

/// What a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    Nothing,
    UpdatedOld,
    UpdatedNew,
}

/// Writes that are made together.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) actions: Vec<Action>,
    pub(super) token: Option<String>,
}

/// A read of many items.
#[derive(Debug)]
pub(super) struct BatchGet {
    pub(super) keys: Vec<Item>,
    pub(super) is_consistent: bool,
    request: Json,
}

impl Action {
    /// Returns the write with the key of the table.
    pub(super) fn with_key(self, table: &Table) -> Result<Write, Refusal> {
        let Self { item, kind, condition, returns_found } = self;
        let key = if matches!(kind, Kind::Put) { table.key_of(&item)? } else { table.key_in(&item)? };
        let kind = match kind {
            Kind::Put => WriteKind::Put(item),
            Kind::Update(update) => WriteKind::Update(update),
            Kind::Delete => WriteKind::Delete,
        };
        Ok(Write { key, kind, condition, returns_found })
    }
}

impl Returned {
    /// Returns the attributes that an update returns.
    pub(super) fn attributes(self, write: &Write, effect: &Effect) -> Option<Item> {
        let WriteKind::Update(update) = &write.kind else { return None };
        let item = match self {
            Self::Nothing => None,
            Self::UpdatedOld => effect.before.as_ref(),
            Self::UpdatedNew => effect.after.as_ref(),
        };
        let changed =
            |item: &Item| update.names().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect();
        item.map(changed)
    }
}

impl BatchGet {
    /// Returns the request with other keys.
    pub(super) fn with_keys(&self, keys: Vec<Json>) -> Json {
        let mut request = self.request.clone();
        request["Keys"] = keys.into();
        request
    }
}

/// Takes from a request what it says about the units that the answer returns: whether it returns their sum.
pub(super) fn takes_total(body: &mut Json) -> Result<bool, Refusal> {
    let asked = body.as_object_mut().and_then(|body| body.shift_remove("ReturnConsumedCapacity"));
    match asked.as_ref().map(|asked| asked.as_str().unwrap_or_default()) {
        None | Some("NONE") => Ok(false),
        Some("TOTAL") => Ok(true),
        Some(other) => Err(Refusal::invalid(format!("the stand-in does not know ReturnConsumedCapacity {other}"))),
    }
}

/// Reads a PutItem or UpdateItem request.
pub(super) fn write(body: &Json, table: &str) -> Result<(Action, Returned), Refusal> {
    let returned = match body.get("ReturnValues").and_then(Json::as_str) {
        None | Some("NONE") => Returned::Nothing,
        Some("UPDATED_OLD") => Returned::UpdatedOld,
        Some("UPDATED_NEW") => Returned::UpdatedNew,
        Some(other) => return Err(Refusal::invalid(format!("the stand-in does not know ReturnValues {other}"))),
    };
    let kind = if body.get("Item").is_some() { "Put" } else { "Update" };
    Ok((action(kind, body, table, &["ReturnValues"])?, returned))
}

/// Reads a TransactWriteItems request.
pub(super) fn transaction(body: &Json, table: &str) -> Result<Transaction, Refusal> {
    check_fields(body, &["TransactItems", "ClientRequestToken"])?;
    let items = body["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !(1..=AT_ONCE_MAX).contains(&items.len()) {
        return Err(Refusal::invalid("a transaction has 1 to 100 actions"));
    }
    let one = |item: &Json| {
        let only = item.as_object().filter(|item| item.len() == 1).and_then(|item| item.iter().next());
        let (kind, body) = only.ok_or_else(|| Refusal::invalid("an action is not exactly one"))?;
        action(kind, body, table, &[])
    };
    let actions: Result<Vec<Action>, Refusal> = items.iter().map(one).collect();
    Ok(Transaction { actions: actions?, token: text(body, "ClientRequestToken")?.map(str::to_owned) })
}

/// Reads a BatchGetItem request.
pub(super) fn batch_get(body: &Json, table: &str) -> Result<BatchGet, Refusal> {
    check_fields(body, &["RequestItems"])?;
    check_fields(&body["RequestItems"], &[table])?;
    let request = &body["RequestItems"][table];
    check_fields(request, &["Keys", "ConsistentRead"])?;
    let keys = request["Keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let keys: Result<Vec<Item>, Refusal> = keys.iter().map(parse_item).collect();
    let keys = keys?;
    let is_twice = |(position, key): (usize, &Item)| keys[..position].contains(key);
    if !(1..=AT_ONCE_MAX).contains(&keys.len()) || keys.iter().enumerate().any(is_twice) {
        return Err(Refusal::invalid("there are not 1 to 100 keys, or one is there twice"));
    }
    Ok(BatchGet { keys, is_consistent: flag(request, "ConsistentRead")?, request: request.clone() })
}

/// Reads a Query request.
pub(super) fn query(body: &Json, table: &str) -> Result<Query, Refusal> {
    check_fields(
        body,
        &[
            "TableName",
            "IndexName",
            "ConsistentRead",
            "Limit",
            "KeyConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ExclusiveStartKey",
            "ScanIndexForward",
        ],
    )?;
    check_table(body, table)?;
    let mut terms = Terms::of(body);
    let condition = text(body, "KeyConditionExpression")?.unwrap_or_default();
    let limit = match body.get("Limit") {
        None => None,
        Some(limit) => {
            let limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
            Some(limit.ok_or_else(|| Refusal::invalid("Limit is not a number above 0"))?)
        }
    };
    let query = Query {
        index: text(body, "IndexName")?.map(str::to_owned),
        condition: terms.condition(condition)?,
        limit,
        after: body.get("ExclusiveStartKey").map(parse_item).transpose()?,
        is_backward: body.get("ScanIndexForward") == Some(&json!(false)),
        is_consistent: flag(body, "ConsistentRead")?,
    };
    terms.end()?;
    Ok(query)
}

fn action(kind: &str, body: &Json, table: &str, more: &[&str]) -> Result<Action, Refusal> {
    let own: &[&str] = match kind {
        "Put" => &["Item"],
        "Update" => &["Key", "UpdateExpression"],
        "Delete" => &["Key"],
        other => return Err(Refusal::invalid(format!("the stand-in does not know the action {other}"))),
    };
    check_fields(body, &[&OF_WRITES, own, more].concat())?;
    check_table(body, table)?;
    let mut terms = Terms::of(body);
    let condition = text(body, "ConditionExpression")?.map(|text| terms.condition(text)).transpose()?;
    let kind = match kind {
        "Put" => Kind::Put,
        "Update" => Kind::Update(terms.update(text(body, "UpdateExpression")?.unwrap_or_default())?),
        _ => Kind::Delete,
    };
    terms.end()?;
    let returns_found = match text(body, "ReturnValuesOnConditionCheckFailure")? {
        None | Some("NONE") => false,
        Some("ALL_OLD") => true,
        Some(other) => return Err(Refusal::invalid(format!("the stand-in does not return {other}"))),
    };
    let item = parse_item(body.get("Item").unwrap_or(&body["Key"]))?;
    Ok(Action { item, kind, condition, returns_found })
}

fn check_fields(body: &Json, known: &[&str]) -> Result<(), Refusal> {
    let fields = body.as_object().ok_or_else(|| Refusal::invalid("a part of the request is not an object"))?;
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        Some(unknown) => Err(Refusal::invalid(format!("the stand-in does not know the field {unknown}"))),
        None => Ok(()),
    }
}

fn check_table(body: &Json, table: &str) -> Result<(), Refusal> {
    match text(body, "TableName")? {
        Some(name) if name == table => Ok(()),
        other => Err(Refusal::new("ResourceNotFoundException", format!("there is no table {other:?}"))),
    }
}

fn text<'a>(body: &'a Json, field: &str) -> Result<Option<&'a str>, Refusal> {
    match body.get(field) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid(format!("{field} is not a text"))),
    }
}

fn flag(body: &Json, field: &str) -> Result<bool, Refusal> {
    match body.get(field) {
        None => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Refusal::invalid(format!("{field} is neither true nor false"))),
    }
}

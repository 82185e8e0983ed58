//! A stand-in for DynamoDB: one table in memory behind an endpoint, with a stated latency, and a count of all units.
//!
//! It does what the launch store asks for: writes with conditions, transactions with the reasons of their refusal,
//! queries of the table and its indexes, and reads of many items. It refuses what it does not know. Indexes are
//! up to date at once; a transaction holds its items for the duration of its latency, in which other writes of them
//! conflict. The story `store_contract` compares it with the launch store in memory, as it does with the emulator.

mod expression;
mod limits;
mod request;
mod table;
mod value;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use trigger_core::routing::RoutingConfig;

use crate::harness::http::{Answer, Asked, Server};
use crate::harness::table::declared;
use limits::Buckets;
pub use limits::Limits;
use request::{BatchGet, Returned, Transaction};
use table::{Effect, KeyValues, Query, Table, Units, Write};
pub use value::{Item, Value};

/// DynamoDB knows the token of a transaction for this long.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const TOKEN_LIFE: Duration = Duration::from_mins(10);

/// A running stand-in. It stops when this value is dropped.
#[derive(Debug)]
pub struct DynamoDb {
    /// The endpoint's URL.
    pub endpoint: String,
    /// The name of the table.
    pub table: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

#[derive(Debug)]
struct State {
    table: Table,
    buckets: Buckets,
    /// The items of transactions that are under way.
    held: BTreeSet<KeyValues>,
    tokens: HashMap<String, Token>,
    calls: Vec<Call>,
}

/// A transaction that is remembered by its token.
#[derive(Debug)]
struct Token {
    request: Json,
    /// When it was made. Nothing while it is under way.
    made: Option<Instant>,
}

/// A call that was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub operation: String,
    /// When it arrived and was answered.
    pub arrived: Instant,
    /// See `arrived`.
    pub answered: Instant,
    /// The code of its refusal. For a transaction, the codes of its actions' refusals.
    pub refused: Option<String>,
    /// The write units that it took.
    pub write_units: f64,
    /// The read units that it took.
    pub read_units: f64,
}

/// Why a request fails.
#[derive(Debug, Clone, PartialEq)]
struct Refusal {
    code: &'static str,
    message: String,
    /// The item that is there.
    found: Option<Item>,
    /// The reasons of a transaction, one for each action.
    reasons: Vec<Option<Refusal>>,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), found: None, reasons: Vec::new() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    fn condition(found: Option<Item>) -> Self {
        Self { found, ..Self::new("ConditionalCheckFailedException", "The conditional request failed") }
    }

    fn conflict() -> Self {
        Self::new("TransactionConflictException", "Transaction is ongoing for the item")
    }

    fn throttled() -> Self {
        Self::new("ThrottlingException", "Throughput exceeds the current capacity of your table or index.")
    }

    fn cancelled(reasons: Vec<Option<Self>>) -> Self {
        let codes: Vec<&str> = reasons.iter().map(|reason| reason.as_ref().map_or("None", Self::reason)).collect();
        let reasons_text = codes.join(", ");
        let message =
            format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{reasons_text}]");
        Self { reasons, ..Self::new("TransactionCanceledException", message) }
    }

    /// Returns the code as a reason for which a transaction is cancelled.
    fn reason(&self) -> &'static str {
        match self.code {
            "ConditionalCheckFailedException" => "ConditionalCheckFailed",
            "TransactionConflictException" => "TransactionConflict",
            "ThrottlingException" => "ThrottlingError",
            _ => "ValidationError",
        }
    }

    /// Returns the codes, for the count of calls.
    fn codes(&self) -> String {
        let codes: BTreeSet<&str> = self.reasons.iter().flatten().map(Self::reason).collect();
        if codes.is_empty() { self.code.to_owned() } else { codes.into_iter().collect::<Vec<_>>().join(", ") }
    }

    fn answer(&self) -> Answer {
        let code = format!("com.amazonaws.dynamodb.v20120810#{}", self.code);
        let mut body = json!({ "__type": code, "message": self.message });
        if let Some(found) = &self.found {
            body["Item"] = value::item_to_json(found);
        }
        if !self.reasons.is_empty() {
            let reason = |reason: &Option<Self>| {
                let Some(reason) = reason else { return json!({ "Code": "None" }) };
                let mut told = json!({ "Code": reason.reason(), "Message": reason.message });
                if let Some(found) = &reason.found {
                    told["Item"] = value::item_to_json(found);
                }
                told
            };
            body["CancellationReasons"] = self.reasons.iter().map(reason).collect();
        }
        Answer { status: 400, body: body.to_string(), ..Answer::default() }
    }
}

impl DynamoDb {
    /// Starts a stand-in with the table of a config, empty at first.
    ///
    /// # Panics
    /// The config has no ledger.
    pub fn start(config: &RoutingConfig, latency: Duration, limits: Limits) -> Self {
        let (name, properties) = declared(config);
        let state = Arc::new(Mutex::new(State {
            table: Table::new(&properties),
            buckets: Buckets::new(limits),
            held: BTreeSet::new(),
            tokens: HashMap::new(),
            calls: Vec::new(),
        }));
        let (shared, table) = (Arc::clone(&state), name.clone());
        let server = Server::start(move |asked| Turn::new(&shared, &table, latency, &asked).answer());
        Self { endpoint: format!("http://{}", server.address), table: name, state, _server: server }
    }

    /// Returns the calls that were answered since the last time, and forgets them.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.state).calls)
    }

    /// Returns the items whose partition keys start with `prefix`.
    pub fn items(&self, prefix: &str) -> Vec<Item> {
        lock(&self.state).table.starting_with(prefix).cloned().collect()
    }

    /// Writes items as they are, without a request.
    ///
    /// # Panics
    /// An item lacks an attribute of the table's key.
    pub fn fill(&self, items: impl Iterator<Item = Item>) {
        let mut state = lock(&self.state);
        for item in items {
            state.table.put(item).unwrap_or_else(|refusal| panic!("{}", refusal.message));
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request under way.
struct Turn<'a> {
    state: &'a Mutex<State>,
    table: &'a str,
    latency: Duration,
    arrived: Instant,
    asked: &'a Asked,
    write_units: f64,
    read_units: f64,
    /// Whether the answer says how many units the request took.
    returns_units: bool,
}

impl<'a> Turn<'a> {
    fn new(state: &'a Mutex<State>, table: &'a str, latency: Duration, asked: &'a Asked) -> Self {
        let arrived = Instant::now();
        let (write_units, read_units, returns_units) = (0.0, 0.0, false);
        Self { state, table, latency, arrived, asked, write_units, read_units, returns_units }
    }

    fn answer(mut self) -> Answer {
        let result = self.result();
        let call = Call {
            operation: self.asked.operation().to_owned(),
            arrived: self.arrived,
            answered: Instant::now(),
            refused: result.as_ref().err().map(Refusal::codes),
            write_units: self.write_units,
            read_units: self.read_units,
        };
        let units = call.write_units + call.read_units;
        lock(self.state).calls.push(call);
        match result {
            Ok(mut body) => {
                if self.returns_units {
                    let units = json!({ "TableName": self.table, "CapacityUnits": units });
                    let is_of_one_item = matches!(self.asked.operation(), "PutItem" | "UpdateItem" | "Query");
                    body["ConsumedCapacity"] = if is_of_one_item { units } else { json!([units]) };
                }
                Answer { status: 200, body: body.to_string(), ..Answer::default() }
            }
            Err(refusal) => refusal.answer(),
        }
    }

    fn result(&mut self) -> Result<Json, Refusal> {
        let mut body: Json =
            serde_json::from_str(&self.asked.body).map_err(|error| Refusal::invalid(error.to_string()))?;
        self.returns_units = request::takes_total(&mut body)?;
        match self.asked.operation() {
            "PutItem" | "UpdateItem" => {
                let (write, returned) = request::write(&body, self.table)?;
                self.sleep();
                self.write(write, returned)
            }
            "TransactWriteItems" => self.transact(request::transaction(&body, self.table)?, body),
            "BatchGetItem" => {
                let batch = request::batch_get(&body, self.table)?;
                self.sleep();
                self.get(&batch)
            }
            "Query" => {
                let query = request::query(&body, self.table)?;
                self.sleep();
                self.query(&query)
            }
            other => Err(Refusal::new("UnknownOperationException", other)),
        }
    }

    /// Sleeps until the latency is over. The request takes effect then.
    fn sleep(&self) {
        thread::sleep(self.latency.saturating_sub(self.arrived.elapsed()));
    }

    fn write(&mut self, write: request::Action, returned: Returned) -> Result<Json, Refusal> {
        let mut state = lock(self.state);
        let write = write.with_key(&state.table)?;
        if state.held.contains(&write.key) {
            return Err(Refusal::conflict());
        }
        let effect = state.table.try_to_write(&write);
        let units = state.table.units(&write, effect.as_ref().ok());
        if !state.buckets.write(&write.key[0], &units, Instant::now()) {
            return Err(Refusal::throttled());
        }
        self.write_units = units.sum();
        let effect = effect?;
        let attributes = returned.attributes(&write, &effect);
        state.table.apply(&write.key, effect);
        Ok(attributes.map_or_else(|| json!({}), |item| json!({ "Attributes": value::item_to_json(&item) })))
    }

    fn transact(&mut self, transaction: Transaction, request: Json) -> Result<Json, Refusal> {
        let writes = {
            let mut state = lock(self.state);
            let writes: Result<Vec<Write>, Refusal> =
                transaction.actions.into_iter().map(|action| action.with_key(&state.table)).collect();
            let writes = writes?;
            let keys: BTreeSet<&KeyValues> = writes.iter().map(|write| &write.key).collect();
            if keys.len() < writes.len() {
                return Err(Refusal::invalid("Transaction request cannot include multiple operations on one item"));
            }
            if let Some(token) = transaction.token.as_ref().and_then(|token| state.known(token)) {
                return if token.request != request {
                    Err(Refusal::new("IdempotentParameterMismatchException", "the token came with another request"))
                } else if token.made.is_some() {
                    Ok(json!({}))
                } else {
                    Err(Refusal::new("TransactionInProgressException", "the transaction is still in progress"))
                };
            }
            let conflict = |write: &Write| state.held.contains(&write.key).then(Refusal::conflict);
            let conflicts: Vec<Option<Refusal>> = writes.iter().map(conflict).collect();
            if conflicts.iter().any(Option::is_some) {
                drop(state);
                self.sleep();
                return Err(Refusal::cancelled(conflicts));
            }
            state.held.extend(writes.iter().map(|write| write.key.clone()));
            if let Some(token) = &transaction.token {
                state.tokens.insert(token.clone(), Token { request, made: None });
            }
            writes
        };
        self.sleep();
        let mut state = lock(self.state);
        for write in &writes {
            state.held.remove(&write.key);
        }
        let made = self.write_all(&mut state, &writes);
        if let Some(token) = transaction.token {
            match (&made, state.tokens.get_mut(&token)) {
                (Ok(()), Some(known)) => known.made = Some(Instant::now()),
                _ => drop(state.tokens.remove(&token)),
            }
        }
        made.map(|()| json!({}))
    }

    /// Makes all writes, or none. Those of the table take twice their units.
    fn write_all(&mut self, state: &mut State, writes: &[Write]) -> Result<(), Refusal> {
        let effects: Vec<Result<Effect, Refusal>> =
            writes.iter().map(|write| state.table.try_to_write(write)).collect();
        let now = Instant::now();
        let are_allowed = effects.iter().all(Result::is_ok);
        let units = |(write, effect): (&Write, &Result<Effect, Refusal>)| {
            let units = state.table.units(write, effect.as_ref().ok().filter(|_| are_allowed));
            Units { table: units.table * 2.0, ..units }
        };
        let units: Vec<Units> = writes.iter().zip(&effects).map(units).collect();
        let throttled = writes.iter().zip(&units).map(|(write, units)| !state.buckets.write(&write.key[0], units, now));
        let throttled: Vec<bool> = throttled.collect();
        if throttled.contains(&true) {
            return Err(Refusal::cancelled(throttled.into_iter().map(|it| it.then(Refusal::throttled)).collect()));
        }
        self.write_units = units.iter().map(Units::sum).sum();
        if !are_allowed {
            return Err(Refusal::cancelled(effects.into_iter().map(Result::err).collect()));
        }
        for (write, effect) in writes.iter().zip(effects) {
            state.table.apply(&write.key, effect?);
        }
        Ok(())
    }

    fn get(&mut self, batch: &BatchGet) -> Result<Json, Refusal> {
        let mut state = lock(self.state);
        let (mut found, mut left) = (Vec::new(), Vec::new());
        let now = Instant::now();
        for key in &batch.keys {
            let values = state.table.key_in(key)?;
            let (item, units) = state.table.get(&values, batch.is_consistent);
            let item = item.cloned();
            if !state.buckets.read(None, &values[0], units, now) {
                left.push(value::item_to_json(key));
                continue;
            }
            self.read_units += units;
            found.extend(item);
        }
        if left.len() == batch.keys.len() {
            return Err(Refusal::throttled());
        }
        let found: Vec<Json> = found.iter().map(value::item_to_json).collect();
        let mut left_of_table = json!({});
        if !left.is_empty() {
            left_of_table[self.table] = batch.with_keys(left);
        }
        Ok(json!({ "Responses": { self.table: found }, "UnprocessedKeys": left_of_table }))
    }

    fn query(&mut self, query: &Query) -> Result<Json, Refusal> {
        let mut state = lock(self.state);
        let page = state.table.query(query)?;
        if !state.buckets.read(query.index.as_ref(), &page.partition, page.units, Instant::now()) {
            return Err(Refusal::throttled());
        }
        self.read_units = page.units;
        let items: Vec<Json> = page.items.iter().map(value::item_to_json).collect();
        let mut answer = json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items });
        if let Some(last) = &page.last {
            answer["LastEvaluatedKey"] = value::item_to_json(last);
        }
        Ok(answer)
    }
}

impl State {
    /// Returns what is known of a transaction by its token.
    fn known(&mut self, token: &str) -> Option<&Token> {
        let is_forgotten = |token: &Token| token.made.is_some_and(|made| made.elapsed() >= TOKEN_LIFE);
        if self.tokens.get(token).is_some_and(is_forgotten) {
            self.tokens.remove(token);
        }
        self.tokens.get(token)
    }
}

//! Which runs there are: each filter by an index that gives its runs in their order.

use impasto_domain::RunId;
use impasto_store::{RunFilter, RunRecord, RunStatus};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

/// A query that is put together from what a filter says.
struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    /// Adds a condition; `?` in it stands for the value.
    fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let place = format!("?{}", self.values.len());
        self.conditions.push(condition.replace('?', &place));
    }
}

/// Where a run stands in the order: its time, and its number among those of that time.
type Place = (i64, i64);

/// The index that finds the runs of a filter, if it is not that of their ids.
fn index_of(filter: &RunFilter) -> Option<&'static str> {
    let succeeded = filter.statuses.is_empty() || filter.statuses.contains(&RunStatus::Succeeded);
    if !filter.id_prefix.is_empty() {
        return None;
    }
    Some(match (succeeded, &filter.workflow) {
        (false, _) => "runs_unsuccessful",
        (true, Some(_)) => "runs_named",
        (true, None) => "runs_newest",
    })
}

fn query_of(filter: &RunFilter, before: Option<Place>) -> (Option<&'static str>, Query) {
    let mut query = Query { conditions: Vec::new(), values: Vec::new() };
    let index = index_of(filter);
    // A plus keeps a column from being looked up by: a prefix finds fewer runs than a tenant has.
    let plus = if index.is_none() { "+" } else { "" };
    query.with(&format!("{plus}tenant = ?"), filter.tenant.as_str().to_owned());
    if index == Some("runs_unsuccessful") {
        query.conditions.push("status <> 'succeeded'".to_owned());
    }
    if !filter.id_prefix.is_empty() {
        let prefix = &filter.id_prefix;
        query.with("id >= ?", prefix.clone());
        // No character comes after this one.
        query.with("id < ?", format!("{prefix}\u{10FFFF}"));
        query.with("substr(id, 1, length(?)) = ?", prefix.clone());
    }
    if let Some(workflow) = &filter.workflow {
        query.with("workflow = ?", workflow.clone());
    }
    if let Some(from_ms) = filter.created_from_ms {
        query.with("created_ms >= ?", i64::try_from(from_ms).unwrap_or(i64::MAX));
    }
    if let Some(to_ms) = filter.created_to_ms {
        query.with("created_ms < ?", i64::try_from(to_ms).unwrap_or(i64::MAX));
    }
    if let Some((created_ms, number)) = before {
        query.values.extend([created_ms.into(), number.into()]);
        let (second, first) = (query.values.len(), query.values.len() - 1);
        query.conditions.push(format!("(created_ms, number) < (?{first}, ?{second})"));
    }
    (index, query)
}

fn place_of(
    connection: &Connection,
    filter: &RunFilter,
    run: &RunId,
) -> rusqlite::Result<Option<Place>> {
    let sql = "SELECT created_ms, number FROM runs WHERE id = ?1 AND tenant = ?2";
    let place = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection
        .prepare_cached(sql)?
        .query_row([run.as_str(), filter.tenant.as_str()], place)
        .optional()
}

/// Runs that pass the filter, newest first; none if the run to begin behind is not there. `columns` are
/// what `read` makes a record of.
pub(crate) fn list(
    connection: &Connection,
    filter: &RunFilter,
    columns: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<RunRecord>,
) -> rusqlite::Result<Option<Vec<RunRecord>>> {
    let before = match &filter.before {
        None => None,
        Some(run) => match place_of(connection, filter, run)? {
            None => return Ok(None),
            place => place,
        },
    };
    let (index, Query { conditions, values }) = query_of(filter, before);
    let by = index.map(|index| format!("INDEXED BY {index}")).unwrap_or_default();
    let sql = format!(
        "SELECT {columns} FROM runs {by} WHERE {} ORDER BY created_ms DESC, number DESC",
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while records.len() < filter.limit as usize {
        let Some(row) = rows.next()? else { break };
        let record = read(row)?;
        // Where a run stands depends on whether its owner lives, which no index knows.
        if filter.statuses.is_empty() || filter.statuses.contains(&record.status) {
            records.push(record);
        }
    }
    Ok(Some(records))
}

//! What the small numbers in the tables of samples stand for: the tables `series` and `shape` in memory.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, QueryBuilder, Row, Sqlite};

use super::StoreError;
use crate::model::{ClusterName, GroupId, TopicId, TopicName};

/// Rows per statement: SQLite binds 32,766 values.
const ROWS: usize = 1_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Series {
    id: i64,
    last_turn: i64,
}

#[derive(Debug)]
struct Shape {
    id: i64,
    partitions: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct ClusterSeries {
    pub(crate) id: i64,
    groups: HashMap<GroupId, Series>,
    topics: HashMap<(TopicName, Option<TopicId>), Series>,
}

/// The tables `series` and `shape` in memory, and the next numbers.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    clusters: HashMap<ClusterName, ClusterSeries>,
    shapes: HashMap<i64, Shape>,
    next_series: i64,
    next_shape: i64,
    pub(crate) next_turn: i64,
    new_series: Vec<NewSeries>,
    new_shapes: Vec<(i64, i64, Vec<u8>)>,
}

#[derive(Debug)]
struct NewSeries {
    id: i64,
    cluster: String,
    kind: &'static str,
    name: String,
    detail: String,
}

impl Dictionary {
    pub(crate) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let mut dictionary = Self::default();
        for row in sqlx::query("select id, cluster, kind, name, detail, last_turn from series order by id")
            .fetch_all(&mut *connection)
            .await?
        {
            let series = Series { id: row.try_get("id")?, last_turn: row.try_get("last_turn")? };
            let (cluster, name): (&str, &str) = (row.try_get("cluster")?, row.try_get("name")?);
            dictionary.next_series = dictionary.next_series.max(series.id);
            let kind: &str = row.try_get("kind")?;
            if kind == "cluster" {
                let empty = ClusterSeries { id: series.id, groups: HashMap::new(), topics: HashMap::new() };
                dictionary.clusters.insert(cluster.into(), empty);
            } else if let Some(of_cluster) = dictionary.clusters.get_mut(cluster) {
                if kind == "group" {
                    of_cluster.groups.insert(name.into(), series);
                } else {
                    let detail: &str = row.try_get("detail")?;
                    of_cluster.topics.insert((name.into(), detail.parse().ok()), series);
                }
            }
        }
        // The newest shape of each group: the others are only read.
        let newest = "select id, group_series, partitions from shape \
                      where id in (select max(id) from shape group by group_series)";
        for row in sqlx::query(newest).fetch_all(&mut *connection).await? {
            let shape = Shape { id: row.try_get("id")?, partitions: row.try_get("partitions")? };
            dictionary.shapes.insert(row.try_get("group_series")?, shape);
        }
        // Numbers of turns never go back, also when the retention has emptied the table.
        let last = "select (select coalesce(max(id), 0) from shape) as shape, \
                    max((select coalesce(max(id), 0) from turn), (select coalesce(max(last_turn), 0) from series)) as turn";
        let row = sqlx::query(last).fetch_one(connection).await?;
        (dictionary.next_shape, dictionary.next_turn) = (row.try_get("shape")?, row.try_get("turn")?);
        Ok(dictionary)
    }

    pub(crate) fn cluster(&mut self, name: &ClusterName) -> &mut ClusterSeries {
        let (next, new) = (&mut self.next_series, &mut self.new_series);
        self.clusters.entry(name.clone()).or_insert_with(|| {
            *next += 1;
            new.push(NewSeries {
                id: *next,
                cluster: name.to_string(),
                kind: "cluster",
                name: String::new(),
                detail: String::new(),
            });
            ClusterSeries { id: *next, groups: HashMap::new(), topics: HashMap::new() }
        })
    }

    pub(crate) fn group(&mut self, cluster: &ClusterName, group: &GroupId, turn: i64) -> i64 {
        if let Some(series) = self.cluster(cluster).groups.get_mut(group) {
            series.last_turn = turn;
            return series.id;
        }
        let id = self.number(cluster, "group", group.to_string(), String::new());
        self.cluster(cluster).groups.insert(group.clone(), Series { id, last_turn: turn });
        id
    }

    pub(crate) fn topic(&mut self, cluster: &ClusterName, topic: (TopicName, Option<TopicId>), turn: i64) -> i64 {
        if let Some(series) = self.cluster(cluster).topics.get_mut(&topic) {
            series.last_turn = turn;
            return series.id;
        }
        let detail = topic.1.map(|id| id.to_string()).unwrap_or_default();
        let id = self.number(cluster, "topic", topic.0.to_string(), detail);
        self.cluster(cluster).topics.insert(topic, Series { id, last_turn: turn });
        id
    }

    fn number(&mut self, cluster: &ClusterName, kind: &'static str, name: String, detail: String) -> i64 {
        self.next_series += 1;
        let id = self.next_series;
        self.new_series.push(NewSeries { id, cluster: cluster.to_string(), kind, name, detail });
        id
    }

    pub(crate) fn shape(&mut self, group: i64, partitions: Vec<u8>) -> i64 {
        if let Some(shape) = self.shapes.get(&group).filter(|shape| shape.partitions == partitions) {
            return shape.id;
        }
        self.next_shape += 1;
        self.new_shapes.push((self.next_shape, group, partitions.clone()));
        self.shapes.insert(group, Shape { id: self.next_shape, partitions });
        self.next_shape
    }

    pub(crate) async fn write_new(&mut self, connection: &mut SqliteConnection, turn: i64) -> Result<(), StoreError> {
        for rows in std::mem::take(&mut self.new_series).chunks(ROWS) {
            let mut insert =
                QueryBuilder::<Sqlite>::new("insert into series (id, cluster, kind, name, detail, last_turn) ");
            insert.push_values(rows, |mut row, series| {
                row.push_bind(series.id)
                    .push_bind(series.cluster.clone())
                    .push_bind(series.kind)
                    .push_bind(series.name.clone())
                    .push_bind(series.detail.clone())
                    .push_bind(turn);
            });
            insert.build().persistent(false).execute(&mut *connection).await?;
        }
        for rows in std::mem::take(&mut self.new_shapes).chunks(ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new("insert into shape (id, group_series, since, partitions) ");
            insert.push_values(rows, |mut row, (id, group, partitions)| {
                row.push_bind(*id).push_bind(*group).push_bind(turn).push_bind(partitions.clone());
            });
            insert.build().persistent(false).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// Groups and topics come and go, console consumers by the thousand: a series that no turn is left of is deleted.
pub(crate) async fn forget_series(
    connection: &mut SqliteConnection,
    dictionary: &mut Dictionary,
    last_deleted: i64,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let mut gone = Vec::new();
    for cluster in dictionary.clusters.values_mut() {
        let groups = cluster.groups.values_mut();
        for series in groups.chain(cluster.topics.values_mut()) {
            let statement = if series.last_turn <= last_deleted {
                gone.push(series.id);
                "delete from series where last_turn <= ? and id = ?"
            } else {
                "update series set last_turn = ? where id = ?"
            };
            sqlx::query(statement).bind(series.last_turn).bind(series.id).execute(&mut *transaction).await?;
        }
    }
    for id in &gone {
        sqlx::query("delete from shape where group_series = ?").bind(id).execute(&mut *transaction).await?;
    }
    // A shape that was followed by another before the first turn that is left.
    sqlx::query(
        "delete from shape where exists (select 1 from shape as later where later.group_series = shape.group_series \
         and later.id > shape.id and later.since <= ?)",
    )
    .bind(last_deleted)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    for cluster in dictionary.clusters.values_mut() {
        cluster.groups.retain(|_, series| series.last_turn > last_deleted);
        cluster.topics.retain(|_, series| series.last_turn > last_deleted);
    }
    for id in gone {
        dictionary.shapes.remove(&id);
    }
    Ok(())
}

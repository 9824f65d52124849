//! The audit log: written in its order, and never changed unseen.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use wxgate_domain::TenantId;
use wxgate_storage::{AuditFilter, AuditVerdict, Checkpoint, Engine, Flaw, NewAuditEntry, Storage};

use crate::support::{TestDatabase, tenant};

const DAY: Duration = Duration::from_hours(24);

fn entry(target: &str) -> NewAuditEntry {
    NewAuditEntry {
        actor: "key:1".to_owned(),
        action: "app.create".to_owned(),
        target: target.to_owned(),
        outcome: "done".to_owned(),
        request_id: Some("r1".to_owned()),
        detail: Some("more".to_owned()),
        personal: Some("192.0.2.7".to_owned()),
    }
}

async fn write(storage: &Storage, tenant: Option<TenantId>, target: &str) -> u64 {
    let tx = storage.begin().await.unwrap();
    let seq = tx.audit(tenant).record(&entry(target)).await.unwrap();
    tx.commit().await.unwrap();
    seq
}

async fn verify(storage: &Storage, tenant: Option<TenantId>) -> AuditVerdict {
    storage.audit(tenant).verify(None).await.unwrap()
}

async fn flaws(storage: &Storage, tenant: Option<TenantId>) -> Vec<(u64, Flaw)> {
    verify(storage, tenant).await.flaws.iter().map(|found| (found.seq, found.flaw)).collect()
}

/// Somebody at the database's own prompt.
async fn tamper(raw: &DatabaseConnection, sql: &str) {
    let affected = raw.execute_unprepared(sql).await.unwrap().rows_affected();
    assert!(affected > 0, "{sql}");
}

/// A tenant's id as the engine's own text of it.
fn id(database: &TestDatabase, tenant: TenantId) -> String {
    match database.engine {
        Engine::Postgres => format!("'{tenant}'"),
        _ => format!("x'{}'", tenant.to_string().replace('-', "")),
    }
}

pub(crate) async fn entries_come_back_and_the_chain_is_whole(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, other) = (tenant(&storage, "acme").await.id, tenant(&storage, "other").await.id);
    assert_eq!(verify(&storage, None).await, AuditVerdict::default(), "of what belongs to no tenant, nothing yet");
    for (n, chain) in [Some(acme), Some(acme), None, Some(other), Some(acme), None].into_iter().enumerate() {
        write(&storage, chain, &format!("wx{n}")).await;
    }
    let told = storage.audit(Some(acme)).page(&AuditFilter::default(), 2).await.unwrap();
    assert_eq!(
        told.iter().map(|entry| (entry.seq, entry.target.as_str())).collect::<Vec<_>>(),
        [(3, "wx4"), (2, "wx1")]
    );
    assert_eq!(told[0].personal.as_deref(), Some("192.0.2.7"));
    assert_eq!(told[0].at, database.clock.now());
    let rest = AuditFilter { before: Some(2), ..AuditFilter::default() };
    assert_eq!(storage.audit(Some(acme)).page(&rest, 9).await.unwrap()[0].target, "wx0");
    for nothing in [
        AuditFilter { action: Some("app.remove".to_owned()), ..AuditFilter::default() },
        AuditFilter { actor: Some("system".to_owned()), ..AuditFilter::default() },
        AuditFilter { since: Some(database.clock.now().plus(DAY)), ..AuditFilter::default() },
    ] {
        assert_eq!(storage.audit(Some(acme)).page(&nothing, 9).await.unwrap(), []);
    }
    for (chain, count) in [(Some(acme), 3), (Some(other), 1), (None, 2)] {
        let verdict = verify(&storage, chain).await;
        assert_eq!((verdict.entries, verdict.first, verdict.last), (count, 1, count));
        assert_eq!((verdict.flaws.len(), verdict.proven), (0, None));
    }
    let mut heads = [(None, 2), (Some(acme), 3), (Some(other), 1)];
    heads.sort_unstable();
    assert_eq!(storage.audit_heads(None, 9).await.unwrap(), heads);
    assert_eq!(storage.audit_heads(Some(heads[1].0), 9).await.unwrap(), heads[2..]);
    storage.stop().await;
}

pub(crate) async fn writers_at_once_leave_no_gap(database: TestDatabase) {
    let storages = [database.started().await, database.started().await];
    let acme = tenant(&storages[0], "acme").await.id;
    let writers = (0..24).map(|n| {
        let storage = storages[n % 2].clone();
        tokio::spawn(async move { write(&storage, (n % 3 > 0).then_some(acme), &format!("wx{n}")).await })
    });
    let mut numbers = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        numbers.push(writer.await.unwrap());
    }
    numbers.sort_unstable();
    let mut expected: Vec<u64> = (1..=8).chain(1..=16).collect();
    expected.sort_unstable();
    assert_eq!(numbers, expected);
    assert_eq!((flaws(&storages[0], Some(acme)).await, flaws(&storages[1], None).await), (vec![], vec![]));
    for storage in storages {
        storage.stop().await;
    }
}

pub(crate) async fn many_entries_of_one_transaction_are_one_chain(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    assert_eq!(write(&storage, Some(acme), "before").await, 1);
    let many: Vec<_> = (0..600).map(|n| entry(&format!("wx{n}"))).collect();
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.audit(Some(acme)).record_all(&many).await.unwrap(), 601);
    tx.commit().await.unwrap();
    assert_eq!(write(&storage, Some(acme), "after").await, 602);
    let verdict = verify(&storage, Some(acme)).await;
    assert_eq!((verdict.entries, verdict.last, verdict.flaws.len()), (602, 602, 0));
    let filter = AuditFilter { before: Some(602), ..AuditFilter::default() };
    let told = storage.audit(Some(acme)).page(&filter, 2).await.unwrap();
    assert_eq!(told.iter().map(|entry| entry.target.as_str()).collect::<Vec<_>>(), ["wx599", "wx598"]);
    storage.stop().await;
}

pub(crate) async fn a_change_of_any_column_is_found(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    for n in 1..=3 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    let bytes =
        |hex: &str| if database.engine == Engine::Postgres { format!("'\\x{hex}'") } else { format!("x'{hex}'") };
    let zeros = bytes(&"00".repeat(32));
    let changes = [
        ("at", "at + 1".to_owned(), Flaw::Changed),
        ("actor", "'key:2'".to_owned(), Flaw::Changed),
        ("action", "'app.remove'".to_owned(), Flaw::Changed),
        ("target", "'wx9'".to_owned(), Flaw::Changed),
        ("outcome", "'refused'".to_owned(), Flaw::Changed),
        ("request_id", "NULL".to_owned(), Flaw::Changed),
        ("detail", "''".to_owned(), Flaw::Changed),
        ("personal", "'192.0.2.8'".to_owned(), Flaw::Personal),
        ("personal", "NULL".to_owned(), Flaw::Personal),
        ("salt", bytes(&"00".repeat(16)), Flaw::Personal),
        ("commitment", zeros.clone(), Flaw::Changed),
        ("mac_key", "mac_key - 1".to_owned(), Flaw::Changed),
        ("mac", zeros.clone(), Flaw::Changed),
    ];
    for (column, value, flaw) in changes {
        let keep = "CREATE TABLE kept AS SELECT * FROM audit_entry WHERE seq = 2";
        raw.execute_unprepared(keep).await.unwrap();
        tamper(&raw, &format!("UPDATE audit_entry SET {column} = {value} WHERE seq = 2")).await;
        assert_eq!(flaws(&storage, Some(acme)).await.first(), Some(&(2, flaw)), "{column} = {value}");
        raw.execute_unprepared("DELETE FROM audit_entry WHERE seq = 2").await.unwrap();
        raw.execute_unprepared("INSERT INTO audit_entry SELECT * FROM kept").await.unwrap();
        raw.execute_unprepared("DROP TABLE kept").await.unwrap();
        assert_eq!(flaws(&storage, Some(acme)).await, [], "{column}");
    }
    for (column, value) in [
        ("seq", "2".to_owned()),
        ("head", zeros.clone()),
        ("pruned", "1".to_owned()),
        ("pruned_mac", bytes(&"01".repeat(32))),
        ("anchor", zeros),
    ] {
        raw.execute_unprepared("CREATE TABLE kept AS SELECT * FROM audit_chain").await.unwrap();
        tamper(&raw, &format!("UPDATE audit_chain SET {column} = {value}")).await;
        assert!(!flaws(&storage, Some(acme)).await.is_empty(), "{column} = {value}");
        raw.execute_unprepared("DELETE FROM audit_chain").await.unwrap();
        raw.execute_unprepared("INSERT INTO audit_chain SELECT * FROM kept").await.unwrap();
        raw.execute_unprepared("DROP TABLE kept").await.unwrap();
    }
    assert_eq!(flaws(&storage, Some(acme)).await, []);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn what_is_removed_or_added_is_found(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, other) = (tenant(&storage, "acme").await.id, tenant(&storage, "other").await.id);
    for n in 1..=5 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
        write(&storage, Some(other), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    let (mine, theirs) = (id(&database, acme), id(&database, other));
    tamper(&raw, &format!("DELETE FROM audit_entry WHERE tenant_id = {mine} AND seq IN (2, 3)")).await;
    assert_eq!(flaws(&storage, Some(acme)).await, [(2, Flaw::Missing), (3, Flaw::Missing)]);
    // Entries of another tenant in their place, in order and genuine.
    tamper(&raw, &format!("UPDATE audit_entry SET tenant_id = {mine} WHERE tenant_id = {theirs} AND seq IN (2, 3)"))
        .await;
    assert_eq!(flaws(&storage, Some(acme)).await[..2], [(2, Flaw::Changed), (3, Flaw::Changed)]);
    assert_eq!(flaws(&storage, Some(other)).await, [(2, Flaw::Missing), (3, Flaw::Missing)]);
    tamper(&raw, &format!("UPDATE audit_entry SET seq = 6 WHERE tenant_id = {theirs} AND seq = 4")).await;
    assert!(flaws(&storage, Some(other)).await.contains(&(6, Flaw::Added)));
    tamper(&raw, &format!("DELETE FROM audit_chain WHERE tenant_id = {theirs}")).await;
    assert_eq!(flaws(&storage, Some(other)).await, [(0, Flaw::Chain)]);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_tail_that_was_cut_off_is_found(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    for n in 1..=4 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    tamper(&raw, "DELETE FROM audit_entry WHERE seq > 2").await;
    assert_eq!(flaws(&storage, Some(acme)).await, [(3, Flaw::Missing), (4, Flaw::Missing)]);
    let head = "(SELECT mac FROM audit_entry WHERE seq = 2)";
    tamper(&raw, &format!("UPDATE audit_chain SET seq = 2, head = {head}")).await;
    assert_eq!(flaws(&storage, Some(acme)).await, [(2, Flaw::Chain)], "the row of the chain has a MAC of its own");
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_log_that_went_with_its_keys_is_missed(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    write(&storage, Some(acme), "wx1").await;
    let raw = database.raw().await;
    let of_acme = format!("WHERE tenant_id = {}", id(&database, acme));
    for table in ["audit_entry", "audit_chain"] {
        tamper(&raw, &format!("DELETE FROM {table} {of_acme}")).await;
    }
    tamper(&raw, &format!("DELETE FROM data_key {of_acme} AND purpose = 'audit'")).await;
    assert_eq!(flaws(&storage, Some(acme)).await, [(0, Flaw::Chain)]);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn what_cannot_even_be_read_is_named_and_hides_nothing(database: TestDatabase) {
    // The servers let no column hold what is not of its type.
    if database.engine != Engine::Sqlite {
        return;
    }
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    for n in 1..=5 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    tamper(&raw, "UPDATE audit_entry SET action = CAST(x'ff41' AS TEXT) WHERE seq = 2").await;
    tamper(&raw, "UPDATE audit_entry SET target = 'wx9' WHERE seq = 5").await;
    assert_eq!(flaws(&storage, Some(acme)).await, [(2, Flaw::Changed), (5, Flaw::Changed)]);
    assert_eq!(verify(&storage, Some(acme)).await.entries, 5);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_tenant_older_than_the_log_gets_one_and_a_lost_log_stays_lost(database: TestDatabase) {
    let storage = database.started().await;
    let (old, young) = (tenant(&storage, "old").await.id, tenant(&storage, "young").await.id);
    write(&storage, Some(young), "wx1").await;
    let raw = database.raw().await;
    tamper(&raw, "DELETE FROM audit_chain").await;
    tamper(&raw, &format!("UPDATE tenant SET created_at = 1 WHERE id = {}", id(&database, old))).await;
    let later = i64::MAX / 2;
    tamper(&raw, &format!("UPDATE tenant SET created_at = {later} WHERE id = {}", id(&database, young))).await;
    raw.close().await.unwrap();
    storage.stop().await;

    let storage = database.started().await;
    assert_eq!(write(&storage, Some(old), "wx2").await, 1);
    assert_eq!(flaws(&storage, Some(old)).await, []);
    assert_ne!(flaws(&storage, Some(young)).await, []);
    storage.stop().await;
}

pub(crate) async fn a_log_that_was_put_back_is_found_by_its_checkpoint(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    let other = tenant(&storage, "other").await.id;
    for n in 1..=2 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    raw.execute_unprepared("CREATE TABLE kept AS SELECT * FROM audit_chain").await.unwrap();
    for n in 3..=4 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let log = storage.audit(Some(acme));
    let checkpoint: Checkpoint = log.checkpoint().await.unwrap().unwrap().to_string().parse().unwrap();
    let verdict = log.verify(Some(&checkpoint)).await.unwrap();
    assert_eq!((verdict.flaws.len(), verdict.proven), (0, Some((4, database.clock.now()))));
    write(&storage, Some(acme), "wx5").await;
    assert_eq!(log.verify(Some(&checkpoint)).await.unwrap().proven, Some((4, database.clock.now())), "since then more");
    let foreign = storage.audit(Some(other)).verify(Some(&checkpoint)).await.unwrap();
    assert_eq!(foreign.flaws[0].flaw, Flaw::Checkpoint);
    let mut forged = checkpoint;
    forged.count = 3;
    assert_eq!(log.verify(Some(&forged)).await.unwrap().flaws[0].flaw, Flaw::Checkpoint);

    tamper(&raw, "DELETE FROM audit_entry WHERE seq > 2").await;
    raw.execute_unprepared("DELETE FROM audit_chain").await.unwrap();
    raw.execute_unprepared("INSERT INTO audit_chain SELECT * FROM kept").await.unwrap();
    assert_eq!(flaws(&storage, Some(acme)).await, [], "nothing inside the database tells");
    let verdict = log.verify(Some(&checkpoint)).await.unwrap();
    assert_eq!(verdict.flaws[0], wxgate_storage::AuditFlaw { seq: 4, flaw: Flaw::Missing });
    // Going on from there hides it from nobody who kept the checkpoint.
    for n in 3..=6 {
        write(&storage, Some(acme), &format!("other{n}")).await;
    }
    let verdict = log.verify(Some(&checkpoint)).await.unwrap();
    assert_eq!((verdict.flaws[0].flaw, verdict.proven), (Flaw::Replaced, None));
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_broken_chain_stays_broken(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await.id;
    for n in 1..=4 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    tamper(&raw, "DELETE FROM audit_entry WHERE seq > 2").await;
    tamper(&raw, "UPDATE audit_chain SET seq = 2, head = (SELECT mac FROM audit_entry WHERE seq = 2)").await;
    assert_eq!(write(&storage, Some(acme), "wx3").await, 3, "operators go on working");
    assert_eq!(flaws(&storage, Some(acme)).await, [(3, Flaw::Chain)], "but it is not made good by that");
    assert_eq!(storage.audit(Some(acme)).checkpoint().await.unwrap(), None);

    tamper(&raw, "DELETE FROM audit_entry").await;
    tamper(&raw, "DELETE FROM audit_chain").await;
    assert_eq!(write(&storage, Some(acme), "wx4").await, 1);
    assert_eq!(flaws(&storage, Some(acme)).await, [(1, Flaw::Chain)]);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn what_is_personal_is_forgotten(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, other) = (tenant(&storage, "acme").await.id, tenant(&storage, "other").await.id);
    for target in ["ada", "eve", "ada"] {
        write(&storage, Some(acme), target).await;
    }
    write(&storage, Some(other), "ada").await;
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.audit(Some(acme)).forget_personal("ada").await.unwrap(), 2);
    tx.commit().await.unwrap();
    let told = storage.audit(Some(acme)).page(&AuditFilter::default(), 9).await.unwrap();
    let known: Vec<_> = told.iter().map(|entry| (entry.target.as_str(), entry.personal.is_some())).collect();
    assert_eq!(known, [("ada", false), ("eve", true), ("ada", false)]);
    assert!(storage.audit(Some(other)).page(&AuditFilter::default(), 9).await.unwrap()[0].personal.is_some());
    assert_eq!(flaws(&storage, Some(acme)).await, [], "the chain holds without it");
    storage.stop().await;
}

/// Migrated, and with no sweep of its own running.
async fn not_running(database: &TestDatabase) -> Storage {
    database.started().await.stop().await;
    Storage::connect(database.config()).await.unwrap()
}

pub(crate) async fn old_entries_go_and_the_chain_holds(database: TestDatabase) {
    let storage = not_running(&database).await;
    let (acme, other) = (tenant(&storage, "acme").await.id, tenant(&storage, "other").await.id);
    let tx = storage.begin().await.unwrap();
    let shorter = |tenant: wxgate_domain::Tenant| {
        let policy = wxgate_domain::TenantPolicy { audit_days: 30, ..tenant.policy };
        Ok::<_, wxgate_storage::StorageError>((tenant.name, policy))
    };
    tx.tenants().change(other, shorter).await.unwrap();
    tx.commit().await.unwrap();
    for chain in [None, Some(acme), Some(other)] {
        for n in 1..=3 {
            write(&storage, chain, &format!("old{n}")).await;
        }
    }
    let early = storage.audit(Some(acme)).checkpoint().await.unwrap().unwrap();
    database.clock.advance(31 * DAY);
    storage.sweep().await.unwrap();
    let kept = async |chain| {
        let verdict = verify(&storage, chain).await;
        assert_eq!(verdict.flaws, [], "{chain:?}");
        (verdict.first, verdict.entries)
    };
    assert_eq!((kept(None).await, kept(Some(acme)).await, kept(Some(other)).await), ((1, 3), (1, 3), (4, 0)));
    write(&storage, Some(other), "new").await;
    assert_eq!(kept(Some(other)).await, (4, 1));

    database.clock.advance(380 * DAY);
    write(&storage, Some(acme), "new").await;
    storage.sweep().await.unwrap();
    assert_eq!((kept(None).await, kept(Some(acme)).await, kept(Some(other)).await), ((4, 0), (4, 1), (5, 0)));
    let proven = storage.audit(Some(acme)).verify(Some(&early)).await.unwrap();
    assert_eq!((proven.flaws.len(), proven.proven.map(|(seq, _)| seq)), (0, Some(3)), "to where it was pruned");
    storage.stop().await;
}

pub(crate) async fn who_sets_back_a_date_gets_rid_of_nothing(database: TestDatabase) {
    let storage = not_running(&database).await;
    let acme = tenant(&storage, "acme").await.id;
    for n in 1..=3 {
        write(&storage, Some(acme), &format!("wx{n}")).await;
    }
    let raw = database.raw().await;
    tamper(&raw, "UPDATE audit_entry SET at = 0").await;
    storage.sweep().await.unwrap();
    assert_eq!(verify(&storage, Some(acme)).await.entries, 3);
    assert_eq!(flaws(&storage, Some(acme)).await, [1, 2, 3].map(|seq| (seq, Flaw::Changed)));
    raw.close().await.unwrap();
    storage.stop().await;
}

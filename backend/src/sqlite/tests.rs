use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::{Options, SCHEMA_VERSION, SqliteError, open};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS things (name TEXT) STRICT";

fn open_default(path: &Path) -> Result<Connection, SqliteError> {
    open(path, Options::default(), SCHEMA)
}

fn pragma(connection: &Connection, name: &str) -> String {
    let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
    match connection.pragma_query_value(None, name, value).unwrap() {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn broken(path: &Path) -> String {
    match open_default(path) {
        Err(SqliteError::Broken(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_file_is_private_durable_and_marked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/chat.db");
    let connection = open_default(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    assert_eq!(pragma(&connection, "journal_mode"), "wal");
    assert_eq!(pragma(&connection, "synchronous"), "2", "FULL");
    assert_eq!(
        pragma(&connection, "user_version"),
        SCHEMA_VERSION.to_string()
    );
    assert_eq!(
        pragma(&connection, "application_id"),
        0x4252_5448.to_string()
    );
    drop(connection);
    open_default(&path).unwrap();
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    std::thread::scope(|scope| {
        let opens: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| open_default(&path)))
            .collect();
        for opened in opens {
            opened.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "Dear diary, ".repeat(1000);
    fs::write(&path, &text).unwrap();
    let why = broken(&path);
    assert!(
        why.contains("notes.txt") && why.contains("not a database"),
        "{why}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE photos (name TEXT)")
        .unwrap();
    let bytes = fs::read(&path).unwrap();
    let why = broken(&path);
    assert!(
        why.contains("photos.db") && why.contains("belongs to another program"),
        "{why}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_newer_layout_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    open_default(&path)
        .unwrap()
        .pragma_update(None, "user_version", SCHEMA_VERSION + 1)
        .unwrap();
    let why = broken(&path);
    for version in [SCHEMA_VERSION, SCHEMA_VERSION + 1] {
        assert!(why.contains(&format!("version {version}")), "{why}");
    }
}

#[test]
fn a_damaged_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    drop(open_default(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let why = broken(&path);
    assert!(why.contains("malformed"), "{why}");
}

#[test]
fn a_folder_that_cannot_be_made_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let why = open_default(&file.join("chat.db")).unwrap_err();
    assert!(matches!(why, SqliteError::Unavailable(_)), "{why:?}");
    let why = open_default(folder.path()).unwrap_err();
    assert!(matches!(why, SqliteError::Unavailable(_)), "{why:?}");
}

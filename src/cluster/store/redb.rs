//! Keeps the objects in one redb file: a row an object under `group/plural/namespace/name`, and a table of what
//! is true of the whole. One wait for the disk a commit. Every page has a checksum, all of which are read at start.
//!
//! When the disk fails, redb takes no more writes until the file is opened anew, and a group whose write failed may
//! or may not be in it. So each group notes what it replaces, and after a failure that is put back first.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::backend::{Backend, BackendError, Contents, Record};
use crate::object::{Kinds, ObjectKey, Revision, kinds};

const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<&str, u64> = TableDefinition::new("windlass");
/// Raised when older versions of windlass could misread the file.
const FORMAT: u64 = 1;
/// For pages of the tree on the way of a write. Objects are not read from here after the start.
const CACHE_BYTES: usize = 8 << 20;

/// A store in a file, which no other process can open meanwhile.
pub struct Redb {
    path: PathBuf,
    open: Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send>,
    /// `None` between a failure of the disk and the next try.
    database: Option<Database>,
    /// What the rows held that groups since the last successful commit may have changed; `None` is no row.
    undo: BTreeMap<String, Option<Vec<u8>>>,
}

impl Redb {
    /// Opens the file, or makes it (readable by its owner only, since it holds Secrets) with its folder.
    ///
    /// # Errors
    /// When it cannot be opened, another process has it open, or it is not a file of redb's.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, BackendError> {
        let path = path.into();
        make_file(&path).map_err(|e| refusal(&path, e.into()))?;
        let file = path.clone();
        let open = move || {
            let file = fs::OpenOptions::new().read(true).write(true).open(&file)?;
            Builder::new().set_cache_size(CACHE_BYTES).create_file(file)
        };
        Self::opened_by(path, open)
    }

    /// A store on whatever `open` opens; `path` is for messages.
    pub(super) fn opened_by(
        path: PathBuf,
        open: impl Fn() -> Result<Database, redb::DatabaseError> + Send + 'static,
    ) -> Result<Self, BackendError> {
        let database = guarded(&path, || Ok(open()?))?;
        Ok(Self { path, open: Box::new(open), database: Some(database), undo: BTreeMap::new() })
    }

    fn database(&mut self) -> Result<&mut Database, redb::Error> {
        match &mut self.database {
            Some(database) => Ok(database),
            closed => Ok(closed.insert((self.open)()?)),
        }
    }

    fn read(&mut self) -> Result<Contents, ReadError> {
        let database = self.database()?;
        if !database.check_integrity()? {
            return Err(ReadError::Damaged("its checksums do not match".into()));
        }
        let transaction = database.begin_read()?;
        let tables: Vec<_> = transaction.list_tables()?.collect();
        if tables.is_empty() {
            self.write(Revision::default(), &[])?;
            return Ok(Contents::default());
        }
        if !tables.iter().any(|table| table.name() == "windlass") {
            return Err(ReadError::Damaged("it was not written by windlass".into()));
        }
        let meta = transaction.open_table(META)?;
        let number = |name| Ok::<_, redb::Error>(meta.get(name)?.map(|row| row.value()).unwrap_or_default());
        match number("format")? {
            FORMAT => {}
            found => return Err(ReadError::Format(found)),
        }
        let mut contents = Contents { ceiling: Revision(number("ceiling")?), objects: Vec::new() };
        let objects = transaction.open_table(OBJECTS)?;
        let kinds = definitions(&objects)?;
        for row in objects.iter()? {
            let (name, json) = row?;
            let unknown = || ReadError::Damaged(format!("it holds {:?}, of no kind that is known here", name.value()));
            let key = key_of(&kinds, name.value()).ok_or_else(unknown)?;
            contents.objects.push((key, Bytes::copy_from_slice(json.value())));
        }
        Ok(contents)
    }

    fn write(&mut self, ceiling: Revision, records: &[Record]) -> Result<(), redb::Error> {
        let transaction = self.database()?.begin_write()?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            for (name, json) in &self.undo {
                match json {
                    Some(json) => drop(objects.insert(name.as_str(), json.as_slice())?),
                    None => drop(objects.remove(name.as_str())?),
                }
            }
            for Record { key, json } in records {
                let name = name_of(key);
                let replaced = match json {
                    Some(json) => objects.insert(name.as_str(), json.as_ref())?,
                    None => objects.remove(name.as_str())?,
                };
                let replaced = replaced.map(|row| row.value().to_vec());
                self.undo.entry(name).or_insert(replaced);
            }
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("ceiling", ceiling.0)?;
        }
        transaction.commit()?;
        self.undo.clear();
        Ok(())
    }
}

impl Backend for Redb {
    fn load(&mut self) -> Result<Contents, BackendError> {
        let path = self.path.clone();
        guarded(&path, || self.read())
    }

    fn commit(&mut self, ceiling: Revision, records: &[Record]) -> Result<(), BackendError> {
        let failed = match self.write(ceiling, records) {
            Ok(()) => return Ok(()),
            Err(error) => refusal(&self.path, ReadError::Redb(error)),
        };
        // Once more, without the group: what it left in the file, if anything, should not wait there for a crash.
        self.database = None;
        if let Err(error) = self.write(ceiling, &[]) {
            self.database = None;
            tracing::debug!(%error, "the store's file stays closed until the next write");
        }
        Err(failed)
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// Makes an empty store under another name first, so that a loss of power leaves a whole one or none.
fn make_file(path: &Path) -> Result<(), redb::DatabaseError> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    drop(Builder::new().create_file(file)?);
    // A link and not a rename: where two start at once, the second must not replace the first one's file.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    if let Err(error) = linked
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(error.into());
    }
    // The file's entry in its folder has to outlive a loss of power too.
    Ok(fs::File::open(folder)?.sync_all()?)
}

/// `/pods/default/web`, `apps/deployments/default/web`, `/nodes//n1`.
fn name_of(key: &ObjectKey) -> String {
    format!("{}/{}/{}/{}", key.kind.group, key.kind.plural, key.namespace, key.name)
}

/// The kinds of the table and of the definitions among the rows: custom resources are known by them.
fn definitions(objects: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Kinds, ReadError> {
    let kind = kinds::CUSTOM_RESOURCE_DEFINITION;
    let prefix = format!("{}/{}/", kind.group, kind.plural);
    let mut known = Kinds::default();
    for row in objects.range(prefix.as_str()..)? {
        let (name, json) = row?;
        if !name.value().starts_with(&prefix) {
            break;
        }
        let damaged = |what: &dyn std::fmt::Display| ReadError::Damaged(format!("{:?}: {what}", name.value()));
        let definition = serde_json::from_slice(json.value()).map_err(|error| damaged(&error))?;
        known.put(&definition).map_err(|error| damaged(&error))?;
    }
    Ok(known)
}

fn key_of(known: &Kinds, name: &str) -> Option<ObjectKey> {
    let mut parts = name.splitn(4, '/');
    let kind = known.by_resource(parts.next()?, parts.next()?)?;
    Some(ObjectKey { kind, namespace: parts.next()?.to_owned(), name: parts.next()?.to_owned() })
}

#[derive(Debug)]
enum ReadError {
    Redb(redb::Error),
    Damaged(String),
    Format(u64),
}

impl<E: Into<redb::Error>> From<E> for ReadError {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

/// Runs `read` on a file that may be damaged in ways that redb does not expect: it may panic on some.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, BackendError> {
    let damaged = |_| Err(ReadError::Damaged("its pages make no sense".into()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(damaged).map_err(|error| refusal(path, error))
}

fn refusal(path: &Path, error: ReadError) -> BackendError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let path = path.to_owned();
    match error {
        ReadError::Format(found) => BackendError::Format { path, found, supported: FORMAT },
        ReadError::Damaged(what) => BackendError::Damaged { path, what },
        ReadError::Redb(redb::Error::DatabaseAlreadyOpen) => BackendError::Locked { path },
        ReadError::Redb(error) => match &error {
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableDoesNotExist(_) => BackendError::Damaged { path, what: error.to_string() },
            redb::Error::Io(io) if matches!(io.kind(), InvalidData | UnexpectedEof) => {
                BackendError::Damaged { path, what: format!("it is no file of the store ({io})") }
            }
            _ => BackendError::Io { action: "use the store's file", message: format!("{}: {error}", path.display()) },
        },
    }
}

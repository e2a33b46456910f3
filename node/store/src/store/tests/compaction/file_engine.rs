//! An engine that writes all rows to a file at each flush. It survives a power cut as far as it was
//! flushed, and trusts what it finds: rows that were not synced are missing without an error.

use super::*;
use crate::engine::{Cell as EngineCell, Engine, MemoryEngine, Pair, Write};

/// Rows in memory and, as of the last flush, in a file.
pub(super) struct FileEngine {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    rows: Mutex<Arc<MemoryEngine>>,
}

impl FileEngine {
    pub(super) fn source(fs: Arc<dyn Fs>) -> EngineSource {
        EngineSource::Custom(Arc::new(move |folder| {
            let engine = Self { fs: fs.clone(), folder: folder.to_owned(), rows: Mutex::default() };
            engine.reopen()?;
            Ok(Arc::new(engine))
        }))
    }

    fn rows(&self) -> Arc<MemoryEngine> {
        self.rows.lock().unwrap().clone()
    }
}

fn failed(error: &std::io::Error) -> EngineError {
    match fs::is_full(error) {
        true => EngineError::Full,
        false => EngineError::Unavailable(error.to_string()),
    }
}

/// The next field, after its length; `None` at the end and where the bytes were lost.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (field, rest) = rest.split_at_checked(u32::from_le_bytes(*len).try_into().unwrap())?;
    *bytes = rest;
    Some(field)
}

impl Engine for FileEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.rows().get(table, key)
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.rows().scan(table, scan)
    }

    fn walk(
        &self,
        after: Option<(&str, &[u8])>,
        limit: usize,
    ) -> Result<Vec<EngineCell>, EngineError> {
        self.rows().walk(after, limit)
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.rows().apply(group)
    }

    fn flush(&self) -> Result<(), EngineError> {
        let mut bytes = Vec::new();
        for cell in self.rows().walk(None, usize::MAX)? {
            for field in [cell.table.as_bytes(), &cell.key, &cell.value] {
                bytes.extend_from_slice(&u32::try_from(field.len()).unwrap().to_le_bytes());
                bytes.extend_from_slice(field);
            }
        }
        fs::replace(&*self.fs, &self.folder.join("rows"), &bytes).map_err(|e| failed(&e))
    }

    fn reopen(&self) -> Result<(), EngineError> {
        let rows = MemoryEngine::default();
        let path = self.folder.join("rows");
        if self.fs.exists(&path).map_err(|e| failed(&e))? {
            let bytes = fs::read(&*self.fs, &path, usize::MAX).map_err(|e| failed(&e))?;
            let mut rest = bytes.as_slice();
            while let (Some(table), Some(key), Some(value)) =
                (field(&mut rest), field(&mut rest), field(&mut rest))
            {
                let Ok(table) = std::str::from_utf8(table) else { break };
                rows.apply(&[Write { table, key, value: Some(value) }])?;
            }
        }
        *self.rows.lock().unwrap() = Arc::new(rows);
        Ok(())
    }

    fn survives_power_cut(&self) -> bool {
        true
    }
}

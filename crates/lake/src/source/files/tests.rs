#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::exec::scan::tests::sum_of;
use crate::source::store::Rights;

/// A file of a thousand rows of one number.
fn write(path: &Path, value: i64) {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value; 1000]));
    let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn located(path: &Path) -> Location {
    Location::local(path, &Rights::everywhere()).unwrap()
}

fn open_all(folder: &Path) -> Vec<DataFile> {
    let found = find(&located(folder), &mut || true).unwrap();
    open(&found, &mut || true).unwrap()
}

/// One test, since the descriptors that are held are counted for the whole process.
#[test]
fn files_are_read_as_they_were_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");

    // Replaced by rename: the old rows, all of them.
    write(&path, 1);
    let files = open_all(folder.path());
    write(&folder.path().join("new"), 2);
    fs::rename(folder.path().join("new"), &path).unwrap();
    assert_eq!(sum_of(files).unwrap(), 1000);
    assert_eq!(sum_of(open_all(folder.path())).unwrap(), 2000);

    // Overwritten or cut in place: an error.
    for change in
        [&|path: &Path| write(path, 3), &|path: &Path| fs::write(path, "PAR1").unwrap()] as [&dyn Fn(&Path); 2]
    {
        write(&path, 1);
        let files = open_all(folder.path());
        change(&path);
        assert!(matches!(sum_of(files), Err(Error::FileChanged { .. })));
    }

    // More files than are held: those beyond must still be the same when their turn comes.
    fs::remove_file(&path).unwrap();
    for i in 0..MOST_HELD + 20 {
        write(&folder.path().join(format!("{i:04}.parquet")), 1);
    }
    let files = open_all(folder.path());
    assert!(HELD.load(Ordering::Relaxed) <= MOST_HELD);
    assert_eq!(sum_of(files.clone()).unwrap(), (MOST_HELD as i64 + 20) * 1000);
    let last = files.last().unwrap().location().path().to_owned();
    write(&folder.path().join("new"), 2);
    fs::rename(folder.path().join("new"), last).unwrap();
    assert!(matches!(sum_of(files), Err(Error::FileChanged { .. })));
    assert_eq!(open_all(folder.path()).len(), MOST_HELD + 20);
}

#[test]
fn opening_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.parquet"), 1);
    write(&folder.path().join("b.parquet"), 1);
    let found = find(&located(folder.path()), &mut || true).unwrap();
    assert!(matches!(open(&found, &mut || false), Err(Error::Canceled)));
    assert!(matches!(find(&located(folder.path()), &mut || false), Err(Error::Canceled)));
}

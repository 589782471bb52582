//! Who may read and write which path.
//!
//! Members of pg_read_server_files (and superusers) read everything that the server's operating system user may read.
//! Everybody else reads below `lagoon.data_directories`, and datasets below the dataset directory. A path is judged twice:
//! as it is written, so that nothing outside is even looked at, and by what it leads to, once that is held and can no longer
//! become something else. For a foreign table the role is its owner, as for a view.

use std::path::PathBuf;

use lagoon_lake::source::Location;
use lagoon_lake::source::store::Rights;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use crate::pg::{guc, role};

/// The role of that name; invalid for `public`. An ERROR (42704) if there is none.
pub fn role_named(name: &str) -> Result<pg_sys::Oid> {
    if name.eq_ignore_ascii_case("public") {
        return Ok(pg_sys::Oid::INVALID);
    }
    let text = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: a NUL-terminated name; a catalog lookup on the main thread.
    Ok(unsafe { pg_sys::get_role_oid(text.as_ptr(), false) })
}

/// The ERROR (42501) that the executor would raise later, if the statement may not read the table: planning opens files, and
/// what it says about them is for those who may read them. A member of a partitioned or inherited table is read by the
/// rights of that one.
///
/// # Safety
/// `root` and `rel` are the planner's, of the table that is planned.
pub unsafe fn check_select(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: the caller's: both arrays have an entry for every relation of the query.
    unsafe {
        let mut relid = (*rel).relid;
        let entry = |relid: u32| *(*root).simple_rte_array.add(relid as usize);
        while !(*root).append_rel_array.is_null() {
            let member = *(*root).append_rel_array.add(relid as usize);
            if member.is_null() || (*entry((*member).parent_relid)).rtekind != pg_sys::RTEKind::RTE_RELATION {
                break;
            }
            relid = (*member).parent_relid;
        }
        check_reader((*entry(relid)).relid, (*rel).userid);
    }
}

/// Whether the values of a column may be shown to operators that may leak them: the statement may read it, and nothing hides
/// rows of it. A member is read by the rights of its parent, whose columns have other numbers, so there the whole table counts.
///
/// # Safety
/// As [`check_select`].
pub unsafe fn may_read(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, number: i16) -> bool {
    let select = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    let ok = pg_sys::AclResult::ACLCHECK_OK;
    // SAFETY: the caller's: the arrays have an entry for every relation of the query.
    unsafe {
        let entry = |relid: u32| *(*root).simple_rte_array.add(relid as usize);
        let parent = |relid: u32| {
            let members = (*root).append_rel_array;
            let member = if members.is_null() { None } else { (*members.add(relid as usize)).as_ref() };
            let parent = member.map(|member| member.parent_relid);
            parent.filter(|relid| (*entry(*relid)).rtekind == pg_sys::RTEKind::RTE_RELATION)
        };
        let reader = if (*rel).userid == pg_sys::InvalidOid { role::current() } else { (*rel).userid };
        let family: Vec<_> = std::iter::successors(Some((*rel).relid), |relid| parent(*relid)).collect();
        let Some(first) = family.last().map(|relid| (*entry(*relid)).relid) else { return false };
        family.iter().all(|relid| (*entry(*relid)).securityQuals.is_null())
            && (pg_sys::pg_class_aclcheck(first, reader, select) == ok
                || family.len() == 1 && pg_sys::pg_attribute_aclcheck(first, number, reader, select) == ok)
    }
}

/// What [`check_select`] does, for a table, as the role that reads it: an invalid one is the current role.
pub fn check_reader(table: pg_sys::Oid, user: pg_sys::Oid) {
    let reader = if user == pg_sys::InvalidOid { role::current() } else { user };
    let select = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    let any = pg_sys::AclMaskHow::ACLMASK_ANY;
    let ok = pg_sys::AclResult::ACLCHECK_OK;
    // SAFETY: lookups in the catalogs, and an ERROR.
    unsafe {
        if pg_sys::pg_class_aclcheck(table, reader, select) != ok
            && pg_sys::pg_attribute_aclcheck_all(table, reader, select, any) != ok
        {
            let kind = pg_sys::get_relkind_objtype(pg_sys::get_rel_relkind(table));
            pg_sys::aclcheck_error(pg_sys::AclResult::ACLCHECK_NO_PRIV, kind, pg_sys::get_rel_name(table));
        }
    }
}

/// Refuses roles that may not write files on the server.
pub fn check_writer(action: &'static str) -> Result<()> {
    if role::has(role::current(), pg_sys::Oid::from(pg_sys::ROLE_PG_WRITE_SERVER_FILES)) {
        return Ok(());
    }
    Err(Error::RoleDenied { action, hint: "It needs membership in the role pg_write_server_files." })
}

/// Where a path leads to, which may be a pattern, for `role`; refused if it may not read there whatever it finds.
pub fn locate(path: &str, role: pg_sys::Oid) -> Result<Location> {
    Location::local(path, &rights(role, false))
}

/// Where `role` may read.
pub fn rights(role: pg_sys::Oid, dataset: bool) -> Rights {
    if reads_all(role) { Rights::everywhere() } else { Rights::beneath(allowed(dataset)) }
}

/// Where ingest writes.
pub fn dataset_directory() -> PathBuf {
    match guc::text(&guc::DATASET_DIRECTORY) {
        configured if configured.is_empty() => data_directory().join("lagoon/datasets"),
        configured => PathBuf::from(configured),
    }
}

fn data_directory() -> PathBuf {
    // SAFETY: set once at server start, a NUL-terminated string.
    let directory = unsafe { std::ffi::CStr::from_ptr(pg_sys::DataDir) };
    PathBuf::from(directory.to_string_lossy().into_owned())
}

fn allowed(dataset: bool) -> Vec<PathBuf> {
    let configured = guc::text(&guc::DATA_DIRECTORIES);
    let mut directories: Vec<_> = configured
        .split(',')
        .map(str::trim)
        .filter(|directory| directory.starts_with('/'))
        .map(PathBuf::from)
        .collect();
    if dataset {
        directories.push(dataset_directory());
    }
    directories
}

fn reads_all(role: pg_sys::Oid) -> bool {
    role::has(role, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES))
}

/// Whether `role` may read what it was not granted: all data, or all files.
pub fn reads_data(role: pg_sys::Oid) -> bool {
    role::has(role, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_DATA)) || reads_all(role)
}

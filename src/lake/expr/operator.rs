//! Operators of the catalog that the rules list.

use std::ffi::CStr;

use lagoon_lake::expr::Function;
use lagoon_lake::expr::rules::{self, Precondition};
use lagoon_lake::types::Kind;
use pgrx::pg_sys;

use crate::lake::types;

/// Why an operator, and so a condition, is not pushed.
pub(in crate::lake) type Reason = String;

/// A binary operator that the rules list.
#[derive(Clone)]
pub(super) struct Listed {
    pub function: Function,
    /// Types of the arguments.
    pub left: Kind,
    pub right: Kind,
    pub precondition: Precondition,
}

/// What pg_operator says of an operator.
struct Operator {
    name: String,
    namespace: pg_sys::Oid,
    left: pg_sys::Oid,
    right: pg_sys::Oid,
}

impl Listed {
    /// Only operators of pg_catalog are: others may mean anything.
    pub(super) fn find(operator: pg_sys::Oid) -> Result<Self, Reason> {
        let Operator { name, namespace, left, right } = Operator::find(operator).ok_or("an operator that is gone")?;
        // Operators on varchar are those on text behind a relabelling, so the kind of VARCHAROID never comes here.
        let kinds = types::kind(left).zip(types::kind(right));
        let listed = Function::from_name(&name).zip(kinds).and_then(|(function, (left, right))| {
            let precondition = rules::find(function, &[left, right])?.precondition;
            Some(Self { function, left, right, precondition })
        });
        let is_own = namespace == pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
        listed
            .filter(|_| is_own)
            .ok_or_else(|| format!("operator {name}({}, {}) is not pushed", type_name(left), type_name(right)))
    }

    pub(super) fn name(&self) -> &'static str {
        self.function.name()
    }
}

impl Operator {
    fn find(oid: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a catalog lookup; the tuple is read before it is released.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, oid.into());
            if tuple.is_null() {
                return None;
            }
            let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
            let found = Self {
                name: CStr::from_ptr(form.oprname.data.as_ptr()).to_string_lossy().into_owned(),
                namespace: form.oprnamespace,
                left: form.oprleft,
                right: form.oprright,
            };
            pg_sys::ReleaseSysCache(tuple);
            Some(found)
        }
    }
}

fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: a catalog lookup that gives a string, whatever the oid.
    unsafe { CStr::from_ptr(pg_sys::format_type_be(oid)) }.to_string_lossy().into_owned()
}

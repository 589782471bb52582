//! Operators and functions of the catalog that the rules list.

use std::ffi::CStr;

use lagoon_lake::expr::Function;
use lagoon_lake::expr::rules::{Precondition, Rule};
use lagoon_lake::types::Kind;
use pgrx::pg_sys::{self, SysCacheIdentifier};

use crate::lake::types;

/// Why an operator, and so a condition, is not pushed.
pub(in crate::lake) type Reason = String;

/// An operator or function that the rules list.
#[derive(Clone)]
pub(in crate::lake) struct Listed {
    pub function: Function,
    /// Types of the arguments.
    pub arguments: Vec<Kind>,
    pub result: Kind,
    pub precondition: Precondition,
}

/// A table of rules: that of scans, or that of queries.
pub(in crate::lake) type Rules = fn(Function, &[Kind]) -> Option<&'static Rule>;

/// What the catalog says of one.
struct Called {
    name: String,
    namespace: pg_sys::Oid,
    arguments: Vec<pg_sys::Oid>,
}

impl Listed {
    /// Only operators of pg_catalog are: others may mean anything.
    pub(in crate::lake) fn operator(operator: pg_sys::Oid, rules: Rules) -> Result<Self, Reason> {
        let called = Called::operator(operator).ok_or("an operator that is gone")?;
        Self::find(&called, "operator ", rules)
    }

    /// Only functions of pg_catalog are, for the same reason.
    pub(in crate::lake) fn function(function: pg_sys::Oid, rules: Rules) -> Result<Self, Reason> {
        let called = Called::function(function).ok_or("a function that is gone")?;
        Self::find(&called, "function ", rules)
    }

    fn find(called: &Called, what: &str, rules: Rules) -> Result<Self, Reason> {
        let Called { name, namespace, arguments } = called;
        // Operators on varchar are those on text behind a relabelling, so the kind of VARCHAROID never comes here.
        let kinds = arguments.iter().map(|oid| types::kind(*oid)).collect::<Option<Vec<_>>>();
        let listed = Function::from_name(name).zip(kinds).and_then(|(function, arguments)| {
            let rule = rules(function, &arguments)?;
            Some(Self { function, arguments, result: rule.result, precondition: rule.precondition })
        });
        let is_own = *namespace == pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
        listed.filter(|_| is_own).ok_or_else(|| {
            let types: Vec<_> = arguments.iter().map(|oid| type_name(*oid)).collect();
            format!("{what}{name}({}) is not pushed", types.join(", "))
        })
    }

    pub(in crate::lake) fn name(&self) -> &'static str {
        self.function.name()
    }
}

/// What a binary operator of pg_catalog is called, and the types of its arguments.
pub(super) fn operator_between(operator: pg_sys::Oid) -> Option<(Function, [pg_sys::Oid; 2])> {
    let Called { name, namespace, arguments } = Called::operator(operator)?;
    let is_own = namespace == pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
    Function::from_name(&name).filter(|_| is_own).zip(arguments.try_into().ok())
}

impl Called {
    fn operator(oid: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a catalog lookup; the tuple is read before it is released.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(SysCacheIdentifier::OPEROID as i32, oid.into());
            if tuple.is_null() {
                return None;
            }
            let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
            let (left, right) = (form.oprleft, form.oprright);
            let found = Self {
                name: CStr::from_ptr(form.oprname.data.as_ptr()).to_string_lossy().into_owned(),
                namespace: form.oprnamespace,
                arguments: [left, right].into_iter().filter(|ty| *ty != pg_sys::InvalidOid).collect(),
            };
            pg_sys::ReleaseSysCache(tuple);
            Some(found)
        }
    }

    fn function(oid: pg_sys::Oid) -> Option<Self> {
        // SAFETY: as above; the vector of argument types is the last fixed column.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(SysCacheIdentifier::PROCOID as i32, oid.into());
            if tuple.is_null() {
                return None;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
            let count = usize::try_from((*form).pronargs).unwrap_or(0);
            let types = (&raw const (*form).proargtypes.values).cast::<pg_sys::Oid>();
            let found = Self {
                name: CStr::from_ptr((*form).proname.data.as_ptr()).to_string_lossy().into_owned(),
                namespace: (*form).pronamespace,
                arguments: (0..count).map(|at| *types.add(at)).collect(),
            };
            pg_sys::ReleaseSysCache(tuple);
            Some(found)
        }
    }
}

pub(in crate::lake) fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: a catalog lookup that gives a string, whatever the oid.
    unsafe { CStr::from_ptr(pg_sys::format_type_be(oid)) }.to_string_lossy().into_owned()
}

//! The declaration of a function by CREATE FUNCTION: its body `plugin:export`, and its SQL types as the engine's.

use lagoon_wasm::manifest::check_name;
use lagoon_wasm::{Error, Plugin, Signature, Type, shown};
use pgrx::pg_catalog::pg_proc::{PgProc, ProKind};
use pgrx::pg_sys;

/// Maximum bytes of a body. Names of exports may be long, but every message has them.
const MAX_BODY: usize = 1000;

/// A SQL function in language wasm.
pub struct Declaration {
    pub plugin: String,
    pub export: String,
    pub shape: Shape,
}

/// How the export is called.
pub enum Shape {
    Function(Signature),
    Trigger,
}

impl Declaration {
    /// Reads pg_proc. Errors are those that the validator shows.
    pub fn of(function: pg_sys::Oid) -> Result<Self, Error> {
        let Some(row) = PgProc::new(function) else {
            return Err(Error::Internal(format!("function {} is not in pg_proc", function.to_u32())));
        };
        if !matches!(row.prokind(), ProKind::Function) {
            return Err(Error::UnsupportedFunction("procedures, aggregates and window functions"));
        }
        if row.proretset() {
            return Err(Error::UnsupportedFunction("functions that return sets"));
        }
        if row.provariadic().is_some_and(|oid| oid != pg_sys::InvalidOid) {
            return Err(Error::UnsupportedFunction("VARIADIC functions"));
        }
        let (plugin, export) = split_body(&row.prosrc())?;
        let arguments = row.proargtypes();
        if row.prorettype() == pg_sys::TRIGGEROID {
            return match arguments.as_slice() {
                [] => Ok(Self { plugin, export, shape: Shape::Trigger }),
                _ => Err(Error::UnsupportedFunction("trigger functions with declared arguments")),
            };
        }
        let strict = row.proisstrict();
        if !strict && arguments.len() > 64 {
            return Err(Error::UnsupportedFunction("functions of more than 64 arguments that are not STRICT"));
        }
        let arguments = arguments.into_iter().map(type_of).collect::<Result<_, _>>()?;
        let result = type_of(row.prorettype())?;
        Ok(Self { plugin, export, shape: Shape::Function(Signature { arguments, result, strict }) })
    }

    /// Checks that the plugin has an export that fits.
    pub fn check(&self, plugin: &Plugin) -> Result<(), Error> {
        match &self.shape {
            Shape::Function(signature) => plugin.check_function(&self.export, signature),
            Shape::Trigger => plugin.check_trigger(&self.export),
        }
    }
}

/// `plugin:export`, spaces around it ignored.
fn split_body(body: &str) -> Result<(String, String), Error> {
    let wrong = || Error::Body(shown(body));
    if body.len() > MAX_BODY {
        return Err(wrong());
    }
    let (plugin, export) = body.trim().split_once(':').ok_or_else(wrong)?;
    check_name(plugin)?;
    if export.is_empty() { Err(wrong()) } else { Ok((plugin.to_owned(), export.to_owned())) }
}

/// The engine's type for a SQL type.
pub fn type_of(oid: pg_sys::Oid) -> Result<Type, Error> {
    kind_of(oid).ok_or_else(|| Error::UnsupportedType { type_name: type_name(oid) })
}

/// The engine's type for a SQL type, if there is one.
pub fn kind_of(oid: pg_sys::Oid) -> Option<Type> {
    Some(match oid {
        pg_sys::BOOLOID => Type::Bool,
        pg_sys::INT2OID => Type::Int2,
        pg_sys::INT4OID => Type::Int4,
        pg_sys::INT8OID => Type::Int8,
        pg_sys::FLOAT4OID => Type::Float4,
        pg_sys::FLOAT8OID => Type::Float8,
        pg_sys::TEXTOID | pg_sys::VARCHAROID => Type::Text,
        _ => return None,
    })
}

/// The name of a type as SQL writes it.
pub fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: format_type_be gives a palloc'd C string for any oid.
    unsafe { std::ffi::CStr::from_ptr(pg_sys::format_type_be(oid)) }.to_string_lossy().into_owned()
}

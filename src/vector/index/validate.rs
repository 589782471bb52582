//! `amvalidate`: whether an operator class fits the access method. Faults are INFO messages, as of other access methods.

use lagoon_vector::{Error, Method, Metric};
use pgrx::PgLogLevel;
use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{Spi, SpiError, SpiHeapTupleData};

use super::column::is_indexable;
use super::support::{DISTANCE, NORM, WIDE, metric_of};
use crate::pg::log;

/// Reports the faults of an operator class and its family. Returns whether there are none.
pub fn validate(method: Method, class: Oid) -> Result<bool, Error> {
    let faults = read(class)?.faults(method);
    for fault in &faults {
        log::at(PgLogLevel::INFO, fault.as_str());
    }
    Ok(faults.is_empty())
}

/// An operator class and the members of its family.
struct Class {
    name: String,
    family: String,
    type_id: Oid,
    type_name: String,
    has_storage: bool,
    operators: Vec<Operator>,
    functions: Vec<Function>,
}

struct Operator {
    strategy: i16,
    signature: String,
    /// The name of the operator's function.
    function: String,
    orders: bool,
    is_of_type: bool,
}

struct Function {
    number: i16,
    name: String,
    signature: String,
    is_of_type: bool,
    arguments: Vec<Oid>,
    result: Oid,
}

impl Class {
    fn faults(&self, method: Method) -> Vec<String> {
        let mut faults = Vec::new();
        if !is_indexable(self.type_id) {
            faults.push(format!(
                "operator class \"{}\" of access method {method} is for type {}, which cannot be indexed",
                self.name, self.type_name
            ));
        }
        if self.has_storage {
            faults.push(format!("operator class \"{}\" of access method {method} has a storage type", self.name));
        }
        let family = format!("operator family \"{}\" of access method {method}", self.family);
        for function in &self.functions {
            faults.extend(self.function_fault(function).map(|fault| format!("{family} contains function {fault}")));
        }
        for operator in &self.operators {
            faults.extend(self.operator_fault(operator).map(|fault| format!("{family} contains operator {fault}")));
        }
        let class = format!("operator class \"{}\" of access method {method}", self.name);
        if !self.operators.iter().any(|operator| operator.strategy == 1 && operator.is_of_type) {
            faults.push(format!("{class} is missing operator 1"));
        }
        if self.function(DISTANCE).is_none() {
            faults.push(format!("{class} is missing support function {DISTANCE}"));
        }
        faults
    }

    fn function(&self, number: u16) -> Option<&Function> {
        self.functions.iter().find(|function| function.number == number as i16 && function.is_of_type)
    }

    fn metric(&self) -> Option<Metric> {
        metric_of(&self.function(DISTANCE)?.name, self.function(NORM).is_some())
    }

    fn function_fault(&self, function: &Function) -> Option<String> {
        let Function { number, signature, .. } = function;
        let (arguments, result) = match *number as u16 {
            DISTANCE => (vec![self.type_id; 2], pg_sys::FLOAT8OID),
            NORM => (vec![self.type_id], pg_sys::FLOAT8OID),
            WIDE => (vec![pg_sys::INTERNALOID], pg_sys::INTERNALOID),
            _ => return Some(format!("{signature} with invalid support number {number}")),
        };
        if !function.is_of_type {
            return Some(format!("{signature} for another type than {}", self.type_name));
        }
        if function.arguments != arguments || function.result != result {
            return Some(format!("{signature} with wrong signature for support number {number}"));
        }
        if *number as u16 == DISTANCE && self.metric().is_none() {
            return Some(format!("{signature}, which is no distance of the access method"));
        }
        None
    }

    fn operator_fault(&self, operator: &Operator) -> Option<String> {
        let Operator { strategy, signature, .. } = operator;
        if *strategy != 1 {
            return Some(format!("{signature} with invalid strategy number {strategy}"));
        }
        if !operator.orders {
            return Some(format!("{signature} with invalid ORDER BY specification"));
        }
        if !operator.is_of_type {
            return Some(format!("{signature} for another type than {}", self.type_name));
        }
        let orders_by = match self.metric()? {
            Metric::L2 => "l2_distance",
            Metric::InnerProduct => "negative_inner_product",
            Metric::Cosine => "cosine_distance",
            Metric::L1 => "l1_distance",
            Metric::Hamming => "hamming_distance",
            Metric::Jaccard => "jaccard_distance",
        };
        let fits = operator.function.ends_with(orders_by);
        (!fits).then(|| format!("{signature}, whose distance is not that of support function {DISTANCE}"))
    }
}

const CLASS: &str = "
SELECT c.opcname::pg_catalog.text, f.opfname::pg_catalog.text, c.opcintype,
       pg_catalog.format_type(c.opcintype, NULL), c.opckeytype OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_opfamily f ON f.oid OPERATOR(pg_catalog.=) c.opcfamily
WHERE c.oid OPERATOR(pg_catalog.=) $1";

const OPERATORS: &str = "
SELECT a.amopstrategy, a.amopopr::pg_catalog.regoperator::pg_catalog.text, p.proname::pg_catalog.text,
       a.amoppurpose OPERATOR(pg_catalog.=) 'o' AND o.oprresult OPERATOR(pg_catalog.=) 'pg_catalog.float8'::pg_catalog.regtype
           AND EXISTS (SELECT FROM pg_catalog.pg_opfamily s JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) s.opfmethod
               WHERE s.oid OPERATOR(pg_catalog.=) a.amopsortfamily AND m.amname OPERATOR(pg_catalog.=) 'btree'
                   AND s.opfname OPERATOR(pg_catalog.=) 'float_ops'
                   AND s.opfnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace),
       a.amoplefttype OPERATOR(pg_catalog.=) c.opcintype AND a.amoprighttype OPERATOR(pg_catalog.=) c.opcintype
FROM pg_catalog.pg_opclass c
JOIN pg_catalog.pg_amop a ON a.amopfamily OPERATOR(pg_catalog.=) c.opcfamily
JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) a.amopopr
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.oprcode::pg_catalog.oid
WHERE c.oid OPERATOR(pg_catalog.=) $1 ORDER BY a.amopstrategy, 2";

const FUNCTIONS: &str = "
SELECT a.amprocnum, p.proname::pg_catalog.text, p.oid::pg_catalog.regprocedure::pg_catalog.text,
       a.amproclefttype OPERATOR(pg_catalog.=) c.opcintype AND a.amprocrighttype OPERATOR(pg_catalog.=) c.opcintype,
       p.proargtypes::pg_catalog.oid[], p.prorettype
FROM pg_catalog.pg_opclass c
JOIN pg_catalog.pg_amproc a ON a.amprocfamily OPERATOR(pg_catalog.=) c.opcfamily
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) a.amproc::pg_catalog.oid
WHERE c.oid OPERATOR(pg_catalog.=) $1 ORDER BY a.amprocnum, 3";

fn read(class: Oid) -> Result<Class, Error> {
    let one = |row: SpiHeapTupleData<'_>| {
        Ok(Class {
            name: row.get(1)?.unwrap_or_default(),
            family: row.get(2)?.unwrap_or_default(),
            type_id: row.get(3)?.unwrap_or(Oid::INVALID),
            type_name: row.get(4)?.unwrap_or_default(),
            has_storage: row.get(5)?.unwrap_or_default(),
            operators: Vec::new(),
            functions: Vec::new(),
        })
    };
    let operator = |row: SpiHeapTupleData<'_>| {
        Ok(Operator {
            strategy: row.get(1)?.unwrap_or_default(),
            signature: row.get(2)?.unwrap_or_default(),
            function: row.get(3)?.unwrap_or_default(),
            orders: row.get(4)?.unwrap_or_default(),
            is_of_type: row.get(5)?.unwrap_or_default(),
        })
    };
    let function = |row: SpiHeapTupleData<'_>| {
        Ok(Function {
            number: row.get(1)?.unwrap_or_default(),
            name: row.get(2)?.unwrap_or_default(),
            signature: row.get(3)?.unwrap_or_default(),
            is_of_type: row.get(4)?.unwrap_or_default(),
            arguments: row.get(5)?.unwrap_or_default(),
            result: row.get(6)?.unwrap_or(Oid::INVALID),
        })
    };
    let mut classes = rows(CLASS, class, one)?;
    let Some(found) = classes.pop() else { return Err(Error::Query(format!("no operator class {class}"))) };
    Ok(Class { operators: rows(OPERATORS, class, operator)?, functions: rows(FUNCTIONS, class, function)?, ..found })
}

fn rows<T>(
    query: &str,
    class: Oid,
    make: impl Fn(SpiHeapTupleData<'_>) -> Result<T, SpiError>,
) -> Result<Vec<T>, Error> {
    Spi::connect(|client| client.select(query, None, &[class.into()])?.map(make).collect::<Result<Vec<_>, _>>())
        .map_err(|error: SpiError| Error::Query(error.to_string()))
}

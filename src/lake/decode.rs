//! Record batches to datums, a column at a time. What a datum points to stays valid until the next batch.

use lagoon_lake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use lagoon_lake::arrow::datatypes::Int32Type;
use lagoon_lake::types::ColumnType;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::attribute::Attribute;
use super::types::{self, Output, check_text, no_memory, to_server};

/// One column of the current batch as PostgreSQL wants it.
pub(super) struct Decoder {
    attribute: Attribute,
    /// From 0.
    pub slot_index: usize,
    /// The column of the batches that has the digits of a numeric, row by row.
    digits: Option<usize>,
    /// As long as the batch.
    pub values: Vec<pg_sys::Datum>,
    /// Empty if there are no NULLs.
    pub nulls: Vec<bool>,
    /// Where values of variable length stand; words, so that they are aligned.
    storage: Vec<u64>,
    /// Keeps what fixed-length values point into.
    array: Option<ArrayRef>,
    input: Option<Input>,
    to_server: bool,
}

/// The input function of a type that is made from text.
struct Input {
    function: pg_sys::FmgrInfo,
    parameter: pg_sys::Oid,
    typmod: i32,
}

impl Decoder {
    /// A decoder for a column, chosen once a scan.
    pub(super) fn new(attribute: Attribute) -> Self {
        let input = attribute.from_text.then(|| {
            // SAFETY: catalog lookups. The FmgrInfo lives in the decoder, what it caches in the current context, which is
            // that of the query.
            unsafe {
                let (mut function, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
                pg_sys::getTypeInputInfo(attribute.type_oid, &mut function, &mut parameter);
                let mut info = pg_sys::FmgrInfo::default();
                pg_sys::fmgr_info(function, &mut info);
                Input { function: info, parameter, typmod: attribute.typmod }
            }
        });
        // SAFETY: reads a variable of this process.
        let to_server = unsafe { pg_sys::GetDatabaseEncoding() } != pg_sys::pg_enc::PG_UTF8 as i32;
        let slot_index = usize::try_from(attribute.number - 1).unwrap_or(0);
        Self {
            attribute,
            slot_index,
            digits: None,
            values: Vec::new(),
            nulls: Vec::new(),
            storage: Vec::new(),
            array: None,
            input,
            to_server,
        }
    }

    /// The same, of numerics whose digits behind the point are in another column of the batches.
    pub(super) fn with_digits(self, digits: Option<usize>) -> Self {
        Self { digits, ..self }
    }

    /// Decodes column `index` of a batch. Allocations that PostgreSQL makes are in the current memory context, which is to
    /// live as long as the batch.
    pub(super) fn decode(&mut self, batch: &RecordBatch, index: usize) -> Result<()> {
        let array = batch
            .columns()
            .get(index)
            .cloned()
            .ok_or_else(|| Error::Internal { message: format!("no column {index} in the batch") })?;
        let expected = self.attribute.column.ty.arrow();
        if array.data_type() != &expected && !matches!(self.attribute.column.ty, ColumnType::Array(_)) {
            let message = format!("the engine gave {} for {expected}", array.data_type());
            return Err(Error::Internal { message });
        }
        self.nulls.clear();
        if let Some(nulls) = array.nulls() {
            self.nulls.extend(nulls.iter().map(|valid| !valid));
        }
        self.values.clear();
        if self.input.is_some() {
            self.parse_text(array.as_string_view())?;
        } else {
            let column = &self.attribute.column;
            let digits = self.digits.map(|index| integers(batch, index)).transpose()?;
            self.values.try_reserve(array.len()).map_err(|_| no_memory(&column.name))?;
            let mut out = Output {
                values: &mut self.values,
                nulls: &self.nulls,
                storage: &mut self.storage,
                name: &column.name,
                digits,
                to_server: self.to_server,
            };
            types::decode(self.attribute.type_oid, &column.ty, &array, &mut out)?;
        }
        self.array = Some(array);
        Ok(())
    }

    /// Values of a type that its input function makes from text.
    fn parse_text(&mut self, array: &StringViewArray) -> Result<()> {
        let name = &self.attribute.column.name;
        let Some(input) = &mut self.input else { return Ok(()) };
        for i in 0..array.len() {
            if array.is_null(i) {
                self.values.push(pg_sys::Datum::null());
                continue;
            }
            let text = array.value(i);
            check_text(text, name)?;
            let text = if self.to_server { to_server(text) } else { text.as_bytes() };
            // SAFETY: the function was looked up for this type; it gets a copy that ends with the zero byte it looks for.
            let datum = unsafe {
                let text = pg_sys::pnstrdup(text.as_ptr().cast(), text.len());
                pg_sys::InputFunctionCall(&mut input.function, text, input.parameter, input.typmod)
            };
            self.values.push(datum);
        }
        Ok(())
    }
}

/// The values of a column of integers.
fn integers(batch: &RecordBatch, index: usize) -> Result<&[i32]> {
    let column = batch.columns().get(index).and_then(|column| column.as_primitive_opt::<Int32Type>());
    let column = column.ok_or_else(|| Error::Internal { message: format!("no digits in column {index}") })?;
    Ok(column.values())
}

//! Rows of values to a shipment, within bounds: what does not fit says so before it takes memory.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::table::{Held, Output, Shipment};
use super::unsupported;
use crate::error::{Error, Result};
use crate::types::{ColumnType, Packer, Value};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes that a value takes beside those of its text.
const VALUE_BYTES: u64 = 16;

/// A shipment in the making.
pub struct Packing {
    columns: Vec<Output>,
    schema: SchemaRef,
    /// Of all columns, with their types.
    packers: Vec<(Box<dyn Packer>, ColumnType)>,
    batches: Vec<RecordBatch>,
    /// Rows of the batch in the making.
    rows: usize,
    /// Bytes so far, about, and at most.
    bytes: u64,
    limit: u64,
    held: Held,
}

/// Why rows cannot be sent: the reason is a part of a sentence. The tables have to be joined elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packing({} bytes)", self.bytes)
    }
}

impl Packing {
    /// Of rows with these columns, which may take so many bytes together. Columns of digits stand in the order of those that
    /// they are of.
    pub fn new(columns: &[Output], limit: u64) -> Result<Self> {
        let types = Shipment::physical(columns);
        let packer = |ty: &ColumnType| {
            let packer = ty.packer().ok_or_else(|| unsupported(format!("sending a column of type {ty}")))?;
            Ok((packer, ty.clone()))
        };
        let packers = types.iter().map(packer).collect::<Result<_>>()?;
        // The names are the plan's.
        let fields = types.iter().zip(0..).map(|(ty, at)| Field::new(format!("{at}"), ty.arrow(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = columns.to_vec();
        let held = Held::default();
        Ok(Self { columns, schema, packers, batches: Vec::new(), rows: 0, bytes: 0, limit, held })
    }

    /// Appends a row, which has a value for every column. After one that does not fit there is no use for the packing.
    pub fn push(&mut self, row: &[Value]) -> Result<std::result::Result<(), Unfit>> {
        if row.len() != self.columns.len() {
            return Err(Error::internal("a row with another number of columns"));
        }
        let bytes = row.iter().map(|value| VALUE_BYTES + value.bytes().map_or(0, <[u8]>::len) as u64).sum();
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limit {
            return Ok(Err(Unfit(format!("its rows take more than {} MB", self.limit >> 20))));
        }
        self.held.grow(self.bytes)?;
        let digits = self.columns.iter().zip(row).filter(|(column, _)| column.digits.is_some());
        let digits: Vec<_> = digits.map(|(_, value)| digits_of(value)).collect();
        for ((packer, ty), value) in self.packers.iter_mut().zip(row.iter().chain(&digits)) {
            if !packer.push(value) {
                return Ok(Err(Unfit(format!("it has a value that the engine's {ty} has not"))));
            }
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS {
            self.close_batch()?;
        }
        Ok(Ok(()))
    }

    /// What was appended.
    pub fn finish(mut self) -> Result<Shipment> {
        if self.rows > 0 {
            self.close_batch()?;
        }
        Ok(Shipment { columns: self.columns, batches: self.batches, _held: Arc::new(self.held) })
    }

    fn close_batch(&mut self) -> Result<()> {
        let arrays = self.packers.iter_mut().map(|(packer, _)| packer.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        self.batches.push(batch.map_err(Error::internal)?);
        Ok(())
    }
}

/// The digits that PostgreSQL shows of a numeric behind the point.
fn digits_of(value: &Value) -> Value {
    match value {
        Value::Numeric(text) => {
            let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            Value::Int(i64::try_from(digits).unwrap_or(i64::MAX))
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Decimal128Type, Int64Type};

    use super::*;

    fn packed(ty: ColumnType, value: Value) -> std::result::Result<(), Unfit> {
        Packing::new(&[ty.into()], 1 << 20).unwrap().push(&[value]).unwrap()
    }

    #[test]
    fn a_shipment_has_the_rows_that_were_sent() {
        let mut packing = Packing::new(&[ColumnType::Int8.into(), ColumnType::numeric(10, 2).into()], 1 << 30).unwrap();
        let count = BATCH_ROWS as i64 + 1;
        for i in 0..count {
            packing.push(&[Value::Int(i), Value::Numeric(format!("-{i}.50"))]).unwrap().unwrap();
        }
        packing.push(&[Value::Null, Value::Null]).unwrap().unwrap();
        let shipment = packing.finish().unwrap();
        assert_eq!(shipment.rows(), BATCH_ROWS + 2);
        let last = shipment.batches.last().unwrap();
        assert_eq!(last.column(0).as_primitive::<Int64Type>().value(0), count - 1);
        assert_eq!(last.column(1).as_primitive::<Decimal128Type>().value(0), -100 * i128::from(count - 1) - 50);
        assert!(last.column(0).is_null(1) && last.column(1).is_null(1));
    }

    #[test]
    fn values_that_the_engine_has_not_are_refused() {
        let refused = |ty: ColumnType, value: Value| assert!(packed(ty, value).is_err());
        refused(ColumnType::Date, Value::Int(i64::from(i32::MAX)));
        refused(ColumnType::Date, Value::Int(i64::from(i32::MIN)));
        refused(ColumnType::Timestamp, Value::Above);
        refused(ColumnType::Timestamptz, Value::Below);
        refused(ColumnType::numeric(10, 2), Value::Numeric("NaN".to_owned()));
        refused(ColumnType::numeric(10, 2), Value::Numeric("Infinity".to_owned()));
        refused(ColumnType::numeric(10, 2), Value::Numeric("1.001".to_owned()));
        refused(ColumnType::Int2, Value::Int(40_000));
        refused(ColumnType::Uuid, Value::Bytes(vec![0; 15]));
    }

    #[test]
    fn values_of_every_type_come_as_arrow_has_them() {
        let values = [
            (ColumnType::Bool, Value::Bool(true), "true"),
            (ColumnType::Int2, Value::Int(-2), "-2"),
            (ColumnType::Int4, Value::Int(4), "4"),
            (ColumnType::Float4, Value::float(f64::from(0.1f32)), "0.1"),
            (ColumnType::Float8, Value::float(-0.0), "-0.0"),
            (ColumnType::numeric(3, 3), Value::Numeric("0.125".to_owned()), "0.125"),
            (
                ColumnType::Text,
                Value::Text("a text of more than twelve bytes".to_owned()),
                "a text of more than twelve bytes",
            ),
            (ColumnType::Bytea, Value::Bytes(vec![0, 255]), "00ff"),
            (ColumnType::Uuid, Value::Bytes(vec![7; 16]), "07070707070707070707070707070707"),
            (ColumnType::Date, Value::Int(-1), "1969-12-31"),
            (ColumnType::Time, Value::Int(1), "00:00:00.000001"),
            (ColumnType::Timestamp, Value::Int(0), "1970-01-01T00:00:00"),
            (ColumnType::Timestamptz, Value::Int(0), "1970-01-01T00:00:00Z"),
        ];
        for (ty, value, shown) in values {
            let mut packing = Packing::new(&[ty.clone().into()], 1 << 20).unwrap();
            packing.push(&[value]).unwrap().unwrap();
            packing.push(&[Value::Null]).unwrap().unwrap();
            let shipment = packing.finish().unwrap();
            let column = shipment.batches[0].column(0);
            assert_eq!(arrow::util::display::array_value_to_string(column, 0).unwrap(), shown, "{ty}");
            assert!(column.is_null(1), "{ty}");
        }
    }

    #[test]
    fn more_bytes_than_agreed_are_refused_before_they_are_taken() {
        let mut packing = Packing::new(&[ColumnType::Text.into()], 1 << 20).unwrap();
        packing.push(&[Value::Text("x".repeat(1 << 19))]).unwrap().unwrap();
        let Unfit(reason) = packing.push(&[Value::Text("x".repeat(1 << 19))]).unwrap().unwrap_err();
        assert_eq!(reason, "its rows take more than 1 MB");
    }

    #[test]
    fn arrays_are_not_sent() {
        assert!(Packing::new(&[ColumnType::array(ColumnType::Int4).into()], 1 << 20).is_err());
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let mut packing = Packing::new(&[], 1 << 20).unwrap();
        packing.push(&[]).unwrap().unwrap();
        packing.push(&[]).unwrap().unwrap();
        assert_eq!(packing.finish().unwrap().rows(), 2);
    }

    #[test]
    fn digits_that_differ_go_along() {
        let column = Output { ty: ColumnType::numeric(28, 10), digits: Some(2) };
        let mut packing = Packing::new(&[ColumnType::Int4.into(), column], 1 << 20).unwrap();
        for (id, text) in [(1, "7"), (2, "7.00"), (3, "0.125")] {
            packing.push(&[Value::Int(id), Value::Numeric(text.to_owned())]).unwrap().unwrap();
        }
        packing.push(&[Value::Null, Value::Null]).unwrap().unwrap();
        let shipment = packing.finish().unwrap();
        let digits = shipment.batches[0].column(2).as_primitive::<arrow::datatypes::Int32Type>();
        assert_eq!(digits.iter().collect::<Vec<_>>(), [Some(0), Some(2), Some(3), None]);
    }
}

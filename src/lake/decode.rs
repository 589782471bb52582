//! Record batches to datums, a column at a time. What a datum points to stays valid until the next batch.

use lagoon_lake::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, RecordBatch, StringViewArray,
};
use lagoon_lake::arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use lagoon_lake::schema::ColumnType;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::attribute::Attribute;
use super::numeric;
use super::value::{EPOCH_DAYS, EPOCH_MICROS};

/// MIN_TIMESTAMP and END_TIMESTAMP of datatype/timestamp.h, in microseconds since 2000-01-01.
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// Julian day 0 and DATE_END_JULIAN of the same file, in days since 2000-01-01.
const DATES: std::ops::Range<i32> = -2_451_545..2_145_031_949;
/// MaxAllocSize: the largest value of variable length.
const LARGEST_VALUE: usize = 0x3fff_ffff;
const LENGTH_WORD: usize = size_of::<u32>();
/// Words of storage that are kept from one batch to the next.
const KEPT_WORDS: usize = 1 << 18;

/// One column of the current batch as PostgreSQL wants it.
pub(super) struct Decoder {
    attribute: Attribute,
    /// From 0.
    pub slot_index: usize,
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
            values: Vec::new(),
            nulls: Vec::new(),
            storage: Vec::new(),
            array: None,
            input,
            to_server,
        }
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
        let ty = self.attribute.column.ty.clone();
        if self.input.is_some() {
            self.parse_text(array.as_string_view())?;
        } else if let ColumnType::Array(item) = &ty {
            self.arrays(&array, item)?;
        } else {
            self.scalars(&array, &ty)?;
        }
        self.array = Some(array);
        Ok(())
    }

    fn scalars(&mut self, array: &ArrayRef, ty: &ColumnType) -> Result<()> {
        let values = &mut self.values;
        let name = &self.attribute.column.name;
        values.try_reserve(array.len()).map_err(|_| no_memory(name))?;
        match ty {
            ColumnType::Bool => {
                let array: &BooleanArray = array.as_boolean();
                values.extend(array.values().iter().map(pg_sys::Datum::from));
            }
            ColumnType::Int2 => fixed::<Int16Type>(array, values, pg_sys::Datum::from),
            ColumnType::Int4 => fixed::<Int32Type>(array, values, pg_sys::Datum::from),
            ColumnType::Int8 => fixed::<Int64Type>(array, values, pg_sys::Datum::from),
            ColumnType::Time => fixed::<Time64MicrosecondType>(array, values, pg_sys::Datum::from),
            ColumnType::Float4 => fixed::<Float32Type>(array, values, |value| pg_sys::Datum::from(value.to_bits())),
            ColumnType::Float8 => fixed::<Float64Type>(array, values, |value| pg_sys::Datum::from(value.to_bits())),
            ColumnType::Date => {
                let nulls = &self.nulls;
                let mut ok = true;
                fixed::<Date32Type>(array, values, |days| pg_sys::Datum::from(days.wrapping_sub(EPOCH_DAYS)));
                for (i, datum) in values.iter().enumerate() {
                    ok &= DATES.contains(&(datum.value() as i32)) || nulls.get(i).copied().unwrap_or(false);
                }
                in_range(ok, name, "date")?;
            }
            ColumnType::Timestamp | ColumnType::Timestamptz => {
                let nulls = &self.nulls;
                let mut ok = true;
                fixed::<TimestampMicrosecondType>(array, values, |micros| {
                    pg_sys::Datum::from(micros.checked_sub(EPOCH_MICROS).unwrap_or(i64::MIN))
                });
                for (i, datum) in values.iter().enumerate() {
                    ok &= TIMESTAMPS.contains(&(datum.value() as i64)) || nulls.get(i).copied().unwrap_or(false);
                }
                in_range(ok, name, "timestamp")?;
            }
            ColumnType::Uuid => {
                let array: &FixedSizeBinaryArray = array.as_fixed_size_binary();
                values.extend((0..array.len()).map(|i| pg_sys::Datum::from(array.value(i).as_ptr())));
            }
            ColumnType::Numeric(_, scale) => {
                let array = array.as_primitive::<Decimal128Type>();
                let mut encoded = [0u8; numeric::LARGEST];
                let mut offsets = Offsets::new(&mut self.storage);
                for i in 0..array.len() {
                    let length =
                        numeric::encode(if array.is_null(i) { 0 } else { array.value(i) }, *scale, &mut encoded);
                    offsets.push(values, &encoded[..length], name)?;
                }
                offsets.finish(values);
            }
            ColumnType::Text => {
                let array: &StringViewArray = array.as_string_view();
                let mut offsets = Offsets::new(&mut self.storage);
                for i in 0..array.len() {
                    let text = if array.is_null(i) { "" } else { array.value(i) };
                    check_text(text, name)?;
                    let bytes = if self.to_server { to_server(text) } else { text.as_bytes() };
                    offsets.push(values, bytes, name)?;
                }
                offsets.finish(values);
            }
            ColumnType::Bytea => {
                let array: &BinaryViewArray = array.as_binary_view();
                let mut offsets = Offsets::new(&mut self.storage);
                for i in 0..array.len() {
                    let bytes = if array.is_null(i) { &[][..] } else { array.value(i) };
                    if bytes.len() > LARGEST_VALUE - LENGTH_WORD {
                        return Err(Error::TooLarge { column: name.clone() });
                    }
                    offsets.push(values, bytes, name)?;
                }
                offsets.finish(values);
            }
            ColumnType::Array(_) => return Err(Error::Internal { message: "an array within an array".to_owned() }),
        }
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

    /// One-dimensional arrays, made by construct_md_array in the current memory context.
    fn arrays(&mut self, array: &ArrayRef, item: &ColumnType) -> Result<()> {
        let lists = array.as_list::<i32>();
        let element = element_type(self.attribute.type_oid);
        let mut inner = Decoder::new(Attribute {
            number: 1,
            type_oid: element.oid,
            typmod: self.attribute.typmod,
            from_text: false,
            column: lagoon_lake::source::table::TableColumn {
                name: self.attribute.column.name.clone(),
                ty: item.clone(),
                trust: Default::default(),
            },
        });
        for i in 0..lists.len() {
            if lists.is_null(i) {
                self.values.push(pg_sys::Datum::null());
                continue;
            }
            let items = lists.value(i);
            inner.nulls.clear();
            inner.nulls.try_reserve(items.len()).map_err(|_| no_memory(&self.attribute.column.name))?;
            inner.nulls.extend((0..items.len()).map(|i| items.is_null(i)));
            inner.values.clear();
            inner.scalars(&items, item)?;
            let too_large = || Error::TooLarge { column: self.attribute.column.name.clone() };
            let mut count = i32::try_from(items.len()).map_err(|_| too_large())?;
            let mut lower = 1;
            // SAFETY: values and nulls have `count` entries; the array copies what they point to.
            let made = unsafe {
                if count == 0 {
                    pg_sys::construct_empty_array(element.oid)
                } else {
                    pg_sys::construct_md_array(
                        inner.values.as_mut_ptr(),
                        inner.nulls.as_mut_ptr(),
                        1,
                        &mut count,
                        &mut lower,
                        element.oid,
                        i32::from(element.length),
                        element.by_value,
                        element.align,
                    )
                }
            };
            self.values.push(pg_sys::Datum::from(made));
        }
        Ok(())
    }
}

struct ElementType {
    oid: pg_sys::Oid,
    length: i16,
    by_value: bool,
    align: std::ffi::c_char,
}

fn element_type(array: pg_sys::Oid) -> ElementType {
    // SAFETY: catalog lookups with places for the results.
    unsafe {
        let oid = pg_sys::get_element_type(array);
        let (mut length, mut by_value, mut align) = (0, false, 0);
        pg_sys::get_typlenbyvalalign(oid, &mut length, &mut by_value, &mut align);
        ElementType { oid, length, by_value, align }
    }
}

const ZERO_BYTE: &str = "it holds a zero byte";

fn check_text(text: &str, column: &str) -> Result<()> {
    if text.len() > LARGEST_VALUE - LENGTH_WORD {
        return Err(Error::TooLarge { column: column.to_owned() });
    }
    if text.as_bytes().contains(&0) {
        return Err(Error::BadText { column: column.to_owned(), message: ZERO_BYTE });
    }
    Ok(())
}

fn no_memory(column: &str) -> Error {
    Error::Memory { message: format!("values of column \"{column}\"") }
}

/// The text in the encoding of the database, in the current memory context unless it is the same; an ERROR if that lacks one
/// of its characters.
fn to_server(text: &str) -> &[u8] {
    let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
    // SAFETY: the length is the string's; the result is either the argument or a new NUL-terminated string.
    unsafe {
        let given = text.as_ptr().cast::<std::ffi::c_char>();
        let converted = pg_sys::pg_any_to_server(given, length, pg_sys::pg_enc::PG_UTF8 as i32);
        if std::ptr::eq(converted, given) {
            return text.as_bytes();
        }
        std::ffi::CStr::from_ptr(converted).to_bytes()
    }
}

fn fixed<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    values: &mut Vec<pg_sys::Datum>,
    datum: impl Fn(T::Native) -> pg_sys::Datum,
) {
    values.extend(array.as_primitive::<T>().values().iter().map(|value| datum(*value)));
}

fn in_range(ok: bool, column: &str, ty: &'static str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::OutOfRange { column: column.to_owned(), ty }) }
}

/// Values of variable length, one behind the other in a buffer that may move while it grows: first the datums are offsets,
/// at the end they become pointers.
struct Offsets<'a> {
    storage: &'a mut Vec<u64>,
}

impl<'a> Offsets<'a> {
    fn new(storage: &'a mut Vec<u64>) -> Self {
        storage.clear();
        storage.shrink_to(KEPT_WORDS);
        Self { storage }
    }

    fn push(&mut self, values: &mut Vec<pg_sys::Datum>, bytes: &[u8], column: &str) -> Result<()> {
        let start = self.storage.len();
        let length = LENGTH_WORD + bytes.len();
        let words = length.div_ceil(size_of::<u64>());
        self.storage.try_reserve(words).map_err(|_| no_memory(column))?;
        self.storage.resize(start + words, 0);
        // SAFETY: the words just added have room for the length word and the bytes.
        unsafe {
            let target = self.storage.as_mut_ptr().add(start).cast::<u8>();
            pgrx::set_varsize_4b(target.cast(), length as i32);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target.add(LENGTH_WORD), bytes.len());
        }
        values.push(pg_sys::Datum::from(start));
        Ok(())
    }

    fn finish(self, values: &mut [pg_sys::Datum]) {
        let base = self.storage.as_ptr();
        for datum in values {
            // SAFETY: every datum is an index into the storage.
            *datum = pg_sys::Datum::from(unsafe { base.add(datum.value()) });
        }
    }
}

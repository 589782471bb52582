//! Arrays: one dimension of a scalar type. What their elements are is asked through [`ColumnType`] again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::column::{ColumnType, Declared, List};
use super::family::{About, Compared, Family, Lookup};
use super::pack::Packer;

pub(super) const LOOKUP: Lookup = Lookup {
    of_arrow: |stored, is_uuid| {
        let item = items(stored)?;
        Some(match ColumnType::of_arrow(item.data_type(), is_uuid) {
            Ok(ColumnType::Array(_)) | Err(_) => Err(stored.to_string()),
            Ok(item) => Ok(ColumnType::array(item)),
        })
    },
    ..Lookup::NOTHING
};

/// The elements of a list in Arrow.
pub(super) fn items(list: &DataType) -> Option<&Arc<Field>> {
    match list {
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => Some(item),
        _ => None,
    }
}

/// Another kind of list, with elements that `items` makes of an array of them.
pub(super) fn convert(
    array: &ArrayRef,
    to: &DataType,
    items: impl FnOnce(&ArrayRef, &DataType) -> Result<ArrayRef, ArrowError>,
) -> Result<ArrayRef, ArrowError> {
    let (Some(own), DataType::List(item)) = (self::items(array.data_type()), to) else {
        return Err(ArrowError::CastError(format!("from {} to {to}", array.data_type())));
    };
    // Another kind of list first, with its elements as they are.
    let lists = cast(array, &DataType::List(own.clone()))?;
    let lists = lists.as_list::<i32>();
    let items = items(lists.values(), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(item.clone(), lists.offsets().clone(), items, lists.nulls().cloned())?))
}

impl Family for List {
    fn about(&self) -> About {
        let item = self.0.family().about();
        let arrow = DataType::List(Arc::new(Field::new_list_field(item.arrow, true)));
        About { kind: None, arrow, ..item }
    }

    fn modifier(&self) -> String {
        self.0.family().modifier() + "[]"
    }

    fn widened(&self, declared: &Declared) -> Option<ColumnType> {
        let Declared::Exactly(ColumnType::Array(wanted)) = declared else { return None };
        self.0.read_as(&Declared::Exactly((*wanted.0).clone())).map(ColumnType::array)
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        None
    }

    fn compared(&self) -> Option<Compared> {
        None
    }
}

//! BEFORE ROW triggers: columns to the guest, its changes back into the tuple.

use std::rc::Rc;

use lagoon_wasm::{Column, Error, Operation, RowAnswer, RowVersion, Type, Value};
use pgrx::pg_sys::{self, Datum};

use crate::pg::compat;
use crate::wasm::call_site::CallSite;
use crate::wasm::convert::{fit, to_datum, to_value};
use crate::wasm::declaration::{kind_of, type_name};
use crate::wasm::session;

/// The columns of a table that are passed to the guest. Made at the first row of a statement.
pub struct Plan {
    relation: pg_sys::Oid,
    kinds: Vec<Option<Type>>,
    sources: Vec<Source>,
    /// The last columns that are needed, up to which tuples are deformed.
    last_new: i32,
    last_old: i32,
}

struct Source {
    version: RowVersion,
    /// The column's attnum, from 1.
    number: i32,
    typmod: i32,
    /// Whether the column is generated. PostgreSQL computes it after the trigger: the new row of an UPDATE has the old
    /// row's value, and a change of it is ignored.
    is_generated: bool,
}

/// A row as PostgreSQL passes it to a trigger.
struct Row<'a> {
    data: &'a pg_sys::TriggerData,
    operation: Operation,
    /// NEW of INSERT and UPDATE, OLD of DELETE.
    slot: *mut pg_sys::TupleTableSlot,
    /// OLD of UPDATE.
    old: Option<*mut pg_sys::TupleTableSlot>,
    tuple: pg_sys::HeapTuple,
}

/// Runs the trigger for a row. Returns the tuple that replaces it, or null to skip the row.
///
/// # Safety
/// `data` must be what PostgreSQL gave to the handler.
pub unsafe fn fire(site: &mut CallSite<Plan>, data: &pg_sys::TriggerData) -> Result<Datum, Error> {
    let row = Row::of(data)?;
    let (version, held, export) = {
        let bound = site.bind()?;
        (bound.seen.version.clone(), bound.slot.clone(), bound.export)
    };
    // SAFETY: the relation is open while its trigger runs.
    let relation = unsafe { (*data.tg_relation).rd_id };
    let mut instance = held.enter()?;
    if site.prepared.as_ref().is_none_or(|plan| plan.relation != relation) {
        let columns = version.columns(&site.declaration.export, &mut instance)?;
        // SAFETY: as above.
        site.prepared = Some(unsafe { Plan::new(version.plugin.name(), columns, data.tg_relation)? });
    }
    let Some(plan) = &site.prepared else { return Err(Error::Internal("a trigger lost its plan".to_owned())) };
    // SAFETY: the slots are those of this row.
    let values = unsafe { plan.values(&row) };
    let answer = instance.row(&export, row.operation, &plan.kinds, &values);
    let tuple = match answer {
        Ok(RowAnswer::Unchanged) => Ok(row.tuple),
        Ok(RowAnswer::Skip) => Ok(std::ptr::null_mut()),
        Ok(RowAnswer::Modified) if row.operation == Operation::Delete => Ok(row.tuple),
        Ok(RowAnswer::Modified) => plan.modified(&row, &instance),
        Err(error) => Err(error),
    };
    if instance.has_log() {
        let lines = instance.take_log();
        drop(instance);
        session::show(lines);
    }
    tuple.map(Datum::from)
}

impl<'a> Row<'a> {
    fn of(data: &'a pg_sys::TriggerData) -> Result<Self, Error> {
        let event = data.tg_event;
        if event & pg_sys::TRIGGER_EVENT_ROW == 0 {
            return Err(Error::UnsupportedTrigger("FOR EACH ROW"));
        }
        if event & pg_sys::TRIGGER_EVENT_TIMINGMASK != pg_sys::TRIGGER_EVENT_BEFORE {
            return Err(Error::UnsupportedTrigger("BEFORE triggers"));
        }
        // SAFETY: the trigger that fires is always there.
        if unsafe { (*data.tg_trigger).tgnargs } > 0 {
            return Err(Error::UnsupportedTrigger("without arguments"));
        }
        let (operation, slot, old, tuple) = match event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => (Operation::Insert, data.tg_trigslot, None, data.tg_trigtuple),
            pg_sys::TRIGGER_EVENT_UPDATE => {
                (Operation::Update, data.tg_newslot, Some(data.tg_trigslot), data.tg_newtuple)
            }
            pg_sys::TRIGGER_EVENT_DELETE => (Operation::Delete, data.tg_trigslot, None, data.tg_trigtuple),
            _ => return Err(Error::UnsupportedTrigger("for INSERT, UPDATE or DELETE")),
        };
        Ok(Self { data, operation, slot, old, tuple })
    }

    fn slot_for(&self, version: RowVersion) -> Option<*mut pg_sys::TupleTableSlot> {
        match (version, self.operation) {
            (RowVersion::Row, _) | (RowVersion::Old, Operation::Delete) => Some(self.slot),
            (RowVersion::Old, Operation::Update) => self.old,
            (RowVersion::Old, Operation::Insert) => None,
        }
    }
}

impl Source {
    fn new(version: RowVersion, number: i32, attribute: &pg_sys::FormData_pg_attribute) -> Self {
        let typmod = if attribute.atttypid == pg_sys::VARCHAROID { attribute.atttypmod } else { -1 };
        Self { version, number, typmod, is_generated: attribute.attgenerated != 0 }
    }
}

impl Plan {
    /// # Safety
    /// `relation` must be open.
    unsafe fn new(plugin: &str, wanted: Option<Rc<[Column]>>, relation: pg_sys::Relation) -> Result<Self, Error> {
        // SAFETY: the caller's; an open relation has name and descriptor.
        let (oid, name, attributes) = unsafe {
            let attributes = compat::attributes((*relation).rd_att);
            ((*relation).rd_id, name_of(&(*(*relation).rd_rel).relname), attributes)
        };
        let mut plan = Self { relation: oid, kinds: Vec::new(), sources: Vec::new(), last_new: 0, last_old: 0 };
        match wanted {
            None => {
                for (attribute, number) in attributes.iter().zip(1..) {
                    let kind = if attribute.attisdropped { None } else { kind_of(attribute.atttypid) };
                    plan.add(kind, Source::new(RowVersion::Row, number, attribute));
                }
            }
            Some(columns) => {
                for column in columns.iter() {
                    let found =
                        attributes.iter().zip(1..).find(|(a, _)| !a.attisdropped && name_of(&a.attname) == column.name);
                    let Some((attribute, number)) = found else {
                        let (plugin, column) = (plugin.to_owned(), column.name.clone());
                        return Err(Error::ColumnMissing { plugin, relation: name, column });
                    };
                    if kind_of(attribute.atttypid) != Some(column.kind) {
                        return Err(Error::ColumnType {
                            plugin: plugin.to_owned(),
                            relation: name,
                            column: column.name.clone(),
                            found: type_name(attribute.atttypid),
                            wanted: column.kind.name(),
                        });
                    }
                    plan.add(Some(column.kind), Source::new(column.version, number, attribute));
                }
            }
        }
        Ok(plan)
    }

    fn add(&mut self, kind: Option<Type>, source: Source) {
        let last = if source.version == RowVersion::Row { &mut self.last_new } else { &mut self.last_old };
        if kind.is_some() {
            *last = source.number.max(*last);
        }
        self.kinds.push(kind);
        self.sources.push(source);
    }

    /// # Safety
    /// The slots of `row` must be filled.
    unsafe fn values<'v>(&self, row: &Row<'_>) -> Vec<Value<'v>> {
        let mut values = Vec::with_capacity(self.sources.len());
        for (version, last) in [(RowVersion::Row, self.last_new), (RowVersion::Old, self.last_old)] {
            if let Some(slot) = row.slot_for(version) {
                // SAFETY: the caller's; slot_getsomeattrs in executor/tuptable.h.
                unsafe {
                    if i32::from((*slot).tts_nvalid) < last {
                        pg_sys::slot_getsomeattrs_int(slot, last);
                    }
                }
            }
        }
        for (source, kind) in self.sources.iter().zip(&self.kinds) {
            let value = match (row.slot_for(source.version), kind) {
                _ if source.is_generated && source.version == RowVersion::Row && row.operation == Operation::Update => {
                    Value::Null
                }
                (Some(slot), Some(kind)) => {
                    let index = (source.number - 1) as usize;
                    // SAFETY: the column is one of the relation's, and was deformed above.
                    unsafe {
                        if *(*slot).tts_isnull.add(index) {
                            Value::Null
                        } else {
                            to_value(*(*slot).tts_values.add(index), *kind)
                        }
                    }
                }
                _ => Value::Null,
            };
            values.push(value);
        }
        values
    }

    /// A copy of the tuple with the columns that the guest has set.
    fn modified(&self, row: &Row<'_>, instance: &lagoon_wasm::Instance) -> Result<pg_sys::HeapTuple, Error> {
        let (mut numbers, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (source, kind)) in self.sources.iter().zip(&self.kinds).enumerate() {
            let Some(kind) = kind else { continue };
            let Some(value) = instance.changed(i, *kind)? else { continue };
            if source.version == RowVersion::Old {
                return Err(Error::AbiViolation("a trigger changed a column of OLD".to_owned()));
            }
            if source.is_generated {
                continue;
            }
            let datum = to_datum(&fit(value, source.typmod)?);
            numbers.push(source.number);
            values.push(datum.unwrap_or(Datum::null()));
            nulls.push(datum.is_none());
        }
        if numbers.is_empty() {
            return Ok(row.tuple);
        }
        // SAFETY: the tuple belongs to the relation; the three arrays have one entry a column.
        Ok(unsafe {
            pg_sys::heap_modify_tuple_by_cols(
                row.tuple,
                (*row.data.tg_relation).rd_att,
                numbers.len() as i32,
                numbers.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            )
        })
    }
}

fn name_of(name: &pg_sys::NameData) -> String {
    let bytes: Vec<u8> = name.data.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

//! The last step of stage 1: what the operations of a parsed change are about.
//!
//! A memory is flat: objects hang on the root only, values are small, and there are no counters
//! and no marks. Whatever else a change contains is refused, so projections never meet depth.

use super::super::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use super::Refusal;
use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ObjType, ScalarValue};

/// Checks every operation of a change.
pub(super) fn check(operations: &[Op]) -> Result<(), Refusal> {
    operations.iter().try_for_each(check_one)
}

fn check_one(operation: &Op) -> Result<(), Refusal> {
    if let Key::Map(key) = &operation.key
        && (key.is_empty() || key.len() > KEY_BYTES_MAX)
    {
        return Err(Refusal::KeyLength { found: key.len() });
    }
    match &operation.action {
        OpType::Make(_) if operation.obj != ObjectId::Root => Err(Refusal::TooDeep),
        OpType::Make(ObjType::Map | ObjType::List | ObjType::Text) => Ok(()),
        OpType::Make(_) => Err(Refusal::UnsupportedOperation("table")),
        OpType::Delete if operation.pred.is_empty() => {
            Err(Refusal::UnsupportedOperation("deletion of nothing"))
        }
        OpType::Delete => Ok(()),
        OpType::Put(value) => check_value(value),
        OpType::Increment(_) => Err(Refusal::UnsupportedOperation("increment")),
        OpType::MarkBegin(_) | OpType::MarkEnd(_) => Err(Refusal::UnsupportedOperation("mark")),
    }
}

fn check_value(value: &ScalarValue) -> Result<(), Refusal> {
    let found = match value {
        ScalarValue::Bytes(bytes) => bytes.len(),
        ScalarValue::Str(text) => text.len(),
        ScalarValue::Counter(_) => return Err(Refusal::UnsupportedOperation("counter")),
        ScalarValue::Unknown { .. } => {
            return Err(Refusal::UnsupportedOperation("value of an unknown type"));
        }
        _ => 0,
    };
    if found > VALUE_BYTES_MAX {
        return Err(Refusal::ValueTooLong { found });
    }
    Ok(())
}

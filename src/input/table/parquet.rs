//! Parquet: rows of values, nested ones too.

use std::path::Path;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

use super::parquet_pages::rows_of;
use super::{RowPlace, TableRow};
use crate::guard;
use crate::input::InputError;

/// The rows of a whole file.
pub(super) fn rows(path: &Path, bytes: Vec<u8>) -> Result<Vec<TableRow>, InputError> {
    let mut rows = Vec::new();
    // The reader takes much of a file on trust; damage that it stumbles over is an error like any other.
    let outcome = guard::catch(|| read(&bytes.into(), &mut rows));
    let error = match outcome {
        Ok(Ok(())) => return Ok(rows),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic.message,
    };
    let what = match rows.len() {
        0 => format!("it cannot be read as Parquet: {error}"),
        read => format!("it cannot be read as Parquet behind row {read}: {error}"),
    };
    let hint = if error.contains("feature") {
        "write it with snappy, zstd or gzip, or with no compression"
    } else {
        "it is damaged or was cut off: fetch it, or write it, again"
    };
    Err(InputError::of_file(path, what).hint(hint))
}

fn read(bytes: &Bytes, rows: &mut Vec<TableRow>) -> Result<(), ParquetError> {
    let reader = SerializedFileReader::new(bytes.clone())?;
    for group in 0..reader.num_row_groups() {
        for row in rows_of(&reader, group, bytes)? {
            let place = RowPlace {
                row: rows.len() + 1,
                line: None,
            };
            rows.push(TableRow {
                place,
                values: object(row?),
            });
        }
    }
    Ok(())
}

fn object(row: Row) -> Map<String, Value> {
    let columns = row.into_columns().into_iter();
    columns.map(|(name, field)| (name, value(field))).collect()
}

fn value(field: Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => truth.into(),
        Field::Byte(number) => number.into(),
        Field::Short(number) => number.into(),
        Field::Int(number) => number.into(),
        Field::Long(number) => number.into(),
        Field::UByte(number) => number.into(),
        Field::UShort(number) => number.into(),
        Field::UInt(number) => number.into(),
        Field::ULong(number) => number.into(),
        Field::Float16(number) => real(&number.to_string()),
        Field::Float(number) => real(&number.to_string()),
        Field::Double(number) => real(&number.to_string()),
        Field::Str(text) => text.into(),
        Field::Group(row) => object(row).into(),
        Field::ListInternal(list) => list.elements().iter().cloned().map(value).collect(),
        Field::MapInternal(map) => {
            let entries = map.entries().iter();
            let entry = |(key, of_key): &(Field, Field)| {
                let key = match value(key.clone()) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, value(of_key.clone()))
            };
            entries.map(entry).collect::<Map<_, _>>().into()
        }
        // Old writers do not say that bytes are text; those of pictures and the like are not.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => Value::from_iter([("bytes", bytes.len())]),
        },
        // One of scale 0 is a whole number, which is written with a point behind it there.
        decimal @ Field::Decimal(_) => decimal.to_string().trim_end_matches('.').into(),
        // Dates and times, as they are written.
        other => other.to_string().into(),
    }
}

/// A number with the digits of its own precision, which a way over f64 would make more; none where it is not finite.
fn real(digits: &str) -> Value {
    let number: Option<f64> = digits.parse().ok();
    number
        .and_then(Number::from_f64)
        .map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use parquet::data_type::Decimal;

    use super::*;

    #[test]
    fn a_decimal_without_places_is_a_whole_number() {
        let written = |number: i64, scale| {
            let decimal = Decimal::from_i64(number, 18, scale);
            value(Field::Decimal(decimal))
        };
        for (number, scale, text) in [
            (0, 0, "0"),
            (120, 0, "120"),
            (-7, 0, "-7"),
            (0, 2, "0.00"),
            (1250, 2, "12.50"),
        ] {
            assert_eq!(written(number, scale), text, "{number}, {scale}");
        }
    }
}

//! Sheets that raters and their spreadsheets made.

use super::*;
use crate::input::decoded;

#[test]
fn hostile_text_is_no_formula_and_comes_back() {
    let path = path(0, 0, "=HYPERLINK(\"http://x\")\u{1b}[31m, \"so\"\r\n- end");
    let items = items(ArtifactKind::Paths, &vec![path].encode(), 5).unwrap();
    let (bytes, _) = write_sheet(&items, &questions(), ALL).unwrap();
    let sheet = String::from_utf8(bytes).unwrap();
    let row = &rows(&sheet)[0];
    assert_eq!(
        row[2],
        "'=HYPERLINK(\"http://x\")\\u{1b}[31m, \"so\"\\r\n- end"
    );
    let sheet = filled(&sheet, |_| ["1", "2", "3", "4"]);
    let read = Sheet::read("a", Path::new("a.csv"), &sheet, &items, false).unwrap();
    let rating = read.ratings.values().next().unwrap();
    assert_eq!(rating.scores, [Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(rating.comment, "- so so");
}

#[test]
fn spreadsheets_may_save_as_they_like() {
    let sheet = filled(&sheet(5, ALL), |_| ["0", " 10 ", "3", "7"]);
    let expected = read(&sheet, false).unwrap();
    assert_eq!(expected.ratings.len(), 12);
    let rating = expected.ratings.values().next().unwrap();
    assert_eq!(rating.scores, [Some(0), Some(10), Some(3), Some(7)]);
    for delimiter in [b';', b'\t'] {
        // Columns turned round, a header in capitals, carriage returns, an empty row at the end.
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(csv::Terminator::CRLF)
            .from_writer("\u{feff}".as_bytes().to_vec());
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(sheet.as_bytes());
        for (at, record) in reader.records().enumerate() {
            let mut cells: Vec<String> = record.unwrap().iter().map(ToOwned::to_owned).collect();
            cells.reverse();
            if at == 0 {
                cells = cells.iter().map(|cell| cell.to_uppercase()).collect();
            }
            writer.write_record(&cells).unwrap();
        }
        writer.write_record([""; 8]).unwrap();
        let saved = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(read(&saved, false).unwrap(), expected);
    }
}

#[test]
fn every_error_has_its_line() {
    let text = sheet(5, ALL);
    let mut lines = filled(&text, |at| match at {
        0 => ["11", "2", "-1", "x"],
        1 => ["1", "", "3", "4.5"],
        _ => ["1", "2", "3", "4"],
    });
    let rows = rows(&text);
    let again = format!("{},,,1,2,3,4\n", rows[2][0]);
    lines += "pfffffffffff,,,1,2,3,4\n";
    lines += &again;
    let mut swapped = lines.replacen(&rows[4][0], "HERE", 1);
    swapped = swapped.replacen(&rows[5][0], &rows[4][0], 1);
    swapped = swapped.replacen("HERE", &rows[5][0], 1);
    let errors = read(&swapped, false).unwrap_err();
    // A path has two lines, so row n of the sheet begins on line 2 n + 2.
    let found: Vec<(u64, &str)> = errors
        .iter()
        .map(|each| (each.line.unwrap(), &*each.what))
        .collect();
    let of = |at: usize| &rows[at][0];
    let expected = [
        (
            2,
            "`coherence` is `11`, expected a whole number from 0 to 10".to_owned(),
        ),
        (
            2,
            "`logical_consistency` is `-1`, expected a whole number from 0 to 10".to_owned(),
        ),
        (
            2,
            "`completeness` is `x`, expected a whole number from 0 to 10".to_owned(),
        ),
        (
            4,
            "`completeness` is `4.5`, expected a whole number from 0 to 10".to_owned(),
        ),
        (4, format!("item `{}` has no `relevance`", of(1))),
        (
            10,
            format!(
                "the path beside item `{}` is another item's; sort whole rows, not one column",
                of(5)
            ),
        ),
        (
            12,
            format!(
                "the path beside item `{}` is another item's; sort whole rows, not one column",
                of(4)
            ),
        ),
        (
            26,
            "item `pfffffffffff` is not among the 12 of this stage".to_owned(),
        ),
        (
            27,
            format!("item `{}` again; it is on line 6 already", of(2)),
        ),
    ];
    let expected: Vec<(u64, &str)> = expected
        .iter()
        .map(|(line, what)| (*line, &**what))
        .collect();
    assert_eq!(found, expected);
    let told = RatingError::Sheets(errors).to_string();
    for words in ["9 faults", "\n  anna.csv:2: `coherence`", "\nhint: "] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn what_is_no_sheet() {
    let file = Path::new("a.csv");
    let what = |bytes: &[u8]| {
        let text = decoded(file, bytes.to_vec()).map_err(|error| vec![SheetError::from(error)]);
        let read = text.and_then(|text| Sheet::read("a", file, &text, &some_items(5), false));
        let errors = read.unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        (errors[0].line, errors[0].what.clone())
    };
    let missing = "no column `coherence`, `relevance`, `logical_consistency`, `completeness`";
    assert_eq!(what(b"item,comment\n"), (Some(1), missing.to_owned()));
    let (line, told) = what(b"item\n\xff");
    assert!(
        line == Some(2) && told.starts_with("column 1: the byte 0xFF is not UTF-8; save"),
        "{told}"
    );
    let (_, told) = what(b"PK\x03\x04");
    assert!(told.contains("save the sheet as `CSV UTF-8`"), "{told}");
    let header = b"item,coherence,relevance,logical_consistency,completeness\n";
    assert_eq!(what(header), (Some(1), "no items".to_owned()));
    assert_eq!(what(b"").0, Some(1));
}

#[test]
fn blank_ratings_wait_in_a_partial_sheet() {
    let sheet = filled(&sheet(5, ALL), |at| match at {
        0 => ["1", "", "3", "4"],
        1 => ["", "", "", ""],
        _ => ["1", "2", "3", "4"],
    });
    assert_eq!(read(&sheet, false).unwrap_err().len(), 2);
    let sheet = read(&sheet, true).unwrap();
    let report = RatingReport::of(&some_items(5), &[sheet], &Resampling::default());
    assert_eq!(report.items, 11);
    let n: Vec<usize> = (report.criteria.iter())
        .map(|each| each.means[0].mean.unwrap().n)
        .collect();
    assert_eq!(n, [11, 10, 11, 11]);
}

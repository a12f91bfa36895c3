//! The pages of Parquet files, unpacked.
//!
//! The crate reads zstd through a C library; the default build has none. So the pages of such a column are read as if they were not
//! packed, and unpacked here by `ruzstd`, before anything looks into them.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::Row;
use parquet::record::reader::{RowIter, TreeBuilder};
use parquet::schema::types::Type;

use super::unpack::unzstd;

/// Bytes of a page at most (ours); writers make them of about a million.
const MOST: u64 = 1 << 30;

/// The rows of a group of `file`, whose bytes are `bytes`.
pub(super) fn rows_of<'a>(
    file: &'a dyn FileReader,
    group: usize,
    bytes: &Bytes,
) -> Result<impl Iterator<Item = Result<Row>> + use<'a>> {
    let group = Group {
        inner: file.get_row_group(group)?,
        bytes: Arc::new(bytes.clone()),
    };
    TreeBuilder::new().as_iter(group.metadata().schema_descr_ptr(), &group)
}

/// A group of rows, whose pages are read by [`Pages`] where zstd packed them.
struct Group<'a> {
    inner: Box<dyn RowGroupReader + 'a>,
    bytes: Arc<Bytes>,
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.inner.metadata()
    }

    fn num_columns(&self) -> usize {
        self.inner.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        let metadata = self.metadata();
        let chunk = metadata.column(column);
        if !matches!(chunk.compression(), Compression::ZSTD(_)) {
            return self.inner.get_column_page_reader(column);
        }
        let as_plain = chunk.clone().into_builder();
        let as_plain = as_plain
            .set_compression(Compression::UNCOMPRESSED)
            .build()?;
        let rows = usize::try_from(metadata.num_rows())
            .map_err(|e| ParquetError::General(e.to_string()))?;
        let pages = SerializedPageReader::new(Arc::clone(&self.bytes), &as_plain, rows, None)?;
        Ok(Box::new(Pages(pages)))
    }

    fn get_column_bloom_filter(&self, column: usize) -> Option<&Sbbf> {
        self.inner.get_column_bloom_filter(column)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The pages of a column that zstd packed.
struct Pages(SerializedPageReader<Bytes>);

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.0.get_next_page()?.map(unpacked).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

fn unpacked(mut page: Page) -> Result<Page> {
    match &mut page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = unpack(buf, 0)?,
        // The levels come first, and are not packed.
        Page::DataPageV2 {
            buf,
            is_compressed,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } if *is_compressed => {
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            *buf = unpack(buf, usize::try_from(levels).unwrap_or(usize::MAX))?;
        }
        Page::DataPageV2 { .. } => {}
    }
    Ok(page)
}

/// `page` with what stands behind its first `plain` bytes unpacked.
fn unpack(page: &Bytes, plain: usize) -> Result<Bytes> {
    let (head, packed) = page
        .split_at_checked(plain)
        .ok_or_else(|| ParquetError::EOF("a page ends within its levels".to_owned()))?;
    let rest = unzstd(packed, MOST).map_err(|e| ParquetError::External(e.into()))?;
    Ok([head, &rest].concat().into())
}
